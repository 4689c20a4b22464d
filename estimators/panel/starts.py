"""First treated periods of a study that declares a treatment a period, and no cohort."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..errors import Refusal
from ..problem import Problem

_NAME = "first treated period"


def with_cohort(problem: Problem) -> Problem:
    """The problem with a cohort: the declared one, or the period in which each unit's treatment starts.

    Raises
    ------
    Refusal
        Without a cohort, for a treatment that is not binary or that ends again: then no period is before it.
    """
    study = problem.study
    if study.cohort is not None:
        return problem
    mend = "Declare the role 'cohort', or read an estimator that does not need parallel trends"
    if study.treatment is None or problem.kind != "binary":
        reason = "parallel trends cannot be tested: neither a cohort nor a treatment of zeros and ones is declared"
        raise Refusal(reason, mend)
    assert study.time is not None
    units, code = np.unique(problem.columns[study.unit], return_inverse=True)
    time, treated = problem.columns[study.time], problem.t == 1
    start = np.full(len(units), np.inf)
    np.minimum.at(start, code[treated], time[treated])
    ends = ~treated & (time > start[code])
    if ends.any():
        unit = units[code[ends][0]]
        reason = f"parallel trends cannot be tested: the treatment '{study.treatment}' of unit {unit} ends again"
        raise Refusal(f"{reason}, so that no cohort starts once", mend)
    columns = {**problem.columns, _NAME: start[code]}
    return dataclasses.replace(problem, study=dataclasses.replace(study, cohort=_NAME), columns=columns, cache={})
