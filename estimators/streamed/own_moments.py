"""Unweighted cross-products for estimators that use neither weights nor folds."""

from __future__ import annotations

import contextlib

import numpy as np

from ..errors import Refusal
from ..moments import Moments
from ..scan import moments_scan
from ..scan.stream import Column, Plan
from ..terms import unique
from .problem import Streamed


def moments_of(problem: Streamed, columns: tuple[Column, ...]) -> Moments:
    """Moments of some columns, by arm where the treatment is binary.

    The shared scan's, its folds added up; those of a scan of their own where the study has weights, or folds or terms
    of other estimators that refuse.
    """
    arms = 2 if problem.kind == "binary" else 1
    if problem.study.weight is None:
        with contextlib.suppress(Refusal):
            shared = problem.moments()
            return shared.merged(np.arange(len(shared.cross)) % arms)
    key = ("moments", "unweighted", columns)
    if key not in problem.cache:
        read = tuple(unique(columns, lambda column: column.name))
        plan = Plan(read, group=problem.treated() if arms == 2 else None, n_groups=arms)
        problem.cache[key] = moments_scan.scan(problem.source, plan).moments
    return problem.cache[key]
