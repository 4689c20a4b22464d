"""Declared roles that nothing uses are told."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support import DECISION

from estimators import estimate
from estimators.declaration import Declaration
from estimators.registry import ESTIMATORS
from estimators.roles import ROLES, unused, uses


def told(block, units):
    rows = estimate("s", block, units).to_pylist()
    found = [d for row in rows for d in json.loads(row["diagnostics"]) if d["metric"] == "role_unused"]
    return {d["subject"]: d["value"] for d in found}


def test_a_role_that_no_estimator_uses_is_told():
    """A cluster has no bearing on a single series, and nothing of its estimators reads effect modifiers."""
    rng = np.random.default_rng(0)
    units = {"unit_id": np.arange(40), "month": np.arange(40), "y": rng.normal(size=40), "x": rng.normal(size=40)}
    units["region"] = np.arange(40) % 2
    block = {
        "question": "q", "design": "its", "outcome": "y", "time": "month", "intervention_time": 25,
        "covariates": ["x"], "cluster": "region", "effect_modifiers": ["x"],
        "decision": {**DECISION, "primary": "its", "estimand": "ATT"},
    }  # fmt: skip
    assert told(block, units) == {"cluster": 0.0, "effect_modifiers": 0.0}
    plain = {key: value for key, value in block.items() if key not in ("cluster", "effect_modifiers")}
    assert told(plain, units) == {}


def test_what_the_primary_does_not_use_is_told():
    rng = np.random.default_rng(0)
    units = {"unit_id": np.arange(80), "t": np.arange(80) % 2, "y": rng.normal(size=80), "x": rng.normal(size=80)}
    block = {
        "question": "q", "design": "experiment", "outcome": "y", "treatment": "t", "covariates": ["x"],
        "decision": {**DECISION, "primary": "difference_in_means", "estimand": "ATE"},
    }  # fmt: skip
    assert told(block, units)["covariates"] > 0


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda one: one.name)
def test_roles_of_the_registry_are_roles(estimator):
    known = {*ROLES, "outcome", "unit", "time", "sample"}
    assert {*estimator.needs, *estimator.either, *estimator.also, *estimator.ignores} <= known
    block = {"question": "q", "design": "its", "outcome": "y", "time": "t", "intervention_time": 3}
    study = Declaration("s", {**block, "decision": {**DECISION, "primary": "its", "estimand": "ATT"}}).study()
    assert uses(estimator, study) >= set(estimator.needs)
    assert unused(study, [estimator.name, "its"]) == ()
