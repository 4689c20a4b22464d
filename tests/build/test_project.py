"""The user's command on the whole project: it fills the warehouse, and the demo studies give the published numbers."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any

import duckdb
import pytest
from projects import build, copied, dbt, row, rows
from support import assert_published, published

# The first test waits for the whole project's build.
pytestmark = pytest.mark.timeout(1800)
STUDIES = [
    "card", "darfur", "ecommerce", "education", "excess_deaths", "finance", "framing", "healthcare", "hiv_incentives",
    "insurance", "mpdta", "nhefs", "nhefs_dose", "nsw", "nsw_aa", "nsw_cps", "nsw_transport", "open_bandit", "pension",
    "prop99", "senate", "union_wage",
]  # fmt: skip
# The cheapest of them that together run every estimator: what is built a second time, and reported.
AGAIN = ["card", "healthcare", "open_bandit", "union_wage"]
# What a second build of the same data and code must repeat to the bit.
NUMBERS = """
    select * exclude (seconds, estimated_at) from marts.estimates where list_contains(?, study)
    order by study, outcome, estimator, specification, estimand, term
"""
LOG = "select position, build_id, row_hash from marts.build_log order by position"


class Built:
    """A build of a copy of the project and when it began."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.warehouse = root / "warehouse.duckdb"
        self.started = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        self.command = build(root, "--no-report")
        self.output = self.command.stdout + self.command.stderr

    def estimate(self, study: str, estimator: str, estimand: str, specification: str = "default",
                 term: str = "overall") -> dict[str, Any]:  # fmt: skip
        """One row of marts.estimates, of the study's own outcome."""
        return row(
            self.warehouse,
            "select * from marts.estimates where outcome_role = 'primary'"
            " and (study, estimator, estimand, specification, term) = (?, ?, ?, ?, ?)",
            study, estimator, estimand, specification, term,
        )  # fmt: skip

    def gate(self, study: str, gate: str, subject: str, estimand: str | None = None, estimator: str | None = None,
             ) -> dict[str, Any]:  # fmt: skip
        """One row of marts.gates."""
        return row(
            self.warehouse,
            """select * from marts.gates where study = ? and gate = ? and subject = ?
            and estimand is not distinct from ? and estimator is not distinct from ?""",
            study, gate, subject, estimand, estimator,
        )  # fmt: skip

    def diagnostic(self, study: str, metric: str, subject: str = "overall", estimator: str | None = None) -> float:
        """One value of marts.diagnostics; of one estimator, where several tell that metric."""
        sql = "select value from marts.diagnostics where (study, metric, subject) = (?, ?, ?)"
        if estimator is None:
            return row(self.warehouse, sql, study, metric, subject)["value"]
        return row(self.warehouse, f"{sql} and estimator = ?", study, metric, subject, estimator)["value"]

    def decision(self, study: str) -> str:
        """The decision on a study."""
        return row(self.warehouse, "select decision from marts.decision_cards where study = ?", study)["decision"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return Built(copied(tmp_path_factory.mktemp("project")))


def test_command_succeeds(built: Built) -> None:
    assert built.command.returncode == 0, built.output[-4000:]
    assert re.search(r"^nsw_cps +cannot answer", built.output, re.MULTILINE)


@pytest.mark.parametrize(
    "table", ["studies", "estimates", "diagnostics", "curves", "gates", "sensitivity", "decision_cards", "build_log"]
)
def test_marts_have_rows(built: Built, table: str) -> None:
    assert row(built.warehouse, f"select count(*) as n from marts.{table}")["n"] > 0


def test_every_study_has_a_card_and_rows_of_this_build(built: Built) -> None:
    cards = rows(built.warehouse, "select study from marts.decision_cards order by study")
    assert [card["study"] for card in cards] == STUDIES
    oldest = row(built.warehouse, "select min(estimated_at) as oldest, count(distinct study) as n from marts.estimates")
    assert oldest["oldest"] >= built.started
    assert oldest["n"] == len(STUDIES)
    assert not rows(built.warehouse, "select * from marts.estimates where status = 'failed'")


def test_new_studies_equal_the_published_numbers(built: Built) -> None:
    framing = published("mediation_framing", "mediation (probit outcome)", "ACME average")
    assert_published(built.estimate("framing", "mediation", "ACME")["estimate"], framing)
    darfur = published("darfur", "OLS", "coef")
    within = built.estimate("darfur", "regression_adjustment", "ATE", "within_villages")
    assert_published(within["estimate"], darfur)
    assert_published(within["std_error"], darfur, "se")
    # Abadie 2003, table 2
    pension = built.estimate("pension", "iv", "LATE")
    assert (pension["estimate"], pension["std_error"]) == pytest.approx((9418.83, 2152.89), abs=5e-3)
    # Wooldridge, table 14.2
    union = built.estimate("union_wage", "twfe", "ATT")
    assert (union["estimate"], union["std_error"]) == pytest.approx((0.080, 0.019), abs=5e-4)


def test_published_result_without_its_row_fails(built: Built) -> None:
    test = ("test", "--select", "estimates_equal_published_results")
    change = "update seeds.published_results set term = ? where study = 'card' and estimator = 'ols' and term = ?"
    with duckdb.connect(str(built.warehouse)) as connection:
        connection.execute(change, ["elsewhere", "overall"])
    broken = dbt(built.root, *test)
    with duckdb.connect(str(built.warehouse)) as connection:
        connection.execute(change, ["overall", "elsewhere"])
    assert broken.returncode == 1
    assert "Got 2 results, configured to fail if != 0" in broken.stdout


def test_nsw_equals_the_published_numbers(built: Built) -> None:
    lalonde = published("nsw_dw", "experimental benchmark", "ATE USD")
    classical = built.estimate("nsw", "difference_in_means", "ATE", "classical_variance")
    assert_published(classical["estimate"], lalonde)
    assert_published(classical["std_error"], lalonde, "se")
    # the issue gives HC1 670.82 and HC2 671.00, Neyman's variance
    assert built.estimate("nsw", "difference_in_means", "ATE", "hc1_variance")["std_error"] == pytest.approx(
        670.82, abs=5e-3
    )
    assert built.estimate("nsw", "difference_in_means", "ATE")["std_error"] == pytest.approx(671.00, abs=5e-3)
    interacted = built.estimate("nsw", "regression_adjustment", "ATE")
    lin = published("nsw_dw", "regression adjustment, fully interacted", "ATE USD")
    assert_published(interacted["estimate"], lin)
    assert_published(interacted["std_error"], lin, "se")
    additive = built.estimate("nsw", "regression_adjustment", "ATE", "additive")
    assert_published(additive["estimate"], published("nsw_dw", "regression adjustment, additive", "ATE USD"))
    dehejia_wahba = built.estimate("nsw", "regression_adjustment", "ATE", "dehejia_wahba")
    reference = published("nsw_dw", "regression adjustment, Dehejia-Wahba list", "ATE USD")
    assert_published(dehejia_wahba["estimate"], reference)
    assert_published(dehejia_wahba["std_error"], reference, "se")


def test_nhefs_equals_the_published_numbers(built: Built) -> None:
    ipw = built.estimate("nhefs", "ipw", "ATE")
    stacked = published("nhefs", "IPW, propensity estimated", "ATE kg")
    assert_published(ipw["estimate"], stacked)
    assert (ipw["conf_low"], ipw["conf_high"]) == pytest.approx(stacked["ci"], abs=5e-5)
    fixed = built.estimate("nhefs", "ipw", "ATE", "fixed_weights")
    book = published("nhefs", "IPW", "ATE kg", "weights 1/P")
    assert fixed["estimate"] == pytest.approx(book["reproduced_value"], abs=5e-6)
    assert fixed["std_error"] == pytest.approx(book["reproduced_se"], abs=5e-6)
    # the interval, which the book rounds to 2.4 and 4.5
    assert (fixed["conf_low"], fixed["conf_high"]) == pytest.approx((2.411, 4.470), abs=5e-4)
    g_formula = published("nhefs", "standardization (g-formula)", "ATE kg")
    standardised = built.estimate("nhefs", "regression_adjustment", "ATE")
    assert standardised["estimate"] == pytest.approx(g_formula["reproduced_value"], abs=5e-6)
    additive = published("nhefs", "regression adjustment", "kg")
    plain = built.estimate("nhefs", "regression_adjustment", "ATE", "additive")
    assert plain["estimate"] == pytest.approx(additive["reproduced_value"], abs=5e-6)
    aipw = built.estimate("nhefs", "ope", "ATE", "no_cross_fitting")
    assert_published(aipw["estimate"], published("nhefs", "AIPW", "ATE kg"))


def test_card_equals_the_published_numbers(built: Built) -> None:
    for estimator, estimand, name, spec in [("iv", "LATE", "IV/2SLS", "[educ~nearc4]"), ("ols", "ATE", "OLS", "")]:
        found = built.estimate("card", estimator, estimand)
        reference = published("card_schooling", name, "return", spec)
        assert_published(found["estimate"], reference)
        assert_published(found["std_error"], reference, "se")
    overidentified = built.estimate("card", "iv", "LATE", "overidentified")
    assert_published(overidentified["estimate"], published("card_schooling", "IV/2SLS overidentified", "return"))
    assert built.gate("card", "first_stage", "educ", estimator="iv")["value"] == pytest.approx(13.26, abs=5e-3)


def test_senate_equals_the_published_numbers(built: Built) -> None:
    found, reference = built.estimate("senate", "rd", "LATE"), published("rd_senate", "RD robust", "vote share pp")
    assert_published(found["estimate"], reference)
    assert (found["conf_low"], found["conf_high"]) == pytest.approx(reference["ci"], abs=5e-4)


def test_mpdta_equals_the_published_numbers(built: Built) -> None:
    terms = {"simple ATT": "overall", "group ATT": "group", "dynamic ATT": "dynamic"}
    terms |= {f"ATT(2004,{year})": f"cohort=2004:time={year}" for year in (2004, 2005, 2006, 2007)}
    for quantity, term in terms.items():
        found = built.estimate("mpdta", "did", "ATT", term=term)
        reference = published("mpdta", "DiD Callaway-Sant'Anna", quantity, "no covariates")
        assert_published(found["estimate"], reference)
        assert_published(found["std_error"], reference, "se")
    with_population = built.estimate("mpdta", "did", "ATT", "with_population")
    assert_published(
        with_population["estimate"], published("mpdta", "DiD Callaway-Sant'Anna", "simple ATT", "xformla ~ lpop")
    )
    pre_trends = built.gate("mpdta", "pre_trends", "overall", estimator="did")
    assert pre_trends["value"] == pytest.approx(0.168, abs=5e-4)
    assert pre_trends["is_passing"]


def test_prop99_equals_the_published_numbers(built: Built) -> None:
    found = built.estimate("prop99", "synthetic_control", "ATT")
    reference = published("prop99_smoking", "synthetic control (outcomes only", "mean gap 1989-2000")
    assert_published(found["estimate"], reference)
    assert found["estimate"] == pytest.approx(reference["reproduced_value"], abs=5e-6)
    assert built.diagnostic("prop99", "pre_rmspe", estimator="synthetic_control") == pytest.approx(1.66, abs=5e-3)
    assert built.diagnostic("prop99", "placebo_rank") == 3
    assert built.diagnostic("prop99", "placebo_count") == 38
    assert 0 <= built.diagnostic("prop99", "kkt_gap") < 1e-8
    assert found["p_value"] == pytest.approx(3 / 39)


def test_nsw_cps_is_caught_by_its_gates(built: Built) -> None:
    assert built.estimate("nsw_cps", "difference_in_means", "ATE")["estimate"] == pytest.approx(-8497.5, abs=0.05)
    refused = built.estimate("nsw_cps", "ipw", "ATE")
    assert (refused["status"], refused["estimate"]) == ("refused", None)
    assert "overlap gate: 3.1 % of the units" in refused["status_reason"]
    assert built.decision("nsw_cps") == "cannot_answer"
    stands = built.estimate("nsw_cps", "ipw", "ATT")
    assert stands["status"] == "estimated"
    assert stands["estimate"] == pytest.approx(1180, abs=5)
    worst = row(
        built.warehouse,
        """select max(abs(value)) as smd, bool_and(is_passing) as passes from marts.gates
        where study = 'nsw_cps' and gate = 'balance' and estimator = 'ipw' and estimand = 'ATT'""",
    )
    assert worst["smd"] == pytest.approx(0.056, abs=5e-4)
    assert worst["passes"]
    age = built.gate("nsw_cps", "balance", "age", "ATT", "psm")
    assert age["value"] == pytest.approx(0.31, abs=5e-3)
    assert (age["is_passing"], age["blocks"]) == (False, True)
    matched = built.estimate("nsw_cps", "psm", "ATT")
    assert matched["status"] == "refused"
    assert "age is 0.306" in matched["status_reason"]


def test_a_a_study_does_not_ship(built: Built) -> None:
    card = row(built.warehouse, "select * from marts.decision_cards where study = 'nsw_aa'")
    assert card["status"] == "estimated"
    assert card["decision"] != "ship"
    assert card["conf_low"] < 0 < card["conf_high"]


def test_changed_log_row_breaks_the_chain(built: Built) -> None:
    # the build itself ran this test on the whole log, and it passed
    assert "PASS build_log_chain_holds" in built.output
    message = row(built.warehouse, "select message from marts.build_log where position = 5")["message"]
    change = "update marts.build_log set message = ? where position = 5"
    with duckdb.connect(str(built.warehouse)) as connection:
        connection.execute(change, ["all is well"])
    broken = dbt(built.root, "test", "--select", "build_log_chain_holds")
    with duckdb.connect(str(built.warehouse)) as connection:
        connection.execute(change, [message])
    assert broken.returncode == 1
    assert "Got 1 result, configured to fail if != 0" in broken.stdout


@pytest.mark.slow
def test_second_build_of_all_studies_repeats_every_number_and_reports_them(built: Built) -> None:
    """Quick siblings: the two tests below that build `AGAIN` a second time, in which every estimator runs."""
    before = rows(built.warehouse, NUMBERS, STUDIES)
    again = build(built.root)
    assert again.returncode == 0, again.stdout[-4000:] + again.stderr
    assert rows(built.warehouse, NUMBERS, STUDIES) == before
    for page in (*STUDIES, "index"):
        assert (built.root / "reports" / "site" / f"{page}.html").stat().st_size > 0


class Again:
    """What a build left of the studies of `AGAIN`, and a second one of these alone in the same folder."""

    def __init__(self, built: Built) -> None:
        self.numbers = rows(built.warehouse, NUMBERS, AGAIN)
        self.log = rows(built.warehouse, LOG)
        self.estimators = estimated(built)
        self.command = build(built.root, "--vars", f"{{studies: {AGAIN}}}")


def estimated(built: Built) -> set[str]:
    """The estimators that estimate something in any study of the marts."""
    found = rows(built.warehouse, "select distinct estimator from marts.estimates where status = 'estimated'")
    return {one["estimator"] for one in found}


@pytest.fixture(scope="module")
def again(built: Built) -> Again:
    # asked for by the last tests of this file only: afterwards the marts hold these studies alone
    return Again(built)


def test_second_build_repeats_every_number_and_appends_to_the_log(built: Built, again: Again) -> None:
    assert again.command.returncode == 0, again.command.stdout[-4000:] + again.command.stderr
    assert rows(built.warehouse, NUMBERS, AGAIN) == again.numbers
    assert estimated(built) == again.estimators, "what estimates in some study must be among those built again"
    grown, log = rows(built.warehouse, LOG), again.log
    assert grown[: len(log)] == log
    assert len(grown) > len(log)
    assert grown[-1]["build_id"] not in {entry["build_id"] for entry in log}


def test_build_writes_the_report(built: Built, again: Again) -> None:
    # its exit code tells of any figure, download or page that failed
    assert again.command.returncode == 0
    for page in (*AGAIN, "index"):
        assert (built.root / "reports" / "site" / f"{page}.html").stat().st_size > 0


def test_only_the_listed_studies_are_built(built: Built, again: Again) -> None:
    # the same folder, another list: its marts hold nothing else
    for table in ("studies", "estimates", "gates", "decision_cards", "diagnostics", "curves"):
        found = rows(built.warehouse, f"select distinct study from marts.{table} order by study")
        assert [one["study"] for one in found] == AGAIN, table
    assert "mpdta" not in again.command.stdout


def test_empty_list_of_studies_fails_with_one_message(built: Built) -> None:
    none = build(built.root, "--vars", "{studies: []}")
    assert none.returncode == 1
    told = none.stdout + none.stderr
    assert told.count("the list `vars: studies` is empty: nothing would be built. Name at least one study") == 1
    assert "Traceback" not in told


def test_unknown_study_fails_with_one_message(built: Built) -> None:
    ghost = build(built.root, "--vars", "{studies: [card, ghost]}")
    assert ghost.returncode == 1
    told = ghost.stdout + ghost.stderr
    assert told.count("ghost_effects") == 1
    assert told.count("names a study that has no models: add them, or take it off the list") == 1
    assert "Traceback" not in told
