"""Which side of the cutoff is treated, and where the rows exactly at it lie: declared, detected, or refused."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest
from streamed_support import close
from support import run

from estimators import design
from estimators.assemble import assemble
from estimators.discontinuity.rule import RULES, holds
from estimators.errors import Refusal, StudyError
from estimators.streamed.discontinuity_design import discontinuity_design as streamed_design
from estimators.streamed.rd import rd as streamed_rd
from estimators.study import Study

CUTOFF, EFFECT = 70, 10.0
DECISION = {"primary": "rd", "estimand": "LATE", "desired_direction": "more", "minimum_effect": 0}


def block(**more):
    own = {"question": "q", "design": "rd", "outcome": "y", "running": "x", "cutoff": CUTOFF, "decision": DECISION}
    return {**own, **more}


def score(seed=4, n=1000, rule="<=", takes=(0.0, 1.0)):
    """A whole-number score about the cutoff; take-up has one chance where the rule fails, another where it holds."""
    rng = np.random.default_rng(seed)
    x = np.round(np.clip(rng.normal(72, 12, n), 20, 100))
    t = (rng.random(n) < np.where(holds(rule, x, CUTOFF), takes[1], takes[0])).astype(float)
    z = rng.normal(size=n)
    y = 30 + 0.5 * x + EFFECT * t + rng.normal(0, 3, n)
    return {"unit_id": np.arange(n), "x": x, "t": t, "y": y, "z": z}


def overall(own, units, **options):
    if options:
        own = {**own, "options": {"rd": options}}
    return run(own, units, "rd", "LATE")


def told(result, metric):
    return {d.subject: d.value for d in result.diagnostics if d.metric == metric}


def stream(own, units):
    connection = duckdb.connect()
    table = ", ".join(f"unnest(${name})::double as {name}" for name in units)
    connection.execute(f"create table units as select {table}", {k: v.tolist() for k, v in units.items()})
    problem, _ = assemble(Study.declare("s", {**own, "row_budget": 10}), connection.table("units"), connection)
    return problem


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("declared", [False, True])
@pytest.mark.parametrize("options", [{}, {"model": "parametric", "bandwidth": 12.0}])
def test_a_sharp_treatment_gives_treated_less_untreated(rule, declared, options):
    own, units = block(treatment="t", **({"cutoff_rule": rule} if declared else {})), score(rule=rule)
    found = overall(own, units, **options)
    (row,) = found.estimates
    assert row.contrast == ("right - left" if rule.startswith(">") else "left - right")
    assert row.n_treated == int(units["t"].sum())
    assert abs(row.estimate - EFFECT) < 3 * row.std_error
    assert not told(found, "first_stage_f")
    # Between whole numbers the same rows are treated, and no row lies at the cutoff; the distances differ by a half.
    between = {**own, "cutoff": CUTOFF + (0.5 if rule in ("<=", ">") else -0.5)}
    (beside,) = overall({k: v for k, v in between.items() if k != "cutoff_rule"}, units, **options).estimates
    assert abs(row.estimate - beside.estimate) < row.std_error


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("options", [{}, {"kernel": "uniform", "bandwidth": 10.0}, {"donut": 2.0}])
def test_the_mirrored_study_gives_the_same_numbers(rule, options):
    """x and c turned, and the rule with them: an effect of treatment does not know left from right."""
    units = score(rule=rule, takes=(0.1, 0.9))
    turned = {**units, "x": -units["x"]}
    other = {">=": "<=", ">": "<", "<=": ">=", "<": ">"}[rule]
    a = overall(block(treatment="t", cutoff_rule=rule), units, **options)
    b = overall(block(treatment="t", cutoff_rule=other, cutoff=-CUTOFF), turned, **options)
    for name in ("estimate", "std_error", "conf_low", "conf_high", "n_units", "n_treated", "n_trimmed"):
        close(getattr(a.estimates[0], name), getattr(b.estimates[0], name), 1e-9, name)
    assert told(a, "n_in_bandwidth")["left"] == told(b, "n_in_bandwidth")["right"]
    points = {(p.curve, p.series, p.x): p.y for p in a.curves}
    swap = {"left": "right", "right": "left"}
    for p in b.curves:
        near = [y for (curve, series, x), y in points.items()
                if (curve, series) == (p.curve, swap[p.series]) and abs(x + p.x) < 1e-9]  # fmt: skip
        assert any(abs(y - p.y) < 1e-7 for y in near), p


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("options", [{}, {"bandwidth": 9.0, "kernel": "uniform"}, {"donut": 1.0}])
@pytest.mark.parametrize("takes", [(0.0, 1.0), (0.15, 0.85)])
@pytest.mark.parametrize("more", [{}, {"smooth": True, "covariates": ["z"]}, {"cluster": "g"}])
def test_streams_have_the_rule_too(rule, options, takes, more):
    units = {**score(rule=rule, takes=takes, n=1500), "g": np.arange(1500) % 60}
    roles = {k: v for k, v in more.items() if k != "smooth"}
    if roles != more:  # a variable that is sorted, with a heap at the cutoff
        x, shift = units["x"], np.random.default_rng(1).uniform(0.01, 0.4, 1500)
        units["x"] = np.where(x == CUTOFF, x, x + shift)
    own = {**block(treatment="t", **roles), "options": {"rd": options}}
    held, streamed = overall(own, units), streamed_rd(stream(own, units).for_run("rd", "default"), "LATE")
    (a,), (b,) = held.estimates, streamed.estimates
    assert (a.contrast, a.n_treated, a.n_trimmed) == (b.contrast, b.n_treated, b.n_trimmed)
    close(a.estimate, b.estimate, 1e-7, "estimate")
    close(a.std_error, b.std_error, 1e-7, "std_error")
    assert [(d.metric, d.subject) for d in held.diagnostics] == [(d.metric, d.subject) for d in streamed.diagnostics]
    for d, e in zip(held.diagnostics, streamed.diagnostics, strict=True):
        close(d.value, e.value, 1e-6, d.metric)
    assert [(p.curve, p.series) for p in held.curves] == [(p.curve, p.series) for p in streamed.curves]
    for p, q in zip(held.curves, streamed.curves, strict=True):
        close(p.x, q.x, 1e-6, f"{p.curve} x")
        close(p.y, q.y, 1e-6, f"{p.curve} y")


@pytest.mark.parametrize("rule", RULES)
def test_take_up_places_the_rows_at_the_cutoff(rule):
    units = score(rule=rule, takes=(0.1, 0.9))
    found = overall(block(treatment="t"), units)
    at = int((units["x"] == CUTOFF).sum())
    assert told(found, "rows_at_cutoff") == {"right" if rule in (">=", "<") else "left": at}
    assert found.estimates[0].contrast == "1 - 0"
    assert abs(found.estimates[0].estimate - EFFECT) < 3 * found.estimates[0].std_error
    assert abs(told(found, "first_stage")["treatment"]) > 0.5


def test_take_up_that_places_them_nowhere_is_refused():
    units = score(rule="<=", takes=(0.1, 0.9))
    at = np.flatnonzero(units["x"] == CUTOFF)
    units["t"][at] = np.arange(len(at)) % 2
    with pytest.raises(Refusal, match=r"rows at the cutoff 70 cannot be placed.*neither the treated nor the untreated"):
        overall(block(treatment="t"), units)
    streamed = stream(block(treatment="t"), units).for_run("rd", "default")
    with pytest.raises(Refusal, match="cannot be placed"):
        streamed_rd(streamed, "LATE")
    rows = design("s", block(treatment="t", covariates=["z"]), units).to_pylist()
    assert {r["metric"]: r["value"] for r in rows if r["estimator"] == "rd"} == {
        "density_p": None, "covariate_continuity_p": None,
    }  # fmt: skip
    for rule in RULES:  # the mend is one that the same study does not refuse
        overall(block(treatment="t", cutoff_rule=rule), units)


@pytest.mark.parametrize(("declared", "words"), [
    (">=", "1 exactly where the running variable is <= 70"),
    ("<", "rows at the cutoff are on the treated side"),
])  # fmt: skip
def test_a_treatment_that_follows_another_rule_is_refused(declared, words):
    with pytest.raises(Refusal, match=words):
        overall(block(treatment="t", cutoff_rule=declared), score(rule="<="))


def test_a_declared_rule_that_some_break_is_fuzzy_and_says_how_many():
    units = score(rule="<=")
    units["t"][:7] = 1 - units["t"][:7]
    found = overall(block(treatment="t", cutoff_rule="<="), units)
    assert found.estimates[0].contrast == "1 - 0"
    assert told(found, "rows_against_rule") == {"<=": 7.0}
    assert abs(found.estimates[0].estimate - EFFECT) < 3 * found.estimates[0].std_error


def test_without_a_treatment_the_declared_side_is_the_treated_one():
    units = score(rule="<=")
    (below,) = overall(block(cutoff_rule="<="), units).estimates
    (seen,) = overall(block(treatment="t"), units).estimates
    assert (below.estimate, below.std_error, below.n_treated) == (seen.estimate, seen.std_error, seen.n_treated)
    usual = overall(block(), units)
    assert usual.estimates[0].contrast == "right - left"
    assert told(usual, "rows_at_cutoff")["right"] > 0


def test_the_density_test_and_continuity_count_the_cutoff_where_the_estimate_does():
    units, own = score(rule="<=", n=3000), block(treatment="t", covariates=["z"])
    mirrored = design("s", block(covariates=["z"], cutoff=-CUTOFF), {**units, "x": -units["x"]}).to_pylist()
    right = {r["metric"]: r["value"] for r in design("s", block(covariates=["z"]), units).to_pylist()}
    at = {r["metric"]: r for r in design("s", own, units).to_pylist() if r["estimator"] == "rd"}
    streamed = {r.metric: r for r in streamed_design(stream(own, units))}
    for metric, value in ((r["metric"], r["value"]) for r in mirrored if r["estimator"] == "rd"):
        close(at[metric]["value"], value, 1e-9, metric)
        close(at[metric]["value"], streamed[metric].value, 1e-6, metric)
        assert at[metric]["reason"] == streamed[metric].reason
        assert "cutoff 70" in at["density_p"]["reason"]
        assert abs(value - right[metric]) > 1e-3


def test_steps_of_the_running_variable_are_told():
    units = score()
    found = overall(block(treatment="t"), units)
    assert told(found, "mass_points") == {
        "left": len(np.unique(units["x"][units["x"] <= CUTOFF])),
        "right": len(np.unique(units["x"][units["x"] > CUTOFF])),
    }
    smooth = {**units, "x": units["x"] + np.random.default_rng(1).uniform(0.01, 0.4, len(units["x"]))}
    assert not told(overall(block(), smooth), "mass_points")


def test_refusals_name_the_sides_of_the_study_and_not_the_mirrored_ones():
    units = score()
    few = {k: v[(units["x"] <= CUTOFF) | (units["x"] > 97)] for k, v in units.items()}
    streamed = stream(block(cutoff_rule="<="), few).for_run("rd", "default")
    for refused in (lambda: overall(block(cutoff_rule="<="), few), lambda: streamed_rd(streamed, "LATE")):
        with pytest.raises(Refusal, match=r"\d+ observations right of the cutoff 70; at least 20"):
            refused()
    rows = design("s", block(cutoff_rule="<="), few).to_pylist()
    (reason,) = [r["reason"] for r in rows if r["metric"] == "density_p"]
    assert "observations right of the cutoff 70;" in reason


@pytest.mark.parametrize(("more", "words"), [
    ({"cutoff_rule": "above"}, "'cutoff_rule' must compare"),
    ({"cutoff_rule": ">=", "cutoff": None}, "without a cutoff"),
])  # fmt: skip
def test_a_wrong_rule_is_refused_by_name(more, words):
    own = block(**more)
    own["decision"] = {**DECISION, "primary": "difference_in_means", "estimand": "ATE"}
    with pytest.raises(StudyError, match=words):
        Study.declare("s", {**own, "treatment": "t"})
