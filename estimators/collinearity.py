"""Variance inflation factors from one matrix of correlations."""

from __future__ import annotations

import numpy as np

# What earlier columns leave of a column's variance, below which they explain it.
EXPLAINED = 1e-10


def variance_inflation(correlation: np.ndarray) -> list[float | None]:
    """The factor of each column among all but the last, and of the last (the treatment) given all others.

    The covariates are swept one after the other (Beaton 1964), as macros/statistics/variance_inflation.sql does it:
    their diagonal becomes the factors among covariates, and that of the treatment 1 − R² given them. A column that
    earlier ones explain stays unswept, so that which of two equal columns has the infinite factor is a matter of order.

    Parameters
    ----------
    correlation : ndarray of shape (k, k)
        With zeros beside the diagonal for a column that never varies.

    Returns
    -------
    list of k float or None
        None for an infinite factor.
    """
    swept = correlation.astype(float).copy()
    for p in range(len(swept) - 1):
        d = swept[p, p]
        if d < EXPLAINED:
            continue
        row, column = swept[p].copy(), swept[:, p].copy()
        swept -= np.outer(column, row) / d
        swept[p], swept[:, p] = row / d, -column / d
        swept[p, p] = 1 / d
    *among, left = np.diag(swept).tolist()
    # A swept diagonal is at least one, and an unswept one nearly zero.
    return [value if value > 0.5 else None for value in among] + [1 / left if left > EXPLAINED else None]


def correlations(covariance: np.ndarray) -> np.ndarray:
    """Correlations of a covariance matrix of shape (k, k); a column that never varies goes with nothing."""
    spread = np.sqrt(np.diag(covariance))
    flat = ~(spread > 0)
    unit = np.where(flat, 1.0, spread)
    out = covariance / unit[:, None] / unit[None, :]
    out[flat, :] = out[:, flat] = 0.0
    np.fill_diagonal(out, 1.0)
    return out
