"""The one gate to the data: rows of a relation as columns of numbers, in the order of the unit."""

from __future__ import annotations

import decimal
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from .errors import StudyError

Columns = dict[str, np.ndarray]


def available(relation: Any) -> list[str]:
    """The columns that a DuckDB relation, an Arrow table or a mapping of arrays has."""
    if isinstance(relation, Mapping):
        return list(relation)
    if isinstance(relation, pa.Table):
        return relation.column_names
    return list(relation.columns)


def read(relation: Any, wanted: Iterable[str], order_by: Iterable[str], study: str) -> Columns:
    """The wanted columns as arrays of equal length, rows sorted, so that nothing depends on their order.

    Parameters
    ----------
    relation : duckdb.DuckDBPyRelation, pyarrow.Table or mapping of name to sequence
    wanted : iterable of str
        Columns to read.
    order_by : iterable of str
        Columns that identify a row (unit, or unit and time).
    study : str
        For the message of an error.

    Returns
    -------
    dict of str to ndarray
        Numbers and booleans as float64 with NaN for NULL; text, and whole-number ids, as objects with None for NULL.

    Raises
    ------
    StudyError
        If a wanted column is absent.
    """
    wanted, have = list(wanted), available(relation)
    missing = [name for name in wanted if name not in have]
    if missing:
        mend = f"Add it to the study's units model or correct the role. Columns there: {', '.join(have)}"
        raise StudyError(study, f"column '{missing[0]}' is not in the units", mend)
    keys = [name for name in order_by if name in wanted]
    table = _sorted(_arrow(relation, wanted), keys)
    return {name: _array(table.column(name), name in keys[:1]) for name in wanted}


def rows(relation: Any) -> list[dict[str, Any]]:
    """A small relation as a list of dictionaries (gates, a design table)."""
    if isinstance(relation, list):
        return relation
    table = relation if isinstance(relation, pa.Table) else _arrow(relation, available(relation))
    return table.to_pylist()


def _arrow(relation: Any, wanted: list[str]) -> pa.Table:
    if isinstance(relation, Mapping):
        return pa.table({name: _as_arrow(relation[name]) for name in wanted})
    if isinstance(relation, pa.Table):
        return relation.select(wanted)
    quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in wanted)
    return relation.project(quoted).to_arrow_table()


def _as_arrow(values: Any) -> pa.Array:
    return pa.array(values, from_pandas=True)


def _sorted(table: pa.Table, keys: list[str]) -> pa.Table:
    return table.sort_by([(key, "ascending") for key in keys]) if keys else table


def _array(column: pa.ChunkedArray, is_id: bool) -> np.ndarray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if is_id and pa.types.is_integer(kind):
        return np.array(column.to_pylist(), dtype=object)
    if pa.types.is_boolean(kind) or pa.types.is_decimal(kind):
        return np.array([_float(v) for v in column.to_pylist()], dtype=float)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        filled = column.cast(pa.float64()).combine_chunks()
        values = np.asarray(filled.fill_null(float("nan")).to_numpy(zero_copy_only=False), dtype=float)
        return np.array(values)
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    return np.array([v if v is None else str(v) for v in column.to_pylist()], dtype=object)


def _float(value: bool | decimal.Decimal | None) -> float:
    return float("nan") if value is None else float(value)
