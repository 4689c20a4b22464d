"""Three outcome systems: their fits, their bootstrap, their agreement."""

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from support import observational, overall, problem, run, shuffled, simulated

from estimators.errors import Refusal
from estimators.selection_on_observables import systems
from estimators.selection_on_observables.counterfactual import _agreement, curves, fit_systems

SYSTEMS = ["linear", "nonlinear", "learned"]


def block(**more):
    own = more.pop("counterfactual", {"bootstrap": 50})
    options = more.pop("options", {})
    return observational("y", "t", ["x1", "x2"], options={"counterfactual": own, **options}, **more)


def go(data, **more):
    return run(block(**more), data, "counterfactual", "ATE")


def test_linear_is_regression_adjustment_in_each_arm():
    data = simulated()
    result = go(data)
    adjusted = overall(run(block(), data, "regression_adjustment", "ATE"))
    assert overall(result, "system=linear").estimate == pytest.approx(adjusted.estimate, rel=1e-10)


def test_ridge_agrees_with_scikit_learn():
    from sklearn.linear_model import Ridge

    data = simulated()
    features = systems.degree_two(np.column_stack([data["x1"], data["x2"]]))
    inside = data["t"] == 1
    arm = systems.ridge_arm(data["y"], features, inside)
    peer = Ridge(alpha=arm.penalty[-1], tol=1e-12).fit(features[inside], data["y"][inside])
    np.testing.assert_allclose(arm.predict(), peer.predict(features), rtol=1e-9, atol=1e-9)


def test_penalty_is_the_least_gcv():
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 8))
    y = x @ np.r_[1.0, np.zeros(7)] + 3 * rng.normal(size=60)
    chosen = systems.best_penalty(y, x)

    def gcv(penalty):
        fitted = Ridge(alpha=penalty).fit(x, y).predict(x)
        centred = x - x.mean(axis=0)
        trace = np.trace(centred @ np.linalg.solve(centred.T @ centred + penalty * np.eye(8), centred.T))
        return 60 * np.sum((y - fitted) ** 2) / (60 - 1 - trace) ** 2

    grid = systems.PENALTIES * 60
    assert chosen == pytest.approx(grid[np.argmin([gcv(p) for p in grid])])
    assert grid[0] < chosen < grid[-1]


def test_degree_two_columns():
    x = np.column_stack([np.arange(6.0), [0.0, 1, 0, 1, 1, 0], np.ones(6)])
    # a, b, a^2, a b: the constant is gone, and the square of an indicator is itself.
    z = systems.degree_two(x)
    assert z.shape == (6, 4)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(z.std(axis=0), 1)


def test_wide_designs_leave_products_out():
    x = np.random.default_rng(0).normal(size=(50, 40))
    assert systems.degree_two(x).shape == (50, 80)


def test_forest_is_scikit_learns_out_of_bag_in_its_own_arm():
    from sklearn.ensemble import RandomForestRegressor

    data = simulated(300)
    x, inside = np.column_stack([data["x1"], data["x2"]]), data["t"] == 1
    arm = systems.forest_arm(data["y"], x, inside, seed=3)
    peer = RandomForestRegressor(
        systems.TREES, min_samples_leaf=systems.LEAF, max_features=systems.FEATURES, oob_score=True, random_state=3,
        max_samples=int(inside.sum()),
    ).fit(x[inside], data["y"][inside])  # fmt: skip
    np.testing.assert_allclose(arm.predict()[~inside], peer.predict(x[~inside]), rtol=1e-10)
    np.testing.assert_allclose(arm.predict()[inside], peer.oob_prediction_, rtol=1e-10)
    np.testing.assert_allclose(arm.left_out(), (data["y"][inside] - peer.oob_prediction_), rtol=1e-8, atol=1e-10)


