"""What the Python tests share: reference data, their published numbers, and one call that runs one estimator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from accepted import Comparisons

from estimators import contracts, warehouse
from estimators.calendar import counted
from estimators.problem import Problem
from estimators.registry import BY_NAME
from estimators.result import Estimate, Result
from estimators.study import Study

# What this run compared with references.json; `--accepted` writes it down.
COMPARISONS = Comparisons()
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
DECISION = {"primary": "regression_adjustment", "estimand": "ATE", "desired_direction": "more", "minimum_effect": 0}


def reference_table(name: str) -> pa.Table:
    """One of the reference data sets; the test is skipped where they are absent."""
    path = SHARED / f"{name}.parquet"
    if not path.exists():
        pytest.skip(f"reference data are not here: ../shared/data/{name}.parquet")
    return pq.read_table(path)


def published(dataset: str, estimator: str, quantity: str, spec: str = "") -> dict[str, Any]:
    """The one row of references.json that begins with these words (``spec``: contains)."""
    path = SHARED / "references.json"
    if not path.exists():
        pytest.skip("reference numbers are not here: ../shared/data/references.json")
    rows = [
        {**row, "row": number} for number, row in enumerate(json.loads(path.read_text()))
        if row["dataset"] == dataset and row["estimator"].startswith(estimator)
        and row["quantity"].startswith(quantity) and spec in row["spec"]
    ]  # fmt: skip
    assert len(rows) == 1, f"{len(rows)} reference rows for {dataset}, {estimator}, {quantity}, {spec}"
    return rows[0]


def last_digit(value: float) -> float:
    """Half a unit of the last digit that is stored."""
    text = repr(float(value)).rstrip("0") if float(value) != int(value) else str(int(value))
    decimals = len(text.split(".")[1]) if "." in text else 0
    return 0.5 * 10.0**-decimals


def assert_published(actual: float | None, row: dict[str, Any], key: str = "value") -> None:
    """The value lies within the row's own tolerance, or half a unit of its last stored digit if that is larger."""
    expected = row[key]
    slack = last_digit(expected)
    if key == "value" and row["tolerance"] is not None:
        slack = max(slack, row["tolerance"])
    assert actual is not None, f"no number where {expected} was published"
    COMPARISONS.record(row, key, actual, expected, f"within {slack:.3g}")
    assert abs(actual - expected) <= slack * (1 + 1e-12), f"{actual} is not {expected} within {slack}"


def explained(row: dict[str, Any], ours: float | None, why: str, key: str = "value") -> None:
    """Note in docs/accepted.md a row that is met in another way, or cannot be met, and why.

    The test that calls it asserts what does hold.
    """
    COMPARISONS.record(row, key, ours, row[key] if isinstance(row[key], (int, float)) else None, why)


def problem(block: dict[str, Any], units: Any, estimator: str, specification: str = "default") -> Problem:
    """The checked Problem of one estimator."""
    study = Study.declare("test", block)
    keys = [study.unit] + ([study.time] if study.time else [])
    columns = warehouse.read(units, study.columns(), keys, "test")
    study, columns = counted(study, columns, warehouse.types_of(units))
    contracts.check(study, columns)
    given = columns
    columns, _ = contracts.complete_rows(study, columns)
    return Problem(study, estimator, specification, study.options_for(estimator, specification), columns, given=given)


def run(block: dict[str, Any], units: Any, estimator: str, estimand: str, specification: str = "default") -> Result:
    """One run of one estimator, from the units."""
    return BY_NAME[estimator].load()(problem(block, units, estimator, specification), estimand)


def overall(result: Result, term: str = "overall") -> Estimate:
    """The row of one term."""
    (row,) = [e for e in result.estimates if e.term == term]
    return row


def observational(outcome: str, treatment: str, covariates: list[str], **more: Any) -> dict[str, Any]:
    """A study block with the least that is asked."""
    return {
        "question": "test", "design": "observational", "outcome": outcome, "treatment": treatment,
        "covariates": covariates, "decision": DECISION, **more,
    }  # fmt: skip


def shuffled(units: pa.Table, seed: int = 1) -> pa.Table:
    """The same rows in another order."""
    return units.take(np.random.default_rng(seed).permutation(units.num_rows))


def simulated(n: int = 600, seed: int = 7, effect: float = 2.0) -> dict[str, np.ndarray]:
    """A confounded binary treatment with a known constant effect and two covariates."""
    rng = np.random.default_rng(seed)
    x1, x2 = rng.normal(size=n), rng.normal(size=n)
    t = (rng.random(n) < 1 / (1 + np.exp(-0.5 * x1 + 0.25 * x2))).astype(float)
    y = 1 + effect * t + x1 - 0.5 * x2 + rng.normal(size=n)
    return {"unit_id": np.arange(n), "y": y, "t": t, "x1": x1, "x2": x2}
