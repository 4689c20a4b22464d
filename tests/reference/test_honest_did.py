"""HonestDiD on mpdta's event study: diff-diff 3.13 and moderndid 0.2 (a port of R's HonestDiD)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import DECISION, problem, reference_table, run

from estimators.panel import honest_relative as relative
from estimators.panel import honest_smooth as smooth
from estimators.panel.aggregate import Shares, averages_of
from estimators.panel.att_gt import group_time_effects
from estimators.panel.honest_did import Aligned, aligned
from estimators.panel.honest_relative import EventStudy
from estimators.panel.sample import take_sample

BLOCK: dict[str, Any] = {
    "question": "q", "design": "panel", "outcome": "lemp", "unit": "countyreal", "time": "year",
    "cohort": "first_treat", "never": 0, "decision": {**DECISION, "primary": "did", "estimand": "ATT"},
}  # fmt: skip
TARGETS = {"dynamic": np.full(4, 0.25), "event_time=0": np.eye(4)[0]}


@pytest.fixture(scope="module")
def studies() -> dict[str, EventStudy]:
    sample = take_sample(problem(BLOCK, reference_table("mpdta"), "did"))
    effects, shares = group_time_effects(sample, "never_treated"), Shares.of(sample.cohort)
    after = tuple(one for one in averages_of(effects, shares).event_time if one.at is not None and one.at >= 0)
    found = aligned(effects, shares, after)
    assert isinstance(found, Aligned)
    every = (*found.pre, *found.post)
    vcov = sample.covariance(np.column_stack([one.psi for one in every]))
    beta = np.array([one.estimate for one in every])
    return {name: EventStudy(beta[:3], beta[3:], vcov, weights) for name, weights in TARGETS.items()}


@pytest.mark.parametrize(
    ("name", "bend", "low", "high"),
    [
        ("dynamic", 0.0, -0.11998499376316271, -0.022545398726859206),
        ("dynamic", 0.001, -0.12033572123564892, -0.018816784379621164),
        ("dynamic", 0.005, -0.12804306667840315, 0.023291388493269928),
        ("dynamic", 0.02, -0.18550914305032518, 0.13892248532921253),
        ("event_time=0", 0.0, -0.051331512559541326, 0.006503229870832926),
        ("event_time=0", 0.001, -0.051131753693747325, 0.007306264155295703),
        ("event_time=0", 0.005, -0.04769738975733702, 0.020780171470603126),
        ("event_time=0", 0.02, -0.04985919188272153, 0.05667619324161477),
    ],
)
def test_fixed_length_intervals_of_diff_diff(
    studies: dict[str, EventStudy], name: str, bend: float, low: float, high: float
) -> None:
    """diff_diff.honest_did._compute_optimal_flci, whose optimiser stops near the optimum: ours is no longer."""
    _, ours_low, ours_high = smooth.interval(smooth.frontier(studies[name]), bend)
    assert ours_high - ours_low <= (high - low) * (1 + 1e-9)
    assert (ours_low, ours_high) == (pytest.approx(low, abs=5e-6), pytest.approx(high, abs=5e-6))
    if bend == 0:
        assert (ours_low, ours_high) == (pytest.approx(low, rel=1e-9), pytest.approx(high, rel=1e-9))


# moderndid's _compute_conditional_cs_rm_fixed_s on a grid of 0.002, seed 1; its steps −2 and −1 are our second and
# third. (Its union leaves the earliest step out, which R's does not: so the pieces are compared.)
PIECES = [
    ("dynamic", 0.5, 1, 1.0, -0.122, -0.030), ("dynamic", 0.5, 1, -1.0, -0.126, -0.032),
    ("dynamic", 0.5, 2, 1.0, -0.104, -0.048), ("dynamic", 0.5, 2, -1.0, -0.154, -0.006),
    ("dynamic", 1.0, 1, 1.0, -0.138, -0.012), ("dynamic", 1.0, 1, -1.0, -0.144, -0.012),
    ("dynamic", 1.0, 2, 1.0, -0.092, -0.054), ("dynamic", 1.0, 2, -1.0, -0.210, 0.048),
    ("event_time=0", 0.5, 1, 1.0, -0.044, 0.004), ("event_time=0", 0.5, 1, -1.0, -0.044, 0.006),
    ("event_time=0", 0.5, 2, 1.0, -0.038, -0.006), ("event_time=0", 0.5, 2, -1.0, -0.054, 0.018),
    ("event_time=0", 1.0, 1, 1.0, -0.050, 0.010), ("event_time=0", 1.0, 1, -1.0, -0.050, 0.012),
    ("event_time=0", 1.0, 2, 1.0, -0.034, -0.010), ("event_time=0", 1.0, 2, -1.0, -0.072, 0.038),
]  # fmt: skip


@pytest.mark.parametrize(("name", "bar", "step", "sign", "low", "high"), PIECES)
def test_hybrid_sets_of_moderndid(
    studies: dict[str, EventStudy], name: str, bar: float, step: int, sign: float, low: float, high: float
) -> None:
    """To one step of its grid; its critical value is of 1,000 draws, ours of 5,000."""
    study = studies[name]
    one = relative.piece(study, bar, step, sign, relative.normal_draws(study, 1))
    grid = np.linspace(-0.4, 0.4, 401)
    inside = grid[~relative.rejects(one, grid)]
    assert (inside.min(), inside.max()) == (pytest.approx(low, abs=0.0021), pytest.approx(high, abs=0.0021))


def test_the_breakdown_on_minimum_wages() -> None:
    rows = {r.subject: r.value for r in run(BLOCK, reference_table("mpdta"), "did", "ATT").sensitivity}
    assert rows["relative_magnitudes: dynamic"] == pytest.approx(0.49, abs=0.01)
    assert rows["smoothness: dynamic"] == pytest.approx(0.00286, abs=1e-5)
    # On impact the interval holds zero without any violation.
    assert rows["relative_magnitudes: event_time=0"] == 0
    assert rows["smoothness: event_time=0"] == 0
