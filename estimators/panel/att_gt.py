"""Group-time effects: ATT(g, t) of every cohort in every period, with influence values of all units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
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
class GroupTime:
    """All group-time effects.

    Attributes
    ----------
    cells : tuple of K Cell
        By cohort, then by period.
    psi : ndarray of shape (n, K)
        Influence values of all units, zero where a unit is not compared.
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
    cells: list[Cell] = []
    columns: list[np.ndarray] = []
    skipped = 0
    for g in sample.treated_cohorts:
        for j in range(1, len(sample.periods)):
            t = float(sample.periods[j])
            if pre_only and t >= g:
                continue
            base = j - 1 if t < g else int(np.searchsorted(sample.periods, g)) - 1
            d, controls = sample.cohort == g, _controls(sample, g, t, control_group)
            if controls.sum() < 2:
                skipped += 1
                continue
            one = _cell(sample, d, controls, base, j, method, link, f"ATT({g:g}, {t:g})")
            among = d | controls
            psi = np.zeros(sample.n)
            psi[among] = one.psi * sample.n / among.sum()
            columns.append(psi)
            sizes = int(d.sum()), int(controls.sum())
            cells.append(Cell(g, t, float(sample.periods[base]), one.att, *sizes, one.n_trimmed))
    psi = np.column_stack(columns) if columns else np.empty((sample.n, 0))
    return GroupTime(tuple(cells), psi, skipped)


def _controls(sample: Sample, g: float, t: float, control_group: str) -> np.ndarray:
    if control_group == "never_treated":
        return np.isinf(sample.cohort)
    return (sample.cohort > t) & (sample.cohort != g)


def _cell(
    sample: Sample, d: np.ndarray, controls: np.ndarray, base: int, j: int, method: str, link: str, name: str
) -> Effect:
    among = d | controls
    change = sample.y[among, j] - sample.y[among, base]
    try:
        return effect(change, d[among], sample.x[among, base], sample.names, method, link)
    except Refusal as refusal:
        raise Refusal(f"{name}: {refusal.reason}", refusal.mend, refusal.status) from None
