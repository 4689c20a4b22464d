"""Whole streamed studies on bad units: the answer of the in-memory study, or the same clear refusal; never a number."""

from __future__ import annotations

import math
from typing import Any
from unittest import mock

import numpy as np
import pytest
from streamed_support import NUMBERS, Row, close

from estimators import estimate
from estimators.registry import ESTIMATORS

N = 2_400
# counterfactual's forests train on row_budget rows, too few here: see test_streamed_counterfactual.py.
STREAMED = tuple(one for one in ESTIMATORS if one.streams and one.name != "counterfactual")


def units(**more: np.ndarray) -> dict[str, np.ndarray]:
    """A confounded binary treatment with an instrument, and three covariates."""
    rng = np.random.default_rng(11)
    x = rng.normal(size=(3, N))
    z = (rng.random(N) < 0.5).astype(float)
    t = (rng.random(N) < 1 / (1 + np.exp(0.8 - 0.5 * x[0] - 1.2 * z))).astype(float)
    y = 1 + 2 * t + x[0] - 0.5 * x[1] + rng.normal(size=N)
    columns = {"unit_id": np.arange(N), "y": y, "t": t, "z": z, "x1": x[0], "x2": x[1], "x3": x[2]}
    return columns | {"f": np.arange(N) % 5} | more


def block(**more: Any) -> dict[str, Any]:
    """Its study."""
    decision = {"primary": "ope", "estimand": "ATE", "desired_direction": "more", "minimum_effect": 0.5}
    return {
        "question": "Does t raise y?", "design": "observational", "outcome": "y", "treatment": "t", "unit": "unit_id",
        "covariates": ["x1", "x2", "x3"], "instruments": ["z"], "fold": "f", "decision": decision, **more,
    }  # fmt: skip


def with_value(name: str, value: float, rows: slice | int = 1_700) -> dict[str, np.ndarray]:
    """The units with one value put into some rows of a column."""
    column = units()[name].copy()
    column[rows] = value
    return units(**{name: column})


def levels(number: int) -> np.ndarray:
    """A text column with so many values."""
    return np.array([f"level {i:03d}" for i in np.random.default_rng(3).integers(0, number, N)])


def constant_in_a_fold() -> dict[str, np.ndarray]:
    """A column that varies in fold 2 alone: outside it there is nothing to fit."""
    own = units()
    return {**own, "x3": np.where(own["f"] == 2, own["x3"], 0.25)}


BROKEN: dict[str, tuple[dict[str, np.ndarray], dict[str, Any], str]] = {
    "an infinite covariate": (with_value("x2", np.inf), {}, "'x2'"),
    "an infinite outcome": (with_value("y", -np.inf), {}, "'y'"),
    "an infinite instrument": (with_value("z", np.inf), {}, "'z'"),
    "a covariate without a value": (with_value("x3", np.nan, slice(None)), {"missing": "drop"}, "'x3'"),
    "missing values that no rule covers": (with_value("x1", np.nan, slice(0, 900)), {}, "'x1'"),
    "an outcome near 1e300": (units(y=units()["y"] * 1e300), {}, "'y'"),
}
SOUND: dict[str, tuple[dict[str, np.ndarray], dict[str, Any]]] = {
    "the first 900 rows without a value": (with_value("x1", np.nan, slice(0, 900)), {"missing": "drop"}),
    "a column that is constant outside a fold": (constant_in_a_fold(), {}),
    "collinear covariates": (units(x3=2 * units()["x1"] - 1), {}),
    "a covariate that never varies": (units(x3=np.full(N, 1e9)), {}),
    "an outcome of 1e140": (units(y=units()["y"] * 1e140), {}),
    "an outcome of 1e-140": (units(y=units()["y"] * 1e-140), {}),
}


def rows_of(made: dict[str, np.ndarray], more: dict[str, Any], budget: int) -> dict[tuple[str, str, str], Row]:
    """Rows of the estimators that stream, by estimator, estimand and term."""
    with mock.patch("estimators.build.ESTIMATORS", STREAMED):
        rows = estimate("s", block(row_budget=budget, **more), made).to_pylist()
    return {(row["estimator"], row["estimand"], row["term"]): row for row in rows}


@pytest.mark.parametrize("case", BROKEN)
def test_refused_with_the_column(case):
    made, more, name = BROKEN[case]
    rows = rows_of(made, more, 10)
    assert rows
    for key, row in rows.items():
        assert row["status"] in ("refused", "failed"), key
        assert name in row["status_reason"], (key, row["status_reason"])
        assert all(row[number] is None for number in ("estimate", "std_error", "conf_low", "conf_high")), key


@pytest.mark.parametrize("case", SOUND)
def test_as_in_memory(case):
    made, more = SOUND[case]
    memory, streamed = (rows_of(made, more, budget) for budget in (10**9, 10))
    assert memory.keys() == streamed.keys()
    assert sum(row["status"] == "estimated" for row in streamed.values()) > len(streamed) / 2
    for key, row in streamed.items():
        assert row["status"] == memory[key]["status"], (key, row["status_reason"], memory[key]["status_reason"])
        if row["status"] == "estimated":
            assert all(row[name] is None or math.isfinite(row[name]) for name in NUMBERS), key
        for name in NUMBERS:
            close(memory[key][name], row[name], 1e-8, f"{key}: {name}")


def test_500_levels():
    """One-hot columns are as good as a mean a level: the additive regression is the within-level one."""
    made = units(c=levels(500))
    rows = rows_of(made, {"covariates": ["x1", "C(c)"]}, 10)
    memory = rows_of(made, {"covariates": ["x1", "C(c)"]}, 10**9)
    assert {key: row["status"] for key, row in rows.items()} == {key: row["status"] for key, row in memory.items()}
    estimated = {key: row for key, row in rows.items() if row["status"] == "estimated"}
    assert estimated
    for key, row in estimated.items():
        close(memory[key]["estimate"], row["estimate"], 1e-7, str(key))
