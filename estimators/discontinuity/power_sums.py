"""Sums of powers of the distance to the cutoff: all that a local polynomial needs of its window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .local import kernel_weights


class Unidentified(Exception):
    """A polynomial has fewer distinct values of the running variable than coefficients, or as good as that."""


@dataclass(frozen=True)
class Window:
    """One side's window, under one kernel at one or two bandwidths.

    Attributes
    ----------
    cutoff : float
    bandwidths : tuple of float
        (h,) or (h, b), in units of the running variable.
    kernel : str
    """

    cutoff: float
    bandwidths: tuple[float, ...]
    kernel: str

    @property
    def scale(self) -> float:
        """The widest bandwidth: powers are of z = (x − c) / scale, within −1 … 1."""
        return max(self.bandwidths)

    def weights(self, x: np.ndarray) -> np.ndarray:
        """Kernel weights, shape (kernels, L), up to a constant."""
        return np.array([kernel_weights((x - self.cutoff) / h, self.kernel) for h in self.bandwidths])

    def powers(self, x: np.ndarray, top: int) -> np.ndarray:
        """z⁰ … z^top, shape (top + 1, L)."""
        out = np.empty((top + 1, len(x)))
        out[0] = 1.0
        if top:
            np.divide(x - self.cutoff, self.scale, out=out[1])
        for k in range(2, top + 1):
            np.multiply(out[k - 1], out[1], out=out[k])
        return out


@dataclass
class Sums:
    """Sums over one side's window; w are kernel weights, D the m variables of a row, r its residuals.

    Attributes
    ----------
    window : Window
    rows : int
        Of positive weight under any kernel.
    inside : ndarray of shape (kernels,)
        Rows of positive weight under each.
    w : ndarray of shape (kernels, top + 1)
        Σ w zʲ.
    d : ndarray of shape (kernels, top + 1, m)
        Σ w zʲ D.
    dd : ndarray of shape (m, m)
        Σ w D D′ under the first kernel.
    meat : ndarray of shape (q, kernels, kernels, top + 1)
        Σ wₐ w_b zʲ r² of q residuals.
    """

    window: Window
    rows: int
    inside: np.ndarray
    w: np.ndarray
    d: np.ndarray
    dd: np.ndarray
    meat: np.ndarray

    @classmethod
    def zeros(cls, window: Window, m: int, q: int, top: int) -> Sums:
        """Nothing added yet."""
        k = len(window.bandwidths)
        return cls(
            window, 0, np.zeros(k, dtype=np.int64), np.zeros((k, top + 1)), np.zeros((k, top + 1, m)),
            np.zeros((m, m)), np.zeros((q, k, k, top + 1)),
        )  # fmt: skip

    @property
    def top(self) -> int:
        """The highest power."""
        return self.w.shape[1] - 1

    def add(self, x: np.ndarray, n: np.ndarray, mean: np.ndarray, cross: np.ndarray | None) -> None:
        """Rows, or cells of rows with equal x.

        Parameters
        ----------
        x, n : ndarray of shape (L,)
            Running variable, and rows.
        mean : ndarray of shape (m, L)
        cross : ndarray of shape (m, m, L), optional
            Products about the mean within the cell.
        """
        weights = self.window.weights(x)
        powers = self.window.powers(x, self.top)
        weighted = weights * n
        self.inside += ((weights > 0) * n).sum(axis=1).astype(np.int64)
        self.rows += int(n[(weights > 0).any(axis=0)].sum())
        self.w += weighted @ powers.T
        for k, own in enumerate(weighted):
            self.d[k] += powers @ (own * mean).T
        self.dd += (weighted[0] * mean) @ mean.T
        if cross is not None:
            self.dd += cross @ weights[0]

    def add_residuals(self, x: np.ndarray, squares: np.ndarray) -> None:
        """Σ r² of rows or cells: ``squares`` has shape (q, L)."""
        weights, powers = self.window.weights(x), self.window.powers(x, self.top)
        for a, first in enumerate(weights):
            for b, second in enumerate(weights):
                self.meat[:, a, b] += (squares * (first * second)) @ powers.T

    def gram(self, order: int, kernel: int = 0) -> np.ndarray:
        """Σ w zⁱ⁺ʲ, shape (order + 1, order + 1)."""
        return hankel(self.w[kernel], order)

    def inverse(self, order: int, kernel: int = 0) -> np.ndarray:
        """Inverse of `gram`.

        Raises
        ------
        Unidentified
            Where it is singular to rounding.
        """
        return inverse(self.gram(order, kernel))

    def coefficients(self, order: int, kernel: int = 0) -> np.ndarray:
        """Weighted least squares of each variable on 1, z … z^order: shape (order + 1, m)."""
        return self.inverse(order, kernel) @ self.d[kernel, : order + 1]

    def partialled(self, order: int) -> np.ndarray:
        """Σ w D D′ less what the polynomial explains, shape (m, m), under the first kernel."""
        own = self.d[0, : order + 1]
        return self.dd - own.T @ self.inverse(order) @ own


def hankel(sums: np.ndarray, order: int) -> np.ndarray:
    """The matrix whose entry (i, j) is the sum of power i + j, for i, j ≤ order."""
    at = np.arange(order + 1)
    return sums[at[:, None] + at]


def inverse(gram: np.ndarray) -> np.ndarray:
    """Inverse of a positive definite matrix, scaled to a unit diagonal first, as powers differ by magnitudes."""
    diagonal = np.diag(gram)
    if not (np.isfinite(gram).all() and (diagonal > 0).all()):
        raise Unidentified
    root = np.sqrt(diagonal)
    values, vectors = np.linalg.eigh(gram / np.outer(root, root))
    if values[0] < 1e-14 * values[-1]:
        raise Unidentified
    return (vectors / values) @ vectors.T / np.outer(root, root)


def slopes(explained: np.ndarray, total: np.ndarray, first: int) -> np.ndarray:
    """Coefficients γ of the variables from ``first`` on in a regression of those before: shape (m − first, first).

    Parameters
    ----------
    explained : ndarray of shape (m, m)
        Cross-products with the polynomial partialled out, of one side or of both added up.
    total : ndarray of shape (m, m)
        The same before that. A combination of covariates that does not vary apart from the polynomial has no
        coefficient (zero); nor does the estimate depend on it.
    first : int
        1, or 2 where the second variable is the treatment of a fuzzy design.
    """
    zz, zy = explained[first:, first:], explained[first:, :first]
    own = np.diag(zz)
    varies = own > 1e-12 * np.diag(total)[first:]
    root = np.where(varies, np.sqrt(np.where(varies, own, 1.0)), np.inf)
    return np.linalg.pinv(zz / np.outer(root, root), rcond=1e-10, hermitian=True) @ (zy / root[:, None]) / root[:, None]
