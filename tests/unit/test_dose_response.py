"""Dose-response: the score's method by hand, pseudo-outcomes, smoothing, truths, refusals."""

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from support import overall, run, shuffled

from estimators.errors import Refusal, StudyError
from estimators.mechanisms.gps import fit_gps, fit_surface, response
from estimators.mechanisms.kernel import Pseudo, best_bandwidth, pseudo_outcomes, smooth

GPS = {"method": "gps", "draws": 100}
METHODS = [{}, GPS]


def made_up(n=400, seed=3, curve=1.0, moved=0.6):
    """E[Y(d)] = curve (0.6 d − 0.05 d²)."""
    rng = np.random.default_rng(seed)
    x1, x2 = rng.normal(size=(2, n))
    d = 5 + moved * x1 + 1.5 * rng.normal(size=n)
    y = curve * (0.6 * d - 0.05 * d**2) + 0.8 * x1 - 0.4 * x2 + rng.normal(size=n)
    return {"unit_id": np.arange(n), "y": y, "d": d, "x1": x1, "x2": x2}


def block(own=None, **more):
    decision = {"primary": "dose_response", "estimand": "DOSE_RESPONSE", "desired_direction": "more"}
    return {
        "question": "test", "design": "observational", "outcome": "y", "dose": "d", "covariates": ["x1", "x2"],
        "decision": {**decision, "minimum_effect": 0}, "options": {"dose_response": {"law": "normal", **(own or {})}},
        **more,
    }  # fmt: skip


def go(data, own=None, **more):
    return run(block(own, **more), data, "dose_response", "DOSE_RESPONSE")


@pytest.mark.parametrize("law", ["normal", "log_normal"])
def test_score_method_by_hand(law):
    data = made_up()
    d, y = np.exp(data["d"] / 5), data["y"]
    x = np.column_stack([np.ones(400), data["x1"], data["x2"]])
    u = np.log(d) if law == "log_normal" else d
    beta = np.linalg.lstsq(x, u, rcond=None)[0]
    sigma = np.sqrt(np.mean((u - x @ beta) ** 2))
    r = stats.norm.pdf(u, x @ beta, sigma)

    def columns(t, r):
        return np.column_stack([np.ones(400), t * np.ones(400), t**2 * np.ones(400), r, r**2, t * r])

    coef = np.linalg.lstsq(columns(d, r), y, rcond=None)[0]

    def mean(dose):
        return (
            columns(dose, stats.norm.pdf(np.log(dose) if law == "log_normal" else dose, x @ beta, sigma)) @ coef
        ).mean()

    result = go(data | {"d": d}, GPS | {"law": law, "doses": [2, 3, 4]})
    for dose in (2.0, 3.0, 4.0):
        assert overall(result, f"dose={dose:g}").estimate == pytest.approx(mean(dose), rel=1e-8)
    difference = overall(result, "dose=4 - dose=2")
    assert difference.estimate == pytest.approx(mean(4.0) - mean(2.0), rel=1e-8)
    fit = fit_gps(d, x[:, 1:], ("x1", "x2"), np.ones(400), law)
    slope = response(fit_surface(y, d, fit.score(d), np.ones(400)), fit, np.array([3.0]), np.ones(400))[1][0]
    assert slope == pytest.approx((mean(3.0001) - mean(2.9999)) / 0.0002, rel=1e-5)


def test_the_likelier_law_is_taken():
    data = made_up()
    x, ones = np.column_stack([data["x1"], data["x2"]]), np.ones(400)
    assert not fit_gps(data["d"] + 20, x, ("x1", "x2"), ones, "auto").is_log
    assert fit_gps(np.exp(data["d"]), x, ("x1", "x2"), ones, "auto").is_log


def plain_pseudo(u, value):
    grid = np.linspace(u.min(), u.max(), 10)
    return Pseudo(u, value, np.ones(len(u)), 0, grid, np.zeros((len(u), 10)), np.ones(10))


def test_smoothing_gives_back_a_quadratic_and_its_slope():
    u = np.random.default_rng(0).uniform(0, 10, 300)
    level, slope, psi, _ = smooth(plain_pseudo(u, 2 + 3 * u - 0.4 * u**2), np.ones(300), 1.0, np.array([2.0, 5.0]))
    np.testing.assert_allclose(level, [2 + 6 - 1.6, 2 + 15 - 10], rtol=1e-8)
    np.testing.assert_allclose(slope, [3 - 1.6, 3 - 4], rtol=1e-7)
    np.testing.assert_allclose(psi.mean(axis=0), 0, atol=1e-10)


