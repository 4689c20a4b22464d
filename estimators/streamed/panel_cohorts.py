"""What `panel.cohorts` asks of a panel's rows, of rows that stream."""

from __future__ import annotations

import numpy as np

from ..errors import Refusal
from ..panel.cohorts import check_one_cluster, check_periods
from ..scan.stream import quoted
from .problem import Streamed


def check_cohorts_streamed(problem: Streamed, periods: np.ndarray, cohorts: np.ndarray) -> None:
    """`panel.cohorts.check_first`, of the distinct periods and cohorts.

    Raises
    ------
    Refusal
    """
    study = problem.study
    first, last = float(periods[0]), float(periods[-1])
    try:
        check_periods(study, cohorts, first, last)
    except Refusal:
        if study.cluster is not None:
            g, k = quoted(str(study.cohort)), quoted(study.cluster)
            inside = f"{g} > {first!r} and {g} <= {last!r}"
            treated, clusters = problem.source.one(f"count(distinct {k}) filter (where {inside}), count(distinct {k})")
            check_one_cluster(study.cluster, treated, clusters)
        raise
