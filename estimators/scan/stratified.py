"""Sums by stratum over a scan, and the error of each row: what `stratification` is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..errors import Refusal
from ..leverage import inflation
from ..moments import Moments
from .solve import Least, least_squares
from .strata import Strata, place
from .weighting import Rows

ARM = "(t)"


@dataclass
class Cells:
    """Sums of each cell between two neighbouring cuts of any estimand: a stratum of the ATE or ATT is some of them.

    Attributes
    ----------
    strata : dict of estimand to Strata
    width : int
        Rows of z.
    products : bool
        Whether the cross-products are taken too, for a regression in each stratum.
    sums : ndarray of shape (cells, 2, width + 2)
        Σ z, Σ y and Σ y² of the untreated and the treated, y standardised; without ``products``.
    cross : ndarray of shape (cells, width + 2, width + 2)
        Σ of (z, t, y)(z, t, y)', with ``products``.
    """

    strata: dict[str, Strata]
    width: int
    products: bool
    cuts: np.ndarray = field(init=False)
    sums: np.ndarray = field(init=False)
    cross: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        """Zeros."""
        self.cuts = np.array(sorted({cut for each in self.strata.values() for cut in each.cuts}))
        cells = len(self.cuts) + 1
        self.sums = np.zeros((cells, 2, self.width + 2))
        self.cross = np.zeros((cells if self.products else 0, self.width + 2, self.width + 2))

    def place(self, e: np.ndarray) -> np.ndarray:
        """Cell of each propensity."""
        return place(self.cuts, e)

    def stratum(self, estimand: str) -> np.ndarray:
        """Stratum 0 … S − 1 of each cell."""
        own = np.isin(self.cuts, np.array(self.strata[estimand].cuts))
        return np.concatenate([[0], np.cumsum(own)])

    def add(self, rows: Rows) -> None:
        """One block's sums."""
        cell = self.place(rows.e)
        code = 2 * cell + (rows.t == 1)
        for j, values in enumerate((*rows.z, rows.y, rows.y**2)):
            self.sums[:, :, j] += np.bincount(code, weights=values, minlength=2 * len(self.sums)).reshape(-1, 2)
        if self.products:
            order = np.argsort(cell, kind="stable")
            ends = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=len(self.sums)))])
            every = np.take(np.vstack([rows.z, rows.t, rows.y]), order, axis=1)
            for k in range(len(self.sums)):
                part = every[:, ends[k] : ends[k + 1]]
                self.cross[k] += part @ part.T

    def of_strata(self, estimand: str) -> np.ndarray:
        """The sums by stratum and arm: shape (S, 2, width + 2)."""
        stratum = self.stratum(estimand)
        out = np.zeros((stratum.max() + 1, *self.sums.shape[1:]))
        np.add.at(out, stratum, self.sums)
        return out

    def moments(self, estimand: str, names: tuple[str, ...], y: str) -> Moments:
        """Cross-products of the columns, the treatment and y, a stratum each, all in the units of z."""
        stratum = self.stratum(estimand)
        cross = np.zeros((stratum.max() + 1, *self.cross.shape[1:]))
        np.add.at(cross, stratum, self.cross)
        rows = self.strata[estimand].units.sum(axis=1)
        return Moments((*names, ARM, y), np.zeros(len(names) + 2), np.ones(len(names) + 2), cross, rows)


def between(part: Differences | Regressions, n: float) -> float:
    """Σ q_s (τ_s − τ)² / n: the variance that the sampling of the shares of n units adds."""
    effects = part.effects()
    return float(part.shares @ (effects - part.shares @ effects) ** 2 / n)


@dataclass(frozen=True)
class Differences:
    """Differences of the arms' means in each stratum.

    Attributes
    ----------
    shares : ndarray of shape (S,)
    sums : ndarray of shape (S, 2, width + 2)
        See `Cells.of_strata`.
    """

    shares: np.ndarray
    sums: np.ndarray

    @property
    def n(self) -> np.ndarray:
        """Units by stratum and arm: shape (S, 2)."""
        return self.sums[:, :, 0]

    def effects(self) -> np.ndarray:
        """ȳ₁s − ȳ₀s of each stratum, of the standardised y: shape (S,)."""
        mean = self.sums[:, :, -2] / self.n
        return mean[:, 1] - mean[:, 0]

    def effect(self) -> float:
        """Σ q_s (ȳ₁s − ȳ₀s), of the standardised y."""
        return float(self.shares @ self.effects())

    def variance(self) -> float:
        """Σ q_s² (s²₁/n₁ + s²₀/n₀)."""
        n, mean = self.n, self.sums[:, :, -2] / self.n
        spread = np.maximum(self.sums[:, :, -1] - n * mean**2, 0.0) / (n - 1)
        return float(self.shares**2 @ (spread / n).sum(axis=1))

    def errors(self, rows: Rows, stratum: np.ndarray) -> np.ndarray:
        """What each row adds to the error: ± q_s (y − ȳ) / √(n (n − 1)) of its stratum and arm; shape (m,)."""
        n, mean = self.n, self.sums[:, :, -2] / self.n
        size = self.shares[:, None] / np.sqrt(n * (n - 1)) * [-1.0, 1.0]
        arm = (rows.t == 1).astype(np.intp)
        return size[stratum, arm] * (rows.y - mean[stratum, arm])


@dataclass
class Regressions:
    """Least squares of y on the treatment and columns in each stratum; the effect is the treatment's coefficient.

    Attributes
    ----------
    shares : ndarray of shape (S,)
    fits : tuple of Least
    gradient : ndarray of shape (S, k)
        Σ x e of the regressors x = (z, t), added up by `errors`: for the step of refinement.
    """

    shares: np.ndarray
    fits: tuple[Least, ...]
    gradient: np.ndarray

    @classmethod
    def of(cls, moments: Moments, shares: np.ndarray, x: tuple[str, ...], y: str) -> Regressions:
        """One a stratum, from its moments.

        Raises
        ------
        Refusal
            If a stratum has not more rows than coefficients.
        """
        fits = []
        for s in range(len(shares)):
            try:
                fits.append(least_squares(moments.only(s), y, (ARM, *x)))
            except ValueError as few:
                reason = f"stratum {s + 1} cannot be regressed: {few}"
                raise Refusal(reason, "Use fewer strata or covariates") from None
        return cls(shares, tuple(fits), np.zeros((len(shares), len(moments.names))))

    def effects(self) -> np.ndarray:
        """β_s of each stratum, of the standardised y, refined by the residuals that `errors` has seen: shape (S,)."""
        pairs = zip(self.fits, self.gradient, strict=True)
        return np.array([float(fit.beta[1] + fit.inverse[1] @ gradient[fit.at]) for fit, gradient in pairs])

    def effect(self) -> float:
        """Σ q_s β_s."""
        return float(self.shares @ self.effects())

    def errors(self, rows: Rows, stratum: np.ndarray) -> np.ndarray:
        """What each row adds to the error: q_s (X'X)⁻¹ x e / √(1 − h), the treatment's row of it; shape (m,).

        Their squares add up to HC2's variance (MacKinnon & White 1985).
        """
        out = np.empty(rows.n)
        for s, fit in enumerate(self.fits):
            here = np.flatnonzero(stratum == s)
            every = np.vstack([rows.z[:, here], rows.t[here]])
            x = every[fit.at]
            e = rows.y[here] - fit.beta @ x
            self.gradient[s] += every @ e
            projected = fit.inverse @ x
            factor = inflation(np.einsum("im,im->m", x, projected), "HC2")
            out[here] = self.shares[s] * projected[1] * e * factor
        return out
