"""The treated unit, its donors, and the fit of one unit by the others before treatment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..problem import Problem
from .frame import label, read_panel
from .simplex import SimplexFit, simplex_least_squares

FEWEST_DONORS = 2
FEWEST_PRE_PERIODS = 3


@dataclass(frozen=True)
class DonorPool:
    """A treated unit and its donors, over periods without a gap.

    Attributes
    ----------
    treated : str
    donors : tuple of J str
        In sort order.
    periods : ndarray of shape (T,)
    n_pre : int
        The first so many periods come before treatment.
    y1 : ndarray of shape (T,)
    y0 : ndarray of shape (T, J)
    """

    treated: str
    donors: tuple[str, ...]
    periods: np.ndarray
    n_pre: int
    y1: np.ndarray
    y0: np.ndarray


@dataclass(frozen=True)
class Synthetic:
    """One unit's synthetic control: simplex fit, and the gap of outcome minus synthetic, shape (T,)."""

    fit: SimplexFit
    gap: np.ndarray
    n_pre: int

    @property
    def pre_rmspe(self) -> float:
        """Root mean squared gap before treatment, in units of the outcome."""
        return float(np.sqrt(np.mean(self.gap[: self.n_pre] ** 2)))

    @property
    def post_rmspe(self) -> float:
        """The same after treatment."""
        return float(np.sqrt(np.mean(self.gap[self.n_pre :] ** 2)))


def donor_pool(problem: Problem) -> DonorPool:
    """The treated unit and its donors; units never treated up to the last period are donors.

    Raises
    ------
    Refusal
        For no or several treated units, fewer than two donors, fewer than three periods before treatment, none after,
        or a missing cell (names the unit and the period).
    """
    panel = read_panel(problem)
    treated = np.flatnonzero(np.isfinite(panel.cohort))
    if len(treated) == 0:
        raise Refusal("no treated unit", "Give the treated unit's first treated period as its cohort, others 0")
    if len(treated) > 1:
        raise Refusal(
            f"{len(treated)} treated units; this synthetic control is for one",
            "Keep one treated unit and its donors in the units, or read did",
        )
    n_pre = int(np.searchsorted(panel.periods, panel.cohort[treated[0]]))
    if n_pre < FEWEST_PRE_PERIODS:
        reason = f"{n_pre} periods before treatment; the fit needs at least {FEWEST_PRE_PERIODS}"
        raise Refusal(reason, "Add earlier periods")
    donors = np.flatnonzero(np.isinf(panel.cohort))
    if len(donors) < FEWEST_DONORS:
        reason = f"{len(donors)} donor{'s' * (len(donors) != 1)}; a weighted average needs at least {FEWEST_DONORS}"
        raise Refusal(reason, "Add untreated units")
    gaps = np.argwhere(panel.row < 0)
    if len(gaps):
        unit, period = panel.units[gaps[0][0]], label(panel.periods[gaps[0][1]])
        raise Refusal(
            f"{len(gaps)} cells are missing, the first of them unit {unit} in period {period}",
            "Leave out units with gaps, or periods in which a unit is missing",
        )
    names = tuple(str(u) for u in panel.units)
    return DonorPool(
        names[treated[0]], tuple(names[j] for j in donors), panel.periods, n_pre,
        panel.y[treated[0]], panel.y[donors].T,
    )  # fmt: skip


def synthetic(y1: np.ndarray, y0: np.ndarray, n_pre: int) -> Synthetic:
    """Weights from the first ``n_pre`` periods, gaps in all. ``y1`` has shape (T,), ``y0`` (T, J)."""
    fit = simplex_least_squares(y1[:n_pre], y0[:n_pre])
    return Synthetic(fit, y1 - y0 @ fit.weights, n_pre)
