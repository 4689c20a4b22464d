"""What `panel.cohorts` asks of a panel's rows, of rows that stream."""

from __future__ import annotations

import numpy as np

from ..contracts import needed_columns
from ..errors import Refusal
from ..panel.cohorts import check_one_cluster, check_periods, contradiction, left_out_words
from ..scan.stream import quoted
from .problem import Streamed


def check_cohorts_streamed(problem: Streamed, periods: np.ndarray, cohorts: np.ndarray) -> None:
    """`panel.cohorts.check_first`: cohorts are periods, and a binary treatment is on exactly from them on.

    Raises
    ------
    Refusal
    """
    study, source = problem.study, problem.source
    first, last = float(periods[0]), float(periods[-1])
    try:
        check_periods(str(study.cohort), cohorts, first, last)
    except Refusal:
        if study.cluster is not None:
            g, k = quoted(str(study.cohort)), quoted(study.cluster)
            inside = f"{g} > {first!r} and {g} <= {last!r}"
            treated, clusters = source.one(f"count(distinct {k}) filter (where {inside}), count(distinct {k})")
            check_one_cluster(study.cluster, treated, clusters)
        raise
    if study.treatment is None or problem.kind != "binary":
        return
    t, time, g = (f"{quoted(str(name))}::double" for name in (study.treatment, study.time, study.cohort))
    on = f"case when {g} is null or isnan({g}) then 0 else ({time} >= {g})::int end"
    wrong = f"{t} <> {on}"
    rows = source.one(f"count(*) filter (where {wrong})")[0]
    if rows:
        unit, when, own, treatment = source.kept(wrong).one(
            ", ".join(f"arg_min({each}, ({quoted(study.unit)}, {time}))" for each in (quoted(study.unit), time, g, t))
        )
        raise contradiction(study, rows, _label(unit), when, np.nan if own is None else own, treatment)


def never_left_out_streamed(problem: Streamed, periods: int) -> str:
    """`panel.cohorts.never_left_out`: one query of the rows as they were given."""
    study, given = problem.study, problem.given
    assert given is not None
    assert study.cohort is not None
    source, facts = given
    own = [name for name in needed_columns(study) if name in facts.columns and facts.columns[name].missing]
    gaps = {name: _gap(name, problem.types[name]) for name in own}
    whole = " and ".join(f"not ({gap})" for gap in gaps.values()) or "true"
    never = _gap(study.cohort, problem.types[study.cohort])
    sums = "".join(f", count(*) filter (where {gap}) as n{j}" for j, gap in enumerate(gaps.values()))
    by_unit = f"select count(*) filter (where {whole}) as seen{sums} from {source.relation} where {never}"
    by_unit += f" and {source.where}" if source.where else ""
    by_unit += f" group by {quoted(study.unit)}"
    totals = "".join(f", coalesce(sum(n{j}), 0)" for j in range(len(gaps)))
    units, *counts = source.rows(f"select count(*){totals} from ({by_unit}) where seen < {periods}")[0]
    nulls = {name: int(count) for name, count in zip(gaps, counts, strict=True) if count}
    return left_out_words(units, nulls) if units else ""


def _gap(name: str, kind: str) -> str:
    from ..scan.columns import is_number

    column = quoted(name)
    return f"({column} is null or isnan({column}::double))" if is_number(kind) else f"({column} is null)"


def _label(unit: object) -> object:
    return int(unit) if isinstance(unit, float) and unit.is_integer() else unit
