"""Few treated clusters: whole clusters are treated, 2, 3, 5 or 10 of 50, and 20 units without clusters; no effect."""

from __future__ import annotations

from typing import Any

import numpy as np

ESTIMATORS = ("ipw", "ipwra", "ope", "stratification", "psm")
Drawn = tuple[dict[str, Any], dict[str, Any], None, dict[tuple[str, ...], float]]
CLUSTERS, UNITS = 50, 20


def draw(rng: np.random.Generator, n: int, *, treated: int = 0, uneven: bool = False, few: int = 0) -> Drawn:
    """Units of 50 clusters with shocks (sd 1) of their own; ``uneven``: clusters of 5 to 35 units.

    Without ``treated`` n units, ``few`` of them (half by default) treated. Treatment is drawn by lot; a covariate
    moves the outcome.
    """
    if treated:
        sizes = np.round(np.linspace(5, 35, CLUSTERS)).astype(int) if uneven else np.full(CLUSTERS, UNITS)
        group = np.repeat(np.arange(CLUSTERS), sizes)
        z = np.isin(group, rng.choice(CLUSTERS, treated, replace=False)).astype(float)
        shock = rng.normal(size=CLUSTERS)[group]
    else:
        group, shock = np.arange(n), np.zeros(n)
        z = rng.permutation(np.arange(n) < few if few else np.arange(n) % 2).astype(float)
    x = rng.normal(size=len(z))
    units = {"unit_id": np.arange(len(z)), "x": x, "t": z, "y": x + shock + rng.normal(size=len(z)), "c": group}
    block: dict[str, Any] = {
        "question": "calibration", "design": "observational", "outcome": "y", "treatment": "t", "covariates": ["x"],
        "decision": {"primary": "ipw", "estimand": "ATE", "desired_direction": "more", "minimum_effect": 0},
        "options": {"stratification": {"strata": 2}},
    }  # fmt: skip
    if treated:
        block["cluster"] = "c"
    return units, block, None, {("ATE", "overall"): 0.0, ("ATT", "overall"): 0.0}


DGPS = {
    **{f"treated_{k}_of_50": lambda rng, n, k=k: draw(rng, n, treated=k) for k in (2, 3, 5, 10)},
    "treated_3_of_50_uneven": lambda rng, n: draw(rng, n, treated=3, uneven=True),
    "n_20": draw,
    "n_20_treated_5": lambda rng, n: draw(rng, n, few=5),
}
# With so few clusters intervals are wider than they need be: shown, and judged by their size alone (at most 7 %).
HOLDS: dict[str, set[str]] = {}
SIZES = dict.fromkeys(DGPS, CLUSTERS * UNITS) | {"n_20": 20, "n_20_treated_5": 20}
