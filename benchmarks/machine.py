"""What the numbers were measured on: no names of hosts or people."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """CPU, cores that may be used, memory, system, and the versions that ours runs on."""
    return {
        "cpu": _field("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "ram_gib": round(int((_field("/proc/meminfo", "MemTotal") or "0").split()[0]) / 2**20, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("duckdb", "numpy", "pyarrow")},
    }


def described(machine: dict[str, Any]) -> str:
    """One sentence of it."""
    versions = ", ".join(f"{name} {machine[name]}" for name in ("duckdb", "numpy", "pyarrow"))
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['ram_gib']:g} GiB of memory, {machine['system']}, "
        f"Python {machine['python']}, {versions}."
    )


def _field(path: str, name: str) -> str | None:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return None
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), None)
