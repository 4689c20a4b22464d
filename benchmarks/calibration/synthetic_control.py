"""Synthetic control and synthetic difference-in-differences: units that follow two factors, and treated as a block."""

from __future__ import annotations

from typing import Any

import numpy as np

ESTIMATORS = ("synthetic_control", "synthetic_did")
COSTLY = ESTIMATORS
Drawn = tuple[dict[str, Any], dict[str, Any], None, dict[tuple[str, ...], float]]
PERIODS, START, EFFECT, MEMBERS = 40, 30, 1.0, 5


def draw(
    rng: np.random.Generator, n: int, *, effect: float = EFFECT, treated: int = 1, apart: float = 0.0,
    tails: bool = False, memory: float = 0.3, clustered: bool = False, start: int = START,
) -> Drawn:  # fmt: skip
    """n units in forty periods; treated are drawn from all, or (``apart``) load more on the factor that trends.

    ``clustered``: n clinics of five patients each, treated as a whole.
    """
    factor = np.column_stack([np.arange(PERIODS) / 10, 0.5 * rng.normal(size=PERIODS).cumsum()])
    loads = rng.uniform(0, 1, (n, 2))
    loads[:treated, 0] += apart
    noise = rng.standard_t(3, (n, PERIODS)) / np.sqrt(3) if tails else rng.normal(size=(n, PERIODS))
    for t in range(1, PERIODS):
        noise[:, t] = memory * noise[:, t - 1] + np.sqrt(1 - memory**2) * noise[:, t]
    y = 10 + rng.normal(size=(n, 1)) + rng.normal(size=PERIODS) + loads @ factor.T + 0.5 * noise
    y[:treated, start:] += effect
    cohort = np.where(np.arange(n) < treated, float(start), 0.0)
    group = np.arange(n)
    if clustered:
        y = np.repeat(y, MEMBERS, axis=0) + rng.normal(size=(n * MEMBERS, 1)) + rng.normal(size=(n * MEMBERS, PERIODS))
        cohort, group = np.repeat(cohort, MEMBERS), np.repeat(group, MEMBERS)
    units = {
        "unit_id": np.repeat(np.arange(len(y)), PERIODS), "period": np.tile(np.arange(float(PERIODS)), len(y)),
        "y": y.ravel(), "cohort": np.repeat(cohort, PERIODS), "g": np.repeat(group, PERIODS),
    }  # fmt: skip
    block: dict[str, Any] = {
        "question": "calibration", "design": "synthetic_control", "outcome": "y", "time": "period", "cohort": "cohort",
        "never": 0,
        "decision": {"primary": "synthetic_did", "estimand": "ATT", "desired_direction": "more", "minimum_effect": 0},
        "options": {"synthetic_control": {"conformal": "none", "placebo_draws": 99}},
    }  # fmt: skip
    if clustered:
        block["cluster"] = "g"
    return units, block, None, {("ATT", "overall"): effect}


DGPS = {
    "correct": lambda rng, n: draw(rng, n, treated=12),
    "null": lambda rng, n: draw(rng, n, effect=0.0),
    "few_treated": lambda rng, n: draw(rng, n, treated=3),
    "misspecified_outcome": lambda rng, n: draw(rng, n, treated=12, apart=1.0),
    "heavy_tails": lambda rng, n: draw(rng, n, treated=12, tails=True),
    "clustered": lambda rng, n: draw(rng, n, treated=12, clustered=True),
    "small_n": lambda rng, n: draw(rng, n, start=12),
}
# A synthetic control has no interval: its rejection rate under `null` is what counts.
HOLDS = {"synthetic_did": {"correct", "null", "few_treated", "heavy_tails", "clustered"}}
SIZES = dict.fromkeys(DGPS, 50) | {"null": 41, "small_n": 12}  # of 41, the two largest ratios are p < 0.05
