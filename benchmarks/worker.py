"""One job in this process: ``python -m benchmarks.worker linear /tmp/units.parquet`` prints its numbers and costs.

Ours and the peers run through the same lines, the peers with the interpreter of their own environment.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import resource
import time
from pathlib import Path
from typing import Any

from benchmarks.jobs import JOBS
from benchmarks.peers import PEERS


def main() -> None:
    """Run one job and print one line of JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("job", choices=(*JOBS, *PEERS))
    parser.add_argument("path", type=Path)
    asked = parser.parse_args()
    print(json.dumps(timed(asked.job, asked.path)), flush=True)


def timed(name: str, path: Path) -> dict[str, Any]:
    """The job's numbers, the seconds that they took (wall, CPU of all threads and children) and the peak memory."""
    job = JOBS.get(name) or PEERS[name]
    for module in job.imports:
        importlib.import_module(module)
    began, cpu = time.perf_counter(), cpu_seconds()
    numbers = job.run(path)
    costs = {"wall": time.perf_counter() - began, "cpu": cpu_seconds() - cpu, "peak_mib": peak_mib()}
    version = {"version": importlib.metadata.version(job.package)} if job.package else {}
    return {"job": name, **costs, **version, "numbers": numbers}


def cpu_seconds() -> float:
    """Of this process's threads and of its finished children."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def peak_mib() -> float:
    """The most memory that the process has held. Linux's ru_maxrss would count the parent's from before exec."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
