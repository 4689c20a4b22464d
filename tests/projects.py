"""What the build tests share: a copy of the project, one call that builds it, and its tables as dictionaries."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb

ROOT = Path(__file__).resolve().parents[1]


def copied(folder: Path) -> Path:
    """The files that git knows or would add, in another folder: a build there cannot touch this one."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folder


def environment() -> dict[str, str]:
    """This environment without what a build around the tests may have set."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CQOX_", "DBT_"))}
    return {**kept, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def build(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``python -m commands.build`` in a copy of the project."""
    return run(root, sys.executable, "-m", "commands.build", *arguments)


def dbt(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """dbt in a folder with its own profiles.yml."""
    return run(folder, str(Path(sys.executable).with_name("dbt")), "--no-use-colors", *arguments)


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A command with its output kept."""
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)


def installed(folder: Path) -> Path:
    """A copy of this project's integration_tests with this project installed in it: its folder."""
    project = copied(folder) / "integration_tests"
    done = dbt(project, "deps")
    assert done.returncode == 0, done.stdout + done.stderr
    return project


def rows(warehouse: Path, sql: str, *values: Any) -> list[dict[str, Any]]:
    """The rows of a query."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        result = connection.execute(sql, list(values))
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def row(warehouse: Path, sql: str, *values: Any) -> dict[str, Any]:
    """The one row of a query."""
    found = rows(warehouse, sql, *values)
    assert len(found) == 1, f"{len(found)} rows of {sql} {values}"
    return found[0]
