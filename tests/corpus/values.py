"""Values that end arithmetic: NaN, infinities, Stata's missing, squares that overflow or vanish, in every role."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from .case import (
    Case,
    N,
    cell,
    contrast,
    decision,
    discontinuity,
    encouraged,
    first_differences,
    instrumented,
    interacted,
    near_cutoff,
    observational,
    panel,
    staggered,
    trial,
    without,
)  # fmt: skip

INF, NAN = float("inf"), float("nan")
STATA = 9e307
DROP = {"missing": "drop"}
NAIVE = {**without(observational(), "covariates"), "decision": decision("difference_in_means", "ATE")}
X = trial()["x"]
KEPT = np.arange(N) != 7
RUN = {"beside": ("difference_in_means", "ipw", "ope", "tvce")}
INFINITE, LARGE, SMALL = "holds infinities", "holds numbers beyond 1e+150", "holds no number of 1e-150 or more in size"
STAGING = "Choose another unit of measurement in staging"


def both(
    name: str, words: tuple[str, ...], gate: str | None, why: str, units: Any, block: dict[str, Any]
) -> list[Case]:
    """A breach is one whatever is done with missing values."""
    return [
        Case(name, units, block, words, why, gate=gate),
        Case(f"{name}_dropped", units, {**block, **DROP}, words, why, gate=gate),
    ]


def of_covariate(name: str, values: Any, words: tuple[str, ...]) -> list[Case]:
    why = "an infinity or a number whose square overflows is no missing value"
    return both(f"{name}_covariate", words, "x", why, trial(x=values), observational())


def of_outcome(name: str, values: Any, words: tuple[str, ...]) -> list[Case]:
    return both(f"{name}_outcome", words, "y", "nobody can add it up", trial(y=values), observational())


def sound(name: str, why: str, units: Any, value: float, **declares: Any) -> Case:
    return Case(name, units, observational(**declares), (), why, status="estimated", value=value, **RUN)


GIVEN = interacted(trial(), ("x", "z"))
WEIGHT = np.linspace(0.5, 2.0, N)
WEIGHTED = {**NAIVE, "weight": "w"}
PLACE = np.arange(len(panel()["unit_id"]))

CASES = [
    # covariates
    *of_covariate("infinite", cell("x", INF), (f"covariate 'x' {INFINITE}", "Mend them in staging")),
    *of_covariate("minus_infinite", cell("x", -INF), (f"covariate 'x' {INFINITE}",)),
    *of_covariate("stata_missing", cell("x", STATA), (f"covariate 'x' {LARGE}", STAGING)),
    *of_covariate("large", cell("x", 1e300), (f"covariate 'x' {LARGE}",)),
    *of_covariate("minus_large", cell("x", -1e151), (f"covariate 'x' {LARGE}",)),
    *of_covariate("vanishing", X * 1e-170, (f"covariate 'x' {SMALL}", STAGING)),
    *of_covariate("denormal", np.where(np.arange(N) == 7, 5e-324, 0.0), (f"covariate 'x' {SMALL}",)),
    Case("nan_covariate", trial(x=cell("x", NAN)), observational(), ("covariate 'x' is NULL in 1 rows",),
         "a NaN is a missing value", gate="x"),
    sound("nan_covariate_dropped", "a NaN is a missing value", trial(x=cell("x", NAN)),
          interacted(trial(), ("x", "z"), KEPT), **DROP),
    Case("all_nan_covariate", trial(x=np.full(N, NAN)), observational(**DROP), ("covariate 'x' is NULL in every row",),
         "no row has a number", gate="x"),
    sound("tiny_value", "beside others it is a zero", trial(x=cell("x", 1e-170)),
          interacted(trial(x=cell("x", 0.0)), ("x", "z"))),
    sound("minus_zero", "it is a zero", trial(x=cell("x", -0.0)), interacted(trial(x=cell("x", 0.0)), ("x", "z"))),
    sound("small_unit", "units of measurement change nothing", trial(x=X * 1e-140), GIVEN),
    sound("large_unit", "units of measurement change nothing", trial(x=X * 1e140), GIVEN),
    sound("far_from_zero", "a shift changes nothing but the last digits", trial(x=X + 1e6), GIVEN),
    sound("whole_numbers", "two to the 53rd is the last that floating point holds",
          trial(x=[2**53 - 100 * i for i in range(N)]), interacted(trial(x=-100.0 * np.arange(N)), ("x", "z"))),
    # outcomes
    *of_outcome("infinite", cell("y", INF), (f"outcome 'y' {INFINITE}",)),
    *of_outcome("stata_missing", cell("y", STATA), (f"outcome 'y' {LARGE}",)),
    *of_outcome("vanishing", trial()["y"] * 1e-170, (f"outcome 'y' {SMALL}",)),
    Case("nan_outcome", trial(y=cell("y", NAN)), observational(), ("outcome 'y' is NULL in 1 rows",),
         "a NaN is a missing value", gate="y"),
    Case("nan_outcome_dropped", trial(y=cell("y", NAN)), {**NAIVE, **DROP}, (), "a NaN is a missing value",
         status="estimated", value=contrast(trial(), KEPT)),
    Case("outlier_in_the_outcome", trial(y=cell("y", 1e6)), NAIVE, (), "an outlier is a value, if a bad one",
         status="estimated", value=contrast(trial(y=cell("y", 1e6)))),
    Case("large_outcome", trial(y=trial()["y"] * 1e140), NAIVE, (), "below the bound", status="estimated",
         value=contrast(trial()) * 1e140),
    Case("outcome_at_the_lower_bound", trial(y=trial()["y"] * 1e-150), NAIVE,
         ("the estimate or its standard error is beyond 1e+150 or below 1e-150 in size", STAGING),
         "its precision, 1 / se², would overflow in the marts and stop every study's query", status="failed"),
    # treatments
    *both("infinite_treatment", (f"treatment 't' {INFINITE}",), "t", "it is no arm", trial(t=cell("t", INF)),
          observational()),
    *both("stata_missing_treatment", (f"treatment 't' {LARGE}",), "t", "it is no arm", trial(t=cell("t", STATA)),
          observational()),
    Case("nan_treatment", trial(t=cell("t", NAN)), observational(), ("treatment 't' is NULL in 1 rows",),
         "a NaN is a missing value and no third arm", gate="t"),
    sound("nan_treatment_dropped", "a NaN is a missing value and no third arm", trial(t=cell("t", NAN)),
          interacted(trial(), ("x", "z"), KEPT), **DROP),
    Case("tiny_arm", trial(t=trial()["t"] * 1e-170), observational(), (f"treatment 't' {SMALL}",),
         "an effect a unit of it is beyond any number", gate="t"),
    Case("almost_untreated", trial(t=cell("t", 1e-170)), observational(), ("has 3 values (wanted: 0 and 1",),
         "it is neither arm", gate="t values"),
    sound("minus_zero_treatment", "it is a zero", trial(t=np.where(trial()["t"] == 0, -0.0, 1.0)), GIVEN),
    sound("boolean_treatment", "true is one", trial(t=[bool(t) for t in trial()["t"]]), GIVEN),
    # weights
    *both("infinite_weight", (f"weight 'w' {INFINITE}",), "w", "it leaves one unit", trial(w=np.r_[INF, WEIGHT[1:]]),
          WEIGHTED),
    *both("stata_missing_weight", (f"weight 'w' {LARGE}",), "w", "it is no weight", trial(w=np.r_[STATA, WEIGHT[1:]]),
          WEIGHTED),
    *both("vanishing_weight", (f"weight 'w' {SMALL}",), "w", "squares of weights vanish", trial(w=WEIGHT * 1e-170),
          WEIGHTED),
    Case("nan_weight", trial(w=np.r_[NAN, WEIGHT[1:]]), WEIGHTED, ("weight 'w' is NULL in 1 rows",),
         "a NaN is a missing value", gate="w"),
    # instruments, mediators, doses
    *both("infinite_instrument", (f"instrument 'coin' {INFINITE}",), "coin", "it cannot move anything",
          encouraged(coin=cell("coin", INF, made=encouraged)), instrumented()),
    *both("stata_missing_instrument", (f"instrument 'coin' {LARGE}",), "coin", "it cannot move anything",
          encouraged(coin=cell("coin", STATA, made=encouraged)), instrumented()),
    *both("vanishing_instrument", (f"instrument 'coin' {SMALL}",), "coin", "its variance vanishes",
          encouraged(coin=encouraged()["coin"] * 1e-170), instrumented()),
    *both("infinite_mediator", (f"mediator 'm' {INFINITE}",), "m", "nothing goes through it",
          trial(m=cell("x", -INF)),
          observational(covariates=["z"], mediator="m", decision=decision("mediation", "ACME"))),
    *both("stata_missing_dose", (f"dose 'd' {LARGE}",), "d", "nobody had that dose",
          trial(d=np.abs(cell("x", STATA))),
          {**without(observational(), "treatment"), "dose": "d",
          "decision": decision("dose_response", "DOSE_RESPONSE")}),
    # running variables and their powers
    *both("infinite_running", (f"running 'running' {INFINITE}",), "running", "it lies at no distance",
          near_cutoff(running=cell("running", INF, made=near_cutoff)), discontinuity()),
    *both("large_running", ("running 'running' holds numbers beyond 1e+20",), "running",
          "the eighth power of a running variable is taken, and squared",
          near_cutoff(running=near_cutoff()["running"] * 1e40),
          discontinuity()),
    *both("small_running", ("running 'running' holds no number of 1e-20 or more in size",), "running",
          "so small ones vanish", near_cutoff(running=near_cutoff()["running"] * 1e-40), discontinuity()),
    # periods and cohorts
    *both("infinite_period", (f"time 'year' {INFINITE}",), "year", "it is no period",
          panel(year=np.where(PLACE == 3, INF, panel()["year"])), staggered()),
    *both("stata_missing_period", (f"time 'year' {LARGE}",), "year", "it is no period",
          panel(year=np.where(PLACE == 3, STATA, panel()["year"])), staggered()),
    Case("nan_periods", panel(year=np.where(PLACE < 3, NAN, panel()["year"])), staggered(),
         ("time 'year' is NULL in 3 rows",), "rows without a period repeat none", gate="year"),
    Case("outlier_of_one_period", panel(y=np.where(PLACE == 7, 1e20, panel()["y"])), staggered(), (),
         "it enters no change from the base; its bounds have no end, and are not looked for for ever",
         status="estimated",
         value=first_differences(panel())),
    # clusters and other outcomes
    *both("infinite_cluster", (f"cluster 'c' {INFINITE}",), "c", "it is no label",
          trial(c=np.r_[INF, np.arange(1, N) // 4]), observational(cluster="c")),
    sound("cluster_of_large_labels", "labels have no arithmetic, and streams fold them alike",
          trial(c=np.where(np.arange(N) < 40, 1e149, 1.0) + np.arange(N) // 4), GIVEN, cluster="c"),
    *both("infinite_guardrail", (f"guardrail 'g' {INFINITE}",), "g", "the breach is the study's",
          trial(g=cell("x", INF)),
          observational(covariates=["z"], guardrails={"g": {"desired_direction": "more", "margin": 1}})),
    # terms
    Case("ninth_power_overflows", trial(x=X * 1e40), observational(covariates=["x^9"]),
         ("'x^9' is not a finite number in", "Mend the term or the column"), "1e360 is beyond floating point"),
    Case("ninth_power_too_large", trial(x=X * 1e20), observational(covariates=["x^9"]), ("'x^9' is beyond 1e+150 in",),
         "its square overflows"),
    Case("ninth_power_vanishes", trial(x=X * 1e-30), observational(covariates=["x^9"]),
         ("'x^9' holds no number of 1e-150 or more in size",), "a term without a square adjusts for nothing"),
    Case("product_too_large", trial(x=X * 1e100, z=trial()["z"] * 1e100), observational(covariates=["x:z"]),
         ("'x:z' is beyond 1e+150 in",), "its square overflows"),
    Case("product_vanishes", trial(x=X * 1e-100, z=trial()["z"] * 1e-100), observational(covariates=["x:z"]),
         ("'x:z' holds no number of 1e-150 or more in size",), "a term without a square adjusts for nothing"),
    Case("log_of_zero", trial(x=cell("x", 0.0)), observational(covariates=["log(x)"]),
         ("'log(x)' is not a finite number in",), "there is no logarithm of zero or less"),
    sound("ninth_power", "nine is allowed", trial(), interacted(trial(p=X**9), ("p", "z")), covariates=["x^9", "z"]),
    sound("logarithm", "of positive numbers", trial(x=np.exp(X)), GIVEN, covariates=["log(x)", "z"]),
]  # fmt: skip

# Whole numbers beyond 2^53 are labels: no arithmetic of floating point tells them apart.
HUGE = [2**60 + i for i in range(N)]
CASES += [
    Case("huge_integers", trial(x=HUGE), observational(), ("covariate 'x' holds text, such as '1152921504606846976'",),
         "floating point cannot tell them apart", gate="x"),
    sound("huge_integers_as_categories", "as labels they are told apart",
          trial(x=[HUGE[i % 2 if i < 40 else (i + 1) % 2] for i in range(N)]),
          interacted(trial(x=[float(i % 2 if i < 40 else (i + 1) % 2) for i in range(N)]), ("x", "z")),
          covariates=["C(x)", "z"]),
    Case("huge_decimals", trial(x=pa.array(HUGE, pa.decimal128(38, 0))), observational(), ("covariate 'x' holds text",),
         "floating point cannot tell them apart", gate="x"),
]  # fmt: skip
