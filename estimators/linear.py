"""Least squares on arrays: solved from Moments, refined once, with every variance that a table reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .inference import cluster_sums
from .moments import Moments, independent


@dataclass(frozen=True)
class LinearFit:
    """A least-squares fit with a constant.

    Attributes
    ----------
    names : tuple of str
        Kept columns, ``(intercept)`` first.
    coef : ndarray of shape (k,)
    design : ndarray of shape (n, k)
        The kept columns, the constant first.
    bread : ndarray of shape (k, k)
        (X'WX)⁻¹.
    residuals : ndarray of shape (n,)
    weights : ndarray of shape (n,)
    dropped : tuple of str
        Columns that earlier ones explain.
    r2 : float
    """

    names: tuple[str, ...]
    coef: np.ndarray
    design: np.ndarray
    bread: np.ndarray
    residuals: np.ndarray
    weights: np.ndarray
    dropped: tuple[str, ...]
    r2: float

    @property
    def degrees_of_freedom(self) -> int:
        """n − k."""
        return len(self.residuals) - len(self.coef)

    def index(self, name: str) -> int:
        """Position of a column; KeyError where it was dropped."""
        if name not in self.names:
            raise KeyError(name)
        return self.names.index(name)

    def influence(self) -> np.ndarray:
        """Influence values of the coefficients: shape (n, k), n (X'WX)⁻¹ x w e."""
        scores = self.design * (self.weights * self.residuals)[:, None]
        return scores @ self.bread * len(self.residuals)


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
        raise ValueError(f"{len(y)} rows cannot carry {len(kept) + 1} coefficients")
    shift, scale = moments.shift[kept], moments.scale[kept]
    z = np.column_stack([np.ones(len(y)), (x[:, kept] - shift) / scale])
    inverse = np.linalg.inv((z * w[:, None]).T @ z)
    beta = inverse @ (z.T @ (w * y))
    beta = beta + inverse @ (z.T @ (w * (y - z @ beta)))  # one refinement brings back the lost digits
    back = _to_raw(shift, scale)
    mean = np.average(y, weights=w)
    residuals = y - z @ beta
    tss = float(np.sum(w * (y - mean) ** 2))
    r2 = 1.0 - float(np.sum(w * residuals**2)) / tss if tss > 0 else 0.0
    return LinearFit(
        ("(intercept)", *(names[i] for i in kept)), back @ beta, np.column_stack([np.ones(len(y)), x[:, kept]]),
        back @ inverse @ back.T, residuals, w, tuple(n for i, n in enumerate(names) if i not in set(kept)), r2,
    )  # fmt: skip


def _to_raw(shift: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The map from coefficients of (1, (x − shift)/scale) to those of (1, x)."""
    k = len(shift)
    back = np.zeros((k + 1, k + 1))
    back[0, 0] = 1.0
    back[0, 1:] = -shift / scale
    back[1:, 1:] = np.diag(1.0 / scale)
    return back


def leverage(fit: LinearFit) -> np.ndarray:
    """Diagonal of the hat matrix: shape (n,)."""
    return np.einsum("ij,jk,ik->i", fit.design, fit.bread, fit.design) * fit.weights


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
    n, k = fit.design.shape
    e, w = fit.residuals, fit.weights
    if kind == "classical":
        return fit.bread * float(np.sum(w * e**2)) / (n - k)
    scores = fit.design * (w * e)[:, None]
    if kind == "cluster":
        assert cluster is not None
        sums = cluster_sums(scores, cluster)
        groups = len(sums)
        factor = groups / (groups - 1) * (n - 1) / (n - k)
        return fit.bread @ (sums.T @ sums) @ fit.bread * factor
    if kind in ("HC2", "HC3"):
        # A unit with leverage one is fitted exactly: its residual is zero and so is its share.
        room = np.maximum(1.0 - leverage(fit), 1e-12)
        scores = scores / (np.sqrt(room) if kind == "HC2" else room)[:, None]
    elif kind not in ("HC0", "HC1"):
        raise ValueError(f"unknown variance '{kind}'")
    meat = scores.T @ scores * (n / (n - k) if kind == "HC1" else 1.0)
    return fit.bread @ meat @ fit.bread
