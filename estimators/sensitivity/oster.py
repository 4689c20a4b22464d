"""Oster's proportional selection: what unobserved confounders would do if they were like the observed ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..bounds import ROUNDING
from ..errors import Refusal
from ..linear import LinearFit
from ..result import CurvePoint, SensitivityRow
from .words import plain

POINTS = 41
# The R² of a regression with all confounders, as a multiple of that with the observed ones (Oster 2019, section 4).
MULTIPLE = 1.3


@dataclass(frozen=True)
class Selection:
    """What Oster (2019) needs of the short regression y ~ 1 + t and the controlled one y ~ 1 + t + x.

    Attributes
    ----------
    short, controlled : float
        β° and β̃, the treatment's coefficients.
    gained : float
        (R̃ − R°) Var(y): variance of the outcome that the covariates add.
    left : float
        (Rmax − R̃) Var(y): variance that unobserved confounders may add.
    treatment : float
        Var(t).
    own : float
        τ, the variance of t that the covariates leave.
    r2_short, r2_controlled, r2_max : float
    """

    short: float
    controlled: float
    gained: float
    left: float
    treatment: float
    own: float
    r2_short: float
    r2_controlled: float
    r2_max: float

    def delta(self, beta: float = 0.0) -> float | None:
        """δ* at which the effect would be ``beta``; None where no finite one is (proposition 3)."""
        nu, shift = self.controlled - beta, self.short - self.controlled
        cubic = nu**3 * self.own * (self.treatment - self.own)
        middle = nu**2 * self.own * shift * self.treatment
        top = nu * self.own * (self.gained + self.treatment * shift**2) + 2 * middle + cubic
        parts = (self.left * shift * self.treatment, self.left * nu * (self.treatment - self.own), middle, cubic)
        bottom = sum(parts)
        if not abs(bottom) > ROUNDING * max(map(abs, parts)):
            return None  # 0 / 0 where neither the coefficient nor the treatment moves with the covariates
        with np.errstate(all="ignore"):
            found = float(np.float64(top) / np.float64(bottom))
        return found if np.isfinite(found) else None

    def polynomial(self, delta: float) -> np.ndarray:
        """Coefficients, the highest first, of the cubic in the bias ν = β̃ − β at proportional selection δ."""
        shift, own, treatment = self.short - self.controlled, self.own, self.treatment
        return np.array([
            (delta - 1) * own * (treatment - own),
            (delta - 2) * own * shift * treatment,
            delta * self.left * (treatment - own) - own * (self.gained + treatment * shift**2),
            delta * self.left * shift * treatment,
        ])  # fmt: skip

    def derivatives(self, nu: float, delta: float) -> dict[str, float]:
        """Of the polynomial at ν, by each quantity that it is made of."""
        shift, own, treatment, left = self.short - self.controlled, self.own, self.treatment, self.left
        return {
            "treatment": (delta - 1) * own * nu**3 + (delta - 2) * own * shift * nu**2
            + (delta * left - own * shift**2) * nu + delta * left * shift,
            "own": (delta - 1) * (treatment - 2 * own) * nu**3 + (delta - 2) * shift * treatment * nu**2
            - (delta * left + self.gained + treatment * shift**2) * nu,
            "shift": treatment * ((delta - 2) * own * nu**2 - 2 * own * shift * nu + delta * left),
            "left": delta * (treatment - own) * nu + delta * shift * treatment,
            "gained": -own * nu,
        }  # fmt: skip

    def bias(self, delta: float = 1.0) -> float:
        """ν of `polynomial`: of its real roots the one nearest to zero, the branch that starts at no selection.

        Raises
        ------
        Refusal
            ``not_identified`` where the polynomial has no real root, or is zero everywhere.
        """
        coefficients = self.polynomial(delta)
        scale = np.abs(coefficients).max()
        roots = np.roots(coefficients / scale) if scale > 0 else np.empty(0)
        real = roots[np.abs(roots.imag) <= 1e-7 * np.abs(roots)].real
        if not len(real):
            reason = f"no effect solves Oster's equation at delta {delta:g}"
            raise Refusal(reason, "Declare another r2_max", "not_identified")
        return float(real[np.argmin(np.abs(real))])

    def beta(self, delta: float = 1.0) -> float:
        """β* at proportional selection δ. Raises as `bias`."""
        return self.controlled - self.bias(delta)


@dataclass(frozen=True)
class Regressions:
    """The three regressions behind a `Selection`, with the same rows and weights.

    Attributes
    ----------
    y : ndarray of shape (n,)
    short, controlled, treatment : LinearFit
        y ~ 1 + t, y ~ 1 + t + x and t ~ 1 + x.
    name : str
        What t is called.
    """

    y: np.ndarray
    short: LinearFit
    controlled: LinearFit
    treatment: LinearFit
    name: str

    def squares(self) -> dict[str, np.ndarray]:
        """Squares of each unit, (n,), whose weighted means are the variances of a selection."""
        w = self.controlled.weights
        return {
            "before": self.short.residuals**2, "after": self.controlled.residuals**2,
            "own": self.treatment.residuals**2, "total": _centred(self.y, w) ** 2,
            "treatment": _centred(self.short.basis.z[:, 1] * self.short.basis.scale[0], w) ** 2,
        }  # fmt: skip

    def selection(self, r2_max: float | None) -> Selection:
        """The selection at an Rmax; None: 1.3 times the controlled R², at most one.

        Raises
        ------
        Refusal
            An r2_max that is not above the controlled R², or above one; covariates and treatment that explain nothing.
        """
        w, r2 = self.controlled.weights, self.controlled.r2
        limit = min(MULTIPLE * r2, 1.0) if r2_max is None else r2_max
        if not r2 < limit <= 1:
            reason = f"r2_max is {limit:g}, and the regression's R2 is {r2:g}: it must lie above that and not above one"
            raise Refusal(reason, "Mend options: sensitivity")
        mean = {key: float(np.average(square, weights=w)) for key, square in self.squares().items()}
        return Selection(
            float(self.short.coef[self.short.index(self.name)]),
            float(self.controlled.coef[self.controlled.index(self.name)]),
            max(mean["before"] - mean["after"], 0.0), limit * mean["total"] - (mean["total"] - mean["after"]),
            mean["treatment"], mean["own"], self.short.r2, r2, limit,
        )  # fmt: skip

    def influence(self, found: Selection, is_multiple: bool, delta: float = 1.0) -> np.ndarray:
        """Influence values of β*, shape (n,), by the implicit function theorem: β* = β̃ − ν and ν solves P(ν) = 0.

        ψ = ψ(β̃) + Σ_k (∂P/∂k) ψ(k) / (∂P/∂ν) over the quantities k that P is made of, all of them weighted means or
        coefficients.

        Parameters
        ----------
        found : Selection
        is_multiple : bool
            Whether Rmax is 1.3 R̃ (so that it varies with the sample) or a fixed number.
        delta : float
        """
        w = self.controlled.weights / self.controlled.weights.mean()
        of_short = self.short.influence()[:, self.short.index(self.name)]
        of_long = self.controlled.influence()[:, self.controlled.index(self.name)]
        psi = {key: w * (square - np.average(square, weights=w)) for key, square in self.squares().items()}
        explained = psi["total"] - psi["after"]
        of_left = (MULTIPLE - 1) * explained if is_multiple else found.r2_max * psi["total"] - explained
        nu = found.bias(delta)
        slope = float(np.polyval(np.polyder(found.polynomial(delta)), nu))
        by = found.derivatives(nu, delta)
        moved = (
            by["treatment"] * psi["treatment"] + by["own"] * psi["own"] + by["shift"] * (of_short - of_long)
            + by["left"] * of_left + by["gained"] * (psi["before"] - psi["after"])
        )  # fmt: skip
        return of_long + moved / slope


def _centred(values: np.ndarray, w: np.ndarray) -> np.ndarray:
    return values - np.average(values, weights=w)


def oster_rows(found: Selection, unit: str | None) -> tuple[SensitivityRow, ...]:
    """Rows ``oster``: ``delta`` that brings the effect to zero, and ``beta`` at δ = 1."""
    delta = found.delta()
    limit = f"the R2 with all confounders taken as {found.r2_max:.3g}"
    if delta is None:
        told = f"No proportional selection on unobservables brings the effect to zero ({limit})."
    elif delta < 0:
        told = (
            f"Unobserved confounders would have to pull the other way than the observed ones, {plain(-delta)} times as "
            f"strongly, to bring the effect to zero ({limit})."
        )
    else:
        told = (
            f"Unobserved confounders would have to be {plain(delta)} times as related to the treatment as the observed "
            f"ones to bring the effect to zero ({limit})."
        )
    rows = [SensitivityRow("oster", "delta", delta, told)]
    try:
        beta = found.beta()
    except Refusal as refusal:
        return (*rows, SensitivityRow("oster", "beta", None, f"{refusal}"))
    told = (
        f"If unobserved confounders were as related to the treatment as the observed ones, the effect would be "
        f"{plain(beta, unit)} and not {plain(found.controlled, unit)} ({limit})."
    )
    return (*rows, SensitivityRow("oster", "beta", beta, told))


def oster_curve(found: Selection) -> tuple[CurvePoint, ...]:
    """``oster_beta``: the effect β* over proportional selection δ from 0 to 2."""
    points = []
    for delta in np.linspace(0.0, 2.0, POINTS):
        try:
            points.append(CurvePoint("oster_beta", "beta", float(delta), found.beta(float(delta))))
        except Refusal:
            continue
    return tuple(points)
