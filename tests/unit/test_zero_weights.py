"""Rows of weight zero stand for nobody: with them and without them every estimator that takes weights says the same."""

from __future__ import annotations

import json
from unittest import mock

import numpy as np
import pytest

from estimators import estimate
from estimators.registry import BY_NAME

N, GARBAGE = 160, 40
ROLES = {
    "iivm": {"instruments": ["z"], "estimand": "LATE"}, "transportability": {"sample": "s"},
    "mediation": {"mediator": "m", "estimand": "ACME"}, "dose_response": {"dose": "d", "estimand": "DOSE_RESPONSE"},
    "proximal": {"negative_control_exposures": ["nz"], "negative_control_outcomes": ["nw"]},
    "cate": {"effect_modifiers": ["x"]}, "ols": {"treatment": "d"},
    "policy_value": {
        "arms": "t", "logged_propensity": "p", "estimand": "policy_value",
        "options": {"policy_value": {"evaluated_policy": ["q"]}},
    },
}  # fmt: skip
STREAMED = ("difference_in_means", "ols", "regression_adjustment", "ipw", "ope", "tvce")


def rows(n: int = N, seed: int = 3) -> dict[str, np.ndarray]:
    """Every role of a cross-section, with weights between one half and two."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=n), (rng.random(n) < 0.5).astype(float)
    t = (rng.random(n) < 1 / (1 + np.exp(-0.4 * x - 1.5 * (z - 0.5)))).astype(float)
    u = rng.normal(size=n)
    d, m = 3 + 0.4 * x + rng.normal(size=n), t + rng.normal(size=n)
    return {
        "unit_id": np.arange(n), "x": x, "z": z, "t": t, "d": d, "m": m, "y": 1 + t + m + x + rng.normal(size=n),
        "nz": u + 0.5 * rng.normal(size=n), "nw": u + 0.5 * rng.normal(size=n),
        "s": (rng.random(n) < 0.6).astype(float),
        "p": np.full(n, 0.5), "q": rng.random(n), "w": rng.uniform(0.5, 2, n),
    }  # fmt: skip


def with_garbage(units: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The rows and, among them, others of weight zero: wild, without an outcome, and repeating units."""
    rng = np.random.default_rng(8)
    extra = {name: rng.normal(size=GARBAGE) * 1e6 for name in units} | {"w": np.zeros(GARBAGE)}
    extra |= {"unit_id": np.arange(GARBAGE) * 3, "y": np.where(rng.random(GARBAGE) < 0.5, np.nan, 1e9)}
    order = rng.permutation(N + GARBAGE)
    return {name: np.concatenate([units[name], extra[name]])[order] for name in units}


def block(name: str, budget: int = 10**6) -> dict:
    roles = dict(ROLES.get(name, {}))
    decision = {"primary": name, "estimand": roles.pop("estimand", "ATE"), "desired_direction": "more"}
    return {
        "question": "?", "design": "observational", "outcome": "y", "treatment": "t", "covariates": ["x"],
        "weight": "w", "row_budget": budget, "decision": {**decision, "minimum_effect": 0}, **roles,
    }  # fmt: skip


def run(name: str, units: dict[str, np.ndarray], budget: int = 10**6) -> list[dict]:
    with mock.patch("estimators.build.ESTIMATORS", (BY_NAME[name],)):
        return estimate("s", block(name, budget), units).to_pylist()


def assert_unmoved(name: str, budget: int = 10**6) -> None:
    one, other = run(name, rows(), budget), run(name, with_garbage(rows()), budget)
    assert [row["status"] for row in one] == [row["status"] for row in other], [row["status_reason"] for row in other]
    assert any(row["status"] == "estimated" for row in one), [row["status_reason"] for row in one]
    for a, b in zip(one, other, strict=True):
        for key in ("estimate", "std_error", "conf_low", "n_units", "n_trimmed", "n_treated", "effective_sample_size"):
            assert a[key] == b[key] or a[key] == pytest.approx(b[key], rel=1e-12), (key, a[key], b[key])
    told = [d for row in other for d in json.loads(row["diagnostics"]) if d["metric"] == "rows_weight_zero"]
    assert told
    assert {d["value"] for d in told} == {GARBAGE}


