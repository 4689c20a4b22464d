"""What may be told: a standard error of 0 to rounding identifies nothing; no number that is none passes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support import observational, problem

from estimators import estimate
from estimators.result import Diagnostic, Estimate, Result
from estimators.soundness import sound

BLOCK = observational("y", "t", ["x"])
N = 200


def units(**more):
    rng = np.random.default_rng(3)
    made = {"unit_id": np.arange(N), "t": np.tile([0.0, 1.0], N // 2), "x": rng.normal(size=N), "y": rng.normal(size=N)}
    return {**made, **more}


def judged(estimate, std_error, block=BLOCK, given=None, **more):
    run = problem(block, units() if given is None else given, "regression_adjustment")
    (row,) = sound(Result((Estimate("ATE", estimate=estimate, std_error=std_error, **more),)), run).estimates
    return row


@pytest.mark.parametrize(("value", "error"), [(2.0, 0.0), (2.0, 5e-16), (1e-17, 1e-18), (-3e8, 1e-3), (0.0, 0.0)])
def test_an_error_of_rounding_is_not_identified(value, error):
    row = judged(value, error)
    assert (row.status, row.estimate, row.std_error, row.conf_low) == ("not_identified", None, None, None)
    assert "0 to rounding" in row.status_reason
    assert "fitted exactly" in row.status_reason


@pytest.mark.parametrize("error", [math.nan, math.inf, -1.0])
def test_an_error_that_is_no_number_is_not_identified(error):
    row = judged(2.0, error)
    assert row.status == "not_identified"
    assert "not a number" in row.status_reason


@pytest.mark.parametrize(("value", "error"), [(2.0, 0.1), (1e-9, 1e-6), (5.0, 1e-8), (2.0, None)])
def test_a_small_error_is_told(value, error):
    assert judged(value, error).std_error == error


def test_units_of_measurement_do_not_decide():
    """The rule is of shares: an outcome in billionths, and an effect of a unit of a treatment in billions."""
    small = units(y=units()["y"] * 1e-9)
    assert judged(1e-10, 1e-11, given=small).status == "estimated"
    dose = observational("y", "t", ["x"])
    assert judged(1e-13, 1e-14, dose, units(t=units()["x"] * 1e12)).status == "estimated"
    assert judged(1e-13, 1e-14, dose, units(t=units()["x"])).status == "not_identified"


def test_the_reason_names_the_cause():
    assert "'y' is 3 in every row" in judged(0.0, 0.0, given=units(y=np.full(N, 3.0))).status_reason
    clustered = {**BLOCK, "cluster": "g"}
    row = judged(2.0, 5e-16, clustered, units(g=np.arange(N) // 100), n_clusters=2)
    assert "the 2 clusters of 'g' do not differ" in row.status_reason


@pytest.mark.parametrize("streamed", [False, True])
def test_an_outcome_that_the_treatment_gives_has_no_estimate(streamed):
    given = units()
    given["y"] = 2 * given["t"]
    rows = estimate("s", {**BLOCK, "row_budget": 10 if streamed else 1000}, given).to_pylist()
    told = [row for row in rows if row["std_error"] is not None and row["estimator"] != "sensitivity"]
    assert all(row["std_error"] > 1e-10 * abs(row["estimate"]) for row in told)
    (naive,) = [r for r in rows if (r["estimator"], r["estimand"]) == ("difference_in_means", "ATE")]
    assert (naive["status"], naive["estimate"]) == ("not_identified", None)


def test_did_on_a_constant_outcome_is_not_identified():
    unit, time = np.repeat(np.arange(40), 6), np.tile(np.arange(6), 40)
    table = {
        "unit_id": unit, "time": time, "cohort": np.where(unit < 20, 3.0, 0.0), "y": np.full(240, 7.0),
    }  # fmt: skip
    block = {
        "question": "q", "design": "panel", "outcome": "y", "time": "time", "cohort": "cohort", "never": 0,
        "decision": {"primary": "did", "estimand": "ATT", "desired_direction": "more", "minimum_effect": 0},
    }  # fmt: skip
    rows = [r for r in estimate("s", block, table).to_pylist() if r["is_primary"]]
    assert [(r["status"], r["estimate"]) for r in rows] == [("not_identified", None)]
    assert "'y' is 7 in every row" in rows[0]["status_reason"]


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, np.float64("nan"), np.float32("inf")])
@pytest.mark.parametrize("is_passing", [True, False, None, np.bool_(True)])
def test_no_diagnostic_passes_on_a_number_that_is_none(value, is_passing):
    assert not Diagnostic("first_stage_f", "t", value, 10.0, is_passing).is_passing
    run = problem(BLOCK, units(), "regression_adjustment")
    row = Estimate("ATE", estimate=2.0, std_error=1.0)
    (kept,) = sound(Result((row,), (Diagnostic("m", "s", 1e200, 10.0, True),)), run).diagnostics
    assert (kept.value, kept.is_passing) == (None, None)
