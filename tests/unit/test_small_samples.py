"""Few units without clusters: the jackknife by arm by hand, and that it does not depend on where the rows are."""

import numpy as np
import pytest
from support import observational, overall, problem, run

from estimators import estimate
from estimators.clusters import By
from estimators.errors import Refusal
from estimators.laws import t_quantile
from estimators.small_samples import FEW_UNITS, of_rows

COLUMNS = ("estimate", "std_error", "p_value", "conf_low", "conf_high", "degrees_of_freedom")


def units(n=24, treated=8, weighted=False, seed=1):
    rng = np.random.default_rng(seed)
    x, t = rng.normal(size=n), (rng.permutation(n) < treated) * 1.0
    made = {"unit_id": np.arange(n), "x": x, "t": t, "y": x + rng.normal(size=n) * (1 + t)}
    return {**made, "w": rng.uniform(0.5, 2.0, size=n)} if weighted else made


def panel(n=24, seed=0):
    rng = np.random.default_rng(seed)
    cohort = np.concatenate([np.full(5, 3.0), np.full(4, 4.0), np.full(n - 9, np.nan)])
    return {
        "unit_id": np.repeat(np.arange(n), 5), "time": np.tile(np.arange(1.0, 6.0), n), "g": np.repeat(cohort, 5),
        "y": rng.normal(size=5 * n), "x": np.repeat(rng.normal(size=n), 5),
    }  # fmt: skip


def of_panel(*covariates, **options):
    return {
        "question": "q", "design": "panel", "outcome": "y", "time": "time", "cohort": "g",
        "covariates": list(covariates), "options": {"did": {"bootstrap": 50, "honest": False, **options}},
        "decision": {"primary": "did", "estimand": "ATT", "desired_direction": "more", "minimum_effect": 0},
    }  # fmt: skip


def rows(block, given, budget=10**9):
    found = estimate("s", {**block, "row_budget": budget}, given).to_pylist()
    return {(row["estimator"], row["estimand"], row["term"]): row for row in found}


def assert_same(one, other):
    for column in COLUMNS:
        value = one[column]
        assert other[column] == (value if value is None else pytest.approx(value, rel=1e-9, abs=1e-9)), column
    assert (other["n_clusters"], other["variance_estimator"]) == (one["n_clusters"], one["variance_estimator"])


def test_a_difference_of_means_is_welch_s():
    """A constant covariate leaves a constant propensity: Σ s_a² / n_a, each arm's variance unbiased."""
    given = units() | {"x": np.ones(24)}
    block = observational("y", "t", ["x"])
    arms = [given["y"][given["t"] == a] for a in (1, 0)]
    each = [1 / len(arm) for arm in arms]
    df = sum(each) ** 2 / sum(v**2 / (len(arm) - 1) for v, arm in zip(each, arms, strict=True))
    for estimand in ("ATE", "ATT", "ATO"):
        row = overall(run(block, given, "ipw", estimand))
        assert row.std_error == pytest.approx(np.sqrt(sum(arm.var(ddof=1) / len(arm) for arm in arms)), rel=1e-9)
        assert row.degrees_of_freedom == pytest.approx(df, rel=1e-9)
        assert row.conf_high - row.estimate == pytest.approx(t_quantile(0.975, df) * row.std_error, rel=1e-9)


def test_a_fitted_column_takes_a_degree_of_freedom_off():
    small = problem(observational("y", "t", ["x"]), units(), "ipw").for_run("ipw", "default").small_sample()
    assert small.fitted == (1, 1)
    assert small.df == pytest.approx((1 / 8 + 1 / 16) ** 2 / ((1 / 8) ** 2 / 6 + (1 / 16) ** 2 / 14))
    grown = np.sqrt((1 / 8 * 8 / 6 + 1 / 16 * 16 / 14) / (1 / 8 + 1 / 16))
    assert small.inflation() == pytest.approx(grown)


@pytest.mark.parametrize(("each", "small"), [(int(FEW_UNITS) - 1, True), (int(FEW_UNITS), False)])
def test_the_smaller_arm_decides(each, small):
    arm = np.repeat([0, 1], [each, 400])
    assert (of_rows(By(("treated", "untreated"), "t"), arm, np.ones(len(arm)), (0, 0)) is not None) == small
    heavy = np.where(np.arange(len(arm)) == 0, 5.0, 1.0)  # one unit that stands for five
    assert of_rows(By(("treated", "untreated"), "t"), arm, heavy, (0, 0)) is not None


