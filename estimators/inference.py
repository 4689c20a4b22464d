"""The one inference layer: influence values to standard errors, intervals, joint tests and bands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .clusters import Clustering
from .laws import chi2_tail, normal_quantile, normal_tail, t_quantile, t_tail


@dataclass(frozen=True)
class Interval:
    """Statistic, p-value and interval of one estimate against zero."""

    statistic: float | None
    p_value: float | None
    conf_low: float | None
    conf_high: float | None


def cluster_sums(psi: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """Influence values added up by cluster: shape (n, …) to (G, …), clusters in sort order."""
    _, codes = np.unique(cluster, return_inverse=True)
    out = np.zeros((codes.max() + 1, *psi.shape[1:]))
    np.add.at(out, codes, psi)
    return out


def covariance(psi: np.ndarray, cluster: Clustering | np.ndarray | None = None, ddof: int = 0) -> np.ndarray:
    """Covariance of estimates from their influence values, sum ψψ' / n².

    Parameters
    ----------
    psi : ndarray of shape (n, k)
        Influence values with mean zero, in units of the estimates; an estimate is its target plus mean(ψ).
    cluster : Clustering, or ndarray of shape (n,), optional
        With a `clusters.Clustering` sums a cluster, times its factor, stand in for units (the cluster jackknife); with
        labels sums a cluster, times G / (G − 1).
    ddof : int
        Degrees of freedom taken off the sample size (unclustered only).

    Returns
    -------
    ndarray of shape (k, k)
    """
    n = len(psi)
    if cluster is None:
        return psi.T @ psi / n**2 * (n / (n - ddof))
    if isinstance(cluster, Clustering):
        sums = cluster.sums(psi)
        return sums.T @ sums / n**2
    sums = cluster_sums(psi, cluster)
    groups = len(sums)
    return sums.T @ sums / n**2 * (groups / (groups - 1))


def standard_error(psi: np.ndarray, cluster: Clustering | np.ndarray | None = None, ddof: int = 0) -> float:
    """Standard error of one estimate from its influence values of shape (n,). See `covariance`."""
    return float(np.sqrt(covariance(psi[:, None], cluster, ddof)[0, 0]))


def wald(estimate: float, std_error: float, df: float | None = None, level: float = 0.95) -> Interval:
    """Two-sided test against zero and symmetric interval: normal, or Student's t with ``df``.

    A standard error that is zero or not finite gives no statistic and no interval rather than an infinite one.
    """
    if not (np.isfinite(std_error) and std_error > 0 and np.isfinite(estimate)):
        return Interval(None, None, None, None)
    z = estimate / std_error
    half = (normal_quantile(0.5 + level / 2) if df is None else t_quantile(0.5 + level / 2, df)) * std_error
    p_value = 2 * (normal_tail(abs(z)) if df is None else t_tail(abs(z), df))
    return Interval(float(z), p_value, float(estimate - half), float(estimate + half))


@dataclass(frozen=True)
class JointTest:
    """A Wald test that several numbers are all zero."""

    statistic: float
    degrees_of_freedom: int
    p_value: float


def joint_wald(estimates: np.ndarray, vcov: np.ndarray) -> JointTest:
    """W = b' V⁺ b against χ² with rank(V) degrees of freedom; V may be singular.

    The rank is counted in units of the standard errors: directions with less than 1e-10 of the largest variance are
    rounding, and would otherwise outweigh all others. Where nothing varies the rank is 0 and the p-value NaN.
    """
    se = np.sqrt(np.diag(vcov))
    varies = se > 0
    values, vectors = np.linalg.eigh(vcov[np.ix_(varies, varies)] / np.outer(se[varies], se[varies]))
    real = values > 1e-10 * values.max(initial=0.0)
    along = vectors[:, real].T @ (estimates[varies] / se[varies])
    statistic, rank = float(np.sum(along**2 / values[real])), int(real.sum())
    return JointTest(statistic, rank, chi2_tail(statistic, rank) if rank else float("nan"))


def in_students_t(critical: float, df: float | None) -> float:
    """The value that Student's t exceeds as often as the normal exceeds ``critical``; itself without ``df``."""
    return critical if df is None else t_quantile(1 - normal_tail(critical), df)


def simultaneous_critical_value(
    psi: np.ndarray, cluster: Clustering | np.ndarray | None, seed: int, draws: int = 1000, level: float = 0.95
) -> float:
    """Critical value of a sup-t band by the multiplier bootstrap (Callaway & Sant'Anna 2021, algorithm 1).

    Parameters
    ----------
    psi : ndarray of shape (n, k)
        Influence values of the k estimates in the band.
    cluster : Clustering, or ndarray of shape (n,), optional
        One draw a cluster.
    seed, draws, level
        Rademacher draws; the pointwise normal value is the floor.
    """
    if cluster is None:
        sums = psi
    else:
        sums = cluster.sums(psi) if isinstance(cluster, Clustering) else cluster_sums(psi, cluster)
    n = len(psi)
    se = np.sqrt((sums**2).sum(axis=0)) / n
    keep = se > 0
    if not keep.any():
        return normal_quantile(0.5 + level / 2)
    rng = np.random.default_rng(seed)
    suprema = np.empty(draws)
    for b in range(draws):
        signs = rng.integers(0, 2, len(sums)) * 2.0 - 1.0
        suprema[b] = np.abs(signs @ sums[:, keep] / n / se[keep]).max()
    return max(float(np.quantile(suprema, level)), normal_quantile(0.5 + level / 2))


def effective_sample_size(weights: np.ndarray) -> float:
    """Kish's (Σw)² / Σw²: how many equally weighted units carry the same information."""
    total = float(np.sum(weights))
    return total**2 / float(np.sum(weights**2)) if total > 0 else 0.0
