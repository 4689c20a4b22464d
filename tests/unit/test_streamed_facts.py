"""The contracts' facts by SQL are those of the rows in memory, and every breach is told in the same words."""

from __future__ import annotations

import datetime
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from streamed_support import Row
from support import observational, simulated

from estimators import Study, StudyError, estimate
from estimators.assemble import assemble
from estimators.contracts import facts_of
from estimators.problem import Problem
from estimators.streamed.problem import Streamed

N = 60
DATA = simulated(N)
BLOCK = observational("y", "t", ["x1", "x2"])
NULLS: list[Any] = [None] * N


def with_first(name: str, value: Any) -> list[Any]:
    """A column whose first value is another."""
    return [value, *DATA[name].tolist()[1:]]


BREACHES: dict[str, dict[str, Any]] = {
    "no rows": {name: values[:0] for name, values in DATA.items()},
    "NULL unit": {"unit_id": with_first("unit_id", None)},
    "repeated unit": {"unit_id": with_first("unit_id", 7)},
    "text outcome": {"y": ["many"] * N},
    "text covariate": {"x1": [str(x) for x in DATA["x1"]]},
    "dates": {"x1": [datetime.date(2024, 1, 1)] * N},
    "infinite covariate": {"x1": with_first("x1", float("inf"))},
    "minus infinite outcome": {"y": with_first("y", float("-inf"))},
    "NaN outcome": {"y": with_first("y", float("nan"))},
    "NULL covariate": {"x2": with_first("x2", None)},
    "all NULL": {"x2": pa.array(NULLS, pa.float64())},
    "beyond 1e150": {"y": with_first("y", 1e300)},
    "constant treatment": {"t": np.ones(N)},
    "third arm": {"t": with_first("t", 2.0)},
    "one and two": {"t": DATA["t"] + 1},
    "whole numbers that float64 cannot hold": {"x1": [2**60 + i for i in range(N)]},
}


def judged(units: Any, block: dict[str, Any]) -> str | None:
    """What the contracts say."""
    try:
        assemble(Study.declare("s", block), units)
    except StudyError as breach:
        return str(breach)
    return None


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_is_told_in_the_same_words(breach: str) -> None:
    units = {**DATA, **BREACHES[breach]}
    memory = judged(units, {**BLOCK, "row_budget": 10**9})
    # an empty study has fewer rows than any budget, so its SQL is asked below
    streamed = judged(units, {**BLOCK, "row_budget": 1})
    assert memory is not None
    assert streamed == memory


def test_an_empty_relation_has_no_rows_by_sql() -> None:
    from estimators.scan.stream import Source
    from estimators.streamed.facts import facts

    connection = duckdb.connect()
    connection.execute("create table units (unit_id integer, y double, t integer, x1 double, x2 double)")
    source = Source.of(connection, "units")
    assert facts(source, Study.declare("s", BLOCK), source.types()).rows == 0


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"x1": with_first("x1", None), "x2": with_first("x2", float("nan"))},
        {"t": [bool(t) for t in DATA["t"]]},
        {"t": [float(x) ** 2 for x in DATA["x1"]]},  # a dose that is no covariate: an identity is refused
    ],
    ids=["plain", "missing", "boolean", "dose"],
)
def test_facts_are_those_of_the_rows_in_memory(changed: Row) -> None:
    block = {**BLOCK, "missing": "drop", "cluster": "x2"}
    study = Study.declare("s", {**block, "row_budget": 1})
    units = {**DATA, **changed}
    streamed, dropped = assemble(study, units)
    assert isinstance(streamed, Streamed)
    memory, left_out = assemble(Study.declare("s", block), units)
    assert isinstance(memory, Problem)
    assert dropped == left_out
    want = facts_of(study, memory.columns)
    got = streamed.facts
    assert (got.rows, got.nameless, got.repeats, dict(got.columns)) == (want.rows, 0, 0, dict(want.columns))
    assert got.kind == want.kind == memory.kind


def test_a_relation_is_streamed_only_above_the_budget() -> None:
    connection = duckdb.connect()
    connection.register("given", pa.table(DATA))
    connection.execute("create table units as select * from given")
    units = connection.table("units")
    kinds = [
        type(assemble(Study.declare("s", {**BLOCK, "row_budget": budget}), units, session)[0])
        for budget, session in ((N, connection), (N - 1, connection), (N - 1, None))
    ]
    assert kinds == [Problem, Streamed, Problem]


def test_the_hash_of_streamed_rows_ignores_their_order_and_sees_every_change() -> None:
    def data_hash(units: Any) -> str:
        return assemble(Study.declare("s", {**BLOCK, "row_budget": 1}), units)[0].data_hash()

    order = np.random.default_rng(1).permutation(N)
    assert data_hash(DATA) == data_hash({name: values[order] for name, values in DATA.items()})
    assert data_hash(DATA) != data_hash({**DATA, "y": with_first("y", 1.0)})
    swapped = DATA["y"].copy()
    swapped[[0, 1]] = swapped[[1, 0]]
    assert data_hash(DATA) != data_hash({**DATA, "y": swapped})


@pytest.mark.parametrize("budget", [10**9, 1])
def test_a_declared_fold_is_used_and_checked(budget: int) -> None:
    block = {**BLOCK, "fold": "part", "folds": 3, "row_budget": budget}
    mine = {**DATA, "part": np.arange(N) % 3}
    other = {**DATA, "part": (np.arange(N) // 7) % 3}
    results = [
        next(r for r in estimate("s", block, units).to_pylist() if r["estimator"] == "tvce") for units in (mine, other)
    ]
    assert results[0]["status"] == "estimated", results[0]["status_reason"]
    assert results[0]["estimate"] != results[1]["estimate"]
    for wrong in (np.arange(N) % 4, np.arange(N) % 3 - 1, np.arange(N) % 3 + 0.5, np.zeros(N)):
        rows = estimate("s", block, {**DATA, "part": wrong}).to_pylist()
        row = next(r for r in rows if r["estimator"] == "tvce")
        assert row["status"] == "refused"
        assert "fold 'part'" in row["status_reason"], row["status_reason"]
