"""sqlfluff over models, singular tests and analyses with dbt's templater, and over the compiled generic tests.

The templater compiles gates and marts, and their macros ask the warehouse for columns; so two studies are built first,
into a warehouse of their own that is thrown away. The marts are linted as unions of these two: of all studies they are
longer than sqlfluff parses. It skips generic tests, so this project's are linted as compiled.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACES = ("models/staging", "models/studies", "tests/singular", "analyses")
MARTS = "models/marts"
# Those whose gates .sqlfluffignore leaves in.
FEW = ["nsw_aa", "senate"]
# Compiled SQL keeps the blanks of its template and dbt quotes every relation, so neither is judged there.
AS_COMPILED = ("--config", ".sqlfluff", "--templater", "raw", "--exclude-rules", "layout,ST06,AM04,RF04,RF06,ST03,AM08")
GENERIC_TESTS = ("unique_combination", "not_empty", "in_range")


def compiled_generic_tests(target: Path) -> list[str]:
    """The compiled SQL of one test of each of this project's generic tests, a model of columns each.

    Raises
    ------
    SystemExit
        If one of them is used nowhere: then nothing shows that it compiles.
    """
    manifest = json.loads((target / "manifest.json").read_text())
    found: dict[str, str] = {}
    for node in sorted(manifest["nodes"].values(), key=lambda node: node["unique_id"]):
        name = (node.get("test_metadata") or {}).get("name")
        if name in GENERIC_TESTS and name not in found:
            found[name] = str(target / "compiled" / node["package_name"] / node["original_file_path"] / node["path"])
    missing = set(GENERIC_TESTS) - set(found)
    if missing:
        raise SystemExit(f"generic tests that no model uses: {', '.join(sorted(missing))}")
    return list(found.values())


def main() -> int:
    """Build a throw-away warehouse, lint against it; the exit code of the first step that failed."""
    tools = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "target"
        environment = {
            **os.environ, "CQOX_WAREHOUSE": str(Path(folder) / "lint.duckdb"), "DBT_PROFILES_DIR": str(ROOT),
            "DBT_TARGET_PATH": str(target), "DBT_LOG_PATH": str(Path(folder) / "logs"),
        }  # fmt: skip

        def run(*command: str) -> int:
            return subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode

        dbt, lint = str(tools / "dbt"), (str(tools / "sqlfluff"), "lint", "--disable-progress-bar")
        few = ("--vars", json.dumps({"studies": FEW}))
        context = Path(folder) / "few.toml"
        context.write_text(f"[tool.sqlfluff.templater.dbt.context]\nstudies = {json.dumps(FEW)}\n")
        return (
            run(dbt, "--quiet", "build", *few, "--exclude-resource-type", "test", "unit_test")
            or run(dbt, "--quiet", "compile", *few, "--select", "resource_type:test")
            or run(*lint, *AS_COMPILED, *compiled_generic_tests(target))
            or run(*lint, *PLACES)
            or run(*lint, "--config", str(context), MARTS)
        )


if __name__ == "__main__":
    sys.exit(main())
