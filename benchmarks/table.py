"""Results as lines of a table, for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.job import Job
from benchmarks.results import Agreement, Record, Results, agreements, finished

TITLES = ("job", "process s", "wall s", "CPU s", "peak MiB", "x floor", "x ours", "agrees to")
WIDTHS = (22, 10, 9, 9, 9, 8, 8, 10)


def cells(record: Record, job: Job, results: Results) -> list[str]:
    """One job's costs; a peer's beside our job for the same numbers.

    ``process s`` is the whole process with its imports, ``wall s`` and ``CPU s`` the job alone, ``x floor`` is of the
    wall, ``x ours`` of the process.
    """
    ours = results.get(job.against, record["rows"]) if job.against else None
    if not finished(record):
        told = record["status"]
        return [record["job"], told, "", "", f"{record['peak_mib']:.0f}", "", _times(record, ours), ""]
    return [
        record["job"], f"{record['process']:.2f}", f"{record['wall']:.2f}", f"{record['cpu']:.2f}",
        f"{record['peak_mib']:.0f}", f"{record['ratio']:.2f}", _times(record, ours),
        _agrees(agreements(job, record, ours)),
    ]  # fmt: skip


def _times(record: Record, ours: Record | None) -> str:
    """How many times ours; at least as many, where time stopped the peer. Memory stops it before its time is known."""
    if ours is None or not finished(ours) or not (finished(record) or record["status"].endswith("min")):
        return ""
    return f"{'' if finished(record) else '> '}{record['process'] / ours['process']:.1f}"


def _agrees(found: Sequence[Agreement]) -> str:
    """The largest relative difference, and whether one is more than is allowed."""
    if not found:
        return ""
    worst = max(one.difference for one in found)
    return f"{worst:.0e}" if all(one.holds for one in found) else f"DIFFERS {worst:.0e}"


def head() -> str:
    """The titles, for the terminal."""
    return _aligned(TITLES)


def line(record: Record, job: Job, results: Results) -> str:
    """One job, for the terminal."""
    return _aligned(cells(record, job, results))


def _aligned(texts: Sequence[str]) -> str:
    first, *rest = zip(texts, WIDTHS, strict=True)
    return f"{first[0]:{first[1]}}" + "".join(f" {text:>{width}}" for text, width in rest)


def markdown(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are numbers."""
    lines = ["| " + " | ".join(titles) + " |", "|---|" + "---:|" * (len(titles) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])
