"""Columns of other types: text, dates, decimals, booleans; most wait for one rule of what is a number."""

from __future__ import annotations

import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa

from .case import Case, N, interacted, observational, trial

TEXT = "Cast it in staging, or write C(x) for a covariate"
GIVEN = interacted(trial(), ("x", "z"))
DAYS = [datetime.date(2024, 1, 1) + datetime.timedelta(days=i) for i in range(N)]
HALVES = [float(i % 2 if i < 40 else (i + 1) % 2) for i in range(N)]
CENTS = [Decimal(round(100 * float(x))) / 100 for x in trial()["x"]]


def refused(name: str, words: tuple[str, ...], gate: str, why: str, units: dict, **declares: object) -> Case:
    return Case(name, units, observational(**declares), words, why, gate=gate)


def sound(name: str, why: str, units: dict, value: float, **declares: object) -> Case:
    return Case(name, units, observational(**declares), (), why, status="estimated", value=value)


CASES = [
    refused("text_numbers", ("covariate 'x' holds text, such as '", TEXT), "x", "a CSV without a cast",
            trial(x=[f"{x:.3f}" for x in trial()["x"]])),
    refused("text_outcome", ("outcome 'y' holds text, such as",), "y", "it cannot be averaged", trial(y=["many"] * N)),
    refused("text_treatment", ("treatment 't' holds text, such as",), "t", "yes and no are not one and zero",
            trial(t=["yes", "no"] * (N // 2))),
    refused("text_weight", ("weight 'w' holds text",), "w", "it cannot weigh", trial(w=["1"] * N), weight="w"),
    refused("text_with_gaps", ("covariate 'x' holds text",), "x", "text first, gaps later",
            trial(x=[None, *["a"] * (N - 1)]), missing="drop"),
    refused("text_that_is_also_a_category", ("covariate 'x' holds text",), "x", "a column holds to all of its roles",
            trial(x=["a", "b", "b", "a"] * (N // 4)), covariates=["C(x)", "x^2"]),
    sound("text_category", "categories may be text", trial(x=["b" if h else "a" for h in HALVES]),
          interacted(trial(x=HALVES), ("x", "z")), covariates=["C(x)", "z"]),
    sound("enum_category", "a dictionary of texts is text",
          trial(x=pa.array(["b" if h else "a" for h in HALVES]).dictionary_encode()),
          interacted(trial(x=HALVES), ("x", "z")), covariates=["C(x)", "z"]),
    sound("boolean_covariate", "true is one", trial(x=[h == 1 for h in HALVES]),
          interacted(trial(x=HALVES), ("x", "z"))),
    sound("decimal_covariate", "decimals are numbers", trial(x=pa.array(CENTS, pa.decimal128(10, 2))),
          interacted(trial(x=[float(c) for c in CENTS]), ("x", "z"))),
    sound("integer_outcome", "integers are numbers", trial(y=[round(10 * float(y)) for y in trial()["y"]]),
          interacted(trial(y=np.round(10 * trial()["y"])), ("x", "z"))),
    sound("single_precision", "a float is a number", trial(x=trial()["x"].astype(np.float32)),
          interacted(trial(x=trial()["x"].astype(np.float32)), ("x", "z"))),
    refused("date_covariate", ("covariate 'x' holds DATE values", "Cast it to a number in the units"), "x",
            "a date has no unit", trial(x=DAYS)),
    refused("timestamp_outcome", ("outcome 'y' holds TIMESTAMP values",), "y", "a moment needs a unit for a mean",
            trial(y=[datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=i) for i in range(N)])),
    refused("date_treatment", ("treatment 't' holds DATE values",), "t", "a date is no arm", trial(t=DAYS)),
    sound("date_category", "dates may be categories", trial(x=[DAYS[int(h)] for h in HALVES]),
          interacted(trial(x=HALVES), ("x", "z")), covariates=["C(x)", "z"]),
]  # fmt: skip
