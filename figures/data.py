"""Reads the rows of marts: one read-only DuckDB connection, plain dictionaries."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

from estimators import thresholds

from . import drawable, names

Row = dict[str, Any]

TABLES = ("studies", "estimates", "diagnostics", "curves", "gates", "sensitivity", "decision_cards")


EARLIER = "the marts are of an earlier version of CQOx: run `make build`"
# What a study declares; nothing of it is a result.
DECLARED = ("question", "population", "design", "outcome", "outcome_unit", "treatment", "roles")


class WarehouseError(Exception):
    """The warehouse cannot be read; the message says why and what to do."""


class NotCurrent(WarehouseError):
    """A study whose rows of marts are not of its data, declaration and code as they are now.

    Attributes
    ----------
    reason : str
        Why, with the mend.
    """

    def __init__(self, study: str, reason: str) -> None:
        super().__init__(study, reason)
        self.study, self.reason = study, reason

    def __str__(self) -> str:
        """The sentence for a console."""
        return f"{names.shown(self.study)} is not current: {self.reason}"


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """A read-only connection to a warehouse that holds all of the tables of marts.

    Raises
    ------
    WarehouseError
        Where the file is missing, held open by another process, may not be read, is no whole DuckDB file, or lacks
        tables of marts.
    """
    if not path.exists():
        raise WarehouseError(f"there is no warehouse at {path}. Build it first: make build")
    if path.is_dir():
        raise WarehouseError(f"{path} is a folder, not a DuckDB file. Name the file: --warehouse FILE")
    try:
        connection = duckdb.connect(str(path), read_only=True)
        # A page's SQL reads the marts and nothing else: no files, no network.
        connection.execute("set enable_external_access = false")
        found = {name for (name,) in connection.execute(
            "select table_name from information_schema.tables where table_schema = 'marts'"
        ).fetchall()}  # fmt: skip
    except duckdb.Error as error:
        raise unreadable(path, error) from None
    missing = [table for table in TABLES if table not in found]
    if missing:
        connection.close()
        raise WarehouseError(f"{path} has no marts.{', marts.'.join(missing)}. Build the marts first: make build")
    return connection


def unreadable(path: Path, error: duckdb.Error) -> WarehouseError:
    """What DuckDB says of a file, as one sentence with the mend."""
    said = first_line(error)
    if "Could not set lock" in said or "Conflicting lock" in said:
        return WarehouseError(f"{path} is held open by another process. Try again when that build is done")
    if "Permission denied" in said:
        return WarehouseError(f"{path} may not be read: give its owner's leave (chmod u+r), or build one of your own")
    return WarehouseError(
        f"{path} cannot be read as a DuckDB file ({said.rstrip('.')}). Move it away and build anew: make build"
    )


def first_line(error: BaseException) -> str:
    """An error's first line: DuckDB adds the SQL, and the machine's addresses where it broke."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def query(connection: duckdb.DuckDBPyConnection, sql: str, values: Any = ()) -> list[Row]:
    """The rows of a query as dictionaries."""
    cursor = connection.execute(sql, values)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def currency(connection: duckdb.DuckDBPyConnection) -> dict[str, str | None]:
    """Every study with a card or a row in ``marts.currency``, in order of name, and why it is not current.

    The reason is None where it is current. A warehouse without the view is of an earlier version, and none of its
    studies is current; nor is a study that is missing there, or that has no card.
    """
    cards = {
        row["study"] for row in query(connection, "select study from marts.decision_cards where study is not null")
    }
    try:
        rows = query(
            connection,
            "select study, bool_and(coalesce(is_current, false)) as is_current,"
            " string_agg(distinct reason, '; ' order by reason) as reason"
            " from marts.currency where study is not null group by study",
        )
    except duckdb.CatalogException:
        return dict.fromkeys(sorted(cards), EARLIER)
    except duckdb.Error as error:
        return dict.fromkeys(sorted(cards), f"marts.currency cannot be read ({first_line(error)}): run `make build`")
    told = {row["study"]: _standing(row, row["study"] in cards) for row in rows}
    return {
        study: told.get(study, "marts.currency has no row of it: run `make build`")
        for study in sorted(cards | set(told))
    }


def _standing(row: Row, has_card: bool) -> str | None:
    if not row["is_current"]:
        return names.shown(row["reason"] or "no reason was given: run `make build`")
    return None if has_card else "it has no decision card: run `make build`"


