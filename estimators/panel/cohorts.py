"""Cohorts as first treated periods: which are periods, agree with the treatment and have an identified effect."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from ..contracts import is_missing, needed_columns
from ..errors import Refusal
from ..problem import Problem

FEWEST_TREATED = 5
# A cohort so many lengths of the panel away from it is a sentinel and no period.
FAR = 10.0


def check_periods(name: str, cohorts: np.ndarray, first: float, last: float, calendar: str | None = None) -> None:
    """Refuse cohorts that are sentinels: only NULL and declared values mean never.

    A cohort before the panel is always treated and one after it not yet; 0 and -1 before the first period, and what
    lies ten lengths of the panel away from it, are words for something else.

    Parameters
    ----------
    name : str
        The column.
    cohorts : ndarray
        Distinct finite values, in the order of periods.
    first, last : float
        The panel's periods.
    calendar : str, optional
        The frequency of period numbers, in which 0 and -1 are dates as others are.

    Raises
    ------
    Refusal
        Naming the value and the mend.
    """
    length = max(last - first, 1.0)
    for g in np.sort(cohorts).tolist():
        is_word = calendar is None and g in (0.0, -1.0) and g < first
        if is_word or g < first - FAR * length or g > last + FAR * length:
            reason = f"cohort '{name}' holds {g:g}, which is no period of the panel ({first:g} to {last:g})"
            mend = f"Declare `never: {g:g}` if it means never treated (NULL means that too), or correct it"
            raise Refusal(reason, mend)


def check_first(problem: Problem, cohort: np.ndarray, times: np.ndarray) -> None:
    """`check_periods` and `check_treatment` of a study's rows.

    One treated cluster is told before: it holds whatever the other cohorts mean.

    Parameters
    ----------
    cohort, times : ndarray of shape (rows,)
        NaN for never.
    """
    study = problem.study
    first, last = float(times.min()), float(times.max())
    try:
        check_periods(str(study.cohort), np.unique(cohort[np.isfinite(cohort)]), first, last)
    except Refusal:
        if problem.cluster is not None and problem.estimator != "synthetic_control":
            inside = (cohort > first) & (cohort <= last)
            check_one_cluster(
                str(study.cluster), len(np.unique(problem.cluster[inside].astype(str))), problem.n_clusters or 0
            )
        raise
    check_treatment(problem, cohort, times)


def check_one_cluster(role: str, treated: int, clusters: int) -> None:
    """Refuse where a single cluster becomes treated within the panel."""
    if treated == 1:
        reason = f"1 of {clusters} clusters of '{role}' is ever treated: how such clusters vary cannot be seen"
        raise Refusal(reason, "Cluster at a lower level if treatment was assigned there", "not_identified")


def check_treatment(problem: Problem, cohort: np.ndarray, times: np.ndarray) -> None:
    """Refuse a binary treatment that is not 1 exactly from the cohort's period on."""
    study = problem.study
    if study.treatment is None or problem.kind != "binary":
        return
    wrong = problem.t != np.where(np.isnan(cohort), False, times >= cohort)
    if wrong.any():
        at = int(np.argmax(wrong))
        unit, period, own = problem.columns[study.unit][at], times[at], cohort[at]
        raise contradiction(study, int(wrong.sum()), unit, float(period), float(own), float(problem.t[at]))


def contradiction(study: Any, rows: int, unit: Any, period: float, cohort: float, treatment: float) -> Refusal:
    """The refusal of a treatment that is off where the cohort says on, or on where it says off."""
    since = "has no cohort" if not np.isfinite(cohort) else f"has the cohort {cohort:g}"
    what = "reverses or starts late" if treatment == 0 else "starts before its cohort"
    reason = (
        f"treatment '{study.treatment}' contradicts cohort '{study.cohort}' in {rows} row{'s' * (rows != 1)}: "
        f"unit {unit} {since} and is {treatment:g} in period {period:g}, so treatment {what}"
    )
    mend = (
        "Correct one of them: the cohort is the first treated period, and treatment lasts from it on. Where treatment "
        "ends, drop the role 'cohort' and read panel_matching"
    )
    return Refusal(reason, mend)


