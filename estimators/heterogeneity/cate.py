"""Heterogeneous effects: for whom the effect is larger, from doubly robust scores and cross-fitted learners."""

from __future__ import annotations

import numpy as np

from ..errors import Refusal
from ..estimates import made
from ..inference import joint_wald
from ..laws import normal_tail
from ..linear import covariance, errors, fit_ols
from ..problem import Problem
from ..result import Diagnostic, Estimate, Result
from ..sample import counts, regression_variance
from ..selection_on_observables.ope import clipped, ope, scores
from .group_rows import check_modifiers, group_rows, score_row
from .metalearners import material
from .pictures import distribution, pictures
from .ranking import GROUPS, Ranked, autoc, calibration, gates, ranked

RANKED_TERMS = (*(f"gates={g + 1}" for g in range(GROUPS)), f"gates={GROUPS}-1", "heterogeneity", "rate")


def cate(problem: Problem, estimand: str) -> Result:
    """The average effect and how it varies with the effect modifiers V, all as averages of doubly robust scores ψ.

    ψ = μ₁(X) − μ₀(X) + T (Y − μ₁)/e − (1 − T)(Y − μ₀)/(1 − e), cross-fitted (`ope.scores`), so that E[ψ | V] is the
    effect given V. Rows, in units of the outcome but for ``heterogeneity``:

    ``overall``, their mean, the same as ope's ATE. ``blp:<column>``, least squares of ψ on a constant and V (the best
    linear predictor of the effect; HC2, or CR2 with clusters). ``<modifier>=…``, the mean in each level, or in each
    third of a modifier of more than six values. ``gates=1`` … ``gates=5``, the means in the fifths by predicted effect,
    from least to most affected, and ``gates=5-1``. ``heterogeneity``, the slope of ψ on the prediction: 0 where the
    predicted differences are noise, 1 where they are right. ``rate``, AUTOC: what those who rank first gain beyond the
    average.

    Predictions come from S, T, X and DR learners (`metalearners`). A fold's units are ranked by learners fitted on the
    folds before it, and by that learner whose squared distance from ψ was smallest there; the first fold has no ranks.
    So tests hold their size where nobody differs, which predictions from all other folds do not (Wager 2024). Fifths
    are taken within a fold, rows that tie are shared out. Intervals of the fifths and curves hold at the ranks found;
    that of ``rate`` counts their estimation.

    Sampling weights enter models, learners, ranks and means. A declared cluster assigns clusters to folds, and sums
    influence values. Rows with missing values have been left out or refused before. Normal reference; blp Student's t
    with Bell & McCaffrey's degrees of freedom.

    Options: ``learner`` (linear, boosting, best: both compete), ``clip``.

    Diagnostics: ope's; ``dr_loss`` of each learner and of a ``constant``; ``learner_used`` (folds ranked by it) and
    ``learner_best``; ``blp_joint_p``; ``group_contrast`` of each group less its modifier's first, and
    ``group_contrast_p_holm``; ``modifier_without_groups``; ``clan``: modifier means in the least and most affected
    fifth; ``ranked_share``, the part of the weight that has ranks. Curves: ``uplift``, ``qini``, ``gates``,
    ``cate_distribution``.

    Raises
    ------
    Refusal
        As ope; for a modifier that neither model holds, outside experiments; for modifiers that do not vary. Groups
        that are too small, and ranks where nothing can be ranked, are refused in their own rows.

    Sources
    -------
    Semenova & Chernozhukov 2021; Chernozhukov, Demirer, Duflo & Fernández-Val 2020; Künzel et al. 2019; Kennedy 2023;
    Yadlowsky et al. 2021; Wager 2024.
    """
    check_modifiers(problem)
    whole = ope(problem, estimand)
    psi = scores(problem, estimand)
    blp, blp_notes = _linear_predictor(problem, estimand, psi)
    by_group, group_notes = group_rows(problem, estimand, psi)
    rows, notes = [*whole.estimates, *blp, *by_group], [*whole.diagnostics, *blp_notes, *group_notes]
    m = material(problem, clipped(problem), psi)
    try:
        r = ranked(m, problem.own("learner"))
    except Refusal as refusal:
        reason = str(refusal)
        rows += [Estimate(estimand, term, status=refusal.status, status_reason=reason) for term in RANKED_TERMS]
        return Result(tuple(rows), tuple(notes))
    rows += _ranked_rows(problem, estimand, r)
    notes.append(Diagnostic("ranked_share", "overall", float(r.w.sum() / problem.w.sum())))
    return Result(tuple(rows), (*notes, *_learners(r), *_clan(problem, r)), (*pictures(r), *distribution(m, r.best)))


