"""When covariates were measured: what is declared as after treatment is refused, what is undeclared is tested."""

from __future__ import annotations

import datetime

import numpy as np
import pytest

from estimators import StudyError, design
from estimators.measured import undeclared
from estimators.study import Study

N = 600


def block(**more) -> dict:
    decision = {"primary": "regression_adjustment", "estimand": "ATE", "desired_direction": "more", "minimum_effect": 0}
    return {
        "question": "?", "design": "experiment", "outcome": "y", "treatment": "t", "covariates": ["x", "late"],
        "decision": decision, **more,
    }  # fmt: skip


def units(seed: int = 1) -> dict[str, np.ndarray]:
    """Two arms; ``late`` and ``kind_late`` are moved by treatment, the others are not."""
    rng = np.random.default_rng(seed)
    cluster = np.arange(N) % 60
    t = (cluster % 2).astype(float)
    kind = rng.choice(["a", "b", "c"], N)
    return {
        "unit_id": np.arange(N), "t": t, "x": rng.normal(size=N) + 1e4, "late": 0.6 * t + rng.normal(size=N),
        "kind": kind, "kind_late": np.where((t == 1) & (rng.random(N) < 0.3), "d", kind), "flat": np.full(N, 3.0),
        "same": t + 0.001 * rng.normal(size=N),
        "dose": rng.normal(size=N) + 2, "g": cluster, "w": rng.uniform(0.5, 2, N),
        "shared": rng.normal(size=60)[cluster], "y": t + rng.normal(size=N),
    }  # fmt: skip


def rows_told(budget: int = 10**6, data: dict | None = None, **more) -> dict[str, dict]:
    table = design("s", block(row_budget=budget, **more), units() if data is None else data).to_pylist()
    return {row["subject"]: row for row in table if row["metric"] == "covariate_assignment_p"}


@pytest.mark.parametrize(
    ("more", "role", "mend"),
    [
        ({"measured": "after"}, "the covariate 'x'", "Drop it from covariates, or declare it as `mediator`"),
        ({"measured": {"late": "after"}}, "the covariate 'late'", "or declare it as `mediator`"),
        ({"covariates": ["log(late):x"], "measured": {"late": "after"}}, "the covariate 'late'", "mediator"),
        ({"effect_modifiers": ["z"], "measured": {"z": "after"}}, "the effect modifier 'z'", "from effect_modifiers"),
        ({"benchmark_covariates": ["z"], "measured": {"z": "after"}}, "the benchmark covariate 'z'", "from benchmark"),
        (
            {"options": {"propensity": {"covariates": ["z"]}}, "measured": {"z": "after"}},
            "the propensity covariate 'z'",
            "from options.propensity.covariates",
        ),
        (
            {
                "specifications": {"w": {"estimators": ["ipw"], "outcome": {"covariates": ["z^2"]}}},
                "measured": {"z": "after"},
            },
            "the outcome-model covariate 'z'",
            "from specifications.w.outcome.covariates",
        ),
        ({"running": "z", "cutoff": 1, "measured": {"z": "after"}}, "the running variable 'z'", "another running"),
        ({"measured": {"late": 5}, "treated_at": 4}, "the covariate 'late'", "mediator"),
        ({"measured": {"late": "2020-05-02"}, "treated_at": datetime.date(2020, 5, 1)}, "covariate 'late'", "mediator"),
        ({"measured": {"late": 4}, "intervention_time": 4}, "the covariate 'late'", "mediator"),
    ],
)  # fmt: skip
def test_what_was_measured_after_treatment_is_refused(more, role, mend):
    with pytest.raises(StudyError, match="is declared as measured after treatment") as told:
        Study.declare("s", block(**more))
    assert role in str(told.value)
    assert mend in str(told.value)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"measured": "later"}, "must be before, after or a mapping"),
        ({"measured": {"lat": "before"}}, "unknown column in measured: 'lat'. Did you mean 'late'?"),
        ({"measured": {"late": "sometime"}}, "'measured.late' must be before, after, a number or a date"),
        ({"measured": {"late": None}}, "'measured.late' must be before, after, a number or a date"),
        ({"measured": {"late": 3}}, "Declare `treated_at:`"),
        ({"measured": {"late": 3}, "treated_at": "2020-01-01"}, "Write both as numbers or both as dates"),
    ],
)
def test_an_order_that_cannot_be_read_names_the_mend(more, words):
    with pytest.raises(StudyError) as told:
        Study.declare("s", block(**more))
    assert words in str(told.value)


