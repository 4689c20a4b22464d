"""Rows of a DuckDB source as blocks of float64, through Arrow record batches."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from ..bounds import LARGEST
from ..errors import Refusal
from . import queries

# Measured: 32,768 rows of 24 columns are best; wider blocks shrink so that a block stays near 8 MB.
ROWS, NUMBERS, VECTOR = 32_768, 2**20, 2_048


def quoted(name: str) -> str:
    """A column's name as SQL."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class Source:
    """Rows in DuckDB: what stands after FROM, and a condition.

    Every stream runs on a cursor of its own, so the relation must not be a temporary one of this connection alone.
    DuckDB hands rows out in the order of the table or file whatever its threads (``preserve_insertion_order``, its
    default); a query without that order gives the same sums to about 1e-13.
    """

    connection: Any
    relation: str
    where: str = ""

    @classmethod
    def of(cls, connection: Any, data: Any) -> Source:
        """A Parquet path, the name of a table, or a DuckDB relation."""
        if isinstance(data, Path):
            return cls(connection, "read_parquet('" + str(data).replace("'", "''") + "')")
        if isinstance(data, str):
            return cls(connection, ".".join(quoted(part) for part in data.split(".")))
        return cls(connection, f"({data.sql_query()})")

    def sql(self, select: str) -> str:
        """A query of these rows."""
        return f"select {select} from {self.relation}" + (f" where {self.where}" if self.where else "")

    def one(self, select: str) -> tuple[Any, ...]:
        """The single row of an aggregate."""
        return queries.one(self.connection, self.sql(select))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a whole query: aggregates, levels, groups, and never units."""
        return queries.rows(self.connection, sql)

    @property
    def engine(self) -> str | None:
        """None: DuckDB. The name of another engine that adds up by itself: see `estimators.engines.source`."""
        return None

    def types(self) -> dict[str, str]:
        """DuckDB's type of each column."""
        return {row[0]: row[1] for row in self.rows(f"describe select * from {self.relation}")}

    def kept(self, condition: str) -> Self:
        """The rows that also keep to a condition."""
        return dataclasses.replace(self, where=f"{self.where} and {condition}" if self.where else condition)


@dataclass(frozen=True)
class Column:
    """A named column of numbers: SQL that gives a DOUBLE."""

    name: str
    sql: str


@dataclass(frozen=True)
class Plan:
    """What a scan reads.

    Attributes
    ----------
    columns : tuple of Column
    weight : str or None
        SQL of sampling weights.
    group : str or None
        SQL of a code 0 … n_groups − 1 (a fold, an arm, or both).
    n_groups : int
        At most 256.
    cluster : str or None
        SQL of a BIGINT key.
    carry : tuple of str
        SQL of columns that are handed through as they are (the unit).
    """

    columns: tuple[Column, ...]
    weight: str | None = None
    group: str | None = None
    n_groups: int = 1
    cluster: str | None = None
    carry: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.columns)

    def select(self) -> str:
        """All that is read, in order: columns, weight, group, cluster, carried."""
        parts = [f"({c.sql})::double as c{j}" for j, c in enumerate(self.columns)]
        parts += [f"({self.weight})::double as w"] if self.weight else []
        parts += [f"({self.group})::utinyint as g"] if self.group else []
        parts += [f"({self.cluster})::bigint as k"] if self.cluster else []
        return ", ".join(parts + [f"{sql} as carried{j}" for j, sql in enumerate(self.carry)])

    def rows(self) -> int:
        """Rows a block."""
        wanted = min(ROWS, NUMBERS // max(len(self.columns), 1))
        return max(wanted // VECTOR, 1) * VECTOR


@dataclass(frozen=True)
class Block:
    """Some rows: views of Arrow's memory, valid until the next block.

    ``columns`` are p arrays of shape (m,); the others have shape (m,) or are None.
    """

    columns: list[np.ndarray]
    weight: np.ndarray | None
    group: np.ndarray | None
    cluster: np.ndarray | None
    carried: list[pa.Array]

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.columns[0])


def not_streamed(engine: str) -> Refusal:
    """For what asks rows of an engine that hands out sums only."""
    reason = f"this estimate needs rows in Python, and is not streamed on {engine}"
    return Refusal(reason, "Raise row_budget so that memory holds them, or keep the units in DuckDB")


class Incomplete(Exception):
    """A row has no number (NULL, NaN, infinity) in some column."""


def blocks(source: Source, plan: Plan, order: str = "") -> Iterator[Block]:
    """The rows, a block at a time; with ``order`` (what stands after ORDER BY) sorted by DuckDB.

    The query ends with this generator: at the last block, at an exception, or when nobody asks for the next one.

    Raises
    ------
    Incomplete
        At the first NULL. NaN and infinities pass: sums show them (see `complete`).
    """
    if source.engine is not None:
        raise not_streamed(source.engine)
    query = source.sql(plan.select()) + (f" order by {order}" if order else "")
    with closing(queries.batches(source.connection, query, plan.rows())) as batches:
        for batch in batches:
            if batch.num_rows:
                yield _block(batch, plan)


def _block(batch: pa.RecordBatch, plan: Plan) -> Block:
    arrays = iter(batch.columns)
    columns = [_numbers(next(arrays), np.float64) for _ in plan.columns]
    return Block(
        columns,
        _numbers(next(arrays), np.float64) if plan.weight else None,
        _numbers(next(arrays), np.uint8) if plan.group else None,
        _numbers(next(arrays), np.int64) if plan.cluster else None,
        list(arrays),
    )


def _numbers(array: pa.Array, kind: Any) -> np.ndarray:
    """Arrow's buffer as an array; pyarrow's own to_numpy imports pandas."""
    if array.null_count:
        raise Incomplete
    size = np.dtype(kind).itemsize
    return np.frombuffer(array.buffers()[1], dtype=kind, count=len(array), offset=array.offset * size)


def complete(source: Source, plan: Plan, needed: tuple[str, ...] = ()) -> tuple[Source, int]:
    """The rows with a number in every column of the plan and a value in ``needed``, and how many were left out.

    One query. A scan of a source that lacks nothing need not ask it: see `moments_scan.scan`.

    Raises
    ------
    Refusal
        For infinities and numbers beyond 1e150 (their squares overflow), naming the column; where no row is left.
    """
    numbers = {column.name: f"({column.sql})::double" for column in plan.columns}
    if plan.weight:
        numbers["weight"] = f"({plan.weight})::double"
    tests = [f"{sql} is not null and not isnan({sql})" for sql in numbers.values()]
    tests += [f"{sql} is not null" for sql in (plan.group, plan.cluster) if sql]
    tests += [f"{quoted(name)} is not null" for name in needed]
    has_all = " and ".join(tests)
    counts = [f"count(*) filter (where not isnan({sql}) and abs({sql}) > {LARGEST})" for sql in numbers.values()]
    total, whole, *large = source.one(", ".join(["count(*)", f"count(*) filter (where {has_all})", *counts]))
    for name, bad in zip(numbers, large, strict=True):
        if bad:
            reason = f"'{name}' is infinite or beyond {LARGEST:g} in {bad} rows"
            raise Refusal(reason, "Mend the column in staging, or choose another unit of measurement")
    if not whole:
        raise Refusal("every row lacks a value in some column", "Fill them, or drop the emptiest columns")
    return source.kept(has_all), total - whole
