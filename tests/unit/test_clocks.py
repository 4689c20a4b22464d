"""Options and covariates on a calendar: predictors' periods, gaps between numbered periods, dates as covariates."""

from __future__ import annotations

import datetime
import json
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest

from estimators import estimate
from estimators.registry import BY_NAME

PERIODS = 8
MONTHS = [200009 + k if k < 4 else 200101 + k - 4 for k in range(PERIODS)]
DECISION = {"primary": "synthetic_control", "estimand": "ATT", "desired_direction": "more", "minimum_effect": 0}
BLOCK: dict[str, Any] = {
    "question": "q", "design": "synthetic_control", "outcome": "y", "unit": "u", "time": "t", "cohort": "g",
    "decision": DECISION,
}  # fmt: skip


def panel(clock: Any, kind: pa.DataType) -> pa.Table:
    """One unit treated from the sixth period on, and nine donors."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(10, PERIODS))
    y = 3 * x.mean(axis=1, keepdims=True) + 0.2 * np.arange(PERIODS) + 0.3 * rng.normal(size=(10, PERIODS))
    y[0, 5:] += 2
    t = [clock(k) for k in range(PERIODS)] * 10
    g = [clock(5)] * PERIODS + [None] * (9 * PERIODS)
    u = np.repeat(np.arange(10), PERIODS)
    return pa.table({"u": u, "t": pa.array(t, kind), "g": pa.array(g, kind), "x": x.ravel(), "y": y.ravel()})


def month(k: int) -> datetime.date:
    return datetime.date(MONTHS[k] // 100, MONTHS[k] % 100, 1)


def overall(units: pa.Table, asked: Any, **more: Any) -> dict[str, Any]:
    block = {**BLOCK, "options": {"synthetic_control": {"predictors": {"x": asked, "y": asked}}}, **more}
    with mock.patch("estimators.build.ESTIMATORS", (BY_NAME["synthetic_control"],)):
        return next(row for row in estimate("s", block, units).to_pylist() if row["term"] == "overall")


def names(row: dict[str, Any]) -> set[str]:
    return {d["subject"] for d in json.loads(row["diagnostics"]) if d["metric"] == "predictor_treated"}


def test_predictors_are_written_as_the_units_are() -> None:
    plain = overall(panel(lambda k: k + 1, pa.int64()), ["1 to 3", 4])
    assert plain["status"] == "estimated", plain["status_reason"]
    codes = overall(panel(lambda k: MONTHS[k], pa.int64()), ["200009 to 200011", 200012], frequency="month")
    dates = overall(panel(month, pa.date32()), ["2000-09-01 to 2000-11-01", "2000-12-01"])
    typed = overall(panel(month, pa.date32()), ["2000-09-01 to 2000-11-01", datetime.date(2000, 12, 1)])
    for row in (codes, dates, typed):
        assert row["estimate"] == pytest.approx(plain["estimate"], rel=1e-9), row["status_reason"]
        assert names(row) == {f"{c} {s}" for c in "xy" for s in ("2000-09 to 2000-11", "2000-12")}


@pytest.mark.parametrize(
    ("asked", "words"),
    [(200013, "which is no month"), ("soon", "which is no period"), ("200102", "reaches into the time of treatment"),
     ("200011 to 200009", "is no period"), (True, "is no period")],
)  # fmt: skip
def test_predictors_that_are_no_period_are_refused(asked: Any, words: str) -> None:
    row = overall(panel(lambda k: MONTHS[k], pa.int64()), asked, frequency="month")
    assert row["status"] == "refused"
    assert words in row["status_reason"]


def series(t: np.ndarray) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    y = 0.1 * np.arange(len(t)) + rng.normal(size=len(t))
    return {"u": np.arange(len(t)), "t": t, "y": y}


def gaps(row: dict[str, Any]) -> dict[str, float]:
    told = [d for d in json.loads(row["diagnostics"]) if d["metric"] == "period_gap"]
    assert not any(d["is_passing"] for d in told)
    return {d["subject"]: d["value"] for d in told}


@pytest.mark.parametrize(
    ("t", "told"),
    [(np.arange(1.0, 31), {}), (np.arange(1.0, 61, 2), {}), (np.r_[1.0:10, 13.0:34], {"after 9": 4})],
)  # fmt: skip
def test_a_gap_between_numbered_periods_is_told_by_its(t: np.ndarray, told: dict[str, float]) -> None:
    block = {**BLOCK, "design": "its", "intervention_time": float(t[18]), "decision": {**DECISION, "primary": "its"}}
    del block["cohort"]
    rows = [r for r in estimate("s", block, series(t)).to_pylist() if r["estimator"] == "its"]
    assert rows[0]["status"] == "estimated", rows[0]["status_reason"]
    assert gaps(rows[0]) == told


@pytest.mark.parametrize("budget", [10**9, 10])
def test_a_gap_between_numbered_periods_is_told_by_did(budget: int) -> None:
    rng = np.random.default_rng(3)
    t = np.tile([1.0, 2, 3, 7], 40)
    units = {"u": np.repeat(np.arange(40), 4), "t": t, "g": np.repeat([3.0] * 20 + [np.nan] * 20, 4)}
    units["y"] = rng.normal(size=160) + (t >= units["g"])
    block = {**BLOCK, "design": "panel", "decision": {**DECISION, "primary": "did"}, "row_budget": budget}
    with mock.patch("estimators.build.ESTIMATORS", (BY_NAME["did"],)):
        row = estimate("s", block, units).to_pylist()[0]
    assert row["status"] == "estimated", row["status_reason"]
    assert gaps(row) == {"after 3": 4}


@pytest.mark.parametrize("budget", [10**9, 10])
@pytest.mark.parametrize("kind", [pa.date32(), pa.timestamp("us")])
def test_a_date_as_covariate_is_refused_by_name(budget: int, kind: pa.DataType) -> None:
    rng, n = np.random.default_rng(4), 60
    days = pa.array([datetime.datetime(2020, 1, 1) + datetime.timedelta(days=k) for k in range(n)]).cast(kind)
    t = (rng.random(n) < 0.5).astype(float)
    units = pa.table({"unit_id": np.arange(n), "t": t, "y": t + rng.normal(size=n), "born": days})
    block = {
        "question": "q", "design": "observational", "outcome": "y", "treatment": "t", "covariates": ["born"],
        "row_budget": budget, "decision": {**DECISION, "primary": "ipw", "estimand": "ATE"},
    }  # fmt: skip
    rows = estimate("s", block, units).to_pylist()
    name = "DATE" if kind == pa.date32() else "TIMESTAMP"
    assert rows
    assert {row["status"] for row in rows} == {"refused"}
    assert all(f"covariate 'born' holds {name} values. Cast it to a number" in row["status_reason"] for row in rows)
