"""Effects of groups by the declared modifiers as rows, and the differences between groups as diagnostics."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import Refusal
from ..estimates import made
from ..inference import standard_error, wald
from ..problem import Problem
from ..result import Diagnostic, Estimate
from ..sample import counts
from ..terms import columns_of
from .groups import average, groups, holm, too_few


def check_modifiers(problem: Problem) -> None:
    """Outside experiments E[ψ | V] is the effect given V only if the models hold V."""
    options, study = problem.options, problem.study
    held = {c for term in (*options.propensity.covariates, *options.outcome.covariates) for c in columns_of(term)}
    for term in study.effect_modifiers:
        for name in columns_of(term):
            if name not in held and study.design != "experiment":
                reason = f"the effect modifier '{name}' is not among the covariates"
                raise Refusal(reason, "Add it to them: groups by it may differ in confounders", "not_identified")


def group_rows(problem: Problem, estimand: str, psi: np.ndarray) -> tuple[list[Estimate], list[Diagnostic]]:
    """The mean score of each group of each modifier, and each group's difference to its modifier's first.

    Parameters
    ----------
    psi : ndarray of shape (n,)
        Scores whose mean over a group estimates its effect, in units of the outcome.

    Returns
    -------
    rows, notes
        Rows ``<modifier>=<label>`` (refused where a group is too small); diagnostics ``group_contrast`` and
        ``group_contrast_p_holm`` of each difference, ``modifier_without_groups``.
    """
    found, without = groups(problem)
    rows, contrasts, ps = [], [], []
    first: dict[str, Any] = {}
    for group in found:
        reason = too_few(problem, group.inside)
        if reason is not None:
            rows.append(Estimate(estimand, group.term, status="refused", status_reason=f"{reason}: join groups"))
            continue
        own = average(problem, psi, group.inside)
        rows.append(score_row(problem, estimand, group.term, own.estimate, own.std_error, group.inside, df=own.df))
        if group.modifier not in first:
            first[group.modifier] = (group.term, own)
            continue
        term, base = first[group.modifier]
        # Groups share no unit but may share clusters.
        std_error = _difference_error(problem, own.influence - base.influence)
        df = None if own.df is None or base.df is None else min(own.df, base.df)
        test = wald(own.estimate - base.estimate, std_error, df)
        contrasts.append((f"{group.term} - {term}", own.estimate - base.estimate))
        ps.append(1.0 if test.p_value is None else test.p_value)
    notes = [Diagnostic("modifier_without_groups", term, None) for term in without]
    for (subject, difference), p in zip(contrasts, holm(ps), strict=True):
        notes.append(Diagnostic("group_contrast", subject, difference))
        notes.append(Diagnostic("group_contrast_p_holm", subject, p, 0.05))
    return rows, notes


def score_row(
    problem: Problem, estimand: str, term: str, estimate: float, std_error: float, keep: np.ndarray, **fields: Any
) -> Estimate:
    """A row made of the scores of the units ``keep``; fields given override its own."""
    binary = problem.kind == "binary"
    own: dict[str, Any] = {
        "term": term, "contrast": "1 - 0" if binary else "per unit",
        "variance_estimator": "influence_function" if problem.cluster is None else "cluster",
        "df": problem.reference_df(),
        **counts(problem, keep, binary),
    }  # fmt: skip
    return made(estimand, estimate, std_error, **(own | fields))


def _difference_error(problem: Problem, influence: np.ndarray) -> float:
    return standard_error(influence, problem.clustering(), ddof=0 if problem.cluster is not None else 1)
