"""Regression adjustment with inverse probability weights: doubly robust by weighting the arms' regressions."""

from __future__ import annotations

import numpy as np

from ..balance import balance_diagnostics, standardised_differences
from ..errors import Refusal
from ..estimates import made
from ..inference import standard_error
from ..linear import LinearFit, fit_ols
from ..nuisance import BinaryFit
from ..problem import Problem
from ..result import Result
from ..sample import check_arms, counts
from .ipw import weight_diagnostics, weight_slopes, weights


def ipwra(problem: Problem, estimand: str) -> Result:
    """The effect on all units (ATE) or the treated (ATT): the mean of x'β₁ − x'β₀, by weighted least squares an arm.

    β_a minimises Σ_{T = a} w ω (Y − x'β)², with ω = 1/e and 1/(1 − e) (ATE) or 1 and e/(1 − e) (ATT) at the fitted
    propensity e(X); the mean is over all units or the treated. Right if the propensity or the outcome model is. All
    models are fitted on all rows, without cross-fitting.

    ``variance: stacked`` is the M-estimation sandwich of the propensity's equations, both regressions and the mean;
    ``fixed_weights`` takes ω as known. Normal reference; where an arm has few units Student's t, with the jackknife's
    size, a degree of freedom off for each column (`small_samples`).

    Sampling weights w enter the propensity's likelihood, the regressions and the mean. A declared cluster sums
    influence values a cluster. Rows with missing values have been left out or refused before.

    Diagnostics: ``effective_sample_size`` and ``max_weight`` of ω, ``weighted_smd`` of the study's covariates.

    Raises
    ------
    Refusal
        If the propensity model does not exist or reaches 0 or 1, an arm has too few units for its regression, or the
        outcome model declares interactions other than ``all``.

    Sources
    -------
    Wooldridge 2007; Robins, Sued, Lei-Gomez & Rotnitzky 2007 (the doubly robust regression with weights).
    """
    if problem.options.outcome.interactions != "all":
        raise Refusal("weighted regression adjustment fits each arm by itself", "Declare outcome `interactions: all`")
    check_arms(problem)
    fit, t = problem.propensity(), problem.t
    omega = weights(problem, fit, estimand, np.ones(problem.n, dtype=bool))
    estimate, psi = _effect(problem, fit, omega, estimand)
    diagnostics = weight_diagnostics(t, omega)
    fields = counts(problem) | {"effective_sample_size": diagnostics[0].value}
    variance = "cluster" if problem.cluster is not None else problem.own("variance")
    std_error, df = standard_error(psi, problem.clustering()), problem.reference_df()
    row = made(estimand, estimate, std_error, df, variance_estimator=variance, **fields)
    x = problem.matrix(problem.study.covariates)
    smd = standardised_differences(x.values, t, omega)
    return Result((row,), (*diagnostics, *balance_diagnostics("weighted_smd", x.names, smd)))


def _effect(problem: Problem, fit: BinaryFit, omega: np.ndarray, estimand: str) -> tuple[float, np.ndarray]:
    """The mean difference of predictions, and its influence values of shape (n,)."""
    n, t, w = problem.n, problem.t, problem.w
    y = problem.y - problem.y.mean()  # the difference of two means of 1e9 has seven digits left
    share = w * (t if estimand == "ATT" else 1.0)
    share = share / share.sum()
    slope = np.where(w > 0, weight_slopes(t, fit.probability, estimand) * w * fit.slope(), 0.0)
    gap, psi, gradient = np.zeros(n), np.zeros(n), np.zeros(len(fit.coef))
    for arm, sign in ((1, 1.0), (0, -1.0)):
        own = _arm(problem, y, omega, arm)
        z = _basis(problem, own)
        gap += sign * (z @ _coefficients(own))
        # What a unit's residual adds to the mean prediction, a unit of weight.
        pull = np.where(t == arm, (z @ (own.inverse @ (share @ z))) * (y - z @ _coefficients(own)), 0.0)
        psi += sign * n * omega * pull
        gradient += sign * fit.basis.z.T @ (slope * pull)
    estimate = float(share @ gap)
    psi += n * share * (gap - estimate)
    if problem.own("variance") == "stacked":
        psi += fit.standard_influence(t, problem.weights) @ gradient
    return estimate, psi


def _arm(problem: Problem, y: np.ndarray, omega: np.ndarray, arm: int) -> LinearFit:
    x = problem.matrix(problem.options.outcome.covariates)
    rows = (problem.t == arm) & (omega > 0)
    try:
        return fit_ols(y[rows], x.values[rows], x.names, omega[rows])
    except ValueError as few:
        raise Refusal(f"the outcome regression cannot be fitted: {few}", "Use fewer covariates") from None


def _basis(problem: Problem, fit: LinearFit) -> np.ndarray:
    """All units in the basis of an arm's fit: shape (n, k)."""
    x = problem.matrix(problem.options.outcome.covariates)
    kept = [x.names.index(name) for name in fit.names[1:]]
    return np.column_stack([np.ones(problem.n), (x.values[:, kept] - fit.basis.shift) / fit.basis.scale])


def _coefficients(fit: LinearFit) -> np.ndarray:
    """Coefficients on the basis: shape (k,)."""
    return np.concatenate([[fit.start], fit.coef[1:] * fit.basis.scale])
