"""Reads the rows of marts: one read-only DuckDB connection, plain dictionaries."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

Row = dict[str, Any]

TABLES = ("studies", "estimates", "diagnostics", "curves", "gates", "sensitivity", "decision_cards")


class WarehouseError(Exception):
    """The warehouse cannot be read; the message says why and what to do."""


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """A read-only connection to a warehouse that holds all of the tables of marts.

    Raises
    ------
    WarehouseError
        Where the file is missing, held open by another process, no DuckDB file, or without the tables of marts.
    """
    if not path.exists():
        raise WarehouseError(f"there is no warehouse at {path}. Build it first: make build")
    try:
        connection = duckdb.connect(str(path), read_only=True)
    except duckdb.IOException as error:
        if "lock" in str(error).lower():
            raise WarehouseError(f"{path} is held open by another process. Try again when that build is done") from None
        raise WarehouseError(f"{path} cannot be opened as a DuckDB file: {error}") from None
    # A page's SQL reads the marts and nothing else: no files, no network.
    connection.execute("set enable_external_access = false")
    found = {name for (name,) in connection.execute(
        "select table_name from information_schema.tables where table_schema = 'marts'"
    ).fetchall()}  # fmt: skip
    missing = [table for table in TABLES if table not in found]
    if missing:
        connection.close()
        raise WarehouseError(f"{path} has no marts.{', marts.'.join(missing)}. Build the marts first: make build")
    return connection


def query(connection: duckdb.DuckDBPyConnection, sql: str, values: Any = ()) -> list[Row]:
    """The rows of a query as dictionaries."""
    cursor = connection.execute(sql, values)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def study_names(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Every study that has a decision card, in order of name.

    Raises
    ------
    WarehouseError
        Where there is none.
    """
    rows = query(connection, "select study from marts.decision_cards order by study")
    if not rows:
        raise WarehouseError("marts.decision_cards is empty: no study has been built. Build them first: make build")
    return [row["study"] for row in rows]


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

    @property
    def name(self) -> str:
        """The study's name."""
        return str(self.card["study"])

    @cached_property
    def roles(self) -> Row:
        """The declared roles; empty where they cannot be read."""
        told = self.study.get("roles")
        try:
            roles = json.loads(told) if isinstance(told, str) else told
        except json.JSONDecodeError:
            roles = None
        return roles if isinstance(roles, dict) else {}

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
    """All rows of one study.

    Raises
    ------
    WarehouseError
        Where the study has no decision card; the message lists those that have.
    """
    known = study_names(connection)
    if study not in known:
        raise WarehouseError(f"there is no study '{study}' in the warehouse. It has: {', '.join(known)}")
    got = {
        table: query(connection, f"select * from marts.{table} where study = ? order by all", [study])
        for table in TABLES
    }
    declared = got.pop("studies")
    (card,) = got.pop("decision_cards")[:1]
    got["other_estimates"] = [row for row in got["estimates"] if row["outcome_role"] != "primary"]
    got["estimates"] = [row for row in got["estimates"] if row["outcome_role"] == "primary"]
    return StudyRows(declared[0] if declared else {}, card, **{name: tuple(rows) for name, rows in got.items()})
