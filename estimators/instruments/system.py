"""One linear IV problem as the sums that every formula reads, whether rows are in memory or in the warehouse."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from ..few_clusters import MANY, is_many
from ..moments import TOLERANCE, Moments, independent


@dataclass(frozen=True)
class System(abc.ABC):
    """Linear IV after partialling out (Frisch & Waugh 1933; Lovell 1963), of rows r = (x, z, y, d).

    x is an orthonormal basis of the covariates and the constant (k columns), z one of what the covariates leave of the
    instruments (q columns), y and d what they leave of outcome and treatment. A linear form of a row is given by its
    k + q + 2 coefficients; see `form`.

    Attributes
    ----------
    n, k, q : int
        Rows, covariates with the constant, instruments.
    variance : str
        classical, robust (HC1), CR1 or CR2. CR2 is for the coefficient and the Anderson–Rubin test of one instrument;
        what else is tested takes CR1 then.
    groups : int or None
        Clusters, where the variance counts them.
    zy, zd : ndarray of shape (q,)
        z'y and z'd.
    yy, yd, dd : float
        y'y, y'd and d'd.
    """

    n: int
    k: int
    q: int
    variance: str
    groups: int | None
    zy: np.ndarray
    zd: np.ndarray
    yy: float
    yd: float
    dd: float

    @abc.abstractmethod
    def products(self, name: str, a: np.ndarray, e: np.ndarray, f: np.ndarray, kind: str) -> np.ndarray:
        """Sums of the products of linear forms over the rows; ``name`` tells one question from another.

        a holds p forms, e and f are one each. classical: Σ e f (a is not read); robust: Σ a a' e f (p × p);
        cluster: Σ over clusters of (Σ a e)(Σ a f)'. CR2: variance and degrees of freedom of the coefficient of the last
        of the orthonormal forms a, in the regression on them that leaves e (f is not read): shape (2,).
        """

    def df(self, coefficients: int) -> int:
        """Degrees of freedom of a t or F with so many coefficients: n minus them, or G − 1 with clusters."""
        return self.n - coefficients if self.groups is None else self.groups - 1

    def form(
        self, x: np.ndarray | float = 0.0, z: np.ndarray | float = 0.0, y: float = 0.0, d: float = 0.0
    ) -> np.ndarray:
        """The linear form x'γ + z'π + y υ + d δ by its coefficients: shape (k + q + 2,)."""
        return np.concatenate([np.broadcast_to(x, self.k), np.broadcast_to(z, self.q), [y, d]])

    @property
    def instruments(self) -> np.ndarray:
        """Each column of z as a form: shape (q, k + q + 2)."""
        return np.eye(self.k + self.q + 2)[self.k : self.k + self.q]

    @property
    def moments(self) -> np.ndarray:
        """Each column of x and z as a form, the covariates being their own instruments: shape (k + q, k + q + 2)."""
        return np.eye(self.k + self.q + 2)[: self.k + self.q]

    def meat(
        self, name: str, a: np.ndarray, e: np.ndarray, f: np.ndarray, coefficients: int, variance: str | None = None
    ) -> np.ndarray:
        """Variance of Σ a e against Σ a f, for residuals e and f: shape (p, p).

        a are p orthonormal forms, c counts coefficients. classical: I · e'f / (n − c); robust (HC1):
        Σ a a' e f · n / (n − c); cluster: sums a cluster, times G/(G − 1) · (n − 1)/(n − c).
        """
        n, c, kind = self.n, coefficients, variance or self.variance
        kind = "cluster" if kind in ("CR1", "CR2") else kind
        found = self.products(name, a, e, f, kind)
        if kind == "classical":
            return np.eye(len(a)) * float(found) / (n - c)
        if kind == "robust":
            return found * (n / (n - c))
        assert self.groups is not None
        return found * (self.groups / (self.groups - 1) * (n - 1) / (n - c))

    def few(self, name: str, a: np.ndarray, *residuals: np.ndarray) -> list[tuple[float, float]] | None:
        """CR2's variance of a coefficient and its degrees of freedom, for each residual; None where CR1 stands for it.

        a are orthonormal forms, the regressors, and the last is that of the coefficient; see `estimators.few_clusters`.
        """
        if self.variance != "CR2":
            return None
        assert self.groups is not None
        if self.groups >= MANY:
            own = a[-1]
            shares = float(self.products(f"{name} shares", own[None], own, own, "cluster")[0, 0])
            if is_many(1 / shares if shares > 0 else np.inf, len(a)):
                return None
        found = [self.products(f"{name} {i}", a, e, e, "CR2") for i, e in enumerate(residuals)]
        return [(float(variance), float(df)) for variance, df in found]


@dataclass(frozen=True)
class Kept:
    """Columns that an IV problem keeps: places among the covariates and among the instruments.

    ``treatment`` is whether the covariates leave anything of the treatment.
    """

    covariates: list[int]
    instruments: list[int]
    treatment: bool


def kept(moments: Moments, x: Sequence[str], z: Sequence[str], d: str) -> Kept:
    """Covariates that earlier ones do not explain, and instruments that covariates and earlier ones do not."""
    centred = moments._centred()
    places = [moments.names.index(name) for name in x]
    chosen = independent(centred[np.ix_(places, places)])
    own = [places[j] for j in chosen]
    rest = [moments.names.index(name) for name in (*z, d)]
    explained = np.zeros((len(rest), len(rest)))
    if own:
        cross = centred[np.ix_(own, rest)]
        explained = cross.T @ linalg.solve(centred[np.ix_(own, own)], cross, assume_a="pos")
    left = centred[np.ix_(rest, rest)] - explained
    alive = [j for j in range(len(rest)) if left[j, j] > TOLERANCE * centred[rest[j], rest[j]]]
    moved = [j for j in alive if j < len(z)]
    root = np.sqrt(np.diag(left)[moved])
    unit = left[np.ix_(moved, moved)] / np.outer(root, root)
    return Kept(chosen, [moved[j] for j in independent(unit)], len(z) in alive)
