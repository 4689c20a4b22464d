"""Right heart catheterisation (SUPPORT): days survived of thirty, with two proxies of each kind."""

from __future__ import annotations

from typing import Any

import pytest
from support import DECISION, assert_published, explained, overall, published, reference_table, run

DATA = "rhc_support"
EXPOSURES, OUTCOMES = ["pafi1", "paco21"], ["ph1", "hema1"]


@pytest.fixture(scope="module")
def result() -> Any:
    units = reference_table(DATA)
    apart = {"unit_id", "survival", "rhc", "y30", *EXPOSURES, *OUTCOMES}
    block = {
        "question": "q", "design": "observational", "outcome": "y30", "treatment": "rhc",
        "covariates": [name for name in units.column_names if name not in apart],
        "negative_control_exposures": EXPOSURES, "negative_control_outcomes": OUTCOMES,
        "options": {"proximal": {"variance": "classical"}}, "decision": {**DECISION, "primary": "proximal"},
    }  # fmt: skip
    assert len(block["covariates"]) == 68
    return run(block, units, "proximal", "ATE")


@pytest.mark.parametrize(("name", "term"), [("proximal 2SLS", "overall"), ("OLS", "method=ols")])
def test_published(result: Any, name: str, term: str) -> None:
    row, ours = published(DATA, name, "days", "68 others"), overall(result, term)
    for value, error in (("value", "se"), ("reproduced_value", "reproduced_se")):
        assert_published(ours.estimate, row, value)
        assert_published(ours.std_error, row, error)
    assert ours.std_error == pytest.approx(row["reproduced_se"], rel=1e-3)


def test_paper(result: Any) -> None:
    """The paper codes X in another way, which is not stored: its number lies inside our interval, and ours in its."""
    row, ours = published(DATA, "proximal 2SLS (paper)", "days"), overall(result)
    explained(row, ours.estimate, "other coding of X, not stored; each number lies in the other's interval")
    explained(row, ours.std_error, "other coding of X, not stored", "se")
    assert ours.conf_low < row["value"] < ours.conf_high
    assert row["ci"][0] < ours.estimate < row["ci"][1]


def test_the_second_combination_of_proxies_is_weak(result: Any) -> None:
    """What no publication says: given the first, the exposure proxies hardly move the second (F 4.7, rank p 0.03)."""
    found = {(d.metric, d.subject): d for d in result.diagnostics}
    assert found["proxy_f", "weakest_used"].is_passing is False
    assert found["first_stage_rank_p", "overall"].value == pytest.approx(0.0308, abs=1e-3)
    assert "weak proxies" in overall(result).status_reason
