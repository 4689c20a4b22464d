"""A randomised binary treatment and nothing to adjust for, whatever the outcome's law."""

from __future__ import annotations

from typing import Any

import numpy as np

ESTIMATORS = ("difference_in_means",)
RULE = {"desired_direction": "more", "minimum_effect": 0}
CLUSTERS = 50
Drawn = tuple[dict[str, Any], dict[str, Any], None, dict[tuple[str, ...], float]]


def draw(
    rng: np.random.Generator, n: int, *, effect: float = 1.0, share: float = 0.5, wider: float = 2.0,
    heavy: bool = False, clustered: bool = False, chosen: float = 0.0,
) -> Drawn:  # fmt: skip
    """Y = effect · T + x + noise, ``wider`` times as wide among the treated, of whom there is a ``share``.

    ``clustered`` draws whole clusters into treatment; ``chosen`` lets x choose it.
    """
    x, cluster = rng.normal(size=n), rng.integers(0, CLUSTERS, n)
    noise = rng.standard_t(3, n) / np.sqrt(3) if heavy else rng.normal(size=n)
    t = (rng.random(n) < share).astype(float)
    if clustered:
        noise = noise + rng.normal(0, 0.5, CLUSTERS)[cluster]
        t = (rng.permutation(CLUSTERS) < CLUSTERS / 2)[cluster].astype(float)
    if chosen:
        t = (rng.random(n) < 1 / (1 + np.exp(-chosen * x))).astype(float)
    y = effect * t + x + np.where(t == 1, wider, 1.0) * noise
    units = {"unit_id": np.arange(n), "y": y, "t": t}
    block: dict[str, Any] = {
        "question": "calibration", "design": "experiment", "outcome": "y", "treatment": "t",
        "decision": {**RULE, "primary": "difference_in_means", "estimand": "ATE"},
    }  # fmt: skip
    if clustered:
        units["c"], block["cluster"] = cluster, "c"
    return units, block, None, {("ATE", "overall"): effect}


DGPS = {
    "correct": draw,
    "null": lambda rng, n: draw(rng, n, effect=0.0),
    "few_treated": lambda rng, n: draw(rng, n, share=0.05),
    "confounded": lambda rng, n: draw(rng, n, chosen=0.5),
    "heavy_tails": lambda rng, n: draw(rng, n, heavy=True),
    "clustered": lambda rng, n: draw(rng, n, clustered=True, wider=1.0),
    "small_n": draw,
}
# A treatment that people chose shows what the naive contrast hides.
HOLDS = {"difference_in_means": {"correct", "null", "few_treated", "heavy_tails", "clustered"}}
COSTLY = ()
