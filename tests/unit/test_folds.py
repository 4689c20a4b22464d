"""Folds: the same in Python and DuckDB, a unit's own, near to equal in size."""

import hashlib

import duckdb
import numpy as np
import pytest

from estimators.folds import md5_folds


def test_by_hand():
    code = int(hashlib.md5(b"7:42").hexdigest()[:8], 16)
    assert md5_folds([7], 5, 42).tolist() == [code % 5]


@pytest.mark.parametrize("ids", [range(-3, 40), ["a", "01", "1", "ü", "x:y", ""]])
def test_duckdb_gives_the_same(ids):
    query = "select ('0x' || substr(md5(id || ':' || 20260101), 1, 8))::bigint % 5 from (select unnest(?) as id)"
    theirs = [row[0] for row in duckdb.execute(query, [list(ids)]).fetchall()]
    assert md5_folds(ids, 5, 20260101).tolist() == theirs


def test_whole_numbers_and_their_text_fall_alike():
    assert md5_folds([1, 2, 3], 5, 0).tolist() == md5_folds(["1", "2", "3"], 5, 0).tolist()


def test_a_fold_belongs_to_the_unit_and_not_to_its_place():
    ids = np.arange(200)
    order = np.random.default_rng(1).permutation(200)
    np.testing.assert_array_equal(md5_folds(ids, 5, 3)[order], md5_folds(ids[order], 5, 3))


def test_sizes_are_near_to_equal_and_another_seed_deals_anew():
    folds = md5_folds(range(10_000), 5, 1)
    assert folds.dtype == np.int64
    # Binomial(10000, 1/5): five standard deviations are 200.
    assert np.abs(np.bincount(folds, minlength=5) - 2000).max() < 200
    assert 0.15 < np.mean(folds == md5_folds(range(10_000), 5, 2)) < 0.25


def test_edges():
    assert md5_folds([], 5, 1).shape == (0,)
    assert md5_folds(["a", "b"], 1, 1).tolist() == [0, 0]
    with pytest.raises(ValueError, match="folds must be at least 1, not 0"):
        md5_folds(["a"], 0, 1)
