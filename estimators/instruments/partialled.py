"""Outcome, treatment and instruments in memory with the covariates taken out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..few_clusters import of_rows
from ..inference import cluster_sums
from ..moments import Moments
from ..problem import Problem
from ..sample import check_sample, regression_variance
from .system import Kept, System, kept


@dataclass(frozen=True)
class Partialled(System):
    """A system whose rows are in memory.

    Attributes
    ----------
    rows : ndarray of shape (n, k + q + 2)
        x, z, y and d side by side.
    cluster : ndarray of shape (n,) or None
    """

    rows: np.ndarray
    cluster: np.ndarray | None

    @property
    def x(self) -> np.ndarray:
        """Orthonormal basis of the covariates and the constant: shape (n, k)."""
        return self.rows[:, : self.k]

    @property
    def z(self) -> np.ndarray:
        """Orthonormal basis of the instruments' residuals: shape (n, q)."""
        return self.rows[:, self.k : self.k + self.q]

    @property
    def y(self) -> np.ndarray:
        """Residuals of the outcome on the covariates: shape (n,)."""
        return self.rows[:, -2]

    @property
    def d(self) -> np.ndarray:
        """Residuals of the treatment on the covariates: shape (n,)."""
        return self.rows[:, -1]

    def products(self, name: str, a: np.ndarray, e: np.ndarray, f: np.ndarray, kind: str) -> np.ndarray:
        """See `System.products`; nothing is kept, so the name does not matter."""
        left, right = self.rows @ e, self.rows @ f
        if kind == "classical":
            return left @ right
        forms = self.rows @ a.T
        if kind == "robust":
            return (forms * (left * right)[:, None]).T @ forms
        assert self.cluster is not None
        if kind == "CR2":
            found = of_rows(forms, left, self.cluster, np.eye(len(a))[-1:])
            return np.array([found.squares[0], found.df()[0]])
        sums = [cluster_sums(forms * side[:, None], self.cluster) for side in (left, right)]
        return sums[0].T @ sums[1]


def partialled(problem: Problem) -> Partialled:
    """The IV problem of one run.

    Raises
    ------
    Refusal
        ``not_identified``: the covariates explain the treatment or every instrument. ``refused``: too few rows,
        one cluster, or an outcome that never varies.
    """
    check_sample(problem)
    x = problem.matrix(problem.covariate_terms())
    z = problem.matrix(instrument_terms(problem))
    names = (*(f"x:{name}" for name in x.names), *(f"z:{name}" for name in z.names), "(d)")
    moments = Moments.of(np.column_stack([x.values, z.values, problem.t]), names)
    found = kept(moments, names[: len(x.names)], names[len(x.names) : -1], "(d)")
    check_identified(found, z.names, problem.n, str(problem.study.treatment))
    basis = np.linalg.qr(np.column_stack([np.ones(problem.n), _scaled(x.values[:, found.covariates])]))[0]
    own = _residuals(basis, _scaled(z.values[:, found.instruments]))
    orthonormal = np.linalg.qr(own / np.linalg.norm(own, axis=0))[0]
    # A mean of 1e9 would cost the residuals nine digits.
    y, d = (_residuals(basis, values - values.mean()) for values in (problem.y, problem.t))
    return Partialled(
        problem.n, basis.shape[1], orthonormal.shape[1], regression_variance(problem, problem.own("variance")),
        problem.n_clusters, orthonormal.T @ y, orthonormal.T @ d, float(y @ y), float(y @ d), float(d @ d),
        np.column_stack([basis, orthonormal, y, d]), problem.cluster,
    )  # fmt: skip


def instrument_terms(problem: Problem) -> tuple[str, ...]:
    """The estimator's own ``instruments`` option, or the study's instruments."""
    return tuple(problem.own("instruments") or problem.study.instruments)


def check_identified(found: Kept, instruments: Sequence[str], n: int, treatment: str) -> None:
    """Refuse what covariates explain, and too few rows. See `partialled`."""
    if not found.instruments:
        raise Refusal(
            f"the covariates explain the instrument: {', '.join(instruments)} has no variation of its own",
            "Drop the covariate that repeats it, or name another instrument",
            "not_identified",
        )
    k, q = len(found.covariates) + 1, len(found.instruments)
    if n <= k + q + 1:
        raise Refusal(f"{n} rows cannot carry {k} covariates and {q} instruments", "Use fewer covariates")
    if not found.treatment:
        raise Refusal(
            f"the covariates explain the treatment '{treatment}'",
            "Drop the covariate that repeats it",
            "not_identified",
        )


def _scaled(values: np.ndarray) -> np.ndarray:
    return (values - values.mean(axis=0)) / values.std(axis=0)


def _residuals(basis: np.ndarray, values: np.ndarray) -> np.ndarray:
    left = values - basis @ (basis.T @ values)
    return left - basis @ (basis.T @ left)  # the second pass takes out what rounding left
