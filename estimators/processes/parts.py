"""What the processes share: the shape of a generated study, and the truths that several of them ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

SEED = 20260101
# Draws of the covariates behind truths that are means over a population; their error is below 0.001.
POPULATION = 2_000_000

Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Truth:
    """What an estimator should find.

    Attributes
    ----------
    estimator, estimand, term : str
    value : float
        In units of the outcome.
    because : str
        How it follows from the process.
    """

    estimator: str
    estimand: str
    term: str
    value: float
    because: str


@dataclass(frozen=True)
class Generated:
    """A generated study: rows of units (a unit and period each), edges of a network, and the truths."""

    units: Columns
    truths: tuple[Truth, ...]
    edges: Columns = field(default_factory=dict)


# Estimators that compare treated and untreated units with the same covariates, and what each estimates.
_ON_OBSERVABLES: Mapping[str, tuple[str, ...]] = {
    "regression_adjustment": ("ATE", "ATT"),
    "ipw": ("ATE", "ATT", "ATO"),
    "psm": ("ATE", "ATT"),
    "stratification": ("ATE", "ATT"),
    "ope": ("ATE", "ATT"),
    "counterfactual": ("ATE",),
    "cate": ("ATE",),
    "ipwra": ("ATE", "ATT"),
    "causal_forest": ("ATE", "ATT"),
}


def of(estimator: str, estimand: str, value: float, because: str, term: str = "overall") -> Truth:
    """One truth, of the term ``overall`` unless another is named."""
    return Truth(estimator, estimand, term, float(value), because)


def effects_of(effects: Mapping[str, float], because: str) -> tuple[Truth, ...]:
    """The truths of all estimators on observables: ``effects`` gives ATE, ATT and ATO in units of the outcome."""
    return (
        *(of(name, kind, effects[kind], because) for name, kinds in _ON_OBSERVABLES.items() for kind in kinds),
        of("ope", "policy_value", effects["ATE"], because, "treat_all-treat_none"),
    )


def averages(p: np.ndarray, effect: np.ndarray) -> dict[str, float]:
    """ATE, ATT and ATO of effects τ(X) where the treatment has probability p(X): the means of τ, p τ and p (1 − p) τ.

    Parameters
    ----------
    p, effect : ndarray of shape (n,)
        Over draws of the population; the weighted means are divided by the sums of their weights.
    """
    overlap = p * (1 - p)
    return {
        "ATE": float(effect.mean()),
        "ATT": float(p @ effect / p.sum()),
        "ATO": float(overlap @ effect / overlap.sum()),
    }


def logistic(score: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(−score)): shape of ``score``."""
    return 1 / (1 + np.exp(-score))


def variance_weighted(covariates: Sequence[np.ndarray], p: np.ndarray, effect: np.ndarray) -> float:
    """E[v T τ] / E[v T], v what least squares on the covariates leaves of the treatment T.

    With E[T | X] = p, E[v T τ] = E[(p − Lp) τ p] + E[p (1 − p) τ] and L the projection on (1, X): what one coefficient
    of a linear model finds where effects vary.

    Parameters
    ----------
    covariates : sequence of ndarray of shape (n,)
    p, effect : ndarray of shape (n,)
    """
    design = np.column_stack([np.ones(len(p)), *covariates])
    fitted = design @ np.linalg.solve(design.T @ design, design.T @ p)
    weight = p * (1 - p) + (p - fitted) * p
    return float(weight @ effect / weight.sum())
