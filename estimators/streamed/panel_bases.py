"""What a base period's comparisons share: covariates of that period, standardised, and changes of the outcome since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..moments import Moments
from ..panel.att_gt import Comparison
from .panel_rows import PanelRows, Tally, Units, units_of
from .panel_sample import Counted

# Numbers of a sub-sample that starts the propensity models: 16 MiB, whatever the rows.
SAMPLE = 2**21


@dataclass(frozen=True)
class Base:
    """The comparisons of one base period.

    Attributes
    ----------
    place : int
        Of the base period among the periods.
    cells : ndarray of shape (K,), int
        Their places among all comparisons.
    at : ndarray of shape (K,), int
        Places of their periods.
    treated, controls : ndarray of shape (K, C), bool
        Cohorts of either side.
    names : tuple of k str
        Covariates.
    moments : Moments
        Of the covariates and of the changes, by cohort.
    """

    place: int
    cells: np.ndarray
    at: np.ndarray
    treated: np.ndarray
    controls: np.ndarray
    names: tuple[str, ...]
    moments: Moments

    def z(self, units: Units) -> np.ndarray:
        """A constant and the standardised covariates of the base period: shape (k + 1, m)."""
        out = np.ones((len(self.names) + 1, len(units.code)))
        for j, x in enumerate(units.x):
            out[j + 1] = (x[:, self.place] - self.moments.shift[j]) / self.moments.scale[j]
        return out

    def change(self, units: Units) -> np.ndarray:
        """ΔY of each comparison: shape (K, m)."""
        return np.asarray((units.y[:, self.at] - units.y[:, [self.place]]).T)


@dataclass
class First:
    """What the first pass gives.

    Attributes
    ----------
    counted : Counted
    moments : mapping of base period to Moments
        Of its covariates and of the outcome's changes since (`changed`), by cohort.
    sample : tuple of ndarray
        Cohort codes of shape (s,) and covariates of shape (s, T, k) of some units, evenly spread over them.
    """

    counted: Counted
    moments: dict[int, Moments]
    sample: tuple[np.ndarray, np.ndarray]


def first_pass(rows: PanelRows, names: tuple[str, ...], n_rows: int) -> First:
    """Numbers of units, cross-products by base period and cohort, and a sub-sample, in one pass.

    Parameters
    ----------
    rows : PanelRows
    names : tuple of k str
        Covariates.
    n_rows : int
        About how many rows there are.
    """
    tally, count, clusters, label = Tally(), np.zeros(len(rows.cohorts), dtype=np.int64), 0, None
    moments: dict[int, Moments] = {}
    every, passed = max(1, n_rows * len(names) // SAMPLE), 0
    codes, covariates = [], []
    for units in units_of(rows):
        tally += units.tally
        if not len(units.code):
            continue
        count += np.bincount(units.code, minlength=len(count))
        if units.cluster is not None:
            clusters += int((units.cluster[1:] != units.cluster[:-1]).sum()) + int(units.cluster[0] != label)
            label = units.cluster[-1]
        for base in range(len(rows.periods) - 1):
            _add(moments, base, units, names, rows)
        drawn = slice(-passed % every, None, every)
        codes.append(units.code[drawn])
        covariates.append(np.stack([x[drawn] for x in units.x], axis=2))
        passed += len(units.code)
    sizes = {float(g): int(c) for g, c in zip(rows.cohorts, count, strict=True) if c}
    counted = Counted(rows.periods, tally, sizes, clusters if rows.clustered else None)
    sample = (np.concatenate(codes), np.concatenate(covariates)) if codes else (np.empty(0), np.empty((0, 0, 0)))
    return First(counted, moments, sample)


def _add(moments: dict[int, Moments], base: int, units: Units, names: tuple[str, ...], rows: PanelRows) -> None:
    at = _periods_compared(base, rows)
    if not len(at):
        return
    values = np.column_stack([*(x[:, base] for x in units.x), units.y[:, at] - units.y[:, [base]]])
    before = moments.get(base)
    given = (None, None) if before is None else (before.shift, before.scale)
    labels = (*names, *(changed(j) for j in at))
    own = Moments.of(values, labels, None, units.code, len(rows.cohorts), *given)
    moments[base] = own if before is None else before.merge(own)


def _periods_compared(base: int, rows: PanelRows) -> list[int]:
    """Places of the periods that any cohort compares with the base: the next one, and all from a cohort's first on."""
    finite = rows.cohorts[:-1]
    starts = np.searchsorted(rows.periods, finite)
    after = set(range(base + 1, len(rows.periods))) if (starts - 1 == base).any() else set()
    before = {base + 1} if (starts > base + 1).any() else set()
    return sorted(after | before)


def changed(at: int) -> str:
    """The name of the outcome's change up to a period's place."""
    return f"(change to {at})"


def bases_of(found: Sequence[Comparison], rows: PanelRows, first: First, names: tuple[str, ...]) -> list[Base]:
    """The comparisons by their base period."""
    out = []
    for place in sorted({one.base for one in found}):
        cells = np.array([k for k, one in enumerate(found) if one.base == place])
        own = [found[k] for k in cells]
        at = np.array([one.at for one in own])
        treated = np.array([rows.cohorts == one.cohort for one in own])
        controls = np.array([np.isin(rows.cohorts, one.controls) for one in own])
        out.append(Base(place, cells, at, treated, controls, names, first.moments[place]))
    return out
