"""`make build`: studies, then marts, then the report; every step runs, and the exit code tells whether all was well.

dbt skips whatever hangs on a model that errors, the marts too. So the marts have a call of their own, after the
studies, which writes a `failed` row for each study that has none of this build. Both calls know the build by
CQOX_BUILD_ID and its start by CQOX_BUILD_STARTED_AT.

A project that installs this one builds the same way, with ``--project its/folder``. The marts are selected by package
and folder (``fqn:cqox.marts``), because dbt looks for ``path:`` in the project that is built and would find nothing.
"""

from __future__ import annotations

import argparse
import datetime
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MARTS = "fqn:cqox.marts"
# dbt's exit code where it could not start: a broken project, a study on the list that has no models.
COULD_NOT_START = 2


def warehouse(project: Path) -> Path:
    """The DuckDB file of profile dev."""
    return project / os.environ.get("CQOX_WAREHOUSE", "warehouse.duckdb")


def build_environment(project: Path) -> dict[str, str]:
    """The environment of this build: its name, its start and where the profile lies."""
    now = datetime.datetime.now(datetime.UTC)
    return {
        **os.environ,
        "CQOX_BUILD_ID": os.environ.get("CQOX_BUILD_ID", uuid.uuid4().hex),
        "CQOX_BUILD_STARTED_AT": now.strftime("%Y-%m-%d %H:%M:%S.%f"),
        "DBT_PROFILES_DIR": os.environ.get("DBT_PROFILES_DIR", str(project)),
        "PYTHONPATH": str(ROOT),
    }


class Steps:
    """The steps of one build, run in the project's folder with their output shown."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.environment = build_environment(project)
        self.codes: dict[str, int] = {}

    def run(self, name: str, title: str, command: list[str]) -> int:
        """Run one step; its exit code."""
        print(f"== {title}", flush=True)
        started = time.perf_counter()
        code = subprocess.run(command, env=self.environment, cwd=self.project, check=False).returncode
        took = time.perf_counter() - started
        print(f"== {title}: {'done' if code == 0 else f'exit {code}'} in {took:.0f} s", flush=True)
        self.codes[name] = code
        return code

    def told(self) -> int:
        """Name the steps where not all was well; the exit code of the build."""
        failed = [name for name, code in self.codes.items() if code]
        for name in failed:
            print(f"{name}: not all is well; the lines above tell what and how to mend it", file=sys.stderr)
        return 1 if failed else 0


def main(arguments: list[str]) -> int:
    """Build all; arguments that are not its own go to dbt (``--vars``, ``--full-refresh``)."""
    parser = argparse.ArgumentParser(prog="python -m commands.build", description="Build the warehouse and its report.")
    parser.add_argument("--project", type=Path, default=ROOT, help="folder of a dbt project that installs this one")
    parser.add_argument("--no-report", action="store_true", help="leave the report out, where only the tables are read")
    given, for_dbt = parser.parse_known_args(arguments)
    project = given.project.resolve()
    steps, path = Steps(project), warehouse(project)
    dbt = str(Path(sys.executable).with_name("dbt"))
    studies = [dbt, "build", *for_dbt, "--exclude", f"{MARTS}+"]
    if steps.run("studies", "studies: stage, gate, estimate", studies) == COULD_NOT_START:
        print(
            "dbt could not start, so nothing was built. Where it misses a node '<study>_effects', the list "
            "`vars: studies` names a study that has no models: add them, or take it off the list.",
            file=sys.stderr,
        )
        return 1
    # Tables first and tests after: in one call a failing test would leave the last build's cards standing.
    steps.run("marts", "marts: tables and decisions", [dbt, "run", *for_dbt, "--select", MARTS])
    steps.run("tests", "tests of the marts", [dbt, "test", *for_dbt, "--select", MARTS])
    if not path.exists():
        print(f"no warehouse was written at {path}: read the first error above", file=sys.stderr)
        return 1
    python = [sys.executable, "-m"]
    decided = steps.run("decisions", "decisions", [*python, "commands.decisions", str(path)]) == 0
    print(f"warehouse  {path}")
    if decided and not given.no_report:
        steps.run("report", "report", [*python, "reports", "--warehouse", str(path)])
        print(f"report     {project / 'reports' / 'site' / 'index.html'}")
    return steps.told()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
