"""A project that installs this one, one defect a study: each says what is wrong, none costs another its rows."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from projects import build, installed, row, rows

# The first test waits for a project's build.
pytestmark = pytest.mark.timeout(1200)
GOOD = ("cohort", "trial")
MODELS = "the study was not built: model.cqox_integration."
# Study: status of its rows, and what the reason must say: what is wrong, on which column, role or file, and the mend.
BROKEN: dict[str, tuple[str, list[str]]] = {
    "missing_column": ("refused", ["column 'income' is not in the units", "Add it to the study's units model"]),
    "duplicate_units": (
        "refused",
        ["3 of 243 rows repeat a value of 'unit_id'", "Make the units model one row a unit"],
    ),
    "constant_treatment": ("refused", ["treatment 'treated' is constant at 1", "check the units' filter"]),
    "third_arm": ("refused", ["treatment 'treated' has 3 values (wanted: 0 and 1", "Keep two arms (0 and 1)"]),
    "text_outcome": ("refused", ["outcome 'spend' holds text", "Cast it in staging"]),
    "null_covariate": ("refused", ["covariate 'visits' is NULL in every row", "Fill it in the units or drop the role"]),
    "null_outcome": ("refused", ["outcome 'spend' is NULL in 2 rows", "declare `missing: drop`"]),
    "unknown_role": ("failed", ["unknown role 'covariate'", "Did you mean 'covariates'?"]),
    "unknown_option": ("failed", ["unknown option of ipw: 'varience'", "Did you mean 'variance'?"]),
    "unknown_estimator": ("failed", ["unknown estimator in decision.primary: 'ipww'", "Did you mean 'ipw'?"]),
    "missing_file": (
        "failed",
        [f"{MODELS}stg_files__missing_file", "data/missing_file.csv", "Mend it and build again"],
    ),
    "header_only": ("refused", ["the units have no rows", "Check the raw file"]),
    "zero_bytes": ("failed", [f"{MODELS}stg_files__zero_bytes", "data/zero_bytes.csv", "Mend it and build again"]),
}
# The one gate of severity error that each broken study has; a wrong declaration is told by its estimates alone.
BROKEN_GATES = {
    "missing_column": ("contract", "income"),
    "duplicate_units": ("contract", "unique unit_id"),
    "constant_treatment": ("contract", "treated values"),
    "third_arm": ("contract", "treated values"),
    "text_outcome": ("contract", "spend"),
    "null_covariate": ("contract", "visits"),
    "null_outcome": ("contract", "spend"),
    "missing_file": ("build", "gates"),
    "header_only": ("contract", "rows"),
    "zero_bytes": ("build", "gates"),
}


class Built:
    """One build of the installed project."""

    def __init__(self, project: Path, *arguments: str) -> None:
        self.project = project
        self.warehouse = project / "warehouse.duckdb"
        self.started = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        self.command = build(project.parent, "--project", "integration_tests", *arguments)

    def rows(self, table: str, study: str) -> list[dict[str, Any]]:
        """A study's rows of a mart."""
        return rows(self.warehouse, f"select * from marts.{table} where study = ?", study)

    def failures(self) -> set[str]:
        """The tests and models that failed."""
        lines = [line.split() for line in self.command.stdout.splitlines()]
        return {words[words.index("FAIL") + 2] for words in lines if "FAIL" in words}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return Built(installed(tmp_path_factory.mktemp("installed")))


def test_build_fails_by_its_leaf_tests_and_skips_no_mart(built: Built) -> None:
    assert built.command.returncode == 1
    assert built.failures() == {"gates_without_broken_contracts", "estimates_without_failures"}
    marts = built.command.stdout.split("== marts: tables and decisions", 1)[1]
    assert marts.count("SKIP=0") == 2, "the marts' tables and their tests"
    for page in (*GOOD, *BROKEN, "index"):
        assert (built.project / "reports" / "site" / f"{page}.html").exists()


def test_marts_hold_the_studies_of_the_installing_project_only(built: Built) -> None:
    for table in ("studies", "estimates", "gates", "decision_cards"):
        found = {one["study"] for one in rows(built.warehouse, f"select distinct study from marts.{table}")}
        assert found == {*GOOD, *BROKEN}, table


