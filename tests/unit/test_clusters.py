"""Few clusters: what is refused, by hand what is not, and that it does not depend on where the rows are."""

import numpy as np
import pyarrow as pa
import pytest
from streamed_support import both
from support import observational, overall, problem, run, shuffled

from estimators import estimate
from estimators.clusters import Arms, clustering, table
from estimators.errors import Refusal
from estimators.heterogeneity.groups import groups, too_few
from estimators.inference import in_students_t, standard_error
from estimators.laws import normal_quantile, t_quantile
from estimators.registry import BY_NAME

WEIGHTED = ("ipw", "ope", "ipwra", "stratification", "psm")
MEMORY = (*WEIGHTED, "difference_in_means", "regression_adjustment", "tvce", "counterfactual", "causal_forest", "cate")


def states(treated=1, states=10, each=20, seed=0):
    """Units of states with shocks of their own; the first states are treated."""
    rng = np.random.default_rng(seed)
    s = np.repeat(np.arange(states), each)
    x = rng.normal(size=len(s))
    y = x + rng.normal(size=states)[s] + rng.normal(size=len(s))
    return {"unit_id": np.arange(len(s)), "x": x, "v": x > 0, "t": (s < treated) * 1.0, "y": y, "s": s}


def block(**more):
    return observational("y", "t", ["x"], cluster="s", **more)


def panel(treated=1, seed=0, start=3.0, periods=4):
    rng = np.random.default_rng(seed)
    s = np.repeat(np.arange(10), 20)
    y = rng.normal(size=(200, 1)) + rng.normal(size=(10, periods))[s] + 0.3 * rng.normal(size=(200, periods))
    return {
        "unit_id": np.repeat(np.arange(200), periods), "time": np.tile(np.arange(1.0, periods + 1), 200),
        "g": np.repeat(np.where(s < treated, start, 0.0), periods), "s": np.repeat(s, periods), "y": y.ravel(),
    }  # fmt: skip


PANEL = {
    "question": "q", "design": "panel", "outcome": "y", "time": "time", "cohort": "g", "never": 0, "cluster": "s",
    "decision": {"primary": "did", "estimand": "ATT", "desired_direction": "more", "minimum_effect": 0},
    "options": {"did": {"bootstrap": 50, "honest": False}},
}  # fmt: skip


def alike(memory, streamed):
    df = memory["degrees_of_freedom"]
    return streamed["degrees_of_freedom"] == (df if df is None else pytest.approx(df, rel=1e-10))


@pytest.mark.parametrize("budget", [10**9, 10])
def test_no_estimator_answers_with_one_treated_cluster(budget):
    declared = block(effect_modifiers=["v"], row_budget=budget)
    rows = estimate("s", declared, states()).to_pylist()
    ran = {row["estimator"] for row in rows}
    assert set(MEMORY) <= ran
    streamed = {name for name in ran if BY_NAME[name].streams} - ({"psm"} if budget == 10 else set())
    for row in rows:
        if budget == 10 and row["estimator"] not in streamed:
            continue  # it asks for rows in memory
        assert row["status"] == "not_identified", row["estimator"]
        assert "1 of 10 clusters of 's' is treated" in row["status_reason"]


@pytest.mark.parametrize("budget", [10**9, 10])
def test_a_cohort_in_one_cluster_is_not_identified(budget):
    rows = estimate("s", {**PANEL, "row_budget": budget}, panel()).to_pylist()
    (row,) = [row for row in rows if row["estimator"] == "did"]
    assert row["status"] == "not_identified"
    assert "1 of 10 clusters of 's' is ever treated" in row["status_reason"]
    assert "synthetic_control" not in row["status_reason"]  # two periods before treatment are too few for one


def test_the_mend_of_a_single_treated_cluster_holds():
    units = panel(start=6.0, periods=8)
    rows = estimate("s", PANEL, units).to_pylist()
    (reason,) = [row["status_reason"] for row in rows if row["estimator"] == "did"]
    assert "Read synthetic_control" in reason
    assert {row["status"] for row in rows if row["estimator"] == "synthetic_control"} == {"estimated"}


