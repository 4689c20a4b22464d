"""The floor: DuckDB's plain sums of every column, the least that any method must pay to see the data."""

from __future__ import annotations

from pathlib import Path

import duckdb


def floor(path: Path) -> None:
    """Sum each column once."""
    with duckdb.connect() as connection:
        source = f"read_parquet('{path}')"
        names = [row[0] for row in connection.execute(f"describe select * from {source}").fetchall()]
        sums = ", ".join(f'sum("{name}")' for name in names)
        connection.execute(f"select {sums} from {source}").fetchall()
