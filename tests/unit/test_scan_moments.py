"""One scan to Moments: equal to arrays in memory on awkward rows, in any order, with any number of threads."""

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from scan_support import X, fold_sql, rows, scanned, source

from estimators.errors import Refusal
from estimators.folds import md5_folds
from estimators.linear import fit_ols
from estimators.moments import Moments
from estimators.scan import columns, moments_scan
from estimators.scan.stream import Plan, Source

TERMS = ("y", "t", *X)


def in_memory(data, weights=None, folds=None, n_folds=1):
    return Moments.of(np.column_stack([data[name] for name in TERMS]).astype(float), TERMS, weights, folds, n_folds)


def assert_same(got, expected, rtol=1e-9):
    """The same moments whatever their shift and scale."""
    sd = np.sqrt(np.diag(expected.covariance()))
    sd = np.where(sd > 0, sd, 1.0)
    np.testing.assert_allclose(got.covariance() / np.outer(sd, sd), expected.covariance() / np.outer(sd, sd), atol=rtol)
    np.testing.assert_allclose((got.means() - expected.means()) / sd, 0, atol=rtol)
    np.testing.assert_array_equal(got.rows, expected.rows)
    np.testing.assert_allclose(got.cross[:, 0, 0], expected.cross[:, 0, 0], rtol=1e-12)


@pytest.mark.parametrize("weight", [None, "w"])
def test_equal_to_arrays(weight):
    data = rows(70_000)  # more than one block
    _, got = scanned(data, TERMS, weight=weight, group=fold_sql(), n_groups=5)
    folds = md5_folds(data["unit_id"].tolist(), 5, 20240229)
    expected = in_memory(data, data["w"] if weight else None, folds, 5)
    assert_same(got.moments, expected, 1e-11)
    for k in range(5):
        ours, theirs = (m.without(k).regress("y", TERMS[1:]) for m in (got.moments, expected))
        np.testing.assert_allclose(ours.slopes, theirs.slopes, rtol=1e-9)
    assert got.dropped == 0


def test_equal_to_a_fit_in_memory():
    data = rows()
    _, got = scanned(data, TERMS, weight="w")
    ours = got.moments.regress("y", TERMS[1:])
    fit = fit_ols(data["y"], np.column_stack([data[n] for n in TERMS[1:]]), TERMS[1:], data["w"])
    np.testing.assert_allclose(ours.slopes, fit.coef[1:], rtol=1e-9)


def test_threads_give_the_same_bits_and_order_the_same_numbers():
    data = rows(70_000)
    found = []
    for threads in (1, 2, 4):
        own = source(data, duckdb.connect(config={"threads": threads}))
        plan = Plan(columns.columns(own, TERMS), weight="w", group=fold_sql(), n_groups=5)
        found.append(moments_scan.scan(own, plan).moments)
    np.testing.assert_array_equal(found[0].cross, found[1].cross)
    np.testing.assert_array_equal(found[0].cross, found[2].cross)
    mixed = np.random.default_rng(0).permutation(70_000)
    _, other = scanned({k: v[mixed] for k, v in data.items()}, TERMS, weight="w", group=fold_sql(), n_groups=5)
    assert_same(other.moments, found[0], 1e-10)


def test_rows_with_gaps_are_dropped_and_counted():
    data = rows(70_000)
    gaps = np.random.default_rng(1).random((2, 70_000)) < 0.05
    gaps[0, 32_768:65_536] = True  # a whole block is NULL
    table = pa.table(data).set_column(3, "x1", pa.array(data["x1"], mask=gaps[0]))
    nan = np.where(gaps[1], np.nan, data["y"])
    table = table.set_column(1, "y", pa.array(nan))
    own = source(table)
    plan = Plan(columns.columns(own, TERMS))
    got = moments_scan.scan(own, plan)
    left = gaps.any(axis=0)
    assert got.dropped == left.sum()
    assert_same(got.moments, in_memory({k: v[~left] for k, v in data.items()}), 1e-11)
    again = moments_scan.scan(got.source, plan)
    assert again.dropped == 0
    np.testing.assert_array_equal(again.moments.cross, got.moments.cross)


def test_a_gap_in_a_needed_column_only():
    data = pa.table(rows(100)).append_column("k", pa.array([None, *["a"] * 99]))
    own = source(data)
    assert moments_scan.scan(own, Plan(columns.columns(own, ("y",))), needed=("k",)).dropped == 1


