"""Study: what a declaration turns into, how options are merged, and what its hash stands for."""

import json

import pytest
from support import DECISION, observational

from estimators.study import Study

BLOCK = observational(
    "y", "t", ["a", "b^2"],
    options={"ipw": {"trim": 0.05}, "propensity": {"link": "probit"}, "folds": 3},
    specifications={
        "richer": {"estimators": ["ipw"], "ipw": {"variance": "fixed_weights"}, "propensity": {"covariates": ["C(g)"]}},
        "additive": {"estimators": ["regression_adjustment"], "outcome": {"interactions": "none"}, "folds": 2},
    },
    benchmark_covariates=["a"],
)  # fmt: skip


def study(**changes):
    return Study.declare("s", {**BLOCK, **changes})


def test_defaults():
    plain = Study.declare("s", observational("y", "t", ["a"]))
    assert (plain.unit, plain.folds, plain.seed, plain.missing, plain.a_a_test) == (
        "unit_id", 5, 20260101, "refuse", False,
    )  # fmt: skip
    assert (plain.decision.term, plain.decision.specification) == ("overall", "default")
    assert plain.specification_names() == ["default"]


def test_has_a_role_only_where_it_is_declared():
    one = study(cutoff=0, running="r", instruments=[])
    assert one.has("cutoff")  # a cutoff of zero is a cutoff
    assert one.has("running")
    assert not one.has("weight")
    assert not one.has("instruments")
    assert not one.has("no_such_role")


def test_options_are_merged_from_registry_study_and_specification():
    one = study()
    default = one.options_for("ipw")
    assert default.own == {"variance": "stacked", "trim": 0.05} | {
        k: v for k, v in default.own.items() if k not in ("variance", "trim")
    }
    assert (default.propensity.link, default.propensity.covariates) == ("probit", ("a", "b^2"))
    assert (default.outcome.covariates, default.outcome.interactions, default.folds) == (("a", "b^2"), "all", 3)

    richer = one.options_for("ipw", "richer")
    assert richer.own["variance"] == "fixed_weights"
    assert richer.own["trim"] == 0.05  # the study's own option stands
    assert (richer.propensity.link, richer.propensity.covariates) == ("probit", ("C(g)",))
    assert richer.outcome == default.outcome

    additive = one.options_for("regression_adjustment", "additive")
    assert (additive.outcome.interactions, additive.folds) == ("none", 2)
    # Merging one run's options must not reach another's.
    assert one.options_for("ipw") == default


def test_a_specification_runs_only_what_it_names():
    one = study()
    assert one.specification_names() == ["default", "richer", "additive"]
    assert one.runs("default", "psm")
    assert one.runs("richer", "ipw")
    assert not one.runs("richer", "psm")


def test_columns_are_the_raw_ones_once_the_unit_first():
    one = study(cluster="school", weight="w", time="year", cohort="first", running="r", cutoff=1, instruments=["z"])
    assert one.columns() == ["unit_id", "y", "t", "year", "first", "school", "w", "r", "z", "a", "b", "g"]
    assert one.terms() == ["a", "b^2", "C(g)"]


def test_terms_of_an_estimators_own_options_are_read_too():
    one = Study.declare("s", {
        **observational("y", "t", ["a"]), "options": {"tvce": {"covariates": ["log(q)"]}},
    })  # fmt: skip
    assert one.columns() == ["unit_id", "y", "t", "a", "q"]


def test_the_declaration_is_json():
    assert json.loads(json.dumps(study().as_dict()))["decision"]["primary"] == DECISION["primary"]


def test_spec_hash_is_the_declarations_and_nothing_elses():
    assert study().spec_hash() == study().spec_hash()
    assert Study.declare("s", dict(reversed(list(BLOCK.items())))).spec_hash() == study().spec_hash()
    changed = [
        study(question="another"), study(seed=1), study(covariates=["b^2", "a"]), study(missing="drop"),
        study(decision={**DECISION, "minimum_effect": 1}), study(options={}), study(weight="w"),
        study(specifications={}), Study.declare("another name", BLOCK),
    ]  # fmt: skip
    hashes = {one.spec_hash() for one in [study(), *changed]}
    assert len(hashes) == len(changed) + 1
    assert all(len(h) == 64 for h in hashes)


def test_a_study_cannot_be_changed():
    with pytest.raises(AttributeError):
        study().folds = 2  # type: ignore[misc]
