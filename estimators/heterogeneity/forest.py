"""An honest causal forest on residuals of the shared nuisances: predicted effects, their spread, what drives them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import Refusal
from ..folds import md5_folds
from ..imports import load
from ..learned import Target, predict
from ..problem import Problem, nuisance_key
from ..selection_on_observables.ope import check_clip
from ..selection_on_observables.tvce import check_variation

BAG, LEAF, LEAST, LARGEST = 4, 5, 50, 4_000
HASHES = 2**32
# Rows whose intervals are found at once: each takes some numbers a bag of trees.
BLOCK = 20_000


@dataclass(frozen=True)
class Residuals:
    """What the nuisances leave of outcome and treatment, each of shape (n,).

    Attributes
    ----------
    u, v : ndarray
        Y − m(X) and T − e(X), out of fold.
    e : ndarray
        E[T | X]; of a binary treatment the propensity inside [clip, 1 − clip].
    raw : ndarray
        The same before clipping.
    spread : ndarray
        V(T | X): e (1 − e) of a binary treatment, else a forest's prediction of v².
    """

    u: np.ndarray
    v: np.ndarray
    e: np.ndarray
    raw: np.ndarray
    spread: np.ndarray


@dataclass(frozen=True)
class Grown:
    """A forest and what it says of each unit.

    Attributes
    ----------
    residuals : Residuals
    tau : ndarray of shape (n,)
        Predicted effects from trees that have not seen the unit (its cluster, where one is declared).
    std_error : ndarray of shape (n,) or None
        Of the forest's prediction at the unit (bootstrap of little bags); None where units come in clusters.
    names : tuple of k str
        The columns that trees split on.
    importance : ndarray of shape (k,)
        Share of the heterogeneity that splits on each column make, sum 1 (0 where no tree splits).
    predict : callable
        Effects at rows of those columns, shape (m, k) to (m,).
    predict_error : callable or None
        Their standard errors, shape (m, k) to (m,); None where units come in clusters.
    """

    residuals: Residuals
    tau: np.ndarray
    std_error: np.ndarray | None
    names: tuple[str, ...]
    importance: np.ndarray
    predict: Callable[[np.ndarray], np.ndarray]
    predict_error: Callable[[np.ndarray], np.ndarray] | None = None


def grown(problem: Problem) -> Grown:
    """The forest of a problem, grown once for all its estimands.

    Trees split on the effect modifiers (the covariates, where none are declared) and solve, in each leaf,
    Σ w (u − τ v − c)(v, 1) = 0 on rows that had no part in its splits (honesty). Rows are first put in the order of
    their unit's hash, columns and residuals in standard units, so that neither the order of the rows nor the units of
    measurement move a split.

    Without clusters a unit's τ̂ is averaged over the trees whose sample left it out. With clusters one forest is grown
    for each fold on the others, which hold none of its clusters.

    Raises
    ------
    Refusal
        For too few units, an ``n_estimators`` that is no multiple of 4, columns that do not vary, nuisances that
        cannot be fitted or explain the treatment, or clusters without cross-fitting.
    """
    key = ("forest", nuisance_key(problem.options), tuple(sorted(problem.options.own.items())))
    if key not in problem.cache:
        problem.cache[key] = _grown(problem)
    return problem.cache[key]


def _grown(problem: Problem) -> Grown:
    trees = problem.own("n_estimators")
    if trees < BAG or trees % BAG:
        raise Refusal(f"n_estimators is {trees}, no multiple of {BAG}", f"Give {BAG * max(1, round(trees / BAG))}")
    used = int((problem.w > 0).sum())
    if used < LEAST:
        raise Refusal(f"{used} units cannot grow an honest forest, {LEAST} are needed", "Widen the population")
    x, names, standard = _columns(problem, problem.study.effect_modifiers or problem.study.covariates)
    residuals = _residuals(problem)
    if problem.cluster is None:
        return _out_of_bag(problem, residuals, x, names, standard)
    return _out_of_cluster(problem, residuals, x, names, standard)


def _columns(
    problem: Problem, terms: tuple[str, ...]
) -> tuple[np.ndarray, tuple[str, ...], Callable[[np.ndarray], np.ndarray]]:
    """Columns to split on in standard units, their names, and the map of other rows to those units."""
    matrix = problem.matrix(terms)
    used = problem.w > 0
    varies = np.ptp(matrix.values[used], axis=0) > 0
    if not varies.any():
        raise Refusal("no effect modifier varies", "Declare modifiers of which units have different values")
    values = matrix.values[:, varies]
    # Squares of a column of order 1e-170 are zero: its largest deviation is taken out first.
    shift = values[used].mean(axis=0)
    reach = np.abs(values[used] - shift).max(axis=0)
    scale = reach * ((values[used] - shift) / reach).std(axis=0)
    names = tuple(name for name, keep in zip(matrix.names, varies, strict=True) if keep)
    # Trees hold columns in single precision; in standard units one of mean 1e9 keeps its digits.
    return (values - shift) / scale, names, lambda at: (at - shift) / scale


def _residuals(problem: Problem) -> Residuals:
    clip = check_clip(problem.own("clip"))
    binary = problem.kind == "binary"
    if binary:
        found = _learning(problem).nuisances()
        raw = found.propensity
        e = np.clip(raw, clip, 1 - clip)
        u = problem.y - (e * found.mu1 + (1 - e) * found.mu0)
    else:
        study, learner = problem.study, problem.own("learner")
        assert study.treatment is not None
        u = problem.y - predict(problem, Target(study.outcome), study.covariates, learner).values
        e = raw = predict(problem, Target(study.treatment), study.covariates, learner).values
    v = problem.t - e
    mean = np.average(problem.t, weights=problem.w)
    check_variation(float(np.sum(problem.w * v**2)), float(np.sum(problem.w * (problem.t - mean) ** 2)))
    spread = e * (1 - e) if binary else _spread(problem, v, clip)
    if not spread.min() > 0:
        raise Refusal("a propensity is 0 or 1 to the last digit", "Give a clip above 0, or drop a covariate")
    return Residuals(u, v, e, raw, spread)


def _learning(problem: Problem) -> Problem:
    """The problem with its own learner for the shared nuisances; they stay in the study's cache."""
    options = dataclasses.replace(problem.options, learner=problem.own("learner"))
    return dataclasses.replace(problem, options=options)


