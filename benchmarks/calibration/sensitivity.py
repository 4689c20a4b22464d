"""Least squares under confounders that are seen, and one that is not: what the sensitivity rows say of it."""

from __future__ import annotations

from typing import Any

import numpy as np

ESTIMATORS = ("sensitivity",)
DECISION = {"primary": "sensitivity", "estimand": "ATE", "desired_direction": "more", "minimum_effect": 0}
Drawn = tuple[dict[str, Any], dict[str, Any], None, dict[tuple[str, ...], float]]


def draw(
    rng: np.random.Generator, n: int, *, effect: float = 1.0, curved: bool = False, strength: float = 0.5,
    heavy: bool = False, clustered: bool = False,
) -> Drawn:  # fmt: skip
    """A binary treatment that two seen covariates move, and an outcome linear in them."""
    x = rng.normal(size=(n, 2))
    t = (rng.random(n) < 1 / (1 + np.exp(-strength * (x[:, 0] - 0.5 * x[:, 1])))).astype(float)
    noise = (0.7 + 0.3 * np.abs(x[:, 0])) * (rng.standard_t(3, n) / np.sqrt(3) if heavy else rng.normal(size=n))
    cluster = rng.integers(0, 50, n)
    if clustered:
        noise = noise + rng.normal(0, 0.5, 50)[cluster] + t * rng.normal(0, 0.5, 50)[cluster]
    y = effect * t + x @ np.array([1.0, -0.5]) + noise
    if curved:
        y = y + 0.7 * (x[:, 0] ** 2 - 1) + 0.5 * x[:, 0] * x[:, 1]
    units = {"unit_id": np.arange(n), "y": y, "t": t, "x0": x[:, 0], "x1": x[:, 1]}
    block = _block(["x0", "x1"])
    if clustered:
        units["c"], block["cluster"] = cluster, "c"
    return units, block, None, {("ATE", "overall"): effect}


def hidden(rng: np.random.Generator, n: int, *, effect: float = 1.0) -> Drawn:
    """Proportional selection: a hidden confounder that is to treatment and outcome just what the seen one is.

    The declared Rmax is the true one, so Oster's effect at delta 1 is the truth; least squares is not.
    """
    x, u = rng.normal(size=(2, n))
    t = 0.5 * (x + u) + rng.normal(size=n)
    y = effect * t + x + u + rng.normal(size=n)
    # Var(x + u + effect t) of Var(y): t has 1.5, its covariance with x + u is 1.
    explained = 2 + effect**2 * 1.5 + 2 * effect
    block = _block(["x"], {"r2_max": explained / (explained + 1)})
    return {"unit_id": np.arange(n), "y": y, "t": t, "x": x}, block, None, {("ATE", "oster_delta=1"): effect}


def _block(covariates: list[str], options: dict[str, Any] | None = None) -> dict[str, Any]:
    block: dict[str, Any] = {
        "question": "calibration", "design": "observational", "outcome": "y", "treatment": "t",
        "covariates": covariates, "decision": DECISION,
    }  # fmt: skip
    return block | ({"options": {"sensitivity": options}} if options else {})


DGPS = {
    "correct": draw,
    "null": lambda rng, n: draw(rng, n, effect=0.0),
    "hidden_confounder": hidden,
    "misspecified_outcome": lambda rng, n: draw(rng, n, curved=True),
    "weak_overlap": lambda rng, n: draw(rng, n, strength=1.5),
    "heavy_tails": lambda rng, n: draw(rng, n, heavy=True),
    "clustered": lambda rng, n: draw(rng, n, clustered=True),
    "small_n": draw,
}
HOLDS = {"sensitivity": {"correct", "null", "hidden_confounder", "heavy_tails", "clustered"}}
