"""Counterfactual systems of a streamed study: against rows in memory, by hand, and against the bootstrap."""

from __future__ import annotations

import dataclasses
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import support
from streamed_support import both, close

from estimators import estimate
from estimators.assemble import assemble
from estimators.folds import md5_folds
from estimators.problem import Problem
from estimators.registry import BY_NAME
from estimators.scan.arm_fit import fit_arm
from estimators.scan.features import Features
from estimators.scan.forest import LEAVES, TREES, Coarse, Forest
from estimators.scan.frame import Frame
from estimators.selection_on_observables import systems
from estimators.selection_on_observables.counterfactual import fit_systems
from estimators.study import Study

Columns = dict[str, Any]
Row = dict[str, Any]
COVARIATES = ["k", "x1", "x2", "x3", "C(c)", "twice"]
SOLVED = ("system=linear", "system=nonlinear")


@pytest.fixture(autouse=True)
def _few_trees_in_memory(monkeypatch):
    """Only one test looks at the forest in memory."""
    monkeypatch.setattr(systems, "TREES", 10)


def units(n: int = 900, seed: int = 3) -> Columns:
    """A constant column first, one of mean 1e5, few values, a category, a collinear column, and 30 clusters."""
    rng = np.random.default_rng(seed)
    x1, x2, x3 = rng.normal(size=(3, n))
    g = np.arange(n) % 30
    t = (rng.random(n) < 1 / (1 + np.exp(-0.5 * x1 + 0.3 * x2))) * 1.0
    y = 1 + t * (1 + x1) + x1 + x2**2 + rng.normal(size=30)[g] + (1 + t) * rng.normal(size=n)
    return {
        "unit_id": np.arange(n), "y": y, "t": t, "k": np.full(n, 3.0), "x1": x1, "x2": 1e5 + 3 * x2, "x3": np.round(x3),
        "twice": 2 * x1 + 1, "c": np.array(["a", "b", "c"])[rng.integers(0, 3, n)], "g": g, "w": 1 + rng.random(n),
    }  # fmt: skip


def block(covariates: list[str] | None = None, bootstrap: int = 20, **more: Any) -> Columns:
    options = {"counterfactual": {"bootstrap": bootstrap}, **more.pop("options", {})}
    decision = {**support.DECISION, "primary": "counterfactual"}
    own = COVARIATES if covariates is None else covariates
    return {**support.observational("y", "t", own, options=options), "folds": 1, "decision": decision, **more}


def run(declared: Columns, data: Any, budget: int, session: Any = None) -> dict[str, Row]:
    """The rows by term; the first has the diagnostics, curves and sensitivity rows."""
    problem, _ = assemble(Study.declare("s", {**declared, "row_budget": budget}), data, session)
    own = problem.for_run("counterfactual", "default")
    estimator = BY_NAME["counterfactual"]
    result = (estimator.load() if isinstance(own, Problem) else estimator.load_streamed())(own, "ATE")
    rows = {one.term: dataclasses.asdict(one) for one in result.estimates}
    for part in ("diagnostics", "curves", "sensitivity"):
        rows["overall"][part] = [dataclasses.asdict(one) for one in getattr(result, part)]
    return rows


def streamed(declared: Columns, data: Any, budget: int = 400, session: Any = None) -> dict[str, Row]:
    return run(declared, data, budget, session)


def in_memory(declared: Columns, data: Columns) -> dict[str, Row]:
    return run(declared, data, 10**9)


def metrics(row: Row) -> dict[tuple[str, str], float]:
    return {(d["metric"], d["subject"]): d["value"] for d in row["diagnostics"]}


