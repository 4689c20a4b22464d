"""What policies are worth: the mean outcome if all, nobody, or those who gain enough were treated."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import Refusal
from ..estimates import made
from ..inference import covariance, effective_sample_size
from ..problem import Problem
from ..repeated import over_splits
from ..result import CurvePoint, Diagnostic, Estimate, Result
from ..sample import counts
from ..study import Study
from ..weight_support import Behind, unsupported

MEND = "Narrow the population to units that either arm could have, or raise ope.clip"
POLICIES = ("treat_none", "treat_all", "threshold")
# Each term, its contrast, and its weights on the values of the policies.
TERMS: tuple[tuple[str, str, tuple[float, float, float]], ...] = (
    ("overall", "threshold - treat_none", (-1.0, 0.0, 1.0)),
    ("treat_none", "value", (1.0, 0.0, 0.0)),
    ("treat_all", "value", (0.0, 1.0, 0.0)),
    ("threshold", "value", (0.0, 0.0, 1.0)),
    ("treat_all-treat_none", "treat_all - treat_none", (-1.0, 1.0, 0.0)),
    ("threshold-treat_all", "threshold - treat_all", (0.0, -1.0, 1.0)),
)
_WEIGHTS = np.array([weights for _, _, weights in TERMS])


def policy_values(problem: Problem, propensity: Callable[[int], np.ndarray]) -> Result:
    """V(π) = E[Y(π(X))] of three policies π, and their differences, as means of doubly robust scores.

    Γₐ = μₐ + 1{T = a}(Y − μₐ) / P(T = a | X) for a = 0, 1, cross-fitted; V(π) = mean of Γ₁ where π treats and Γ₀ where
    it does not. ``treat_none`` and ``treat_all`` speak for themselves; ``threshold`` treats where μ₁ − μ₀, predicted by
    models that have not seen the unit, exceeds the declared cost_per_unit / value_per_unit (``policy_threshold`` in its
    place; 0 without either; μ₀ − μ₁ where the decision desires less), so its value is an honest one. ``overall`` is its
    gain over treating nobody. In units of the outcome, before costs. Influence values are the scores less their mean;
    the policy is taken as given, as it is in a unit's own fold. Where nobody gains or loses the folds' policies are
    noise of each other's rows, and intervals of ``threshold`` are somewhat too narrow (they covered 89 % of 80 draws).

    Parameters
    ----------
    problem : Problem
        A run of `ope`: its learner, clip, weights, clusters and repeated splits are told there.
    propensity : function
        Number of a split to propensities inside their clip, shape (n,).

    Returns
    -------
    Result
        Diagnostics of the first split: ``policy_threshold``, ``share_treated`` of each policy, ``net_benefit`` of each
        over treating nobody where cost and value are declared, ``effective_sample_size`` of the weights behind each.
        Curve ``policy_matrix``: the gain y of the policy ``series`` over the policy ``x_label``.

    Raises
    ------
    Refusal
        As `ope`; for a value_per_unit that is not positive.

    Sources
    -------
    Dudík, Langford & Li 2011; Athey & Wager 2021.
    """
    cut = threshold(problem.study, problem.own("policy_threshold"))
    splits = over_splits(problem, lambda r: _of_split(problem, propensity(r), cut, r), _is_learned(problem))
    treated = treats(problem.study, problem.nuisances().mu1 - problem.nuisances().mu0, cut)
    share = float(np.average(treated, weights=problem.w))
    e, t = propensity(0), problem.t
    follows = {"treat_none": (1 - t) / (1 - e), "treat_all": t / e}
    follows["threshold"] = np.where(treated, follows["treat_all"], follows["treat_none"])
    sizes = {name: effective_sample_size(omega * problem.w) for name, omega in follows.items()}
    variance = "cluster" if problem.cluster is not None else "influence_function"
    fields = {**counts(problem), "variance_estimator": variance, "df": problem.reference_df()}
    found = result(problem.study, splits.estimate, splits.std_error, cut, share, sizes, fields)
    return Result(found.estimates, (*found.diagnostics, *splits.diagnostics()), found.curves)


def _is_learned(problem: Problem) -> bool:
    return problem.options.learner != "linear"


def _of_split(problem: Problem, e: np.ndarray, cut: float, repeat: int) -> tuple[np.ndarray, np.ndarray]:
    nuisances = problem.nuisances(repeat)
    own = treats(problem.study, nuisances.mu1 - nuisances.mu0, cut)
    scores = policy_scores(problem.y, problem.t, e, nuisances.mu0, nuisances.mu1, own)
    if not np.isfinite(scores).all():
        raise not_finite()
    share = problem.w / problem.w.mean()
    values = np.mean(share * scores, axis=1)
    vcov = covariance((share * (scores - values[:, None])).T, problem.clustering(), ddof=1)
    return terms(values, vcov)


def policy_scores(
    y: np.ndarray, t: np.ndarray, e: np.ndarray, mu0: np.ndarray, mu1: np.ndarray, treated: np.ndarray
) -> np.ndarray:
    """Scores whose means are the values of `POLICIES`: shape (3, n); not finite where a propensity is 0 or 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        none = mu0 + (1 - t) * (y - mu0) / (1 - e)
        every = mu1 + t * (y - mu1) / e
    return np.array([none, every, np.where(treated, every, none)])


