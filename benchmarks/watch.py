"""A process that is stopped when it takes too long or too much memory."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmarks.design import Limits

PAUSE = 0.1


@dataclass(frozen=True)
class Watched:
    """How a process ended.

    Attributes
    ----------
    status : str
        ``done``, ``> 10 min``, ``> 20 GiB`` (as the limits are) or ``failed``.
    seconds : float
        From its start to its end.
    peak_mib : float
        Of the process and its children, sampled ten times a second.
    out, err : str
        What it printed.
    """

    status: str
    seconds: float
    peak_mib: float
    out: str
    err: str


def watched(command: Sequence[str], environment: Mapping[str, str], limits: Limits, folder: Path) -> Watched:
    """Run a command to its end, or stop it and its children at a limit."""
    # Files and not pipes: a full pipe would stop a peer that warns much.
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=out, stderr=err, env=dict(environment), cwd=folder, start_new_session=True
        )
        _first_to_go(process.pid)
        peak, status = 0.0, None
        while process.poll() is None:
            peak = max(peak, tree_mib(process.pid))
            status = passed(time.perf_counter() - began, peak, limits)
            if status is not None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                break
            time.sleep(PAUSE)
        seconds = time.perf_counter() - began
        ended = status or ("done" if process.returncode == 0 else "failed")
        return Watched(ended, seconds, peak, _all(out), _all(err))


def passed(seconds: float, mib: float, limits: Limits) -> str | None:
    """Which limit is passed, as the report says it."""
    if seconds > limits.seconds:
        return f"> {limits.seconds / 60:g} min"
    return f"> {limits.mib / 1024:g} GiB" if mib > limits.mib else None


def tree_mib(pid: int) -> float:
    """Memory that a process and its descendants hold now; 0 where the system does not tell."""
    try:
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, IndexError):
        return 0.0
    return resident * os.sysconf("SC_PAGE_SIZE") / 2**20 + sum(tree_mib(int(child)) for child in children)


def _first_to_go(pid: int) -> None:
    """Where memory runs out all the same, the system shall end this process and no other."""
    try:
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000")
    except OSError:
        return


def _all(file: IO[str]) -> str:
    file.seek(0)
    return file.read()
