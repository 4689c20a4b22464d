"""Weights, clusters and options out of their range."""

from __future__ import annotations

from typing import Any

import numpy as np

from .case import Case, N, contrast, decision, interacted, observational, trial, without

NAIVE = {**without(observational(), "covariates"), "decision": decision("difference_in_means", "ATE")}
ONES = np.ones(N)
GIVEN = interacted(trial(), ("x", "z"))


def weighted(name: str, w: Any, words: tuple[str, ...], why: str, gate: str | None = None, **more: Any) -> Case:
    return Case(name, trial(w=w), {**NAIVE, "weight": "w", **more}, words, why, gate=gate)


def clustered(name: str, c: Any, words: tuple[str, ...], why: str, gate: str | None = None) -> Case:
    return Case(name, trial(c=c), observational(cluster="c"), words, why, gate=gate)


def told(name: str, primary: str, options: dict[str, Any], words: tuple[str, ...], why: str, **more: Any) -> Case:
    rule = decision(primary, more.pop("estimand", "ATE"))
    return Case(name, trial(), observational(options={primary: options}, decision=rule, **more), words, why)


CASES = [
    weighted("negative_weight", np.r_[-1.0, ONES[1:]], ("the weight 'w' has negative values",),
             "nobody counts less than none"),
    weighted("weights_all_zero", ONES * 0, ("the weight 'w' has negative values or is zero in every row",),
             "nobody counts", "rows"),
    weighted("weights_of_one_arm", trial()["t"], ("treatment 't' is constant at 1",), "the untreated count nothing",
             "t values"),
    weighted("missing_weight", [None, *ONES[1:]], ("weight 'w' is NULL in 1 rows",), "how much it counts is not said",
             "w"),
    weighted("one_unit_holds_all_weight", np.r_[1e149, ONES[1:]], ("one unit holds all of the weight 'w'",),
             "beside it the others vanish"),
    Case("weight_for_an_estimator_without", trial(w=ONES), observational(weight="w", decision=decision("psm", "ATT")),
         ("psm does not use the declared weight", "Drop the role 'weight'"), "it would answer for other people"),
    Case("weights_of_two", trial(w=ONES * 2), {**NAIVE, "weight": "w"}, (), "equal weights change nothing",
         status="estimated", value=contrast(trial())),
    Case("boolean_weights", trial(w=[i != 7 for i in range(N)]), {**NAIVE, "weight": "w"}, (),
         "a zero leaves a unit out", status="estimated", value=contrast(trial(), np.arange(N) != 7)),
    clustered("one_cluster", ONES, ("all rows are in one cluster of 'c'", "drop the role 'cluster'"),
              "nothing varies between clusters"),
    clustered("missing_cluster", [None, *ONES[1:]], ("cluster 'c' is NULL in 1 rows",), "where it belongs is not said",
              "c"),
    clustered("no_cluster_at_all", np.full(N, np.nan), ("cluster 'c' is NULL in every row",),
              "where they belong is not said",
              "c"),
    Case("clusters_of_text", trial(c=[f"village {i // 4}" for i in range(N)]), observational(cluster="c"), (),
         "labels may be text", status="estimated", value=GIVEN),
    told("caliper_below_zero", "psm", {"caliper": -1.0}, ("caliper",), "no distance is negative", estimand="ATT"),
    told("no_neighbours", "psm", {"neighbours": 0}, ("neighbours",), "a match has a neighbour", estimand="ATT"),
    told("more_neighbours_than_units", "psm", {"neighbours": 500}, ("500",), "there are not so many", estimand="ATT"),
    told("one_stratum_less_than_one", "stratification", {"strata": 0}, ("strata",), "a stratum has units"),
    told("trim_everything", "ipw", {"trim": 0.5}, ("trim",), "nobody lies between one half and one half"),
    told("clip_beyond_one_half", "ope", {"clip": 0.6}, ("clip",), "no propensity is above 0.6 and below 0.4"),
    Case("folds_of_nobody", trial(f=np.zeros(N)), observational(fold="f", decision=decision("ope", "ATE")),
         ("the fold 'f' is 0 in every row", "declare `folds: 1`"), "nothing would be cross-fitted"),
    Case("folds_beyond_the_declared", trial(f=np.arange(N) % 7),
         observational(fold="f", decision=decision("ope", "ATE")),
         ("the fold 'f' has values other than 0 to 4",), "which fold is which is not said"),
    Case("modifiers_of_a_term_without_values", trial(x=ONES * -1), observational(covariates=["log(x)", "z"]),
         ("'log(x)' is not a finite number in 80 rows",), "there is no logarithm of a negative number"),
    Case("interaction_of_a_stranger", trial(),
         observational(covariates=["x"], options={"outcome": {"interactions": ["z"]}}),
         ("interaction 'z' is not among the covariates of the outcome model",), "only what is adjusted for interacts"),
    Case("term_of_the_decision_not_there", trial(),
         observational(decision=decision("regression_adjustment", "ATE", term="married=1")),
         ("the decision's term 'married=1' is not among overall", "Mend decision.term"), "no row answers the question"),
]  # fmt: skip
