"""A study's rows of each table as CSV and Parquet."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from figures.data import StudyRows


def write(rows: StudyRows, folder: Path) -> list[Path]:
    """Two files a table that has rows."""
    held = {
        "decision_card": (rows.card,), "estimates": (*rows.estimates, *rows.other_estimates), "gates": rows.gates,
        "sensitivity": rows.sensitivity, "diagnostics": rows.diagnostics, "curves": rows.curves,
    }  # fmt: skip
    written = []
    for name, table in held.items():
        if not table:
            continue
        found = pa.Table.from_pylist([dict(row) for row in table])
        flat = _flat(found)
        for ending in ("csv", "parquet"):
            path = folder / f"{name}.{ending}"
            if ending == "csv":
                pyarrow.csv.write_csv(flat, path)
            else:
                pyarrow.parquet.write_table(found, path)
            written.append(path)
    return written


def _flat(table: pa.Table) -> pa.Table:
    """Lists and structures as text: CSV holds single values only."""
    for place, column in enumerate(table.schema):
        if pa.types.is_nested(column.type) or pa.types.is_null(column.type):
            text = [None if value is None else str(value) for value in table.column(place).to_pylist()]
            table = table.set_column(place, column.name, pa.array(text, pa.string()))
    return table
