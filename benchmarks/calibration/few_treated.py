"""Few treated clusters of 50, and 20 units: no effect, so that the rejections are a test's size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

ESTIMATORS = ("difference_in_means", "regression_adjustment", "tvce")
CLUSTERS, EACH, UNITS = 50, 10, 20
Drawn = tuple[dict[str, Any], dict[str, Any], None, dict[tuple[str, ...], float]]


def _block(estimators: str, **more: Any) -> dict[str, Any]:
    decision = {"desired_direction": "more", "minimum_effect": 0, "primary": estimators, "estimand": "ATE"}
    return {
        "question": "calibration", "design": "experiment", "outcome": "y", "treatment": "t", "covariates": ["x"],
        "options": {"outcome": {"interactions": "none"}}, "decision": decision, **more,
    }  # fmt: skip


def treated(count: int) -> Callable[[np.random.Generator, int], Drawn]:
    """``count`` of 50 clusters of 10 units are treated by lot; shocks of clusters and units have unit variance."""

    def draw(rng: np.random.Generator, n: int) -> Drawn:
        cluster = np.repeat(np.arange(CLUSTERS), EACH)
        x = rng.normal(size=len(cluster)) + 0.5 * rng.normal(size=CLUSTERS)[cluster]
        t = (rng.permutation(CLUSTERS) < count)[cluster].astype(float)
        y = 0.5 * x + rng.normal(size=CLUSTERS)[cluster] + rng.normal(size=len(cluster))
        units = {"unit_id": np.arange(len(cluster)), "y": y, "t": t, "x": x, "c": cluster}
        return units, _block("difference_in_means", cluster="c"), None, {("ATE", "overall"): 0.0}

    return draw


def twenty(count: int) -> Callable[[np.random.Generator, int], Drawn]:
    """Twenty units, ``count`` of them treated by lot."""

    def draw(rng: np.random.Generator, n: int) -> Drawn:
        x = rng.normal(size=UNITS)
        t = (rng.permutation(UNITS) < count).astype(float)
        units = {"unit_id": np.arange(UNITS), "y": 0.5 * x + rng.normal(size=UNITS), "t": t, "x": x}
        return units, _block("difference_in_means"), None, {("ATE", "overall"): 0.0}

    return draw


DGPS = {
    **{f"treated_{count}_of_50": treated(count) for count in (2, 3, 5, 10)},
    **{f"units_20_treated_{count}": twenty(count) for count in (4, 5, 10)},
}
HOLDS = {name: set(DGPS) for name in ("difference_in_means", "regression_adjustment")}
COSTLY = ()
SIZES = {name: UNITS if name.startswith("units") else CLUSTERS * EACH for name in DGPS}