@pytest.mark.parametrize(
    ("covariates", "more"),
    [
        (COVARIATES, {}),
        (COVARIATES, {"cluster": "g"}),
        (["x1"], {"folds": 5}),
        (["x2", "x1^2", "x1:x3", "C(c):x1"], {"missing": "drop"}),
        (["C(c)"], {}),
    ],
)
def test_least_squares_systems_are_those_in_memory(covariates, more):
    data = units()
    if "missing" in more:
        data["x1"] = np.where(np.arange(900) % 100 == 5, np.nan, data["x1"])
    memory, found = (path(block(covariates, **more), data) for path in (in_memory, streamed))
    for term in SOLVED:
        close(memory[term]["estimate"], found[term]["estimate"], 1e-9, term)
        for name in ("n_units", "n_treated", "n_clusters", "n_trimmed", "contrast", "estimand"):
            assert memory[term][name] == found[term][name]
        assert found[term]["variance_estimator"] == ("cluster" if "cluster" in more else "influence_function")
    ours, theirs = metrics(found["overall"]), metrics(memory["overall"])
    for key in (("r2", "linear"), ("r2", "nonlinear"), ("ridge_penalty", "control"), ("ridge_penalty", "treated")):
        close(theirs[key], ours[key], 1e-9, str(key))
    assert set(ours) == set(theirs) | {("training_rows", "overall")}


def test_columns_far_from_zero_keep_their_digits():
    data = units()
    data["y"], data["x2"] = np.round(data["y"] * 64) / 64, np.round(data["x2"] * 64) / 64
    far = {**data, "y": data["y"] + 1e9, "x2": data["x2"] + 1e9}
    near = in_memory(block(), data)
    for path in (in_memory, streamed):
        found = path(block(), far)
        for term in SOLVED:
            close(near[term]["estimate"], found[term]["estimate"], 1e-9, term)
        close(metrics(near["overall"])["r2", "linear"], metrics(found["overall"])["r2", "linear"], 1e-9, "r2")


def test_wide_designs_leave_products_out_as_in_memory():
    rng = np.random.default_rng(0)
    data = units(600) | {f"v{j}": rng.normal(size=600) for j in range(22)}
    memory, found = (path(block([f"v{j}" for j in range(22)]), data) for path in (in_memory, streamed))
    for term in SOLVED:
        close(memory[term]["estimate"], found[term]["estimate"], 1e-9, term)
    close(metrics(memory["overall"])["r2", "nonlinear"], metrics(found["overall"])["r2", "nonlinear"], 1e-9, "r2")


def test_overall_is_the_mean_and_the_spread_is_told():
    data = units()
    found = streamed(block(), data)
    effects = [found[f"system={name}"]["estimate"] for name in ("linear", "nonlinear", "learned")]
    assert found["overall"]["estimate"] == pytest.approx(np.mean(effects), rel=1e-12)
    told = metrics(found["overall"])
    assert told["system_sd", "overall"] == pytest.approx(np.std(effects, ddof=1), rel=1e-12)
    assert told["system_range", "overall"] == pytest.approx(np.ptp(effects), rel=1e-12)
    (row,) = [r for r in found["overall"]["sensitivity"] if r["method"] == "counterfactual_agreement"]
    assert row["value"] == pytest.approx(np.std(effects, ddof=1) / data["y"].std(ddof=1), rel=1e-10)


def influence(declared: Columns, data: Columns) -> np.ndarray:
    """Influence values of linear and nonlinear by central differences in each unit's bootstrap weight: shape (2, n)."""
    problem = support.problem(declared, data, "counterfactual")
    n, step = problem.n, 1e-4
    nudges = [1 + sign * step * np.eye(n) for sign in (1, -1)]
    fitted = fit_systems(problem)
    found = []
    for name in ("linear", "nonlinear"):
        up, down = (fitted[name][1].weighted_means(g) - fitted[name][0].weighted_means(g) for g in nudges)
        found.append((up - down) / (2 * step) * n)
    return np.array(found)


def test_standard_errors_are_the_derivatives_in_the_bootstraps_weights():
    data = units(240)
    psi = influence(block(["x1", "x2", "C(c)"]), data)
    found = streamed(block(["x1", "x2", "C(c)"]), data, budget=100)
    sandwich = {"cluster_variance": "sandwich"}
    clustered = streamed({**block(["x1", "x2", "C(c)"], cluster="g"), "options": sandwich}, data, budget=100)
    for term, own in zip(SOLVED, psi, strict=True):
        assert found[term]["std_error"] == pytest.approx(np.sqrt(np.sum(own**2)) / 240, rel=1e-5)
        sums = np.bincount(data["g"], own)
        assert clustered[term]["std_error"] == pytest.approx(np.sqrt(np.sum(sums**2) * 30 / 29) / 240, rel=1e-5)


