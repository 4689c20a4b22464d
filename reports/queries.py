"""Runs a page's SQL read-only; every Jinja2 value in it is a bound parameter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import duckdb
from jinja2 import Environment, StrictUndefined, Undefined

from figures.data import Row, query

from .fences import Fence, PageError


def run(connection: duckdb.DuckDBPyConnection, fence: Fence, context: Mapping[str, Any]) -> list[Row]:
    """The rows of one fence; none where it is optional and its table is not there.

    Raises
    ------
    PageError
        With the fence's name where the SQL or its Jinja2 fails.
    """
    sql, values = bound(fence.sql, context)
    try:
        return query(connection, sql, values)
    except duckdb.CatalogException as error:
        if fence.optional:
            return []
        raise PageError(f"the query '{fence.name}' failed: {error}") from None
    except duckdb.Error as error:
        raise PageError(f"the query '{fence.name}' failed: {error}") from None


def bound(sql: str, context: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """The SQL with ``$1``, ``$2``, … in place of its Jinja2 values, and the values."""
    values: list[Any] = []

    def bind(value: Any) -> str:
        values.append(_held(value))
        return f"${len(values)}"

    return _rendered(sql, context, bind), values


def readable(sql: str, context: Mapping[str, Any]) -> str:
    """The SQL as an analyst would paste it: values as quoted literals."""
    return _rendered(sql, context, literal)


def placeholders(sql: str) -> str:
    """The SQL with ``$1`` in place of every Jinja2 value, for a reader of its syntax alone."""
    without = re.sub(r"\{%.*?%\}|\{#.*?#\}", lambda match: "\n" * match[0].count("\n"), sql, flags=re.DOTALL)
    return re.sub(r"\{\{.*?\}\}", lambda match: "$1" + "\n" * match[0].count("\n"), without, flags=re.DOTALL)


def literal(value: Any) -> str:
    """A value as an SQL literal."""
    value = _held(value)
    if value is None:
        return "null"
    if isinstance(value, (bool, int, float)):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(literal(one) for one in value)}]"
    return "'" + str(value).replace("'", "''") + "'"


def _held(value: Any) -> Any:
    if isinstance(value, Undefined):
        str(value)  # raises, and names the missing word
    return list(value) if isinstance(value, tuple) else value


def _rendered(sql: str, context: Mapping[str, Any], write: Any) -> str:
    environment = Environment(undefined=StrictUndefined, finalize=write, autoescape=False)
    return environment.from_string(sql).render(**context)
