"""Cohorts that are no periods, contradict the treatment or cannot be identified, in memory and streamed."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from streamed_support import NUMBERS, both, close

from estimators import estimate
from estimators.errors import Refusal
from estimators.panel.cohorts import check_periods, treated_cohorts
from estimators.study import Study

DECISION = {"primary": "did", "estimand": "ATT", "desired_direction": "more", "minimum_effect": 0}
BLOCK: dict[str, Any] = {
    "question": "q", "design": "panel", "outcome": "y", "unit": "u", "time": "t", "cohort": "g", "decision": DECISION,
    "options": {"did": {"honest": False, "bootstrap": 20}},
}  # fmt: skip


def panel(cohorts: list[float], periods: range, seed: int = 1, step: float = 2.0) -> dict[str, np.ndarray]:
    """Units of some cohorts (NaN never) whose effect grows by ``step`` a period."""
    rng = np.random.default_rng(seed)
    g, t = np.array(cohorts, dtype=float), np.array(periods, dtype=float)
    since = np.where(np.isnan(g)[:, None], 0.0, np.maximum(t - np.nan_to_num(g)[:, None] + 1, 0))
    y = rng.normal(size=(len(g), 1)) + 0.3 * t + 0.1 * rng.normal(size=(len(g), len(t))) + step * since
    wide = (len(g), len(t))
    return {
        "u": np.repeat(np.arange(len(g)), len(t)), "t": np.tile(t, len(g)),
        "g": np.broadcast_to(g[:, None], wide).ravel().copy(), "y": y.ravel(),
    }  # fmt: skip


def same(block: dict[str, Any], units: dict[str, np.ndarray], estimator: str) -> list[dict[str, Any]]:
    """The rows in memory, whose numbers are those of the stream (bands apart, whose draws differ)."""
    pairs = both(block, units, estimator)
    for memory, streamed in pairs:
        assert (memory["term"], memory["status"]) == (streamed["term"], streamed["status"]), streamed["status_reason"]
        for name in NUMBERS:
            close(memory[name], streamed[name], 1e-9, name)
    return [memory for memory, _ in pairs]


def of(rows: list[dict[str, Any]], term: str = "overall") -> dict[str, Any]:
    return next(row for row in rows if row["term"] == term)


def test_cohort_zero_is_a_period_where_zero_is_one() -> None:
    given = panel([0] * 10 + [2] * 10 + [np.nan] * 10, range(-2, 4))
    moved = {**given, "t": given["t"] + 10, "g": given["g"] + 10}
    here, there = (same(BLOCK, units, "did") for units in (given, moved))
    assert [row["estimate"] for row in here] == pytest.approx([row["estimate"] for row in there], rel=1e-9)
    assert of(here)["n_treated"] == 20
    assert of(here, "cohort=0")["estimate"] == pytest.approx(5, abs=0.2)


@pytest.mark.parametrize("estimator", ["did", "twfe", "synthetic_control", "synthetic_did"])
@pytest.mark.parametrize("sentinel", [0.0, -1.0, 9999.0])
def test_a_sentinel_is_refused_by_name(sentinel: float, estimator: str) -> None:
    units = panel([1998] * 10 + [np.nan] * 10, range(1995, 2003))
    units["g"] = np.where(np.isnan(units["g"]), sentinel, units["g"])
    for rows in zip(*both(BLOCK, units, estimator), strict=True):
        for row in rows:
            assert row["status"] == "refused"
            assert (f"never: {sentinel:g}" in row["status_reason"]) or "row_budget" in row["status_reason"]


def test_always_treated_units_are_no_sentinel() -> None:
    units = panel([1993] * 4 + [1998] * 10 + [np.nan] * 10, range(1995, 2003))
    row = of(same(BLOCK, units, "did"))
    assert row["n_trimmed"] == 4


@pytest.mark.parametrize(("g", "told"), [(0.0, True), (-1.0, True), (1990.0, False), (2019.0, False), (99999.0, True)])
def test_what_is_no_period(g: float, told: bool) -> None:
    study = Study.declare("s", BLOCK)
    if told:
        with pytest.raises(Refusal, match=f"never: {g:g}"):
            check_periods(study, np.array([g]), 2000.0, 2010.0)
    else:
        check_periods(study, np.array([g]), 2000.0, 2010.0)


def test_a_cohort_of_one_unit_is_left_out_and_named() -> None:
    units = panel([3] * 10 + [4] + [5] * 10 + [6] + [np.nan] * 20, range(1, 8))
    without = {name: values[~np.isin(units["g"], [4, 6])] for name, values in units.items()}
    rows, plain = same(BLOCK, units, "did"), same(BLOCK, without, "did")
    assert of(rows)["estimate"] == pytest.approx(of(plain)["estimate"], rel=1e-9)
    assert of(rows)["std_error"] == pytest.approx(of(plain)["std_error"], rel=0.05)
    told = {
        one["subject"]: one["value"]
        for one in json.loads(of(rows)["diagnostics"])
        if one["metric"] == "cohort_left_out"
    }
    assert told == {"cohort=4": 1.0, "cohort=6": 1.0}


def test_nothing_left_names_all_causes() -> None:
    with pytest.raises(Refusal, match=r"cohorts 3, 5 of one unit.*cohorts 4, 6 in one cluster") as refused:
        treated_cohorts(
            {3.0: 1, 4.0: 9, 5.0: 1, 6.0: 8, np.inf: 20},
            "never_treated",
            {3.0: 1, 4.0: 1, 5.0: 1, 6.0: 1, np.inf: 5},
        )
    assert refused.value.status == "not_identified"


def test_one_treated_cluster_is_told_before_a_sentinel() -> None:
    units = panel([3] * 20 + [0] * 180, range(1, 5))
    units["s"] = units["u"] // 20
    for rows in zip(*both({**BLOCK, "cluster": "s"}, units, "did"), strict=True):
        assert of(rows)["status"] == "not_identified"
        assert "1 of 10 clusters" in of(rows)["status_reason"]


@pytest.mark.parametrize("estimator", ["did", "twfe"])
@pytest.mark.parametrize(
    ("change", "word"), [("reverses", "falls back to 0"), ("early", "before the cohort's first period")]
)
def test_a_treatment_that_contradicts_its_cohort_is_refused(estimator: str, change: str, word: str) -> None:
    units = panel([3] * 10 + [np.nan] * 20, range(1, 7))
    on = np.nan_to_num(units["t"] - units["g"], nan=-1.0) >= 0
    right = {**units, "d": on.astype(float)}
    block = {**BLOCK, "treatment": "d"}
    assert of(estimate("s", block, right).to_pylist())["status"] == "estimated"
    other = on & (units["t"] < 6) if change == "reverses" else on | ((units["u"] == 25) & (units["t"] > 3))
    budgets = (10**9, 10) if estimator == "did" else (10**9,)
    for budget in budgets:
        rows = estimate("s", {**block, "row_budget": budget}, {**units, "d": other.astype(float)}).to_pylist()
        row = next(row for row in rows if row["estimator"] == estimator)
        assert row["status"] == "refused"
        assert word in row["status_reason"]
        assert "'d' contradicts the cohort 'g'" in row["status_reason"]


def test_a_refusal_names_the_controls_that_were_left_out() -> None:
    units = panel([3] * 10 + [5] * 10 + [np.nan] * 10, range(1, 7))
    x = np.repeat(np.random.default_rng(5).normal(size=30), 6)
    units["x"] = np.where(np.isnan(units["g"]) & (units["t"] == 2), np.nan, x)
    for rows in zip(*both({**BLOCK, "covariates": ["x"], "missing": "drop"}, units, "did"), strict=True):
        reason = of(rows)["status_reason"]
        assert (
            "10 never treated units were left out before, because they miss a period: covariate 'x' is NULL in 10"
            in reason
        )
        assert "not_yet_treated" not in reason
