"""Deaths from heart attacks in Sicily before and after the smoking ban (Lopez Bernal, Cummins & Gasparrini 2017)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import DECISION, assert_published, overall, published, reference_table, run


def sicily(**options: Any) -> Any:
    units = reference_table("its_sicily")
    columns = {name: np.array(units.column(name).to_pylist(), dtype=float) for name in ("time", "aces", "stdpop")}
    columns["island"] = np.ones(len(columns["time"]))
    banned = np.array(units.column("smokban").to_pylist())
    block = {
        "question": "q", "design": "its", "outcome": "aces", "unit": "island", "time": "time", "exposure": "stdpop",
        "intervention_time": float(columns["time"][banned == 1].min()),
        "decision": {**DECISION, "primary": "its", "estimand": "ATT"},
        "options": {"its": {"family": "poisson", "slope": False, **options}},
    }  # fmt: skip
    return overall(run(block, columns, "its", "ATT"), "rate_ratio")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ITS level change", {"variance": "model"}),
        ("ITS level change, seasonal", {"harmonics": 2}),
    ],
)
def test_rate_ratio(name: str, options: dict[str, Any]) -> None:
    row = published("its_sicily", name, "rate ratio", "harmonics" if "," in name else "aces~smokban+time")
    ours = sicily(**options)
    assert_published(ours.estimate, row)
    assert_published(ours.estimate, row, "reproduced_value")
    # The authors' intervals are normal, ours Student's t with T - k degrees of freedom: a little wider.
    log_error = ours.std_error / ours.estimate
    low, high = (ours.estimate * np.exp(side * 1.959964 * log_error) for side in (-1, 1))
    assert (round(low, 3), round(high, 3)) == tuple(row["ci"])
    assert ours.conf_low < low < high < ours.conf_high
