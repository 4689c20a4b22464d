"""Inverse probability weighting: weights, means, variances, trimming."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from scipy import optimize, special, stats
from support import observational, overall, problem, run, shuffled, simulated

from estimators.errors import Refusal
from estimators.selection_on_observables.ipw import balancing_weights, ipw, weight_slopes

ESTIMANDS = ["ATE", "ATT", "ATO"]


SANDWICH = {"cluster_variance": "sandwich"}


def block(link="logit", **more):
    options = {"ipw": more.pop("ipw", {}), "propensity": {"link": link}, **more.pop("options", {})}
    return observational("y", "t", ["x1", "x2"], options=options, **more)


def go(data, estimand="ATE", **more):
    return overall(run(block(**more), data, "ipw", estimand))


def test_weights_by_hand():
    t, e = np.array([1.0, 0.0]), np.array([0.2, 0.2])
    np.testing.assert_allclose(balancing_weights(t, e, "ATE"), [5, 1.25])
    np.testing.assert_allclose(balancing_weights(t, e, "ATT"), [1, 0.25])
    np.testing.assert_allclose(balancing_weights(t, e, "ATO"), [0.8, 0.2])


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_slopes_are_the_weights_derivative(estimand):
    t, e = np.array([1.0, 0.0]), np.array([0.3, 0.6])
    numeric = (balancing_weights(t, e + 1e-6, estimand) - balancing_weights(t, e - 1e-6, estimand)) / 2e-6
    np.testing.assert_allclose(weight_slopes(t, e, estimand), numeric, rtol=1e-7)


@pytest.mark.parametrize(("estimand", "expected"), [("ATE", 3.0), ("ATT", 17 / 5), ("ATO", (1 + 5 * 0.75) / 1.75)])
def test_saturated_propensity_by_hand(estimand, expected):
    # Effects 1 (half treated) and 5 (three quarters treated) in strata of four; ATO weights e(1-e): 1/4 and 3/16.
    data = {
        "unit_id": range(8), "x1": [0.0, 0, 0, 0, 1, 1, 1, 1], "x2": [0.0] * 8, "t": [0.0, 0, 1, 1, 0, 1, 1, 1],
        "y": [0.0, 2, 1, 3, 4, 8, 9, 10],
    }  # fmt: skip
    assert go(data, estimand).estimate == pytest.approx(expected, rel=1e-9)


def stacked_by_number(data, estimand, link, weight=None):
    """The sandwich of all estimating equations, their derivative taken numerically."""
    y, t = data["y"], data["t"]
    w = np.ones(len(y)) if weight is None else weight
    x = np.column_stack([np.ones(len(y)), data["x1"], data["x2"]])

    def equations(theta):
        beta, means = theta[:3], theta[3:]
        eta = x @ beta
        e = stats.norm.cdf(eta) if link == "probit" else special.expit(eta)
        slope = stats.norm.pdf(eta) if link == "probit" else e * (1 - e)
        omega = w * balancing_weights(t, e, estimand)
        score = x * (w * (t - e) * slope / (e * (1 - e)))[:, None]
        return np.column_stack([score, omega * t * (y - means[0]), omega * (1 - t) * (y - means[1])])

    root = optimize.root(lambda th: equations(th).mean(axis=0), np.r_[0, 0, 0, y.mean(), y.mean()], tol=1e-13).x
    steps = np.eye(5) * 1e-6
    a = np.column_stack([(equations(root + h) - equations(root - h)).mean(axis=0) / 2e-6 for h in steps])
    psi = equations(root)
    inverse = np.linalg.inv(a)
    vcov = inverse @ (psi.T @ psi / len(y)) @ inverse.T / len(y)
    c = np.array([0, 0, 0, 1.0, -1.0])
    return root[3] - root[4], np.sqrt(c @ vcov @ c)


@pytest.mark.parametrize("link", ["logit", "probit"])
@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_stacked_agrees_with_numerical_m_estimation(estimand, link):
    data = simulated()
    row = go(data, estimand, link=link)
    np.testing.assert_allclose([row.estimate, row.std_error], stacked_by_number(data, estimand, link), rtol=1e-6)
    assert row.variance_estimator == "stacked"


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_stacked_with_weights_agrees_with_numerical_m_estimation(estimand):
    data = simulated(300)
    weight = np.random.default_rng(1).uniform(0.5, 3, 300)
    row = go(data | {"w": weight}, estimand, weight="w")
    np.testing.assert_allclose(
        [row.estimate, row.std_error], stacked_by_number(data, estimand, "logit", weight), rtol=1e-6
    )


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_fixed_weights_agree_with_statsmodels_hc0(estimand):
    import statsmodels.api as sm

    data = simulated()
    row = go(data, estimand, ipw={"variance": "fixed_weights"})
    e = problem(block(), data, "ipw").propensity().probability
    fit = sm.WLS(data["y"], sm.add_constant(data["t"]), weights=balancing_weights(data["t"], e, estimand))
    fit = fit.fit(cov_type="HC0")
    np.testing.assert_allclose([row.estimate, row.std_error], [fit.params[1], fit.bse[1]], rtol=1e-8)
    np.testing.assert_allclose([row.conf_low, row.conf_high], fit.conf_int()[1], rtol=1e-8)


@pytest.mark.parametrize("variance", ["stacked", "fixed_weights"])
def test_clusters(variance):
    """One unit a cluster gives the same but for G/(G-1); repeated rows in their cluster change nothing."""
    data = simulated(200)
    alone = go(data | {"g": np.arange(200)}, cluster="g", ipw={"variance": variance}, options=SANDWICH)
    plain = go(data, ipw={"variance": variance})
    assert alone.std_error == pytest.approx(plain.std_error * np.sqrt(200 / 199), rel=1e-10)
    twice = {k: np.repeat(v, 2) for k, v in data.items()} | {"unit_id": np.arange(400), "g": np.repeat(range(200), 2)}
    both = go(twice, cluster="g", ipw={"variance": variance}, options=SANDWICH)
    assert both.std_error == pytest.approx(alone.std_error, rel=1e-8)
    assert (both.n_clusters, both.variance_estimator) == (200, "cluster")


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_weights_are_repeated_rows(estimand):
    data = simulated(120)
    weight = (np.arange(120) % 3 + 1).astype(float)
    repeated = {k: np.repeat(v, weight.astype(int)) for k, v in data.items()}
    repeated["unit_id"] = np.arange(len(repeated["y"]))
    weighted = go(data | {"w": weight}, estimand, weight="w")
    assert weighted.estimate == pytest.approx(go(repeated, estimand).estimate, rel=1e-8)


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_row_order_and_scale(estimand):
    data = simulated()
    row = go(data, estimand)
    other = go(shuffled(pa.table(data)), estimand)
    assert (row.estimate, row.std_error) == (other.estimate, other.std_error)
    big = go(data | {"y": 100 * data["y"]}, estimand)
    np.testing.assert_allclose([big.estimate, big.std_error], [100 * row.estimate, 100 * row.std_error], rtol=1e-10)


def test_trim():
    data = simulated()
    e = problem(block(), data, "ipw").propensity().probability
    keep = (e >= 0.35) & (e <= 0.65)
    row = go(data, ipw={"trim": 0.35})
    omega = balancing_weights(data["t"], e, "ATE")[keep]
    y, t = data["y"][keep], data["t"][keep]
    expected = np.average(y[t == 1], weights=omega[t == 1]) - np.average(y[t == 0], weights=omega[t == 0])
    assert 0 < keep.sum() < 600
    assert (row.n_trimmed, row.n_units, row.n_treated) == (600 - keep.sum(), keep.sum(), t.sum())
    assert row.estimate == pytest.approx(expected, rel=1e-10)
    assert row.effective_sample_size == pytest.approx(omega.sum() ** 2 / (omega**2).sum())


def test_diagnostics():
    data = simulated()
    result = run(block(), data, "ipw", "ATO")
    smd = {d.subject: d for d in result.diagnostics if d.metric == "weighted_smd"}
    # Overlap weights from a logit balance its covariates' means exactly (Li, Morgan & Zaslavsky 2018, theorem 3).
    assert set(smd) == {"x1", "x2"}
    assert all(abs(d.value) < 1e-8 and d.is_passing and d.threshold == 0.1 for d in smd.values())
    e = problem(block(), data, "ipw").propensity().probability
    largest = {d.subject: d.value for d in result.diagnostics if d.metric == "max_weight"}
    assert largest["treated"] == pytest.approx(1 - e[data["t"] == 1].min())
    assert largest["control"] == pytest.approx(e[data["t"] == 0].max())
    assert largest["overall"] == max(largest["treated"], largest["control"])
    size = {d.subject for d in result.diagnostics if d.metric == "effective_sample_size"}
    assert size == {"overall", "treated", "control"}


def test_truth_is_covered():
    """Effect 2 in 200 samples: 95 % intervals of stacked errors cover it as often as they say."""
    rows = [go(simulated(300, seed)) for seed in range(200)]
    covered = np.mean([r.conf_low <= 2 <= r.conf_high for r in rows])
    assert 0.90 < covered < 0.99


def test_refusals():
    data = simulated()
    with pytest.raises(Refusal, match="predict the treatment perfectly"):
        go(data | {"x1": data["t"] * 10})
    with pytest.raises(Refusal, match="units are left"):
        go(data, ipw={"trim": 0.4999})
    with pytest.raises(Refusal, match=r"trim is 0\.6"):
        go(data, ipw={"trim": 0.6})
    with pytest.raises(Refusal, match="1 treated units"):
        go(data | {"t": (np.arange(600) == 3).astype(float)})


def test_a_propensity_of_one_on_its_own_side_is_a_weight_of_one():
    data = simulated(200)
    outlier = np.arange(200) == 0
    data["x1"] = np.where(outlier, 3000.0, data["x1"])
    data["t"] = np.where(outlier, 1.0, data["t"])
    for link in ("logit", "probit"):
        row = go(data, link=link)
        assert row.std_error > 0
        assert row.conf_low < row.estimate < row.conf_high


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_a_propensity_of_one_on_the_other_side_is_refused(estimand):
    data = simulated(200)
    p = problem(block(), data, "ipw")
    fit = p.propensity()
    broken = np.where(np.arange(200) == int(np.argmin(data["t"])), 1.0, fit.probability)
    p.cache["propensity", p.options.propensity] = dataclasses.replace(fit, probability=broken)
    with pytest.raises(Refusal, match="1 propensities are 0 or 1"):
        ipw(p, estimand)