def test_influence_of_the_smoother_is_its_derivative_in_a_units_weight():
    rng = np.random.default_rng(0)
    u = rng.uniform(0, 10, 80)
    pseudo = plain_pseudo(u, np.sin(u) + rng.normal(size=80))
    at = np.array([4.0])
    psi = smooth(pseudo, np.ones(80), 1.5, at)[2][:, 0]
    for i in (0, 17, 60):
        w = np.ones(80)
        w[i] = 1 + 1e-5
        slope = (smooth(pseudo, w, 1.5, at)[0][0] - smooth(pseudo, np.ones(80), 1.5, at)[0][0]) / 1e-5
        assert psi[i] / 80 == pytest.approx(slope, rel=1e-3, abs=1e-8)


def test_bandwidth_is_the_best_of_leave_one_out():
    """Against errors computed point by point, without bins."""
    rng = np.random.default_rng(2)
    u = rng.uniform(0, 10, 300)
    value = np.sin(u) + 0.3 * rng.normal(size=300)
    chosen = best_bandwidth(u, value, np.ones(300))

    def error(h):
        total = 0.0
        for i in range(300):
            k = stats.norm.pdf((u - u[i]) / h)
            k[i] = 0
            x = np.column_stack([np.ones(300), u - u[i]])
            total += (value[i] - np.linalg.solve((x * k[:, None]).T @ x, x.T @ (k * value))[0]) ** 2
        return total

    errors = {h: error(h) for h in u.std() * np.geomspace(300**-0.2, 1.0, 15)}
    assert errors[min(errors, key=lambda h: abs(h - chosen))] <= 1.01 * min(errors.values())
    assert chosen < 0.5 * u.std()


def test_pseudo_outcomes_without_confounding_are_the_outcomes_noise_around_the_curve():
    """Covariates that move neither dose nor outcome: the density ratio is near one and ξ near Y."""
    rng = np.random.default_rng(5)
    d = rng.normal(5, 1, 3000)
    y = 2 * d + 0.1 * rng.normal(size=3000)
    x = rng.normal(size=(3000, 2))
    pseudo = pseudo_outcomes(y, d, x, ("a", "b"), np.ones(3000), np.arange(3000) % 5, False)
    np.testing.assert_allclose(np.quantile(pseudo.ratio, [0.05, 0.95]), 1, atol=0.15)
    assert np.abs(pseudo.value - y).mean() < 0.03
    assert pseudo.clipped == 0


@pytest.mark.parametrize("own", METHODS)
def test_row_order_and_scale(own):
    data = made_up(200)
    result, other = go(data, own), go(shuffled(pa.table(data)), own)
    assert result.estimates == other.estimates
    big = go(data | {"y": 100 * data["y"] + 7}, own)
    row, scaled = overall(result), overall(big)
    np.testing.assert_allclose(
        [scaled.estimate, scaled.std_error], [100 * row.estimate, 100 * row.std_error], rtol=1e-6
    )
    wide = go(data | {"d": 10 * data["d"]}, own)
    assert overall(wide).estimate == pytest.approx(row.estimate / 10, rel=1e-6)


@pytest.mark.parametrize(("own", "options"), [({"bandwidth": 0.8}, {"folds": 1}), (GPS, {})])
def test_weights_are_repeated_rows(own, options):
    """Without cross-fitting, whose folds are those of rows."""
    data = made_up(150)
    weight = (np.arange(150) % 3 + 1).astype(float)
    repeated = {k: np.repeat(v, weight.astype(int)) for k, v in data.items()}
    repeated["unit_id"] = np.arange(len(repeated["y"]))
    own = {**own, "doses": [4, 5, 6]}
    weighted, counted = go(data | {"w": weight}, own, weight="w", **options), go(repeated, own, **options)
    for term in ("dose=4", "dose=6 - dose=4"):
        assert overall(weighted, term).estimate == pytest.approx(overall(counted, term).estimate, rel=1e-7)


