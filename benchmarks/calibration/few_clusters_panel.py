"""Difference-in-differences with 2, 3, 5 or 10 treated clusters of 50, and 20 units without clusters; no effect."""

from __future__ import annotations

from typing import Any

import numpy as np

ESTIMATORS = ("did",)
Drawn = tuple[dict[str, Any], dict[str, Any], None, dict[tuple[str, ...], float]]
CLUSTERS, UNITS, PERIODS, START = 50, 5, 4, 3.0


def draw(rng: np.random.Generator, n: int, *, treated: int = 0, few: int = 10) -> Drawn:
    """Clusters of five units with shocks a period (sd 1); treatment by lot of clusters, or of ``few`` of n units."""
    groups = CLUSTERS if treated else n
    starts = rng.choice(groups, treated or few, replace=False)
    cohort = np.where(np.isin(np.arange(groups), starts), START, 0.0)
    each = UNITS if treated else 1
    group = np.repeat(np.arange(groups), each)
    shock = rng.normal(size=(groups, PERIODS))[group]
    y = rng.normal(size=(len(group), 1)) + shock + 0.3 * rng.normal(size=(len(group), PERIODS))
    units = {
        "unit_id": np.repeat(np.arange(len(group)), PERIODS), "t": np.tile(np.arange(1.0, PERIODS + 1), len(group)),
        "g": np.repeat(cohort[group], PERIODS), "y": y.ravel(), "c": np.repeat(group, PERIODS),
    }  # fmt: skip
    block: dict[str, Any] = {
        "question": "calibration", "design": "panel", "outcome": "y", "time": "t", "cohort": "g", "never": 0,
        "decision": {"primary": "did", "estimand": "ATT", "desired_direction": "more", "minimum_effect": 0},
        "options": {"did": {"bootstrap": 10, "honest": False}},
    }  # fmt: skip
    if treated:
        block["cluster"] = "c"
    return units, block, None, {("ATT", "overall"): 0.0, ("ATT", "event_time=0"): 0.0}


DGPS = {
    **{f"treated_{k}_of_50": lambda rng, n, k=k: draw(rng, n, treated=k) for k in (2, 3, 5, 10)},
    "n_20": draw,
    "n_20_treated_5": lambda rng, n: draw(rng, n, few=5),
}
# As in few_clusters: judged by their size alone.
HOLDS: dict[str, set[str]] = {}
SIZES = dict.fromkeys(DGPS, CLUSTERS * UNITS) | {"n_20": 20, "n_20_treated_5": 20}
