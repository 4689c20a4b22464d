"""2SLS, LIML and two-step GMM for one endogenous treatment, with their specification tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from ..errors import Refusal
from ..laws import chi2_tail, f_tail
from .system import System


@dataclass(frozen=True)
class Fit:
    """An IV coefficient, in units of the outcome a unit of treatment, and its residual as a form of the rows.

    ``df`` and ``kind`` are the degrees of freedom and the variance where they are not those of the system.
    """

    coef: float
    std_error: float
    residual: np.ndarray
    df: float | None = None
    kind: str | None = None


@dataclass(frozen=True)
class Test:
    """A test statistic and its p-value."""

    statistic: float
    p_value: float


def two_stage(p: System) -> Fit:
    """Two-stage least squares: β = d'P_Z y / d'P_Z d."""
    return _k_class(p, 0.0)


def liml(p: System) -> Fit:
    """Limited-information maximum likelihood: the k-class with κ the smallest root of |W'W − κ W'M_Z W|, W = (y, d).

    As W'W = W'P_Z W + W'M_Z W, κ − 1 is the smallest root of |W'P_Z W − λ W'M_Z W|, which keeps its digits where κ is
    close to 1.
    """
    scale = np.sqrt([p.yy, p.dd])
    fitted = np.column_stack([p.zy, p.zd]) / scale
    inside = fitted.T @ fitted
    off = np.array([[p.yy, p.yd], [p.yd, p.dd]]) / np.outer(scale, scale) - inside
    try:
        root = float(linalg.eigh(inside, off, eigvals_only=True)[0])
    except linalg.LinAlgError:  # the instruments explain the treatment (or the outcome) wholly: 2SLS is least squares
        root = 0.0
    return _k_class(p, root)


def _coefficient(p: System, above: float) -> tuple[float, float]:
    """β = d'(I − κM_Z)y / d'(I − κM_Z)d and its denominator, with κ = 1 + ``above``."""
    size = float(p.zd @ p.zd - above * (p.dd - p.zd @ p.zd))
    if size <= 1e-14 * p.dd:
        raise Refusal("the instruments do not move the treatment at all", "Name another instrument", "not_identified")
    return float(p.zy @ p.zd - above * (p.yd - p.zy @ p.zd)) / size, size


def _k_class(p: System, above: float) -> Fit:
    """The k-class with κ = 1 + ``above``; scores P_Z d · e in the variance (Wooldridge 2010, ch. 5).

    CR2 and its degrees of freedom are those of the regression on P_Z d and the covariates, as clubSandwich takes them
    for instrumental variables (Pustejovsky & Tipton 2018); GMM keeps CR1.
    """
    coef, size = _coefficient(p, above)
    e = p.form(y=1.0, d=-coef)
    length = float(np.linalg.norm(p.zd))
    fitted = p.form(z=p.zd / length)[None]
    few = p.few("fit", np.concatenate([p.moments[: p.k], fitted]), e)
    if few is not None:
        ((variance, df),) = few
        return Fit(coef, length * float(np.sqrt(variance)) / size, e, df, "CR2")
    meat = float(p.meat("fit", fitted, e, e, p.k + 1)[0, 0])
    if p.variance == "classical":
        return Fit(coef, float(np.sqrt(meat / size)), e)
    return Fit(coef, length * float(np.sqrt(meat)) / size, e)


def gmm(p: System) -> Fit:
    """Two-step efficient GMM: weights from the 2SLS residuals, variance from the second step's (Hansen 1982)."""
    step = _second_step(p)
    length = float(np.linalg.norm(step.half))
    a = p.form(step.half[: p.k] / length, step.half[p.k :] / length)[None]
    variance = float(p.meat("second step", a, step.residual, step.residual, p.k + 1)[0, 0])
    return Fit(step.coef, length * float(np.sqrt(variance)), step.residual)


def hansen_j(p: System) -> Test:
    """Hansen's J of two-step GMM with q − 1 degrees of freedom; Sargan's statistic where the variance is classical."""
    j = _second_step(p).j
    return Test(j, chi2_tail(j, p.q - 1))


@dataclass(frozen=True)
class _Step:
    """The second step of GMM: β, its residual, the row of (D'WD)⁻¹D'W that gives β, and Hansen's J."""

    coef: float
    residual: np.ndarray
    half: np.ndarray
    j: float


def _second_step(p: System) -> _Step:
    coef = _coefficient(p, 0.0)[0]
    first = p.form(y=1.0, d=-coef)
    slopes = np.zeros((p.k + p.q, p.k + 1))  # the covariates are their own instruments
    slopes[: p.k, : p.k] = np.eye(p.k)
    slopes[p.k :, p.k] = p.zd
    s = p.meat("moments", p.moments, first, first, 0)
    if np.linalg.matrix_rank(s, hermitian=True) < len(s):
        raise Refusal(
            f"the moments' covariance is singular: {len(s)} moments from {p.groups or p.n} independent pieces",
            "Use method 2sls or fewer covariates",
        )
    weight = np.linalg.inv(s)
    half = np.linalg.solve(slopes.T @ weight @ slopes, slopes.T @ weight)
    beta = half[:, p.k :] @ p.zy
    g = np.concatenate([-beta[:-1], p.zy - beta[-1] * p.zd])
    residual = p.form(x=-beta[:-1], y=1.0, d=-beta[-1])
    return _Step(float(beta[-1]), residual, half[-1], float(g @ weight @ g))


def wu_hausman(p: System) -> Test | None:
    """Is least squares as good? F of the first stage's residual v in the regression of y on it and the treatment.

    By Frisch & Waugh: what d leaves of v is (b'b/d'd) d − z b with b = z'd, as v = d − z b. None where the instruments
    explain the treatment wholly, or not at all.
    """
    explained = float(p.zd @ p.zd)
    share = explained / p.dd
    left = p.dd - explained
    if left <= 1e-12 * p.dd or np.sqrt(share) <= 1e-8:
        return None
    length = np.sqrt(left * share)
    own = p.form(z=-p.zd / length, d=share / length)
    slope = float(share * p.yd - p.zd @ p.zy) / length
    e = p.form(y=1.0, d=-p.yd / p.dd) - slope * own
    variance = float(p.meat("wu-hausman", own[None], e, e, p.k + 2)[0, 0])
    if variance <= 0:
        return None
    f = slope**2 / variance
    return Test(f, f_tail(f, 1, p.df(p.k + 2)))
