"""sqlfluff over models and singular tests with dbt's templater: the compiled SQL of gates and tests is linted too.

The templater compiles gates and marts, and their macros ask the warehouse for columns; so the models are built first,
into a warehouse of their own that is thrown away.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACES = ("models", "tests/singular", "analyses")


def main() -> int:
    """Build a throw-away warehouse, lint against it; the linter's exit code."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ, "CQOX_WAREHOUSE": str(Path(folder) / "lint.duckdb"), "DBT_PROFILES_DIR": str(ROOT),
            "DBT_TARGET_PATH": str(Path(folder) / "target"), "DBT_LOG_PATH": str(Path(folder) / "logs"),
        }  # fmt: skip
        build = [sys.executable, "-m", "dbt.cli.main", "--quiet", "build"]
        for command in (
            [*build, "--exclude-resource-type", "test", "unit_test"],
            [str(Path(sys.executable).with_name("sqlfluff")), "lint", "--disable-progress-bar", *PLACES],
        ):
            code = subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode
            if code:
                return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