def treated_cohorts(
    sizes: Mapping[float, int], control_group: str, left_out: Callable[[], str] | None = None,
    clusters: Mapping[float, int] | None = None,
) -> tuple[float, ...]:  # fmt: skip
    """Cohorts with an effect to estimate, ascending.

    A cohort of one unit, or in one cluster, is left out: its sampling variation cannot be seen.

    Parameters
    ----------
    sizes : mapping of cohort to units
        In ascending order, infinity for never treated.
    control_group : never_treated or not_yet_treated
    left_out : function, optional
        What was left out before and why, as a sentence or nothing.
    clusters : mapping of cohort to clusters, optional

    Raises
    ------
    Refusal
        For no treated cohort and no controls; with status ``not_identified`` for fewer than five treated units, a
        single control, and where every cohort is left out, all causes named at once.
    """
    told = (left_out() if left_out else "") or ""
    groups = [g for g in sizes if np.isfinite(g)]
    if not groups:
        mend = "Check the cohort: the first treated period, NULL for never" + (
            ", and mend what is missing" if told else ""
        )
        raise Refusal(f"no unit becomes treated after the first period{_also(told)}", mend)
    if len(groups) == len(sizes):
        groups = _without_never(groups, control_group, told)
    single = [g for g in groups if sizes[g] == 1]
    alone = [g for g in groups if g not in single and clusters is not None and clusters[g] == 1]
    kept = [g for g in groups if g not in single and g not in alone]
    if not kept and (len(groups) > 1 or not alone):
        raise _none_left(single, alone, told)
    _check_sizes(sizes, kept or groups, told)
    return tuple(kept or groups)


def _also(told: str) -> str:
    return f"; {told}" if told else ""


def _without_never(groups: list[float], control_group: str, told: str) -> list[float]:
    """The treated cohorts where nobody is never treated."""
    if told:
        mend = "Mend what is missing there (fill it, or drop the covariate), so that they can be compared"
        raise Refusal(f"no never-treated unit is left: {told}", mend)
    if len(groups) == 1:
        reason = "no control units: all units become treated in the same period"
        raise Refusal(reason, "Add units that are treated later or never")
    if control_group == "never_treated":
        reason = "no control units: every unit has a cohort within the panel, so none is never treated"
        raise Refusal(reason, "Set `options: {did: {control_group: not_yet_treated}}`")
    return groups[:-1]


def _none_left(single: list[float], alone: list[float], told: str) -> Refusal:
    causes = [
        f"cohort{'s' * (len(some) != 1)} {', '.join(f'{g:g}' for g in some)} {word}"
        for some, word in ((single, "of one unit"), (alone, "in one cluster")) if some
    ]  # fmt: skip
    reason = f"no cohort's sampling variation can be seen: {' and '.join(causes)}{_also(told)}"
    return Refusal(reason, "Read synthetic_control for a single cohort, or add treated units", "not_identified")


def _check_sizes(sizes: Mapping[float, int], kept: list[float], told: str) -> None:
    total = sum(sizes[g] for g in kept)
    if total < FEWEST_TREATED:
        out = [g for g in sizes if np.isfinite(g) and g not in kept]
        besides = (
            f", and cohorts of one unit or cluster are left out ({', '.join(f'{g:g}' for g in out)})" if out else ""
        )
        reason = f"{total} treated unit{'s' * (total != 1)}: standard errors need at least {FEWEST_TREATED}"
        raise Refusal(reason + besides + _also(told), "Read synthetic_control, or add treated units", "not_identified")
    if sum(size for g, size in sizes.items() if g not in kept) < 2:
        reason = f"a single control unit: its sampling variation cannot be seen{_also(told)}"
        raise Refusal(reason, "Add controls", "not_identified")


def unidentified(
    sizes: Mapping[float, int], treated: Collection[float], clusters: Mapping[float, int] | None = None
) -> dict[float, int]:
    """Units of the cohorts that `treated_cohorts` has left out; where all are treated, the last is a control."""
    serves = set() if np.inf in sizes else {max(sizes)}
    return {
        g: n for g, n in sizes.items()
        if np.isfinite(g) and g not in treated and g not in serves and (n == 1 or (clusters or {}).get(g) == 1)
    }  # fmt: skip


def never_left_out(problem: Problem, complete: np.ndarray, never: np.ndarray) -> str:
    """How many never-treated units miss a period, and which columns are NULL there; nothing where none does.

    Parameters
    ----------
    complete : ndarray
        Labels of the units that are seen in every period.
    never : ndarray
        Labels of the units that are never treated, among the rows in use.
    """
    study, given = problem.study, problem.given
    if given is not None and study.cohort is not None:
        never = np.unique(given[study.unit][np.isnan(given[study.cohort])])
    lost = np.setdiff1d(never, complete)
    if not len(lost):
        return ""
    nulls = {}
    if given is not None:
        inside = np.isin(given[study.unit], lost)
        counts = {name: int((is_missing(given[name]) & inside).sum()) for name in needed_columns(study)}
        nulls = {name: count for name, count in counts.items() if count}
    return left_out_words(len(lost), nulls)


def left_out_words(units: int, nulls: Mapping[str, int]) -> str:
    """How many never-treated units were left out, and in which columns they are NULL."""
    why = ", ".join(f"'{name}' is NULL in {count} rows" for name, count in nulls.items())
    were = "unit was" if units == 1 else "units were"
    return f"{units} never-treated {were} left out because they miss a period" + (f" ({why} of theirs)" if why else "")
