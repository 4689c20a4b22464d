"""Doubly robust scores: their mean, double robustness, influence values."""

import numpy as np
import pyarrow as pa
import pytest
from support import observational, overall, problem, run, shuffled, simulated

from estimators.errors import Refusal
from estimators.selection_on_observables.ope import ope, scores


def block(**more):
    options = more.pop("options", {})
    return observational("y", "t", ["x1", "x2"], options=options, **more)


def go(data, estimand="ATE", **more):
    return overall(run(block(**more), data, "ope", estimand))


@pytest.mark.parametrize(("estimand", "expected"), [("ATE", 3.0), ("ATT", 17 / 5)])
def test_saturated_models_by_hand(estimand, expected):
    # Effects 1 and 5 in two strata of four units, with 2 and 3 treated.
    data = {
        "unit_id": range(8), "x1": [0.0, 0, 0, 0, 1, 1, 1, 1], "x2": [0.0] * 8, "t": [0.0, 0, 1, 1, 0, 1, 1, 1],
        "y": [0.0, 2, 1, 3, 4, 8, 9, 10],
    }  # fmt: skip
    assert go(data, estimand, folds=1).estimate == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_estimate_is_the_mean_of_the_scores_and_its_error(estimand):
    data = simulated()
    p = problem(block(), data, "ope")
    s = scores(p, estimand)
    row = overall(run(block(), data, "ope", estimand))
    assert row.estimate == pytest.approx(s.mean(), rel=1e-12)
    target = data["t"] / data["t"].mean() if estimand == "ATT" else np.ones(600)
    psi = s - row.estimate * target
    assert psi.mean() == pytest.approx(0, abs=1e-12)
    assert row.std_error == pytest.approx(psi.std(ddof=1) / np.sqrt(600), rel=1e-9)
    assert (row.variance_estimator, row.degrees_of_freedom) == ("influence_function", None)


def test_nuisances_come_from_the_other_folds():
    data = simulated()
    p = problem(block(folds=3), data, "ope")
    n = p.nuisances()
    x = np.column_stack([np.ones(600), data["x1"], data["x2"]])
    for k in range(3):
        train = (n.fold != k) & (data["t"] == 1)
        beta = np.linalg.lstsq(x[train], data["y"][train], rcond=None)[0]
        np.testing.assert_allclose(n.mu1[n.fold == k], x[n.fold == k] @ beta, rtol=1e-9)


@pytest.mark.parametrize("wrong", ["propensity", "outcome"])
def test_one_wrong_model_does_no_harm(wrong):
    data = simulated(20_000, seed=3)
    options = {wrong: {"covariates": ["x2"]}}
    right = go(data, options=options)
    assert abs(right.estimate - 2) < 3 * right.std_error
    # And it matters: with both models wrong the truth is many standard errors away.
    both = go(data, options={"propensity": {"covariates": ["x2"]}, "outcome": {"covariates": ["x2"]}})
    assert abs(both.estimate - 2) > 10 * both.std_error


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_truth_is_covered(estimand):
    rows = [go(simulated(300, seed), estimand) for seed in range(150)]
    covered = np.mean([r.conf_low <= 2 <= r.conf_high for r in rows])
    assert 0.89 < covered < 0.99


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_weights_are_repeated_rows(estimand):
    data = simulated(120)
    weight = (np.arange(120) % 3 + 1).astype(float)
    repeated = {k: np.repeat(v, weight.astype(int)) for k, v in data.items()}
    repeated["unit_id"] = np.arange(len(repeated["y"]))
    weighted = go(data | {"w": weight}, estimand, weight="w", folds=1)
    assert weighted.estimate == pytest.approx(go(repeated, estimand, folds=1).estimate, rel=1e-8)


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_clusters(estimand):
    data = simulated(200)
    sandwich = {"cluster_variance": "sandwich"}
    alone = go(data | {"g": np.arange(200)}, estimand, cluster="g", options=sandwich)
    plain = go(data, estimand)
    # The factor n/(n-1) is G/(G-1) there.
    assert alone.std_error == pytest.approx(plain.std_error, rel=1e-10)
    twice = {k: np.repeat(v, 2) for k, v in data.items()} | {"unit_id": np.arange(400), "g": np.repeat(range(200), 2)}
    both = go(twice, estimand, cluster="g", options=sandwich)
    assert both.std_error == pytest.approx(alone.std_error, rel=1e-8)
    assert (both.n_clusters, both.variance_estimator) == (200, "cluster")


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_row_order_and_scale(estimand):
    data = simulated()
    row = go(data, estimand)
    other = go(shuffled(pa.table(data)), estimand)
    assert (row.estimate, row.std_error) == (other.estimate, other.std_error)
    big = go(data | {"y": 100 * data["y"]}, estimand)
    np.testing.assert_allclose([big.estimate, big.std_error], [100 * row.estimate, 100 * row.std_error], rtol=1e-10)


def test_clip_and_diagnostics():
    data = simulated()
    result = run(block(options={"ope": {"clip": 0.4}}), data, "ope", "ATE")
    e = problem(block(), data, "ope").nuisances().propensity
    found = {(d.metric, d.subject): d.value for d in result.diagnostics}
    assert found["clipped", "overall"] == np.sum((e < 0.4) | (e > 0.6))
    assert (found["propensity_range", "min"], found["propensity_range", "max"]) == (e.min(), e.max())
    held = np.clip(e, 0.4, 0.6)
    omega = np.where(data["t"] == 1, 1 / held, 1 / (1 - held))
    assert found["effective_sample_size", "overall"] == pytest.approx(omega.sum() ** 2 / (omega**2).sum())
    assert overall(result).effective_sample_size == found["effective_sample_size", "overall"]


def test_refusals():
    data = simulated()
    with pytest.raises(Refusal, match="predict the treatment perfectly"):
        go(data | {"x1": data["t"] * 10})
    with pytest.raises(Refusal, match=r"clip is 0\.5"):
        go(data, options={"ope": {"clip": 0.5}})
    with pytest.raises(Refusal, match="outcome regression cannot be fitted"):
        go(data | {"t": (np.arange(600) % 200 == 3).astype(float)}, options={"propensity": {"covariates": []}})
    p = problem(block(options={"ope": {"clip": 0.0}}), data, "ope")
    p.nuisances().propensity[int(np.argmin(data["t"]))] = 1.0
    with pytest.raises(Refusal, match="a propensity is 0 or 1"):
        ope(p, "ATE")
    with pytest.raises(Refusal, match="1 treated units"):
        go(data | {"t": (np.arange(600) == 3).astype(float)})
