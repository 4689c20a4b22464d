"""Double machine learning of the partially linear model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..contracts import treatment_kind
from ..errors import Refusal
from ..estimates import made
from ..few_clusters import Error, of_slope
from ..inference import cluster_sums, standard_error
from ..problem import Problem
from ..repeated import over_splits
from ..result import Diagnostic, Result
from ..sample import check_arms, check_sample, counts, regression_variance
from ..small_samples import scaled
from .learners import FLEXIBLE, held_out, needs_folds, out_of_fold

# Less than this share of the treatment's variance left is rounding, not variation.
NOTHING_LEFT = 1e-10
# Out of fold a quarter worse than the plain mean: the nuisances add noise, they do not remove confounding.
WORST_R2 = -0.25


@dataclass(frozen=True)
class Residuals:
    """Outcome and treatment less their out-of-fold predictions, each of shape (n,), and the losses of the learners.

    ``losses`` maps (``outcome`` or ``treatment``, learner) to the weighted mean of the squared residuals.
    """

    outcome: np.ndarray
    treatment: np.ndarray
    losses: dict[tuple[str, str], float]


def tvce(problem: Problem, estimand: str) -> Result:
    """The effect of one unit of treatment, where it is one for all: θ in Y = θ D + g(X) + ζ, D = m(X) + V.

    With u = Y − ℓ(X) and v = D − m(X), ℓ and m predicted out of fold: θ = Σ w v u / Σ w v² (the partialling-out score).
    Where the effect varies, θ weights it by the treatment's conditional variance. HC1: Σ w² v² (u − θ v)² / (Σ w v²)²
    times n / (n − 1); normal reference. With ``folds: 1`` and linear nuisances θ is the coefficient of least squares.

    Option ``learner``: linear, lasso, boosting, forest, or best (of the first three, for outcome and treatment each the
    one with the smallest out-of-fold squared error). ``covariates``: terms in place of the study's. Several splits into
    folds (``repeats``; of learned nuisances 3 to 5 by default) give the median of their estimates: see
    `estimators.repeated`. Diagnostics are of the first split.

    Sampling weights enter the learners and the score. A declared cluster assigns clusters to folds and gives CR2 of the
    regression of u on v, with Bell & McCaffrey's degrees of freedom (of the first split); ``variance: CR1`` sums the
    score a cluster (times G / (G − 1)) and has G − 1. Rows with missing values have been left out or refused before.

    Diagnostics: ``r2`` of outcome and treatment out of fold, ``theta`` of each fold's own rows, and for best the
    ``learner_loss`` of each learner; ``split_spread`` where there are several splits.

    Raises
    ------
    Refusal
        ``not_identified`` where the covariates explain the treatment; ``refused`` for lasso or boosting with folds: 1,
        a fold that holds every row, too few rows, or predictions far worse out of fold than the mean (fixed effects
        whose levels the other folds do not have).

    Sources
    -------
    Chernozhukov et al. 2018, sections 3.4 and 4.1; Robinson 1988.
    """
    binary = treatment_kind(problem.study, problem.columns) == "binary"
    check_arms(problem) if binary else check_sample(problem)
    learner = problem.own("learner")
    residuals = partial_out(problem)
    w, u, v = problem.w, residuals.outcome, residuals.treatment
    _check_variation(problem, v)
    fits = {"outcome": _r2(problem.y, u, w), "treatment": _r2(problem.t, v, w)}
    check_predictions(fits)
    splits = over_splits(problem, lambda r: _of_split(problem, r), learner != "linear")
    first = slope_error(problem, residuals)
    row = made(
        estimand, float(splits.estimate[0]), scaled(problem, float(splits.std_error[0])),
        problem.reference_df() if problem.small_sample() is not None else first.df,
        contrast="1 - 0" if binary else "per unit",
        variance_estimator=first.kind, **counts(problem, binary=binary),
    )  # fmt: skip
    told = (*(Diagnostic("r2", k, r2) for k, r2 in fits.items()), *_diagnostics(problem, residuals))
    return Result((row,), (*told, *splits.diagnostics()))


def _of_split(problem: Problem, repeat: int) -> tuple[np.ndarray, np.ndarray]:
    residuals = partial_out(problem, repeat)
    _check_variation(problem, residuals.treatment)
    theta = partialling_out(residuals.outcome, residuals.treatment, problem.w)[0]
    return np.array([theta]), np.array([slope_error(problem, residuals).std_error])


def slope_error(problem: Problem, residuals: Residuals) -> Error:
    """The error of θ in one split: HC1 with the normal reference, CR2 or CR1 with clusters."""
    kind, w, v = regression_variance(problem, problem.own("variance")), problem.w, residuals.treatment
    theta, psi = partialling_out(residuals.outcome, v, w)
    if problem.cluster is None:
        return Error(standard_error(psi, ddof=1), None, kind)
    scores = w * v * (residuals.outcome - theta * v)
    sums = cluster_sums(np.column_stack([scores, w * v**2]), problem.cluster)
    return of_slope(sums[:, 0], sums[:, 1], kind)


def partialling_out(u: np.ndarray, v: np.ndarray, w: np.ndarray) -> tuple[float, np.ndarray]:
    """θ of the residuals and its influence values: float and ndarray of shape (n,)."""
    information = float(np.sum(w * v**2))
    theta = float(np.sum(w * v * u)) / information
    return theta, len(u) * w * v * (u - theta * v) / information


def partial_out(problem: Problem, repeat: int = 0) -> Residuals:
    """Residuals of outcome and treatment by the declared learner, in one split; kept for the study's other runs."""
    chosen = problem.own("learner")
    names = ("linear", *FLEXIBLE) if chosen == "best" else (chosen,)
    if chosen == "best" and problem.folds(repeat).max() == 0:
        raise needs_folds("best")
    left = {name: _left(problem, name, repeat) for name in names}
    losses: dict[tuple[str, str], float] = {}
    best: list[np.ndarray] = []
    for j, which in enumerate(("outcome", "treatment")):
        own = {name: float(np.average(left[name][:, j] ** 2, weights=problem.w)) for name in names}
        losses |= {(which, name): loss for name, loss in own.items()}
        best.append(left[min(own, key=own.__getitem__)][:, j])
    return Residuals(best[0], best[1], losses)


