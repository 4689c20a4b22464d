"""Meta-learners: predictions of each unit's effect from rows that do not hold it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..linear import fit_ols
from ..nuisance import crossfit_propensity, outcome_regressions
from ..problem import Problem
from ..selection_on_observables.learners import FITS, Predict
from ..terms import unique

LEARNERS = ("dr", "s", "t", "x")
LEAST = 2


@dataclass(frozen=True)
class Material:
    """What the learners are fitted on.

    Attributes
    ----------
    problem : Problem
    x : ndarray of shape (n, k)
        Covariates and modifiers, from which outcomes are predicted.
    v : ndarray of shape (n, m)
        Modifiers, from which effects are.
    e : ndarray of shape (n,)
        Cross-fitted propensities inside [clip, 1 − clip].
    psi : ndarray of shape (n,)
        Doubly robust scores.
    clip : float
    """

    problem: Problem
    x: np.ndarray
    v: np.ndarray
    e: np.ndarray
    psi: np.ndarray
    clip: float


def material(problem: Problem, e: np.ndarray, psi: np.ndarray) -> Material:
    """The columns of one problem; refuses a term that is no finite number in every row."""
    study = problem.study
    x = problem.matrix(tuple(unique([*study.covariates, *study.effect_modifiers]))).values
    return Material(problem, x, problem.matrix(study.effect_modifiers).values, e, psi, problem.own("clip"))


def candidates(learner: str) -> tuple[str, ...]:
    """Names of the learners that compete, ``dr:linear`` and so on, the one to begin with first."""
    bases = ("linear", "boosting") if learner == "best" else (learner,)
    return tuple(f"{name}:{base}" for base in bases for name in LEARNERS)


def predictions(m: Material, train: np.ndarray, at: np.ndarray, wanted: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Effects predicted for the rows ``at`` by learners fitted on the rows ``train``.

    With μ̂ₐ fitted in arm a, and V the modifiers among the covariates X (Künzel et al. 2019; Kennedy 2023):
    s, μ̂(X, T, T·V) at 1 less at 0 (boosting: μ̂(X, T)); t, μ̂₁(X) − μ̂₀(X); x, the regressions on V of Y − μ̂₀(X) in the
    treated and of μ̂₁(X) − Y in the untreated, weighted by 1 − e and e; dr, that on V of doubly robust scores whose
    nuisances come from the training rows alone, cross-fitted inside them.

    Parameters
    ----------
    m : Material
    train, at : ndarray of shape (n,), bool
    wanted : tuple of str
        As in `candidates`.

    Returns
    -------
    dict of name to ndarray of shape (rows in ``at``,)
        In units of the outcome. A learner that these rows cannot carry is left out.
    """
    out = {}
    for base in dict.fromkeys(name.split(":")[1] for name in wanted):
        with _one_thread(base):
            fits = _Fits(m, base, train, at)
            for name in wanted:
                if name.endswith(f":{base}"):
                    try:
                        out[name] = fits.by_name(name.split(":")[0])
                    except (Refusal, ValueError):
                        continue
    return out


class _Fits:
    """The learners of one base on one training sample; t and x share the arms' regressions."""

    def __init__(self, m: Material, base: str, train: np.ndarray, at: np.ndarray) -> None:
        self.m, self.base, self.train, self.at = m, base, train, at
        self.y, self.t, self.w = m.problem.y, m.problem.t, m.problem.w
        self._arms: tuple[Predict, Predict] | None = None

    def by_name(self, name: str) -> np.ndarray:
        return {"dr": self.dr, "s": self.single, "t": self.two, "x": self.crossed}[name]()

    def arms(self) -> tuple[Predict, Predict]:
        if self._arms is None:
            self._arms = (self._arm(0), self._arm(1))
        return self._arms

    def _arm(self, a: int) -> Predict:
        return self._fit(self.m.x, self.y, self.train & (self.t == a))

    def _fit(self, x: np.ndarray, y: np.ndarray, rows: np.ndarray) -> Predict:
        rows = rows & (self.w > 0)
        if rows.sum() < LEAST:
            raise ValueError("too few rows")
        return base_fit(self.base)(x[rows], y[rows], self.w[rows], self.m.problem.study.seed)

    def single(self) -> np.ndarray:
        x, v, t = self.m.x, self.m.v, self.t[:, None]
        products = v - v[self.train].mean(axis=0) if self.base == "linear" else v[:, :0]
        fit = self._fit(np.hstack([x, t, t * products]), self.y, self.train)
        x, products = x[self.at], products[self.at]
        one = np.ones((len(x), 1))
        return fit(np.hstack([x, one, products])) - fit(np.hstack([x, 0 * one, 0 * products]))

    def two(self) -> np.ndarray:
        mu0, mu1 = self.arms()
        return mu1(self.m.x[self.at]) - mu0(self.m.x[self.at])

    def crossed(self) -> np.ndarray:
        mu0, mu1 = self.arms()
        imputed = np.where(self.t == 1, self.y - mu0(self.m.x), mu1(self.m.x) - self.y)
        tau = [self._fit(self.m.v, imputed, self.train & (self.t == a)) for a in (0, 1)]
        e, v = self.m.e[self.at], self.m.v[self.at]
        return e * tau[0](v) + (1 - e) * tau[1](v)

    def dr(self) -> np.ndarray:
        psi = np.zeros(len(self.y))
        psi[self.train] = training_scores(self.m, self.train)
        return self._fit(self.m.v, psi, self.train)(self.m.v[self.at])


def training_scores(m: Material, train: np.ndarray) -> np.ndarray:
    """Doubly robust scores of the training rows, which saw nothing of other rows: shape (rows in ``train``,)."""
    p = m.problem
    options, y, t = p.options, p.y[train], p.t[train]
    w = None if p.weights is None else p.weights[train]
    inner = np.unique(p.folds()[train], return_inverse=True)[1]
    xp, xo = p.matrix(options.propensity.covariates), p.matrix(options.outcome.covariates)
    e, _ = crossfit_propensity(t, xp.values[train], xp.names, options.propensity.link, inner, w)
    mu0, mu1 = outcome_regressions(y, t, xo.values[train], xo.names, p.products(), inner, w)
    e = np.clip(e, m.clip, 1 - m.clip)
    psi = mu1 - mu0 + np.where(t == 1, (y - mu1) / e, -(y - mu0) / (1 - e))
    if not np.isfinite(psi).all():
        raise ValueError("a propensity is 0 or 1")
    return psi


def base_fit(base: str) -> Callable[[np.ndarray, np.ndarray, np.ndarray, int], Predict]:
    """The base learner: its fit on rows (m, k), outcomes, weights and a seed gives a function of rows."""
    return _linear if base == "linear" else FITS[base]


def _linear(x: np.ndarray, y: np.ndarray, w: np.ndarray, seed: int) -> Predict:
    names = [str(j) for j in range(x.shape[1])]
    fit = fit_ols(y, x, names, w)
    kept = [int(name) for name in fit.names[1:]]
    return lambda at: fit.predict(at[:, kept])


def _one_thread(base: str) -> AbstractContextManager[object]:
    """One thread: the sums of several end in other last digits."""
    if base == "linear":
        return nullcontext()
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)
