"""Interactive instruments: compliers, always- and never-takers with effects of their own."""

from __future__ import annotations

from typing import Any

import numpy as np

ESTIMATORS = ("iivm",)
RULE = {"desired_direction": "more", "minimum_effect": 0}
Drawn = tuple[dict[str, Any], dict[str, Any], None, dict[tuple[str, ...], float]]


def draw(
    rng: np.random.Generator, n: int, *, effect: float = 1.0, compliers: float = 0.5, always: float = 0.2,
    pull: float = 0.5, curved_outcome: float = 0.0, curved_instrument: float = 0.0, heavy: bool = False,
    clustered: bool = False,
) -> Drawn:  # fmt: skip
    """LATE of D, moved by Z for compliers only; who complies is independent of X, the effect 0.5 v around its mean.

    ``curved_outcome`` bends the outcome in x, ``curved_instrument`` the instrument's index.
    """
    x, v = rng.normal(size=n), rng.normal(size=n)
    cluster = rng.integers(0, 50, n)
    index = pull * (x - 0.5 * v) + curved_instrument * (x**2 - 1)
    z = (rng.random(n) < 1 / (1 + np.exp(-index))).astype(float)
    kind = rng.random(n)
    complies, takes = kind < compliers, kind > 1 - always
    d = np.where(complies, z, takes.astype(float))
    error = rng.standard_t(3, n) / np.sqrt(3) if heavy else rng.normal(size=n)
    if clustered:
        error = error + rng.normal(0, 0.5, 50)[cluster] + d * rng.normal(0, 0.5, 50)[cluster]
    tau = np.where(takes, 3.0, effect + (0.5 * v if effect else 0.0))
    y = tau * d + x + v + takes + curved_outcome * (x**2 - 1) + error
    units = {"unit_id": np.arange(n), "y": y, "d": d, "z": z, "x": x, "v": v}
    block: dict[str, Any] = {
        "question": "calibration", "design": "iv", "outcome": "y", "treatment": "d", "instruments": ["z"],
        "covariates": ["x", "v"], "decision": {**RULE, "primary": "iivm", "estimand": "LATE"},
    }  # fmt: skip
    if clustered:
        units["c"], block["cluster"] = cluster, "c"
    return units, block, None, {("LATE", "overall"): effect}


DGPS = {
    "correct": draw,
    "null": lambda rng, n: draw(rng, n, effect=0.0),
    "one_sided": lambda rng, n: draw(rng, n, always=0.0),
    "misspecified_outcome": lambda rng, n: draw(rng, n, curved_outcome=0.5),
    "misspecified_propensity": lambda rng, n: draw(rng, n, curved_instrument=0.3),
    "weak_instrument": lambda rng, n: draw(rng, n, compliers=0.06),
    "weak_overlap": lambda rng, n: draw(rng, n, pull=1.5),
    "heavy_tails": lambda rng, n: draw(rng, n, heavy=True),
    "clustered": lambda rng, n: draw(rng, n, clustered=True),
    "small_n": draw,
}
HOLDS = {
    "iivm": {
        "correct", "null", "one_sided", "misspecified_outcome", "misspecified_propensity", "heavy_tails", "clustered",
    }
}  # fmt: skip
COSTLY = ()
