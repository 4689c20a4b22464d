"""Rows as tables: finite numbers or NULL, exact columns, JSON that reads back to the same bits."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest

from estimators.result import (
    DESIGN_SCHEMA,
    EFFECTS_SCHEMA,
    CurvePoint,
    DesignRow,
    Diagnostic,
    Estimate,
    SensitivityRow,
    as_json,
    clean,
    number,
    table,
)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, np.float32("nan"), np.float64("inf")])
def test_what_is_not_finite_is_none(value):
    assert number(value) is None


def test_numbers_are_pythons_own():
    for value in (1, np.int64(1), np.float32(1), True):
        assert number(value) == 1.0
        assert type(number(value)) is float


def test_clean_keeps_text_whole_numbers_and_booleans():
    row = clean(Diagnostic("m", "s", math.inf, 0.1, False))
    assert row == {"metric": "m", "subject": "s", "value": None, "threshold": 0.1, "is_passing": False}
    assert clean(Estimate("ATE", estimate=math.nan, n_units=5))["estimate"] is None
    assert clean(Estimate("ATE", n_units=5))["n_units"] == 5
    assert clean(DesignRow(None, "m", "s", math.nan, "why"))["value"] is None


def test_json_reads_back_to_the_same_bits_and_never_holds_nan():
    values = [0.1, 1 / 3, 1e-300, np.float64(2 / 3), np.float32(0.1), np.int64(3), math.nan, np.float32("inf")]
    read = [row["value"] for row in json.loads(as_json(Diagnostic("m", "s", v) for v in values))]
    assert read[:4] == [0.1, 1 / 3, 1e-300, 2 / 3]
    assert read[4:] == [float(np.float32(0.1)), 3, None, None]
    assert json.loads(as_json([Diagnostic("m", "ü", 1.0, is_passing=np.bool_(True))]))[0]["is_passing"] is True
    assert as_json([]) == "[]"


def test_json_of_curves_and_sensitivity():
    (point,) = json.loads(as_json([CurvePoint("event_study", "pointwise", -1.0, math.nan)]))
    assert point == {
        "curve": "event_study", "series": "pointwise", "x": -1.0, "y": None, "x_label": None,
        "conf_low": None, "conf_high": None,
    }  # fmt: skip
    assert json.loads(as_json([SensitivityRow("e_value", "point", 1.5, "reading")]))[0]["reading"] == "reading"


def test_a_table_has_exactly_the_schemas_columns():
    got = table([{"study": "s", "n_units": np.int64(3), "estimate": np.float64("nan"), "is_primary": np.bool_(True),
                  "unknown": 1}, {"estimate": 2}], EFFECTS_SCHEMA)  # fmt: skip
    assert got.schema == EFFECTS_SCHEMA
    first, second = got.to_pylist()
    assert (first["n_units"], first["estimate"], first["is_primary"], first["term"]) == (3, None, True, None)
    assert (second["estimate"], second["study"]) == (2.0, None)


def test_an_empty_table_keeps_its_types():
    assert table([], DESIGN_SCHEMA).schema == DESIGN_SCHEMA
    assert table([], EFFECTS_SCHEMA).num_rows == 0
    assert EFFECTS_SCHEMA.field("estimated_at").type == pa.timestamp("us")


def test_the_schema_is_what_docs_say():
    """docs/tables.md lists the columns of marts.estimates; the effects table has these, and some of its own."""
    from pathlib import Path

    text = (Path(__file__).resolve().parents[2] / "docs" / "tables.md").read_text()
    (line,) = [row for row in text.splitlines() if row.startswith("| `estimates` |")]
    *told, added = line.split("|")[3].strip().split(", ")
    assert added == "outcome_role"  # by the mart, from the declaration
    assert EFFECTS_SCHEMA.names == [*told, "units_hash", "gates_hash", "diagnostics", "curves", "sensitivity"]
