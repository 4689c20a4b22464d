"""Values of treating all, nobody, or those who are predicted to gain enough."""

import numpy as np
import pyarrow as pa
import pytest
import streamed_support
from support import observational, overall, problem, run, shuffled, simulated

from estimators import estimate
from estimators.errors import Refusal
from estimators.selection_on_observables.ope import scores


def block(**more):
    options = more.pop("options", {})
    return observational("y", "t", ["x1", "x2"], options=options, **more)


def varied(n=2000, seed=5):
    """The effect is x1: treating the half with x1 > 0 is worth E[max(x1, 0)] = 0.3989 more than treating nobody."""
    rng = np.random.default_rng(seed)
    x1, x2 = rng.normal(size=n), rng.normal(size=n)
    t = (rng.random(n) < 1 / (1 + np.exp(-0.5 * x2))).astype(float)
    return {"unit_id": np.arange(n), "x1": x1, "x2": x2, "t": t, "y": 3 + x1 * t + x2 + rng.normal(size=n)}


def go(data, **more):
    return run(block(**more), data, "ope", "policy_value")


def by_term(result):
    return {one.term: one for one in result.estimates}


def told(result, metric):
    return {d.subject: d.value for d in result.diagnostics if d.metric == metric}


def test_saturated_by_hand():
    # Means without and with treatment: 1 and 2 where x1 is 0, 4 and 9 where it is 1; the effects are 1 and 5.
    data = {
        "unit_id": range(8), "x1": [0.0, 0, 0, 0, 1, 1, 1, 1], "x2": [0.0] * 8, "t": [0.0, 0, 1, 1, 0, 1, 1, 1],
        "y": [0.0, 2, 1, 3, 4, 8, 9, 10],
    }  # fmt: skip
    found = by_term(go(data, folds=1, options={"ope": {"policy_threshold": 2.0}}))
    got = {term: row.estimate for term, row in found.items()}
    expected = {"treat_none": 2.5, "treat_all": 5.5, "threshold": 5.0, "overall": 2.5, "treat_all-treat_none": 3.0}
    assert got == pytest.approx(expected | {"threshold-treat_all": -0.5}, rel=1e-9)


def test_values_and_errors_are_those_of_the_scores():
    data = simulated()
    p = problem(block(), data, "ope")
    found = by_term(go(data))
    ate = overall(run(block(), data, "ope", "ATE"))
    assert found["treat_all-treat_none"].estimate == pytest.approx(ate.estimate, rel=1e-12)
    assert found["treat_all-treat_none"].std_error == pytest.approx(ate.std_error, rel=1e-12)
    n = p.nuisances()
    assert found["treat_all"].estimate == pytest.approx(
        np.mean(n.mu1 + data["t"] * (data["y"] - n.mu1) / np.clip(n.propensity, 0.01, 0.99)), rel=1e-12
    )
    gain = np.where(n.mu1 > n.mu0, scores(p, "ATE"), 0.0)
    assert found["overall"].estimate == pytest.approx(gain.mean(), rel=1e-12)
    assert found["overall"].std_error == pytest.approx(gain.std(ddof=1) / np.sqrt(600), rel=1e-9)


def test_the_gain_of_treating_those_who_gain():
    found = by_term(go(varied(8000)))
    assert abs(found["overall"].estimate - 0.3989) < 3 * found["overall"].std_error
    assert abs(found["treat_none"].estimate - 3) < 3 * found["treat_none"].std_error
    assert abs(found["treat_all"].estimate - 3) < 3 * found["treat_all"].std_error
    assert found["threshold-treat_all"].conf_low > 0.2


def test_nobody_gains_from_a_policy_without_effects():
    """Predicted out of fold, noise is not counted as gain."""
    data = varied(400)
    rng = np.random.default_rng(0)
    gains = []
    for _ in range(40):
        data["y"] = rng.normal(size=400)
        gains.append(by_term(go(data))["overall"])
    z = np.mean([g.estimate for g in gains]) / (np.std([g.estimate for g in gains], ddof=1) / np.sqrt(40))
    assert abs(z) < 3
    assert np.mean([abs(g.statistic) < 1.96 for g in gains]) > 0.8


