from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from support import DECISION, overall, run

from estimators import estimate
from estimators.errors import Refusal
from estimators.inference import wald

T, AT = 60, 37


def block(**options: Any) -> dict[str, Any]:
    return {
        "question": "q", "design": "its", "outcome": "y", "time": "month", "intervention_time": AT,
        "decision": {**DECISION, "primary": "its", "estimand": "ATT"}, "options": {"its": options},
    }  # fmt: skip


def series(seed: int = 1, noise: float = 1.0) -> dict[str, Any]:
    month = np.arange(1, T + 1)
    after = month >= AT
    y = 10 + 0.2 * month + 3 * after - 0.1 * (month - AT) * after + noise * np.random.default_rng(seed).normal(size=T)
    return {"unit_id": np.arange(T), "month": month, "y": y}


def design() -> np.ndarray:
    month = np.arange(1, T + 1) - AT
    after = month >= 0
    return np.column_stack([np.ones(T), month, after, month * after]).astype(float)


def test_without_noise_the_changes_are_found_exactly() -> None:
    result = run(block(), series(noise=0.0), "its", "ATT")
    months = np.arange(T - AT + 1)
    assert overall(result, "level_change").estimate == pytest.approx(3.0)
    assert overall(result, "slope_change").estimate == pytest.approx(-0.1)
    assert overall(result).estimate == pytest.approx((3 - 0.1 * months).mean())
    assert overall(result, "cumulative").estimate == pytest.approx((3 - 0.1 * months).sum())
    assert overall(result, "last_period").estimate == pytest.approx(3 - 0.1 * months[-1])


@pytest.mark.parametrize("lag", [None, 0, 5])
def test_newey_west_is_that_of_statsmodels(lag: int | None) -> None:
    data = series()
    result = run(block(lag=lag, variance="newey_west"), data, "its", "ATT")
    used = int(4 * (T / 100) ** (2 / 9)) if lag is None else lag
    peer = sm.OLS(data["y"], design()).fit(
        cov_type="HAC", cov_kwds={"maxlags": used, "use_correction": True}, use_t=True
    )
    for term, j in (("level_change", 2), ("slope_change", 3)):
        row = overall(result, term)
        assert row.estimate == pytest.approx(peer.params[j], rel=1e-10)
        assert row.std_error == pytest.approx(peer.bse[j], rel=1e-9)
        assert (row.conf_low, row.conf_high) == pytest.approx(tuple(peer.conf_int()[j]), rel=1e-9)
    after = design()[AT - 1 :]
    gradient = (after - after * [1, 1, 0, 0]).mean(axis=0)
    assert overall(result).std_error == pytest.approx(np.sqrt(gradient @ peer.cov_params() @ gradient), rel=1e-9)


@pytest.mark.parametrize("quasi", [True, False])
def test_poisson_is_that_of_statsmodels(quasi: bool) -> None:
    rng = np.random.default_rng(3)
    x, population = design(), rng.integers(900, 1100, T).astype(float)
    x = np.column_stack([x, np.cos(2 * np.pi * np.arange(1, T + 1) / 12), np.sin(2 * np.pi * np.arange(1, T + 1) / 12)])
    y = rng.poisson(population * np.exp(-3 + x @ [0, 0.004, -0.2, 0.003, 0.1, 0.05])).astype(float)
    data = {"unit_id": np.arange(T), "month": np.arange(1, T + 1), "y": y, "people": population}
    options = {"family": "poisson", "harmonics": 1, "variance": "robust" if quasi else "model"}
    result = run({**block(**options), "exposure": "people"}, data, "its", "ATT")
    peer = sm.GLM(y, x, family=sm.families.Poisson(), offset=np.log(population)).fit(scale="X2" if quasi else 1.0)
    row = overall(result, "rate_ratio")
    assert row.estimate == pytest.approx(np.exp(peer.params[2]), rel=1e-9)
    interval = wald(peer.params[2], peer.bse[2], T - 6)
    assert (row.conf_low, row.conf_high) == pytest.approx((np.exp(interval.conf_low), np.exp(interval.conf_high)))
    without = x * [1, 1, 0, 0, 1, 1]
    mu1, mu0 = (population * np.exp(z @ peer.params) for z in (x, without))
    assert overall(result).estimate == pytest.approx((mu1 - mu0)[AT - 1 :].mean(), rel=1e-9)
    gradient = (x * mu1[:, None] - without * mu0[:, None])[AT - 1 :].mean(axis=0)
    want = np.sqrt(gradient @ peer.cov_params() @ gradient)
    assert overall(result).std_error == pytest.approx(want, rel=1e-7)


