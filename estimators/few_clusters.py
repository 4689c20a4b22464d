"""Cluster-robust variance for few clusters: CR2, and the degrees of freedom of Bell and McCaffrey.

Least squares with weights W in whitened coordinates: q_i = √w_i L'x_i with (X'WX)⁻¹ = LL', so that Σ q q' = I. Of a
cluster only P_g = Σ q q' (k × k) and a_g = Σ q √w e (k) are read, in memory, in streams and in engines alike. As
A_g = (I − Q_g Q_g')^(−1/2) takes Q_g to Q_g (I − P_g)^(−1/2), the adjusted score of a coefficient with error l'Σ a_g is
l'(I − P_g)^(−1/2) a_g, and its degrees of freedom are (tr Γ)² / tr Γ² with Γ_gg = l'P_g l, Γ_gh = −t_g't_h and
t_g = P_g (I − P_g)^(−1/2) l: sums again.

The working model, under which CR2 is unbiased and the degrees of freedom are Satterthwaite's, has independent errors of
variance 1/w: that under which the weighted fit is the best one. Levels that lie inside clusters may be taken out of the
columns before (Pustejovsky & Tipton 2018, theorem 2, which holds for these weights); others must stay among them.

Sources: Bell & McCaffrey 2002, Survey Methodology 28; Imbens & Kolesár 2016, REStat 98; Pustejovsky & Tipton 2018,
JBES 36; the effective number of clusters: Carter, Schnepel & Steigerwald 2017, REStat 99.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .inference import cluster_sums
from .leverage import ALONE, inflation

# From so many effective clusters on, and so many for each coefficient, CR2 is CR1 (see `is_many`).
MANY, FOR_EACH = 1000, 50
# Numbers held at once while clusters are adjusted.
CHUNK = 2**21


def effective_number(shares: np.ndarray) -> np.ndarray:
    """(Σγ)² / Σγ² over the first axis, γ_g = l'P_g l a cluster's share in a coefficient's variance: at most G."""
    squares = np.sum(shares**2, axis=0)
    return np.divide(np.sum(shares, axis=0) ** 2, squares, out=np.zeros_like(squares), where=squares > 0)


def is_many(effective: float, coefficients: int) -> bool:
    """Whether so many clusters carry a coefficient that CR1 with G − 1 degrees of freedom stands for CR2.

    Measured there: CR1's standard error is 0.04 to 0.4 % below CR2's (k = 1 to 20 at G = 1,000, 50 at 2,500), and t's
    quantile 0.1 % above the normal one. G* and not G decides: three treated clusters among a million are three.
    """
    return effective >= max(MANY, FOR_EACH * coefficients)


class Satterthwaite:
    """Sums over clusters (or units) that give the degrees of freedom of q contrasts."""

    def __init__(self, contrasts: int, k: int) -> None:
        self.trace, self.squares, self.fourth = np.zeros(contrasts), np.zeros(contrasts), np.zeros(contrasts)
        self.gram = np.zeros((contrasts, k, k))

    def add(self, own: np.ndarray, t: np.ndarray) -> None:
        """Some clusters: Γ_gg of shape (c, q) and t_g of shape (c, q, k)."""
        self.trace += own.sum(axis=0)
        self.squares += np.sum(own**2, axis=0)
        self.fourth += np.sum(np.sum(t**2, axis=2) ** 2, axis=0)
        self.gram += np.einsum("cqi,cqj->qij", t, t, optimize=True)

    def df(self) -> np.ndarray:
        """(tr Γ)² / tr Γ² of each contrast: shape (q,); NaN where no cluster has a part in it."""
        whole = self.squares - self.fourth + np.sum(self.gram**2, axis=(1, 2))
        return np.divide(self.trace**2, whole, out=np.full_like(whole, np.nan), where=whole > 0)


@dataclass(frozen=True)
class Adjusted:
    """Some clusters: adjusted scores a*_g of shape (c, k), Γ_gg (c, q) and t_g (c, q, k) of q contrasts."""

    scores: np.ndarray
    own: np.ndarray
    t: np.ndarray