def test_left_out_residuals_are_leave_one_out():
    data = simulated(60)
    x, inside = np.column_stack([data["x1"], data["x2"]]), data["t"] == 0
    arm = systems.linear_arm(data["y"], x, ("x1", "x2"), inside)
    z = np.column_stack([np.ones(60), x])
    expected = []
    for i in np.flatnonzero(inside):
        train = inside & (np.arange(60) != i)
        expected.append(data["y"][i] - z[i] @ np.linalg.lstsq(z[train], data["y"][train], rcond=None)[0])
    np.testing.assert_allclose(arm.left_out(), expected, rtol=1e-9)


@pytest.mark.parametrize("name", ["linear", "nonlinear"])
def test_weighted_means_are_refits(name):
    from sklearn.linear_model import Ridge

    data = simulated(200)
    arm = fit_systems(problem(block(), data, "counterfactual"))[name][1]
    g = np.random.default_rng(5).standard_exponential((200, 3))
    penalty = arm.penalty[-1]
    for b, found in enumerate(arm.weighted_means(g)):
        w = g[arm.inside, b] / g[arm.inside, b].mean()
        peer = Ridge(alpha=penalty, tol=1e-13).fit(arm.design[arm.inside, 1:], data["y"][arm.inside], sample_weight=w)
        assert found == pytest.approx(np.average(peer.predict(arm.design[:, 1:]), weights=g[:, b]), rel=1e-8)


def test_bootstrap_of_the_linear_system_is_the_sandwich():
    """The Bayesian bootstrap's standard deviation is m_estimation's standard error to first order."""
    data = simulated()
    row = overall(go(data, counterfactual={"bootstrap": 1000}), "system=linear")
    options = {"regression_adjustment": {"variance": "m_estimation"}}
    peer = overall(run(block(options=options), data, "regression_adjustment", "ATE"))
    assert row.std_error == pytest.approx(peer.std_error, rel=0.07)
    assert row.variance_estimator == "bootstrap"


def test_standard_errors_are_the_spread_over_samples(monkeypatch):
    """50 samples of the randomised kind: each system's standard error against what estimates really do."""
    monkeypatch.setattr(systems, "TREES", 50)
    found = {name: [] for name in SYSTEMS}
    for seed in range(50):
        data = simulated(200, seed)
        data["t"] = np.random.default_rng(seed + 1000).permutation(np.repeat([0.0, 1.0], 100))
        data["y"] = data["t"] + np.sin(2 * data["x1"]) + np.random.default_rng(seed + 2000).normal(size=200)
        arms = fit_systems(problem(block(), data, "counterfactual"))
        g = np.random.default_rng(seed).standard_exponential((200, 100))
        for name, (control, treated) in arms.items():
            draws = treated.weighted_means(g) - control.weighted_means(g)
            found[name].append((np.mean(treated.predict() - control.predict()), draws.std(ddof=1)))
    for values in found.values():
        estimates, errors = np.array(values).T
        assert 0.75 < errors.mean() / estimates.std(ddof=1) < 1.33


def test_overall_is_the_mean_and_diagnostics_measure_the_spread():
    data = simulated()
    result = go(data)
    effects = [overall(result, f"system={name}").estimate for name in SYSTEMS]
    assert [e.term for e in result.estimates] == ["overall", *(f"system={name}" for name in SYSTEMS)]
    assert overall(result).estimate == pytest.approx(np.mean(effects), rel=1e-12)
    found = {(d.metric, d.subject): d.value for d in result.diagnostics}
    assert found["system_sd", "overall"] == pytest.approx(np.std(effects, ddof=1))
    assert found["system_range", "overall"] == pytest.approx(max(effects) - min(effects))
    assert all(0 < found["r2", name] < 1 for name in SYSTEMS)
    (row,) = result.sensitivity
    assert row.value == pytest.approx(np.std(effects, ddof=1) / data["y"].std(ddof=1))
    assert (row.method, row.subject) == ("counterfactual_agreement", "overall")


@pytest.mark.parametrize(("gap", "word"), [(0.02, "high"), (0.07, "moderate"), (0.2, "low")])
def test_agreement_in_words(gap, word):
    data = simulated()
    p = problem(block(), data, "counterfactual")
    effects = np.array([0.0, 1.0, -1.0]) * gap * data["y"].std(ddof=1)
    assert _agreement(p, effects).reading.startswith(f"{word} agreement")
    assert _agreement(p, effects).value == pytest.approx(gap)


