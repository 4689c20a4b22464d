"""The curves of a streamed discontinuity: `estimators.discontinuity.curves` by SQL."""

from __future__ import annotations

import numpy as np

from ..discontinuity.curves import BINS, bar_count, bars, bin_point, bin_ranks, line_ends, line_points
from ..result import CurvePoint
from ..scan.stream import Column
from .local_fit import Fitted
from .order_statistics import real
from .running import Running


def rd_bins(running: Running, y: Column) -> list[CurvePoint]:
    """Means of the outcome in quantile bins of a side: the bins' edges are order statistics, the means one scan."""
    x, cutoff = running.x.sql, running.cutoff
    left, right = running.left.rows, running.right.rows
    ranks = [bin_ranks(left), [left + rank for rank in bin_ranks(right)]]
    values = running.at_ranks(ranks[0] + ranks[1])
    edges = [sorted({values[rank] for rank in own}) for own in ranks]
    # A row's bin is how many edges of its side lie below it; right bins are numbered after the left ones.
    places = [_place(x, own, first) for own, first in zip(edges, (0, BINS), strict=True)]
    place = f"case when {x} < {real(cutoff)} then {places[0]} else {places[1]} end"
    asked = f"{place} as place, count(*), favg({x}), favg({y.sql}), stddev_samp({y.sql})"
    rows = running.source.rows(running.source.sql(asked) + " group by 1 order by 1")
    return [bin_point("left" if at < BINS else "right", n, mx, my, spread) for at, n, mx, my, spread in rows]


def _place(x: str, edges: list[float], first: int) -> str:
    """SQL of how many edges lie below x, plus ``first``: halved again and again, five comparisons a row."""
    if not edges:
        return str(first)
    middle = len(edges) // 2
    below, above = _place(x, edges[:middle], first), _place(x, edges[middle + 1 :], first + middle + 1)
    return f"case when {x} <= {real(edges[middle])} then {below} else {above} end"


def rd_fit(running: Running, fitted: Fitted, order: int, sign: float) -> list[CurvePoint]:
    """The fitted line of each side; ``sign`` is that by which the outcome was multiplied."""
    points = []
    for series, side, h in zip(("left", "right"), fitted.sums, fitted.fit.bandwidth, strict=True):
        at = line_ends(series, running.cutoff, h, running.low, running.high)
        powers = side.window.powers(at, order)
        line = sign * (fitted.mean + fitted.sd * (side.coefficients(order)[:, 0] @ powers))
        points += line_points(series, at, line)
    return points


def running_density(running: Running) -> list[CurvePoint]:
    """Units in bins of equal width that start at the cutoff: one scan."""
    x, c = running.x.sql, real(running.cutoff)
    width = (running.high - running.low) / (2 * BINS)
    counts = [bar_count(float(abs(end - running.cutoff)), width) for end in (running.left.low, running.right.high)]
    place = (
        f"least(trunc(abs({x} - {c}) / {real(width)}), case when {x} < {c} then {counts[0]} else {counts[1]} end - 1)"
    )
    asked = f"{x} >= {c} as is_right, {place}::integer as place, count(*)"
    rows = running.source.rows(running.source.sql(asked) + " group by 1, 2")
    units = [np.zeros(count) for count in counts]
    for is_right, at, n in rows:
        units[int(is_right)][at] = n
    return [
        point for i, series in enumerate(("left", "right")) for point in bars(series, running.cutoff, width, units[i])
    ]
