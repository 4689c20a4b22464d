"""What the contracts ask of the units, by SQL: one aggregate of all columns, one of the keys."""

from __future__ import annotations

from collections.abc import Mapping

from ..contracts import ARMS_AT_MOST, ColumnFacts, Facts, needed_columns, roles, target_gaps
from ..scan.columns import is_fraction, is_number
from ..scan.stream import Source, quoted
from ..study import Study

# Whole numbers beyond it are text to the estimators: float64 does not hold them.
WHOLE = 2**53


def facts(source: Source, study: Study, types: Mapping[str, str]) -> Facts:
    """The facts of rows in DuckDB, as `estimators.contracts.facts_of` has them of rows in memory."""
    unit = quoted(study.unit)
    keys = unit if not study.time else f"({unit}, {quoted(study.time)})"
    names = list(dict.fromkeys(name for _, name, _ in roles(study)))
    asked = ["count(*)", f"count(*) filter (where {missing(study.unit, types)})"]
    for name in names:
        asked += _asked(name, types[name], unit, gap(name, study, types))
    rows, nameless, *values = source.one(", ".join(asked))
    columns = {name: _facts(types[name], *values[3 * i : 3 * i + 3]) for i, name in enumerate(names)}
    distinct = source.one(f"count(distinct {keys})")[0] if rows else 0
    # A NULL unit is no value to count(distinct); it is one to the rows in memory.
    repeats = 0 if nameless else rows - distinct
    levels, samples = (_levels(source, name, columns) for name in (study.treatment, study.sample))
    return Facts(rows, nameless, repeats, columns, levels, samples)


def missing(name: str, types: Mapping[str, str]) -> str:
    """SQL that is true where a column has no value: NULL, or NaN."""
    null = f"{quoted(name)} is null"
    return f"({null} or isnan({quoted(name)}))" if types[name] in ("FLOAT", "DOUBLE") else f"({null})"


def gap(name: str, study: Study, types: Mapping[str, str]) -> str:
    """SQL that is true where a row lacks a value that it needs: units of a target population need no outcome."""
    if name in target_gaps(study):
        return f"({missing(name, types)} and {quoted(str(study.sample))} is distinct from 0)"
    return missing(name, types)


def complete(source: Source, study: Study, types: Mapping[str, str], found: Facts, for_keys: bool = False) -> Source:
    """The rows with a value in every column that the study needs; with ``for_keys``: in unit and running variable."""
    needed = [name for name in (study.unit, study.running) if name] if for_keys else needed_columns(study)
    gaps = [name for name in needed if name not in found.columns or found.columns[name].missing]
    for name in gaps:
        source = source.kept(f"not {gap(name, study, types)}")
    return source


def _asked(name: str, kind: str, unit: str, lacking: str) -> list[str]:
    """Missing rows; the largest absolute number; how many are infinite, or the first unit's value as an example."""
    null = f"count(*) filter (where {lacking})"
    number, example = f"{quoted(name)}::double", f"arg_min({quoted(name)}::varchar, {unit})"
    if not is_number(kind):
        return [null, "0", example]
    if kind not in ("FLOAT", "DOUBLE"):
        return [null, f"max(abs({number}))", example]
    held = f"not isnan({number}) and not isinf({number})"
    return [null, f"max(abs({number})) filter (where {held})", f"count(*) filter (where isinf({number}))"]


def _facts(kind: str, null: int, largest: float | None, other: object) -> ColumnFacts:
    largest = float(largest or 0.0)
    if not is_number(kind) or (not is_fraction(kind) and largest > WHOLE):
        return ColumnFacts(null, repr(other), False, 0.0)
    return ColumnFacts(null, None, kind in ("FLOAT", "DOUBLE") and bool(other), largest)


def _levels(source: Source, name: str | None, columns: Mapping[str, ColumnFacts]) -> tuple[float, ...]:
    if name is None or columns[name].text is not None:
        return ()
    number = f"{quoted(name)}::double"
    whole = source.kept(f"{number} is not null and not isnan({number})")
    listed = f"select distinct {number} as v from {whole.relation} where {whole.where} limit {ARMS_AT_MOST + 1}"
    found = source.connection.cursor().execute(listed).fetchall()
    return tuple(sorted(row[0] for row in found))
