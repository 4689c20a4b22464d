"""Studies of any name, column names and declaration have gates that parse and run: quoted, or refused by a row."""

from __future__ import annotations

import datetime
import itertools
from typing import Any

import pytest
from judging import Judged, judge, judging
from made_up_studies import BLOCK, X, Y, scores, units

from estimators import design
from estimators.declaration import DESIGNS

TEXTS = ("outcome", "treatment", "unit", "time", "cohort", "cluster", "weight", "running", "fold", "mediator", "dose",
         "sample", "arms", "exposure", "logged_propensity")  # fmt: skip
LISTS = ("covariates", "instruments", "effect_modifiers", "negative_control_exposures", "negative_control_outcomes")
OTHERS = ("secondary_outcomes", "guardrails", "options", "cross_section", "missing", "decision", "specifications")
# What may stand in a role: nothing, nothing written out, and things of another shape.
VALUES: dict[str, Any] = {
    "null": None, "empty_list": [], "empty_text": "", "blank": " ", "number": 7, "flag": True, "mapping": {"a": 1},
    "nested": [["x"], {"y": 1}], "text": "it's \"so\"; drop table x --", "list": ["x", ":", "C()", "`"],
}  # fmt: skip
WHOLE = {**BLOCK, "unit": "unit_id", "instruments": ["z"], "effect_modifiers": ["x"]}
UNITS = units(z=Y)


def study(block: Any, **tables: Any) -> dict[str, Any]:
    """A made-up study with the tables above."""
    return {"units": UNITS, "scores": scores(), "design": DESIGN, "block": block, **tables}


DESIGN = design("s", BLOCK, UNITS, scores=scores())
SHAPES = {
    f"{role}_{kind}": study({**WHOLE, role: value})
    for role in (*TEXTS, *LISTS, *OTHERS) for kind, value in VALUES.items()
}  # fmt: skip
for name, wrong in (("none", None), ("text", "x"), ("list", [1]), ("number", 3), ("empty", {})):
    SHAPES[f"block_{name}"] = study(wrong)
# Every design, known or not, with each role absent, and with and without its tables.
for name, role in itertools.product((*DESIGNS, "rct", "it's", None, 5), (None, *TEXTS[:3], "covariates")):
    block = {key: value for key, value in WHOLE.items() if key != role} | {"design": name, "running": "x"}
    SHAPES[f"design_{name}_without_{role}"] = study(block)
    SHAPES[f"design_{name}_without_{role}_or_tables"] = study(block, scores=None, design=None)

ODD = (
    "my col",
    'a "quoted" one',
    "it's",
    "größe",
    "order",
    "group",
    "select",
    "back\\slash",
    "x+1",
    "UPPER",
    "1st",
    "c.d",
)
NAMES: dict[str, dict[str, Any]] = {}
for i, name in enumerate(ODD):
    own = {"unit_id": UNITS["unit_id"], name: X, "t": UNITS["t"], "y": Y}
    as_unit = {name: UNITS["unit_id"], "x": X, "t": UNITS["t"], "y": Y}
    as_arm = {"unit_id": UNITS["unit_id"], "x": X, name: UNITS["t"], "y": Y}
    for role, table, changed in (
        ("covariate", own, {"covariates": [name, f"{name}^2"]}), ("category", own, {"covariates": [f"C({name})"]}),
        ("quoted", own, {"covariates": [f"`{name}`", f"C(`{name}`):`{name}`"]}), ("unit", as_unit, {"unit": name}),
        ("treatment", as_arm, {"treatment": name}),
    ):  # fmt: skip
        NAMES[f"{role}_{i}"] = {"units": table, "scores": scores(), "block": {**BLOCK, **changed}}
for odd in ("my-study", "it's mine", "größe", "select", "back\\slash"):
    NAMES[odd] = {"units": UNITS, "scores": scores(), "block": BLOCK}
for name, one in NAMES.items():
    one["design"] = design(name, one["block"], one["units"], scores=one["scores"])

