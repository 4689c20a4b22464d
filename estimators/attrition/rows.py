"""Loss by arm of rows in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .. import contracts
from ..problem import Problem, rows_read
from ..study import Study
from ..warehouse import Columns
from .lee import LeeBounds, lee_bounds
from .loss import Loss


@dataclass(frozen=True)
class Lost:
    """What a study's rows lost.

    Attributes
    ----------
    rows, lost : int
        Rows (units of a panel), and those of them that lack a value.
    armless : int
        Rows that lack the column of the arm itself, and are in no arm.
    loss : Loss or None
        By arm; None where the arm's column has other values than 0 and 1.
    columns : mapping of column to pair of int
        Untreated and treated rows that lack this column; a row may lack several.
    """

    rows: int
    lost: int
    armless: int
    loss: Loss | None
    columns: Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Held:
    """The rows of one outcome in memory, with those that lack a value. All arrays have shape (n,)."""

    y: np.ndarray
    arm: np.ndarray
    lost: np.ndarray
    weights: np.ndarray | None
    cluster: np.ndarray | None
    gaps: Mapping[str, np.ndarray]

    def found(self) -> Lost:
        """Loss by arm and column."""
        known = ~np.isnan(self.arm)
        loss = None
        if set(np.unique(self.arm[known]).tolist()) == {0.0, 1.0}:
            loss = loss_of(self.arm, self.lost, self.weights, self.cluster)
        pairs = {
            name: (int((gap & (self.arm == 0)).sum()), int((gap & (self.arm == 1)).sum()))
            for name, gap in self.gaps.items()
        }
        return Lost(len(self.y), int(self.lost.sum()), int((~known).sum()), loss, pairs)

    def bounds(self, df: int | None) -> LeeBounds:
        """Lee's bounds of the rows whose arm is known."""
        used = ~np.isnan(self.arm)
        weights = None if self.weights is None else self.weights[used]
        cluster = None if self.cluster is None else self.cluster[used]
        return lee_bounds(self.y[used], self.arm[used].astype(int), self.lost[used], weights, cluster, df)


def loss_of(arm: np.ndarray, lost: np.ndarray, weights: np.ndarray | None, cluster: np.ndarray | None) -> Loss:
    """Cells of arm and loss from one row each; rows without an arm (NaN) are in none."""
    used = ~np.isnan(arm)
    cell = 2 * arm[used].astype(int) + lost[used]
    counts = np.bincount(cell, minlength=4).reshape(2, 2)
    w = np.ones(len(cell)) if weights is None else weights[used]
    sums, squares = (np.bincount(cell, v, minlength=4).reshape(2, 2) for v in (w, w**2))
    if cluster is None:
        return Loss(counts, sums, squares, None, weights is not None)
    _, code = np.unique(cluster[used], return_inverse=True)
    groups = int(code.max()) + 1
    by_cluster = np.bincount(4 * code + cell, w, minlength=4 * groups).reshape(groups, 2, 2)
    return Loss(counts, sums, squares, by_cluster, weights is not None)


def held_rows(problem: Problem, study: Study, arm: str) -> Held:
    """The rows that an estimator of one row a unit reads, complete or not.

    A row that lacks its weight counts with the mean weight of the others.
    """
    given = problem.given
    assert given is not None
    if study.time:
        timed = ~contracts.is_missing(given[study.time])
        given = {name: values[timed] for name, values in given.items()}
    keep = rows_read(study, given, "units")
    rows = given if keep is None else {name: values[keep] for name, values in given.items()}
    gaps = contracts.gaps(study, rows, [name for name in contracts.needed_columns(study) if name != study.unit])
    lost = np.any(list(gaps.values()), axis=0)
    # Where the arm is not known, its gap is no arm's loss.
    told = {name: gap for name, gap in gaps.items() if name != arm and gap.any()}
    return Held(
        rows[study.outcome], rows[arm], lost, _weights(rows, study), _clusters(rows, study),
        told,
    )  # fmt: skip


def _clusters(rows: Columns, study: Study) -> np.ndarray | None:
    """Labels as text; the rows that lack theirs are one cluster."""
    return None if study.cluster is None else rows[study.cluster].astype(str)


def _weights(rows: Columns, study: Study) -> np.ndarray | None:
    if study.weight is None:
        return None
    w = rows[study.weight]
    return np.where(np.isnan(w), np.nanmean(w), w)


def held_units(problem: Problem, study: Study) -> Held:
    """The units of a panel: lost where they lack a value in some period that the panel has, by ever treated."""
    given = problem.given
    assert given is not None
    assert study.time is not None
    timed = ~contracts.is_missing(given[study.time])
    given = {name: values[timed] for name, values in given.items()}
    needed = [name for name in contracts.needed_columns(study) if name != study.unit]
    whole = ~np.any(list(contracts.gaps(study, given, needed).values()), axis=0)
    periods = given[study.time][whole]
    units, code = np.unique(given[study.unit], return_inverse=True)
    seen = np.bincount(code, whole, minlength=len(units))
    ever = np.zeros(len(units))
    np.maximum.at(ever, code, _treated(study, given, periods.max()))
    first = np.unique(code, return_index=True)[1]
    cluster = _clusters({name: values[first] for name, values in given.items()}, study)
    lost = seen < len(np.unique(periods))
    return Held(np.full(len(units), np.nan), ever, lost, None, cluster, {})


def _treated(study: Study, rows: Columns, last: float) -> np.ndarray:
    """1 in rows of treatment, or of a unit that is treated up to the last period; 0 elsewhere."""
    if study.cohort is None:
        assert study.treatment is not None
        return (np.nan_to_num(rows[study.treatment]) > 0).astype(float)
    cohort = rows[study.cohort]
    return (~np.isnan(cohort) & (cohort <= last)).astype(float)
