"""Augmented inverse probability weighting: a doubly robust score a unit, and their mean."""

from __future__ import annotations

from functools import partial

import numpy as np

from ..errors import Refusal
from ..estimates import made
from ..inference import effective_sample_size, standard_error
from ..problem import Problem
from ..repeated import over_splits
from ..result import Diagnostic, Result
from ..sample import check_arms, counts
from ..small_samples import check_folds, models_of
from .ipw import balancing_weights
from .policy_values import policy_values


def scores(problem: Problem, estimand: str, repeat: int = 0) -> np.ndarray:
    """Doubly robust scores, whose mean (weighted by the sampling weights) is the estimate: shape (n,).

    ATE: μ₁ − μ₀ + T (Y − μ₁)/e − (1 − T)(Y − μ₀)/(1 − e).
    ATT: (T − (1 − T) e/(1 − e)) (Y − μ₀) / P(T = 1).

    μ and e are cross-fitted (``options.folds``; 1 means fitted on all rows) and e is held inside [clip, 1 − clip]. The
    mean of the ATE's score over any group of units estimates that group's effect; the ATT's only over all units.
    ``repeat`` numbers the split.
    """
    nuisances, e = problem.nuisances(repeat), clipped(problem, repeat)
    t, y = problem.t, problem.y
    if estimand == "ATT":
        return (t - (1 - t) * e / (1 - e)) * (y - nuisances.mu0) / _treated_share(problem)
    mu0, mu1 = nuisances.mu0, nuisances.mu1
    return mu1 - mu0 + t * (y - mu1) / e - (1 - t) * (y - mu0) / (1 - e)


def clipped(problem: Problem, repeat: int = 0) -> np.ndarray:
    """Cross-fitted propensities held inside [clip, 1 − clip]: shape (n,)."""
    clip = check_clip(problem.own("clip"))
    return np.clip(problem.nuisances(repeat).propensity, clip, 1 - clip)


def check_clip(clip: float) -> float:
    """The option, refused where nothing could be held."""
    if not 0 <= clip < 0.5:
        raise Refusal(f"clip is {clip:g}, and propensities cannot be held inside it", "Give a clip from 0 to below 0.5")
    return clip


def ope(problem: Problem, estimand: str) -> Result:
    """The effect on all units (ATE) or on the treated (ATT), right if either the propensity or the outcome model is.

    τ = mean of the scores s (see `scores`), with influence values s − τ (ATE) or s − τ T / P(T = 1) (ATT); the latter
    count the estimation of P(T = 1). That the nuisances were estimated does not enter: with both models right it has no
    first-order effect (Neyman orthogonality). The reference is the normal, with a
    declared cluster or few units in an arm Student's t (`clusters.Arms.df_of`, `small_samples`). The estimand
    ``policy_value`` is what outcomes would be on average if all, nobody, or those who are predicted to gain
    enough were treated: see `policy_values`.

    Option ``learner``: of propensity and outcome regressions, see `estimators.learned`; with a learned one propensities
    are of the odds and each arm has its own regression. Several splits into folds (``repeats``; of learned nuisances 3
    to 5 by default) give the median of their estimates: see `estimators.repeated`. Diagnostics are of the first.

    Sampling weights enter both models and the mean. A declared cluster assigns clusters to folds and sums influence
    values a cluster. Rows with missing values have been left out or refused before.

    Diagnostics: ``propensity_range`` (min and max before clipping), ``clipped`` (units whose propensity was moved),
    ``effective_sample_size`` of the balancing weights, overall and by arm; ``split_spread`` where there are splits.

    Raises
    ------
    Refusal
        If a propensity or outcome model cannot be fitted in a fold, an arm has fewer than two units, or clip: 0 leaves
        a propensity of 0 or 1; for a learned nuisance without cross-fitting or with too few rows; ``not_identified``
        where a small arm has fewer than five units a parameter outside a fold (`small_samples.check_folds`).

    Sources
    -------
    Robins, Rotnitzky & Zhao 1994; Chernozhukov et al. 2018, sections 3.4, 5.1 and 5.2.
    """
    check_arms(problem)
    problem.nuisances()  # which refuses with the plainer reason
    check_folds(problem, max(len(problem.matrix(model).names) for model in models_of(problem)))
    if estimand == "policy_value":
        return policy_values(problem, partial(clipped, problem))
    splits = over_splits(problem, lambda r: _of_split(problem, estimand, r), problem.options.learner != "linear")
    diagnostics = _diagnostics(problem, estimand)
    fields = counts(problem) | {"effective_sample_size": diagnostics[0].value}
    variance = "cluster" if problem.cluster is not None else "influence_function"
    row = made(
        estimand, float(splits.estimate[0]), float(splits.std_error[0]), problem.reference_df(),
        variance_estimator=variance, **fields,
    )  # fmt: skip
    return Result((row,), (*diagnostics, *splits.diagnostics()))


def _of_split(problem: Problem, estimand: str, repeat: int) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(divide="ignore", invalid="ignore"):
        s = scores(problem, estimand, repeat)
    if not np.isfinite(s).all():
        raise Refusal("a propensity is 0 or 1 to the last digit", "Give a clip above 0, or drop a covariate")
    share = problem.w / problem.w.mean()
    estimate = float(np.mean(share * s))
    target = problem.t / _treated_share(problem) if estimand == "ATT" else 1.0
    # One degree of freedom off, so that an analyst's stddev(dr_score) / sqrt(count(*)) gives the same number.
    std_error = standard_error(share * (s - estimate * target), problem.clustering(), ddof=1)
    return np.array([estimate]), np.array([std_error])


def _treated_share(problem: Problem) -> float:
    return float(np.average(problem.t, weights=problem.w))


def _diagnostics(problem: Problem, estimand: str) -> tuple[Diagnostic, ...]:
    raw, held, t = problem.nuisances().propensity, clipped(problem), problem.t
    omega = balancing_weights(t, held, estimand) * problem.w
    groups = (("overall", np.ones(problem.n, dtype=bool)), ("treated", t == 1), ("control", t == 0))
    return (
        *(Diagnostic("effective_sample_size", name, effective_sample_size(omega[g])) for name, g in groups),
        Diagnostic("propensity_range", "min", float(raw.min())),
        Diagnostic("propensity_range", "max", float(raw.max())),
        Diagnostic("clipped", "overall", float(np.sum(raw != held))),
    )
