"""Designs that do not hold: panels, instruments, discontinuities, mediators, networks and series."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from .case import (
    Case,
    N,
    decision,
    discontinuity,
    encouraged,
    instrumented,
    near_cutoff,
    observational,
    panel,
    staggered,
    trial,
    without,
)  # fmt: skip

P = panel()
UNIT, YEAR = P["unit_id"], P["year"]
FIRST = np.where(UNIT % 3 == 0, 2004.0, np.nan)


def of_panel(name: str, words: tuple[str, ...], why: str, gate: str | None = None, **changed: Any) -> Case:
    return Case(name, panel(**changed), staggered(), words, why, gate=gate)


def of_rows(keep: np.ndarray) -> dict[str, Any]:
    """Some rows of the panel."""
    return {name: values[keep] for name, values in P.items()}


def wald(units: dict[str, Any]) -> float:
    """The instrument's effect on the outcome by that on the treatment."""
    coin, t, y = (np.asarray(units[name], dtype=float) for name in ("coin", "t", "y"))
    return float((y[coin == 1].mean() - y[coin == 0].mean()) / (t[coin == 1].mean() - t[coin == 0].mean()))


SERIES = np.arange(60.0)
MONTHS = {
    "unit_id": np.zeros(60, dtype=int), "month": SERIES,
    "y": 10 + 0.1 * SERIES + 3 * (SERIES >= 40) + np.random.default_rng(2).normal(size=60),
}  # fmt: skip
INTERRUPTED = {
    "question": "Did it raise y?", "design": "its", "outcome": "y", "time": "month", "intervention_time": 40,
    "decision": decision("its", "ATT"),
}  # fmt: skip
MEDIATED = observational(covariates=["z"], mediator="x", decision=decision("mediation", "ACME"))
FRIENDS = {
    "question": "Do friends matter?", "design": "network", "outcome": "y", "treatment": "t", "edges": "friends",
    "decision": decision("network", "DIRECT"),
}  # fmt: skip
RING = {"source": np.arange(N), "target": (np.arange(N) + 1) % N}


def friends(name: str, words: tuple[str, ...], why: str, edges: Any) -> Case:
    return Case(name, trial(), FRIENDS, words, why, edges=edges)


