"""Whom an estimate is made of, from sums: the checks and counts of `estimators.sample`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .. import clusters
from ..bounds import ALL_OF_THE_WEIGHT
from ..errors import Refusal
from ..sample import all_of_the_weight, of_regression
from ..scan.stream import quoted
from .problem import Streamed


@dataclass(frozen=True)
class Sample:
    """What one narrow query of outcome, treatment and weight tells of all rows.

    Attributes
    ----------
    low, high : float
        Smallest and largest outcome.
    outcome_is_binary : bool
        Whether every outcome is 0 or 1.
    lightest, heaviest, weight, squares : float
        Smallest and largest weight, Σ w and Σ w².
    treated : int
        Treated units of a binary treatment, whatever their weight; 0 of another.
    used : tuple of int
        Untreated and treated units with a weight.
    """

    low: float
    high: float
    outcome_is_binary: bool
    lightest: float
    heaviest: float
    weight: float
    squares: float
    treated: int
    used: tuple[int, int]


def sample(problem: Streamed) -> Sample:
    """The counts of a study's rows; asked once."""
    if "sample" not in problem.cache:
        problem.cache["sample"] = _ask(problem)
    return problem.cache["sample"]


def _ask(problem: Streamed) -> Sample:
    study = problem.study
    y = f"{quoted(study.outcome)}::double"
    w = f"{quoted(study.weight)}::double" if study.weight else "1.0::double"
    asked = [f"min({y})", f"max({y})", f"count(*) filter (where {y} not in (0, 1))"]
    asked += [f"min({w})", f"max({w})", f"sum({w})", f"sum({w} * {w})"]
    if problem.kind == "binary":
        arm = problem.treated()
        asked.append(f"count(*) filter (where {arm} = 1)")
        asked += [f"count(*) filter (where {arm} = {a} and {w} > 0)" for a in (0, 1)]
    low, high, others, lightest, heaviest, weight, squares, *arms = problem.source.one(", ".join(asked))
    treated, untreated_used, treated_used = arms or (0, 0, 0)
    return Sample(low, high, others == 0, lightest, heaviest, weight, squares, treated, (untreated_used, treated_used))


def check_sample(problem: Streamed) -> None:
    """Refuse data on which no standard error exists, as `estimators.sample.check_sample` does.

    Raises
    ------
    Refusal
        For an outcome that never varies, a negative weight, weights that are all zero or one unit's, or one cluster;
        ``not_identified`` where an arm lies in one cluster (`clusters.check`).
    """
    found = sample(problem)
    if found.low == found.high:
        reason = f"the outcome '{problem.study.outcome}' is {found.low:g} in every row"
        raise Refusal(reason, "Check the outcome in the units")
    if found.lightest < 0 or found.weight <= 0:
        reason = f"the weight '{problem.study.weight}' has negative values or is zero in every row"
        raise Refusal(reason, "Sampling weights are positive: check the column in the units")
    if found.heaviest >= ALL_OF_THE_WEIGHT * found.weight:
        raise Refusal(*all_of_the_weight(problem.study.weight))
    if problem.n_clusters == 1:
        reason = f"all rows are in one cluster of '{problem.study.cluster}'"
        raise Refusal(reason, "Name a column with several clusters, or drop the role 'cluster'")
    clusters.check(problem)


def check_arms(problem: Streamed, used: tuple[int, int] | None = None, least: int = 2) -> None:
    """Refuse arms that are too small, as `estimators.sample.check_arms` does; includes `check_sample`.

    Parameters
    ----------
    problem : Streamed
    used : tuple of int, optional
        Untreated and treated units with a weight that are used, after trimming; all by default.
    least : int
        Units that each arm must have.

    Raises
    ------
    Refusal
    """
    check_sample(problem)
    untreated, treated = sample(problem).used if used is None else used
    for count, label in ((treated, "treated"), (untreated, "untreated")):
        if count < least:
            reason = f"{count} {label} units are left and {least} are needed"
            raise Refusal(reason, "Widen the population, or trim less")


def counts(problem: Streamed, binary: bool = True) -> dict[str, Any]:
    """The fields of an Estimate that count units, of all rows: as `estimators.sample.counts`."""
    found = sample(problem)
    fields: dict[str, Any] = {"n_units": problem.n}
    if binary:
        fields["n_treated"] = found.treated
    if problem.study.cluster is not None:
        fields["n_clusters"] = problem.n_clusters
    if problem.study.weight is not None:
        fields["effective_sample_size"] = found.weight**2 / found.squares if found.weight > 0 else 0.0
    return fields


def regression_variance(problem: Streamed, kind: str) -> str:
    """As `estimators.sample.regression_variance`."""
    return of_regression(kind, problem.study.cluster is not None)


def check_streams(problem: Streamed, learner: str, learners: tuple[str, ...] = ("linear",)) -> None:
    """Refuse what a stream does not do: learners that hold the rows in memory, and repeated splits."""
    mend = f"Raise row_budget above {problem.n} so that memory holds the rows"
    if learner not in learners:
        reason = f"the learner {learner} of {problem.estimator} is not streamed"
        raise Refusal(reason, f"{mend}, or declare learner: {learners[0]}")
    if (problem.options.repeats or 1) > 1 and problem.n_folds > 1:
        reason = f"repeats: {problem.options.repeats} is not streamed"
        raise Refusal(reason, f"{mend}, or declare repeats: 1")