HELD = [n for n, e in BY_NAME.items() if e.weights and e.reads in ("units", "populations") and n != "network"]


@pytest.mark.parametrize("name", [name for name in HELD if name not in ("causal_forest", "cate")])
def test_rows_of_weight_zero_change_no_number(name):
    assert_unmoved(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["causal_forest", "cate"])
def test_rows_of_weight_zero_change_no_forest(name):
    assert_unmoved(name)


@pytest.mark.parametrize("name", STREAMED)
def test_rows_of_weight_zero_change_no_streamed_number(name):
    assert_unmoved(name, budget=10)


def panel(periods: int = 14, n: int = 40) -> dict[str, np.ndarray]:
    """Units over periods, a fifth of their rows with weight zero; treatment comes and goes, and a step comes at 8."""
    rng = np.random.default_rng(4)
    unit, time = np.repeat(np.arange(n), periods), np.tile(np.arange(periods), n)
    x, t = rng.normal(size=n * periods), (rng.random(n * periods) < 0.4).astype(float)
    y = 1 + 0.1 * time + t + x + (time >= 8) + rng.normal(size=n)[unit] + rng.normal(size=n * periods)
    weight = np.where(rng.random(n * periods) < 0.2, 0.0, rng.uniform(0.5, 2, n * periods))
    return {"unit_id": unit, "time": time, "x": x, "t": t, "y": y, "w": weight}


@pytest.mark.parametrize(
    ("name", "roles"),
    [
        ("twfe", {"estimand": "ATT"}),
        ("tvce_panel", {"estimand": "ATE"}),
        ("its", {"estimand": "ATT", "design": "its", "intervention_time": 8}),
    ],
)
def test_a_row_of_weight_zero_is_no_row_of_a_panel(name, roles, monkeypatch):
    """The unit stands in its other periods; what the row holds, a NULL too, is read nowhere."""
    given, roles = panel(), {"design": "panel", "time": "time", **roles}
    zero = given["w"] == 0
    wild = given | {"y": np.where(zero, np.nan, given["y"]), "x": np.where(zero, 1e6, given["x"])}
    estimand = roles.pop("estimand")
    monkeypatch.setitem(ROLES, name, {**roles, "estimand": estimand})
    found = [run(name, units) for units in ({k: v[~zero] for k, v in given.items()}, wild)]
    assert all(any(row["status"] == "estimated" for row in rows) for rows in found), found[1][0]["status_reason"]
    for a, b in zip(*found, strict=True):
        for key in ("status", "estimate", "std_error", "n_units", "n_trimmed"):
            assert a[key] == b[key] or a[key] == pytest.approx(b[key], rel=1e-12), (key, a[key], b[key])


def test_did_takes_no_weights_and_says_so(monkeypatch):
    monkeypatch.setitem(ROLES, "did", {"design": "panel", "time": "time", "cohort": "g", "estimand": "ATT"})
    given = panel()
    given |= {"g": np.where(given["unit_id"] < 20, 8.0, np.nan), "t": (given["unit_id"] < 20) * (given["time"] >= 8.0)}
    (row, *_) = run("did", given)
    assert row["status"] == "refused"
    assert "did does not use the declared weight" in row["status_reason"]


@pytest.mark.parametrize("budget", [10**6, 10])
def test_weights_that_are_all_zero_are_told(budget):
    (row,) = run("difference_in_means", rows() | {"w": np.zeros(N)}, budget)
    assert row["status"] == "refused"
    assert "the weight 'w' has negative values or is zero in every row" in row["status_reason"]


@pytest.mark.parametrize(("first", "reason"), [(-1.0, "negative"), (np.nan, "weight 'w' is NULL in 1 rows")])
def test_a_negative_or_missing_weight_is_still_refused(first, reason):
    (row,) = run("difference_in_means", rows() | {"w": np.r_[first, 0.0, np.ones(N - 2)]})
    assert row["status"] == "refused"
    assert reason in row["status_reason"]
