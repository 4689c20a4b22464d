"""Queries that are run apart, so that one that fails is a row that says so and takes no other along.

DuckDB has no way to catch an error in SQL, and dbt runs a model as one statement: a sum beyond the floats in one study,
or one that needs more memory than there is, would cost every study its rows. The materialization
macros/engine/each_study.sql hands the parts of a model here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from .scan import queries

# How a part begins in the model's SQL: what its failed row holds, as JSON; macros/engine/each_study.sql writes it.
MARK = re.compile(r"/\* part (\{.*?\}) \*/")
JOINED = re.compile(r"\s*union all\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class Part:
    """A query of its own, and what tells it apart: columns of its failed row with their values (study, curve)."""

    told: dict[str, Any]
    sql: str


def parts(sql: str) -> Iterator[Part]:
    """The parts of a union whose members begin with a mark."""
    pieces = MARK.split(sql)
    for told, member in zip(pieces[1::2], pieces[2::2], strict=True):
        yield Part(json.loads(told), JOINED.sub("", member))


def apart(connection: Any, sql: str, empty: str) -> pa.Table:
    """The rows of all parts, with the columns ``status`` and ``status_reason``.

    Parameters
    ----------
    connection : DuckDB connection
        Each part has a cursor of its own: an error ends a transaction.
    sql : str
        The union of the parts.
    empty : str
        A query without rows that has their columns.

    Returns
    -------
    pyarrow.Table
        Rows of a part that ran have status ``drawn``; one that failed is one row of status ``failed``, which holds what
        tells the part apart and the reason, and NULL elsewhere.
    """
    columns = queries.table(connection, empty).schema
    whole = columns.append(pa.field("status", pa.string())).append(pa.field("status_reason", pa.string()))
    tables = [whole.empty_table()]
    for part in parts(sql):
        try:
            found = _finite(queries.table(connection, part.sql).select(columns.names).cast(columns))
        except Exception as error:  # whatever it is, the other parts must stand
            tables.append(
                pa.Table.from_pylist([{**part.told, "status": "failed", "status_reason": reason(error)}], whole)
            )
        else:
            drawn = pa.array(["drawn"] * found.num_rows, pa.string())
            tables.append(
                pa.Table.from_arrays([*found.columns, drawn, pa.nulls(found.num_rows, pa.string())], schema=whole)
            )
    return pa.concat_tables(tables)


def reason(error: Exception) -> str:
    """What went wrong and the mend, in a sentence: an engine's own words end where its picture of the SQL begins."""
    kind = type(error).__name__
    if kind == "OutOfMemoryException":
        return "it needs more memory than DuckDB is given: raise CQOX_MEMORY_LIMIT, or lower the study's row_budget"
    if kind in ("OutOfRangeException", "OverflowError"):
        return "sums of its numbers are too large for a float: mend values beyond 1e150 in the study's columns"
    told = re.split(r"\n|LINE \d", re.sub(r"^[A-Z]\w+ Error: ", "", str(error)))[0].strip()
    if kind in ("BinderException", "ConversionException"):
        return f"a declared column does not hold numbers ({told}): cast it in staging"
    return f"{told or kind}: mend the study's columns, or report it"


def _finite(table: pa.Table) -> pa.Table:
    """The table, whose numbers are all finite: an average beyond the floats comes as infinity where a sum raises."""
    for column in table.columns:
        if pa.types.is_floating(column.type) and pc.all(pc.is_finite(column)).as_py() is False:
            raise OverflowError
    return table


__all__ = ["Part", "apart", "parts", "reason"]