def test_one_untreated_cluster_and_one_that_outweighs_its_arm_are_refused():
    with pytest.raises(Refusal, match="1 of 10 clusters of 's' is untreated"):
        run(block(), states(9), "ipw", "ATE")
    units = states(3)
    heavy = np.where(units["s"] == 0, 1000.0, 1.0)
    with pytest.raises(Refusal, match=r"one of the 3 clusters of 's' that are treated holds 99\.8 % of the weight"):
        run(block(weight="w"), {**units, "w": heavy}, "ipw", "ATE")


def test_treatment_that_varies_within_clusters_is_exempt_and_has_clusters_less_one():
    units = states(0)
    units["t"] = (np.arange(200) % 2) * 1.0
    row = overall(run(block(), units, "ipw", "ATE"))
    assert row.degrees_of_freedom == pytest.approx(9, rel=1e-12)


@pytest.mark.parametrize("estimator", ["counterfactual", "mediation"])
def test_draws_of_clusters_need_five_an_arm(estimator):
    units = states(4)
    declared = block(mediator="x2")
    units["x2"] = units["t"] + np.random.default_rng(1).normal(size=200)
    estimand = BY_NAME[estimator].estimands[0]
    with pytest.raises(Refusal, match="4 of 10 clusters of 's' are treated: draws of clusters need 5 an arm"):
        run(declared, units, estimator, estimand)
    assert run(declared, {**units, "t": (units["s"] < 5) * 1.0}, estimator, estimand).estimates


def test_the_jackknife_of_a_difference_in_means_by_hand():
    """Arms' means of clusters' means, leaving out a cluster at a time: (G_a − 1) / G_a Σ (mean without g − mean)²."""
    sizes, treated = np.array([3, 1, 4, 2, 5, 2]), np.array([1, 1, 1, 0, 0, 0])
    s = np.repeat(np.arange(6), sizes)
    y, t = np.random.default_rng(2).normal(size=len(s)), treated[s]
    want = 0.0
    for arm in (1, 0):
        groups = np.flatnonzero(treated == arm)
        mean = y[t == arm].mean()
        without = [y[(t == arm) & (s != g)].mean() for g in groups]
        want += 2 / 3 * sum((one - mean) ** 2 for one in without)
    psi = np.zeros(len(s))
    for arm, sign in ((1, 1), (0, -1)):
        own = t == arm
        psi[own] = sign * len(s) / own.sum() * (y[own] - y[own].mean())
    made = clustering(*table(s, 1 - t, np.ones(len(s)), 2), ("treated", "untreated"), "jackknife")
    assert standard_error(psi, made) == pytest.approx(np.sqrt(want), rel=1e-12)


def test_degrees_of_freedom_by_hand():
    weight = np.zeros((50, 2))
    weight[:2, 0], weight[2:, 1] = 20, 20
    # Equal sizes: Welch with equal variances. (1/2 + 1/48)² / ((1/2)² / 1 + (1/48)² / 47)
    want = (1 / 2 + 1 / 48) ** 2 / (1 / 4 + 1 / 48**2 / 47)
    assert Arms.of(weight, ("a", "b")).df == pytest.approx(want, rel=1e-12)
    # One cluster ten times as large as the two others of its arm is all that is seen: one degree of it, and not less.
    uneven = np.array([[200.0, 0], [20, 0], [20, 0], *[[0, 20.0]] * 5])
    first = (200**2 + 2 * 20**2) / 240**2
    assert Arms.of(uneven, ("a", "b")).df == pytest.approx((first + 1 / 5) ** 2 / (first**2 + 1 / 5**2 / 4), rel=1e-12)
    assert in_students_t(normal_quantile(0.975), 3) == pytest.approx(t_quantile(0.975, 3))


