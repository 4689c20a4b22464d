"""One effect from two periods: the change of the treated against the change of controls, given covariates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..linear import fit_ols
from ..nuisance import fit_binary

HIGHEST_PROPENSITY = 0.995


@dataclass(frozen=True)
class Effect:
    """An ATT and its influence values.

    Attributes
    ----------
    att : float
        In units of the outcome.
    psi : ndarray of shape (n,)
        Mean zero; the variance of ``att`` is Σψ² / n².
    n_trimmed : int
        Controls that got no weight because their propensity is 0.995 or more.
    """

    att: float
    psi: np.ndarray
    n_trimmed: int = 0


@dataclass(frozen=True)
class _Regression:
    """Change of the controls as predicted for all: values (n,), design (n, k), influence of coefficients (n, k)."""

    predicted: np.ndarray
    design: np.ndarray
    influence: np.ndarray


@dataclass(frozen=True)
class _Odds:
    """Weights p/(1−p) of the controls: values (n,), their slope in the index, design, influence of coefficients."""

    values: np.ndarray
    slope: np.ndarray
    design: np.ndarray
    influence: np.ndarray
    n_trimmed: int


def difference_of_means(change: np.ndarray, d: np.ndarray) -> Effect:
    """ATT = mean(ΔY | D=1) − mean(ΔY | D=0): what every method gives without covariates.

    Parameters
    ----------
    change : ndarray of shape (n,)
        ΔY, outcome minus its value in the base period.
    d : ndarray of shape (n,), boolean
    """
    psi = np.empty(len(d))
    means = []
    for arm in (d, ~d):
        mean = float(change[arm].mean())
        psi[arm] = (change[arm] - mean) * len(d) / arm.sum()
        means.append(mean)
    psi[~d] *= -1
    return Effect(means[0] - means[1], psi)


def effect(change: np.ndarray, d: np.ndarray, x: np.ndarray, names: tuple[str, ...], method: str, link: str) -> Effect:
    """ATT of two periods under parallel trends given X (Sant'Anna & Zhao 2020; Callaway & Sant'Anna 2021).

    With ω₁ = D/E[D], ω₀ = [p(X)(1−D)/(1−p(X))] / E[·] and m(X) = E[ΔY | X, D=0]:

    - ``reg``: E[ω₁ (ΔY − m(X))] (Heckman, Ichimura & Todd 1997);
    - ``ipw``: E[(ω₁ − ω₀) ΔY], weights normalised (Abadie 2005);
    - ``dr``: E[(ω₁ − ω₀)(ΔY − m(X))], right if either model is.

    p is a logit (or probit) by maximum likelihood and m is least squares on the controls; the influence values count
    the estimation of both.

    Parameters
    ----------
    change : ndarray of shape (n,)
    d : ndarray of shape (n,), boolean
    x : ndarray of shape (n, k)
        Covariates without a constant, in the base period.
    names : tuple of k str
    method : dr, reg or ipw
    link : logit or probit

    Raises
    ------
    Refusal
        If the covariates separate the groups, there are too few controls for the regression, or no control keeps
        weight.
    """
    if x.shape[1] == 0:
        return difference_of_means(change, d)
    if method == "reg":
        return _reg(change, d, _regress(change, d, x, names))
    odds = _odds(d, x, names, link)
    if method == "ipw":
        return _weighted(change, d, odds)
    fit = _regress(change, d, x, names)
    left = _weighted(change - fit.predicted, d, odds)
    # The regression's own error enters through the treated and, with the other sign, through the weighted controls.
    drift = fit.design[d].mean(axis=0) - np.average(fit.design, axis=0, weights=odds.values)
    return Effect(left.att, left.psi - fit.influence @ drift, odds.n_trimmed)


def effect_weights(d: np.ndarray, x: np.ndarray, names: tuple[str, ...], method: str, link: str) -> np.ndarray:
    """c with ATT = c'ΔY of `effect`: every method is linear in the outcome, given who is treated and the covariates.

    ω₁ − ω₀ over n for ``ipw`` (and for ``reg``, whose ω₀ is 0), less what the controls' least squares fit of the
    covariates takes out: c ← c − Z₀ (Z₀'Z₀)⁻¹ Z'c on the controls, so that ``reg`` and ``dr`` have Z'c = 0.

    Parameters
    ----------
    d, x, names, method, link
        As in `effect`.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    Refusal
        As `effect`.
    """
    c = np.where(d, 1.0 / d.sum(), 0.0)
    if x.shape[1] == 0:
        return c - np.where(d, 0.0, 1.0 / (~d).sum())
    if method != "reg":
        odds = _odds(d, x, names, link).values
        c = c - odds / odds.sum()
    if method != "ipw":
        z = _regress(np.zeros(len(d)), d, x, names).design
        c[~d] -= z[~d] @ np.linalg.solve(z[~d].T @ z[~d], z.T @ c)
    return c


def _reg(change: np.ndarray, d: np.ndarray, fit: _Regression) -> Effect:
    gap = change - fit.predicted
    att = float(gap[d].mean())
    return Effect(att, np.where(d, gap - att, 0.0) / d.mean() - fit.influence @ fit.design[d].mean(axis=0))


def _weighted(change: np.ndarray, d: np.ndarray, odds: _Odds) -> Effect:
    """Treated mean minus the mean of controls weighted by the odds."""
    treated, controls = float(change[d].mean()), float(np.average(change, weights=odds.values))
    size = odds.values.mean()
    psi_treated = np.where(d, change - treated, 0.0) / d.mean()
    tilt = (odds.slope * (change - controls)) @ odds.design / len(d)
    psi_controls = (odds.values * (change - controls) + odds.influence @ tilt) / size
    return Effect(treated - controls, psi_treated - psi_controls, odds.n_trimmed)


def _regress(change: np.ndarray, d: np.ndarray, x: np.ndarray, names: tuple[str, ...]) -> _Regression:
    try:
        fit = fit_ols(change[~d], x[~d], names)
    except ValueError as few:
        raise Refusal(f"the controls' regression cannot be fitted: {few}", "Use fewer covariates") from None
    kept = [names.index(name) for name in fit.names[1:]]
    design = np.column_stack([np.ones(len(d)), x[:, kept]])
    influence = np.zeros(design.shape)
    influence[~d] = fit.influence() * len(d) / (~d).sum()
    return _Regression(design @ fit.coef, design, influence)


def _odds(d: np.ndarray, x: np.ndarray, names: tuple[str, ...], link: str) -> _Odds:
    t = d.astype(float)
    fit = fit_binary(t, x, names, link)
    p = fit.probability
    high = ~d & (p >= HIGHEST_PROPENSITY)
    used = ~d & ~high
    if not used.any():
        raise Refusal(f"every control has a propensity of {HIGHEST_PROPENSITY} or more", "Use fewer covariates")
    room = np.where(used, 1.0 - p, 1.0)
    return _Odds(
        np.where(used, p / room, 0.0), np.where(used, fit.slope() / room**2, 0.0),
        fit.design, fit.influence(t), int(high.sum()),
    )  # fmt: skip
