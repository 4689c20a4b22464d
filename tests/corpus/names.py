"""Names that SQL, Jinja or YAML could trip over: each is quoted, or refused as a name."""

from __future__ import annotations

from typing import Any

import numpy as np

from .case import Case, N, interacted, observational, trial, without

GIVEN = interacted(trial(), ("x", "z"))


def renamed(old: str, new: str) -> dict[str, Any]:
    """The trial with a column called otherwise."""
    return {new if name == old else name: values for name, values in trial().items()}


def outcome(name: str, called: str, why: str) -> Case:
    return Case(name, renamed("y", called), observational(outcome=called), (), why, status="estimated", value=GIVEN)


CASES = [
    outcome("reserved_word", "select", "a word of SQL, quoted, is a name"),
    outcome("reserved_word_of_order", "order", "a word of SQL, quoted, is a name"),
    outcome("name_with_a_space", "spend in euro", "quoted, it is a name"),
    outcome("name_with_a_quote", 'spend"euro', "quotes are doubled"),
    outcome("name_with_an_apostrophe", "user's spend", "it stands in texts of reasons too"),
    outcome("unicode_name", "größe_日本", "letters are letters"),
    outcome("name_with_a_dash", "re-78", "quoted, it is a name"),
    outcome("name_that_begins_with_a_digit", "78_income", "quoted, it is a name"),
    outcome("name_in_capitals", "Y", "names keep their case"),
    Case("treatment_of_a_reserved_word", renamed("t", "group"), observational(treatment="group"), (),
         "a word of SQL, quoted, is a name", status="estimated", value=GIVEN),
    Case("covariate_of_a_reserved_word", renamed("x", "table"), observational(covariates=["table", "z"]), (),
         "a word of SQL, quoted, is a name", status="estimated", value=GIVEN),
    Case("unit_of_a_reserved_word", renamed("unit_id", "index"), observational(unit="index"), (),
         "a word of SQL, quoted, is a name", status="estimated", value=GIVEN),
    Case("weight_with_a_space", {**trial(), "my weight": np.ones(N)}, observational(weight="my weight"), (),
         "quoted, it is a name", status="estimated", value=GIVEN),
    Case("absent_name_with_a_quote", trial(), observational(outcome='y"; drop table units; --'),
         ("column 'y\"; drop table units; --' is not in the units",), "a name is no SQL",
         gate='y"; drop table units; --'),
    Case("absent_name_with_jinja", trial(), observational(outcome="{{ var('x') }}"),
         ("is not in the units",), "a name is no template", gate="{{ var('x') }}"),
    Case("covariate_with_a_space", renamed("x", "my x"), observational(covariates=["my x", "z"]), (),
         "what has no form of a term is a name", status="estimated", value=interacted(trial(), ("x", "z"))),
    Case("level_with_an_apostrophe", trial(x=["it's" if i % 4 < 2 else "a\\b" for i in range(N)]),
         observational(covariates=["C(x)", "z"]), (), "levels are values, not SQL", status="estimated",
         value=interacted(trial(x=[float(i % 4 < 2) for i in range(N)]), ("x", "z"))),
    Case("empty_text_as_a_level", trial(x=["" if i % 4 < 2 else " " for i in range(N)]),
         observational(covariates=["C(x)", "z"]), (), "an empty text is a value", status="estimated",
         value=interacted(trial(x=[float(i % 4 < 2) for i in range(N)]), ("x", "z"))),
    Case("experiment_without_covariates", trial(),
         {**without(observational(), "covariates"), "design": "experiment",
          "decision": {"primary": "difference_in_means", "estimand": "ATE", "desired_direction": "more",
                       "minimum_effect": 0}}, (), "a randomised contrast needs none", status="estimated",
         value=float(trial()["y"][1::2].mean() - trial()["y"][::2].mean())),
]  # fmt: skip
