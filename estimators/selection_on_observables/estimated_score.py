"""What estimating the propensity does to a matching estimator's variance (Abadie & Imbens 2016)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from ..laws import normal_density
from .matching import with_replacement

# Neighbours that make a conditional variance or covariance; a unit is among those of its own arm.
NEIGHBOURS = 2
# A propensity that rounds to 0 or 1 is held this far inside.
EDGE = 2.0**-53


@dataclass(frozen=True)
class Tilt:
    """The part of the variance that the estimated propensity moves, as sums over units; z is (1, covariates).

    Attributes
    ----------
    treated : ndarray of shape (k,)
        Σ f / e · cov(z, Y(1) | e), with f the slope of the propensity in its index.
    untreated : ndarray of shape (k,)
        Σ f / (1 − e) · cov(z, Y(0) | e).
    gap : ndarray of shape (k,)
        Σ f [z (E[Y(1) | e] − E[Y(0) | e]) + cov(z, Y(1) − Y(0) | e)].
    slope : ndarray of shape (k,)
        Σ f z.
    information : ndarray of shape (k, k)
        Σ f² / (e (1 − e)) z z'.
    """

    treated: np.ndarray
    untreated: np.ndarray
    gap: np.ndarray
    slope: np.ndarray
    information: np.ndarray

    def taken(self, estimand: str, effect: float) -> float:
        """What goes off Σ (variance of a unit's share): below zero, for the ATT, where estimation adds.

        ATE: c' I⁻¹ c with c = ``treated`` + ``untreated``. ATT: c' I⁻¹ c − d' I⁻¹ d, with d the derivative of the
        effect in the coefficients, ``gap`` − τ ``slope``, and c = d + ``untreated``: by iterated expectations both are
        of covariances given the propensity alone, so nobody need be matched on all covariates as in the paper.
        """
        if estimand == "ATE":
            c = self.treated + self.untreated
            return float(c @ np.linalg.solve(self.information, c))
        d = self.gap - effect * self.slope
        return float(self.untreated @ np.linalg.solve(self.information, self.untreated + 2 * d))


@dataclass(frozen=True)
class Neighbourhood:
    """The outcome's variance among units of the same arm and nearly the same propensity, shape (n,), and the tilt."""

    variance: np.ndarray
    tilt: Tilt


def slopes(e: np.ndarray, link: str) -> tuple[np.ndarray, np.ndarray]:
    """Slope f of the propensity in its index and the information f² / (e (1 − e)) of a unit: shapes (n,)."""
    e = np.clip(e, EDGE, 1 - EDGE)
    f = normal_density(special.ndtri(e)) if link == "probit" else e * (1 - e)
    return f, f**2 / (e * (1 - e))


def odds(e: np.ndarray, arm: int) -> np.ndarray:
    """The probability of being in an arm, off its ends: shape (n,)."""
    e = np.clip(e, EDGE, 1 - EDGE)
    return e if arm == 1 else 1 - e


def neighbourhood(
    score: np.ndarray, e: np.ndarray, link: str, t: np.ndarray, y: np.ndarray, z: np.ndarray
) -> Neighbourhood:
    """Conditional variances and covariances from the two nearest units of each arm, and all that tie with them.

    A sum of covariances Σ_i g_i cov_i(z, y) is linear in z: Σ_l z_l (A_l y_l + B_l), where unit l collects
    A = Σ g_i / (J_i − 1) and B = −Σ g_i ȳ_i / (J_i − 1) over the units whose neighbour it is. Thus two numbers a unit
    do for any number of covariates, in memory and streamed.

    Parameters
    ----------
    score : ndarray of shape (n,)
        The propensity in standard deviations.
    e : ndarray of shape (n,)
        The propensity.
    link : logit or probit
    t, y : ndarray of shape (n,)
        Both arms have two units.
    z : ndarray of shape (n, k)
        Columns of the propensity model, the constant first.
    """
    f, curvature = slopes(e, link)
    n, variance, within, gap = len(t), np.zeros(len(t)), np.zeros(len(t)), np.zeros(len(t))
    rows = {arm: np.flatnonzero(t == arm) for arm in (0, 1)}
    for arm in (0, 1):
        sign = 2 * arm - 1
        for own in (True, False):
            m = with_replacement(score, rows[arm if own else 1 - arm], rows[arm], NEIGHBOURS, None)
            i, spare, mean = m.target, m.count - 1, m.mean(y)
            for into, weight in ((within, f / odds(e, arm)), (gap, sign * f)):
                share = weight[i] / spare
                into += y * m.received(n, share) - m.received(n, share * mean)
            # A unit's own outcome is left out of its arm's mean: with its z it would make a covariance.
            gap[i] += sign * f[i] * (mean + (mean - y[i]) / spare if own else mean)
            if own:
                variance[i] = np.maximum(m.mean(y**2) - mean**2, 0.0) * m.count / spare
    treated, untreated = (z[rows[arm]].T @ within[rows[arm]] for arm in (1, 0))
    return Neighbourhood(variance, Tilt(treated, untreated, z.T @ gap, z.T @ f, (z * curvature[:, None]).T @ z))
