"""Columns, their squares and products, made block by block, and their cross-products by arm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .frame import Frame, Grouped
from .stream import NUMBERS, Plan, Source, blocks


@dataclass(frozen=True)
class Features:
    """Standardised columns and what `estimators.selection_on_observables.systems.degree_two` adds to them.

    Attributes
    ----------
    columns : int
        k columns of mean zero and standard deviation one.
    squares : tuple of int
        Those that are squared.
    pairs : bool
        Whether each product of two is added.
    shift : ndarray of shape (q,)
        The features' means, near which their sums keep their digits.
    """

    columns: int
    squares: tuple[int, ...]
    pairs: bool
    shift: np.ndarray

    @classmethod
    def of(cls, correlation: np.ndarray, squares: tuple[int, ...], pairs: bool) -> Features:
        """The mean of a square is 1, that of a product the correlation: of shape (k, k)."""
        k = len(correlation)
        parts = [np.zeros(k), np.ones(len(squares))]
        parts += [correlation[i, i + 1 :] for i in range(k - 1)] if pairs else []
        return cls(k, squares, pairs, np.concatenate(parts))

    @property
    def rows(self) -> int:
        """Rows at once, so that a piece stays near 8 MB."""
        return max(NUMBERS // (len(self.shift) + 2), 1)

    def buffer(self) -> np.ndarray:
        """For a piece of the constant, the features and one column more: shape (q + 2, rows)."""
        return np.empty((len(self.shift) + 2, self.rows))

    def fill(self, z: np.ndarray, buffer: np.ndarray) -> np.ndarray:
        """The constant, the features less their means, and the last row of z as it is: shape (q + 2, m).

        Parameters
        ----------
        z : ndarray of shape (k + 2, m)
            The constant, the columns, and one more (the outcome).
        """
        k, m = self.columns, z.shape[1]
        out = buffer[:, :m]
        out[: k + 1] = z[: k + 1]
        out[-1] = z[-1]
        own, at = z[1 : k + 1], k + 1
        for j in self.squares:
            np.multiply(own[j], own[j], out=out[at])
            at += 1
        if self.pairs:
            for j in range(k - 1):
                np.multiply(own[j], own[j + 1 :], out=out[at : at + k - 1 - j])
                at += k - 1 - j
        out[k + 1 : -1] -= self.shift[k:, None]
        return out


def products(source: Source, plan: Plan, frame: Frame, features: Features) -> np.ndarray:
    """Cross-products by arm of the constant, the features and the outcome, in one scan: shape (2, q + 2, q + 2).

    Parameters
    ----------
    plan : Plan
        The columns and, last, the outcome; the arm is the group. No weight.
    frame : Frame
        Makes the columns' mean zero and standard deviation one.
    """
    buffer = features.buffer()
    out = np.zeros((2, len(buffer), len(buffer)))
    for block in blocks(source, plan):
        grouped = Grouped.of(block, 2)
        z = frame.fill(block, grouped.order)
        for arm, part in grouped.parts():
            for piece in pieces(z[:, part], features.rows):
                inside = features.fill(piece, buffer)
                out[arm] += inside @ inside.T
    return out


def pieces(z: np.ndarray, rows: int) -> list[np.ndarray]:
    """Views of some columns at a time."""
    return [z[:, start : start + rows] for start in range(0, z.shape[1], rows)]
