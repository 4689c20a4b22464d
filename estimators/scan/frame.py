"""A block standardised into one preallocated buffer, rows of a group side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..moments import Moments
from .stream import Block

GAP = 64


@dataclass(frozen=True)
class Frame:
    """z = (x − shift) / scale of p columns, below a row of ones.

    Attributes
    ----------
    shift, scale : ndarray of shape (p,)
    buffer : ndarray of shape (p + 1, rows)
        Each block overwrites it.
    """

    shift: np.ndarray
    scale: np.ndarray
    buffer: np.ndarray

    @classmethod
    def of(cls, shift: np.ndarray, scale: np.ndarray, rows: int) -> Frame:
        """A frame for blocks of up to so many rows."""
        # Columns a power of two apart fall into the same lines of the cache: with the gap products are a tenth faster.
        return cls(shift, scale, np.empty((len(shift) + 1, rows + GAP))[:, :rows])

    @classmethod
    def like(cls, moments: Moments, names: tuple[str, ...], rows: int) -> Frame:
        """A frame in the units of some columns of Moments."""
        at = [moments.names.index(name) for name in names]
        return cls.of(moments.shift[at], moments.scale[at], rows)

    @classmethod
    def first(cls, block: Block, rows: int) -> Frame:
        """Mean and standard deviation of the first block."""
        with np.errstate(all="ignore"):
            shift = np.array([column.mean() for column in block.columns])
            scale = np.array([column.std() for column in block.columns])
            flat = ~(scale > 1e-14 * np.abs(shift))
            return cls.of(shift, np.where(flat, 1.0, scale), rows)

    def fill(self, block: Block, order: np.ndarray | None = None) -> np.ndarray:
        """The block's rows, in the given order: a view of shape (p + 1, m)."""
        z = self.buffer[:, : block.n]
        z[0] = 1.0
        inside = z[1:]
        if order is None:
            for row, column, shift in zip(inside, block.columns, self.shift, strict=True):
                np.subtract(column, shift, out=row)
        else:
            for row, column in zip(inside, block.columns, strict=True):
                np.take(column, order, out=row, mode="clip")
            inside -= self.shift[:, None]
        inside *= (1.0 / self.scale)[:, None]
        return z


@dataclass(frozen=True)
class Grouped:
    """Rows of a block by group: their order, and where each group begins and ends in it."""

    order: np.ndarray | None
    ends: np.ndarray

    @classmethod
    def of(cls, block: Block, n_groups: int) -> Grouped:
        """Sorted by a stable (radix) sort of the uint8 codes."""
        if block.group is None:
            return cls(None, np.array([0, block.n]))
        counts = np.bincount(block.group, minlength=n_groups)
        if len(counts) > n_groups:
            raise ValueError(f"a group's code is {len(counts) - 1}, but there are {n_groups} groups")
        return cls(np.argsort(block.group, kind="stable"), np.concatenate([[0], np.cumsum(counts)]))

    def parts(self) -> list[tuple[int, slice]]:
        """Groups that have rows, with their place."""
        pairs = enumerate(zip(self.ends[:-1], self.ends[1:], strict=True))
        return [(k, slice(a, b)) for k, (a, b) in pairs if b > a]
