"""One pass over covariates, treatment and weights: cross-products by group, and sums under every set of weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..moments import Moments
from .balance import differences
from .frame import Frame, Grouped
from .stream import Block

# Group of a row: its arm, and two more where it has a score.
UNTREATED, TREATED = 2, 3
GROUPS = 4


@dataclass(frozen=True)
class CovariateSums:
    """Sums of p covariate columns and, last, the treatment.

    Attributes
    ----------
    moments : Moments
        Unweighted, a group each: of a binary treatment those of `GROUPS`, else one.
    weighted : ndarray of shape (groups, J, p + 2)
        Σ w (1, z) of J sets of weights, z in units of the moments.
    """

    moments: Moments
    weighted: np.ndarray

    def differences(self, j: int) -> np.ndarray | None:
        """Standardised mean differences of the covariates under the j-th weights: shape (p,).

        The yardstick is the root of the mean of the arms' unweighted variances (Austin 2011). Infinite where the arms
        differ in a column that does not vary inside them, NaN where an arm has one row. None where an arm has no weight.
        """
        at = [TREATED, UNTREATED]
        total = self.weighted[at, j, :1]
        if not (np.isfinite(total) & (total != 0)).all():
            return None
        cross = self.moments.cross[at]
        ratio = np.concatenate([[0.0], self.moments.shift / self.moments.scale])
        with np.errstate(divide="ignore", invalid="ignore"):
            squares = np.diagonal(cross, axis1=1, axis2=2)
            out = differences(self.weighted[at, j] / total, cross[:, 0], squares, ratio)
        return out[1:-1]


def add_up(blocks: Iterable[Block], names: tuple[str, ...], weights: int, groups: int, rows: int) -> CovariateSums:
    """The sums of blocks whose columns are those named, then the weights.

    Parameters
    ----------
    names : tuple of str
        Covariates and, last, the treatment.
    weights : int
        How many columns of weights follow.
    groups : int
    rows : int
        The most rows that a block has.

    Raises
    ------
    Refusal
        If there are no rows, or products overflow.
    """
    p = len(names)
    cross, counted = np.zeros((groups, p + 1, p + 1)), np.zeros(groups, dtype=np.int64)
    weighted, frame = np.zeros((groups, weights, p + 1)), None
    for block in blocks:
        own = dataclasses.replace(block, columns=block.columns[:p])
        frame = frame or Frame.first(own, rows)
        grouped, w = Grouped.of(block, groups), np.array(block.columns[p:]).reshape(weights, block.n)
        with np.errstate(all="ignore"):
            z = frame.fill(own, grouped.order)
            w = w if grouped.order is None else w[:, grouped.order]
            for k, part in grouped.parts():
                inside = z[:, part]
                cross[k] += inside @ inside.T
                weighted[k] += w[:, part] @ inside.T
                counted[k] += inside.shape[1]
    if frame is None:
        raise Refusal("there are no rows", "Check the raw file and the filters of staging and units")
    if not np.isfinite(cross).all():
        reason = "cross-products of the covariates are not finite although every number is"
        raise Refusal(reason, "Choose another unit of measurement in staging")
    return CovariateSums(Moments(names, frame.shift, frame.scale, cross, counted), weighted)


def blocks_of(columns: list[np.ndarray], group: np.ndarray | None, rows: int) -> Iterator[Block]:
    """Columns in memory, so many rows at a time: arrays of shape (n,) of numbers or booleans, uint8 groups."""
    n = len(columns[0])
    for start in range(0, n, rows):
        part = slice(start, min(start + rows, n))
        own = None if group is None else group[part]
        yield Block([column[part].astype(float, copy=False) for column in columns], None, own, None, [])
