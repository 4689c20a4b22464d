"""Weights that make a study look like the target population, with the influence values of their estimation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..nuisance import fit_binary
from ..terms import Matrix

MAX_STEPS = 200


@dataclass(frozen=True)
class Tilt:
    """Weights ω(X) = exp(a + X'λ) of the study's units, and what they depend on.

    Attributes
    ----------
    omega : ndarray of shape (n,)
        Zero for units of the target.
    slope : ndarray of shape (n, k)
        Derivative of ω in the tilt's coefficients.
    influence : ndarray of shape (n, k)
        Influence values of those coefficients.
    """

    omega: np.ndarray
    slope: np.ndarray
    influence: np.ndarray


def inverse_odds(s: np.ndarray, x: Matrix, w: np.ndarray | None) -> Tilt:
    """ω = (1 − π) / π with π(X) = P(S = 1 | X) by a logit of study against target (Westreich et al. 2017).

    Parameters
    ----------
    s : ndarray of shape (n,)
        1 in the study, 0 in the target.
    x : Matrix of shape (n, k)
    w : ndarray of shape (n,), optional
        Sampling weights.

    Raises
    ------
    Refusal
        If the covariates tell the two populations apart entirely.
    """
    try:
        fit = fit_binary(s, x.values, x.names, "logit", w)
    except Refusal as apart:
        reason = f"the study and the target population share no covariate values: {apart.reason}"
        raise Refusal(reason, "Narrow the target to people whom the study could have had", "not_identified") from None
    omega = np.where(s == 1, np.exp(-fit.eta), 0.0)
    return Tilt(omega, -omega[:, None] * fit.design, fit.influence(s, w))


def entropy_tilt(s: np.ndarray, x: Matrix, w: np.ndarray | None) -> Tilt:
    """ω = exp(X'λ) under which the study's covariate means are the target's (Hainmueller 2012).

    λ solves Σ_{S=1} w ω (X − m) = 0, m the target's mean, by Newton's method.

    Raises
    ------
    Refusal
        If no weights do it: some mean of the target lies outside what the study's units span.
    """
    w = np.ones(len(s)) if w is None else w
    inside = s == 1
    mean = np.average(x.values[~inside], axis=0, weights=w[~inside])
    spread = x.values[inside].std(axis=0)
    kept = np.flatnonzero(spread > 0)
    scale = spread[kept]
    z = (x.values[:, kept] - mean[kept]) / scale
    lam = np.zeros(len(kept))
    for _ in range(MAX_STEPS):
        omega = w * np.exp(np.where(inside, z @ lam, -np.inf))
        gradient, hessian = omega @ z, (z * omega[:, None]).T @ z
        if np.abs(gradient).max(initial=0.0) <= 1e-11 * omega.sum():
            break
        lam = lam - _damped(z[inside], w[inside], lam, np.linalg.lstsq(hessian, gradient, rcond=None)[0])
    else:
        reason = "no weights give the study's units the target's covariate means"
        raise Refusal(reason, "Narrow the target, or use fewer covariates", "not_identified")
    tilt, n = np.exp(np.where(inside, z @ lam, -np.inf)), len(s)
    total = float(omega.sum())
    # The target's mean is estimated too: its influence enters through m.
    of_mean = np.where(inside, 0.0, w)[:, None] * z * n / w[~inside].sum()
    scores = omega[:, None] * z * n - total * of_mean
    influence = -np.linalg.lstsq(hessian, scores.T, rcond=None)[0].T
    return Tilt(tilt, tilt[:, None] * z, influence)


def _damped(z: np.ndarray, w: np.ndarray, lam: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The Newton step, halved until the dual objective Σ w exp(z'λ) falls."""
    before = float(w @ np.exp(z @ lam))
    for _ in range(40):
        with np.errstate(over="ignore"):
            after = float(w @ np.exp(z @ (lam - step)))
        if after <= before * (1 + 1e-12):
            return step
        step = step / 2
    return step
