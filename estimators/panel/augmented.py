"""Ridge-augmented synthetic control: what the simplex leaves unmatched before treatment is taken off by regression."""

from __future__ import annotations

import numpy as np

from .donors import Synthetic, synthetic
from .simplex import SimplexFit

PENALTIES = 20
SPAN = 1e-8


def augmented(y1: np.ndarray, y0: np.ndarray, n_pre: int, penalty: float | None = None) -> Synthetic:
    """w + X₀ (X₀'X₀ + λI)⁻¹ (X₁ − X₀'w): simplex weights w, moved as far as the ridge penalty lets them.

    X are the outcomes before treatment less their mean over the donors, so that weights still sum to one; some may
    turn negative, which extrapolates. A large λ gives the synthetic control, λ = 0 the closest fit there is.

    λ is chosen by leaving out one period before treatment at a time: of 20 on a log scale from the largest squared
    singular value of X₀ down to 1e-8 of it, the largest whose mean squared prediction error lies within one standard
    error of the least (the rule of R's augsynth).

    Parameters
    ----------
    y1, y0 : ndarray of shape (T,) and (T, J)
    n_pre : int
    penalty : float, optional
        λ, in squared units of the outcome; chosen by default.

    Sources
    -------
    Ben-Michael, Feller & Rothstein (2021), JASA 116, section 3 and 4.
    """
    own = synthetic(y1, y0, n_pre)
    middle = y0[:n_pre].mean(axis=1)
    x1, x0 = y1[:n_pre] - middle, (y0[:n_pre] - middle[:, None]).T
    chosen = _penalty(x1, x0) if penalty is None else penalty
    weights = own.fit.weights + _moves(x1, x0, own.fit.weights, np.array([chosen]))[0]
    return Synthetic(SimplexFit(weights, own.fit.kkt_gap), y1 - y0 @ weights, n_pre, penalty=chosen)


def _moves(x1: np.ndarray, x0: np.ndarray, w: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    """What the ridge adds to the weights, for each penalty: shape (len(penalties), J). ``x0`` has shape (J, T₀)."""
    left, values, right = np.linalg.svd(x0, full_matrices=False)
    along = right @ (x1 - x0.T @ w)
    bottom = values**2 + penalties[:, None]
    # With λ = 0 directions in which no donor varies stay as they are.
    share = np.divide(values, bottom, out=np.zeros_like(bottom), where=bottom > 1e-14 * values.max(initial=0.0) ** 2)
    return np.asarray((share * along) @ left.T)


def _penalty(x1: np.ndarray, x0: np.ndarray) -> float:
    """λ by leaving out one period at a time."""
    largest = float(np.linalg.norm(x0, 2) ** 2)
    if largest == 0:
        return 1.0
    penalties = largest * np.geomspace(1.0, SPAN, PENALTIES)
    errors = np.empty((len(x1), PENALTIES))
    for t in range(len(x1)):
        keep = np.arange(len(x1)) != t
        w = synthetic(x1[keep], x0[:, keep].T, int(keep.sum())).fit.weights
        errors[t] = (x1[t] - (w + _moves(x1[keep], x0[:, keep], w, penalties)) @ x0[:, t]) ** 2
    mean, se = errors.mean(axis=0), errors.std(axis=0, ddof=1) / np.sqrt(len(x1))
    least = int(np.argmin(mean))
    return float(penalties[np.flatnonzero(mean <= mean[least] + se[least])[0]])
