"""Staggered difference-in-differences after Callaway & Sant'Anna (2021), of rows that stay in DuckDB."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ..clusters import Arms
from ..inference import in_students_t
from ..panel.att_gt import Comparison, GroupTime, cell, comparisons
from ..panel.cohorts import treated_cohorts
from ..panel.did import assembled, band_df, overall_averages
from ..panel.pretrends import tried
from ..panel.sample import few_units
from ..result import Result
from ..scan.stream import Column
from .panel_adjusted import adjusted_effects
from .panel_bases import first_pass
from .panel_copy import sorted_copy
from .panel_influence import Influence, simultaneous_critical_value
from .panel_paths import PathSums, path_effects, path_sums
from .panel_rows import panel_rows
from .panel_sample import Counted, check, cluster_changes, cohort_arms, factors, factors_by_cohort
from .panel_trends import streamed_test
from .problem import Streamed


def did(problem: Streamed, estimand: str) -> Result:
    """Average effect of treatment on units of a cohort after its first treated period, from group-time effects.

    The rows, diagnostics, curves and sensitivity of `estimators.panel.did.did`, with the same estimates and standard
    errors to 1e-9; the simultaneous band's critical value is drawn from the limit of that one's bootstrap, N(0, V) with
    the exact covariance of the event-time effects (`panel_influence.simultaneous_critical_value`), so it agrees to
    Monte Carlo error; the option ``bootstrap`` is the number of draws.

    DuckDB sorts the rows by unit and period (and by cluster first, where one is declared) and spills what exceeds its
    memory limit; a few blocks of 32,768 rows are in memory here, and (K + C)² numbers for K effects of C cohorts.
    Without covariates a single pass suffices: each cohort's cross-products of the T − 1 steps of its outcome give every
    ATT(g, t) and, exactly, the covariance of all influence values (`panel_paths`). With covariates the sorted rows are
    kept in a scratch table of DuckDB and passed over three times for ``reg``, about six times for ``ipw`` and ``dr``
    (`panel_adjusted`).

    Parameters
    ----------
    problem : Streamed
        Roles, options, missing values and clusters as in memory.
    estimand : str
        ATT.

    Raises
    ------
    Refusal
        As in memory; also if periods times cohorts exceed 4,000.

    References
    ----------
    Callaway & Sant'Anna (2021), Journal of Econometrics 225; Sant'Anna & Zhao (2020), Journal of Econometrics 219.
    """
    effects, sample = streamed_effects(problem)
    shares = sample.shares()
    found = overall_averages(effects, shares)
    band = sample.covariance(np.column_stack([one.psi for one in found.event_time]))
    critical = simultaneous_critical_value(band, problem.study.seed, problem.own("bootstrap"))
    critical = in_students_t(critical, band_df(found, sample))
    test = tried(lambda: streamed_test(problem, effects, sample))
    return assembled(problem, estimand, effects, shares, found, sample, critical, test)


def streamed_effects(problem: Streamed, pre_only: bool = False) -> tuple[GroupTime, Influence]:
    """Every ATT(g, t) with two controls or more (``pre_only``: those before treatment), and their covariances."""
    # A category of a single level gives no column.
    columns = problem.columns(problem.covariate_terms())
    return _adjusted(problem, columns, pre_only) if columns else _unadjusted(problem, pre_only)


def _unadjusted(problem: Streamed, pre_only: bool) -> tuple[GroupTime, Influence]:
    sums, arms = _paths(problem)
    counted = Counted(sums.periods, sums.tally, sums.sizes, sums.n_clusters)
    found, skipped = _comparisons(problem, counted, arms, pre_only)
    units = _few_units(problem, counted, found, 0)
    att, products = path_effects(sums, found)
    trimmed = np.zeros(len(found), dtype=np.int64)
    if units is None:
        return _effects(problem, counted, arms, found, skipped, att, trimmed, products)
    square = factors_by_cohort(units, counted.sizes, sums.cohorts) ** 2
    scaled = path_effects(dataclasses.replace(sums, own=sums.own * square[:, None, None]), found)[1]
    return _effects(problem, counted, units, found, skipped, att, trimmed, scaled, products)


def _paths(problem: Streamed) -> tuple[PathSums, Arms | None]:
    """The sums, taken once a study and variance, and how clusters carry the cohorts."""
    key = ("panel paths", problem.options.cluster_variance)
    if key not in problem.cache:
        rows = panel_rows(problem, clustered=cluster_changes(problem) is None)
        arms = cohort_arms(problem, rows)
        problem.cache[key] = path_sums(rows, factors(problem, arms)), arms
    return problem.cache[key]


def _adjusted(problem: Streamed, columns: tuple[Column, ...], pre_only: bool) -> tuple[GroupTime, Influence]:
    names = tuple(column.name for column in columns)
    given = panel_rows(problem, columns, clustered=cluster_changes(problem) is None)
    with sorted_copy(given) as rows:
        first = first_pass(rows, names, problem.n)
        arms = cohort_arms(problem, given)
        found, skipped = _comparisons(problem, first.counted, arms, pre_only)
        link, scale = problem.options.propensity.link, factors(problem, arms)
        att, trimmed, products = adjusted_effects(rows, first, found, names, problem.own("method"), link, scale)
        units = _few_units(problem, first.counted, found, len(names))
        if units is not None:
            plain, own = products, factors_by_cohort(units, first.counted.sizes, rows.cohorts)
            method = problem.own("method")
            _, _, products = adjusted_effects(rows, first, found, names, method, link, None, own)
            return _effects(problem, first.counted, units, found, skipped, att, trimmed, products, plain)
    return _effects(problem, first.counted, arms, found, skipped, att, trimmed, products)


def _few_units(problem: Streamed, counted: Counted, found: Sequence[Comparison], columns: int) -> Arms | None:
    """`panel.sample.few_units`."""
    if problem.study.cluster is not None:
        return None
    treated = treated_cohorts(counted.sizes, problem.own("control_group"), None)
    return few_units(counted.sizes, treated, columns, problem.options.cluster_variance)


def _comparisons(
    problem: Streamed, counted: Counted, arms: Arms | None, pre_only: bool
) -> tuple[list[Comparison], int]:
    treated = check(problem, counted, arms)
    return comparisons(counted.periods, treated, counted.sizes, problem.own("control_group"), pre_only=pre_only)


def _effects(
    problem: Streamed, counted: Counted, arms: Arms | None, found: Sequence[Comparison], skipped: int,
    att: np.ndarray, trimmed: np.ndarray, products: np.ndarray, plain: np.ndarray | None = None,
) -> tuple[GroupTime, Influence]:  # fmt: skip
    values = zip(found, att.tolist(), trimmed.tolist(), strict=True)
    cells = tuple(cell(one, counted.periods, effect, cut) for one, effect, cut in values)
    tally = counted.tally
    own = arms.present() if arms is not None and problem.options.cluster_variance == "jackknife" else None
    sample = Influence(
        counted.n, tally.incomplete, tally.always, counted.n_clusters, counted.sizes, products, counted.periods, own,
        plain,
    )  # fmt: skip
    return GroupTime(cells, sample.effects_psi(), skipped), sample
