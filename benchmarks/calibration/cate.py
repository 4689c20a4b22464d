"""Heterogeneous effects: an effect that is linear in one modifier, or the same for all."""

from __future__ import annotations

from typing import Any

import numpy as np

ESTIMATORS = ("cate",)
RULE = {"desired_direction": "more", "minimum_effect": 0}
Drawn = tuple[dict[str, Any], dict[str, Any], None, dict[tuple[str, ...], float]]


def draw(
    rng: np.random.Generator, n: int, *, effect: float = 1.0, slope: float = 0.5, by_group: float = 0.5,
    curved: float = 0.0, curved_choice: float = 0.0, pull: float = 0.5, heavy: bool = False, clustered: bool = False,
) -> Drawn:  # fmt: skip
    """τ = effect + slope · v + by_group · (g − 1/2), v normal and g a fair coin, both confounders; x too.

    ``curved`` bends the outcome in x, ``curved_choice`` the treatment's index.
    """
    v, x = rng.normal(size=n), rng.normal(size=n)
    g = (rng.random(n) < 0.5).astype(float)
    cluster = rng.integers(0, 50, n)
    error = rng.standard_t(3, n) / np.sqrt(3) if heavy else rng.normal(size=n)
    tau = effect + slope * v + by_group * (g - 0.5)
    if clustered:
        error = error + rng.normal(0, 0.5, 50)[cluster]
        tau = tau + rng.normal(0, 0.5, 50)[cluster]
    index = pull * (v - x) + 0.3 * (g - 0.5) + curved_choice * (x**2 - 1)
    t = (rng.random(n) < 1 / (1 + np.exp(-index))).astype(float)
    y = tau * t + v + x + curved * x**2 + 0.5 * g + error
    units = {"unit_id": np.arange(n), "y": y, "t": t, "x": x, "v": v, "g": g}
    block: dict[str, Any] = {
        "question": "calibration", "design": "observational", "outcome": "y", "treatment": "t",
        "covariates": ["x", "v", "g"], "effect_modifiers": ["v", "g"],
        "decision": {**RULE, "primary": "cate", "estimand": "ATE"},
    }  # fmt: skip
    if clustered:
        units["c"], block["cluster"] = cluster, "c"
    truth: dict[tuple[str, ...], float] = {
        ("ATE", "overall"): effect, ("ATE", "blp:v"): slope, ("ATE", "blp:g"): by_group,
        ("ATE", "g=0"): effect - by_group / 2, ("ATE", "g=1"): effect + by_group / 2,
    }  # fmt: skip
    if slope == 0 and by_group == 0 and not clustered:
        truth |= {("ATE", f"gates={k}"): effect for k in range(1, 6)}
        truth |= {("ATE", term): 0.0 for term in ("gates=5-1", "heterogeneity", "rate")}
    return units, block, None, truth


DGPS = {
    "correct": draw,
    "null": lambda rng, n: draw(rng, n, effect=0.0, slope=0.0, by_group=0.0),
    "misspecified_outcome": lambda rng, n: draw(rng, n, curved=0.5),
    "misspecified_propensity": lambda rng, n: draw(rng, n, curved_choice=0.3),
    "weak_overlap": lambda rng, n: draw(rng, n, pull=2.0),
    "heavy_tails": lambda rng, n: draw(rng, n, heavy=True),
    "clustered": lambda rng, n: draw(rng, n, clustered=True),
    "small_n": draw,
}
HOLDS = {
    "cate": {"correct", "null", "misspecified_outcome", "misspecified_propensity", "heavy_tails", "clustered"}
}  # fmt: skip
COSTLY = ()
