"""The scores table: its columns, what they average to, and how units keep their names."""

import json
from decimal import Decimal

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from support import observational, overall, problem, run, shuffled, simulated

from estimators import estimate, score
from estimators.registry import BY_NAME
from estimators.scores import SCORES_SCHEMA

DATA = simulated(300)
BLOCK = observational("y", "t", ["x1", "x2"])


def scores(units=DATA, block=BLOCK):
    return {name: np.array(values) for name, values in score("s", block, units).to_pydict().items()}


def test_one_row_a_unit_in_the_order_of_the_unit():
    table = score("s", BLOCK, shuffled(pa.table(DATA)))
    assert table.num_rows == 300
    assert table["unit_id"].to_pylist() == list(range(300))
    assert table.schema.names == SCORES_SCHEMA.names
    assert table["treatment"].to_pylist() == DATA["t"].tolist()
    assert table.equals(score("s", BLOCK, DATA))
    assert set(table["study"].to_pylist()) == {"s"}


def test_doubly_robust_scores_average_to_the_estimates():
    got = scores()
    for estimand, column in (("ATE", "dr_score"), ("ATT", "dr_score_att")):
        assert got[column].mean() == pytest.approx(overall(run(BLOCK, DATA, "ope", estimand)).estimate, rel=1e-12)


@pytest.mark.parametrize("estimator", ["ipw", "psm", "stratification"])
def test_weights_give_the_estimates_back(estimator):
    got, t = scores(), DATA["t"]
    for estimand in BY_NAME[estimator].estimands:
        w = got[f"weight_{estimator}_{estimand.lower()}"].astype(float)
        contrast = np.average(DATA["y"], weights=w * t) - np.average(DATA["y"], weights=w * (1 - t))
        assert contrast == pytest.approx(overall(run(BLOCK, DATA, estimator, estimand)).estimate, rel=1e-9)


def test_nuisances_and_support():
    got, p = scores(), problem(BLOCK, DATA, "ope")
    np.testing.assert_array_equal(got["propensity"], p.propensity().probability)
    np.testing.assert_array_equal(got["propensity_crossfit"], p.nuisances().propensity)
    np.testing.assert_array_equal(got["mu1"], p.nuisances().mu1)
    np.testing.assert_array_equal(got["fold"], p.folds())


def test_support_is_a_factor_of_nine_about_the_odds_of_the_treated_or_of_the_allocation():
    units = {**DATA, "t": (np.random.default_rng(0).random(300) < 1 / (1 + np.exp(-2.5 * DATA["x1"]))).astype(float)}
    got = scores(units)
    e = got["propensity"]
    assert (e < 0.1).any()
    assert (e > 0.9).any()
    assert ((e > 0.1) & (e < 0.2)).any()
    np.testing.assert_array_equal(got["in_support"], (e >= 0.1) & (e <= 0.9))  # chosen and not drawn
    for allocation in (None, 0.2, 0.95):
        p = allocation or units["t"].mean()
        low, high = min(0.1, 1 / (1 + 9 * (1 - p) / p)), max(0.9, 1 / (1 + (1 - p) / p / 9))
        block = {**BLOCK, "design": "experiment", **({"allocation": allocation} if allocation else {})}
        np.testing.assert_array_equal(scores(units, block)["in_support"], (e >= low) & (e <= high))


@pytest.mark.parametrize(("ids", "kind", "kept"), [
    (np.arange(300), pa.int64(), list(range(300))),
    (np.arange(300.0), pa.int64(), list(range(300))),
    ([f"u{i:03d}" for i in range(300)], pa.string(), [f"u{i:03d}" for i in range(300)]),
    ([f"{i:03d}" for i in range(300)], pa.string(), [f"{i:03d}" for i in range(300)]),
    (np.arange(300) + 1000.5, pa.string(), [f"{i}.5" for i in range(1000, 1300)]),
    (np.arange(300, dtype=np.uint64) + np.uint64(2**63), pa.uint64(), [2**63 + i for i in range(300)]),
    ([Decimal(2**70 + i) for i in range(300)], pa.decimal128(38), [2**70 + i for i in range(300)]),
])  # fmt: skip
def test_units_keep_their_names(ids, kind, kept):
    table = score("s", BLOCK, {**DATA, "unit_id": ids})
    assert table.schema.field("unit_id").type == kind
    assert table["unit_id"].to_pylist() == kept


