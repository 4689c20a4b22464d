"""The last scan's sums: weights, scores and balance by hand; and streams of which DuckDB makes a table."""

import gc
import weakref

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from estimators.balance import standardised_differences
from estimators.scan.balance import differences, variances
from estimators.scan.doubly_robust import DoublyRobust
from estimators.scan.room import Room
from estimators.scan.weighting import ESTIMANDS, Forms, Hajek, Rows
from estimators.scan.writer import AT_ONCE, gathered, stream

E = np.array([0.2, 0.2, 0.8, 0.5])
T = np.array([1.0, 0, 0, 1])
Y = np.array([3.0, 1, 2, 5])


def rows(e=E, t=T, y=Y, w=None, mu=(0.0, 0.0)):
    """Rows whose propensities, from one form, are those of the index; predicted outcomes are constants."""
    eta = np.log(e / (1 - e)) if ((e > 0) & (e < 1)).all() else np.where(e == 1, 800.0, -800.0)
    z = np.vstack([np.ones(len(e)), eta])
    forms = Forms(np.array([0.0, 1.0]), "logit", np.array([[[0.0, 1.0]], [[mu[0], 0.0]], [[mu[1], 0.0]]]))
    return Rows(z, y, t, w, None, [], forms, eta, e, np.zeros(len(e), dtype=np.intp))


def hajek(*blocks, trim=0.0):
    out = Hajek(trim, np.array([0, 1]), 2)
    for block in blocks:
        out.add(block)
    return out


@pytest.mark.parametrize(("estimand", "expected"), [
    ("ATE", (5 * 3 + 2 * 5) / 7 - (1.25 * 1 + 5 * 2) / 6.25),
    ("ATT", (3 + 5) / 2 - (0.25 * 1 + 4 * 2) / 4.25),
    ("ATO", (0.8 * 3 + 0.5 * 5) / 1.3 - (0.2 * 1 + 0.8 * 2) / 1.0),
])  # fmt: skip
def test_weighted_means_by_hand(estimand, expected):
    got = hajek(rows())
    assert got.effect(estimand, stacked=False)[0] == pytest.approx(expected, rel=1e-13)
    weights = {"ATE": (5, 2, 1.25, 5), "ATT": (1, 1, 0.25, 4), "ATO": (0.8, 0.5, 0.2, 0.8)}[estimand]
    np.testing.assert_allclose(got.total(estimand), [weights[0] + weights[1], weights[2] + weights[3]])
    np.testing.assert_allclose(got.square(estimand), [sum(np.square(weights[:2])), sum(np.square(weights[2:]))])
    np.testing.assert_allclose(got.most(estimand), [max(weights[:2]), max(weights[2:])])


def test_blocks_add_up_and_weights_are_repeated_rows():
    one = hajek(rows(w=np.array([1.0, 2, 1, 3])))
    many = np.repeat(np.arange(4), [1, 2, 1, 3])
    two = hajek(*(rows(E[part], T[part], Y[part]) for part in np.array_split(many, 3)))
    for estimand in ESTIMANDS:
        assert one.effect(estimand, True)[0] == pytest.approx(two.effect(estimand, True)[0], rel=1e-12)
    np.testing.assert_allclose(one.information, two.information, rtol=1e-12)
    assert (one.rows, two.rows) == (4, 7)


def test_trimming_leaves_rows_out_and_counts_them():
    got = hajek(rows(), trim=0.3)
    assert got.plain[:, 0].tolist() == [1, 0]
    np.testing.assert_allclose(got.total("ATE"), [2.0, 0.0])
    assert got.rows == 4
    assert hajek(rows(w=np.array([0.0, 1, 1, 1]))).used.tolist() == [1, 2]


def test_propensities_of_zero_and_one_spoil_only_their_estimands():
    e, t = np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0])
    got = hajek(rows(e, t, np.ones(3)))
    # A control with 1 has no weight for the ATE and ATT, a treated unit with 0 none for the ATE.
    assert got.not_finite.tolist() == [2, 1, 0]
    assert got.estimands() == ["ATO"]
    assert np.isfinite(got.products).all()


def test_doubly_robust_scores_by_hand():
    robust = DoublyRobust(0.3)
    robust.add(rows(mu=(1.0, 2.0)))
    # Propensities are held at 0.3, 0.3, 0.7, 0.5.
    ate = np.mean([1 + (3 - 2) / 0.3, 1 - 0 / 0.7, 1 - (2 - 1) / 0.3, 1 + (5 - 2) / 0.5])
    att = np.sum([3 - 1, -3 / 7 * 0, -7 / 3 * 1, 5 - 1]) / 2
    assert robust.effect("ATE")[0] == pytest.approx(ate, rel=1e-12)
    assert robust.effect("ATT")[0] == pytest.approx(att, rel=1e-12)
    assert (robust.low, robust.high, robust.clipped) == (pytest.approx(0.2), pytest.approx(0.8), 3)
    weights = [[1 / 0.3, 2.0], [1 / 0.7, 1 / 0.3]]
    np.testing.assert_allclose(robust.weights[0, :, 0], np.sum(weights, axis=1))
    np.testing.assert_allclose(robust.weights[0, :, 1], np.sum(np.square(weights), axis=1))