def _linear_predictor(problem: Problem, estimand: str, psi: np.ndarray) -> tuple[list[Estimate], list[Diagnostic]]:
    v = problem.matrix(problem.study.effect_modifiers)
    try:
        fit = fit_ols(psi, v.values, v.names, problem.weights)
    except ValueError as few:
        raise Refusal(f"the modifiers cannot be fitted: {few}", "Declare fewer effect modifiers") from None
    if len(fit.names) == 1:
        raise Refusal("no effect modifier varies", "Declare modifiers of which units have different values")
    kind, places = regression_variance(problem, "HC2"), range(1, len(fit.names))
    fields = {**counts(problem), "contrast": "a unit of the modifier"}
    rows = [
        made(estimand, float(fit.coef[j]), error.std_error, error.df, term=f"blp:{fit.names[j]}",
             variance_estimator=error.kind, **fields)
        for j, error in zip(places, errors(fit, places, kind, problem.cluster), strict=True)
    ]  # fmt: skip
    joint = joint_wald(fit.coef[1:], covariance(fit, kind, problem.cluster)[1:, 1:])
    notes = [Diagnostic("blp_joint_p", "overall", joint.p_value, 0.05)]
    return rows, notes + [Diagnostic("modifier_dropped", name, None) for name in fit.dropped]


def _ranked_rows(problem: Problem, estimand: str, r: Ranked) -> list[Estimate]:
    rows, sorted_groups = [], gates(r)
    every = np.zeros(problem.n, dtype=bool)
    every[r.rows] = True
    for g in range(GROUPS):
        keep = np.zeros(problem.n, dtype=bool)
        keep[r.rows[sorted_groups.member[:, g] > 0]] = True
        std_error = r.std_error(sorted_groups.influence[:, g])
        rows.append(score_row(problem, estimand, RANKED_TERMS[g], float(sorted_groups.effects[g]), std_error, keep))
    spread = sorted_groups.influence[:, -1] - sorted_groups.influence[:, 0]
    difference = float(sorted_groups.effects[-1] - sorted_groups.effects[0])
    rows.append(
        score_row(
            problem, estimand, f"gates={GROUPS}-1", difference, r.std_error(spread), every,
            contrast="most - least affected fifth",
        )
    )  # fmt: skip
    slope, area = calibration(r), autoc(r)
    rows.append(
        score_row(
            problem, estimand, "heterogeneity", slope.estimate, slope.std_error, every,
            contrast="a unit of predicted effect",
        )
    )  # fmt: skip
    rows.append(
        score_row(problem, estimand, "rate", area.estimate, area.std_error, every, contrast="ranked first - average")
    )
    return rows


def _learners(r: Ranked) -> list[Diagnostic]:
    notes = [Diagnostic("dr_loss", name, value, r.losses["constant"]) for name, value in r.losses.items()]
    notes += [Diagnostic("learner_used", name, float(r.used.count(name))) for name in dict.fromkeys(r.used)]
    slope = calibration(r)
    # One-sided: predictions that run against the effects are no finding.
    p = normal_tail(slope.estimate / slope.std_error) if slope.std_error > 0 else None
    return [*notes, Diagnostic("learner_best", r.best, r.losses[r.best]), Diagnostic("heterogeneity_p", "one_sided", p)]


def _clan(problem: Problem, r: Ranked) -> list[Diagnostic]:
    v = problem.matrix(problem.study.effect_modifiers)
    member = gates(r).member
    return [
        Diagnostic("clan", f"{name}:{word}", float(np.average(v.values[r.rows, j], weights=r.w * member[:, g])))
        for j, name in enumerate(v.names)
        for g, word in ((0, "least"), (GROUPS - 1, "most"))
    ]
