"""The card as JSON: docs/decision_card.schema.json tells what each field is."""

from __future__ import annotations

import datetime
import json
import math
from typing import Any

from figures.data import Row, StudyRows

VERSION = 1
JSON = ("gates", "other_outcomes")  # columns of the card that hold JSON text


def document(rows: StudyRows) -> dict[str, Any]:
    """The card with the rows that it rests on."""
    return {
        "$schema": "../decision_card.schema.json",
        "version": VERSION,
        "study": rows.name,
        "card": _card(rows.card),
        "roles": rows.roles,
        "estimates": [_row(row) for row in (*rows.estimates, *rows.other_estimates)],
        "gates": [_row(row) for row in rows.gates],
        "sensitivity": [_row(row) for row in rows.sensitivity],
    }


def text(rows: StudyRows) -> str:
    """The same as text, keys in the order of the tables' columns."""
    return json.dumps(document(rows), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _card(row: Row) -> Row:
    """The card's row; what is JSON text in it as what it is."""
    found = _row(row)
    for name in JSON:
        if isinstance(found.get(name), str):
            found[name] = json.loads(found[name])
    return found


def _row(row: Row) -> Row:
    return {name: _value(value) for name, value in row.items()}


def _value(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return [_value(one) for one in value]
    if isinstance(value, dict):
        return {str(name): _value(one) for name, one in value.items()}
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