def _spread(problem: Problem, v: np.ndarray, clip: float) -> np.ndarray:
    """V(T | X) by an honest regression forest on v², out of bag, at least ``clip`` times its mean: shape (n,).

    X are all covariates, whatever the modifiers: only then do the scores average to the effect where τ̂ is wrong.
    """
    RegressionForest = load("econml.grf").RegressionForest

    rows, x = _rows(problem), _columns(problem, problem.study.covariates)[0]
    level = float(np.average(v**2, weights=problem.w))
    forest = RegressionForest(
        n_estimators=problem.own("n_estimators"), max_samples=_sample_size(len(rows)), min_samples_leaf=LEAF,
        random_state=problem.study.seed, n_jobs=1,
    )  # fmt: skip
    forest.fit(x[rows], v[rows] ** 2 / level, sample_weight=_weights(problem, rows))
    out = forest.predict(x)[:, 0]
    out[rows] = forest.oob_predict(x[rows])[:, 0]
    return level * np.maximum(np.where(np.isfinite(out), out, 1.0), clip)


def _rows(problem: Problem) -> np.ndarray:
    """Units with a weight in the order of their hash: shape (m,), int."""
    labels = problem.columns[problem.study.unit].tolist()
    codes = md5_folds((int(i) if isinstance(i, float) and i.is_integer() else i for i in labels), HASHES,
                      problem.study.seed)  # fmt: skip
    order = np.argsort(codes, kind="stable")
    return order[problem.w[order] > 0]


def _sample_size(rows: int) -> int:
    """Rows that a tree is grown on: 45 of 100, and no more than 4,000, so that time stays linear in the rows."""
    return max(2, min(int(0.45 * rows), LARGEST))


def _weights(problem: Problem, rows: np.ndarray) -> np.ndarray | None:
    return None if problem.weights is None else problem.weights[rows] / problem.weights[rows].mean()


def _forest(problem: Problem, x: np.ndarray, r: Residuals, rows: np.ndarray, unit: float) -> Any:
    CausalForest = load("econml.grf").CausalForest

    forest = CausalForest(
        n_estimators=problem.own("n_estimators"), max_samples=_sample_size(len(rows)), min_samples_leaf=LEAF,
        subforest_size=BAG, honest=True, inference=True, random_state=problem.study.seed, n_jobs=1,
    )  # fmt: skip
    # One thread: sums over trees end in other last digits where several take them.
    forest.fit(x[rows], r.v[rows], r.u[rows] / unit, sample_weight=_weights(problem, rows))
    return forest


def _unit(problem: Problem, r: Residuals) -> float:
    """The outcome's residual in standard units: the trees' choices then do not depend on its unit."""
    largest = float(np.abs(r.u).max()) or 1.0  # squares of an outcome of order 1e-170 are zero
    return largest * float(np.sqrt(np.average((r.u / largest) ** 2, weights=problem.w))) or 1.0


def _out_of_bag(
    problem: Problem, r: Residuals, x: np.ndarray, names: tuple[str, ...], standard: Callable[[np.ndarray], np.ndarray]
) -> Grown:
    rows, unit = _rows(problem), _unit(problem, r)
    forest = _forest(problem, x, r, rows, unit)
    blocks = [forest.predict_and_var(x[start : start + BLOCK]) for start in range(0, problem.n, BLOCK)]
    point, variance = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    tau = point[:, 0].copy()
    tau[rows] = forest.oob_predict(x[rows])[:, 0]
    tau = np.where(np.isfinite(tau), tau, point[:, 0])  # a unit that every tree has seen

    def error(found: np.ndarray) -> np.ndarray:
        return unit * np.sqrt(np.maximum(found[:, 0, 0], 0.0))

    return Grown(
        r, unit * tau, error(variance), names, forest.feature_importances_,
        lambda at: unit * forest.predict(standard(at))[:, 0],
        lambda at: error(forest.predict_and_var(standard(at))[1]),
    )  # fmt: skip


def _out_of_cluster(
    problem: Problem, r: Residuals, x: np.ndarray, names: tuple[str, ...], standard: Callable[[np.ndarray], np.ndarray]
) -> Grown:
    folds, unit, rows = problem.folds(), _unit(problem, r), _rows(problem)
    numbers = np.unique(folds[rows])
    if len(numbers) < 2:
        reason = f"clusters of '{problem.study.cluster}' need cross-fitting: a tree must not know a unit's cluster"
        raise Refusal(reason, "Declare folds of 2 or more")
    tau, forests = np.empty(problem.n), []
    for k in numbers:
        forest = _forest(problem, x, r, rows[folds[rows] != k], unit)
        tau[folds == k] = forest.predict(x[folds == k])[:, 0]
        forests.append(forest)
    importance = np.mean([forest.feature_importances_ for forest in forests], axis=0)
    return Grown(
        r, unit * tau, None, names, importance,
        lambda at: unit * np.mean([forest.predict(standard(at))[:, 0] for forest in forests], axis=0),
    )  # fmt: skip
