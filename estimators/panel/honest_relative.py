"""Robust sets where trends after treatment differ by at most M̄ times the largest difference before it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

LEVEL = 0.05
# The share of the level that the first, least favourable stage of the hybrid test takes.
KAPPA = LEVEL / 10
DRAWS = 5_000
GRID = 200
LARGEST = 20.0
# How often the grid is made twice as wide before a set without an end is believed to have none.
DOUBLINGS = 60
_ROUNDING = 1e-10


@dataclass(frozen=True)
class EventStudy:
    """Coefficients of an event study against one period before treatment, and what is asked of them.

    Attributes
    ----------
    pre, post : ndarray of shape (K,), (P,)
        In the order of time; the period between them is the base, whose coefficient is zero.
    vcov : ndarray of shape (K + P, K + P)
    weights : ndarray of shape (P,)
        l: the target is l'τ, a weighted sum of the effects after treatment.
    """

    pre: np.ndarray
    post: np.ndarray
    vcov: np.ndarray
    weights: np.ndarray

    @property
    def beta(self) -> np.ndarray:
        """All coefficients: shape (K + P,)."""
        return np.concatenate([self.pre, self.post])

    @property
    def target(self) -> np.ndarray:
        """l with zeros before treatment: shape (K + P,)."""
        return np.concatenate([np.zeros(len(self.pre)), self.weights])

    @property
    def estimate(self) -> float:
        """l'β, without any correction."""
        return float(self.weights @ self.post)

    @property
    def std_error(self) -> float:
        """Of l'β."""
        return float(np.sqrt(self.target @ self.vcov @ self.target))


@dataclass(frozen=True)
class Piece:
    """One polyhedron of Δ^RM(M̄): the largest difference before treatment is that of one step, with one sign.

    Attributes
    ----------
    values : ndarray of shape (V,)
        What each extreme point of the dual makes of the data at θ = 0.
    slopes : ndarray of shape (V,)
        What a unit of θ takes from them.
    vcov : ndarray of shape (V, V)
    critical : float
        The least favourable critical value of their maximum, at level κ.
    """

    values: np.ndarray
    slopes: np.ndarray
    vcov: np.ndarray
    critical: float


def interval(study: EventStudy, bar: float, draws: np.ndarray) -> tuple[float, float]:
    """The smallest interval that holds the robust set at M̄ = ``bar``.

    Δ^RM(M̄) = {δ: |δ_t+1 − δ_t| ≤ M̄ max_s<0 |δ_s+1 − δ_s| for t ≥ 0} is a union over the step s and its sign of
    polyhedra; a value of θ belongs to the set unless the hybrid test (`rejects`) rejects it in every one.

    Parameters
    ----------
    study : EventStudy
    bar : float
        M̄ ≥ 0.
    draws : ndarray of shape (draws, K + P)
        From `normal_draws`.

    Returns
    -------
    tuple of float
        In units of the outcome; infinite where nothing is rejected, however far away.
    """
    pieces = [piece(study, bar, step, sign, draws) for step in range(len(study.pre)) for sign in (1.0, -1.0)]

    def accepts(theta: np.ndarray) -> np.ndarray:
        return np.asarray(~np.all([rejects(one, theta) for one in pieces], axis=0))

    largest = np.abs(np.diff(np.append(study.pre, 0.0))).max()
    reach = bar * (np.arange(1, len(study.post) + 1) @ np.abs(study.weights)) * largest
    return _ends(accepts, study.estimate, 5 * study.std_error + reach)


def _ends(accepts: Callable[[np.ndarray], np.ndarray], centre: float, half: float) -> tuple[float, float]:
    """The outermost accepted points, each sharpened between two points of a grid that is wide enough."""
    for _ in range(DOUBLINGS):
        grid = centre + half * np.linspace(-1, 1, GRID + 1)
        inside = np.flatnonzero(accepts(grid))
        if not len(inside) or (inside[0] > 0 and inside[-1] < GRID):
            break
        half *= 2
    else:  # accepted however far: a covariance without rank, or values whose tests have no number
        return -math.inf, math.inf
    if not len(inside):
        return centre, centre
    return _edge(accepts, grid[inside[0]], grid[inside[0] - 1]), _edge(accepts, grid[inside[-1]], grid[inside[-1] + 1])


def _edge(accepts: Callable[[np.ndarray], np.ndarray], inner: float, outer: float) -> float:
    """Where acceptance ends between an accepted and a rejected value: each round narrows it twentyfold."""
    for _ in range(11):
        points = np.linspace(inner, outer, 21)
        first = int(np.argmin(np.append(accepts(points[1:-1]), False))) + 1
        inner, outer = points[first - 1], points[first]
    return float(inner)


def breakdown(study: EventStudy, draws: np.ndarray) -> float:
    """The largest M̄ (at most `LARGEST`) up to which the robust set leaves zero out; 0 where it never does.

    One piece after another is asked where it begins to accept zero, and only if it does below the smallest so far.
    """
    smallest, zero = LARGEST, np.zeros(1)
    for step in range(len(study.pre)):
        for sign in (1.0, -1.0):

            def accepts(bar: float, step: int = step, sign: float = sign) -> bool:
                return not rejects(piece(study, bar, step, sign, draws), zero)[0]

            if not accepts(smallest):
                continue
            low, high = 0.0, smallest
            if accepts(low):
                return 0.0
            for _ in range(28):
                middle = (low + high) / 2
                low, high = (low, middle) if accepts(middle) else (middle, high)
            smallest = low
    return smallest


