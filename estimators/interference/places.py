"""Units of weight zero, which stand for nobody and are still somebody's neighbours."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..contracts import is_missing
from ..problem import Problem
from ..warehouse import Columns


def with_places(problem: Problem) -> Problem:
    """The problem with its units of weight zero back in their places; built once for all estimands.

    Their own treatment and the edges to them make their neighbours' exposures. Nothing else of them is read: outcome
    and covariates are those of the first unit that has a weight, and `Problem.w` is zero. One without a name or a
    treatment of 0 or 1 (or without its cluster) has no place, nor has one that repeats another's name.

    Parameters
    ----------
    problem : Problem
        Whose ``idle`` holds the rows of weight zero.
    """
    if problem.idle is None:
        return problem
    if "with places" not in problem.cache:
        rows = _of_period(problem, problem.idle)
        keep = _have_a_place(problem, rows)
        columns = dict(problem.columns)
        own = {problem.study.unit, problem.study.treatment, problem.study.cluster, problem.study.weight}
        for name, values in problem.columns.items():
            added = rows[name][keep] if name in own else np.repeat(values[:1], int(keep.sum()))
            columns[name] = np.concatenate([values, added])
        problem.cache["with places"] = dataclasses.replace(problem, columns=columns, cache={}, idle=None)
    found: Problem = problem.cache["with places"]
    return dataclasses.replace(found, options=problem.options, specification=problem.specification)


def _of_period(problem: Problem, rows: Columns) -> Columns:
    """Of the period that is read, and of the study's own people."""
    study, keep = problem.study, np.ones(len(rows[problem.study.unit]), dtype=bool)
    if study.time is not None:
        keep &= rows[study.time] == problem.columns[study.time][0]
    if study.sample is not None:
        keep &= rows[study.sample] == 1
    return {name: values[keep] for name, values in rows.items()}


def _have_a_place(problem: Problem, rows: Columns) -> np.ndarray:
    study = problem.study
    assert study.treatment is not None
    keep = np.isin(rows[study.treatment], (0.0, 1.0)) & ~is_missing(rows[study.unit])
    if study.cluster is not None:
        keep &= ~is_missing(rows[study.cluster])
    taken = {str(unit) for unit in problem.columns[study.unit].tolist()}
    for i, unit in enumerate(rows[study.unit].tolist()):
        keep[i] &= str(unit) not in taken
        if keep[i]:
            taken.add(str(unit))
    return keep
