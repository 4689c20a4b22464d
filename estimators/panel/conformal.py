"""Conformal inference for a synthetic control: a test and intervals that are exact if residuals can change places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .augmented import augmented
from .donors import DonorPool, Synthetic
from .simplex import simplex_least_squares

LEVEL = 0.95
DOUBLINGS, HALVINGS = 40, 14
ROUNDING = 1e-10


@dataclass(frozen=True)
class Conformal:
    """What the permutations of residuals say.

    Attributes
    ----------
    p_value : float
        Of no effect in any period after treatment.
    interval : tuple of float, or None
        95 % for an effect that is the same in every period; None where there are too few periods for it.
    each : tuple of (low, high) or None
        95 % for the effect in each period after treatment.
    """

    p_value: float
    interval: tuple[float, float] | None
    each: tuple[tuple[float, float] | None, ...]


def conformal(pool: DonorPool, own: Synthetic, periods: bool = True) -> Conformal:
    """Test by permuting the residuals of a fit that believes the hypothesis.

    For effects θ the outcome is set back to Y₁ − θ after treatment, the weights are fitted on all T periods, and
    S = mean |û_t| over the periods after treatment is compared with itself under all T cyclic shifts of û:
    p = share of shifts with S at least as large. The interval holds every θ with p > 0.05. For one period only that
    period and those before treatment are used. With fewer than 20 periods no effect can be rejected at 5 %.

    Parameters
    ----------
    pool : DonorPool
    own : Synthetic
        The treated unit's fit: its penalty is kept where it is augmented.
    periods : bool
        Whether the intervals of single periods are wanted.

    Sources
    -------
    Chernozhukov, Wüthrich & Zhu (2021), JASA 116, algorithms 1 and 2 with moving block permutations and q = 1.
    """
    before, after = np.arange(pool.n_pre), np.arange(pool.n_pre, len(pool.periods))
    p_all = _test(pool, own, before, after)
    center = float(own.gap[after].mean())
    step = max(own.pre_rmspe, ROUNDING * float(np.std(pool.y1)), 1e-300)
    interval = inverted(p_all, center, step) if len(pool.periods) >= 20 else None
    each: tuple[tuple[float, float] | None, ...] = (None,) * len(after)
    if periods and pool.n_pre + 1 >= 20:
        each = tuple(inverted(_test(pool, own, before, np.array([t])), float(own.gap[t]), step) for t in after)
    return Conformal(p_all(0.0), interval, each)


def _test(
    pool: DonorPool, own: Synthetic, before: np.ndarray, after: np.ndarray
) -> Callable[[float], float]:  # fmt: skip
    """θ to the p-value of an effect θ in the periods ``after``."""
    rows, count = np.concatenate([before, after]), len(after)
    y1, y0 = pool.y1[rows], pool.y0[rows]
    shift = np.arange(len(rows)) >= len(before)
    last: list[np.ndarray | None] = [None]

    def p_value(theta: float) -> float:
        y = y1 - theta * shift
        if own.penalty is not None:
            residual = augmented(y, y0, len(rows), own.penalty).gap
        else:
            last[0] = simplex_least_squares(y, y0, last[0]).weights
            residual = y - y0 @ last[0]
        size = np.abs(residual)
        around = np.concatenate([[0.0], np.cumsum(np.concatenate([size, size[: count - 1]]))])
        blocks = around[count:] - around[:-count]
        observed = blocks[len(before)]
        return float(np.mean(blocks >= observed - ROUNDING * (size.sum() + abs(theta))))

    return p_value


def inverted(p_value: Callable[[float], float], center: float, step: float) -> tuple[float, float] | None:
    """The effects around an estimate that are not rejected, by doubling steps outwards and then halving.

    None where the estimate is itself rejected or nothing is, however far.
    """
    alpha = 1 - LEVEL + 1e-12
    if p_value(center) <= alpha:
        return None
    ends = []
    for sign in (-1.0, 1.0):
        held, way = 0.0, step
        for _ in range(DOUBLINGS):
            if p_value(center + sign * way) <= alpha:
                break
            held, way = way, 2 * way
        else:
            return None
        for _ in range(HALVINGS):
            middle = (held + way) / 2
            held, way = (middle, way) if p_value(center + sign * middle) > alpha else (held, middle)
        ends.append(center + sign * held)
    return ends[0], ends[1]
