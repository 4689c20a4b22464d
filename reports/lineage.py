"""From a study back to the raw column: what each role is called in the staging model, and in which file it lies.

The roles come from marts; the SQL between the raw file and the units comes from dbt's manifest, which a build leaves in
``target``. Staging models rename and cast only, so reading their select list is enough.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from figures.data import Row, query

# Roles whose value is one column or a list of columns.
ROLES = ("outcome", "treatment", "covariates", "instruments", "running", "unit", "time", "cohort", "cluster", "weight",
         "mediator", "mediators", "dose", "sample", "arms", "effect_modifiers", "secondary_outcomes",
         "guardrails", "negative_control_outcomes", "negative_control_exposures", "cost")  # fmt: skip
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_WORD = re.compile(r"[()]|\bselect\b|\bfrom\b", re.IGNORECASE)
_NAMED = re.compile(r"(?P<expression>.*\S)\s+as\s+(?P<name>\w+)\Z", re.DOTALL | re.IGNORECASE)
_TERM = re.compile(r"[A-Za-z_]\w*")
DEPTH = 6


@dataclass(frozen=True)
class Step:
    """One column of a study: its role, its name, how staging makes it and where the raw data lie."""

    role: str
    column: str
    expression: str
    model: str
    source: str


@dataclass(frozen=True)
class Lineage:
    """The way of one study's numbers."""

    study: str
    models: tuple[str, ...] = ()
    columns: tuple[Step, ...] = ()
    sources: tuple[str, ...] = ()


@dataclass
class Graph:
    """The nodes of dbt's manifest that matter here."""

    nodes: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, Any] = field(default_factory=dict)

    def named(self, name: str) -> str | None:
        """The key of a model by its name."""
        return next(
            (key for key, node in self.nodes.items() if node["name"] == name and key.startswith("model.")), None
        )

    def parents(self, key: str) -> list[str]:
        """The models, seeds and sources that a model reads."""
        return list(self.nodes[key]["depends_on"]["nodes"]) if key in self.nodes else []


def of(connection: duckdb.DuckDBPyConnection, studies: list[str], manifest: Path | None) -> list[Lineage]:
    """The lineage of every study; without a manifest it ends at the units."""
    graph = _graph(manifest)
    declared = {row["study"]: row for row in query(connection, "select study, roles from marts.studies")}
    return [_study(graph, study, declared.get(study, {})) for study in studies]


def _graph(manifest: Path | None) -> Graph:
    if manifest is None or not manifest.is_file():
        return Graph()
    try:
        held = json.loads(manifest.read_text(encoding="utf-8"))
        return Graph(held["nodes"], held["sources"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"lineage: {manifest} cannot be read ({error!r}): it ends at the declared columns", file=sys.stderr)
        return Graph()


def _study(graph: Graph, study: str, declared: Row) -> Lineage:
    units = graph.named(f"{study}_units")
    steps = []
    for role, column in columns(declared.get("roles")):
        model, expression, source = _traced(graph, units, column) if units else ("", "", "")
        steps.append(Step(role, column, expression, model, source))
    made = [f"{study}_{end}" for end in ("units", "scores", "design", "gates", "effects")]
    models = tuple(name for name in made if graph.named(name))
    return Lineage(study, models, tuple(steps), tuple(_sources(graph, units, DEPTH)) if units else ())


def columns(roles: Any) -> list[tuple[str, str]]:
    """(role, column) for each column that a study declares; ``age^2`` and ``C(race)`` are their columns."""
    try:
        declared = json.loads(roles) if isinstance(roles, str) else roles
    except ValueError:
        return []
    found: dict[tuple[str, str], None] = {}
    for role in ROLES:
        value = declared.get(role) if isinstance(declared, dict) else None
        if role == "guardrails" and isinstance(value, dict):
            value = list(value)
        for one in value if isinstance(value, list) else [value]:
            for term in _terms(one):
                found[role, term] = None
    return list(found)


def _terms(value: Any) -> list[str]:
    named = value.get("column") or value.get("outcome") or value.get("name") if isinstance(value, dict) else value
    return [term for term in _TERM.findall(named) if term != "C"] if isinstance(named, str) else []


def _traced(graph: Graph, key: str, column: str, depth: int = DEPTH) -> tuple[str, str, str]:
    """(model, expression, source) of a column: the last model that computes it before the raw file."""
    node = graph.nodes.get(key)
    if node is None or depth == 0:
        return "", "", ""
    expression = selected(node.get("raw_code") or "").get(column)
    behind = [_traced(graph, parent, name, depth - 1) for parent in graph.parents(key)
              for name in ([column] if expression is None else _terms(expression))]  # fmt: skip
    found = next((one for one in behind if one[1]), None)
    if found:
        return found
    if expression is None:
        return "", "", ""
    return node["name"], expression, ", ".join(_sources(graph, key, depth))


def _sources(graph: Graph, key: str, depth: int) -> list[str]:
    """The raw files behind a model."""
    found: dict[str, None] = {}
    for parent in graph.parents(key) if depth else []:
        if parent in graph.sources:
            found[_file(graph.sources[parent])] = None
        else:
            found |= dict.fromkeys(_sources(graph, parent, depth - 1))
    return list(found)


def _file(source: Mapping[str, Any]) -> str:
    """The file that a source reads, or the source's name."""
    where = str((source.get("config") or {}).get("meta", {}).get("external_location") or "")
    file = re.search(r"'([^']+)'", where)
    return file[1] if file else f"{source['source_name']}.{source['identifier']}"


def selected(sql: str) -> dict[str, str]:
    """Name to expression for what a model's select lists compute (``… as name``); columns passed on are left out."""
    found: dict[str, str] = {}
    for body in _bodies(_COMMENT.sub("", sql)):
        for item in _items(body):
            named = _NAMED.match(item)
            if named:
                found.setdefault(named["name"], " ".join(named["expression"].split()))
    return found


def _bodies(sql: str) -> list[str]:
    """What stands between each ``select`` and the ``from`` of its own depth."""
    found, depth = [], 0
    begun: dict[int, int] = {}
    for word in _WORD.finditer(sql):
        if word[0] == "(":
            depth += 1
        elif word[0] == ")":
            begun.pop(depth, None)
            depth -= 1
        elif word[0].lower() == "select":
            begun[depth] = word.end()
        elif depth in begun:
            found.append(sql[begun.pop(depth) : word.start()])
    return found


def _items(text: str) -> list[str]:
    """A select list apart at its outer commas."""
    items, depth, start = [], 0, 0
    for place, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and depth == 0:
            items.append(text[start:place].strip())
            start = place + 1
    return [*items, text[start:].strip()]