def test_scores_that_are_not_finite_are_counted():
    robust = DoublyRobust(0.0)
    robust.add(rows(np.array([0.0, 0.0]), np.array([1.0, 0.0]), np.ones(2)))
    assert robust.estimands() == ["ATT"]
    assert np.isfinite(robust.products).all()


def test_balance_from_sums():
    rng = np.random.default_rng(0)
    t, w = (np.arange(60) % 3 == 0).astype(float), rng.uniform(0.5, 2, 60)
    x = np.column_stack([rng.normal(size=60), 1e9 + rng.integers(0, 9, 60), np.full(60, 7.0), t, 1e-9 * t + 1e9])
    shift, scale = x.mean(axis=0) + 0.3, np.array([2.0, 3.0, 1.0, 0.5, 1.0])
    z = np.column_stack([np.ones(60), (x - shift) / scale])
    arms = [t == 1, t == 0]
    means = np.array([np.average(z[a], axis=0, weights=w[a]) for a in arms])
    plain, squares = np.array([z[a].sum(axis=0) for a in arms]), np.array([(z[a] ** 2).sum(axis=0) for a in arms])
    got = differences(means, plain, squares, np.concatenate([[0.0], shift / scale]))[1:]
    np.testing.assert_allclose(got, standardised_differences(x, t, w), rtol=1e-9, atol=1e-12)
    assert got[2] == 0
    assert np.isinf(got[3])
    assert variances(plain, squares)[3] == 0


def test_room_hands_out_the_same_memory():
    room = Room()
    first = room.take("a", 3, 10)
    assert first.shape == (3, 10)
    assert np.shares_memory(first, room.take("a", 2, 5))
    assert not np.shares_memory(first, room.take("b", 3, 10))
    assert room.take("a", 4, 20).shape == (4, 20)


SCHEMA = pa.schema([("id", pa.string()), ("a", pa.float64()), ("b", pa.bool_()), ("n", pa.int64())])


def test_what_is_not_finite_is_null_and_flags_are_flags():
    block = {"n": np.array([1, 2, 3]), "a": np.array([1.0, np.nan, -np.inf]), "id": pa.array(["x", "y", "z"]),
             "b": np.array([True, False, True])}  # fmt: skip
    rows_stream = stream(SCHEMA, [block])  # noqa: F841 (DuckDB finds it by its name)
    got = duckdb.connect().sql("select * from rows_stream").fetchall()
    assert got == [("x", 1.0, True, 1), ("y", None, False, 2), ("z", None, True, 3)]


def test_no_rows_make_an_empty_table():
    rows_stream = stream(SCHEMA, [])  # noqa: F841
    assert duckdb.connect().sql("select * from rows_stream").fetchall() == []


def test_blocks_are_gathered():
    batches = [pa.record_batch({"a": list(range(10 * k, 10 * k + 10))}) for k in range(7)]
    got = list(gathered(batches, 25))
    assert [batch.num_rows for batch in got] == [25, 25, 20]
    assert [v for batch in got for v in batch["a"].to_pylist()] == list(range(70))


def test_an_error_in_a_block_reaches_the_caller():
    def blocks():
        yield {"a": np.ones(3)}
        raise ValueError("no more")

    rows_stream = stream(pa.schema([("a", pa.float64())]), blocks())  # noqa: F841
    with pytest.raises(duckdb.Error, match="no more"):
        duckdb.connect().sql("select * from rows_stream").fetchall()


def test_duckdb_does_not_read_ahead(tmp_path):
    """Blocks are released as they are written: a reader in place of the capsule kept most of them."""
    alive, most = set(), 0

    def blocks():
        nonlocal most
        for k in range(24):
            values = np.random.default_rng(k).random(AT_ONCE)
            alive.add(k)
            weakref.finalize(values, alive.discard, k)
            yield {name: values for name in "abcdef"}
            del values
            gc.collect()
            most = max(most, len(alive))

    schema = pa.schema([(name, pa.float64()) for name in "abcdef"])
    rows_stream = stream(schema, blocks())  # noqa: F841
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        connection.sql("select * from rows_stream").create("written")
    assert most <= 6
