"""Matching on predictors whose importance is chosen so that the outcome is followed: the nested synthetic control."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..calendar import label_of, period_of
from ..errors import Refusal, StudyError
from ..imports import load
from ..problem import Problem
from ..study import Study
from .donors import DonorPool, Synthetic
from .labels import label
from .simplex import SimplexFit, simplex_least_squares

SCREENED = 300  # random V that are tried before the search
SEARCHES = 4  # searches, from the best of them
STEPS = 300  # evaluations of each
WIDTH = 2.0  # of the first simplex, in logs
SMALLEST = -12.0  # log of the least share that a predictor may have before the search


@dataclass(frozen=True)
class Predictors:
    """What treated and synthetic unit should have in common.

    Attributes
    ----------
    names : tuple of k str
        ``beer 1984 to 1988``, ``cigsale 1975``.
    treated : ndarray of shape (k, K)
        In each column's own units.
    donors : ndarray of shape (k, J)
    last : ndarray of shape (k,)
        The last period that each reads.
    """

    names: tuple[str, ...]
    treated: np.ndarray
    donors: np.ndarray
    last: np.ndarray

    def before(self, period: float) -> Predictors | None:
        """Those that are known before a period; None if there is none."""
        keep = self.last < period
        names = tuple(name for name, kept in zip(self.names, keep, strict=True) if kept)
        return Predictors(names, self.treated[keep], self.donors[keep], self.last[keep]) if names else None


def read_predictors(problem: Problem, pool: DonorPool, asked: Mapping[str, Any]) -> Predictors:
    """Averages of columns over periods, and values of single periods, of every unit.

    Parameters
    ----------
    problem : Problem
    pool : DonorPool
    asked : mapping of column to a period, ``first to last``, or a list of these
        Periods as the units write them: under a ``frequency`` codes or dates.
        Of several rows in a period (the members of a cluster) the mean is taken; missing values are left out of means.

    Raises
    ------
    Refusal
        For an unknown column or one that holds text, words that are no periods, a predictor that is not before
        treatment or is missing for a whole unit, or one that is the same for all.
    """
    names: list[str] = []
    rows: list[np.ndarray] = []
    ends: list[float] = []
    for column, periods in asked.items():
        if column not in problem.columns:
            raise Refusal(f"predictor '{column}' is not among the units' columns", "Mend `predictors`")
        for one in periods if isinstance(periods, (list, tuple)) else [periods]:
            first, last = _span(problem.study, column, one)
            begins, ends_at = (label_of(problem.study, at) or label(at) for at in (first, last))
            name = f"{column} {begins}" + (f" to {ends_at}" if last > first else "")
            names.append(name)
            ends.append(last)
            rows.append(_averages(problem, pool, column, first, last, name))
    if not rows:
        raise Refusal("no predictor is given", "Write `predictors: {outcome: [1975, 1980]}`, or leave it out")
    x = np.array(rows)
    donors = len(pool.donors)
    return Predictors(tuple(names), x[:, donors:], x[:, :donors], np.array(ends))


def nested(
    y1: np.ndarray, y0: np.ndarray, x1: np.ndarray, x0: np.ndarray, n_pre: int, seed: int
) -> Synthetic:  # fmt: skip
    """W*(V) = argmin (X₁ − X₀ W)' V (X₁ − X₀ W) on the simplex, and V the diagonal that makes Z₁ − Z₀ W*(V) least.

    Z are the outcomes before treatment, X the predictors over their standard deviation (n − 1, all units). The outer
    loss has kinks and several minima, so the search is by values alone: 300 random V (log-uniform, of the seed)
    besides equal ones, one predictor at a time and the regression-based ones, then Nelder and Mead's from the four
    best. R's Synth searches from two starts and can stop at a larger loss.

    Parameters
    ----------
    y1, y0 : ndarray of shape (T,) and (T, J)
    x1, x0 : ndarray of shape (k,) and (k, J)
    n_pre : int
    seed : int

    Sources
    -------
    Abadie & Gardeazabal (2003), appendix B; Abadie, Diamond & Hainmueller (2010), section 2.3.
    """
    scale = np.column_stack([x0, x1]).std(axis=1, ddof=1)
    scale[scale == 0] = 1.0
    a, b = x0 / scale[:, None], x1 / scale
    z1, z0 = y1[:n_pre], y0[:n_pre]
    last: list[np.ndarray | None] = [None]

    def weights(v: np.ndarray) -> SimplexFit:
        root = np.sqrt(v)
        fit = simplex_least_squares(root * b, root[:, None] * a, last[0])
        last[0] = fit.weights
        return fit

    def loss(logs: np.ndarray) -> float:
        return float(np.mean((z1 - z0 @ weights(_shares(logs)).weights) ** 2))

    best = np.zeros(len(b))
    if len(b) > 1:
        starts = _starts(np.column_stack([a, b]), np.column_stack([z0, z1]), seed)
        losses = [loss(start) for start in starts]
        near = 1e-9 * max(float(z1.var()), 1e-300)
        found = [_searched(loss, starts[i], near) for i in np.argsort(losses, kind="stable")[:SEARCHES]]
        best = min(found, key=lambda one: one[1])[0]
    v = _shares(best)
    root = np.sqrt(v)
    fit = simplex_least_squares(root * b, root[:, None] * a)
    return Synthetic(fit, y1 - y0 @ fit.weights, n_pre, v)


def _searched(loss: Callable[[np.ndarray], float], start: np.ndarray, near: float) -> tuple[np.ndarray, float]:
    """Nelder and Mead's search from a wide simplex: the logs of V, and the loss."""
    minimize = load("scipy.optimize").minimize

    around = np.vstack([start, start + WIDTH * np.eye(len(start))])
    options = {"maxfev": STEPS, "xatol": 1e-3, "fatol": near, "adaptive": True, "initial_simplex": around}
    found = minimize(loss, start, method="Nelder-Mead", options=options)
    return found.x, float(found.fun)


