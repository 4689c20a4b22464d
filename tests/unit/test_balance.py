"""Standardised differences by hand."""

import numpy as np
import pytest

from estimators.balance import balance_diagnostics, standardised_differences

X = np.array([[0.0], [2.0], [1.0], [3.0], [8.0]])
T = np.array([0.0, 0.0, 1.0, 1.0, 1.0])
W = np.array([1.0, 3.0, 1.0, 1.0, 2.0])


def test_by_hand():
    # Weighted means 5 and 1.5; unweighted variances 13 (treated) and 2.
    assert standardised_differences(X, T, W)[0] == pytest.approx(3.5 / np.sqrt(7.5), rel=1e-12)


def test_weights_cancel_within_an_arm():
    scaled = np.where(T == 1, 10 * W, W)
    np.testing.assert_allclose(standardised_differences(X, T, W), standardised_differences(X, T, scaled), rtol=1e-12)


def test_columns_without_spread():
    x = np.column_stack([np.full(5, 0.1), T])
    same, apart = standardised_differences(x, T, W)
    assert same == 0
    assert apart == np.inf
    passes, fails = balance_diagnostics("weighted_smd", ("same", "apart"), np.array([same, apart]))
    assert (passes.is_passing, passes.threshold, fails.is_passing) == (True, 0.1, False)


def test_no_columns():
    assert standardised_differences(np.empty((5, 0)), T, W).shape == (0,)