@pytest.mark.parametrize("study", GOOD)
def test_good_study_stands(built: Built, study: str) -> None:
    estimates = built.rows("estimates", study)
    assert all(one["estimated_at"] >= built.started for one in estimates)
    (primary,) = [one for one in estimates if one["is_primary"]]
    assert primary["status"] == "estimated"
    # 5 is what the data were simulated with
    assert primary["conf_low"] < 5 < primary["conf_high"]
    (card,) = built.rows("decision_cards", study)
    assert card["decision"] == "ship"


@pytest.mark.parametrize("study", BROKEN)
def test_broken_study_says_what_is_wrong_and_how_to_mend_it(built: Built, study: str) -> None:
    status, words = BROKEN[study]
    estimates = built.rows("estimates", study)
    assert estimates
    for one in estimates:
        assert one["status"] == status
        assert (one["estimate"], one["std_error"], one["conf_low"], one["p_value"]) == (None, None, None, None)
        assert all(part in one["status_reason"] for part in words), one["status_reason"]
        assert study in one["status_reason"]
    (card,) = built.rows("decision_cards", study)
    assert (card["decision"], card["confidence"], card["estimate"]) == ("cannot_answer", "low", None)
    assert all(part in card["status_reason"] for part in words), card["status_reason"]


@pytest.mark.parametrize("study", BROKEN)
def test_broken_study_is_told_on_the_console(built: Built, study: str) -> None:
    """Its name and column or role, then the reason, then the mend, in whole sentences."""
    lines = built.command.stderr.split("== failures:", 1)[1].splitlines()
    heads = [i for i, line in enumerate(lines) if line.split("  ")[0] == study]
    assert heads, "the study is not among the failures"
    told = " ".join(line.strip() for i in heads for line in lines[i : i + 3])
    if study in BROKEN_GATES and BROKEN_GATES[study][0] != "build":
        assert BROKEN_GATES[study][1] in told
    else:
        assert all(part.removeprefix(MODELS) in told for part in BROKEN[study][1]), told
    assert "mend: " in told


def test_console_tells_no_more_than_the_failures(built: Built) -> None:
    """One entry a broken study, dbt's own words and tracebacks stay in its log."""
    told = built.command.stderr
    assert len([line for line in told.splitlines() if line.startswith("    mend: ")]) == len(BROKEN)
    assert "configured to fail" not in told + built.command.stdout
    assert "Traceback" not in told + built.command.stdout
    for study in GOOD:
        assert f"\n{study}  " not in told


@pytest.mark.parametrize("study", BROKEN)
def test_broken_study_has_one_gate_of_severity_error(built: Built, study: str) -> None:
    gates = [one for one in built.rows("gates", study) if one["severity"] == "error" and not one["is_passing"]]
    expected = [BROKEN_GATES[study]] if study in BROKEN_GATES else []
    assert [(one["gate"], one["subject"]) for one in gates] == expected
    assert all(one["blocks"] and one["reason"] and one["remedy"] for one in gates)


def test_study_that_breaks_later_leaves_nothing_of_the_earlier_build(built: Built) -> None:
    (built.project / "data" / "cohort.csv").unlink()
    later = Built(built.project, "--no-report", "--vars", "{studies: [trial, cohort]}")
    assert later.command.returncode == 1
    # its old table is still there: what follows is not true by accident
    assert row(built.warehouse, "select count(*) as n from studies.cohort_effects")["n"] > 1
    (failed,) = later.rows("estimates", "cohort")
    assert (failed["status"], failed["estimate"], failed["estimated_at"]) == ("failed", None, None)
    assert "stg_files__cohort" in failed["status_reason"]
    assert 'No files found that match the pattern "data/cohort.csv"' in failed["status_reason"]
    for table in ("diagnostics", "curves", "sensitivity"):
        assert not later.rows(table, "cohort"), table
    (gate,) = later.rows("gates", "cohort")
    assert (gate["gate"], gate["is_passing"], gate["severity"]) == ("build", False, "error")
    (card,) = later.rows("decision_cards", "cohort")
    assert (card["decision"], card["estimate"]) == ("cannot_answer", None)
    (study,) = later.rows("studies", "cohort")
    assert (study["n_units"], study["data_hash"]) == (None, None)
    assert all(one["estimated_at"] >= later.started for one in later.rows("estimates", "trial"))
    assert later.rows("decision_cards", "trial")[0]["decision"] == "ship"
