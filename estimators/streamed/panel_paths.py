"""Group-time effects without covariates, from each cohort's cross-products of the outcome's steps: one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..panel.att_gt import Comparison
from .panel_rows import PanelRows, Tally, Units, units_of

Factors = Callable[[np.ndarray], np.ndarray]


@dataclass
class OpenCluster:
    """Sums a cluster of rows that come with clusters side by side; the last cluster stays open until another begins."""

    label: float | None = None
    sums: np.ndarray | None = None
    clusters: int = 0

    def add(self, cluster: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Sums of the clusters that are finished, shape (q, b), after rows of shape (m, b)."""
        starts = np.concatenate([[0], np.flatnonzero(cluster[1:] != cluster[:-1]) + 1])
        sums = np.add.reduceat(rows, starts, axis=0)
        if self.sums is not None and cluster[0] == self.label:
            sums[0] += self.sums
        elif self.sums is not None:
            sums = np.vstack([self.sums, sums])
        self.label, self.sums = cluster[-1], sums[-1].copy()
        self.clusters += len(sums) - 1
        return sums[:-1]

    def rest(self) -> np.ndarray:
        """The last cluster's sums: shape (1 or 0, b)."""
        if self.sums is None:
            return np.empty((0, 0))
        self.clusters += 1
        return self.sums[None]


@dataclass
class PathSums:
    """Sums of v = (1, d − s) of a unit, with d the T − 1 steps of its outcome and s a shift of its cohort.

    Steps and not levels: an effect reads changes only, and levels may be large. The shift is the mean of the first
    block, so that the means cost no digits when they are taken out afterwards.

    Attributes
    ----------
    periods : ndarray of shape (T,)
    cohorts : ndarray of shape (C,)
    shift : ndarray of shape (C, T − 1)
        NaN until the cohort's first unit.
    total : ndarray of shape (C, T)
        Σ v a cohort; its first column counts units.
    own : ndarray of shape (C, T, T)
        Σ V V' over clusters that lie within one cohort (without clusters: over units), V the sum of v in a cluster
        times its factor.
    across : ndarray of shape (C T, C T), or None
        Σ V V' over the other clusters, V of all cohorts side by side.
    tally : Tally
    n_clusters : int or None
    """

    periods: np.ndarray
    cohorts: np.ndarray
    shift: np.ndarray
    total: np.ndarray
    own: np.ndarray
    across: np.ndarray | None = None
    tally: Tally = field(default_factory=Tally)
    n_clusters: int | None = None
    factors: Factors | None = None

    @property
    def sizes(self) -> dict[float, int]:
        """Units of each cohort that has any, in ascending order."""
        return {float(g): int(c) for g, c in zip(self.cohorts, self.total[:, 0], strict=True) if c}


def path_sums(rows: PanelRows, factors: Factors | None = None) -> PathSums:
    """One pass of the rows; memory C T² numbers, with clusters that span cohorts (C T)².

    ``factors``: from clusters' numbers of units in each cohort, of shape (q, C), to what their sums are multiplied by
    before they are squared.
    """
    c, t = len(rows.cohorts), len(rows.periods)
    sums = PathSums(
        rows.periods, rows.cohorts, np.full((c, t - 1), np.nan), np.zeros((c, t)), np.zeros((c, t, t)),
        n_clusters=0 if rows.clustered else None, factors=factors,
    )  # fmt: skip
    open_cluster = OpenCluster()
    for units in units_of(rows):
        sums.tally += units.tally
        if len(units.code):
            v = _centred(sums, units)
            if units.cluster is None:
                _add_units(sums, units.code, v)
            else:
                _add_clusters(sums, open_cluster.add(units.cluster, _side_by_side(sums, units.code, v)))
    if rows.clustered:
        _add_clusters(sums, open_cluster.rest())
        sums.n_clusters = open_cluster.clusters
    return sums


