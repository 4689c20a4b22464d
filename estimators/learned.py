"""Nuisances by a named learner, out of fold: fitted once a study, whoever asks."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .errors import Refusal
from .linear import fit_ols
from .nuisance import fit_binary, outside
from .rare import judge, pooled_fit, splits_in_memory, without
from .selection_on_observables.learners import FLEXIBLE, ODDS, TUNED, Predict, held_out, needs_folds

if TYPE_CHECKING:
    from .problem import Problem
    from .terms import Matrix

# Cross-validation and early stopping inside the training rows need some.
LEAST_ROWS = 20


@dataclass(frozen=True)
class Target:
    """What is predicted from covariates.

    Attributes
    ----------
    column : str
        A column of the problem.
    inside : (str, float or str) or None
        Only rows in which that column has that value are learnt from; predictions are for all.
    is_chance : bool
        Whether the probability of a 0/1 column is meant, so that linear is a logit and others fit the odds.
    """

    column: str
    inside: tuple[str, float | str] | None = None
    is_chance: bool = False

    def rows(self, problem: Problem) -> np.ndarray:
        """Rows that may be learnt from: shape (n,), boolean."""
        used = problem.w > 0
        return used if self.inside is None else used & (problem.columns[self.inside[0]] == self.inside[1])

    def __str__(self) -> str:
        """In a reader's words."""
        return self.column if self.inside is None else f"{self.column} where {self.inside[0]} is {self.inside[1]}"


@dataclass(frozen=True)
class Prediction:
    """Out-of-fold predictions, shape (n,); the learner behind them, and the squared error of each that was tried."""

    values: np.ndarray
    learner: str
    losses: dict[str, float]


def predict(problem: Problem, target: Target, terms: tuple[str, ...], learner: str, repeat: int = 0) -> Prediction:
    """E[target | terms] of each unit, by a learner that has not seen the unit's fold.

    Learners: ``linear`` (least squares, or a logit of a chance), ``lasso``, ``boosting`` and ``forest`` (tuned inside
    the training folds, see `learners`), ``best`` (of linear, lasso and boosting the one whose weighted mean of squared
    errors out of fold is smallest, in the rows that are learnt from). Kept in the problem's cache, by what it depends
    on, for all estimators of the study. Sampling weights enter fits and losses; folds keep clusters together.

    Parameters
    ----------
    problem : Problem
    target : Target
    terms : tuple of str
    learner : str
    repeat : int
        Number of the split.

    Raises
    ------
    Refusal
        Without cross-fitting for all but linear; with too few rows outside a fold; a logit that does not converge.
    """
    key = ("learned", target, terms, learner, problem.options.folds, repeat)
    if key not in problem.cache:
        if learner == "best":
            tried = [predict(problem, target, terms, name, repeat) for name in ("linear", *FLEXIBLE)]
            losses = {one.learner: one.losses[one.learner] for one in tried}
            best = min(tried, key=lambda one: one.losses[one.learner])
            problem.cache[key] = Prediction(best.values, best.learner, losses)
        else:
            values = _out_of_fold(problem, target, terms, learner, repeat)
            rows = target.rows(problem)
            wrong = (problem.columns[target.column] - values)[rows] ** 2
            loss = float(np.average(wrong, weights=problem.w[rows])) if rows.any() else 0.0
            problem.cache[key] = Prediction(values, learner, {learner: loss})
    return problem.cache[key]


def _out_of_fold(problem: Problem, target: Target, terms: tuple[str, ...], learner: str, repeat: int) -> np.ndarray:
    from threadpoolctl import threadpool_limits

    folds, x = problem.folds(repeat), problem.matrix(terms)
    y, usable = problem.columns[target.column], target.rows(problem)
    if learner != "linear" and folds.max() == 0:
        raise needs_folds(learner)
    # One thread: the sums of several end in other last digits.
    with threadpool_limits(1):
        if learner == "linear":
            return _linear_out_of_fold(problem, target, x, folds)
        out = np.empty(problem.n)
        for k, held in held_out(folds):
            train = usable & (~held if folds.max() > 0 else True)
            fit = _flexible(target, learner, k, x.values[train], y[train], problem.w[train], problem.study.seed)
            out[held] = fit(x.values[held])
    return out


