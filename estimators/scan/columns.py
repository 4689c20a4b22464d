"""Terms, folds and clusters of a study as SQL, named and numbered as the in-memory estimators do."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ..errors import Refusal
from ..folds import LONGEST
from ..terms import Part, parts_of
from .stream import Column, Source, quoted

_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
            "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL", "BOOLEAN")  # fmt: skip
_FRACTIONS = ("FLOAT", "DOUBLE", "DECIMAL")


def columns(source: Source, terms: tuple[str, ...]) -> tuple[Column, ...]:
    """Columns of numbers for the terms, as `estimators.terms.expand` names them.

    A category gives an indicator a level, the first level in sort order left out. Its levels cost one query, which
    should see complete rows only (see `stream.complete`), as a level that no complete row has would be a zero column.

    Raises
    ------
    Refusal
        If a term reads text as a number.
    ValueError
        If the text is not a term.
    """
    types = source.types()
    names = sorted({part.column for term in terms for part in parts_of(term) if part.kind == "category"})
    levels = _levels(source, names, types)
    return tuple(column for term in terms for column in _product([_one(p, types, levels) for p in parts_of(term)]))


def is_number(kind: str) -> bool:
    """Whether a DuckDB type holds numbers (booleans too)."""
    return kind.startswith(_NUMBERS) and not kind.endswith("]")


def is_fraction(kind: str) -> bool:
    """Whether a DuckDB type holds fractions."""
    return kind.startswith(_FRACTIONS)


def _one(part: Part, types: dict[str, str], levels: dict[str, list[Any]]) -> list[Column]:
    name = part.column
    if part.kind == "category":
        kept = levels[name][1:]
        return [Column(f"{name}={shown(level)}", f"({quoted(name)} = {literal(level)})::double") for level in kept]
    if not is_number(types[name]):
        raise Refusal(f"column '{name}' holds text", f"Declare it as C({name})")
    number = f"{quoted(name)}::double"
    if part.kind == "power":
        return [Column(part.name, f"({number} * {number})" if part.power == 2 else f"pow({number}, {part.power})")]
    if part.kind == "log":
        # DuckDB stops at the logarithm of zero; an infinity is refused by name later.
        safe = f"case when {number} > 0 then ln({number}) when {number} <= 0 then 'infinity'::double end"
        return [Column(part.name, f"({safe})")]
    return [Column(part.name, number)]


def _product(parts: list[list[Column]]) -> list[Column]:
    out = parts[0]
    for part in parts[1:]:
        out = [Column(f"{a.name}:{b.name}", f"({a.sql} * {b.sql})") for a in out for b in part]
    return out


def _levels(source: Source, names: list[str], types: dict[str, str]) -> dict[str, list[Any]]:
    if not names:
        return {}
    row = source.one(", ".join(f"list(distinct {_level_sql(name, types[name])})" for name in names))
    found = {name: [v for v in values or [] if v is not None] for name, values in zip(names, row, strict=True)}
    return {name: sorted(values, key=_key(values)) for name, values in found.items()}


def _level_sql(name: str, kind: str) -> str:
    if kind == "BOOLEAN":
        return f"{quoted(name)}::tinyint"
    return quoted(name) if is_number(kind) else f"{quoted(name)}::varchar"


def _key(values: list[Any]) -> Any:
    """Whole numbers that float64 cannot hold are text to the in-memory estimators, and sorted so."""
    return str if any(isinstance(v, int) and abs(v) > 2**53 for v in values) else None


def literal(value: Any) -> str:
    """A number or text as SQL."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value) if isinstance(value, float) else str(value)


def shown(level: Any) -> str:
    """A level as part of a column's name."""
    if isinstance(level, (float, Decimal)):
        return str(int(level)) if level == int(level) else str(float(level))
    return str(level)


def fold(key: str, kind: str, n_folds: int, seed: int) -> str:
    """SQL of the fold of a unit (or cluster): equal to `estimators.folds.md5_folds`.

    The first 32 bits of md5(``key:seed``), modulo ``n_folds``. ``md5_number`` has the digest's first byte lowest,
    and is 1.7 times as fast as cutting the hexadecimal text.

    Parameters
    ----------
    key : str
        Column of the unit or cluster.
    kind : str
        Its DuckDB type.
    """
    name = quoted(key)
    text = f"{name}::varchar"
    if kind.startswith(_FRACTIONS):
        whole = f"{name} = trunc({name}) and abs({name}) < {LONGEST:g}"
        text = f"case when {whole} then {name}::hugeint::varchar else {name}::varchar end"
    low = f"(md5_number(({text}) || ':{seed}') & 4294967295)::bigint"
    swapped = " | ".join(f"((({low} >> {8 * i}) & 255) << {24 - 8 * i})" for i in range(4))
    return f"(({swapped}) % {n_folds})"


def cluster_key(name: str, kind: str) -> str:
    """SQL of a BIGINT that tells clusters apart: whole numbers as they are, everything else by DuckDB's 64-bit hash."""
    if kind in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "BOOLEAN"):
        return f"{quoted(name)}::bigint"
    return f"(hash({quoted(name)}) & 9223372036854775807)::bigint"


def cluster_keys(source: Source, name: str, kind: str) -> Any:
    """The sorted keys of all clusters: ndarray of shape (G,), int64.

    Raises
    ------
    Refusal
        If two labels share a hash (one chance in 10⁷ with a million labels).
    """
    import numpy as np

    key = cluster_key(name, kind)
    found = source.rows(source.sql(f"distinct {key} as k"))
    keys = np.sort(np.array([k for (k,) in found], dtype=np.int64))
    if "hash(" in key and source.one(f"count(distinct {quoted(name)})")[0] != len(keys):
        raise Refusal(f"two labels of '{name}' share a hash", "Number the clusters in staging")
    return keys
