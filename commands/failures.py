"""What failed in a build: study, column or role, reason, mend. Read from the marts and from dbt's results."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from .dbt_call import Node
from .warehouse import meaning, tables

# Leaf tests whose rows are told one by one.
TOLD_BY_ROWS = ("gates_without_broken_contracts", "estimates_without_failures")
LOG = "logs/dbt.log has all of it"
# How the sentences begin that tell a mend.
MENDS = (
    "[Mm]end|Add|Cast|Fill|Drop|Declare|Keep|Make|[Cc]heck|Did you mean|[Rr]un|Use|Set|Name|Give|free|restore|end that"
)


@dataclass(frozen=True)
class Failure:
    """One line: of which study or model, on which column or role, what is wrong, how it is mended."""

    study: str
    subject: str
    reason: str
    mend: str


def of_marts(connection: duckdb.DuckDBPyConnection) -> list[Failure]:
    """The failures that the marts tell: broken contracts, failed estimates and curves, cards that are not current."""
    there = tables(connection)
    found: list[Failure] = []
    if "estimates" in there:
        mends = {study: _split(reason) for study, reason in connection.execute("""
            select study, min(status_reason) from marts.estimates
            where status <> 'estimated' and status_reason is not null
            group by study having count(distinct status_reason) = 1
        """).fetchall()}  # fmt: skip
        failed = [Failure(study, subject, *_split(reason)) for study, subject, reason in connection.execute("""
            select study, coalesce(string_agg(distinct nullif(estimator, 'none'), ', '), 'effects'), status_reason
            from marts.estimates where coalesce(status, 'failed') = 'failed'
            group by study, status_reason order by study, status_reason
        """).fetchall()]  # fmt: skip
    else:
        mends, failed = {}, []
    if "gates" in there:
        for study, gate, subject, reason, remedy in connection.execute("""
            select study, gate, subject, reason, remedy from marts.gates
            where not coalesce(is_passing, false) and coalesce(severity, 'error') = 'error'
            order by study, gate, subject
        """).fetchall():
            if gate == "build" and any(one.study == study for one in failed):
                continue  # the estimates tell the same with the file
            mend = mends[study][1] if study in mends and mends[study][1] != LOG else remedy
            found.append(Failure(study, subject, reason or f"gate {gate} fails", mend or LOG))
    found += failed
    if "status" in there.get("curves", ()):
        found += [Failure(study, f"curve {curve}", *_split(reason)) for study, curve, reason in connection.execute("""
            select study, curve, min(status_reason) from marts.curves where status = 'failed' group by all order by all
        """).fetchall()]  # fmt: skip
    if "currency" in there:
        named = {one.study for one in found}
        found += [
            Failure(study, "card", f"not current: {reason}", f"run dbt build --select +{study}_effects, or make build")
            for study, reason in connection.execute(
                "select study, reason from marts.currency where not coalesce(is_current, false) order by study"
            ).fetchall() if study not in named
        ]  # fmt: skip
    return found


def refusals(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Studies whose primary estimate is refused though nothing failed: that is the gates' work."""
    if not {"estimates", "gates"} <= set(tables(connection)):
        return []
    return [study for (study,) in connection.execute("""
        select distinct study from marts.estimates
        where is_primary and status in ('refused', 'not_identified') and study not in (
            select study from marts.gates
            where not coalesce(is_passing, false) and coalesce(severity, 'error') = 'error'
        )
        order by study
    """).fetchall()]  # fmt: skip


def of_dbt(
    nodes: Iterable[Node], told: list[Failure], manifest: dict[str, Any], connection: duckdb.DuckDBPyConnection | None,
    project: Path, warehouse: Path,
) -> list[Failure]:  # fmt: skip
    """The models that errored and the tests that failed, without those that the marts' lines tell already.

    Parameters
    ----------
    nodes
        What did not go well in dbt.
    told
        The marts' lines.
    manifest
        dbt's, for a test's column, arguments and leading comment; empty where it is not there.
    connection
        To the warehouse, to ask a failed test's SQL for its studies; None where there is none.
    project
        The folder that compiled SQL is relative to.
    warehouse
        The file whose name stands in sentences about disk and locks.
    """
    reasons = " ".join(one.reason for one in told)
    found = []
    for node in nodes:
        if node.unique_id in reasons or (node.name in TOLD_BY_ROWS and told):
            continue
        if sentence := of_the_file(node.message, warehouse):
            found.append(Failure(warehouse.name, "the file", *_split(sentence)))
        elif node.kind in ("test", "unit_test"):
            found.append(_of_test(node, manifest, connection, project))
        else:
            found.append(_of_model(node))
    # a full disk stops every node: said once
    return list(dict.fromkeys(found))


