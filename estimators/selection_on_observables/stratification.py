"""Stratification on the propensity score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..balance import balance_diagnostics, standardised_differences
from ..clusters import Clustering
from ..errors import Refusal
from ..estimates import made
from ..inference import effective_sample_size
from ..leverage import inflation
from ..linear import LinearFit, fit_ols, leverage
from ..problem import Problem
from ..result import Diagnostic, Result
from ..sample import check_arms, counts
from .ipw import weight_diagnostics

# Units with the same covariates can differ in the last digits of their fitted propensity.
SAME = 1e-10
NOTHING_BESIDE = "their units have nothing to be compared with"
NARROWER = "Use fewer strata or a narrower population"


@dataclass(frozen=True)
class Stratified:
    """An effect averaged over strata.

    Attributes
    ----------
    effect : float
    errors : ndarray of shape (n,)
        What each unit adds to the effect's error, shares taken as given.
    effects : ndarray of shape (S,)
        A stratum each.
    """

    effect: float
    errors: np.ndarray
    effects: np.ndarray


def stratification(problem: Problem, estimand: str) -> Result:
    """ATE or ATT: average over propensity strata of the difference between the arms' means within a stratum.

    τ = Σ_s q_s (Ȳ_1s − Ȳ_0s), with q_s the stratum's share of all units (ATE) or of the treated (ATT). With
    ``adjustment: regression`` the difference is the treatment's coefficient in the stratum's least squares on the
    covariates of the propensity model.

    Parameters
    ----------
    problem : Problem
        Options: ``strata`` (how many), ``adjustment`` and ``variance``.
    estimand : str
        ATE (strata are quantiles of the propensity over all units) or ATT (over the treated).

    Returns
    -------
    Result
        Variance Σ q_s² V_s + Σ q_s (τ_s − τ)² / n. The first sum takes the shares as given (``variance:
        within_stratum`` has it alone): V_s = s²_1s/n_1s + s²_0s/n_0s, which is HC2 of the stratum's regression (and is,
        with the adjustment). The second is the sampling of the shares, n the units (ATE) or the treated (ATT). The
        cutpoints are taken as given. A declared cluster gives the cluster variance, of both or of the first alone, with
        G/(G − 1). Diagnostics: ``weighted_smd`` a covariate (threshold 0.1), ``stratum_smd`` (the covariates'
        largest in a stratum), ``stratum_units`` and ``stratum_treated`` of ``stratum=1`` …, ``effective_sample_size``.

    Raises
    ------
    Refusal
        The outcome never varies; there is one cluster; a stratum lacks an arm or has but one unit of it (no variance);
        a stratum's regression cannot be fitted.

    Notes
    -----
    Sampling weights are not supported (the estimator refuses such studies). Rows with missing values are left out
    before.

    References
    ----------
    Cochran (1968), Biometrics 24; Rosenbaum & Rubin (1984), JASA 79; Lunceford & Davidian (2004), Stat. Med. 23.
    """
    check_arms(problem)
    t, strata = problem.t, strata_of(problem, estimand)
    weights = stratum_weights(t, strata, estimand)
    _check_arms(t, strata, 2, "no variance within a stratum can be had")
    x = problem.matrix(problem.options.propensity.covariates)
    adjusted = problem.own("adjustment") == "regression"
    inside = x.values if adjusted else np.empty((problem.n, 0))
    names = x.names if adjusted else ()
    shares = stratum_shares(t, strata, estimand)
    got, variance = stratified(problem.y, t, inside, names, strata, shares), problem.own("variance")
    of_shares = share_errors(got, t, strata, estimand) if variance == "with_shares" else np.zeros(problem.n)
    fields = counts(problem) | {"n_trimmed": 0, "effective_sample_size": effective_sample_size(weights)}
    fields["variance_estimator"] = variance if problem.cluster is None else "cluster"
    std_error = _standard_error(got.errors, of_shares, problem.clustering())
    row = made(estimand, got.effect, std_error, problem.reference_df(), **fields)
    return Result((row,), _diagnostics(problem, strata, weights, estimand))


def strata_of(problem: Problem, estimand: str = "ATE") -> np.ndarray:
    """Stratum of each unit, 1, 2, …: intervals between quantiles of the propensity, closed below; shape (n,), int64.

    Quantiles (linear interpolation, Hyndman & Fan's type 7) are those of all units, or of the treated for the ATT, so
    that each stratum holds the same share of the population that the estimand is about. Units beyond the outermost
    treated ones belong to the outermost strata. Equal quantiles are one, so there may be fewer strata than asked for.
    """
    number = problem.own("strata")
    if number < 1:
        raise Refusal(f"strata must be at least 1, not {number}", "Mend options: stratification")
    e = problem.propensity().probability
    inner = np.quantile(e[problem.t == 1] if estimand == "ATT" else e, np.arange(1, number) / number)
    place = np.searchsorted(inner, e + SAME, side="right")
    return np.unique(place, return_inverse=True)[1].astype(np.int64) + 1


def stratum_shares(t: np.ndarray, strata: np.ndarray, estimand: str) -> np.ndarray:
    """q_s: share of all units (ATE) or of the treated (ATT) in each stratum: shape (S,)."""
    count = np.bincount(strata, weights=t if estimand == "ATT" else None)[1:].astype(float)
    return count / count.sum()


def stratum_weights(t: np.ndarray, strata: np.ndarray, estimand: str) -> np.ndarray:
    """Weight of each unit so that the arms' weighted means differ by the stratified effect: shape (n,).

    ATE: n_s / n_as of a unit of arm a in stratum s. ATT: 1 for the treated, n_1s / n_0s for controls.

    Parameters
    ----------
    t : ndarray of shape (n,), values 0 and 1
    strata : ndarray of shape (n,), values 1 … S
    estimand : str
        ATE or ATT.

    Raises
    ------
    Refusal
        A stratum lacks an arm; the reason names the strata.
    """
    _check_arms(t, strata, 1, NOTHING_BESIDE)
    n1, n0 = np.bincount(strata, weights=t), np.bincount(strata, weights=1 - t)
    n1, n0 = n1[strata], n0[strata]
    if estimand == "ATT":
        return np.where(t == 1, 1.0, n1 / n0)
    return (n1 + n0) / np.where(t == 1, n1, n0)


def stratified(
    y: np.ndarray, t: np.ndarray, x: np.ndarray, names: tuple[str, ...], strata: np.ndarray, shares: np.ndarray
) -> Stratified:
    """Treatment coefficients of one regression a stratum on (1, t, x), averaged with ``shares``.

    ``errors`` are q_s times the unit's term of the coefficient, (X'X)⁻¹ x_i e_i / √(1 − h_i): their squares add up to
    the HC2 variance, Σ q_s² V_s, and with no columns in x that is s²_1/n_1 + s²_0/n_0.
    """
    effects, errors = np.zeros(len(shares)), np.zeros(len(y))
    for s, share in enumerate(shares, start=1):
        rows = strata == s
        fit = _fit(y[rows], np.column_stack([t[rows], x[rows]]), ("(t)", *names), s)
        effects[s - 1] = fit.coef[1]
        errors[rows] = share * fit.projection()[:, 1] * fit.residuals * inflation(leverage(fit), "HC2")
    return Stratified(float(shares @ effects), errors, effects)


def share_errors(got: Stratified, t: np.ndarray, strata: np.ndarray, estimand: str) -> np.ndarray:
    """What each unit adds to the error through the strata's shares: (τ_s − τ) / n, for the ATT of the treated alone.

    Their squares add up to Σ q_s (τ_s − τ)² / n. Within a stratum they do not vary with the outcome, so they are
    uncorrelated with `Stratified.errors`.
    """
    counted = t if estimand == "ATT" else np.ones(len(t))
    return counted * (got.effects - got.effect)[strata - 1] / counted.sum()


def _fit(y: np.ndarray, x: np.ndarray, names: tuple[str, ...], stratum: int) -> LinearFit:
    try:
        return fit_ols(y, x, names)
    except ValueError as few:
        raise Refusal(f"stratum {stratum} cannot be regressed: {few}", "Use fewer strata or covariates") from None


def _standard_error(errors: np.ndarray, of_shares: np.ndarray, cluster: Clustering | None) -> float:
    if cluster is None:
        return float(np.sqrt(np.sum(errors**2) + np.sum(of_shares**2)))
    return float(np.sqrt(np.sum(cluster.sums(errors + of_shares) ** 2)))


def _check_arms(t: np.ndarray, strata: np.ndarray, least: int, why: str) -> None:
    """Refuse where a stratum has fewer than ``least`` units of an arm."""
    poor = []
    for s in range(1, int(strata.max()) + 1):
        n, n1 = int(np.sum(strata == s)), int(t[strata == s].sum())
        if min(n1, n - n1) < least:
            poor.append(f"stratum {s} has {n1} treated and {n - n1} untreated")
    if poor:
        raise Refusal(f"{'; '.join(poor)}: {why}", NARROWER)


def _diagnostics(problem: Problem, strata: np.ndarray, weights: np.ndarray, estimand: str) -> tuple[Diagnostic, ...]:
    t, x = problem.t, problem.matrix(problem.study.covariates)
    smd = standardised_differences(x.values, t, weights)
    rows = [*weight_diagnostics(t, weights), *balance_diagnostics("weighted_smd", x.names, smd)]
    centred = x.values - x.values.mean(axis=0)
    for s in range(1, int(strata.max()) + 1):
        rows += _stratum_diagnostics(f"stratum={s}", centred, t, strata == s)
    return tuple(rows)


def _stratum_diagnostics(subject: str, x: np.ndarray, t: np.ndarray, inside: np.ndarray) -> list[Diagnostic]:
    """Size and balance of one stratum; its differences are measured in the whole sample's standard deviations."""
    v = (x[t == 1].var(axis=0, ddof=1) + x[t == 0].var(axis=0, ddof=1)) / 2
    gap = x[inside & (t == 1)].mean(axis=0) - x[inside & (t == 0)].mean(axis=0)
    largest = float(np.max(np.abs(gap[v > 0]) / np.sqrt(v[v > 0]), initial=0.0))
    return [
        Diagnostic("stratum_smd", subject, largest),
        Diagnostic("stratum_units", subject, float(inside.sum())),
        Diagnostic("stratum_treated", subject, float(t[inside].sum())),
    ]
