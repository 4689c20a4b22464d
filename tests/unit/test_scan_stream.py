"""The stream: types, terms, folds and clusters as SQL, rows with gaps, and refusals."""

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scan_support import rows, source

from estimators.errors import Refusal
from estimators.folds import md5_folds
from estimators.scan import columns
from estimators.scan.stream import Incomplete, Plan, Source, blocks, complete
from estimators.terms import matrix
from estimators.warehouse import read


def streamed(own, terms, **plan):
    plan = Plan(columns.columns(own, terms), **plan)
    return plan, np.column_stack(
        [np.concatenate([b.columns[j] for b in blocks(own, plan)]) for j in range(len(plan.names))]
    )


def typed():
    return pa.table(
        {
            "unit_id": pa.array(range(1, 101)),
            "small": pa.array([i % 7 for i in range(100)], pa.int8()),
            "real": pa.array([i / 8 for i in range(100)], pa.float32()),
            "flag": pa.array([i % 3 == 0 for i in range(100)]),
            "price": pa.array([f"{i}.25" for i in range(100)]).cast(pa.decimal128(9, 2)),
            "word": pa.array([["a", "B", "ö'c"][i % 3] for i in range(100)]),
            "positive": pa.array([i + 1 for i in range(100)]),
        }
    )


TERMS = ("small", "real", "flag", "price", "small^2", "real^3", "log(positive)", "C(word)", "C(flag)", "C(small)",
         "small:real", "C(word):real", "C(word):C(flag)", "C(price)")  # fmt: skip


def test_terms_are_those_of_the_in_memory_estimators():
    table = typed()
    plan, values = streamed(source(table), TERMS)
    held = read(table, table.column_names, ["unit_id"], "test")
    expected = matrix(TERMS, held, table.num_rows)
    assert plan.names == expected.names
    np.testing.assert_allclose(values, expected.values, rtol=1e-15)


def test_text_is_no_number():
    with pytest.raises(Refusal, match=r"'word' holds text.*C\(word\)"):
        columns.columns(source(typed()), ("word",))


def test_parquet_relation_and_table_give_the_same(tmp_path):
    pq.write_table(typed(), tmp_path / "it's.parquet")
    connection = duckdb.connect()
    path = tmp_path / "it's.parquet"
    for data in (path, connection.from_parquet(str(path))):
        _, values = streamed(Source.of(connection, data), ("small", "real"))
        np.testing.assert_array_equal(values[:, 1], np.arange(100) / 8)


@pytest.mark.parametrize("kind", ["BIGINT", "VARCHAR", "DOUBLE"])
def test_folds_are_those_of_python(kind):
    ids = [0, 7, 123456789012, 99, *range(200, 400)]
    made = [f"unit {i}" for i in ids] if kind == "VARCHAR" else ids
    own = source(pa.table({"unit_id": pa.array(made, pa.float64() if kind == "DOUBLE" else None)}))
    got = own.connection.execute(own.sql(columns.fold("unit_id", kind, 7, 42))).fetchall()
    np.testing.assert_array_equal([row[0] for row in got], md5_folds(made, 7, 42))


def test_clusters_of_text_and_numbers():
    own = source({"g": np.array(["b", "a", "b", "c"]), "k": np.array([5, 5, 9, 5])})
    assert len(columns.cluster_keys(own, "g", "VARCHAR")) == 3
    assert columns.cluster_keys(own, "k", "BIGINT").tolist() == [5, 9]


def test_blocks_are_small_and_carry_the_unit():
    data = rows(70_000)
    own = source(data)
    plan = Plan(
        columns.columns(own, ("x1",)), weight="w", group="unit_id % 3", n_groups=3, cluster="g", carry=("unit_id",)
    )
    seen = list(blocks(own, plan))
    assert max(block.n for block in seen) <= plan.rows() < 70_000
    np.testing.assert_array_equal(np.concatenate([b.columns[0] for b in seen]), data["x1"])
    np.testing.assert_array_equal(np.concatenate([b.weight for b in seen]), data["w"])
    np.testing.assert_array_equal(np.concatenate([b.group for b in seen]), data["unit_id"] % 3)
    np.testing.assert_array_equal(np.concatenate([b.cluster for b in seen]), data["g"])
    assert [i for b in seen for i in b.carried[0].to_pylist()] == data["unit_id"].tolist()
    wide = Plan(plan.columns * 500)
    assert wide.rows() * 500 <= 2**20


def test_a_null_stops_the_stream_and_is_counted():
    own = source(
        pa.table({"a": [1.0, None, float("nan"), 4.0, 5.0], "b": [1, 2, 3, 4, None], "k": ["x", "x", "y", None, "z"]})
    )
    plan = Plan(columns.columns(own, ("a", "b")))
    with pytest.raises(Incomplete):
        list(blocks(own, plan))
    kept, dropped = complete(own, plan)
    assert dropped == 3
    assert [b.columns[0].tolist() for b in blocks(kept, plan)] == [[1.0, 4.0]]
    assert complete(own, plan, needed=("k",))[1] == 4


@pytest.mark.parametrize("bad", [float("inf"), -float("inf"), 1e300])
def test_numbers_without_a_square_are_refused_by_name(bad):
    own = source({"a": np.array([1.0, bad, 2.0, bad]), "b": np.ones(4)})
    with pytest.raises(Refusal, match=r"'a' is infinite or beyond 1e\+150 in 2 rows"):
        complete(own, Plan(columns.columns(own, ("b", "a"))))


def test_the_logarithm_of_zero_is_refused_by_name():
    own = source({"a": np.array([1.0, 0.0, 2.0])})
    with pytest.raises(Refusal, match=r"'log\(a\)' is infinite"):
        complete(own, Plan(columns.columns(own, ("log(a)",))))


def test_no_complete_row():
    own = source(pa.table({"a": pa.array([None, None], pa.float64())}))
    with pytest.raises(Refusal, match="every row lacks a value"):
        complete(own, Plan(columns.columns(own, ("a",))))
