"""Mediation effects as functions of the parameters of both models: exact integrals over the mediator."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..nuisance import inverse_link
from .models import LINEAR, LOGIT, PROBIT, Layout, Sides

NODES = 24
# Numbers held at once while many draws are evaluated.
BLOCK = 2_000_000
# Of (Y(1,M(1)), Y(1,M(0)), Y(0,M(1)), Y(0,M(0))): Y(t, M(t')).
WORLDS = ((1, 1), (1, 0), (0, 1), (0, 0))
NAMES = (
    ("ACME", "overall"), ("ACME", "control"), ("ACME", "treated"),
    ("ADE", "overall"), ("ADE", "control"), ("ADE", "treated"), ("TOTAL", "overall"),
)  # fmt: skip
CONTRASTS = np.array([
    [0.5, -0.5, 0.5, -0.5], [0, 0, 1, -1], [1, -1, 0, 0],
    [0.5, 0.5, -0.5, -0.5], [0, 1, 0, -1], [1, 0, -1, 0], [1, 0, 0, -1],
])  # fmt: skip


def worlds(sides: Sides, layout: Layout, theta: np.ndarray, z: np.ndarray, rho: float = 0.0) -> np.ndarray:
    """E[Y(t, M(t')) | Z] for the four pairs of `WORLDS`, in units of the outcome.

    Parameters
    ----------
    theta : ndarray of shape (p, B)
        B draws of the parameters.
    z : ndarray of shape (n, k)
        Covariates; with two linear models their mean gives the mean.
    rho : float
        Correlation of the errors of a normal mediator and a probit's latent outcome.

    Returns
    -------
    ndarray of shape (4, n, B)
    """
    a, b = theta[layout.of_m], theta[layout.of_y]
    z_m, z_y = z @ a[2:], z @ b[layout.y_start :]
    sigma = np.exp(theta[layout.log_sigma_m]) if layout.m_model == LINEAR else None
    levels = (sides.low, sides.high)
    out = np.empty((4, *z_m.shape))
    for j, (t, t_of_m) in enumerate(WORLDS):
        index = a[0] + a[1] * levels[t_of_m] + z_m
        start = b[0] + b[1] * levels[t] + z_y
        slope = b[2] + (b[3] * levels[t] if layout.interaction else 0.0)
        out[j] = _mean_outcome(layout, index, start, slope, sigma, rho)
    return out * sides.y_unit


def _mean_outcome(layout: Layout, index: np.ndarray, start: np.ndarray, slope: Any, sigma: Any, rho: float) -> Any:
    """∫ E[Y | start + slope m] dF(m), with the mediator's mean or link index ``index``."""
    link = layout.y_model
    if layout.m_model != LINEAR:
        p = inverse_link(index, layout.m_model)
        if link == LINEAR:
            return start + slope * p
        return p * inverse_link(start + slope, link) + (1 - p) * inverse_link(start, link)
    centre = start + slope * index
    if link == LINEAR:
        return centre
    spread = slope * sigma
    if link == PROBIT:
        return inverse_link(centre / np.sqrt(1 + spread**2 + 2 * rho * spread), PROBIT)
    nodes, shares = np.polynomial.hermite_e.hermegauss(NODES)
    return sum(
        share * inverse_link(centre + spread * node, LOGIT)
        for node, share in zip(nodes, shares / shares.sum(), strict=True)
    )


def rows_of(sides: Sides) -> tuple[np.ndarray, np.ndarray]:
    """Covariates at which effects are evaluated and their weights (sum 1): with two linear models, the mean alone."""
    share = sides.w / sides.w.sum()
    return ((share @ sides.z)[None, :], np.ones(1)) if sides.is_linear else (sides.z, share)


def mean_worlds(
    sides: Sides, layout: Layout, theta: np.ndarray, z: np.ndarray, share: np.ndarray, rho: float = 0.0
) -> np.ndarray:
    """Means over the rows z of `worlds`: shape (B, 4).

    Parameters
    ----------
    theta : ndarray of shape (p, B)
    z : ndarray of shape (n, k)
    share : ndarray of shape (n,) or (n, B)
        Weights that add up to one (in each draw).
    """
    draws = theta.shape[1]
    out = np.empty((draws, 4))
    step = max(1, BLOCK // len(z))
    for start in range(0, draws, step):
        part = slice(start, start + step)
        weights = share[:, None] if share.ndim == 1 else share[:, part]
        out[part] = (worlds(sides, layout, theta[:, part], z, rho) * weights).sum(axis=1).T
    return out


def gradient(function: Any, theta: np.ndarray) -> np.ndarray:
    """Central differences of a function of θ with values of shape (q,): shape (q, p)."""
    steps = 1e-5 * np.maximum(1.0, np.abs(theta))
    columns = []
    for j, step in enumerate(steps):
        up, down = theta.copy(), theta.copy()
        up[j], down[j] = up[j] + step, down[j] - step
        columns.append((function(up) - function(down)) / (2 * step))
    return np.column_stack(columns)
