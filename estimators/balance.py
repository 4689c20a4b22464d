"""Covariate balance after weighting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .result import Diagnostic
from .thresholds import limit


def standardised_differences(x: np.ndarray, t: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Weighted mean of the treated less weighted mean of the untreated, in standard deviations.

    The standard deviation is unweighted, the square root of the mean of the two arms' variances (n − 1 below; Austin
    2011), for every estimand: one yardstick, so that weighting cannot shrink a difference by widening its unit. The
    balance gate computes the same in SQL.

    Parameters
    ----------
    x : ndarray of shape (n, k)
    t : ndarray of shape (n,), values 0 and 1
    w : ndarray of shape (n,)
        Balancing weights, times sampling weights where there are any; their scale within an arm cancels.

    Returns
    -------
    ndarray of shape (k,)
        0 for a column that is constant and the same in both arms; infinite where the arms differ in a column
        that does not vary inside them.
    """
    # Around the mean: on a column of mean 1e9 the difference of two averages has seven digits left.
    centred = x - x.mean(axis=0)
    treated, untreated = centred[t == 1], centred[t == 0]
    difference = np.average(treated, axis=0, weights=w[t == 1]) - np.average(untreated, axis=0, weights=w[t == 0])
    variance = (treated.var(axis=0, ddof=1) + untreated.var(axis=0, ddof=1)) / 2
    # Rounding leaves crumbs where a column is constant; they are not a spread.
    crumb = 1e-12 * np.maximum(np.abs(x).max(axis=0, initial=0.0), 1e-300)
    flat = np.sqrt(variance) <= crumb
    out = difference / np.where(flat, 1.0, np.sqrt(variance))
    return np.where(flat, np.where(np.abs(difference) <= crumb, 0.0, np.copysign(np.inf, difference)), out)


def balance_diagnostics(metric: str, names: Sequence[str], differences: np.ndarray) -> tuple[Diagnostic, ...]:
    """One row a covariate column, held against the gate's threshold; a difference that is not finite fails."""
    most = limit("balance")
    return tuple(
        Diagnostic(metric, name, float(value), most, bool(abs(value) < most))
        for name, value in zip(names, differences, strict=True)
    )
