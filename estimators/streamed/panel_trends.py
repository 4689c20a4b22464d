"""The test of trends before treatment of a streamed panel: small ones are gathered, large ones need no path."""

from __future__ import annotations

import numpy as np

from ..panel.att_gt import GroupTime, comparisons
from ..panel.pretrends import Arms, PreTrends, needs_paths, pre_trends, setting_of
from ..panel.sample import Sample, clustered
from ..scan.stream import quoted
from .panel_influence import Influence
from .panel_rows import cohort_sql, panel_rows, units_of
from .problem import Streamed


def streamed_test(problem: Streamed, effects: GroupTime, compared: Influence) -> PreTrends | None:
    """`panel.pretrends.pre_trends`.

    In memory are a number a cluster and cohort, and, where paths are exchanged, up to 16 MiB of them, read in one pass.
    """
    compared = compared.plain()
    setting, arms = setting_of(problem), _arms(problem, compared)
    # The cohorts that have effects, so that the same comparisons are named as those that were made.
    treated = tuple(sorted({cell.cohort for cell in effects.cells}))
    found, _ = comparisons(compared.periods, treated, compared.sizes, setting.control_group, pre_only=True)
    gathered = None
    if needs_paths(arms, compared.periods, treated, setting.control_group):
        gathered = _sample(problem, compared, treated)
    return pre_trends(effects, compared, setting, arms, gathered, found)


def _arms(problem: Streamed, compared: Influence) -> Arms:
    numbers = compared.n * len(compared.periods) * (1 + len(problem.columns(problem.covariate_terms())))
    if problem.study.cluster is None:
        return Arms(compared.sizes, "units", 0, numbers)
    study, last = problem.study, float(compared.periods[-1])
    assert study.cohort is not None
    cohort, cluster = cohort_sql(study.cohort, last), quoted(str(study.cluster))
    rows = problem.source.sql(f"{quoted(study.unit)} as unit, {cluster} as k, {cohort} as g")
    units = (
        f"select any_value(k) as k, any_value(g) as g from ({rows}) group by unit "
        f"having count(*) = {len(compared.periods)} and any_value(g) > {float(compared.periods[0])!r}"
    )
    counted = problem.source.rows(f"select k, g, count(*) from ({units}) group by k, g")
    clusters = {label: i for i, label in enumerate(dict.fromkeys(row[0] for row in counted))}
    places = {g: j for j, g in enumerate(compared.sizes)}
    table = np.zeros((len(clusters), len(places)), dtype=np.int64)
    for label, g, n in counted:
        table[clusters[label], places[float(g)]] = n
    return Arms.of_clusters(list(places), table, numbers)


def _sample(problem: Streamed, compared: Influence, treated: tuple[float, ...]) -> Sample:
    columns = problem.columns(problem.covariate_terms())
    rows = panel_rows(problem, columns)
    parts = [units for units in units_of(rows) if len(units.code)]
    y = np.concatenate([part.y for part in parts])
    x = [np.stack(part.x, axis=2) if part.x else np.empty((*part.y.shape, 0)) for part in parts]
    cohort = rows.cohorts[np.concatenate([part.code for part in parts])]
    arms, clusters = None, None
    if rows.clustered:
        labels = np.concatenate([_clusters(part.cluster) for part in parts])
        arms, clusters = clustered(labels, cohort, problem.options.cluster_variance)
    names = tuple(column.name for column in columns)
    return Sample(
        rows.periods, y, np.concatenate(x), names, cohort, treated, clusters, arms, compared.n_incomplete,
        compared.n_always_treated,
    )  # fmt: skip


def _clusters(cluster: np.ndarray | None) -> np.ndarray:
    assert cluster is not None
    return cluster
