"""Robust intervals where the differential trend bends by at most M a period (fixed-length intervals)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import ndtr

from ..roots import root
from .honest_relative import LEVEL, EventStudy


@dataclass(frozen=True)
class Frontier:
    """Linear estimators a'β_pre + l'β_post from the least bias to the least variance, linear between knots.

    Attributes
    ----------
    weights : ndarray of shape (J, K + P)
        (a, l) at each knot, in the order of the coefficients.
    bias : ndarray of shape (J,)
        The worst bias, a unit of M.
    study : EventStudy
    """

    weights: np.ndarray
    bias: np.ndarray
    study: EventStudy

    def at(self, segment: int, part: float) -> tuple[float, float, float]:
        """Estimate, worst bias a unit of M and standard error, a part (0 to 1) of the way to the next knot."""
        last = min(segment + 1, len(self.bias) - 1)
        weights = (1 - part) * self.weights[segment] + part * self.weights[last]
        bias = (1 - part) * self.bias[segment] + part * self.bias[last]
        return float(weights @ self.study.beta), float(bias), float(np.sqrt(weights @ self.study.vcov @ weights))

    def slope(self, segment: int, part: float, bend: float) -> float:
        """The derivative of the half-length along a segment."""
        _, bias, se = self.at(segment, part)
        weights = (1 - part) * self.weights[segment] + part * self.weights[segment + 1]
        along = self.weights[segment + 1] - self.weights[segment]
        t = bend * bias / se
        c = half_length(t, 1.0)
        near, far = np.exp(-((c - t) ** 2) / 2), np.exp(-((c + t) ** 2) / 2)
        turn = (near - far) / (near + far)
        of_bias = bend * (self.bias[segment + 1] - self.bias[segment])
        return float(turn * of_bias + (c - t * turn) * (along @ self.study.vcov @ weights) / se)


def frontier(study: EventStudy) -> Frontier:
    """The estimators among which the shortest fixed-length interval is found (Rambachan & Roth 2023, section 4.1).

    A differential trend δ with bends κ_j = δ_j+1 − 2 δ_j + δ_j−1 (j = 0 the base) and slope γ after the base is
    δ_t = t γ + Σ_0<j<t (t − j) κ_j and δ_−t = −t γ + Σ_0≤j<t (t − j) κ_−j. So the worst bias over |κ| ≤ M of
    a'β_pre + l'β_post is finite only where Σ t a_t = Σ t l_t, and is then M (Σ_j |Σ_t l_t (t − j)₊| + Σ_j |w_j|),
    w_j = Σ_t a_t (t − j)₊, with w_0 = Σ t l_t. Its least variance for each bias is the path of a lasso in w_1, w_2, ….
    """
    k, p = len(study.pre), len(study.post)
    t = np.arange(1.0, k + 1)
    to_bends = np.maximum(t - np.arange(k)[:, None], 0.0)
    to_weights = np.linalg.inv(to_bends)
    ahead = np.arange(1.0, p + 1)
    fixed = sum(abs(study.weights @ np.maximum(ahead - j, 0.0)) for j in range(1, p))
    # β_pre in the order of distance from the base.
    order = np.concatenate([np.arange(k)[::-1], np.arange(k, k + p)])
    vcov = study.vcov[np.ix_(order, order)]
    quadratic = to_weights.T @ vcov[:k, :k] @ to_weights
    linear = to_weights.T @ vcov[:k, k:] @ study.weights
    first = float(study.weights @ ahead)
    path = lasso_path(quadratic[1:, 1:], linear[1:] + quadratic[1:, 0] * first)
    bends = np.column_stack([np.full(len(path), first), path])
    before = (bends @ to_weights.T)[:, ::-1]
    weights = np.hstack([before, np.tile(study.weights, (len(path), 1))])
    return Frontier(weights, fixed + np.abs(bends).sum(axis=1), study)


def lasso_path(q: np.ndarray, c: np.ndarray) -> np.ndarray:
    """The minimisers of w'Qw / 2 + c'w + μ Σ|w|, linear in μ between the knots that are given from μ = ∞ to 0.

    Parameters
    ----------
    q : ndarray of shape (m, m)
        Positive definite; m may be 0.
    c : ndarray of shape (m,)

    Returns
    -------
    ndarray of shape (knots, m)
    """
    m = len(c)
    w, out = np.zeros(m), [np.zeros(m)]
    if m == 0 or not np.abs(c).max() > 0:
        return np.array(out)
    mu, active = float(np.abs(c).max()), [int(np.abs(c).argmax())]
    gone = (-1, 0.0)
    for _ in range(50 * m):
        gradient = q @ w + c
        move = np.zeros(m)
        # As μ falls by one, w moves so that the active gradients stay at μ times their sign.
        move[active] = np.linalg.solve(q[np.ix_(active, active)], -np.sign(gradient[active]))
        step, event = min([(mu, -1), *_leaving(w, move, active), *_joining(gradient, q @ move, mu, active, gone)])
        w, mu = w + step * move, mu - step
        out.append(w)
        if event < 0:
            break
        if event in active:
            w[event], gone = 0.0, (event, float(np.sign(gradient[event])))
            active = [j for j in active if j != event]
        else:
            active, gone = sorted([*active, event]), (-1, 0.0)
        if not active:
            break
    return np.array(out)


def _leaving(w: np.ndarray, move: np.ndarray, active: list[int]) -> list[tuple[float, int]]:
    """How far each active coefficient is from zero."""
    return [(float(-w[j] / move[j]), j) for j in active if w[j] * move[j] < 0]


def _joining(
    gradient: np.ndarray, drift: np.ndarray, mu: float, active: list[int], gone: tuple[int, float]
) -> list[tuple[float, int]]:
    """How far each gradient is from the bound ±μ, which comes nearer; one that has just left lies on its own side."""
    out = []
    for j in range(len(gradient)):
        for sign in (1.0, -1.0):
            speed = 1 + sign * drift[j]
            if j not in active and (j, sign) != gone and speed > 1e-14:
                out.append((float(max(mu - sign * gradient[j], 0.0) / speed), j))
    return out


def interval(path: Frontier, bend: float) -> tuple[float, float, float]:
    """Estimate and bounds of the shortest fixed-length interval for trends that bend by at most ``bend`` a period.

    The half-length has one valley along the path: it is where the derivative first turns positive.
    """
    segment, part = 0, 0.0
    for j in range(len(path.bias) - 1):
        if path.slope(j, 0.0, bend) >= 0:
            segment, part = j, 0.0
            break
        if path.slope(j, 1.0, bend) > 0:
            segment, part = j, root(partial(path.slope, j, bend=bend), 0.0, 1.0, xtol=1e-15)
            break
        segment, part = j, 1.0
    estimate, bias, se = path.at(segment, part)
    reach = half_length(bend * bias, se)
    return estimate, estimate - reach, estimate + reach


def half_length(bias: float, se: float) -> float:
    """The 95 % quantile of |N(bias, se²)|."""
    if se <= 0:
        return bias
    t = bias / se
    inside = 1 - LEVEL
    return se * root(lambda z: ndtr(z - t) - ndtr(-z - t) - inside, max(t - 2.0, 0.0), t + 3.0, xtol=1e-14)


def breakdown(path: Frontier) -> float:
    """The largest M up to which the interval leaves zero out, in units of the outcome; 0 where it never does."""

    def distance(bend: float) -> float:
        _, low, high = interval(path, bend)
        return max(low, -high)

    if distance(0.0) <= 0:
        return 0.0
    high = path.study.std_error
    while distance(high) > 0:
        high *= 2
    return root(distance, 0.0, high, xtol=1e-14 * high, rtol=1e-14)
