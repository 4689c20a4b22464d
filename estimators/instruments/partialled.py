"""Outcome, treatment and instruments with the covariates taken out: all that linear IV needs afterwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..inference import cluster_sums
from ..moments import TOLERANCE, Moments, independent
from ..problem import Problem
from ..sample import check_sample, regression_variance


@dataclass(frozen=True)
class Partialled:
    """One IV problem after partialling out (Frisch & Waugh 1933; Lovell 1963).

    Attributes
    ----------
    y, d : ndarray of shape (n,)
        Residuals of the outcome and the treatment on the covariates and a constant.
    x : ndarray of shape (n, k)
        Orthonormal basis of the covariates and the constant.
    z : ndarray of shape (n, q)
        Orthonormal basis of the instruments' residuals.
    variance : str
        classical, robust (HC1) or cluster.
    cluster : ndarray of shape (n,) or None
    """

    y: np.ndarray
    d: np.ndarray
    x: np.ndarray
    z: np.ndarray
    variance: str
    cluster: np.ndarray | None

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.y)

    @property
    def k(self) -> int:
        """Covariates and the constant."""
        return self.x.shape[1]

    @property
    def q(self) -> int:
        """Instruments."""
        return self.z.shape[1]

    @property
    def groups(self) -> int | None:
        """Clusters, where the variance counts them."""
        return len(np.unique(self.cluster.astype(str))) if self.cluster is not None else None

    def df(self, coefficients: int) -> int:
        """Degrees of freedom of a t or F with so many coefficients: n minus them, or G − 1 with clusters."""
        return self.n - coefficients if self.groups is None else self.groups - 1

    def meat(self, a: np.ndarray, e: np.ndarray, f: np.ndarray, coefficients: int) -> np.ndarray:
        """Variance of Σ a_i e_i against Σ a_i f_i, for residuals e and f: shape (p, p).

        a has shape (n, p) and orthonormal columns, c counts coefficients. classical: I · e'f / (n − c); robust (HC1):
        Σ a a' e f · n / (n − c); cluster: sums a cluster, times G/(G − 1) · (n − 1)/(n − c).
        """
        n, c = self.n, coefficients
        if self.variance == "classical":
            return np.eye(a.shape[1]) * float(e @ f) / (n - c)
        if self.cluster is None:
            return (a * (e * f)[:, None]).T @ a * (n / (n - c))
        left, right = cluster_sums(a * e[:, None], self.cluster), cluster_sums(a * f[:, None], self.cluster)
        return left.T @ right * (len(left) / (len(left) - 1) * (n - 1) / (n - c))


def partialled(problem: Problem) -> Partialled:
    """The IV problem of one run.

    Raises
    ------
    Refusal
        ``not_identified``: the covariates explain the treatment or every instrument. ``refused``: too few rows,
        one cluster, or an outcome that never varies.
    """
    check_sample(problem)
    instruments = tuple(problem.own("instruments") or problem.study.instruments)
    x = problem.matrix(problem.covariate_terms()).values
    basis = _basis(x)
    z = problem.matrix(instruments)
    kept = _independent_of(basis, z.values)
    if not kept:
        raise Refusal(
            f"the covariates explain the instrument: {', '.join(z.names)} has no variation of its own",
            "Drop the covariate that repeats it, or name another instrument",
            "not_identified",
        )
    n, k, q = problem.n, basis.shape[1], len(kept)
    if n <= k + q + 1:
        raise Refusal(f"{n} rows cannot carry {k} covariates and {q} instruments", "Use fewer covariates")
    if not _independent_of(basis, problem.t[:, None]):
        raise Refusal(
            f"the covariates explain the treatment '{problem.study.treatment}'",
            "Drop the covariate that repeats it",
            "not_identified",
        )
    variance = regression_variance(problem, problem.own("variance"))
    own = _residuals(basis, z.values[:, kept])
    orthonormal = np.linalg.qr(own / np.linalg.norm(own, axis=0))[0]
    y, d = _residuals(basis, problem.y), _residuals(basis, problem.t)
    return Partialled(y, d, basis, orthonormal, variance, problem.cluster)


def _basis(x: np.ndarray) -> np.ndarray:
    """Orthonormal basis of a constant and the columns of x that earlier ones do not explain."""
    moments = Moments.of(x, [str(j) for j in range(x.shape[1])])
    kept = independent(moments._centred())
    scaled = (x[:, kept] - moments.shift[kept]) / moments.scale[kept]
    return np.linalg.qr(np.column_stack([np.ones(len(x)), scaled]))[0]


def _residuals(basis: np.ndarray, values: np.ndarray) -> np.ndarray:
    left = values - basis @ (basis.T @ values)
    return left - basis @ (basis.T @ left)  # the second pass takes out what rounding left


def _independent_of(basis: np.ndarray, z: np.ndarray) -> list[int]:
    """Columns of z of which the basis and the earlier columns leave something."""
    spread = ((z - z.mean(axis=0)) ** 2).sum(axis=0)
    own = _residuals(basis, z)
    alive = [j for j in range(z.shape[1]) if (own[:, j] ** 2).sum() > TOLERANCE * spread[j]]
    unit = own[:, alive] / np.sqrt((own[:, alive] ** 2).sum(axis=0))
    return [alive[j] for j in independent(unit.T @ unit)]
