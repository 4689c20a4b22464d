"""Values of policies, of rows that stay in the warehouse."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..result import Result
from ..scan import clusters
from ..scan.policies import PolicySums
from ..selection_on_observables.policy_values import (
    POLICIES,
    direction,
    not_finite,
    result,
    terms,
    threshold,
)
from .carried import factor_of
from .problem import Streamed
from .sample import counts
from .weighing import Weighed


def policy_values(problem: Streamed, found: Weighed) -> Result:
    """The rows of `estimators.selection_on_observables.policy_values`, from `ope`'s scan; clusters take one more."""
    assert found.robust is not None
    options = problem.options
    cut = threshold(problem.study, problem.own("policy_threshold"))
    key = ("policy values", options.propensity, options.outcome, problem.n_folds, found.robust.clip, cut)
    if key not in problem.cache:
        problem.cache[key] = _valued(problem, found, cut, found.robust.clip)
    return problem.cache[key]


def _valued(problem: Streamed, found: Weighed, cut: float, clip: float) -> Result:
    study = problem.study
    if found.policies is not None and problem.summed_by is None:
        groups, sums, cross = None, found.policies, found.policies.products
    else:
        sums = PolicySums(clip, cut / found.unit, direction(study))
        groups, cross = _scanned(problem, found, sums)
    if sums.not_finite:
        raise not_finite()
    total = sums.totals[0]
    means = sums.totals[2:] / total
    # An influence value is n c'a, a the numbers of a row and c = (1 of the score − its mean of w) / Σ w.
    c = np.hstack([-means[:, None], np.zeros((len(POLICIES), 1)), np.eye(len(POLICIES))]) / total
    vcov = c @ cross @ c.T * (sums.rows / (sums.rows - 1) if groups is None else 1.0)
    location = float(found.read.frame.shift[-1])
    values = location + found.unit * means
    estimates, std_errors = terms(values, vcov * found.unit**2)
    sizes = {
        name: float(size**2 / square) if size > 0 else 0.0
        for name, (size, square) in zip(POLICIES, sums.weights, strict=True)
    }
    variance = "cluster" if study.cluster is not None else "influence_function"
    fields = {**counts(problem), "variance_estimator": variance, "df": problem.reference_df()}
    return result(study, estimates, std_errors, cut, float(sums.totals[1] / total), sizes, fields)


def _scanned(problem: Streamed, found: Weighed, sums: PolicySums) -> tuple[int | None, np.ndarray]:
    """Clusters, and products of the numbers' sums a cluster; without clusters of the numbers themselves."""
    if problem.source.engine is not None:
        from ..engines.policy import fill

        return fill(problem, found.read, sums)

    def parts() -> Iterator[clusters.Part]:
        for rows in found.read.rows(problem, clustered=True):
            assert rows.cluster is not None
            numbers = sums.numbers(rows, rows.crossfitted())
            yield rows.cluster, np.vstack([numbers, clusters.arm_rows(rows.t, rows.w)])

    return clusters.squares(problem.source.connection, parts(), products=True, factor=factor_of(problem))