def study_names(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Every study that has a decision card, or whose standing is told without one, in order of name.

    Raises
    ------
    WarehouseError
        Where there is none.
    """
    found = currency(connection)
    if not found:
        raise WarehouseError("marts.decision_cards is empty: no study has been built. Build them first: make build")
    return list(found)


def declaration(connection: duckdb.DuckDBPyConnection, study: str) -> Row:
    """What a study declares, without any result; its name alone where ``marts.studies`` has no row of it."""
    found = query(connection, "select * from marts.studies where study = ?", [study])
    row = _shown(found[0]) if found else {}
    return {"study": study, **{name: row.get(name) for name in DECLARED}}


@dataclass(frozen=True)
class StudyRows:
    """All rows of one study, and the few look-ups that several figures share."""

    study: Row
    card: Row
    estimates: tuple[Row, ...]
    diagnostics: tuple[Row, ...]
    curves: tuple[Row, ...]
    gates: tuple[Row, ...]
    sensitivity: tuple[Row, ...]
    # of secondary outcomes and guardrails: no figure draws them beside the primary outcome's
    other_estimates: tuple[Row, ...] = ()
    # one row a curve that could not be computed, with the reason: no figure draws them
    failed_curves: tuple[Row, ...] = ()

    @property
    def name(self) -> str:
        """The study's name."""
        return str(self.card["study"])

    @property
    def title(self) -> str:
        """The question, or the name where none is declared."""
        return str(self.card.get("question") or names.shown(self.name))

    @property
    def stem(self) -> str:
        """The name of the study's files and folders."""
        return names.stem(self.name)

    @cached_property
    def roles(self) -> Row:
        """The declared roles; empty where they cannot be read."""
        told = self.study.get("roles")
        try:
            roles = json.loads(told) if isinstance(told, str) else told
        except json.JSONDecodeError:
            roles = None
        return roles if isinstance(roles, dict) else {}

    @cached_property
    def for_figures(self) -> StudyRows:
        """The rows as figures take them: see :mod:`figures.drawable`."""
        return replace(
            self, card=drawable.card(self.card), estimates=drawable.estimates(self.estimates),
            diagnostics=drawable.diagnostics(self.diagnostics), curves=drawable.curves(self.curves),
            gates=drawable.others(self.gates), sensitivity=drawable.others(self.sensitivity),
        )  # fmt: skip

    def limit(self, gate: str) -> float:
        """The threshold that the study's gates were judged by; the project's where it has no such gate."""
        judged = (g["threshold"] for g in self.gates if g["gate"] == gate and g["threshold"] is not None)
        return float(next(judged, None) or thresholds.limit(gate))

    @property
    def unit(self) -> str:
        """Unit of the effects: the outcome's, a unit of treatment where the treatment is continuous."""
        return self.card.get("effect_unit") or self.card.get("outcome") or ""

    @property
    def outcome(self) -> str:
        """The outcome with its unit, for an axis."""
        name, unit = self.card.get("outcome") or "outcome", self.card.get("outcome_unit")
        return f"{name} ({unit})" if unit else name

    @property
    def zone(self) -> float | None:
        """Where the decision zone begins: the least effect that matters, in the desired direction."""
        least = self.card.get("minimum_effect")
        if least is None:
            return None
        return least if self.card.get("desired_direction") != "less" else -least

    def runs(self, curve: str) -> list[tuple[str, str, str]]:
        """(estimator, specification, estimand) of the runs with this curve: the primary, then the defaults first."""
        primary = tuple(self.card.get(k) for k in ("estimator", "specification", "estimand"))
        found = dict.fromkeys(_run(row) for row in self.curves if row["curve"] == curve)
        return sorted(found, key=lambda r: (r != primary, r[0] != primary[0], r[1] != "default"))

    def curve(self, curve: str, run: tuple[str, str, str]) -> dict[str, list[Row]]:
        """The points of one run's curve by series, in order of x."""
        series: dict[str, list[Row]] = {}
        for row in self.curves:
            if row["curve"] == curve and _run(row) == run and row["x"] is not None and row["y"] is not None:
                series.setdefault(row["series"], []).append(row)
        return {name: sorted(points, key=lambda p: p["x"]) for name, points in series.items()}

    def failure(self, curves: Iterable[str]) -> str | None:
        """Why one of these curves could not be computed, or None."""
        wanted = set(curves)
        for row in self.failed_curves:
            if row["curve"] in wanted:
                reason = row.get("status_reason") or "no reason was given"
                return f"the curve {row['curve']} could not be computed: {reason}"
        return None

    def overall(self, run: tuple[str, str, str], term: str = "overall") -> Row | None:
        """The estimated row of one run and term."""
        for row in self.estimates:
            if _run(row) == run and row["term"] == term and row["status"] == "estimated":
                return row
        return None

    def diagnostic(self, metric: str, run: tuple[str, str, str] | None = None, subject: str = "overall") -> Any:
        """The value of one diagnostic, or None."""
        for row in self.diagnostics:
            same_run = run is None or _run(row) == run
            if row["metric"] == metric and row["subject"] == subject and same_run:
                return row["value"]
        return None


def _run(row: Row) -> tuple[str, str, str]:
    return row["estimator"], row["specification"], row["estimand"]


def load(connection: duckdb.DuckDBPyConnection, study: str) -> StudyRows:
    """All rows of one study; texts without characters that cannot be shown.

    Raises
    ------
    NotCurrent
        Where its rows are not of its data, declaration and code as they are now: nobody may take them for results.
    WarehouseError
        Where there is no such study; the message lists those that there are.
    """
    known = currency(connection)
    if study not in known:
        raise WarehouseError(f"there is no study '{study}' in the warehouse. It has: {', '.join(known)}")
    reason = known[study]
    if reason is not None:
        raise NotCurrent(study, reason)
    got = {
        table: [_shown(row) for row in
                query(connection, f"select * from marts.{table} where study = ? order by all", [study])]
        for table in TABLES
    }  # fmt: skip
    declared = got.pop("studies")
    (card,) = got.pop("decision_cards")[:1]
    got["other_estimates"] = [row for row in got["estimates"] if row["outcome_role"] != "primary"]
    got["estimates"] = [row for row in got["estimates"] if row["outcome_role"] == "primary"]
    got["failed_curves"] = [row for row in got["curves"] if row.get("status") == "failed"]
    got["curves"] = [row for row in got["curves"] if row.get("status") != "failed"]
    return StudyRows(declared[0] if declared else {}, card, **{name: tuple(rows) for name, rows in got.items()})


def _shown(row: Row) -> Row:
    """A row with texts that can be shown; the study's name stays, for it is looked up by it."""
    return {
        key: names.shown(value) if isinstance(value, str) and key != "study" else value for key, value in row.items()
    }
