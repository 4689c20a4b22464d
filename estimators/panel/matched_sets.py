"""Matched sets: for each start of treatment the units that had the same treatments before it and did not start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..problem import Problem


@dataclass(frozen=True)
class Wide:
    """A panel as rectangles; NaN where a cell is absent or lacks the value.

    Attributes
    ----------
    units : ndarray of shape (n,)
        In sort order.
    periods : ndarray of shape (T,)
        Ascending; a lag is a step in this order, whatever the distance in time.
    y, treated : ndarray of shape (n, T)
    x : ndarray of shape (n, T, k)
        Covariates, k may be 0.
    names : tuple of k str
    code : ndarray of shape (rows,)
        The unit of each of the problem's rows.
    """

    units: np.ndarray
    periods: np.ndarray
    y: np.ndarray
    treated: np.ndarray
    x: np.ndarray
    names: tuple[str, ...]
    code: np.ndarray


@dataclass(frozen=True)
class MatchedSet:
    """One start of treatment: places of the unit, the period and the m controls, and the controls' weights (sum 1)."""

    unit: int
    period: int
    controls: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Found:
    """Matched sets with all outcomes that they need, and the starts left out.

    ``starts`` are those with L periods before them, ``empty`` of these nobody has the history of, and ``incomplete``
    lack an outcome of the unit or of all its controls from the period before to the last lead.
    """

    sets: tuple[MatchedSet, ...]
    starts: int
    empty: int
    incomplete: int


def read_wide(problem: Problem, terms: tuple[str, ...]) -> Wide:
    """The study's rows as rectangles, with the covariates ``terms``."""
    study = problem.study
    assert study.time is not None
    units, code = np.unique(problem.columns[study.unit], return_inverse=True)
    periods, when = np.unique(problem.columns[study.time], return_inverse=True)
    row = np.full((len(units), len(periods)), -1)
    row[code, when] = np.arange(problem.n)
    x = problem.matrix(terms)
    y, treated = (np.where(row >= 0, column[row], np.nan) for column in (problem.y, problem.t))
    wide_x = np.where((row >= 0)[:, :, None], x.values[row], np.nan)
    return Wide(units, periods, y, treated, wide_x, x.names, code)


def find_sets(wide: Wide, lags: int, leads: int, match_missing: bool, stay: bool) -> Found:
    """Matched sets M_it = {j ≠ i: X_jt = 0, X_js = X_is for s = t − L … t − 1} of all (i, t) that start treatment.

    A start is X_i,t−1 = 0 and X_it = 1.

    Parameters
    ----------
    wide : Wide
    lags, leads : int
        L ≥ 1 and F ≥ 0.
    match_missing : bool
        Whether a treatment that is missing equals one that is missing in the same period; else it equals nothing.
    stay : bool
        Whether units that change their treatment between t and t + F are left out, on both sides.

    Returns
    -------
    Found
        Controls have equal weights.

    Raises
    ------
    Refusal
        ``not_identified`` for too few periods, no start, or no set with all outcomes.
    """
    n_periods = len(wide.periods)
    if n_periods < lags + leads + 1:
        reason = f"the panel has {n_periods} periods, and {lags} lags and {leads} leads need {lags + leads + 1}"
        raise Refusal(reason, "Ask for fewer lags or leads, or add periods", "not_identified")
    history = np.where(np.isnan(wide.treated), -1.0, wide.treated) if match_missing else wide.treated
    starts = np.argwhere((wide.treated[:, :-1] == 0) & (wide.treated[:, 1:] == 1))
    starts[:, 1] += 1
    starts = starts[starts[:, 1] >= lags]
    if not len(starts):
        reason = f"no unit's treatment goes from 0 to 1 after the first {lags} periods"
        raise Refusal(reason, "Check the treatment column, or ask for fewer lags", "not_identified")
    whole = [_whole(wide, t, leads) for t in range(n_periods)]
    steady = [_steady(wide, t, leads) if stay else whole[t] for t in range(n_periods)]
    sets, empty = [], 0
    for i, t in starts.tolist():
        alike = (history[:, t - lags : t] == history[i, t - lags : t]).all(axis=1) & (wide.treated[:, t] == 0)
        empty += not alike.any()
        controls = np.flatnonzero(alike & whole[t] & steady[t])
        if len(controls) and whole[t][i] and steady[t][i]:
            sets.append(MatchedSet(i, t, controls, np.full(len(controls), 1 / len(controls))))
    if not sets:
        reason = f"none of {len(starts)} starts of treatment has a control with its {lags} treatments before"
        lacking = sum(not whole[t][i] for i, t in starts.tolist())
        reason += f" and outcomes up to lead {leads}; {lacking} starts lack an outcome of their own there"
        raise Refusal(reason, "Ask for fewer lags or leads, or keep units that are not treated yet", "not_identified")
    return Found(tuple(sets), len(starts), empty, len(starts) - empty - len(sets))


def _whole(wide: Wide, t: int, leads: int) -> np.ndarray:
    """Units with an outcome in each period from t − 1 to t + F: shape (n,); none where the panel ends before."""
    if t < 1 or t + leads >= len(wide.periods):
        return np.zeros(len(wide.units), dtype=bool)
    return np.asarray(~np.isnan(wide.y[:, t - 1 : t + leads + 1]).any(axis=1))


def _steady(wide: Wide, t: int, leads: int) -> np.ndarray:
    """Units whose treatment is the same from t to t + F: shape (n,)."""
    return np.asarray((wide.treated[:, t : t + leads + 1] == wide.treated[:, [t]]).all(axis=1))
