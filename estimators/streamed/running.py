"""The running variable of a streamed discontinuity: counts and moments by SQL, its rows sorted or put into cells."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..discontinuity.bandwidth import FEWEST_VALUES, JUST_BEYOND, Spread
from ..discontinuity.density import NEAR
from ..discontinuity.neighbours import Cells
from ..scan.stream import Column, Plan, Source, blocks, quoted
from .order_statistics import order_statistics, real

# Up to so many distinct values, at least eight rows each, rows are put together by SQL; above they are sorted.
CELLS, ROWS_A_CELL = 2**17, 8


@dataclass(frozen=True)
class Pinned:
    """A connection whose cursor is itself: a temporary table is seen by the connection that made it alone."""

    connection: Any

    def cursor(self) -> Pinned:
        """The connection."""
        return self

    def close(self) -> None:
        """Nothing: the table goes with its connection."""

    @property
    def sql(self) -> Any:
        """The connection's own, as DuckDB looks for what is handed to it where that is called."""
        return self.connection.sql


def position(name: str, turned: bool) -> str:
    """SQL of the running variable as a number; of −x (never a negative zero) where ``turned``."""
    return f"(0.0::double - {quoted(name)}::double)" if turned else f"{quoted(name)}::double"


@dataclass(frozen=True)
class Side:
    """Rows of one side: how many, least and largest value, and about how many distinct ones (HyperLogLog)."""

    rows: int
    low: float
    high: float
    distinct: int


