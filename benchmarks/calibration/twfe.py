"""Two-way fixed effects: right where one effect holds for all, at all times; wrong where effects differ and grow."""

from __future__ import annotations

from typing import Any

import numpy as np

ESTIMATORS = ("twfe",)
Drawn = tuple[dict[str, Any], dict[str, Any], None, dict[tuple[str, ...], float]]
PERIODS, COHORTS = 6, (0.0, 3.0, 5.0)


def draw(
    rng: np.random.Generator, n: int, *, effect: float = 1.0, growing: float = 0.0, tails: bool = False,
    clustered: bool = False, gaps: float = 0.0,
) -> Drawn:  # fmt: skip
    """n units in six periods, a third of them starting in 3 and in 5; a share ``gaps`` of the rows is missing.

    The truth is the average effect on treated rows of equally large cohorts.
    """
    group = np.arange(n) // 10
    cohort = rng.choice(COHORTS, group[-1] + 1)[group] if clustered else rng.choice(COHORTS, n)
    t = np.arange(1.0, PERIODS + 1)
    d = (cohort[:, None] > 0) & (t >= cohort[:, None])
    noise = rng.standard_t(3, (n, PERIODS)) if tails else rng.normal(size=(n, PERIODS))
    for j in range(1, PERIODS):
        noise[:, j] += 0.5 * noise[:, j - 1]
    shocks = rng.normal(size=(n, PERIODS))[group] if clustered else 0.0
    gain = effect * d + growing * np.where(d, t - cohort[:, None], 0.0)
    y = rng.normal(size=(n, 1)) + 0.3 * t + gain + noise + shocks
    keep = rng.random(n * PERIODS) >= gaps
    units = {
        "unit_id": np.repeat(np.arange(n), PERIODS), "t": np.tile(t, n), "g": np.repeat(cohort, PERIODS),
        "y": y.ravel(), "c": np.repeat(group, PERIODS),
    }  # fmt: skip
    block: dict[str, Any] = {
        "question": "calibration", "design": "panel", "outcome": "y", "time": "t", "cohort": "g", "never": 0,
        "decision": {"primary": "twfe", "estimand": "ATT", "desired_direction": "more", "minimum_effect": 0},
    }  # fmt: skip
    if clustered:
        block["cluster"] = "c"
    # Four treated periods of one cohort grow by 0 to 3, two of the other by 0 and 1.
    truth = effect + growing * (0 + 1 + 2 + 3 + 0 + 1) / 6
    return {name: values[keep] for name, values in units.items()}, block, None, {("ATT", "overall"): truth}


DGPS = {
    "correct": draw,
    "null": lambda rng, n: draw(rng, n, effect=0.0),
    # Effects that grow: the coefficient takes units that are treated already for controls.
    "misspecified_outcome": lambda rng, n: draw(rng, n, growing=0.5),
    "gaps": lambda rng, n: draw(rng, n, gaps=0.2),
    "heavy_tails": lambda rng, n: draw(rng, n, tails=True),
    "clustered": lambda rng, n: draw(rng, n, clustered=True),
    "small_n": draw,
}
HOLDS = {"twfe": {"correct", "null", "gaps", "heavy_tails", "clustered"}}
SIZES = dict.fromkeys(DGPS, 400) | {"clustered": 1_000, "small_n": 60}