def normal_draws(study: EventStudy, seed: int) -> np.ndarray:
    """Draws of N(0, V), V the coefficients' covariance: shape (draws, K + P)."""
    values, vectors = np.linalg.eigh(study.vcov)
    # The symmetric root moves little where the covariance moves little.
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return np.asarray(np.random.default_rng(seed).standard_normal((DRAWS, len(root))) @ root)


def piece(study: EventStudy, bar: float, step: int, sign: float, draws: np.ndarray) -> Piece:
    """The moments of one polyhedron as extreme points of the dual of its linear program.

    With b_t the steps of the coefficients after treatment, x_t those of the effects and u the signed step before
    treatment, the moments are ±(b_t − x_t) − M̄ u ≤ 0 with Σ L_t x_t = θ, where L_t = Σ_j≥t l_j. Multipliers that
    leave no x_t have λ_t+ − λ_t− = c L_t: besides c = 0 (λ_t+ = λ_t− for one t) there is one extreme point a sign of
    c. They are scaled so that λ'sd = 1, as the test of Andrews, Roth & Pakes asks.
    """
    k, p = len(study.pre), len(study.post)
    steps = _steps(k, p)
    u, b = sign * steps[step], steps[k:]
    after = np.cumsum(study.weights[::-1])[::-1]
    sd = {c: np.sqrt(np.maximum(_quadratic(c * b - bar * u, study.vcov), 0.0)) for c in (1.0, -1.0)}
    total = np.abs(after).sum()
    rows, slopes = [], []
    for c in (1.0, -1.0):
        scale = np.sum(np.abs(after) * np.where(c * after > 0, sd[1.0], sd[-1.0]))
        rows.append((c * study.target - bar * total * u) / scale)
        slopes.append(c / scale)
    for t in range(p):
        both = sd[1.0][t] + sd[-1.0][t]
        rows.append(-2 * bar * u / both if both > 0 else np.zeros(k + p))
        slopes.append(0.0)
    points = np.array(rows)
    critical = float(np.quantile((draws @ points.T).max(axis=1), 1 - KAPPA))
    return Piece(points @ study.beta, np.array(slopes), points @ study.vcov @ points.T, critical)


def _steps(k: int, p: int) -> np.ndarray:
    """Each step δ_s+1 − δ_s as a function of the coefficients, the base's zero left out: shape (K + P, K + P)."""
    steps = np.diff(np.eye(k + p + 1), axis=0)
    return np.delete(steps, k, axis=1)


def _quadratic(rows: np.ndarray, vcov: np.ndarray) -> np.ndarray:
    return np.asarray(np.einsum("ij,jk,ik->i", rows, vcov, rows))


def rejects(one: Piece, theta: np.ndarray) -> np.ndarray:
    """The conditional and least-favourable hybrid test (C-LF) of each θ at 5 %: shape (Θ,), boolean.

    η = max over extreme points. It rejects where η exceeds the least favourable critical value of level κ, and else
    where η is in the upper (α − κ) / (1 − κ) of its normal law truncated to where the same extreme point attains the
    maximum, and to that critical value (Andrews, Roth & Pakes 2023).
    """
    values = one.values[:, None] - one.slopes[:, None] * theta
    best = values.argmax(axis=0)
    eta = values[best, np.arange(len(theta))]
    variance = np.maximum(np.diag(one.vcov), 0.0)
    constant = variance[best] <= _ROUNDING * variance.max()
    own = np.where(constant, 1.0, variance[best])
    rho = one.vcov[:, best] / own
    away = np.abs(1 - rho) > _ROUNDING
    with np.errstate(divide="ignore", invalid="ignore"):
        bound = (values - rho * eta) / (1 - rho)
    low = np.where(away & (rho < 1), bound, -np.inf).max(axis=0)
    high = np.minimum(np.where(away & (rho > 1), bound, np.inf).min(axis=0), one.critical)
    sd = np.sqrt(own)
    size = (LEVEL - KAPPA) / (1 - KAPPA)
    conditional = (eta > 0) & (_upper_tail(eta / sd, low / sd, high / sd) < size)
    return np.asarray(np.where(constant, eta > _ROUNDING, (eta > one.critical) | conditional))


def _upper_tail(z: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """P(Z > z | low ≤ Z ≤ high) for a standard normal Z, in logarithms so that far tails keep their digits."""
    z, low = np.minimum(z, high), np.minimum(low, z)
    with np.errstate(invalid="ignore"):  # an empty range gives NaN, which rejects nothing
        return np.exp(_log_between(z, high) - _log_between(low, high))


def _log_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """log P(a < Z < b) where a ≤ b."""
    flip = a + b < 0
    a, b = np.where(flip, -b, a), np.where(flip, -a, b)
    near, far = log_ndtr(-a), log_ndtr(-b)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(a < b, near + np.log1p(-np.exp(far - near)), -np.inf))
