"""Columns that are computed block by block, as an Arrow stream of which DuckDB makes a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from . import handed

# Rows of DuckDB's row groups: smaller batches are put together again when the table is written, for a third more time.
AT_ONCE = 122_880


def stream(schema: pa.Schema, blocks: Iterable[dict[str, Any]]) -> Any:
    """The rows of all blocks as `handed.stream`.

    Parameters
    ----------
    schema : pyarrow.Schema
    blocks : iterable of dict of column to array
        The columns of the schema, in any order, for some rows; what is not finite becomes NULL. An array may be
        written to when the next block is asked for.
    """
    batches = (
        pa.RecordBatch.from_arrays([_arrow(columns[name]) for name in schema.names], schema=schema)
        for columns in blocks
    )
    return handed.stream(schema, gathered(batches))


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
    if isinstance(values, pa.Array):  # of a block: DuckDB's memory
        return values
    return handed.array(values, ~np.isfinite(values) if values.dtype == np.float64 else None)
