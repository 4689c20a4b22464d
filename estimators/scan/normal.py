"""The standard normal distribution function as SQL, which DuckDB has not."""

from __future__ import annotations

import functools

import numpy as np
from numpy.polynomial import chebyshev
from scipy import special

# Where u = 0 lies, and the polynomial's degree: the error is below 2e-14 of the smaller tail for |x| < 6.
CENTRE, DEGREE = 4.0, 22


def normal_cdf_sql(x: str) -> str:
    """SQL of Φ(x) for an expression that gives a DOUBLE.

    Φ(−a) = exp(−a²/2) h(u) / (1 + 2a) for a ≥ 0, where h is a polynomial in u = (a − 4) / (a + 4), which takes the
    half-line to [−1, 1] (Shepherd & Laframboise 1981, Math. Comp. 36).
    """
    *lower, highest = _coefficients().tolist()
    series = number(highest)
    for c in reversed(lower):
        series = f"({series} * u + {number(c)})"
    tail = f"exp(-0.5::double * v * v) * {series} / (1.0::double + 2.0::double * abs(v))"
    # A lambda binds a value once that its body reads often.
    inner = f"list_transform([(abs(v) - {CENTRE}::double) / (abs(v) + {CENTRE}::double)], lambda u: {tail})[1]"
    q = f"list_transform([{inner}], lambda q: case when v > 0 then 1.0::double - q else q end)[1]"
    return f"list_transform([({x})::double], lambda v: {q})[1]"


def number(value: float) -> str:
    """A float as a DOUBLE literal with all its digits: one without an exponent would be a DECIMAL to DuckDB."""
    text = repr(float(value))
    return text if "e" in text else f"{text}e0"


@functools.cache
def _coefficients() -> np.ndarray:
    """Of h, the lowest power first: its Chebyshev interpolant, whose terms fall fast enough to be summed as powers."""

    u = chebyshev.chebpts1(DEGREE + 1)
    a = CENTRE * (1 + u) / (1 - u)
    h = 0.5 * special.erfcx(a / np.sqrt(2)) * (1 + 2 * a)
    return chebyshev.cheb2poly(chebyshev.chebfit(u, h, DEGREE))