@dataclass(frozen=True)
class Nearest:
    """Distinct values of both sides: how many, and those next to the cutoff, the nearest first, with their rows."""

    values: tuple[int, int]
    near: tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Running:
    """A running variable that stays in DuckDB.

    Attributes
    ----------
    source : Source
        The rows that are used.
    name : str
        Of the column.
    cutoff : float
    left, right : Side
    mean, sd : float
        Of all rows; n − 1 below.
    keep : tuple of str
        Raw columns that sorted rows carry.
    turned : bool
        Whether it is −x, where rows at the cutoff lie left; ``cutoff`` is then −c.
    """

    source: Source
    name: str
    cutoff: float
    left: Side
    right: Side
    mean: float
    sd: float
    keep: tuple[str, ...] = ()
    turned: bool = False

    @classmethod
    def of(cls, source: Source, name: str, cutoff: float, keep: Iterable[str] = (), turned: bool = False) -> Running:
        """Counts and moments, in one scan; ``cutoff`` is that of −x where ``turned``."""
        x, c = position(name, turned), real(cutoff)
        asked = []
        for side in (f"{x} < {c}", f"{x} >= {c}"):
            wanted = ("count(*)", f"min({x})", f"max({x})", f"approx_count_distinct({x})")
            asked += [f"{sql} filter (where {side})" for sql in wanted]
        found = source.one(", ".join([*asked, f"avg({x})", f"stddev_samp({x})"]))
        left, right = (
            Side(rows, np.nan if low is None else low, np.nan if high is None else high, distinct)
            for rows, low, high, distinct in (found[:4], found[4:8])
        )
        columns = tuple(dict.fromkeys([name, *keep]))
        return cls(source, name, cutoff, left, right, found[8] or 0.0, found[9] or 0.0, columns, turned)

    @property
    def x(self) -> Column:
        """The column as a number, turned or not."""
        return Column("x", position(self.name, self.turned))

    @property
    def rows(self) -> int:
        """Rows of both sides."""
        return self.left.rows + self.right.rows

    @property
    def low(self) -> float:
        """Least value."""
        return float(np.nanmin([self.left.low, self.right.low]))

    @property
    def high(self) -> float:
        """Largest value."""
        return float(np.nanmax([self.left.high, self.right.high]))

    @property
    def discrete(self) -> bool:
        """Whether rows are put together by their value."""
        return self.left.distinct + self.right.distinct <= min(CELLS, self.rows / ROWS_A_CELL)

    def rows_of_sides(self) -> tuple[int, int]:
        """Rows left and right."""
        return self.left.rows, self.right.rows

    def near(self, side: int) -> tuple[np.ndarray, np.ndarray]:
        """The 32 distinct values next to the cutoff (0 left, 1 right), the nearest first, and their rows."""
        return self.nearest.near[side]

    def values_of_sides(self) -> tuple[int, int]:
        """Distinct values of each side: exactly where they are few, about so many where they are more than 64."""
        sides = ((self.left, "<"), (self.right, ">="))
        few = [f"{self.x.sql} {sign} {real(self.cutoff)}" for side, sign in sides if side.distinct <= 64]
        if not few:
            return self.left.distinct, self.right.distinct
        counts = iter(self.source.one(", ".join(f"count(distinct {self.x.sql}) filter (where {own})" for own in few)))
        left, right = (next(counts) if side.distinct <= 64 else side.distinct for side, _ in sides)
        return left, right

    def within(self, bandwidth: float) -> Running:
        """The rows at most so far from the cutoff."""
        near = f"abs({self.x.sql} - {real(self.cutoff)}) <= {real(bandwidth)}"
        return Running.of(self.source.kept(near), self.name, self.cutoff, self.keep, self.turned)

    def between(self, low: float, high: float) -> str:
        """SQL of a range that is a little wider than asked; the exact weights are zero outside."""
        slack = 1e-12 * max(abs(low), abs(high), high - low)
        return f"{self.x.sql} between {real(low - slack)} and {real(high + slack)}"

    @cached_property
    def counted(self) -> Cells:
        """Distinct values and their rows, of a discrete variable: at most 131,072 of them, 2 MiB."""
        grouped = self.source.sql(f"{self.x.sql} as x, count(*) as n") + " group by 1 order by 1"
        source = dataclasses.replace(self.source, relation=f"({grouped})", where="")
        parts = [np.array(b.columns) for b in blocks(source, Plan((Column("x", "x"), Column("n", "n"))))]
        x, n = np.concatenate(parts, axis=1)
        return Cells(x, n, np.empty((0, len(x))), np.empty((0, len(x))))

    @cached_property
    def ordered(self) -> Source:
        """The rows sorted by the running variable, with the kept columns: a temporary table of a connection of its own.

        DuckDB sorts and holds it, on disk beyond its memory limit; it is gone with this object.
        """
        connection = self.source.connection.cursor()
        names = [quoted(name) for name in self.keep if name != self.name]
        # The table's column is the raw one, which `x` turns where it is read.
        select = ", ".join([f"{quoted(self.name)}::double as {quoted(self.name)}", *names])
        order = f" order by {self.x.sql}"
        connection.execute(f"create temporary table cqox_sorted_rows as {self.source.sql(select)}{order}")
        return Source(Pinned(connection), "cqox_sorted_rows")

    def cells(self, low: float, high: float) -> Iterator[Cells]:
        """Values from ``low`` to ``high`` in ascending order with their rows, each value once."""
        if self.discrete:
            first, after = np.searchsorted(self.counted.x, [low, np.nextafter(high, np.inf)])
            yield self.counted.part(first, after)
            return
        held = Cells.none(0)
        for block in blocks(self.ordered.kept(self.between(low, high)), Plan((self.x,))):
            x = block.columns[0]
            inside = slice(*np.searchsorted(x, [low, np.nextafter(high, np.inf)]))
            held = held.then(Cells.of_rows(x[inside], np.empty((0, len(x[inside])))))
            yield held.part(0, len(held.x) - 1)
            # The last value may go on in the next block.
            held = held.part(max(len(held.x) - 1, 0), len(held.x))
        yield held

    @cached_property
    def nearest(self) -> Nearest:
        """Distinct values of both sides, and the 32 next to the cutoff: one scan."""
        values, kept = [0, 0], [Cells.none(0), Cells.none(0)]
        for cells in self.cells(self.low, self.high):
            at = int(np.searchsorted(cells.x, self.cutoff))
            left, right = cells.part(0, at), cells.part(at, len(cells.x))
            values = [values[0] + len(left.x), values[1] + len(right.x)]
            joint = kept[0].then(left)
            kept = [joint.part(max(len(joint.x) - NEAR, 0), len(joint.x)), kept[1].then(right).part(0, NEAR)]
        left, right = kept
        return Nearest((values[0], values[1]), ((left.x[::-1], left.n[::-1]), (right.x, right.n)))

    def at_ranks(self, ranks: Iterable[int]) -> dict[int, float]:
        """Order statistics of all rows."""
        if self.discrete:
            ends = np.cumsum(self.counted.n)
            return {r: float(self.counted.x[np.searchsorted(ends, r, side="right")]) for r in set(ranks)}
        return order_statistics(self.source, self.x.sql, ranks, self.low, self.high)

    def spread(self) -> Spread:
        """What the choice of a bandwidth asks of it; the cutoff has rows on both sides."""
        n, found = self.rows, self.nearest
        ranks = [sorted({int(np.ceil(n * p)) - 1, int(n * p)}) for p in (0.25, 0.75)]
        values = self.at_ranks(r for pair in ranks for r in pair)
        q25, q75 = (float(np.mean([values[r] for r in pair])) for pair in ranks)
        tied = any(
            1 - count / side.rows >= 0.2 for count, side in zip(found.values, (self.left, self.right), strict=True)
        )
        near = [abs(x[min(FEWEST_VALUES, len(x)) - 1] - self.cutoff) for x, _ in found.near]
        return Spread(
            sum(found.values), tied, self.sd, q75 - q25, abs(self.cutoff - self.left.low),
            abs(self.right.high - self.cutoff), max(near) * JUST_BEYOND,
        )  # fmt: skip
