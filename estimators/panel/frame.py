"""A panel as a rectangle: one row a unit, one column a period, read once for every panel estimator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..problem import Problem
from .cohorts import check_first


@dataclass(frozen=True)
class Panel:
    """Outcomes in wide form.

    Attributes
    ----------
    units : ndarray of shape (n,)
        Unit labels in sort order.
    periods : ndarray of shape (T,)
        Periods in ascending order, in the time column's own unit.
    row : ndarray of shape (n, T), int
        Place of a cell among the problem's rows; −1 where the cell is missing.
    y : ndarray of shape (n, T)
        Outcomes, NaN where the cell is missing.
    cohort : ndarray of shape (n,)
        First treated period; infinity where a unit is not treated up to the last period (NULL or later).
    """

    units: np.ndarray
    periods: np.ndarray
    row: np.ndarray
    y: np.ndarray
    cohort: np.ndarray

    @property
    def complete(self) -> np.ndarray:
        """Units seen in every period: shape (n,), boolean."""
        return np.asarray((self.row >= 0).all(axis=1))


def read_panel(problem: Problem) -> Panel:
    """The study's rows as a rectangle.

    Raises
    ------
    Refusal
        If the cohort holds text, changes within a unit, is no period or contradicts the treatment.
    """
    study = problem.study
    assert study.time is not None
    assert study.cohort is not None
    units, code = np.unique(problem.columns[study.unit], return_inverse=True)
    periods, when = np.unique(problem.columns[study.time], return_inverse=True)
    row = np.full((len(units), len(periods)), -1)
    row[code, when] = np.arange(problem.n)
    y = np.where(row >= 0, problem.y[row], np.nan)
    cohort = problem.columns[study.cohort]
    if cohort.dtype == object:
        raise holds_text(study.cohort)
    check_first(problem, cohort, problem.columns[study.time])
    never = np.isnan(cohort) | (cohort > periods[-1])
    return Panel(units, periods, row, y, by_unit(np.where(never, np.inf, cohort), code, units, study.cohort))


def by_unit(values: np.ndarray, code: np.ndarray, units: np.ndarray, name: str) -> np.ndarray:
    """A column that must not change within a unit, one value a unit: shape (n,).

    Parameters
    ----------
    values, code : ndarray of shape (rows,)
        The column, and the place of each row's unit in ``units``.
    units : ndarray of shape (n,)
    name : str
        The column's name, for the message.

    Raises
    ------
    Refusal
        Naming a unit in which it changes.
    """
    first = np.unique(code, return_index=True)[1]
    own = values[first]
    changed = values != own[code]
    if changed.any():
        raise changes(name, units[code[changed][0]])
    return own


def holds_text(cohort: str) -> Refusal:
    """The refusal of a cohort that is no number."""
    mend = "Give the first treated period as a number or a date, NULL for never, or declare `never:`"
    return Refusal(f"cohort '{cohort}' holds text", mend)


def changes(name: str, unit: object) -> Refusal:
    """The refusal of a column that must not change within a unit."""
    return Refusal(f"'{name}' changes within unit {unit}", "It must be one value a unit")