def _starts(x: np.ndarray, z: np.ndarray, seed: int) -> list[np.ndarray]:
    """Logs of V to begin with: equal, by regression of the outcomes on the predictors, one at a time, random."""
    k = len(x)
    slopes = np.linalg.lstsq(np.column_stack([np.ones(x.shape[1]), x.T]), z.T, rcond=None)[0][1:]
    strength = (slopes**2).sum(axis=1)
    by_regression = np.log(np.maximum(strength / max(strength.sum(), 1e-300), np.exp(SMALLEST)))
    one_at_a_time = [np.where(np.arange(k) == i, 0.0, SMALLEST / 2) for i in range(k)]
    drawn = np.random.default_rng(seed).uniform(SMALLEST, 0.0, (SCREENED, k))
    return [np.zeros(k), by_regression, *one_at_a_time, *drawn]


def _shares(logs: np.ndarray) -> np.ndarray:
    # Below 1e-10 of the largest a predictor only breaks ties, and less would be lost in rounding.
    shares = np.exp(np.maximum(logs - logs.max(), -23.0))
    return np.asarray(shares / shares.sum())


def _span(study: Study, column: str, text: Any) -> tuple[float, float]:
    """First and last period of ``1980 to 1988`` or of a single period, as the units write them (numbers, codes, dates).

    Under a frequency they are the counted periods, as those of `calendar.counted`.
    """
    parts = text.split(" to ") if isinstance(text, str) else [text]
    try:
        ends = [period_of(study, f"predictors: {column}", part) for part in parts]
    except StudyError as bad:
        if study.frequency is not None:
            raise Refusal(bad.problem, bad.mend) from None
        ends = []
    if len(ends) not in (1, 2) or not np.isfinite(ends).all() or ends[0] > ends[-1]:
        raise Refusal(
            f"predictor {column}: {text!r} is no period", "Write `1975`, or `1980 to 1988`, or a list of them"
        )
    return ends[0], ends[-1]


def _averages(
    problem: Problem, pool: DonorPool, column: str, first: float, last: float, name: str
) -> np.ndarray:  # fmt: skip
    """Mean of the column over the periods: shape (J + K,), donors first."""
    assert problem.study.time is not None
    if last >= pool.periods[pool.n_pre]:
        raise Refusal(f"predictor '{name}' reaches into the time of treatment", "Predictors come before treatment")
    values, time = problem.columns[column], problem.columns[problem.study.time]
    if values.dtype == object:
        raise Refusal(f"predictor '{column}' holds text", "Give a column of numbers")
    use = (time >= first) & (time <= last) & np.isfinite(values) & (pool.group >= 0)
    units = len(pool.donors) + len(pool.treated_names)
    count = np.bincount(pool.group[use], minlength=units)
    if (count == 0).any():
        unit = (*pool.donors, *pool.treated_names)[int(np.argmin(count))]
        raise Refusal(f"predictor '{name}' has no value for unit {unit}", "Choose other periods, or drop the predictor")
    means = np.bincount(pool.group[use], weights=values[use], minlength=units) / count
    if np.ptp(means) == 0:
        raise Refusal(f"predictor '{name}' is the same for all units", "Drop it: nothing can be matched on it")
    return np.asarray(means)
