"""Regression adjustment of rows that stay in the warehouse."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from ..estimates import made
from ..moments import Moments
from ..result import Diagnostic, Result
from ..scan.hc import KINDS
from ..scan.solve import Interacted, Least, interact
from ..selection_on_observables.regression_adjustment import SAMPLED, product_label
from .linear import Linear, coefficient, dropped_columns, regression, totals
from .problem import Streamed
from .sample import check_arms, counts, regression_variance


@dataclass(frozen=True)
class Adjusted:
    """A regression whose coefficient of the treatment is the effect, solved from sums by arm.

    Attributes
    ----------
    arms : Moments
        Untreated and treated.
    population : ndarray of shape (p + 1,)
        Σ w (1, z) over the units that the estimand is about.
    interacted : Interacted
        The arms' sums with T (X − x̄) beside the columns, x̄ the mean of that population.
    fit : Least
        Y on X, T and T (X − x̄).
    """

    arms: Moments
    population: np.ndarray
    interacted: Interacted
    fit: Least


def regression_adjustment(problem: Streamed, estimand: str) -> Result:
    """The effect on all units (ATE) or on the treated (ATT), from a regression of the outcome.

    Rows, formulas, options and refusals are those of `estimators.selection_on_observables.regression_adjustment`. The
    cross-products of Y, X, T and T (X − x̄) follow from the shared scan's sums by arm, without another look at the data;
    HC, cluster and M-estimation variances come from the one scan of the linear estimators.

    Raises
    ------
    Refusal
        If an arm has fewer than two units, rows do not suffice for the columns, or (``not_identified``) the covariates
        explain the treatment.

    Sources
    -------
    Lin 2013; Heckman, Ichimura & Todd 1998; Stefanski & Boos 2002.
    """
    check_arms(problem)
    adjusted = fit_adjusted(problem, estimand)
    fit, kind = adjusted.fit, problem.own("variance")
    assert problem.study.treatment is not None
    effect, error = coefficient(problem, estimand, fit)
    if kind in SAMPLED and error.kind in KINDS:
        error = dataclasses.replace(error, kind=kind)
    if kind == "m_estimation":
        error = dataclasses.replace(error, df=None)
    row = made(estimand, effect, error.std_error, error.df, variance_estimator=error.kind, **counts(problem))
    return Result((row,), (*_r2_by_arm(adjusted), *dropped_columns(fit)))


def fit_adjusted(problem: Streamed, estimand: str) -> Adjusted:
    """The centred regression of one estimand, solved once for the same terms."""
    chosen = problem.products()
    terms = problem.options.outcome.covariates
    names = problem.names(terms)
    products = names if chosen is None else chosen
    key = ("adjusted", terms, products, estimand)
    if key not in problem.cache:
        arms = totals(problem)
        population = arms.cross[1, 0] if estimand == "ATT" else arms.total()[0]
        labels = tuple(product_label(name) for name in products)
        interacted = interact(arms, products, labels, population)
        assert problem.study.treatment is not None
        fit = regression(problem, interacted.moments, (*names, problem.study.treatment, *labels))
        problem.cache[key] = Adjusted(arms, population, interacted, fit)
    return problem.cache[key]


def linear(problem: Streamed, estimand: str) -> Linear | None:
    """The estimate before its variance; None for a classical one."""
    kind = problem.own("variance")
    if regression_variance(problem, kind) == "classical":
        return None
    adjusted = fit_adjusted(problem, estimand)
    fit, treatment = adjusted.fit, problem.study.treatment
    assert treatment is not None
    score = fit.score(treatment).of(adjusted.interacted.of_rows)
    assert score.hat is not None
    # ATE and ATT take other means off the same columns: one hat matrix.
    share = ("hat", problem.options.outcome.covariates, problem.products())
    score = dataclasses.replace(score, hat=dataclasses.replace(score.hat, key=share))
    if kind in SAMPLED:
        scale = float(adjusted.arms.scale[adjusted.arms.names.index(treatment)])
        score = dataclasses.replace(score, more=_sampling(adjusted, estimand, scale))
        if kind == "m_estimation":
            score = dataclasses.replace(score, coefficients=1)
    if problem.study.cluster is not None:
        of_scan = "CR1" if kind in ("CR1", "m_estimation", "m_estimation_cr1") else "CR2"
    else:
        of_scan = {"m_estimation": "HC0", "m_estimation_hc2": "HC2"}.get(kind, kind)
    return Linear(fit.coefficient(treatment), score, "arm", of_scan, adjusted.arms)


def _sampling(adjusted: Adjusted, estimand: str, scale: float) -> np.ndarray:
    """(X − x̄)'γ / Σ w over the population, in units of U E: what the sampling of x̄ adds to ψ, by arm."""
    fit, p = adjusted.fit, len(adjusted.arms.names)
    gamma = np.where(fit.at > p, fit.beta, 0.0)
    # In the treated a product is z − z̄. U E is in units of the standardised treatment's coefficient.
    along = gamma @ adjusted.interacted.forms[1, fit.at] / adjusted.population[0] * scale
    return np.array([np.zeros_like(along) if estimand == "ATT" else along, along])


def _r2_by_arm(adjusted: Adjusted) -> tuple[Diagnostic, ...]:
    forms, y = adjusted.interacted.of_rows(adjusted.fit.form()[None]), adjusted.fit.target - 1
    rows = []
    for arm, subject in ((0, "control"), (1, "treated")):
        own = adjusted.arms.only(arm)
        total = float(own.covariance()[y, y] * own.total()[0, 0])
        left = float(forms[arm] @ own.total() @ forms[arm]) * own.scale[y] ** 2
        rows.append(Diagnostic("r2", subject, 1 - left / total if total > 0 else None))
    return tuple(rows)
