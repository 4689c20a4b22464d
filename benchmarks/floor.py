"""The floor: DuckDB's plain sums of every column, the least that any method must pay to see the data."""

from __future__ import annotations

from pathlib import Path

from benchmarks.design import FOLD
from benchmarks.job import Numbers


def floor(path: Path) -> Numbers:
    """Sum each of the 24 columns once; the stored fold is not counted, so ratios to the floor are not flattered."""
    import duckdb

    with duckdb.connect() as connection:
        source = f"read_parquet('{path}')"
        names = [row[0] for row in connection.execute(f"describe select * from {source}").fetchall()]
        sums = ", ".join(f'sum("{name}")' for name in names if name != FOLD)
        connection.execute(f"select {sums} from {source}").fetchall()
    return {}
