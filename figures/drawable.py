"""Rows as figures take them: what cannot be drawn is absent, so that no figure needs to ask.

Tables may hold NaN, infinity or 9e307 (Stata's missing value), one end of an interval, or a name that is NULL.
Downloads and pages show such rows as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from . import words

Row = dict[str, Any]

# Squares of numbers beyond it have no place among the floats, and layout takes squares.
LARGEST, SMALLEST = 1e100, 1e-100
_LABELS = ("outcome", "outcome_unit", "effect_unit", "treatment")
LETTERS = 60
# Curves whose points are told by names alone (docs/tables.md).
WITHOUT_X = frozenset({"policy_matrix", "network_edge_spillover"})
_NAMES = ("series", "subject", "term", "specification")


def card(row: Row) -> Row:
    """The decision card with drawable numbers, and units and names that leave room for a plot."""
    cut = {key: words.shortened(row[key], LETTERS) for key in _LABELS if row.get(key)}
    return {**_whole(row), **cut}


def estimates(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Estimates with a drawable number, and refusals."""
    found = (_named(_whole(row), "estimator", "estimand") for row in rows)
    return tuple(row for row in found if row.get("estimate") is not None or row.get("status") != "estimated")


def curves(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Points with a drawable y and, where their curve has one, x."""
    found = (_named(_whole(row)) for row in rows)
    return tuple(r for r in found if r["y"] is not None and (r["x"] is not None or r["curve"] in WITHOUT_X))


def diagnostics(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Diagnostics with a drawable value."""
    return tuple(row for row in others(rows) if row["value"] is not None)


def others(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Gates and sensitivity with drawable numbers; a row without one may still say why."""
    return tuple(_named(_whole(row)) for row in rows)


def _whole(row: Row) -> Row:
    """Drawable numbers, and intervals with both ends or none."""
    found = {key: _number(value) if isinstance(value, float) else value for key, value in row.items()}
    for low, high in (("conf_low", "conf_high"), ("relative_low", "relative_high")):
        if found.get(low) is None or found.get(high) is None:
            found |= {key: None for key in (low, high) if key in found}
    return found


def _number(value: float) -> float | None:
    if not math.isfinite(value) or abs(value) > LARGEST:
        return None
    return 0.0 if abs(value) < SMALLEST else value


def _named(row: Row, *more: str) -> Row:
    """Names that are NULL as empty texts: they are sorted and cut."""
    return {**row, **{key: "" for key in (*_NAMES, *more) if key in row and row[key] is None}}
