"""The treated units, their donors, and the rectangle of outcomes that they are compared on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import Refusal
from ..problem import Problem
from .frame import Panel, by_unit, read_panel
from .labels import label
from .left_out import check_treatment, naming_left_out
from .simplex import SimplexFit, simplex_least_squares

FEWEST_DONORS = 2
FEWEST_PRE_PERIODS = 3


@dataclass(frozen=True)
class DonorPool:
    """Treated units, all from the same period on, and their donors, over periods without a gap.

    With a declared cluster its members' averages stand for units.

    Attributes
    ----------
    treated : str
        The treated unit's name; of several, how many.
    treated_names : tuple of K str
    donors : tuple of J str
        In sort order.
    periods : ndarray of shape (T,)
    n_pre : int
        The first so many periods come before treatment.
    y1 : ndarray of shape (T,)
        Outcome of the treated unit; of several, their average.
    y0 : ndarray of shape (T, J)
    each : ndarray of shape (T, K)
        Outcomes of the treated units one by one.
    group : ndarray of shape (rows,), int
        The donor (0 … J − 1) or treated unit (J … J + K − 1) that each of the problem's rows belongs to; −1 for none.
    n_clusters : int or None
        Clusters averaged over, where a cluster is declared.
    n_incomplete : int
        Units that miss a period; without a cluster there is none.
    """

    treated: str
    treated_names: tuple[str, ...]
    donors: tuple[str, ...]
    periods: np.ndarray
    n_pre: int
    y1: np.ndarray
    y0: np.ndarray
    each: np.ndarray
    group: np.ndarray
    n_clusters: int | None = None
    n_incomplete: int = 0

    @property
    def counts(self) -> dict[str, Any]:
        """The fields of an Estimate that count units: those compared (clusters, where they are averaged)."""
        treated = len(self.treated_names)
        return {"n_units": len(self.donors) + treated, "n_treated": treated, "n_clusters": self.n_clusters}


@dataclass(frozen=True)
class Synthetic:
    """One unit's synthetic control.

    Attributes
    ----------
    fit : SimplexFit
        Weights of the donors; sums to one, and negative only where ridge augmentation made them so.
    gap : ndarray of shape (T,)
        Outcome minus synthetic.
    n_pre : int
    importance : ndarray of shape (k,), optional
        Diagonal of V: how much each predictor counts; sums to one.
    penalty : float, optional
        The ridge penalty λ of an augmented fit, in squared units of the outcome.
    """

    fit: SimplexFit
    gap: np.ndarray
    n_pre: int
    importance: np.ndarray | None = None
    penalty: float | None = None

    @property
    def pre_rmspe(self) -> float:
        """Root mean squared gap before treatment, in units of the outcome."""
        return float(np.sqrt(np.mean(self.gap[: self.n_pre] ** 2)))

    @property
    def post_rmspe(self) -> float:
        """The same after treatment."""
        return float(np.sqrt(np.mean(self.gap[self.n_pre :] ** 2)))


def donor_pool(problem: Problem) -> DonorPool:
    """The treated units and their donors; units never treated up to the last period are donors.

    Raises
    ------
    Refusal
        For no treated unit, treated units that start in different periods, fewer than two donors, fewer than three
        periods before treatment, none after, a missing cell (names the unit and the period), or a cluster in which
        some units are treated and some are not.
    """
    check_treatment(problem)
    with naming_left_out(problem):
        panel, member, n_incomplete = _averaged(problem, read_panel(problem))
        treated, donors = np.flatnonzero(np.isfinite(panel.cohort)), np.flatnonzero(np.isinf(panel.cohort))
        n_pre = _check(panel, treated, donors)
    names = tuple(str(u) for u in panel.units)
    place = np.empty(len(names), dtype=int)
    place[np.concatenate([donors, treated])] = np.arange(len(names))
    each = panel.y[treated].T
    return DonorPool(
        names[treated[0]] if len(treated) == 1 else f"{len(treated)} treated units",
        tuple(names[i] for i in treated), tuple(names[j] for j in donors), panel.periods, n_pre,
        each[:, 0] if len(treated) == 1 else each.mean(axis=1), panel.y[donors].T, each, place[member],
        None if problem.cluster is None else len(names), n_incomplete,
    )  # fmt: skip


def synthetic(y1: np.ndarray, y0: np.ndarray, n_pre: int) -> Synthetic:
    """Weights from the first ``n_pre`` periods, gaps in all. ``y1`` has shape (T,), ``y0`` (T, J)."""
    fit = simplex_least_squares(y1[:n_pre], y0[:n_pre])
    return Synthetic(fit, y1 - y0 @ fit.weights, n_pre)


def _averaged(problem: Problem, panel: Panel) -> tuple[Panel, np.ndarray, int]:
    """The panel of clusters where they are declared, each row's place among its units, and units with gaps."""
    code = np.unique(problem.columns[problem.study.unit], return_inverse=True)[1]
    name = problem.study.cluster
    if problem.cluster is None or name is None:
        return panel, code, 0
    labels = by_unit(problem.cluster.astype(str), code, panel.units, name)
    clusters, of_unit = np.unique(labels, return_inverse=True)
    cohort = _cohort_of_clusters(panel, of_unit, clusters, name)
    seen, total = np.zeros((2, len(clusters), len(panel.periods)))
    np.add.at(seen, of_unit, panel.row >= 0)
    np.add.at(total, of_unit, np.nan_to_num(panel.y))
    row = np.where(seen > 0, 0, -1)
    y = np.where(seen > 0, total / np.maximum(seen, 1), np.nan)
    return Panel(clusters, panel.periods, row, y, cohort), of_unit[code], int((~panel.complete).sum())


def _cohort_of_clusters(panel: Panel, of_unit: np.ndarray, clusters: np.ndarray, name: str) -> np.ndarray:
    """First treated period of each cluster: shape (clusters,)."""
    own = panel.cohort[np.unique(of_unit, return_index=True)[1]]
    mixed = panel.cohort != own[of_unit]
    if mixed.any():
        cluster = clusters[of_unit[mixed][0]]
        reason = f"in cluster {cluster} of '{name}' some units are treated and others not, or later"
        raise Refusal(reason, "Treatment must be the cluster's: drop the role 'cluster' to compare units")
    return own


def _check(panel: Panel, treated: np.ndarray, donors: np.ndarray) -> int:
    """Refuse as `donor_pool` says; the number of periods before treatment."""
    if len(treated) == 0:
        raise Refusal(
            "no treated unit", "Give the treated units' first treated period as their cohort, NULL for others"
        )
    starts = np.unique(panel.cohort[treated])
    if len(starts) > 1:
        listed = ", ".join(label(s) for s in starts[:3]) + (" …" if len(starts) > 3 else "")
        reason = f"treated units start in {len(starts)} different periods ({listed}), and this needs a block design"
        raise Refusal(reason, "Keep one cohort and the never treated in the units, or read did")
    n_pre = int(np.searchsorted(panel.periods, starts[0]))
    if n_pre < FEWEST_PRE_PERIODS:
        reason = f"{n_pre} periods before treatment; the fit needs at least {FEWEST_PRE_PERIODS}"
        raise Refusal(reason, "Add earlier periods")
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
    return n_pre
