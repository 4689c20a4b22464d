"""Least squares on arrays: solved from Moments, refined once, with every variance that a table reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .errors import Told
from .inference import cluster_sums
from .moments import Moments, independent


@dataclass(frozen=True)
class Basis:
    """A constant and standardised columns, in which fits are solved and their variances taken.

    Products of the raw columns lose all digits on a column of mean 1e9; those of z = (x − shift) / scale do not.

    Attributes
    ----------
    z : ndarray of shape (n, k)
        The constant first.
    shift, scale : ndarray of shape (k − 1,)
    """

    z: np.ndarray
    shift: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, shift: np.ndarray, scale: np.ndarray) -> Basis:
        """The basis of columns of shape (n, k − 1)."""
        return cls(np.column_stack([np.ones(len(x)), (x - shift) / scale]), shift, scale)

    @property
    def design(self) -> np.ndarray:
        """The constant and the columns in their own units: shape (n, k)."""
        return np.column_stack([np.ones(len(self.z)), self.z[:, 1:] * self.scale + self.shift])

    @property
    def back(self) -> np.ndarray:
        """The map from coefficients of (1, z) to those of (1, x): shape (k, k)."""
        out = np.diag(np.concatenate([[1.0], 1.0 / self.scale]))
        out[0, 1:] = -self.shift / self.scale
        return out

    def raw(self, vcov: np.ndarray) -> np.ndarray:
        """A covariance of coefficients of (1, z) as one of (1, x)."""
        return self.back @ vcov @ self.back.T


@dataclass(frozen=True)
class LinearFit:
    """A least-squares fit with a constant.

    Attributes
    ----------
    names : tuple of str
        Kept columns, ``(intercept)`` first.
    coef : ndarray of shape (k,)
        In the columns' own units.
    start : float
        The fitted value where the kept columns are at the basis' shift.
    basis : Basis
        The kept columns, standardised.
    inverse : ndarray of shape (k, k)
        (Z'WZ)⁻¹ of the standardised design.
    residuals : ndarray of shape (n,)
    weights : ndarray of shape (n,)
    dropped : tuple of str
        Columns that earlier ones explain.
    r2 : float
    """

    names: tuple[str, ...]
    coef: np.ndarray
    start: float
    basis: Basis
    inverse: np.ndarray
    residuals: np.ndarray
    weights: np.ndarray
    dropped: tuple[str, ...]
    r2: float

    @property
    def degrees_of_freedom(self) -> int:
        """n − k."""
        return len(self.residuals) - len(self.coef)

    @property
    def bread(self) -> np.ndarray:
        """(X'WX)⁻¹ in the columns' own units: shape (k, k)."""
        return self.basis.raw(self.inverse)

    def index(self, name: str) -> int:
        """Position of a column; KeyError where it was dropped."""
        if name not in self.names:
            raise KeyError(name)
        return self.names.index(name)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Fitted values for rows of the kept columns, shape (m, k − 1)."""
        return self.start + (x - self.basis.shift) @ self.coef[1:]

    def influence(self) -> np.ndarray:
        """Influence values of the coefficients: shape (n, k), n (X'WX)⁻¹ x w e."""
        return self.projection() * (self.weights * self.residuals)[:, None] * len(self.residuals)

    def projection(self) -> np.ndarray:
        """(X'WX)⁻¹ x of each unit: shape (n, k); a coefficient is its product with w y."""
        return self.basis.z @ self.inverse @ self.basis.back.T


def fit_ols(y: np.ndarray, x: np.ndarray, names: Sequence[str], weights: np.ndarray | None = None) -> LinearFit:
    """Weighted least squares of y on a constant and the columns of x.

    Parameters
    ----------
    y : ndarray of shape (n,)
    x : ndarray of shape (n, k)
    names : sequence of k str
    weights : ndarray of shape (n,), optional
        Positive; enter as Σ w e².

    Returns
    -------
    LinearFit
        Columns that earlier ones explain are dropped and named.

    Raises
    ------
    ValueError
        If there are not more rows than kept columns.
    """
    w = np.ones(len(y)) if weights is None else weights
    moments = Moments.of(np.column_stack([x, y]), [*names, "(y)"], w)
    kept = independent(moments._centred()[:-1, :-1])
    if len(y) <= len(kept) + 1:
        raise Told(f"{len(y)} rows cannot carry {len(kept) + 1} coefficients")
    basis = Basis.of(x[:, kept], moments.shift[kept], moments.scale[kept])
    z = basis.z
    inverse = np.linalg.inv((z * w[:, None]).T @ z)
    centre = float(np.average(y, weights=w))
    own = y - centre  # an outcome of mean 1e9 would lose the digits of its residuals
    beta = inverse @ (z.T @ (w * own))
    beta = beta + inverse @ (z.T @ (w * (own - z @ beta)))  # one refinement brings back the lost digits
    residuals = own - z @ beta
    tss = float(np.sum(w * (own - np.average(own, weights=w)) ** 2))
    r2 = 1.0 - float(np.sum(w * residuals**2)) / tss if tss > 0 else 0.0
    coef = basis.back @ beta
    coef[0] += centre
    return LinearFit(
        ("(intercept)", *(names[i] for i in kept)), coef, float(beta[0] + centre), basis, inverse, residuals, w,
        tuple(n for i, n in enumerate(names) if i not in set(kept)), r2,
    )  # fmt: skip


def leverage(fit: LinearFit) -> np.ndarray:
    """Diagonal of the hat matrix: shape (n,)."""
    return np.einsum("ij,jk,ik->i", fit.basis.z, fit.inverse, fit.basis.z) * fit.weights


def room(fit: LinearFit) -> np.ndarray:
    """1 − h of each row; a unit with leverage one is fitted exactly, its residual is zero and so is its share."""
    return np.maximum(1.0 - leverage(fit), 1e-12)


def covariance(fit: LinearFit, kind: str, cluster: np.ndarray | None = None) -> np.ndarray:
    """Covariance of the coefficients.

    Parameters
    ----------
    fit : LinearFit
    kind : str
        classical, HC0, HC1, HC2, HC3 (MacKinnon & White 1985) or cluster (Liang & Zeger 1986, with Stata's small-sample
        factor G/(G−1) · (n−1)/(n−k)).
    cluster : ndarray of shape (n,), with ``cluster``

    Raises
    ------
    ValueError
        For another kind.
    """
    n, k = fit.basis.z.shape
    e, w = fit.residuals, fit.weights
    if kind == "classical":
        return fit.bread * float(np.sum(w * e**2)) / (n - k)
    scores = fit.basis.z * (w * e)[:, None]
    if kind == "cluster":
        assert cluster is not None
        sums = cluster_sums(scores, cluster)
        groups = len(sums)
        factor = groups / (groups - 1) * (n - 1) / (n - k)
        return fit.basis.raw(fit.inverse @ (sums.T @ sums) @ fit.inverse) * factor
    if kind in ("HC2", "HC3"):
        left = room(fit)
        scores = scores / (np.sqrt(left) if kind == "HC2" else left)[:, None]
    elif kind not in ("HC0", "HC1"):
        raise ValueError(f"unknown variance '{kind}'")
    meat = scores.T @ scores * (n / (n - k) if kind == "HC1" else 1.0)
    return fit.basis.raw(fit.inverse @ meat @ fit.inverse)
