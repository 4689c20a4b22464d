"""Few units behind a weighted number: refused with what was found, and its diagnostics told."""

from __future__ import annotations

import numpy as np
import pytest
from support import run

from estimators import design, estimate
from estimators.errors import Refusal
from estimators.result import Diagnostic
from estimators.transport import transportability
from estimators.weight_support import Behind


def decision(primary, estimand="ATE"):
    return {"primary": primary, "estimand": estimand, "desired_direction": "more", "minimum_effect": 0}


def populations(shift, n=400, seed=5):
    """A randomised trial, and a target whose covariate is moved by ``shift`` standard deviations."""
    rng = np.random.default_rng(seed)
    s = np.repeat([1.0, 0.0], n)
    x = rng.normal(size=2 * n) + np.where(s == 1, 0.0, shift)
    t = np.where(s == 1, np.tile([0.0, 1.0], n), np.nan)
    y = np.where(s == 1, 1 + x + 2 * t + rng.normal(size=2 * n), np.nan)
    return {"unit_id": np.arange(2 * n), "s": s, "x": x, "t": t, "y": y}


TRANSPORT = {
    "question": "q", "design": "experiment", "outcome": "y", "treatment": "t", "sample": "s", "covariates": ["x"],
    "decision": decision("transportability"),
}  # fmt: skip


def test_rule_by_hand():
    even = Behind.of("treated", np.ones(50))
    assert (even.effective, even.largest, even.failing()) == (pytest.approx(50), pytest.approx(0.02), None)
    heavy = Behind.of("treated", np.array([100.0, *np.ones(100)]))
    assert heavy.effective == pytest.approx(200**2 / (100**2 + 100))
    assert "3.96 effective units of 101, and 30 are needed, and one unit holds 50% of the weight" in heavy.failing()
    # A small sample with even weights tells its size by its own interval.
    assert Behind.of("treated", np.ones(8)).failing() is None
    assert Behind.of("treated", np.array([9.0, *np.ones(7)])).failing() is not None
    assert Behind.of("treated", np.zeros(8)).failing() is not None
    assert [d.is_passing for d in heavy.diagnostics()] == [False, False]


def test_a_near_target_is_told_and_a_far_one_is_refused():
    near = {e.term: e for e in run(TRANSPORT, populations(0.4), "transportability", "ATE").estimates}
    assert {e.status for e in near.values()} == {"estimated"}
    assert near["overall"].estimate == pytest.approx(2.0, abs=0.5)
    found = run(TRANSPORT, populations(4.0), "transportability", "ATE")
    far = {e.term: e for e in found.estimates}
    assert {term for term, e in far.items() if e.status == "estimated"} == {"population=study"}
    reason = far["overall"].status_reason
    for words in ("effective units", "look less like the study", "Narrow the target"):
        assert words in reason
    failing = {d.metric for d in found.diagnostics if d.is_passing is False}
    assert failing >= {"effective_sample_size", "max_weight", "share_outside_support"}


@pytest.mark.parametrize(("left", "refused"), [(0.2, False), (-0.3, True), (np.inf, True), (None, True)])
def test_balance_that_weighting_does_not_reach_is_refused(monkeypatch, left, refused):
    balance = [Diagnostic("covariate_shift_weighted", "x", left, 0.1, False)]
    monkeypatch.setattr(transportability, "balance_diagnostics", lambda metric, names, values: balance)
    row = run(TRANSPORT, populations(0.4), "transportability", "ATE").estimates[0]
    assert row.status == ("refused" if refused else "estimated")
    assert not refused or "after weighting 'x' still differs" in row.status_reason


def test_the_omnibus_test_reads_the_trial_alone():
    units = populations(3.0)
    units["t"] = np.where(units["s"] == 1, units["t"], 0.0)
    units["y"] = np.where(units["s"] == 1, units["y"], 0.0)
    for budget in (10_000, 10):
        rows = design("s", {**TRANSPORT, "row_budget": budget}, units).to_pylist()
        (omnibus,) = [r["value"] for r in rows if r["metric"] == "omnibus_balance_p"]
        inside = {k: v[units["s"] == 1] for k, v in units.items()}
        alone = {k: v for k, v in TRANSPORT.items() if k != "sample"} | {"decision": decision("difference_in_means")}
        (own,) = [r["value"] for r in design("s", alone, inside).to_pylist() if r["metric"] == "omnibus_balance_p"]
        assert omnibus == pytest.approx(own, rel=1e-9)


