"""Where a function of one number crosses zero."""

from __future__ import annotations

from collections.abc import Callable

from .imports import load


def root(f: Callable[[float], float], low: float, high: float, xtol: float, rtol: float = 8.9e-16) -> float:
    """x between ``low`` and ``high`` with f(x) = 0, by Brent's method; f has opposite signs at the two.

    Raises
    ------
    ValueError
        If the signs are the same.
    """
    # Here, because scipy.optimize takes half a second to import, and most runs need no root.
    brentq = load("scipy.optimize").brentq

    return float(brentq(f, low, high, xtol=xtol, rtol=rtol))
