"""A study's units as what its estimators are handed: rows in memory, or a stream above the study's row budget."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from . import contracts, identities, warehouse
from .calendar import counted, counted_source
from .problem import Problem
from .study import Study
from .warehouse import Columns

# What a row_budget of 200,000 rows of 30 columns comes to.
NUMBERS_HELD = 6_000_000


def assemble(
    study: Study, units: Any, session: Any = None, for_design: bool = False, edges: Any = None
) -> tuple[Any, int]:
    """The study with its checked, complete rows, and how many rows were left out for missing values.

    Parameters
    ----------
    study : Study
    units : duckdb relation, Spark DataFrame, Ibis table, Arrow table or mapping of arrays
    session : DuckDB connection, optional
        On which a DuckDB relation can be read again; without it its rows are held in memory.
    for_design : bool
        Keep the rows that only lack an outcome: a density test must see every unit near the cutoff.
    edges : relation, Arrow table or mapping, optional
        The network of a study with the role ``edges``: columns source and target.

    Returns
    -------
    Problem or Streamed, and int
        Streamed where the units have more rows than the study's ``row_budget``.

    Raises
    ------
    StudyError
        If the units break a contract.
    """
    by_running = for_design and study.design == "rd" and study.running is not None
    source = _warehouse(units, session, study, _budget(study, for_design))
    if source is not None:
        return _streamed(study, source, by_running)
    types = warehouse.types_of(units)
    contracts.check_types(study, types)
    keys = [study.unit] + ([study.time] if study.time else [])
    columns = warehouse.read(units, study.columns(), keys, study.name)
    study, columns = counted(study, columns, types)
    network = None if study.edges is None or edges is None else warehouse.read_edges(edges, study.name)
    return held(study, columns, by_running, network)


def held(study: Study, every: Columns, by_running: bool = False, edges: Columns | None = None) -> tuple[Problem, int]:
    """The same of rows in memory: those of weight zero left out, checked, those that lack a value left out, counted."""
    idle = contracts.idle(study, every)
    every, weightless = contracts.weighing(study, every)
    contracts.check(study, every, idle)
    needed = [study.unit, study.running] if by_running and study.running else None
    columns, dropped = contracts.complete_rows(study, every, needed)
    contracts.check(study, columns, idle)
    identities.check(study, columns)
    gaps = contracts.rows_with_gaps(study, every) if dropped and study.time else None
    if study.time and study.cross_section is not None:
        contracts.check_cross_section(study, bool((columns[study.time] == study.cross_section).any()))
    first = study.decision.primary
    options = study.options_for(first)
    problem = Problem(
        study, first, "default", options, columns, edges=edges, gaps=gaps, given=every, weightless=weightless, idle=idle
    )
    return problem, dropped


def _budget(study: Study, for_design: bool) -> int:
    """The rows that are held: of wide units fewer for a design table, whose sums need none of them."""
    if not for_design or study.design == "synthetic_control":  # whose fit is not streamed
        return study.row_budget
    return min(study.row_budget, NUMBERS_HELD // len(study.columns()))


def _warehouse(units: Any, session: Any, study: Study, budget: int) -> Any:
    """The rows as a source of streams (of sums, on another engine) where they are more than the budget; else None."""
    from .scan.stream import Source

    source = warehouse.source(units, study.name)
    if source is not None:
        return source if source.one("count(*)")[0] > budget else None
    if isinstance(units, (Mapping, pa.Table)):
        rows = len(units) if isinstance(units, pa.Table) else max((len(v) for v in units.values()), default=0)
        if rows <= budget:
            return None
        import duckdb

        connection = duckdb.connect()
        given = units if isinstance(units, pa.Table) else warehouse.as_table(units, list(units), study.name)
        # The table's memory may be NumPy's, and is not copied, as it is large. DuckDB's threads never free it: this
        # frame holds it for as long as the statement runs, which ends with all of their work done.
        connection.register("given", given)
        connection.execute("create table units as select * from given")
        connection.unregister("given")
        return Source.of(connection, "units")
    if session is None or units.aggregate("count(*)").fetchall()[0][0] <= budget:
        return None
    return Source.of(session, units)


def _streamed(study: Study, source: Any, by_running: bool) -> tuple[Any, int]:
    from .streamed.facts import facts, weighing

    types = source.types()
    warehouse.check_columns(study.columns(), list(types), study.name)
    contracts.check_types(study, types)
    study, source, types = counted_source(study, source, types)
    source, weightless = weighing(study, source, types)
    problem, dropped = streamed(study, source, types, facts(source, study, types), by_running)
    return dataclasses.replace(problem, weightless=weightless), dropped


def streamed(
    study: Study, source: Any, types: Mapping[str, str], all_rows: contracts.Facts, by_running: bool = False
) -> tuple[Any, int]:
    """The same of rows in the warehouse, whose facts are known."""
    from .engines.problem import Elsewhere
    from .scan.stream import quoted
    from .streamed.facts import complete, facts
    from .streamed.identities import check as check_identities
    from .streamed.problem import Streamed

    contracts.check_facts(study, all_rows)
    whole = complete(source, study, types, all_rows, by_running)
    kept = all_rows if whole is source else facts(whole, study, types)
    if not kept.rows:
        raise contracts.nothing_left(study)
    contracts.check_facts(study, kept)
    check_identities(whole, study, types, kept)
    if study.time and study.cross_section is not None:
        rows = whole.one(f"count(*) filter (where {quoted(study.time)} = {study.cross_section!r})")[0]
        contracts.check_cross_section(study, rows > 0)
    first = study.decision.primary
    kind = Streamed if source.engine is None else Elsewhere
    problem = kind(study, first, "default", study.options_for(first), whole, types, kept, given=(source, all_rows))
    return problem, all_rows.rows - kept.rows


def scanned_hash(source: Any, columns: list[str]) -> str:
    """SHA-256 of the columns' names and of sums of DuckDB's hashes of the rows, so their order does not matter."""
    from .scan.stream import quoted

    names = sorted(columns)
    listed = ", ".join(quoted(name) for name in names)
    rows, total, mixed = source.one(f"count(*), sum(hash({listed})::hugeint), bit_xor(hash({listed}))")
    return hashlib.sha256("\x1f".join([*names, str(rows), str(total), str(mixed)]).encode()).hexdigest()
