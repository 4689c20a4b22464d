"""Interrupted time series: a trend, a change of level and slope, and errors that are alike or follow one another."""

from __future__ import annotations

from typing import Any

import numpy as np

ESTIMATORS = ("its",)
Drawn = tuple[dict[str, Any], dict[str, Any], None, dict[tuple[str, ...], float]]
LEVEL, SLOPE = 2.0, 0.1


def draw(
    rng: np.random.Generator, n: int, *, level: float = LEVEL, slope: float = SLOPE, memory: float = 0.0,
    counts: bool = False, scale: float = 1.0, curve: float = 0.0,
) -> Drawn:  # fmt: skip
    """A series of n periods with the change at two thirds."""
    period, at = np.arange(1, n + 1).astype(float), float(2 * n // 3)
    after = period >= at
    time = period - at
    if counts:
        index = 5 + 0.002 * time + (level * after + slope * time * after) / 20
        mean = np.exp(index)
        y = rng.negative_binomial(mean, 0.5).astype(float)  # the variance is twice the mean
        level_effect, slope_effect = level / 20, slope / 20
        effect = float((np.exp(index) - np.exp(5 + 0.002 * time))[after].mean())
    else:
        errors = np.empty(n)
        previous = rng.normal() / np.sqrt(1 - memory**2)
        for t in range(n):
            previous = memory * previous + rng.normal()
            errors[t] = previous
        y = 10 + 0.05 * time + curve * (time / n) ** 2 + level * after + slope * time * after + scale * errors
        level_effect, slope_effect = level, slope
        effect = float((level + slope * time)[after].mean())
    block = {
        "question": "calibration", "design": "its", "outcome": "y", "time": "period", "intervention_time": at,
        "decision": {"primary": "its", "estimand": "ATT", "desired_direction": "more", "minimum_effect": 0},
        "options": {"its": {"family": "poisson" if counts else "gaussian"}},
    }  # fmt: skip
    truth = {("ATT", "overall"): effect, ("ATT", "level_change"): level_effect, ("ATT", "slope_change"): slope_effect}
    return {"unit_id": np.ones(n), "period": period, "y": y}, block, None, truth


DGPS = {
    "correct": draw,
    "null": lambda rng, n: draw(rng, n, level=0.0, slope=0.0),
    "counts": lambda rng, n: draw(rng, n, counts=True),
    "autocorrelated": lambda rng, n: draw(rng, n, memory=0.4),
    "misspecified_outcome": lambda rng, n: draw(rng, n, curve=20.0),
    "small_n": draw,
}
HOLDS = {"its": {"correct", "null", "counts", "autocorrelated"}}
SIZES = {name: 240 for name in DGPS} | {"small_n": 36}
