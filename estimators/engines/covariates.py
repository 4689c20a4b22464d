"""The sums of covariates on an engine that hands out no rows: cross-products as ever, weighted sums in its SQL."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..covariates import Weighting
from ..errors import Refusal
from ..scan import moments_scan
from ..scan.covariates import CovariateSums
from ..scan.frame import Frame
from ..scan.stream import Column, Plan, Source, quoted
from ..scores import weight_column
from ..streamed.problem import Streamed
from . import numbers
from .engine import is_spark
from .source import EngineSource


def engine_sums(
    problem: Streamed, source: Source, columns: tuple[Column, ...], scores: Any, weightings: list[Weighting]
) -> CovariateSums:
    """The sums of `estimators.scan.covariates.add_up`; units and scores are joined by the engine.

    Raises
    ------
    Refusal
        Where the scores are not on the engine.
    """
    p = len(columns)
    if problem.kind != "binary":
        moments = moments_scan.scan(source, Plan(columns)).moments
        return CovariateSums(moments, np.zeros((2, 0, p + 1)), np.zeros((2, p + 1)))
    beside = source if scores is None else _beside(problem, source, scores, weightings)
    weights = ("1",) if scores is None else tuple(f"coalesce(cqox_w{j}, 0)" for j in range(len(weightings)))
    arm = f"case when {quoted(str(problem.study.treatment))} = 1 then 0 else 1 end"  # the treated first
    plan = Plan(columns, group=arm, n_groups=2, carry=tuple(f"({w})::double" for w in weights))
    moments = moments_scan.scan(beside, plan).moments
    weighted, squares = _weighted(beside, plan, moments.shift, moments.scale)
    return CovariateSums(moments.merged(np.zeros(2, dtype=np.intp)), weighted, squares)


def _weighted(source: Source, plan: Plan, shift: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    assert isinstance(source, EngineSource)
    p, weights = len(plan.columns), [f"carried{j}" for j in range(len(plan.carry))]
    query = numbers.standardised(source, plan, Frame(shift, scale, np.empty((p + 1, 0))), weights)
    asked = [f"sum({w} * z{i})" for w in weights for i in range(p + 1)]
    asked += [f"sum({weights[0]} * z{i} * z{i})" for i in range(p + 1)]
    weighted, squares = np.zeros((2, len(weights), p + 1)), np.zeros((2, p + 1))
    for k, found in numbers.sums(source, asked, query, by_group=True).items():
        weighted[k], squares[k] = found[: -p - 1].reshape(len(weights), p + 1), found[-p - 1 :]
    return weighted, squares


def _beside(problem: Streamed, source: Source, scores: Any, weightings: list[Weighting]) -> EngineSource:
    """The units with ``cqox_w0`` (1 where a unit has a score) and its weights ``cqox_w1`` …"""
    assert isinstance(source, EngineSource)
    if not is_spark(scores) or source.connection.dialect != "spark":
        raise Refusal("the scores do not lie where the units do", "Raise row_budget, or keep both on one engine")
    from .engine import engine_of

    held = engine_of(scores)
    assert held is not None
    unit = quoted(problem.study.unit)
    listed = ["1::double as cqox_w0"]
    for j, (estimator, estimand) in enumerate(weightings[1:], start=1):
        listed.append(f"{weight_column(str(estimator), str(estimand))}::double as cqox_w{j}")
    inner = f"select unit_id::varchar as cqox_unit, {', '.join(listed)} from {held.relation}"
    named = ", ".join(f"scores.cqox_w{j}" for j in range(len(weightings)))
    joined = (
        f"select units.*, {named} from ({source.sql('*')}) as units "
        f"left join ({inner}) as scores on units.{unit}::varchar = scores.cqox_unit"
    )
    frame = source.frame(source.translated(joined))
    engine = engine_of(frame)
    assert engine is not None
    return EngineSource.on(engine)
