"""Causal forest: doubly robust averages of its effects, calibration, determinism, clusters, and refusals."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support import observational, overall, problem, run, shuffled

from estimators import estimate
from estimators.errors import Refusal
from estimators.heterogeneity.causal_forest import calibration, forest_scores
from estimators.heterogeneity.forest import grown
from estimators.selection_on_observables.ope import scores

TREES = {"n_estimators": 60}


def units(n: int = 400, seed: int = 3, slope: float = 1.0, continuous: bool = False) -> dict[str, np.ndarray]:
    """τ = 1 + slope · v + (g − 1/2); v, g and x are confounders."""
    rng = np.random.default_rng(seed)
    v, x, g = rng.normal(size=n), rng.normal(size=n), (rng.random(n) < 0.5).astype(float)
    index = 0.5 * v - 0.5 * x
    t = index + rng.normal(size=n) if continuous else (rng.random(n) < 1 / (1 + np.exp(-index))).astype(float)
    tau = 1 + slope * v + slope * (g - 0.5)
    return {"unit_id": np.arange(n), "y": tau * t + v + x + rng.normal(size=n), "t": t, "v": v, "x": x, "g": g}


def block(own: dict[str, Any] | None = None, options: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    options = {"causal_forest": {**TREES, **(own or {})}, **(options or {})}
    return {**observational("y", "t", ["x", "v", "g"], options=options), **more}


def go(data: Any, estimand: str = "ATE", own: dict[str, Any] | None = None, **more: Any) -> Any:
    return run(block(own, **more), data, "causal_forest", estimand)


def numbers(result: Any) -> dict[str, tuple[Any, Any]]:
    return {e.term: (e.estimate, e.std_error) for e in result.estimates}


def told(result: Any) -> dict[tuple[str, str], float]:
    return {(d.metric, d.subject): d.value for d in result.diagnostics}


def made(data: Any, **more: Any) -> Any:
    p = problem(block(**more), data, "causal_forest")
    return p, grown(p)


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_scores_are_aipw_s_with_the_forest_s_arms(estimand: str) -> None:
    """With μ₀ = m − e τ̂ and μ₁ = μ₀ + τ̂ the scores are those of ope."""
    p, forest = made(units())
    r = forest.residuals
    mu0 = p.y - r.u - r.e * forest.tau
    held = dataclasses.replace(p.nuisances(), propensity=r.e, mu0=mu0, mu1=mu0 + forest.tau)
    with_forest = problem(block(), units(), "ope")
    with_forest.nuisances()
    for key in [k for k in with_forest.cache if isinstance(k, tuple) and k[0] == "nuisances"]:
        with_forest.cache[key] = held
    np.testing.assert_allclose(forest_scores(p, forest, estimand), scores(with_forest, estimand), atol=1e-9)


def test_truth_is_found() -> None:
    data = units(2_000)
    result = go(data, own={"n_estimators": 100}, effect_modifiers=["v", "g"])
    rows = {e.term: e for e in result.estimates}
    for term, value in {"overall": 1.0, "g=0": 0.5, "g=1": 1.5}.items():
        assert abs(rows[term].estimate - value) < 3 * rows[term].std_error
        assert rows[term].std_error < 0.15
    thirds = [e.estimate for t, e in rows.items() if t.startswith("v=")]
    assert thirds == sorted(thirds)
    assert len(thirds) == 3
    notes = told(result)
    assert abs(notes["calibration", "mean"] - 1) < 0.2
    assert abs(notes["calibration", "differential"] - 1) < 0.4
    assert notes["calibration_p", "differential"] < 1e-4
    assert notes["importance", "v"] > notes["importance", "g"] > 0
    assert notes["importance", "v"] + notes["importance", "g"] == pytest.approx(1)
    assert 0.4 < notes["cate_interval_excludes_zero", "overall"] < 1
    assert notes["group_contrast", "g=1 - g=0"] == pytest.approx(rows["g=1"].estimate - rows["g=0"].estimate)
    _, forest = made(data, effect_modifiers=["v", "g"])
    assert np.corrcoef(forest.tau, 0.5 + data["v"] + data["g"])[0, 1] > 0.9
    at = np.array([[-1.0, 0.0], [1.0, 1.0]])
    np.testing.assert_allclose(forest.predict(at), [-0.5, 2.5], atol=0.6)


def test_att_differs_as_the_treated_do() -> None:
    data = units(2_000)
    true_att = np.mean((0.5 + data["v"] + data["g"])[data["t"] == 1])
    row = overall(go(data, "ATT", own={"n_estimators": 100}))
    assert abs(row.estimate - true_att) < 3 * row.std_error
    assert true_att > 1.1


def test_continuous_treatment() -> None:
    row = overall(go(units(1_500, continuous=True)))
    assert abs(row.estimate - 1) < 3 * row.std_error
    assert row.std_error < 0.2
    assert row.contrast == "per unit"
    assert row.n_treated is None


def test_a_continuous_treatment_has_no_treated() -> None:
    with pytest.raises(Refusal, match="'t' is continuous, so there are no treated"):
        go(units(400, continuous=True), estimand="ATT")


def test_continuous_treatment_of_unequal_spread_with_few_modifiers() -> None:
    """The effect varies with x, which no tree sees: weights by the spread given all covariates still average it."""
    data = units(4_000, slope=0.0, continuous=True)
    rng = np.random.default_rng(1)
    own = np.where(data["x"] > 0, 2.0, 0.5) * rng.normal(size=4_000)
    data["t"] = 0.5 * data["v"] - 0.5 * data["x"] + own
    tau = 1 + 2.0 * (data["x"] > 0)
    # Linear in the columns given t's mean, so that least squares is right for E[T | X] (and needs not be for the rest).
    data["y"] = tau * own + data["v"] + data["x"] + rng.normal(size=4_000)
    row = overall(go(data, effect_modifiers=["v"]))
    assert abs(row.estimate - tau.mean()) < 3.5 * row.std_error
    assert abs(np.sum(own**2 * tau) / np.sum(own**2) - tau.mean()) > 8 * row.std_error


def test_no_heterogeneity_is_not_found() -> None:
    """One-sided p-values of the differential prediction where all effects are the same."""
    ps = [told(go(units(300, seed, slope=0.0)))["calibration_p", "differential"] for seed in range(30)]
    assert np.mean([p is not None and p < 0.05 for p in ps]) <= 0.15


def test_calibration_by_statsmodels() -> None:
    import statsmodels.api as sm

    p, forest = made(units())
    r, mean = forest.residuals, forest.tau.mean()
    fit = sm.OLS(r.u, np.column_stack([r.v * mean, r.v * (forest.tau - mean)])).fit(cov_type="HC3")
    found = calibration(p, forest)
    np.testing.assert_allclose(found.estimate, fit.params, rtol=1e-8)
    np.testing.assert_allclose(found.std_error, fit.bse, rtol=1e-8)


def test_row_order_does_not_matter() -> None:
    data = pa.table(units())
    assert go(data, effect_modifiers=["v", "g"]) == go(shuffled(data), effect_modifiers=["v", "g"])


def test_units_of_measurement_do_not_matter() -> None:
    data = units()
    plain = go(data)
    scaled = go({**data, "y": 100 * data["y"] + 7, "v": 1e9 + 1000 * data["v"]})
    for term, pair in numbers(plain).items():
        np.testing.assert_allclose(numbers(scaled)[term], 100 * np.array(pair), rtol=1e-5)
    for key in (("calibration", "differential"), ("importance", "v"), ("cate_interval_excludes_zero", "overall")):
        assert told(scaled)[key] == pytest.approx(told(plain)[key], rel=1e-4)


def test_equal_weights_change_nothing_and_zero_weights_leave_out() -> None:
    data = units()
    weighted = numbers(go({**data, "w": np.full(400, 3.0)}, weight="w"))
    assert weighted["overall"] == pytest.approx(numbers(go(data))["overall"], rel=1e-6)
    keep = np.arange(400) % 4 > 0
    half = {k: v[keep] for k, v in data.items()}
    # The same folds: they belong to the unit.
    dropped = overall(go({**data, "w": keep.astype(float)}, weight="w"))
    assert dropped.estimate == pytest.approx(overall(go(half)).estimate, rel=1e-6)


def test_weights_reach_the_mean() -> None:
    """Units with a larger effect count for more: the weighted mean of the effects is the estimand."""
    data = units(2_000)
    weight = np.where(data["g"] == 1, 3.0, 1.0)
    row = overall(go({**data, "w": weight}, weight="w"))
    truth = float(np.average(0.5 + data["v"] + data["g"], weights=weight))
    assert abs(row.estimate - truth) < 3 * row.std_error
    assert truth > 1.2


def test_clusters_are_kept_together() -> None:
    data = units()
    data["c"] = data["unit_id"] % 40
    p, forest = made(data, cluster="c")
    assert forest.std_error is None
    result = go(data, cluster="c")
    assert ("cate_interval_excludes_zero", "overall") not in told(result)
    assert (overall(result).n_clusters, overall(result).variance_estimator) == (40, "cluster")
    # A fold's outcomes move none of its own predictions, given the residuals.
    fold = p.folds() == 2
    r = forest.residuals
    other = problem(block(cluster="c"), {**data, "y": np.where(fold, data["y"] + 5, data["y"])}, "causal_forest")
    key = next(k for k in p.cache if isinstance(k, tuple) and k[0] == "nuisances")
    other.cache[key] = p.cache[key]
    moved = grown(other)
    unit, unit_moved = np.sqrt(np.mean(r.u**2)), np.sqrt(np.mean(moved.residuals.u**2))
    assert unit != unit_moved
    np.testing.assert_allclose(moved.tau[fold], forest.tau[fold], rtol=1e-6)
    assert not np.allclose(moved.tau[~fold], forest.tau[~fold], rtol=1e-3)


def test_learned_nuisances() -> None:
    row = overall(go(units(), own={"learner": "boosting"}))
    assert abs(row.estimate - 1) < 4 * row.std_error
    assert row.estimate != overall(go(units())).estimate


def test_curves_carry_the_pictures() -> None:
    result = go(units())
    by_name: dict[str, list[Any]] = {}
    for point in result.curves:
        by_name.setdefault(point.curve, []).append(point)
    assert set(by_name) == {"cate_distribution", "cate_interval", "feature_importance", "cate_landscape"}
    assert sum(p.y for p in by_name["cate_distribution"]) == pytest.approx(1)
    interval = by_name["cate_interval"]
    assert [p.y for p in interval] == sorted(p.y for p in interval)
    assert all(p.conf_low < p.y < p.conf_high for p in interval)
    assert {p.x_label for p in by_name["feature_importance"]} == {"x", "v", "g"}
    assert by_name["feature_importance"][0].x_label == "v"
    assert sum(p.y for p in by_name["feature_importance"]) == pytest.approx(1)
    landscape = by_name["cate_landscape"]
    assert len({p.series for p in landscape}) * len({p.x for p in landscape}) == len(landscape)
    assert all(p.conf_low < p.y < p.conf_high for p in landscape)
    assert go(units(), "ATT").curves == ()


def test_the_forest_is_grown_once_for_both_estimands() -> None:
    p = problem(block(), units(), "causal_forest")
    assert grown(p) is grown(p)


def test_refusals() -> None:
    data = units()
    with pytest.raises(Refusal, match=r"n_estimators is 30, no multiple of 4\. Give 32"):
        go(data, own={"n_estimators": 30})
    with pytest.raises(Refusal, match="40 units cannot grow"):
        go({k: v[:40] for k, v in data.items()})
    with pytest.raises(Refusal, match="no effect modifier varies"):
        go({**data, "h": np.ones(400)}, covariates=["x", "v", "g", "h"], effect_modifiers=["h"])
    with pytest.raises(Refusal, match="modifier 'h' is not among the covariates"):
        go({**data, "h": data["g"] * 2}, effect_modifiers=["h"])
    with pytest.raises(Refusal, match="clip is"):
        go(data, own={"clip": 0.7})
    with pytest.raises(Refusal, match="need cross-fitting"):
        go({**data, "c": data["unit_id"] % 40}, cluster="c", options={"folds": 1})
    with pytest.raises(Refusal, match="in every row"):
        go({**data, "y": np.ones(400)})
    few = np.zeros(400)
    few[:6] = 1
    with pytest.raises(Refusal, match="6 treated units are left and 10 are needed"):
        go({**data, "t": few})
    exact = units(continuous=True)
    with pytest.raises(Refusal, match="explain the treatment entirely"):
        go({**exact, "t": exact["x"] + exact["v"]})


def test_above_the_row_budget_it_refuses_with_a_mend() -> None:
    rows = estimate("s", {**block(), "row_budget": 10}, units()).to_pylist()
    own = [r for r in rows if r["estimator"] == "causal_forest"]
    assert {r["status"] for r in own} == {"refused"}
    assert all("row_budget" in r["status_reason"] for r in own)
