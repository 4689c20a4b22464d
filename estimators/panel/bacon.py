"""What a two-way fixed effects coefficient is made of: 2x2 comparisons, and weights on single effects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .labels import label
from .two_by_two import Block, two_by_two

NEVER, LATER, EARLIER, ALWAYS = (
    "treated v never treated", "earlier v later treated", "later v already treated", "treated v always treated",
)  # fmt: skip
# Comparisons whose controls are treated already: their effects' growth enters with the wrong sign.
FORBIDDEN = (EARLIER, ALWAYS)


@dataclass(frozen=True)
class Pair:
    """One 2x2 comparison: its kind, who is compared, its weight in the coefficient and its estimate."""

    kind: str
    name: str
    weight: float
    estimate: float


@dataclass(frozen=True)
class Negative:
    """Weights of de Chaisemartin & D'Haultfoeuille (2020) on the effects of the treated rows.

    Attributes
    ----------
    share : float
        Treated rows with a weight below zero, as a share of all treated rows.
    total : float
        The sum of those weights (all weights sum to 1).
    least_spread : float or None
        The smallest standard deviation of the effects with which the coefficient could be what it is while their
        average is zero, in units of the outcome; None where all weights are equal.
    """

    share: float
    total: float
    least_spread: float | None


def decompose(y: np.ndarray, treated: np.ndarray, periods: np.ndarray) -> tuple[Pair, ...]:
    """Goodman-Bacon's (2021) decomposition of the coefficient of a balanced panel with lasting treatment.

    The coefficient is Σ s_kl β_kl over pairs of cohorts. With n_k the share of cohort k, n_kl = n_k / (n_k + n_l) and
    D_k the share of periods in which it is treated (k starts before l, U is never treated, V the variance of what
    fixed effects leave of the treatment),

        s_kU  = (n_k + n_U)² n_kU (1 − n_kU) D_k (1 − D_k) / V,
        s_kl^k = (n_k + n_l)² n_kl (1 − n_kl) (D_k − D_l) (1 − D_k) / V   (l is not treated yet),
        s_kl^l = (n_k + n_l)² n_kl (1 − n_kl) D_l (D_k − D_l) / V         (k is treated already).

    Parameters
    ----------
    y : ndarray of shape (n, T)
        Outcomes without gaps.
    treated : ndarray of shape (n, T)
        0 and 1, never falling within a unit.
    periods : ndarray of shape (T,)

    Returns
    -------
    tuple of Pair
        Weights sum to 1, and weights times estimates to the coefficient.
    """
    n_periods = len(periods)
    start = n_periods - treated.sum(axis=1).astype(int)
    starts, sizes = np.unique(start, return_counts=True)
    share = dict(zip(starts.tolist(), sizes / len(y), strict=True))
    mean = {int(k): y[start == k].mean(axis=0) for k in starts}
    variance = float(_left(treated).var())
    out = []
    for k in starts.tolist():
        for m in starts.tolist():
            if k < m:
                pairs = _of_two(k, m, n_periods)
                scale = (share[k] * share[m]) / variance
                for kind, own, other, window, size in pairs:
                    block = Block(mean[own], mean[other], own, window)
                    name = f"{_named(own, periods)} v {_named(other, periods)}"
                    out.append(Pair(kind, name, scale * size, two_by_two(block)))
    return tuple(out)


def _of_two(k: int, m: int, n: int) -> list[tuple[str, int, int, slice, float]]:
    """Comparisons of cohorts that start in the places k < m: kind, treated, control, periods, last part of weight."""
    early, late = 1 - k / n, 1 - m / n
    if k == 0 and m == n:
        return []  # nothing switches
    if m == n:
        return [(NEVER, k, m, slice(0, n), early * (1 - early))]
    if k == 0:
        return [(ALWAYS, m, k, slice(0, n), late * (1 - late))]
    return [
        (LATER, k, m, slice(0, m), (early - late) * (1 - early)),
        (EARLIER, m, k, slice(k, n), late * (early - late)),
    ]


def _left(treated: np.ndarray) -> np.ndarray:
    return treated - treated.mean(axis=1, keepdims=True) - treated.mean(axis=0) + treated.mean()


def _named(start: int, periods: np.ndarray) -> str:
    return "never" if start == len(periods) else "always" if start == 0 else label(float(periods[start]))


def negative_weights(left: np.ndarray, d: np.ndarray, w: np.ndarray, coefficient: float) -> Negative:
    """Weights of the treated rows' own effects in the coefficient (de Chaisemartin & D'Haultfoeuille 2020).

    Under parallel trends the coefficient estimates Σ W_it Δ_it over treated rows, with
    W_it = w_it ε_it / Σ w ε, ε what fixed effects (and covariates) leave of the treatment.

    Parameters
    ----------
    left, d, w : ndarray of shape (N,)
        ε, the treatment (0 and 1) and the sampling weights.
    coefficient : float
    """
    on = d == 1
    share = w[on] / w[on].sum()
    relative = left[on] / np.sum(share * left[on])
    spread = float(np.sqrt(np.sum(share * (relative - 1) ** 2)))
    below = relative < 0
    least = abs(coefficient) / spread if spread > 1e-10 else None
    return Negative(float(share[below].sum()), float(np.sum((share * relative)[below])), least)
