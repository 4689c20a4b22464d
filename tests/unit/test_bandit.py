"""Values of policies from logged decisions."""

import numpy as np
import pyarrow as pa
import pytest
from support import overall, problem, run, shuffled

from estimators.errors import Refusal
from estimators.selection_on_observables.bandit import Log, all_values

DECISION = {"primary": "policy_value", "estimand": "policy_value", "desired_direction": "more", "minimum_effect": 0}
EVERY = ["pi_a", "pi_b", "pi_c"]


def block(policy=EVERY, covariates=("x",), **more):
    own = {"evaluated_policy": policy} | more.pop("own", {})
    return {
        "question": "test", "design": "experiment", "outcome": "y", "arms": "action", "logged_propensity": "p",
        "covariates": list(covariates), "decision": DECISION, "options": {"policy_value": own}, **more,
    }  # fmt: skip


def go(data, **more):
    return run(block(**more), data, "policy_value", "policy_value")


def by_term(result):
    return {one.term: one for one in result.estimates}


def told(result):
    return {d.metric: d.value for d in result.diagnostics}


def logged(n=2000, seed=2):
    """Three actions by a softmax of x, outcomes x · (−1, 0, 1) + 2; the policy mostly takes the best."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    slopes = np.array([-1.0, 0.0, 1.0])
    log = np.exp(0.5 * np.outer(x, -slopes))
    log /= log.sum(axis=1, keepdims=True)
    action = (log.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    policy = np.where(np.outer(x, slopes) == np.abs(x)[:, None], 0.8, np.array([0.1, 0.1, 0.1]))
    policy /= policy.sum(axis=1, keepdims=True)
    out = {"unit_id": np.arange(n), "x": x, "p": log[np.arange(n), action], "y": 2 + x * slopes[action]}
    out["y"] = out["y"] + rng.normal(size=n)
    out |= {"action": np.array(list("abc"), dtype=object)[action], "pi": policy[np.arange(n), action]}
    return out | dict(zip(EVERY, policy.T, strict=True))


# 0.8 of the best and 0.1 of the worst: 0.7 E|x|.
TRUTH = 2 + 0.7 * np.sqrt(2 / np.pi)


def small():
    return {
        "unit_id": range(4), "action": ["a", "b", "a", "b"], "p": [0.5, 0.5, 0.25, 0.75],
        "pi": [1.0, 0.0, 0.5, 0.75], "y": [2.0, 9.0, 3.0, 4.0],
    }  # fmt: skip


def test_by_hand():
    # Weights 2, 0, 2, 1 and outcomes 2, 9, 3, 4.
    result = go(small(), policy=["pi"], covariates=())
    found = by_term(result)
    assert list(found) == ["overall", "ips", "snips", "logged", "gain"]
    assert found["ips"].estimate == pytest.approx((4 + 0 + 6 + 4) / 4)
    assert found["snips"].estimate == pytest.approx(14 / 5)
    assert found["overall"].estimate == found["snips"].estimate
    assert found["logged"].estimate == pytest.approx(4.5)
    assert found["gain"].estimate == pytest.approx(14 / 5 - 4.5)
    assert found["ips"].std_error == pytest.approx(np.std([4, 0, 6, 4], ddof=1) / 2)
    psi = np.array([2, 0, 2, 1]) * (np.array([2, 9, 3, 4]) - 2.8) / 1.25
    assert found["snips"].std_error == pytest.approx(np.sqrt(psi @ psi / 16 * 4 / 3))
    notes = told(result)
    assert (notes["effective_sample_size"], notes["weight_mean"], notes["never_followed"]) == (25 / 9, 1.25, 1.0)
    assert {c.y for c in result.curves if c.x == 1.0} == {2.0}


def test_dr_and_switch_by_hand():
    """With the outcome model put in place: rewards q + ρ (y − q), and q̄ alone above the switch."""
    data = small() | {"x": [0.0, 1, 0, 1]}
    p = problem(block(["pi"]), data, "policy_value")
    log = Log(np.array([2.0, 0, 2, 1]), None, ("a", "b"))
    q, mean = np.array([1.0, 8, 3, 2]), np.array([1.0, 2, 3, 4])
    values = all_values(p, log, (q, mean), bound=1.5)
    assert values.estimate("dr") == pytest.approx((1 + 2 * 1 + 2 + 3 + 0 + 4 + 1 * 2) / 4)
    assert values.estimate("switch_dr") == pytest.approx((1 + 2 + 3 + 4 + 2) / 4)


@pytest.mark.parametrize("policy", [EVERY, ["pi"]], ids=len)
def test_truth_is_met_by_every_method(policy):
    found = by_term(go(logged(8000), policy=policy))
    assert ("switch_dr" in found) == (len(policy) == 3)
    for term in set(found) - {"logged", "gain"}:
        assert abs(found[term].estimate - TRUTH) < 3.5 * found[term].std_error
    # What covariates explain is taken out, and the log's own policy is worth less by far.
    assert found["dr"].std_error < 0.9 * found["ips"].std_error
    assert found["gain"].conf_low > 0.3


def test_coverage():
    covered = []
    for seed in range(100):
        found = by_term(go(logged(400, seed)))
        covered.append([found[t].conf_low <= TRUTH <= found[t].conf_high for t in ("ips", "snips", "dr")])
    assert (np.abs(np.mean(covered, axis=0) - 0.95) < 0.07).all()


def test_the_logs_own_policy_is_worth_what_was_logged():
    data = logged(500)
    found = by_term(go(data | {"pi": data["p"]}, policy=["pi"], own={"method": "snips"}))
    assert found["overall"].estimate == pytest.approx(found["logged"].estimate, rel=1e-12)
    assert found["gain"].estimate == pytest.approx(0, abs=1e-12)


def test_bootstrap_agrees_with_influence_values():
    data = logged(1000)
    plain, drawn = by_term(go(data)), by_term(go(data, own={"inference": "bootstrap"}))
    for term, row in plain.items():
        assert drawn[term].estimate == row.estimate
        assert drawn[term].std_error == pytest.approx(row.std_error, rel=0.1)
        assert drawn[term].conf_low == pytest.approx(row.conf_low, abs=0.25 * row.std_error)
    assert drawn["gain"].variance_estimator == "bootstrap"
    assert by_term(go(data, own={"inference": "bootstrap"})) == drawn


def test_wrong_propensities_show():
    data = logged(3000)
    assert abs(told(go(data))["weight_mean_z"]) < 4
    wrong = go(data | {"p": np.clip(data["p"] * 0.7, 0, 1)})
    assert told(wrong)["weight_mean_z"] > 4
    assert [d.is_passing for d in wrong.diagnostics if d.metric == "weight_mean_z"] == [False]


def test_switch_is_an_option_and_otherwise_an_observed_weight():
    data = logged(800)
    rho = data["pi"] / data["p"]
    assert told(go(data, own={"switch": 1.25}))["switch"] == 1.25
    chosen = told(go(data))["switch"]
    assert 0 < chosen <= rho.max()
    off = by_term(go(data, own={"switch": 1e9}))
    assert off["switch_dr"].estimate == pytest.approx(off["dr"].estimate, rel=1e-12)


def test_row_order_scale_and_numbered_actions():
    data = logged(600)
    result, other = go(data), go(shuffled(pa.table(data)))
    assert [(r.estimate, r.std_error) for r in result.estimates] == [(r.estimate, r.std_error) for r in other.estimates]
    big = go(data | {"y": 100 * data["y"]})
    for one, hundred in zip(result.estimates, big.estimates, strict=True):
        np.testing.assert_allclose([hundred.estimate, hundred.std_error], [100 * one.estimate, 100 * one.std_error])
    names = {f"pi_{ord(a) - 90}": data[f"pi_{a}"] for a in "abc"}
    action = np.array([ord(a) - 90 for a in data["action"]], dtype=float)
    numbered = go(data | names | {"action": action}, policy=list(names))
    assert numbered.estimates == result.estimates


@pytest.mark.parametrize("inference", ["influence_function", "bootstrap"])
def test_weights_are_repeated_rows(inference):
    data = logged(150)
    weight = (np.arange(150) % 3 + 1).astype(float)
    repeated = {k: np.repeat(v, weight.astype(int)) for k, v in data.items()}
    repeated["unit_id"] = np.arange(len(repeated["y"]))
    own = {"own": {"inference": inference, "switch": 3.0}, "folds": 1}
    weighted, plain = (by_term(go(d, **own, **m)) for d, m in ((data | {"w": weight}, {"weight": "w"}), (repeated, {})))
    for term, row in weighted.items():
        assert row.estimate == pytest.approx(plain[term].estimate, rel=1e-9)


@pytest.mark.parametrize("inference", ["influence_function", "bootstrap"])
def test_clusters(inference):
    data = logged(300)
    twice = {k: np.repeat(v, 2) for k, v in data.items()} | {"unit_id": np.arange(600), "g": np.repeat(range(300), 2)}
    own = {"inference": inference, "switch": 3.0}
    alone, both = by_term(go(data, own=own)), by_term(go(twice, own=own, cluster="g"))
    for term in ("ips", "snips", "logged"):
        assert both[term].std_error == pytest.approx(
            alone[term].std_error, rel=1e-9 if inference != "bootstrap" else 0.1
        )
    assert both["overall"].n_clusters == 300


def test_learned_outcomes():
    data = logged(1500)
    data["y"] = data["y"] + 3 * np.abs(data["x"])
    linear, boosted = by_term(go(data)), by_term(go(data, own={"learner": "boosting"}))
    assert boosted["dr"].std_error < 0.9 * linear["dr"].std_error


def test_refusals():
    data = logged(200)
    cases = [
        ({"policy": None}, {}, "no column holds the probabilities"),
        ({"policy": ["pi_a", "pi_b"]}, {}, "2 columns hold the evaluated policy, and 'action' has 3 actions"),
        ({}, {"p": np.where(np.arange(200) == 5, 0.0, data["p"])}, "the logged propensity 'p' lies outside"),
        ({}, {"pi_a": data["pi_a"] + 0.1}, "add up to"),
        ({"policy": ["pi"]}, {"pi": data["pi"] - 1}, "outside \\[0, 1\\]"),
        ({"policy": ["pi"]}, {"pi": np.zeros(200)}, "never takes an action that was logged"),
        ({"covariates": (), "own": {"method": "dr"}}, {}, "none are declared"),
        ({"policy": ["pi"], "own": {"method": "switch_dr"}}, {}, "needs the policy's probability of every action"),
        ({"own": {"inference": "bootstrap", "bootstrap": 1}}, {}, "too few draws"),
    ]
    for more, changed, said in cases:
        with pytest.raises(Refusal, match=said):
            go(data | changed, **more)


def test_overall_is_the_method_asked():
    data = logged(300)
    for method in ("ips", "snips", "dr", "switch_dr"):
        result = go(data, own={"method": method})
        assert overall(result).estimate == by_term(result)[method].estimate


def test_columns_are_matched_by_name():
    """Neither the order of the declaration nor that of the labels as text (10 before 9) tells whose a column is."""
    data = logged()
    plain = by_term(go(data))
    back = by_term(go(data, policy=EVERY[::-1]))
    numbers = {"a": 10.0, "b": 9.0, "c": 2.0}
    renamed = {name: values for name, values in data.items() if name not in EVERY}
    renamed["action"] = np.array([numbers[a] for a in data["action"]])
    renamed |= {f"pi_{int(numbers[a])}": data[f"pi_{a}"] for a in "abc"}
    other = by_term(go(renamed, policy=["pi_9", "pi_10", "pi_2"]))
    for found in (back, other):
        assert found["overall"].estimate == pytest.approx(plain["overall"].estimate, rel=1e-9)
        assert found["overall"].std_error == pytest.approx(plain["overall"].std_error, rel=1e-9)


def test_a_column_without_its_action_is_refused():
    data = logged(200)
    data["first"] = data["pi_a"]
    with pytest.raises(Refusal, match="name that ends with the action 'a' of 'action'"):
        go(data, policy=["first", "pi_b", "pi_c"])
