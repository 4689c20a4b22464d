"""Scratch tables of matching: units sorted by propensity, and what each donor serves."""

from __future__ import annotations

import contextlib
import uuid
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ..scan import handed, queries
from ..scan.stream import Column, Plan, Source, blocks
from .matching import Arrays

# Rows that an insert takes; an insert of a small block each would cost more than the rows.
AT_ONCE = 2**18


class Scratch:
    """A database in memory beside the warehouse's: every cursor sees it, and DuckDB spills it beyond its limit.

    It is detached when nothing refers to it any more, so whoever runs a query of its tables later (matching weights)
    must keep the problem, whose cache holds it.
    """

    def __init__(self, connection: Any) -> None:
        self.connection, self.name = connection, f"matching_{uuid.uuid4().hex}"
        queries.run(connection, f"attach ':memory:' as {self.name}")
        weakref.finalize(self, _detach, connection, self.name)

    def table(self, name: str) -> str:
        """A table's name as SQL."""
        return f"{self.name}.{name}"

    def make(self, name: str, query: str) -> None:
        """Make a table by a query."""
        queries.run(self.connection, f"create table {self.table(name)} as {query}")

    def drop(self, name: str) -> None:
        """Drop a table."""
        queries.run(self.connection, f"drop table {self.table(name)}")

    def one(self, query: str) -> tuple[Any, ...]:
        """The single row of a query."""
        return queries.one(self.connection, query)

    def add(self, name: str, rows: Iterable[tuple[np.ndarray, ...]]) -> None:
        """Put blocks of rows, arrays in the order of the table's columns, into a table."""
        with Inserts(self, name) as inserts:
            for block in rows:
                inserts.put(*block)


class Inserts:
    """Blocks of rows that are put into a table some hundred thousand at a time; NaN becomes NULL."""

    def __init__(self, scratch: Scratch, name: str) -> None:
        self.connection, self.table = scratch.connection, scratch.table(name)
        self.held: list[tuple[np.ndarray, ...]] = []

    def put(self, *block: np.ndarray) -> None:
        """Take a block: arrays in the order of the table's columns."""
        self.held.append(block)
        if sum(len(part[0]) for part in self.held) >= AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Insert what is held."""
        if self.held:
            columns = [_column(np.concatenate(parts)) for parts in zip(*self.held, strict=True)]
            batch = pa.RecordBatch.from_arrays(columns, [f"c{j}" for j in range(len(columns))])
            stream = handed.stream(batch.schema, [batch])
            queries.run(self.connection, f"insert into {self.table} select * from handed", stream)
            self.held = []

    def __enter__(self) -> Inserts:
        """Begin."""
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Insert the rest, unless something failed."""
        if kind is None:
            self.flush()


def _column(values: np.ndarray) -> pa.Array:
    return handed.array(values, np.isnan(values) if values.dtype == np.float64 else None)


def _detach(connection: Any, name: str) -> None:
    import duckdb

    with contextlib.suppress(duckdb.Error):  # the connection is closed, and the database with it
        queries.run(connection, f"detach database if exists {name}")


@dataclass(frozen=True)
class Ranked:
    """A scratch table ``ranked`` of units, and what its numbers are measured in.

    Attributes
    ----------
    scratch : Scratch
    spread : float
        Standard deviation of the propensity e (n − 1).
    shift, scale : float
        Mean and standard deviation of the outcome y: it is streamed as (y − shift) / scale.
    """

    scratch: Scratch
    spread: float
    shift: float
    scale: float

    def ascending(self, arm: int) -> Iterator[Arrays]:
        """Propensities and standardised outcomes of one arm, a block at a time."""
        kept = self.scratch.one("select current_setting('preserve_insertion_order')")[0]
        plan, rows = Plan((Column("e", "e"), Column("y", "y"))), self.rows(f"t = {arm}")
        for block in blocks(rows, plan, "" if kept else "e"):
            e, y = block.columns
            yield e.copy(), (y - self.shift) / self.scale  # the block's own memory goes with the next one

    def rows(self, where: str) -> Source:
        """Some of the units."""
        return Source(self.scratch.connection, self.scratch.table("ranked"), where)


def rank(source: Source, propensity: str, outcome: str, arm: str, keys: tuple[str, ...] = ()) -> Ranked:
    """Sort units by arm and propensity: 17 bytes a unit and its keys, which DuckDB spills beyond its memory limit.

    Parameters
    ----------
    source : Source
    propensity, outcome, arm : str
        SQL of columns e, y and t.
    keys : tuple of str
        SQL of columns ``key0``, ``key1`` … that the table has besides.
    """
    scratch = Scratch(source.connection)
    select = f"({propensity})::double as e, ({outcome})::double as y, ({arm})::utinyint as t"
    select += "".join(f", {sql} as key{j}" for j, sql in enumerate(keys))
    scratch.make("ranked", f"{source.sql(select)} order by t, e")
    spread, shift, scale = scratch.one(f"select stddev_samp(e), avg(y), stddev_pop(y) from {scratch.table('ranked')}")
    return Ranked(scratch, float(spread), float(shift), float(scale) or 1.0)