def _left(problem: Problem, learner: str, repeat: int) -> np.ndarray:
    """Outcome and treatment less one learner's predictions: shape (n, 2)."""
    terms = problem.covariate_terms()
    key = ("partialled out", learner, terms, problem.options.folds, repeat)
    if key not in problem.cache:
        # What is left does not change with the outcome's mean, but one of 1e9 would cost its digits.
        outcome = _unexplained(problem, learner, problem.y - problem.y.mean(), repeat)
        of_treatment = ("partialled out treatment", *key[1:])
        if of_treatment not in problem.cache:  # another outcome of the study may have left it
            problem.cache[of_treatment] = _unexplained(problem, learner, problem.t, repeat)
        problem.cache[key] = np.column_stack([outcome, problem.cache[of_treatment]])
    return problem.cache[key]


def _unexplained(problem: Problem, learner: str, target: np.ndarray, repeat: int) -> np.ndarray:
    """A column less its prediction from the covariates: shape (n,)."""
    x, folds = problem.matrix(problem.covariate_terms()).values, problem.folds(repeat)
    return target - out_of_fold(learner, target[:, None], x, problem.w, folds, problem.study.seed)[:, 0]


def _check_variation(problem: Problem, v: np.ndarray) -> None:
    w, t = problem.w, problem.t
    check_variation(float(np.sum(w * v**2)), float(np.sum(w * (t - np.average(t, weights=w)) ** 2)))


def check_variation(left: float, total: float) -> None:
    """Refuse a treatment of whose sum of squares the covariates leave nothing."""
    if left <= NOTHING_LEFT * total:
        reason = "the covariates explain the treatment entirely, so its effect cannot be told from theirs"
        raise Refusal(reason, "Drop the covariate that defines the treatment", "not_identified")


def _r2(raw: np.ndarray, left: np.ndarray, w: np.ndarray) -> float:
    return 1 - float(np.sum(w * left**2)) / float(np.sum(w * (raw - np.average(raw, weights=w)) ** 2))


def check_predictions(fits: dict[str, float]) -> None:
    """Refuse R² out of fold, by outcome and treatment, that are far below zero."""
    for which, r2 in fits.items():
        if r2 < WORST_R2:
            reason = f"out of fold the {which} is predicted far worse than by its mean (R² {r2:.2f})"
            raise Refusal(reason, "Use fewer covariates (no fixed effects of small groups), or learner: lasso")


def _diagnostics(problem: Problem, residuals: Residuals) -> tuple[Diagnostic, ...]:
    w = problem.w
    rows = []
    for k, held in held_out(problem.folds()):
        u, v = residuals.outcome[held], residuals.treatment[held]
        varies = float(np.sum(w[held] * v**2)) > 0
        rows.append(Diagnostic("theta", f"fold={k}", partialling_out(u, v, w[held])[0] if varies else None))
    if len(residuals.losses) > 2:
        rows += [Diagnostic("learner_loss", f"{a}:{b}", loss) for (a, b), loss in residuals.losses.items()]
    return tuple(rows)
