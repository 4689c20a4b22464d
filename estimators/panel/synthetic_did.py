"""Synthetic difference-in-differences after Arkhangelsky, Athey, Hirshberg, Imbens & Wager (2021)."""

from __future__ import annotations

import numpy as np

from ..bounds import ROUNDING
from ..errors import Refusal
from ..estimates import made
from ..problem import Problem
from ..result import CurvePoint, Diagnostic, Estimate, Result
from .donors import DonorPool, donor_pool
from .labels import label
from .sdid import Block, Weights, effects, jackknife, placebo_effects, weights_of

ENOUGH_TREATED = 10
VISIBLE_WEIGHT = 1e-6


def synthetic_did(problem: Problem, estimand: str) -> Result:
    """Average effect on the treated after treatment, from a difference-in-differences of weighted units and periods.

    τ = Ȳ_tr,post − Σ_j ω_j Ȳ_j,post − Σ_t λ_t (Ȳ_tr,t − Σ_j ω_j Y_jt), with donors' weights ω under which they moved
    in parallel with the treated before treatment, and weights λ of the periods before treatment that predict the
    donors' later mean (`sdid.weights_of`). Row ``overall`` is τ, rows ``time=…`` its parts by period.
    ``method: synthetic_control`` and ``did`` are the paper's other two estimators with the same standard error.

    Standard errors: ``placebo`` is the spread of the estimate over donors that are treated in turn, and holds if the
    treated units' errors are like the donors'; ``jackknife`` leaves out one unit at a time, and is taken by default
    from ten treated units on. Intervals are normal.

    All treated units start in the same period. With a declared cluster the means of the clusters' rows are the units,
    and treatment must be the cluster's. Covariates are not used; weights are not supported.

    Parameters
    ----------
    problem : Problem
        Roles unit, time, cohort (first treated period of the treated; 0 or NULL for donors), outcome, and cluster.
        Options method, variance, placebo_draws.
    estimand : str
        ATT.

    Returns
    -------
    Result
        In units of the outcome. Diagnostics ``donor_weight``, ``time_weight`` (period), ``effective_donors`` and
        ``effective_periods`` (1 / Σω²), ``pre_rmspe`` after the level shift, ``ridge_penalty`` (ζ). Curves
        ``sdid_path``, ``sdid_gap``, ``sdid_effect``, ``sdid_unit_weight`` (x: rank) and ``sdid_time_weight``.

    Raises
    ------
    Refusal
        See `donors.donor_pool`, `sdid.jackknife` and `sdid.placebo_effects`; also for donors that never vary.

    References
    ----------
    Arkhangelsky, Athey, Hirshberg, Imbens & Wager (2021), American Economic Review 111.
    """
    if problem.own("placebo_draws") < 2:
        raise Refusal(f"placebo_draws is {problem.own('placebo_draws')}", "Give 2 or more")
    pool = donor_pool(problem)
    block = Block(pool.y0.T, pool.each.T, pool.n_pre)
    if not block.noise > ROUNDING * float(np.abs(block.y0).max()):
        raise Refusal("no donor's outcome changes unlike the others' before treatment", "Read did or synthetic_control")
    method = problem.own("method")
    weights = weights_of(block, method, block.penalty)
    kind = _variance(problem, block)
    if kind == "jackknife":
        spread = np.sqrt(jackknife(block, weights))
    else:
        spread = placebo_effects(block, method, block.penalty, problem.own("placebo_draws"), problem.study.seed).std(0)
    rows = _rows(estimand, pool, effects(block, weights), spread, kind)
    return Result(tuple(rows), _diagnostics(pool, block, weights, method), _curves(pool, block, weights, rows))


def _variance(problem: Problem, block: Block) -> str:
    asked = problem.own("variance")
    if asked != "auto":
        return str(asked)
    return "jackknife" if len(block.y1) >= ENOUGH_TREATED else "placebo"


def _rows(estimand: str, pool: DonorPool, found: np.ndarray, spread: np.ndarray, kind: str) -> list[Estimate]:
    terms = ["overall", *(f"time={label(t)}" for t in pool.periods[pool.n_pre :])]
    return [
        made(estimand, float(one), float(se), term=term, variance_estimator=kind, **pool.counts)
        for term, one, se in zip(terms, found, spread, strict=True)
    ]


def _gap(block: Block, weights: Weights) -> np.ndarray:
    """Treated less synthetic, without the difference in level that λ sees: shape (T,)."""
    gap = block.y1.mean(axis=0) - weights.donors @ block.y0
    return np.asarray(gap - weights.periods @ gap[: block.n_pre])


def _diagnostics(pool: DonorPool, block: Block, weights: Weights, method: str) -> tuple[Diagnostic, ...]:
    gap = (block.y1.mean(axis=0) - weights.donors @ block.y0)[: pool.n_pre]
    level = 0.0 if method == "synthetic_control" else gap.mean()
    rows = [
        Diagnostic("donor_weight", name, float(w))
        for name, w in zip(pool.donors, weights.donors, strict=True) if w > VISIBLE_WEIGHT
    ]  # fmt: skip
    rows += [
        Diagnostic("time_weight", label(t), float(w))
        for t, w in zip(pool.periods, weights.periods, strict=False) if w > VISIBLE_WEIGHT
    ]  # fmt: skip
    rows.append(Diagnostic("effective_donors", "overall", float(1 / (weights.donors**2).sum())))
    if weights.periods.any():
        rows.append(Diagnostic("effective_periods", "overall", float(1 / (weights.periods**2).sum())))
    rows.append(Diagnostic("pre_rmspe", "overall", float(np.sqrt(np.mean((gap - level) ** 2)))))
    if method == "synthetic_did":
        rows.append(Diagnostic("ridge_penalty", "overall", block.penalty))
    if pool.n_clusters is not None:
        rows.append(Diagnostic("units_incomplete", "overall", float(pool.n_incomplete)))
    return tuple(rows)


def _curves(pool: DonorPool, block: Block, weights: Weights, rows: list[Estimate]) -> tuple[CurvePoint, ...]:
    gap, treated = _gap(block, weights), block.y1.mean(axis=0)
    series = (("sdid_path", "treated", treated), ("sdid_path", "synthetic, shifted", treated - gap),
              ("sdid_gap", "treated", gap))  # fmt: skip
    points = [
        CurvePoint(curve, name, float(t), float(v), label(t))
        for curve, name, values in series
        for t, v in zip(pool.periods, values, strict=True)
    ]
    for t, row in zip(pool.periods[pool.n_pre :], rows[1:], strict=True):
        points.append(CurvePoint("sdid_effect", "pointwise", float(t), row.estimate, label(t), row.conf_low,
                                 row.conf_high))  # fmt: skip
    order = np.lexsort((np.arange(len(pool.donors)), -weights.donors))
    for rank, j in enumerate(order, 1):
        points.append(CurvePoint("sdid_unit_weight", "donor", float(rank), float(weights.donors[j]), pool.donors[j]))
    for t, w in zip(pool.periods, weights.periods, strict=False):
        points.append(CurvePoint("sdid_time_weight", "before", float(t), float(w), label(t)))
    return tuple(points)
