"""Was a streamed experiment run as designed? Tests that read no outcome."""

from __future__ import annotations

import numpy as np

from ..experiments.design import classical_test, cluster_test, design_row, ratio_row
from ..result import DesignRow
from ..scan import hc, moments_scan
from ..scan.columns import cluster_key
from ..scan.solve import Least, least_squares
from ..scan.stream import Plan, quoted
from .assignment import assigned
from .problem import Streamed


def experiment_design(problem: Streamed) -> list[DesignRow]:
    """One row for the balance of all covariates together, one for the sample ratio, one for each undated covariate.

    The rows of `estimators.experiments.design.experiment_design`: ``omnibus_balance_p`` from one scan of treatment and
    covariates (one more where there are clusters), ``sample_ratio_p`` from counts, ``covariate_assignment_p`` from
    `streamed.assignment`.
    """
    ratio = ratio_row(problem.study.allocation, problem.kind, lambda: _assigned(problem))
    return [_balance(problem), ratio, *assigned(problem)]


def _balance(problem: Streamed) -> DesignRow:
    study = problem.study
    if study.treatment is None or not study.covariates:
        return design_row("omnibus_balance_p", None, "not applicable: a treatment and covariates are needed")
    weight = quoted(study.weight) if study.weight else None
    cluster = cluster_key(study.cluster, problem.types[study.cluster]) if study.cluster else None
    names = problem.names(study.covariates)
    plan = Plan(problem.columns((study.treatment, *study.covariates)), weight, cluster=cluster)
    moments = moments_scan.scan(problem.source, plan).moments
    try:
        fit = least_squares(moments, study.treatment, names)
    except ValueError as few:
        return design_row("omnibus_balance_p", None, f"the balance test cannot be computed: {few}")
    return design_row("omnibus_balance_p", *_tested(problem, plan, fit))


def _tested(problem: Streamed, plan: Plan, fit: Least) -> tuple[float | None, str]:
    q, groups = len(fit.names), problem.n_clusters
    if groups is None or q == 0:
        return classical_test(fit.r2, q, fit.degrees_of_freedom)
    return cluster_test(q, groups, lambda: _slopes(problem, plan, fit))


def _slopes(problem: Streamed, plan: Plan, fit: Least) -> tuple[np.ndarray, np.ndarray]:
    """Slopes and their cluster-robust covariance, in units in which every covariate has the same spread."""
    assert problem.n_clusters is not None
    covariance = hc.cluster_covariance(problem.source, plan, fit, problem.n_clusters)
    return fit.beta[1:], covariance[1:, 1:]


def _assigned(problem: Streamed) -> tuple[int, int, str]:
    """Treated and all of what was assigned: clusters, where treatment never varies inside one, else units."""
    study, arm = problem.study, problem.treated()
    if study.cluster is not None:
        inner = problem.source.sql(f"min({arm}) as low, max({arm}) as high") + f" group by {quoted(study.cluster)}"
        asked = "count(*), count(*) filter (where low <> high), sum(low)"
        clusters, mixed, treated = problem.source.rows(f"select {asked} from ({inner}) as clusters")[0]
        if not mixed:
            return int(treated), clusters, "clusters"
    return int(problem.source.one(f"sum({arm})")[0]), problem.n, "units"
