"""Sensitivity of mediation to a hidden common cause of mediator and outcome: the correlation ρ of their errors."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from ..inference import wald
from ..linear import fit_ols
from ..nuisance import likelihood_slopes
from ..result import CurvePoint, SensitivityRow
from ..roots import root
from .draws import effects_of
from .effects import gradient, mean_worlds, rows_of
from .models import LINEAR, LOGIT, PROBIT, Fitted, Layout, Sides

GRID = np.round(np.arange(-9, 10) / 10, 1)
# The curve is a mean over rows, the same to three digits on as many of them.
ROWS = 20_000


@dataclass(frozen=True)
class Sensitivity:
    """Rows for people, the curve for the figure."""

    rows: tuple[SensitivityRow, ...]
    curves: tuple[CurvePoint, ...]


def sensitivity(sides: Sides, fit: Fitted) -> Sensitivity:
    """ACME and ADE as functions of ρ, and the ρ at which the ACME vanishes (Imai, Keele & Yamamoto 2010, section 5).

    With ρ = corr(ε_M, ε_Y) the coefficients of the structural outcome model follow from the fitted ones (see
    `shifted`), and the effects from them. Intervals by the delta method, pointwise at a given ρ. ρ² is the product of
    the shares of the two residual variances that the hidden cause explains.

    Not for a logit, nor for two binary models: their errors have no joint law that would give a formula.
    """
    if LOGIT in (sides.y_model, sides.m_model) or (sides.y_model, sides.m_model) == (PROBIT, PROBIT):
        models = f"a {sides.m_model} of the mediator with a {sides.y_model} of the outcome"
        reading = f"sensitivity to rho has no formula for {models}; declare linear models, or a probit for one of them"
        return Sensitivity((SensitivityRow("mediation_rho", "ACME", None, reading),), ())
    thin, slim = _thinned(sides, fit)
    points = [_at(thin, slim, fit.vcov, rho) for rho in GRID]
    curves = tuple(
        CurvePoint("mediation_sensitivity", series, float(rho), float(values[j]), f"rho={rho:g}", low, high)
        for j, series in ((0, "ACME"), (1, "ADE"))
        for rho, (values, bands) in zip(GRID, points, strict=True)
        for low, high in [bands[j]]
    )
    return Sensitivity(_rows(thin, slim, points), curves)


def shifted(sides: Sides, layout: Layout, theta: np.ndarray, rho: float) -> np.ndarray:
    """Structural parameters where the errors have the correlation ρ, from those fitted as if it were zero.

    Normal mediator: E[ε_Y | M, T, X] = r ε_M moves into the fitted coefficients; taking it out gives
    γ − r for the mediator and the coefficient of each other column plus r times its own in the mediator's model, with
    r = ρ σ̂_Y / (√(1 − ρ²) σ_M) for a linear outcome; for a probit all coefficients shrink by √(1 − ρ²) first and
    r = ρ / σ_M. Probit mediator, linear outcome: the mean of ε_M given M takes the place of ε_M.
    """
    out = theta.copy()
    b = out[layout.of_y]
    if layout.m_model == PROBIT:
        b -= _mills_part(sides, layout, theta, rho)
        return out
    room, sigma_m = np.sqrt(1 - rho**2), np.exp(theta[layout.log_sigma_m])
    if layout.y_model == LINEAR:
        r = rho * np.exp(theta[-1]) / (room * sigma_m)
    else:
        r = rho / sigma_m
        b *= room
    a = theta[layout.of_m]
    b[:2] += r * a[:2]
    b[2] -= r
    b[layout.y_start :] += r * a[2:]
    return out


def _mills_part(sides: Sides, layout: Layout, theta: np.ndarray, rho: float) -> np.ndarray:
    """ρ σ_Y times the coefficients of E[ε_M | M, T, Z] on the outcome's columns."""
    a = theta[layout.of_m]
    index = a[0] + a[1] * sides.t + sides.z @ a[2:]
    mills, curvature = likelihood_slopes(sides.m, index, PROBIT)
    own = [sides.t, sides.m] + ([sides.t * sides.m] if layout.interaction else [])
    x = np.column_stack([*own, sides.z])
    names = tuple(str(j) for j in range(x.shape[1]))
    fit = fit_ols(mills, x, names, sides.w)
    part = np.zeros(x.shape[1] + 1)
    part[[0, *(1 + names.index(name) for name in fit.names[1:])]] = fit.coef
    left, explained = np.average(fit.residuals**2, weights=sides.w), np.average(curvature, weights=sides.w)
    sigma = np.exp(theta[-1]) / np.sqrt(max(1 + rho**2 * (left - explained), 1e-12))
    return rho * sigma * part


