"""Sums a cluster of numbers that are computed row by row, added up by DuckDB."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from . import handed, queries

Part = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Factor:
    """What a cluster's squares are multiplied by: SQL, from the names of its sums of the last ``arms`` numbers."""

    arms: int
    sql: Callable[[Sequence[str]], str]


def squares(
    connection: Any, parts: Iterable[Part], products: bool = False, factor: Factor | None = None
) -> tuple[int, np.ndarray]:
    """How many clusters there are, and Σ s s' over them, with s a cluster's sums of q numbers of its rows.

    DuckDB pulls block after block, groups, and spills where clusters are many: a study may have one for every few rows,
    and their sums would not be flat in memory here. It adds in an order of its own, so the last digits (about 1e-15)
    differ from run to run.

    Parameters
    ----------
    connection : DuckDB connection
    parts : iterable of (keys of shape (m,), int64; numbers of shape (q, m))
    products : bool
        All of Σ s s'; otherwise its diagonal only.
    factor : Factor, optional
        Σ f s s' with a number f of each cluster. The rows' weights in the arms (`arm_rows`) then stand behind the q
        numbers and are not told.

    Returns
    -------
    int, and ndarray of shape (q, q), or (q,) without ``products``

    Raises
    ------
    BaseException
        Whatever the parts raise.
    """

    def query(names: list[str]) -> str:
        q = len(names) - (0 if factor is None else factor.arms)
        times = "" if factor is None else f" * ({factor.sql(names[q:])})"
        pairs = [(i, j) for i in range(q) for j in (range(i + 1) if products else [i])]
        asked = ", ".join(["count(*)", *(f"sum(s{i} * s{j}{times})" for i, j in pairs)])
        sums = ", ".join(f"sum({name}) as {name}" for name in names)
        return f"select {asked} from (select {sums} from handed group by k)"

    (row,) = _asked(connection, parts, query)
    if not products:
        return row[0], np.array(row[1:])
    q = (math.isqrt(8 * (len(row) - 1) + 1) - 1) // 2
    out, lower = np.empty((q, q)), np.tril_indices(q)
    out[lower] = out.T[lower] = row[1:]
    return row[0], out


def arm_rows(t: np.ndarray, w: np.ndarray | None) -> np.ndarray:
    """A row's weight among the treated and among the untreated: shape (2, m)."""
    own = np.array([t == 1, t != 1], dtype=float)
    return own if w is None else own * w


def totals(connection: Any, parts: Iterable[Part]) -> np.ndarray:
    """The sums of each cluster themselves, in the order of the keys: shape (G, q). For few clusters; see `squares`."""

    def query(names: list[str]) -> str:
        sums = ", ".join(f"sum({name})" for name in names)
        return f"select {sums} from handed group by k order by k"

    return np.array(_asked(connection, parts, query), dtype=float)


def _asked(connection: Any, parts: Iterable[Part], query: Callable[[list[str]], str]) -> list[tuple[Any, ...]]:
    """The rows of a query of the parts, which it reads as ``handed``: columns k and those whose names it is given."""
    errors: list[BaseException] = []
    batches = _caught(parts, errors)
    first = next(batches, None)
    if first is None:
        raise errors[0] if errors else ValueError("there are no rows")
    names = [f"s{i}" for i in range(first.num_columns - 1)]
    stream = handed.stream(first.schema, itertools.chain([first], batches))
    found: list[tuple[Any, ...]] = []
    try:
        found = queries.rows(connection, query(names), stream)
    except Exception:
        if not errors:
            raise
    if errors:  # DuckDB hands on an error's text only
        raise errors[0]
    return found


def _caught(parts: Iterable[Part], errors: list[BaseException]) -> Iterator[pa.RecordBatch]:
    try:
        for keys, numbers in parts:
            yield _batch(keys, numbers)
    except GeneratorExit:
        raise
    except BaseException as error:  # an interrupt too may come while DuckDB asks for the next part
        errors.append(error)
        raise


def _batch(keys: np.ndarray, numbers: np.ndarray) -> pa.RecordBatch:
    columns = [handed.array(column) for column in (keys, *numbers)]
    return pa.RecordBatch.from_arrays(columns, ["k", *(f"s{i}" for i in range(len(numbers)))])
