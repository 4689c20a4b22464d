"""Inverse probability weighting with normalised weights."""

from __future__ import annotations

import numpy as np

from ..balance import balance_diagnostics, standardised_differences
from ..errors import Refusal
from ..estimates import made
from ..inference import effective_sample_size, standard_error
from ..nuisance import BinaryFit
from ..problem import Problem
from ..result import Diagnostic, Result
from ..sample import check_arms, counts
from .entropy import entropy_balance


def balancing_weights(t: np.ndarray, e: np.ndarray, estimand: str) -> np.ndarray:
    """Weights that make both arms look like the population of the estimand, not normalised.

    ATE: 1/e and 1/(1 − e). ATT: 1 and e/(1 − e). ATO (the overlap population): 1 − e and e.

    Parameters
    ----------
    t : ndarray of shape (n,), values 0 and 1
    e : ndarray of shape (n,)
        Propensities; where one is exactly 0 or 1 on the wrong side the weight is infinite.
    estimand : str
        ATE, ATT or ATO.
    """
    with np.errstate(divide="ignore"):
        if estimand == "ATE":
            return np.where(t == 1, 1 / e, 1 / (1 - e))
        if estimand == "ATT":
            return np.where(t == 1, 1.0, e / (1 - e))
    return np.where(t == 1, 1 - e, e)


def weight_slopes(t: np.ndarray, e: np.ndarray, estimand: str) -> np.ndarray:
    """Derivative of `balancing_weights` in the propensity: shape (n,)."""
    with np.errstate(divide="ignore"):
        if estimand == "ATE":
            return np.where(t == 1, -1 / e**2, 1 / (1 - e) ** 2)
        if estimand == "ATT":
            return np.where(t == 1, 0.0, 1 / (1 - e) ** 2)
    return np.where(t == 1, -1.0, 1.0)


def ipw(problem: Problem, estimand: str) -> Result:
    """The effect on all units (ATE), the treated (ATT) or the units in overlap (ATO), by weighted means of each arm.

    τ = Σ ω T Y / Σ ω T − Σ ω (1 − T) Y / Σ ω (1 − T), with ω the balancing weights at the fitted propensity e(X)
    (Hájek). ``variance: stacked`` is the M-estimation sandwich of the propensity's equations and the two means
    together; ``fixed_weights`` takes ω as known: HC0 of the weighted regression of Y on T, as GEE reports. Normal
    reference; where an arm has few units Student's t, with the jackknife's size (`small_samples`).

    ``trim`` leaves out units whose propensity is outside [trim, 1 − trim] and counts them; the propensity is not
    fitted again on those kept, and the estimate is then of the kept population.

    ``method: entropy`` takes for ω the weights nearest to equal under which the propensity's covariates (with
    ``moments: 2`` their squares too) have exactly the target's means (Hainmueller 2012; `entropy`): ATE and ATT only,
    and no trimming. ``stacked`` then counts the estimation of weights and target means.

    Sampling weights multiply ω and enter the propensity's likelihood, or are the base weights of entropy balancing. A
    declared cluster sums influence values a cluster. Rows with missing values have been left out or refused before.

    Diagnostics: ``effective_sample_size`` and ``max_weight`` of ω (overall and by arm), ``weighted_smd`` of each
    column of the study's covariates, held against 0.1.

    Raises
    ------
    Refusal
        If the propensity model does not exist or reaches 0 or 1, or trimming leaves fewer than two units in an arm; for
        entropy, where no weights balance (the column is named), the ATO and trim.

    Sources
    -------
    Robins, Hernán & Brumback 2000; Lunceford & Davidian 2004; Li, Morgan & Zaslavsky 2018; Crump et al. 2009 (trim);
    Hainmueller 2012.
    """
    if problem.own("method") == "entropy":
        return _by_entropy(problem, estimand)
    fit = problem.propensity()
    keep = _kept(fit.probability, problem.own("trim"))
    check_arms(problem, keep)
    omega = weights(problem, fit, estimand, keep)
    stacked = problem.own("variance") == "stacked"
    y = problem.y - problem.y.mean()  # the difference of two means of 1e9 has seven digits left
    estimate, psi = hajek(y, problem.t, omega)
    if stacked:
        psi = psi + _propensity_part(problem, fit, estimand, omega, keep, y)
    return _result(problem, estimand, estimate, psi, omega, keep)


