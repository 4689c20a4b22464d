"""Values of policies, of rows that stay in the warehouse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ..result import Result
from ..scan import clusters
from ..scan.weighting import Rows, without_holes
from ..selection_on_observables.policy_values import (
    POLICIES,
    direction,
    not_finite,
    policy_scores,
    result,
    terms,
    threshold,
)
from .problem import Streamed
from .sample import counts
from .weighing import Weighed

# w, w 1{the threshold policy treats}, and w times the score of each policy; then ω and ω² behind each policy.
NUMBERS = 5


@dataclass
class PolicySums:
    """Sums over a scan, of the standardised y.

    Attributes
    ----------
    clip, cut, sign : float
        Bound of the propensities; threshold in units of the standardised y; 1, or −1 where less is desired.
    totals, products : ndarray of shape (5,), (5, 5)
        Of w, w 1{threshold treats}, w Γ of each policy.
    weights : ndarray of shape (3, 2)
        Σ ω and Σ ω² of the weights behind each policy.
    not_finite, rows : int
    """

    clip: float
    cut: float
    sign: float
    totals: np.ndarray = field(default_factory=lambda: np.zeros(NUMBERS))
    products: np.ndarray = field(default_factory=lambda: np.zeros((NUMBERS, NUMBERS)))
    weights: np.ndarray = field(default_factory=lambda: np.zeros((len(POLICIES), 2)))
    not_finite: int = 0
    rows: int = 0

    def numbers(self, rows: Rows) -> np.ndarray:
        """One block's numbers, shape (5, m), added to what has no need of clusters."""
        raw, mu0, mu1 = rows.crossfitted()
        e, t = np.clip(raw, self.clip, 1 - self.clip), rows.t
        treated = self.sign * (mu1 - mu0) > self.cut
        scores = policy_scores(rows.y, t, e, mu0, mu1, treated)
        with np.errstate(divide="ignore", invalid="ignore"):
            follows = np.array([(1 - t) / (1 - e), t / e, np.where(treated, t / e, (1 - t) / (1 - e))])
        omega = rows.weighted(follows)
        self.not_finite += sum(without_holes(score) for score in scores)
        self.weights += np.column_stack([omega.sum(axis=1), (omega * omega).sum(axis=1)])
        out = rows.weighted(np.vstack([np.ones(rows.n), treated.astype(float), scores]))
        self.totals += out.sum(axis=1)
        self.rows += rows.n
        return out


def policy_values(problem: Streamed, found: Weighed) -> Result:
    """The rows of `estimators.selection_on_observables.policy_values`, in one scan more than `ope`'s effects."""
    assert found.robust is not None
    options = problem.options
    cut = threshold(problem.study, problem.own("policy_threshold"))
    key = ("policy values", options.propensity, options.outcome, problem.n_folds, found.robust.clip, cut)
    if key not in problem.cache:
        problem.cache[key] = _valued(problem, found, cut, found.robust.clip)
    return problem.cache[key]


def _valued(problem: Streamed, found: Weighed, cut: float, clip: float) -> Result:
    study = problem.study
    sums = PolicySums(clip, cut / found.unit, direction(study))
    if problem.source.engine is not None:
        from ..engines.policy import fill

        groups, cross = fill(problem, found.read, sums)
    else:
        groups, cross = _scanned(problem, found, sums)
    if sums.not_finite:
        raise not_finite()
    total = sums.totals[0]
    means = sums.totals[2:] / total
    # An influence value is n c'a, a the numbers of a row and c = (1 of the score − its mean of w) / Σ w.
    c = np.hstack([-means[:, None], np.zeros((len(POLICIES), 1)), np.eye(len(POLICIES))]) / total
    number = sums.rows if groups is None else groups
    vcov = c @ cross @ c.T * number / (number - 1)
    location = float(found.read.frame.shift[-1])
    values = location + found.unit * means
    estimates, std_errors = terms(values, vcov * found.unit**2)
    sizes = {
        name: float(size**2 / square) if size > 0 else 0.0
        for name, (size, square) in zip(POLICIES, sums.weights, strict=True)
    }
    variance = "cluster" if study.cluster is not None else "influence_function"
    fields = {**counts(problem), "variance_estimator": variance}
    return result(study, estimates, std_errors, cut, float(sums.totals[1] / total), sizes, fields)


def _scanned(problem: Streamed, found: Weighed, sums: PolicySums) -> tuple[int | None, np.ndarray]:
    if problem.study.cluster is None:
        for rows in found.read.rows(problem):
            numbers = sums.numbers(rows)
            sums.products += numbers @ numbers.T
        return None, sums.products

    def parts() -> Iterator[clusters.Part]:
        for rows in found.read.rows(problem, clustered=True):
            assert rows.cluster is not None
            yield rows.cluster, sums.numbers(rows)

    return clusters.squares(problem.source.connection, parts(), products=True)