def _effects(sides: Sides, layout: Layout, theta: np.ndarray, rho: float) -> np.ndarray:
    """ACME and ADE at ρ: shape (2,)."""
    z, share = rows_of(sides)
    moved = shifted(sides, layout, theta, rho)
    return effects_of(mean_worlds(sides, layout, moved[:, None], z, share, rho))[0, [0, 3]]


def _at(sides: Sides, fit: Fitted, vcov: np.ndarray, rho: float) -> tuple[np.ndarray, list[tuple]]:  # type: ignore[type-arg]
    values = _effects(sides, fit.layout, fit.theta, rho)
    slopes = gradient(lambda theta: _effects(sides, fit.layout, theta, rho), fit.theta)
    errors = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", slopes, vcov, slopes), 0.0))
    bands = [wald(float(v), float(e)) for v, e in zip(values, errors, strict=True)]
    return values, [(band.conf_low, band.conf_high) for band in bands]


def _rows(sides: Sides, fit: Fitted, points: list) -> tuple[SensitivityRow, ...]:  # type: ignore[type-arg]
    root = vanishing(sides, fit)
    if root is None:
        reading = "no correlation of the errors between -0.99 and 0.99 brings the ACME to zero"
        return (SensitivityRow("mediation_rho", "ACME", None, reading),)
    _, mediator, _ = sides.names
    reading = (
        f"the ACME is zero where the errors of '{mediator}' and of the outcome have the correlation {root:.2f}: a "
        f"hidden cause of both that explains shares of their residual variances with the product {root**2:.3f}"
    )
    rows = [
        SensitivityRow("mediation_rho", "ACME", root, reading),
        SensitivityRow(
            "mediation_r2_product", "ACME", root**2, "product of the residual variances' shares at that rho"
        ),
    ]
    inside = [
        float(rho) for rho, (_, bands) in zip(GRID, points, strict=True)
        if bands[0][0] is not None and bands[0][0] <= 0 <= bands[0][1]
    ]  # fmt: skip
    if inside:
        nearest = min(inside, key=abs)
        text = f"the 95 % interval of the ACME holds zero from a correlation of {nearest:g} (in steps of 0.1)"
        rows.append(SensitivityRow("mediation_rho_interval", "ACME", nearest, text))
    return tuple(rows)


def vanishing(sides: Sides, fit: Fitted) -> float | None:
    """The ρ nearest to zero at which the average ACME is zero; None without one in (−0.99, 0.99)."""

    def acme(rho: float) -> float:
        return float(_effects(sides, fit.layout, fit.theta, rho)[0])

    grid = [-0.99, -0.95, *GRID.tolist(), 0.95, 0.99]
    values = [acme(rho) for rho in grid]
    roots = [rho for rho, v in zip(grid, values, strict=True) if v == 0]
    for i in range(len(grid) - 1):
        if values[i] * values[i + 1] < 0:
            roots.append(root(acme, grid[i], grid[i + 1], xtol=1e-10))
    return min(roots, key=abs) if roots else None


def _thinned(sides: Sides, fit: Fitted) -> tuple[Sides, Fitted]:
    """Every so many rows of long data; parameters and their covariance stay those of all."""
    step = -(-len(sides.y) // ROWS)
    if step == 1 or sides.is_linear:
        return sides, fit
    columns = {name: getattr(sides, name)[::step] for name in ("y", "m", "t", "z", "w")}
    return dataclasses.replace(sides, **columns), fit
