"""Write the generated studies' raw files to data/ and their truths to seeds/: ``python -m ingest.generated_data``.

The files are committed, so no build generates anything; the same seed gives the same bytes.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from estimators.generate import STUDIES, Columns, Generated

ROOT = Path(__file__).resolve().parents[1]
DATA, TRUTHS = ROOT / "data", ROOT / "seeds" / "known_truths.csv"
# What a clinic would write down; the truths do not move with the fifth decimal.
DECIMALS = 4


def table(columns: Columns) -> pa.Table:
    """Columns rounded, whole numbers as integers, NaN as NULL."""
    return pa.table({name: _array(values) for name, values in columns.items()})


def _array(values: np.ndarray) -> pa.Array:
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), dtype=bool)
    filled = np.where(missing, 0, values)
    if np.array_equal(filled, np.round(filled)):
        return pa.array(filled.astype(np.int64), mask=missing)
    return pa.array(np.round(filled, DECIMALS), mask=missing)


def main() -> None:
    """Write every study and then the truths; print name, rows and bytes of each file."""
    lines = [("study", "estimator", "estimand", "term", "truth", "because")]
    for name, make in STUDIES.items():
        generated: Generated = make()
        _write(f"{name}_units", generated.units)
        if generated.edges:
            _write(f"{name}_edges", generated.edges)
        lines += [(name, t.estimator, t.estimand, t.term, f"{t.value:.5f}", t.because) for t in generated.truths]
    with TRUTHS.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)
    print(f"{TRUTHS.name} written")


def _write(name: str, columns: Columns) -> None:
    path, rows = DATA / f"{name}.parquet", table(columns)
    pq.write_table(rows, path, compression="zstd", compression_level=12)
    print(f"{path.name}: {rows.num_rows} rows, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
