"""The same Moments from an engine that adds up by itself: sums in SQL, shifted and scaled by literals."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import Refusal
from ..moments import Moments
from .frame import Frame
from .stream import Plan, Source


def moments(source: Source, plan: Plan) -> Moments:
    """Moments a group, by two queries.

    The first takes means and standard deviations, which shift and scale the products that the second adds up: sums of
    raw products lose every digit on a column of mean 1e9. An engine adds in an order of its own, so the last digits
    (about 1e-13) differ from run to run.

    Parameters
    ----------
    source : Source
        Complete rows of an engine: see `stream.complete`.
    plan : Plan
        Columns, weight and group.

    Raises
    ------
    Refusal
        For negative weights, no rows, or numbers whose products overflow.
    """
    from ..engines import numbers
    from ..engines.source import EngineSource

    assert isinstance(source, EngineSource)
    p = len(plan.columns)
    frame = _frame(source, plan)
    names = [f"z{j}" for j in range(p + 1)]
    asked = ["count(*)", *numbers.symmetric(names, "w" if plan.weight else "")]
    query = numbers.standardised(source, plan, frame)
    cross, rows = np.zeros((plan.n_groups, p + 1, p + 1)), np.zeros(plan.n_groups, dtype=np.int64)
    for k, found in numbers.sums(source, asked, query, plan.group is not None).items():
        if not 0 <= k < plan.n_groups:
            raise ValueError(f"a group's code is {k}, but there are {plan.n_groups} groups")
        rows[k], cross[k] = found[0], numbers.square(found[1:], p + 1)
    if not np.isfinite(cross).all():
        reason = "cross-products are not finite although every number is"
        raise Refusal(reason, "Choose another unit of measurement in staging")
    return Moments(plan.names, frame.shift, frame.scale, cross, rows)


def _frame(source: Any, plan: Plan) -> Frame:
    """Each column's mean and standard deviation."""
    from ..engines import numbers

    asked = ["count(*)", "min(w)" if plan.weight else "0"]
    asked += [f"{name}(c{j})" for name in ("avg", "stddev_pop") for j in range(len(plan.columns))]
    n, lightest, *values = numbers.sums(source, asked, numbers.read(source, plan))[0]
    if not n:
        raise Refusal("there are no rows", "Check the raw file and the filters of staging and units")
    if lightest < 0:
        raise Refusal("a sampling weight is negative", "Mend the weights in staging")
    shift, spread = np.array(values, dtype=float).reshape(2, -1)
    return Frame(shift, np.where(spread > 1e-14 * np.abs(shift), spread, 1.0), np.empty((len(shift) + 1, 0)))