def _linear_out_of_fold(problem: Problem, target: Target, x: Matrix, folds: np.ndarray) -> np.ndarray:
    """By least squares, or by logits that pool levels too rare for them (`estimators.rare`)."""
    y, usable, several = problem.columns[target.column], target.rows(problem), folds.max() > 0

    def fitted(left_out: frozenset[str]) -> np.ndarray:
        (values, names), out = without(x.values, x.names, left_out), np.empty(problem.n)
        for k, held in held_out(folds):
            train = usable & (~held if several else True)
            with outside(k) if several else nullcontext():
                fit = _linear(target, values[train], y[train], problem.w[train], names)
            out[held] = fit(values[held])
        return out

    if not target.is_chance:
        return fitted(frozenset())
    out, _ = pooled_fit(
        fitted,
        lambda: judge(*splits_in_memory(x.names, x.values, y, folds, usable), whole=not several),
    )
    return out


def _flexible(
    target: Target, learner: str, fold: int, x: np.ndarray, y: np.ndarray, w: np.ndarray, seed: int
) -> Predict:
    if len(y) < LEAST_ROWS:
        reason = f"{len(y)} rows with {target} lie outside fold {fold}, and the learner {learner} needs {LEAST_ROWS}"
        raise Refusal(reason, "Use fewer folds, or learner: linear")
    if not target.is_chance:
        return TUNED[learner](x, y, w, seed)
    fewest = min(np.sum(y == 1), np.sum(y == 0))
    if fewest < 5:  # of which each part of a cross-validation needs one
        reason = (
            f"{fewest} rows outside fold {fold} have the rarer value of {target}, and the learner {learner} needs 5"
        )
        raise Refusal(reason, "Use fewer folds, or learner: linear")
    return ODDS[learner](x, y, w, seed)


def _linear(target: Target, x: np.ndarray, y: np.ndarray, w: np.ndarray, names: tuple[str, ...]) -> Predict:
    if target.is_chance:
        chance = fit_binary(y, x, names, "logit", w)
        kept = [names.index(name) for name in chance.names[1:]]
        return lambda at: chance.predict(np.column_stack([np.ones(len(at)), at[:, kept]]))
    try:
        fit = fit_ols(y, x, names, w)
    except ValueError as few:
        raise Refusal(f"{target} cannot be regressed: {few}", "Use fewer covariates or folds") from None
    own = [names.index(name) for name in fit.names[1:]]
    return lambda at: fit.predict(at[:, own])


def learned_propensity(problem: Problem, repeat: int = 0) -> np.ndarray:
    """e(X) of each unit by the learner of the options: shape (n,)."""
    options = problem.options
    assert problem.study.treatment is not None
    chance = Target(problem.study.treatment, is_chance=True)
    return predict(problem, chance, options.propensity.covariates, options.learner, repeat).values


def learned_nuisances(problem: Problem, repeat: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """e(X), E[Y|0,X] and E[Y|1,X] of each unit by the learner of the options: three of shape (n,).

    Each arm has its own regression; declared interactions are of the linear learner and refused.
    """
    options, study = problem.options, problem.study
    assert study.treatment is not None
    if options.outcome.interactions != "all":
        reason = f"the learner {options.learner} fits each arm by itself, without declared interactions"
        raise Refusal(reason, "Drop outcome.interactions, or declare learner: linear")
    e = problem.crossfitted(repeat)
    mu0, mu1 = (
        predict(
            problem, Target(study.outcome, (study.treatment, arm)), options.outcome.covariates, options.learner, repeat
        ).values
        for arm in (0.0, 1.0)
    )  # fmt: skip
    return e, mu0, mu1
