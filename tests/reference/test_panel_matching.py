"""Democracy and growth (Acemoglu et al. 2019; Imai, Kim & Wang 2021) against R PanelMatch 3.1.1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import COMPARISONS, DECISION, assert_published, overall, published, reference_table

from estimators.assemble import assemble
from estimators.panel.panel_matching import panel_matching
from estimators.result import Result
from estimators.study import Study

OPTIONS = {
    "lag=4 lead": {"refinement": "none"},
    "covs ~": {"refinement": "mahalanobis", "matches": 5, "lagged_outcome": True, "covariance": "diagonal"},
    "same covs": {"refinement": "ps_weight", "lagged_outcome": True, "listwise": True, "match_missing": False},
}
DRAWS = 4_000


def dem(**options: Any) -> Result:
    block = {
        "question": "q", "design": "panel", "outcome": "y", "unit": "wbcode2", "time": "year", "treatment": "dem",
        "covariates": ["tradewb"], "missing": "drop", "options": {"panel_matching": options},
        "decision": {**DECISION, "primary": "panel_matching", "estimand": "ATT"},
    }  # fmt: skip
    problem, dropped = assemble(Study.declare("dem", block), reference_table("panelmatch_dem"))
    assert dropped > 0
    return panel_matching(problem.for_run("panel_matching", "default"), "ATT")


@pytest.mark.parametrize("spec", OPTIONS)
def test_effects_and_standard_errors_at_each_lead(spec: str) -> None:
    rows = [published("panelmatch_dem", "panel matching", f"ATT t+{f}", spec) for f in range(5)]
    result = dem(**OPTIONS[spec], bootstrap=DRAWS)
    for f, row in enumerate(rows):
        ours = overall(result, f"lead={f}")
        assert_published(ours.estimate, row)
        # A bootstrap's standard error has itself a relative one of about 1 / √(2 draws); theirs has 1000 draws.
        slack = 3 * np.sqrt(1 / 2000 + 1 / (2 * DRAWS))
        COMPARISONS.record(row, "se", ours.std_error, row["se"], f"within {slack:.1%}: three errors of two bootstraps")
        assert ours.std_error == pytest.approx(row["se"], rel=slack)
    assert overall(result).estimate == pytest.approx(np.mean([row["value"] for row in rows]), abs=1e-3)


def test_the_sets_are_those_of_the_reference() -> None:
    told = {d.subject: d.value for d in dem(refinement="none", bootstrap=2).diagnostics if d.metric == "starts"}
    # R tells 105 sets, the empty ones among them.
    assert told["with_set"] + told["empty"] == 105
    assert told["empty"] == 9
