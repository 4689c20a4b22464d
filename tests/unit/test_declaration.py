"""Every word of a study block that can be wrong: the message names the study, the word and the mend."""

import pytest
from support import DECISION, observational

from estimators.errors import StudyError
from estimators.study import Study

GOOD = observational("y", "t", ["a", "b"])


def without(*keys):
    return {k: v for k, v in GOOD.items() if k not in keys}


def decision(**changes):
    block = {**DECISION, **changes}
    return {**GOOD, "decision": {k: v for k, v in block.items() if v is not ...}}


def options(**block):
    return {**GOOD, "options": block}


def specifications(**block):
    return {**GOOD, "specifications": block}


# Block, words of the problem, words of the mend.
WRONG = {
    "no block": (None, "no study block", "Declare `meta: study:`"),
    "empty block": ({}, "no study block", "Declare `meta: study:`"),
    "not a block": (["y"], "no study block", "Declare `meta: study:`"),
    "unknown role": ({**GOOD, "treatmant": "t"}, "unknown role 'treatmant'", "Did you mean 'treatment'?"),
    "unknown, nothing near": ({**GOOD, "zzz": 1}, "unknown role 'zzz'", "Known are: design, question"),
    "no question": (without("question"), "role 'question' is not declared", "Add `question:`"),
    "no outcome": (without("outcome"), "role 'outcome' is not declared", "Add `outcome:`"),
    "role not text": ({**GOOD, "treatment": ["t"]}, "role 'treatment' must be text, not ['t']", "one column's name"),
    "role empty": ({**GOOD, "treatment": ""}, "role 'treatment' must be text, not ''", "one column's name"),
    "words not text": ({**GOOD, "question": 3}, "role 'question' must be text, not 3", "Write a sentence"),
    "no design": (without("design"), "'design' is not declared", "Write one of: experiment, observational"),
    "design": ({**GOOD, "design": "experimental"}, "unknown design 'experimental'", "Did you mean 'experiment'?"),
    "missing": ({**GOOD, "missing": "impute"}, "unknown missing 'impute'", "Known are: refuse, drop"),
    "a/a": ({**GOOD, "a_a_test": "no"}, "'a_a_test' must be true or false, not 'no'", "without quotes"),
    "number": ({**GOOD, "cutoff": "5 kg"}, "'cutoff' must be a number, not '5 kg'", "without quotes or units"),
    "number nan": ({**GOOD, "cutoff": float("nan")}, "'cutoff' must be a number, not nan", "without quotes"),
    "number inf": ({**GOOD, "value_per_unit": ".inf"}, "'value_per_unit' must be a number", "without quotes"),
    "number true": ({**GOOD, "cost_per_unit": True}, "'cost_per_unit' must be a number, not True", "without quotes"),
    "number list": ({**GOOD, "cutoff": [1]}, "'cutoff' must be a number, not [1]", "without quotes"),
    "folds half": ({**GOOD, "folds": 2.5}, "'folds' must be a whole number, not 2.5", "Round it"),
    "folds zero": ({**GOOD, "folds": 0}, "folds must be at least 1, not 0", "1 means no cross-fitting"),
    "seed": ({**GOOD, "seed": "soon"}, "'seed' must be a number, not 'soon'", "without quotes"),
    "allocation": ({**GOOD, "allocation": 50}, "allocation must lie between 0 and 1", "share meant to be treated"),
    "terms not a list": ({**GOOD, "covariates": "a"}, "'covariates' in s must be a list of terms, not 'a'", "[a, b^2"),
    "terms not text": ({**GOOD, "covariates": [1]}, "'covariates' in s must be a list of terms, not [1]", "[a, b^2"),
    "bad term": ({**GOOD, "covariates": ["a:"]}, "'covariates' in s: 'a:' is not a term", "Mend the term"),
    "bad benchmark": ({**GOOD, "benchmark_covariates": [":a"]}, "':a' is not a term", "Mend the term"),
    "name of a term": ({**GOOD, "weight": "w^2"}, "weight 'w^2' reads as a term", "Rename the column"),
    "name with a colon": ({**GOOD, "cluster": "a:b"}, "cluster 'a:b' reads as a term", "Rename the column"),
    "outcome is treatment": ({**GOOD, "outcome": "t"}, "'t' is both outcome and treatment", "its own column"),
    "outcome a covariate": ({**GOOD, "covariates": ["a", "y^2"]}, "outcome 'y' is also in the term 'y^2'", "Drop"),
    "treatment a covariate": ({**GOOD, "covariates": ["a:t"]}, "treatment 't' is also in the term 'a:t'", "Drop"),
    "outcome in options": (options(propensity={"covariates": ["y"]}), "outcome 'y' is also in the term 'y'", "Drop"),
    "outcome instrument": ({**GOOD, "instruments": ["y"]}, "the outcome 'y' has a second role", "its own column"),
    "options a list": ({**GOOD, "options": ["ipw"]}, "options must be a mapping, not ['ipw']", "`estimator: {option"),
    "unknown estimator": (options(ipww={}), "unknown estimator or option in options: 'ipww'", "Did you mean 'ipw'?"),
    "own not a mapping": (options(ipw=3), "options.ipw must be a mapping, not 3", "Known: "),
    "own unknown": (options(ipw={"trimm": 1}), "unknown option of ipw: 'trimm'", "Did you mean 'trim'?"),
    "own value": (options(ipw={"trim": "much"}), "options.ipw.trim cannot be 'much'", "Allowed: float"),
    "own choice": (options(iv={"method": "3sls"}), "options.iv.method cannot be '3sls'", "Allowed: 2sls, liml, gmm"),
    "own terms": (options(tvce={"covariates": [""]}), "'covariates' in options.tvce: '' is not a term", "Mend"),
    "option folds": (options(folds=0), "options.folds must be at least 1, not 0", "1 means no cross-fitting"),
    "option folds half": (options(folds="2.5"), "'options.folds' must be a whole number", "Round it"),
    "model not a mapping": (options(propensity="logit"), "options.propensity must be a mapping", "link, covariates"),
    "model unknown": (options(outcome={"link": "probit"}), "unknown option in options.outcome: 'link'", "Known are"),
    "link": (options(propensity={"link": "identity"}), "unknown link 'identity'", "logit, probit"),
    "interactions": (options(outcome={"interactions": "some"}), "must be a list of terms, not 'some'", "[a, b^2"),
    "specifications a list": ({**GOOD, "specifications": ["x"]}, "specifications must be a mapping", "estimators: ["),
    "specification empty": (specifications(x={}), "specifications.x names no estimators", "Add `estimators: [ipw]`"),
    "specification not a mapping": (specifications(x=1), "specifications.x names no estimators", "Add `estimators"),
    "specification text": (specifications(x={"estimators": "ipw"}), "x.estimators must be a list, not 'ipw'", "[ipw,"),
    "specification default": (specifications(default={"estimators": ["ipw"]}), "called 'default'", "`options:`"),
    "specification estimator": (specifications(x={"estimators": ["ipww"]}), "unknown estimator in specifications.x:",
                                "Did you mean 'ipw'?"),
    "specification estimator kind": (specifications(x={"estimators": [["ipw"]]}), "unknown estimator in", "Did you"),
    "specification option": (specifications(x={"estimators": ["ipw"], "ipw": {"trim": None}}),
                             "specifications.x.ipw.trim cannot be None", "Allowed: float"),
    "no decision": (without("decision"), "no decision is declared", "before looking at results"),
    "decision key": (decision(estimate="ATE"), "unknown key in decision: 'estimate'", "Did you mean 'estimand'?"),
    "no primary": (decision(primary=...), "decision.primary is not declared", "Add `primary:`"),
    "no estimand": (decision(estimand=...), "decision.estimand is not declared", "Add `estimand:`"),
    "no direction": (decision(desired_direction=...), "decision.desired_direction is not declared", "Add `desired"),
    "no minimum": (decision(minimum_effect=...), "decision.minimum_effect is not declared", "Add `minimum_effect:`"),
    "primary": (decision(primary="ipww"), "unknown estimator in decision.primary: 'ipww'", "Did you mean 'ipw'?"),
    "primary a list": (decision(primary=["ipw"]), "unknown estimator in decision.primary:", "Did you mean"),
    "estimand": (decision(estimand="LATE"), "unknown estimand of regression_adjustment: 'LATE'", "Did you mean 'ATE'?"),
    "direction": (decision(desired_direction="up"), "unknown desired_direction 'up'", "Known are: more, less"),
    "minimum": (decision(minimum_effect="big"), "'minimum_effect' must be a number, not 'big'", "without quotes"),
    "minimum nan": (decision(minimum_effect=float("nan")), "'minimum_effect' must be a number", "without quotes"),
    "decision specification": (decision(specification="x"), "unknown specification in decision: 'x'", "default"),
    "decision elsewhere": ({**decision(specification="x"), "specifications": {"x": {"estimators": ["ipw"]}}},
                           "specification 'x' does not run regression_adjustment", "specifications.x.estimators"),
    "primary's role": ({**decision(primary="iv", estimand="LATE")}, "iv needs the role 'instruments'", "another"),
    "primary's roles": (without("treatment"), "regression_adjustment needs the role 'treatment'", "Add `treatment:`"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_words(case):
    block, problem, mend = WRONG[case]
    with pytest.raises(StudyError) as caught:
        Study.declare("s", block)
    told = caught.value
    assert str(told) == f"study s: {told.problem}. {told.mend}"
    assert problem in told.problem
    assert mend in told.mend


def test_the_good_block_is_good():
    one = Study.declare("s", GOOD)
    assert (one.name, one.outcome, one.covariates) == ("s", "y", ("a", "b"))
    assert one.decision.minimum_effect == 0.0


@pytest.mark.parametrize(
    ("text", "whole"), [("20260101", 20260101), (7, 7), (7.0, 7), (10**17 + 1, 10**17 + 1), ("-3", -3)]
)
def test_jinja_gives_text_and_every_digit_of_a_seed_counts(text, whole):
    assert Study.declare("s", {**GOOD, "seed": text}).seed == whole


def test_null_is_not_declared():
    one = Study.declare("s", {**GOOD, "weight": None, "covariates": ["a"], "cutoff": None, "options": None})
    assert (one.weight, one.cutoff, one.options) == (None, None, {})


def test_lists_become_tuples_so_that_a_study_stays_as_declared():
    one = Study.declare("s", options(outcome={"interactions": ["a"]}, tvce={"covariates": ["b"]}))
    assert one.options["outcome"]["interactions"] == ("a",)
    assert one.options["tvce"]["covariates"] == ("b",)


def test_columns_may_serve_twice_where_that_means_something():
    # Weights that are a covariate, clusters that are one, a benchmark that is one: all of these are sound.
    block = {**GOOD, "weight": "a", "cluster": "b", "benchmark_covariates": ["a"]}
    assert Study.declare("s", block).columns() == ["unit_id", "y", "t", "b", "a"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"instruments": ["t"]}, "the instrument 't' is also the treatment"),
        ({"instruments": ["x"]}, "the instrument 'x' is also the covariate"),
        ({"instruments": ["m"], "mediator": "m"}, "the instrument 'm' is also the mediator"),
        ({"mediator": "t"}, "'t' is both treatment and mediator"),
        ({"weight": "t"}, "'t' is both treatment and weight"),
        ({"cluster": "t"}, "'t' is both treatment and cluster"),
    ],
)
def test_one_column_in_two_roles_that_exclude_each_other_is_refused(more, words):
    block = {
        "question": "?", "design": "observational", "outcome": "y", "treatment": "t", "covariates": ["x"], **more,
        "decision": {"primary": "ipw", "estimand": "ATE", "desired_direction": "more", "minimum_effect": 0},
    }  # fmt: skip
    with pytest.raises(StudyError, match=words):
        Study.declare("s", block)
