"""Nearest-neighbour residuals of rows that come sorted, in blocks of any size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal

MATCHES = 3
# Distances that differ by less are a tie, and both neighbours enter.
TIE = float(np.sqrt(np.finfo(float).eps))


@dataclass(frozen=True)
class Cells:
    """Distinct values of the running variable in ascending order, each with its rows.

    Attributes
    ----------
    x : ndarray of shape (L,)
    n : ndarray of shape (L,)
        Rows.
    mean, spread : ndarray of shape (q, L)
        Mean of q variables in the cell, and sum of squares about it.
    """

    x: np.ndarray
    n: np.ndarray
    mean: np.ndarray
    spread: np.ndarray

    @classmethod
    def none(cls, q: int) -> Cells:
        """No cells of q variables."""
        return cls(np.empty(0), np.empty(0), np.empty((q, 0)), np.empty((q, 0)))

    @classmethod
    def of_rows(cls, x: np.ndarray, values: np.ndarray) -> Cells:
        """Sorted rows with equal x put together; ``values`` has shape (q, rows)."""
        step = np.diff(x)
        if (step < 0).any():
            raise _unsorted()
        if (step > 0).all():
            return cls(x, np.ones(len(x)), values, np.zeros_like(values))
        starts = np.concatenate([[0], np.flatnonzero(step) + 1])
        n = np.diff(np.concatenate([starts, [len(x)]]))
        mean = np.add.reduceat(values, starts, axis=1) / n
        spread = np.add.reduceat((values - np.repeat(mean, n, axis=1)) ** 2, starts, axis=1)
        return cls(x[starts], n.astype(float), mean, spread)

    def part(self, start: int, stop: int) -> Cells:
        """Some of the cells."""
        at = slice(start, stop)
        return Cells(self.x[at], self.n[at], self.mean[:, at], self.spread[:, at])

    def then(self, more: Cells) -> Cells:
        """These cells and those that follow; rows of the last one may go on in the first of those."""
        if len(self.x) and len(more.x) and self.x[-1] == more.x[0]:
            joint = _joint(self.part(-1, len(self.x)), more.part(0, 1))
            return self.part(0, len(self.x) - 1).then(joint).then(more.part(1, len(more.x)))
        if len(self.x) and len(more.x) and self.x[-1] > more.x[0]:
            raise _unsorted()
        pairs = [(self.x, more.x), (self.n, more.n), (self.mean, more.mean), (self.spread, more.spread)]
        return Cells(*(np.concatenate(pair, axis=-1) for pair in pairs))


def _unsorted() -> Refusal:
    reason = "the rows did not come in the order of the running variable"
    return Refusal(reason, "Leave DuckDB's preserve_insertion_order on")


def _joint(a: Cells, b: Cells) -> Cells:
    """Two cells of one value as one (Chan, Golub & LeVeque 1983)."""
    n, apart = a.n + b.n, b.mean - a.mean
    return Cells(a.x, n, a.mean + apart * b.n / n, a.spread + b.spread + apart**2 * a.n * b.n / n)


class Residuals:
    """Σ σ̂²(x) of each cell: squares of nearest-neighbour residuals, as cells arrive in ascending order.

    A row's residual is √(J / (J + 1)) (y − ȳ_J), ȳ_J being the mean of its J nearest rows on its side of its window:
    all that share its x, and whole cells next to it until there are 3, both neighbours where they are equally far
    (Calonico, Cattaneo & Titiunik 2014; the rule of rdrobust). Summed over a cell's rows that is (J + 1) / J times the
    squares about the mean of the row and its neighbours together. What a cell needs lies within three cells of it, so
    that much of the last block is kept, and nothing else.
    """

    def __init__(self, q: int) -> None:
        self._held = Cells.none(q)
        self._told = 0

    def push(self, cells: Cells) -> tuple[np.ndarray, np.ndarray]:
        """Cells that follow; gives x, shape (l,), and Σ σ̂², shape (q, l), of all whose neighbours are now known."""
        self._held = self._held.then(cells)
        # The last cell may grow; a cell three before it sees only finished ones.
        return self._tell(max(len(self._held.x) - 1 - MATCHES, self._told))

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """The rest: no cell follows."""
        return self._tell(len(self._held.x))

    def _tell(self, ready: int) -> tuple[np.ndarray, np.ndarray]:
        found = self._held.x[self._told : ready], squares(self._held, self._told, ready)
        keep = max(ready - MATCHES, 0)
        self._held, self._told = self._held.part(keep, len(self._held.x)), ready - keep
        return found


def squares(cells: Cells, start: int, stop: int) -> np.ndarray:
    """Σ σ̂² of the cells start … stop − 1, shape (q, stop − start); see `Residuals`."""
    last = len(cells.x) - 1
    low = np.arange(start, stop)
    high = low.copy()
    x, rows = cells.x[start:stop], cells.n[start:stop].copy()
    total = cells.mean[:, start:stop] * rows
    for _ in range(MATCHES):
        short = rows < MATCHES + 1
        if not short.any():
            break
        left, right = _nearer(cells.x, x, low, high, last)
        for at, moved, by in ((low, left & short, -1), (high, right & short, 1)):
            at += by * moved
            share = cells.n[at] * moved
            rows += share
            total += cells.mean[:, at] * share
    own = cells.part(start, stop)
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = own.spread + own.n * (own.mean - total / rows) ** 2
        # A row without any other in the window has no residual.
        return np.where(rows > 1, rows / (rows - 1) * inside, np.nan)


def _nearer(
    every: np.ndarray, x: np.ndarray, low: np.ndarray, high: np.ndarray, last: int
) -> tuple[np.ndarray, np.ndarray]:
    """Whether the next cell to the left and to the right is the nearer one, or both, or the only one."""
    has_left, has_right = low > 0, high < last
    to_left = x - every[np.maximum(low - 1, 0)]
    to_right = every[np.minimum(high + 1, last)] - x
    slack = np.maximum(to_left, to_right) * TIE
    left = has_left & ~(has_right & (to_left - to_right > slack))
    right = has_right & ~(has_left & (to_right - to_left > slack))
    return left, right
