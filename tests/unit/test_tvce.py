"""Double machine learning, partially linear."""

import numpy as np
import pyarrow as pa
import pytest
from support import observational, overall, problem, run, shuffled, simulated

from estimators.errors import Refusal
from estimators.selection_on_observables.learners import out_of_fold
from estimators.selection_on_observables.tvce import partialling_out

LEARNERS = ["linear", "lasso", "boosting"]
# Where the claim is not how often a learner's folds are drawn: see test_learned.py for that.
ONE_SPLIT = {"folds": 3, "repeats": 1}


def block(learner="linear", **more):
    own = {"learner": learner} | more.pop("tvce", {})
    return observational("y", "t", ["x1", "x2"], options={"tvce": own}, **more)


def go(data, **more):
    return overall(run(block(**more), data, "tvce", "ATE"))


def test_partialling_out_by_hand():
    # Sum v u = 1 + 4 - 3 = 2 over sum v^2 = 1 + 4 + 1 = 6.
    theta, psi = partialling_out(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, -1.0]), np.ones(3))
    assert theta == pytest.approx(1 / 3)
    np.testing.assert_allclose(psi, 3 * np.array([1, 2, -1]) * (np.array([1, 2, 3]) - np.array([1, 2, -1]) / 3) / 6)


@pytest.mark.parametrize("weighted", [False, True])
def test_one_fold_is_least_squares(weighted):
    import statsmodels.api as sm

    data = simulated()
    weight = np.random.default_rng(2).uniform(0.5, 2, 600) if weighted else np.ones(600)
    row = go(data | {"w": weight}, folds=1, **({"weight": "w"} if weighted else {}))
    x = sm.add_constant(np.column_stack([data["t"], data["x1"], data["x2"]]))
    fit = sm.WLS(data["y"], x, weights=weight).fit(cov_type="HC0")
    assert row.estimate == pytest.approx(fit.params[1], rel=1e-9)
    # Frisch, Waugh & Lovell: the same sandwich too, but for n/(n-1).
    assert row.std_error == pytest.approx(fit.bse[1] * np.sqrt(600 / 599), rel=1e-8)


def test_dropping_a_fold_by_subtraction_is_fitting_the_others():
    from sklearn.linear_model import LinearRegression

    rng = np.random.default_rng(0)
    x, folds, w = rng.normal(3000, 20, (90, 3)), np.arange(90) % 3, rng.uniform(1, 2, 90)
    y = np.column_stack([x @ [1, 2, 3] + rng.normal(size=90), x[:, 0] ** 2])
    found = out_of_fold("linear", y, x, w, folds, 0)
    for k in range(3):
        fit = LinearRegression().fit(x[folds != k], y[folds != k], sample_weight=w[folds != k])
        np.testing.assert_allclose(found[folds == k], fit.predict(x[folds == k]), rtol=1e-9)


@pytest.mark.parametrize("learner", [*LEARNERS, "best"])
def test_recovers_the_effect(learner):
    row = go(simulated(1000, seed=4), learner=learner, **ONE_SPLIT)
    assert abs(row.estimate - 2) < 3 * row.std_error
    assert row.std_error < 0.08
    assert (row.contrast, row.n_units, row.variance_estimator) == ("1 - 0", 1000, "HC1")


def test_boosting_sees_what_is_not_linear():
    rng = np.random.default_rng(9)
    x = rng.uniform(-2, 2, size=(1500, 2))
    dose = x[:, 0] ** 2 + rng.normal(size=1500)
    data = {"unit_id": np.arange(1500), "t": dose, "x1": x[:, 0], "x2": x[:, 1]}
    data["y"] = 0.5 * dose + 3 * x[:, 0] ** 2 + rng.normal(size=1500)
    linear, boosted, best = (go(data, learner=name, **ONE_SPLIT) for name in ("linear", "boosting", "best"))
    assert abs(boosted.estimate - 0.5) < 0.15 < abs(linear.estimate - 0.5)
    assert best.estimate == boosted.estimate
    assert (best.contrast, best.n_treated) == ("per unit", None)


def test_best_takes_the_smaller_loss_separately():
    rng = np.random.default_rng(10)
    x = rng.normal(size=(1500, 2))
    data = {"unit_id": np.arange(1500), "t": x[:, 0] + rng.normal(size=1500), "x1": x[:, 0], "x2": x[:, 1]}
    data["y"] = data["t"] + np.sin(3 * x[:, 0]) * 4 + rng.normal(size=1500)
    result = run(block("best", **ONE_SPLIT), data, "tvce", "ATE")
    loss = {d.subject: d.value for d in result.diagnostics if d.metric == "learner_loss"}
    assert set(loss) == {f"{a}:{b}" for a in ("outcome", "treatment") for b in LEARNERS}
    assert min(LEARNERS, key=lambda name: loss[f"outcome:{name}"]) == "boosting"
    assert min(LEARNERS, key=lambda name: loss[f"treatment:{name}"]) != "boosting"
    r2 = {d.subject: d.value for d in result.diagnostics if d.metric == "r2"}
    for which, values in (("outcome", data["y"]), ("treatment", data["t"])):
        smallest = min(loss[f"{which}:{name}"] for name in LEARNERS)
        assert r2[which] == pytest.approx(1 - smallest / values.var(), rel=1e-9)