def _centred(sums: PathSums, units: Units) -> np.ndarray:
    """v of each unit: shape (m, T)."""
    v = np.empty(units.y.shape)
    v[:, 0] = 1.0
    np.subtract(units.y[:, 1:], units.y[:, :-1], out=v[:, 1:])
    for c in np.unique(units.code):
        if np.isnan(sums.shift[c]).any():
            sums.shift[c] = v[units.code == c, 1:].mean(axis=0)
    v[:, 1:] -= sums.shift[units.code]
    return v


def _add_units(sums: PathSums, code: np.ndarray, v: np.ndarray) -> None:
    for c in np.unique(code):
        part = v[code == c]
        product = part.T @ part
        sums.own[c] += product
        sums.total[c] += product[0]


def _side_by_side(sums: PathSums, code: np.ndarray, v: np.ndarray) -> np.ndarray:
    """v in the place of its cohort, and zeros in that of the others: shape (m, C T)."""
    out = np.zeros((len(v), *sums.total.shape))
    out[np.arange(len(v)), code] = v
    return out.reshape(len(v), -1)


def _add_clusters(sums: PathSums, wide: np.ndarray) -> None:
    if not len(wide):
        return
    by_cohort = wide.reshape(len(wide), *sums.total.shape)
    sums.total += by_cohort.sum(axis=0)
    has = by_cohort[:, :, 0] > 0
    if sums.factors is not None:
        by_cohort = by_cohort * sums.factors(by_cohort[:, :, 0])[:, None, None]
    single = has.sum(axis=1) == 1
    for c in np.flatnonzero(has[single].any(axis=0)):
        part = by_cohort[single & has[:, c], c]
        sums.own[c] += part.T @ part
    if not single.all():
        several = by_cohort[~single].reshape(-1, wide.shape[1])
        product = several.T @ several
        sums.across = product if sums.across is None else sums.across + product


def path_effects(sums: PathSums, found: Sequence[Comparison]) -> tuple[np.ndarray, np.ndarray]:
    """ATT(g, t) = mean(ΔY | G = g) − mean(ΔY | controls), and the products of all influence values.

    ψ = n 1{G = g} (ΔY − mean) / n_g − n 1{control} (ΔY − mean) / n_0 is linear in v, with coefficients that depend on
    the unit's cohort; so Σ ψ ψ' of all effects (and of the cohorts' indicators, see `panel_influence.Influence`) is
    A' (Σ V V') A. It is exact: no row is read again.

    Returns
    -------
    ndarray of shape (K,)
        Effects.
    ndarray of shape (b, b)
        `Influence.products`.
    """
    present = np.flatnonzero(sums.total[:, 0])
    count = sums.total[:, 0]
    n = count.sum()
    k, (c, t) = len(found), sums.total.shape
    # Row 0 of a cohort's coefficients belongs to the constant, the others to the steps.
    a = np.zeros((c, t, k + len(present)))
    att = np.empty(k)
    for j, one in enumerate(found):
        steps = slice(one.base, one.at)
        treated = [int(np.searchsorted(sums.cohorts, one.cohort))]
        controls = [int(np.searchsorted(sums.cohorts, g)) for g in one.controls]
        means = []
        for side, group in ((1.0, treated), (-1.0, controls)):
            size = count[group].sum()
            shift = sums.shift[group, steps].sum(axis=1)
            mean = float(count[group] @ shift + sums.total[group, 1:][:, steps].sum()) / size
            a[group, 0, j] = side * n / size * (shift - mean)
            a[group, 1 + one.base : 1 + one.at, j] = side * n / size
            means.append(mean)
        att[j] = means[0] - means[1]
    for i, g in enumerate(present):
        a[:, 0, k + i] = -count[g] / n
        a[g, 0, k + i] += 1.0
    products = sum((a[g].T @ sums.own[g] @ a[g] for g in present), np.zeros((a.shape[2], a.shape[2])))
    if sums.across is not None:
        flat = a.reshape(c * t, -1)
        products = products + flat.T @ sums.across @ flat
    return att, products
