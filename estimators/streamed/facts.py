"""What the contracts ask of the units, by SQL: one aggregate of all columns, one of the keys."""

from __future__ import annotations

from collections.abc import Mapping

from ..contracts import ARMS_AT_MOST, ColumnFacts, Facts, needed_columns, roles
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
        asked += _asked(name, types[name])
    rows, nameless, *values = source.one(", ".join(asked))
    columns = {name: _facts(types[name], *values[3 * i : 3 * i + 3]) for i, name in enumerate(names)}
    distinct = source.one(f"count(distinct {keys})")[0] if rows else 0
    # A NULL unit is no value to count(distinct); it is one to the rows in memory.
    repeats = 0 if nameless else rows - distinct
    return Facts(rows, nameless, repeats, columns, _levels(source, study, columns))


def missing(name: str, types: Mapping[str, str]) -> str:
    """SQL that is true where a column has no value: NULL, or NaN."""
    null = f"{quoted(name)} is null"
    return f"({null} or isnan({quoted(name)}))" if types[name] in ("FLOAT", "DOUBLE") else f"({null})"


def complete(source: Source, study: Study, types: Mapping[str, str], found: Facts, for_keys: bool = False) -> Source:
    """The rows with a value in every column that the study needs; with ``for_keys``: in unit and running variable."""
    needed = [name for name in (study.unit, study.running) if name] if for_keys else needed_columns(study)
    gaps = [name for name in needed if name not in found.columns or found.columns[name].missing]
    for name in gaps:
        source = source.kept(f"not {missing(name, types)}")
    return source


def _asked(name: str, kind: str) -> list[str]:
    """Missing rows, an example or the largest absolute number, and how many are infinite."""
    null = f"count(*) filter (where {missing(name, {name: kind})})"
    if not is_number(kind):
        return [null, f"min({quoted(name)})::varchar", "0"]
    number = f"{quoted(name)}::double"
    if kind not in ("FLOAT", "DOUBLE"):
        return [null, f"max(abs({number}))", "0"]
    held = f"not isnan({number}) and not isinf({number})"
    return [null, f"max(abs({number})) filter (where {held})", f"count(*) filter (where isinf({number}))"]


def _facts(kind: str, null: int, value: object, infinite: int) -> ColumnFacts:
    if not is_number(kind):
        return ColumnFacts(null, repr(value), False, 0.0)
    largest = 0.0 if value is None else float(value)  # type: ignore[arg-type]
    if not is_fraction(kind) and largest > WHOLE:
        return ColumnFacts(null, repr(value), False, 0.0)
    return ColumnFacts(null, None, bool(infinite), largest)


def _levels(source: Source, study: Study, columns: Mapping[str, ColumnFacts]) -> tuple[float, ...]:
    if study.treatment is None or columns[study.treatment].text is not None:
        return ()
    number = f"{quoted(study.treatment)}::double"
    whole = source.kept(f"{number} is not null and not isnan({number})")
    listed = f"select distinct {number} as v from {whole.relation} where {whole.where} limit {ARMS_AT_MOST + 1}"
    found = source.connection.cursor().execute(listed).fetchall()
    return tuple(sorted(row[0] for row in found))
