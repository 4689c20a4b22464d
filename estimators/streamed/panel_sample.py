"""Which units of a streamed panel are compared: the refusals of `panel.sample.take_sample`, from numbers of units."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..clusters import Arms
from ..panel.cohorts import treated_cohorts
from ..panel.frame import changes
from ..panel.sample import check_clusters, check_cohorts, check_panel, clusters_of
from ..scan.stream import quoted
from .carried import of_arms
from .panel_cohorts import never_left_out_streamed
from .panel_paths import Factors
from .panel_rows import PanelRows, Tally, cohort_sql, first_changed
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


def cohort_arms(problem: Streamed, rows: PanelRows) -> Arms | None:
    """How clusters carry the units of each cohort of `PanelRows.cohorts`; None where no cluster is read."""
    cluster, study = problem.study.cluster, problem.study
    if not rows.clustered or cluster is None:
        return None
    key = "cohort arms"
    if key not in problem.cache:
        cohort = cohort_sql(str(study.cohort), float(rows.periods[-1]))
        units = problem.source.sql(f"any_value({quoted(cluster)}) as k, any_value({cohort}) as g, count(*) as seen")
        whole = f"seen = {len(rows.periods)} and g > {float(rows.periods[0])!r}"
        units = f"(select k, g from ({units} group by {quoted(study.unit)}) where {whole})"
        compared = dataclasses.replace(problem.source, relation=units, where="")
        own = [f"'{'infinity' if np.isinf(g) else repr(float(g))}'::double" for g in rows.cohorts]
        in_arms = [f"case when g = {g} then 1.0::double else 0.0::double end" for g in own]
        problem.cache[key] = of_arms(compared, "k", in_arms, tuple(own))
    return problem.cache[key]


def factors(problem: Streamed, arms: Arms | None) -> Factors | None:
    """What sums a cluster are multiplied by before they are squared; see `estimators.clusters.clustering`."""
    if arms is None or problem.options.cluster_variance == "jackknife":
        return None if arms is None else arms.factors
    ratio = (arms.n_clusters / (arms.n_clusters - 1)) ** 0.5 if arms.n_clusters > 1 else np.nan
    return lambda units: np.full(len(units), ratio)


def check(problem: Streamed, counted: Counted, arms: Arms | None) -> tuple[float, ...]:
    """The cohorts with an effect to estimate, ascending; refuses where `panel.sample.take_sample` does."""
    study, tally = problem.study, counted.tally
    assert study.cohort is not None
    if tally.changed:
        last = float(counted.periods[-1])
        raise changes(study.cohort, first_changed(problem, cohort_sql(study.cohort, last)))
    check_panel(len(counted.periods), counted.n, tally.incomplete, tally.early)
    own = None if arms is None or counted.n_clusters is None else clusters_of(arms.present(), counted.sizes)
    told = lambda: never_left_out_streamed(problem, len(counted.periods))  # noqa: E731
    treated = treated_cohorts(counted.sizes, problem.own("control_group"), told, own)
    if (moved := cluster_changes(problem)) is not None:
        raise changes(str(study.cluster), moved)
    if counted.n_clusters is not None:
        check_clusters(counted.n_clusters)
        if arms is not None:
            check_cohorts(arms.present(), counted.sizes, treated, counted.periods, str(study.cluster))
    return treated
