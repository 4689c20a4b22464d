"""A study's rows as one time series: a value and, for counts, a population at risk a period."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..problem import Problem


@dataclass(frozen=True)
class Series:
    """One value a period.

    Attributes
    ----------
    period : ndarray of shape (T,)
        In ascending order, in the time column's own unit.
    y : ndarray of shape (T,)
        Mean of the outcome over the units of a period, or their sum (counts).
    exposure : ndarray of shape (T,)
        Population at risk of a count; ones where none is declared.
    units : ndarray of shape (T,), int
        Rows behind each value.
    """

    period: np.ndarray
    y: np.ndarray
    exposure: np.ndarray
    units: np.ndarray


def series_of(problem: Problem, as_counts: bool) -> Series:
    """The rows added up a period (counts), or averaged with their sampling weights.

    Raises
    ------
    Refusal
        For counts that are negative, and a population at risk that is not positive.
    """
    study = problem.study
    assert study.time is not None
    period, at = np.unique(problem.columns[study.time], return_inverse=True)
    units = np.bincount(at)
    if not as_counts:
        weight = np.bincount(at, weights=problem.w)
        if weight.min() <= 0:
            raise Refusal(f"the weights of period {period[weight.argmin()]:g} are zero", "Mend them in the units")
        return Series(period, np.bincount(at, weights=problem.w * problem.y) / weight, np.ones(len(period)), units)
    if problem.y.min() < 0:
        raise Refusal(f"the outcome '{study.outcome}' has negative counts", "Declare `its: {family: gaussian}`")
    y = np.bincount(at, weights=problem.w * problem.y)
    if study.exposure is None:
        return Series(period, y, np.ones(len(period)), units)
    exposure = np.bincount(at, weights=problem.w * problem.columns[study.exposure])
    if exposure.min() <= 0:
        reason = f"the population at risk '{study.exposure}' of period {period[exposure.argmin()]:g} is not positive"
        raise Refusal(reason, "Mend it in the units")
    return Series(period, y, exposure, units)