def test_costs_move_the_threshold():
    data = varied()
    free, dear = go(data), go(data, value_per_unit=2.0, cost_per_unit=1.0)
    assert told(free, "policy_threshold") == {"overall": 0.0}
    assert told(dear, "policy_threshold") == {"overall": 0.5}
    asked = go(data, options={"ope": {"policy_threshold": 0.5}})
    assert [r.estimate for r in asked.estimates] == [r.estimate for r in dear.estimates]
    share = told(dear, "share_treated")["threshold"]
    assert 0.25 < share < 0.36 < told(free, "share_treated")["threshold"]
    assert told(free, "net_benefit") == {}
    net, gain = told(dear, "net_benefit"), by_term(dear)
    assert net["threshold"] == pytest.approx(2 * gain["overall"].estimate - share, rel=1e-12)
    assert net["treat_all"] == pytest.approx(2 * gain["treat_all-treat_none"].estimate - 1, rel=1e-12)
    with pytest.raises(Refusal, match="value_per_unit is -1"):
        go(data, value_per_unit=-1.0, cost_per_unit=1.0)


def test_less_is_desired():
    data = varied()
    more = by_term(go(data))
    decision = {**block()["decision"], "desired_direction": "less"}
    less = by_term(run({**block(), "decision": decision}, data | {"y": -data["y"]}, "ope", "policy_value"))
    for term in more:
        assert less[term].estimate == pytest.approx(-more[term].estimate, rel=1e-9)


def test_row_order_scale_and_matrix():
    data = varied(600)
    result = go(data)
    other = go(shuffled(pa.table(data)))
    assert [(r.estimate, r.std_error) for r in result.estimates] == [(r.estimate, r.std_error) for r in other.estimates]
    big = go(data | {"y": 100 * data["y"]})
    for one, hundred in zip(result.estimates, big.estimates, strict=True):
        np.testing.assert_allclose([hundred.estimate, hundred.std_error], [100 * one.estimate, 100 * one.std_error])
    matrix = {(c.series, c.x_label): c for c in result.curves}
    assert len(matrix) == 6
    assert matrix["threshold", "treat_all"].y == -matrix["treat_all", "threshold"].y
    assert matrix["treat_none", "threshold"].conf_high == -by_term(result)["overall"].conf_low


def test_weights_are_repeated_rows():
    data = varied(120)
    weight = (np.arange(120) % 3 + 1).astype(float)
    repeated = {k: np.repeat(v, weight.astype(int)) for k, v in data.items()}
    repeated["unit_id"] = np.arange(len(repeated["y"]))
    weighted, plain = by_term(go(data | {"w": weight}, weight="w", folds=1)), by_term(go(repeated, folds=1))
    for term, row in weighted.items():
        assert row.estimate == pytest.approx(plain[term].estimate, rel=1e-8)


def test_clusters():
    data = varied(200)
    twice = {k: np.repeat(v, 2) for k, v in data.items()} | {"unit_id": np.arange(400), "g": np.repeat(range(200), 2)}
    alone, both = by_term(go(data | {"g": np.arange(200)}, cluster="g")), by_term(go(twice, cluster="g"))
    for term, row in alone.items():
        assert both[term].std_error == pytest.approx(row.std_error, rel=1e-7)
    assert (both["overall"].n_clusters, both["overall"].variance_estimator) == (200, "cluster")


@pytest.mark.parametrize("more", [
    {}, {"weight": "w"}, {"cluster": "g"}, {"weight": "w", "cluster": "g", "value_per_unit": 2.0, "cost_per_unit": 1.0},
], ids=str)  # fmt: skip
def test_streamed_alike(more):
    data = varied(500) | {"w": np.random.default_rng(1).uniform(0.5, 2, 500), "g": np.arange(500) % 40}
    rows = streamed_support.same(block(**more), pa.table(data), "ope")
    assert sum(row["estimand"] == "policy_value" and row["status"] == "estimated" for row in rows) == 6


@pytest.mark.parametrize(("more", "said"), [
    ({"options": {"ope": {"learner": "boosting"}}}, "the learner boosting of ope is not streamed"),
    ({"repeats": 3}, "repeats: 3 is not streamed"),
])  # fmt: skip
def test_streams_refuse_what_needs_memory(more, said):
    rows = estimate("s", {**block(**more), "row_budget": 10}, pa.table(varied(200))).to_pylist()
    own = [row for row in rows if row["estimator"] == "ope"]
    assert {row["status"] for row in own} == {"refused"}
    assert all(said in row["status_reason"] and "Raise row_budget" in row["status_reason"] for row in own)


def test_a_gate_on_the_effect_holds_for_policies():
    gate = {"study": "s", "gate": "overlap", "subject": "overall", "estimand": "ATE", "estimator": None, "value": 0.5,
            "is_passing": False, "blocks": True, "reason": "half overlap", "remedy": "trim"}  # fmt: skip
    rows = estimate("s", block(), pa.table(varied(200)), gates=[gate]).to_pylist()
    refused = {row["estimand"] for row in rows if row["estimator"] == "ope" and row["status"] == "refused"}
    assert refused == {"ATE", "policy_value"}
