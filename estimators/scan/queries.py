"""How results are read from DuckDB: whole, or as a stream that is closed; no result is left open.

DuckDB goes on working for a result that is not read to its end, and whoever destroys it waits for DuckDB's threads.
Python's objects are destroyed with Python's lock (the GIL) held: a cursor, whose result `fetchone` left open, or a
reader. A thread of DuckDB that needs the GIL to end (it reads rows that Python makes, or an object of the caller's own
units, such as a pandas column) then waits for the one that waits for it. Here nobody waits so:

- `rows` asks a relation for all rows. DuckDB then runs the query to its end in one call without the GIL and gives rows
  that no thread works for; also where the query fails or is interrupted, when its tasks are awaited by the next query
  of the cursor or by its closing, without the GIL. (A cursor's own `execute` gives the first rows while threads are at
  work on the others, so that an interrupt before `fetchall` would leave it open.)
- `run` is for statements that give no rows of their own, which DuckDB never leaves open.
- `opened` is a reader whose `close` lets go of the GIL, as its destruction does not. Whoever opens it reads it in
  `with`, so it is closed before it goes, wherever the reading stops.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa


def rows(connection: Any, query: str, handed: Any = None) -> list[tuple[Any, ...]]:
    """All rows of a query, on a cursor of its own.

    Parameters
    ----------
    connection : DuckDB connection
    query : str
        It calls what is handed to it ``handed``.
    handed : object, optional
        Whatever DuckDB reads, as a stream of `handed.stream`.
    """
    with cursor(connection) as own:
        return own.sql(query).fetchall()


def one(connection: Any, query: str) -> tuple[Any, ...]:
    """The single row of a query."""
    (row,) = rows(connection, query)
    return row


def run(connection: Any, statement: str, handed: Any = None) -> None:
    """Run a statement that gives no rows (create, insert, attach), on a cursor of its own; ``handed`` as in `rows`."""
    with cursor(connection) as own:
        own.execute(statement)


@contextmanager
def opened(connection: Any, query: str, size: int) -> Iterator[pa.RecordBatchReader]:
    """A query's rows as a reader of batches of so many rows, on a cursor of its own; both are closed at the end.

    No other thread may be reading it then.
    """
    with cursor(connection) as own:
        reader = own.sql(query).to_arrow_reader(size)
        try:
            yield reader
        finally:
            reader.close()


@contextmanager
def cursor(connection: Any) -> Iterator[Any]:
    """A cursor of a connection, closed at the end."""
    own = connection.cursor()
    try:
        yield own
    finally:
        own.close()
