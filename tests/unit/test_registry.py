"""The catalogue: every entry can be loaded, its options describe and accept what they say."""

import importlib
import inspect

import pytest
from support import DECISION, observational

from estimators import entry as kinds
from estimators.registry import BESIDE, BY_NAME, ESTIMATORS, NAIVE, Estimator, Option
from estimators.study import Study

STUDY = Study.declare("s", observational("y", "t", ["a"]))


def test_names_are_unique_and_the_naive_ones_are_there():
    assert len(BY_NAME) == len(ESTIMATORS)
    assert set(BESIDE) <= set(BY_NAME)
    assert (*NAIVE, "sensitivity") == BESIDE


def test_the_registry_hands_on_the_kinds_of_its_entries():
    assert (Option, Estimator) == (kinds.Option, kinds.Estimator)


@pytest.mark.parametrize("name", BY_NAME)
def test_every_estimator_loads_and_is_documented(name):
    entry = BY_NAME[name]
    function = entry.load()
    assert function.__name__ == name
    assert list(inspect.signature(function).parameters) == ["problem", "estimand"]
    assert "Raises" in inspect.getdoc(function)
    assert entry.estimands
    assert entry.title
    assert entry.assumptions
    assert entry.when_not
    assert entry.source
    assert entry.treatment in ("binary", "continuous", "any", None)
    assert all(hasattr(STUDY, role) for role in entry.needs)


@pytest.mark.parametrize("name", BY_NAME)
def test_defaults_are_allowed_and_described(name):
    for option in BY_NAME[name].options.values():
        assert option.accepts(option.default)
        assert option.describe()
        assert option.meaning


def test_every_name_of_a_registry_entry_is_an_import():
    for entry in ESTIMATORS:
        module, function = entry.where.split(":")
        assert hasattr(importlib.import_module(f"estimators.{module}"), function)


@pytest.mark.parametrize(("option", "good", "bad"), [
    (Option(0.0, float, ""), [0.5, 1, 0], [True, "1", None, [1.0], float("nan"), float("inf")]),
    (Option(None, float, ""), [None, 0.5, 2], [False, "x"]),
    (Option(5, int, ""), [1, 0], [1.5, True, None, "1"]),
    (Option(True, bool, ""), [True, False], [1, "true", None]),
    (Option(False, (True, False), ""), [True, False], [1, 0, "true", None]),
    (Option(1, (1, 2), ""), [1, 2], [True, 3, "1", None]),
    (Option("a", ("a", "b"), ""), ["a", "b"], ["c", None, 1, ["a"]]),
    (Option(None, (list, tuple), ""), [None, [], ["x"], ("x",)], ["x", 1]),
])  # fmt: skip
def test_options_accept(option, good, bad):
    assert [v for v in good if not option.accepts(v)] == []
    assert [v for v in bad if option.accepts(v)] == []


def test_options_describe_what_they_allow():
    assert Option(0.0, float, "").describe() == "float"
    assert Option(None, (list, tuple), "").describe() == "list or tuple"
    assert Option(1, (1, 2), "").describe() == "1, 2"


@pytest.mark.parametrize(("kind", "names"), [
    ("binary", {"difference_in_means", "regression_adjustment", "ipw", "psm", "stratification", "ope", "tvce",
                "counterfactual", "sensitivity", "causal_forest", "ipwra"}),
    ("continuous", {"ols", "tvce", "sensitivity", "causal_forest"}),
    (None, set()),
])  # fmt: skip
def test_roles_and_treatment_choose_the_estimators(kind, names):
    assert {e.name for e in ESTIMATORS if e.suits(STUDY, kind)} == names


def test_a_declared_role_brings_its_estimator():
    block = observational("y", "t", ["a"], instruments=["z"], running="r", cutoff=0, time="d", cohort="g")
    names = {e.name for e in ESTIMATORS if e.suits(Study.declare("s", block), "binary")}
    assert {"iv", "rd", "did", "synthetic_control"} <= names
    assert "tvce_panel" in names
    bare = {k: v for k, v in block.items() if k not in ("covariates", "cohort")}
    bare["decision"] = {**DECISION, "primary": "difference_in_means"}
    assert {e.name for e in ESTIMATORS if e.suits(Study.declare("s", bare), "binary")} == {
        "difference_in_means", "iv", "panel_matching", "rd", "twfe",
    }  # fmt: skip
