"""Regression adjustment: interactions, estimands, variances."""

import numpy as np
import pyarrow as pa
import pytest
from support import observational, overall, run, shuffled, simulated

from estimators.errors import Refusal


def varied(n=400, seed=11):
    """An effect that varies with x1: 2 + x1."""
    data = simulated(n, seed)
    return data | {"y": data["y"] + data["t"] * data["x1"]}


def block(interactions="all", variance="HC2", **more):
    options = {"outcome": {"interactions": interactions}, "regression_adjustment": {"variance": variance}}
    return observational("y", "t", ["x1", "x2"], options=options, **more)


def go(data, estimand="ATE", **more):
    return overall(run(block(**more), data, "regression_adjustment", estimand))


def by_arm(data, estimand):
    """The g-formula with numpy's own least squares in each arm."""
    x = np.column_stack([np.ones(len(data["y"])), data["x1"], data["x2"]])
    arms = [np.linalg.lstsq(x[data["t"] == a], data["y"][data["t"] == a], rcond=None)[0] for a in (0, 1)]
    difference = x @ (arms[1] - arms[0])
    return difference.mean() if estimand == "ATE" else difference[data["t"] == 1].mean()


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_all_interactions_are_the_g_formula(estimand):
    data = varied()
    assert go(data, estimand).estimate == pytest.approx(by_arm(data, estimand), rel=1e-10)


def test_saturated_binary_covariate_by_hand():
    # Effects 1 where x1 = 0 (4 units, 2 treated) and 5 where x1 = 1 (4 units, 3 treated): ATE 3, ATT (2*1 + 3*5)/5.
    data = {
        "unit_id": range(8), "x1": [0.0, 0, 0, 0, 1, 1, 1, 1], "x2": [0.0] * 8, "t": [0.0, 0, 1, 1, 0, 1, 1, 1],
        "y": [0.0, 2, 1, 3, 4, 8, 9, 10],
    }  # fmt: skip
    assert go(data, "ATE").estimate == pytest.approx(3, abs=1e-12)
    assert go(data, "ATT").estimate == pytest.approx(17 / 5, abs=1e-12)


@pytest.mark.parametrize("variance", ["classical", "HC0", "HC1", "HC2", "HC3"])
def test_one_product_agrees_with_statsmodels(variance):
    import statsmodels.api as sm

    data = varied()
    row = go(data, interactions=["x1"], variance=variance)
    x = np.column_stack([data["t"], data["x1"], data["x2"], data["t"] * (data["x1"] - data["x1"].mean())])
    kind = "nonrobust" if variance == "classical" else variance
    fit = sm.OLS(data["y"], sm.add_constant(x)).fit(cov_type=kind, use_t=True)
    np.testing.assert_allclose([row.estimate, row.std_error], [fit.params[1], fit.bse[1]], rtol=1e-9)
    if variance not in ("HC2", "HC3"):  # which have degrees of freedom of their own: test_few_clusters
        np.testing.assert_allclose([row.conf_low, row.conf_high], fit.conf_int()[1], rtol=1e-9)
    assert row.variance_estimator == variance


def test_without_interactions_att_is_ate_is_the_coefficient():
    data = varied()
    ate, att = go(data, "ATE", interactions="none"), go(data, "ATT", interactions="none")
    x = np.column_stack([np.ones(400), data["t"], data["x1"], data["x2"]])
    assert (ate.estimate, ate.std_error) == (att.estimate, att.std_error)
    assert ate.estimate == pytest.approx(np.linalg.lstsq(x, data["y"], rcond=None)[0][1], rel=1e-10)


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
@pytest.mark.parametrize("weighted", [False, True])
def test_m_estimation_is_the_infinitesimal_jackknife(estimand, weighted):
    """ψ of a unit is n times the estimate's derivative in its weight; the covariates' mean moves too."""
    data, n = varied(120), 120
    base = np.random.default_rng(3).uniform(0.5, 2, n) if weighted else np.ones(n)
    x = np.column_stack([np.ones(n), data["x1"], data["x2"]])

    def effect(w):
        arms = []
        for a in (0, 1):
            inside = data["t"] == a
            root = np.sqrt(w[inside])
            arms.append(np.linalg.lstsq(x[inside] * root[:, None], data["y"][inside] * root, rcond=None)[0])
        return np.average(x @ (arms[1] - arms[0]), weights=w * (data["t"] if estimand == "ATT" else 1))

    steps = np.eye(n) * 1e-5
    psi = np.array([n * base[i] * (effect(base + steps[i]) - effect(base - steps[i])) / 2e-5 for i in range(n)])
    row = go(data | {"w": base}, estimand, variance="m_estimation", weight="w")
    assert row.estimate == pytest.approx(effect(base), rel=1e-9)
    assert row.std_error == pytest.approx(np.sqrt(psi @ psi) / n, rel=1e-6)
    assert row.degrees_of_freedom is None


def test_the_default_is_m_estimation_with_hc2s_leverage():
    """Σ (ψ_τ / √(1 − h) + √(n/(n − 1)) (x − x̄)'γ)² / n², with the hat matrix by numpy; Student's t."""
    data = varied(60)
    centred = {"x1": data["x1"] - data["x1"].mean(), "x2": data["x2"] - data["x2"].mean()}
    t, one = np.asarray(data["t"], dtype=float), np.ones(60)
    x = np.column_stack([one, data["x1"], data["x2"], t, t * centred["x1"], t * centred["x2"]])
    inverse = np.linalg.inv(x.T @ x)
    beta = inverse @ x.T @ data["y"]
    psi = 60 * (x @ inverse)[:, 3] * (data["y"] - x @ beta)
    means = (centred["x1"] * beta[4] + centred["x2"] * beta[5]) * np.sqrt(60 / 59)
    h = np.einsum("ij,jk,ik->i", x, inverse, x)
    row = overall(run(observational("y", "t", ["x1", "x2"]), data, "regression_adjustment", "ATE"))
    assert row.variance_estimator == "m_estimation_hc2"
    assert row.std_error == pytest.approx(np.sqrt(np.sum((psi / np.sqrt(1 - h) + means) ** 2)) / 60, rel=1e-9)
    assert 20 < row.degrees_of_freedom < 60


