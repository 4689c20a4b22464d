"""How results are read from DuckDB: whole, or as a stream that is closed; no result is left open.

DuckDB goes on working for a result that is not read to its end, and whoever destroys it waits for DuckDB's threads.
Python's objects are destroyed with Python's lock (the GIL) held: a cursor, whose result `fetchone` left open, or a
reader. A thread of DuckDB that needs the GIL to end (it reads rows that Python makes, or an object of the caller's own
units, such as a pandas column) then waits for the one that waits for it. Here nobody waits so:

- `rows` asks a relation for all rows. DuckDB then runs the query to its end in one call without the GIL and gives rows
  that no thread works for, or an error, after which the cursor is closed: that too waits without the GIL. (A cursor's
  own `execute` gives the first rows while threads are at work on the others.)
- `run` is for statements that give no rows of their own, which DuckDB never leaves open.
- `batches` closes its reader, which lets go of the GIL, as destroying it does not.

An interrupt (Ctrl-C) that comes while Python's main thread is inside of DuckDB is DuckDB's to handle. dbt runs models
on other threads, which Python hands no signals.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import pyarrow as pa

# Batches that are fetched before they are asked for.
AHEAD = 2


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
    with _cursor(connection) as own:
        return own.sql(query).fetchall()


def one(connection: Any, query: str) -> tuple[Any, ...]:
    """The single row of a query."""
    (row,) = rows(connection, query)
    return row


def table(connection: Any, query: str) -> pa.Table:
    """All rows of a query as an Arrow table, read as in `rows`."""
    with _cursor(connection) as own:
        return own.sql(query).to_arrow_table()


def run(connection: Any, statement: str, handed: Any = None) -> None:
    """Run a statement that gives no rows (create, insert, attach), on a cursor of its own; ``handed`` as in `rows`."""
    with _cursor(connection) as own:
        own.execute(statement)


def batches(connection: Any, query: str, size: int) -> Generator[pa.RecordBatch, None, None]:
    """The rows of a query in order, so many a batch, on a cursor of its own.

    A second thread fetches the next ones while the first computes: DuckDB and NumPy let go of the GIL. The query ends
    with this generator: at the last row, at an exception, or when it is closed or dropped.
    """
    fetch = _Fetch(connection.cursor(), query, size)
    fetch.start()
    try:
        while (batch := fetch.take()) is not None:
            yield batch
    finally:
        fetch.stop()


class _Fetch(threading.Thread):
    """Opens, reads and closes a reader, which no other thread touches: so it is never closed while it is read.

    No executor: a generator may be dropped anywhere, by the garbage collector even inside of an executor's `submit`,
    whose lock is then held by the very thread that would submit the closing. A `SimpleQueue` may be entered again.
    """

    def __init__(self, own: Any, query: str, size: int) -> None:
        super().__init__(daemon=True)
        self.own, self.query, self.size = own, query, size
        self.wanted, self.found = SimpleQueue[bool](), SimpleQueue[Any]()
        self.stopped = False
        for _ in range(AHEAD):
            self.wanted.put(True)

    def run(self) -> None:
        """Fetch what is wanted."""
        try:
            reader = self.own.sql(self.query).to_arrow_reader(self.size)
            try:
                while self.wanted.get() and not self.stopped:
                    self.found.put(next(reader, None))
            finally:
                reader.close()
        except BaseException as error:
            self.found.put(error)
        finally:
            self.own.close()

    def take(self) -> pa.RecordBatch | None:
        """The next batch, None after the last; raises what the reading raised."""
        found = self.found.get()
        if isinstance(found, BaseException):
            raise found
        self.wanted.put(True)
        return found

    def stop(self) -> None:
        """End the query, and wait for its end."""
        self.stopped = True
        self.wanted.put(False)
        if self is not threading.current_thread():  # the garbage collector runs on any
            self.join()


@contextmanager
def _cursor(connection: Any) -> Iterator[Any]:
    own = connection.cursor()
    try:
        yield own
    finally:
        own.close()
