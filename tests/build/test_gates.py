"""Every gate flips: a made-up study just on either side of its threshold, judged by the same macros as the demo's."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from judging import Judged, judge, judging
from made_up_studies import DESIGNS, EDITED, EXCEPTIONS, STUDIES, WEIGHTS

# The first test waits for a project's seeds and gates.
pytestmark = pytest.mark.timeout(900)

# --- judging them ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return judging(tmp_path_factory.mktemp("gates"), STUDIES, EXCEPTIONS)


@pytest.fixture(scope="module")
def judged(project: Path) -> Judged:
    return judge(project, STUDIES)


@pytest.fixture(scope="module")
def judged_by_edited_policy(project: Path, judged: Judged) -> Judged:
    with duckdb.connect(str(project / "warehouse.duckdb")) as connection:
        connection.execute("update seeds.gate_policy set blocks = false, severity = 'info' where gate = 'overlap'")
        connection.execute("delete from seeds.gate_policy where gate = 'balance'")
    return judge(project, {name: STUDIES[name] for name in EDITED})


# --- the gates ---------------------------------------------------------------------------------------------------


def test_all_gates_pass_where_nothing_is_wrong(judged: Judged) -> None:
    assert {row["gate"] for row in judged.rows["all_good"]} == {
        "contract", "raw_balance", "balance", "overlap", "effective_sample_size", "collinearity",
        "covariate_collinearity",
    }  # fmt: skip
    assert [row for row in judged.rows["all_good"] if not row["is_passing"]] == []
    assert all(row["reason"] and row["remedy"] and row["checked_at"] for row in judged.rows["all_good"])


@pytest.mark.parametrize(
    ("study", "subject", "reason"),
    [
        ("no_rows", "rows", "the units have no rows"),
        ("no_column", "x", "covariate column 'x' is not in the units; columns there: unit_id, t, y"),
        ("repeated_unit", "unique unit_id", "2 rows repeat a value of unit_id"),
        ("text_outcome", "y", "outcome 'y' holds text"),
        ("text_covariate", "x", "covariate 'x' holds text (write C(x) for a category)"),
        ("null_outcome", "y", "outcome 'y' is NULL in 3 of 80 rows"),
        ("all_null", "x", "covariate 'x' is NULL in every row"),
        ("all_null_dropped", "x", "covariate 'x' is NULL in every row"),
        ("text_in_others", "z", "secondary outcome 'z' holds text"),
        ("null_in_others", "g", "guardrail 'g' is NULL in every row"),
        ("others_not_there", "g", "guardrail column 'g' is not in the units; columns there: unit_id, t, x, y, z"),
        ("constant_treatment", "t values", "treatment 't' is constant at 1"),
        ("third_arm", "t values", "treatment 't' has 3 values (wanted: 0 and 1, or a dose of more than ten values)"),
        ("one_and_two", "t values", "treatment 't' has 2 values (wanted: 0 and 1, or a dose of more than ten values)"),
        ("repeated_period", "unique county, year", "1 rows repeat a value of county, year"),
        ("no_cohort_at_all", "cohort", "cohort 'cohort' is NULL in every row"),
        (
            "measured_after",
            "x measured",
            "the covariate 'x' is declared as measured after treatment: drop it, or declare it as `mediator`",
        ),
        (
            "all_after",
            "x measured",
            "the covariate 'x' is declared as measured after treatment: drop it, or declare it as `mediator`",
        ),
        (
            "modifier_after",
            "z measured",
            "the effect modifier 'z' is declared as measured after treatment: drop it, or declare it as `mediator`",
        ),
        (
            "option_after",
            "z measured",
            "the propensity covariate 'z' is declared as measured after treatment: drop it, or declare it as "
            "`mediator`",
        ),
        (
            "measured_misdeclared",
            "role measured",
            "'measured' must be before, after or a mapping of columns, not [\"x\"]: write {column: before}, "
            "with before, after, a number or a date each",
        ),
    ],
)
def test_broken_contract_is_one_error_that_blocks_everything(
    judged: Judged, study: str, subject: str, reason: str
) -> None:
    assert judged.failed(study, "error") == [("contract", subject)]
    row = judged.one(study, "contract", subject=subject)
    assert (row["reason"], row["blocks"], row["severity"]) == (reason, True, "error")
    for estimator, estimand in (("difference_in_means", "ATE"), ("ipw", "ATT"), ("did", "ATT")):
        assert "contract" in judged.blocked(study, estimator, estimand)


@pytest.mark.parametrize(
    "study",
    [
        "measured_before",
        "zero_weights",
        "weights_of_truths",
        "text_category",
        "null_dropped",
        "dose",
        "panel",
        "gaps_in_others",
        "others_misdeclared",
    ],
)
def test_contract_allows_what_is_declared(judged: Judged, study: str) -> None:
    # a secondary outcome with gaps is refused by itself, and what is declared in a wrong shape the effects tell
    # a category may be text, `missing: drop` may have gaps, a dose has many values, never-treated units have no cohort
    assert judged.failed(study, "error") == []
    assert judged.of(study, "contract")


def test_a_treatment_that_contradicts_its_cohort_blocks_what_reads_both(judged: Judged) -> None:
    paths = {
        study: [row for row in judged.rows[study] if row["gate"] == "contract" and row["subject"] == "t and cohort"]
        for study in ("path_agrees", "path_contradicts", "path_of_another")
    }
    readers = {"did", "synthetic_control", "synthetic_did", "twfe", "tvce_panel"}
    assert {row["estimator"] for row in paths["path_agrees"]} == readers
    assert all(row["is_passing"] for row in paths["path_agrees"])
    assert paths["path_of_another"] == []
    assert {row["estimator"] for row in paths["path_contradicts"]} == readers
    for row in paths["path_contradicts"]:
        assert (row["is_passing"], row["blocks"], row["value"]) == (False, True, 2)
        assert "the treatment 't' contradicts the cohort 'cohort'" in row["reason"]
        assert "in 2 rows" in row["reason"]


def test_gates_judge_the_rows_that_are_estimated(judged: Judged) -> None:
    assert judged.failed("last_wave", "error") == []
    assert judged.one("last_wave", "raw_balance")["is_passing"]
    assert judged.one("last_wave", "contract", subject="y")["value"] == 0
    assert not judged.one("first_wave", "raw_balance")["is_passing"]
    assert judged.failed("first_wave", "error") == []
    assert judged.failed("null_in_the_study", "error") == [("contract", "y")]
    assert all(row["value"] == pytest.approx(1.0) for row in judged.of("last_wave", "collinearity"))


def test_raw_balance_is_information(judged: Judged) -> None:
    row = judged.one("unbalanced", "raw_balance")
    assert (row["is_passing"], row["blocks"], row["severity"]) == (False, False, "info")
    assert judged.one("all_good", "raw_balance")["is_passing"]
    assert judged.blocked("unbalanced", "regression_adjustment", "ATE") == set()


def test_balance_blocks_the_estimator_whose_weights_do_not_balance(judged: Judged) -> None:
    assert judged.blocked("unbalanced", "ipw", "ATT") == {"balance"}
    assert judged.blocked("unbalanced_undone", "ipw", "ATT") == set()
    assert judged.blocked("unbalanced_undone", "ipw", "ATE") == {"balance"}
    assert judged.blocked("unbalanced_undone", "psm", "ATT") == {"balance"}
    assert judged.one("unbalanced_undone", "balance", estimator="ipw", estimand="ATT")["value"] == pytest.approx(0)


@pytest.mark.parametrize(
    ("study", "value", "passes"), [("almost_unbalanced", 0.09, True), ("just_unbalanced", 0.11, False)]
)
def test_balance_flips_at_its_threshold(judged: Judged, study: str, value: float, passes: bool) -> None:
    row = judged.one(study, "balance", estimator="stratification", estimand="ATE")
    assert row["value"] == pytest.approx(value)
    assert (row["is_passing"], row["threshold"]) == (passes, 0.1)
    assert row["reason"] == f"weighted difference of x is {value:.3f} standard deviations"


def test_overlap_is_judged_for_each_estimand(judged: Judged) -> None:
    far = judged.one("far_untreated", "overlap", estimand="ATE", estimator=None)
    assert (far["value"], far["is_passing"]) == (pytest.approx(0.75), False)
    assert far["reason"] == "75.0 % of the units have a propensity between 0.1 and 0.9"
    assert judged.one("far_untreated", "overlap", estimand="ATT")["is_passing"]
    assert judged.blocked("far_untreated", "ope", "ATE") == {"overlap"}
    assert judged.blocked("far_untreated", "ope", "ATT") == set()
    sure = judged.one("sure_treated", "overlap", estimand="ATT")
    assert (sure["value"], sure["is_passing"]) == (pytest.approx(26 / 40), False)
    assert judged.one("sure_treated", "overlap", estimand="ATE", estimator=None)["is_passing"]
    assert judged.blocked("sure_treated", "ope", "ATT") == {"overlap"}
    assert judged.blocked("sure_treated", "ope", "ATE") == set()


def test_effective_sample_size_blocks_the_estimator_with_a_heavy_unit(judged: Judged) -> None:
    row = judged.one("one_heavy_unit", "effective_sample_size", estimator="ipw", estimand="ATE")
    assert row["value"] == pytest.approx((1000 + 39) ** 2 / (1000**2 + 39))
    assert not row["is_passing"]
    assert row["reason"] == "the weights leave 1.1 effective units in the smaller arm"
    assert "effective_sample_size" in judged.blocked("one_heavy_unit", "ipw", "ATE")
    assert judged.blocked("one_heavy_unit", "ipw", "ATT") == set()


def test_collinearity_of_the_treatment_blocks(judged: Judged) -> None:
    for study in ("stand_in", "complete_stand_in"):
        row = judged.one(study, "collinearity", estimator=None)
        assert (row["is_passing"], row["blocks"], row["severity"]) == (False, True, "warn")
        assert "collinearity" in judged.blocked(study, "regression_adjustment", "ATE")
    assert judged.one("stand_in", "collinearity", estimator=None)["value"] > 10
    complete = judged.one("complete_stand_in", "collinearity", estimator=None)
    assert complete["value"] is None
    assert complete["reason"] == "the other columns explain t completely"


def test_collinearity_among_covariates_is_information(judged: Judged) -> None:
    for study in ("twins", "complete_twins"):
        found = judged.of(study, "covariate_collinearity")
        assert [row["subject"] for row in found if not row["is_passing"]], study
        assert not any(row["blocks"] for row in found)
        assert judged.one(study, "collinearity", estimator=None)["is_passing"]
        assert judged.blocked(study, "regression_adjustment", "ATE") == set()


@pytest.mark.parametrize(("kind", "gate", "name", "good", "bad", "blocks", "whose"), DESIGNS)
def test_design_gate_flips(
    judged: Judged, kind: str, gate: str, name: str, good: float, bad: float, blocks: bool, whose: str | None
) -> None:
    estimator = whose or "regression_adjustment"
    estimand = {"iv": "LATE", "rd": "LATE", "did": "ATT", "synthetic_control": "ATT"}.get(estimator, "ATE")
    passing, failing = judged.one(f"{gate}_good", gate), judged.one(f"{gate}_bad", gate)
    assert (passing["value"], passing["is_passing"]) == (good, True)
    assert (failing["value"], failing["is_passing"]) == (bad, False)
    assert failing["severity"] == "warn"
    assert gate not in judged.blocked(f"{gate}_good", estimator, estimand)
    assert (gate in judged.blocked(f"{gate}_bad", estimator, estimand)) is blocks
    for case in ("null", "absent"):
        closed = judged.one(f"{gate}_{case}", gate)
        assert (closed["value"], closed["is_passing"]) == (None, False)
        assert (gate in judged.blocked(f"{gate}_{case}", estimator, estimand)) is blocks
    assert judged.one(f"{gate}_absent", gate)["reason"] == (
        f"the design table has no {name}: the study could not be read"
    )


def test_sample_ratio_needs_a_declared_allocation(judged: Judged) -> None:
    even, uneven, undeclared = (
        judged.one(f"ratio_{case}", "sample_ratio") for case in ("even", "uneven", "undeclared")
    )
    assert (even["value"], even["is_passing"]) == (pytest.approx(1), True)
    assert uneven["value"] < 0.001
    assert not uneven["is_passing"]
    assert "sample_ratio" in judged.blocked("ratio_uneven", "difference_in_means", "ATE")
    assert (undeclared["value"], undeclared["is_passing"]) == (None, True)
    assert undeclared["reason"].startswith("not applicable")


def test_a_covariate_that_treatment_moved_is_named_and_blocks_nothing(judged: Judged) -> None:
    row = judged.one("moved_by_treatment", "covariate_assignment", subject="x")
    assert (row["is_passing"], row["blocks"], row["severity"]) == (False, False, "warn")
    assert row["reason"].startswith("'x' differs by arm more than chance")
    assert row["reason"].endswith("was it measured after treatment?")
    assert judged.one("moved_by_treatment", "covariate_assignment", subject="z")["is_passing"]
    assert "covariate_assignment" not in judged.blocked("moved_by_treatment", "regression_adjustment", "ATE")


def test_weights_that_are_all_zero_are_told(judged: Judged) -> None:
    row = judged.one("all_zero_weights", "contract", subject="rows")
    assert not row["is_passing"]
    assert row["reason"] == "the units have no rows, or the weight 'w' is zero in every row"


@pytest.mark.parametrize(
    ("study", "missing"),
    [
        ("no_design_table", ["design"]), ("no_scores_table", ["scores"]), ("neither_table", ["design", "scores"]),
        ("instruments_without_design", ["design"]),
    ],
)  # fmt: skip
def test_a_gates_file_that_lacks_a_table_is_refused_by_name(judged: Judged, study: str, missing: list[str]) -> None:
    assert sorted(judged.failed(study, "error")) == [("contract", table) for table in missing]
    for table in missing:
        row = judged.one(study, "contract", subject=table)
        assert row["blocks"]
        assert row["reason"] == (
            f"{study}_gates.sql gives study_gates() no {table}, which the study's roles ask for: add the model "
            f"{study}_{table} (python_models/{study}_{table}.py, and its entry in the YAML) and "
            f"{table}=ref('{study}_{table}')"
        )


def test_a_design_table_without_rows_fails_closed_and_says_what_to_do(judged: Judged) -> None:
    for study, there in (("unweighted", True), ("empty_design", False)):
        found = judged.of(study, "balance")
        assert len(found) == len(WEIGHTS)
        for row in found:
            assert (row["subject"], row["value"], row["is_passing"], row["blocks"]) == ("covariates", None, False, True)
            assert "scores=dbt.ref('" + study + "_scores') in python_models/" + study + "_design.py" in row["reason"]
        assert judged.one(study, "raw_balance")["is_passing"] is there
        assert judged.one(study, "collinearity", estimator=None)["is_passing"] is there
    assert judged.blocked("empty_design", "regression_adjustment", "ATE") == {"collinearity"}
    assert judged.blocked("unweighted", "regression_adjustment", "ATE") == set()
    assert judged.blocked("unweighted", "psm", "ATT") == {"balance"}


def test_without_covariates_there_is_nothing_to_balance(judged: Judged) -> None:
    assert judged.failed("no_covariates", "error") == []
    assert not judged.of("no_covariates", "balance") + judged.of("no_covariates", "collinearity")
    assert judged.one("no_covariates", "omnibus_balance")["reason"].startswith("not applicable")


def test_empty_scores_fail_closed(judged: Judged) -> None:
    for gate in ("balance", "raw_balance", "overlap", "effective_sample_size"):
        found = judged.of("empty_scores", gate)
        assert found, gate
        assert all((row["value"], row["is_passing"]) == (None, False) for row in found), gate
    assert judged.blocked("empty_scores", "ope", "ATE") == {"overlap"}
    assert judged.blocked("empty_scores", "ipw", "ATO") == {"balance", "effective_sample_size"}


def test_missing_weights_fail_closed_for_their_estimator_only(judged: Judged) -> None:
    row = judged.one("no_weights", "balance", estimator="psm", estimand="ATT")
    assert (row["value"], row["is_passing"]) == (None, False)
    assert "could not be computed" in row["reason"]
    assert judged.blocked("no_weights", "psm", "ATT") == {"balance", "effective_sample_size"}
    assert judged.blocked("no_weights", "psm", "ATE") == set()


def test_policy_exempts_the_naive_contrast(judged: Judged) -> None:
    row = judged.one("far_untreated", "overlap", estimand="ATE", estimator="difference_in_means")
    assert (row["is_passing"], row["blocks"], row["severity"]) == (False, False, "info")
    assert judged.blocked("far_untreated", "difference_in_means", "ATE") == set()
    assert judged.blocked("far_untreated", "ipw", "ATE") == {"overlap"}


def test_edited_policy_unblocks(judged_by_edited_policy: Judged) -> None:
    row = judged_by_edited_policy.one("far_untreated", "overlap", estimand="ATE", estimator=None)
    assert (row["is_passing"], row["blocks"], row["severity"]) == (False, False, "info")
    assert judged_by_edited_policy.blocked("far_untreated", "ipw", "ATE") == set()


def test_gate_without_a_policy_line_blocks(judged_by_edited_policy: Judged) -> None:
    row = judged_by_edited_policy.one("unbalanced", "balance", estimator="ipw", estimand="ATE")
    assert (row["is_passing"], row["blocks"], row["severity"]) == (False, True, "warn")
    assert judged_by_edited_policy.blocked("unbalanced", "ipw", "ATE") == {"balance"}
    assert judged_by_edited_policy.blocked("all_good", "ipw", "ATE") == set()


def test_exception_of_a_study_shows_its_reason(judged: Judged) -> None:
    row = judged.one("excepted", "overlap", estimand="ATE", estimator=None)
    assert (row["is_passing"], row["blocks"]) == (False, False)
    assert row["reason"].endswith("(exception: pilot among regular customers)")
    assert judged.blocked("excepted", "ipw", "ATE") == set()
    # the other study with the same scores is not excepted
    assert judged.blocked("far_untreated", "ipw", "ATE") == {"overlap"}


def test_exception_can_name_one_estimator(judged: Judged) -> None:
    # overlap is judged once for all estimators; the exception makes a row of its own
    row = judged.one("excepted_once", "overlap", estimand="ATE", estimator="tvce")
    assert (row["is_passing"], row["blocks"], row["severity"]) == (False, False, "warn")
    assert row["reason"].endswith("(exception: read as a weighted average)")
    assert judged.blocked("excepted_once", "tvce", "ATE") == set()
    assert judged.blocked("excepted_once", "ipw", "ATE") == {"overlap"}


def test_no_gate_is_undecided(judged: Judged) -> None:
    for study, found in judged.rows.items():
        keys = [(row["gate"], row["subject"], row["estimand"], row["estimator"]) for row in found]
        assert len(keys) == len(set(keys)), study
        assert all(row[key] is not None for row in found for key in ("is_passing", "blocks", "severity", "reason"))
        assert {row["severity"] for row in found} <= {"error", "warn", "info"}
