"""What two sets of fixed effects leave of a column: exact, for balanced panels and for those with gaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

# Directions of the periods' equations with less of the largest eigenvalue are rounding.
RANK = 1e-10


@dataclass(frozen=True)
class Within:
    """The projection off a level a group (unit) and a level a period.

    Attributes
    ----------
    group, period : ndarray of shape (N,), int
        Codes from 0.
    w : ndarray of shape (N,)
        Weights above zero.
    size : ndarray of shape (G,)
        Sum of the weights of each group.
    solve : ndarray of shape (T, T)
        Pseudo-inverse of the periods' normal equations after the groups are taken out.
    rank : int
        How many free levels the two sets have together.
    """

    group: np.ndarray
    period: np.ndarray
    w: np.ndarray
    size: np.ndarray
    solve: np.ndarray
    rank: int

    @classmethod
    def of(cls, group: np.ndarray, period: np.ndarray, w: np.ndarray) -> Within:
        """Of codes and weights, each of shape (N,)."""
        shape = (int(group.max()) + 1, int(period.max()) + 1)
        cells = sparse.coo_array((w, (group, period)), shape=shape).tocsr()
        size, total = np.bincount(group, w), np.bincount(period, w)
        normal = np.diag(total) - (cells.T @ sparse.diags_array(1 / size) @ cells).toarray()
        values, vectors = np.linalg.eigh(normal)
        real = values > RANK * total.max()
        solve = (vectors[:, real] / values[real]) @ vectors[:, real].T
        return cls(group, period, w, size, solve, shape[0] + int(real.sum()))

    def residual(self, v: np.ndarray) -> np.ndarray:
        """What is left of a column of shape (N,).

        Units are taken out first; the T equations that are left for the periods are solved exactly, so that gaps need
        no iterations. The second pass mends what a large level costs in digits.
        """
        return self._once(self._once(v - np.average(v, weights=self.w)))

    def whitened(self, nested: bool) -> np.ndarray:
        """Columns of the levels with unit weighted cross-products, orthogonal to all that `residual` leaves.

        Those of the periods, what the groups leave of them; and, where groups are not ``nested`` in clusters, those of
        the groups: shape (N, levels). Rows are not multiplied by √w.
        """
        values, vectors = np.linalg.eigh(self.solve)
        real = values > RANK * values.max(initial=0.0)
        level = vectors[:, real] * np.sqrt(values[real])
        periods = level[self.period]
        means = np.stack([self._mean(column) for column in periods.T], axis=1) if periods.size else periods
        if nested:
            return periods - means
        groups = np.eye(len(self.size))[self.group] / np.sqrt(self.size)[self.group][:, None]
        return np.column_stack([periods - means, groups])

    def _once(self, v: np.ndarray) -> np.ndarray:
        inside = v - self._mean(v)
        alpha = self.solve @ np.bincount(self.period, self.w * inside, minlength=len(self.solve))
        left = v - alpha[self.period]
        return left - self._mean(left)

    def _mean(self, v: np.ndarray) -> np.ndarray:
        return (np.bincount(self.group, self.w * v, minlength=len(self.size)) / self.size)[self.group]


def is_absorbed(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether fixed effects leave nothing but rounding of a column: both of shape (N,)."""
    return float(np.abs(after).max()) <= 1e-9 * max(float(np.abs(before - before.mean()).max()), 1e-300)
