"""Does a covariate of a streamed experiment differ by arm more than chance?"""

from __future__ import annotations

import dataclasses
import math

from ..errors import Refusal
from ..estimates import made
from ..experiments.assignment import (
    COVARIATE,
    assignment_rows,
    check_levels,
    estimator_of,
    in_place,
    never_varies,
    p_of,
)
from ..registry import BY_NAME
from ..result import DesignRow, Result
from ..scan import moments_scan
from ..scan.stream import Column, Plan, Source, quoted
from ..terms import parts_of
from .problem import Streamed


def assigned(problem: Streamed) -> list[DesignRow]:
    """The rows of `estimators.experiments.assignment.assigned`: a scan a covariate; two a column with clusters."""
    kind = None if problem.study.treatment is None else problem.kind
    return assignment_rows(problem.study, kind, lambda term: _p_values(problem, term))


def _p_values(problem: Streamed, term: str) -> list[float]:
    study, columns = problem.study, problem.columns((term,))
    (part,) = parts_of(term)
    if part.kind == "category":
        check_levels(part.column, len(columns) + 1)
    if problem.kind == "binary" and study.weight is None and study.cluster is None:
        return _of_arms(problem, part.column, columns)
    return [p_of(_in_place(problem, column, term)) for column in columns]


def _of_arms(problem: Streamed, name: str, columns: tuple[Column, ...]) -> list[float]:
    """Student's t of each column from the moments of the arms."""
    moments = moments_scan.scan(problem.source, Plan(columns, group=problem.treated(), n_groups=2)).moments
    sizes = [int(rows) for rows in moments.rows]
    if min(sizes) < 2:
        raise Refusal(f"an arm has {min(sizes)} units", "Keep two units an arm")
    arms = [moments.only(arm) for arm in (0, 1)]
    # In the scan's own units: a column near 1e9 keeps its digits.
    low, high = (arm.total()[0, 1:] / arm.total()[0, 0] for arm in arms)
    differences, df = moments.scale * (high - low), sum(sizes) - 2
    out = []
    for j in range(len(columns)):
        squares = sum(float(arm.covariance()[j, j]) * n for arm, n in zip(arms, sizes, strict=True))
        difference = float(differences[j])
        if squares > 0 or difference != 0:
            error = math.sqrt(squares / df * (1 / sizes[0] + 1 / sizes[1]))
            out.append(p_of(Result((made("ATE", difference, error, df),))))
    if not out:
        raise never_varies(name)
    return out


def _in_place(problem: Streamed, column: Column, name: str) -> Result:
    """The estimate with one column in the outcome's place."""
    low, high = problem.source.one(f"min({column.sql}), max({column.sql})")
    if low == high:
        raise never_varies(name)
    estimator, study = BY_NAME[estimator_of(problem.kind)], in_place(problem.study)
    source = _beside(problem, column)
    one = dataclasses.replace(
        problem, study=study, estimator=estimator.name, specification="default",
        options=study.options_for(estimator.name), source=source,
        types={**problem.types, COVARIATE: "DOUBLE"}, cache={}, views={}, given=None, alone=True,
    )  # fmt: skip
    return estimator.load_streamed()(one, "ATE")


def _beside(problem: Streamed, column: Column) -> Source:
    """The rows with the column under the name of `COVARIATE`."""
    source = problem.source
    relation = f"({source.sql(f'*, {column.sql} as {quoted(COVARIATE)}')}) as cqox_rows"
    connection = source.connection
    if source.engine is not None:
        connection = dataclasses.replace(connection, types={**connection.types, COVARIATE: "DOUBLE"})
    return dataclasses.replace(source, connection=connection, relation=relation, where="")
