"""Refusals of panels name what was left out before them; treatments that contradict a declared cohort are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from streamed_support import both

from estimators import estimate

DECISION = {"primary": "did", "estimand": "ATT", "desired_direction": "more", "minimum_effect": 0}
BLOCK: dict[str, Any] = {
    "question": "q", "design": "panel", "outcome": "y", "unit": "u", "time": "t", "cohort": "g", "decision": DECISION,
    "missing": "drop",
    "options": {"did": {"honest": False, "bootstrap": 20}, "panel_matching": {"lags": 1, "leads": 0}},
}  # fmt: skip


def panel(cohorts: tuple[float, ...], periods: int = 6, seed: int = 1) -> dict[str, np.ndarray]:
    """Units of some cohorts (NaN: never) whose effect is 2, with the treatment ``d`` and a covariate ``x``."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.array(cohorts), periods)
    t = np.tile(np.arange(1.0, periods + 1), len(cohorts))
    d = np.where(np.isnan(g), 0.0, t >= np.nan_to_num(g)).astype(float)
    u = np.repeat(np.arange(len(cohorts)), periods)
    x = rng.normal(size=len(u))
    return {"u": u, "t": t, "g": g, "d": d, "x": x, "y": 2 * d + 0.3 * t + 0.5 * x + rng.normal(size=len(u))}


NEVER = float("nan")
MIXED = (3.0,) * 10 + (5.0,) * 10 + (NEVER,) * 10


def reason(block: dict[str, Any], units: dict[str, np.ndarray], estimator: str) -> str | None:
    rows = [row for row in estimate("s", block, units).to_pylist() if row["estimator"] == estimator]
    assert rows, f"{estimator} did not run"
    return rows[0]["status_reason"] if rows[0]["status"] != "estimated" else None


def test_no_never_treated_unit_is_left() -> None:
    units = panel(MIXED)
    units["x"][np.isnan(units["g"]) & (units["t"] == 2)] = np.nan
    for rows in zip(*both({**BLOCK, "covariates": ["x"]}, units, "did"), strict=True):
        assert rows[0]["status_reason"].startswith(
            "no never-treated unit is left: 10 never treated units were left out before, because they miss a period: "
            "covariate 'x' is NULL in 10 rows. So there are no control units: every unit that is compared is treated"
        )


def test_without_gaps_nothing_is_said_to_be_left_out() -> None:
    told = reason(BLOCK, panel((3.0,) * 10 + (5.0,) * 10), "did")
    assert told is not None
    assert told.startswith("no control units: every unit that is compared is treated by the last period.")


@pytest.mark.parametrize("estimator", ["synthetic_control", "synthetic_did"])
def test_donors_that_are_gone_are_named(estimator: str) -> None:
    units = panel((5.0,) + (NEVER,) * 3)
    units["x"][np.isin(units["u"], [2, 3])] = np.nan
    told = reason({**BLOCK, "covariates": ["x"]}, units, estimator)
    assert told is not None
    assert "1 donor" in told
    assert "12 rows were left out before, because covariate 'x' is NULL in 12 rows" in told
    assert "and with them 2 units altogether" in told


def test_periods_of_a_series_that_are_gone_are_named() -> None:
    rng = np.random.default_rng(2)
    t = np.arange(24.0)
    units = {"u": t.astype(int), "t": t, "y": rng.normal(size=24), "x": np.where(t < 11, np.nan, rng.normal(size=24))}
    block = {
        **BLOCK, "design": "its", "covariates": ["x"], "intervention_time": 12.0, "options": {},
        "decision": {**DECISION, "primary": "its"},
    }  # fmt: skip
    del block["cohort"]
    told = reason(block, units, "its")
    assert told is not None
    assert told.startswith("1 periods before the intervention at 12")
    assert "11 rows were left out before, because covariate 'x' is NULL in 11 rows" in told
    assert "11 periods altogether" in told


def test_starts_of_panel_matching_that_are_gone_are_counted() -> None:
    units = panel((3.0,) * 10 + (NEVER,) * 10)
    block = {**BLOCK, "treatment": "d", "decision": {**DECISION, "primary": "panel_matching"}}
    units["y"][(units["t"] == 3) & (units["u"] < 6)] = np.nan
    told = reason(block, units, "panel_matching")
    assert told is not None
    assert "4 units start treatment" in told
    assert "of 10 starts 0 were left out before as nobody has their history, 6 as outcomes" in told
    units["y"][(units["t"] == 3) & (units["u"] < 10)] = np.nan
    assert "10 starts lack an outcome of their own" in str(reason(block, units, "panel_matching"))


@pytest.mark.parametrize(("estimator", "ends"), [("panel_matching", True), ("tvce_panel", False)])
def test_a_treatment_that_begins_in_another_period_than_the_cohort_is_refused(estimator: str, ends: bool) -> None:
    """Panel matching compares treatments that may end again; a cohort dates their beginning."""
    units = panel((3.0,) * 10 + (NEVER,) * 20)
    block = {**BLOCK, "treatment": "d", "decision": {**DECISION, "primary": estimator}}
    if estimator == "tvce_panel":
        block = {**block, "covariates": ["x"], "decision": {**block["decision"], "estimand": "ATE"}}
    assert reason(block, units, estimator) is None
    early = {**units, "d": np.where((units["u"] == 25) & (units["t"] > 3), 1.0, units["d"])}
    late = {**units, "d": np.where((units["u"] == 4) & (units["t"] < 5), 0.0, units["d"])}
    back = {**units, "d": np.where((units["u"] < 4) & (units["t"] == 6), 0.0, units["d"])}
    for wrong, words in (
        (early, "before the cohort's first period in 3 rows"),
        (late, "from that period on in 2 rows"),
    ):
        told = reason(block, wrong, estimator)
        assert told is not None
        assert "the treatment 'd' contradicts the cohort 'g'" in told
        assert words in told
    told = reason(block, back, estimator)
    assert told is None if ends else told is not None and "falls back to 0 in 4 units" in told
    assert reason({**block, "cohort_of": "intervention"}, early, estimator) is None
