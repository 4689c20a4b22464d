"""Difference in means: what a randomised experiment needs, and the naive contrast of everything else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import Refusal
from ..estimates import made
from ..few_clusters import Error
from ..linear import LinearFit, coefficient_error, fit_ols
from ..problem import Problem
from ..result import CurvePoint, Result
from ..sample import check_arms, counts, regression_variance
from .sequential import confidence_sequence


def difference_in_means(problem: Problem, estimand: str) -> Result:
    """The average effect of treatment on all units, were treatment assigned at random.

    τ = Ȳ₁ − Ȳ₀, the coefficient of T in the regression of Y on T. HC2 is Neyman's s₁²/n₁ + s₀²/n₀, with Welch's
    degrees of freedom for Student's t; the other variances have n − 2.

    Sampling weights give weighted means (weighted least squares; HC2 has the degrees of freedom of Bell & McCaffrey
    then). A declared cluster gives CR2 with Bell & McCaffrey's degrees of freedom, or, where ``variance: CR1`` is
    declared, CR1 with G − 1. Rows with missing values have been left out or refused before.

    Options ``variance``: classical, HC0, HC1 or HC2 (with clusters CR1 or CR2); ``arrival``: the column by which units
    came, for the curve ``sequential`` (`sequential.confidence_sequence`).

    Raises
    ------
    Refusal
        If an arm has fewer than two units, the outcome never varies, or there is one cluster only; with ``arrival``, if
        units have weights or come in clusters, or another number of columns than one is named.

    Sources
    -------
    Neyman 1923; MacKinnon & White 1985; Welch 1947; Bell & McCaffrey 2002.
    """
    check_arms(problem)
    fit = fit_ols(problem.y, problem.t[:, None], ("(treatment)",), problem.weights)
    error = _error(problem, fit, regression_variance(problem, problem.own("variance")))
    row = made(
        estimand, float(fit.coef[1]), error.std_error, error.df, variance_estimator=error.kind, **counts(problem)
    )
    return Result((row,), curves=tuple(_looks(problem)))


def _error(problem: Problem, fit: LinearFit, kind: str) -> Error:
    if kind != "HC2" or problem.weights is not None:
        return coefficient_error(fit, 1, kind, problem.cluster)
    arms = [problem.y[problem.t == arm] for arm in (0, 1)]
    return neyman([float(y.var(ddof=1)) for y in arms], [len(y) for y in arms])


def neyman(variances: Sequence[float], sizes: Sequence[int]) -> Error:
    """√(s₀²/n₀ + s₁²/n₁) with Welch's degrees of freedom (1947), (V₀ + V₁)² / (V₀²/(n₀ − 1) + V₁²/(n₁ − 1))."""
    parts = np.array(variances) / np.array(sizes)
    total = float(parts.sum())
    # Shares first: squares of variances leave the range of floating point numbers.
    df = 1 / float(np.sum((parts / total) ** 2 / (np.array(sizes) - 1.0))) if total > 0 else None
    return Error(float(np.sqrt(parts.sum())), df, "HC2")


def _looks(problem: Problem) -> list[CurvePoint]:
    arrival = problem.own("arrival")
    if arrival is None:
        return []
    check_arrival(arrival, problem.weights is not None, problem.cluster is not None)
    return confidence_sequence(problem.y, problem.t, problem.columns[arrival[0]])


def check_arrival(arrival: tuple[str, ...], has_weights: bool, has_clusters: bool) -> None:
    """Refuse looks on the way that the confidence sequence is not made for."""
    if len(arrival) != 1:
        raise Refusal(f"arrival names {len(arrival)} columns", "Name the one by which units came")
    if has_weights or has_clusters:
        what = "weights" if has_weights else "clusters"
        raise Refusal(f"looks on the way are for units drawn one by one, and the study declares {what}", "Drop arrival")
