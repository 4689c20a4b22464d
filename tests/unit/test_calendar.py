"""Periods that are codes or dates are counted or refused, and only NULL or a declared `never` means never treated."""

from __future__ import annotations

import datetime
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest

from estimators import estimate
from estimators.calendar_codes import code_of, frequency_of_dates, named, period_of_code, period_of_date
from estimators.registry import BY_NAME

BLOCK = {
    "question": "q", "design": "panel", "outcome": "y", "unit": "unit_id", "time": "t", "cohort": "g",
    "decision": {"primary": "did", "estimand": "ATT", "desired_direction": "more", "minimum_effect": 0},
    "options": {"did": {"honest": False, "bootstrap": 20}},
}  # fmt: skip
MONTHS = [200010, 200011, 200012, 200101, 200102, 200103]
BUDGETS = pytest.mark.parametrize("budget", [10**6, 10])


def panel(cohorts=(3,) * 8 + (4,) * 8 + (None,) * 16, periods=range(1, 7), step=1.0):
    """Units in cohorts, with an effect that grows by ``step`` a period since the cohort's first."""
    rng, n = np.random.default_rng(1), len(cohorts)
    t = np.array(periods, dtype=float)
    g = np.array([np.inf if c is None else c for c in cohorts], dtype=float)[:, None]
    since = np.where(t >= g, t - np.where(np.isinf(g), 0, g) + 1, 0)
    y = rng.normal(size=(n, 1)) + 0.3 * t + 0.1 * rng.normal(size=(n, len(t))) + step * since
    first = [np.nan if c is None else float(c) for c in cohorts for _ in t]
    return {"unit_id": np.repeat(np.arange(n), len(t)), "t": np.tile(t, n), "g": np.array(first), "y": y.ravel()}


def answers(units, estimator="did", **more):
    with mock.patch("estimators.build.ESTIMATORS", (BY_NAME[estimator],)):
        rows = estimate("s", {**BLOCK, **more}, units).to_pylist()
    return {row["term"]: row for row in rows if row["estimator"] == estimator}


def numbers(units, estimator="did", **more):
    kept = answers(units, estimator, **more)
    return [(row["estimate"], row["std_error"], row["n_treated"]) for row in kept.values()]


def clocked(units, kind, clock):
    """The units with periods and cohorts put through a function."""
    put = lambda column: pa.array([None if np.isnan(v) else clock(int(v)) for v in column], kind)  # noqa: E731
    return pa.table({"unit_id": units["unit_id"], "t": put(units["t"]), "g": put(units["g"]), "y": units["y"]})


