"""Time jobs against the floor: ``python -m benchmarks.run --rows 1_000_000 --jobs moments linear propensity``."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.generate import units
from benchmarks.jobs import JOBS, TARGETS


def main() -> None:
    """Each job in a process of its own, with floors before and after it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--jobs", nargs="*", choices=JOBS, default=[job for job in JOBS if job != "floor"])
    parser.add_argument("--repeats", type=int, default=1, help="the fastest counts")
    parser.add_argument("--json", type=Path, help="append each result to this file, one a line")
    asked = parser.parse_args()
    path = units(asked.rows)
    once("floor", path)  # the file is in the page cache from here on
    print(f"{asked.rows:,} rows")
    titles = {"process": 8, "wall s": 8, "cpu s": 8, "peak MiB": 10, "x floor": 9, "x cpu": 8, "target": 8}
    print(f"{'job':24}" + "".join(f"{title:>{width}}" for title, width in titles.items()))
    for job in asked.jobs:
        row = compared(job, path, asked.repeats) | {"rows": asked.rows}
        target = f"{TARGETS[job]:g}" if job in TARGETS else ""
        print(
            f"{job:24}{row['process']:8.2f}{row['wall']:8.2f}{row['cpu']:8.2f}{row['peak_mib']:10.0f}"
            f"{row['ratio']:9.2f}{row['cpu_ratio']:8.2f}{target:>8}",
            flush=True,
        )
        if asked.json:
            with asked.json.open("a") as file:
                file.write(json.dumps(row) + "\n")


def compared(job: str, path: Path, repeats: int) -> dict[str, Any]:
    """The fastest run of a job, with its ratio to the fastest floor of those run before and after each."""
    floors, runs = [once("floor", path)], []
    for _ in range(repeats):
        runs.append(once(job, path))
        floors.append(once("floor", path))
    best = min(runs, key=lambda run: run["wall"])
    wall, cpu = (min(run[key] for run in floors) for key in ("wall", "cpu"))
    return best | {"ratio": best["wall"] / wall, "cpu_ratio": best["cpu"] / cpu, "floor": wall, "floor_cpu": cpu}


def once(job: str, path: Path) -> dict[str, Any]:
    """One run in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.jobs", job, str(path)]
    # One BLAS thread: DuckDB decodes on the other cores meanwhile.
    settings = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=settings)
    if done.returncode:
        raise SystemExit(f"{job} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1]) | {"process": time.perf_counter() - began}


if __name__ == "__main__":
    main()
