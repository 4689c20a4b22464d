"""Curves of a causal forest: predicted effects and their intervals, importances, and the landscape of effects."""

from __future__ import annotations

import numpy as np

from ..laws import normal_quantile
from ..problem import Problem
from ..result import CurvePoint
from .forest import Grown
from .pictures import shares

PERCENTILES = tuple(range(5, 100, 5))
SIDE, ENDS = 12, (0.05, 0.95)


def forest_pictures(problem: Problem, forest: Grown) -> tuple[CurvePoint, ...]:
    """All curves; effects are in units of the outcome."""
    return (
        *shares(forest.tau, problem.w, "forest"), *_intervals(problem, forest), *_importance(forest),
        *_landscape(problem, forest),
    )  # fmt: skip


def _intervals(problem: Problem, forest: Grown) -> list[CurvePoint]:
    """``cate_interval``: the unit at each percentile (0 to 100) of predicted effect, with its own 95 % interval."""
    order = np.argsort(forest.tau, kind="stable")
    mass = np.cumsum(problem.w[order])
    points, z = [], normal_quantile(0.975)
    for percentile in PERCENTILES:
        unit = order[min(int(np.searchsorted(mass, percentile / 100 * mass[-1])), len(order) - 1)]
        tau = float(forest.tau[unit])
        half = None if forest.std_error is None else z * float(forest.std_error[unit])
        low, high = (None, None) if half is None else (tau - half, tau + half)
        points.append(CurvePoint("cate_interval", "forest", float(percentile), tau, None, low, high))
    return points


def _importance(forest: Grown) -> list[CurvePoint]:
    """``feature_importance``: the columns by their share of the heterogeneity, the largest at x = 1."""
    order = _by_importance(forest)
    return [
        CurvePoint("feature_importance", "forest", float(rank), float(forest.importance[j]), forest.names[j])
        for rank, j in enumerate(order, 1)
    ]


def _by_importance(forest: Grown) -> list[int]:
    return sorted(range(len(forest.names)), key=lambda j: (-forest.importance[j], j))


def _landscape(problem: Problem, forest: Grown) -> list[CurvePoint]:
    """``cate_landscape``: effects on a grid of the two columns that matter most, the others at their median.

    x is a value of the first column (x_label its name); the series, ``<second>=<value>``, one of the second. Each
    cell has its own 95 % interval, unless units come in clusters.
    """
    if len(forest.names) < 2:
        return []
    first, second = _by_importance(forest)[:2]
    matrix = problem.matrix(problem.study.effect_modifiers or problem.study.covariates)
    values = matrix.values[:, [matrix.names.index(name) for name in forest.names]]
    across, along = _grid(values[:, first]), _grid(values[:, second])
    at = np.tile(np.median(values, axis=0), (len(across) * len(along), 1))
    at[:, first], at[:, second] = np.tile(across, len(along)), np.repeat(along, len(across))
    effects = forest.predict(at)
    ends: list[tuple[float | None, float | None]] = [(None, None)] * len(at)
    if forest.predict_error is not None:
        half = normal_quantile(0.975) * forest.predict_error(at)
        ends = list(zip((effects - half).tolist(), (effects + half).tolist(), strict=True))
    return [
        CurvePoint("cate_landscape", f"{forest.names[second]}={row[second]:.6g}", float(row[first]), float(y),
                   forest.names[first], low, high)
        for row, y, (low, high) in zip(at, effects, ends, strict=True)
    ]  # fmt: skip


def _grid(x: np.ndarray) -> np.ndarray:
    """The values themselves where there are few, else steps between the 5th and 95th percentile."""
    levels = np.unique(x)
    low, high = (float(np.quantile(x, end)) for end in ENDS)
    return levels if len(levels) <= SIDE else np.linspace(low, high, SIDE)
