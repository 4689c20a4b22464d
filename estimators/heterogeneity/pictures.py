"""Curves of heterogeneity: uplift, Qini, sorted groups and the distribution of predicted effects."""

from __future__ import annotations

import numpy as np

from ..inference import wald
from ..result import CurvePoint
from .metalearners import Material, predictions
from .ranking import GROUPS, Ranked, gain, gates

STEPS, BINS = 20, 30


def pictures(r: Ranked) -> tuple[CurvePoint, ...]:
    """``uplift`` and ``qini`` by the share treated (0 to 1), with pointwise bands, and ``gates`` (observed, predicted).

    Series: ``ranked`` (by predicted effect) and ``random`` (the same share, whoever it is); units of the outcome, a
    unit of the population.
    """
    mean = float(np.mean(r.share * r.psi))
    points = [CurvePoint(curve, series, 0.0, 0.0) for curve in ("uplift", "qini") for series in ("ranked", "random")]
    for share in (j / STEPS for j in range(1, STEPS + 1)):
        uplift, qini, of_uplift, of_qini = gain(r, share)
        points.append(_point("uplift", "ranked", share, uplift, r.std_error(of_uplift)))
        points.append(CurvePoint("uplift", "random", share, share * mean))
        # All treated gain what chance gains: no number, not even a rounding error.
        points.append(_point("qini", "ranked", share, qini, r.std_error(of_qini)) if share < 1 else
                      CurvePoint("qini", "ranked", 1.0, 0.0))  # fmt: skip
        points.append(CurvePoint("qini", "random", share, 0.0))
    return (*points, *_groups(r))


def _groups(r: Ranked) -> list[CurvePoint]:
    found, points = gates(r), []
    for g in range(GROUPS):
        effect, weight = float(found.effects[g]), r.w * found.member[:, g]
        points.append(
            _point("gates", "observed", float(g + 1), effect, r.std_error(found.influence[:, g]), f"gates={g + 1}")
        )
        points.append(
            CurvePoint("gates", "predicted", float(g + 1), float(np.average(r.tau, weights=weight)), f"gates={g + 1}")
        )
    return points


def _point(curve: str, series: str, x: float, y: float, std_error: float, label: str | None = None) -> CurvePoint:
    band = wald(y, std_error)
    return CurvePoint(curve, series, x, y, label, band.conf_low, band.conf_high)


def distribution(m: Material, learner: str) -> tuple[CurvePoint, ...]:
    """``cate_distribution``: the weighted share of units by predicted effect, each from all folds but its own.

    x is a bin's middle in units of the outcome and x_label its ends; the series is the learner.
    """
    folds, w = m.problem.folds(), m.problem.w
    tau = np.full(m.problem.n, np.nan)
    for k in np.unique(folds):
        found = predictions(m, folds != k, folds == k, (learner,))
        if learner in found:
            tau[folds == k] = found[learner]
    return shares(tau, w, learner)


def shares(tau: np.ndarray, w: np.ndarray, series: str) -> tuple[CurvePoint, ...]:
    """``cate_distribution``: the weighted share of units in each of 30 bins of predicted effects; NaN are left out."""
    known = np.isfinite(tau)
    if not known.any() or not w[known].sum() > 0:
        return ()
    low, high = float(tau[known].min()), float(tau[known].max())
    if high - low <= 1e-12 * max(abs(low), abs(high)):  # one effect, but for rounding
        low, high = low - 0.5, high + 0.5
    share, edges = np.histogram(tau[known], BINS, (low, high), weights=w[known] / w[known].sum())
    return tuple(
        CurvePoint("cate_distribution", series, float((a + b) / 2), float(y), f"{a:.6g} to {b:.6g}")
        for a, b, y in zip(edges[:-1], edges[1:], share, strict=True)
    )
