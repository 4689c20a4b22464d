"""A continuous treatment that covariates explain in part, and an outcome of unequal spread."""

from __future__ import annotations

from typing import Any

import numpy as np

ESTIMATORS = ("ols",)
RULE = {"desired_direction": "more", "minimum_effect": 0}
Drawn = tuple[dict[str, Any], dict[str, Any], None, dict[tuple[str, ...], float]]


def draw(
    rng: np.random.Generator, n: int, *, effect: float = 1.0, curved_outcome: float = 0.0, curved_choice: float = 0.0,
    left: float = 1.0, heavy: bool = False, clustered: bool = False,
) -> Drawn:  # fmt: skip
    """Y = effect · T + x0 − x1/2 + noise, whose spread grows with |T|; T = x0/2 + x1/2 + ``left`` times its own noise.

    ``curved_outcome`` bends the outcome in x0, ``curved_choice`` the treatment.
    """
    x, cluster = rng.normal(size=(n, 2)), rng.integers(0, 50, n)
    own = rng.normal(size=n)
    t = 0.5 * x[:, 0] + 0.5 * x[:, 1] + curved_choice * (x[:, 0] ** 2 - 1) + left * own
    noise = rng.standard_t(3, n) / np.sqrt(3) if heavy else rng.normal(size=n)
    if clustered:
        shared = rng.normal(size=(2, 50))
        noise, t = noise + 0.5 * shared[0][cluster], t + 0.5 * shared[1][cluster]
    y = effect * t + x[:, 0] - 0.5 * x[:, 1] + curved_outcome * (x[:, 0] ** 2 - 1) + (1 + 0.5 * np.abs(t)) * noise
    units = {"unit_id": np.arange(n), "y": y, "t": t, "x0": x[:, 0], "x1": x[:, 1]}
    block: dict[str, Any] = {
        "question": "calibration", "design": "observational", "outcome": "y", "treatment": "t",
        "covariates": ["x0", "x1"], "decision": {**RULE, "primary": "ols", "estimand": "ATE"},
    }  # fmt: skip
    if clustered:
        units["c"], block["cluster"] = cluster, "c"
    return units, block, None, {("ATE", "overall"): effect}


DGPS = {
    "correct": draw,
    "null": lambda rng, n: draw(rng, n, effect=0.0),
    "misspecified_outcome": lambda rng, n: draw(rng, n, curved_outcome=0.5),
    "misspecified_propensity": lambda rng, n: draw(rng, n, curved_choice=0.5),
    "both_misspecified": lambda rng, n: draw(rng, n, curved_outcome=0.5, curved_choice=0.5),
    "weak_overlap": lambda rng, n: draw(rng, n, left=0.1),
    "heavy_tails": lambda rng, n: draw(rng, n, heavy=True),
    "clustered": lambda rng, n: draw(rng, n, clustered=True),
    "small_n": draw,
}
# Where treatment is linear in the covariates, what they leave of it is unrelated to a bend in the outcome.
HOLDS = {"ols": {"correct", "null", "misspecified_outcome", "misspecified_propensity", "heavy_tails", "clustered"}}
COSTLY = ()