def test_nonlinear_outcome_is_modelled_where_the_line_fails():
    rng = np.random.default_rng(6)
    x = rng.normal(size=(1500, 2))
    t = (rng.random(1500) < stats.norm.cdf(x[:, 0] ** 2 - 1)).astype(float)
    data = {"unit_id": np.arange(1500), "t": t, "x1": x[:, 0], "x2": x[:, 1]}
    data["y"] = t + 2 * x[:, 0] ** 2 + rng.normal(size=1500)
    result = go(data)
    linear, nonlinear = (overall(result, f"system={name}") for name in ("linear", "nonlinear"))
    assert abs(linear.estimate - 1) > 1
    assert abs(nonlinear.estimate - 1) < 3 * nonlinear.std_error
    assert result.sensitivity[0].reading.startswith("low")


def test_curves():
    result = go(simulated())
    for curve in ("y0_distribution", "effect_distribution"):
        xs = []
        for name in SYSTEMS:
            points = [p for p in result.curves if (p.curve, p.series) == (curve, name)]
            assert len(points) == 30
            assert sum(p.y for p in points) == pytest.approx(1)
            xs.append([p.x for p in points])
        assert xs[0] == xs[1] == xs[2] == sorted(xs[0])


def test_curve_of_equal_predictions():
    points = curves({"linear": (np.full(5, 3.0), np.full(5, 4.0))})
    (full,) = [p for p in points if p.curve == "effect_distribution" and p.y > 0]
    assert full.y == 1
    assert full.x == pytest.approx(1, abs=0.02)


def test_row_order_scale_and_repetition():
    data = simulated(200)
    rows = go(data).estimates
    again, other = go(data).estimates, go(shuffled(pa.table(data))).estimates
    assert rows == again == other
    big = go(data | {"y": 1024 * data["y"]}).estimates
    for one, large in zip(rows, big, strict=True):
        np.testing.assert_allclose([large.estimate, large.std_error], [1024 * one.estimate, 1024 * one.std_error], 1e-9)


def test_clusters():
    """A cluster of one is a unit; clusters that share their noise widen the interval."""
    data = simulated(300)
    shared = np.random.default_rng(8).normal(size=30)[np.arange(300) % 30] * 3
    data |= {"g": np.arange(300) % 30, "t": (np.arange(300) % 30 < 15) * 1.0}
    data["y"] = data["y"] + shared
    apart, together = go(data), go(data, cluster="g")
    for name in SYSTEMS:
        ratio = overall(together, f"system={name}").std_error / overall(apart, f"system={name}").std_error
        assert ratio > 1.5
    assert (overall(together).n_clusters, overall(together).variance_estimator) == (30, "cluster_bootstrap")


def test_draws_do_not_depend_on_how_many_are_taken_at_once(monkeypatch):
    from estimators.selection_on_observables import counterfactual

    data = simulated(200)
    whole = go(data)
    monkeypatch.setattr(counterfactual, "CELLS_AT_ONCE", 1400)
    pieces = go(data)
    for one, other in zip(whole.estimates, pieces.estimates, strict=True):
        assert one.std_error == pytest.approx(other.std_error, rel=1e-10)


@pytest.mark.parametrize(("changed", "more", "reason"), [
    ({"t": (np.arange(200) < 9) * 1.0}, {}, "9 treated units"),
    ({"x1": np.ones(200), "x2": np.ones(200)}, {}, "no covariate varies"),
    ({}, {"options": {"outcome": {"covariates": []}}}, "no covariate varies"),
    ({}, {"counterfactual": {"bootstrap": 5}}, "5 bootstrap draws"),
    ({"y": np.ones(200)}, {}, "in every row"),
    ({"c": np.arange(200)}, {"options": {"outcome": {"covariates": ["C(c)", "x1"]}}}, "cannot carry"),
])  # fmt: skip
def test_refusals(changed, more, reason):
    with pytest.raises(Refusal, match=reason):
        go(simulated(200) | changed, **more)
