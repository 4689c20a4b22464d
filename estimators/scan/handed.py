"""Numbers of NumPy as Arrow's own, to be handed to an engine: its threads must never need Python's lock to free them.

An Arrow array over NumPy's memory (`pyarrow.py_buffer`, `pyarrow.array` of numbers without NULL) is a reference to a
Python object. Whoever frees it last takes Python's lock (the GIL). DuckDB's threads free what they have read; where one
of them comes last while a thread of Python, which holds the GIL, waits for DuckDB's threads to end, both wait for ever.
So what is streamed into DuckDB lies in memory that Arrow allocated: numbers are computed into it (`empty`) or copied.

A stream itself is a Python generator, which DuckDB's threads ask for batches and at last free: for both they need the
GIL. That is safe as long as nobody holds the GIL while waiting for them, which is why a query that reads a stream is
run by `queries.rows` or `queries.run` and by nothing else: one call each, that lets go of the GIL until all of the
query's tasks have ended, whether it gave rows, failed, was interrupted or stopped early (LIMIT).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa


def empty(*shape: int) -> np.ndarray:
    """Room for float64 in memory that Arrow allocates, which `array` need not copy once it is filled."""
    size = math.prod(shape)
    if not size:
        return np.empty(shape)
    return np.frombuffer(pa.allocate_buffer(8 * size), dtype=np.float64).reshape(shape)


def array(values: np.ndarray, missing: np.ndarray | None = None) -> pa.Array:
    """The same values in memory that Arrow allocated: their own where it is (of `empty`, of a block), or a copy.

    Parameters
    ----------
    values : ndarray of shape (m,)
        Numbers or booleans. Of `empty` or of a block it may not be written to afterwards.
    missing : ndarray of bool of shape (m,), optional
        What becomes NULL. Without it nothing does: NaN stays NaN.
    """
    size = len(values)
    valid = _bits(~missing) if missing is not None and missing.any() else None
    if values.dtype == np.bool_:
        return pa.Array.from_buffers(pa.bool_(), size, [valid, _bits(values)])
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), size, [valid, _own(values) or _copied(values)])


def stream(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Any:
    """Batches as a capsule of Arrow's C interface, which DuckDB reads once, by its variable's name.

    Not as a RecordBatchReader: DuckDB hands one to pyarrow's scanner, for which it imports pandas, and which reads
    ahead as far as it can where making the rows is faster than what is done with them, so that memory grows with the
    rows. Of a capsule it holds a few batches.

    The batches are asked for by DuckDB's threads, one at a time. A capsule that nobody has read frees the generator
    like any object of Python.
    """
    return pa.RecordBatchReader.from_batches(schema, batches).__arrow_c_stream__()


def _own(values: np.ndarray) -> pa.Buffer | None:
    """Where an array is a view of an Arrow buffer, that part of it; None for memory of NumPy."""
    owner = values.base
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if not isinstance(owner, pa.Buffer) or not values.flags.c_contiguous:
        return None
    return owner.slice(values.ctypes.data - owner.address, values.nbytes)


def _copied(values: np.ndarray) -> pa.Buffer:
    buffer = pa.allocate_buffer(values.nbytes)
    if len(values):
        np.frombuffer(buffer, dtype=values.dtype)[:] = values
    return buffer


def _bits(flags: np.ndarray) -> pa.Buffer:
    """A bit a row, as Arrow keeps booleans and what is there."""
    return _copied(np.packbits(flags, bitorder="little"))
