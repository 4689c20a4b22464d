"""`make build`: studies, then marts, then the report; every step runs, and the exit code tells whether all was well.

dbt skips whatever hangs on a model that errors, the marts too. So the marts have a call of their own, after the studies, which
writes a `failed` row for each study that has none of this build. Both calls know the build by CQOX_BUILD_ID and its
start by CQOX_BUILD_STARTED_AT.
"""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MARTS = "path:models/marts"


def warehouse() -> Path:
    """The DuckDB file of profile dev."""
    return Path(os.environ.get("CQOX_WAREHOUSE", ROOT / "warehouse.duckdb"))


def build_environment() -> dict[str, str]:
    """The environment of this build: its name, its start and where the profile lies."""
    now = datetime.datetime.now(datetime.UTC)
    return {
        **os.environ,
        "CQOX_BUILD_ID": os.environ.get("CQOX_BUILD_ID", uuid.uuid4().hex),
        "CQOX_BUILD_STARTED_AT": now.strftime("%Y-%m-%d %H:%M:%S.%f"),
        "DBT_PROFILES_DIR": os.environ.get("DBT_PROFILES_DIR", str(ROOT)),
        "PYTHONPATH": str(ROOT),
    }


def step(title: str, command: list[str], environment: dict[str, str]) -> bool:
    """Run one step with its output shown; True if it exits with 0."""
    print(f"== {title}", flush=True)
    started = time.perf_counter()
    code = subprocess.run([sys.executable, *command], env=environment, cwd=ROOT, check=False).returncode
    print(f"== {title}: {'done' if code == 0 else f'exit {code}'} in {time.perf_counter() - started:.0f} s", flush=True)
    return code == 0


def main(arguments: list[str]) -> int:
    """Build all; further arguments go to dbt (``--vars``, ``--full-refresh``)."""
    environment = build_environment()
    dbt = ["-m", "dbt.cli.main", "build", *arguments]
    studies = step("studies: stage, gate, estimate", [*dbt, "--exclude", f"{MARTS}+"], environment)
    marts = step("marts: tables, decisions, tests", [*dbt, "--select", MARTS], environment)
    if not warehouse().exists():
        print(f"no warehouse was written at {warehouse()}: read the first error above", file=sys.stderr)
        return 1
    summary = step("decisions", ["-m", "commands.decisions", str(warehouse())], environment)
    report = summary and step("report", ["-m", "reports", "--warehouse", str(warehouse())], environment)
    print(f"warehouse  {warehouse()}\nreport     {ROOT / 'reports' / 'site' / 'index.html'}")
    for name, well in (("studies", studies), ("marts", marts), ("decisions", summary), ("report", report)):
        if not well:
            print(f"{name}: not all is well; the lines above tell what and how to mend it", file=sys.stderr)
    return 0 if studies and marts and summary and report else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
