"""Which propensities leave both arms possible; macros/statistics/overlap_share.sql says the same in SQL.

A tenth to nine tenths is the rule of thumb of Crump et al. 2009 for arms of about equal size: there the odds of
treatment are within a factor of 9 of even odds. Their optimal rule compares 1/(e(1 − e)) with its own mean, so that an
arm of 5 per cent drawn by lot, where it is the same for everybody, loses nobody. So the factor is kept, and taken of
the odds in the study: those of the declared ``allocation``, else of the treated share. The wider of both ranges counts:
what leaves both arms possible by the rule of thumb does so in an unequal study too.
"""

from __future__ import annotations

import numpy as np

LOW, HIGH = 0.1, 0.9


def support_bounds(share: float, low: float = LOW, high: float = HIGH) -> tuple[float, float]:
    """The least and the largest propensity in support where a share of the units is treated.

    min(l, p l̃ / (p l̃ + 1 − p)) and max(h, p h̃ / (p h̃ + 1 − p)), with l̃ = l / (1 − l) and h̃ = h / (1 − h).

    Parameters
    ----------
    share : float
        p, the declared allocation or the share of the treated among the units with a score.
    low, high : float
        l and h, the bounds at even odds (var ``propensity_bounds``).

    References
    ----------
    Crump, Hotz, Imbens & Mitnik 2009, section 3 and corollary 1.
    """
    least, most = (share * odds / (share * odds + 1 - share) for odds in (low / (1 - low), high / (1 - high)))
    return min(low, least), max(high, most)


def in_support(e: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    """Whether each propensity lies within the bounds, which are allowed: shape (n,), boolean."""
    return (e >= bounds[0]) & (e <= bounds[1])
