"""2SLS, LIML and two-step GMM for one endogenous treatment, with their specification tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg, stats

from ..errors import Refusal
from .partialled import Partialled


@dataclass(frozen=True)
class Fit:
    """An IV coefficient: units of the outcome a unit of treatment."""

    coef: float
    std_error: float
    residuals: np.ndarray


@dataclass(frozen=True)
class Test:
    """A test statistic and its p-value."""

    statistic: float
    p_value: float


def two_stage(p: Partialled) -> Fit:
    """Two-stage least squares: β = d'P_Z y / d'P_Z d."""
    return _k_class(p, 1.0)


def liml(p: Partialled) -> Fit:
    """Limited-information maximum likelihood: the k-class with κ the smallest root of |W'W − κ W'M_Z W|, W = (y, d)."""
    w = np.column_stack([p.y / np.linalg.norm(p.y), p.d / np.linalg.norm(p.d)])
    off = w - p.z @ (p.z.T @ w)
    try:
        kappa = float(linalg.eigh(w.T @ w, off.T @ off, eigvals_only=True)[0])
    except linalg.LinAlgError:  # the instruments explain the treatment (or the outcome) wholly: 2SLS is least squares
        kappa = 1.0
    return _k_class(p, kappa)


def _k_class(p: Partialled, kappa: float) -> Fit:
    """β = d'(I − κM_Z)y / d'(I − κM_Z)d; scores P_Z d · e in the variance (Wooldridge 2010, ch. 5)."""
    fitted = p.z @ (p.z.T @ p.d)
    weight = p.d - kappa * (p.d - fitted)
    size = float(weight @ p.d)
    if size <= 1e-14 * float(p.d @ p.d):
        raise Refusal("the instruments do not move the treatment at all", "Name another instrument", "not_identified")
    coef = float(weight @ p.y) / size
    e = p.y - coef * p.d
    if p.variance == "classical":
        return Fit(coef, float(np.sqrt(e @ e / (p.n - p.k - 1) / size)), e)
    length = float(np.linalg.norm(fitted))
    meat = float(p.meat(fitted[:, None] / length, e, e, p.k + 1)[0, 0])
    return Fit(coef, length * float(np.sqrt(meat)) / size, e)


def gmm(p: Partialled) -> Fit:
    """Two-step efficient GMM: weights from the 2SLS residuals, variance from the second step's (Hansen 1982)."""
    return _gmm(p)[0]


def hansen_j(p: Partialled) -> Test:
    """Hansen's J of two-step GMM with q − 1 degrees of freedom; Sargan's statistic where the variance is classical."""
    j = _gmm(p)[1]
    return Test(j, float(stats.chi2.sf(j, p.q - 1)))


def _gmm(p: Partialled) -> tuple[Fit, float]:
    first = two_stage(p).residuals
    a = np.column_stack([p.x, p.z])  # the covariates are their own instruments
    slopes = np.zeros((p.k + p.q, p.k + 1))
    slopes[: p.k, : p.k] = np.eye(p.k)
    slopes[p.k :, p.k] = p.z.T @ p.d
    s = p.meat(a, first, first, 0)
    if np.linalg.matrix_rank(s, hermitian=True) < len(s):
        raise Refusal(
            f"the moments' covariance is singular: {len(s)} moments from {p.groups or p.n} independent pieces",
            "Use method 2sls or fewer covariates",
        )
    weight = np.linalg.inv(s)
    bread = np.linalg.inv(slopes.T @ weight @ slopes)
    coef = bread @ (slopes.T @ (weight @ (a.T @ p.y)))
    e = p.y - p.x @ coef[:-1] - p.d * coef[-1]
    half = bread @ slopes.T @ weight
    variance = half @ p.meat(a, e, e, p.k + 1) @ half.T
    g = a.T @ e
    return Fit(float(coef[-1]), float(np.sqrt(variance[-1, -1])), e), float(g @ weight @ g)


def wu_hausman(p: Partialled) -> Test | None:
    """Is least squares as good? F of the first stage's residual in the regression of y on it and the treatment.

    None where the instruments explain the treatment wholly.
    """
    v = p.d - p.z @ (p.z.T @ p.d)
    if float(v @ v) <= 1e-12 * float(p.d @ p.d):
        return None
    basis, upper = np.linalg.qr(np.column_stack([p.d, v]))
    if abs(upper[1, 1]) <= 1e-8 * float(np.linalg.norm(v)):
        return None
    e = p.y - basis @ (basis.T @ p.y)
    variance = float(p.meat(basis, e, e, p.k + 2)[1, 1])
    if variance <= 0:
        return None
    f = float(basis[:, 1] @ p.y) ** 2 / variance
    return Test(f, float(stats.f.sf(f, 1, p.df(p.k + 2))))
