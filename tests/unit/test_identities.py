"""Two roles that hold the same numbers are refused by name, with both columns and a mend."""

import numpy as np
import pytest

from estimators import estimate, identities
from estimators.assemble import assemble
from estimators.errors import StudyError
from estimators.study import Study

BLOCK = {
    "question": "?", "design": "observational", "outcome": "y", "treatment": "t", "covariates": ["x"],
    "decision": {"primary": "ipw", "estimand": "ATE", "desired_direction": "more", "minimum_effect": 0},
}  # fmt: skip


def units(n=60):
    random = np.random.default_rng(3)
    x, z, t = random.normal(size=n), random.normal(size=n), (random.random(n) < 0.5).astype(float)
    y = 2 * t + x + random.normal(size=n)
    return {"unit_id": np.arange(float(n)), "y": y, "t": t, "x": x, "z": z}


SAME = [
    ({"instruments": ["z"]}, "z", "t", "the instrument 'z' is the treatment 't'"),
    ({"instruments": ["z"]}, "z", "y", "the instrument 'z' is the outcome 'y'"),
    ({"mediator": "z"}, "z", "y", "the mediator 'z' is the outcome 'y'"),
    ({"mediator": "z"}, "z", "t", "the mediator 'z' is the treatment 't'"),
    ({"covariates": ["x", "z"]}, "z", "y", "the covariate 'z' is the outcome 'y'"),
    ({"negative_control_outcomes": ["z"]}, "z", "y", "the negative control outcome 'z' is the outcome 'y'"),
    ({"effect_modifiers": ["z"]}, "z", "y", "the effect modifier 'z' is the outcome 'y'"),
    ({"guardrails": {"z": {"desired_direction": "more", "margin": 1}}}, "z", "x", "the guardrail 'z' is the covariate"),
    ({"secondary_outcomes": ["z"]}, "z", "x", "the secondary outcome 'z' is the covariate 'x'"),
    ({"dose": "z"}, "z", "y", "the dose 'z' is the outcome 'y'"),
]


@pytest.mark.parametrize(("more", "name", "like", "words"), SAME)
@pytest.mark.parametrize("scale", [1.0, -3e-8])
@pytest.mark.parametrize("budget", [200_000, 30], ids=["memory", "streamed"])
def test_two_roles_that_are_one_by_value(more, name, like, words, scale, budget):
    study, rows = Study.declare("s", {**BLOCK, **more, "row_budget": budget}), units()
    rows = {k: rows[k] for k in study.columns()}
    assemble(study, rows)
    with pytest.raises(StudyError, match=words):
        assemble(study, {**rows, name: 5 * scale + scale * units()[like]})


def test_nearly_the_same_and_tiny_data_and_constants_are_not_refused():
    one = units()["y"]
    assert identities.affine(one, one * 1e-170 * 3)
    assert not identities.affine(one, one + 1e-4 * units()["z"])
    assert not identities.affine(one[:19], one[:19])
    assert not identities.affine(np.ones(60), np.ones(60))
    assert not identities.affine(one, np.full(60, 0.1))


@pytest.mark.parametrize("budget", [10**9, 10])
def test_instruments_that_give_the_treatment_together_are_refused(budget):
    """Neither is the treatment, but their sum is: R² = 1 and F = ∞."""
    rng = np.random.default_rng(1)
    z1, z2 = rng.normal(size=(2, 300))
    units = {"unit_id": np.arange(300), "z1": z1, "z2": z2, "t": z1 + z2, "y": z1 + rng.normal(size=300)}
    block = {
        "question": "q", "design": "iv", "outcome": "y", "treatment": "t", "instruments": ["z1", "z2"],
        "row_budget": budget,
        "decision": {"primary": "iv", "estimand": "LATE", "desired_direction": "more", "minimum_effect": 0},
    }  # fmt: skip
    row = next(r for r in estimate("s", block, units).to_pylist() if r["estimator"] == "iv")
    assert row["status"] == "not_identified"
    assert "give the treatment 't' exactly" in row["status_reason"]
