"""A panel as a rectangle: one row a unit, one column a period, read once for every panel estimator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np

from ..calendar_codes import named
from ..errors import Refusal
from ..problem import Problem


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
        If the cohort holds text or changes within a unit.
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
        raise Refusal(
            f"cohort '{study.cohort}' holds text", "Give the first treated period as a number, NULL for never"
        )
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


def changes(name: str, unit: object) -> Refusal:
    """The refusal of a column that must not change within a unit."""
    return Refusal(f"'{name}' changes within unit {unit}", "It must be one value a unit")


# How the study at work writes its periods; set while one of its estimators runs (`writing`).
_FREQUENCY: ContextVar[str | None] = ContextVar("frequency", default=None)


@contextmanager
def writing(frequency: str | None) -> Iterator[None]:
    """Periods are written as those of a frequency (2001-03) inside, and as they are by default."""
    token = _FREQUENCY.set(frequency)
    try:
        yield
    finally:
        _FREQUENCY.reset(token)


def label(value: float) -> str:
    """A period or cohort as text: a counted month as 2001-03, whole numbers without decimals."""
    frequency = _FREQUENCY.get()
    return plainly(value) if frequency is None or not np.isfinite(value) else named(int(value), frequency)


def plainly(value: float) -> str:
    """A number as text: whole numbers without decimals."""
    return str(int(value)) if float(value).is_integer() else str(float(value))
