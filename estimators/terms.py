"""Terms of a declaration (``age``, ``age^2``, ``C(race)``, ``log(x)``, ``a:b``) as columns of numbers.

One rule, which macros/statistics/term_expressions.sql keeps to as well: a term is parts between colons, blanks around
a part do not count, and a part is ``name^1`` … ``name^9``, ``C(name)``, ``log(name)``, or else the name of a column,
whatever it holds: ``my col``, ``größe``, ``order``. A name that looks like one of these, or holds a colon, stands
between backticks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from .bounds import LARGEST, SMALLEST
from .errors import Told

Columns = Mapping[str, np.ndarray]

# A colon with an even number of backticks after it.
_BETWEEN = re.compile(r":(?=(?:[^`]*`[^`]*`)*[^`]*$)")
_FORMS = (
    ("power", re.compile(r"(?s)(.+)\^([1-9])")),
    ("category", re.compile(r"(?s)C\((.+)\)")),
    ("log", re.compile(r"(?s)log\((.+)\)")),
)


T = TypeVar("T")


@dataclass(frozen=True)
class Matrix:
    """Named columns: ``values`` has shape (n, k), ``names`` has k entries."""

    values: np.ndarray
    names: tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """One factor of a term.

    Attributes
    ----------
    kind : str
        ``number``, ``power``, ``category`` or ``log``.
    column : str
        The raw column that it reads.
    name : str
        What its column of numbers is called; a category's begin with ``column=``.
    power : int
    """

    kind: str
    column: str
    name: str
    power: int = 1


def parts_of(term: str) -> tuple[Part, ...]:
    """The factors of a term.

    Raises
    ------
    ValueError
        If a part is empty.
    """
    parts = [part.strip() for part in _BETWEEN.split(term)]
    if not all(parts):
        raise Told(f"'{term}' is not a term; write name, name^2, C(name), log(name) or a:b")
    return tuple(_part(text) for text in parts)


def _part(text: str) -> Part:
    for kind, pattern in _FORMS:
        match = pattern.fullmatch(text)
        if match:
            power = int(match.group(2)) if kind == "power" else 1
            return Part(kind, _unquoted(match.group(1)), text, power)
    return Part("number", _unquoted(text), _unquoted(text))


def _unquoted(name: str) -> str:
    name = name.strip()
    return name[1:-1] if len(name) > 2 and name[0] == name[-1] == "`" else name


def columns_of(term: str) -> tuple[str, ...]:
    """The raw columns that a term reads; ValueError if a part is empty."""
    return tuple(part.column for part in parts_of(term))


def is_category(term: str) -> bool:
    """Whether the term is ``C(name)``."""
    return [part.kind for part in parts_of(term)] == ["category"]


def numeric_columns_of(term: str) -> tuple[str, ...]:
    """The raw columns that a term reads as numbers: not those inside ``C(…)``."""
    return tuple(part.column for part in parts_of(term) if part.kind != "category")


def expand(term: str, columns: Columns) -> Matrix:
    """One term as numbers: a category gives an indicator a level, the first level in sort order left out.

    Parameters
    ----------
    term : str
    columns : mapping of name to ndarray of shape (n,)

    Returns
    -------
    Matrix

    Raises
    ------
    ValueError
        If the term is malformed, reads text as a number, has no finite number in some row (a logarithm of zero), or is
        out of bounds in size.
    KeyError
        If a column is absent.
    """
    parts = parts_of(term)
    product = _product([_numbers(part, columns) for part in parts])
    if len(parts) > 1:
        for name, values in zip(product.names, product.values.T, strict=True):
            _check_size(name, values)
    return product


def _numbers(part: Part, columns: Columns) -> Matrix:
    values = columns[part.column]
    if part.kind == "category":
        return _indicators(part.column, values)
    if values.dtype == object:
        raise Told(f"column '{part.column}' holds text; declare it as C({part.column})")
    with np.errstate(all="ignore"):
        if part.kind == "power":
            values = values**part.power
        elif part.kind == "log":
            values = np.log(np.where(values > 0, values, np.where(np.isnan(values), np.nan, np.inf)))
    values = values.astype(float, copy=False)
    if part.kind != "number":
        _check_size(part.name, values)
    return Matrix(values[:, None], (part.name,))


def _check_size(name: str, values: np.ndarray) -> None:
    size = np.abs(values)
    problem = out_of_bounds(name, int(np.isinf(size).sum()), int((size > LARGEST).sum()), float(size.max(initial=0.0)))
    if problem is not None:
        raise Told(problem)


def out_of_bounds(name: str, infinite: int, large: int, largest: float | None) -> str | None:
    """What is wrong with the size of a term's values (see `estimators.bounds`); None if nothing.

    Parameters
    ----------
    name : str
    infinite, large : int
        Rows without a finite number, and rows beyond 1e150 (the infinite among them).
    largest : float or None
        The largest size.
    """
    if infinite:
        return f"'{name}' is not a finite number in {infinite} rows"
    if large:
        return f"'{name}' is beyond {LARGEST:g} in {large} rows"
    if largest is not None and 0 < largest < SMALLEST:
        return f"'{name}' holds no number of {SMALLEST:g} or more in size"
    return None


def _indicators(name: str, values: np.ndarray) -> Matrix:
    levels = np.array(sorted(set(values.tolist())), dtype=values.dtype)[1:]
    matrix = (values[:, None] == levels[None, :]).astype(float)
    return Matrix(matrix, tuple(f"{name}={_level(level)}" for level in levels))


def _level(level: object) -> str:
    return str(int(level)) if isinstance(level, float) and level.is_integer() else str(level)


def _product(parts: list[Matrix]) -> Matrix:
    out = parts[0]
    for part in parts[1:]:
        values = (out.values[:, :, None] * part.values[:, None, :]).reshape(len(out.values), -1)
        out = Matrix(values, tuple(f"{a}:{b}" for a in out.names for b in part.names))
    return out


def matrix(terms: Iterable[str], columns: Columns, n: int) -> Matrix:
    """All terms side by side; no terms give a matrix of shape (n, 0)."""
    parts = [expand(term, columns) for term in terms]
    if not parts:
        return Matrix(np.empty((n, 0)), ())
    return Matrix(np.hstack([p.values for p in parts]), tuple(name for p in parts for name in p.names))


def unique(items: Iterable[T], key: Callable[[T], object] = lambda x: x) -> list[T]:
    """Items in their first order, without repeats."""
    seen: dict[object, T] = {}
    for item in items:
        seen.setdefault(key(item), item)
    return list(seen.values())
