"""Made-up studies on either side of every gate's threshold, for tests/build/test_gates.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from estimators import design

Columns = dict[str, Any]

WEIGHTS = [f"weight_{name}" for name in (
    "ipw_ate", "ipw_att", "ipw_ato", "psm_ate", "psm_att", "stratification_ate", "stratification_att",
)]  # fmt: skip
BLOCK = {
    "question": "?", "design": "observational", "outcome": "y", "treatment": "t", "covariates": ["x"],
    "decision": {"primary": "ipw", "estimand": "ATE", "desired_direction": "more", "minimum_effect": 0},
}  # fmt: skip
OTHERS = {"secondary_outcomes": ["z"], "guardrails": {"g": {"desired_direction": "more", "margin": 1}}}
PANEL = {"design": "panel", "outcome": "y", "unit": "county", "time": "year", "cohort": "cohort"}


def units(**changed: Any) -> Columns:
    """Forty units an arm whose covariate is the same in both."""
    columns = {
        "unit_id": list(range(80)), "t": [0, 1] * 40, "x": [float(i // 2 % 4) for i in range(80)],
        "y": [float(i % 7) for i in range(80)],
    }  # fmt: skip
    return {name: values for name, values in {**columns, **changed}.items() if values is not None}


def scores(n: int = 80, **changed: Any) -> Columns:
    """Propensities of one half and weights of one, but for what is changed."""
    columns: Columns = {"unit_id": list(range(80)), "treatment": [0.0, 1.0] * 40, "propensity": [0.5] * 80}
    columns |= {name: [1.0] * 80 for name in WEIGHTS}
    return {name: values[:n] for name, values in {**columns, **changed}.items()}


def panel(**changed: Any) -> Columns:
    """Two periods of four counties, two of them never treated."""
    columns = {
        "county": [1, 1, 2, 2, 3, 3, 4, 4], "year": [2000, 2001] * 4, "cohort": [2001] * 4 + [None] * 4,
        "y": [float(i) for i in range(8)],
    }  # fmt: skip
    return {**columns, **changed}


def two_populations(**changed: Any) -> Columns:
    """Units that balance in the second of two periods only, and ten of a target population without an outcome."""
    now, before = units(), units(x=UNBALANCED)
    columns = {name: before[name] + now[name] for name in now} | {"wave": [1] * 80 + [2] * 80, "inside": [1] * 160}
    target = {"unit_id": list(range(100, 110)), "x": [9.0] * 10, "wave": [2] * 10, "inside": [0] * 10}
    return {name: values + target.get(name, [None] * 10) for name, values in {**columns, **changed}.items()}


def metric(name: str, value: float | None, reason: str = "measured", estimator: str | None = None) -> Columns:
    """A design table of one row."""
    return {
        "study": ["s"], "estimator": [estimator], "estimand": [None], "metric": [name], "subject": ["overall"],
        "value": [value], "reason": [reason],
        "remedy": pa.array([None], pa.string()),
    }  # fmt: skip


def moved(values: list[float], by: float) -> list[float]:
    """A covariate higher by so much in the treated."""
    return [value + by * (i % 2) for i, value in enumerate(values)]


def first(n: int, value: Any, rest: list[Any]) -> list[Any]:
    """The list with its first n entries replaced."""
    return [value] * n + rest[n:]


TWO = {"time": "wave", "sample": "inside"}
X, Y = units()["x"], units()["y"]
NOISE = [float(e) for e in np.random.default_rng(1).normal(size=80)]
UNBALANCED = moved(X, 0.3)
# The treated average 1.8 and the untreated 1.5; under these weights both average 1.5, and 37 effective units are left.
UNDOING = [1 - 0.24 * (x - 1.8) if i % 2 else 1.0 for i, x in enumerate(UNBALANCED)]
HALF_THE_UNTREATED_FAR = [0.05 if i % 4 == 0 else 0.5 for i in range(80)]
A_THIRD_OF_THE_TREATED_SURE = [0.95 if i % 6 == 1 else 0.5 for i in range(80)]

# What is judged: name of the made-up study: its units, scores, design and what it declares differently.
STUDIES: dict[str, dict[str, Any]] = {
    "all_good": {"units": units(), "scores": scores()},
    # contracts
    "no_rows": {"units": {name: values[:0] for name, values in units().items()}, "scores": scores(0)},
    "no_column": {"units": units(x=None), "scores": scores()},
    "repeated_unit": {"units": units(unit_id=first(2, 7, list(range(80))))},
    "text_outcome": {"units": units(y=[str(y) for y in Y])},
    "text_covariate": {"units": units(x=["a", "b", "b", "a"] * 20)},
    "text_category": {"units": units(x=["a", "b", "b", "a"] * 20), "declares": {"covariates": ["C(x)"]}},
    "null_outcome": {"units": units(y=first(3, None, Y))},
    "null_dropped": {"units": units(y=first(3, None, Y)), "declares": {"missing": "drop"}},
    "all_null": {"units": units(x=[None] * 80)},
    "all_null_dropped": {"units": units(x=[None] * 80), "declares": {"missing": "drop"}},
    "gaps_in_others": {"units": units(z=first(3, None, Y), g=first(3, None, Y)), "declares": OTHERS},
    "text_in_others": {"units": units(z=["a"] * 80, g=Y), "declares": OTHERS},
    "null_in_others": {"units": units(z=Y, g=[None] * 80), "declares": OTHERS},
    "others_not_there": {"units": units(z=Y), "declares": OTHERS},
    "others_misdeclared": {"units": units(), "declares": {"secondary_outcomes": "z", "guardrails": ["g"]}},
    "constant_treatment": {"units": units(t=[1] * 80)},
    "third_arm": {"units": units(t=[0, 1, 2, 1] * 20)},
    "one_and_two": {"units": units(t=[1, 2] * 40)},
    "dose": {"units": units(t=list(range(80))), "scores": None},
    "dose_in_an_experiment": {
        "units": units(t=list(range(80))), "scores": None, "declares": {"design": "experiment"},
    },
    "panel": {"units": panel(), "block": PANEL},
    "repeated_period": {"units": panel(year=[2000, 2000] + [2000, 2001] * 3), "block": PANEL},
    "no_cohort_at_all": {"units": panel(cohort=[None] * 8), "block": PANEL},
    # measured after treatment, by its word and by its date; before it, by its time
    "measured_after": {"units": units(), "declares": {"measured": {"x": "after"}}},
    "all_after": {"units": units(), "declares": {"measured": "after"}},
    "modifier_after": {
        "units": units(z=NOISE), "declares": {
            "effect_modifiers": ["z"], "measured": {"z": "2001-05-01"}, "treated_at": "2001-04-30",
        },
    },
    "option_after": {
        "units": units(z=NOISE), "declares": {
            "options": {"propensity": {"covariates": ["z"]}}, "measured": {"x": 3, "z": 4.5}, "treated_at": 4,
        },
    },
    "measured_before": {"units": units(), "declares": {"measured": {"x": 3}, "intervention_time": 4}},
    "measured_misdeclared": {"units": units(), "declares": {"measured": ["x"]}},
    # rows of weight zero are none of the study's, whatever they hold; a weight may be a truth
    "zero_weights": {
        "units": units(y=first(3, None, Y), w=first(3, 0.0, [1.5] * 80)), "declares": {"weight": "w"},
    },
    "weights_of_truths": {
        "units": units(y=first(3, None, Y), w=first(3, False, [True] * 80)), "declares": {"weight": "w"},
    },
    "all_zero_weights": {"units": units(w=[0.0] * 80), "declares": {"weight": "w"}},
    "path_agrees": {"units": panel(t=[0, 1, 0, 1] + [0] * 4), "block": {**PANEL, "treatment": "t"}},
    "path_contradicts": {"units": panel(t=[0, 1, 1, 0] + [0] * 4), "block": {**PANEL, "treatment": "t"}},
    "path_of_another": {
        "units": panel(t=[0, 1, 1, 0] + [0] * 4),
        "block": {**PANEL, "treatment": "t", "cohort_of": "intervention"},
    },
    # one row a unit, of the study's own population
    "last_wave": {"units": two_populations(), "scores": scores(), "declares": TWO},
    "first_wave": {"units": two_populations(), "scores": scores(), "declares": {**TWO, "cross_section": 1}},
    "null_in_the_study": {"units": two_populations(y=first(3, None, Y * 2)), "declares": TWO},
    # balance
    "unbalanced": {"units": units(x=UNBALANCED), "scores": scores()},
    "unbalanced_undone": {"units": units(x=UNBALANCED), "scores": scores(weight_ipw_att=UNDOING)},
    "almost_unbalanced": {"units": units(x=moved(X, 0.09 * np.std(X[::2], ddof=1))), "scores": scores()},
    "just_unbalanced": {"units": units(x=moved(X, 0.11 * np.std(X[::2], ddof=1))), "scores": scores()},
    "no_weights": {"units": units(), "scores": scores(weight_psm_att=[None] * 80)},
    # overlap
    "far_untreated": {"units": units(), "scores": scores(propensity=HALF_THE_UNTREATED_FAR)},
    "sure_treated": {"units": units(), "scores": scores(propensity=A_THIRD_OF_THE_TREATED_SURE)},
    "empty_scores": {"units": units(), "scores": scores(0)},
    # effective sample size
    "one_heavy_unit": {"units": units(), "scores": scores(weight_ipw_ate=first(1, 1000.0, [1.0] * 80))},
    # collinearity
    "stand_in": {"units": units(x=[i % 2 + 0.05 * e for i, e in enumerate(NOISE)]), "scores": scores()},
    "complete_stand_in": {
        "units": units(x=[2.0 * (i % 2) + e for i, e in enumerate(NOISE)], z=NOISE), "scores": scores(),
        "declares": {"covariates": ["x", "z"]},
    },
    "twins": {
        "units": units(z=[x + 0.01 * e for x, e in zip(X, NOISE, strict=True)]), "scores": scores(),
        "declares": {"covariates": ["x", "z"]},
    },
    "complete_twins": {
        "units": units(z=[2 * x + 1 for x in X]), "scores": scores(), "declares": {"covariates": ["x", "z"]},
    },
    # the same failure, of which this study is excepted
    "excepted": {"units": units(), "scores": scores(propensity=HALF_THE_UNTREATED_FAR)},
    # and this one for one estimator only
    "excepted_once": {"units": units(), "scores": scores(propensity=HALF_THE_UNTREATED_FAR)},
    # a gates file that was not given what the roles ask for
    "no_design_table": {"units": units(), "design": None},
    "no_scores_table": {"units": units(), "scores": None},
    "neither_table": {"units": units(), "scores": None, "design": None},
    "instruments_without_design": {
        "units": units(z=NOISE), "scores": None, "design": None,
        "declares": {"design": "iv", "instruments": ["z"], "covariates": []},
    },
    # a design model that was given no scores, and one whose table is empty
    "unweighted": {"units": units(), "design": "unweighted"},
    "empty_design": {"units": units(), "design": "empty"},
    "no_covariates": {"units": units(), "declares": {
        "covariates": [], "design": "experiment", "decision": {**BLOCK["decision"], "primary": "difference_in_means"},
    }},
}  # fmt: skip

# A gate on the design, its metric, a value that passes and one that fails, and whether the failure blocks.
DESIGNS = [
    ("experiment", "omnibus_balance", "omnibus_balance_p", 0.011, 0.009, False, None),
    ("experiment", "sample_ratio", "sample_ratio_p", 0.0011, 0.0009, True, None),
    ("experiment", "covariate_assignment", "covariate_assignment_p", 0.0011, 0.0009, False, None),
    ("iv", "first_stage", "first_stage_f", 10.1, 9.9, False, "iv"),
    ("rd", "density", "density_p", 0.051, 0.049, True, "rd"),
    ("rd", "covariate_continuity", "covariate_continuity_p", 0.051, 0.049, False, "rd"),
    ("panel", "pre_trends", "pre_trends_p", 0.051, 0.049, True, "did"),
    ("synthetic_control", "pre_fit", "pre_rmspe_ratio", 0.24, 0.26, True, "synthetic_control"),
    ("synthetic_control", "pre_fit_level", "pre_rmspe_level", 0.09, 0.11, True, "synthetic_control"),
]
DECLARED = {
    "experiment": BLOCK, "iv": {**BLOCK, "instruments": ["z"]}, "panel": PANEL, "synthetic_control": PANEL,
    "rd": {"outcome": "y", "running": "x", "cutoff": 0, "covariates": ["z"]},
}  # fmt: skip
for kind, gate, name, good, bad, _, whose in DESIGNS:
    for case, value in (("good", good), ("bad", bad), ("null", None), ("absent", good)):
        STUDIES[f"{gate}_{case}"] = {
            "units": panel() if DECLARED[kind] is PANEL else units(z=NOISE),
            "block": {**DECLARED[kind], "design": kind},
            "design": metric("another" if case == "absent" else name, value, estimator=whose),
        }

# The sample ratio as estimators.design measures it: 40 and 20 of 80 against a declared half, and 20 against nothing.
for case, treated, allocation in (("even", 40, 0.5), ("uneven", 20, 0.5), ("undeclared", 20, None)):
    own = units(t=[1] * treated + [0] * (80 - treated), x=NOISE)
    STUDIES[f"ratio_{case}"] = {"units": own, "declares": {"design": "experiment", "allocation": allocation}}

# And a covariate that treatment moved, beside one that it did not, as estimators.design tests them.
STUDIES["moved_by_treatment"] = {
    "units": units(x=moved(NOISE, 2), z=NOISE[::-1]),
    "declares": {"design": "experiment", "covariates": ["x", "z"]},
}

EXCEPTIONS = (
    ("excepted", "overlap", "*", "*", "ATE", "false", "pilot among regular customers"),
    ("excepted_once", "overlap", "*", "tvce", "ATE", "false", "read as a weighted average"),
)
# The policy as a user may change it: overlap no longer blocks, and balance has no line at all.
EDITED = ["all_good", "far_untreated", "unbalanced"]


def block_of(study: dict[str, Any]) -> dict[str, Any]:
    """What a made-up study declares."""
    return study["block"] if "block" in study else {**BLOCK, **study.get("declares", {})}


# Each has the scores above and the design table that Python makes of all that, unless it says otherwise.
for name, study in STUDIES.items():
    if "block" not in study:
        study.setdefault("scores", scores())
    asked = study.setdefault("design", "whole")
    if isinstance(asked, str):
        weights = None if asked == "unweighted" or study.get("scores") is None else pa.table(study["scores"])
        made = design(name, block_of(study), study["units"], scores=weights)
        study["design"] = made.slice(0, 0) if asked == "empty" else made
