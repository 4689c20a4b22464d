"""Whom an estimate is made of: the checks that every estimator makes first, and the counts that its row carries."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import clusters
from .bounds import ALL_OF_THE_WEIGHT
from .errors import Refusal
from .inference import effective_sample_size
from .problem import Problem

# Variances that need the role 'cluster'.
CLUSTERED = ("CR1", "CR2", "m_estimation_cr1")


def check_sample(problem: Problem) -> None:
    """Refuse data on which no standard error exists.

    Raises
    ------
    Refusal
        For an outcome that never varies, a negative weight, weights that are all zero or one unit's, or one cluster;
        ``not_identified`` where an arm lies in one cluster (`clusters.check`).
    """
    if np.ptp(problem.y) == 0:
        reason = f"the outcome '{problem.study.outcome}' is {problem.y[0]:g} in every row"
        raise Refusal(reason, "Check the outcome in the units")
    if problem.w.min() < 0 or problem.w.sum() <= 0:
        reason = f"the weight '{problem.study.weight}' has negative values or is zero in every row"
        raise Refusal(reason, "Sampling weights are positive: check the column in the units")
    if problem.w.max() >= ALL_OF_THE_WEIGHT * problem.w.sum():
        raise Refusal(*all_of_the_weight(problem.study.weight))
    if problem.n_clusters == 1:
        reason = f"all rows are in one cluster of '{problem.study.cluster}'"
        raise Refusal(reason, "Name a column with several clusters, or drop the role 'cluster'")
    clusters.check(problem)


def all_of_the_weight(name: str | None) -> tuple[str, str]:
    """Reason and mend where one unit outweighs all others."""
    return f"one unit holds all of the weight '{name}'", "Check the column and its unit of measurement in staging"


def check_arms(problem: Problem, keep: np.ndarray | None = None, least: int = 2) -> None:
    """Refuse arms that are too small; includes `check_sample`.

    Parameters
    ----------
    problem : Problem
    keep : ndarray of shape (n,), bool, optional
        The rows that are used, after trimming.
    least : int
        Units that each arm must have; one unit tells nothing about the spread in its arm.

    Raises
    ------
    Refusal
    """
    check_sample(problem)
    used = problem.w > 0
    if keep is not None:
        used &= keep
    for arm, label in ((1, "treated"), (0, "untreated")):
        count = int(np.sum(used & (problem.t == arm)))
        if count < least:
            reason = f"{count} {label} units are left and {least} are needed"
            raise Refusal(reason, "Widen the population, or trim less")
    if keep is not None:
        clusters.check(problem, keep)


def counts(problem: Problem, keep: np.ndarray | None = None, binary: bool = True) -> dict[str, Any]:
    """The fields of an Estimate that count units: units, treated (of a binary treatment), clusters, effective size."""
    rows = np.ones(problem.n, dtype=bool) if keep is None else keep
    fields: dict[str, Any] = {"n_units": int(rows.sum())}
    if binary:
        fields["n_treated"] = int(problem.t[rows].sum())
    if problem.cluster is not None:
        fields["n_clusters"] = len(np.unique(problem.cluster[rows].astype(str)))
    if problem.weights is not None:
        fields["effective_sample_size"] = effective_sample_size(problem.weights[rows])
    return fields


def regression_variance(problem: Problem, kind: str) -> str:
    """The variance to take from a regression: with a declared cluster CR1 where that is declared, else CR2."""
    return of_regression(kind, problem.study.cluster is not None)


def of_regression(kind: str, clustered: bool) -> str:
    """See `regression_variance`; refuses a cluster variance without clusters."""
    if clustered:
        return "CR1" if kind == "CR1" else "CR2"
    if kind in CLUSTERED:
        raise Refusal(f"variance {kind} is of clusters, and the study declares none", "Declare the role 'cluster'")
    return kind


def reference_df(problem: Problem, df: int) -> int:
    """Degrees of freedom of Student's t: those of the regression, or clusters less one."""
    return df if problem.n_clusters is None else problem.n_clusters - 1
