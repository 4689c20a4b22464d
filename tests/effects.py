"""What the tests of estimate() share: good units, and rows checked for what every effects table promises."""

from __future__ import annotations

import json
import math
from typing import Any

import pyarrow as pa
import pytest
from support import observational, simulated

from estimators import build, estimate
from estimators.registry import ESTIMATORS
from estimators.result import EFFECTS_SCHEMA

N = 60
BLOCK = observational("y", "t", ["x1", "x2"])
DATA = simulated(N)
NULLS = [None] * N

Row = dict[str, Any]


def without_forests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the estimator that takes most of the time."""
    monkeypatch.setattr(build, "ESTIMATORS", tuple(e for e in ESTIMATORS if e.name != "counterfactual"))


def rows(block: Any = BLOCK, units: Any = DATA, **more: Any) -> list[Row]:
    """The effects, checked by `sound`."""
    return sound(estimate("s", block, units, **more))


def sound(table: pa.Table) -> list[Row]:
    """Rows of a table that keeps to what every effects table promises."""
    assert table.schema == EFFECTS_SCHEMA
    found = table.to_pylist()
    assert sum(row["is_primary"] for row in found) == 1
    for row in found:
        numbers = {k: v for k, v in row.items() if isinstance(v, float)}
        assert all(math.isfinite(v) for v in numbers.values()), numbers
        assert row["status"] in ("estimated", "refused", "not_identified", "failed")
        if row["status"] == "estimated":
            assert row["estimate"] is not None
        else:
            assert row["status_reason"]
            assert (row["estimate"], row["std_error"], row["conf_low"], row["p_value"]) == (None,) * 4
        for name in ("diagnostics", "curves", "sensitivity"):
            json.loads(row[name], parse_constant=pytest.fail)
    return found


def stable(found: list[Row]) -> list[Row]:
    """Rows without what differs from run to run."""
    return [{k: v for k, v in row.items() if k not in ("seconds", "estimated_at")} for row in found]


def one(
    found: list[Row], estimator: str, estimand: str = "ATE", specification: str = "default", term: str = "overall"
) -> Row:
    """The row of one run and term."""
    key = (estimator, estimand, specification, term)
    (row,) = [r for r in found if (r["estimator"], r["estimand"], r["specification"], r["term"]) == key]
    return row


def primary(found: list[Row]) -> Row:
    """The row that the decision reads."""
    (row,) = [row for row in found if row["is_primary"]]
    return row


def failures(found: list[Row]) -> list[str]:
    """Reasons of the failed rows."""
    return [row["status_reason"] for row in found if row["status"] == "failed"]
