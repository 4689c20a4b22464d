"""The one gate to the data: types, order, NULLs, and the same arrays from every kind of relation."""

import datetime
import decimal

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from estimators.errors import StudyError
from estimators.warehouse import available, data_hash, read, rows


def one(relation, name="x", keys=("unit_id",)):
    return read(relation, ["unit_id", name], keys, "s")[name]


def sql(values, kind):
    listed = ", ".join(f"({i}, {v}::{kind})" for i, v in enumerate(values))
    return duckdb.sql(f"select * from (values {listed}) as t(unit_id, x)")


@pytest.mark.parametrize(("values", "kind", "expected"), [
    (["1", "null", "3"], "integer", [1, np.nan, 3]),
    (["true", "false", "null"], "boolean", [1, 0, np.nan]),
    (["1.25", "null"], "decimal(10, 2)", [1.25, np.nan]),
    (["12345678901234567", "null"], "decimal(38, 2)", [12345678901234567.0, np.nan]),
    (["1.5", "'nan'", "'-inf'"], "double", [1.5, np.nan, -np.inf]),
    (["1.5", "null"], "float", [1.5, np.nan]),
    (["3", "250"], "utinyint", [3, 250]),
    (["7", "null"], "hugeint", [7, np.nan]),
    (["null", "null"], "double", [np.nan, np.nan]),
])  # fmt: skip
def test_numbers_become_float64(values, kind, expected):
    got = one(sql(values, kind))
    assert got.dtype == np.float64
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(("values", "kind", "expected"), [
    (["'a'", "null", "'1'"], "varchar", ["a", None, "1"]),
    (["'2020-01-31'", "null"], "date", ["2020-01-31", None]),
    (["'2020-01-31 10:00'"], "timestamp", ["2020-01-31 10:00:00"]),
    (["'b'", "'a'", "null"], "enum('b', 'a')", ["b", "a", None]),
    # float64 would merge neighbours: such numbers are labels.
    (["9007199254740993", "9007199254740992"], "bigint", ["9007199254740993", "9007199254740992"]),
    (["18446744073709551615", "null"], "ubigint", ["18446744073709551615", None]),
    (["170141183460469231731687303715884105727"], "hugeint", ["170141183460469231731687303715884105727"]),
])  # fmt: skip
def test_everything_else_becomes_text(values, kind, expected):
    got = one(sql(values, kind))
    assert got.dtype == object
    assert got.tolist() == expected


@pytest.mark.parametrize(("kind", "values", "expected"), [
    ("bigint", ["9007199254740993", "2"], [2, 9007199254740993]),
    ("ubigint", ["18446744073709551615", "2"], [2, 18446744073709551615]),
    ("hugeint", [str(2**127 - 1), "10", "9"], [9, 10, 2**127 - 1]),
    ("double", ["10", "9"], [9, 10]),
    ("double", ["10.5", "9"], ["9.0", "10.5"]),
    ("double", ["'nan'", "9"], [9, None]),
    ("varchar", ["'10'", "'9'", "'09'"], ["09", "10", "9"]),
    ("varchar", ["'b'", "null", "'a'"], ["a", "b", None]),
    ("enum('z', 'a')", ["'z'", "'a'"], ["a", "z"]),
    ("boolean", ["true", "false"], ["False", "True"]),
    ("date", ["'2020-02-01'", "'2020-01-01'"], ["2020-01-01", "2020-02-01"]),
    ("uuid", ["'00000000-0000-0000-0000-000000000002'", "'00000000-0000-0000-0000-000000000001'"],
     ["00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"]),
])  # fmt: skip
def test_ids_keep_what_they_are_and_sort(kind, values, expected):
    listed = ", ".join(f"({v}::{kind})" for v in values)
    got = read(duckdb.sql(f"select * from (values {listed}) as t(unit_id)"), ["unit_id"], ["unit_id"], "s")["unit_id"]
    assert got.tolist() == expected
    assert [type(v) for v in got.tolist()] == [type(v) for v in expected]


UNITS = {
    "unit_id": [3, 1, 2],
    "y": [3.5, None, 2.5],
    "g": ["c", "a", None],
    "n": [30, 10, 20],
    "ok": [True, None, False],
}


