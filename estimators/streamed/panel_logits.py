"""The propensity models of a panel's comparisons, all fitted together: one pass of the units a Newton step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..moments import independent
from ..nuisance import fit_binary, inverse_link, likelihood_slopes
from .panel_bases import Base
from .panel_rows import PanelRows, units_of

MAX_PASSES = 30
# An error of the coefficients, in standard deviations of a covariate, that the last step leaves behind.
TOLERANCE = 1e-12


@dataclass
class Logits:
    """The models of one base period, one for each pair of a cohort and its controls.

    Attributes
    ----------
    model : ndarray of shape (K,), int
        The model of each of the base's comparisons.
    treated, among : ndarray of shape (M, C), bool
        The model's cohort, and all its cohorts.
    kept : list of M ndarray
        Columns of (1, z) that earlier ones do not explain.
    beta : ndarray of shape (M, k + 1)
        On (1, z); zero for a dropped column.
    failed : ndarray of shape (M,), bool
        The covariates separate the cohort from its controls.
    """

    model: np.ndarray
    treated: np.ndarray
    among: np.ndarray
    kept: list[np.ndarray]
    beta: np.ndarray
    failed: np.ndarray

    def information(self, z: np.ndarray, curvature: np.ndarray) -> np.ndarray:
        """Σ w z z' of each model with weights of shape (M, m): shape (M, k + 1, k + 1)."""
        return np.array([(z * w) @ z.T for w in curvature])


def fit_logits(
    rows: PanelRows, bases: Sequence[Base], sample: tuple[np.ndarray, np.ndarray], link: str
) -> list[Logits]:
    """Maximum likelihood of every model, to 1e-12 in units of z; a sub-sample's coefficients start it.

    Models whose covariates separate the groups are marked, not raised, so that the first comparison that fails can be
    named.
    """
    fits = [_models(base, sample, link) for base in bases]
    states = [_State.of(fit) for fit in fits]
    for scan in range(1, MAX_PASSES + 1):
        if all(state.done.all() for state in states):
            return fits
        sums = _pass(rows, bases, fits, states, link)
        for fit, state, (score, information, likelihood) in zip(fits, states, sums, strict=True):
            for j in np.flatnonzero(~state.done).tolist():
                _step(fit, state, j, score[j], information[j], likelihood[j], scan)
    for fit, state in zip(fits, states, strict=True):
        fit.failed |= ~state.done
    return fits


@dataclass
class _State:
    """Where each model of a base period stands: best likelihood, last step and its size, and whether it is done."""

    best: np.ndarray
    step: np.ndarray
    size: np.ndarray
    done: np.ndarray

    @classmethod
    def of(cls, fit: Logits) -> _State:
        m = len(fit.beta)
        return cls(np.full(m, -np.inf), np.zeros_like(fit.beta), np.full(m, np.inf), np.zeros(m, dtype=bool))


def _models(base: Base, sample: tuple[np.ndarray, np.ndarray], link: str) -> Logits:
    """The base's distinct models, with the coefficients at which they start."""
    sides = np.hstack([base.treated, base.controls])
    pairs, model = np.unique(sides, axis=0, return_inverse=True)
    c = base.treated.shape[1]
    treated, among = pairs[:, :c], pairs[:, :c] | pairs[:, c:]
    kept, beta = [], np.zeros((len(pairs), len(base.names) + 1))
    for j in range(len(pairs)):
        own = base.moments.only(*np.flatnonzero(among[j]))
        used = independent(own._centred()[: len(base.names), : len(base.names)])
        kept.append(np.array([0, *(i + 1 for i in used)]))
        beta[j] = _start(base, treated[j], among[j], sample, link)
        beta[j, np.setdiff1d(np.arange(beta.shape[1]), kept[j])] = 0.0
    return Logits(model.ravel(), treated, among, kept, beta, np.zeros(len(pairs), dtype=bool))


def _start(
    base: Base, treated: np.ndarray, among: np.ndarray, sample: tuple[np.ndarray, np.ndarray], link: str
) -> np.ndarray:
    """Coefficients of the sub-sample on (1, z); zeros where it cannot tell."""
    out = np.zeros(len(base.names) + 1)
    code, x = sample
    own = among[code]
    k = len(base.names)
    try:
        z = (x[own, base.place] - base.moments.shift[:k]) / base.moments.scale[:k]
        fit = fit_binary(treated[code[own]].astype(float), z, base.names, link)
    except Refusal:  # the sub-sample may separate where the whole does not
        return out
    out[[0, *(1 + base.names.index(name) for name in fit.names[1:])]] = fit.coef
    return out


def _pass(
    rows: PanelRows, bases: Sequence[Base], fits: Sequence[Logits], states: Sequence[_State], link: str
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Score, information and log-likelihood of the models that are not done."""
    out = [(np.zeros(f.beta.shape), np.zeros((*f.beta.shape, f.beta.shape[1])), np.zeros(len(f.beta))) for f in fits]
    for units in units_of(rows):
        if not len(units.code):
            continue
        for base, fit, state, (score, information, likelihood) in zip(bases, fits, states, out, strict=True):
            left = np.flatnonzero(~state.done)
            if not len(left):
                continue
            z = base.z(units)
            eta = fit.beta[left] @ z
            t, among = fit.treated[left][:, units.code], fit.among[left][:, units.code]
            slope, curvature = likelihood_slopes(t, eta, link)
            p = inverse_link(eta, link)
            score[left] += np.where(among, slope, 0.0) @ z.T
            information[left] += fit.information(z, np.where(among, curvature, 0.0))
            seen = np.where(among, np.where(t, p, 1.0 - p), 1.0)
            # Only to see whether a step went too far, so a probability may be held above zero.
            likelihood[left] += np.log(np.maximum(seen, 1e-300)).sum(axis=1)
    return out


def _step(
    fit: Logits, state: _State, j: int, score: np.ndarray, information: np.ndarray, likelihood: float, scan: int
) -> None:
    """One Newton step of a model, or half of the last one taken back where the likelihood fell."""
    if not likelihood >= state.best[j] - 1e-9 * abs(state.best[j]):
        state.step[j] /= 2
        fit.beta[j] -= state.step[j]
        return
    state.best[j] = likelihood
    kept = fit.kept[j]
    step = np.zeros(len(score))
    try:
        step[kept] = np.linalg.solve(information[np.ix_(kept, kept)], score[kept])
    except np.linalg.LinAlgError:
        fit.failed[j] = state.done[j] = True
        return
    size, before = float(np.abs(step).max()), state.size[j]
    fit.beta[j] += step
    state.step[j], state.size[j] = step, size
    # Covariates that separate the groups drive coefficients up by about one a step, without end.
    if not np.abs(fit.beta[j]).max() <= 1e3 or (scan > 12 and size > 0.3):
        fit.failed[j] = state.done[j] = True
    # Newton's error is c size², with c seen in the last two steps.
    elif size**2 * max(1.0, size / before**2 if np.isfinite(before) and before > 0 else 1e3) < TOLERANCE:
        state.done[j] = True