def day(k):
    return datetime.date(MONTHS[k - 1] // 100, MONTHS[k - 1] % 100, 1)


def same(a, b):
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        for v, w in zip(one, other, strict=True):
            assert (v is None) == (w is None)
            assert v is None or v == pytest.approx(w, rel=1e-9, abs=1e-12)


@BUDGETS
@pytest.mark.parametrize("shift", [-3, 10, 2000])
def test_a_shift_of_the_clock_changes_no_number(budget, shift):
    units = panel()
    moved = {**units, "t": units["t"] + shift, "g": units["g"] + shift}
    same(numbers(units, row_budget=budget), numbers(moved, row_budget=budget))


@pytest.mark.parametrize("estimator", ["twfe", "synthetic_control", "synthetic_did", "panel_matching"])
@pytest.mark.parametrize("shift", [-4, 1995])
def test_a_shift_changes_no_number_of_the_others(estimator, shift):
    units = panel((4,) * 6 + (None,) * 10)
    units["d"] = np.where(np.isnan(units["g"]), 0.0, units["t"] >= np.nan_to_num(units["g"]))
    more = {"treatment": "d", "options": {"panel_matching": {"lags": 2, "leads": 1}}}
    moved = {**units, "t": units["t"] + shift, "g": units["g"] + shift}
    same(numbers(units, estimator, **more), numbers(moved, estimator, **more))
    assert next(iter(answers(units, estimator, **more).values()))["status"] == "estimated"


@BUDGETS
@pytest.mark.parametrize("never", [0, -1, 9999, 99])
def test_an_undeclared_stand_in_is_refused_and_a_declared_one_is_never(budget, never):
    units, b = panel(), {"row_budget": budget}
    coded = {**units, "g": np.where(np.isnan(units["g"]), never, units["g"])}
    refused = answers(coded, **b)["overall"]
    assert f"Declare `never: {never}`" in refused["status_reason"]
    assert "every unit" not in refused["status_reason"]
    same(numbers(units, **b), numbers(coded, never=never, **b))
    same(numbers(units, **b), numbers(coded, never=[str(never), 77], **b))


@BUDGETS
def test_empty_text_may_mean_never(budget):
    units = panel()
    coded = {**units, "g": ["" if np.isnan(g) else str(int(g)) for g in units["g"]]}
    same(numbers(units, row_budget=budget), numbers(coded, never="", row_budget=budget))
    assert "text" in answers(coded, row_budget=budget)["overall"]["status_reason"]


@BUDGETS
def test_always_treated_and_later_cohorts_are_periods(budget):
    units = panel((3,) * 8 + (None,) * 16)
    own = {**units, "g": np.where(np.isnan(units["g"]), 9.0, units["g"])}
    same(numbers(units, row_budget=budget), numbers(own, row_budget=budget))
    early = panel((2,) * 8 + (None,) * 10 + (-3,) * 4, periods=range(-1, 5))
    assert (
        "4 units that are treated in the first period" in answers(early, row_budget=budget)["overall"]["status_reason"]
    )


@BUDGETS
def test_months_as_codes_and_dates_are_counted(budget):
    units = panel()
    plain = numbers(units, row_budget=budget)
    codes = clocked(units, pa.int64(), lambda k: MONTHS[k - 1])
    assert "Declare `frequency: month`" in answers(codes, row_budget=budget)["overall"]["status_reason"]
    found = answers(codes, frequency="month", row_budget=budget)
    assert [round(found[f"event_time={e}"]["estimate"]) for e in range(4)] == [1, 2, 3, 4]
    assert {"cohort=2000-12", "cohort=2001-01"} <= set(found)
    same(plain, numbers(codes, frequency="month", row_budget=budget))
    same(plain, numbers(clocked(units, pa.date32(), day), row_budget=budget))
    midnight = lambda k: datetime.datetime(*day(k).timetuple()[:3])  # noqa: E731
    same(plain, numbers(clocked(units, pa.timestamp("us"), midnight), row_budget=budget))
    zoned = lambda k: midnight(k).replace(tzinfo=datetime.UTC)  # noqa: E731
    same(plain, numbers(clocked(units, pa.timestamp("us", tz="UTC"), zoned), row_budget=budget))


@BUDGETS
def test_weeks_over_a_year_of_53_are_counted(budget):
    units, monday = panel(), datetime.date(2020, 12, 14)
    week = lambda k: monday + datetime.timedelta(days=7 * k)  # noqa: E731
    code = lambda k: int("{}{:02d}".format(*week(k).isocalendar()[:2]))  # noqa: E731
    plain = numbers(units, row_budget=budget)
    same(plain, numbers(clocked(units, pa.date32(), week), row_budget=budget))
    assert 202053 in clocked(units, pa.int64(), code)["t"].to_pylist()
    same(plain, numbers(clocked(units, pa.int64(), code), frequency="week", row_budget=budget))


def test_irregular_dates_ask_for_a_frequency():
    days = [None, datetime.date(2001, 1, 3), datetime.date(2001, 2, 9), datetime.date(2001, 3, 2),
            datetime.date(2001, 4, 18), datetime.date(2001, 5, 7), datetime.date(2001, 6, 1)]  # fmt: skip
    units = clocked(panel(), pa.date32(), lambda k: days[k])
    assert "Declare `frequency:`" in answers(units)["overall"]["status_reason"]
    same(numbers(panel()), numbers(units, frequency="month"))


def test_an_interrupted_series_of_months_is_that_of_numbers():
    t = np.arange(1, 97)
    y = 100 + 0.5 * t - 10 * (t >= 49) + np.random.default_rng(0).normal(size=96)
    block = {
        "design": "its", "cohort": None, "options": {"its": {"harmonics": 1}},
        "decision": {**BLOCK["decision"], "primary": "its"},
    }  # fmt: skip
    units = {"unit_id": np.ones(96, int), "t": t, "y": y}
    plain = numbers(units, "its", intervention_time=49, **block)
    codes = {**units, "t": (2000 + (t - 1) // 12) * 100 + (t - 1) % 12 + 1}
    same(plain, numbers(codes, "its", intervention_time=200401, frequency="month", **block))
    dates = {**units, "t": [datetime.date(2000 + (k - 1) // 12, (k - 1) % 12 + 1, 1) for k in t.tolist()]}
    same(plain, numbers(dates, "its", intervention_time="2004-01-01", **block))
    exact = {**codes, "y": 100.0 + 2 * t}
    found = answers(exact, "its", intervention_time=200401, frequency="month", **block)
    assert found["overall"]["estimate"] == pytest.approx(0, abs=1e-8)


@BUDGETS
def test_cohorts_of_one_unit_are_left_out_and_named_at_once(budget):
    found = answers(panel((2, 3) + (4,) * 6 + (6, 1) + (None,) * 12), row_budget=budget)
    assert found["overall"]["estimate"] == pytest.approx(2.0, abs=0.1)
    told = found["overall"]["status_reason"]
    assert "3 cohorts (2, 3, 6): one unit each" in told
    assert "1 units that are treated in the first period" in told
    assert "cohort=3" not in found


@BUDGETS
def test_a_treatment_that_contradicts_its_cohort_is_refused(budget):
    units = panel((3,) * 8 + (None,) * 12)
    d = np.where(np.isnan(units["g"]), 0.0, units["t"] >= np.nan_to_num(units["g"]))
    sound = numbers({**units, "d": d}, treatment="d", row_budget=budget)
    same(sound, numbers(units, row_budget=budget))
    back = np.where(units["t"] == 6, 0.0, d)
    for wrong, words in ((back, "falls back to 0 in 8 units"), (1 - d, "is 1 before")):
        refused = answers({**units, "d": wrong}, treatment="d", row_budget=budget)["overall"]
        assert "contradicts the cohort 'g'" in refused["status_reason"]
        assert words in refused["status_reason"]
    other = {"treatment": "d", "cohort_of": "intervention", "row_budget": budget}
    same(sound, numbers({**units, "d": back}, **other))
    groups = np.where(np.isnan(units["g"]), 0.0, 1.0)
    same(sound, numbers({**units, "d": groups}, treatment="d", row_budget=budget))


@BUDGETS
def test_a_refusal_names_the_units_that_were_left_out(budget):
    units = panel((3,) * 10 + (5,) * 10 + (None,) * 10)
    x = np.repeat(np.random.default_rng(5).normal(size=30), 6)
    units["x"] = np.where(np.isnan(units["g"]) & (units["t"] == 2), np.nan, x)
    more = {"covariates": ["x"], "missing": "drop", "row_budget": budget}
    told = answers(units, **more)["overall"]["status_reason"]
    assert "10 never treated units were left out before" in told
    assert "covariate 'x' is NULL in 10 rows" in told
    assert "control_group" not in told


def test_codes_are_told_from_counters():
    assert code_of(MONTHS).frequency == "month"
    assert code_of([20001, 20002, 20003, 20004, 20011]).frequency == "quarter"
    assert code_of([201951, 201952, 202001, 202002]).frequency == "week"
    assert code_of([20001231, 20010101]).frequency == "day"
    assert code_of([2000.11, 2000.12, 2001.01]).name == "yyyy.mm"
    for counter in (range(1, 97), range(200_001, 200_200), range(20_000, 20_100), [2000, 2002, 2004],
                    [20004, 20011, 20018], [2000.25, 2000.5, 2000.75, 2001.0], [200101, 200102]):  # fmt: skip
        assert code_of([float(v) for v in counter]) is None


def test_periods_follow_one_another():
    assert period_of_code(202101, "week") - period_of_code(202053, "week") == 1
    assert period_of_code(202153, "week") is None
    assert period_of_code(20011, "quarter") - period_of_code(20004, "quarter") == 1
    assert period_of_code(20010301, "day") - period_of_code(20010228, "day") == 1
    assert period_of_code(200113, "month") is None
    for frequency, text in (("month", "2001-03"), ("quarter", "2001-Q1"), ("week", "2001-W13"), ("day", "2001-03-31")):
        assert named(period_of_date(datetime.date(2001, 3, 31), frequency), frequency) == text
    assert frequency_of_dates([datetime.date(2001, m, 1) for m in (1, 4, 7)]) == "quarter"
    assert frequency_of_dates([datetime.date(y, 12, 31) for y in (2001, 2002)]) == "year"
    assert frequency_of_dates([datetime.date(2001, 1, d) for d in (1, 2, 5)]) is None
