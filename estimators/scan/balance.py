"""Standardised differences from sums: as `estimators.balance.standardised_differences` has them from rows."""

from __future__ import annotations

import numpy as np

from ..moments import CRUMBS


def variances(plain: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Mean of both arms' variances (n − 1 below), zero where it is rounding: shape (width,), of standardised columns.

    Parameters
    ----------
    plain, squares : ndarray of shape (2, width)
        Σ z and Σ z² by arm, the constant first.
    """
    n = plain[:, :1]
    centred = squares - plain**2 / n
    return (np.where(centred > CRUMBS * squares, centred, 0.0) / (n - 1)).mean(axis=0)


def differences(means: np.ndarray, plain: np.ndarray, squares: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Weighted mean of the treated less that of the untreated, in standard deviations: shape (width,).

    Parameters
    ----------
    means : ndarray of shape (2, width)
        Weighted means of z, the treated first.
    plain, squares : ndarray of shape (2, width)
        Σ z and Σ z² of the same rows, unweighted: they give the yardstick.
    ratio : ndarray of shape (width,)
        shift / scale, what z lacks to the raw column: a difference is rounding if it is 1e-12 of that.
    """
    variance, gap = variances(plain, squares), means[0] - means[1]
    crumb = 1e-12 * np.maximum(np.abs(means + ratio).max(axis=0), 1e-300)
    flat = np.sqrt(variance) <= crumb
    out = gap / np.sqrt(np.where(flat, 1.0, variance))
    return np.where(flat, np.where(np.abs(gap) <= crumb, 0.0, np.copysign(np.inf, gap)), out)
