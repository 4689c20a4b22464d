"""DuckDB's SQL, in which the streamed estimators are written, as another engine writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

DIALECTS = ("duckdb", "postgres", "spark")
# The first 32 bits of an md5 as a whole number, of which `estimators.folds` are made. No engine has such a function.
CODE = "md5_code"
_FUNCTIONS = {
    CODE: {
        "duckdb": "cast('0x' || substr(md5({row}), 1, 8) as bigint)",
        "postgres": "cast(cast('x' || substr(md5({row}), 1, 8) as bit(32)) as bigint)",
        "spark": "cast(conv(substr(md5({row}), 1, 8), 16, 10) as bigint)",
    },
    # of 64 bits, of the row of its arguments
    "hash": {"postgres": "hashtextextended(cast(row({row}) as text), 0)", "spark": "xxhash64({row})"},
    # Spark's own is for dates
    "trunc": {"spark": "(case when {row} < 0 then ceil({row}) else floor({row}) end)"},
}
_LISTS = {"duckdb": "list(distinct {row})", "postgres": "array_agg(distinct {row})", "spark": "collect_set({row})"}


def translated(sql: str, dialect: str, relations: Mapping[str, str], booleans: frozenset[str] = frozenset()) -> str:
    """A query for another engine.

    sqlglot knows names, quotes and most functions; here is the rest of what the streamed estimators say: hashes, md5
    codes, tests for NaN and infinity, casts of a condition (Postgres casts those to whole numbers only), unsigned and
    very large whole numbers. Every column of the result gets a name, ``v0``, ``v1``, … where it has none.

    Parameters
    ----------
    sql : str
        A query of DuckDB.
    dialect : str
        One of `DIALECTS`.
    relations : mapping of name to query
        What a table's name stands for, in the engine's own SQL.
    booleans : frozenset of str
        Columns that hold true and false.
    """
    import sqlglot
    from sqlglot import exp

    tree: Any = sqlglot.parse_one(sql, dialect="duckdb")
    for i, value in enumerate(tree.selects):
        if not isinstance(value, (exp.Alias, exp.Column, exp.Star)):
            value.replace(exp.alias_(value.copy(), f"v{i}"))
    for node in reversed(list(tree.bfs())):  # the innermost first
        changed = _changed(node, dialect, booleans)
        if changed is not node:
            node.replace(changed)
    for table in list(tree.find_all(exp.Table)):
        if table.name in relations and not table.db:
            inner = sqlglot.parse_one(relations[table.name], dialect=dialect)
            table.replace(exp.Subquery(this=inner, alias=exp.TableAlias(this=exp.to_identifier(table.name))))
    return tree.sql(dialect=dialect)


def _changed(node: Any, dialect: str, booleans: frozenset[str]) -> Any:
    """One node of the parsed query as the engine needs it."""
    from sqlglot import exp

    if isinstance(node, exp.Cast):
        return _cast(node, booleans)
    if isinstance(node, exp.IgnoreNulls) and dialect == "postgres":
        return node.this
    if isinstance(node, exp.ArgMin) and dialect == "postgres":
        return exp.Min(this=node.this)  # it is asked for an example of a column's values, and any will do
    if isinstance(node, exp.IsNan):
        return exp.paren(exp.EQ(this=node.this, expression=_double("nan")))
    if isinstance(node, exp.IsInf):
        return exp.paren(exp.EQ(this=exp.Abs(this=node.this), expression=_double("infinity")))
    return _function(node, dialect)


def _cast(node: Any, booleans: frozenset[str]) -> Any:
    from sqlglot import exp

    kinds = exp.DataType.Type
    to = {kinds.INT128: "decimal(38, 0)", kinds.UTINYINT: "smallint", kinds.USMALLINT: "int", kinds.UINT: "bigint"}
    if node.to.this in to:
        node.set("to", exp.DataType.build(to[node.to.this]))
    inner = node.this.unnest()
    is_test = isinstance(inner, (exp.Predicate, exp.Connector, exp.Not, exp.Boolean))
    if is_test or (isinstance(inner, exp.Column) and inner.name in booleans):
        if node.to.this in (kinds.INT, kinds.BOOLEAN, kinds.TEXT, kinds.VARCHAR):
            return node
        node.set("this", exp.Cast(this=node.this, to=exp.DataType.build("int")))
    return node


def _double(text: str) -> Any:
    from sqlglot import exp

    return exp.Cast(this=exp.Literal.string(text), to=exp.DataType.build("double"))


def _function(node: Any, dialect: str) -> Any:
    """Functions that sqlglot hands on by their name."""
    from sqlglot import exp

    if isinstance(node, (exp.List, exp.ArrayAgg)):
        values = node.expressions if isinstance(node, exp.List) else [node.this]
        inner = values[0].expressions if isinstance(values[0], exp.Distinct) else values
        return _filled(_LISTS[dialect], dialect, inner)
    template = _FUNCTIONS.get(node.name.lower(), {}) if isinstance(node, exp.Anonymous) else {}
    return _filled(template[dialect], dialect, node.expressions) if dialect in template else node


def _filled(template: str, dialect: str, values: Sequence[Any]) -> Any:
    """The template in the engine's dialect, with values for its ``{row}``."""
    import sqlglot
    from sqlglot import exp

    parts = {f"part_{i}": value for i, value in enumerate(values)}
    tree = sqlglot.parse_one(template.format(row=", ".join(parts)), dialect=dialect)
    return tree.transform(lambda inner: parts.get(inner.name, inner) if isinstance(inner, exp.Column) else inner)
