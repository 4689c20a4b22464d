"""What a figure is held against: ``vars: gate_thresholds`` of the dbt project, one place for SQL and Python.

In a build the gates' own rows bring the thresholds that they were judged by, so that an estimator's diagnostics and
refusals hold to the same, also under ``--vars``. Outside of dbt it is the project file in the working directory, or
else cqox's own, which stands beside this package.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

FILE = "dbt_project.yml"
OWN = Path(__file__).resolve().parents[1] / FILE
_judged: ContextVar[Mapping[str, float] | None] = ContextVar("cqox_thresholds", default=None)


def limit(gate: str) -> float:
    """The threshold of a gate, as the SQL gate has it.

    Parameters
    ----------
    gate : str
        ``balance``, ``first_stage``, ``overlap``, …: a key of ``gate_thresholds``.

    Raises
    ------
    KeyError
        If neither the gates nor a project file has it.
    """
    judged = _judged.get() or {}
    return judged[gate] if gate in judged else declared()[gate]


@contextmanager
def judged_by(gates: Iterable[Mapping[str, Any]]) -> Iterator[None]:
    """Inside, the thresholds are those of these judged gates."""
    found = {
        row["gate"]: float(row["threshold"]) for row in gates if row.get("gate") and row.get("threshold") is not None
    }
    token = _judged.set(found)
    try:
        yield
    finally:
        _judged.reset(token)


def declared() -> dict[str, float]:
    """The thresholds of the project that runs, over cqox's own."""
    here = Path.cwd() / FILE
    found = dict(_of_file(OWN, _stamp(OWN)))
    if here.is_file() and here != OWN:
        found |= _of_file(here, _stamp(here))
    return found | _of_command_line()


def _stamp(path: Path) -> int:
    return path.stat().st_mtime_ns if path.is_file() else 0


@functools.lru_cache(maxsize=8)
def _of_file(path: Path, stamp: int) -> dict[str, float]:
    """What a project file declares, for all packages or for cqox."""
    if not path.is_file():
        return {}
    project = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    declared = project.get("vars") or {}
    found: dict[str, float] = {}
    for vars_ in (declared, declared.get(project.get("name")), declared.get("cqox")):
        found |= (vars_ or {}).get("gate_thresholds") or {}
    return found


def _of_command_line() -> dict[str, float]:
    """What ``dbt --vars`` declares, where dbt runs in this process."""
    flags = sys.modules.get("dbt.flags")
    given = getattr(flags.get_flags(), "VARS", None) if flags is not None else None
    found = given.get("gate_thresholds") if isinstance(given, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}


__all__ = ["declared", "judged_by", "limit"]
