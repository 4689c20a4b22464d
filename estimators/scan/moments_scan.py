"""One scan of a source to Moments a group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..bounds import LARGEST
from ..errors import Refusal
from ..moments import Moments
from . import sums
from .frame import Frame, Grouped
from .stream import Incomplete, Plan, Source, blocks, complete, quoted


@dataclass(frozen=True)
class Scanned:
    """What one scan gave.

    Attributes
    ----------
    moments : Moments
        A fold axis of ``plan.n_groups`` groups.
    source : Source
        The complete rows: later scans read these.
    dropped : int
        Rows left out for a NULL or NaN.
    """

    moments: Moments
    source: Source
    dropped: int


def scan(source: Source, plan: Plan, needed: tuple[str, ...] = ()) -> Scanned:
    """Weighted cross-products of the plan's columns, a group, in one scan.

    The scan takes every row to be complete; at the first that is not it stops, one query tells what is missing, and it
    starts again without those rows. Columns enter as z = (x − shift) / scale with the first block's mean and sd; √w
    multiplies z, so that a product is one symmetric BLAS call.

    The same rows in the same order give the same bits whatever DuckDB's threads, as blocks arrive in the order of the
    rows and are added one after the other; another order of the rows agrees to about 1e-13.

    Parameters
    ----------
    needed : tuple of str
        Further columns that a complete row has (the unit, a cluster); one narrow query looks for their NULLs.

    Raises
    ------
    Refusal
        For infinities, numbers beyond 1e150, negative weights, or no complete rows.
    """
    if source.engine is not None:
        kept, dropped = complete(source, plan, needed)
        whole = kept if dropped else source
        return Scanned(sums.moments(whole, plan), whole, dropped)
    try:
        if needed and source.one(f"bool_or({' or '.join(f'{quoted(name)} is null' for name in needed)})")[0]:
            raise Incomplete
        moments = _moments(source, plan)
        _check_size(moments)
        return Scanned(moments, source, 0)
    except Incomplete:
        kept, dropped = complete(source, plan, needed)
    try:
        return Scanned(_moments(kept, plan), kept, dropped)
    except Incomplete:
        reason = "cross-products are not finite although every number is"
        raise Refusal(reason, "Choose another unit of measurement in staging") from None


def _moments(source: Source, plan: Plan) -> Moments:
    p = len(plan.columns)
    cross, rows = np.zeros((plan.n_groups, p + 1, p + 1)), np.zeros(plan.n_groups, dtype=np.int64)
    frame = None
    for block in blocks(source, plan):
        frame = frame or Frame.first(block, plan.rows())
        grouped = Grouped.of(block, plan.n_groups)
        with np.errstate(all="ignore"):
            z = frame.fill(block, grouped.order)
            if block.weight is not None:
                z *= roots(block.weight, grouped.order)
            for k, part in grouped.parts():
                inside = z[:, part]
                product = inside @ inside.T
                if not np.isfinite(product).all():
                    raise Incomplete
                cross[k] += product
                rows[k] += inside.shape[1]
    if frame is None:
        raise Refusal("there are no rows", "Check the raw file and the filters of staging and units")
    return Moments(plan.names, frame.shift, frame.scale, cross, rows)


def _check_size(moments: Moments) -> None:
    """No number can be larger than its column's sum of squares says; where that is beyond bounds, a query looks."""
    with np.errstate(all="ignore"):
        most = np.abs(moments.shift) + moments.scale * np.sqrt(np.diag(moments.total())[1:])
    if not (most <= LARGEST).all():
        raise Incomplete


def roots(weight: np.ndarray, order: np.ndarray | None) -> np.ndarray:
    """√w in the order of the groups."""
    if weight.min() < 0:
        raise Refusal("a sampling weight is negative", "Mend the weights in staging")
    return np.sqrt(weight if order is None else weight[order])
