"""Does a covariate differ by arm more than chance? Then treatment may have moved it: it may be measured after."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from ..errors import Refusal
from ..heterogeneity.groups import holm
from ..measured import undeclared
from ..problem import Problem
from ..registry import BY_NAME
from ..result import DesignRow, Result
from ..study import Study
from ..terms import parts_of
from ..thresholds import limit

METRIC = "covariate_assignment_p"
# What the column is called that stands in the outcome's place.
COVARIATE = "cqox_covariate"
# A category of more levels is no trait that a test of each could tell of: it is judged in the joint test alone.
MOST_LEVELS = 50


def assignment_rows(study: Study, kind: str | None, p_values: Callable[[str], Sequence[float]]) -> list[DesignRow]:
    """A row ``covariate_assignment_p`` for each covariate that was not declared as measured before treatment.

    H₀: the covariate has the same mean in both arms (with a dose: slope 0 on the dose). The test is that of
    `difference_in_means` (of `ols`) with the covariate in the outcome's place, by the classical variance: under H₀ a
    lot leaves both arms one spread, and Welch's t would find a rare trait in 14 % of lots of a tenth (this one in
    0.3 %, at p < 0.001). With weights HC2, with clusters CR2 with Bell & McCaffrey's degrees of freedom. A category has
    the smallest p of its levels times their number (Bonferroni). All columns together are adjusted by Holm's steps.

    Parameters
    ----------
    study : Study
    kind : str or None
        Of the treatment: ``binary``, ``continuous``, or None without one.
    p_values : callable
        From a term of one column to the p-values of its columns of numbers; raises Refusal where there are none.

    Returns
    -------
    list of DesignRow
        A column that cannot be tested has no value and a reason that begins with "not applicable"; the same of the
        subject ``covariates`` where there is nothing to test.

    Sources
    -------
    Student 1908; Bell & McCaffrey 2002; Holm 1979.
    """
    names = undeclared(study)
    if kind is None or not study.covariates:
        return [_row("covariates", None, "not applicable: a treatment and covariates are needed")]
    if not names:
        return [_row("covariates", None, "not applicable: the covariates were declared as measured before treatment")]
    found: dict[str, float] = {}
    rows = []
    for name in names:
        try:
            ps = p_values(_term(study, name))
            found[name] = min(1.0, len(ps) * min(ps))
        except Refusal as refusal:
            rows.append(_row(name, None, f"not applicable: {refusal.reason}"))
    adjusted = holm(list(found.values())) if found else []
    return [*(_row(name, p, _told(name, p)) for name, p in zip(found, adjusted, strict=True)), *rows]


def assigned(problem: Problem) -> list[DesignRow]:
    """`assignment_rows` of rows in memory."""
    kind = None if problem.study.treatment is None else problem.kind
    return assignment_rows(problem.study, kind, lambda term: _p_values(problem, term))


def _p_values(problem: Problem, term: str) -> list[float]:
    estimator = BY_NAME[estimator_of(problem.kind)]
    (part,) = parts_of(term)
    if part.kind == "category":
        check_levels(part.column, len(set(problem.columns[part.column].tolist())))
    columns = [values for values in problem.matrix((term,)).values.T if np.ptp(values) > 0]
    if not columns:
        raise never_varies(part.column)
    study = in_place(problem.study)
    own = dataclasses.replace(
        problem, study=study, estimator=estimator.name, specification="default",
        options=study.options_for(estimator.name), gaps=None, given=None,
    )  # fmt: skip
    out = []
    for values in columns:
        # Around its mean, so that a column near 1e9 keeps its digits; a constant moves no contrast.
        centred = {**problem.columns, COVARIATE: values - values.mean()}
        one = dataclasses.replace(own, columns=centred, cache={}, views={})
        out.append(p_of(estimator.load()(one, "ATE")))
    return out


def in_place(study: Study) -> Study:
    """The study with a covariate in the outcome's place, nothing adjusted for, by `assignment_rows`' variance."""
    is_plain = study.weight is None and study.cluster is None
    options = {name: {"variance": "classical"} for name in ("difference_in_means", "ols")} if is_plain else {}
    return dataclasses.replace(
        study, outcome=COVARIATE, covariates=(), benchmark_covariates=(), effect_modifiers=(), instruments=(),
        negative_control_exposures=(), negative_control_outcomes=(), secondary_outcomes=(), guardrails=(),
        options=options, specifications={}, folds=1, fold=None,
    )  # fmt: skip


def estimator_of(kind: str | None) -> str:
    """Whose test it is: that of two arms, or that of a dose."""
    return "difference_in_means" if kind == "binary" else "ols"


def p_of(result: Result) -> float:
    """The p-value of a contrast of a column that varies: where it does in no arm, the arms differ beyond chance."""
    p = result.estimates[0].p_value
    return 0.0 if p is None else p


def never_varies(name: str) -> Refusal:
    """A column without a variation has nothing to test."""
    return Refusal(f"'{name}' has one value in every row", "Drop it from the covariates")


def check_levels(name: str, levels: int) -> None:
    """Refuse a category of more than `MOST_LEVELS`."""
    if levels > MOST_LEVELS:
        raise Refusal(
            f"'{name}' has {levels} levels, and {MOST_LEVELS} are tested one by one", "Group them in the units"
        )


def _term(study: Study, name: str) -> str:
    """The column as a term: a number where any term of the study reads it as one, else a category."""
    kinds = {part.kind for term in study.terms() for part in parts_of(term) if part.column == name}
    return f"C(`{name}`)" if kinds == {"category"} else f"`{name}`"


def _told(name: str, p: float) -> str:
    if p < limit("covariate_assignment"):
        return f"'{name}' differs by arm more than chance (p = {p:.2g} after Holm): was it measured after treatment?"
    return f"'{name}' does not differ by arm more than chance (p = {p:.2g} after Holm)"


def _row(subject: str, value: float | None, reason: str) -> DesignRow:
    return DesignRow(None, METRIC, subject, value, reason)
