"""sqlfluff over models, singular tests and analyses with dbt's templater, and over the compiled generic tests.

The templater compiles gates and marts, and their macros ask the warehouse for columns; so two studies are built first,
into a warehouse of their own that is thrown away. The marts are linted as unions of these two: of all studies they are
longer than sqlfluff parses. It skips generic tests, so this project's are linted as compiled.

The marts and all the rest take about as long, so they are linted beside each other, each with a copy of the warehouse:
one process alone can hold a DuckDB file open.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACES = ("models/staging", "models/studies", "tests/singular", "analyses")
MARTS = "models/marts"
# Those whose gates .sqlfluffignore leaves in: with arms and without, of few covariates, for their pairs make long SQL.
FEW = ["education", "senate"]
WITH_FEW = ("--vars", json.dumps({"studies": FEW}))
# Compiled SQL keeps the blanks of its template and dbt quotes every relation, so neither is judged there; nor is the
# alias of a relation that may be a query in brackets (AL05).
AS_COMPILED = (
    "--config",
    ".sqlfluff",
    "--templater",
    "raw",
    "--exclude-rules",
    "layout,ST06,AM04,RF04,RF06,ST03,AM08,AL05",
)
GENERIC_TESTS = (
    "unique_combination", "not_empty", "in_range", "standardised_differences_below", "variance_inflation_below",
)  # fmt: skip


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


class Bench:
    """A folder with a warehouse and a target of its own, in which commands run one after another."""

    def __init__(self, folder: Path, warehouse: Path | None = None) -> None:
        folder.mkdir()
        self.target, self.warehouse = folder / "target", folder / "lint.duckdb"
        if warehouse:
            shutil.copyfile(warehouse, self.warehouse)
        self.environment = {
            **os.environ, "CQOX_WAREHOUSE": str(self.warehouse), "DBT_PROFILES_DIR": str(ROOT),
            "DBT_TARGET_PATH": str(self.target), "DBT_LOG_PATH": str(folder / "logs"),
        }  # fmt: skip

    def run(self, tool: str, *arguments: str) -> int:
        """Run a tool of this environment, and show what it said when it is done; its exit code."""
        command = [str(Path(sys.executable).parent / tool), *arguments]
        done = subprocess.run(
            command, env=self.environment, cwd=ROOT, check=False, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        print(done.stdout, end="", flush=True)
        return done.returncode

    def lint(self, *arguments: str) -> int:
        """Run sqlfluff."""
        return self.run("sqlfluff", "lint", "--disable-progress-bar", *arguments)


def lint_marts(bench: Bench) -> int:
    """The marts, as unions of the few studies."""
    context = bench.target.with_name("few.toml")
    context.write_text(f"[tool.sqlfluff.templater.dbt.context]\nstudies = {json.dumps(FEW)}\n")
    return bench.lint("--config", str(context), MARTS)


def lint_the_rest(bench: Bench) -> int:
    """Generic tests as compiled, then staging, studies, singular tests and analyses."""
    return (
        bench.run("dbt", "--quiet", "compile", *WITH_FEW, "--select", "resource_type:test")
        or bench.lint(*AS_COMPILED, *compiled_generic_tests(bench.target))
        or bench.lint(*PLACES)
    )


def main() -> int:
    """Build a throw-away warehouse, lint against copies of it; 0 where every step went well."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        built = Bench(folder / "built")
        if code := built.run("dbt", "--quiet", "build", *WITH_FEW, "--exclude-resource-type", "test", "unit_test"):
            return code

        def beside(lint: Callable[[Bench], int]) -> int:
            return lint(Bench(folder / lint.__name__, built.warehouse))

        with ThreadPoolExecutor() as pool:
            return int(any(pool.map(beside, (lint_marts, lint_the_rest))))


if __name__ == "__main__":
    sys.exit(main())