def test_the_covariates_sampling_adds_the_variance_of_the_effects():
    """Effects 2 + x1 with x1 of variance one: the mean of n of them adds 1/n to the variance."""
    data = varied(4_000)
    drawn, fixed = (go(data, variance=v).std_error ** 2 for v in ("m_estimation_hc2", "HC2"))
    assert drawn - fixed == pytest.approx(np.var(data["x1"]) / 4_000, rel=0.15)


def test_m_estimation_without_interactions_is_hc0():
    data = varied()
    moved, fixed = (go(data, interactions="none", variance=v) for v in ("m_estimation", "HC0"))
    assert moved.std_error == pytest.approx(fixed.std_error, rel=1e-10)


@pytest.mark.parametrize("variance", ["CR1", "m_estimation"])
def test_one_unit_a_cluster(variance):
    """Clusters of one unit: the robust variance times the small-sample factor."""
    data = varied() | {"g": np.arange(400)}
    clustered = go(data, variance=variance, cluster="g")
    base = go(data, variance="HC0" if variance == "CR1" else "m_estimation")
    factor = 400 / 399 * (399 / 394 if variance == "CR1" else 1)
    assert clustered.std_error == pytest.approx(base.std_error * np.sqrt(factor), rel=1e-10)
    assert (clustered.n_clusters, clustered.variance_estimator) == (400, "CR1")


@pytest.mark.parametrize("variance", ["CR1", "m_estimation"])
def test_repeating_every_row_in_its_cluster_changes_no_standard_error_but_the_factor(variance):
    data = varied(100) | {"g": np.arange(100)}
    twice = {k: np.repeat(v, 2) for k, v in data.items()} | {"unit_id": np.arange(200)}
    once, both = (go(d, variance=variance, cluster="g") for d in (data, twice))
    factor = (199 / 194) / (99 / 94) if variance == "CR1" else 1
    assert both.std_error == pytest.approx(once.std_error * np.sqrt(factor), rel=1e-10)


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_weights_are_repeated_rows(estimand):
    data = varied(120)
    weight = (np.arange(120) % 3 + 1).astype(float)
    repeated = {k: np.repeat(v, weight.astype(int)) for k, v in data.items()}
    repeated["unit_id"] = np.arange(len(repeated["y"]))
    weighted = go(data | {"w": weight}, estimand, weight="w")
    assert weighted.estimate == pytest.approx(go(repeated, estimand).estimate, rel=1e-10)
    assert weighted.effective_sample_size == pytest.approx(weight.sum() ** 2 / (weight**2).sum())


@pytest.mark.parametrize("variance", ["HC2", "m_estimation"])
def test_row_order_and_scale(variance):
    data = varied()
    row = go(data, variance=variance)
    other = go(shuffled(pa.table(data)), variance=variance)
    assert (row.estimate, row.std_error) == (other.estimate, other.std_error)
    big = go(data | {"y": 1e4 * data["y"]}, variance=variance)
    np.testing.assert_allclose([big.estimate, big.std_error], [1e4 * row.estimate, 1e4 * row.std_error], rtol=1e-10)


def test_r2_by_arm():
    data = varied()
    result = run(block(), data, "regression_adjustment", "ATE")
    found = {d.subject: d.value for d in result.diagnostics if d.metric == "r2"}
    for a, subject in ((0, "control"), (1, "treated")):
        inside = data["t"] == a
        x = np.column_stack([np.ones(inside.sum()), data["x1"][inside], data["x2"][inside]])
        y = data["y"][inside]
        left = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
        assert found[subject] == pytest.approx(1 - left @ left / np.sum((y - y.mean()) ** 2), rel=1e-9)


def test_refusals():
    data = varied()
    with pytest.raises(Refusal, match="explain the treatment") as refusal:
        go(data | {"x2": 1 - data["t"]})
    assert refusal.value.status == "not_identified"
    with pytest.raises(Refusal, match="cannot carry"):
        go({k: v[:5] for k, v in data.items()} | {"t": np.array([0.0, 1, 0, 1, 0])})
    with pytest.raises(Refusal, match="1 treated units"):
        go(data | {"t": (np.arange(400) == 3).astype(float)})


@pytest.mark.parametrize(("sampled", "fixed"), [("m_estimation_hc2", "CR2"), ("m_estimation_cr1", "CR1")])
def test_without_interactions_the_default_is_the_cluster_variance(sampled, fixed):
    """Nothing of the covariates' sampling is left."""
    data = varied() | {"g": np.arange(400) // 8}
    ours, plain = (go(data, interactions="none", variance=v, cluster="g") for v in (sampled, fixed))
    assert ours.std_error == pytest.approx(plain.std_error, rel=1e-10)
    assert ours.variance_estimator == plain.variance_estimator == fixed
    assert ours.degrees_of_freedom == pytest.approx(plain.degrees_of_freedom, rel=1e-9)
    assert ours.degrees_of_freedom == 49 if fixed == "CR1" else ours.degrees_of_freedom < 49