def test_units_are_averaged_with_their_weights_and_the_order_of_rows_does_not_matter() -> None:
    one = series()
    two = {name: np.concatenate([one[name], one[name]]) for name in one}
    two["unit_id"] = np.repeat([1, 2], T)
    two["y"] = np.concatenate([one["y"] - 2, one["y"] + 1])
    two["w"] = np.repeat([1.0, 2.0], T)
    order = np.random.default_rng(0).permutation(2 * T)
    shuffled = {name: values[order] for name, values in two.items()}
    want = run(block(), one, "its", "ATT")
    got = run({**block(), "weight": "w"}, shuffled, "its", "ATT")
    for term in ("overall", "level_change", "slope_change"):
        assert overall(got, term).estimate == pytest.approx(overall(want, term).estimate, abs=1e-9)
        assert overall(got, term).std_error == pytest.approx(overall(want, term).std_error, abs=1e-9)


def test_counts_of_units_are_added_up() -> None:
    one = {**series(), "people": np.full(T, 100.0)}
    one["y"] = np.random.default_rng(4).poisson(50, T).astype(float)
    half = {name: np.concatenate([values, values]) for name, values in one.items()}
    half |= {"unit_id": np.repeat([1, 2], T), "y": half["y"] / 2, "people": half["people"] / 2}
    poisson = {**block(family="poisson"), "exposure": "people"}
    a, b = (run(poisson, data, "its", "ATT") for data in (one, half))
    assert overall(a).estimate == pytest.approx(overall(b).estimate, rel=1e-10)


def test_scaling_the_outcome_scales_the_effect() -> None:
    one = series()
    a, b = (run(block(), {**one, "y": one["y"] * k}, "its", "ATT") for k in (1.0, 100.0))
    assert overall(b).estimate == pytest.approx(100 * overall(a).estimate)
    assert overall(b).std_error == pytest.approx(100 * overall(a).std_error)
    assert overall(b).p_value == pytest.approx(overall(a).p_value)


def test_the_counterfactual_path_is_the_old_trend() -> None:
    data = series()
    result = run(block(), data, "its", "ATT")
    fit = np.polyfit(data["month"][: AT - 1], data["y"][: AT - 1], 1)
    points = {p.x: p for p in result.curves if p.series == "counterfactual"}
    assert sorted(points) == list(range(AT, T + 1))
    for month, point in points.items():
        assert point.y == pytest.approx(np.polyval(fit, month))
        assert point.conf_low < point.y < point.conf_high
    widths = [points[m].conf_high - points[m].conf_low for m in sorted(points)]
    assert widths == sorted(widths), "the path is less certain the further it is foretold"


def test_the_placebo_sees_a_change_that_was_there_before() -> None:
    data = series()
    moved = {**data, "y": data["y"] + 5 * (data["month"] >= 19)}
    found = [
        next(d for d in run(block(), units, "its", "ATT").diagnostics if d.metric == "placebo_level_change")
        for units in (data, moved)
    ]
    assert [d.is_passing for d in found] == [True, False]
    assert found[1].subject == "time=19"


def test_autocorrelation_is_seen() -> None:
    data = series(noise=0.0)
    e = np.zeros(T)
    shocks = np.random.default_rng(5).normal(size=T)
    for t in range(1, T):
        e[t] = 0.8 * e[t - 1] + shocks[t]
    result = run(block(), {**data, "y": data["y"] + e}, "its", "ATT")
    first = next(d for d in result.diagnostics if d.subject == "lag=1")
    assert not first.is_passing
    assert next(d.value for d in result.diagnostics if d.metric == "durbin_watson") < 1


@pytest.mark.parametrize(
    ("changed", "options", "word"),
    [
        ({"at": 4}, {}, "3 periods before the intervention at 4, and 6 are needed"),
        ({"at": 59}, {}, "2 periods from the intervention at 59, and 3 are needed"),
        ({}, {"harmonics": 40}, "60 periods cannot carry 8"),
        ({}, {"family": "poisson"}, "negative counts"),
        ({"y": np.where(np.arange(T) < 40, 3.0, 0.0), "at": 41}, {"family": "poisson"}, "no event after"),
        ({}, {"lag": 60, "variance": "newey_west"}, "lag is 60"),
        ({}, {"season": 0.0, "harmonics": 1}, "season is 0"),
        ({}, {"harmonics": 12, "season": 12.0}, "cannot be told apart"),
    ],
)
def test_refusals(changed: dict[str, Any], options: dict[str, Any], word: str) -> None:
    units = series() | {k: v for k, v in changed.items() if k != "at"}
    if word == "negative counts":
        units["y"] = units["y"] - 20
    with pytest.raises(Refusal, match=word):
        run({**block(**options), "intervention_time": changed.get("at", AT)}, units, "its", "ATT")


def test_it_runs_from_the_study_and_its_row_is_primary() -> None:
    rows = estimate("s", block(), series()).to_pylist()
    assert {row["estimator"] for row in rows} == {"its"}
    (primary,) = [row for row in rows if row["is_primary"]]
    assert primary["term"] == "overall"
    assert {c["series"] for c in json.loads(rows[0]["curves"])} == {"observed", "fitted", "counterfactual"}


