"""What units must keep to: every breach names the study, the column and the mend."""

import numpy as np
import pytest
from support import observational

from estimators import contracts
from estimators.errors import StudyError
from estimators.study import Study
from estimators.warehouse import read

GOOD = {
    "unit_id": [1, 2, 3, 4, 5],
    "y": [1.0, 2.0, 3.0, 4.0, 5.0],
    "t": [0.0, 1.0, 0.0, 1.0, 0.0],
    "a": [5.0, 3.0, 1.0, 4.0, 2.0],
    "g": ["u", "v", "u", "v", "v"],
}


def study(**more):
    return Study.declare("s", {**observational("y", "t", ["a", "C(g)"]), **more})


def columns(one, **changed):
    keys = [one.unit] + ([one.time] if one.time else [])
    return read({**GOOD, **changed}, one.columns(), keys, "s")


def breach(one=None, **changed):
    one = one or study()
    with pytest.raises(StudyError) as caught:
        contracts.check(one, columns(one, **changed))
    return caught.value


def test_good_units_pass():
    contracts.check(study(), columns(study()))


def with_first(name, value):
    return {name: [value, *GOOD[name][1:]]}


# Changed columns, declared differently, words of the problem, words of the mend.
BREACHES = {
    "no rows": ({k: [] for k in GOOD}, {}, "the units have no rows", "filters of staging and units"),
    "duplicates": ({"unit_id": [1, 2, 2, 2, 3]}, {}, "2 of 5 rows repeat a value of 'unit_id'", "one row a unit"),
    "nameless": (with_first("unit_id", None), {}, "unit 'unit_id' is NULL in 1 rows", "Give every unit its name"),
    "nameless nan": ({"unit_id": [1.0, float("nan"), 2, 3, 4]}, {}, "unit 'unit_id' is NULL in 1 rows", "its name"),
    "outcome NULL": (with_first("y", None), {}, "outcome 'y' is NULL in 1 rows", "declare `missing: drop`"),
    "outcome NaN": (with_first("y", float("nan")), {}, "outcome 'y' is NULL in 1 rows", "declare `missing: drop`"),
    "outcome all NULL": ({"y": [None] * 5}, {}, "outcome 'y' is NULL in every row", "drop the role"),
    "outcome text": ({"y": ["1", "2", "x", "4", "5"]}, {}, "outcome 'y' holds text, such as '1'", "Cast it in staging"),
    "outcome inf": (with_first("y", float("-inf")), {}, "outcome 'y' holds infinities", "Mend them in staging"),
    "outcome huge": (with_first("y", -1e200), {}, "outcome 'y' holds numbers beyond 1e+150", "unit of measurement"),
    "treatment constant": ({"t": [1.0] * 5}, {}, "treatment 't' is constant at 1", "treated and untreated units"),
    "treatment 1 and 2": ({"t": [1, 2, 1, 2, 1]}, {}, "t 't' has 2 values (wanted: 0 and 1", "Recode it to 0 and 1"),
    "third value": ({"t": [0, 1, 2, 1, 0]}, {}, "treatment 't' has 3 values (wanted: 0 and 1", "Keep two arms"),
    "treatment text": ({"t": list("abaab")}, {}, "treatment 't' holds text, such as 'a'", "Cast it in staging"),
    "covariate text": ({"a": list("xyzxy")}, {}, "covariate 'a' holds text, such as 'x'", "write C(a)"),
    "covariate NULL": (with_first("a", None), {}, "covariate 'a' is NULL in 1 rows", "`missing: drop`"),
    "category NULL": (with_first("g", None), {}, "covariate 'g' is NULL in 1 rows", "`missing: drop`"),
    "product of text": ({}, {"covariates": ["a:g"]}, "covariate 'g' holds text", "write C(g)"),
    "option term text": ({}, {"options": {"propensity": {"covariates": ["g"]}}}, "covariate 'g' holds text", "C(g)"),
    "option term NULL": (
        {"b": [None, 1, 2, 3, 4]},
        {"specifications": {"x": {"estimators": ["ipw"], "propensity": {"covariates": ["b"]}}}},
        "covariate 'b' is NULL in 1 rows", "`missing: drop`"),
    "benchmark NULL": ({"b": [None, 1, 2, 3, 4]}, {"benchmark_covariates": ["b"]}, "'b' is NULL in 1 rows", "drop"),
    "weight NULL": ({"w": [1, None, 1, 1, 1]}, {"weight": "w"}, "weight 'w' is NULL in 1 rows", "`missing: drop`"),
    "cluster NULL": ({"k": ["a", None, "b", "b", "c"]}, {"cluster": "k"}, "cluster 'k' is NULL in 1 rows", "drop"),
    "instrument inf": ({"z": [1, 2, 3, 4, np.inf]}, {"instruments": ["z"]}, "instrument 'z' holds infinities", "Mend"),
    "running text": ({"r": list("abcde")}, {"running": "r", "cutoff": 0}, "running 'r' holds text", "Cast it"),
    "time text": ({"d": ["2020-01", "2020-02", "2020-03", "2020-04", "2020-05"]}, {"time": "d"},
                  "time 'd' holds text, such as '2020-01'", "Cast it in staging"),
}  # fmt: skip


