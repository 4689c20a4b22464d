"""How alike the arms are, and what the covariates say of one another and of the treatment: rows of the design table."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from . import warehouse
from .collinearity import correlations, variance_inflation
from .contracts import is_missing
from .errors import Refusal
from .problem import Problem, rows_read
from .result import DesignRow
from .scan.covariates import CovariateSums, add_up, blocks_of
from .scan.stream import NUMBERS, ROWS
from .scores import POOLED, WEIGHTS, weight_column, why_without, words_without
from .study import Study
from .terms import columns_of, expand, parts_of, unique
from .warehouse import Columns

# A matrix of more columns than this is no set of covariates but an id that is read as a category.
WIDEST = 3_000
# What a set of weights is called: estimator and estimand, (None, None) for the raw comparison.
Weighting = tuple[str | None, str | None]


def covariate_design(problem: Problem, scores: Any = None) -> list[DesignRow]:
    """Rows ``smd`` and ``vif`` of a study with covariates and a treatment, from one pass over its rows.

    ``smd`` is the standardised mean difference of each covariate column between the arms of a binary treatment, raw
    (estimator and estimand None) and under the weights that the scores hold; ``vif`` is the variance inflation factor
    of each covariate among the covariates, and of the treatment given them. No outcome is read.

    One row a unit is read, as one-row-a-unit estimators do; for ``vif`` those with a value in treatment and covariates,
    whether or not they have an outcome, and for ``smd`` those of them that have a score. Sampling weights are not used.

    Parameters
    ----------
    problem : Problem
    scores : relation or table, optional
        What `estimators.score` gave. Without it there are raw differences only, of all those rows.

    Returns
    -------
    list of DesignRow
        A value that cannot be computed is None, and its reason says why.
    """
    study = problem.study
    if study.treatment is None or not study.covariates:
        return []
    kind, weightings = problem.kind, weightings_of(scores)
    try:
        return rows_of(study, kind, weightings, _sums(problem, kind, scores, weightings), scores)
    except Refusal as refusal:
        return without(study, kind, weightings, refusal)


def weightings_of(scores: Any) -> list[Weighting]:
    """Raw, and what the scores have weights for."""
    there = set() if scores is None else set(warehouse.available(scores))
    return [(None, None), *(weight for weight in WEIGHTS if weight_column(*weight) in there)]


def rows_of(
    study: Study, kind: str | None, weightings: list[Weighting], sums: CovariateSums, scores: Any = None
) -> list[DesignRow]:
    """The design rows of one pass, whose j-th weights are those of ``weightings``; the scores tell why some lack."""
    rows: list[DesignRow] = []
    if kind == "binary":
        found = [sums.differences(j) for j in range(len(weightings))]
        told = why_without(scores)
        pooled = frozenset(name.removeprefix(POOLED) for name in told if name.startswith(POOLED))
        for weighting, differences in zip(weightings, found, strict=True):
            why = words_without(told, *weighting)
            rows += _smd(sums.moments.names[:-1], weighting, differences, why, pooled)
    factors = variance_inflation(correlations(sums.moments.covariance()))
    return rows + [_vif(name, value) for name, value in zip(sums.moments.names, factors, strict=True)]


def without(study: Study, kind: str | None, weightings: list[Weighting], why: Refusal) -> list[DesignRow]:
    """A row without a value for each gate, and why there is none."""
    # One text, so that a refusal that quotes both tells it once.
    told, mend = f"balance and collinearity cannot be computed: {why.reason}", why.mend or None
    rows = [DesignRow(None, "vif", str(study.treatment), None, told, remedy=mend)]
    for estimator, estimand in weightings if kind == "binary" else []:
        rows.append(DesignRow(estimator, "smd", "covariates", None, told, estimand, mend))
    return rows


def _smd(
    names: Iterable[str],
    weighting: Weighting,
    differences: np.ndarray | None,
    why: tuple[str, str | None] | None,
    pooled: frozenset[str] = frozenset(),
) -> list[DesignRow]:
    estimator, estimand = weighting
    rows = []
    for i, name in enumerate(names):
        if estimator is not None and name in pooled:  # its weights know that level under another's name
            continue
        value, remedy = math.nan if differences is None else float(differences[i]), None
        if math.isfinite(value):
            value += 0.0  # no negative zero
            kind = "raw" if estimator is None else "weighted"
            reason = f"{kind} difference of {name} is {_shown(value, 3)} standard deviations"
        elif why is not None and (differences is None or math.isnan(value)):
            reason, remedy = why
        elif differences is None or math.isnan(value):
            reason = f"the difference of {name} could not be computed: no weights, or an arm is empty"
        else:
            reason = f"the difference of {name} could not be computed: it differs between the arms and never inside one"
        found = value if math.isfinite(value) else None
        rows.append(DesignRow(estimator, "smd", name, found, reason, estimand, remedy))
    return rows


def _vif(name: str, value: float | None) -> DesignRow:
    told = f"the variance inflation factor of {name} is {value:.2f}" if value is not None else None
    return DesignRow(None, "vif", name, value, told or f"the other columns explain {name} completely")


def _shown(value: float, digits: int) -> str:
    """A number for a sentence, a small negative one without its sign."""
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text


def _sums(problem: Problem, kind: str | None, scores: Any, weightings: list[Weighting]) -> CovariateSums:
    study, columns = problem.study, _with_covariates(problem)
    names, values = _columns(study, columns)
    weights: list[np.ndarray] = []
    if kind == "binary":
        place, found = _scored(study, columns, scores, weightings)
        weights = [np.where(place >= 0, w[place], 0.0) if len(w) else np.zeros(len(place)) for w in found]
    rows = max(min(ROWS, NUMBERS // (len(values) + len(weights))), 1)
    return add_up(blocks_of([*values, *weights], rows), names, len(weights), rows)


def _with_covariates(problem: Problem) -> Columns:
    """One row a unit, of those with a value in treatment and covariates, whether or not they have an outcome."""
    study, given = problem.study, problem.columns if problem.given is None else problem.given
    names = unique([str(study.treatment), *(name for term in study.covariates for name in columns_of(term))])
    picking = [name for name in (study.unit, study.time, study.sample) if name]
    found = {name: given[name] for name in unique([*picking, *names])}
    found = _kept(found, ~np.any([is_missing(found[name]) for name in picking], axis=0))
    own = rows_read(study, found, "rows")
    found = found if own is None else _kept(found, own)
    found = _kept(found, ~np.any([is_missing(found[name]) for name in names], axis=0))
    if not len(found[study.unit]):
        raise Refusal("no row has a value in the treatment and every covariate", "Fill them, or drop the emptiest")
    return found


def _kept(columns: Columns, keep: np.ndarray) -> Columns:
    return columns if keep.all() else {name: values[keep] for name, values in columns.items()}


def _columns(study: Study, columns: Columns) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """The covariates' columns and the treatment, each of shape (n,); columns of raw numbers are not copied."""
    _check_width(study, columns)
    found: dict[str, np.ndarray] = {}
    try:
        for term in study.covariates:
            matrix = expand(term, columns)
            for name, column in zip(matrix.names, matrix.values.T, strict=True):
                found.setdefault(name, column)
    except ValueError as bad:
        raise Refusal(str(bad), "Mend the term or the column") from None
    treatment = str(study.treatment)
    return (*found, treatment), [*found.values(), columns[treatment]]


