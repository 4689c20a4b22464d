"""Which units of a streamed panel are compared: the refusals of `panel.sample.take_sample`, from numbers of units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..panel.frame import changes
from ..panel.sample import check_clusters, check_panel, treated_cohorts
from ..scan.stream import quoted
from .panel_rows import Tally, cohort_sql, first_changed
from .problem import Streamed


@dataclass(frozen=True)
class Counted:
    """What one pass of the rows counts.

    Attributes
    ----------
    periods : ndarray of shape (T,)
    tally : Tally
    sizes : mapping of cohort to units
        Complete and untreated in the first period; in ascending order, infinity for never treated.
    n_clusters : int or None
        Among those units.
    """

    periods: np.ndarray
    tally: Tally
    sizes: Mapping[float, int]
    n_clusters: int | None

    @property
    def n(self) -> int:
        """Units that are compared."""
        return sum(self.sizes.values())


def cluster_changes(problem: Streamed) -> Any:
    """The first unit that is in several clusters, or None; asked once a study."""
    cluster = problem.study.cluster
    if "cluster changes" not in problem.cache:
        changed = None if cluster is None else first_changed(problem, f"hash({quoted(cluster)})")
        problem.cache["cluster changes"] = changed
    return problem.cache["cluster changes"]


def check(problem: Streamed, counted: Counted) -> tuple[float, ...]:
    """The cohorts with an effect to estimate, ascending; refuses where `panel.sample.take_sample` does."""
    study, tally = problem.study, counted.tally
    assert study.cohort is not None
    if tally.changed:
        last = float(counted.periods[-1])
        raise changes(study.cohort, first_changed(problem, cohort_sql(study.cohort, last)))
    check_panel(len(counted.periods), counted.n, tally.incomplete, tally.early)
    treated = treated_cohorts(counted.sizes, problem.own("control_group"))
    if (moved := cluster_changes(problem)) is not None:
        raise changes(str(study.cluster), moved)
    if counted.n_clusters is not None:
        check_clusters(counted.n_clusters)
    return treated
