"""Moments: shifted and scaled cross-products a fold, mergeable, from which every linear method solves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TOLERANCE = 1e-10
CRUMBS = 1e-12


@dataclass(frozen=True)
class Moments:
    """Weighted cross-products of columns, a fold.

    Attributes
    ----------
    names : tuple of str, length p
    shift, scale : ndarray of shape (p,)
        Columns enter as z = (x − shift) / scale: raw sums lose all digits on a column of mean 1e9.
    cross : ndarray of shape (folds, p + 1, p + 1)
        Σ w [1, z] [1, z]'; the first row and column belong to the constant.
    rows : ndarray of shape (folds,), int64
        Rows counted, whatever their weight.
    """

    names: tuple[str, ...]
    shift: np.ndarray
    scale: np.ndarray
    cross: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(
        cls,
        values: np.ndarray,
        names: Sequence[str],
        weights: np.ndarray | None = None,
        folds: np.ndarray | None = None,
        n_folds: int = 1,
        shift: np.ndarray | None = None,
        scale: np.ndarray | None = None,
    ) -> Moments:
        """Moments of an array of shape (n, p).

        Parameters
        ----------
        values : ndarray of shape (n, p)
            Finite numbers.
        names : sequence of p str
        weights : ndarray of shape (n,), optional
        folds : ndarray of shape (n,) of 0 … n_folds − 1, optional
        shift, scale : ndarray of shape (p,), optional
            Give the first batch's to later batches, so that they can be merged; default: this array's mean and sd.
        """
        n, p = values.shape
        shift = values.mean(axis=0) if shift is None and n else shift if shift is not None else np.zeros(p)
        if scale is None:
            scale = values.std(axis=0) if n else np.ones(p)
            scale = np.where(scale > 0, scale, 1.0)
        z = np.empty((n, p + 1))
        z[:, 0] = 1.0
        np.divide(values - shift, scale, out=z[:, 1:])
        w = np.ones(n) if weights is None else weights
        folds = np.zeros(n, dtype=np.int64) if folds is None else folds
        cross = np.empty((n_folds, p + 1, p + 1))
        for k in range(n_folds):
            part = folds == k if n_folds > 1 else slice(None)
            cross[k] = (z[part] * w[part, None]).T @ z[part]
        return cls(tuple(names), shift, scale, cross, np.bincount(folds, minlength=n_folds))

    def merge(self, other: Moments) -> Moments:
        """Moments of both sets of rows; they must share names, shift and scale."""
        same = self.names == other.names and np.array_equal(self.shift, other.shift)
        if not (same and np.array_equal(self.scale, other.scale)):
            raise ValueError("moments can be merged only with the same columns, shift and scale")
        return Moments(self.names, self.shift, self.scale, self.cross + other.cross, self.rows + other.rows)

    def total(self) -> np.ndarray:
        """Cross-products of all folds: shape (p + 1, p + 1)."""
        return self.cross.sum(axis=0)

    def without(self, fold: int) -> Moments:
        """All folds but one: a subtraction, not another scan."""
        keep = np.arange(len(self.cross)) != fold
        return Moments(self.names, self.shift, self.scale, self.cross[keep], self.rows[keep])

    def only(self, *folds: int) -> Moments:
        """Some folds, in that order."""
        return Moments(self.names, self.shift, self.scale, self.cross[list(folds)], self.rows[list(folds)])

    def merged(self, group: np.ndarray) -> Moments:
        """Folds added up by a code 0, 1, … of each, of shape (folds,): of folds x arms the folds, or the arms."""
        cross = np.zeros((group.max() + 1, *self.cross.shape[1:]))
        np.add.at(cross, group, self.cross)
        rows = np.bincount(group, weights=self.rows).astype(np.int64)
        return Moments(self.names, self.shift, self.scale, cross, rows)

    def means(self) -> np.ndarray:
        """Weighted column means in their own units: shape (p,)."""
        total = self.total()
        return self.shift + self.scale * total[0, 1:] / total[0, 0]

    def covariance(self) -> np.ndarray:
        """Weighted covariance (divided by Σw) in the columns' units: shape (p, p)."""
        return self._centred() * np.outer(self.scale, self.scale) / self.total()[0, 0]

    def _centred(self) -> np.ndarray:
        total = self.total()
        centred = total[1:, 1:] - np.outer(total[1:, 0], total[0, 1:]) / total[0, 0]
        # A column that is constant in these rows (a category that only the dropped fold has) leaves crumbs of the
        # subtraction; taken for variation they would give slopes of any size.
        flat = np.diag(centred) <= CRUMBS * np.diag(total)[1:]
        centred[flat, :] = 0.0
        centred[:, flat] = 0.0
        return centred

    def regress(self, y: str, x: Sequence[str]) -> Regression:
        """Least squares of ``y`` on a constant and ``x``; collinear columns are dropped and named."""
        centred = self._centred()
        rows = [self.names.index(name) for name in x]
        target = self.names.index(y)
        kept = independent(centred[np.ix_(rows, rows)])
        used = [rows[i] for i in kept]
        beta_z = np.linalg.solve(centred[np.ix_(used, used)], centred[used, target]) if used else np.empty(0)
        beta = np.zeros(len(x))
        beta[kept] = beta_z * self.scale[target] / self.scale[used]
        total = self.total()
        mean = total[0, 1:] / total[0, 0]
        shift = self.shift[rows]
        start = float(self.shift[target] + self.scale[target] * (mean[target] - mean[used] @ beta_z))
        tss = centred[target, target] * self.scale[target] ** 2
        rss = (centred[target, target] - beta_z @ centred[used, target]) * self.scale[target] ** 2
        dropped = tuple(x[i] for i in range(len(x)) if i not in set(kept))
        return Regression(tuple(x), shift, start, beta, float(max(rss, 0.0)), float(tss), dropped)


@dataclass(frozen=True)
class Regression:
    """Least squares from Moments: y = start + (x − shift)'slopes.

    Attributes
    ----------
    names : tuple of k str
    shift : ndarray of shape (k,)
        Near the columns' means: with it a column of mean 1e9 keeps its digits.
    start : float
        The fitted value at the shift.
    slopes : ndarray of shape (k,)
        In raw units; 0 for a dropped column.
    rss, tss : float
    dropped : tuple of str
    """

    names: tuple[str, ...]
    shift: np.ndarray
    start: float
    slopes: np.ndarray
    rss: float
    tss: float
    dropped: tuple[str, ...]

    @property
    def intercept(self) -> float:
        """The fitted value where every column is zero."""
        return float(self.start - self.shift @ self.slopes)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Fitted values for rows of shape (n, k), columns in the order of ``names``."""
        return self.start + (x - self.shift) @ self.slopes

    @property
    def r2(self) -> float:
        """1 − RSS / TSS; 0 for a constant target."""
        return 1.0 - self.rss / self.tss if self.tss > 0 else 0.0


def independent(gram: np.ndarray, tolerance: float = TOLERANCE) -> list[int]:
    """Columns kept when each that earlier ones explain is dropped, in the declared order.

    Parameters
    ----------
    gram : ndarray of shape (k, k)
        Centred cross-products. A column is dropped if the earlier ones leave less than ``tolerance`` of its own
        sum of squares, or if it is constant.
    """
    left = gram.astype(float).copy()
    own = np.diag(gram).copy()
    kept: list[int] = []
    for j in range(len(gram)):
        if own[j] <= 0 or left[j, j] <= tolerance * own[j]:
            continue
        kept.append(j)
        left -= np.outer(left[:, j], left[j]) / left[j, j]
    return kept
