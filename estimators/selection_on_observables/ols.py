"""Least squares on a continuous treatment."""

from __future__ import annotations

import numpy as np

from ..errors import Refusal
from ..estimates import made
from ..linear import LinearFit, coefficient_error, fit_ols
from ..problem import Problem
from ..result import Diagnostic, Result
from ..sample import check_sample, counts, regression_variance

TREATMENT = "(treatment)"


def ols(problem: Problem, estimand: str) -> Result:
    """The average change of the outcome for one unit more of treatment, linear and given the covariates.

    β in Y = α + β T + X'γ + u; Student's t with the degrees of freedom of Bell & McCaffrey for HC2 and HC3, n − k for
    the others (`estimators.linear.coefficient_error`).

    Sampling weights enter as weighted least squares. A declared cluster gives CR2 with Bell & McCaffrey's degrees of
    freedom, or, where ``variance: CR1`` is declared, CR1 with G − 1. Rows with missing values have been left out or
    refused before.

    Options ``variance`` (classical, HC0 to HC3; CR1, CR2) and ``covariates`` (terms in place of the study's).

    Raises
    ------
    Refusal
        ``not_identified`` where the covariates explain the treatment; ``refused`` where there are not more rows than
        coefficients.

    Sources
    -------
    Wooldridge 2010, ch. 4; White 1980; Bell & McCaffrey 2002; Imbens & Kolesár 2016.
    """
    check_sample(problem)
    x = problem.matrix(problem.covariate_terms())
    fit = fit_with_treatment(problem, x.values, x.names, np.empty((problem.n, 0)), ())
    j = fit.index(TREATMENT)
    error = coefficient_error(fit, j, regression_variance(problem, problem.own("variance")), problem.cluster)
    row = made(
        estimand, float(fit.coef[j]), error.std_error, error.df,
        contrast="per unit", variance_estimator=error.kind, **counts(problem, binary=False),
    )  # fmt: skip
    return Result((row,), (Diagnostic("r2", "overall", fit.r2), *dropped_columns(fit)))


def fit_with_treatment(
    problem: Problem, x: np.ndarray, names: tuple[str, ...], more: np.ndarray, more_names: tuple[str, ...]
) -> LinearFit:
    """Least squares of the outcome on covariates, then the treatment, then more columns.

    The treatment comes after the covariates, so that where they explain it, it is the one that is dropped.

    Raises
    ------
    Refusal
        ``not_identified`` where it was dropped; ``refused`` where rows are too few.
    """
    design = np.column_stack([x, problem.t, more])
    try:
        fit = fit_ols(problem.y, design, (*names, TREATMENT, *more_names), problem.weights)
    except ValueError as few:
        raise Refusal(f"the outcome regression cannot be fitted: {few}", "Use fewer covariates") from None
    if TREATMENT in fit.dropped:
        reason = "the covariates explain the treatment entirely, so its effect cannot be told from theirs"
        raise Refusal(reason, "Drop the covariate that defines the treatment", "not_identified")
    return fit


def dropped_columns(fit: LinearFit) -> tuple[Diagnostic, ...]:
    """One row for each column that earlier ones explain."""
    return tuple(Diagnostic("collinear_column_dropped", name, 1.0) for name in fit.dropped)
