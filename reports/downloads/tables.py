"""A study's rows of each table as CSV and Parquet."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from figures.data import Row, StudyRows

NAMES = ("decision_card", "estimates", "gates", "sensitivity", "diagnostics", "curves")
# A spreadsheet reads a cell that begins so as a formula; one that is a number by itself does no harm.
_FORMULA = re.compile(r"\s*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def rows_of(name: str, rows: StudyRows) -> tuple[Row, ...]:
    """The rows of one table, those of curves that could not be computed too."""
    held = {
        "decision_card": (rows.card,), "estimates": (*rows.estimates, *rows.other_estimates), "gates": rows.gates,
        "sensitivity": rows.sensitivity, "diagnostics": rows.diagnostics, "curves": (*rows.curves, *rows.failed_curves),
    }  # fmt: skip
    return held[name]


def files(name: str, rows: StudyRows) -> Iterator[tuple[str, bytes]]:
    """Two files of a table that has rows: CSV for spreadsheets, Parquet with each value as it is."""
    table = rows_of(name, rows)
    if not table:
        return
    found = pa.Table.from_pylist([dict(row) for row in table])
    text, whole = io.BytesIO(), io.BytesIO()
    pyarrow.csv.write_csv(_flat(found), text)
    yield f"{name}.csv", text.getvalue()
    pyarrow.parquet.write_table(found, whole)
    yield f"{name}.parquet", whole.getvalue()


def _flat(table: pa.Table) -> pa.Table:
    """Lists and structures as text, for CSV holds single values only, and no text that is a formula."""
    for place, column in enumerate(table.schema):
        kind = column.type
        if (
            pa.types.is_nested(kind)
            or pa.types.is_null(kind)
            or pa.types.is_string(kind)
            or pa.types.is_large_string(kind)
        ):
            told = [defused(value) for value in table.column(place).to_pylist()]
            table = table.set_column(place, column.name, pa.array(told, pa.string()))
    return table


def defused(value: Any) -> str | None:
    """A text that no spreadsheet runs: one that would begin a formula has an apostrophe before it."""
    if value is None:
        return None
    text = str(value)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text
