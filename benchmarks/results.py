"""Results as JSON lines: written as they come, read as one table of the newest by job and rows."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.job import Job

FOLDER = Path(__file__).parent / "results"
Record = dict[str, Any]


def append(record: Record, file: Path) -> None:
    """One more line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lines:
        lines.write(json.dumps(record) + "\n")


def read(files: Iterable[Path]) -> Results:
    """Records of some files, in their order."""
    return Results(tuple(json.loads(line) for file in files for line in file.read_text().splitlines() if line))


def finished(record: Record | None) -> bool:
    """Whether the job came to its end."""
    return record is not None and record["status"] == "done"


@dataclass(frozen=True)
class Results:
    """Records, the oldest first."""

    records: tuple[Record, ...]

    def of_last_machine(self) -> Results:
        """Only what was measured where the last record was: seconds of two machines do not compare."""
        last = self.records[-1]["machine"] if self.records else None
        return Results(tuple(one for one in self.records if one["machine"] == last))

    def sizes(self) -> list[int]:
        """Numbers of rows, the smallest first."""
        return sorted({one["rows"] for one in self.records})

    def get(self, job: str, rows: int) -> Record | None:
        """The newest record of a job at a size."""
        found = [one for one in self.records if (one["job"], one["rows"]) == (job, rows)]
        return found[-1] if found else None

    def series(self, job: str, key: str) -> list[tuple[int, float]]:
        """Rows and a cost of the job, where it came to its end."""
        found = [(rows, self.get(job, rows)) for rows in self.sizes()]
        return [(rows, float(one[key])) for rows, one in found if one is not None and finished(one)]


@dataclass(frozen=True)
class Agreement:
    """How far a peer's number is from ours.

    Attributes
    ----------
    name : str
    ours, peers : float
    difference : float
        Relative to ours.
    allowed : float
    """

    name: str
    ours: float
    peers: float
    difference: float
    allowed: float

    @property
    def holds(self) -> bool:
        """Whether it is small enough; a NaN is not."""
        return self.difference <= self.allowed


def agreements(job: Job, peer: Record | None, ours: Record | None) -> list[Agreement]:
    """Every number of a peer beside ours of the same design; one that is missing is a NaN, which never agrees."""
    if peer is None or ours is None or not (finished(peer) and finished(ours)):
        return []
    out = []
    for name, (own, allowed) in job.same.items():
        a, b = float(ours["numbers"].get(own, math.nan)), float(peer["numbers"].get(name, math.nan))
        out.append(Agreement(name, a, b, abs(b - a) / abs(a) if a else math.inf, allowed))
    return out


def slope(points: Sequence[tuple[float, float]]) -> float | None:
    """Least-squares slope of log y on log x: 1 where a cost grows as the rows do. None below two sizes."""
    if len({x for x, _ in points}) < 2:
        return None
    logs = [(math.log(x), math.log(y)) for x, y in points]
    x0, y0 = (sum(values) / len(logs) for values in zip(*logs, strict=True))
    return sum((x - x0) * (y - y0) for x, y in logs) / sum((x - x0) ** 2 for x, _ in logs)


def spread(points: Sequence[tuple[float, float]]) -> float | None:
    """The farthest that a cost is from its mean over the sizes, relative to that mean. None below two sizes."""
    if len({x for x, _ in points}) < 2:
        return None
    mean = sum(y for _, y in points) / len(points)
    return max(abs(y - mean) for _, y in points) / mean
