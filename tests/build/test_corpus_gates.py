"""The gates of every broken study of the corpus, in one dbt process: SQL never errors, and says what Python says."""

from __future__ import annotations

import csv
import json
import warnings
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from corpus.case import Case, as_table
from corpus.everything import CASES
from projects import dbt, installed

from estimators import design, score

Row = dict[str, Any]


def put(connection: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> str:
    """A table of schema scenarios."""
    connection.register("made_up", table)
    connection.execute(f"create or replace table scenarios.{name} as select * from made_up")
    return name


def asks_scores(block: Any) -> bool:
    """Whether the study has a model of scores: two arms and covariates, compared as they are."""
    declared = block if isinstance(block, dict) else {}
    roles = declared.get("treatment") and declared.get("covariates")
    return bool(roles) and declared.get("design") in ("experiment", "observational")


def scenario(connection: duckdb.DuckDBPyConnection, case: Case) -> Row:
    """The case's tables as its dbt models would hold them, and its block."""
    made = {
        "name": case.name,
        "block": case.block,
        "units": put(connection, f"{case.name}_units", as_table(case.units)),
    }
    units = connection.table(f"scenarios.{case.name}_units")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if asks_scores(case.block):
            made["scores"] = put(connection, f"{case.name}_scores", score(case.name, case.block, units))
        made["design"] = put(connection, f"{case.name}_design", design(case.name, case.block, units))
    return made


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Row]]:
    """The rows of all gates, by study."""
    folder = installed(tmp_path_factory.mktemp("corpus"))
    warehouse = folder / "warehouse.duckdb"
    names = list(CASES)
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("create schema scenarios")
        stored = [(name, json.dumps(scenario(connection, CASES[name]))) for name in names]
        connection.execute("create table scenarios.blocks (name varchar, scenario varchar)")
        connection.executemany("insert into scenarios.blocks values (?, ?)", stored)
        connection.execute("create schema seeds")
        for seed in ("gate_policy", "gate_exceptions"):
            _seed(connection, folder.parent / "seeds" / f"{seed}.csv")
    done = dbt(folder, "run-operation", "judge_stored")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return {
            name: connection.execute(f"select * from judged.{name}").to_arrow_table().to_pylist() for name in names
        }  # fmt: skip


def _seed(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    header = next(csv.reader(path.open()))
    types = {column: "boolean" if column == "blocks" else "varchar" for column in header}
    sql = f"create table seeds.{path.stem} as select * from read_csv(?, header = true, columns = {types})"
    connection.execute(sql, [str(path)])


@pytest.mark.parametrize("name", list(CASES))
def test_gates_break_where_python_refuses(judged: dict[str, list[Row]], name: str) -> None:
    case, rows = CASES[name], judged[name]
    broken = {row["subject"]: row for row in rows if row["severity"] == "error" and not row["is_passing"]}
    assert all(row["blocks"] and row["reason"] and row["remedy"] for row in broken.values())
    # No overflow reaches the marts: what is not finite is NULL.
    assert all(row["value"] is None or abs(row["value"]) <= 1e150 for row in rows)
    if case.status == "failed" and case.value is None:
        return  # a wrong declaration is told by its estimates
    if case.gate is None:
        assert not broken
        return
    assert case.gate in broken
    # The reason names what the row of Python names: its first words say which column of which role.
    first = case.words[0].split(" of ")[0].split(", such as")[0]
    if first.startswith(("covariate", "outcome", "treatment", "weight", "unit", "time", "running", "mediator")):
        assert broken[case.gate]["reason"].startswith(" ".join(first.split(" ")[:2])), broken[case.gate]["reason"]


def test_same_words_of_sizes(judged: dict[str, list[Row]]) -> None:
    sized = [case for case in CASES.values() if case.gate and case.words[0].split("' ", 1)[-1].startswith("holds ")]
    assert len(sized) > 20
    for case in sized:
        (row,) = [one for one in judged[case.name] if (one["gate"], one["subject"]) == ("contract", case.gate)]
        assert row["reason"].startswith(case.words[0].split(", such as")[0]), (case.name, row["reason"])
