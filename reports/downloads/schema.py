"""The JSON Schema of card.json, written from the contract of marts.decision_cards: ``python -m reports schema``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from .document import JSON, VERSION

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "docs" / "decision_card.schema.json"
CONTRACT = ROOT / "models" / "marts" / "_marts.yml"
TYPES = {"bigint": "integer", "integer": "integer", "double": "number", "boolean": "boolean"}
REQUIRED = ["study", "decision", "status", "declared_rule", "estimate", "conf_low", "conf_high"]


def schema(contract: Path = CONTRACT) -> dict[str, Any]:
    """The schema as the contract has it now."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Decision card of a study",
        "description": "Written by python -m reports as downloads/<study>/card.json. Fields may be added; none goes "
        "away or changes its meaning without a new version.",
        "type": "object",
        "required": ["version", "study", "card", "roles", "estimates", "gates", "sensitivity"],
        "properties": {
            "version": {"description": "Of this schema.", "const": VERSION},
            "study": {"description": "Name of the study.", "type": "string"},
            "card": {
                "description": "The row of marts.decision_cards.", "type": "object", "required": REQUIRED,
                "properties": {column["name"]: _field(column) for column in _columns(contract)},
            },
            "roles": {"description": "The declaration of the study.", "type": "object"},
            "estimates": _rows("marts.estimates", ["estimator", "specification", "estimand", "term", "status"]),
            "gates": _rows("marts.gates", ["gate", "subject", "value", "threshold", "is_passing", "blocks"]),
            "sensitivity": _rows("marts.sensitivity", ["estimator", "method", "subject", "value"]),
        },
    }  # fmt: skip


def text() -> str:
    """The same as the file has it."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _columns(contract: Path) -> list[dict[str, Any]]:
    models = yaml.safe_load(contract.read_text(encoding="utf-8"))["models"]
    return next(model["columns"] for model in models if model["name"] == "decision_cards")


def _field(column: dict[str, Any]) -> dict[str, Any]:
    """One column: its type (or NULL), and the values that it may take where a test says them."""
    if column["name"] in JSON:
        return {"description": column["description"], "type": ["array", "object", "null"]}
    field: dict[str, Any] = {"description": column["description"]}
    field["type"] = [TYPES.get(str(column.get("data_type", "")).lower(), "string"), "null"]
    for test in column.get("data_tests", []):
        if isinstance(test, dict) and "accepted_values" in test:
            field["enum"] = [*test["accepted_values"]["arguments"]["values"], None]
    return field


def _rows(table: str, required: list[str]) -> dict[str, Any]:
    return {"description": f"Rows of {table}.", "type": "array", "items": {"type": "object", "required": required}}
