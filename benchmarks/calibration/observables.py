"""Selection on observables: a treatment that four covariates explain, and an effect that varies with two of them."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

ESTIMATORS = (
    "regression_adjustment", "ipw", "psm", "stratification", "ope", "tvce", "counterfactual",
)  # fmt: skip
COSTLY = ("counterfactual",)
DECISION = {"primary": "ope", "estimand": "ATE", "desired_direction": "more", "minimum_effect": 0}
# Draws behind the truths that are means over a population.
POPULATION = 400_000

Drawn = tuple[dict[str, Any], dict[str, Any], None, dict[tuple[str, ...], float]]


def draw(
    rng: np.random.Generator, n: int, *, strength: float = 0.5, curved_outcome: bool = False,
    curved_propensity: bool = False, heavy: bool = False, clustered: bool = False, effect: float = 1.0,
    varying: float = 0.5,
) -> Drawn:  # fmt: skip
    """Units and truth: ATE and ATT of T in Y = T (effect + varying · x1) + g(x) + noise."""
    x, p = _traits(rng, n, strength, curved_propensity)
    t = (rng.random(n) < p).astype(float)
    noise = rng.standard_t(3, n) / np.sqrt(3) if heavy else rng.normal(size=n)
    cluster = rng.integers(0, 50, n)
    if clustered:
        # Assignment stays at the unit; clusters share a part of the outcome, and of the effect.
        noise = noise + rng.normal(0, 0.5, 50)[cluster] + t * rng.normal(0, 0.5, 50)[cluster]
    g = x @ np.array([1.0, -0.5, 0.5, 0.25])
    if curved_outcome:
        g = g + 0.7 * (x[:, 0] ** 2 - 1) + 0.5 * x[:, 0] * x[:, 1]
    y = t * (effect + varying * x[:, 0]) + g + noise
    units = {"unit_id": np.arange(n), "y": y, "t": t, **{f"x{j}": x[:, j] for j in range(4)}}
    block: dict[str, Any] = {
        "question": "calibration", "design": "observational", "outcome": "y", "treatment": "t",
        "covariates": ["x0", "x1", "x2", "x3"], "decision": DECISION, "options": {"stratification": _STRATA},
    }  # fmt: skip
    if clustered:
        units["c"], block["cluster"] = cluster, "c"
    return units, block, None, _truth(strength, curved_propensity, effect, varying)


# Five strata leave a tenth of the confounding; regression inside them takes it out.
_STRATA = {"strata": 5, "adjustment": "regression"}


def _traits(rng: np.random.Generator, n: int, strength: float, curved: bool) -> tuple[np.ndarray, np.ndarray]:
    x = rng.normal(size=(n, 4))
    index = strength * (x[:, 0] + 0.5 * x[:, 1] - 0.5 * x[:, 2])
    if curved:
        index = index + strength * (x[:, 0] ** 2 - 1) / 2
    return x, 1 / (1 + np.exp(-index))


@functools.cache
def _truth(strength: float, curved: bool, effect: float, varying: float) -> dict[tuple[str, ...], float]:
    x, p = _traits(np.random.default_rng(1), POPULATION, strength, curved)
    tau = effect + varying * x[:, 0]
    by_name = {"ATE": effect, "ATT": float(p @ tau / p.sum()), "ATO": float((p * (1 - p)) @ tau / (p * (1 - p)).sum())}
    out: dict[tuple[str, ...], float] = {(name, "overall"): value for name, value in by_name.items()}
    # The partially linear model weights by what a linear model leaves of T.
    design = np.column_stack([np.ones(POPULATION), x])
    weight = p * (1 - p) + (p - design @ np.linalg.solve(design.T @ design, design.T @ p)) * p
    out["tvce", "ATE", "overall"] = float(weight @ tau / weight.sum())
    return out


DGPS = {
    "correct": draw,
    "null": lambda rng, n: draw(rng, n, effect=0.0, varying=0.0),
    "misspecified_outcome": lambda rng, n: draw(rng, n, curved_outcome=True),
    "misspecified_propensity": lambda rng, n: draw(rng, n, curved_propensity=True),
    "weak_overlap": lambda rng, n: draw(rng, n, strength=1.5),
    "heavy_tails": lambda rng, n: draw(rng, n, heavy=True),
    "clustered": lambda rng, n: draw(rng, n, clustered=True),
    "small_n": draw,
}
_ALWAYS = {"correct", "null", "heavy_tails", "clustered"}
HOLDS = {
    "regression_adjustment": _ALWAYS | {"misspecified_propensity"},
    "ipw": _ALWAYS | {"misspecified_outcome"},
    "psm": _ALWAYS - {"clustered"},
    # Inside a stratum the regression's coefficient is one effect, weighted by what the covariates leave of the
    # treatment: where effects vary, only strata on the right propensity make that the stratum's mean effect.
    "stratification": _ALWAYS,
    "ope": _ALWAYS | {"misspecified_outcome", "misspecified_propensity"},
    "tvce": _ALWAYS | {"misspecified_propensity"},
    # The forest pays a bias for smoothing that its interval does not hold: shown, and told in its docstring.
    "counterfactual": set(),
}
