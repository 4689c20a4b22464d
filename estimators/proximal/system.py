"""The linear proximal problem with the covariates taken out: what every formula of this folder reads."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..inference import cluster_sums
from ..instruments.system import kept
from ..moments import Moments
from ..problem import Problem
from ..sample import check_arms, check_sample, regression_variance
from ..terms import Matrix


@dataclass(frozen=True)
class Proxies:
    """Rows of a study in memory, each times the root of its sampling weight, after the covariates X are taken out.

    Attributes
    ----------
    n, k : int
        Rows, and columns of X with the constant.
    variance : str
        classical, robust (HC1) or cluster.
    y, d : ndarray of shape (n,)
        What X leaves of outcome and treatment.
    z : ndarray of shape (n, q)
        Orthonormal basis of what X and D leave of the exposure proxies.
    w : ndarray of shape (n, p)
        What X leaves of the outcome proxies, so combined that X and D leave an orthonormal basis of them.
    own : ndarray of shape (n, p)
        That basis.
    single : ndarray of shape (n, p)
        What X and D leave of each outcome proxy, in standard deviations of the proxy.
    names : tuple of p str
        Outcome proxies that are kept.
    cluster : ndarray of shape (n,) or None
    spread : float
        Weighted sum of squares of the outcome about its mean.
    """

    n: int
    k: int
    variance: str
    y: np.ndarray
    d: np.ndarray
    z: np.ndarray
    w: np.ndarray
    own: np.ndarray
    single: np.ndarray
    names: tuple[str, ...]
    cluster: np.ndarray | None
    spread: float

    @property
    def q(self) -> int:
        """Exposure proxies."""
        return self.z.shape[1]

    @property
    def p(self) -> int:
        """Outcome proxies, or combinations of them."""
        return self.w.shape[1]

    @property
    def groups(self) -> int | None:
        """Clusters, where the variance counts them."""
        return None if self.cluster is None else len(np.unique(self.cluster))

    def combined(self, directions: np.ndarray) -> Proxies:
        """The same with combinations of the outcome proxies in their place: ``directions`` has shape (p, r)."""
        return dataclasses.replace(self, w=self.w @ directions, own=self.own @ directions)

    def meat(self, forms: np.ndarray, coefficients: int) -> np.ndarray:
        """Variance of the sums of ``forms``, shape (n, m), each a regressor times a residual: shape (m, m).

        robust: HC1, times n / (n − c); cluster: G / (G − 1) · (n − 1) / (n − c). c counts coefficients.
        """
        n, c = self.n, coefficients
        if self.cluster is None:
            return forms.T @ forms * (n / (n - c))
        sums = cluster_sums(forms, self.cluster)
        groups = len(sums)
        return sums.T @ sums * (groups / (groups - 1) * (n - 1) / (n - c))

    def df(self, coefficients: int) -> int:
        """Degrees of freedom of a t: n less the coefficients, or G − 1."""
        return self.n - coefficients if self.groups is None else self.groups - 1


def proxies(problem: Problem) -> Proxies:
    """The proximal problem of one run; columns that earlier ones explain are dropped.

    Raises
    ------
    Refusal
        ``not_identified``: the covariates explain the treatment, or covariates and treatment explain all proxies of
        one kind. ``refused``: an outcome that never varies, one cluster, an empty arm, or too few rows.
    """
    if problem.kind == "binary":
        check_arms(problem)
    check_sample(problem)
    x, z, w = columns(problem)
    labels = [f"{role}:{name}" for role, part in (("x", x), ("z", z), ("w", w)) for name in part.names]
    k, q = len(x.names), len(z.names)
    values = np.column_stack([problem.t, x.values, z.values, w.values])
    moments = Moments.of(values, ["(d)", *labels], problem.w)
    given = [*labels[:k], "(d)"]
    of_z = kept(moments, given, labels[k : k + q], labels[-1])
    of_w = kept(moments, given, labels[k + q :], labels[k])
    if k not in of_z.covariates:
        reason = f"the covariates explain the treatment '{problem.study.treatment}'"
        raise Refusal(reason, "Drop the covariate that repeats it", "not_identified")
    for found, role, names in ((of_z, "exposure", z.names), (of_w, "outcome", w.names)):
        if not found.instruments:
            reason = f"covariates and treatment explain the negative control {role}s ({', '.join(names)})"
            mend = f"Name other negative_control_{role}s, or drop the covariate that repeats them"
            raise Refusal(reason, mend, "not_identified")
    own = [j for j in of_z.covariates if j < k]
    needed = len(own) + len(of_z.instruments) + len(of_w.instruments) + 3
    if problem.n <= needed:
        raise Refusal(f"{problem.n} rows cannot carry {needed} coefficients", "Use fewer covariates or proxies")
    parts = (x.values[:, own], z.values[:, of_z.instruments], w.values[:, of_w.instruments])
    return _taken_out(problem, *parts, tuple(w.names[j] for j in of_w.instruments))


def columns(problem: Problem) -> tuple[Matrix, Matrix, Matrix]:
    """Covariates X, exposure proxies Z and outcome proxies W."""
    study = problem.study
    return (
        problem.matrix(problem.covariate_terms()),
        problem.matrix(study.negative_control_exposures),
        problem.matrix(study.negative_control_outcomes),
    )


def _taken_out(problem: Problem, x: np.ndarray, z: np.ndarray, w: np.ndarray, names: tuple[str, ...]) -> Proxies:
    share = problem.w / problem.w.sum()
    root = np.sqrt(problem.w)[:, None]
    basis = np.linalg.qr(np.column_stack([np.ones(problem.n), scaled(x, share)]) * root)[0]
    # A mean of 1e9 would cost the residuals nine digits.
    y = (problem.y - share @ problem.y)[:, None] * root
    d = _left(basis, scaled(problem.t[:, None], share) * root)[:, 0]
    w = scaled(w, share) * root
    with_d = np.column_stack([basis, d / np.linalg.norm(d)])
    single = _left(with_d, w)
    own, upper = np.linalg.qr(single)
    return Proxies(
        problem.n, basis.shape[1], regression_variance(problem, problem.own("variance")),
        _left(basis, y)[:, 0], d * _spread(problem.t, share), np.linalg.qr(_left(with_d, scaled(z, share) * root))[0],
        np.linalg.solve(upper.T, _left(basis, w).T).T, own, single, names, problem.cluster, float(np.sum(y**2)),
    )  # fmt: skip


def scaled(values: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Columns of shape (n, m) less their weighted mean, in weighted standard deviations; ``share`` sums to one."""
    return (values - share @ values) / _spread(values, share)


def _spread(values: np.ndarray, share: np.ndarray) -> np.ndarray:
    return np.sqrt(share @ (values - share @ values) ** 2)


def _left(basis: np.ndarray, values: np.ndarray) -> np.ndarray:
    left = values - basis @ (basis.T @ values)
    return left - basis @ (basis.T @ left)  # the second pass takes out what rounding left
