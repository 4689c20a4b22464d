"""How sure mediation effects are: parametric simulation, resampling, or the delta method."""

from __future__ import annotations

import numpy as np

from ..errors import Refusal
from ..inference import covariance
from .effects import CONTRASTS, gradient, mean_worlds, rows_of, worlds
from .models import Fitted, Sides, refit

MOST_FAILED = 0.1


def delta_covariance(sides: Sides, fit: Fitted, cluster: np.ndarray | None, robust: bool) -> np.ndarray:
    """Covariance of the four mean outcomes: G V G' of the parameters; robust adds the sampling of the covariates."""
    z, share = rows_of(sides)
    slopes = gradient(lambda theta: mean_worlds(sides, fit.layout, theta[:, None], z, share)[0], fit.theta)
    if not robust and cluster is None:
        return slopes @ fit.vcov @ slopes.T
    rows = worlds(sides, fit.layout, fit.theta[:, None], sides.z)[:, :, 0].T
    weight = (sides.w / sides.w.mean())[:, None]
    psi = fit.psi @ slopes.T + weight * (rows - np.average(rows, axis=0, weights=sides.w))
    return covariance(psi, cluster)


def simulate(sides: Sides, fit: Fitted, cluster: np.ndarray | None, robust: bool, draws: int, seed: int) -> np.ndarray:
    """The four mean outcomes in draws of the parameters from their sampling law (Imai, Keele & Tingley 2010, 2).

    θ is drawn from N(θ̂, V); with clusters from Student's t with G − 1 degrees of freedom. Robust draws also weigh the
    covariates anew, by a Bayesian bootstrap (a cluster as a whole).

    Returns
    -------
    ndarray of shape (draws, 4)
    """
    rng = np.random.default_rng(seed)
    values, vectors = np.linalg.eigh(fit.vcov)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    noise = rng.standard_normal((len(fit.theta), draws))
    if cluster is not None:
        df = len(np.unique(cluster)) - 1
        noise *= np.sqrt(df / rng.chisquare(df, draws))
    theta = fit.theta[:, None] + root @ noise
    if not (robust or cluster is not None) or (sides.is_linear and not fit.layout.interaction):
        return mean_worlds(sides, fit.layout, theta, *rows_of(sides))
    return _with_covariates(sides, fit, theta, cluster, rng)


def _with_covariates(
    sides: Sides, fit: Fitted, theta: np.ndarray, cluster: np.ndarray | None, rng: np.random.Generator
) -> np.ndarray:
    codes = np.arange(len(sides.y)) if cluster is None else np.unique(cluster, return_inverse=True)[1]
    out = np.empty((theta.shape[1], 4))
    step = 50
    for start in range(0, theta.shape[1], step):
        part = slice(start, start + step)
        mass = rng.standard_exponential((codes.max() + 1, theta[:, part].shape[1]))[codes] * sides.w[:, None]
        share = mass / mass.sum(axis=0)
        if sides.is_linear:
            for j, z in enumerate((share.T @ sides.z)[:, None, :]):
                one = theta[:, start + j : start + j + 1]
                out[start + j] = mean_worlds(sides, fit.layout, one, z, np.ones(1))[0]
        else:
            out[part] = mean_worlds(sides, fit.layout, theta[:, part], sides.z, share)
    return out


def resample(sides: Sides, fit: Fitted, cluster: np.ndarray | None, draws: int, seed: int) -> tuple[np.ndarray, int]:
    """The four mean outcomes in resamples of units, or of whole clusters: shape (kept draws, 4), and how many failed.

    Raises
    ------
    Refusal
        If a model cannot be fitted in more than a tenth of them.
    """
    rng = np.random.default_rng(seed)
    codes = np.arange(len(sides.y)) if cluster is None else np.unique(cluster, return_inverse=True)[1]
    groups = codes.max() + 1
    kept = []
    for _ in range(draws):
        times = np.bincount(rng.integers(0, groups, groups), minlength=groups)[codes]
        try:
            theta = refit(sides, fit.layout.interaction, times)
        except Refusal:
            continue
        share = sides.w * times / np.sum(sides.w * times)
        z, share = ((share @ sides.z)[None, :], np.ones(1)) if sides.is_linear else (sides.z, share)
        kept.append(mean_worlds(sides, fit.layout, theta[:, None], z, share)[0])
    failed = draws - len(kept)
    if failed > MOST_FAILED * draws:
        reason = f"in {failed} of {draws} resamples a model could not be fitted"
        raise Refusal(reason, "Use fewer covariates, or `inference: quasi_bayesian`")
    return np.array(kept), failed


def effects_of(means: np.ndarray) -> np.ndarray:
    """The seven effects of `effects.NAMES` from the four mean outcomes: shape (…, 4) to (…, 7)."""
    return means @ CONTRASTS.T
