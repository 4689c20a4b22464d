"""A study's rows for one of its secondary outcomes or guardrails, with all that does not depend on the outcome."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable
from typing import Any

import numpy as np

from .assemble import held, streamed
from .errors import Refusal
from .problem import Problem

# What is kept by these keys (see `Problem.cache`, `Streamed.cache`) reads units, treatment and covariates only.
OUTCOME_FREE = frozenset({
    "kind", "matrix", "propensity", "crossfit", "folds", "partialled out treatment", "strata", "columns", "infinite",
    "n_clusters", "clusters", "fold",
})  # fmt: skip
# Estimators whose model is of the primary outcome alone, and why.
BOUND = {"mediation": "the mediator was declared for the primary outcome, and may carry nothing of another"}


def for_outcome(problem: Any, outcome: str) -> tuple[Any, int]:
    """The decision's run of the study as if ``outcome`` were its own, and how many rows lack a value.

    Folds, propensities and columns are the primary outcome's where both have the same rows; where they have not
    (``missing: drop``), nothing is shared, because every fit would differ.

    Parameters
    ----------
    problem : Problem or Streamed
        Of the study, as `estimators.assemble.assemble` gives it.
    outcome : str
        One of the study's secondary outcomes or guardrails.

    Raises
    ------
    StudyError
        If this outcome breaks a contract, such as NULLs with ``missing: refuse``.
    Refusal
        If the primary estimator's model is of the primary outcome alone.
    """
    study, rule = problem.study.alone(outcome), problem.study.decision
    if rule.primary in BOUND:
        raise Refusal(BOUND[rule.primary], "Ask about this outcome in a study of its own")
    if isinstance(problem, Problem):
        assert problem.given is not None
        own, dropped = held(study, problem.given, edges=problem.edges)
        own = dataclasses.replace(own, idle=problem.idle)
        shares = _same_rows(problem, own)
    else:
        source, facts = problem.given
        own, dropped = streamed(study, source, problem.types, facts)
        own = dataclasses.replace(own, alone=True)
        shares = own.source.where == problem.source.where
    run = own.for_run(rule.primary, "default")
    if shares:
        known = problem.for_run(rule.primary, "default").cache
        run.cache.update((key, value) for key, value in known.items() if _is_free(key, study.treatment))
    return run, dropped


def _same_rows(one: Problem, other: Problem) -> bool:
    keys = [one.study.unit, *([one.study.time] if one.study.time else [])]
    return all(np.array_equal(one.columns[key], other.columns[key]) for key in keys)


def _is_free(key: Hashable, treatment: str | None) -> bool:
    name = key[0] if isinstance(key, tuple) else key
    if name == "learned":  # a prediction of the treatment in all rows; others are of an outcome or within an arm
        target = key[1]  # type: ignore[index]
        return target.column == treatment and target.inside is None
    return name in OUTCOME_FREE
