"""What a panel's comparison leaves out, how many and why; and a treatment that contradicts the cohort."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..contracts import is_missing, needed_columns, roles
from ..errors import Refusal
from ..problem import Problem
from .labels import label

# How a refusal for want of controls begins (`cohorts.treated_cohorts`).
NO_CONTROLS = "no control units:"


def told(n_out: int, n_never: int, gaps: Mapping[str, int]) -> tuple[str, str]:
    """The words for units that miss a period, and the mend; both empty where there are none.

    Parameters
    ----------
    n_out, n_never : int
        Units left out, and those of them that are never treated.
    gaps : mapping of column (with its role) to rows without a value
    """
    if not n_out:
        return "", ""
    never = f", {n_never} of them never treated" if n_never not in (0, n_out) else ""
    which = "never treated units were" if n_never == n_out else "units were"
    why = _listed(gaps) if gaps else "they have no row there"
    words = f"{n_out} {which} left out before{never}, because they miss a period: {why}"
    mend = f"Fill {' and '.join(gaps)}, or drop it from its role" if gaps else "Give every unit a row in every period"
    return words, mend


def _listed(gaps: Mapping[str, int]) -> str:
    return " and ".join(f"{name} is NULL in {rows} rows" for name, rows in gaps.items())


def missing_units(problem: Problem) -> tuple[str, str]:
    """`told` of the rows as they were read."""
    study, given = problem.study, problem.columns if problem.given is None else problem.given
    assert study.time is not None
    assert study.cohort is not None
    periods = np.unique(problem.columns[study.time])
    units, code = np.unique(given[study.unit], return_inverse=True)
    held = np.unique(problem.columns[study.unit], return_counts=True)
    rows = dict(zip(held[0].tolist(), held[1].tolist(), strict=True))
    whole = np.array([rows.get(unit, 0) == len(periods) for unit in units.tolist()])
    cohort = given[study.cohort]
    is_never = np.array(np.isnan(cohort) | (cohort > periods[-1]))
    never = np.bincount(code, is_never) > 0
    of_out = ~whole[code]
    gaps = {name: int((is_missing(given[name]) & of_out).sum()) for name in needed_columns(study)}
    named = {f"{_role(problem, name)} '{name}'": rows for name, rows in gaps.items() if rows}
    return told(int((~whole).sum()), int((never & ~whole).sum()), named)


def _role(problem: Any, name: str) -> str:
    return next((role for role, column, _ in roles(problem.study) if column == name), "column")


def with_left_out(refusal: Refusal, words: str, mend: str) -> Refusal:
    """The refusal with what was left out before; its mend comes first, for it may be all that is wrong."""
    if not words:
        return refusal
    if refusal.reason.startswith(NO_CONTROLS) and "never treated" in words:
        later = refusal.reason.removeprefix(NO_CONTROLS)
        reason = f"no never-treated unit is left: {words}. So there are no control units:{later}"
        return Refusal(reason, mend or refusal.mend, refusal.status)
    return Refusal(f"{refusal.reason}; {words}", mend or refusal.mend, refusal.status)


@contextmanager
def naming_left_out(problem: Problem) -> Iterator[None]:
    """A refusal inside says which rows, units and periods were left out before (`missing_rows`)."""
    try:
        yield
    except Refusal as refusal:
        raise with_left_out(refusal, *missing_rows(problem)) from None


def missing_rows(problem: Problem) -> tuple[str, str]:
    """Words and mend for rows that were left out as they lack a value, of estimators that need no whole units."""
    study, given = problem.study, problem.given
    if given is None:
        return "", ""
    lost = {name: int(is_missing(given[name]).sum()) for name in needed_columns(study) if name in given}
    named = {f"{_role(problem, name)} '{name}'": rows for name, rows in lost.items() if rows}
    n_out = len(given[study.unit]) - len(problem.columns[study.unit])
    if n_out <= 0 or not named:
        return "", ""
    words = f"{n_out} rows were left out before, because {_listed(named)}"
    gone = [
        f"{count} {name}s" if count != 1 else f"1 {name}"
        for name, column in (("unit", study.unit), ("period", study.time)) if column is not None
        if (count := len(np.setdiff1d(given[column], problem.columns[column])))
    ]  # fmt: skip
    if gone:
        words += f", and with them {' and '.join(gone)} altogether"
    return words, f"Fill {' and '.join(named)}, or drop it from its role"


def left_words(sizes: Mapping[float, int], estimated: set[float], incomplete: int, always: int, cells: int) -> str:
    """What of a difference-in-differences is not estimated, all at once; empty where there is nothing."""
    finite = [g for g in sizes if np.isfinite(g)]
    single = [g for g in finite if sizes[g] == 1 and g not in estimated]
    without = [g for g in finite if sizes[g] > 1 and g not in estimated]
    parts = []
    if single:
        parts.append(f"{_cohorts(single)}: one unit each, whose sampling variation cannot be seen")
    if without:
        parts.append(f"{_cohorts(without)} ({sum(sizes[g] for g in without)} units): no controls of their own")
    if always:
        parts.append(f"{always} units that are treated in the first period")
    if incomplete:
        parts.append(f"{incomplete} units that miss a period")
    if cells and (single or without):
        parts.append(f"{cells} effects of a cohort and period without two controls")
    return "left out: " + "; ".join(parts) if parts else ""


def _cohorts(cohorts: list[float]) -> str:
    listed = ", ".join(label(g) for g in cohorts[:10]) + (" …" if len(cohorts) > 10 else "")
    return f"{len(cohorts)} cohort{'s' * (len(cohorts) != 1)} ({listed})"


def check_treatment(problem: Problem, may_end: bool = False) -> None:
    """Refuse a treatment of zeros and ones that is not 1{t ≥ cohort}; one that is fixed within all units marks groups.

    With ``may_end`` a treatment that ends again is none: only its first period must be the cohort's.

    Raises
    ------
    Refusal
        With the rows before the cohort that are treated, those from it on that are not, and the units that fall back.
    """
    study = problem.study
    if study.treatment is None or study.cohort is None or study.time is None or study.cohort_of != "treatment":
        return
    d, g, t = problem.t, problem.columns[study.cohort], problem.columns[study.time]
    if not set(np.unique(d[~np.isnan(d)])) <= {0.0, 1.0}:
        return
    code = np.unique(problem.columns[study.unit], return_inverse=True)[1]
    n, on = np.bincount(code), np.bincount(code, d)
    if not ((on > 0) & (on < n)).any():
        return
    g = np.where(np.isnan(g), np.inf, g)
    early, late = (d == 1) & (t < g), (d == 0) & (t >= g)
    order = np.lexsort((t, code))
    falls = (np.diff(d[order]) < 0) & (np.diff(code[order]) == 0)
    if may_end:
        # Whether it was on before, by units in their order of time.
        base = 2.0 * code[order]
        late[order] &= np.maximum.accumulate(base + np.nan_to_num(d[order])) - base < 1
        falls[:] = False
    wrong = np.flatnonzero(early | late)
    if len(wrong):
        first = wrong[0]
        example = f"unit {problem.columns[study.unit][first]} in period {label(float(t[first]))}"
        backs = len(np.unique(code[order][1:][falls]))
        raise contradiction(study.treatment, study.cohort, int(early.sum()), int(late.sum()), backs, example)


def contradiction(treatment: str, cohort: str, early: int, late: int, backs: int, example: str) -> Refusal:
    """The refusal of a treatment that contradicts the cohort."""
    parts = [f"it is 1 before the cohort's first period in {early} rows"] if early else []
    parts += [f"it is 0 from that period on in {late} rows"] if late else []
    parts += [f"it falls back to 0 in {backs} units"] if backs else []
    reason = f"the treatment '{treatment}' contradicts the cohort '{cohort}': {', '.join(parts)}, such as {example}"
    mend = "Mend one of the two; where the cohort dates something else than the treatment, declare "
    return Refusal(reason, mend + "`cohort_of: intervention`")