def logged(n=5000, rare=0.0005, seed=2):
    """A log that takes action b rarely, and a policy that always takes it."""
    rng = np.random.default_rng(seed)
    arm = np.where(rng.random(n) < rare, "b", "a")
    arm[:2] = "b"
    return {
        "unit_id": np.arange(n), "a": arm, "p": np.where(arm == "b", rare, 1 - rare),
        "pi": (arm == "b").astype(float), "y": rng.normal(size=n) + (arm == "b"),
    }  # fmt: skip


LOG = {
    "question": "q", "design": "observational", "outcome": "y", "arms": "a", "logged_propensity": "p",
    "decision": decision("policy_value", "policy_value"),
    "options": {"policy_value": {"evaluated_policy": ["pi"]}},
}  # fmt: skip


def test_a_policy_that_the_log_hardly_took_is_refused():
    units = logged()
    assert (units["a"] == "b").sum() < 10
    units["p"] = np.where(np.arange(len(units["p"])) == 0, 1e-6, units["p"])
    found = {e.term: e for e in run(LOG, units, "policy_value", "policy_value").estimates}
    assert found["logged"].status == "estimated"
    assert {e.status for term, e in found.items() if term != "logged"} == {"refused"}
    assert "one unit holds" in found["overall"].status_reason
    usual = run(LOG, logged(rare=0.2), "policy_value", "policy_value")
    assert {e.status for e in usual.estimates} == {"estimated"}


def separated(n=3000, seed=4):
    """Treatment that hardly anybody has where x is high: a few treated carry the value of treating all."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    t = (rng.random(n) < 1 / (1 + np.exp(4.5 + 2.5 * x))).astype(float)
    return {"unit_id": np.arange(n), "x": x, "t": t, "y": x + t + rng.normal(size=n)}


def test_values_of_policies_are_refused_alike_in_memory_and_in_streams():
    block = {
        "question": "q", "design": "observational", "outcome": "y", "treatment": "t", "covariates": ["x"],
        "decision": decision("ope"), "options": {"ope": {"clip": 1e-6}},
    }  # fmt: skip
    found = []
    for budget in (10_000, 10):
        rows = estimate("s", {**block, "row_budget": budget}, separated()).to_pylist()
        found.append({r["term"]: r for r in rows if (r["estimator"], r["estimand"]) == ("ope", "policy_value")})
    held, streamed = found
    assert {term: r["status"] for term, r in held.items()} == {term: r["status"] for term, r in streamed.items()}
    assert held["treat_all"]["status"] == "refused"
    assert "effective units" in held["treat_all"]["status_reason"]
    assert held["treat_none"]["status"] == "estimated"


def test_a_policy_that_is_another_has_no_error_and_says_so():
    rng = np.random.default_rng(0)
    t = np.tile([0.0, 1.0], 300)
    units = {"unit_id": np.arange(600), "x": rng.normal(size=600), "t": t, "y": 9 * t + rng.normal(size=600)}
    block = {
        "question": "q", "design": "experiment", "outcome": "y", "treatment": "t", "covariates": ["x"],
        "decision": decision("ope"),
    }  # fmt: skip
    rows = {e.term: e for e in run(block, units, "ope", "policy_value").estimates}
    same = rows["threshold-treat_all"]
    assert (same.status, same.estimate, same.std_error, same.conf_low) == ("estimated", 0.0, None, None)
    assert "treats everybody" in same.status_reason


def proximal_units(n=500, seed=6):
    rng = np.random.default_rng(seed)
    u = rng.normal(size=n)
    t = (rng.random(n) < 1 / (1 + np.exp(-u))).astype(float)
    return {
        "unit_id": np.arange(n), "t": t, "z": u + 0.1 * rng.normal(size=n), "v": u + 0.1 * rng.normal(size=n),
        "y": t + u + rng.normal(size=n), "k": np.ones(n),
    }  # fmt: skip


PROXIMAL = {
    "question": "q", "design": "observational", "outcome": "y", "treatment": "t", "negative_control_exposures": ["z"],
    "negative_control_outcomes": ["v"], "decision": decision("proximal"),
}  # fmt: skip


def test_a_bridge_that_one_row_carries_is_refused():
    units = proximal_units()
    assert run(PROXIMAL, units, "proximal", "ATE").estimates[0].status == "estimated"
    units["k"][:14] = 1e4
    with pytest.raises(Refusal, match=r"in the outcome bridge the weights leave .* effective units"):
        run({**PROXIMAL, "weight": "k"}, units, "proximal", "ATE")


def test_proxies_that_measure_each_other_are_refused():
    units = proximal_units()
    units["v"] = 2 * units["z"] + 1
    with pytest.raises(Refusal, match="F is infinite to rounding") as found:
        run(PROXIMAL, units, "proximal", "ATE")
    assert found.value.status == "not_identified"
