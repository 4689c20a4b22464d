"""Least squares of the outcome on own and neighbours' treatment, with a variance that follows the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..imports import load
from ..linear import LinearFit, coefficient_error, covariance, fit_ols
from ..problem import Problem
from ..sample import of_regression
from .graph import Graph

EFFECT, OTHER, EXPECTED = "(effect)", "(other)", "(expected exposure)"
# Fewer (equally large) clusters do not carry a cluster-robust variance.
FEWEST_COMPONENTS = 20
# Pairs of units with a common neighbour that the sum over dependent pairs may take.
MOST_PAIRS = 50_000_000


@dataclass(frozen=True)
class Coefficient:
    """One effect of the regression: its standard error, the variance's name, and degrees of freedom of Student's t."""

    fit: LinearFit
    estimate: float
    std_error: float
    variance: str
    df: float | None
    clusters: int | None


def exposure(problem: Problem, graph: Graph) -> np.ndarray:
    """G of each unit: the share of its neighbours that are treated, or whether any is; 0 without neighbours."""
    treated = graph.treated_neighbours(problem.t)
    if problem.own("mapping") == "any":
        return (treated > 0).astype(float)
    return np.divide(treated, graph.degree, out=np.zeros(problem.n), where=graph.degree > 0)


def expected_exposure(problem: Problem, graph: Graph) -> np.ndarray:
    """E[G | degree] if treatment is drawn one by one, up to scale: who has more neighbours is exposed more often.

    With it in the regression, what is left of G does not depend on a unit's place in the network.
    """
    if problem.own("mapping") == "any":
        share = problem.study.allocation or float(problem.t.mean())
        return 1 - (1 - share) ** graph.degree
    return (graph.degree > 0).astype(float)


def coefficient(problem: Problem, graph: Graph, estimand: str) -> Coefficient:
    """DIRECT, INDIRECT or TOTAL as the last coefficient of Y on X, the expected exposure, and T and G rearranged.

    τ T + δ G is (τ + δ) T + δ (G − T), so each effect is the coefficient of a last column, and is refused exactly where
    the columns before explain it.

    Raises
    ------
    Refusal
        ``not_identified`` where the other columns explain that of the effect; ``refused`` where rows are too few.
    """
    keep = problem.w > 0
    t, g = problem.t, exposure(problem, graph)
    other, last = {"DIRECT": (g, t), "INDIRECT": (t, g), "TOTAL": (g - t, t)}[estimand]
    x = problem.matrix(problem.covariate_terms())
    design = np.column_stack([x.values, expected_exposure(problem, graph), other, last])[keep]
    _check_varies(problem, estimand, t[keep], g[keep])
    weights = None if problem.weights is None else problem.weights[keep]
    try:
        fit = fit_ols(problem.y[keep], design, (*x.names, EXPECTED, OTHER, EFFECT), weights)
    except ValueError as few:
        raise Refusal(f"the outcome regression cannot be fitted: {few}", "Use fewer covariates") from None
    if EFFECT in fit.dropped:
        reason = f"the {estimand} effect cannot be told from the other columns, which explain its exposure entirely"
        mend = "Drop the covariate that defines the exposure; TOTAL may still be there where all neighbours go together"
        raise Refusal(reason, mend, "not_identified")
    return _with_error(problem, graph, fit, keep)


def _check_varies(problem: Problem, estimand: str, t: np.ndarray, g: np.ndarray) -> None:
    if estimand != "INDIRECT" and np.ptp(t) == 0:
        reason = f"'{problem.study.treatment}' is {t[0]:g} in every unit that counts"
        raise Refusal(reason, "Read INDIRECT alone, or widen the population", "not_identified")
    if estimand != "DIRECT" and np.ptp(g) == 0:
        reason = f"neighbours' treatment is the same ({g[0]:g}) for every unit"
        raise Refusal(reason, "Without variation in it there is no spillover to see", "not_identified")


def _with_error(problem: Problem, graph: Graph, fit: LinearFit, keep: np.ndarray) -> Coefficient:
    j = fit.index(EFFECT)
    estimate, df = float(fit.coef[j]), float(fit.degrees_of_freedom)
    if problem.cluster is not None or graph.effective_components(keep) >= FEWEST_COMPONENTS:
        labels = graph.component if problem.cluster is None else problem.cluster.astype(str)
        groups = len(np.unique(labels[keep]))
        error = coefficient_error(fit, j, of_regression(problem.own("variance"), True), labels[keep])
        name = error.kind if problem.cluster is not None else f"{error.kind}_by_component"
        return Coefficient(fit, estimate, error.std_error, name, error.df, groups)
    plain = float(covariance(fit, "HC1")[j, j])
    dependent = _dependent_pairs(graph, fit, j, keep)
    if dependent is None:
        return Coefficient(fit, estimate, float(np.sqrt(plain)), "HC1", df, None)
    # The sum over pairs may come out small or negative by chance; ignoring all dependence is the least.
    return Coefficient(fit, estimate, float(np.sqrt(max(plain, dependent))), "network", df, None)


def _dependent_pairs(graph: Graph, fit: LinearFit, j: int, keep: np.ndarray) -> float | None:
    """Σ ψ_i ψ_j over pairs whose own or neighbours' treatments overlap, times n / (n − k); None if they are too many.

    Leung 2020.
    """
    sparse = load("scipy.sparse")

    n = len(graph.degree)
    touched = (graph.named + sparse.eye_array(n, format="csr", dtype=np.int64))[np.flatnonzero(keep)]
    holders = np.bincount(touched.indices, minlength=n).astype(float)
    if (holders**2).sum() > MOST_PAIRS:
        return None
    meet = touched @ touched.T
    meet.data[:] = 1
    psi = fit.projection()[:, j] * fit.weights * fit.residuals
    return float(psi @ (meet @ psi)) * len(psi) / fit.degrees_of_freedom