def test_autoregressive_errors_widen_the_interval_as_they_should() -> None:
    """The standard deviation of the estimate over series is the standard error that each series gives."""
    rng, found = np.random.default_rng(6), []
    for _ in range(150):
        e = np.zeros(T + 50)
        for t, shock in enumerate(rng.normal(size=T + 50)):
            e[t] = 0.5 * e[t - 1] + shock
        row = overall(run(block(), {**series(noise=0.0), "y": e[50:]}, "its", "ATT"), "level_change")
        found.append((row.estimate, row.std_error))
    estimates, errors = np.array(found).T
    # the standard deviation of 150 draws is off by 6 % now and then
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(estimates.std(), rel=0.18)
    narrow = overall(run(block(variance="model"), series(), "its", "ATT"), "level_change")
    assert narrow.variance_estimator == "HC1"


def test_errors_that_are_alike_give_the_classical_standard_error() -> None:
    """Averaged over series, rho is found near zero."""
    x = design()
    classical = np.sqrt(np.diag(np.linalg.inv(x.T @ x)))[2]
    errors = [overall(run(block(), series(seed), "its", "ATT"), "level_change").std_error for seed in range(60)]
    assert np.mean(errors) == pytest.approx(classical, rel=0.1)


def drifting(seed: int = 1) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.normal(size=T)) / 3
    return {**series(seed), "x": x, "y": series(seed)["y"] + 2 * x + np.concatenate([[0.0], x[:-1]])}


@pytest.mark.parametrize("lags", [0, 1, 2])
def test_covariates_and_their_lags_are_those_of_statsmodels(lags: int) -> None:
    data = drifting()
    result = run({**block(lags=lags, variance="newey_west", lag=3), "covariates": ["x"]}, data, "its", "ATT")
    x = np.column_stack(
        [design(), *(np.concatenate([np.full(j, np.nan), data["x"][: T - j]]) for j in range(lags + 1))]
    )
    peer = sm.OLS(data["y"][lags:], x[lags:]).fit(
        cov_type="HAC", cov_kwds={"maxlags": 3, "use_correction": True}, use_t=True
    )
    for term, j in (("level_change", 2), ("slope_change", 3)):
        row = overall(result, term)
        assert row.estimate == pytest.approx(peer.params[j], rel=1e-9)
        assert row.std_error == pytest.approx(peer.bse[j], rel=1e-8)
    assert (overall(result).n_units, overall(result).n_trimmed) == (T - lags, lags or None)
    foretold = {p.x: p.y for p in result.curves if p.series == "counterfactual"}
    without = x[AT - 1 :].copy()
    without[:, 2:4] = 0.0
    assert list(foretold.values()) == pytest.approx(list(without @ peer.params), rel=1e-9)


def test_covariates_of_counts_are_those_of_statsmodels() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=T)
    data = {**series(), "x": x, "y": rng.poisson(np.exp(3 + 0.3 * x)).astype(float)}
    result = run({**block(family="poisson"), "covariates": ["x"]}, data, "its", "ATT")
    peer = sm.GLM(data["y"], np.column_stack([design(), x]), family=sm.families.Poisson()).fit(scale="X2")
    assert overall(result, "rate_ratio").estimate == pytest.approx(np.exp(peer.params[2]), rel=1e-8)


def test_a_covariate_that_the_trend_holds_is_named() -> None:
    data = {**series(), "x": 3.0 * np.arange(T)}
    with pytest.raises(Refusal, match="the covariate 'x' cannot be told from trend"):
        run({**block(), "covariates": ["x"]}, data, "its", "ATT")


def test_lags_want_equal_periods() -> None:
    data = {name: np.delete(values, 10) for name, values in drifting().items()}
    with pytest.raises(Refusal, match="not equally far apart"):
        run({**block(lags=1), "covariates": ["x"]}, data, "its", "ATT")


def test_autocorrelation_warns_and_a_random_walk_is_refused() -> None:
    rng = np.random.default_rng(0)
    u = rng.normal(size=T)
    for t in range(1, T):
        u[t] += 0.6 * u[t - 1]
    mild = run(block(), {**series(noise=0.0), "y": series(noise=0.0)["y"] + u}, "its", "ATT")
    found = {(d.metric, d.subject): d for d in mild.diagnostics}
    assert overall(mild).status == "estimated"
    assert found["error_autocorrelation", "lag=1"].value > 0.3
    assert found["autocorrelation_left", "lag=1"].is_passing
    month = np.arange(-60, 61)
    slow = {"unit_id": month, "month": month + AT, "y": np.sin(month / 15.0)}
    with pytest.raises(Refusal, match="cannot be told from an effect"):
        run(block(), slow, "its", "ATT")
