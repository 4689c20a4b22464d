"""What effects were made from: fingerprints of the units and of the gates' verdicts, as they stood then.

`marts.currency` takes them again of the tables that stand when it is read (macros/marts/current_rows.sql has the same
SQL), so a table that was made anew since, whoever made it, is not taken for the one that an estimate is of.
"""

from __future__ import annotations

from typing import Any

from .scan import queries

# Rows in any order: their number, and DuckDB's hashes of them summed and mixed.
PRINT = "count(*) || ':' || coalesce(sum({0}::hugeint), 0) || ':' || coalesce(bit_xor({0}), 0)"
UNITS = PRINT.format("hash(held)")
GATES = PRINT.format("hash(gate, subject, estimand, estimator, is_passing, blocks)")


def made_from(connection: Any, units: Any, gates: Any) -> dict[str, str | None]:
    """The fingerprints ``units_hash`` and ``gates_hash``; None of what is no relation of DuckDB's.

    Parameters
    ----------
    connection : DuckDB connection or None
        On which the relations can be read again.
    units, gates : duckdb relation, or anything else
    """
    return {"units_hash": _print(connection, units, UNITS), "gates_hash": _print(connection, gates, GATES)}


def _print(connection: Any, relation: Any, select: str) -> str | None:
    if not hasattr(connection, "cursor") or not hasattr(relation, "sql_query"):
        return None
    ((found,),) = queries.rows(connection, f"select {select} from ({relation.sql_query()}) as held")
    return str(found)