def test_every_kind_of_relation_gives_the_same():
    arrow = pa.table(UNITS)
    connection = duckdb.connect()
    connection.register("units", arrow)
    frame = {k: np.array(v, dtype=object) if k in ("y", "ok", "g") else np.array(v) for k, v in UNITS.items()}
    wanted = list(UNITS)
    expected = read(UNITS, wanted, ["unit_id"], "s")
    assert expected["unit_id"].tolist() == [1, 2, 3]
    assert expected["g"].tolist() == ["a", None, "c"]
    np.testing.assert_array_equal(expected["y"], [np.nan, 2.5, 3.5])
    for other in (arrow, connection.table("units"), connection.sql("from units"), arrow.combine_chunks(), frame):
        got = read(other, wanted, ["unit_id"], "s")
        for name in wanted:
            np.testing.assert_array_equal(got[name], expected[name])
        assert data_hash(got) == data_hash(expected)
        assert available(other) == wanted


def test_rows_are_sorted_by_unit_and_time():
    units = {"unit_id": ["b", "a", "b", "a"], "time": [2, 2, 1, 1], "y": [4.0, 2.0, 3.0, 1.0]}
    got = read(units, ["y", "unit_id", "time"], ["unit_id", "time"], "s")
    assert got["y"].tolist() == [1, 2, 3, 4]
    assert got["time"].dtype == np.float64  # only the unit is a label
    assert list(got) == ["y", "unit_id", "time"]


def test_a_dictionary_encoded_column_reads_as_its_values():
    table = pa.table(
        {"unit_id": pa.array(["b", "a"]).dictionary_encode(), "x": pa.array([2, None]).dictionary_encode()}
    )
    got = read(table, ["unit_id", "x"], ["unit_id"], "s")
    assert got["unit_id"].tolist() == ["a", "b"]
    np.testing.assert_array_equal(got["x"], [np.nan, 2])


def test_names_are_quoted():
    relation = duckdb.sql('select 1 as unit_id, 2 as "a ""b"" c", 3 as "select"')
    assert one(relation, 'a "b" c').tolist() == [2]
    assert one(relation, "select").tolist() == [3]


def test_python_values():
    units = {"unit_id": [1, 2], "x": [decimal.Decimal("1.5"), None]}
    np.testing.assert_array_equal(one(units), [1.5, np.nan])
    assert one({"unit_id": [1], "x": [datetime.date(2020, 1, 2)]}).tolist() == ["2020-01-02"]
    np.testing.assert_array_equal(one({"unit_id": [1, 2], "x": np.array([np.nan, 2.0])}), [np.nan, 2])
    assert np.isnan(one({"unit_id": [1], "x": [None]})).all()


def test_an_absent_column_is_named_with_those_that_are_there():
    with pytest.raises(
        StudyError, match=r"study s: column 'z' is not in the units. .*Columns there: unit_id, y, g, n, ok"
    ):
        read(UNITS, ["unit_id", "z"], ["unit_id"], "s")


@pytest.mark.parametrize("x", [[1.0], ["a", 1.0, 2.0], [1.0, "a", 2.0], [2**70, 1, 2], [object(), 1, 2]])
def test_what_cannot_be_read_is_told(x):
    with pytest.raises(StudyError, match=r"study s: the units cannot be read: .*one type and length"):
        read({"unit_id": [1, 2, 3], "x": x}, ["unit_id", "x"], ["unit_id"], "s")


def test_no_rows():
    got = read(
        pa.table({"unit_id": pa.array([], pa.int64()), "x": pa.array([], pa.int64())}),
        ["unit_id", "x"],
        ["unit_id"],
        "s",
    )
    assert (got["unit_id"].shape, got["x"].shape, got["x"].dtype) == ((0,), (0,), np.float64)


def test_rows_of_a_small_relation():
    expected = [{"gate": "a", "is_passing": True}, {"gate": "b", "is_passing": None}]
    assert rows(expected) is expected
    assert rows(pa.Table.from_pylist(expected)) == expected
    assert rows(duckdb.sql("select * from (values ('a', true), ('b', null)) as t(gate, is_passing)")) == expected


def test_data_hash_tells_values_columns_and_nulls_apart():
    def of(**columns):
        return data_hash({k: np.array(v, dtype=object if isinstance(v[0], str) else float) for k, v in columns.items()})

    base = of(a=[1, 2], b=["x", "y"])
    assert base == of(b=["x", "y"], a=[1, 2])
    others = [of(a=[2, 1], b=["x", "y"]), of(c=[1, 2], b=["x", "y"]), of(a=[1, np.nan], b=["x", "y"]), of(a=[1, 2]),
              of(a=[1, 2], b=["x", "z"]), of(a=[1 + 1e-15, 2], b=["x", "y"])]  # fmt: skip
    assert len({base, *others}) == len(others) + 1