@pytest.mark.parametrize("case", BREACHES)
def test_breaches(case):
    changed, declared, problem, mend = BREACHES[case]
    told = breach(study(**declared), **changed)
    assert str(told) == f"study s: {told.problem}. {told.mend}"
    assert problem in told.problem
    assert mend in told.mend


def test_a_panel_repeats_units_but_not_unit_and_period():
    one = study(time="d")
    panel = {"unit_id": [1, 1, 2, 2, 3], "d": [1, 2, 1, 2, 1]}
    contracts.check(one, columns(one, **panel))
    told = breach(one, **{**panel, "d": [1, 1, 1, 2, 1]})
    assert "1 of 5 rows repeat a value of 'unit_id' and 'd'" in told.problem


def test_ids_that_look_alike_are_told_apart():
    contracts.check(study(), columns(study(), unit_id=["1", "01", "1.0", " 1", "one"]))


def test_dates_as_time_say_so():
    import datetime

    days = [datetime.date(2020, 1, d) for d in range(1, 6)]
    assert "holds text, such as '2020-01-01'" in breach(study(time="d"), d=days).problem


MANY = {**{k: [v[0]] * 12 for k, v in GOOD.items()}, "unit_id": list(range(12))}


@pytest.mark.parametrize(
    ("design", "fine"), [("experiment", False), ("observational", False), ("iv", True), ("panel", True)]
)
def test_a_third_arm_is_none_of_a_two_armed_study(design, fine):
    one = study(design=design)
    for levels, listed in (([0, 1, 2] * 4, "0, 1, 2"), ([*range(10), 0, 1], "0, 1, 2, 3, 4, 5, 6, 7, 8, 9")):
        units = {**MANY, "t": levels}
        assert contracts.treatment_kind(one, columns(one, **units)) == "continuous"
        if fine:
            contracts.check(one, columns(one, **units))
        else:
            found = breach(one, **units)
            assert found.problem.endswith(
                f"has {len(set(levels))} values (wanted: 0 and 1, or a dose of more than ten values)"
            )
            assert found.mend.endswith(f"it holds {listed}")


@pytest.mark.parametrize("levels", [[2, 3, 4] * 4, [*range(11), 0]])
def test_a_dose_is_no_third_arm(levels):
    contracts.check(study(), columns(study(), **{**MANY, "t": levels}))


def test_treatment_kind():
    one = study()
    assert contracts.treatment_kind(one, columns(one)) == "binary"
    assert contracts.treatment_kind(one, columns(one, t=[True, False, True, False, False])) == "binary"
    assert contracts.treatment_kind(one, columns(one, t=[0.0, 0.5, 0.25, 1.0, 3.0])) == "continuous"
    assert contracts.treatment_kind(one, columns(one, t=[0, None, 1, 1, 1])) == "binary"
    untreated = {k: v for k, v in observational("y", "t", ["a"]).items() if k != "treatment"}
    untreated |= {"design": "rd", "running": "a", "cutoff": 0}
    untreated["decision"] = {**untreated["decision"], "primary": "rd", "estimand": "LATE"}
    assert contracts.treatment_kind(Study.declare("s", untreated), columns(one)) is None


def test_dropping_rows_with_missing_values():
    one = study(missing="drop")
    units = columns(one, y=[None, 2.0, 3.0, 4.0, 5.0], g=["u", "v", None, "v", "v"])
    contracts.check(one, units)
    left, dropped = contracts.complete_rows(one, units)
    assert dropped == 2
    assert left["unit_id"].tolist() == [2, 4, 5]
    assert {len(v) for v in left.values()} == {3}
    some, dropped = contracts.complete_rows(one, units, ["y"])
    assert (dropped, some["unit_id"].tolist()) == (1, [2, 3, 4, 5])


def test_a_unit_that_is_never_treated_has_no_cohort_and_no_gap():
    one = study(cohort="first", time="d")
    units = columns(one, first=[2.0, None, None, 3.0, None], d=[1, 1, 1, 1, 1])
    contracts.check(one, units)
    left, dropped = contracts.complete_rows(one, units)
    assert dropped == 0
    assert np.isnan(left["first"]).sum() == 3


def test_no_complete_row_is_told():
    one = study(missing="drop")
    units = columns(one, y=[None, 2.0, None, 4.0, None], a=[1.0, None, 1.0, None, 1.0])
    contracts.check(one, units)
    with pytest.raises(StudyError, match=r"every row lacks a value in some column\. Fill them"):
        contracts.complete_rows(one, units)


def test_is_missing():
    assert contracts.is_missing(np.array([1.0, np.nan])).tolist() == [False, True]
    assert contracts.is_missing(np.array(["", None, "nan"], dtype=object)).tolist() == [False, True, False]
