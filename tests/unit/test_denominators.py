"""Ratios whose denominator is nothing but rounding: no number is made of them."""

from __future__ import annotations

import numpy as np
import pytest
from support import run

from estimators import design
from estimators.errors import Refusal
from estimators.result import Estimate
from estimators.selection_on_observables.counterfactual import agreement
from estimators.sensitivity.evalue import binary_ratios
from estimators.sensitivity.oster import Selection

PANEL = {
    "question": "q", "design": "synthetic_control", "outcome": "y", "time": "time", "cohort": "cohort", "never": 999,
    "decision": {"primary": "synthetic_control", "estimand": "ATT", "desired_direction": "more", "minimum_effect": 0},
}  # fmt: skip


def panel(paths, start):
    """A table of units' paths, of which the first is treated from ``start`` on."""
    count, length = np.shape(paths)
    return {
        "unit_id": np.repeat(np.arange(count), length), "time": np.tile(np.arange(length), count),
        "cohort": np.repeat(np.where(np.arange(count) == 0, start, 999.0), length), "y": np.ravel(paths),
    }  # fmt: skip


@pytest.mark.parametrize(("baseline", "told"), [(0.2, True), (1e-4, True), (1e-17, False), (0.0, False)])
def test_a_risk_ratio_needs_a_risk(baseline, told):
    effect = Estimate("ATE", estimate=0.1, conf_low=0.05, conf_high=0.15)
    assert (binary_ratios(effect, baseline) is not None) == told


def test_delta_is_none_where_covariates_move_nothing():
    """Short and controlled coefficients are the same and the covariates explain no treatment: δ is 0 / 0."""
    own = {"gained": 0.0, "left": 0.3, "treatment": 1.0, "r2_short": 0.2, "r2_controlled": 0.2, "r2_max": 0.5}
    assert Selection(short=2.0, controlled=2.0, own=1.0, **own).delta() is None
    assert Selection(short=2.0 + 1e-17, controlled=2.0, own=1.0, **own).delta() is None
    assert Selection(short=2.5, controlled=2.0, own=0.9, **own).delta() is not None


def test_systems_agree_on_nothing_where_the_outcome_does_not_vary():
    row = agreement(np.zeros(3), 0.0)
    assert (row.value, "does not vary" in row.reading) == (None, True)


def test_a_perfect_pre_fit_decides_nothing():
    """More donors than periods: the ratio of RMSPE is infinite, and its rank says nothing of chance."""
    rng = np.random.default_rng(1)
    donors = rng.normal(size=(30, 6)) + 5
    treated = donors[:3].mean(axis=0)
    treated[3:] += 4
    result = run(PANEL, panel(np.vstack([treated, donors]), 3.0), "synthetic_control", "ATT")
    row = next(one for one in result.estimates if one.term == "overall")
    assert row.estimate is not None
    assert row.p_value is None
    assert "divides by zero" in row.status_reason


@pytest.mark.parametrize("level", [3.0, 1e9 / 3])
def test_a_pre_fit_is_no_share_of_a_spread_that_is_rounding(level):
    rng = np.random.default_rng(2)
    flat = np.full(8, level)
    flat[::2] *= 1 + 1e-16
    paths = np.vstack([flat, level + rng.normal(size=(6, 8))])
    rows = {r["metric"]: r for r in design("s", PANEL, panel(paths, 5.0)).to_pylist()}
    assert rows["pre_rmspe_ratio"]["value"] is None
    assert "which is zero" in rows["pre_rmspe_ratio"]["reason"]


@pytest.mark.parametrize("drift", [0.0, 1 / 3])
def test_donors_that_all_move_alike_give_synthetic_did_no_noise(drift):
    paths = np.arange(7) * drift + np.arange(9)[:, None] / 3
    block = {**PANEL, "decision": {**PANEL["decision"], "primary": "synthetic_did"}}
    with pytest.raises(Refusal, match="no donor's outcome changes unlike the others'"):
        run(block, panel(paths, 5.0), "synthetic_did", "ATT")
