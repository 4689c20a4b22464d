"""The doubly robust dose-response of Kennedy et al.: pseudo-outcomes, smoothed by a local regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..linear import fit_ols
from .gps import scale_of

# Points of the dose's scale at which means over the covariates are taken, and bins of the smoother.
GRID, BINS = 80, 400
BANDWIDTHS = 15
LARGEST_RATIO = 50.0


@dataclass(frozen=True)
class Pseudo:
    """Pseudo-outcomes and what their smoothing needs.

    Attributes
    ----------
    u : ndarray of shape (n,)
        The dose, or its logarithm.
    value : ndarray of shape (n,)
        ξ: its regression on the dose is E[Y(d)] if either nuisance is right.
    ratio : ndarray of shape (n,)
        π(A) / π(A | X), at most `LARGEST_RATIO`.
    clipped : int
    grid : ndarray of shape (GRID,)
        Points of u.
    spread : ndarray of shape (n, GRID)
        μ(X_i, a) less its mean over the units, at the grid.
    marginal : ndarray of shape (GRID,)
        π(a) at the grid.
    """

    u: np.ndarray
    value: np.ndarray
    ratio: np.ndarray
    clipped: int
    grid: np.ndarray
    spread: np.ndarray
    marginal: np.ndarray


def bell(z: np.ndarray) -> np.ndarray:
    """The standard normal density."""
    return np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)


def pseudo_outcomes(
    y: np.ndarray, dose: np.ndarray, x: np.ndarray, names: tuple[str, ...], w: np.ndarray, folds: np.ndarray,
    is_log: bool,
) -> Pseudo:  # fmt: skip
    """ξ = (Y − μ(X, A)) π(A) / π(A | X) + ∫ μ(x, A) dP(x), the nuisances from the other folds.

    μ is least squares on (1, X, u, u², u X) with u the dose or its logarithm; π(· | X) is normal in u around a linear
    mean. (A kernel estimate of its shape gives weights in the tails that double the curve's standard error.)

    Raises
    ------
    Refusal
        If a fold's models cannot be fitted, or the covariates determine the dose.
    """
    u = scale_of(dose, is_log)
    centre, unit = float(np.average(u, weights=w)), float(u.std())
    v = (u - centre) / unit
    grid = np.linspace(v.min(), v.max(), GRID)
    mu_own, density_own = np.empty(len(y)), np.empty(len(y))
    mu, density = np.empty((len(y), GRID)), np.empty((len(y), GRID))
    for k in range(int(folds.max()) + 1):
        held = folds == k
        train = ~held if folds.max() > 0 else held
        try:
            outcome = _outcome_model(y[train], v[train], x[train], names, w[train])
            law = _density_model(v[train], x[train], names, w[train])
        except ValueError as few:
            raise Refusal(f"a nuisance cannot be fitted: {few}", "Use fewer covariates or folds") from None
        mu_own[held], density_own[held] = outcome(v[held], x[held]), law(v[held], x[held])
        for j, a in enumerate(grid):
            at = np.full(int(held.sum()), a)
            mu[held, j], density[held, j] = outcome(at, x[held]), law(at, x[held])
    share = w / w.sum()
    mean, marginal = share @ mu, share @ density
    with np.errstate(divide="ignore"):
        raw = np.interp(v, grid, marginal) / density_own
    ratio = np.minimum(raw, LARGEST_RATIO)
    value = (y - mu_own) * ratio + np.interp(v, grid, mean)
    return Pseudo(u, value, ratio, int(np.sum(raw > LARGEST_RATIO)), centre + unit * grid, mu - mean, marginal / unit)


def _basis(v: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.column_stack([x, v, v**2, x * v[:, None]])


def _outcome_model(y, v, x, names, w):  # type: ignore[no-untyped-def]
    """A function (v, x) → μ."""
    labels = (*names, "(dose)", "(dose)^2", *(f"(dose):{name}" for name in names))
    shift = x.mean(axis=0)
    fit = fit_ols(y, _basis(v, x - shift), labels, w)
    kept = [labels.index(name) for name in fit.names[1:]]
    return lambda at, of: fit.predict(_basis(at, of - shift)[:, kept])


def _density_model(v, x, names, w):  # type: ignore[no-untyped-def]
    """A function (v, x) → π(v | x): normal around a linear mean."""
    fit = fit_ols(v, x, names, w)
    kept = [names.index(name) for name in fit.names[1:]]
    sigma = float(np.sqrt(np.average(fit.residuals**2, weights=w)))
    if sigma <= 1e-8 * float(v.std()):
        reason = "the covariates determine the dose, so nobody with the same covariates had another"
        raise Refusal(reason, "Drop the covariate that defines the dose", "not_identified")
    return lambda at, of: bell((at - fit.predict(of[:, kept])) / sigma) / sigma


def best_bandwidth(u: np.ndarray, value: np.ndarray, w: np.ndarray) -> float:
    """The bandwidth of least leave-one-out error of a local linear regression, on `BINS` bins of u.

    Candidates run from n^(−1/5) standard deviations of u, below which the choice follows the noise, to a whole one,
    above which nothing is local. With a kernel K and sums S_j = Σ K (u − a)^j, a point's own weight in its fit is
    K(0) S₂ / (S₀ S₂ − S₁²), and its error without itself the residual over one minus that.
    """
    points = np.linspace(u.min(), u.max(), BINS)
    place = np.clip(np.rint((u - points[0]) / (points[1] - points[0])).astype(int), 0, BINS - 1)
    mass = np.bincount(place, weights=w, minlength=BINS)
    total = np.bincount(place, weights=w * value, minlength=BINS)
    distance = points[None, :] - points[:, None]
    best = (np.inf, float(u.std()))
    for h in float(u.std()) * np.geomspace(len(u) ** -0.2, 1.0, BANDWIDTHS):
        kernel = bell(distance / h)
        s0, s1, s2 = (kernel * distance**j @ mass for j in range(3))
        t0, t1 = (kernel * distance**j @ total for j in range(2))
        room = s0 * s2 - s1**2
        fine = room > 1e-12 * s0 * s2
        fitted = np.where(fine, (s2 * t0 - s1 * t1) / np.where(fine, room, 1.0), 0.0)
        own = np.where(fine, bell(np.zeros(1))[0] * s2 / np.where(fine, room, 1.0), 1.0)
        left = 1 - own[place] * w
        if np.average(left > 0.05, weights=w) < 0.99:
            continue  # too narrow: points are fitted by themselves
        error = float(np.average(((value - fitted[place]) / np.maximum(left, 0.05)) ** 2, weights=w))
        best = min(best, (error, float(h)))
    return best[1]


def smooth(
    pseudo: Pseudo, w: np.ndarray, h: float, at: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Levels and slopes at points of u, shape (q,), and their influence values, shape (n, q).

    Local linear with the bias of its curvature taken out at the same bandwidth, which is local quadratic
    (Calonico, Cattaneo & Farrell 2018): at the bandwidth that predicts best a local linear fit has a bias as large as
    its standard error. ψ = D⁻¹ {g K_h (A − a) (ξ − g'β) + ∫ g K_h(a′ − a) (μ(X, a′) − mean) π(a′) da′},
    D = P[g g' K_h]; the second part is the sampling of the covariates (Kennedy et al. 2017, theorem 3). Points without
    neighbours give NaN.
    """
    n, step = len(pseudo.u), pseudo.grid[1] - pseudo.grid[0]
    weight = w / w.mean()
    level, slope = np.full(len(at), np.nan), np.full(len(at), np.nan)
    psi_level, psi_slope = np.full((n, len(at)), np.nan), np.full((n, len(at)), np.nan)
    for j, a in enumerate(at):
        z = (pseudo.u - a) / h
        g = np.column_stack([np.ones(n), z, z**2])
        mass = weight * bell(z) / h
        d = (g * mass[:, None]).T @ g / n
        if mass.sum() ** 2 < 5 * np.sum(mass**2) or np.linalg.cond(d) > 1e8:
            continue
        inverse = np.linalg.inv(d)
        beta = inverse @ (g.T @ (mass * pseudo.value)) / n
        own = g * (mass * (pseudo.value - g @ beta))[:, None]
        along = (pseudo.grid - a) / h
        near = bell(along) / h * pseudo.marginal * step
        covariates = pseudo.spread @ np.column_stack([near, near * along, near * along**2]) * weight[:, None]
        psi = (own + covariates) @ inverse
        level[j], slope[j] = beta[0], beta[1] / h
        psi_level[:, j], psi_slope[:, j] = psi[:, 0], psi[:, 1] / h
    return level, slope, psi_level, psi_slope
