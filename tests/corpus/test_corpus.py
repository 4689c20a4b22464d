"""Every broken study of the corpus, its rows in memory and streamed: one answer, in words that a user can act on."""

from __future__ import annotations

import json
import math
import re
import warnings
from typing import Any
from unittest import mock

import duckdb
import pyarrow as pa
import pytest
from corpus.case import Case, as_table
from corpus.everything import CASES
from effects import primary, sound

from estimators import Study, StudyError, design, estimate, score
from estimators.assemble import assemble
from estimators.registry import BY_NAME

Row = dict[str, Any]
# Words of engines and of Python that no user can act on.
FOREIGN = re.compile(
    r"Traceback|\w+ Error:|\w+Error\b|\w+Exception\b|numpy|NoneType|LINE \d|array must|leading minor|division by zero"
)
BUDGETS = {"memory": 10**9, "streamed": 1}


def rows_of(case: Case, budget: int) -> list[Row]:
    """The effects of the primary and what runs beside it; a run that stands still is stopped by pytest."""
    block = case.block
    if isinstance(block, dict) and block and "row_budget" not in block:
        block = {**block, "row_budget": budget}
    connection = duckdb.connect()
    connection.register("given", as_table(case.units))
    connection.execute("create table units as select * from given")
    units = connection.table("units")
    run = tuple(BY_NAME[name] for name in dict.fromkeys((_primary_of(block), *case.beside)) if name in BY_NAME)
    with mock.patch("estimators.build.ESTIMATORS", run), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = estimate(case.name, block, units, session=connection, edges=case.edges)
        drained(score(case.name, block, units, session=connection))
        design(case.name, block, units, session=connection)
    return sound(table)


def drained(scores: Any) -> None:
    """Read scores to their end, as dbt does."""
    if isinstance(scores, pa.RecordBatchReader):
        for _ in scores:
            pass


def _primary_of(block: Any) -> str:
    rule = block.get("decision") if isinstance(block, dict) else None
    return str(rule.get("primary")) if isinstance(rule, dict) else ""


def by_contract(case: Case) -> bool:
    """Whether the data break a contract of a sound declaration."""
    study = Study.declare(case.name, case.block)
    try:
        assemble(study, case.units)
    except StudyError:
        return True
    return False


def check(case: Case, found: list[Row]) -> Row:
    """The answer is the right one, and keeps to what every row promises."""
    row = primary(found)
    for one in found:
        assert not FOREIGN.search(one["status_reason"] or ""), one["status_reason"]
        if one["status"] != "estimated":
            numbers = {name: one[name] for name in ("estimate", "std_error", "conf_low", "conf_high", "p_value")}
            assert set(numbers.values()) == {None}, numbers
        for value in (one["estimate"], one["std_error"], one["conf_low"], one["conf_high"], one["statistic"]):
            assert value is None or abs(value) <= 1e150
        assert one["std_error"] is None or one["std_error"] == 0 or one["std_error"] >= 1e-150
    assert row["status"] == case.status, (row["status"], row["status_reason"])
    assert all(part in row["status_reason"] for part in case.words), row["status_reason"]
    if case.value is not None:
        assert row["estimate"] == pytest.approx(case.value, rel=1e-7, abs=1e-12)
    return row


@pytest.mark.parametrize("name", list(CASES))
def test_right_answer(name: str) -> None:
    case = CASES[name]
    memory = check(case, rows_of(case, BUDGETS["memory"]))
    if case.status != "failed" or case.value is not None:
        # A cohort that is no period is judged where a cohort is read: it costs no estimator that reads none.
        # Identities by value are told by Python alone.
        by_value = case.name == "instrument_is_the_treatment"
        assert by_contract(case) is (by_value or (case.gate is not None and case.gate != "cohort cohorts"))
    if not BY_NAME[case.block["decision"]["primary"]].streams if case.status != "failed" else True:
        return
    streamed = check(case, rows_of(case, BUDGETS["streamed"]))
    assert streamed["status_reason"] == memory["status_reason"]
    for number in ("estimate", "std_error", "conf_low", "conf_high", "n_units", "n_treated"):
        a, b = memory[number], streamed[number]
        assert a == b or math.isclose(a, b, rel_tol=1e-9), number


def test_corpus_is_large_and_argued() -> None:
    assert len(CASES) >= 150
    assert all(case.why and (case.words or case.value is not None) for case in CASES.values())
    for case in CASES.values():
        json.dumps(case.block)
