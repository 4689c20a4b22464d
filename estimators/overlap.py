"""Which propensities leave both arms possible; macros/statistics/overlap_share.sql says the same in SQL.

A tenth to nine tenths is the rule of thumb of Crump et al. 2009 for arms of about equal size: there the odds of
treatment are within a factor of 9 of even odds. Their optimal rule compares 1/(e(1 − e)) with its own mean, so that an
arm of 5 per cent drawn by lot, where it is the same for everybody, loses nobody. So in an experiment the factor is kept
and taken of the odds that the lots gave: those of the declared ``allocation``, else of the treated share. The wider of
both ranges counts.

Where treatment was chosen the rule of thumb stays: with 5 per cent treated and propensities that vary, nearly all units
are within a factor of 9 of the treated share while the 95 % interval of ipw covers 90 % and less (300 draws of 2,000
units, logit slope 0.8: 0.897 at a share of 0.99; slope 1.5: 0.79 at 0.83), and by lot 95 %.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .thresholds import bounds

if TYPE_CHECKING:
    from .study import Study

# Of the rule of thumb; what is judged by is `thresholds.bounds`.
LOW = 0.1


def share_by_lot(study: Study, treated: float) -> float:
    """The share of the treated that bounds are taken about: in an experiment the allocation, else even odds."""
    if study.design != "experiment":
        return 0.5
    return treated if study.allocation is None else study.allocation


def support_bounds(share: float, low: float | None = None, high: float | None = None) -> tuple[float, float]:
    """The least and the largest propensity in support where a share of the units is treated.

    min(l, p l̃ / (p l̃ + 1 − p)) and max(h, p h̃ / (p h̃ + 1 − p)), with l̃ = l / (1 − l) and h̃ = h / (1 − h).

    Parameters
    ----------
    share : float
        p: see `share_by_lot`.
    low, high : float, optional
        l and h, the bounds at even odds; by default those of var ``propensity_bounds``.

    References
    ----------
    Crump, Hotz, Imbens & Mitnik 2009, section 3 and corollary 1.
    """
    least, most = bounds()
    low, high = least if low is None else low, most if high is None else high
    if share == 0.5:
        return low, high
    least, most = (share * odds / (share * odds + 1 - share) for odds in (low / (1 - low), high / (1 - high)))
    return min(low, least), max(high, most)


def in_support(e: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    """Whether each propensity lies within the bounds, which are allowed: shape (n,), boolean."""
    return (e >= bounds[0]) & (e <= bounds[1])
