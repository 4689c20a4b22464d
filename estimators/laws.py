"""Normal, Student's t, χ² and F: tails and quantiles from scipy.special; importing scipy.stats costs a second."""

from __future__ import annotations

import math

import numpy as np
from scipy import special


def normal_quantile(p: float) -> float:
    """z with P(Z ≤ z) = p."""
    return float(special.ndtri(p))


def normal_tail(z: float) -> float:
    """P(Z > z)."""
    return float(special.ndtr(-z))


def normal_density(x: np.ndarray) -> np.ndarray:
    """Density of the standard normal, of the shape of x."""
    return np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


def t_quantile(p: float, df: float) -> float:
    """t with P(T ≤ t) = p."""
    return float(special.stdtrit(df, p))


def t_tail(t: float, df: float) -> float:
    """P(T > t)."""
    return float(special.stdtr(df, -t))


def chi2_tail(x: float, df: float) -> float:
    """P(χ² > x)."""
    return float(special.chdtrc(df, x))


def chi2_quantile(p: float, df: float) -> float:
    """x with P(χ² ≤ x) = p."""
    return float(special.chdtri(df, 1 - p))


def noncentral_chi2_tail(x: float, df: float, shift: float) -> float:
    """P(χ² > x) with noncentrality ``shift``."""
    return float(1 - special.chndtr(x, df, shift))


def noncentrality(x: float, df: float, tail: float) -> float:
    """The noncentrality at which P(χ² > x) is ``tail``."""
    return float(special.chndtrinc(x, df, 1 - tail))


def f_tail(f: float, df1: float, df2: float) -> float:
    """P(F > f)."""
    return float(special.fdtrc(df1, df2, f))


def f_quantile(p: float, df1: float, df2: float) -> float:
    """f with P(F ≤ f) = p."""
    return float(special.fdtri(df1, df2, p))


def noncentral_f_tail(f: float, df1: float, df2: float, shift: float) -> float:
    """P(F > f) with noncentrality ``shift``."""
    return float(1 - special.ncfdtr(df1, df2, shift, f))


def noncentral_f_tail_at(f: float, df1: float, df2: float, tail: float) -> float:
    """The noncentrality at which P(F > f) is ``tail``."""
    low, high = 0.0, 1.0
    while noncentral_f_tail(f, df1, df2, high) < tail:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if noncentral_f_tail(f, df1, df2, middle) >= tail else (middle, high)
    return high
