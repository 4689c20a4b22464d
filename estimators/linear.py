"""Least squares on arrays: solved from Moments, refined once, with every variance that a table reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .errors import Told
from .few_clusters import Error, Satterthwaite, chunk_of, effective_number, is_many, of_rows, of_units
from .inference import cluster_sums
from .leverage import POWERS, inflation
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


def covariance(fit: LinearFit, kind: str, cluster: np.ndarray | None = None) -> np.ndarray:
    """Covariance of the coefficients.

    Parameters
    ----------
    fit : LinearFit
    kind : str
        classical, HC0, HC1, HC2, HC3 (MacKinnon & White 1985), CR1 (Liang & Zeger 1986, with Stata's small-sample
        factor G/(G−1) · (n−1)/(n−k)) or CR2 (Bell & McCaffrey 2002; see `estimators.few_clusters`).
    cluster : ndarray of shape (n,), with CR1 and CR2

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
    if kind == "CR1":
        assert cluster is not None
        sums = cluster_sums(scores, cluster)
        return fit.basis.raw(fit.inverse @ (sums.T @ sums) @ fit.inverse) * stata_factor(len(sums), n, k)
    if kind == "CR2":
        assert cluster is not None
        root = np.linalg.cholesky(fit.inverse)
        found = of_rows(whitened(fit), np.sqrt(w) * e, cluster, np.empty((0, k)))
        return fit.basis.raw(root @ found.meat @ root.T)
    if kind not in POWERS:
        raise ValueError(f"unknown variance '{kind}'")
    if kind in ("HC2", "HC3"):
        scores = scores * inflation(leverage(fit), kind)[:, None]
    meat = scores.T @ scores * (n / (n - k) if kind == "HC1" else 1.0)
    return fit.basis.raw(fit.inverse @ meat @ fit.inverse)


def stata_factor(groups: int, n: int, k: int) -> float:
    """G/(G − 1) · (n − 1)/(n − k), the small-sample factor of CR1."""
    return groups / (groups - 1) * (n - 1) / (n - k)


def whitened(fit: LinearFit) -> np.ndarray:
    """√w L'z of each unit with (Z'WZ)⁻¹ = LL': shape (n, k), with unit cross-products."""
    return np.sqrt(fit.weights)[:, None] * (fit.basis.z @ np.linalg.cholesky(fit.inverse))


def coefficient_error(fit: LinearFit, j: int, kind: str, cluster: np.ndarray | None = None) -> Error:
    """Standard error of a coefficient with the degrees of freedom that its variance has.

    HC2, HC3 and CR2: Satterthwaite's under independent errors of variance 1/w (Bell & McCaffrey 2002; Imbens & Kolesár
    2016), n − k where units are many; CR2 is CR1 with G − 1 where clusters are many (`few_clusters.is_many`). Other
    kinds: n − k, or G − 1 with clusters.

    Parameters
    ----------
    fit : LinearFit
    j : int
        Its place.
    kind : str
        As of `covariance`.
    cluster : ndarray of shape (n,), optional
        Read with CR1 and CR2.
    """
    return errors(fit, [j], kind, cluster)[0]


def errors(fit: LinearFit, places: Sequence[int], kind: str, cluster: np.ndarray | None = None) -> list[Error]:
    """`coefficient_error` of several coefficients."""
    contrasts = _contrasts(fit, places)
    return [
        Error(float(np.sqrt(variance)), df, own)
        for variance, df, own in _variances(fit, contrasts, places, kind, cluster)
    ]


def whitened_contrast(fit: LinearFit, j: int) -> np.ndarray:
    """l of one coefficient, with error l'Σ q √w e: shape (1, k)."""
    return _contrasts(fit, [j])


def _contrasts(fit: LinearFit, places: Sequence[int]) -> np.ndarray:
    """l of each coefficient in the whitened coordinates: shape (q, k)."""
    return fit.basis.back[list(places)] @ np.linalg.cholesky(fit.inverse)


def _variances(
    fit: LinearFit, contrasts: np.ndarray, places: Sequence[int], kind: str, cluster: np.ndarray | None
) -> list[tuple[float, float | None, str]]:
    if kind == "CR2":
        assert cluster is not None
        q = whitened(fit)
        shares = cluster_sums((q @ contrasts.T) ** 2, cluster)
        many = [is_many(one, len(fit.coef)) for one in effective_number(shares)]
        out: list[tuple[float, float | None, str]] = []
        if not all(many):
            found = of_rows(q, np.sqrt(fit.weights) * fit.residuals, cluster, contrasts)
            out = [(v, float(df), "CR2") for v, df in zip(found.squares, found.df(), strict=True)]
        if any(many):
            plain = np.diag(covariance(fit, "CR1", cluster))
            stand = [(float(plain[j]), len(shares) - 1.0, "CR1") for j in places]
            out = [stand[i] if one else out[i] for i, one in enumerate(many)]
        return out
    variance = np.diag(covariance(fit, kind, cluster))
    if kind == "CR1":
        assert cluster is not None
        return [(float(variance[j]), len(np.unique(cluster)) - 1.0, kind) for j in places]
    df = [float(fit.degrees_of_freedom)] * len(contrasts)
    if kind in ("HC2", "HC3"):
        df = unit_df(fit, contrasts, kind)
    return [(float(variance[j]), one, kind) for j, one in zip(places, df, strict=True)]


def unit_df(fit: LinearFit, contrasts: np.ndarray, kind: str) -> list[float]:
    """Degrees of freedom of HC2 and HC3, each unit a cluster of its own; n − k where units are many."""
    q = whitened(fit)
    along = q @ contrasts.T
    many = [is_many(one, len(fit.coef)) for one in effective_number(along**2)]
    plain = float(fit.degrees_of_freedom)
    if all(many):
        return [plain] * len(many)
    sums = Satterthwaite(*contrasts.shape)
    h = leverage(fit)
    step = chunk_of(q.shape[1])
    for first in range(0, len(q), step):
        own = slice(first, first + step)
        sums.add(*of_units(q[own], along[own], h[own], kind))
    return [plain if one else float(df) for one, df in zip(many, sums.df(), strict=True)]