@pytest.mark.parametrize("change", [
    {"y": [None] * 300}, {"t": DATA["x1"]}, {"t": np.ones(300)}, {"x1": DATA["t"]}, {"y": ["a"] * 300},
    {"y": DATA["y"] * 1e300}, {"unit_id": np.zeros(300, dtype=int)}, {"x1": np.where(DATA["x1"] > 9, 1.0, DATA["t"])},
])  # fmt: skip
def test_what_cannot_be_scored_is_one_row_that_says_why(change):
    row = lone(score("s", BLOCK, {**DATA, **change}))
    assert row["status"] == "refused"
    assert row["remedy"]


def lone(table):
    """The one row of a table without scores: no unit, no number, and a reason."""
    assert table.schema == SCORES_SCHEMA
    (row,) = table.to_pylist()
    told = {"study", "status", "status_reason", "remedy"}
    assert {name for name, value in row.items() if value is not None} == told
    return row


def test_a_broken_declaration_is_one_row_that_says_why():
    assert lone(score("s", None, DATA))["status_reason"] == "no study block"
    assert "treatmant" in lone(score("s", {**BLOCK, "treatmant": "t"}, DATA))["status_reason"]


def test_averages_of_groups_leave_the_row_without_a_unit_out():
    connection = duckdb.connect()
    connection.register("scores", score("s", {**BLOCK, "covariates": ["log(x1)"]}, DATA))
    connection.register("units", pa.table({"unit_id": DATA["unit_id"], "region": DATA["t"]}))
    query = "select region, avg(dr_score) from units join scores using (unit_id) group by region"
    assert connection.sql(query).fetchall() == []
    assert connection.sql("select avg(dr_score), count(unit_id) from scores").fetchall() == [(None, 0)]


def test_where_nothing_can_be_crossfitted_propensity_and_weights_stand():
    units = {**DATA, "f": np.zeros(300)}
    table = score("s", {**BLOCK, "fold": "f"}, units)
    assert table.num_rows == 300
    assert table["dr_score"].null_count == 300
    assert table["weight_ipw_ate"].null_count == 0
    reason, mend = json.loads(table["refusals"][0].as_py())["dr_score"]
    assert (reason, mend) == ("the fold 'f' is 0 in every row", "Mend the column, or declare `folds: 1`")


def test_a_crash_is_a_row_that_says_why_and_a_failed_row(monkeypatch):
    from estimators.selection_on_observables import ope

    monkeypatch.setattr(ope, "scores", lambda *_: 1 / 0)
    row = lone(score("s", BLOCK, DATA))
    assert row["status"] == "failed"
    assert row["status_reason"].startswith("the scores of study s could not be computed: the arithmetic left the range")
    block = {**BLOCK, "options": {"counterfactual": {"bootstrap": 20}}}
    rows = estimate("s", block, DATA).to_pylist()
    failed = {r["estimator"]: r["status_reason"] for r in rows if r["status"] == "failed"}
    assert set(failed) == {"ope"}
    assert failed["ope"].startswith("ope (ATT) of study s could not be computed: the arithmetic left the range of")
    assert "(ZeroDivisionError). Choose another unit" in failed["ope"]


def test_weights_of_an_estimator_that_refuses_are_null():
    few = simulated(60, seed=3)
    got = score("s", {**BLOCK, "options": {"stratification": {"strata": 25}}}, few)
    assert got.num_rows == 60
    assert got["weight_stratification_ate"].null_count == 60
    assert got["weight_ipw_ate"].null_count == 0


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_weights_of_entropy_balancing_give_its_estimate_back(estimand):
    """Sampling weights multiply the table's, as they do those of the propensity."""
    w = np.random.default_rng(2).uniform(0.5, 2.0, 300)
    block = {**observational("y", "t", ["x1", "x2"], weight="w"), "options": {"ipw": {"method": "entropy"}}}
    got = scores({**DATA, "w": w}, block)
    omega, t = got[f"weight_ipw_{estimand.lower()}"] * w, DATA["t"]
    means = [np.average(DATA["y"][t == arm], weights=omega[t == arm]) for arm in (1, 0)]
    ours = overall(run(block, {**DATA, "w": w}, "ipw", estimand)).estimate
    assert means[0] - means[1] == pytest.approx(ours, rel=1e-9)
    assert got["weight_ipw_ato"] == pytest.approx(np.where(t == 1, 1 - got["propensity"], got["propensity"]))
