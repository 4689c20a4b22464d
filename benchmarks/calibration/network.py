"""Interference: units that name a few others, and outcomes that own and neighbours' treatments move."""

from __future__ import annotations

from typing import Any

import numpy as np

ESTIMATORS = ("network",)
VILLAGE = 10
Drawn = tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[tuple[str, ...], float]]


def names(rng: np.random.Generator, n: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Edges: each unit names one to four others, of its village, of its neighbourhood on a ring, or of anywhere."""
    source = np.repeat(np.arange(n), rng.integers(1, 5, n))
    if kind == "village":
        step = rng.integers(1, VILLAGE, len(source))
        return source, source // VILLAGE * VILLAGE + (source + step) % VILLAGE
    step = rng.integers(1, 4 if kind == "ring" else n // VILLAGE, len(source))
    step = step if kind == "ring" else step * VILLAGE
    return source, (source + step) % n


def draw(
    rng: np.random.Generator, n: int, *, kind: str = "village", direct: float = 1.0, spill: float = 0.8,
    varying: float = 0.5, regression: bool = False, p: float = 0.3, confounded: float = 0.0, curved: float = 0.0,
    heavy: bool = False, randomisation: str | None = None, clustered: bool = False, shared: float = 0.0,
) -> Drawn:  # fmt: skip
    """A network drawn anew with the outcomes; the truth is that of the units drawn."""
    source, target = names(rng, n, kind)
    village = np.arange(n) // VILLAGE
    x = rng.normal(size=n)
    t = (rng.random(n) < p / (p + (1 - p) * np.exp(-confounded * x))).astype(float)
    if randomisation == "complete":
        t = np.isin(np.arange(n), rng.permutation(n)[: int(p * n)]).astype(float)
    if randomisation == "cluster":
        many = n // VILLAGE
        t = np.isin(village, rng.permutation(many)[: int(p * many)]).astype(float)
    tie = np.zeros((n, n), dtype=bool)
    tie[source, target] = True
    tie[np.arange(n), np.arange(n)] = False
    treated, degree = tie @ t, tie.sum(axis=1)
    exposed = treated / np.maximum(degree, 1) if regression else (treated > 0).astype(float)
    noise = rng.standard_t(3, n) / np.sqrt(3) if heavy else rng.normal(size=n)
    noise = noise + shared * (tie @ noise) + (rng.normal(size=village.max() + 1)[village] if clustered else 0.0)
    one = direct + varying * x
    # Who names more others differs from the start: a naive contrast by exposure is confounded by it.
    y = 0.5 * degree + x + curved * (x**2 - 1) + one * t + spill * exposed + noise
    block: dict[str, Any] = {
        "question": "calibration", "design": "observational" if regression else "experiment", "outcome": "y",
        "treatment": "t", "covariates": ["x"], "edges": "names",
        "decision": {"primary": "network", "estimand": "DIRECT", "desired_direction": "more", "minimum_effect": 0},
        "options": {"network": {"randomisation": randomisation}},
    }  # fmt: skip
    if clustered or randomisation == "cluster":
        block["cluster"] = "village"
    units = {"unit_id": np.arange(n), "y": y, "t": t, "x": x, "village": village, "degree": degree}
    edges = {"source": source, "target": target}
    if regression:
        block["covariates"] = ["x", "degree"]
        truth = {"DIRECT": direct, "INDIRECT": spill, "TOTAL": direct + spill}
    else:
        mean = float(one[supported(block, units, edges)].mean())
        truth = {"DIRECT": mean, "INDIRECT": spill, "TOTAL": mean + spill}
    return units, block, edges, {(estimand, "overall"): value for estimand, value in truth.items()}


def supported(block: dict[str, Any], units: dict[str, Any], edges: dict[str, Any]) -> np.ndarray:
    """The units over which a design-based effect is averaged: shape (n,), boolean."""
    from estimators.assemble import assemble
    from estimators.interference.design_based import experiment_of
    from estimators.interference.graph import graph_of
    from estimators.study import Study

    problem, _ = assemble(Study.declare("calibration", block), units, edges=edges)
    return experiment_of(problem, graph_of(problem)).kept


DGPS = {
    "correct": draw,
    "null": lambda rng, n: draw(rng, n, direct=0.0, spill=0.0, varying=0.0),
    "complete": lambda rng, n: draw(rng, n, randomisation="complete"),
    "cluster": lambda rng, n: draw(rng, n, kind="anywhere", randomisation="cluster"),
    "heavy_tails": lambda rng, n: draw(rng, n, heavy=True),
    "weak_overlap": lambda rng, n: draw(rng, n, p=0.12),
    "small_n": draw,
    "regression": lambda rng, n: draw(rng, n, regression=True, varying=0.0, confounded=0.5),
    "regression_one_component": lambda rng, n: draw(rng, n, kind="ring", regression=True, varying=0.0, shared=0.3),
    "clustered": lambda rng, n: draw(rng, n, regression=True, varying=0.0, clustered=True),
    "misspecified_outcome": lambda rng, n: draw(rng, n, regression=True, varying=0.0, confounded=0.5, curved=0.5),
}
HOLDS = {
    "network": {"correct", "null", "complete", "cluster", "heavy_tails", "regression", "regression_one_component",
                "clustered"},
}  # fmt: skip