CASES = [
    # panels
    of_panel("period_twice", ("rows repeat a value of 'unit_id' and 'year'", "a unit and period in a panel"),
             "which of the two counts is not said", "unique unit_id, year",
             year=np.where(YEAR == 2002, 2001, YEAR)),
    of_panel("cohort_changes", ("'cohort' changes within unit", "one value a unit"), "a unit starts once",
             cohort=np.where((UNIT == 3) & (YEAR == 2002), 2005.0, FIRST)),
    of_panel("cohort_after_the_end", ("no unit becomes treated after the first period", "Check the cohort"),
             "they are all untreated while they are seen", cohort=np.where(UNIT % 3 == 0, 2050.0, np.nan)),
    of_panel("cohort_before_the_begin", ("treated from the start", "untreated in the first"),
             "their change from untreated to treated is not seen", cohort=np.full(len(UNIT), 1990.0)),
    of_panel("nobody_in_a_cohort", ("cohort 'cohort' is NULL in every row",), "nobody is treated", "cohort",
             cohort=pa.array([None] * len(UNIT), pa.float64())),
    of_panel("cohort_of_text", ("cohort 'cohort' holds text, such as", "Give the first treated period as a number"),
             "periods are numbers",
             "cohort", cohort=["2004" if u % 3 == 0 else None for u in UNIT]),
    of_panel("all_treated_at_once", ("no control units: every unit that is compared is treated by the last period",),
             "there is no comparison",
             cohort=np.full(len(UNIT), 2004.0)),
    Case("every_unit_misses_a_period", of_rows(YEAR != 2001 + UNIT % 6), staggered(),
         ("no unit is left: 24 miss a period", "Give every unit a row in every period"), "no unit's path is whole"),
    Case("one_period", of_rows(YEAR == 2004), staggered(),
         ("the panel has a single period", "Add periods before and after treatment"),
         "nothing changes within one period"),
    Case("time_backwards", panel(year=-YEAR), staggered(), ("cohort 'cohort' holds 2004, which is no period",),
         "cohorts are periods: those of another clock never come", gate="cohort cohorts"),
    Case("synthetic_control_without_donors", panel(cohort=np.full(len(UNIT), 2004.0)),
         staggered(design="synthetic_control", decision=decision("synthetic_control", "ATT")),
         ("donor",), "nobody can stand for the treated"),
    Case("predictor_not_there", panel(),
         staggered(design="synthetic_control", decision=decision("synthetic_control", "ATT"),
                   options={"synthetic_control": {"predictors": {"income": "2001 to 2003"}}}),
         ("column 'income' is not in the units",), "a predictor is a column", gate="income"),
    # instruments
    Case("instrument_never_moves", encouraged(coin=np.ones(200)), instrumented(),
         ("coin",), "it moves nobody", status="not_identified"),
    Case("instrument_is_the_treatment", encouraged(coin=encouraged()["t"]), instrumented(),
         ("the instrument 'coin' is the treatment 't'", "Name another instrument"),
         "an instrument of itself is least squares, and no instrument"),
    Case("sound_instrument", encouraged(), instrumented(), (), "the ratio of two contrasts", status="estimated",
         value=wald(encouraged())),
    Case("instrument_not_there", {k: v for k, v in encouraged().items() if k != "coin"}, instrumented(),
         ("column 'coin' is not in the units",), "the role names no column", gate="coin"),
    # discontinuities
    Case("cutoff_above_all", near_cutoff(), discontinuity(cutoff=5), ("no observation right of the cutoff 5",),
         "nobody crosses it"),
    Case("cutoff_below_all", near_cutoff(), discontinuity(cutoff=-5),
         ("no observation left of the cutoff -5", "Check the cutoff and its unit"), "everybody has crossed it"),
    Case("few_on_one_side", near_cutoff(), discontinuity(cutoff=0.95), ("at least 20 are needed",),
         "a line needs points"),
    Case("running_of_two_values", near_cutoff(running=np.tile([-1.0, 1.0], 100)), discontinuity(),
         ("1 distinct values left of the cutoff", "Measure the running variable more finely"), "a line needs points"),
    Case("narrow_bandwidth", near_cutoff(), discontinuity(options={"rd": {"bandwidth": 0.01}}),
         ("within 0.01 of it; at least 20 are needed",), "almost nobody is so near"),
    Case("bandwidth_below_zero", near_cutoff(), discontinuity(options={"rd": {"bandwidth": -1}}),
         ("bandwidth -1 is not positive",), "no distance is negative"),
    Case("flat_outcome_at_the_cutoff", near_cutoff(y=np.full(200, 2.0)), discontinuity(), ("the outcome",),
         "a constant has no jump and no error"),
    # mediators
    Case("mediator_never_moves", trial(x=np.full(N, 3.0)), MEDIATED, ("the mediator 'x' is 3 in every row",),
         "nothing goes through it", status="not_identified"),
    Case("mediator_not_there", trial(x=None), MEDIATED, ("column 'x' is not in the units",),
         "the role names no column", gate="x"),
    # series
    Case("intervention_after_the_end", MONTHS, {**INTERRUPTED, "intervention_time": 90},
         ("0 periods from the intervention at 90, and 3 are needed",), "the series ends before it",
         status="not_identified"),
    Case("intervention_before_the_begin", MONTHS, {**INTERRUPTED, "intervention_time": -5},
         ("0 periods before the intervention at -5, and 6 are needed",), "the series begins after it",
         status="not_identified"),
    Case("two_rows_a_month", {k: np.r_[v, v] for k, v in MONTHS.items()}, INTERRUPTED, ("60 of 120 rows repeat",),
         "which of the two counts is not said", gate="unique unit_id, month"),
    # networks
    friends("edges_absent", ("edges",), "a network without edges is none", None),
    friends("edges_empty", ("edge",), "nobody has a neighbour",
            {"source": np.array([], int), "target": np.array([], int)}),
    friends("edges_of_strangers", ("edge",), "their ends are no units", {"source": [900, 901], "target": [902, 903]}),
    friends("edges_of_other_columns", ("column 'source' is not in the edges", "source and target"), "ends have names",
            {"a": [1], "b": [2]}),
    Case("treatment_of_the_network_constant", trial(t=np.ones(N)), FRIENDS, ("treatment 't' is constant at 1",),
         "there is no comparison", gate="t values", edges=RING),
    Case("effect_modifier_not_there", trial(), observational(effect_modifiers=["q"]),
         ("column 'q' is not in the units",), "the role names no column", gate="q"),
    Case("rd_without_units", {k: v[:0] for k, v in near_cutoff().items()}, discontinuity(),
         ("the units have no rows",), "there is nobody", gate="rows"),
    Case("panel_without_time", without(panel(), "year"), staggered(), ("column 'year' is not in the units",),
         "the role names no column", gate="year"),
]  # fmt: skip
