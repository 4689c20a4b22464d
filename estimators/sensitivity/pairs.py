"""Matched pairs of a study: those that its clusters are, or nearest neighbours on the propensity."""

from __future__ import annotations

import numpy as np

from ..errors import Refusal
from ..problem import Problem
from ..selection_on_observables.matching import FLAT, without_replacement


def pair_differences(problem: Problem, caliper: float | None) -> np.ndarray:
    """Outcome of the treated less that of the untreated of each pair: shape (pairs,).

    Where each declared cluster holds one treated and one untreated unit, the clusters are the pairs. Otherwise each
    unit of the smaller arm takes the nearest unit of the other on the estimated propensity that is still free, in
    descending score.

    Parameters
    ----------
    problem : Problem
        With a binary treatment.
    caliper : float or None
        Largest distance, in standard deviations of the propensity.

    Raises
    ------
    Refusal
        A treatment that is not binary; weights, or clusters that are not pairs: the signed-rank test knows neither;
        a propensity that cannot be fitted.
    """
    if problem.kind != "binary":
        raise Refusal("Rosenbaum's bounds are of pairs, one treated and one not", "Declare a binary treatment")
    if problem.weights is not None:
        raise Refusal(f"Rosenbaum's bounds do not use the weight '{problem.study.weight}'", "Read the other methods")
    if problem.cluster is not None:
        return _given(problem)
    e = problem.propensity().probability
    spread = float(e.std(ddof=1))
    score = e / spread if spread > FLAT else np.zeros(problem.n)
    rows = [np.flatnonzero(problem.t == arm) for arm in (0, 1)]
    small = int(len(rows[1]) <= len(rows[0]))
    found = without_replacement(score, rows[small], rows[1 - small], 1, caliper)
    gaps = problem.y[found.target] - problem.y[found.order]
    return gaps if small == 1 else -gaps


def _given(problem: Problem) -> np.ndarray:
    assert problem.cluster is not None
    _, codes = np.unique(problem.cluster.astype(str), return_inverse=True)
    treated, units = np.bincount(codes, weights=problem.t), np.bincount(codes)
    if not (np.all(units == 2) and np.all(treated == 1)):
        reason = f"the clusters of '{problem.study.cluster}' are not pairs of a treated and an untreated unit"
        raise Refusal(reason, "Rosenbaum's bounds take pairs as independent: read the other methods")
    return np.bincount(codes, weights=problem.y * (2 * problem.t - 1))