def _by_entropy(problem: Problem, estimand: str) -> Result:
    if problem.own("trim") > 0:
        raise Refusal("trim is a range of propensities, and entropy balancing has none", "Drop trim or the method")
    check_arms(problem)
    balanced = entropy_balance(problem, estimand, problem.own("moments"))
    y = problem.y - problem.y.mean()
    estimate, psi = balanced.effect(y, problem.t, problem.own("variance") == "stacked")
    return _result(problem, estimand, estimate, psi, balanced.omega, np.ones(problem.n, dtype=bool))


def _result(
    problem: Problem, estimand: str, estimate: float, psi: np.ndarray, omega: np.ndarray, keep: np.ndarray
) -> Result:
    """The row and the diagnostics of weights ω."""
    fields = counts(problem, keep)
    diagnostics = weight_diagnostics(problem.t[keep], omega[keep])
    fields["effective_sample_size"] = diagnostics[0].value
    variance = "cluster" if problem.cluster is not None else problem.own("variance")
    row = made(
        estimand, estimate, standard_error(psi, problem.clustering()), problem.reference_df(),
        variance_estimator=variance, n_trimmed=int((~keep).sum()), **fields,
    )  # fmt: skip
    x = problem.matrix(problem.study.covariates)
    smd = standardised_differences(x.values[keep], problem.t[keep], omega[keep])
    return Result((row,), (*diagnostics, *balance_diagnostics("weighted_smd", x.names, smd)))


def hajek(y: np.ndarray, t: np.ndarray, omega: np.ndarray) -> tuple[float, np.ndarray]:
    """Difference of the arms' weighted means, and its influence values with the weights taken as known.

    Parameters
    ----------
    y, t, omega : ndarray of shape (n,)
        A unit with weight zero is out.

    Returns
    -------
    float and ndarray of shape (n,)
    """
    estimate, psi = 0.0, np.zeros(len(y))
    for arm, sign in ((1, 1.0), (0, -1.0)):
        share = omega * (t == arm) / np.sum(omega[t == arm])
        mean = float(share @ y)
        estimate += sign * mean
        psi += sign * share * (y - mean) * len(y)
    return estimate, psi


def weight_diagnostics(t: np.ndarray, omega: np.ndarray) -> tuple[Diagnostic, ...]:
    """Kish's effective sample size and the largest weight: of all units first, then by arm."""
    groups = (("overall", np.ones(len(t), dtype=bool)), ("treated", t == 1), ("control", t == 0))
    sizes = tuple(Diagnostic("effective_sample_size", name, effective_sample_size(omega[g])) for name, g in groups)
    return sizes + tuple(Diagnostic("max_weight", name, float(omega[g].max())) for name, g in groups)


def check_trim(trim: float) -> float:
    """The option, refused where nothing could be kept."""
    if not 0 <= trim < 0.5:
        raise Refusal(f"trim is {trim:g}, and propensities cannot be kept inside it", "Give a trim from 0 to below 0.5")
    return trim


def _kept(e: np.ndarray, trim: float) -> np.ndarray:
    check_trim(trim)
    return (e >= trim) & (e <= 1 - trim)


def weights(problem: Problem, fit: BinaryFit, estimand: str, keep: np.ndarray) -> np.ndarray:
    """Balancing times sampling weights, zero for the trimmed: shape (n,).

    Raises
    ------
    Refusal
        For a weight that is not finite, or an arm without any.
    """
    raw = balancing_weights(problem.t, fit.probability, estimand)
    omega = np.where(keep, raw, 0.0) * problem.w
    if not np.isfinite(omega).all():
        reason = f"{int((~np.isfinite(omega)).sum())} propensities are 0 or 1 to the last digit"
        raise Refusal(reason, "Trim, or drop the covariate that decides the treatment")
    for arm, label in ((1, "treated"), (0, "untreated")):
        if omega[problem.t == arm].sum() <= 0:
            raise Refusal(f"every {label} unit has weight zero", "Narrow the population to where both arms occur")
    return omega


def _propensity_part(
    problem: Problem, fit: BinaryFit, estimand: str, omega: np.ndarray, keep: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """What the estimation of the propensity adds to the influence values: A' ψ_β with A = ∂τ/∂β."""
    t = problem.t
    # Only units with a weight count; elsewhere the slope may be infinite.
    slope = np.zeros(problem.n)
    slope[keep] = weight_slopes(t[keep], fit.probability[keep], estimand) * problem.w[keep]
    slope *= fit.slope()
    gradient = np.zeros(len(fit.coef))
    for arm, sign in ((1, 1.0), (0, -1.0)):
        inside = t == arm
        total = omega[inside].sum()
        mean = float(omega[inside] @ y[inside]) / total
        gradient += sign * fit.basis.z[inside].T @ (slope[inside] * (y[inside] - mean)) / total
    return fit.standard_influence(t, problem.weights) @ gradient
