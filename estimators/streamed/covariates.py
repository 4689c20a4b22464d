"""Rows ``smd`` and ``vif`` of a study whose units stay in the warehouse."""

from __future__ import annotations

from typing import Any

from ..covariates import Weighting, check_width, rows_of, weightings_of, without
from ..errors import Refusal
from ..result import DesignRow
from ..scan import columns as scan_columns
from ..scan import queries
from ..scan.covariates import CovariateSums, add_up
from ..scan.stream import Column, Plan, Source, blocks, quoted
from ..scores import weight_column
from ..terms import columns_of, unique
from .facts import missing
from .problem import Streamed, rows_read


def covariate_design(problem: Streamed, scores: Any = None) -> list[DesignRow]:
    """The rows of `estimators.covariates.covariate_design`, by one scan of the units beside their scores.

    Parameters
    ----------
    problem : Streamed
    scores : DuckDB relation on the problem's connection, Arrow table, Spark DataFrame or Ibis table, optional
    """
    study = problem.study
    if study.treatment is None or not study.covariates:
        return []
    kind, weightings = problem.kind, weightings_of(scores)
    try:
        source = _with_covariates(problem)
        columns = _columns(problem, source)
        if source.engine is not None:
            from ..engines.covariates import engine_sums

            return rows_of(study, kind, weightings, engine_sums(problem, source, columns, scores, weightings), scores)
        return rows_of(study, kind, weightings, _sums(problem, source, columns, scores, weightings), scores)
    except Refusal as refusal:
        return without(study, kind, weightings, refusal)


def _with_covariates(problem: Streamed) -> Source:
    """One row a unit, of those with a value in treatment and covariates, whether or not they have an outcome."""
    study, given = problem.study, problem.source if problem.given is None else problem.given[0]
    source = rows_read(given, study, "rows")
    for name in unique([str(study.treatment), *(name for term in study.covariates for name in columns_of(term))]):
        source = source.kept(f"not {missing(name, problem.types)}")
    return source


def _columns(problem: Streamed, source: Source) -> tuple[Column, ...]:
    """The covariates' columns, once each, and the treatment; refuses a term that is not finite in some row."""
    study = problem.study
    try:
        found = unique(scan_columns.columns(source, study.covariates), key=lambda column: column.name)
    except ValueError as bad:
        raise Refusal(str(bad), "Mend the term or the column") from None
    check_width(len(found))
    derived = [column for column in found if "pow(" in column.sql or "*" in column.sql or "case " in column.sql]
    if derived:
        counts = source.one(", ".join(f"count(*) filter (where isinf({column.sql}))" for column in derived))
        for column, rows in zip(derived, counts, strict=True):
            if rows:
                raise Refusal(f"'{column.name}' is not a finite number in {rows} rows", "Mend the term or the column")
    return (*found, Column(str(study.treatment), f"{quoted(str(study.treatment))}::double"))


def _sums(
    problem: Streamed, source: Source, columns: tuple[Column, ...], scores: Any, weightings: list[Weighting]
) -> CovariateSums:
    names = tuple(column.name for column in columns)
    weights: list[Column] = []
    if problem.kind == "binary":
        weights, source = _weighted(problem, source, scores, weightings)
    plan = Plan((*columns, *weights))
    return add_up(blocks(source, plan), names, len(weights), plan.rows())


def _weighted(
    problem: Streamed, source: Source, scores: Any, weightings: list[Weighting]
) -> tuple[list[Column], Source]:
    """The sets of weights, and the units beside them; a weight that is NULL is zero."""
    if scores is None:
        return [Column("w0", "1::double")], source
    held, kind = _relation(problem, scores)
    weights = [Column(f"w{j}", f"coalesce(cqox_w{j}, 0)") for j in range(len(weightings))]
    return weights, _beside(problem, source, held, kind, weightings)


def _beside(problem: Streamed, source: Source, scores: str, kind: str, weightings: list[Weighting]) -> Source:
    """The units with ``cqox_w0`` (1 where a unit has a score) and its weights ``cqox_w1`` …"""
    unit = problem.study.unit
    own, theirs = f"units.{quoted(unit)}", "scores.unit_id"
    if scan_columns.is_number(problem.types[unit]) != scan_columns.is_number(kind):
        own, theirs = f"{own}::varchar", f"{theirs}::varchar"
    listed = ["1::double as cqox_w0"]
    for j, (estimator, estimand) in enumerate(weightings[1:], start=1):
        listed.append(f"{weight_column(str(estimator), str(estimand))}::double as cqox_w{j}")
    inner = f"select unit_id, {', '.join(listed)} from {scores}"
    named = ", ".join(f"scores.cqox_w{j}" for j in range(len(weightings)))
    units = f"({source.sql('*')}) as units"
    relation = f"(select units.*, {named} from {units} left join ({inner}) as scores on {own} = {theirs})"
    return Source(source.connection, relation)


def _relation(problem: Streamed, scores: Any) -> tuple[str, str]:
    """What stands after FROM for the scores, and the type of their unit."""
    import pyarrow as pa

    connection = problem.source.connection
    if isinstance(scores, pa.Table):
        from .matching_tables import Scratch

        scratch = problem.cache.setdefault("scores", Scratch(connection))
        # this frame holds the table for as long as the statement runs
        queries.run(connection, f"create or replace table {scratch.table('scores')} as select * from handed", scores)
        held = scratch.table("scores")
    else:
        held = f"({scores.sql_query()})"
    ((kind,),) = queries.rows(connection, f"select any_value(typeof(unit_id)) from {held} as s")
    return held, kind or "VARCHAR"
