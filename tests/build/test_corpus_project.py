"""Some of the corpus as studies of a real project, built to the decisions: none costs another its numbers.

tests/build/test_broken_studies.py asks the same of defects in files and declarations, through `make build`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from corpus.case import Case, as_table
from corpus.everything import CASES
from projects import dbt, installed, rows

SAMPLE = (
    "infinite_covariate", "infinite_covariate_dropped", "stata_missing_covariate", "vanishing_covariate",
    "nan_covariate_dropped", "large_outcome", "outcome_at_the_lower_bound", "date_covariate",
    "one_unit_holds_all_weight",
    "infinite_weight", "stata_missing_instrument", "large_running", "infinite_period", "outlier_of_one_period",
    "huge_integers", "an_arm_dropped", "one_treated_unit", "cohort_changes", "minimum_effect_text", "reserved_word",
)  # fmt: skip
GOOD = ("trial",)
# What is unlike from build to build.
STAMPS = {"estimated_at", "checked_at", "seconds", "build_id"}

MODELS = {
    "scores": "score({name!r}, dbt.config.meta_get('study'), dbt.ref('{name}_units'), session)",
    "design": "design({name!r}, dbt.config.meta_get('study'), dbt.ref('{name}_units'), session)",
    "effects": "estimate({name!r}, dbt.config.meta_get('study'), units=dbt.ref('{name}_units'), "
    "scores={scores}, gates=dbt.ref('{name}_gates'), session=session)",
}  # fmt: skip


def add(project: Path, case: Case) -> None:
    """The case's file, models and declaration."""
    name = case.name
    pq.write_table(as_table(case.units), project / "data" / f"{name}.parquet")
    folder = project / "models" / "corpus"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}_units.sql").write_text(f"select * from read_parquet('data/{name}.parquet')\n")
    scored = case.block["design"] == "observational" and "covariates" in case.block
    given = f"units=ref('{name}_units'), design=ref('{name}_design')" + (f", scores=ref('{name}_scores')" * scored)
    gates = f"{{{{ cqox.study_gates(study='{name}', block=config.meta_get('study', {{}}), {given}) }}}}\n"
    (folder / f"{name}_gates.sql").write_text(gates)
    made = [kind for kind in MODELS if kind != "scores" or scored]
    for kind in made:
        call = MODELS[kind].format(name=name, scores=f"dbt.ref('{name}_scores')" if scored else "None")
        body = [
            "def model(dbt, session):",
            '    dbt.config(materialized="table", schema="studies")',
            f"    from estimators import {call.split('(', 1)[0]}",
            f"    return {call}",
        ]
        (project / "python_models" / f"{name}_{kind}.py").write_text("\n".join(body) + "\n")
    config = {"enabled": f"{{{{ '{name}' in var('studies') }}}}", "meta": {"study": case.block}}
    models = [{"name": f"{name}_{kind}", "config": config} for kind in ("units", "gates", *made)]
    (folder / f"_{name}.yml").write_text(json.dumps({"models": models}, indent=1))


class Built:
    """The marts of one build."""

    def __init__(self, project: Path, studies: tuple[str, ...]) -> None:
        listed = json.dumps({"studies": list(studies)})
        # One call, and no tests of tables: no model of these studies errors, so nothing is skipped.
        tests = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
        others = ("--exclude", "stg_files__missing_file", "stg_files__zero_bytes")  # broken files of other tests
        self.command = dbt(project, "build", *tests, *others, "--vars", listed)
        assert self.command.returncode == 0, self.command.stdout[-4000:]
        self.warehouse = project / "warehouse.duckdb"
        self.tables = {name: self._rows(name) for name in ("estimates", "gates", "decision_cards")}

    def _rows(self, table: str) -> list[dict[str, Any]]:
        return rows(self.warehouse, f"select * from marts.{table} order by all")

    def of(self, table: str, study: str) -> list[dict[str, Any]]:
        """A study's rows without what is unlike from build to build."""
        found = [row for row in self.tables[table] if row["study"] == study]
        return [{name: value for name, value in row.items() if name not in STAMPS} for row in found]


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Built, Built]:
    """The good studies alone, and the same beside the broken ones."""
    project = installed(tmp_path_factory.mktemp("corpus_project"))
    alone = Built(project, GOOD)
    for name in SAMPLE:
        add(project, CASES[name])
    return alone, Built(project, (*GOOD, *SAMPLE))


@pytest.mark.parametrize("study", GOOD)
def test_good_study_keeps_its_numbers_to_the_bit(builds: tuple[Built, Built], study: str) -> None:
    alone, beside = builds
    for table in ("estimates", "gates", "decision_cards"):
        assert alone.of(table, study), table
        pairs = zip(beside.of(table, study), alone.of(table, study), strict=True)
        unlike = [(name, one[name], other[name]) for one, other in pairs for name in one if one[name] != other[name]]
        assert unlike == [], table
    assert beside.of("decision_cards", study)[0]["decision"] == "ship"


@pytest.mark.parametrize("name", SAMPLE)
def test_study_has_its_answer_in_the_marts(builds: tuple[Built, Built], name: str) -> None:
    case, built = CASES[name], builds[1]
    (row,) = [one for one in built.of("estimates", name) if one["is_primary"]]
    (card,) = built.of("decision_cards", name)
    assert (row["status"], card["estimate"]) == (case.status, row["estimate"]), row["status_reason"]
    if case.value is not None:
        assert row["estimate"] == pytest.approx(case.value, rel=1e-7)
        return
    assert (row["estimate"], row["std_error"], row["conf_low"], row["p_value"]) == (None,) * 4
    assert (card["decision"], card["confidence"]) == ("cannot_answer", "low")
    for reason in (row["status_reason"], card["status_reason"]):
        assert all(part in reason for part in case.words), reason
    broken = {one["subject"] for one in built.of("gates", name) if one["severity"] == "error" and not one["is_passing"]}
    assert broken == ({case.gate} if case.gate else set())