def test_theta_by_fold():
    data = simulated()
    result = run(block(folds=4), data, "tvce", "ATE")
    assert [d.subject for d in result.diagnostics if d.metric == "theta"] == [f"fold={k}" for k in range(4)]


@pytest.mark.parametrize(("learner", "more"), [("linear", {}), ("lasso", {}), ("boosting", ONE_SPLIT)])
def test_row_order_and_scale(learner, more):
    data = simulated()
    row = go(data, learner=learner, **more)
    other = go(shuffled(pa.table(data)), learner=learner, **more)
    assert (row.estimate, row.std_error) == (other.estimate, other.std_error)
    big = go(data | {"y": 1024 * data["y"]}, learner=learner, **more)
    np.testing.assert_allclose([big.estimate, big.std_error], [1024 * row.estimate, 1024 * row.std_error], rtol=1e-6)


def test_weights_are_repeated_rows():
    data = simulated(120)
    weight = (np.arange(120) % 3 + 1).astype(float)
    # Repeated rows share a cluster, so that they share a fold; folds of clusters and units are then the same.
    repeated = {k: np.repeat(v, weight.astype(int)) for k, v in data.items()} | {"g": 0}
    repeated["g"] = np.repeat(np.arange(120), weight.astype(int))
    repeated["unit_id"] = np.arange(len(repeated["y"]))
    weighted = go(data | {"w": weight, "g": np.arange(120)}, weight="w", cluster="g")
    assert weighted.estimate == pytest.approx(go(repeated, cluster="g").estimate, rel=1e-9)


def test_clusters():
    data = simulated(200)
    alone = go(data | {"g": np.arange(200)}, cluster="g", tvce={"variance": "CR1"})
    # The factor n/(n-1) is G/(G-1) there.
    assert alone.std_error == pytest.approx(go(data).std_error, rel=1e-10)
    twice = {k: np.repeat(v, 2) for k, v in data.items()} | {"unit_id": np.arange(400), "g": np.repeat(range(200), 2)}
    both = go(twice, cluster="g", tvce={"variance": "CR1"})
    assert both.std_error == pytest.approx(alone.std_error, rel=1e-9)
    assert (both.n_clusters, both.variance_estimator) == (200, "CR1")


def test_clusters_stay_in_one_fold():
    data = simulated(200) | {"g": np.arange(200) % 20}
    folds = problem(block(cluster="g"), data, "tvce").folds()
    assert all(len(set(folds[data["g"] == g])) == 1 for g in range(20))


def test_a_category_that_one_fold_alone_has():
    """Its indicator is constant where the fold is left out; it must not get a slope out of rounding."""
    data = simulated(400)
    folds = problem(block(), data, "tvce").folds()
    data["x2"] = np.where((folds == 2) & (np.arange(400) % 7 == 0), 1.0, 0.0)
    row = go(data)
    assert abs(row.estimate - 2) < 4 * row.std_error


def test_refusals():
    data = simulated()
    with pytest.raises(Refusal, match="explain the treatment") as refusal:
        go(data | {"x2": 1 - data["t"]})
    assert refusal.value.status == "not_identified"
    for learner in ("lasso", "boosting", "best"):
        with pytest.raises(Refusal, match="needs cross-fitting"):
            go(data, learner=learner, folds=1)
    four = {k: v[:4] for k, v in data.items()} | {"t": np.array([0.0, 1, 0, 1])}
    with pytest.raises(Refusal, match="cannot carry"):
        go(four, folds=1, tvce={"covariates": ["x1", "x2", "x1^2"]})
    with pytest.raises(Refusal, match="in every row"):
        go(data | {"y": np.ones(600)})


def test_fixed_effects_that_other_folds_lack_are_refused():
    data = simulated(300) | {"g": np.arange(300) % 60}
    covariates = block(cluster="g", tvce={"covariates": ["x1", "C(g)"]})
    data["y"] = data["y"] + 30 * np.random.default_rng(0).normal(size=60)[data["g"]]
    with pytest.raises(Refusal, match="predicted far worse than by its mean"):
        run(covariates, data, "tvce", "ATE")


def test_all_rows_in_one_fold_is_refused():
    with pytest.raises(Refusal, match="one fold holds every row"):
        out_of_fold("linear", np.ones((4, 1)), np.ones((4, 1)), np.ones(4), np.ones(4, dtype=int), 0)
