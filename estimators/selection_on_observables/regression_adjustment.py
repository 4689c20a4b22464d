"""Regression adjustment: the outcome regression, read at the average unit of the population."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..estimates import made
from ..inference import standard_error
from ..linear import LinearFit, covariance, room
from ..problem import Problem
from ..result import Diagnostic, Result
from ..sample import check_arms, counts, reference_df, regression_variance
from .ols import TREATMENT, dropped_columns, fit_with_treatment

# Variances that count the sampling of the covariates' mean.
SAMPLED = ("m_estimation", "m_estimation_hc2")


@dataclass(frozen=True)
class Adjusted:
    """A regression whose coefficient of the treatment is the effect.

    Attributes
    ----------
    fit : LinearFit
        Y on X, T and T (X − x̄), with x̄ the covariates' mean in the population of the estimand.
    offsets : ndarray of shape (n, q)
        X − x̄ of the columns that the treatment multiplies.
    share : ndarray of shape (n,)
        Weight of each unit in x̄, with mean one.
    """

    fit: LinearFit
    offsets: np.ndarray
    share: np.ndarray


def regression_adjustment(problem: Problem, estimand: str) -> Result:
    """The effect on all units (ATE) or on the treated (ATT), from a regression of the outcome.

    Y = α + X'β + τ T + T (X − x̄)'γ + u, with x̄ the mean of X over all units or over the treated: τ is the average of
    the two regressions' difference there (g-formula). ``options.outcome.interactions`` says which columns of X the
    treatment multiplies: all (each arm has its own regression), none (one effect for all: ATE = ATT), or a list.

    The classical and HC variances are those of τ in that regression, x̄ taken as known: of the effect on these units.
    ``m_estimation`` adds the sampling of x̄, ψ = ψ_τ + (w t-share) (X − x̄)'γ: of the effect on the population that they
    were drawn from; normal reference. ``m_estimation_hc2``, the default, is Σ ψ² / (1 − h) / n² with h the leverage of
    the regression: where each arm takes many coefficients, residuals are too small and ψ with them. All but
    ``m_estimation`` refer to Student's t with n − k degrees of freedom.

    Sampling weights enter the regression and x̄. A declared cluster gives the cluster-robust variance (of ψ for both
    M-estimations; with G/(G − 1) · (n − 1)/(n − k), but ``m_estimation`` with G/(G − 1)), and Student's t with G − 1
    degrees of freedom (but for ``m_estimation``). Rows with missing values have been left out or refused before.

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
    j = fit.index(TREATMENT)
    df = None if kind == "m_estimation" else reference_df(problem, fit.degrees_of_freedom)
    if kind in SAMPLED:
        std_error = _sampled(problem, adjusted, small=kind == "m_estimation_hc2")
    else:
        vcov = covariance(fit, regression_variance(problem, kind), problem.cluster)
        std_error = float(np.sqrt(vcov[j, j]))
    row = made(
        estimand, float(fit.coef[j]), std_error, df,
        variance_estimator=regression_variance(problem, kind), **counts(problem),
    )  # fmt: skip
    return Result((row,), (*_r2_by_arm(problem, fit), *dropped_columns(fit)))


def _sampled(problem: Problem, adjusted: Adjusted, small: bool) -> float:
    """The standard error from ψ; ``small``: with HC2's leverage, or Stata's factor (n − 1)/(n − k) for clusters."""
    psi, fit = influence(adjusted), adjusted.fit
    if small and problem.cluster is None:
        psi = psi / np.sqrt(room(fit))
    elif small:
        psi = psi * np.sqrt((problem.n - 1) / fit.degrees_of_freedom)
    return standard_error(psi, problem.cluster)


def fit_adjusted(problem: Problem, estimand: str) -> Adjusted:
    """The centred regression of one estimand; see `regression_adjustment`."""
    x = problem.matrix(problem.options.outcome.covariates)
    chosen = problem.products()
    products = list(range(len(x.names))) if chosen is None else list(chosen)
    share = problem.w * (problem.t if estimand == "ATT" else 1.0)
    share = share / share.mean()
    offsets = x.values[:, products] - x.values[:, products].mean(axis=0)
    # Twice, because the mean of a column of mean 1e9 has only seven digits after the point.
    offsets -= np.average(offsets, axis=0, weights=share)
    labels = tuple(product_label(x.names[i]) for i in products)
    fit = fit_with_treatment(problem, x.values, x.names, offsets * problem.t[:, None], labels)
    kept = [i for i, label in enumerate(labels) if label in fit.names]
    return Adjusted(fit, offsets[:, kept], share)


def influence(adjusted: Adjusted) -> np.ndarray:
    """Influence values of τ, the sampling of x̄ included: shape (n,)."""
    fit = adjusted.fit
    j = fit.index(TREATMENT)
    return fit.influence()[:, j] + adjusted.share * (adjusted.offsets @ fit.coef[j + 1 :])


def product_label(name: str) -> str:
    """How the product of the treatment and a column is called."""
    return f"{TREATMENT}:{name}"


def _r2_by_arm(problem: Problem, fit: LinearFit) -> tuple[Diagnostic, ...]:
    rows = []
    for arm, subject in ((0, "control"), (1, "treated")):
        inside = problem.t == arm
        y, w = problem.y[inside], problem.w[inside]
        total = float(np.sum(w * (y - np.average(y, weights=w)) ** 2))
        left = float(np.sum(w * fit.residuals[inside] ** 2))
        rows.append(Diagnostic("r2", subject, 1 - left / total if total > 0 else None))
    return tuple(rows)
