"""A job: what is timed, by ours or by a peer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Numbers = dict[str, float]


@dataclass(frozen=True)
class Job:
    """What is timed.

    Attributes
    ----------
    run : callable
        Takes the path of the data and gives its estimates.
    what : str
        In a few words, for the report.
    imports : tuple of str
        Modules loaded before the clock of the job starts (the clock of the process sees them).
    data : str
        ``units`` or ``panel``.
    package : str or None
        The peer's name on PyPI.
    against : str or None
        The job of ours that estimates the same.
    same : mapping
        The peer's number to ours, and the relative difference that is allowed.
    """

    run: Callable[[Path], Numbers]
    what: str
    imports: tuple[str, ...] = ("duckdb",)
    data: str = "units"
    package: str | None = None
    against: str | None = None
    same: Mapping[str, tuple[str, float]] = field(default_factory=dict)
