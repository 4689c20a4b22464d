"""Inference on a streamed panel: influence values are sums of a few functions of a unit, whose products suffice."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ..clusters import Arms
from ..laws import normal_quantile
from ..panel.aggregate import Shares
from ..panel.sample import cohorts_df

# Directions with less of the largest eigenvalue are rounding, as in `estimators.inference.joint_wald`.
RANK = 1e-10


@dataclass(frozen=True)
class Influence:
    """Units by number only (a `panel.sample.Compared`), and what covariances are made of.

    With K group-time effects and C cohorts, b = K + C functions of a unit: the influence values ψ_k of the effects, and
    1{G = g} − P(G = g). Whatever the paper averages has an influence value a'(ψ, 1{G} − P), so that a vector a of
    shape (b,) stands where the in-memory estimator has values of n units, and its variance is a' S a / n².

    Attributes
    ----------
    n, n_incomplete, n_always_treated : int
        Units compared and left out.
    n_clusters : int or None
    sizes : mapping of cohort to units
        In ascending order, infinity for never treated.
    products : ndarray of shape (b, b)
        S: products of the functions, summed over units; of their sums a cluster times its factor, over clusters.
    periods : ndarray of shape (T,)
    arms : Arms or None
        How clusters (of a small sample units) carry the cohorts; None for the normal.
    unscaled : ndarray of shape (b, b), or None
        Of a small sample without clusters: S without its factors.
    """

    n: int
    n_incomplete: int
    n_always_treated: int
    n_clusters: int | None
    sizes: Mapping[float, int]
    products: np.ndarray
    periods: np.ndarray
    arms: Arms | None = None
    unscaled: np.ndarray | None = None

    def plain(self) -> Influence:
        """Without a small sample's size, as `panel.sample.Sample.plain`."""
        if self.unscaled is None:
            return self
        return dataclasses.replace(self, products=self.unscaled, arms=None, unscaled=None)

    def size(self, cohorts: Iterable[float]) -> int:
        """Units of some cohorts."""
        return sum(self.sizes[g] for g in cohorts)

    def effects_psi(self) -> np.ndarray:
        """The influence values of the group-time effects: shape (b, K)."""
        return np.eye(len(self.products))[:, : len(self.products) - len(self.sizes)]

    def shares(self) -> Shares:
        """P(G = g) with its influence values."""
        rows = np.eye(len(self.products))[len(self.products) - len(self.sizes) :]
        share = {g: size / self.n for g, size in self.sizes.items()}
        return Shares(share, dict(zip(self.sizes, rows, strict=True)))

    def covariance(self, psi: np.ndarray) -> np.ndarray:
        """Covariance of estimates from their influence values of shape (b, k)."""
        used = np.flatnonzero(psi.any(axis=1))
        own = psi[used]
        return own.T @ self.products[np.ix_(used, used)] @ own / self.n**2

    def standard_error(self, psi: np.ndarray) -> float:
        """Standard error of one estimate from its influence values of shape (b,)."""
        return float(np.sqrt(max(self.covariance(psi[:, None])[0, 0], 0.0)))

    def reference_df(self, treated: Iterable[float], controls: Iterable[float] | None = None) -> float | None:
        """Degrees of freedom of Student's t where some cohorts are compared; None for the normal."""
        return None if self.arms is None else cohorts_df(self.arms, self.sizes, treated, controls)


def simultaneous_critical_value(vcov: np.ndarray, seed: int, draws: int = 1000, level: float = 0.95) -> float:
    """Critical value of a sup-t band: the quantile of max |Z_k / se_k| over draws of Z ~ N(0, V).

    The multiplier bootstrap of the in-memory estimator (Callaway & Sant'Anna 2021, algorithm 1) draws a sign for each
    unit; given the data, its statistic has this limit as units (clusters) grow. Both differ by their draws alone: with
    1,000 of them by a few hundredths.

    Parameters
    ----------
    vcov : ndarray of shape (k, k)
        V, the covariance of the estimates in the band.
    seed, draws, level
        The pointwise normal value is the floor.
    """
    floor = normal_quantile(0.5 + level / 2)
    se = np.sqrt(np.diag(vcov))
    varies = se > 0
    if not varies.any():
        return floor
    values, vectors = np.linalg.eigh(vcov[np.ix_(varies, varies)] / np.outer(se[varies], se[varies]))
    # The symmetric root, unlike a triangular or an eigenvector one, moves little where the covariance moves little.
    root = (vectors * np.sqrt(np.where(values > RANK * values.max(), values, 0.0))) @ vectors.T
    z = np.random.default_rng(seed).standard_normal((draws, len(root)))
    return max(float(np.quantile(np.abs(z @ root).max(axis=1), level)), floor)
