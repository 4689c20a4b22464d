"""Terms of a declaration (``age``, ``age^2``, ``C(race)``, ``log(x)``, ``a:b``) as columns of numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from .bounds import LARGEST, SMALLEST

Columns = Mapping[str, np.ndarray]

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_POWER = re.compile(rf"^({_NAME})\^([1-9])$")
_CATEGORY = re.compile(rf"^C\(({_NAME})\)$")
_LOG = re.compile(rf"^log\(({_NAME})\)$")
_PLAIN = re.compile(rf"^{_NAME}$")


T = TypeVar("T")


@dataclass(frozen=True)
class Matrix:
    """Named columns: ``values`` has shape (n, k), ``names`` has k entries."""

    values: np.ndarray
    names: tuple[str, ...]


def columns_of(term: str) -> tuple[str, ...]:
    """The raw columns that a term reads.

    Raises
    ------
    ValueError
        If the text is not a term.
    """
    if ":" in term:
        return tuple(c for part in term.split(":") for c in columns_of(part.strip()))
    for pattern in (_POWER, _CATEGORY, _LOG):
        match = pattern.match(term)
        if match:
            return (match.group(1),)
    if _PLAIN.match(term):
        return (term,)
    raise ValueError(f"'{term}' is not a term; write name, name^2, C(name), log(name) or a:b")


def is_category(term: str) -> bool:
    """Whether the term is ``C(name)``."""
    return bool(_CATEGORY.match(term))


def numeric_columns_of(term: str) -> tuple[str, ...]:
    """The raw columns that a term reads as numbers: not those inside ``C(…)``."""
    parts = [part.strip() for part in term.split(":")]
    return tuple(c for part in parts if not is_category(part) for c in columns_of(part))


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
    if ":" in term:
        product = _product([expand(part.strip(), columns) for part in term.split(":")])
        for name, values in zip(product.names, product.values.T, strict=True):
            _check_size(name, values)
        return product
    (name,) = columns_of(term)
    values = columns[name]
    if is_category(term):
        return _indicators(name, values)
    if values.dtype == object:
        raise ValueError(f"column '{name}' holds text; declare it as C({name})")
    power = _POWER.match(term)
    with np.errstate(all="ignore"):
        if power:
            values = values ** int(power.group(2))
        elif _LOG.match(term):
            values = np.log(np.where(values > 0, values, np.where(np.isnan(values), np.nan, np.inf)))
    values = values.astype(float)
    if power or term != name:
        _check_size(term, values)
    return Matrix(values[:, None], (term,))


def _check_size(name: str, values: np.ndarray) -> None:
    size = np.abs(values)
    problem = out_of_bounds(name, int(np.isinf(size).sum()), int((size > LARGEST).sum()), float(size.max(initial=0.0)))
    if problem is not None:
        raise ValueError(problem)


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
