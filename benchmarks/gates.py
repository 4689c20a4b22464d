"""How long wide studies' design table and gates take, and how much memory: ``python -m benchmarks.gates``.

Each case is a study of this many rows in a copy of benchmarks/warehouse: units and scores are made by SQL (so that no
propensity of 500 covariates is fitted), then dbt runs the design model and the gates. Seconds are those of dbt's nodes;
memory is that of dbt's process at its most, while units and scores are written, and while design and gates are.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.design import Limits
from benchmarks.watch import Watched, watched
from estimators import scores

ROOT = Path(__file__).resolve().parents[1]
# Name: numeric covariates, levels of one category.
CASES = {"500 numbers": (500, 0), "120 numbers": (120, 0), "120 levels": (0, 120), "79 terms": (79, 0)}
WEIGHTS = tuple(f"{estimator}_{estimand.lower()}" for estimator, estimand in scores.WEIGHTS)


def project(folder: Path, rows: int, numbers: int, levels: int) -> Path:
    """A copy of benchmarks/warehouse with one wide study."""
    made = folder / "warehouse"
    shutil.copytree(ROOT / "benchmarks" / "warehouse", made, ignore=shutil.ignore_patterns("target", "dbt_packages"))
    (made / "packages.yml").write_text(f"packages:\n  - local: {os.path.relpath(ROOT, made)}\n")
    studies = made / "models" / "scale"
    shutil.rmtree(made / "models" / "staging")
    columns = [f"(hash(i, {j}) % 100000) / 1e5 + {j} as x{j}" for j in range(numbers)]
    columns += [f"(hash(i, 'level') % {levels})::integer as level"] if levels else []
    own = ["i as id", "(hash(i, 't') % 2)::integer as t", "(hash(i, 'y') % 1000)::double as y", *columns]
    (studies / "scale_units.sql").write_text(f"select {', '.join(own)} from range({rows}) as numbers(i)\n")
    made_up = [f"(hash(id, '{name}') % 1000) / 1e3 + 0.5 as weight_{name}" for name in WEIGHTS]
    listed = ["id as unit_id", "t::double as treatment", "0.5 as propensity", *made_up]
    (studies / "scale_scores.sql").write_text(f"select {', '.join(listed)} from {{{{ ref('scale_units') }}}}\n")
    (made / "python_models" / "scale_scores.py").unlink()
    terms = [f"x{j}" for j in range(numbers)] + (["C(level)"] if levels else [])
    block = {
        "question": "Does t raise y?", "design": "observational", "outcome": "y", "treatment": "t", "unit": "id",
        "covariates": terms,
        "decision": {"primary": "ope", "estimand": "ATE", "desired_direction": "more", "minimum_effect": 1},
    }  # fmt: skip
    models = [f"scale_{model}" for model in ("units", "scores", "design", "gates", "effects")]
    # YAML reads JSON.
    described = {"models": [{"name": name, "config": {"meta": {"study": block}}} for name in models]}
    (studies / "_scale.yml").write_text(json.dumps(described))
    return made


def run(folder: Path, command: str, *selected: str) -> Watched:
    """dbt on some models."""
    choice = ["--select", *selected] if selected else []
    dbt = str(Path(sys.executable).with_name("dbt"))
    environment = {**os.environ, "DBT_PROFILES_DIR": str(folder), "PYTHONPATH": str(ROOT)}
    done = watched([dbt, "--no-use-colors", command, *choice], environment, Limits(), folder)
    if done.status != "done":
        raise SystemExit(f"dbt {command} {' '.join(selected)}: {done.status}\n{done.out}{done.err}")
    return done


def measured(name: str, rows: int) -> str:
    """One case as a line of the table."""
    with tempfile.TemporaryDirectory() as folder:
        made = project(Path(folder), rows, *CASES[name])
        run(made, "deps")
        run(made, "seed", "gate_policy", "gate_exceptions")
        before = run(made, "run", "scale_units", "scale_scores")
        after = run(made, "run", "scale_design", "scale_gates")
        results = json.loads((made / "target" / "run_results.json").read_text())["results"]
        took = {one["unique_id"].split(".")[-1]: one["execution_time"] for one in results}
        (sql,) = made.glob("target/compiled/*/models/scale/scale_gates.sql")
        return (
            f"| {name} | {rows:,} | {took['scale_design']:.2f} | {took['scale_gates']:.2f} | {before.peak_mib:.0f} | "
            f"{after.peak_mib:.0f} | {sql.stat().st_size / 1024:.0f} |"
        )


def main(arguments: list[str]) -> int:
    """Measure the cases that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gates", description="Design and gates of wide studies.")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--cases", nargs="*", choices=list(CASES), default=list(CASES))
    given = parser.parse_args(arguments)
    print(
        "| covariates | rows | design, s | gates, s | MiB of units and scores | MiB of design and gates | KiB of SQL |"
    )
    print("|---|---|---|---|---|---|---|")
    for name in given.cases:
        print(measured(name, given.rows), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
