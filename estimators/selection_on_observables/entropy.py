"""Entropy balancing: weights as equal as they can be under which covariate means are those of a target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..linear import Basis
from ..moments import Moments, independent
from ..problem import Problem

MAX_STEPS, HALVINGS = 200, 60
BALANCED = 1e-10
MEND = "Narrow the population to where both arms occur, or drop the column from the propensity's covariates"


@dataclass(frozen=True)
class Balanced:
    """Balancing weights and what a weighted mean needs to count their estimation.

    Attributes
    ----------
    omega : ndarray of shape (n,)
        Times the sampling weights; an arm's sum is that of the target's sampling weights.
    z : ndarray of shape (n, k)
        Columns that are balanced, in standard units.
    target : ndarray of shape (n,)
        The share of each unit in the target's means; sum 1.
    free : tuple of bool
        Of the untreated and the treated: whether the arm is weighted (the treated are not for the ATT).
    """

    omega: np.ndarray
    z: np.ndarray
    target: np.ndarray
    free: tuple[bool, bool]

    def effect(self, y: np.ndarray, t: np.ndarray, stacked: bool) -> tuple[float, np.ndarray]:
        """Difference of the arms' weighted means and its influence values, with the weights estimated or known.

        An arm's mean μ moves with the weights only through the balance that they keep, so that its influence values
        are n share (y − μ − z'β) in the arm plus n target z'β, β the weighted regression of y on z in the arm.
        """
        n, estimate, psi = len(y), 0.0, np.zeros(len(y))
        centre = self.z - self.target @ self.z
        for arm, sign in ((1, 1.0), (0, -1.0)):
            share = np.where(t == arm, self.omega, 0.0)
            share = share / share.sum()
            mean = float(share @ y)
            estimate += sign * mean
            left = y - mean
            if stacked and self.free[arm]:
                gram = (centre * share[:, None]).T @ centre
                fitted = centre @ np.linalg.lstsq(gram, centre.T @ (share * left), rcond=None)[0]
                psi += sign * n * (share * (left - fitted) + self.target * fitted)
            else:
                psi += sign * n * share * left
        return estimate, psi


def entropy_balance(problem: Problem, estimand: str, moments: int) -> Balanced:
    """Weights ω = w exp(z'λ) of an arm under which its means of z are the target's (Hainmueller 2012).

    Of all weights that balance, these have the least Σ ω log(ω / w). ATE: both arms get the means of all units; ATT:
    the untreated get those of the treated. λ minimises log Σ w exp((z − m)'λ), m the target's means, which is convex:
    Newton's method with halved steps.

    Parameters
    ----------
    problem : Problem
        The columns are the propensity model's covariates.
    estimand : str
        ATE or ATT.
    moments : int
        1 balances means, 2 those of squares too.

    Raises
    ------
    Refusal
        For another estimand, and where no weights balance: a mean of the target lies outside what the arm spans.
    """
    if estimand not in ("ATE", "ATT"):
        reason = f"entropy balancing has no target of its own for the {estimand}"
        raise Refusal(reason, "Ask for ATE or ATT, or declare `method: propensity`")
    z, names = _columns(problem, moments)
    w, t = problem.w, problem.t
    members = np.ones(len(t)) if estimand == "ATE" else t
    mass = float((w * members).sum())
    target = w * members / mass
    free = (True, estimand == "ATE")
    omega = w.astype(float)
    for arm, word in ((0, "untreated"), (1, "treated")):
        if free[arm]:
            rows = (t == arm) & (w > 0)
            omega[rows] = mass * balance(z[rows], w[rows], target @ z, names, word)
    return Balanced(omega, z, target, free)


def _columns(problem: Problem, moments: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """The columns in standard units, those that others explain left out, and their names."""
    x = problem.matrix(problem.options.propensity.covariates)
    values, names = _independent(x.values, x.names, problem.w)
    if moments == 2:
        values, names = _independent(np.hstack([values, values**2]), (*names, *(f"{n}^2" for n in names)), problem.w)
    return values, names


def _independent(values: np.ndarray, names: tuple[str, ...], w: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    found = Moments.of(values, names, w)
    kept = independent(found._centred())
    return Basis.of(values[:, kept], found.shift[kept], found.scale[kept]).z[:, 1:], tuple(names[j] for j in kept)


def balance(z: np.ndarray, w: np.ndarray, target: np.ndarray, names: tuple[str, ...], word: str) -> np.ndarray:
    """Weights with sum 1 under which the means of z are the target's.

    Parameters
    ----------
    z : ndarray of shape (m, k)
        Rows of one arm, columns of about unit spread.
    w : ndarray of shape (m,)
        Positive base weights.
    target : ndarray of shape (k,)
    names : tuple of k str
    word : str
        The arm, for the reason of a refusal.
    """
    centred = z - target
    for j, name in enumerate(names):
        flat = np.ptp(z[:, j]) == 0 and abs(centred[0, j]) <= BALANCED
        if not flat and not centred[:, j].min() < 0 < centred[:, j].max():
            raise _outside(name, word)
    lam = np.zeros(len(names))
    share, level = _shares(centred, w, lam)
    for _ in range(MAX_STEPS):
        mean = share @ centred
        if np.abs(mean).max(initial=0.0) <= BALANCED:
            return share
        spread = (centred * share[:, None]).T @ centred - np.outer(mean, mean)
        step = np.linalg.lstsq(spread, mean, rcond=1e-14)[0]
        for _ in range(HALVINGS):
            new, reached = _shares(centred, w, lam - step)
            if reached <= level + 1e-14 * abs(level):
                break
            step = step / 2
        lam, share, level = lam - step, new, reached
        if not np.abs(lam).max() < 1e6:
            break
    raise _outside(names[int(np.abs(share @ centred).argmax())], word)


def _shares(centred: np.ndarray, w: np.ndarray, lam: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights with sum 1 at λ, and the dual objective log Σ w exp(z'λ)."""
    eta = centred @ lam
    top = float(eta.max())
    raw = w * np.exp(eta - top)
    total = float(raw.sum())
    return raw / total, top + float(np.log(total))


def _outside(name: str, word: str) -> Refusal:
    return Refusal(f"no weights of the {word} units give '{name}' the mean of the target population", MEND)
