"""Which units of a streamed panel are compared: the refusals of `panel.sample.take_sample`, from numbers of units."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..clusters import Arms
from ..contracts import needed_columns, roles
from ..errors import Refusal
from ..panel.cohorts import treated_cohorts
from ..panel.frame import changes
from ..panel.labels import label
from ..panel.left_out import contradiction, told, with_left_out
from ..panel.sample import check_clusters, check_cohorts, check_panel, clusters_of, factors_of_units
from ..scan.stream import quoted
from .carried import of_arms
from .facts import missing
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


def factors_by_cohort(arms: Arms, sizes: Mapping[float, int], cohorts: np.ndarray) -> np.ndarray:
    """What a unit's influence values are multiplied by, by its cohort: shape (C,); ``arms`` are those of ``sizes``."""
    out = np.ones(len(cohorts))
    out[np.searchsorted(cohorts, list(sizes))] = factors_of_units(arms)
    return out


def check(problem: Streamed, counted: Counted, arms: Arms | None) -> tuple[float, ...]:
    """The cohorts with an effect to estimate, ascending; refuses where `panel.sample.take_sample` does."""
    study, tally = problem.study, counted.tally
    assert study.cohort is not None
    if tally.changed:
        last = float(counted.periods[-1])
        raise changes(study.cohort, first_changed(problem, cohort_sql(study.cohort, last)))
    _check_treatment(problem)
    own = None if arms is None or counted.n_clusters is None else clusters_of(arms.present(), counted.sizes)
    try:
        check_panel(len(counted.periods), counted.n, tally.incomplete, tally.early)
        treated = treated_cohorts(counted.sizes, problem.own("control_group"), own)
    except Refusal as refusal:
        raise with_left_out(refusal, *_missing_units(problem, counted)) from None
    if (moved := cluster_changes(problem)) is not None:
        raise changes(str(study.cluster), moved)
    if counted.n_clusters is not None:
        check_clusters(counted.n_clusters)
        if arms is not None:
            check_cohorts(arms.present(), counted.sizes, treated, counted.periods, str(study.cluster))
    return treated


def _missing_units(problem: Streamed, counted: Counted) -> tuple[str, str]:
    """`panel.left_out.missing_units`, by one query of the rows as they are; asked where a panel is refused."""
    study = problem.study
    source = problem.source if problem.given is None else problem.given[0]
    types, names = problem.types, needed_columns(study)
    gaps = [missing(name, types) for name in names]
    never = f"({cohort_sql(str(study.cohort), float(counted.periods[-1]))} = 'infinity'::double)"
    by_gap = ", ".join(f"count(*) filter (where {gap}) as m{i}" for i, gap in enumerate(gaps))
    units = source.sql(
        f"{quoted(study.unit)} as u, bool_or({never}) as never, "
        f"count(*) filter (where not ({' or '.join(gaps)})) as whole, {by_gap}"
    )
    sums = ", ".join(f"coalesce(sum(m{i}), 0)" for i in range(len(gaps)))
    query = f"select count(*), count(*) filter (where never), {sums} from ({units} group by 1) where whole < "
    out, n_never, *rows = source.rows(query + str(len(counted.periods)))[0]
    role = {column: word for word, column, _ in reversed(roles(study))}
    named = {f"{role.get(n, 'column')} '{n}'": int(r) for n, r in zip(names, rows, strict=True) if r}
    return told(int(out), int(n_never), named)


def _check_treatment(problem: Streamed) -> None:
    """Refuse as `panel.left_out.check_treatment` does, by one query."""
    study = problem.study
    if study.treatment is None or study.cohort_of != "treatment" or problem.kind != "binary":
        return
    d, t = f"{quoted(study.treatment)}::double", f"{quoted(str(study.time))}::double"
    g = f"{quoted(str(study.cohort))}::double"
    g = f"case when {g} is null or isnan({g}) then 'infinity'::double else {g} end"
    rows = problem.source.sql(f"{quoted(study.unit)} as u, {d} as d, {t} as t, {g} as g")
    path = f"select *, lag(d) over (partition by u order by t) as before from ({rows})"
    units = (
        "select u, min(d) <> max(d) as varies, sum((d = 1 and t < g)::int) as early, "
        "sum((d = 0 and t >= g)::int) as late, max((d < before)::int) as back, "
        f"min(case when (d = 1) <> (t >= g) then t end) as moment from ({path}) group by u"
    )
    varies, early, late, backs, unit, at = problem.source.rows(
        "select bool_or(varies), sum(early), sum(late), sum(back), min(u) filter (where early + late > 0), "
        f"arg_min(moment, u) filter (where early + late > 0) from ({units})"
    )[0]
    if varies and early + late:
        name = int(unit) if isinstance(unit, float) and unit.is_integer() else unit
        example = f"unit {name} in period {label(float(at))}"
        raise contradiction(study.treatment, str(study.cohort), int(early), int(late), int(backs or 0), example)
