"""Cohorts as first treated periods: which of them are periods, and whose effect is identified."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..calendar import is_no_period
from ..errors import Refusal
from ..problem import Problem
from ..study import Study
from .labels import label
from .left_out import NO_CONTROLS

FEWEST_TREATED = 5


def check_periods(study: Study, cohorts: np.ndarray, first: float, last: float) -> None:
    """Refuse cohorts that are stand-ins: only NULL and declared values mean never.

    A cohort before the panel is always treated and one after it not yet (Callaway & Sant'Anna 2021). Under a frequency
    the entrance has judged them already, as they were written.

    Parameters
    ----------
    study : Study
    cohorts : ndarray
        Distinct finite values.
    first, last : float
        The panel's periods.

    Raises
    ------
    Refusal
        Naming the value and the mend.
    """
    if study.frequency is not None:
        return
    for g in np.sort(cohorts[np.isfinite(cohorts)]).tolist():
        if is_no_period(g, first, last):
            reason = (
                f"cohort '{study.cohort}' holds {g:g}, which is no period of '{study.time}' ({first:g} to {last:g})"
            )
            raise Refusal(reason, f"Declare `never: {g:g}` if such units are never treated, or make it NULL")


def check_first(problem: Problem, cohort: np.ndarray, times: np.ndarray) -> None:
    """`check_periods` of a study's rows.

    One treated cluster is told before: it holds whatever the other cohorts mean.

    Parameters
    ----------
    cohort, times : ndarray of shape (rows,)
        NaN for never.
    """
    study = problem.study
    first, last = float(times.min()), float(times.max())
    try:
        check_periods(study, np.unique(cohort), first, last)
    except Refusal:
        if problem.cluster is not None and problem.estimator != "synthetic_control":
            inside = (cohort > first) & (cohort <= last)
            treated = len(np.unique(problem.cluster[inside].astype(str)))
            check_one_cluster(str(study.cluster), treated, problem.n_clusters or 0)
        raise


def check_one_cluster(role: str, treated: int, clusters: int) -> None:
    """Refuse where a single cluster becomes treated within the panel."""
    if treated == 1:
        reason = f"1 of {clusters} clusters of '{role}' is ever treated: how such clusters vary cannot be seen"
        raise Refusal(reason, "Cluster at a lower level if treatment was assigned there", "not_identified")


def treated_cohorts(
    sizes: Mapping[float, int], control_group: str, clusters: Mapping[float, int] | None = None
) -> tuple[float, ...]:
    """Cohorts with an effect to estimate, ascending.

    A cohort of one unit, or in one cluster, is left out: its sampling variation cannot be seen.

    Parameters
    ----------
    sizes : mapping of cohort to units
        In ascending order, infinity for never treated.
    control_group : never_treated or not_yet_treated
    clusters : mapping of cohort to clusters, optional

    Raises
    ------
    Refusal
        For no treated cohort and no controls; with status ``not_identified`` for fewer than five treated units, a
        single control, and where every cohort is left out, all causes named at once.
    """
    groups = [g for g in sizes if np.isfinite(g)]
    if not groups:
        raise Refusal(
            "no unit becomes treated after the first period", "Check the cohort: first treated period, or NULL"
        )
    if len(groups) == len(sizes):
        groups = _without_never(groups, control_group)
    single = [g for g in groups if sizes[g] == 1]
    alone = [g for g in groups if g not in single and clusters is not None and clusters[g] == 1]
    kept = [g for g in groups if g not in single and g not in alone]
    if not kept and len(groups) > 1:
        raise _none_left(single, alone)
    # A single cohort is told by the rule that it breaks: of units here, of clusters in `check_cohorts`.
    _check_sizes(sizes, kept or groups)
    return tuple(kept or groups)


def _without_never(groups: list[float], control_group: str) -> list[float]:
    """The treated cohorts where nobody is never treated."""
    if control_group == "never_treated":
        raise Refusal(
            f"{NO_CONTROLS} every unit that is compared is treated by the last period",
            "Set `options: {did: {control_group: not_yet_treated}}`"
            if len(groups) > 1 else "Add units that are treated later or never",
        )  # fmt: skip
    if len(groups) == 1:
        raise Refusal(f"{NO_CONTROLS} all are treated in the same period", "Add units that are treated later")
    return groups[:-1]


def _none_left(single: list[float], alone: list[float]) -> Refusal:
    causes = [
        f"cohort{'s' * (len(some) != 1)} {', '.join(map(label, some[:10]))} {word}"
        for some, word in ((single, "of one unit"), (alone, "in one cluster")) if some
    ]  # fmt: skip
    reason = f"no cohort's sampling variation can be seen: {' and '.join(causes)}"
    return Refusal(reason, "Read synthetic_control for a single cohort, or add treated units", "not_identified")


def _check_sizes(sizes: Mapping[float, int], kept: list[float]) -> None:
    total = sum(sizes[g] for g in kept)
    if total < FEWEST_TREATED:
        out = [g for g in sizes if np.isfinite(g) and g not in kept]
        besides = f"; cohorts of one unit or cluster are left out ({', '.join(map(label, out[:10]))})" if out else ""
        reason = f"{total} treated unit{'s' * (total != 1)}: standard errors need at least {FEWEST_TREATED}"
        raise Refusal(reason + besides, "Read synthetic_control, or add treated units", "not_identified")
    if sum(size for g, size in sizes.items() if g not in kept) < 2:
        raise Refusal("a single control unit: its sampling variation cannot be seen", "Add controls", "not_identified")
