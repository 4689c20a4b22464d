"""What the contracts ask of the units, by SQL: one aggregate of all columns, one of the keys."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..contracts import ARMS_AT_MOST, ColumnFacts, Facts, needed_columns, no_weight, roles, target_gaps
from ..scan.columns import is_fraction, is_number
from ..scan.stream import Source, quoted
from ..study import Study
from .keys import distinct_keys

# Whole numbers beyond it are text to the estimators: float64 does not hold them.
WHOLE = 2**53


def facts(source: Source, study: Study, types: Mapping[str, str]) -> Facts:
    """The facts of rows in DuckDB, as `estimators.contracts.facts_of` has them of rows in memory."""
    names = list(dict.fromkeys(name for _, name, _ in roles(study)))
    rows, nameless, *values = source.one(", ".join([
        "count(*)", f"count(*) filter (where {missing(study.unit, types)})",
        *(sql for name in names for sql in _asked(name, study, types)),
    ]))  # fmt: skip
    columns = {name: _facts(types[name], rows - held, largest) for name, held, largest in _pairs(names, values)}
    columns |= _with_gaps(source, study, types, [name for name in names if _is_unclear(name, columns[name], study)])
    columns |= _with_examples(source, study, columns)
    # A row without a period is told as that, and repeats no other.
    late = study.time is not None and columns[study.time].missing > 0
    whole = source.kept(f"not {missing(str(study.time), types)}") if late else source
    timed = rows - columns[str(study.time)].missing if late else rows
    keys = [study.unit, *([study.time] if study.time else [])]
    distinct = distinct_keys(whole, keys, types, timed) if timed else 0
    # A NULL unit is no value to count(distinct); it is one to the rows in memory.
    repeats = 0 if nameless else timed - distinct
    levels, samples = (_levels(source, name, columns) for name in (study.treatment, study.sample))
    return Facts(rows, nameless, repeats, columns, levels, samples)


def weighing(study: Study, source: Source, types: Mapping[str, str]) -> tuple[Source, int]:
    """The rows whose declared weight is not zero, and how many have that: `estimators.contracts.weighing` by SQL."""
    if study.weight is None or not is_number(types[study.weight]):
        return source, 0
    weight = f"{quoted(study.weight)}::double"
    rows, weightless = source.one(f"count(*), count(*) filter (where {weight} = 0)")
    if not weightless:
        return source, 0
    if rows == weightless:
        raise no_weight(study)
    return source.kept(f"coalesce({weight}, 1) <> 0"), weightless


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
    # Units without a name have been refused, and a source that lacks nothing is not counted again.
    named = found.columns if found.nameless else {study.unit: ColumnFacts(0, None, False, 0.0), **found.columns}
    gaps = [name for name in needed if name not in named or named[name].missing]
    for name in gaps:
        source = source.kept(f"not {gap(name, study, types)}")
    return source


def _asked(name: str, study: Study, types: Mapping[str, str]) -> list[str]:
    """How many values are no NULL, and the largest absolute number, which is NaN or infinite where one value is."""
    held = f"count({quoted(name)})"
    return [held, f"max(abs({quoted(name)}::double))" if is_number(types[name]) else "0"]


def _pairs(names: Sequence[str], values: Sequence[Any]) -> Iterator[tuple[str, int, float | None]]:
    return zip(names, values[::2], values[1::2], strict=True)


def _facts(kind: str, null: int, largest: float | None, infinite: int = 0) -> ColumnFacts:
    largest = float(largest or 0.0)
    # A DECIMAL without places holds whole numbers.
    is_whole = not is_fraction(kind) or kind.endswith(",0)")
    if not is_number(kind) or (is_whole and largest > WHOLE):
        return ColumnFacts(null, "''", False, 0.0)
    return ColumnFacts(null, None, bool(infinite), largest)


def _is_unclear(name: str, found: ColumnFacts, study: Study) -> bool:
    """Whether the cheap answer does not do: a NaN or an infinity is there, or only some rows' NULLs count."""
    return not math.isfinite(found.largest) or name in target_gaps(study)


def _with_gaps(source: Source, study: Study, types: Mapping[str, str], names: Sequence[str]) -> dict[str, ColumnFacts]:
    """The exact facts of some columns, by conditions on each row: six times the cost, so not asked of sound columns."""
    if not names:
        return {}
    asked: list[str] = []
    for name in names:
        number = f"{quoted(name)}::double" if is_number(types[name]) else "0::double"
        asked += [
            f"count(*) filter (where {gap(name, study, types)})",
            f"max(abs({number})) filter (where not isnan({number}) and not isinf({number}))",
            f"count(*) filter (where isinf({number}))",
        ]
    values = source.one(", ".join(asked))
    return {name: _facts(types[name], *values[3 * i : 3 * i + 3]) for i, name in enumerate(names)}


def _with_examples(source: Source, study: Study, columns: Mapping[str, ColumnFacts]) -> dict[str, ColumnFacts]:
    """The columns of text with the first unit's value: a query that a study of numbers does not need."""
    text = {name: column for name, column in columns.items() if column.text is not None}
    if not text:
        return {}
    found = source.one(", ".join(f"arg_min({quoted(name)}::varchar, {quoted(study.unit)})" for name in text))
    return {
        name: dataclasses.replace(column, text=repr(value))
        for (name, column), value in zip(text.items(), found, strict=True)
    }


def _levels(source: Source, name: str | None, columns: Mapping[str, ColumnFacts]) -> tuple[float, ...]:
    if name is None or columns[name].text is not None:
        return ()
    number = f"{quoted(name)}::double"
    whole = source.kept(f"{number} is not null and not isnan({number})")
    found = whole.rows(whole.sql(f"distinct {number} as v") + f" limit {ARMS_AT_MOST + 1}")
    return tuple(sorted(row[0] for row in found))
