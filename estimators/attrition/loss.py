"""Loss by arm: its shares, and the test that they are the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from ..laws import chi2_tail, normal_tail, t_tail

# Below this p-value the arms are taken to lose rows differently.
DIFFERS = 0.05
# Cochran's rule: with a smaller expected count chi-square's p-value is replaced by the exact one.
LEAST_EXPECTED = 5


@dataclass(frozen=True)
class Loss:
    """Kept and lost rows of two arms.

    Attributes
    ----------
    counts : ndarray of shape (2, 2)
        Rows by arm (untreated, treated) and by whether they are lost.
    weights, squares : ndarray of shape (2, 2)
        Σ w and Σ w² of the same cells; the counts where no weights are declared.
    clusters : ndarray of shape (G, 2, 2), optional
        Σ w of the same cells by cluster, where clusters are declared.
    weighted : bool
        Whether weights are declared.
    """

    counts: np.ndarray
    weights: np.ndarray
    squares: np.ndarray
    clusters: np.ndarray | None = None
    weighted: bool = False

    @property
    def shares(self) -> np.ndarray:
        """Weighted share lost of each arm: shape (2,); NaN for an arm without rows."""
        total = self.weights.sum(axis=1)
        return np.divide(self.weights[:, 1], total, out=np.full(2, np.nan), where=total > 0)

    @property
    def degrees_of_freedom(self) -> int | None:
        """Of clusters: those of the arm that has fewer, less one; None without clusters."""
        if self.clusters is None:
            return None
        return int((self.clusters.sum(axis=2) > 0).sum(axis=0).min()) - 1


def difference_p(loss: Loss) -> float | None:
    """Two-sided p-value that both arms lose the same share; None where no test is there.

    Without weights and clusters Pearson's χ² with one degree of freedom, and Fisher's exact test where an expected
    count is below 5 (Cochran 1954). With weights Wald's z from Σ w² (l − p)² / (Σ w)² of each arm. With clusters
    (weighted or not) Student's t from the clusters' sums of influence values, times G / (G − 1), with the degrees of
    freedom of the arm that has fewer clusters: none with one cluster.

    Sources
    -------
    Pearson 1900; Fisher 1935; Cochran 1954; Liang & Zeger 1986.
    """
    if (loss.weights.sum(axis=1) <= 0).any():
        return None
    if loss.clusters is not None:
        return _clustered(loss)
    if loss.weighted:
        p = loss.shares
        spread = loss.squares[:, 1] * (1 - p) ** 2 + loss.squares[:, 0] * p**2
        return _normal(p[1] - p[0], float((spread / loss.weights.sum(axis=1) ** 2).sum()))
    rows, columns, n = loss.counts.sum(axis=1), loss.counts.sum(axis=0), loss.counts.sum()
    expected = np.outer(rows, columns) / n
    if expected.min() < LEAST_EXPECTED:
        return _fisher(loss.counts)
    return chi2_tail(float(((loss.counts - expected) ** 2 / expected).sum()), 1)


def _clustered(loss: Loss) -> float | None:
    assert loss.clusters is not None
    df = loss.degrees_of_freedom
    if df is None or df < 1:
        return None
    p, total = loss.shares, loss.weights.sum(axis=1)
    parts = (loss.clusters[:, :, 1] - p * loss.clusters.sum(axis=2)) / total
    influence, groups = parts[:, 1] - parts[:, 0], len(loss.clusters)
    variance = float((influence**2).sum()) * groups / (groups - 1)
    gap = abs(float(p[1] - p[0]))
    if variance <= 0:
        return 1.0 if gap == 0 else None
    return min(1.0, 2 * t_tail(gap / variance**0.5, df))


def _normal(gap: float, variance: float) -> float | None:
    if variance <= 0:
        return 1.0 if gap == 0 else None
    return min(1.0, 2 * normal_tail(abs(gap) / variance**0.5))


def _fisher(counts: np.ndarray) -> float:
    """Sum of the probabilities of all tables with these margins that are no likelier than this one."""
    (first, second), lost = counts.sum(axis=1), counts[:, 1].sum()
    k = np.arange(max(0, lost - second), min(lost, first) + 1)
    log = _log_choose(first, k) + _log_choose(second, lost - k) - _log_choose(first + second, lost)
    law = np.exp(log)
    own = law[int(counts[0, 1] - k[0])]
    return float(min(1.0, law[law <= own * (1 + 1e-7)].sum()))


def _log_choose(n: float, k: np.ndarray) -> np.ndarray:
    return special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
