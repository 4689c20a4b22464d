"""Scores of each unit written to a DuckDB table while they are computed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

Rows = tuple[list[pa.Array], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Table:
    """A DuckDB table to be created or replaced by one statement that pulls block after block.

    Inserts of a block each would be logged and written again at the checkpoint: twice the time and the memory.
    """

    connection: Any
    name: str

    def write(self, blocks: Iterable[Rows]) -> None:
        """Take every block: its carried columns (the first is ``unit_id``) and its columns by name. NaN becomes NULL.

        Raises
        ------
        Exception
            Whatever the blocks raise; the table is then as it was before.
        """
        errors: list[Exception] = []
        batches = _caught(map(_batch, blocks), errors)
        first = next(batches, None)
        if first is not None:
            cursor = self.connection.cursor()
            reader = pa.RecordBatchReader.from_batches(first.schema, itertools.chain([first], batches))
            cursor.register("scores_stream", reader)
            try:
                cursor.execute(f"create or replace table {self.name} as select * from scores_stream")
            except Exception:
                if not errors:
                    raise
            finally:
                cursor.unregister("scores_stream")
        if errors:  # DuckDB hands on an error's text only
            raise errors[0]


def _caught(batches: Iterator[pa.RecordBatch], errors: list[Exception]) -> Iterator[pa.RecordBatch]:
    try:
        yield from batches
    except Exception as error:
        errors.append(error)
        raise


def _batch(rows: Rows) -> pa.RecordBatch:
    carried, columns = rows
    return pa.RecordBatch.from_arrays([carried[0], *map(_arrow, columns.values())], ["unit_id", *columns])


def _arrow(values: np.ndarray) -> pa.Array:
    """A view where the memory is the array's own; pyarrow's own conversion imports pandas."""
    owned = values if values.base is None else values.copy()
    size, data, valid = len(owned), pa.py_buffer(owned), None
    if owned.dtype == np.bool_:
        return pa.Array.from_buffers(pa.bool_(), size, [None, _bits(owned)])
    if owned.dtype == np.float64 and np.isnan(owned).any():
        valid = _bits(~np.isnan(owned))
    return pa.Array.from_buffers(pa.from_numpy_dtype(owned.dtype), size, [valid, data])


def _bits(flags: np.ndarray) -> pa.Buffer:
    return pa.py_buffer(np.packbits(flags, bitorder="little"))
