"""Least squares on a continuous treatment, of rows that stay in the warehouse."""

from __future__ import annotations

from ..estimates import made
from ..result import Diagnostic, Result
from ..scan.solve import Least
from .linear import Linear, coefficient, coefficient_of, dropped_columns, regression, totals
from .problem import Streamed
from .sample import check_sample, counts


def ols(problem: Streamed, estimand: str) -> Result:
    """The average change of the outcome for one unit more of treatment, linear and given the covariates.

    Rows, formula, options and refusals are those of `estimators.selection_on_observables.ols`: β in
    Y = α + β T + X'γ + u from the shared scan, its HC or cluster variance from the one scan of the linear estimators.

    Raises
    ------
    Refusal
        ``not_identified`` where the covariates explain the treatment; ``refused`` where there are not more rows than
        coefficients.

    Sources
    -------
    Wooldridge 2010, ch. 4; White 1980.
    """
    check_sample(problem)
    fit = _fit(problem)
    effect, error = coefficient(problem, estimand, fit)
    row = made(
        estimand, effect, error.std_error, error.df, contrast="per unit",
        variance_estimator=error.kind, **counts(problem, binary=False),
    )  # fmt: skip
    return Result((row,), (Diagnostic("r2", "overall", fit.r2), *dropped_columns(fit)))


def linear(problem: Streamed, estimand: str) -> Linear | None:
    """The estimate before its variance; None for a classical one."""
    return coefficient_of(problem, _fit(problem))


def _fit(problem: Streamed) -> Least:
    assert problem.study.treatment is not None
    return regression(problem, totals(problem), (*problem.names(problem.covariate_terms()), problem.study.treatment))
