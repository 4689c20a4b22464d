"""Columns that are computed block by block, as an Arrow stream of which DuckDB makes a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

# Rows of DuckDB's row groups: smaller batches are put together again when the table is written, for a third more time.
AT_ONCE = 122_880


def stream(schema: pa.Schema, blocks: Iterable[dict[str, Any]]) -> Any:
    """The rows of all blocks as a capsule of Arrow's C interface, which DuckDB reads once, by its variable's name.

    Not as a RecordBatchReader: DuckDB hands one to pyarrow's scanner, which reads ahead as far as it can where the
    writing is slower than the computing, so that memory grows with the rows. Of a capsule it holds a few batches.

    Parameters
    ----------
    schema : pyarrow.Schema
    blocks : iterable of dict of column to array
        The columns of the schema, in any order, for some rows; an array is not written to afterwards. What is not
        finite becomes NULL.
    """
    batches = (
        pa.RecordBatch.from_arrays([_arrow(columns[name]) for name in schema.names], schema=schema)
        for columns in blocks
    )
    return pa.RecordBatchReader.from_batches(schema, gathered(batches)).__arrow_c_stream__()


def gathered(batches: Iterable[pa.RecordBatch], rows: int = AT_ONCE) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of so many; the last may be smaller."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        while sum(part.num_rows for part in held) >= rows:
            together = pa.Table.from_batches(held)
            yield together.slice(0, rows).combine_chunks().to_batches()[0]
            held = together.slice(rows).to_batches()
    if held:
        yield from pa.Table.from_batches(held).combine_chunks().to_batches()


def _arrow(values: Any) -> pa.Array:
    """The array's own memory; pyarrow's own conversion imports pandas."""
    if isinstance(values, pa.Array):
        return values
    size, valid = len(values), None
    if values.dtype == np.bool_:
        return pa.Array.from_buffers(pa.bool_(), size, [None, _bits(values)])
    if values.dtype == np.float64:
        finite = np.isfinite(values)
        valid = None if finite.all() else _bits(finite)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), size, [valid, pa.py_buffer(values)])


def _bits(flags: np.ndarray) -> pa.Buffer:
    return pa.py_buffer(np.packbits(flags, bitorder="little"))
