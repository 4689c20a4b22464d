"""A generated study of many rows through dbt: ``python -m benchmarks.study --rows 50_000_000``.

Writes the units (benchmarks/generate.py), builds the project benchmarks/warehouse with ``dbt build --select
+scale_effects``, and prints each model's seconds, the peak memory of the process and the estimates.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import duckdb

from benchmarks.generate import EFFECT, units

PROJECT = Path(__file__).parent / "warehouse"
ESTIMATES = """
    select estimator, estimand, term, status, estimate, std_error, seconds, status_reason
    from studies.scale_effects where specification = 'default' order by all
"""


def main() -> int:
    """Build and report; dbt's exit code."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--memory-limit", default="4GB", help="DuckDB's")
    parser.add_argument("--folder", type=Path, default=Path("/tmp"), help="of the warehouse and what spills")
    asked = parser.parse_args()
    path = units(asked.rows)
    code, seconds, peak = build(path, asked.folder.resolve(), asked.memory_limit)
    print(
        f"\n{asked.rows:,} rows: dbt build in {seconds:.0f} s, peak {peak:.0f} MiB, DuckDB's limit {asked.memory_limit}"
    )
    report(asked.folder / "scale.duckdb")
    return code


def build(path: Path, folder: Path, memory_limit: str) -> tuple[int, float, float]:
    """dbt's exit code, its seconds, and the peak MiB of its process."""
    warehouse = folder / "scale.duckdb"
    warehouse.unlink(missing_ok=True)
    environment = {
        **os.environ, "CQOX_BENCH_UNITS": str(path), "CQOX_WAREHOUSE": str(warehouse),
        "CQOX_MEMORY_LIMIT": memory_limit, "DBT_PROFILES_DIR": str(PROJECT),
        "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
    }  # fmt: skip
    dbt = [str(Path(sys.executable).with_name("dbt"))]
    scratch = ["--target-path", str(folder / "scale_target"), "--log-path", str(folder / "scale_logs")]
    subprocess.run([*dbt, "--quiet", "deps"], cwd=PROJECT, env=environment, check=True)
    # The seeds are the gates' policy; one dbt thread, because Python models share the GIL.
    command = [*dbt, "build", "--select", "+scale_effects", "--threads", "1", *scratch]
    began = time.perf_counter()
    code = subprocess.run(command, cwd=PROJECT, env=environment, check=False).returncode
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return code, time.perf_counter() - began, peak


def report(warehouse: Path) -> None:
    """Print the estimates beside the truth."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        rows = connection.execute(ESTIMATES).fetchall()
    print(f"the effect is {EFFECT}")
    for estimator, estimand, term, status, estimate, std_error, seconds, reason in rows:
        told = f"{estimate:10.5f} ({std_error or float('nan'):.5f})" if status == "estimated" else f"{status}: {reason}"
        print(f"{estimator:22}{estimand:6}{term:20}{seconds:8.1f} s  {told}")


if __name__ == "__main__":
    sys.exit(main())
