"""Thresholds stand in one place: what the gates were judged by holds in estimators too."""

import json

import numpy as np
import pytest
import yaml
from causes import DECISION
from support import observational, simulated

from estimators import estimate, thresholds
from estimators.overlap import support_bounds

OPTIONS = {"counterfactual": {"bootstrap": 5}}


def bars(gates=None):
    block = observational("y", "t", ["x1", "x2"], decision=DECISION, options=OPTIONS)
    rows = estimate("s", block, simulated(200), gates=gates).to_pylist()
    noted = [d for r in rows for d in json.loads(r["diagnostics"]) if d["metric"] == "weighted_smd"]
    assert noted
    for one in noted:
        assert one["is_passing"] == (abs(one["value"]) < one["threshold"])
    return {one["threshold"] for one in noted}


def test_the_project_file_is_the_default():
    declared = yaml.safe_load(thresholds.OWN.read_text())["vars"]["cqox"]["gate_thresholds"]
    assert thresholds.declared() == declared
    assert bars() == {declared["balance"]}


@pytest.mark.parametrize("project", ["integration_tests", "benchmarks/warehouse"])
def test_projects_that_dbt_makes_declare_their_own_copy_declare_the_same(project):
    """A root project's ``vars`` hide a package's, so that these two must repeat them."""
    own = yaml.safe_load((thresholds.OWN.parent / project / "dbt_project.yml").read_text())["vars"]
    assert own["gate_thresholds"] == yaml.safe_load(thresholds.OWN.read_text())["vars"]["cqox"]["gate_thresholds"]
    assert tuple(own["propensity_bounds"]) == thresholds.bounds()


def test_bounds_of_support_are_those_of_the_project(tmp_path, monkeypatch):
    assert (support_bounds(0.5), thresholds.bounds()) == ((0.1, 0.9), (0.1, 0.9))
    (tmp_path / "dbt_project.yml").write_text(yaml.safe_dump({"name": "m", "vars": {"propensity_bounds": [0.2, 0.8]}}))
    monkeypatch.chdir(tmp_path)
    assert support_bounds(0.5) == (0.2, 0.8)
    assert support_bounds(0.5, 0.05) == (0.05, 0.8)
    assert thresholds.limit("balance") == 0.1


def test_the_gates_bring_theirs():
    gate = {"study": "s", "gate": "balance", "subject": "x1", "estimator": "ipw", "estimand": "ATE", "value": 0.0,
            "threshold": 0.02, "is_passing": True, "blocks": True, "reason": "", "remedy": None}  # fmt: skip
    assert bars([gate]) == {0.02}
    assert bars() == {0.1}  # and leave with them


@pytest.mark.parametrize("place", [None, "mine", "cqox"])
def test_a_project_that_installs_this_one_has_its_own(tmp_path, monkeypatch, place):
    own = {"gate_thresholds": {"balance": 0.25}}
    project = {"name": "mine", "vars": own if place is None else {place: own}}
    (tmp_path / "dbt_project.yml").write_text(yaml.safe_dump(project))
    monkeypatch.chdir(tmp_path)
    assert thresholds.limit("balance") == 0.25
    assert thresholds.limit("first_stage") == 10
    with thresholds.judged_by([{"gate": "first_stage", "threshold": 4}]):
        assert (thresholds.limit("first_stage"), thresholds.limit("balance")) == (4, 0.25)


def test_a_weak_instrument_is_weak_by_the_gate():
    rng = np.random.default_rng(0)
    z, u = rng.normal(size=(2, 600))
    t = 0.3 * z + u
    units = {"unit_id": np.arange(600), "z": z, "t": t, "y": t + u + rng.normal(size=600)}
    block = {"question": "?", "design": "iv", "outcome": "y", "treatment": "t", "instruments": ["z"],
             "decision": {**DECISION, "primary": "iv", "estimand": "LATE"}}  # fmt: skip
    gate = {"gate": "first_stage", "subject": "t", "estimator": "iv", "estimand": None, "value": 50.0, "threshold": 1e4,
            "is_passing": False, "blocks": False, "reason": "", "remedy": None}  # fmt: skip
    for gates, weak in ((None, False), ([gate], True)):
        (row,) = (r for r in estimate("s", block, units, gates=gates).to_pylist() if r["is_primary"])
        assert (row["std_error"] is None) == weak
        assert ("is below 10000" in (row["status_reason"] or "")) == weak
