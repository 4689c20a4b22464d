"""Nearest-neighbour matching on the propensity score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..balance import balance_diagnostics, standardised_differences
from ..clusters import Clustering
from ..errors import Refusal
from ..estimates import made
from ..inference import effective_sample_size, standard_error
from ..linear import fit_ols
from ..problem import Problem
from ..result import Diagnostic, Result
from ..sample import check_arms
from ..small_samples import scaled
from .estimated_score import neighbourhood
from .ipw import weight_diagnostics
from .matching import FLAT, Matches, with_replacement, without_replacement


@dataclass(frozen=True)
class Contrast:
    """Matched differences of one outcome.

    Attributes
    ----------
    effect : float
        Mean matched difference, in units of the outcome.
    std_error : float
    """

    effect: float
    std_error: float


def psm(problem: Problem, estimand: str) -> Result:
    """ATT or ATE: mean difference between each unit and its nearest neighbours on the propensity in the other arm.

    τ = Σ_i m_i (2W_i − 1)(Y_i − J_i⁻¹ Σ_{l∈J(i)} Y_l) / Σ m_i, over the treated (ATT) or all units (ATE); m_i is 0 for
    units without a match. J(i) holds the M nearest units of the other arm on the estimated propensity and all that tie
    with the M-th. With ``bias_adjustment`` Y is first taken from its least-squares prediction on the covariates of the
    propensity model in the matched donors' arm (Abadie & Imbens 2011).

    Parameters
    ----------
    problem : Problem
        Options: ``neighbours`` (M), ``caliper`` (sd of the propensity), ``replace``, ``tie_tolerance``,
        ``bias_adjustment``, ``variance``.
    estimand : str
        ATT or ATE.

    Returns
    -------
    Result
        Standard error of Abadie & Imbens (2016), which knows that the propensity is estimated; each unit's variance is
        that of the two nearest of its arm (``variance: estimated_propensity``, as Stata's teffects psmatch). With
        ``variance: abadie_imbens`` that of 2006 with one σ² for all units, taken from the matched differences as R's
        Matching does by default: it takes the propensity as known and the covariates' share of the outcome for noise,
        so it is too wide as a rule. ``variance_estimator`` tells which was used (see Notes). ``n_units`` counts the
        units in the matched contrast, ``n_trimmed`` those without a match. Diagnostics: ``matched_smd`` a covariate
        (threshold 0.1), ``effective_sample_size`` and ``max_weight`` of the matched weights.

    Raises
    ------
    Refusal
        The outcome never varies; an arm has fewer than two units, or than ``neighbours``; fewer than two units find a
        match; the ATE without replacement; the
        propensity or the bias-adjusting regression cannot be fitted.

    Notes
    -----
    The variance of 2016 is that of matching with replacement where all are matched. Without replacement, with
    ``bias_adjustment``, where a caliper leaves units out, and where nothing remains of the variance once the estimated
    propensity's part is taken off, the error is that of 2006.

    Weights are not supported (the estimator refuses such studies). A declared cluster gives the cluster-robust error of
    the matched sample with the matches taken as known (`clustered_error`). Rows with missing values are left out
    before. Without replacement, later units may find no good match: read ``matched_smd``.

    References
    ----------
    Rosenbaum & Rubin (1983), Biometrika 70; Abadie & Imbens (2006), Econometrica 74; Abadie & Imbens (2011), JBES 29;
    Abadie & Imbens (2016), Econometrica 84.
    """
    check_arms(problem)
    sides = _sides(problem, estimand)
    y = problem.y
    outcome = {arm: _adjusted(problem, m) if problem.own("bias_adjustment") else y for arm, m in sides.items()}
    contrast = matched_contrast(outcome, sides, problem.n)
    weights = _weights(sides, problem.n)
    inside = weights > 0
    std_error, variance_estimator = _error(problem, estimand, outcome, sides, contrast)
    std_error = scaled(problem, std_error)
    row = made(
        estimand,
        contrast.effect,
        std_error,
        problem.reference_df(),
        n_clusters=problem.n_clusters,
        n_units=int(inside.sum()),
        n_treated=int(problem.t[inside].sum()),
        n_trimmed=sum(m.unmatched for m in sides.values()),
        effective_sample_size=effective_sample_size(weights),
        variance_estimator=variance_estimator,
    )
    return Result((row,), _diagnostics(problem, weights, estimand))


def matching_weights(problem: Problem, estimand: str) -> np.ndarray:
    """Weight of each unit in the matched contrast: shape (n,).

    Means of the outcome by arm with these weights differ by the estimate without bias adjustment. ATT: 1 for a matched
    treated unit, Σ 1/J for a control (its shares in the matches). ATE: 1 for a matched unit plus its shares.

    Raises
    ------
    Refusal
        See `psm`.
    """
    return _weights(_sides(problem, estimand), problem.n)


def matched_contrast(outcome: dict[int, np.ndarray], sides: dict[int, Matches], n: int) -> Contrast:
    """Mean matched difference and its standard error (Abadie & Imbens 2006, theorem 7 with one σ²).

    V = [Σ m_i (τ_i − τ)² + σ² Σ (K_i² + 2 m_i K_i − K'_i)] / (Σ m_i)², where τ_i is a unit's matched difference, K_i
    its shares as a match and K'_i the sum of their squares; σ² is half the mean squared deviation from τ of a unit's
    differences to its single matches. For the ATT a unit is either matched or a donor: the middle term is zero.

    Parameters
    ----------
    outcome : dict of arm to ndarray of shape (n,)
        The outcome that the matches of this arm's units compare.
    sides : dict of arm to Matches
        Key 1: treated units and their controls; key 0: controls and their treated.
    n : int
        All units.
    """
    effects, spreads = [], []
    for arm, m in sides.items():
        y = outcome[arm] - outcome[arm].mean()
        centre = m.mean(y)
        effects.append((2 * arm - 1) * (y[m.target] - centre))
        spreads.append(np.maximum(m.mean(y**2) - centre**2, 0.0))
    each = np.concatenate(effects)
    effect = float(each.mean())
    squared = (each - effect) ** 2
    sigma2 = 0.5 * float(np.mean(squared + np.concatenate(spreads)))
    variance = squared.sum() + sigma2 * float(np.sum(_reuse(sides, n)))
    return Contrast(effect, float(np.sqrt(variance)) / len(each))


def _reuse(sides: dict[int, Matches], n: int) -> np.ndarray:
    """K² + 2 m K − K' of each unit, what its variance counts besides the matched differences: shape (n,)."""
    matched, shares, squares = np.zeros(n), np.zeros(n), np.zeros(n)
    for m in sides.values():
        matched[m.target] = 1.0
        shares += m.used(n)
        squares += m.used(n, 2)
    return shares**2 + 2 * matched * shares - squares


def _error(
    problem: Problem, estimand: str, outcome: dict[int, np.ndarray], sides: dict[int, Matches], contrast: Contrast
) -> tuple[float, str]:
    """Standard error, and the name of the variance that it is of."""
    clusters = problem.clustering()
    if clusters is not None:
        return clustered_error(outcome, sides, clusters), "cluster"
    if knows_estimation(problem.options.own, sum(m.unmatched for m in sides.values())):
        variance = _estimated_variance(problem, estimand, sides, contrast.effect)
        if variance > 0:
            return float(np.sqrt(variance)) / sum(len(m.target) for m in sides.values()), "estimated_propensity"
    return contrast.std_error, "abadie_imbens"


def knows_estimation(own: Mapping[str, Any], unmatched: float) -> bool:
    """Whether the variance of Abadie & Imbens (2016) is asked for, and holds of this matching."""
    wanted = own["variance"] == "estimated_propensity"
    return wanted and own["replace"] and not own["bias_adjustment"] and unmatched == 0


def _estimated_variance(problem: Problem, estimand: str, sides: dict[int, Matches], effect: float) -> float:
    """Σ m_i (τ_i − τ)² + Σ σ²_i (K_i² + 2 m_i K_i − K'_i), less what the estimated propensity takes off."""
    fit, scale = problem.propensity(), float(problem.y.std())
    if scale == 0:  # an outcome so small that its squares vanish
        return 0.0
    y = (problem.y - problem.y.mean()) / scale
    key = ("neighbourhood", problem.options.propensity)
    if key not in problem.cache:
        e = fit.probability
        problem.cache[key] = neighbourhood(_score(problem), e, fit.link, problem.t, y, fit.basis.z)
    near, effect = problem.cache[key], effect / scale
    squared = sum(float(np.sum(((2 * a - 1) * (y[m.target] - m.mean(y)) - effect) ** 2)) for a, m in sides.items())
    spread = float(near.variance @ _reuse(sides, problem.n))
    return (squared + spread - near.tilt.taken(estimand, effect)) * scale**2


def clustered_error(outcome: dict[int, np.ndarray], sides: dict[int, Matches], cluster: Clustering) -> float:
    """Cluster-robust standard error of the matched contrast, the matches taken as known.

    A unit counts as Σ (2W − 1) (1{matched} + K) (Y − mean of its side), added up by cluster and jackknifed: the
    error of the weighted difference in means that `matching_weights` make. It leaves the covariates' share in the
    outcome in, so it is conservative (Abadie & Spiess 2022).

    Parameters
    ----------
    outcome, sides
        As in `matched_contrast`.
    cluster : Clustering
        Of the n units.
    """
    n = len(cluster.codes)
    psi, matched = np.zeros(n), 0
    for arm, m in sides.items():
        y, used = outcome[arm], m.used(n)
        own = np.zeros(n)
        own[m.target] = y[m.target] - y[m.target].mean()
        psi += (2 * arm - 1) * (own - used * (y - used @ y / used.sum()))
        matched += len(m.target)
    return standard_error(psi * n / matched, cluster)


def _sides(problem: Problem, estimand: str) -> dict[int, Matches]:
    """The matches of each arm whose units the estimand averages over."""
    neighbours, caliper = problem.own("neighbours"), problem.own("caliper")
    replace, tie = problem.own("replace"), problem.own("tie_tolerance")
    check_options(neighbours, caliper, tie)
    if estimand == "ATE" and not replace:
        raise Refusal("the ATE needs matching with replacement: each arm serves the other", "Set `replace: true`")
    score = _score(problem)
    rows = {arm: np.flatnonzero(problem.t == arm) for arm in (0, 1)}
    sides: dict[int, Matches] = {}
    for arm in (1,) if estimand == "ATT" else (1, 0):
        target, donor = rows[arm], rows[1 - arm]
        if len(donor) < neighbours:
            raise Refusal(f"{neighbours} neighbours are asked of {len(donor)} units", "Ask for fewer `neighbours`")
        if replace:
            sides[arm] = with_replacement(score, target, donor, neighbours, caliper, tie)
        else:
            sides[arm] = without_replacement(score, target, donor, neighbours, caliper)
        if len(sides[arm].target) < 2:
            raise Refusal(
                f"only {len(sides[arm].target)} of {len(target)} units with treatment {arm} find a match",
                "Widen the caliper or choose comparable units",
            )
    return sides


def _score(problem: Problem) -> np.ndarray:
    """The propensity in standard deviations; zeros where it is flat: shape (n,)."""
    e = problem.propensity().probability
    spread = float(e.std(ddof=1))
    return e / spread if spread > FLAT else np.zeros(problem.n)


def check_options(neighbours: int, caliper: float | None, tie: float) -> None:
    """Refuse numbers that mean nothing."""
    if neighbours < 1:
        raise Refusal(f"neighbours must be at least 1, not {neighbours}", "Mend options: psm")
    if caliper is not None and caliper <= 0:
        raise Refusal(f"the caliper must be positive, not {caliper:g}", "Mend options: psm")
    if tie < 0:
        raise Refusal(f"tie_tolerance cannot be negative: {tie:g}", "Mend options: psm")


def _weights(sides: dict[int, Matches], n: int) -> np.ndarray:
    weights = np.zeros(n)
    for m in sides.values():
        weights[m.target] += 1.0
        weights += m.used(n)
    return weights


def _adjusted(problem: Problem, m: Matches) -> np.ndarray:
    """Outcome less its prediction from the donors' arm, each donor counted as often as it is used: shape (n,)."""
    x = problem.matrix(problem.options.propensity.covariates)
    used = m.used(problem.n)
    rows = np.flatnonzero(used > 0)
    try:
        fit = fit_ols(problem.y[rows], x.values[rows], x.names, used[rows])
    except ValueError as few:
        raise Refusal(f"the bias adjustment cannot be fitted: {few}", "Use fewer covariates or neighbours") from None
    kept = [x.names.index(name) for name in fit.names[1:]]
    # The level goes first: a prediction of 1e9 would round the difference.
    return (problem.y - fit.start) - (x.values[:, kept] - fit.basis.shift) @ fit.coef[1:]


def _diagnostics(problem: Problem, weights: np.ndarray, estimand: str) -> tuple[Diagnostic, ...]:
    x = problem.matrix(problem.study.covariates)
    smd = standardised_differences(x.values, problem.t, weights)
    return (*weight_diagnostics(problem.t, weights), *balance_diagnostics("matched_smd", x.names, smd))