DAY = datetime.date(2020, 1, 1)
KINDS: dict[str, tuple[list[Any], str]] = {
    "date": ([DAY + datetime.timedelta(i % 40) for i in range(80)], "DATE"),
    "timestamp": ([datetime.datetime(2020, 1, 1, i % 20) for i in range(80)], "TIMESTAMP"),
    "interval": ([datetime.timedelta(i % 9) for i in range(80)], "INTERVAL"),
    "list": ([[i] for i in range(80)], "BIGINT[]"),
    "struct": ([{"a": i} for i in range(80)], "STRUCT(A BIGINT)"),
    "blob": ([bytes([i]) for i in range(80)], "BLOB"),
}
TYPED: dict[str, dict[str, Any]] = {}
for kind, (values, _) in KINDS.items():
    for role in ("outcome", "treatment", "weight", "running", "covariates", "instruments"):
        declared = {**BLOCK, role: ["d"] if role in LISTS else "d"}
        TYPED[f"{kind}_{role}"] = {"units": {**UNITS, "d": values}, "scores": scores(), "block": declared}
    TYPED[f"{kind}_time"] = {
        "units": {**UNITS, "d": values}, "scores": scores(), "block": {**BLOCK, "time": "d", "cluster": "d"},
    }  # fmt: skip
for name, one in TYPED.items():
    one["design"] = design(name, one["block"], one["units"], scores=one["scores"])
ALL = {**SHAPES, **NAMES, **TYPED}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    return judge(judging(tmp_path_factory.mktemp("blocks"), ALL), ALL)


def test_every_block_has_gates(judged: Judged) -> None:
    assert set(judged.rows) == set(ALL)
    assert len(ALL) > 400
    for name, found in judged.rows.items():
        assert found, name
        for row in found:
            assert all(row[key] is not None for key in ("gate", "subject", "is_passing", "blocks", "reason")), name


@pytest.mark.parametrize("role", [*TEXTS, *LISTS])
def test_a_role_of_another_shape_is_refused_by_name(judged: Judged, role: str) -> None:
    right = {"null", "empty_list"} if role in LISTS else {"null"}
    for kind in VALUES:
        told = judged.of(f"{role}_{kind}", "contract", subject=f"role {role}")
        good = kind in right or (role in TEXTS and kind == "text")  # the name of a column that is not there
        assert [row["is_passing"] for row in told] == ([] if good else [False]), kind
        assert all(role in row["reason"] and row["blocks"] for row in told)


@pytest.mark.parametrize("name", ["rct", "it's", None, 5])
def test_an_unknown_design_is_refused_with_those_that_are_known(judged: Judged, name: Any) -> None:
    row = judged.one(f"design_{name}_without_None", "contract", subject="role design")
    assert not row["is_passing"]
    assert name in (None, 5) or str(name) in row["reason"].replace("\\u0027", "'")
    assert "experiment, observational, iv" in row["reason"] or "must be text" in row["reason"]


@pytest.mark.parametrize("name", DESIGNS)
def test_known_designs_are_not_refused(judged: Judged, name: str) -> None:
    assert not judged.of(f"design_{name}_without_None", "contract", subject="role design")
    missing = judged.of(f"design_{name}_without_None_or_tables", "contract", subject="design")
    assert [row["is_passing"] for row in missing] == [False]


@pytest.mark.parametrize("name", NAMES)
def test_odd_names_are_quoted(judged: Judged, name: str) -> None:
    assert judged.failed(name, "error") == []
    assert all(row["value"] is not None for row in judged.of(name, "raw_balance"))
    assert judged.one(name, "collinearity", estimator=None)["value"] is not None
    assert judged.of(name, "balance", estimator="ipw")
    assert {row["study"] for row in judged.rows[name]} == {name}


@pytest.mark.parametrize("name", TYPED)
def test_a_type_that_is_no_number_is_refused_with_its_name(judged: Judged, name: str) -> None:
    kind, role = name.split("_")
    label = {"covariates": "covariate", "instruments": "instrument"}.get(role, role)
    row = judged.one(name, "contract", subject="d")
    if role == "time" and kind in ("date", "timestamp"):
        assert row["is_passing"]  # periods are counted from it
        return
    told = "give one number or one text a row" if kind in ("list", "struct", "blob") else "cast it to a number"
    assert row["reason"].startswith(f"{label} 'd' holds {KINDS[kind][1]} values: {told} in the units")
    assert not row["is_passing"]