@pytest.mark.parametrize("own", METHODS)
def test_clusters_of_repeated_rows(own):
    """Each row twice, in one cluster: the errors are those of the single rows, not smaller."""
    data = made_up(200)
    own = own | {"doses": [4, 6]} | ({} if own else {"bandwidth": 0.8})
    twice = {k: np.repeat(v, 2) for k, v in data.items()} | {"unit_id": np.arange(400), "g": np.repeat(range(200), 2)}
    alone, both = (go(data | {"g": np.arange(200)}, own, cluster="g"), go(twice, own, cluster="g"))
    for term in ("dose=4", "dose=6 - dose=4"):
        assert overall(both, term).std_error == pytest.approx(overall(alone, term).std_error, rel=0.2)
    assert overall(both).n_clusters == 200


@pytest.mark.parametrize("own", METHODS)
def test_rows_curves_and_balance(own):
    result = go(made_up(), own)
    terms = [e.term for e in result.estimates]
    assert terms[0] == "overall"
    assert len(terms) == 1 + 9 + 8
    assert all(e.status == "estimated" and e.conf_low < e.estimate < e.conf_high for e in result.estimates)
    for series in ("E[Y(d)]", "derivative"):
        points = [c for c in result.curves if c.series == series]
        assert len(points) == 31
        assert all(c.curve == "dose_response" and c.conf_low < c.y < c.conf_high for c in points)
    smd = {d.subject: d.value for d in result.diagnostics if d.metric == "dose_smd"}
    adjusted = {d.subject: d.value for d in result.diagnostics if d.metric == "dose_smd_adjusted"}
    assert set(smd) == {f"{x}, tercile {j}" for x in ("x1", "x2") for j in (1, 2, 3)}
    for tercile in (1, 3):
        assert abs(smd[f"x1, tercile {tercile}"]) > 0.3
        assert abs(adjusted[f"x1, tercile {tercile}"]) < 0.5 * abs(smd[f"x1, tercile {tercile}"])


def test_confounding_is_taken_out():
    """The naive slope is off by Cov(D, 0.8 x1) / Var(D); the doubly robust one is not."""
    data = made_up(4000, moved=1.5)
    naive = np.polyfit(data["d"], data["y"], 1)[0]
    row = overall(go(data))
    assert naive - 0.1 > 0.2
    assert row.conf_low < 0.1 < row.conf_high
    assert row.std_error < 0.05


def test_truth_is_covered():
    rows = [
        [overall(go(made_up(300, seed), {"doses": [4, 6]}), t) for t in ("dose=4", "overall")] for seed in range(60)
    ]
    for j, truth in enumerate((0.6 * 4 - 0.05 * 16, 0.6 - 0.5)):
        assert np.mean([r[j].conf_low <= truth <= r[j].conf_high for r in rows]) > 0.85
        assert np.mean([r[j].estimate for r in rows]) == pytest.approx(truth, abs=0.06)


def test_refusals():
    data = made_up(200)
    with pytest.raises(Refusal, match="dose 99 lies outside") as found:
        go(data, {"doses": [5, 99]})
    assert found.value.status == "not_identified"
    with pytest.raises(Refusal, match="'d' has 3 different values"):
        go(data | {"d": np.arange(200) % 3.0})
    with pytest.raises(Refusal, match="positive doses only"):
        go(data | {"d": data["d"] - 5}, {"law": "log_normal"})
    with pytest.raises(Refusal, match="covariates determine the dose") as found:
        go(data | {"d": 2 * data["x1"] + data["x2"]})
    assert found.value.status == "not_identified"
    with pytest.raises(Refusal, match="40 units are left"):
        go({k: v[:40] for k, v in data.items()})
    with pytest.raises(Refusal, match="bandwidth is 0"):
        go(data, {"bandwidth": 0.0})
    with pytest.raises(Refusal, match="draws is 10"):
        go(data, {"method": "gps", "draws": 10})
    with pytest.raises(Refusal, match="empty list"):
        go(data, {"doses": []})
    with pytest.raises(StudyError, match="must be a number, not 'x'"):
        go(data, {"doses": [4, "x"]})


def test_a_dose_without_neighbours_is_a_refused_row():
    data = made_up(200)
    data["d"][0] = 40.0
    row = overall(go(data, {"doses": [5, 40]}), "dose=40")
    assert row.status == "refused"
    assert "within the bandwidth" in row.status_reason