def adjust(products: np.ndarray, scores: np.ndarray, contrasts: np.ndarray) -> Adjusted:
    """(I − P_g)^(−1/2) a_g and what the degrees of freedom need.

    A direction that one cluster alone decides (eigenvalue one of P_g) is fitted exactly there: no residual is left of
    it, and it has no part in the variance.

    Parameters
    ----------
    products : ndarray of shape (c, k, k)
        P_g.
    scores : ndarray of shape (c, k)
        a_g.
    contrasts : ndarray of shape (q, k)
        l of each contrast, in the whitened coordinates.
    """
    values, vectors = np.linalg.eigh(products)
    inside = np.clip(values, 0.0, None)
    free = inside < 1.0 - ALONE
    inside = np.where(free, inside, 0.0)
    factor = np.where(free, 1.0 / np.sqrt(1.0 - inside), 0.0)
    along = np.einsum("ckj,ck->cj", vectors, scores)
    turned = np.einsum("ckj,qk->cqj", vectors, contrasts)
    return Adjusted(
        np.einsum("ckj,cj->ck", vectors, factor * along),
        np.einsum("cj,cqj->cq", inside, turned**2),
        np.einsum("ckj,cqj->cqk", vectors, (inside * factor)[:, None] * turned),
    )


class BellMcCaffrey:
    """CR2 of some contrasts, cluster by cluster; `add` takes them in any order.

    Attributes
    ----------
    meat : ndarray of shape (k, k)
        Σ a* a*', the whitened covariance.
    squares : ndarray of shape (q,)
        Σ (l'a* + Λ)², Λ what else was estimated before.
    apart : ndarray of shape (q, 2)
        Σ (l'a*)² and Σ Λ².
    shares : list of ndarray
        γ_g of the contrasts.
    """

    def __init__(self, contrasts: np.ndarray) -> None:
        q, k = contrasts.shape
        self.contrasts, self.meat, self.squares = contrasts, np.zeros((k, k)), np.zeros(q)
        self.apart, self.clusters, self._df = np.zeros((q, 2)), 0, Satterthwaite(q, k)

    def add(self, products: np.ndarray, scores: np.ndarray, more: np.ndarray | None = None) -> None:
        """Some clusters: P_g (c, k, k), a_g (c, k) and Λ_g (c, q)."""
        found = adjust(products, scores, self.contrasts)
        self.meat += found.scores.T @ found.scores
        errors = found.scores @ self.contrasts.T
        added = np.zeros_like(errors) if more is None else more
        self.squares += np.sum((errors + added) ** 2, axis=0)
        self.apart += np.stack([np.sum(errors**2, axis=0), np.sum(added**2, axis=0)], axis=1)
        self.clusters += len(products)
        self._df.add(found.own, found.t)

    def df(self) -> np.ndarray:
        """Degrees of freedom of each contrast: shape (q,)."""
        return self._df.df()


