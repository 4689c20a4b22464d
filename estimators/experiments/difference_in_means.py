"""Difference in means: what a randomised experiment needs, and the naive contrast of everything else."""

from __future__ import annotations

import numpy as np

from ..estimates import made
from ..linear import covariance, fit_ols
from ..problem import Problem
from ..result import Result
from ..sample import check_arms, counts, reference_df, regression_variance


def difference_in_means(problem: Problem, estimand: str) -> Result:
    """The average effect of treatment on all units, were treatment assigned at random.

    τ = Ȳ₁ − Ȳ₀, the coefficient of T in the regression of Y on T. HC2 is Neyman's s₁²/n₁ + s₀²/n₀. Student's t with
    n − 2 degrees of freedom.

    Sampling weights give weighted means (weighted least squares). A declared cluster gives the cluster-robust variance
    with G − 1 degrees of freedom. Rows with missing values have been left out or refused before.

    Option ``variance``: classical, HC0, HC1 or HC2.

    Raises
    ------
    Refusal
        If an arm has fewer than two units, the outcome never varies, or there is one cluster only.

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
    return Result((row,))
