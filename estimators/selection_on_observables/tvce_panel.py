"""Double machine learning within the units of a panel: the partially linear model with unit and period effects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..contracts import treatment_kind
from ..errors import Refusal
from ..estimates import made
from ..few_clusters import Error, of_partialled
from ..inference import effective_sample_size, standard_error
from ..panel.bacon import negative_weights
from ..panel.cohorts import FEWEST_TREATED
from ..panel.frame import by_unit
from ..panel.left_out import check_treatment
from ..panel.within import Within, is_absorbed
from ..problem import Problem
from ..repeated import over_splits
from ..result import Diagnostic, Result
from ..sample import check_sample
from .learners import FLEXIBLE, held_out, needs_folds, out_of_fold
from .tvce import check_predictions, check_variation, partialling_out
from .within_boosting import predict_within


@dataclass(frozen=True)
class Rows:
    """What is left of the rows once units and periods are taken out.

    Attributes
    ----------
    keep : ndarray of shape (n,), bool
        The problem's rows that are used; all others here have shape (N, …), N = keep.sum().
    y, t : ndarray of shape (N,)
        Outcome and treatment within.
    raw : ndarray of shape (N,)
        The treatment as it was.
    x : ndarray of shape (N, k)
        Covariate terms within, in units of their largest value; those that are absorbed are left out.
    levels : ndarray of shape (N, terms)
        Covariate terms as they were.
    w : ndarray of shape (N,)
    unit, cluster : ndarray of shape (N,), int
        Codes from 0; the cluster is the unit where none is declared.
    within : Within
    shares : mapping of ``outcome`` and ``treatment`` to float
        Shares of their variances that are left.
    """

    keep: np.ndarray
    y: np.ndarray
    t: np.ndarray
    raw: np.ndarray
    x: np.ndarray
    levels: np.ndarray
    w: np.ndarray
    unit: np.ndarray
    cluster: np.ndarray
    within: Within
    shares: dict[str, float]


@dataclass(frozen=True)
class Left:
    """Residuals of outcome and treatment, each of shape (N,), and the losses of the learners by (which, learner)."""

    outcome: np.ndarray
    treatment: np.ndarray
    losses: dict[tuple[str, str], float]


def tvce_panel(problem: Problem, estimand: str) -> Result:
    """The effect of one unit of treatment, where it is one for all rows, of a treatment that changes within units.

    θ in Y_it = θ D_it + g(X_it) + α_i + λ_t + U_it, D_it = m(X_it) + γ_i + δ_t + V_it. Write Q for taking out unit and
    period effects (`within.Within`, exact with gaps). With u = Q(QY − ℓ) and v = Q(QD − r), where ℓ and r predict QY
    and QD out of fold from the covariates, θ = Σ w v u / Σ w v². The variance is CR2 by unit (by a declared cluster)
    with Bell & McCaffrey's degrees of freedom, the periods' levels among the columns; ``variance: CR1`` sums the scores
    w v (u − θ v) of a unit before it squares them, times G / (G − 1), with G − 1 (of several splits, the first one's
    degrees of freedom). With ``folds: 1`` and
    the linear learner θ is the coefficient of two-way fixed effects with covariates.

    Covariate terms (``x^2``, products) are made first and taken within then. From these linear and lasso predict, which
    is the within-group approach of Clarke and Polselli: exact where g and m are linear in the terms. Trees on QX would
    leave a confounder wherever g and m bend, because Q g(X) is no function of QX: boosting fits functions of X itself
    to what Q leaves of their errors (`within_boosting`). A few hundred units leave some confounding in the tails, where
    trees flatten: where the bend is known, declare its term (`x^2`) instead.

    Parameters
    ----------
    problem : Problem
        Roles outcome, treatment (0/1 or a number), unit, time, covariates. Rows are units and periods, with gaps or
        without. Options ``learner``, ``covariates`` and the shared ``folds`` and ``repeats`` as of `tvce`; folds keep
        units whole (clusters, where declared: these must not change within a unit). Sampling weights multiply rows in
        the projection, the learners and the score. Rows with missing values have been left out or refused before.
    estimand : str
        ATE: per unit of treatment; where effects differ, θ weights them by what is left of the treatment's variance,
        some of them negatively where treatment lasts once begun (then read `did`).

    Returns
    -------
    Result
        ``n_units`` counts units, ``n_treated`` those ever treated, ``n_trimmed`` rows of units that are seen once or
        have no weight. Diagnostics: ``r2`` of outcome and treatment within, out of fold; ``within_share``, the share of
        their variances that is within; ``theta`` of each fold; ``learner_loss`` for best; ``split_spread``; of a binary
        treatment ``negative_weight_share``, ``negative_weight_sum`` and ``least_effect_spread`` as of `twfe`.

    Raises
    ------
    Refusal
        For one period, no unit seen twice, covariates that never vary within units, a cluster or fold that changes
        within a unit, learned nuisances without folds; ``not_identified`` where the treatment never varies within a
        unit, or not beyond units and periods, where covariates explain it, or it varies in fewer than five clusters, or
        there are fewer than ten.

    References
    ----------
    Clarke & Polselli 2025, Econometrics Journal (the within-group approach);
    Chernozhukov et al. 2018, sections 3.4 and 4.1.
    """
    check_sample(problem)
    rows = _rows(problem)
    left = _left(problem, rows)
    _check_left(rows, left.treatment)
    fits = {"outcome": _r2(rows.y, left.outcome, rows.w), "treatment": _r2(rows.t, left.treatment, rows.w)}
    check_predictions(fits)
    splits = over_splits(problem, lambda r: _of_split(problem, rows, r), problem.own("learner") != "linear")
    binary = treatment_kind(problem.study, problem.columns) == "binary"
    estimate = float(splits.estimate[0])
    first = _error(problem, rows, left)
    row = made(
        estimand, estimate, float(splits.std_error[0]), first.df,
        contrast="1 - 0" if binary else "per unit", variance_estimator=first.kind, **_counts(problem, rows, binary),
    )  # fmt: skip
    told = [Diagnostic("r2", which, r2) for which, r2 in fits.items()]
    told += [Diagnostic("within_share", which, share) for which, share in rows.shares.items()]
    told += _by_fold(problem.folds()[rows.keep], rows, left) + _losses(left)
    if binary:
        told += _negative(rows, left.treatment, estimate)
    return Result((row,), (*told, *splits.diagnostics()))


def _of_split(problem: Problem, rows: Rows, repeat: int) -> tuple[np.ndarray, np.ndarray]:
    left = _left(problem, rows, repeat)
    _check_left(rows, left.treatment)
    theta = partialling_out(left.outcome, left.treatment, rows.w)[0]
    return np.array([theta]), np.array([_error(problem, rows, left).std_error])


def _error(problem: Problem, rows: Rows, left: Left) -> Error:
    """CR2 of the regression of u on v and the periods, or CR1 where that is declared or clusters are many."""
    theta, psi = partialling_out(left.outcome, left.treatment, rows.w)
    e, k = left.outcome - theta * left.treatment, 1 + len(rows.within.solve)
    if problem.own("variance") == "CR2":
        others = lambda: rows.within.whitened(nested=True)  # noqa: E731
        found = of_partialled(left.treatment, e, rows.w, rows.cluster, others, k)
        if found is not None:
            return found
    return Error(standard_error(psi, rows.cluster), float(rows.cluster.max()), "CR1")


def _rows(problem: Problem) -> Rows:
    study = problem.study
    assert study.time is not None
    terms = problem.covariate_terms()
    key = ("within units", terms)
    if key in problem.cache:
        return problem.cache[key]
    check_treatment(problem)
    units, unit = np.unique(problem.columns[study.unit], return_inverse=True)
    keep = _used(problem, unit)
    clusters = unit if problem.cluster is None else _codes(problem.cluster.astype(str))
    if problem.cluster is not None:
        by_unit(clusters, unit, units, str(study.cluster))
    raw, w, group = problem.t[keep], problem.w[keep], _codes(unit[keep])
    _check_changes(raw, group, clusters[keep], str(study.treatment))
    within = Within.of(group, _codes(problem.columns[study.time][keep]), w)
    y, t = within.residual(problem.y[keep]), within.residual(raw)
    _check_absorbed(problem, keep, y, t)
    levels = problem.matrix(terms).values[keep]
    shares = {"outcome": _share(problem.y[keep], y, w), "treatment": _share(raw, t, w)}
    rows = Rows(keep, y, t, raw, _varying(levels, within), levels, w, group, _codes(clusters[keep]), within, shares)
    problem.cache[key] = rows
    return rows


def _codes(labels: np.ndarray) -> np.ndarray:
    return np.unique(labels, return_inverse=True)[1]


def _used(problem: Problem, unit: np.ndarray) -> np.ndarray:
    """Rows with a weight of units that are seen twice: shape (n,), boolean."""
    time = str(problem.study.time)
    if len(np.unique(problem.columns[time])) == 1:
        reason = f"'{time}' is the same in every row, and a treatment changes within units over several periods"
        raise Refusal(reason, "Give the units their other periods, or read tvce")
    keep = problem.w > 0
    keep = keep & (np.bincount(unit, keep)[unit] > 1)
    if not keep.any():
        reason = f"no '{problem.study.unit}' with a weight is seen twice"
        raise Refusal(reason, "Check the weights, or the role 'unit'")
    return keep


def _check_changes(raw: np.ndarray, unit: np.ndarray, cluster: np.ndarray, name: str) -> None:
    """Refuse a treatment that too few clusters change."""
    first = np.unique(unit, return_index=True)[1]
    moved = len(np.unique(cluster[raw != raw[first][unit]]))
    if moved == 0:
        reason = f"the treatment '{name}' never varies within a unit, so its effect cannot be told from the units'"
        mend = "Declare the role 'cohort' (0 for never treated) and read did, or read tvce in one period"
        raise Refusal(reason, mend, "not_identified")
    groups = len(np.unique(cluster))
    if moved < FEWEST_TREATED or groups < 2 * FEWEST_TREATED:
        reason = f"the treatment '{name}' varies within units of {moved} clusters of {groups}: a standard error needs "
        mend = "Add units, or cluster by a column with more values"
        raise Refusal(reason + f"{FEWEST_TREATED} of {2 * FEWEST_TREATED}", mend, "not_identified")


def _check_absorbed(problem: Problem, keep: np.ndarray, y: np.ndarray, t: np.ndarray) -> None:
    study = problem.study
    if is_absorbed(problem.t[keep], t):
        reason = f"the treatment '{study.treatment}' does not vary once units and periods are taken out"
        mend = "Some units must change their treatment when others do not"
        raise Refusal(reason, mend, "not_identified")
    if is_absorbed(problem.y[keep], y):
        reason = f"the outcome '{study.outcome}' does not vary once units and periods are taken out"
        raise Refusal(reason, "Name an outcome that is measured in every period")


def _varying(levels: np.ndarray, within: Within) -> np.ndarray:
    """Columns within that are not absorbed, in units of their largest value: shape (N, k)."""
    pairs = [(column, within.residual(column)) for column in levels.T]
    kept = [left / np.abs(left).max() for column, left in pairs if not is_absorbed(column, left)]
    if not kept:
        reason = "no covariate varies within units beyond the periods, so unit effects hold all that they explain"
        raise Refusal(reason, "Declare a covariate that changes over time, or read twfe, which needs none")
    return np.column_stack(kept)


def _left(problem: Problem, rows: Rows, repeat: int = 0) -> Left:
    """Residuals by the declared learner in one split; of best, by that with the smallest loss, each for itself."""
    chosen = problem.own("learner")
    names = ("linear", *FLEXIBLE) if chosen == "best" else (chosen,)
    if chosen == "best" and problem.folds(repeat).max() == 0:
        raise needs_folds("best")
    every = {name: _by_learner(problem, rows, name, repeat) for name in names}
    losses: dict[tuple[str, str], float] = {}
    best: list[np.ndarray] = []
    for j, which in enumerate(("outcome", "treatment")):
        own = {name: float(np.average(every[name][:, j] ** 2, weights=rows.w)) for name in names}
        losses |= {(which, name): loss for name, loss in own.items()}
        best.append(every[min(own, key=own.__getitem__)][:, j])
    return Left(best[0], best[1], losses)


def _by_learner(problem: Problem, rows: Rows, learner: str, repeat: int) -> np.ndarray:
    """Outcome and treatment within, less one learner's predictions: shape (N, 2); kept for the study's other runs."""
    key = ("within units", problem.covariate_terms(), learner, problem.options.folds, repeat)
    if key not in problem.cache:
        folds, seed, targets = _folds(problem, rows, repeat), problem.study.seed, np.column_stack([rows.y, rows.t])
        if learner == "boosting":
            unit, period = rows.within.group, rows.within.period
            found = predict_within(targets, rows.levels, unit, period, rows.w, folds, seed)
        else:
            found = out_of_fold(learner, targets, rows.x, rows.w, folds, seed)
        # What a prediction holds of units and periods is no part of either target.
        problem.cache[key] = np.column_stack([rows.within.residual(column) for column in (targets - found).T])
    return problem.cache[key]


def _folds(problem: Problem, rows: Rows, repeat: int) -> np.ndarray:
    folds = problem.folds(repeat)[rows.keep]
    if problem.folds_are_declared():
        units = np.unique(problem.columns[problem.study.unit][rows.keep])
        by_unit(folds, rows.unit, units, str(problem.study.fold))
    return folds


def _check_left(rows: Rows, v: np.ndarray) -> None:
    check_variation(float(np.sum(rows.w * v**2)), float(np.sum(rows.w * rows.t**2)))


def _share(raw: np.ndarray, left: np.ndarray, w: np.ndarray) -> float:
    return float(np.sum(w * left**2) / np.sum(w * (raw - np.average(raw, weights=w)) ** 2))


def _r2(target: np.ndarray, left: np.ndarray, w: np.ndarray) -> float:
    return 1 - float(np.sum(w * left**2) / np.sum(w * target**2))


def _counts(problem: Problem, rows: Rows, binary: bool) -> dict[str, int | float | None]:
    return {
        "n_units": int(rows.unit.max()) + 1,
        "n_treated": len(np.unique(rows.unit[rows.raw == 1])) if binary else None,
        "n_trimmed": int((~rows.keep).sum()),
        "n_clusters": None if problem.cluster is None else int(rows.cluster.max()) + 1,
        "effective_sample_size": None if problem.weights is None else effective_sample_size(rows.w),
    }


def _by_fold(folds: np.ndarray, rows: Rows, left: Left) -> list[Diagnostic]:
    out = []
    for k, held in held_out(folds):
        u, v, w = left.outcome[held], left.treatment[held], rows.w[held]
        varies = float(np.sum(w * v**2)) > 0
        out.append(Diagnostic("theta", f"fold={k}", partialling_out(u, v, w)[0] if varies else None))
    return out


def _losses(left: Left) -> list[Diagnostic]:
    if len(left.losses) == 2:
        return []
    return [Diagnostic("learner_loss", f"{which}:{name}", loss) for (which, name), loss in left.losses.items()]


def _negative(rows: Rows, v: np.ndarray, estimate: float) -> list[Diagnostic]:
    found = negative_weights(v, rows.raw, rows.w, estimate)
    return [
        Diagnostic("negative_weight_share", "treated_rows", found.share),
        Diagnostic("negative_weight_sum", "overall", found.total),
        Diagnostic("least_effect_spread", "overall", found.least_spread),
    ]
