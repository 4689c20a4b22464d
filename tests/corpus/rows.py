"""Rows that are no study: empty, repeated, nameless, one arm, a third arm, and what `missing: drop` leaves of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from .case import Case, N, cell, contrast, decision, interacted, observational, trial, without

DROP = {"missing": "drop"}
NAIVE = {**without(observational(), "covariates"), "decision": decision("difference_in_means", "ATE")}
EXPERIMENT = {**observational(), "design": "experiment"}


def nulls(name: str, rows: Any, of: Any = trial) -> pa.Array:
    """A column without its values in some rows."""
    values = of()[name]
    gone = np.zeros(len(values), dtype=bool)
    gone[rows] = True
    return pa.array([None if g else float(v) for v, g in zip(values, gone, strict=True)], pa.float64())


def broken(name: str, words: tuple[str, ...], gate: str | None, why: str, units: Any, **declares: Any) -> Case:
    return Case(name, units, observational(**declares), words, why, gate=gate)


UNTREATED = trial()["t"] == 0
FEW = np.arange(5)

CASES = [
    broken("no_rows", ("the units have no rows", "Check the raw file"), "rows", "there is nobody",
           {name: values[:0] for name, values in trial().items()}),
    broken("one_row", ("treatment 't' is constant at 0",), "t values", "one unit has one arm",
           {name: values[:1] for name, values in trial().items()}),
    Case("two_rows", {name: values[:2] for name, values in trial().items()}, NAIVE,
         ("1 treated units are left and 2 are needed", "Widen the population"), "one unit an arm has no spread"),
    Case("one_treated_unit", trial(t=np.arange(N) == 3), NAIVE, ("1 treated units are left and 2 are needed",),
         "one unit tells nothing about the spread in its arm"),
    Case("one_untreated_unit", trial(t=np.arange(N) != 3), NAIVE, ("1 untreated units are left and 2 are needed",),
         "one unit tells nothing about the spread in its arm"),
    # columns that are not there
    broken("covariate_not_there", ("column 'z' is not in the units", "Add it to the study's units model"), "z",
           "the role names no column", trial(z=None)),
    broken("outcome_not_there", ("column 'y' is not in the units",), "y", "the role names no column", trial(y=None)),
    broken("treatment_not_there", ("column 't' is not in the units",), "t", "the role names no column", trial(t=None)),
    broken("unit_not_there", ("column 'unit_id' is not in the units",), "unit_id", "rows have no names",
           trial(unit_id=None)),
    broken("benchmark_not_there", ("column 'q' is not in the units",), "q", "a benchmark is a column too", trial(),
           benchmark_covariates=["q"]),
    broken("term_of_option_not_there", ("column 'q' is not in the units",), "q", "so is a term of an option", trial(),
           options={"propensity": {"covariates": ["x", "q^2"]}}),
    broken("term_of_specification_not_there", ("column 'q' is not in the units",), "q", "and of a specification",
           trial(), specifications={"a": {"estimators": ["ipw"], "outcome": {"covariates": ["log(q)"]}}}),
    broken("product_of_what_is_not_there", ("column 'q' is not in the units",), "q", "a product reads both", trial(),
           covariates=["x", "x:C(q)"]),
    broken("weight_not_there", ("column 'w' is not in the units",), "w", "the role names no column", trial(),
           weight="w"),
    broken("cluster_not_there", ("column 'c' is not in the units",), "c", "the role names no column", trial(),
           cluster="c"),
    broken("guardrail_not_there", ("column 'g' is not in the units",), "g", "the role names no column", trial(),
           guardrails={"g": {"desired_direction": "more", "margin": 1}}),
    broken("secondary_not_there", ("column 's' is not in the units",), "s", "the role names no column", trial(),
           secondary_outcomes=["s"]),
    # keys
    broken("repeated_units", ("3 of 80 rows repeat a value of 'unit_id'", "one row a unit"), "unique unit_id",
           "a unit counts once", trial(unit_id=np.r_[[0, 0, 0, 0], np.arange(4, N)])),
    broken("two_nameless_units", ("unit 'unit_id' is NULL in 2 rows", "Give every unit its name"), "unit_id",
           "folds and matches need names", trial(unit_id=pa.array([None, None, *range(2, N)], pa.int64()))),
    broken("nameless_unit_is_not_dropped", ("unit 'unit_id' is NULL in 1 rows",), "unit_id",
           "a row without a name is no incomplete unit but a broken join",
           trial(unit_id=pa.array([None, *range(1, N)], pa.int64())), **DROP),
    broken("nan_as_a_name", ("unit 'unit_id' is NULL in 1 rows",), "unit_id", "NaN is a missing value",
           trial(unit_id=[float("nan"), *[float(i) for i in range(1, N)]])),
    broken("all_nameless", ("unit 'unit_id' is NULL in 80 rows",), "unit_id", "no unit has a name",
           trial(unit_id=pa.array([None] * N, pa.int64()))),
    # arms
    broken("all_treated", ("treatment 't' is constant at 1", "check the units' filter"), "t values",
           "there is no comparison", trial(t=np.ones(N))),
    broken("none_treated", ("treatment 't' is constant at 0",), "t values", "there is no effect to see",
           trial(t=np.zeros(N))),
    broken("third_arm", ("treatment 't' has 3 values (wanted: 0 and 1", "Keep two arms (0 and 1)"), "t values",
           "a contrast of three is none", trial(t=np.arange(N) % 3)),
    Case("third_arm_of_an_experiment", trial(t=np.arange(N) % 3), EXPERIMENT, ("has 3 values (wanted: 0 and 1",),
         "a contrast of three is none", gate="t values"),
    broken("arms_one_and_two", ("treatment 't' has 2 values (wanted: 0 and 1", "Recode it to 0 and 1"), "t values",
           "which is the treated is not said", trial(t=1 + np.arange(N) % 2)),
    broken("arms_minus_one_and_one", ("treatment 't' has 2 values (wanted: 0 and 1", "Recode it"), "t values",
           "an effect a unit would be half the contrast", trial(t=2 * (np.arange(N) % 2) - 1)),
    Case("dose_for_a_contrast", trial(t=np.arange(N) / 10), observational(),
         ("regression_adjustment needs a binary treatment, and 't' is continuous",), "a dose has no arms"),
    # missing values
    broken("missing_outcome", ("outcome 'y' is NULL in 2 rows", "declare `missing: drop`"), "y",
           "nobody said what to do with them", trial(y=nulls("y", [3, 4]))),
    broken("missing_covariate", ("covariate 'x' is NULL in 5 rows",), "x", "nobody said what to do with them",
           trial(x=nulls("x", FEW))),
    broken("missing_treatment", ("treatment 't' is NULL in 5 rows",), "t", "nobody said what to do with them",
           trial(t=nulls("t", FEW))),
    broken("empty_outcome", ("outcome 'y' is NULL in every row",), "y", "there is nothing to explain",
           trial(y=nulls("y", slice(None)))),
    broken("empty_covariate_dropped", ("covariate 'x' is NULL in every row", "drop the role"), "x",
           "dropping its rows drops all", trial(x=nulls("x", slice(None))), **DROP),
    broken("no_complete_row", ("every row lacks a value in some column", "drop the emptiest columns"), "complete rows",
           "what one column has the other lacks",
           trial(x=nulls("x", slice(0, 40)), z=nulls("z", slice(40, 80))), **DROP),
    broken("an_arm_dropped", ("treatment 't' is constant at 1",), "complete rows",
           "the untreated have no covariate, so none is left", trial(x=nulls("x", UNTREATED)), **DROP),
    Case("one_of_an_arm_left", trial(x=nulls("x", UNTREATED & (np.arange(N) > 0))),
         {**NAIVE, "covariates": ["x"], **DROP},
         ("1 untreated units are left and 2 are needed",), "one unit tells nothing about the spread in its arm"),
    Case("five_rows_dropped", trial(x=nulls("x", FEW)), observational(**DROP), (), "the other 75 are a study",
         status="estimated", value=interacted(trial(), ("x", "z"), np.arange(N) >= 5)),
    Case("outcomes_dropped", trial(y=nulls("y", FEW)), {**NAIVE, **DROP}, (), "the other 75 are a study",
         status="estimated", value=contrast(trial(), np.arange(N) >= 5)),
    Case("guardrail_with_gaps", trial(g=nulls("x", FEW)),
         observational(guardrails={"g": {"desired_direction": "more", "margin": 1}}, covariates=["z"]), (),
         "its own row is refused; the primary's rows are whole", status="estimated", value=interacted(trial(), ("z",))),
    # outcomes and covariates that never vary
    Case("constant_outcome", trial(y=np.full(N, 3.0)), observational(),
         ("the outcome 'y' is 3 in every row", "Check the outcome"), "no standard error exists"),
    Case("constant_covariate", trial(x=np.full(N, 3.0)), observational(), (), "it adjusts for nothing",
         status="estimated", value=interacted(trial(), ("z",))),
    Case("zero_covariate", trial(x=np.zeros(N)), observational(), (), "it adjusts for nothing", status="estimated",
         value=interacted(trial(), ("z",))),
    Case("twin_covariates", trial(x=2 * trial()["z"] + 1), observational(), (), "the second adds nothing",
         status="estimated", value=interacted(trial(), ("z",))),
    Case("covariate_is_the_treatment", trial(x=trial()["t"]), observational(covariates=["x"]),
         ("the covariates explain the treatment entirely", "Drop the covariate"), "one cannot be told from the other",
         status="not_identified"),
    Case("propensity_of_the_treatment", trial(x=trial()["t"]),
         observational(covariates=["x"], decision=decision("ipw", "ATE")),
         ("of 40 units with x 40 are treated", "Leave those units out of the population"),
         "propensities are zero and one"),
    # one row a unit, of two populations or periods
    Case("period_that_is_not_there", trial(wave=np.ones(N)), observational(time="wave", cross_section=2),
         ("no row lies in the period cross_section: 2", "Declare a period that the units have"), "nobody is left",
         gate="cross_section"),
    broken("sample_of_one_kind", ("sample 's' has the values 1", "units of the target population as 0"), "s values",
           "there is nobody to carry it to", trial(s=np.ones(N)), sample="s"),
    broken("sample_of_twos", ("sample 's' has the values 1, 2",), "s values", "which is the target is not said",
           trial(s=1 + np.arange(N) % 2), sample="s"),
    broken("sample_with_gaps", ("sample 's' is NULL in 1 rows",), "s", "whose unit it is, is not said",
           trial(s=cell("t", None)), sample="s"),
]  # fmt: skip
