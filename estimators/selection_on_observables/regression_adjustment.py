"""Regression adjustment: the outcome regression, read at the average unit of the population."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..estimates import made
from ..few_clusters import combined_df, effective_number, is_many, of_rows
from ..inference import cluster_sums, standard_error
from ..leverage import inflation
from ..linear import (
    Error,
    LinearFit,
    coefficient_error,
    leverage,
    stata_factor,
    unit_df,
    whitened,
    whitened_contrast,
)
from ..problem import Problem
from ..result import Diagnostic, Result
from ..sample import check_arms, counts, regression_variance
from .ols import TREATMENT, dropped_columns, fit_with_treatment

# Variances that count the sampling of the covariates' mean.
SAMPLED = ("m_estimation", "m_estimation_hc2", "m_estimation_cr1")


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
    were drawn from; normal reference. ``m_estimation_hc2``, the default, is Σ (ψ_τ / √(1 − h) + √(n/(n−1)) (…)'γ)² / n²
    with h the leverage of the regression: where each arm takes many coefficients, residuals are too small and ψ_τ with
    them; what x̄ adds is no residual and is not inflated, so that a unit of leverage one, which is fitted exactly, adds
    that alone. Student's t has Bell & McCaffrey's degrees of freedom for ψ_τ and n − 1 for x̄, combined by
    Satterthwaite's formula; HC2 and HC3 those of Bell & McCaffrey, the others n − k.

    Sampling weights enter the regression and x̄. A declared cluster gives CR2 (of ψ_τ, with what x̄ adds beside it, for
    ``m_estimation_hc2``) with degrees of freedom made likewise. ``CR1`` and ``m_estimation_cr1`` (with the sampling of
    x̄) are the sums a cluster with G/(G − 1) · (n − 1)/(n − k) and G − 1 degrees of freedom; ``m_estimation`` has
    G/(G − 1) and the normal reference. Rows with missing values have been left out or refused before.

    Raises
    ------
    Refusal
        If an arm has fewer than two units, rows do not suffice for the columns, or (``not_identified``) the covariates
        explain the treatment.

    Sources
    -------
    Lin 2013; Heckman, Ichimura & Todd 1998; Stefanski & Boos 2002; Bell & McCaffrey 2002; Imbens & Kolesár 2016.
    """
    check_arms(problem)
    adjusted = fit_adjusted(problem, estimand)
    fit, kind = adjusted.fit, problem.own("variance")
    j = fit.index(TREATMENT)
    if kind in SAMPLED:
        error = sampled(problem, adjusted, kind)
    else:
        error = coefficient_error(fit, j, regression_variance(problem, kind), problem.cluster)
    row = made(
        estimand, float(fit.coef[j]), error.std_error, error.df, variance_estimator=error.kind, **counts(problem)
    )
    return Result((row,), (*_r2_by_arm(problem, fit), *dropped_columns(fit)))


def sampled(problem: Problem, adjusted: Adjusted, kind: str) -> Error:
    """The standard error that counts the sampling of x̄; see `regression_adjustment`."""
    own, fit, n = regression_variance(problem, kind), adjusted.fit, problem.n
    if kind == "m_estimation":
        return Error(standard_error(influence(adjusted), problem.cluster), None, own if own == kind else "CR1")
    j, added = fit.index(TREATMENT), _of_means(adjusted) / n
    if own == "m_estimation_hc2":
        errors = fit.influence()[:, j] / n * inflation(leverage(fit), "HC2")
        added = added * np.sqrt(n / (n - 1))
        parts = np.array([np.sum(errors**2), np.sum(added**2)])
        df = unit_df(fit, whitened_contrast(fit, j), "HC2")[0]
        if df != fit.degrees_of_freedom:  # which it is where units are many
            df = combined_df(parts, np.array([df, n - 1.0]))
        return Error(float(np.sqrt(np.sum((errors + added) ** 2))), df, own)
    assert problem.cluster is not None
    q, contrast = whitened(fit), whitened_contrast(fit, j)
    shares = cluster_sums((q @ contrast[0]) ** 2, problem.cluster)
    groups = len(shares)
    if kind == "m_estimation_cr1" or is_many(float(effective_number(shares)), len(fit.coef)):
        psi = influence(adjusted) * np.sqrt(stata_factor(groups, n, len(fit.coef)) * (groups - 1) / groups)
        return Error(standard_error(psi, problem.cluster), groups - 1.0, "CR1")
    added = added * np.sqrt(groups / (groups - 1))
    found = of_rows(q, np.sqrt(fit.weights) * fit.residuals, problem.cluster, contrast, added[:, None])
    df = combined_df(found.apart[0], np.array([found.df()[0], groups - 1.0]))
    return Error(float(np.sqrt(found.squares[0])), df, "CR2")


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
    return fit.influence()[:, j] + _of_means(adjusted)


def _of_means(adjusted: Adjusted) -> np.ndarray:
    """What the sampling of x̄ adds to the influence values: (w t-share) (X − x̄)'γ, of shape (n,)."""
    return adjusted.share * (adjusted.offsets @ adjusted.fit.coef[adjusted.fit.index(TREATMENT) + 1 :])


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
