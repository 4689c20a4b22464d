"""Do the exposure proxies move the outcome proxies? Rank, F statistics, and the test of the proxies against each other.

All given covariates and treatment: Θ = Z'W of shape (q, p) between the orthonormal bases Z and W, whose singular
values are the partial canonical correlations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..laws import chi2_tail
from .system import Proxies

LEVEL = 0.05


@dataclass(frozen=True)
class Directions:
    """Combinations of the outcome proxies, by how well the exposure proxies predict them.

    Attributes
    ----------
    vectors : ndarray of shape (p, p)
        A combination a column, the best predicted first.
    f : tuple of min(p, q) float
        F of each: of the exposure proxies, less one a better predicted combination.
    p_values : tuple of min(p, q) float
        Entry j tests that the rank of Θ is at most j (Kleibergen & Paap 2006; Cragg & Donald 1997 where the variance
        is classical). NaN where the clusters are too few for it.
    """

    vectors: np.ndarray
    f: tuple[float, ...]
    p_values: tuple[float, ...]

    @property
    def rank(self) -> int:
        """How many combinations the exposure proxies move: ranks are tested from 0 upwards at 5 %."""
        for j, p_value in enumerate(self.p_values):
            if not p_value < LEVEL:
                return j
        return len(self.p_values)


def directions(s: Proxies) -> Directions:
    """The singular value decomposition of Θ, with its tests."""
    left, _, right = np.linalg.svd(s.z.T @ s.own)
    right = right.T
    f, p_values = [], []
    for j in range(min(s.p, s.q)):
        rest = s.z @ left[:, j:]
        f.append(_statistic(s, rest, s.own @ right[:, [j]]) / (s.q - j))
        p_values.append(_tail(_statistic(s, rest, s.own @ right[:, j:]), (s.q - j) * (s.p - j)))
    return Directions(right, tuple(f), tuple(p_values))


def rank_with_treatment(s: Proxies, rank: int) -> float:
    """p-value that treatment and exposure proxies together move the outcome proxies in no more than ``rank`` ways.

    The treatment may not act on the outcome proxies, so it moves them only as the hidden confounder that the exposure
    proxies show: where the test rejects, either that is wrong or the exposure proxies miss a part of the confounder.
    """
    a = np.column_stack([s.d / np.linalg.norm(s.d), s.z])
    w = np.linalg.qr(s.w)[0]
    left, _, right = np.linalg.svd(a.T @ w)
    rest, unmoved = a @ left[:, rank:], w @ right.T[:, rank:]
    return _tail(_statistic(s, rest, unmoved, a), rest.shape[1] * unmoved.shape[1])


def partial_f(s: Proxies) -> tuple[float, ...]:
    """First-stage F of each outcome proxy on all exposure proxies."""
    return tuple(_statistic(s, s.z, column[:, None]) / s.q for column in s.single.T)


def conditional_f(s: Proxies) -> tuple[float, ...]:
    """First-stage F of each outcome proxy given the others (Sanderson & Windmeijer 2016, J. Econometrics 190).

    The proxy less what 2SLS makes of it from the others, on the exposure proxies; q − p + 1 degrees of freedom.
    """
    out = []
    for j in range(s.p):
        others = np.delete(s.single, j, axis=1)
        fitted = s.z.T @ others
        slope = np.linalg.lstsq(fitted, s.z.T @ s.single[:, j], rcond=None)[0]
        rest = s.single[:, j] - others @ slope
        out.append(_statistic(s, s.z, rest[:, None]) / (s.q - s.p + 1))
    return tuple(out)


def _statistic(s: Proxies, a: np.ndarray, w: np.ndarray, first: np.ndarray | None = None) -> float:
    """Wald statistic that no column of ``w`` has a slope on a column of ``a``; both orthonormal, inside s.z and s.own.

    ``first`` are all regressors of the first stage (default s.z). NaN where the covariance is singular.
    """
    first = s.z if first is None else first
    v = w - first @ (first.T @ w)
    c = s.k + first.shape[1] + (first is s.z)  # the treatment is a regressor too, inside ``first`` or beside it
    slopes = (a.T @ w).ravel()
    if s.variance == "classical":
        vcov = np.kron(np.eye(a.shape[1]), v.T @ v) / (s.n - c)
    else:
        vcov = s.meat((a[:, :, None] * v[:, None, :]).reshape(s.n, -1), c)
    size = np.sqrt(np.diag(vcov))
    if not (size > 0).all():
        return float("inf") if (np.abs(slopes) > 0).all() else float("nan")
    unit = vcov / np.outer(size, size)
    if np.linalg.matrix_rank(unit, hermitian=True) < len(unit):
        return float("nan")
    along = slopes / size
    return float(along @ np.linalg.solve(unit, along))


def _tail(statistic: float, df: int) -> float:
    return chi2_tail(statistic, df) if np.isfinite(statistic) else 0.0 if statistic > 0 else float("nan")
