"""The linear outcome bridge: two-stage least squares with the outcome proxies as endogenous regressors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..few_clusters import Error, effective_number, is_many, of_rows
from ..inference import cluster_sums
from ..laws import chi2_tail
from .system import Proxies


@dataclass(frozen=True)
class Bridge:
    """A fitted bridge h(W, D, X) = β D + γ'W + δ'X.

    Attributes
    ----------
    effect, std_error : float
        β, in units of the outcome (a unit of treatment).
    slopes : ndarray of shape (r,)
        γ of the combinations of W.
    coefficients : int
        All of them, with the constant.
    r2 : float
        1 − Σ e² / Σ (y − ȳ)², which no rule keeps above zero.
    weights : ndarray of shape (n,)
        ω of β = Σ ω y over the rows, up to a constant.
    error : Error or None
        Of β in orthonormal units, where it is CR2.
    """

    effect: float
    std_error: float
    slopes: np.ndarray
    coefficients: int
    r2: float
    weights: np.ndarray
    error: Error | None = None


def linear_bridge(s: Proxies) -> Bridge:
    """2SLS of Y on D, W and X with the instruments D, Z and X.

    With X taken out, A = (D, Z) orthonormal, R = (D, W) and M = A'R: θ = (M'M)⁻¹ M'A'y, e = y − Rθ.
    """
    size = float(np.linalg.norm(s.d))
    a = np.column_stack([s.d / size, s.z])
    r = np.column_stack([s.d / size, s.w])
    m = a.T @ r
    bread = np.linalg.inv(m.T @ m)
    theta = bread @ (m.T @ (a.T @ s.y))
    e = s.y - r @ theta
    c = s.k + r.shape[1]
    row = a @ (m @ bread[0])
    if s.variance == "classical":
        variance = bread[0, 0] * float(e @ e) / (s.n - c)
    elif s.variance == "CR2" and (few := _few(a @ m, bread, e, s.cluster)) is not None:
        r2 = 1.0 - float(e @ e) / s.spread
        return Bridge(float(theta[0]) / size, few.std_error / size, theta[1:], c, r2, row, few)
    else:
        variance = s.meat((row * e)[:, None], c)[0, 0]
    r2 = 1.0 - float(e @ e) / s.spread
    return Bridge(float(theta[0]) / size, float(np.sqrt(variance)) / size, theta[1:], c, r2, row)


def _few(fitted: np.ndarray, bread: np.ndarray, e: np.ndarray, cluster: np.ndarray | None) -> Error | None:
    """CR2 of the first coefficient in the projected regressors, as in `iv`; None where CR1 stands for it.

    The covariates, which are taken out, do not count in P_g.
    """
    assert cluster is not None
    root = np.linalg.cholesky(bread)
    q, contrast = fitted @ root, root[:1]
    if is_many(float(effective_number(cluster_sums((q @ contrast[0]) ** 2, cluster))), len(bread)):
        return None
    found = of_rows(q, e, cluster, contrast)
    return Error(float(np.sqrt(found.squares[0])), float(found.df()[0]), "CR2")


def overidentification(s: Proxies, bridge: Bridge) -> tuple[float, float] | None:
    """Hansen's J of two-step GMM with q − r degrees of freedom and its p-value; Sargan's with the classical variance.

    X and D are their own instruments, so minimising over their coefficients leaves the moments of Z alone. None where
    their covariance is singular.
    """
    w, y = s.own, s.y - s.d * float(s.d @ s.y) / float(s.d @ s.d)
    e = y - w @ bridge.slopes
    if s.variance == "classical":
        gap = s.z.T @ e
        j = float(gap @ gap) / (float(e @ e) / s.n)
        return j, chi2_tail(j, s.q - s.p)
    forms = s.z * e[:, None]
    cov = s.meat(forms, 0)
    if np.linalg.matrix_rank(cov, hermitian=True) < s.q:
        return None
    root = np.linalg.cholesky(cov)
    target, slopes = np.linalg.solve(root, s.z.T @ y), np.linalg.solve(root, s.z.T @ w)
    gap = target - slopes @ np.linalg.lstsq(slopes, target, rcond=None)[0]
    j = float(gap @ gap)
    return j, chi2_tail(j, s.q - s.p)