def test_weights_are_repeated_rows():
    data = rows(2_000)
    data["w"] = (np.arange(2_000) % 3).astype(float)
    again = {name: np.repeat(v, data["w"].astype(int)) for name, v in data.items()}
    _, weighted = scanned(data, TERMS, weight="w")
    _, repeated = scanned(again, TERMS)
    np.testing.assert_allclose(weighted.moments.covariance(), repeated.moments.covariance(), rtol=1e-9, atol=1e-12)


def test_a_column_that_is_constant_in_a_fold_and_collinear_columns():
    data = rows()
    folds = md5_folds(data["unit_id"].tolist(), 5, 20240229)
    data["rare"] = np.where(folds == 2, data["x1"], 0.25)  # constant outside fold 2
    data["twice"] = 2 * data["x1"] - 3
    data["flat"] = np.full(6_000, 1e9)
    names = ("t", "x1", "rare", "twice", "flat")
    _, got = scanned(data, ("y", *names), group=fold_sql(), n_groups=5)
    assert got.moments.regress("y", names).dropped == ("twice", "flat")
    assert got.moments.without(2).regress("y", names).dropped == ("rare", "twice", "flat")


def test_a_first_block_unlike_the_others():
    """Sorted rows: the shift and scale of the first block are far from those of all rows."""
    n = 70_000
    rng = np.random.default_rng(2)
    data = rows(n)
    data["x1"] = np.where(np.arange(n) < 40_000, 0.0, 1e6 + rng.normal(size=n))
    _, got = scanned(data, TERMS)
    assert_same(got.moments, in_memory(data), 1e-10)


@pytest.mark.parametrize(
    ("name", "bad", "message"), [("y", np.inf, "'y' is infinite"), ("y", 1e300, "beyond"), ("w", -1.0, "negative")]
)
def test_refusals(name, bad, message):
    data = rows(200)
    data[name] = np.where(np.arange(200) == 150, bad, data[name])
    with pytest.raises(Refusal, match=message):
        scanned(data, TERMS, weight="w")


def test_an_outcome_near_1e300_is_refused_and_a_small_unit_is_not():
    data = rows(200)
    with pytest.raises(Refusal, match="'y' is infinite or beyond"):
        scanned({**data, "y": data["y"] * 1e299}, TERMS)
    _, got = scanned({**data, "y": data["y"] * 1e-140}, TERMS)
    _, plain = scanned(data, TERMS)
    ours, theirs = (m.moments.regress("y", TERMS[1:]).slopes for m in (got, plain))
    np.testing.assert_allclose(ours * 1e140, theirs, rtol=1e-10)


def test_no_rows():
    own = source(rows(10))
    with pytest.raises(Refusal, match="no rows"):
        moments_scan.scan(own.kept("y > 1e9"), Plan(columns.columns(own, TERMS)))


def test_a_code_without_a_group():
    own = source(rows(10))
    with pytest.raises(ValueError, match="code is 4, but there are 3"):
        moments_scan.scan(own, Plan(columns.columns(own, TERMS), group="unit_id % 5", n_groups=3))


def test_many_levels():
    rng = np.random.default_rng(5)
    data = {"y": rng.normal(size=4_000), "c": np.array([f"level {i:03d}" for i in rng.integers(0, 500, 4_000)])}
    data["y"] += np.unique(data["c"], return_inverse=True)[1] / 100
    own = source(data)
    read = columns.columns(own, ("y", "C(c)"))
    got = moments_scan.scan(own, Plan(read)).moments.regress("y", [c.name for c in read[1:]])
    means = {level: data["y"][data["c"] == level].mean() for level in np.unique(data["c"])}
    first = min(means)
    assert got.intercept == pytest.approx(means[first], abs=1e-9)
    np.testing.assert_allclose(got.slopes, [means[name[2:]] - means[first] for name in got.names], atol=1e-9)


def test_folds_and_arms_are_groups():
    data = rows()
    plan, got = scanned(data, TERMS, group=f"{fold_sql()} * 2 + t::utinyint", n_groups=10)
    treated = got.moments.only(*range(1, 10, 2))
    keep = data["t"] == 1
    assert_same(treated.merged(np.zeros(5, dtype=int)), in_memory({k: v[keep] for k, v in data.items()}), 1e-11)
    by_fold = got.moments.merged(np.arange(10) // 2)
    folds = md5_folds(data["unit_id"].tolist(), 5, 20240229)
    assert_same(by_fold, in_memory(data, folds=folds, n_folds=5), 1e-11)
    assert isinstance(got.source, Source)
    assert plan.n_groups == 10