def _check_width(study: Study, columns: Columns) -> None:
    terms = [parts_of(term) for term in study.covariates]
    categories = {part.column for parts in terms for part in parts if part.kind == "category"}
    levels = {name: len(set(columns[name].tolist())) for name in categories}
    width = (math.prod(levels[part.column] - 1 for part in parts if part.kind == "category") for parts in terms)
    check_width(sum(width))


def check_width(width: int) -> None:
    """Refuse more covariate columns than `WIDEST`."""
    if width > WIDEST:
        reason = f"the covariates make {width} columns, more than {WIDEST}"
        raise Refusal(reason, "Group the levels of the categories in the units")


def _scored(
    study: Study, columns: Columns, scores: Any, weightings: list[Weighting]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Place of each row's score (−1: none), and the sets of weights by place; a weight that is NULL is zero."""
    n = len(columns[study.unit])
    if scores is None:
        return np.arange(n), [np.ones(n)]
    names = [weight_column(str(estimator), str(estimand)) for estimator, estimand in weightings[1:]]
    got = warehouse.read(scores, ["unit_id", *names], ["unit_id"], study.name)
    at = {str(unit): i for i, unit in enumerate(got["unit_id"].tolist())}
    place = np.array([at.get(str(unit), -1) for unit in columns[study.unit].tolist()], dtype=np.intp)
    weights = [np.nan_to_num(got[name].astype(float), nan=0.0) for name in names]
    return place, [np.ones(len(got["unit_id"])), *weights]
