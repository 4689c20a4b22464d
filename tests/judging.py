"""The gates of made-up studies: their tables in the warehouse of an installed project, judged by dbt."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from made_up_studies import Columns, block_of
from projects import dbt, installed

from estimators import gating
from estimators.scan.stream import quoted


class Judged:
    """The gates of the made-up studies under one policy."""

    def __init__(self, warehouse: Path) -> None:
        with duckdb.connect(str(warehouse)) as connection:
            self.rows = {name: self._read(connection, name) for name in self._names(connection)}
            connection.execute("drop schema judged cascade")

    @staticmethod
    def _names(connection: duckdb.DuckDBPyConnection) -> list[str]:
        found = connection.execute("select table_name from information_schema.tables where table_schema = 'judged'")
        return [name for (name,) in found.fetchall()]

    @staticmethod
    def _read(connection: duckdb.DuckDBPyConnection, name: str) -> list[dict[str, Any]]:
        return connection.execute(f"select * from judged.{quoted(name)}").to_arrow_table().to_pylist()

    def of(self, study: str, gate: str, **narrowed: Any) -> list[dict[str, Any]]:
        """The rows of one gate."""
        return [
            row for row in self.rows[study]
            if row["gate"] == gate and all(row[key] == value for key, value in narrowed.items())
        ]  # fmt: skip

    def one(self, study: str, gate: str, **narrowed: Any) -> dict[str, Any]:
        """The one row of one gate."""
        (row,) = self.of(study, gate, **narrowed)
        return row

    def failed(self, study: str, severity: str) -> list[tuple[str, str]]:
        """Gate and subject of what did not pass."""
        return [
            (r["gate"], r["subject"]) for r in self.rows[study] if r["severity"] == severity and not r["is_passing"]
        ]

    def blocked(self, study: str, estimator: str, estimand: str) -> set[str]:
        """The gates that forbid an estimate, as the effects model reads them."""
        return {row["gate"] for row in gating.blocking(self.rows[study], estimator, estimand)}


def write(connection: duckdb.DuckDBPyConnection, name: str, columns: Columns | pa.Table) -> str:
    """A table of schema scenarios."""
    made_up = columns if isinstance(columns, pa.Table) else pa.table(columns)
    connection.register("made_up", made_up)
    connection.execute(f"create table scenarios.{quoted(name)} as select * from made_up")
    return name


def judging(folder: Path, studies: dict[str, Any], exceptions: Sequence[tuple[str, ...]] = ()) -> Path:
    """The installed project with made-up studies and the package's own policy in its warehouse."""
    folder = installed(folder)
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        connection.execute("create schema scenarios")
        for name, study in studies.items():
            for table in ("units", "scores", "design"):
                if study.get(table) is not None:
                    write(connection, f"{name}_{table}", study[table])
        connection.execute("create schema seeds")
        for seed in ("gate_policy", "gate_exceptions"):
            header = next(csv.reader((folder.parent / "seeds" / f"{seed}.csv").open()))
            types = {column: "boolean" if column == "blocks" else "varchar" for column in header}
            connection.execute(
                f"create table seeds.{seed} as select * from read_csv(?, header = true, columns = {types})",
                [str(folder.parent / "seeds" / f"{seed}.csv")],
            )
        if exceptions:
            connection.executemany("insert into seeds.gate_exceptions values (?, ?, ?, ?, ?, ?, ?)", exceptions)
    return folder


def judge(project: Path, studies: dict[str, Any]) -> Judged:
    """The gates of made-up studies, by as few calls of dbt as hold them."""
    scenarios = [
        {"name": name, "block": block_of(study), **{
            table: f"{name}_{table}" if study.get(table) is not None else None
            for table in ("units", "scores", "design")
        }}
        for name, study in studies.items()
    ]  # fmt: skip
    for some in _calls(scenarios):
        done = dbt(project, "run-operation", "judge", "--args", json.dumps({"scenarios": some}))
        assert done.returncode == 0, done.stdout + done.stderr
    return Judged(project / "warehouse.duckdb")


def _calls(scenarios: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """As many at a time as one argument of a command may hold."""
    out: list[list[dict[str, Any]]] = [[]]
    for one in scenarios:
        if len(json.dumps([*out[-1], one])) > 100_000:
            out.append([])
        out[-1].append(one)
    return out
