"""Group-time effects: ATT(g, t) of every cohort in every period, with influence values of all units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from .labels import label
from .sample import Sample
from .two_period import Effect, effect


@dataclass(frozen=True)
class Cell:
    """ATT(g, t): cohort, period, base period, units compared, effect in units of the outcome."""

    cohort: float
    time: float
    base: float
    att: float
    n_treated: int
    n_controls: int
    n_trimmed: int

    @property
    def is_post(self) -> bool:
        """Whether the cohort is treated in the period."""
        return self.time >= self.cohort


@dataclass(frozen=True)
class Comparison:
    """What one ATT(g, t) compares.

    Attributes
    ----------
    cohort, time : float
        g and t.
    base, at : int
        Places of the base period and of t among the periods.
    controls : tuple of float
        Cohorts that are untreated in t.
    n_treated, n_controls : int
        Units.
    """

    cohort: float
    time: float
    base: int
    at: int
    controls: tuple[float, ...]
    n_treated: int
    n_controls: int

    @property
    def name(self) -> str:
        """As a reader writes it."""
        return f"ATT({label(self.cohort)}, {label(self.time)})"

    def refuse(self, refusal: Refusal) -> Refusal:
        """The refusal of one of its models, naming it."""
        return Refusal(f"{self.name}: {refusal.reason}", refusal.mend, refusal.status)


@dataclass(frozen=True)
class GroupTime:
    """All group-time effects.

    Attributes
    ----------
    cells : tuple of K Cell
        By cohort, then by period.
    psi : ndarray of shape (n, K)
        Influence values of all units, zero where a unit is not compared. A streamed study has, in place of units, the
        functions of a unit of which they are made (`estimators.streamed.panel_influence`).
    n_skipped : int
        Cells left out because fewer than two controls are untreated then.
    """

    cells: tuple[Cell, ...]
    psi: np.ndarray
    n_skipped: int

    @property
    def att(self) -> np.ndarray:
        """Effects: shape (K,)."""
        return np.array([cell.att for cell in self.cells])

    @property
    def is_post(self) -> np.ndarray:
        """Which cells are after treatment: shape (K,), boolean."""
        return np.array([cell.is_post for cell in self.cells], dtype=bool)

    def before(self) -> GroupTime:
        """The cells before treatment only."""
        pre = ~self.is_post
        return GroupTime(tuple(c for c in self.cells if not c.is_post), self.psi[:, pre], self.n_skipped)


def group_time_effects(
    sample: Sample, control_group: str, method: str = "dr", link: str = "logit", pre_only: bool = False
) -> GroupTime:
    """ATT(g, t) for every treated cohort g and period t but the first (Callaway & Sant'Anna 2021).

    ATT(g, t) compares the change of cohort g from a base period to t with that of units untreated in t. The base is
    varying: the last period before g where t ≥ g, and the period just before t where t < g, so that a pre-period
    effect is one step of a differential trend. Covariates are those of the base period.

    Parameters
    ----------
    sample : Sample
    control_group : never_treated or not_yet_treated
        not_yet_treated adds cohorts that start after t.
    method, link
        See `two_period.effect`.
    pre_only : bool
        Only t < g: uses no outcome of a treated unit after its treatment.

    Raises
    ------
    Refusal
        If no cell can be computed, or a cell's models fail; the message names the cell.
    """
    found, skipped = comparisons(sample.periods, sample.treated_cohorts, sample.sizes, control_group, pre_only=pre_only)
    cells: list[Cell] = []
    columns: list[np.ndarray] = []
    for one in found:
        d, controls = sample.cohort == one.cohort, np.isin(sample.cohort, one.controls)
        got = _effect(sample, one, d, controls, method, link)
        among = d | controls
        psi = np.zeros(sample.n)
        psi[among] = got.psi * sample.n / among.sum()
        columns.append(psi)
        cells.append(cell(one, sample.periods, got.att, got.n_trimmed))
    psi = np.column_stack(columns) if columns else np.empty((sample.n, 0))
    return GroupTime(tuple(cells), psi, skipped)


def comparisons(
    periods: np.ndarray, treated: Sequence[float], sizes: Mapping[float, int], control_group: str,
    pre_only: bool = False,
) -> tuple[list[Comparison], int]:  # fmt: skip
    """Every comparison that has two controls or more, by cohort and period, and how many have not.

    Parameters
    ----------
    periods : ndarray of shape (T,)
    treated : sequence of float
        Cohorts with an effect to estimate.
    sizes : mapping of cohort to units
    control_group, pre_only
        See `group_time_effects`.
    """
    out, skipped = [], 0
    for g in treated:
        for j in range(1, len(periods)):
            t = float(periods[j])
            if pre_only and t >= g:
                continue
            base = j - 1 if t < g else int(np.searchsorted(periods, g)) - 1
            controls = tuple(c for c in sizes if _is_control(c, g, t, control_group))
            n_controls = sum(sizes[c] for c in controls)
            if n_controls < 2:
                skipped += 1
            else:
                out.append(Comparison(g, t, base, j, controls, sizes[g], n_controls))
    return out, skipped


def _is_control(cohort: float, g: float, t: float, control_group: str) -> bool:
    return bool(np.isinf(cohort)) if control_group == "never_treated" else cohort > t and cohort != g


def cell(one: Comparison, periods: np.ndarray, att: float, n_trimmed: int = 0) -> Cell:
    """The effect of one comparison."""
    base = float(periods[one.base])
    return Cell(one.cohort, one.time, base, att, one.n_treated, one.n_controls, n_trimmed)


def _effect(sample: Sample, one: Comparison, d: np.ndarray, controls: np.ndarray, method: str, link: str) -> Effect:
    among = d | controls
    change = sample.y[among, one.at] - sample.y[among, one.base]
    try:
        return effect(change, d[among], sample.x[among, one.base], sample.names, method, link)
    except Refusal as refusal:
        raise one.refuse(refusal) from None
