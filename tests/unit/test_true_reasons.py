"""What a study without scores or estimates says of it: the true cause by name, and no library's words."""

import json
import re

import numpy as np
import pyarrow as pa
import pytest
from causes import CAUSES, DECISION, UNITS, N
from support import observational, simulated

from estimators import design, estimate, failures, score
from estimators.errors import Refusal, Told

FOREIGN = re.compile(r"\b(KeyError|IndexError|TypeError|ValueError|Traceback|LINE \d|(Parser|Binder|Catalog) Error)\b")
BUDGETS = pytest.mark.parametrize("budget", [10**9, 10])


def table(made):
    return made if isinstance(made, pa.Table) else made.to_arrow_table()


@BUDGETS
@pytest.mark.parametrize("name", CAUSES)
def test_scores_and_effects_name_the_cause(name, budget):
    cause = CAUSES[name]
    block, units = cause.study()
    block = {**block, "row_budget": budget, "options": {**block.get("options", {}), "counterfactual": {"bootstrap": 5}}}
    made = table(score("s", block, units))
    (row,) = made.to_pylist()
    assert (row["unit_id"], row["dr_score"], row["status"]) == (None, None, "refused")
    assert cause.reason in row["status_reason"], row["status_reason"]
    assert cause.remedy in (row["remedy"] or ""), row["remedy"]
    if name == "dose":
        return  # has effects, by least squares
    (primary,) = (r for r in estimate("s", block, units, scores=made).to_pylist() if r["is_primary"])
    assert primary["status"] != "estimated"
    assert (cause.effects or cause.reason) in primary["status_reason"], primary["status_reason"]
    assert not FOREIGN.search(primary["status_reason"])


@BUDGETS
@pytest.mark.parametrize("name", ["separation", "site_of_one_arm", "a_site_a_unit"])
def test_the_design_table_quotes_the_scores(name, budget):
    block, units = CAUSES[name].study()
    made = table(score("s", block, units))
    rows = [
        r for r in design("s", {**block, "row_budget": budget}, units, scores=made).to_pylist() if r["metric"] == "smd"
    ]
    assert rows
    for row in rows:
        assert row["value"] is None
        assert row["reason"] == f"there are no scores: {made['status_reason'][0].as_py()}"
        assert row["remedy"] == made["remedy"][0].as_py()


@BUDGETS
def test_what_cannot_be_crossfitted_costs_the_crossfitted_alone(budget):
    units = {**UNITS, "f": UNITS["t"]}
    block = observational("y", "t", ["x", "z"], fold="f", folds=2, row_budget=budget)
    made = table(score("s", block, units))
    assert (made.num_rows, made["dr_score"].null_count, made["weight_ipw_ate"].null_count) == (N, N, 0)
    reason, mend = json.loads(made["refusals"][0].as_py())["dr_score"]
    assert reason.startswith("outside fold 0, 160 treated" if UNITS["t"].sum() == 160 else "outside fold 0, ")
    assert mend == "Widen the population, or use fewer folds"
    rows = {r["estimator"]: r for r in estimate("s", block, units, scores=made).to_pylist() if r["estimand"] == "ATE"}
    assert rows["ipw"]["status"] == "estimated"
    assert reason in rows["ope"]["status_reason"]


@pytest.mark.parametrize("crash", [
    KeyError("lost"), IndexError("index 5 is out of bounds for axis 0"), np.linalg.LinAlgError("Singular matrix"),
    MemoryError(), ZeroDivisionError("division by zero"), TypeError("unhashable type"), OverflowError(),
])  # fmt: skip
def test_a_library_s_words_do_not_reach_a_user(monkeypatch, crash):
    from estimators.selection_on_observables import ipw

    def fails(*_):
        raise crash

    monkeypatch.setattr(ipw, "hajek", fails)
    options = {"counterfactual": {"bootstrap": 5}}
    block = observational("y", "t", ["x1", "x2"], options=options, decision=DECISION)
    (row,) = (r for r in estimate("s", block, simulated(200)).to_pylist() if r["is_primary"])
    assert row["status"] == "failed"
    text = row["status_reason"]
    assert text.startswith(f"ipw ({row['estimand']}) of study s could not be computed: ")
    assert f"({type(crash).__name__}). " in text
    assert not (str(crash) and str(crash) in text)


def test_own_words_are_shown_as_they_are():
    assert failures.told(Refusal("too few", "Widen"), "s", "x") == ("too few", "Widen")
    assert failures.told(Told("3 rows cannot carry 5 coefficients"), "s", "ols")[0] == (
        "ols of study s could not be computed: 3 rows cannot carry 5 coefficients"
    )
