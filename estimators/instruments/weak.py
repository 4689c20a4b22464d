"""How strong the instruments are, and what can be said when they are weak."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from ..laws import f_quantile
from .system import System


@dataclass(frozen=True)
class Strength:
    """First-stage F statistics.

    Attributes
    ----------
    classical : float
        The joint F of the instruments under homoskedasticity.
    robust : float or None
        Its HC1 or cluster-robust Wald form; None where that covariance is singular.
    effective : float
        π'π / tr V(π) with orthonormal instruments (Montiel Olea & Pflueger 2013), V robust or by cluster.
    decisive : float
        The one held against 10: classical with the classical variance, effective otherwise.
    """

    classical: float
    robust: float | None
    effective: float
    decisive: float


def strength(p: System) -> Strength:
    """First-stage F statistics; uses no outcome."""
    pi = p.zd
    v = p.form(z=-pi, d=1.0)
    c = p.k + p.q
    classical = _ratio(float(pi @ pi), float(np.trace(p.meat("first stage", p.instruments, v, v, c, "classical"))))
    vcov = p.meat("first stage", p.instruments, v, v, c, "robust" if p.variance == "classical" else p.variance)
    effective = _ratio(float(pi @ pi), float(np.trace(vcov)))
    whole = np.linalg.matrix_rank(vcov, hermitian=True) == p.q
    robust = float(pi @ np.linalg.solve(vcov, pi)) / p.q if whole else None
    return Strength(classical, robust, effective, classical if p.variance == "classical" else effective)


def _ratio(a: float, b: float) -> float:
    return a / b if b > 0 else float("inf")


@dataclass(frozen=True)
class Region:
    """A confidence region on the line: ``intervals`` in ascending order, with infinite ends where it is unbounded."""

    intervals: tuple[tuple[float, float], ...]

    @property
    def shape(self) -> int:
        """1 one bounded interval, 2 several, 0 unbounded (rays or the whole line), −1 empty."""
        if not self.intervals:
            return -1
        if np.isinf(self.intervals[0][0]) or np.isinf(self.intervals[-1][1]):
            return 0
        return min(len(self.intervals), 2)

    @property
    def low(self) -> float | None:
        """Smallest value of a bounded region."""
        return self.intervals[0][0] if self.shape > 0 else None

    @property
    def high(self) -> float | None:
        """Largest value of a bounded region."""
        return self.intervals[-1][1] if self.shape > 0 else None


def anderson_rubin(p: System, level: float = 0.95) -> Region:
    """All β that the Anderson–Rubin test does not reject; right whatever the strength of the instruments.

    The test regresses y − βd on the instruments: reject where π(β)'V(β)⁻¹π(β) > q F_{q, df}. As V(β) is a quadratic in
    β, the ends of the region are the real roots of det(c V(β) − π(β)π(β)'), found exactly as the eigenvalues of that
    matrix polynomial; in the classical case it is one quadratic. Empty where every β is rejected: the overidentifying
    restrictions fail. With clusters and one instrument V is CR2, and df Bell & McCaffrey's, of the instrument's
    coefficient.

    References
    ----------
    Anderson & Rubin (1949), Ann. Math. Stat. 20; Andrews, Stock & Sun (2019), Ann. Rev. Econ. 11.
    """
    c = p.k + p.q
    df = float(p.df(c))
    unit = float(np.sqrt(p.yy / p.dd)) or 1.0  # roots of order one keep their digits
    a, b = p.zy / unit, p.zd
    u, v = p.form(z=-a, y=1.0 / unit), p.form(z=-b, d=1.0)
    uu, uv = (p.meat(name, p.instruments, u, f, c) for name, f in (("reduced form", u), ("both forms", v)))
    vv = p.meat("first stage", p.instruments, v, v, c)
    few = p.few("reduced forms", p.moments, u, v, u + v) if p.q == 1 else None
    if few is not None:
        own, of_both, df = [variance for variance, _ in few[:2]], few[2][0], few[0][1]
        uu, vv, uv = np.array([[own[0]]]), np.array([[own[1]]]), np.array([[(of_both - sum(own)) / 2]])
    limit = p.q * f_quantile(level, p.q, df)
    if p.variance == "classical":
        # The same for all instruments: one quadratic.
        poly = [limit * uu[0, 0] - a @ a, 2 * (a @ b - limit * uv[0, 0]), limit * vv[0, 0] - b @ b]
        terms = [np.array([[value]]) for value in poly]
    else:
        terms = [limit * uu - np.outer(a, a),
                 np.outer(a, b) + np.outer(b, a) - limit * (uv + uv.T),
                 limit * vv - np.outer(b, b)]  # fmt: skip
    return Region(tuple((low * unit, high * unit) for low, high in _where_not_negative(terms)))


def _where_not_negative(terms: list[np.ndarray]) -> list[tuple[float, float]]:
    """Intervals of β on which M(β) = M₀ + M₁β + M₂β² has no negative eigenvalue.

    For M = cV − ππ' with V positive definite that is π'V⁻¹π ≤ c.
    """

    def holds(beta: float) -> bool:
        m = (terms[0] + terms[1] * beta + terms[2] * beta**2) / (1 + beta**2)
        return bool(np.linalg.eigvalsh(m)[0] >= 0)

    roots = _real_roots(terms)
    if not roots:
        return [(-np.inf, np.inf)] if holds(0.0) else []
    inner = [(low + high) / 2 for low, high in itertools.pairwise(roots)]
    probes = [roots[0] - 1 - abs(roots[0]), *inner, roots[-1] + 1 + abs(roots[-1])]
    ends = [-np.inf, *roots, np.inf]
    merged: list[tuple[float, float]] = []
    for (low, high), probe in zip(itertools.pairwise(ends), probes, strict=True):
        if holds(probe):
            if merged and merged[-1][1] == low:
                low = merged.pop()[0]
            merged.append((low, high))
    return merged


def _real_roots(terms: list[np.ndarray]) -> list[float]:
    """Real β with det M(β) = 0: eigenvalues of the companion pencil of the quadratic matrix polynomial."""
    q = len(terms[0])
    zero, one = np.zeros((q, q)), np.eye(q)
    scale = max(float(np.abs(m).max()) for m in terms) or 1.0
    left = np.block([[zero, one], [-terms[0] / scale, -terms[1] / scale]])
    right = np.block([[one, zero], [zero, terms[2] / scale]])
    alpha, beta = linalg.eigvals(left, right, homogeneous_eigvals=True)
    finite = np.abs(beta) > 1e-14 * np.maximum(np.abs(alpha), 1.0)
    values = alpha[finite] / beta[finite]
    real = np.abs(values.imag) <= 1e-9 * np.maximum(1.0, np.abs(values))
    return sorted(set(values[real].real.tolist()))
