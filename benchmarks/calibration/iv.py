"""An endogenous continuous treatment and instruments: strong, weak, or many."""

from __future__ import annotations

from typing import Any

import numpy as np

ESTIMATORS = ("iv",)
RULE = {"desired_direction": "more", "minimum_effect": 0}
Drawn = tuple[dict[str, Any], dict[str, Any], None, dict[tuple[str, ...], float]]


def draw(
    rng: np.random.Generator, n: int, *, effect: float = 1.0, first: float = 0.5, instruments: int = 2,
    method: str = "2sls", curved: float = 0.0, heavy: bool = False, clustered: bool = False, leak: float = 0.0,
) -> Drawn:  # fmt: skip
    """Y = effect · T + x + e, T = ``first`` · (mean of the instruments, unit variance) + x + v; e and v correlate 0.6.

    The spread of e grows with the first instrument. ``leak`` lets that act on the outcome by itself.
    """
    z, x = rng.normal(size=(n, instruments)), rng.normal(size=n)
    cluster = rng.integers(0, 50, n)
    v = rng.normal(size=n)
    own = rng.standard_t(3, n) / np.sqrt(3) if heavy else rng.normal(size=n)
    if clustered:
        shared = rng.normal(size=(2, 50))
        z, own = z + 0.7 * shared[0][cluster][:, None], own + 0.5 * shared[1][cluster]
    e = 0.6 * v + 0.8 * own * np.sqrt((1 + z[:, 0] ** 2) / 2)
    t = first * z.sum(axis=1) / np.sqrt(instruments) + x + v
    y = effect * t + x + curved * (x**2 - 1) + leak * z[:, 0] + e
    units = {"unit_id": np.arange(n), "y": y, "t": t, "x": x, **{f"z{j}": z[:, j] for j in range(instruments)}}
    block: dict[str, Any] = {
        "question": "calibration", "design": "iv", "outcome": "y", "treatment": "t", "covariates": ["x"],
        "instruments": [f"z{j}" for j in range(instruments)], "options": {"iv": {"method": method}},
        "decision": {**RULE, "primary": "iv", "estimand": "LATE"},
    }  # fmt: skip
    if clustered:
        units["c"], block["cluster"] = cluster, "c"
    return units, block, None, {("LATE", "overall"): effect}


DGPS = {
    "correct": draw,
    "null": lambda rng, n: draw(rng, n, effect=0.0),
    "liml": lambda rng, n: draw(rng, n, method="liml"),
    "gmm": lambda rng, n: draw(rng, n, method="gmm"),
    "misspecified_outcome": lambda rng, n: draw(rng, n, curved=0.5),
    "heavy_tails": lambda rng, n: draw(rng, n, heavy=True),
    "clustered": lambda rng, n: draw(rng, n, clustered=True),
    "weak_instrument": lambda rng, n: draw(rng, n, first=0.08),
    "many_instruments": lambda rng, n: draw(rng, n, first=0.3, instruments=30),
    "many_instruments_liml": lambda rng, n: draw(rng, n, first=0.3, instruments=30, method="liml"),
    "no_exclusion": lambda rng, n: draw(rng, n, leak=0.3),
    "small_n": draw,
}
# Weak and many instruments pull 2SLS to least squares: shown, for what the F gate and LIML are there to prevent.
HOLDS = {"iv": {"correct", "null", "liml", "gmm", "misspecified_outcome", "heavy_tails", "clustered"}}
COSTLY = ()
