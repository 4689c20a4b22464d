"""Discontinuities: a cubic of its own on both sides, and a jump at the cutoff; fuzzy, clustered, with heavy tails."""

from __future__ import annotations

from typing import Any

import numpy as np

ESTIMATORS = ("rd",)
Drawn = tuple[dict[str, Any], dict[str, Any], None, dict[tuple[str, ...], float]]
# Outcomes at x = 0 from the left are 0; slopes and curvatures differ by side.
LEFT, RIGHT = np.array([0.8, 1.2, 1.0]), np.array([0.5, -0.9, 0.7])


def draw(
    rng: np.random.Generator, n: int, *, effect: float = 1.0, heavy: bool = False, clustered: bool = False,
    takes: tuple[float, float] | None = None, heaped: bool = False, donut: float = 0.0,
) -> Drawn:  # fmt: skip
    """Units and the jump at zero; ``takes``: shares of the left and of the right side that are treated.

    ``heaped``: units within 0.05 left of the cutoff with low outcomes moved across it; a ``donut`` leaves them out.
    """
    x = 2 * rng.beta(2, 2, n) - 1
    right = x >= 0
    powers = np.column_stack([x, x**2, x**3])
    noise = rng.standard_t(3, n) / np.sqrt(3) if heavy else rng.normal(size=n)
    cluster = rng.integers(0, 60, n)
    if clustered:
        noise = noise + rng.normal(0, 0.5, 60)[cluster]
    t = right.astype(float) if takes is None else (rng.random(n) < np.where(right, takes[1], takes[0])).astype(float)
    y = np.where(right, powers @ RIGHT, powers @ LEFT) + effect * t + 0.5 * noise
    if heaped:
        movers = (x < 0) & (x > -0.05) & (noise < 0)
        x = np.where(movers, -x, x)
    units = {"unit_id": np.arange(n), "x": x, "y": y, "t": t}
    block: dict[str, Any] = {
        "question": "calibration", "design": "rd", "outcome": "y", "running": "x", "cutoff": 0,
        "decision": {"primary": "rd", "estimand": "LATE", "desired_direction": "more", "minimum_effect": 0},
    }  # fmt: skip
    if donut:
        block["options"] = {"rd": {"donut": donut}}
    if takes is not None:
        block["treatment"] = "t"
    if clustered:
        units["c"], block["cluster"] = cluster, "c"
    return units, block, None, {("LATE", "overall"): effect}


DGPS = {
    "correct": draw,
    "null": lambda rng, n: draw(rng, n, effect=0.0),
    "fuzzy": lambda rng, n: draw(rng, n, takes=(0.1, 0.9)),
    "heavy_tails": lambda rng, n: draw(rng, n, heavy=True),
    "clustered": lambda rng, n: draw(rng, n, clustered=True),
    "manipulated": lambda rng, n: draw(rng, n, heaped=True),
    "donut": lambda rng, n: draw(rng, n, heaped=True, donut=0.05),
    "small_n": draw,
}
HOLDS = {"rd": {"correct", "null", "fuzzy", "heavy_tails", "clustered"}}
