"""The one gate to the data: rows of a relation as columns of numbers, in the order of the unit."""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .engines.engine import engine_of, engine_types, is_ibis, is_spark, to_arrow
from .errors import StudyError

Columns = dict[str, np.ndarray]


def available(relation: Any) -> list[str]:
    """The columns that a relation of DuckDB, Spark or Ibis, an Arrow table or a mapping of arrays has."""
    if isinstance(relation, Mapping):
        return list(relation)
    if isinstance(relation, pa.Table):
        return relation.column_names
    return list(relation.columns)


def read(relation: Any, wanted: Iterable[str], order_by: Iterable[str], study: str) -> Columns:
    """The wanted columns as arrays of equal length, rows sorted, so that nothing depends on their order.

    Parameters
    ----------
    relation : duckdb.DuckDBPyRelation, Spark DataFrame, Ibis table, pyarrow.Table or mapping of name to sequence
    wanted : iterable of str
        Columns to read.
    order_by : iterable of str
        Columns that identify a row (unit, or unit and time).
    study : str
        For the message of an error.

    Returns
    -------
    dict of str to ndarray
        Numbers and booleans as float64 with NaN for NULL; everything else (text, dates) as text in an object array with
        None for NULL. The first column of ``order_by`` is an id: whole numbers stay whole numbers of any size, and
        anything else is text. Whole numbers elsewhere that float64 cannot hold (hashes as cluster labels) are text.

    Raises
    ------
    StudyError
        If a wanted column is absent, or the rows cannot be read (columns of unequal length, mixed types).
    """
    wanted = list(wanted)
    check_columns(wanted, available(relation), study)
    keys = [name for name in order_by if name in wanted]
    table = as_table(relation, wanted, study, keys)
    return {name: _ids(table.column(name)) if name in keys[:1] else _array(table.column(name)) for name in wanted}


def source(relation: Any, study: str) -> Any:
    """The rows of a Spark DataFrame or an Ibis table as a source of sums, which the engine takes; None for others.

    From it come the same Moments as from DuckDB's rows: `estimators.scan.moments_scan.scan`.

    Raises
    ------
    StudyError
        For an engine that has not been tried.
    """
    try:
        engine = engine_of(relation)
    except ValueError as unknown:
        raise StudyError(study, str(unknown), "Keep the units in DuckDB, or hand them over as Arrow") from None
    if engine is None:
        return None
    from .engines.source import EngineSource

    return EngineSource.on(engine)


def types_of(relation: Any) -> dict[str, str]:
    """DuckDB's name of each column's type; arrays of numbers are left out, and what has no one type."""
    if isinstance(relation, Mapping):
        typed = {name: _type_of(values) for name, values in relation.items() if not _holds_numbers(values)}
        return {name: _type_name(kind) for name, kind in typed.items() if kind is not None}
    if isinstance(relation, pa.Table):
        return {field.name: _type_name(field.type) for field in relation.schema}
    if is_spark(relation) or is_ibis(relation):
        return engine_types(relation)
    return {name: str(kind) for name, kind in zip(relation.columns, relation.types, strict=True)}


