"""Proximal: a hidden confounder of treatment and outcome, and proxies of both kinds that show it with noise."""

from __future__ import annotations

from typing import Any

import numpy as np

ESTIMATORS = ("proximal",)
RULE = {"desired_direction": "more", "minimum_effect": 0}
Drawn = tuple[dict[str, Any], dict[str, Any], None, dict[tuple[str, ...], float]]


def draw(
    rng: np.random.Generator, n: int, *, effect: float = 1.0, exposures: int = 1, outcomes: int = 1,
    curved: float = 0.0, noise: float = 0.7, pull: float = 0.8, heavy: bool = False, clustered: bool = False,
    bridge: str = "linear",
) -> Drawn:  # fmt: skip
    """Y = effect · T + u + 0.5 x + curved · u² + noise; u hidden, z and w = u + parts of x + noise.

    ``curved`` lets u² move treatment and outcome, ``pull`` is u's part in the treatment.
    """
    x = rng.normal(size=n)
    u = 0.5 * x + rng.normal(size=n)
    cluster = rng.integers(0, 50, n)
    error = rng.standard_t(3, n) / np.sqrt(3) if heavy else rng.normal(size=n)
    if clustered:
        u = u + rng.normal(0, 0.5, 50)[cluster]
        error = error + rng.normal(0, 0.7, 50)[cluster]
    index = pull * u + 0.3 * x + curved * (u**2 - 1)
    t = (rng.random(n) < 1 / (1 + np.exp(-index))).astype(float)
    z = {f"z{j}": u + 0.3 * x + 0.3 * t + rng.normal(0, noise, n) for j in range(exposures)}
    w = {f"w{j}": u - 0.2 * x + rng.normal(0, noise, n) for j in range(outcomes)}
    y = effect * t + u + 0.5 * x + curved * u**2 + error
    units = {"unit_id": np.arange(n), "y": y, "t": t, "x": x, **z, **w}
    block: dict[str, Any] = {
        "question": "calibration", "design": "observational", "outcome": "y", "treatment": "t", "covariates": ["x"],
        "negative_control_exposures": list(z), "negative_control_outcomes": list(w),
        "options": {"proximal": {"bridge": bridge}},
        "decision": {**RULE, "primary": "proximal", "estimand": "ATE"},
    }  # fmt: skip
    if clustered:
        units["c"], block["cluster"] = cluster, "c"
    return units, block, None, {("ATE", "overall"): effect}


DGPS = {
    "correct": draw,
    "null": lambda rng, n: draw(rng, n, effect=0.0),
    # two proxies of each kind see one confounder: Z moves one combination of W only
    "two_proxies": lambda rng, n: draw(rng, n, exposures=2, outcomes=2),
    "overidentified": lambda rng, n: draw(rng, n, exposures=3),
    "quadratic_not_needed": lambda rng, n: draw(rng, n, bridge="quadratic"),
    "quadratic_bridge": lambda rng, n: draw(rng, n, curved=0.4, bridge="quadratic"),
    "misspecified_outcome": lambda rng, n: draw(rng, n, curved=0.4),
    "weak_overlap": lambda rng, n: draw(rng, n, pull=2.5),
    "weak_proxies": lambda rng, n: draw(rng, n, noise=3.0),
    "heavy_tails": lambda rng, n: draw(rng, n, heavy=True),
    "clustered": lambda rng, n: draw(rng, n, clustered=True),
    "small_n": draw,
}
HOLDS = {
    "proximal": {
        "correct", "null", "two_proxies", "overidentified", "quadratic_not_needed", "quadratic_bridge",
        "heavy_tails", "clustered",
    }
}  # fmt: skip