@pytest.mark.parametrize("more", [{}, {"cluster": "g"}])
def test_standard_errors_are_the_draws_spread_up_to_monte_carlo_noise(more):
    """1,000 draws know their standard deviation to 1 / √(2 · 999); n = 1,500 adds a share of order k / n."""
    data = units(1500)
    data["g"] = np.arange(1500) % 500
    found = streamed(block(["x1", "x2"], **more), data)
    problem = support.problem(block(["x1", "x2"], **more), data, "counterfactual")
    rng, codes = np.random.default_rng(1), data["g"] if more else np.arange(1500)
    g = rng.standard_exponential((codes.max() + 1, 1000))[codes]
    fitted = fit_systems(problem)
    for name in ("linear", "nonlinear"):
        draws = fitted[name][1].weighted_means(g) - fitted[name][0].weighted_means(g)
        ratio = found[f"system={name}"]["std_error"] / draws.std(ddof=1)
        assert abs(ratio - 1) < 3.5 / np.sqrt(2 * 999) + 0.01


def declared_sample(declared: Columns, data: Columns, budget: int) -> np.ndarray:
    """The training rows, from the rule in words: by the hash of unit and seed, about half the budget in each arm."""
    hashes = md5_folds(data["unit_id"], 2**32, Study.declare("s", declared).seed + 1)
    n = {a: int(np.sum(data["t"] == a)) for a in (0, 1)}
    share = {a: max(budget // 2, budget - n[1 - a]) / n[a] for a in (0, 1)}
    return np.array([h < 2**32 * share[t] for h, t in zip(hashes, data["t"], strict=True)])


def coarse(data: Columns, names: list[str]) -> tuple[np.ndarray, np.ndarray, Coarse]:
    x = np.column_stack([data[name] for name in (*names, "y")])
    unit = Coarse.of(Frame.of(x.mean(axis=0), x.std(axis=0), 1))
    scaled = (x - unit.shift) / unit.scale
    return scaled[:, :-1].astype(np.float32), scaled[:, -1], unit


def test_learned_system_is_scikit_learns_forest_and_its_residuals():
    """Rows outside the sample by all trees, training rows out of bag; ψ by the dense matrix of prediction weights."""
    from sklearn.ensemble import RandomForestRegressor

    data, declared, n = units(500), block(["x1", "x2"]), 500
    drawn = declared_sample(declared, data, 260)
    x, y, unit = coarse(data, ["x1", "x2"])
    seed = Study.declare("s", declared).seed
    means, psi, left = [], np.zeros(n), 0.0
    for arm, sign in ((0, -1), (1, 1)):
        train = drawn & (data["t"] == arm)
        forest = RandomForestRegressor(
            TREES, min_samples_leaf=systems.LEAF, max_leaf_nodes=LEAVES, max_features=systems.FEATURES, oob_score=True,
            max_samples=int(train.sum()), random_state=seed + arm,
        ).fit(x[train], y[train])  # fmt: skip
        mu = forest.predict(x)
        mu[train] = forest.oob_prediction_
        counts = np.array([np.bincount(s, minlength=train.sum()) for s in forest.estimators_samples_])
        weights = np.zeros((n, train.sum()))
        leaves = forest.apply(x)
        share = np.full((n, TREES), 1 / TREES)
        share[train] = (counts == 0).T / (counts == 0).sum(axis=0)[:, None]
        for tree in range(TREES):
            same = (leaves[:, [tree]] == leaves[train, tree]) * counts[tree]
            weights += share[:, [tree]] * same / same.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(weights @ y[train], mu, rtol=1e-9, atol=1e-9)
        means.append(mu)
        psi[train] += sign * weights.sum(axis=0) * (y - mu)[train]
        left += np.sum((y - mu)[data["t"] == arm] ** 2)
    psi += means[1] - means[0]
    found = streamed(declared, data, budget=260)
    row, scale = found["system=learned"], unit.scale[-1]
    assert row["estimate"] == pytest.approx(scale * np.mean(means[1] - means[0]), rel=1e-9)
    assert row["std_error"] == pytest.approx(scale * psi.std() / np.sqrt(n), rel=1e-9)
    total = sum(np.sum((y[data["t"] == a] - y[data["t"] == a].mean()) ** 2) for a in (0, 1))
    told = metrics(found["overall"])
    assert told["r2", "learned"] == pytest.approx(1 - left / total, rel=1e-9)
    assert told["training_rows", "overall"] == drawn.sum()


def test_learned_system_is_near_the_one_in_memory(monkeypatch):
    monkeypatch.setattr(systems, "TREES", 200)
    data = units(1500)
    memory, found = (path(block(["x1", "x2"]), data) for path in (in_memory, streamed))
    row, other = found["system=learned"], memory["system=learned"]
    assert abs(row["estimate"] - other["estimate"]) < 3 * row["std_error"]
    assert 0.8 < metrics(found["overall"])["r2", "learned"] / metrics(memory["overall"])["r2", "learned"] < 1.1


def test_an_arm_smaller_than_half_the_budget_is_taken_whole():
    data = units(900)
    data["t"] = (np.arange(900) < 60) * 1.0
    drawn = declared_sample(block(), data, 400)
    assert drawn[:60].all()
    told = metrics(streamed(block(), data)["overall"])
    assert told["training_rows", "overall"] == drawn.sum()
    assert 300 < drawn.sum() < 500


def test_distributions_count_every_unit():
    data = units()
    problem = support.problem(block(), data, "counterfactual")
    fitted = fit_systems(problem)
    points = streamed(block(), data)["overall"]["curves"]
    for curve in ("y0_distribution", "effect_distribution"):
        middles = {}
        for name in ("linear", "nonlinear", "learned"):
            own = [p for p in points if (p["curve"], p["series"]) == (curve, name)]
            assert len(own) == 30
            assert sum(p["y"] for p in own) == pytest.approx(1, rel=1e-12)
            middles[name] = np.array([p["x"] for p in own])
            if name != "learned":
                mu0, mu1 = (arm.predict() for arm in fitted[name])
                half = (middles[name][1] - middles[name][0]) / 2
                edges = np.append(middles[name] - half, middles[name][-1] + half)
                values = np.clip(mu0 if curve == "y0_distribution" else mu1 - mu0, edges[0], edges[-1])
                np.testing.assert_allclose([p["y"] for p in own], np.histogram(values, edges)[0] / 900, atol=1e-12)
        assert np.array_equal(middles["linear"], middles["learned"])


def same_rows(one: dict[str, Row], two: dict[str, Row]) -> None:
    for term, row in one.items():
        for name in ("estimate", "std_error"):
            assert row[name] == pytest.approx(two[term][name], rel=1e-10)
    theirs = metrics(two["overall"])
    assert metrics(one["overall"]) == {key: pytest.approx(value, rel=1e-9) for key, value in theirs.items()}


@pytest.mark.parametrize("more", [{}, {"cluster": "g"}])
def test_row_order_changes_nothing(more):
    table = pa.table(units())
    same_rows(*(streamed(block(**more), given) for given in (table, support.shuffled(table))))


def test_threads_change_nothing():
    found = []
    for threads in (1, 4):
        connection = duckdb.connect()
        connection.execute(f"set threads = {threads}")
        connection.execute(
            """create table units as
            with a as (select i as unit_id, hash(i, 1) % 1009 / 1009 as x, hash(i, 2) % 1009 / 1009 as u,
                       hash(i, 3) % 1009 / 1009 as e, hash(i, 4) % 5 as v, hash(i, 5) % 50 as g from range(130000) t(i))
            select *, (u < 0.2 + 0.6 * x)::int as t, x * x + (u < 0.2 + 0.6 * x)::int + v + e as y from a"""
        )
        rows = streamed(block(["x", "v"], cluster="g"), connection.table("units"), 1000, connection)
        found.append(rows)
    same_rows(*found)


@pytest.mark.parametrize(("change", "more", "words"), [
    ({"t": (np.arange(200) < 9) * 1.0}, {}, "9 treated units"),
    ({"x1": np.ones(200)}, {"covariates": ["x1"]}, "no covariate varies"),
    ({}, {"options": {"outcome": {"covariates": []}}}, "no covariate varies"),
    ({}, {"bootstrap": 5}, "5 bootstrap draws"),
    ({"y": np.ones(200)}, {}, "in every row"),
    ({"g": np.ones(200)}, {"cluster": "g"}, "all rows are in one cluster"),
    ({"c": np.arange(200)}, {"options": {"outcome": {"covariates": ["C(c)", "x1"]}}}, "cannot carry"),
    ({}, {"weight": "w"}, "does not use the declared weight"),
])  # fmt: skip
def test_refusals_are_those_in_memory(change, more, words):
    ((memory, other),) = both(block(**more), units(200) | change, "counterfactual")
    assert memory["status_reason"] == other["status_reason"]
    assert words in other["status_reason"]
    assert memory["status"] == other["status"] == "refused"


def test_a_study_is_estimated_with_its_dropped_rows_told():
    data = units(600)
    data["x1"] = np.where(np.arange(600) % 100 == 5, np.nan, data["x1"])
    declared = {**block(["x1", "x2"], missing="drop"), "row_budget": 300}
    rows = [row for row in estimate("s", declared, data).to_pylist() if row["estimator"] == "counterfactual"]
    assert [row["status"] for row in rows] == ["estimated"] * 4
    assert {(row["n_units"], row["n_trimmed"]) for row in rows} == {(594, 6)}
    assert rows[0]["is_primary"]


def test_a_budget_that_trains_no_forest_is_refused():
    rows = estimate("s", {**block(), "row_budget": 10}, units(200)).to_pylist()
    (row,) = [row for row in rows if row["estimator"] == "counterfactual"]
    assert row["status"] == "refused"
    assert "a row_budget of 10 leaves" in row["status_reason"]
    assert "Raise row_budget" in row["status_reason"]


def test_features_are_those_in_memory():
    rng = np.random.default_rng(2)
    x = np.column_stack([rng.normal(size=50), rng.integers(0, 2, 50), rng.integers(-1, 2, 50)])
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    features = Features.of(z.T @ z / 50, (0, 2), pairs=True)
    rows = np.column_stack([np.ones(50), z, np.zeros(50)]).T
    f = features.fill(rows, features.buffer())[1:-1]
    np.testing.assert_allclose(f.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(f.T / f.std(axis=1), systems.degree_two(x), atol=1e-12)


def test_one_arms_fit_by_hand():
    """Three units in the arm at x = 0, 1, 2 with y = 0, 1, 5, and one outside at x = 7: the line is 2.5 x − 0.5."""
    x, y = np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 5.0])
    rows = np.array([np.ones(3), x, y])
    fit = fit_arm(rows @ rows.T, np.array([4.0, 10.0]), np.eye(2))
    np.testing.assert_allclose(fit.mean, [-0.5, 2.5])
    assert fit.level == pytest.approx(-0.5 + 2.5 * 2.5)
    hat = np.einsum("im,ij,jm->m", rows[:2], fit.hat, rows[:2])
    np.testing.assert_allclose(hat, [5 / 6, 1 / 3, 5 / 6])
    # d level / dy of each unit: 1/3 + (x − 1)(2.5 − 1)/2; reach is four times it.
    np.testing.assert_allclose(fit.reach @ rows[:2] / 4, 1 / 3 + (x - 1) * 0.75)
    assert fit.offset == 0


def test_a_forest_of_one_value_predicts_it_and_shares_out_every_prediction():
    rng = np.random.default_rng(0)
    x, inside = rng.normal(size=(120, 2)).astype(np.float32), np.arange(120) < 70
    forest = Forest(x, np.full(120, 4.0), inside, seed=1, unit=(1.0, 0.5))
    np.testing.assert_allclose(forest.predict(rng.normal(size=(30, 2)).astype(np.float32)), 3.0)
    np.testing.assert_allclose(forest.sample, 3.0)
    assert forest.reliance().sum() == pytest.approx(150)
    np.testing.assert_allclose(forest.left_out(), 0, atol=1e-12)
