"""Whether what an estimator gave are numbers that may be told: the one place where results are judged."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from .bounds import LARGEST, SMALLEST
from .errors import Told
from .problem import Problem
from .result import Estimate, Result, number

# A standard error below this share of its own estimate is rounding: a t of 1e10. Sums in double precision (machine
# epsilon 2.2e-16) lose up to six digits where columns are nearly collinear, so the share is 4.5e5 epsilon.
OF_THE_ESTIMATE = 1e-10
# And below this share of the outcome's range (4.5e3 epsilon), whatever the estimate: 1e24 units would be needed for it.
OF_THE_OUTCOME = 1e-12
# Streams take squares from sums of squares, so that a spread of zero is the root of epsilon there. A single outlier
# among 1e8 units gives as much.
OF_THE_OUTCOME_STREAMED = 1e-8
# Not in units of the outcome.
UNITLESS = ("SHARE",)


def sound(result: Result, problem: Any) -> Result:
    """An estimated row without a finite estimate has failed, and so has a run without a row.

    So has an estimate or a standard error whose square overflows or vanishes: the marts take weights of 1 / se², and
    one study's overflow would stop the query of all. What stands beside it (interval, diagnostics, curves, sensitivity)
    loses the number and keeps its row. A standard error that is 0 to rounding, or no number, identifies nothing: the
    row is ``not_identified`` (`judged`).
    """
    if not result.estimates:
        raise Told("the estimator gave no row")
    return Result(
        tuple(judged(one, problem) for one in result.estimates),
        tuple(bounded(one) for one in result.diagnostics),
        tuple(bounded(one) for one in result.curves),
        tuple(bounded(one) for one in result.sensitivity),
    )


def judged(one: Estimate, problem: Any) -> Estimate:
    """The row, or what it is in place of a number that must not be told.

    A standard error of 0 to rounding is one of at most 1e-10 of the estimate, or 1e-12 (streamed: 1e-8) of the
    outcome's range (over the treatment's, where that is wider than 1 and an effect is that of a unit of treatment), but
    for panels. None is left to estimators that have no standard error by design (placebo tests).
    """
    if one.status != "estimated":
        return one
    status, reason = "failed", None
    if number(one.estimate) is None:
        reason = "the arithmetic gave no finite number: columns of very large or very small numbers do that"
    elif _is_out_of_bounds(one):
        reason = (
            f"the estimate or its standard error is beyond {LARGEST:g} or below {SMALLEST:g} in size. Choose another "
            "unit of measurement in staging"
        )
    elif one.std_error is not None:
        status, reason = "not_identified", _of_error(one, problem)
    if reason is None:
        return bounded(one)
    return Estimate(one.estimand, one.term, one.contrast, status=status, status_reason=reason)


def _of_error(one: Estimate, problem: Any) -> str | None:
    """Why the standard error identifies nothing; None where it does."""
    error, value = one.std_error, one.estimate
    assert error is not None
    assert value is not None
    if not math.isfinite(error) or error < 0:
        return (
            "the standard error is not a number: too few units or clusters are left to tell chance from effect. "
            "Use more of them, or fewer columns"
        )
    if error > OF_THE_ESTIMATE * abs(value) and error > 0:
        # A panel's units may differ in level by far more than any of them moves, and levels are taken out there.
        is_free = one.estimand in UNITLESS or problem.study.time is not None
        scale = 0.0 if is_free else _scale(problem)
        least = OF_THE_OUTCOME if isinstance(problem, Problem) else OF_THE_OUTCOME_STREAMED
        if error > least * scale:
            return None
    beside = f"the standard error is 0 to rounding ({error:.2g} beside an estimate of {value:.6g})"
    return f"{beside}: {_cause(one, problem)}"


def _cause(one: Estimate, problem: Any) -> str:
    outcome = problem.study.outcome
    low, high = outcome_ends(problem)
    if low == high:
        return f"the outcome '{outcome}' is {low:g} in every row. Check the outcome in the units"
    if one.n_clusters is not None and problem.study.cluster is not None:
        return (
            f"the {one.n_clusters} clusters of '{problem.study.cluster}' do not differ, or the outcome '{outcome}' is "
            "fitted exactly, so nothing tells chance from effect. Name finer clusters, or check that no column is made "
            "from the outcome"
        )
    return (
        f"the outcome '{outcome}' is fitted exactly, so nothing tells chance from effect. Check that no column is made "
        "from the outcome, and that it varies among units that are alike"
    )


def outcome_ends(problem: Any) -> tuple[float, float]:
    """Least and largest outcome of the rows that a run reads; (0, 0) where it has none."""
    return _ends(problem, problem.study.outcome)


def _scale(problem: Any) -> float:
    """The outcome's range; over the treatment's, where that is wider than 1."""
    low, high = outcome_ends(problem)
    treatment = problem.study.dose or problem.study.treatment
    if treatment is None or problem.kind == "binary":
        return high - low
    first, last = _ends(problem, treatment)
    return (high - low) / max(last - first, 1.0)


def _ends(problem: Any, column: str) -> tuple[float, float]:
    key = ("ends", column)
    if key not in problem.cache:
        problem.cache[key] = (
            _held_ends(problem, column) if isinstance(problem, Problem) else _read_ends(problem, column)
        )
    return problem.cache[key]


def _held_ends(problem: Problem, column: str) -> tuple[float, float]:
    values = np.asarray(problem.columns[column], dtype=float)
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)


def _read_ends(problem: Any, column: str) -> tuple[float, float]:
    from .scan.stream import quoted

    low, high = problem.source.one(f"min({quoted(column)}), max({quoted(column)})")
    ends = number(low), number(high)
    return (0.0, 0.0) if ends[0] is None or ends[1] is None else (ends[0], ends[1])


def _is_out_of_bounds(one: Estimate) -> bool:
    sizes = [abs(float(v)) for v in (one.estimate, one.std_error) if v is not None and math.isfinite(v)]
    return any(size > LARGEST for size in sizes) or (one.std_error is not None and 0 < one.std_error < SMALLEST)


def bounded(row: Any) -> Any:
    """The row without its numbers beyond 1e150: their squares overflow in the marts' arithmetic."""
    wild = [
        field.name for field in dataclasses.fields(row)
        if isinstance(value := getattr(row, field.name), float) and not abs(value) <= LARGEST
    ]  # fmt: skip
    return dataclasses.replace(row, **dict.fromkeys(wild)) if wild else row