def not_finite() -> Refusal:
    """A propensity that no score can be divided by."""
    return Refusal("a propensity is 0 or 1 to the last digit", "Give a clip above 0, or drop a covariate")


def terms(values: np.ndarray, vcov: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Estimates and standard errors of `TERMS` from values of the policies, shape (3,), and their covariance."""
    spread = np.einsum("tp,pq,tq->t", _WEIGHTS, vcov, _WEIGHTS)
    return _WEIGHTS @ values, np.sqrt(np.maximum(spread, 0.0))


def threshold(study: Study, declared: float | None) -> float:
    """The predicted gain, in units of the outcome, above which it pays to treat."""
    if declared is not None:
        return float(declared)
    cost, value = study.cost_per_unit, study.value_per_unit
    if cost is None or value is None:
        return 0.0
    if value <= 0:
        reason = f"value_per_unit is {value:g}, so no gain pays a cost"
        raise Refusal(reason, "Declare a positive value_per_unit, or ope.policy_threshold")
    return cost / value


def direction(study: Study) -> float:
    """1 where more of the outcome is desired, −1 where less is."""
    return -1.0 if study.decision.desired_direction == "less" else 1.0


def treats(study: Study, effect: np.ndarray, cut: float) -> np.ndarray:
    """Whom the threshold policy treats: shape (n,), boolean."""
    return direction(study) * effect > cut


def result(
    study: Study, estimates: np.ndarray, std_errors: np.ndarray, cut: float, share: float, sizes: Mapping[str, float],
    fields: Mapping[str, Any],
) -> Result:  # fmt: skip
    """Rows, diagnostics and curve from the estimates of `TERMS`; ``share`` is that which the threshold policy treats.

    ``sizes``: effective sample size behind each policy; where it is too small, rows of that policy are refused
    (`estimators.weight_support`).
    """
    rows = tuple(
        made("policy_value", float(value), float(error), term=name, contrast=contrast, **fields)
        for (name, contrast, _), value, error in zip(TERMS, estimates, std_errors, strict=True)
    )
    rows = tuple(_coinciding(row, share) for row in rows)
    treated, untreated = fields["n_treated"], fields["n_units"] - fields["n_treated"]
    units = dict(zip(POLICIES, (untreated, treated, min(treated, untreated)), strict=True))
    behind = {name: Behind(name, units[name], sizes[name]) for name in POLICIES}
    rows = tuple(_supported(row, weights, behind) for row, (_, _, weights) in zip(rows, TERMS, strict=True))
    shares = dict(zip(POLICIES, (0.0, 1.0, share), strict=True))
    notes = [Diagnostic("policy_threshold", "overall", cut)]
    notes += [Diagnostic("share_treated", name, treated) for name, treated in shares.items()]
    notes += [row for name in POLICIES for row in behind[name].diagnostics()]
    if study.value_per_unit is not None and study.cost_per_unit is not None:
        enough = {name: behind["treat_none"].failing() is None and behind[name].failing() is None for name in POLICIES}
        gains = {"treat_none": 0.0, "treat_all": float(estimates[4]), "threshold": float(estimates[0])}
        for name in POLICIES:
            net = study.value_per_unit * direction(study) * gains[name] - study.cost_per_unit * shares[name]
            notes.append(Diagnostic("net_benefit", name, net if enough[name] else None))
    return Result(rows, tuple(notes), _matrix(rows))


def _coinciding(row: Estimate, share: float) -> Estimate:
    """The row, without a standard error where the threshold policy treats all or nobody and is the policy beside it."""
    same = {0.0: "threshold - treat_none", 1.0: "threshold - treat_all"}.get(share)
    if row.contrast != same:
        return row
    told = f"the threshold policy treats {'everybody' if share else 'nobody'}, so both policies are the same one"
    return dataclasses.replace(row, estimate=0.0, std_error=None, status_reason=told)


def _supported(row: Estimate, weights: tuple[float, float, float], behind: Mapping[str, Behind]) -> Estimate:
    """The row, refused where a policy that it is of stands on too few units."""
    used = [behind[name].failing() for name, weight in zip(POLICIES, weights, strict=True) if weight]
    (kept,) = unsupported((row,), [reason for reason in used if reason], MEND)
    return kept


def _matrix(rows: tuple[Estimate, ...]) -> tuple[CurvePoint, ...]:
    points = []
    for row in rows:
        if " - " in row.contrast and row.status == "estimated":
            better, than = row.contrast.split(" - ")
            low, high = row.conf_low, row.conf_high
            assert row.estimate is not None
            points.append(CurvePoint("policy_matrix", better, None, row.estimate, than, low, high))
            turned = (None if high is None else -high, None if low is None else -low)
            points.append(CurvePoint("policy_matrix", than, None, -row.estimate, better, *turned))
    return tuple(points)