def _holds_numbers(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.dtype.kind in "fiub"


def _type_of(values: Any) -> pa.DataType | None:
    try:
        return _as_arrow(values).type
    except (pa.ArrowException, OverflowError, TypeError, ValueError):  # `read` tells that they cannot be read
        return None


def _type_name(kind: pa.DataType) -> str:
    """Of the types that no number or text is; Arrow's own name for others."""
    if pa.types.is_nested(kind):
        return "STRUCT" if pa.types.is_struct(kind) else "MAP" if pa.types.is_map(kind) else "LIST"
    if pa.types.is_date(kind):
        return "DATE"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMP" if kind.tz is None else "TIMESTAMP WITH TIME ZONE"
    if pa.types.is_time(kind):
        return "TIME"
    if pa.types.is_duration(kind) or pa.types.is_interval(kind):
        return "INTERVAL"
    binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    return "BLOB" if binary else str(kind)


def engine_name(relation: Any) -> str:
    """Which engine holds the rows: duckdb (memory too), spark, or a backend of Ibis."""
    if is_spark(relation):
        return "spark"
    return relation.get_backend().name.replace("pyspark", "spark") if is_ibis(relation) else "duckdb"


def handed_back(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its table as dbt takes it from a model: a DataFrame of the session, where that is Spark's."""
    names = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        table = function(*args, **kwargs)
        session: Any = names.bind(*args, **kwargs).arguments.get("session")
        is_session = type(session).__module__.startswith("pyspark.sql") and hasattr(session, "createDataFrame")
        return session.createDataFrame(table) if is_session and isinstance(table, pa.Table) else table

    return call


def read_edges(relation: Any, study: str) -> Columns:
    """The columns ``source`` and ``target`` of a network: labels of units, as `read` gives them; rows without NULL.

    Raises
    ------
    StudyError
        If a column is absent.
    """
    names = ["source", "target"]
    absent = [name for name in names if name not in available(relation)]
    if absent:
        raise StudyError(study, f"column '{absent[0]}' is not in the edges", "Name their columns source and target")
    table = as_table(relation, names, study, names)
    columns = {name: _ids(table.column(name)) for name in names}
    whole = np.array([a is not None and b is not None for a, b in zip(*columns.values(), strict=True)], dtype=bool)
    return {name: values[whole] for name, values in columns.items()}


def check_columns(wanted: list[str], have: list[str], study: str) -> None:
    """Raise StudyError for the first wanted column that is not there."""
    missing = [name for name in wanted if name not in have]
    if missing:
        mend = f"Add it to the study's units model or correct the role. Columns there: {', '.join(have)}"
        if not missing[0].isidentifier():
            mend += ". Terms are name, name^2, C(name), log(name) and a:b"
        raise StudyError(study, f"column '{missing[0]}' is not in the units", mend)


def as_table(relation: Any, wanted: list[str], study: str, order_by: Iterable[str] = ()) -> pa.Table:
    """The wanted columns as an Arrow table, sorted; StudyError where they cannot be read."""
    try:
        return _sorted(_arrow(relation, wanted), list(order_by))
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as bad:
        raise StudyError(study, f"the units cannot be read: {bad}", "Give columns of one type and length") from None


def rows(relation: Any) -> list[dict[str, Any]]:
    """A small relation as a list of dictionaries (gates, a design table)."""
    if isinstance(relation, list):
        return relation
    table = relation if isinstance(relation, pa.Table) else _arrow(relation, available(relation))
    return table.to_pylist()


def data_hash(columns: Columns) -> str:
    """SHA-256 of columns by name: the same for the same rows, however they came."""
    digest = hashlib.sha256()
    for name in sorted(columns):
        values = columns[name]
        digest.update(name.encode())
        digest.update(values.tobytes() if values.dtype != object else "\x1f".join(map(str, values)).encode())
    return digest.hexdigest()


def _arrow(relation: Any, wanted: list[str]) -> pa.Table:
    if isinstance(relation, Mapping):
        return pa.table({name: _as_arrow(relation[name]) for name in wanted})
    if isinstance(relation, pa.Table):
        return relation.select(wanted)
    if is_spark(relation) or is_ibis(relation):
        return to_arrow(relation, wanted)
    quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in wanted)
    return relation.project(quoted).to_arrow_table()


def _as_arrow(values: Any) -> pa.Array:
    return pa.array(values, from_pandas=True)


def _sorted(table: pa.Table, keys: list[str]) -> pa.Table:
    for i, column in enumerate(table.columns):
        if pa.types.is_dictionary(column.type):
            table = table.set_column(i, table.column_names[i], column.cast(column.type.value_type))
    return table.sort_by([(key, "ascending") for key in keys]) if keys else table


def _ids(column: pa.ChunkedArray) -> np.ndarray:
    """Labels of units: whole numbers (1.0 is 1, so that folds do not depend on the type) or text."""
    if pa.types.is_integer(column.type):
        return np.array(column.to_pylist(), dtype=object)
    values = [None if v is None or v != v else v for v in column.to_pylist()]
    if all(_is_whole(v) for v in values):
        return np.array([None if v is None else int(v) for v in values], dtype=object)
    return _text(values)


def _is_whole(value: Any) -> bool:
    if isinstance(value, float):
        return value.is_integer()
    return value is None or (isinstance(value, (int, Decimal)) and not isinstance(value, bool) and value == int(value))


def _array(column: pa.ChunkedArray) -> np.ndarray:
    kind = column.type
    if pa.types.is_floating(kind) or (pa.types.is_integer(kind) and _fits(column)):
        filled = column.cast(pa.float64()).combine_chunks()
        return np.array(filled.fill_null(float("nan")).to_numpy(zero_copy_only=False), dtype=float)
    if pa.types.is_boolean(kind) or (pa.types.is_decimal(kind) and (kind.scale > 0 or _fits(column))):
        return np.array([np.nan if v is None else float(v) for v in column.to_pylist()], dtype=float)
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    return _text(column.to_pylist())


def _fits(column: pa.ChunkedArray) -> bool:
    """Whether float64 holds each of these whole numbers."""
    ends = pc.min_max(column).as_py()
    return all(v is None or abs(v) <= 2**53 for v in ends.values())


def _text(values: list[Any]) -> np.ndarray:
    return np.array([v if v is None else str(v) for v in values], dtype=object)
