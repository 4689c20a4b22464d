"""Exact order statistics of a column in DuckDB, in memory that does not grow with the rows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..scan.stream import Column, Plan, Source, blocks

BUCKETS = 4096
# Values that are fetched and sorted at once (8 MiB).
AT_ONCE = 2**20


def real(value: float) -> str:
    """SQL of a float64, to its last bit: a bare literal is a DECIMAL and may round."""
    return f"'{float(value)!r}'::double"


def order_statistics(source: Source, x: str, ranks: Iterable[int], low: float, high: float) -> dict[int, float]:
    """The values at some ranks (0 is the smallest).

    Rows are counted in buckets of equal width between ``low`` and ``high``; of the buckets that hold a wanted rank the
    values are sorted, or counted again where they are many. Two scans as a rule, whatever the number of ranks.

    Parameters
    ----------
    source : Source
    x : str
        SQL of a DOUBLE without NULL.
    ranks : iterable of int
        Below the number of rows.
    low, high : float
        Least and largest x.
    """
    wanted = sorted(set(ranks))
    if low == high or not wanted:
        return dict.fromkeys(wanted, low)
    number, counts, least, most = _buckets(source, x, low, high)
    ends = np.cumsum(counts)
    found: dict[int, float] = {}
    unresolved: dict[int, list[int]] = {}
    for rank in wanted:
        at = int(np.searchsorted(ends, rank, side="right"))
        if least[at] == most[at]:
            found[rank] = float(least[at])
        else:
            unresolved.setdefault(at, []).append(rank)
    few = sum(int(counts[at]) for at in unresolved) <= AT_ONCE
    inside = f"{_bucket(x, low, high)} in ({', '.join(str(number[at]) for at in unresolved)})"
    values = _values(source.kept(inside), x) if few and unresolved else np.empty(0)
    start = 0
    for at, ranks_in_it in unresolved.items():
        before = int(ends[at] - counts[at])
        if few:
            found |= {rank: float(values[start + rank - before]) for rank in ranks_in_it}
            start += int(counts[at])
        else:
            own = source.kept(f"({x}) between {real(least[at])} and {real(most[at])}")
            below = [rank - before for rank in ranks_in_it]
            found |= {r + before: v for r, v in order_statistics(own, x, below, least[at], most[at]).items()}
    return found


def _bucket(x: str, low: float, high: float) -> str:
    """SQL of the bucket that x falls into."""
    # Halved, so that the width of a range near the largest float does not overflow.
    share = f"(({x}) / 2 - {real(low / 2)}) / {real(high / 2 - low / 2)}"
    return f"least(floor({share} * {BUCKETS}), {BUCKETS - 1})::integer"


def _buckets(source: Source, x: str, low: float, high: float) -> tuple[np.ndarray, ...]:
    """Number, rows, least and largest value of the buckets that hold any, in ascending order."""
    listed = f"{_bucket(x, low, high)} as bucket, count(*) as rows, min({x}) as low, max({x}) as high"
    found = source.rows(source.sql(listed) + " group by 1 order by 1")
    number, rows, least, most = zip(*found, strict=True)
    return np.array(number), np.array(rows, dtype=np.int64), np.array(least, dtype=float), np.array(most, dtype=float)


def _values(source: Source, x: str) -> np.ndarray:
    """The values, sorted."""
    return np.sort(np.concatenate([b.columns[0].copy() for b in blocks(source, Plan((Column("x", x),)))]))
