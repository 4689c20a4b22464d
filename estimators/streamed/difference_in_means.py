"""Difference in means of rows that stay in the warehouse."""

from __future__ import annotations

import dataclasses

from ..errors import Refusal
from ..estimates import made
from ..experiments.difference_in_means import neyman
from ..few_clusters import Error
from ..result import Result
from ..scan.solve import Least
from .linear import Linear, coefficient, coefficient_of, regression, totals
from .problem import Streamed
from .sample import check_arms, counts


def difference_in_means(problem: Streamed, estimand: str) -> Result:
    """The average effect of treatment on all units, were treatment assigned at random.

    Rows, formula, options and refusals are those of `estimators.experiments.difference_in_means`: τ = Ȳ₁ − Ȳ₀ from the
    shared scan, its HC or cluster variance from the one scan of the linear estimators.

    Raises
    ------
    Refusal
        If an arm has fewer than two units, the outcome never varies, or there is one cluster only; for ``arrival``.

    Sources
    -------
    Neyman 1923; MacKinnon & White 1985.
    """
    if problem.own("arrival") is not None:
        reason = f"looks on the way hold their rows in memory, and the {problem.n} of this study are streamed"
        raise Refusal(reason, "Drop arrival, or raise the row_budget")
    check_arms(problem)
    fit = _fit(problem)
    effect, error = coefficient(problem, estimand, fit)
    if error.kind == "HC2" and problem.study.weight is None:
        error = dataclasses.replace(error, df=_neyman(problem).df)
    row = made(estimand, effect, error.std_error, error.df, variance_estimator=error.kind, **counts(problem))
    return Result((row,))


def _neyman(problem: Streamed) -> Error:
    arms, at = totals(problem), totals(problem).names.index(problem.study.outcome)
    sizes = [int(n) for n in arms.rows]
    spread = [float(arms.only(arm).covariance()[at, at]) for arm in (0, 1)]
    return neyman([v * n / (n - 1) for v, n in zip(spread, sizes, strict=True)], sizes)


def linear(problem: Streamed, estimand: str) -> Linear | None:
    """The estimate before its variance; None for a classical one."""
    return coefficient_of(problem, _fit(problem))


def _fit(problem: Streamed) -> Least:
    assert problem.study.treatment is not None
    return regression(problem, totals(problem), (problem.study.treatment,))