@pytest.mark.parametrize(
    ("more", "left"),
    [
        ({}, ["x", "late"]),
        ({"measured": "before"}, []),
        ({"measured": {"x": "before"}}, ["late"]),
        ({"measured": {"x": 3, "late": "2"}, "treated_at": 4}, []),
        ({"measured": {"x": 4, "late": 2}, "treated_at": 4}, ["x"]),
        ({"measured": {"x": "before", "m": "after"}, "mediator": "m"}, ["late"]),
        ({"measured": "before", "effect_modifiers": ["z"], "options": {"propensity": {"covariates": ["u"]}}}, []),
        ({"measured": {"x": "before", "late": "before"}, "options": {"propensity": {"covariates": ["u"]}}}, ["u"]),
    ],
)
def test_covariates_without_a_declared_order_are_known(more, left):
    assert undeclared(Study.declare("s", block(**more))) == left


@pytest.mark.parametrize("budget", [10**6, 10])
def test_a_covariate_that_treatment_moved_is_named_and_no_other(budget):
    found = rows_told(budget, covariates=["x", "late", "C(kind)", "C(kind_late)", "flat", "same"])
    assert set(found) == {"x", "late", "kind", "kind_late", "flat", "same"}
    assert max(found[name]["value"] for name in ("late", "kind_late", "same")) < 0.001
    assert min(found[name]["value"] for name in ("x", "kind")) > 0.01
    assert "'late' differs by arm more than chance" in found["late"]["reason"]
    assert found["flat"]["value"] is None
    assert found["flat"]["reason"].startswith("not applicable")


@pytest.mark.parametrize(
    "more",
    [{}, {"weight": "w"}, {"cluster": "g"}, {"cluster": "g", "weight": "w"}, {"treatment": "dose"}],
)
def test_streams_say_the_same(more):
    terms = ["x", "late", "C(kind)", "C(kind_late)"]
    held, streamed = rows_told(covariates=terms, **more), rows_told(10, covariates=terms, **more)
    assert set(held) == set(streamed) == {"x", "late", "kind", "kind_late"}
    for name, row in held.items():
        assert streamed[name]["value"] == pytest.approx(row["value"], rel=1e-6), name


@pytest.mark.parametrize("budget", [10**6, 10])
def test_clusters_are_respected(budget):
    """A covariate of clusters that were drawn as wholes differs by arm by the chance of 60 draws, not of 600."""
    draws = [units(seed) for seed in range(12)]
    by_rows = [rows_told(data=data, covariates=["shared"])["shared"]["value"] for data in draws]
    by_clusters = [
        rows_told(budget, data=data, covariates=["shared"], cluster="g")["shared"]["value"] for data in draws
    ]
    assert min(by_rows) < 0.001 < min(by_clusters)


def test_holm_is_over_all_columns():
    one, two = rows_told(covariates=["late"])["late"]["value"], rows_told(covariates=["late", "x"])["late"]["value"]
    assert two == pytest.approx(2 * one, rel=1e-9)


@pytest.mark.parametrize("budget", [10**6, 10])
def test_what_is_declared_before_is_not_tested(budget):
    (row,) = rows_told(budget, measured="before").values()
    assert row["value"] is None
    assert row["reason"] == "not applicable: the covariates were declared as measured before treatment"


def test_a_rare_trait_in_a_small_arm_is_no_alarm():
    """A trait of 2 in 100, absent from an arm of a tenth: Welch's t has p below 1e-4, as that arm has no spread."""
    t = (np.arange(1000) < 100).astype(float)
    rare = (np.arange(1000) % 45 == 1).astype(float) * (t == 0)
    data = {"unit_id": np.arange(1000), "t": t, "rare": rare, "y": t + np.arange(1000) % 7}
    held, streamed = (rows_told(budget, data, covariates=["rare"])["rare"]["value"] for budget in (10**6, 10))
    assert held == pytest.approx(streamed, rel=1e-9)
    assert held > 0.1
