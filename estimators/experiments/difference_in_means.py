"""Difference in means: what a randomised experiment needs, and the naive contrast of everything else."""

from __future__ import annotations

import numpy as np

from ..errors import Refusal
from ..estimates import made
from ..linear import covariance, fit_ols
from ..problem import Problem
from ..result import CurvePoint, Result
from ..sample import check_arms, counts, reference_df, regression_variance
from .sequential import confidence_sequence


def difference_in_means(problem: Problem, estimand: str) -> Result:
    """The average effect of treatment on all units, were treatment assigned at random.

    τ = Ȳ₁ − Ȳ₀, the coefficient of T in the regression of Y on T. HC2 is Neyman's s₁²/n₁ + s₀²/n₀. Student's t with
    n − 2 degrees of freedom.

    Sampling weights give weighted means (weighted least squares). A declared cluster gives the cluster-robust variance
    with G − 1 degrees of freedom. Rows with missing values have been left out or refused before.

    Options ``variance``: classical, HC0, HC1 or HC2; ``arrival``: the column by which units came, for the curve
    ``sequential`` (`sequential.confidence_sequence`).

    Raises
    ------
    Refusal
        If an arm has fewer than two units, the outcome never varies, or there is one cluster only; with ``arrival``, if
        units have weights or come in clusters, or another number of columns than one is named.

    Sources
    -------
    Neyman 1923; MacKinnon & White 1985.
    """
    check_arms(problem)
    fit = fit_ols(problem.y, problem.t[:, None], ("(treatment)",), problem.weights)
    kind = regression_variance(problem, problem.own("variance"))
    std_error = float(np.sqrt(covariance(fit, kind, problem.cluster)[1, 1]))
    df = reference_df(problem, fit.degrees_of_freedom)
    row = made(estimand, float(fit.coef[1]), std_error, df, variance_estimator=kind, **counts(problem))
    return Result((row,), curves=tuple(_looks(problem)))


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
