"""What a figure is held against: ``vars: gate_thresholds`` of the dbt project, one place for SQL and Python.

In a build the gates' own rows bring the thresholds that they were judged by, so that an estimator's diagnostics and
refusals hold to the same, also under ``--vars``. Outside of dbt it is the project file in the working directory, or
else cqox's own, which stands beside this package.
"""

from __future__ import annotations

import functools
import sys
from collections import ChainMap
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
    return dict(ChainMap(*(one.get("gate_thresholds") or {} for one in _declarations())))


def bounds() -> tuple[float, float]:
    """The least and the largest propensity in support at even odds: ``vars: propensity_bounds``, as the SQL has it."""
    low, high = next(one["propensity_bounds"] for one in _declarations() if one.get("propensity_bounds"))
    return float(low), float(high)


def _declarations() -> list[Mapping[str, Any]]:
    """What is declared, the first to be taken: ``--vars``, the project that runs, cqox's own file."""
    here = Path.cwd() / FILE
    files = [here, OWN] if here.is_file() and here != OWN else [OWN]
    return [_of_command_line(), *(_of_file(path, _stamp(path)) for path in files)]


def _stamp(path: Path) -> int:
    return path.stat().st_mtime_ns if path.is_file() else 0


@functools.lru_cache(maxsize=8)
def _of_file(path: Path, stamp: int) -> dict[str, Any]:
    """What a project file declares, for all packages or for cqox."""
    if not path.is_file():
        return {}
    project = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    declared = project.get("vars") or {}
    found: dict[str, Any] = {"gate_thresholds": {}}
    for vars_ in (declared, declared.get(project.get("name")), declared.get("cqox")):
        found["gate_thresholds"] |= (vars_ or {}).get("gate_thresholds") or {}
        found["propensity_bounds"] = (vars_ or {}).get("propensity_bounds") or found.get("propensity_bounds")
    return found


def _of_command_line() -> Mapping[str, Any]:
    """What ``dbt --vars`` declares, where dbt runs in this process."""
    flags = sys.modules.get("dbt.flags")
    given = getattr(flags.get_flags(), "VARS", None) if flags is not None else None
    return given if isinstance(given, Mapping) else {}


__all__ = ["bounds", "declared", "judged_by", "limit"]
