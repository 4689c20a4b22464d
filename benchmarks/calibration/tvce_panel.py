"""Double machine learning within units: confounders of units and periods, errors that stay, and effects that bend."""

from __future__ import annotations

from typing import Any

import numpy as np

ESTIMATORS = ("tvce_panel",)
COSTLY = ("tvce_panel",)
Drawn = tuple[dict[str, Any], dict[str, Any], None, dict[tuple[str, ...], float]]
PERIODS = 6


def draw(
    rng: np.random.Generator, n: int, *, effect: float = 1.0, bend: float = 0.0, gaps: float = 0.0,
    binary: bool = False, tails: bool = False, clustered: bool = False, own: dict[str, Any] | None = None,
) -> Drawn:  # fmt: skip
    """n units in six periods: the unit's level α moves covariates, treatment and outcome, and all errors are serial.

    ``bend`` puts x0² into treatment and outcome; ``clustered`` gives ten units each a shock a period, of treatment
    and outcome; a share ``gaps`` of the rows is missing.
    """
    alpha, t = rng.normal(size=(n, 1)), np.arange(PERIODS)
    x = [0.7 * alpha + _serial(rng.normal(size=(n, PERIODS))) for _ in range(2)]
    hump = bend * (x[0] ** 2 - 1)
    dose = alpha + 0.1 * t + 0.5 * x[0] - 0.3 * x[1] + hump + _serial(rng.normal(size=(n, PERIODS)))
    noise = rng.standard_t(3, (n, PERIODS)) / np.sqrt(3) if tails else rng.normal(size=(n, PERIODS))
    group = np.arange(n) // 10
    shocks = [rng.normal(0, 0.5, (group[-1] + 1, PERIODS))[group] if clustered else 0.0 for _ in range(2)]
    dose = dose + shocks[0]
    if binary:
        dose = (dose > 0.5).astype(float)
    y = effect * dose + x[0] + 0.5 * x[1] + hump + 2 * alpha + 0.3 * t + _serial(noise) + shocks[1]
    keep = rng.random(n * PERIODS) >= gaps
    units = {
        "unit_id": np.repeat(np.arange(n), PERIODS), "t": np.tile(t.astype(float), n), "y": y.ravel(),
        "d": dose.ravel(), "x0": x[0].ravel(), "x1": x[1].ravel(), "c": np.repeat(group, PERIODS),
    }  # fmt: skip
    block: dict[str, Any] = {
        "question": "calibration", "design": "panel", "outcome": "y", "treatment": "d", "time": "t",
        "covariates": ["x0", "x1"],
        "decision": {"primary": "tvce_panel", "estimand": "ATE", "desired_direction": "more", "minimum_effect": 0},
    } | (own or {})  # fmt: skip
    if clustered:
        block["cluster"] = "c"
    return {name: values[keep] for name, values in units.items()}, block, None, {("ATE", "overall"): effect}


def _serial(shocks: np.ndarray) -> np.ndarray:
    """Half of what was is still there in the next period: shape (n, periods)."""
    out = shocks.copy()
    for j in range(1, out.shape[1]):
        out[:, j] += 0.5 * out[:, j - 1]
    return out


# Fewer folds and one split, for time: what is asked is whether trees take out what bends.
_BOOSTED = {"folds": 3, "repeats": 1, "options": {"tvce_panel": {"learner": "boosting"}}}

DGPS = {
    "correct": draw,
    "null": lambda rng, n: draw(rng, n, effect=0.0),
    "binary": lambda rng, n: draw(rng, n, binary=True),
    "misspecified_outcome": lambda rng, n: draw(rng, n, bend=0.5),
    "bending_with_boosting": lambda rng, n: draw(rng, n, bend=0.5, own=_BOOSTED),
    "gaps": lambda rng, n: draw(rng, n, gaps=0.2),
    "heavy_tails": lambda rng, n: draw(rng, n, tails=True),
    "clustered": lambda rng, n: draw(rng, n, clustered=True),
    "small_n": draw,
}
HOLDS = {"tvce_panel": {"correct", "null", "binary", "gaps", "heavy_tails", "clustered"}}
SIZES = dict.fromkeys(DGPS, 300) | {"clustered": 500, "small_n": 40}
