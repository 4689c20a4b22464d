"""A connection to an engine: Spark as dbt hands it to a Python model, or a table of Ibis."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from .translate import DIALECTS, translated

# Spark compiles a query to bytecode unless it has more columns or longer methods than these settings allow. The sums of
# 22 columns (253 of them) took 11.4 s of a million rows uncompiled and 2.6 s compiled, on two cores.
_COMPILED = {"spark.sql.codegen.maxFields": "2000", "spark.sql.codegen.hugeMethodLimit": "65535"}
# Stands after a query whose columns are to be computed once: Postgres would write them out in every sum of them.
FENCE = "/* computed once */"
# Aggregates a query: Spark compiles no more (64 KB of bytecode), Postgres has at most 1,664 columns.
MOST = {"spark": 250, "postgres": 1_000, "duckdb": 10_000}
TITLES = {"spark": "Spark", "postgres": "Postgres", "duckdb": "DuckDB"}


@dataclass(frozen=True)
class Engine:
    """Rows on an engine, and how to ask about them.

    Attributes
    ----------
    dialect : str
        One of `translate.DIALECTS`.
    relation : str
        DuckDB's SQL of what stands after FROM.
    types : mapping of column to DuckDB type
    run : callable
        From a query of the engine to its rows.
    relations : mapping
        What names stand for; see `translate.translated`.
    frame : callable
        From a query of the engine to its table, computed when it is read.
    """

    dialect: str
    relation: str
    types: Mapping[str, str]
    run: Callable[[str], list[tuple[Any, ...]]]
    relations: Mapping[str, str]
    frame: Callable[[str], Any]

    @property
    def most(self) -> int:
        """Aggregates that one query may ask for."""
        return MOST[self.dialect]

    @property
    def title(self) -> str:
        """Its name in a sentence."""
        return TITLES[self.dialect]

    def cursor(self) -> Any:
        """What only DuckDB has: refuses."""
        from ..scan.stream import not_streamed  # which imports contracts, and they the gate to the data

        raise not_streamed(self.title)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query in DuckDB's SQL: aggregates, or a few levels or groups; never a study's units."""
        return self.run(self.translated(sql))

    def translated(self, sql: str) -> str:
        """A query in DuckDB's SQL as the engine writes it."""
        booleans = frozenset(name for name, kind in self.types.items() if kind == "BOOLEAN")
        return translated(sql, self.dialect, self.relations, booleans)


def is_spark(given: Any) -> bool:
    """Whether it is a Spark DataFrame, of a classic session or of Spark Connect."""
    return type(given).__module__.startswith("pyspark.sql") and hasattr(given, "sparkSession")


def is_ibis(given: Any) -> bool:
    """Whether it is a table of Ibis."""
    return type(given).__module__.startswith("ibis.expr") and hasattr(given, "get_backend")


def engine_of(given: Any) -> Engine | None:
    """The engine of a Spark DataFrame or of an Ibis table; None for anything else.

    Raises
    ------
    ValueError
        For a backend of Ibis whose SQL has not been tried.
    """
    if is_spark(given):
        return _spark(given)
    return _ibis(given) if is_ibis(given) else None


def engine_types(given: Any) -> dict[str, str]:
    """DuckDB's name of each column's type, of a Spark DataFrame or an Ibis table."""
    if is_spark(given):
        return {field.name: _duckdb_type(field.dataType.simpleString()) for field in given.schema.fields}
    return {name: _duckdb_type(str(kind).lstrip("!")) for name, kind in given.schema().items()}


def to_arrow(given: Any, names: list[str]) -> pa.Table:
    """Some columns of a Spark DataFrame or an Ibis table, held in memory; Spark's come as Arrow and not through pandas.

    Raises
    ------
    ValueError
        Where PySpark is older than version 4, which hands over no Arrow.
    """
    if is_ibis(given):
        return _frame(given).select(*names).toArrow() if _is_spark_backend(given) else given.select(names).to_pyarrow()
    chosen = given.select(*(f"`{name.replace('`', '``')}`" for name in names))
    if not hasattr(chosen, "toArrow"):
        raise ValueError("this PySpark has no DataFrame.toArrow: version 4 is needed")
    return chosen.toArrow()


def _spark(frame: Any) -> Engine:
    """The rows get a temporary view with a name of its own, which ends with the session."""
    session, name = frame.sparkSession, f"cqox_{uuid.uuid4().hex}"
    frame.createOrReplaceTempView(name)

    def run(sql: str) -> list[tuple[Any, ...]]:
        with _compiling(session):
            return [tuple(row) for row in session.sql(sql).collect()]

    types = engine_types(frame)
    return Engine("spark", f'"{name}"', types, run, {}, session.sql)


@contextlib.contextmanager
def _compiling(session: Any) -> Iterator[None]:
    """Spark's settings for wide aggregates, put back afterwards; a session that does not allow them goes without."""
    before: dict[str, str | None] = {}
    try:
        for name, value in _COMPILED.items():
            with contextlib.suppress(Exception):
                before[name] = session.conf.get(name, None)
                session.conf.set(name, value)
        yield
    finally:
        for name, old in before.items():
            with contextlib.suppress(Exception):
                session.conf.unset(name) if old is None else session.conf.set(name, old)


def _ibis(table: Any) -> Engine:
    if _is_spark_backend(table):
        return _spark(_frame(table))
    backend = table.get_backend()
    dialect = backend.name
    if dialect not in DIALECTS:
        raise ValueError(f"the engine '{dialect}' has not been tried; known are {', '.join(DIALECTS)}")
    import ibis

    def run(sql: str) -> list[tuple[Any, ...]]:
        cursor = backend.raw_sql(sql.replace(FENCE, "offset 0") if dialect == "postgres" else sql)
        try:
            return cursor.fetchall()
        finally:
            if dialect != "duckdb":  # whose cursor is the connection itself
                cursor.close()

    types = engine_types(table)
    relations = {"units": str(ibis.to_sql(table, dialect=dialect))}
    return Engine(dialect, '"units"', types, run, relations, lambda sql: backend.sql(sql, dialect=dialect))


def _is_spark_backend(table: Any) -> bool:
    return table.get_backend().name == "pyspark"


def _frame(table: Any) -> Any:
    """Ibis' Spark tables as DataFrames: its own way of reading them goes through pandas."""
    import ibis
    from pyspark.sql import SparkSession

    return SparkSession.active().sql(str(ibis.to_sql(table, dialect="pyspark")))


_TYPES = {
    "boolean": "BOOLEAN", "tinyint": "TINYINT", "smallint": "SMALLINT", "int": "INTEGER", "bigint": "BIGINT",
    "float": "FLOAT", "double": "DOUBLE", "string": "VARCHAR", "date": "DATE", "timestamp": "TIMESTAMP",
    "int8": "TINYINT", "int16": "SMALLINT", "int32": "INTEGER", "int64": "BIGINT", "uint8": "UTINYINT",
    "uint16": "USMALLINT", "uint32": "UINTEGER", "uint64": "UBIGINT", "float32": "FLOAT", "float64": "DOUBLE",
}  # fmt: skip


def _duckdb_type(name: str) -> str:
    """DuckDB's name of a type of Spark or of Ibis; of one that holds neither numbers nor text, its own in capitals."""
    name = name.lower()
    return "DECIMAL" + name[7:] if name.startswith("decimal") else _TYPES.get(name, name.upper())
