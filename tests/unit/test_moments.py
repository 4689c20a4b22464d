"""Moments: merging, leaving out folds, columns of any size, weights and collinear columns."""

import numpy as np
import pytest

from estimators.moments import Moments, independent


def data(n=200, k=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, k))
    return np.column_stack([x, x @ np.arange(1.0, k + 1) + rng.normal(size=n)])


NAMES = ("a", "b", "c", "y")


def lstsq(x, y, w=None):
    root = np.sqrt(np.ones(len(y)) if w is None else w)
    return np.linalg.lstsq(np.column_stack([np.ones(len(y)), x]) * root[:, None], y * root, rcond=None)[0]


def test_by_hand():
    got = Moments.of(np.array([[1.0, 2.0], [3.0, 2.0]]), ("a", "b"))
    # a: mean 2, sd 1; b is constant, so its scale is 1.
    np.testing.assert_array_equal(got.shift, [2, 2])
    np.testing.assert_array_equal(got.scale, [1, 1])
    np.testing.assert_array_equal(got.cross[0], [[2, 0, 0], [0, 2, 0], [0, 0, 0]])
    np.testing.assert_array_equal(got.covariance(), [[1, 0], [0, 0]])
    assert got.rows.tolist() == [2]


def test_parts_merge_to_the_whole():
    values = data()
    whole = Moments.of(values, NAMES)
    parts = [Moments.of(v, NAMES, shift=whole.shift, scale=whole.scale) for v in np.array_split(values, 7)]
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merge(part)
    np.testing.assert_allclose(merged.cross, whole.cross, atol=1e-11)
    assert merged.rows.tolist() == [200]
    np.testing.assert_allclose(merged.means(), values.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(merged.covariance(), np.cov(values.T, ddof=0), rtol=1e-11)


def test_an_empty_part_adds_nothing():
    whole = Moments.of(data(), NAMES)
    empty = Moments.of(np.empty((0, 4)), NAMES, shift=whole.shift, scale=whole.scale)
    np.testing.assert_array_equal(whole.merge(empty).cross, whole.cross)


@pytest.mark.parametrize("change", [{"names": ("a", "b", "c", "z")}, {"shift": np.zeros(4)}, {"scale": np.ones(4)}])
def test_moments_of_other_columns_do_not_merge(change):
    one = Moments.of(data(), NAMES)
    settings = {"names": NAMES, "shift": one.shift, "scale": one.scale, **change}
    with pytest.raises(ValueError, match="same columns, shift and scale"):
        one.merge(Moments.of(data(), **settings))


def test_leaving_out_a_fold_is_the_direct_fit():
    values, folds = data(), np.arange(200) % 5
    all_folds = Moments.of(values, NAMES, folds=folds, n_folds=5)
    for k in range(5):
        left = all_folds.without(k)
        inside = values[folds != k]
        fit = left.regress("y", ("a", "b", "c"))
        np.testing.assert_allclose([fit.intercept, *fit.slopes], lstsq(inside[:, :3], inside[:, 3]), rtol=1e-11)
        np.testing.assert_allclose(left.means(), inside.mean(axis=0), atol=1e-13)
        assert left.rows.sum() == len(inside)


def test_a_fold_without_rows():
    got = Moments.of(data(), NAMES, folds=np.zeros(200, dtype=int), n_folds=3)
    assert got.rows.tolist() == [200, 0, 0]
    np.testing.assert_array_equal(got.without(2).total(), got.total())


@pytest.mark.parametrize(("shift", "scale"), [(1e9, 1.0), (-1e9, 1e-3), (0.0, 1e12), (1e-9, 1e-12)])
def test_columns_of_any_size(shift, scale):
    """The slopes of columns that have been moved and stretched are those of the plain ones, stretched back."""
    values = data()
    plain = Moments.of(values, NAMES).regress("y", ("a", "b", "c"))
    moved = values.copy()
    moved[:, 1] = moved[:, 1] * scale + shift
    got = Moments.of(moved, NAMES)
    fit = got.regress("y", ("a", "b", "c"))
    lost = np.finfo(float).eps * abs(shift) / scale  # digits that the moved column itself cannot hold
    np.testing.assert_allclose(fit.slopes * [1, scale, 1], plain.slopes, rtol=1e-12 + 10 * lost)
    np.testing.assert_allclose(np.sqrt(got.covariance()[1, 1]), values[:, 1].std() * scale, rtol=1e-12 + 10 * lost)
    assert fit.r2 == pytest.approx(plain.r2, rel=1e-12 + 10 * lost)
    np.testing.assert_allclose(fit.predict(moved[:, :3]), plain.predict(values[:, :3]), atol=1e-11 + 1e3 * lost)


def test_weights_are_repeated_rows():
    values = data(60)
    w = np.arange(60) % 4
    weighted = Moments.of(values, NAMES, weights=w.astype(float))
    repeated = Moments.of(np.repeat(values, w, axis=0), NAMES, shift=weighted.shift, scale=weighted.scale)
    np.testing.assert_allclose(weighted.cross, repeated.cross, atol=1e-11)
    np.testing.assert_allclose(weighted.means(), np.average(values, axis=0, weights=w), rtol=1e-11)
    ours, theirs = (m.regress("y", ("a", "b", "c")) for m in (weighted, repeated))
    np.testing.assert_allclose(ours.slopes, theirs.slopes, rtol=1e-11)
    assert ours.rss == pytest.approx(theirs.rss, rel=1e-11)
    assert weighted.rows.tolist() == [60]  # rows are counted whatever their weight


def test_collinear_and_constant_columns_are_dropped_in_the_declared_order():
    values = data()
    a, b, y = values[:, 0], values[:, 1], values[:, 3]
    names = ("a", "k", "b", "a2", "sum", "y")
    columns = np.column_stack([a, np.full(200, 0.1), b, 3 * a - 7, a + b, y])
    fit = Moments.of(columns, names).regress("y", names[:-1])
    assert fit.dropped == ("k", "a2", "sum")
    assert fit.slopes[[1, 3, 4]].tolist() == [0, 0, 0]
    np.testing.assert_allclose([fit.intercept, *fit.slopes[[0, 2]]], lstsq(columns[:, [0, 2]], y), rtol=1e-11)
    again = Moments.of(columns, names).regress("y", ("sum", "b", "a", "k"))
    assert again.dropped == ("a", "k")


def test_nearly_collinear_is_not_collinear():
    rng = np.random.default_rng(3)
    a = rng.normal(size=500)
    near = a + 1e-4 * rng.normal(size=500)
    y = a + near + rng.normal(size=500)
    fit = Moments.of(np.column_stack([a, near, y]), ("a", "near", "y")).regress("y", ("a", "near"))
    assert fit.dropped == ()
    np.testing.assert_allclose(fit.slopes, lstsq(np.column_stack([a, near]), y)[1:], rtol=1e-6)


def test_sums_of_squares():
    values = data()
    fit = Moments.of(values, NAMES).regress("y", ("a", "b", "c"))
    residual = values[:, 3] - fit.predict(values[:, :3])
    assert fit.rss == pytest.approx(residual @ residual, rel=1e-11)
    assert fit.tss == pytest.approx(200 * values[:, 3].var(), rel=1e-12)
    assert fit.r2 == pytest.approx(1 - fit.rss / fit.tss, rel=1e-14)


def test_edges():
    values = data()
    mean_only = Moments.of(values, NAMES).regress("y", ())
    assert mean_only.intercept == pytest.approx(values[:, 3].mean(), rel=1e-13)
    values[:, 3] = 5.0
    flat = Moments.of(values, NAMES).regress("y", ("a", "b", "c"))
    assert (flat.r2, flat.rss, flat.slopes.tolist()) == (0.0, 0.0, [0.0, 0.0, 0.0])
    assert flat.intercept == pytest.approx(5.0)


def test_an_outcome_that_varies_only_in_the_dropped_fold_has_no_slopes():
    values, folds = data(), np.arange(200) % 5
    values[:, 3] = np.where(folds == 1, values[:, 3], 0.1)
    fit = Moments.of(values, NAMES, folds=folds, n_folds=5).without(1).regress("y", ("a", "b", "c"))
    assert (fit.slopes.tolist(), fit.r2) == ([0.0, 0.0, 0.0], 0.0)
    assert fit.intercept == pytest.approx(0.1, rel=1e-12)


def test_independent_columns_of_a_gram_matrix():
    assert independent(np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])) == [0]
    assert independent(np.diag([1.0, 1e-30, 4.0])) == [0, 1, 2]  # small is not collinear
    assert independent(np.empty((0, 0))) == []
