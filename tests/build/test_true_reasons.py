"""Gates judged by dbt quote why a study has no scores, and their remedies are not refused by the same study."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from causes import CAUSES
from judging import Judged, judge, judging
from made_up_studies import BLOCK, scores, units

from estimators import design, gating, score

# Those whose contract holds, so that the gates on the scores are judged.
WHOLE = ("log_of_zero", "overflow", "product", "separation", "site_of_one_arm", "first_site_of_one_arm",
         "a_site_a_unit")  # fmt: skip
FAR = [0.05 if i % 4 == 0 else 0.5 for i in range(80)]
FAR_AND_SURE = [0.95 if i % 6 == 1 else far for i, far in enumerate(FAR)]


def made_up() -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name in WHOLE:
        block, columns = CAUSES[name].study()
        made = score(name, block, columns)
        tables = {"units": pa.table(columns), "scores": made, "design": design(name, block, columns, scores=made)}
        out[name] = {**tables, "block": block}
    for name, e in (("far", FAR), ("far_and_sure", FAR_AND_SURE)):
        one = {"units": units(), "scores": scores(propensity=e), "block": BLOCK}
        out[name] = {**one, "design": design(name, BLOCK, one["units"], scores=one["scores"])}
    return out


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    studies = made_up()
    return judge(judging(tmp_path_factory.mktemp("reasons"), studies), studies)


@pytest.mark.parametrize("name", WHOLE)
def test_every_gate_on_the_scores_tells_the_cause(judged: Judged, name: str) -> None:
    cause = CAUSES[name]
    rows = [row for row in judged.rows[name] if row["gate"] in ("overlap", "effective_sample_size", "balance")]
    assert {row["gate"] for row in rows} == {"overlap", "effective_sample_size", "balance"}
    for row in rows:
        assert (row["value"], row["is_passing"]) == (None, False)
        if row["estimator"] == "difference_in_means":  # whose policy line is information
            continue
        assert cause.reason in row["reason"], row
        assert cause.remedy in row["remedy"], row
    text = gating.reason(gating.blocking(judged.rows[name], "ipw", "ATE"))
    assert text.count(cause.reason) <= 2  # told once for the scores, once for the design
    assert "ask for" not in text
    assert (
        "Narrow the population to where both arms occur" not in text.replace(cause.remedy, "") or name == "separation"
    )


def test_a_remedy_points_to_an_estimand_only_where_that_passes(judged: Judged) -> None:
    def remedy(name: str) -> str:
        return judged.one(name, "overlap", estimand="ATE", estimator=None)["remedy"]

    assert judged.blocked("far", "ope", "ATE") == {"overlap"}
    assert "ask for the ATT" in remedy("far")
    assert judged.blocked("far", "ope", "ATT") == set()
    assert judged.blocked("far_and_sure", "ope", "ATT") == {"overlap"}
    assert "ATT" not in remedy("far_and_sure")
    assert "ask for the ATO of ipw" in remedy("far_and_sure")
    assert judged.blocked("far_and_sure", "ipw", "ATO") == set()
