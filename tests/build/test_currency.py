"""Parts of marts that fail alone, and cards that are not of the rows that stand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from projects import build, dbt, installed, row, rows

STUDIES = ("--vars", "{studies: [trial, cohort]}")
# A plain build of all, without its tests.
PLAIN = ("build", "--exclude-resource-type", "test", "unit_test", *STUDIES)
MARTS = ("run", "--select", "fqn:cqox.marts", *STUDIES)


class Project:
    """An installed project of two good studies, and its warehouse."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.warehouse = folder, folder / "warehouse.duckdb"
        # the broken studies' files, which are read though no study of the list needs them
        for name in ("missing_file", "zero_bytes"):
            (folder / "data" / f"{name}.csv").write_bytes((folder / "data" / "trial.csv").read_bytes())
        self.built = dbt(folder, *PLAIN)

    def change(self, *statements: str) -> None:
        """Change tables as no build would."""
        with duckdb.connect(str(self.warehouse)) as connection:
            for statement in statements:
                connection.execute(statement)

    def reasons(self) -> dict[str, str | None]:
        """Why each study's card is not current; None where it is."""
        found = rows(self.warehouse, "select study, is_current, reason from marts.currency")
        assert all(one["is_current"] == (one["reason"] is None) for one in found)
        return {one["study"]: one["reason"] for one in found}

    def of(self, study: str, sql: str) -> dict[str, Any]:
        """The one row of a query of a study."""
        return row(self.warehouse, sql, study)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(installed(tmp_path_factory.mktemp("currency")))


@pytest.fixture
def project(kept: Project) -> Iterator[Project]:
    """The project, with its files and its warehouse as they were when the test is over."""
    declared = kept.folder / "models" / "good" / "_good.yml"
    data = kept.folder / "data" / "trial.csv"
    files = {path: path.read_bytes() for path in (kept.warehouse, declared, data)}
    yield kept
    for path, content in files.items():
        path.write_bytes(content)


def test_a_whole_build_is_current(project: Project) -> None:
    assert project.built.returncode == 0, project.built.stdout
    assert project.reasons() == {"trial": None, "cohort": None}
    card = project.of("trial", "select * from marts.decision_cards where study = ?")
    current = project.of("trial", "select * from marts.currency where study = ?")
    assert {k: card[k] for k in current if k in card} == {k: v for k, v in current.items() if k in card}
    logged = rows(project.warehouse, "select distinct build_id from marts.build_log where node like '%decision_cards'")
    assert card["build_id"] in {one["build_id"] for one in logged}
    study = project.of("trial", "select declared_hash, spec_hash from marts.studies where study = ?")
    assert study["declared_hash"] == study["spec_hash"], "SQL and Python hash a declaration alike"


def test_a_part_that_fails_is_one_row_and_costs_no_other_its_rows(project: Project) -> None:
    """Sums of 9e307, Stata's missing value, are beyond the floats: DuckDB raises."""
    cohort = "select * exclude (build_id) from marts.decision_cards where study = 'cohort'"
    before = rows(project.warehouse, cohort)
    drawn = rows(project.warehouse, "select distinct study, curve from marts.curves where estimator = 'scores'")
    project.change("update studies.trial_scores set mu0 = 9e307, mu1 = -9e307")
    done = dbt(project.folder, *MARTS)
    assert done.returncode == 0, done.stdout
    failed = rows(project.warehouse, "select * from marts.curves where status = 'failed'")
    assert {(one["study"], one["curve"]) for one in failed} == {
        ("trial", curve) for curve in ("residual_quantiles", "residual_fitted", "residual_spread")
    }
    for one in failed:
        assert (one["x"], one["y"], one["series"]) == (None, None, "failed")
        assert "too large for a float" in one["status_reason"]
        assert "beyond 1e150" in one["status_reason"]
    again = rows(project.warehouse, "select distinct study, curve from marts.curves where estimator = 'scores'")
    key = lambda one: (one["study"], one["curve"])  # noqa: E731
    assert sorted(again, key=key) == sorted(drawn, key=key), "what failed is told, and the rest is drawn"
    assert (
        rows(project.warehouse, "select * exclude (build_id) from marts.decision_cards where study = 'cohort'")
        == before
    )
    mean = project.of("trial", "select * from marts.untreated_means where study = ?")
    assert (mean["status"], mean["of_all"]) == ("failed", None)
    # the decision is read from the effects, which stand
    card = project.of("trial", "select decision, baseline from marts.decision_cards where study = ?")
    assert card == {"decision": "ship", "baseline": None}