@pytest.mark.parametrize("estimator", WEIGHTED)
def test_rows_repeated_within_their_cluster_change_nothing(estimator):
    units = states(4)
    strata = {"options": {"stratification": {"strata": 2}}}
    once = overall(run(block(**strata), units, estimator, "ATT"))
    twice = {k: np.repeat(v, 2) for k, v in units.items()} | {"unit_id": np.arange(400)}
    row = overall(run(block(**strata), twice, estimator, "ATT"))
    assert row.degrees_of_freedom == pytest.approx(once.degrees_of_freedom, rel=1e-12)
    if estimator != "stratification":  # its regressions inside strata count units
        assert row.std_error == pytest.approx(once.std_error, rel=1e-7)


@pytest.mark.parametrize("estimator", ["ipw", "ope", "ipwra"])
def test_row_order_and_the_clusters_names_change_nothing(estimator):
    units = states(3)
    row = overall(run(block(), units, estimator, "ATE"))
    named = {**units, "s": np.array([f"state {9 - s}" for s in units["s"]])}
    other = overall(run(block(), shuffled(pa.table(units)), estimator, "ATE"))
    assert (other.std_error, other.conf_low) == pytest.approx((row.std_error, row.conf_low), rel=1e-9)
    if estimator != "ope":  # folds are drawn by the clusters' names
        text = overall(run(block(), named, estimator, "ATE"))
        assert (text.std_error, text.conf_low) == pytest.approx((row.std_error, row.conf_low), rel=1e-9)


@pytest.mark.parametrize("variance", ["jackknife", "sandwich"])
@pytest.mark.parametrize("estimator", ["ipw", "ope", "stratification"])
def test_streams_have_the_same_error_and_degrees_of_freedom(estimator, variance):
    units = states(4, states=14, each=15)
    units["t"] = np.where(units["s"] == 13, np.arange(210) % 2, units["t"])  # a cluster of both arms
    weight = {} if estimator == "stratification" else {"weight": "w"}
    units["w"] = 1.0 + units["s"] % 3
    options = {"cluster_variance": variance, "stratification": {"strata": 2}}
    for memory, streamed in both(block(options=options, **weight), units, estimator):
        assert memory["status"] == streamed["status"] == "estimated"
        for name in ("std_error", "p_value", "conf_low"):
            assert streamed[name] == pytest.approx(memory[name], rel=1e-8), name
        assert alike(memory, streamed)
        assert (memory["degrees_of_freedom"] is None) == (variance == "sandwich")


@pytest.mark.parametrize("variance", ["jackknife", "sandwich"])
def test_streamed_panels_have_the_same_error_and_degrees_of_freedom(variance):
    units = panel(treated=3)
    units["g"] = np.where(units["s"] == 9, 4.0, np.where(units["s"] == 8, 4.0, units["g"]))
    options = {"did": {"bootstrap": 50, "honest": False}, "cluster_variance": variance}
    for memory, streamed in both({**PANEL, "options": options}, units, "did"):
        assert memory["status"] == streamed["status"] == "estimated"
        for name in ("std_error", "conf_low"):
            assert streamed[name] == pytest.approx(memory[name], rel=1e-8), name
        assert alike(memory, streamed)


def test_an_unknown_variance_is_named():
    (row, *_) = estimate("s", block(options={"cluster_variance": "cr9"}), states()).to_pylist()
    assert "cluster_variance 'cr9'" in row["status_reason"]


def test_groups_whose_arm_lies_in_one_cluster_have_no_row():
    units = states(4)
    units["v"] = ((units["s"] == 0) | (units["s"] > 5)) * 1.0
    found = problem(block(effect_modifiers=["v"]), units, "ope")
    reasons = {group.term: too_few(found, group.inside) for group in groups(found)[0]}
    assert "1 of 5 clusters of 's' is treated" in str(reasons["v=1"])
    assert reasons["v=0"] is None