def _of_model(node: Node) -> Failure:
    """A model, seed or hook that errored: dbt begins its message with the file, which is where the mend goes."""
    found = re.match(r"[\w ]+ Error in \w+ \S+ \((?P<file>[^)]+)\) (?P<reason>.+)$", node.message)
    reason, file = (found["reason"], found["file"]) if found else (node.message or node.status, node.name)
    return Failure(node.name, node.kind, reason.removeprefix("Python model failed: "), f"mend {file} or what it reads")


def of_the_file(message: str, warehouse: Path) -> str | None:
    """The sentence for a message of dbt that is about the warehouse and no raw file; None for others."""
    about_it = warehouse.name in message
    return meaning(message, warehouse, ("full", "held", "cut", "damaged") if about_it else ("full",))


def _of_test(
    node: Node, manifest: dict[str, Any], connection: duckdb.DuckDBPyConnection | None, project: Path
) -> Failure:  # fmt: skip
    about = (
        (manifest.get("nodes") or {}).get(node.unique_id)
        or (manifest.get("unit_tests") or {}).get(node.unique_id)
        or {}
    )
    model = _last(node.attached or about.get("attached_node") or about.get("model") or "") or node.name
    rows = f"its rows: {node.compiled}" if node.compiled else LOG
    if node.status != "fail":
        return Failure(model, node.name, f"the test could not run: {node.message}", LOG)
    if node.kind == "unit_test":
        return Failure(model, node.name, f"unit test: {node.message}", LOG)
    column = about.get("column_name") or ""
    reason = _meaning_of_test(about, column, node.failures) or _comment(about) or f"test {node.name} fails"
    studies = _studies(node, connection, project)
    counted = f"{reason.rstrip('.')} ({node.failures} {'row' if node.failures == 1 else 'rows'}; test {node.name})"
    return Failure(studies or model, column or model, counted, rows)


def _meaning_of_test(about: dict[str, Any], column: str, count: int) -> str | None:
    """What a generic test that failed means, in words; None for tests that are not known here."""
    test = about.get("test_metadata") or {}
    given = {name: value for name, value in (test.get("kwargs") or {}).items() if name not in ("model", "column_name")}
    values, rows = ("value", "row") if count == 1 else ("values", "rows")
    sentences = {
        "not_null": f"{count} {rows} have no value in '{column}'",
        "unique": f"{count} {values} of '{column}' stand in more than one row",
        "accepted_values": f"{count} {values} of '{column}' are none of {_listed(given.get('values'))}",
        "relationships": f"{count} {rows} have a '{column}' that is not in {given.get('to')}, '{given.get('field')}'",
        "unique_combination": f"{count} combinations of {_listed(given.get('columns'))} stand in more than one row",
        "not_empty": "the table has no rows",
        "in_range": f"{count} {rows} have '{column}' outside {given.get('least')} to {given.get('most')}, or no value",
    }
    return sentences.get(str(test.get("name")))


def _comment(about: dict[str, Any]) -> str | None:
    """The comment that a singular test begins with, or its description: what it holds."""
    lines = []
    for line in str(about.get("raw_code") or "").splitlines():
        if not line.startswith("--"):
            break
        if "depends_on:" not in line:
            lines.append(line.removeprefix("--").strip())
    said = " ".join(lines) or about.get("description")
    return f"this does not hold: {said}" if said else None


def _studies(node: Node, connection: duckdb.DuckDBPyConnection | None, project: Path) -> str:
    """The studies among the rows that a failed test finds; empty where they name none."""
    file = project / node.compiled
    if connection is None or not node.compiled or not file.is_file():
        return ""
    try:
        rows = connection.execute(
            f"select distinct study from ({file.read_text(encoding='utf-8')}\n) as found order by study limit 4"
        ).fetchall()
    except duckdb.Error:
        return ""  # no column of that name, or a test of another kind: the model's name stands instead
    names = [str(study) for (study,) in rows]
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _split(reason: str | None) -> tuple[str, str]:
    """A reason's first part, and the sentence that says how to mend it, with which errors here end."""
    text = " ".join((reason or "no reason given").split())
    found = re.match(rf"(.+?)[.;:] ((?:{MENDS})\b.+)$", text)
    return (found[1], found[2].rstrip(".")) if found else (text, LOG)


def _listed(values: Any) -> str:
    return ", ".join(map(str, values)) if isinstance(values, list) else str(values)


def _last(unique_id: str) -> str:
    return unique_id.split(".")[-1]


def manifest_of(target: Path) -> dict[str, Any]:
    """dbt's manifest; empty where it is missing or was cut short by a kill."""
    try:
        read = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def lines(failures: list[Failure]) -> list[str]:
    """What the console shows of them: whole sentences, because they are searched for."""
    out = []
    for one in failures:
        out += [f"{one.study}  {one.subject}", f"    {one.reason}", f"    mend: {one.mend}"]
    return out