@pytest.mark.parametrize("weighted", [False, True])
def test_streams_have_the_same_numbers(weighted):
    block = observational("y", "t", ["x"], folds=1, options={"stratification": {"strata": 2}})
    block |= {"weight": "w"} if weighted else {}
    given = units(weighted=weighted)
    memory, streamed = rows(block, given), rows(block, given, 5)
    asked = {("ipw", e) for e in ("ATE", "ATT", "ATO")} | {("ope", e) for e in ("ATE", "ATT", "policy_value")}
    asked |= {("tvce", "ATE")} | (set() if weighted else {("psm", "ATE"), ("psm", "ATT"), ("stratification", "ATE")})
    compared = [key for key in memory if key[:2] in asked]
    assert {key[:2] for key in compared} == asked
    for key in compared:
        assert memory[key]["status"] == "estimated"
        assert memory[key]["degrees_of_freedom"] is not None
        assert memory[key]["n_clusters"] is None
        assert_same(memory[key], streamed[key])


@pytest.mark.parametrize("covariates", [(), ("x",)])
def test_streamed_panels_have_the_same_numbers(covariates):
    memory, streamed = (rows(of_panel(*covariates), panel(), budget) for budget in (10**9, 5))
    terms = [key for key in memory if key[0] == "did"]
    assert {"overall", "event_time=0", "cohort=3"} <= {key[2] for key in terms}
    for key in terms:
        assert memory[key]["degrees_of_freedom"] is not None
        assert_same(memory[key], streamed[key])


def test_a_cohort_s_effect_is_welch_s():
    """ATT(3, 3) compares changes of five units with those of the never treated."""
    given = panel()
    row = rows(of_panel(), given)["did", "ATT", "cohort=3:time=3"]
    change = np.diff(given["y"].reshape(24, 5), axis=1)[:, 1]
    first, never = change[:5], change[9:]
    assert row["estimate"] == pytest.approx(first.mean() - never.mean(), rel=1e-9)
    assert row["std_error"] == pytest.approx(np.sqrt(first.var(ddof=1) / 5 + never.var(ddof=1) / 15), rel=1e-9)


def test_order_of_rows_and_names_do_not_matter():
    given, order = units(), np.random.default_rng(3).permutation(24)
    moved = {name: values[order] for name, values in given.items()}
    moved["unit_id"] = np.array([f"unit {i}" for i in order])
    block = observational("y", "t", ["x"])
    for estimator in ("ipw", "ipwra", "psm"):
        one, other = (overall(run(block, data, estimator, "ATE")) for data in (given, moved))
        assert other.std_error == pytest.approx(one.std_error, rel=1e-9)
        assert other.degrees_of_freedom == pytest.approx(one.degrees_of_freedom)


def test_the_older_variance_is_an_option():
    block = observational("y", "t", ["x"], options={"cluster_variance": "sandwich"})
    plain, small = (overall(run(b, units(), "ipw", "ATE")) for b in (block, observational("y", "t", ["x"])))
    assert plain.degrees_of_freedom is None
    assert plain.estimate == small.estimate
    assert plain.std_error < small.std_error


@pytest.mark.parametrize("budget", [10**9, 5])
def test_cross_fitted_models_of_few_units_are_not_identified(budget):
    row = rows(observational("y", "t", ["x"]), units(), budget)["ope", "ATE", "overall"]
    assert row["status"] == "not_identified"
    assert "about 6 of the 8 units that are treated are outside a fold" in row["status_reason"]
    mended = rows(observational("y", "t", ["x"], folds=1), units(), budget)["ope", "ATE", "overall"]
    assert mended["status"] == "estimated"


def test_an_arm_without_a_unit_to_spare_is_not_identified():
    given = units(n=12, treated=3)
    given |= {"a": np.random.default_rng(5).normal(size=12)}
    with pytest.raises(Refusal, match="3 units are treated, and the model fits 3 parameters") as told:
        run(observational("y", "t", ["x", "a"]), given, "ipw", "ATE")
    assert told.value.status == "not_identified"
