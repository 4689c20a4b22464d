"""Transportability: a study and a target whose traits differ, and an effect that varies with them."""

from __future__ import annotations

from typing import Any

import numpy as np

ESTIMATORS = ("transportability",)
RULE = {"desired_direction": "more", "minimum_effect": 0}
Drawn = tuple[dict[str, Any], dict[str, Any], None, dict[tuple[str, ...], float]]


def draw(
    rng: np.random.Generator, n: int, *, shift: float = 0.5, curved_outcome: bool = False, spread: float = 1.0,
    heavy: bool = False, clustered: bool = False, effect: float = 1.0, varying: float = 0.5,
) -> Drawn:  # fmt: skip
    """Half study, half target; x0 is higher by ``shift`` in the target, and wider by ``spread``."""
    s = (np.arange(n) % 2 == 0).astype(float)
    x0, x1 = np.where(s == 1, rng.normal(size=n), rng.normal(shift, spread, n)), rng.normal(size=n)
    t = (rng.random(n) < 0.5).astype(float)
    noise = rng.standard_t(3, n) / np.sqrt(3) if heavy else rng.normal(size=n)
    cluster = rng.integers(0, 40, n)
    if clustered:
        noise = noise + rng.normal(0, 0.5, 40)[cluster] + t * rng.normal(0, 0.5, 40)[cluster]
    curve = 0.5 * varying * (x0**2 - 1) if curved_outcome else 0.0
    y = t * (effect + varying * x0 + curve) + x0 - 0.5 * x1 + noise
    truth = effect + varying * shift + (0.5 * varying * (shift**2 + spread**2 - 1) if curved_outcome else 0.0)
    unknown = np.where(s == 1, 0.0, np.nan)
    units = {"unit_id": np.arange(n), "s": s, "x0": x0, "x1": x1, "t": t + unknown, "y": y + unknown}
    block: dict[str, Any] = {
        "question": "calibration", "design": "experiment", "outcome": "y", "treatment": "t", "sample": "s",
        "covariates": ["x0", "x1"],
        "decision": {**RULE, "primary": "transportability", "estimand": "ATE"},
    }  # fmt: skip
    if clustered:
        units["c"], block["cluster"] = cluster, "c"
    terms = ("overall", "method=iosw", "method=g_transport", "method=entropy")
    return units, block, None, {("ATE", term): truth for term in terms}


DGPS = {
    "correct": draw,
    "null": lambda rng, n: draw(rng, n, effect=0.0, varying=0.0),
    "misspecified_outcome": lambda rng, n: draw(rng, n, curved_outcome=True),
    # the odds are then no exponential of the covariates
    "misspecified_propensity": lambda rng, n: draw(rng, n, spread=1.3),
    "weak_overlap": lambda rng, n: draw(rng, n, shift=2.0),
    "heavy_tails": lambda rng, n: draw(rng, n, heavy=True),
    "clustered": lambda rng, n: draw(rng, n, clustered=True),
    "small_n": draw,
}
# Judged by what holds for all four rows; the double robustness of `overall` is seen in the rows that are shown.
HOLDS = {"transportability": {"correct", "null", "heavy_tails", "clustered"}}
