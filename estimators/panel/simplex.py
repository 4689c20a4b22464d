"""Least squares with weights on the simplex, solved exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal

ROUNDING = 1e-14
MAX_STEPS = 10_000


@dataclass(frozen=True)
class SimplexFit:
    """Weights on the simplex.

    Attributes
    ----------
    weights : ndarray of shape (J,)
        Non-negative, summing to one; exactly zero outside the support.
    kkt_gap : float
        Frank & Wolfe's duality gap 2 (‖r‖² − min_j r'p_j), with r the residual and p_j = x_j − y, as a share of the
        best single donor's loss: the loss lies at most this far above its minimum. Zero at the optimum.
    """

    weights: np.ndarray
    kkt_gap: float


def simplex_least_squares(y: np.ndarray, x: np.ndarray, start: np.ndarray | None = None) -> SimplexFit:
    """min over w ≥ 0, Σw = 1 of ‖y − X w‖²: the point of the columns' convex hull that is nearest to y.

    Wolfe's (1976) active set: the loss is the squared norm of Σ w_j p_j with p_j = x_j − y. Add the point that most
    cuts the norm, move to the minimum over the affine hull of the support, and drop points whose weight would turn
    negative. Finite and exact up to rounding, with no step size or starting value to choose; where several weights
    fit perfectly (more donors than periods) it gives one of them, with the fewest donors it needs.

    Parameters
    ----------
    y : ndarray of shape (T,)
    x : ndarray of shape (T, J)
        At least one column.
    start : ndarray of shape (J,), optional
        Weights on the simplex to begin from: those of a similar problem save most of the steps.

    Raises
    ------
    Refusal
        If it has not converged after 10,000 steps.

    References
    ----------
    Wolfe (1976), Finding the nearest point in a polytope, Mathematical Programming 11.
    """
    points = x - y[:, None]
    norms = np.sqrt((points**2).sum(axis=0))
    best_single, reached = float(norms.min()), float("inf")
    support, weights = [int(np.argmin(norms))], np.ones(1)
    if best_single == 0:
        return SimplexFit((np.arange(x.shape[1]) == support[0]).astype(float), 0.0)
    if start is not None:
        used = np.flatnonzero(start > 0)
        support, weights = _shrink(points, used.tolist(), start[used])
    for _ in range(MAX_STEPS):
        r = points[:, support] @ weights
        loss = float(r @ r)
        gaps = loss - r @ points
        # What the rounding of r and of r'p_j could feign is no descent.
        noise = ROUNDING * max(np.sqrt(loss), ROUNDING * norms[support].max()) * np.maximum(norms, best_single)
        gain = np.where(gaps > noise, gaps / np.maximum(norms, best_single), 0.0)
        gain[support] = 0.0
        if loss >= reached or not gain.any():
            out = np.zeros(x.shape[1])
            out[support] = weights
            return SimplexFit(out, 2 * max(float(gaps.max()), 0.0) / best_single**2)
        reached = loss
        support, weights = _shrink(points, [*support, int(np.argmax(gain))], np.append(weights, 0.0))
    raise Refusal("the synthetic control's weights did not converge", "Report this panel; it should not happen")


def _shrink(points: np.ndarray, support: list[int], weights: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Move to the affine minimum of the support, dropping the points that stand in the way."""
    while True:
        target = _affine_minimum(points[:, support])
        if target.min() > 0:
            return support, target
        blocking = target <= 0
        way = np.maximum(weights - target, np.finfo(float).tiny)
        step = float((weights / way)[blocking].min())
        moved = weights + step * (target - weights)
        # Rounding can leave the point that stopped the step barely above zero: it leaves by name.
        moved[blocking & (weights <= step * way * (1 + 1e-12))] = 0.0
        keep = moved > 0
        support, weights = [j for j, kept in zip(support, keep, strict=True) if kept], moved[keep] / moved[keep].sum()


def _affine_minimum(points: np.ndarray) -> np.ndarray:
    """argmin ‖P w‖ with Σw = 1 and no sign: least squares in differences from the shortest point, scaled alike."""
    base = int(np.argmin((points**2).sum(axis=0)))
    rest = np.delete(points, base, axis=1) - points[:, [base]]
    size = np.sqrt((rest**2).sum(axis=0))
    size[size == 0] = 1.0
    share = np.linalg.lstsq(rest / size, -points[:, base], rcond=None)[0] / size
    return np.insert(share, base, 1.0 - share.sum())
