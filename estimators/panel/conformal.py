"""Conformal inference for a synthetic control: a test and intervals that are exact if residuals can change places."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .augmented import augmented
from .donors import DonorPool, Synthetic
from .simplex import simplex_least_squares

LEVEL = 0.95
DOUBLINGS, HALVINGS = 40, 14
# Effects that are tried on each side of the estimate, up to REACH pre-period errors or twice the estimate, and how many
# times in a row an effect that is twice as far must be rejected for the search to end.
TRIED, REACH, CLOSED = 24, 12.0, 3
Pieces = tuple[tuple[float, float], ...]
ROUNDING = 1e-10


@dataclass(frozen=True)
class Conformal:
    """What the permutations of residuals say.

    Attributes
    ----------
    p_value : float
        Of no effect in any period after treatment.
    accepted : tuple of (low, high)
        95 % set of an effect that is the same in every period, in ascending pieces; none where there are too few
        periods for it, or where it has no end.
    each : tuple of such tuples
        Of the effect in each period after treatment.
    """

    p_value: float
    accepted: Pieces
    each: tuple[Pieces, ...]

    @property
    def interval(self) -> tuple[float, float] | None:
        """The hull of the set."""
        return hull(self.accepted)


def hull(pieces: Pieces) -> tuple[float, float] | None:
    """From the first piece's low to the last one's high; None without a piece."""
    return (pieces[0][0], pieces[-1][1]) if pieces else None


def conformal(pool: DonorPool, own: Synthetic, periods: bool = True) -> Conformal:
    """Test by permuting the residuals of a fit that believes the hypothesis.

    For effects θ the outcome is set back to Y₁ − θ after treatment, the weights are fitted on all T periods, and S =
    mean |û_t| over the periods after treatment is compared with itself under all T cyclic shifts of û: p = share of
    shifts with S at least as large. The set holds every θ with p > 0.05; the weights change with θ, so p need not fall
    on both sides of the estimate and the set may have gaps: it is kept whole, its hull is the interval. For one period
    only that period and those before treatment are used. With fewer than 20 periods no effect can be rejected at 5 %.

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
    whole = inverted(p_all, center, step) if len(pool.periods) >= 20 else ()
    each: tuple[Pieces, ...] = ((),) * len(after)
    if periods and pool.n_pre + 1 >= 20:
        each = tuple(inverted(_test(pool, own, before, np.array([t])), float(own.gap[t]), step) for t in after)
    return Conformal(p_all(0.0), whole, each)


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


def inverted(p_value: Callable[[float], float], center: float, step: float) -> Pieces:
    """The effects that are not rejected, in ascending pieces.

    Effects on a grid about the estimate, denser near it, zero, and doublings beyond are tried; each end between a
    rejected and an accepted neighbour is halved in. A gap or a piece that lies between two neighbours goes unseen.
    Empty where nothing is accepted, or something is however far away.
    """
    alpha = 1 - LEVEL + 1e-12
    reach = max(REACH * step, 2 * abs(center))
    away = reach * (np.arange(1, TRIED + 1) / TRIED) ** 2
    tried = {float(theta): p_value(float(theta)) > alpha for theta in (center, 0.0, *(center - away), *(center + away))}
    for sign in (-1.0, 1.0):
        way, closed = reach, 0
        for _ in range(DOUBLINGS):
            closed = 0 if tried[center + sign * way] else closed + 1
            if closed == CLOSED:
                break
            way *= 2
            tried[center + sign * way] = p_value(center + sign * way) > alpha
        else:
            return ()
    thetas = sorted(tried)
    ends = [_end(p_value, low, high, alpha) for low, high in itertools.pairwise(thetas) if tried[low] != tried[high]]
    return tuple(zip(ends[::2], ends[1::2], strict=True))


def _end(p_value: Callable[[float], float], low: float, high: float, alpha: float) -> float:
    """The last accepted effect between two, one of which is."""
    is_low = p_value(low) > alpha
    held, way = (low, high) if is_low else (high, low)
    for _ in range(HALVINGS + 6):
        middle = (held + way) / 2
        held, way = (middle, way) if p_value(middle) > alpha else (held, middle)
    return held
