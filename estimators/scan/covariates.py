"""One pass over covariates, treatment and weights: cross-products, and sums of each arm under every set of weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..moments import Moments
from .balance import differences
from .frame import Frame
from .room import Room
from .stream import Block


@dataclass(frozen=True)
class CovariateSums:
    """Sums of p covariate columns and, last, the treatment; z is in units of the moments, the constant first.

    Attributes
    ----------
    moments : Moments
        Unweighted, of all rows.
    weighted : ndarray of shape (2, J, p + 2)
        Σ w z of the treated and of the untreated under J sets of weights, the first of which is 1 of the rows that are
        compared and 0 of others.
    squares : ndarray of shape (2, p + 2)
        Σ w z² of both under the first.
    """

    moments: Moments
    weighted: np.ndarray
    squares: np.ndarray

    def differences(self, j: int) -> np.ndarray | None:
        """Standardised mean differences of the covariates under the j-th weights: shape (p,).

        The yardstick is the root of the mean of the arms' unweighted variances (Austin 2011). Infinite where the arms
        differ in a column that does not vary inside them, NaN where an arm has one row; None where one has no weight.
        """
        total = self.weighted[:, j, :1]
        if not (np.isfinite(total) & (total != 0)).all():
            return None
        ratio = np.concatenate([[0.0], self.moments.shift / self.moments.scale])
        with np.errstate(divide="ignore", invalid="ignore"):
            out = differences(self.weighted[:, j] / total, self.weighted[:, 0], self.squares, ratio)
        return out[1:-1]


def add_up(blocks: Iterable[Block], names: tuple[str, ...], weights: int, rows: int) -> CovariateSums:
    """The sums of blocks whose columns are those named, then the weights.

    Parameters
    ----------
    names : tuple of str
        Covariates and, last, the treatment.
    weights : int
        How many columns of weights follow; none where the treatment is no matter of two arms.
    rows : int
        The most rows that a block has.

    Raises
    ------
    Refusal
        If there are no rows, or products overflow.
    """
    p, n, room, frame = len(names), 0, Room(), None
    cross, weighted, squares = np.zeros((p + 1, p + 1)), np.zeros((2, weights, p + 1)), np.zeros((2, p + 1))
    for block in blocks:
        own = dataclasses.replace(block, columns=block.columns[:p])
        frame = frame or Frame.first(own, rows)
        with np.errstate(all="ignore"):
            z = frame.fill(own)
            cross += z @ z.T
            if weights:
                left, treated = room.take("weights", 2 * weights, block.n), own.columns[-1] == 1
                np.multiply(block.columns[p:], treated, out=left[:weights])
                np.multiply(block.columns[p:], ~treated, out=left[weights:])
                weighted += (left @ z.T).reshape(weighted.shape)
                squares += left[::weights] @ np.square(z, out=room.take("squares", p + 1, block.n)).T
        n += block.n
    if frame is None:
        raise Refusal("there are no rows", "Check the raw file and the filters of staging and units")
    if not np.isfinite(cross).all():
        reason = "cross-products of the covariates are not finite although every number is"
        raise Refusal(reason, "Choose another unit of measurement in staging")
    moments = Moments(names, frame.shift, frame.scale, cross[None], np.array([n]))
    return CovariateSums(moments, weighted, squares)


def blocks_of(columns: list[np.ndarray], rows: int) -> Iterator[Block]:
    """Columns in memory, so many rows at a time: arrays of shape (n,) of numbers."""
    for start in range(0, len(columns[0]), rows):
        yield Block([column[start : start + rows] for column in columns], None, None, None, [])
