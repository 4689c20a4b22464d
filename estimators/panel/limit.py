"""How far a Wald statistic of cohorts of given sizes is from its χ² limit, for normal outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..inference import joint_wald
from ..laws import chi2_quantile, chi2_tail
from .att_gt import Comparison


def limit_size(found: Sequence[Comparison], sizes: Mapping[float, int], level: float) -> float:
    """About how often a true null is rejected at ``level`` if W is held against its χ² limit.

    A cohort's q effects add Hotelling's T² to W, whose mean is q ν / (ν − q − 1). ν are Welch and Satterthwaite's
    degrees of freedom of a difference between the cohort's mean and its controls'. W then is about χ²(K) times the
    ratio ρ of means, and rejected with P(χ²(K) > bar / ρ); 1 where some mean does not exist.

    Parameters
    ----------
    found : sequence of Comparison
    sizes : mapping of cohort to units (clusters)
    level : float
    """
    if not found:
        return level
    mean = 0.0
    for cohort in {one.cohort for one in found}:
        own = [one for one in found if one.cohort == cohort]
        q, freedom = len(own), min(_welch(sizes[cohort], sum(sizes[g] for g in one.controls)) for one in own)
        if freedom <= q + 1:
            return 1.0
        mean += q * freedom / (freedom - q - 1)
    k = len(found)
    return chi2_tail(chi2_quantile(1 - level, k) * k / mean, k)


def _welch(treated: int, controls: int) -> float:
    if treated < 2 or controls < 2:
        return 0.0
    a, b = 1 / treated, 1 / controls
    return (a + b) ** 2 / (a**2 / (treated - 1) + b**2 / (controls - 1))


def wald_draws(
    found: Sequence[Comparison], sizes: Mapping[float, int], seed: int, draws: int, clustered: bool
) -> np.ndarray:
    """W of normal outcomes without trends, in cohorts of these sizes.

    W does not change when the steps are transformed by a lower triangular matrix, and each cohort's effects are those
    of its first steps: so with never treated controls and one covariance in all cohorts its law hangs on the sizes
    alone, whatever the serial correlation. Means are drawn as N(0, I / n_g), covariances as Wishart's (Bartlett 1933).

    Parameters
    ----------
    found : sequence of K Comparison
    sizes : mapping of cohort to units (clusters)
    seed, draws : int
    clustered : bool
        Whether covariances are multiplied by G / (G − 1), as those of clusters are.

    Returns
    -------
    ndarray of shape (draws,)
    """
    rng = np.random.default_rng(seed)
    used = sorted({g for one in found for g in (one.cohort, *one.controls)})
    places = sorted({one.at for one in found})
    step = np.array([places.index(one.at) for one in found])
    total = sum(sizes[g] for g in used)
    b, v = np.zeros((draws, len(found))), np.zeros((draws, len(found), len(found)))
    for g in used:
        n = sizes[g]
        # b_k takes share_k of the cohort's mean step.
        share = np.array([_share(one, g, sizes) for one in found])
        own = np.flatnonzero(share)
        j, places_used = np.unique(step[own], return_inverse=True)
        mean = rng.standard_normal((draws, len(j))) / np.sqrt(n)
        spread = _wishart(rng, n - 1, len(j), draws) / n**2
        b[:, own] += share[own] * mean[:, places_used]
        products = spread[:, places_used[:, None], places_used[None, :]] * np.outer(share[own], share[own])
        v[:, own[:, None], own[None, :]] += products
    if clustered:
        v *= total / (total - 1)
    return np.asarray((b * (np.linalg.pinv(v, hermitian=True) @ b[:, :, None])[:, :, 0]).sum(axis=1))


def clustered_draws(
    found: Sequence[Comparison], cohorts: Sequence[float], counts: np.ndarray, seed: int, draws: int
) -> np.ndarray:
    """`wald_draws` where clusters hold units of several cohorts: covariances are those of sums over these clusters.

    Parameters
    ----------
    found : sequence of K Comparison
    cohorts : sequence of C float
    counts : ndarray of shape (G, C)
        Units of each cohort in each cluster.
    seed, draws : int

    Returns
    -------
    ndarray of shape (draws,)
    """
    rng = np.random.default_rng(seed)
    sizes = dict(zip(cohorts, counts.sum(axis=0).tolist(), strict=True))
    places = sorted({one.at for one in found})
    step = np.array([places.index(one.at) for one in found])
    share = np.array([[_share(one, g, sizes) for g in cohorts] for one in found]) / counts.sum(axis=0)
    root, total = np.sqrt(counts)[:, :, None], counts.sum(axis=0)[:, None]
    out = np.empty(draws)
    for d in range(draws):
        sums = rng.standard_normal((*counts.shape, len(places))) * root
        mean = sums.sum(axis=0) / total
        left = sums - counts[:, :, None] * mean
        b = np.einsum("kc,ck->k", share * counts.sum(axis=0), mean[:, step])
        psi = np.einsum("kc,gck->gk", share, left[:, :, step])
        v = psi.T @ psi * len(counts) / (len(counts) - 1)
        out[d] = joint_wald(b, v).statistic
    return out


def _share(one: Comparison, cohort: float, sizes: Mapping[float, int]) -> float:
    if cohort == one.cohort:
        return 1.0
    return -sizes[cohort] / sum(sizes[g] for g in one.controls) if cohort in one.controls else 0.0


def _wishart(rng: np.random.Generator, freedom: int, size: int, draws: int) -> np.ndarray:
    """Σ x x' of ``freedom`` standard normal vectors: shape (draws, size, size)."""
    if freedom < size:
        x = rng.standard_normal((draws, freedom, size))
        return x.transpose(0, 2, 1) @ x
    root = np.tril(rng.standard_normal((draws, size, size)), -1)
    diagonal = np.sqrt(rng.chisquare(freedom - np.arange(size), (draws, size)))
    root[:, np.arange(size), np.arange(size)] = diagonal
    return root @ root.transpose(0, 2, 1)
