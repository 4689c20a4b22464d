"""Levels too rare for a model: pooled by one rule in memory and in streams, or refused by name."""

import json

import numpy as np
import pyarrow as pa
import pytest
from causes import DECISION
from support import observational

from estimators import design, estimate, rare, score

N = 1_200
FAST = {"counterfactual": {"bootstrap": 5}}


def study(k, treated, level="Z", n=N):
    """A randomised study of effect 1 whose last k units are a site of their own, so many of them treated."""
    rng = np.random.default_rng(4)
    x, t = rng.normal(size=n), (rng.random(n) < 0.4).astype(float)
    t[n - k :] = 0
    t[n - treated :] = 1 if treated else t[n - treated :]
    site = np.array(["M" if i % 3 else "N" for i in range(n - k)] + [level] * k, dtype=object)
    return {"unit_id": np.arange(n), "t": t, "x": x, "y": x + t + rng.normal(size=n), "site": site}


def effects(units, covariates=("x", "C(site)"), **more):
    block = observational("y", "t", list(covariates), decision=DECISION, options={**FAST}, **more)
    wanted = ("ipw", "ipwra", "psm", "stratification", "ope")
    rows = estimate("s", block, units).to_pylist()
    return {
        r["estimator"]: r
        for r in rows
        if r["estimand"] == "ATE" and r["estimator"] in wanted and r["term"] == "overall"
    }


@pytest.mark.parametrize(
    ("k", "treated", "level"),
    [
        (4, 1, "Z"),
        (20, 0, "A"),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in ((2, 0, "Z"), (8, 8, "Z"), (5, 5, "A"))),
    ],
)
def test_pooled_alike_in_memory_and_in_streams(k, treated, level):
    units = study(k, treated, level)
    memory, streamed = effects(units), effects(units, row_budget=10)
    for name in ("ipw", "psm", "stratification", "ope"):
        assert memory[name]["status"] == "estimated", memory[name]["status_reason"]
        assert memory[name]["estimate"] == pytest.approx(1, abs=0.15)
        assert streamed[name]["estimate"] == pytest.approx(memory[name]["estimate"], rel=1e-7)
        told = [d for d in json.loads(memory[name]["diagnostics"]) if d["metric"] == "level_pooled"]
        assert all(d["value"] == k for d in told)
        assert told or treated == 1  # all rows have both arms there
    assert memory["ipwra"]["estimate"] == pytest.approx(1, abs=0.15)


def test_a_pooled_level_is_the_model_without_its_column():
    units = study(4, 0)
    without = {**units, "site": np.where(units["site"] == "Z", "M", units["site"]).astype(object)}
    ours, theirs = effects(units)["ipw"], effects(without)["ipw"]
    assert ours["estimate"] == pytest.approx(theirs["estimate"], rel=1e-9)
    assert ours["std_error"] == pytest.approx(theirs["std_error"], rel=1e-9)


@pytest.mark.parametrize("budget", [pytest.param(10**9, marks=pytest.mark.slow), 10])
@pytest.mark.parametrize(("level", "named"), [("Z", "site=Z"), ("A", "the first level of site")])
def test_more_units_than_chance_explains_are_refused_by_name(level, named, budget):
    assert rare.MOST == 28  # 0.9^28 = 0.052, 0.9^29 = 0.047
    for k in (28, 29):
        row = effects(study(k, 0, level), row_budget=budget)["ipw"]
        assert row["status"] == ("estimated" if k == 28 else "refused")
    assert f"of 29 units with {named} 0 are treated" in row["status_reason"]


@pytest.mark.parametrize("budget", [10**9, 10])
def test_ten_near_constant_dummies_cost_nothing(budget):
    rng = np.random.default_rng(3)
    units = study(1, 0, "N", 1_000)
    units |= {f"d{j}": np.isin(np.arange(1_000), rng.choice(1_000, 1 + j % 5, replace=False)) * 1.0 for j in range(10)}
    found = effects(units, ["x", *(f"d{j}" for j in range(10))], row_budget=budget)
    for name in ("ipw", "psm", "stratification", "ope"):
        assert found[name]["estimate"] == pytest.approx(1, abs=0.25), name


@pytest.mark.parametrize("budget", [10**9, 10])
def test_balance_is_asked_of_the_levels_that_the_weights_know(budget):
    units = study(4, 0, n=600)
    block = observational("y", "t", ["x", "C(site)"], row_budget=budget)
    made = score("s", block, units)
    made = made if isinstance(made, pa.Table) else made.to_arrow_table()
    assert (
        json.loads(made["refusals"][0].as_py())["pooled: site=Z"][0] == "site=Z: 4 units, of one arm only in all rows"
    )
    rows = [r for r in design("s", block, units, scores=made).to_pylist() if r["metric"] == "smd"]
    assert {r["estimator"] for r in rows if r["subject"] == "site=Z"} == {None}
    assert all(abs(r["value"]) < 0.1 for r in rows if r["estimator"] == "ipw")
