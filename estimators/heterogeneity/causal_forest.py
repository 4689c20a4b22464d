"""Causal forest: average and group effects by doubly robust scores, and how far the forest's differences are there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..inference import cluster_sums, standard_error
from ..laws import normal_quantile, normal_tail
from ..leverage import inflation
from ..problem import Problem
from ..result import Diagnostic, Result
from ..sample import check_arms, check_sample
from ..selection_on_observables.ipw import balancing_weights, weight_diagnostics
from .forest import Grown, grown
from .forest_pictures import forest_pictures
from .group_rows import check_modifiers, group_rows, score_row

LEAST_ARM = 10


def causal_forest(problem: Problem, estimand: str) -> Result:
    """The average effect on all units (ATE) or the treated (ATT), and which units an honest forest says differ.

    A forest of honest trees on the effect modifiers (the covariates, where none are declared) predicts each unit's
    effect τ̂ from u = Y − m(X) and v = T − e(X), m and e cross-fitted and shared with the other estimators (`forest`).
    With Γ = τ̂ + v (u − v τ̂) / V(T | X), where V(T | X) = e (1 − e) of a binary treatment:

    ATE, the mean of Γ; of a continuous treatment the average effect of one unit more. ATT, the mean of
    (T − (1 − T) e/(1 − e)) (Y − μ₀) / P(T = 1) with μ₀ = m − e τ̂. Both right if the propensity is, or m and τ̂ are.
    Influence values Γ − τ (ATE), or less τ T / P(T = 1) (ATT); normal reference. With the estimand ATE also a row a
    group of each declared modifier, ``<modifier>=…``: its levels, or thirds of one with more than six values.

    Sampling weights enter nuisances, trees and means. A declared cluster assigns clusters to folds; predictions then
    come from forests that saw none of the unit's fold, influence values are summed a cluster, and intervals of single
    units, which would need trees on samples of clusters, are not given. Rows with missing values have been left out
    or refused before.

    Options: ``n_estimators`` (trees, a multiple of 4), ``learner`` of m and e (linear: the declared propensity
    and outcome models, least squares for a continuous treatment; others: `estimators.learned`), ``clip``.

    Diagnostics: ``calibration`` of the ``mean`` and the ``differential`` prediction, the slopes of u on v τ̄ and on
    v (τ̂ − τ̄) (Chernozhukov et al. 2020): 1 where the forest is right, the second 0 where its differences are noise;
    their one-sided ``calibration_p`` (HC3 or by cluster). ``cate_sd``; ``cate_interval_excludes_zero``, the share of
    units whose own 95 % interval does; ``importance`` of each column; ``propensity_range``, ``clipped`` and the sizes
    of the weights where treatment is binary; those of group contrasts. Curves: ``cate_distribution``,
    ``cate_interval`` (predicted effects by percentile with the units' intervals), ``feature_importance`` and
    ``cate_landscape`` (over the two columns that matter most, the others at their median).

    Raises
    ------
    Refusal
        For the ATT of a continuous treatment; for fewer than 50 units or ten in an arm, a modifier that no model holds
        (outside experiments), and as `forest.grown`.

    Sources
    -------
    Wager & Athey 2018; Athey, Tibshirani & Wager 2019; Athey & Wager 2019 (averages, clusters, calibration). Trees:
    EconML's CausalForest (Battocchi et al. 2019).
    """
    binary = problem.kind == "binary"
    if estimand == "ATT" and not binary:
        reason = f"'{problem.study.treatment}' is continuous, so there are no treated whose average could be told"
        raise Refusal(reason, "Read the ATE: the average effect of one unit more", "not_identified")
    check_arms(problem, least=LEAST_ARM) if binary else check_sample(problem)
    check_modifiers(problem)
    forest = grown(problem)
    psi = forest_scores(problem, forest, estimand)
    share = problem.w / problem.w.mean()
    estimate = float(np.mean(share * psi))
    target = problem.t / np.average(problem.t, weights=problem.w) if estimand == "ATT" else 1.0
    std_error = standard_error(share * (psi - estimate * target), problem.clustering(), ddof=1)
    sizes = _sizes(problem, forest, estimand) if binary else ()
    fields = {"effective_sample_size": sizes[0].value} if binary else {}
    every = np.ones(problem.n, dtype=bool)
    rows = [score_row(problem, estimand, "overall", estimate, std_error, every, **fields)]
    notes: list[Diagnostic] = [*_calibration(problem, forest), *_told(problem, forest), *sizes]
    if estimand == "ATE" and problem.study.effect_modifiers:
        by_group, contrasts = group_rows(problem, estimand, psi)
        rows, notes = [*rows, *by_group], [*notes, *contrasts]
    return Result(tuple(rows), tuple(notes), forest_pictures(problem, forest) if estimand == "ATE" else ())


def forest_scores(problem: Problem, forest: Grown, estimand: str) -> np.ndarray:
    """Doubly robust scores with the forest's effects, in units of the outcome: shape (n,)."""
    r, tau, t = forest.residuals, forest.tau, problem.t
    if estimand == "ATT":
        odds = t - (1 - t) * r.e / (1 - r.e)
        return odds * (r.u + r.e * tau) / np.average(t, weights=problem.w)
    return tau + r.v * (r.u - r.v * tau) / r.spread


@dataclass(frozen=True)
class Slopes:
    """How much of the mean and of the differential prediction is there: estimates and standard errors, shapes (2,)."""

    estimate: np.ndarray
    std_error: np.ndarray


def calibration(problem: Problem, forest: Grown) -> Slopes:
    """Least squares of u on v τ̄ and v (τ̂ − τ̄), without a constant; HC3, or sums by cluster times G / (G − 1).

    The mean effect is taken in standard units of the predictions where it is zero; a forest that predicts one effect
    for all has no differential slope (NaN).
    """
    r, w = forest.residuals, problem.w
    mean = float(np.average(forest.tau, weights=w))
    design = np.column_stack([r.v * mean, r.v * (forest.tau - mean)])
    size = np.sqrt((w[:, None] * design**2).sum(axis=0))
    kept = size > 1e-12 * (np.sqrt(np.sum(w * r.v**2)) * np.abs(forest.tau).max(initial=0.0) + 1e-300)
    estimate, std_error = np.full(2, np.nan), np.full(2, np.nan)
    if kept.any():
        z = design[:, kept] / size[kept]
        inverse = np.linalg.inv((z * w[:, None]).T @ z)
        b = inverse @ (z.T @ (w * r.u))
        left = r.u - z @ b
        h = np.einsum("ij,jk,ik->i", z, inverse, z) * w
        scores = z * (w * left * (1.0 if problem.cluster is not None else inflation(h, "HC3")))[:, None]
        if problem.cluster is not None:
            scores = cluster_sums(scores, problem.cluster)
            scores = scores * np.sqrt(len(scores) / (len(scores) - 1))
        vcov = inverse @ (scores.T @ scores) @ inverse
        estimate[kept], std_error[kept] = b / size[kept], np.sqrt(np.diag(vcov)) / size[kept]
    return Slopes(estimate, std_error)


def _calibration(problem: Problem, forest: Grown) -> list[Diagnostic]:
    found, notes = calibration(problem, forest), []
    for j, subject in enumerate(("mean", "differential")):
        b, std_error = float(found.estimate[j]), float(found.std_error[j])
        # One-sided: predictions that run against the effects are no finding.
        p = normal_tail(b / std_error) if std_error > 0 else None
        notes.append(Diagnostic("calibration", subject, b if np.isfinite(b) else None))
        notes.append(Diagnostic("calibration_se", subject, std_error if np.isfinite(std_error) else None))
        notes.append(Diagnostic("calibration_p", subject, p, 0.05))
    return notes


def _told(problem: Problem, forest: Grown) -> list[Diagnostic]:
    w, tau = problem.w, forest.tau
    mean = np.average(tau, weights=w)
    notes = [Diagnostic("cate_sd", "overall", float(np.sqrt(np.average((tau - mean) ** 2, weights=w))))]
    if forest.std_error is not None:
        apart = np.abs(tau) > normal_quantile(0.975) * forest.std_error
        notes.append(Diagnostic("cate_interval_excludes_zero", "overall", float(np.average(apart, weights=w))))
    pairs = zip(forest.names, forest.importance, strict=True)
    return notes + [Diagnostic("importance", name, float(value)) for name, value in pairs]


def _sizes(problem: Problem, forest: Grown, estimand: str) -> tuple[Diagnostic, ...]:
    r = forest.residuals
    omega = balancing_weights(problem.t, r.e, estimand) * problem.w
    return (
        *weight_diagnostics(problem.t, omega),
        Diagnostic("propensity_range", "min", float(r.raw.min())),
        Diagnostic("propensity_range", "max", float(r.raw.max())),
        Diagnostic("clipped", "overall", float(np.sum(r.raw != r.e))),
    )
