"""Time our jobs and the peers' against the floor: ``python -m benchmarks.run --rows 10_000_000 --peers``.

Each job runs in a process of its own, floors before and after it; ratios are to the fastest floor around it. A peer
beyond 10 minutes or 20 GiB is stopped and reported so; one that fails is reported and the others go on. Every result
is appended to a file of JSON lines as it comes, so that an interrupted run loses nothing (``--jobs`` goes on from
there).
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.design import Limits
from benchmarks.job import Job
from benchmarks.jobs import JOBS
from benchmarks.machine import described, machine
from benchmarks.peers import PEERS
from benchmarks.results import FOLDER, Record, Results, append, read
from benchmarks.table import head, line
from benchmarks.targets import targets
from benchmarks.watch import watched

ROOT = Path(__file__).resolve().parent.parent
ALL: dict[str, Job] = {**JOBS, **PEERS}
# Ours may take longer than the peers: 50 million rows are to be finished.
OWN_LIMITS = Limits(seconds=7200.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """All sizes, all jobs; 1 if one of ours failed."""
    asked = parsed(arguments)
    about, failed = machine(), 0
    done = before(asked.results, about)
    print(described(about), flush=True)
    for rows in asked.rows:
        paths = {data: generated(data, rows) for data in sorted({ALL[job].data for job in asked.jobs})}
        print(f"\n{rows:,} rows\n{head()}", flush=True)
        for k, job in enumerate(asked.jobs, start=1):
            _progress(f"[{k}/{len(asked.jobs)}] {job} ...")
            repeats = 1 if job in PEERS else asked.repeats
            record = compared(job, paths[ALL[job].data], repeats, asked.peers_python)
            record |= {"rows": rows, "at": datetime.datetime.now(datetime.UTC).isoformat("T", "seconds")}
            record["machine"] = about
            append(record, asked.results)
            done = Results((*done.records, record))
            print(line(record, ALL[job], done), flush=True)
            failed += record["status"] != "done" and job in JOBS
            if record["status"] == "failed":
                print(f"    {record['reason']}", flush=True)
    for rows in asked.rows:
        _print_targets(done, rows)
    print(f"\nresults are in {asked.results}; python -m benchmarks.report writes docs/benchmarks.md from them")
    return int(failed > 0)


def before(file: Path, about: dict[str, Any]) -> Results:
    """What the file holds of this machine: a run that goes on compares with it."""
    records = read([file]).records if file.exists() else ()
    return Results(tuple(one for one in records if one["machine"] == about))


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; jobs are ours, with ``--peers`` all, or those named."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--jobs", nargs="+", choices=ALL, help="in place of all")
    parser.add_argument("--peers", action="store_true", help="the peers after ours")
    parser.add_argument("--repeats", type=int, default=2, help="of ours; the fastest counts. A peer runs once")
    parser.add_argument("--results", type=Path, default=FOLDER / f"{datetime.date.today().isoformat()}.jsonl")
    parser.add_argument("--peers-python", type=Path, default=_peers_python(), help="or CQOX_PEERS_PYTHON")
    asked = parser.parse_args(arguments)
    asked.jobs = asked.jobs or [*JOBS, *(PEERS if asked.peers else ())]
    if min(asked.rows) < 1 or asked.repeats < 1:
        parser.error("rows and repeats must be at least 1")
    if set(asked.jobs) & set(PEERS) and not asked.peers_python.exists():
        parser.error(f"there is no {asked.peers_python}: `make .venv-peers/installed`, or name it in CQOX_PEERS_PYTHON")
    return asked


def _peers_python() -> Path:
    return Path(os.environ.get("CQOX_PEERS_PYTHON", ROOT / ".venv-peers" / "bin" / "python"))


def generated(data: str, rows: int) -> Path:
    """Path of the data, made by a process of its own where it is not there yet."""
    module = {"units": "benchmarks.generate", "panel": "benchmarks.panel"}[data]
    command = [sys.executable, "-m", module, "--rows", str(rows)]
    made = subprocess.run(command, cwd=ROOT, env=_environment(), stdout=subprocess.PIPE, text=True, check=True)
    return Path(made.stdout.splitlines()[-1])


def compared(job: str, path: Path, repeats: int, peers_python: Path) -> Record:
    """The fastest run of a job that ended, with its ratio to the fastest floor of those before and after each run.

    The first floor brings the file into the page cache, which a large peer may have emptied.
    """
    floors, runs = [_floor(path)], []
    for _ in range(repeats):
        runs.append(once(job, path, peers_python))
        floors.append(_floor(path))
    ended = [run for run in runs if run["status"] == "done"]
    best = min(ended, key=lambda run: run["wall"]) if ended else runs[0]
    wall, cpu = (min(run[key] for run in floors) for key in ("wall", "cpu"))
    if ended:
        best |= {"ratio": best["wall"] / wall, "cpu_ratio": best["cpu"] / cpu}
    return best | {"floor": wall, "floor_cpu": cpu}


def _floor(path: Path) -> Record:
    run = once("floor", path, Path(sys.executable))
    if run["status"] != "done":
        raise SystemExit(f"the floor cannot be measured: {run.get('reason', run['status'])}")
    return run


def once(job: str, path: Path, peers_python: Path) -> Record:
    """One run in a process of its own."""
    is_peer = job in PEERS
    python, limits = (peers_python, Limits()) if is_peer else (Path(sys.executable), OWN_LIMITS)
    command = [str(python), "-m", "benchmarks.worker", job, str(path)]
    got = watched(command, _environment(all_threads=is_peer), limits, ROOT)
    record: Record = {"job": job, "status": got.status, "process": got.seconds, "peak_mib": got.peak_mib}
    if got.status == "failed":
        return record | {"reason": _reason(got.err)}
    if got.status != "done":
        return record
    own: dict[str, Any] = json.loads(got.out.splitlines()[-1])
    # The kernel's own mark sees peaks between two samples; samples see children.
    return record | own | {"peak_mib": max(own["peak_mib"], got.peak_mib)}


def _environment(all_threads: bool = False) -> dict[str, str]:
    """Peers use every core for linear algebra; ours one, as DuckDB decodes on the others meanwhile.

    Compiled modules are kept, as on a user's machine: here every run of ours would compile its sources again.
    """
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    kept = {name: value for name, value in os.environ.items() if name not in (*threads, "PYTHONDONTWRITEBYTECODE")}
    return {**kept, "PYTHONPATH": str(ROOT)} | ({} if all_threads else dict.fromkeys(threads, "1"))


def _reason(err: str) -> str:
    """The last line that a failed process printed; without one, the system ended it."""
    lines = [text.strip() for text in err.splitlines() if text.strip()]
    return lines[-1][:300] if lines else "stopped by the system, probably for want of memory"


def _print_targets(results: Results, rows: int) -> None:
    found = [one for one in targets(results, rows) if one.met is not None]
    if found:
        print(f"\ntargets at {rows:,} rows (they are set for 10,000,000)")
    for one in found:
        print(f"{'met   ' if one.met else 'missed'} {one.what}: {one.measured} (wanted {one.wanted})")


def _progress(text: str) -> None:
    """What runs now; in a terminal the result then takes its place."""
    print(f"{text:60}", end="\r" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
