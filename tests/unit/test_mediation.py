"""Mediation: effects by hand, integrals, variances, sensitivity to the correlation of the errors, refusals."""

import numpy as np
import pyarrow as pa
import pytest
from scipy import integrate, special, stats
from support import observational, overall, problem, run, shuffled

from estimators.errors import Refusal
from estimators.mechanisms.effects import NAMES, worlds
from estimators.mechanisms.mediation import _analyse, _sides
from estimators.mechanisms.models import Layout, fit_sides
from estimators.mechanisms.rho import shifted, vanishing

DELTA = {"inference": "delta"}
PLAIN = {"inference": "delta", "variance": "model"}


def made_up(n=500, seed=3, rho=0.0, binary=(), interaction=0.0):
    """a = 0.8, b = 0.5, c' = 1; binary columns are signs of their latent indices."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    t = (rng.random(n) < special.expit(0.4 * x)).astype(float)
    e_m = rng.normal(size=n)
    e_y = rho * e_m + np.sqrt(1 - rho**2) * rng.normal(size=n)
    m = 0.2 + 0.8 * t + 0.3 * x + e_m
    m = (m > 0.5).astype(float) if "m" in binary else m
    y = -0.6 + 1.0 * t + 0.5 * m + interaction * t * m - 0.4 * x + e_y
    y = (y > 0).astype(float) if "y" in binary else y
    return {"unit_id": np.arange(n), "y": y, "t": t, "m": m, "x": x}


def block(own=None, covariates=("x",), **more):
    decision = {"primary": "mediation", "estimand": "ACME", "desired_direction": "more", "minimum_effect": 0}
    more = {"mediator": "m", "options": {"mediation": own or {}}, "decision": decision} | more
    return observational("y", "t", list(covariates), **more)


def go(data, estimand="ACME", own=None, term="overall", **more):
    rows = run(block(own, **more), data, "mediation", estimand).estimates
    (row,) = [r for r in rows if (r.estimand, r.term) == (estimand, term)]
    return row


def ols(y, *columns):
    """Coefficients and classical covariance."""
    x = np.column_stack([np.ones(len(y)), *columns])
    beta = np.linalg.solve(x.T @ x, x.T @ y)
    e = y - x @ beta
    return beta, np.linalg.inv(x.T @ x) * (e @ e) / (len(y) - x.shape[1])


def test_two_linear_models_are_products_of_coefficients_with_sobels_error():
    data = made_up()
    a, v_a = ols(data["m"], data["t"], data["x"])
    b, v_b = ols(data["y"], data["t"], data["m"], data["x"])
    c, v_c = ols(data["y"], data["t"], data["x"])
    acme, ade, total = (go(data, name, PLAIN) for name in ("ACME", "ADE", "TOTAL"))
    sobel = np.sqrt(a[1] ** 2 * v_b[2, 2] + b[2] ** 2 * v_a[1, 1])
    np.testing.assert_allclose([acme.estimate, acme.std_error], [a[1] * b[2], sobel], rtol=1e-8)
    np.testing.assert_allclose([ade.estimate, ade.std_error], [b[1], np.sqrt(v_b[1, 1])], rtol=1e-8)
    assert total.estimate == pytest.approx(c[1], rel=1e-9)
    result = run(block(PLAIN), data, "mediation", "ACME")
    found = {(d.metric, d.subject): d.value for d in result.diagnostics}
    expected = {"a": (a[1], v_a[1, 1]), "b": (b[2], v_b[2, 2]), "c": (c[1], v_c[1, 1]), "c_prime": (b[1], v_b[1, 1])}
    for name, (value, variance) in expected.items():
        assert found["path", name] == pytest.approx(value, rel=1e-8)
        assert found["path_std_error", name] == pytest.approx(np.sqrt(variance), rel=1e-8)
    assert found["sobel_z", "overall"] == pytest.approx(a[1] * b[2] / sobel, rel=1e-8)
    share = go_share(data, PLAIN)
    assert share.estimate == pytest.approx(a[1] * b[2] / c[1], rel=1e-9)


def go_share(data, own, term="overall"):
    rows = run(block(own), data, "mediation", "TOTAL").estimates
    (row,) = [r for r in rows if (r.estimand, r.term) == ("SHARE", term)]
    return row


def test_interaction_by_coefficients():
    data = made_up(interaction=0.7)
    t, m, x = data["t"], data["m"], data["x"]
    a, _ = ols(m, t, x)
    b, _ = ols(data["y"], t, m, t * m, x)
    own = {**DELTA, "interaction": True}
    for arm, term in ((0, "control"), (1, "treated")):
        assert go(data, "ACME", own, term).estimate == pytest.approx(a[1] * (b[2] + b[3] * arm), rel=1e-8)
        mean = a[0] + a[1] * arm + a[2] * x.mean()
        assert go(data, "ADE", own, term).estimate == pytest.approx(b[1] + b[3] * mean, rel=1e-8)
    middle = (go(data, "ACME", own, "control").estimate + go(data, "ACME", own, "treated").estimate) / 2
    assert go(data, "ACME", own).estimate == pytest.approx(middle, rel=1e-10)


@pytest.mark.parametrize("link", ["probit", "logit"])
def test_two_binary_columns_by_counting(link):
    """Saturated models are cell means: E[Y(t, M(t'))] = Σ_m P(Y | t, m) P(m | t')."""
    data = made_up(300, binary=("m", "y"))
    t, m, y = data["t"], data["m"], data["y"]
    p = [m[t == arm].mean() for arm in (0, 1)]
    q = [[y[(t == arm) & (m == level)].mean() for level in (0, 1)] for arm in (0, 1)]

    def world(arm, of_m):
        return (1 - p[of_m]) * q[arm][0] + p[of_m] * q[arm][1]

    own = {**DELTA, "interaction": True, "outcome_model": link, "mediator_model": link}
    for name, term, value in (
        ("ACME", "control", world(0, 1) - world(0, 0)), ("ACME", "treated", world(1, 1) - world(1, 0)),
        ("ADE", "control", world(1, 0) - world(0, 0)), ("ADE", "treated", world(1, 1) - world(0, 1)),
        ("TOTAL", "overall", y[t == 1].mean() - y[t == 0].mean()),
    ):  # fmt: skip
        assert go(data, name, own, term, covariates=()).estimate == pytest.approx(value, rel=1e-8)


@pytest.mark.parametrize("link", ["probit", "logit"])
def test_integral_over_a_normal_mediator(link):
    data = made_up(200, binary=("y",))
    p = problem(block({"outcome_model": link, "interaction": True}), data, "mediation")
    sides = _sides(p)
    fit = fit_sides(sides, True, True, None)
    a, b = fit.theta[fit.layout.of_m], fit.theta[fit.layout.of_y]
    sigma = np.exp(fit.theta[fit.layout.log_sigma_m])
    z = sides.z[:3]
    got = worlds(sides, fit.layout, fit.theta[:, None], z)[:, :, 0]
    inverse = special.ndtr if link == "probit" else special.expit
    for j, (t, t_of_m) in enumerate(((1, 1), (1, 0), (0, 1), (0, 0))):
        for i in range(3):
            mean = a[0] + a[1] * t_of_m + a[2] * z[i, 0]

            def density(m, t=t, i=i, mean=mean):
                return inverse(b[0] + b[1] * t + (b[2] + b[3] * t) * m + b[4] * z[i, 0]) * stats.norm.pdf(
                    m, mean, sigma
                )

            assert got[j, i] == pytest.approx(
                integrate.quad(density, mean - 10 * sigma, mean + 10 * sigma)[0], abs=1e-7
            )


def test_robust_error_is_the_infinitesimal_jackknife():
    """Two binary models: the delta method's influence values are derivatives in each unit's weight."""
    data = made_up(100, binary=("m", "y"))
    own = {**DELTA, "mediator_model": "logit", "interaction": True}
    slopes = []
    for i in range(100):
        ends = []
        for step in (1e-4, -1e-4):
            w = np.ones(100)
            w[i] += step
            ends.append(_analyse(problem(block(own, weight="w"), data | {"w": w}, "mediation")).effects)
        slopes.append((ends[0] - ends[1]) / 2e-4)
    expected = np.sqrt(np.sum(np.square(slopes), axis=0))
    for j, (estimand, term) in enumerate(NAMES):
        assert go(data, estimand, own, term).std_error == pytest.approx(expected[j], rel=1e-4)


@pytest.mark.parametrize("binary", [(), ("y",), ("m",), ("m", "y")])
def test_the_three_inferences_agree(binary):
    data = made_up(400, binary=binary)
    delta = go(data, "ACME", DELTA)
    for kind in ("quasi_bayesian", "bootstrap"):
        row = go(data, "ACME", {"inference": kind, "draws": 400})
        assert row.estimate == delta.estimate
        assert row.std_error == pytest.approx(delta.std_error, rel=0.15)
        assert abs(row.conf_low - delta.conf_low) < 0.5 * delta.std_error
        assert abs(row.conf_high - delta.conf_high) < 0.5 * delta.std_error
        assert row.p_value < 0.05


@pytest.mark.parametrize("own", [{}, {"inference": "bootstrap", "draws": 100}, DELTA])
def test_row_order_and_scale(own):
    data = made_up(200)
    for estimand in ("ACME", "ADE", "TOTAL"):
        row = go(data, estimand, own)
        other = go(shuffled(pa.table(data)), estimand, own)
        assert (row.estimate, row.std_error, row.conf_low) == (other.estimate, other.std_error, other.conf_low)
        big = go(data | {"y": 100 * data["y"] + 1e6, "m": 7 * data["m"] - 3}, estimand, own)
        np.testing.assert_allclose(
            [big.estimate, big.std_error, big.conf_high],
            [100 * row.estimate, 100 * row.std_error, 100 * row.conf_high], rtol=1e-6,
        )  # fmt: skip


@pytest.mark.parametrize("binary", [(), ("m", "y")])
def test_weights_are_repeated_rows(binary):
    data = made_up(150, binary=binary)
    weight = (np.arange(150) % 3 + 1).astype(float)
    repeated = {k: np.repeat(v, weight.astype(int)) for k, v in data.items()}
    repeated["unit_id"] = np.arange(len(repeated["y"]))
    for estimand in ("ACME", "ADE", "TOTAL"):
        weighted = go(data | {"w": weight}, estimand, DELTA, weight="w")
        assert weighted.estimate == pytest.approx(go(repeated, estimand, DELTA).estimate, rel=1e-8)


@pytest.mark.parametrize("binary", [(), ("m", "y")])
def test_clusters(binary):
    """One unit a cluster gives the same but for G/(G-1); repeated rows in their cluster change nothing but HC2."""
    data = made_up(200, binary=binary)
    plain = go(data, own=DELTA)
    alone = go(data | {"g": np.arange(200)}, own=DELTA, cluster="g")
    assert alone.std_error == pytest.approx(plain.std_error * np.sqrt(200 / 199), rel=1e-9)
    assert (alone.degrees_of_freedom, alone.n_clusters, alone.variance_estimator) == (199, 200, "delta_cluster")
    twice = {k: np.repeat(v, 2) for k, v in data.items()} | {"unit_id": np.arange(400), "g": np.repeat(range(200), 2)}
    both = go(twice, own=DELTA, cluster="g")
    assert both.std_error == pytest.approx(alone.std_error, rel=1e-8 if binary else 0.02)
    for kind in ("quasi_bayesian", "bootstrap"):
        drawn = go(twice, own={"inference": kind, "draws": 300}, cluster="g")
        assert drawn.std_error == pytest.approx(both.std_error, rel=0.2)


def test_rho_at_which_the_acme_vanishes_is_the_residuals_correlation():
    """Imai, Keele & Yamamoto 2010, theorem 4: zero at the correlation of the two reduced-form residuals."""
    data = made_up(300)
    p = problem(block(), data, "mediation")
    sides = _sides(p)
    fit = fit_sides(sides, False, True, None)
    x = np.column_stack([np.ones(300), data["t"], data["x"]])
    hat = np.eye(300) - x @ np.linalg.solve(x.T @ x, x.T)
    expected = np.corrcoef(hat @ data["y"], hat @ data["m"])[0, 1]
    # σ of the fits is over n - k; the correlation of residuals is not.
    assert vanishing(sides, fit) == pytest.approx(expected, abs=0.005)
    row = next(s for s in run(block(), data, "mediation", "ACME").sensitivity if s.method == "mediation_rho")
    assert row.value == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("binary", [(), ("y",), ("m",)])
def test_shifted_parameters_are_those_of_the_process(binary):
    """With errors of correlation 0.5, b = 0.5, c' = 1 and -0.4 come back at rho = 0.5 and not at 0."""
    data = made_up(60_000, rho=0.5, binary=binary)
    sides = _sides(problem(block(), data, "mediation"))
    fit = fit_sides(sides, False, True, None)
    per_unit = np.array([sides.y_unit, sides.y_unit / sides.m_unit, sides.y_unit / data["x"].std()])
    at = [fit.layout.m_size + j for j in (1, 2, 3)]
    np.testing.assert_allclose(shifted(sides, fit.layout, fit.theta, 0.5)[at] * per_unit, [1, 0.5, -0.4], atol=0.05)
    assert abs(fit.theta[at[1]] * per_unit[1] - 0.5) > 0.2
    np.testing.assert_array_equal(shifted(sides, fit.layout, fit.theta, 0.0), fit.theta)


@pytest.mark.parametrize("own", [{}, {"interaction": True}])
@pytest.mark.parametrize("binary", [(), ("y",)])
def test_the_curve_meets_the_estimate_at_zero_and_adds_up_to_the_total(binary, own):
    data = made_up(300, binary=binary)
    result = run(block(own | DELTA), data, "mediation", "ACME")
    curve = [c for c in result.curves if c.curve == "mediation_sensitivity"]
    acme, ade = ({c.x: c for c in curve if c.series == s} for s in ("ACME", "ADE"))
    assert acme[0.0].y == pytest.approx(overall(result).estimate, rel=1e-9)
    assert acme[0.0].conf_low < acme[0.0].y < acme[0.0].conf_high
    total = go(data, "TOTAL", own | DELTA).estimate
    for rho in acme:
        assert acme[rho].y + ade[rho].y == pytest.approx(total, abs=1e-9)
    assert [c.series for c in result.curves if c.curve == "mediation_paths"] == ["a", "b", "c", "c_prime"]


def test_sensitivity_says_where_it_has_no_formula():
    for own, binary in (({"outcome_model": "logit"}, ("y",)), ({}, ("m", "y"))):
        result = run(block(own | DELTA), made_up(300, binary=binary), "mediation", "ACME")
        (row,) = result.sensitivity
        assert row.value is None
        assert "no formula" in row.reading


def test_a_treatment_of_many_values():
    data = made_up(300)
    dose = data["t"] * 3 + np.random.default_rng(0).normal(size=300)
    one = go(data | {"t": dose}, own=DELTA)
    two = go(data | {"t": dose + 1e6}, own=DELTA | {"low": 1e6 + 1, "high": 1e6 + 3})
    np.testing.assert_allclose([two.estimate, two.std_error], [2 * one.estimate, 2 * one.std_error], rtol=1e-6)
    assert (two.contrast, two.n_treated) == ("1000003 - 1000001", None)


def test_share_is_refused_without_a_total_effect():
    data = made_up(200)
    data["y"] = np.random.default_rng(1).normal(size=200)
    for term in ("overall", "control", "treated"):
        row = go_share(data, DELTA, term)
        assert (row.status, row.estimate) == ("refused", None)
        assert "total effect holds zero" in row.status_reason


def test_truth_is_covered():
    rows = [go(made_up(200, seed), own={"draws": 300}) for seed in range(80)]
    assert 0.87 < np.mean([r.conf_low <= 0.4 <= r.conf_high for r in rows]) < 0.99
    assert np.mean([r.estimate for r in rows]) == pytest.approx(0.4, abs=0.03)


def test_refusals():
    data = made_up(200)
    with pytest.raises(Refusal, match=r"mediator 'm' is 1 in every row") as found:
        go(data | {"m": np.ones(200)})
    assert found.value.status == "not_identified"
    with pytest.raises(Refusal, match="'m' is an exact function") as found:
        go(data | {"m2": 2 * data["m"] + 1}, own={"covariates": ["x", "m2"]})
    assert found.value.status == "not_identified"
    with pytest.raises(Refusal, match="covariates explain 't' in the model of 'm'") as found:
        go(data | {"t2": data["t"] - data["x"]}, own={"covariates": ["x", "t2"]})
    assert found.value.status == "not_identified"
    with pytest.raises(Refusal, match="'y' is an exact function"):
        go(data | {"y": data["m"] + data["t"]})
    with pytest.raises(Refusal, match="draws is 10"):
        go(data, own={"draws": 10})
    with pytest.raises(Refusal, match="both 1"):
        go(data, own={"low": 1.0})
    with pytest.raises(Refusal, match="outcome_model is probit, and 'y' has values"):
        go(data, own={"outcome_model": "probit"})
    with pytest.raises(Refusal, match="separate the zeros from the ones"):
        go(data | {"y": (data["m"] > 0.3).astype(float)})
    with pytest.raises(Refusal, match="1 treated units"):
        go(data | {"t": (np.arange(200) == 3).astype(float)})
    few = {k: v[:8] for k, v in data.items()} | {f"z{j}": np.random.default_rng(j).normal(size=8) for j in range(6)}
    with pytest.raises(Refusal, match="cannot be fitted: 8 rows"):
        go(few | {"t": np.arange(8) % 2.0}, covariates=("x", *(f"z{j}" for j in range(6))))


def test_layout_counts_every_parameter():
    assert Layout(2, "linear", "linear", True).size == (4 + 1) + (6 + 1)
    assert Layout(2, "probit", "logit", False).size == 4 + 5