def of_units(q: np.ndarray, along: np.ndarray, leverage: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Γ_ii and t_i of HC2 and HC3, where each unit is a cluster of its own: shapes (n, m) and (n, m, k).

    Parameters
    ----------
    q : ndarray of shape (n, k)
        Whitened rows.
    along : ndarray of shape (n, m)
        l'q of each contrast.
    leverage : ndarray of shape (n,)
    kind : str
    """
    given = along * inflation(leverage, kind)[:, None]
    return given**2 * (1.0 - leverage)[:, None], given[:, :, None] * q[:, None]


def chunk_of(k: int) -> int:
    """How many clusters are adjusted at once."""
    return max(CHUNK // (k * k + 1), 1)


def of_rows(
    q: np.ndarray, e: np.ndarray, cluster: np.ndarray, contrasts: np.ndarray, more: np.ndarray | None = None
) -> BellMcCaffrey:
    """CR2 of rows in memory.

    Parameters
    ----------
    q : ndarray of shape (n, k)
        Whitened rows √w L'x, with Σ q q' = I.
    e : ndarray of shape (n,)
        √w times the residuals.
    cluster : ndarray of shape (n,)
        Labels.
    contrasts : ndarray of shape (m, k)
    more : ndarray of shape (n, m), optional
        Λ of each row.
    """
    codes = np.unique(cluster, return_inverse=True)[1]
    order = np.argsort(codes, kind="stable")
    q, e = q[order], e[order]
    ends = np.concatenate([[0], np.cumsum(np.bincount(codes))])
    found, step, k = BellMcCaffrey(contrasts), chunk_of(q.shape[1]), q.shape[1]
    for first in range(0, len(ends) - 1, step):
        own = list(zip(ends[first : first + step], ends[first + 1 : first + step + 1], strict=False))
        products, scores = np.empty((len(own), k, k)), np.empty((len(own), k))
        for g, (a, b) in enumerate(own):
            products[g], scores[g] = q[a:b].T @ q[a:b], q[a:b].T @ e[a:b]
        added = None if more is None else np.stack([more[order[a:b]].sum(axis=0) for a, b in own])
        found.add(products, scores, added)
    return found


@dataclass(frozen=True)
class Error:
    """The standard error of one coefficient, the degrees of freedom of its Student's t (None: normal), and its kind."""

    std_error: float
    df: float | None
    kind: str


def of_slope(scores: np.ndarray, information: np.ndarray, kind: str) -> Error:
    """Error of θ = Σ w v u / Σ w v², a regression on one column whose other columns were taken out before.

    CR2 with Bell & McCaffrey's degrees of freedom (CR1 where clusters are many), P_g = Σ_g w v² / Σ w v²; CR1:
    G/(G − 1) with G − 1.

    Parameters
    ----------
    scores : ndarray of shape (G,)
        Σ w v (u − θ v) of each cluster.
    information : ndarray of shape (G,)
        Σ w v² of each.
    kind : str
        CR1 or CR2.
    """
    groups, total = len(scores), float(information.sum())
    if kind == "CR1" or is_many(float(effective_number(information)), 1):
        variance = np.sum(scores**2) * groups / (groups - 1)
        return Error(float(np.sqrt(variance)) / total, groups - 1.0, "CR1")
    found = BellMcCaffrey(np.array([[total**-0.5]]))
    found.add((information / total)[:, None, None], (scores / np.sqrt(total))[:, None])
    return Error(float(np.sqrt(found.squares[0])), float(found.df()[0]), "CR2")


def of_partialled(
    v: np.ndarray, e: np.ndarray, w: np.ndarray, cluster: np.ndarray, others: Callable[[], np.ndarray], k: int
) -> Error | None:
    """CR2 of a slope whose column v has had the other columns taken out; None where CR1 stands for it.

    Parameters
    ----------
    v, e, w : ndarray of shape (n,)
        The column, residuals and weights.
    cluster : ndarray of shape (n,)
    others : function
        The other columns, those that lie inside clusters left out, orthogonal to v and with unit weighted
        cross-products: shape (n, k − 1). Asked for only where it is needed.
    k : int
        How many columns there are with v.
    """
    total = float(np.sum(w * v**2))
    if is_many(float(effective_number(cluster_sums(w * v**2, cluster))), k):
        return None
    root = np.sqrt(w)
    q = np.column_stack([v / np.sqrt(total), others()]) * root[:, None]
    contrast = np.zeros((1, q.shape[1]))
    contrast[0, 0] = total**-0.5
    found = of_rows(q, root * e, cluster, contrast)
    return Error(float(np.sqrt(found.squares[0])), float(found.df()[0]), "CR2")


def combined_df(parts: np.ndarray, df: np.ndarray) -> float:
    """Satterthwaite's degrees of freedom (1946) of a sum of independent variances, (ΣV)² / Σ V² / ν, and no more than
    the largest ν: the parts come from the same units.
    """
    used = parts > 0
    if not used.any():
        return float("nan")
    shares = parts[used] / parts[used].sum()
    whole = 1 / float(np.sum(shares**2 / df[used]))
    return min(whole, float(df[used].max()))