def test_an_outcome_of_dates_is_not_drawn_and_costs_no_other_study_its_curves(project: Project) -> None:
    project.change("alter table studies.trial_units alter spend type date using date '2020-01-01'")
    done = dbt(project.folder, *MARTS)
    assert done.returncode == 0, done.stdout
    curves = rows(project.warehouse, "select distinct study, curve, status from marts.curves")
    drawn = {one["study"] for one in curves if one["curve"] == "outcome_histogram"}
    assert (drawn, {one["status"] for one in curves}) == ({"cohort"}, {"drawn"})
    # the units are others now than those of the estimate
    assert project.reasons() == {
        "trial": "its units were made anew since it was estimated: build it again",
        "cohort": None,
    }


def test_units_or_gates_made_anew_without_the_effects_are_not_current(project: Project) -> None:
    """As after `dbt run --select trial_units`, a kill before the effects, or gates judged by other thresholds."""
    data = project.folder / "data" / "trial.csv"
    assert project.reasons()["trial"] is None
    same = dbt(project.folder, "run", "--select", "trial_units", "trial_gates", *STUDIES)
    assert (same.returncode, project.reasons()["trial"]) == (0, None), "the same rows again change nothing"
    header, *lines = data.read_text().splitlines()
    data.write_text("\n".join([header, *lines[1:]]) + "\n")
    assert dbt(project.folder, "run", "--select", "trial_units", *STUDIES).returncode == 0
    assert project.reasons() == {
        "trial": "its units were made anew since it was estimated: build it again",
        "cohort": None,
    }
    project.change("update studies.cohort_gates set is_passing = false, blocks = true where gate = 'overlap'")
    assert project.reasons()["cohort"] == "its gates were judged anew since it was estimated: build it again"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("set data_hash = 'other'", "its data have changed since the card was made"),
        ("set code_hash = 'other'", "it was estimated again by other code since the card was made"),
        ("set spec_hash = 'other'", "its declaration has changed since it was estimated"),
        ("set estimate = estimate + 1 where is_primary", "its estimates have changed since the card was made"),
        (
            "set status = 'refused', estimate = null where is_primary",
            "its estimates have changed since the card was made",
        ),
    ],
)
def test_a_card_of_other_rows_is_not_current(project: Project, change: str, words: str) -> None:
    """As after `dbt build --select +trial_effects`, which leaves the marts of an earlier build."""
    project.change(f"update studies.trial_effects {change}")
    reasons = project.reasons()
    assert reasons["cohort"] is None
    assert reasons["trial"] is not None
    assert reasons["trial"].startswith(words)


def test_the_same_rows_made_again_stay_current(project: Project) -> None:
    done = dbt(project.folder, *PLAIN, "--select", "+trial_effects")
    assert done.returncode == 0, done.stdout
    assert project.reasons() == {"trial": None, "cohort": None}


def test_a_declaration_that_changed_is_not_current_where_only_the_marts_were_built(project: Project) -> None:
    declared = project.folder / "models" / "good" / "_good.yml"
    text = declared.read_text()
    assert text.count("minimum_effect: 2") == 2
    declared.write_text(text.replace("minimum_effect: 2", "minimum_effect: 3", 1))
    assert dbt(project.folder, *MARTS).returncode == 0
    assert project.reasons() == {
        "trial": "its declaration has changed since it was estimated: build it again", "cohort": None,
    }  # fmt: skip


def test_a_study_whose_last_run_failed_is_not_current(project: Project) -> None:
    """A plain `dbt build` skips the marts then, and last build's cards stand."""
    (project.folder / "data" / "trial.csv").unlink()
    done = dbt(project.folder, *PLAIN)
    assert done.returncode == 1
    card = project.of("trial", "select decision from marts.decision_cards where study = ?")
    assert card == {"decision": "ship"}, "the card of the earlier build is still there: what follows is no accident"
    reasons = project.reasons()
    assert reasons["cohort"] is None
    assert reasons["trial"] is not None
    assert reasons["trial"].startswith("its last run failed: model.cqox_integration.stg_files__trial")
    assert "LINE" not in reasons["trial"]
    # and after the marts' own call, the card says that it failed, which is true
    assert build(project.folder.parent, "--project", "integration_tests", "--no-report", *STUDIES).returncode == 1
    assert project.of("trial", "select decision, status from marts.decision_cards where study = ?") == {
        "decision": "cannot_answer", "status": "failed",
    }  # fmt: skip
    assert project.reasons() == {"trial": None, "cohort": None}


def test_the_view_reads_the_same_in_a_file_of_another_name(project: Project, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere.duckdb"
    other.write_bytes(project.warehouse.read_bytes())
    with duckdb.connect() as connection:
        connection.execute(f"attach '{other}' as published (read_only)")
        assert connection.execute("select count(*) from published.marts.currency where is_current").fetchall() == [(2,)]
