"""Double machine learning of the partially linear model, of rows that stay in the warehouse."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..estimates import made
from ..result import Diagnostic, Result
from ..scan.solve import Partialled
from ..selection_on_observables.learners import needs_folds
from ..selection_on_observables.tvce import check_predictions, check_variation
from ..small_samples import scaled
from .learned import Sums, lasso_forms, linear_forms, of_forms, scanned
from .linear import Linear, with_variance
from .problem import Streamed
from .sample import check_arms, check_sample, check_streams, counts, regression_variance

LEARNERS = ("linear", "lasso", "boosting")


def tvce(problem: Streamed, estimand: str) -> Result:
    """The effect of one unit of treatment, where it is one for all: θ in Y = θ D + g(X) + ζ, D = m(X) + V.

    Rows, formulas, options and refusals are those of `estimators.selection_on_observables.tvce`. With the linear
    learner θ follows from the shared scan's sums a fold, its variance from the one scan of the linear estimators.

    The flexible learners train on ``row_budget`` rows, chosen by a hash of the unit and the seed, and predict on all:
    out of fold as ever, as the learner of a fold is trained on the sample's rows outside it. A diagnostic
    ``training_rows`` says how many there were. Lasso's coefficients make linear forms, which need no scan but the
    shared ones; boosting (and best) predicts block by block in one more scan, about 140,000 rows a second. Rows are
    split once, whatever the learner; a forest and declared repeats are refused.

    Raises
    ------
    Refusal
        ``not_identified`` where the covariates explain the treatment; ``refused`` for lasso or boosting with folds: 1,
        a fold that holds every row, too few rows, or predictions far worse out of fold than the mean.

    Sources
    -------
    Chernozhukov et al. 2018, section 4.1; Robinson 1988.
    """
    binary = problem.kind == "binary"
    check_arms(problem) if binary else check_sample(problem)
    learner, kind = problem.own("learner"), regression_variance(problem, problem.own("variance"))
    if problem.n_folds == 1 and learner != "linear":
        raise needs_folds(learner)
    check_streams(problem, learner, (*LEARNERS, "best"))
    if learner in ("linear", "lasso"):
        sums = of_forms(_forms(problem, learner))
        outcome = treatment = 0
        diagnostics = _checked(problem, sums, 0, 0)
        theta, error = with_variance(problem, estimand)
    else:
        moments, names = problem.by_fold(), LEARNERS[:-1] if learner == "best" else ()
        found = scanned(problem, moments, [_forms(problem, name) for name in names], "boosting")
        sums = found.sums
        outcome, treatment = int(sums.uu.sum(axis=0).argmin()), int(sums.vv.sum(axis=0).argmin())
        diagnostics = _checked(problem, sums, outcome, treatment)
        unit = _unit(problem)
        theta = unit * float(sums.uv[:, outcome, treatment].sum() / sums.vv[:, treatment].sum())
        error = found.error(outcome, treatment, problem.n, kind)
        error = dataclasses.replace(error, std_error=unit * error.std_error)
    row = made(
        estimand, theta, scaled(problem, error.std_error),
        problem.reference_df() if problem.small_sample() is not None else error.df,
        contrast="1 - 0" if binary else "per unit",
        variance_estimator=error.kind, **counts(problem, binary=binary),
    )  # fmt: skip
    diagnostics = (*diagnostics, *_thetas(problem, sums, outcome, treatment))
    if learner == "best":
        diagnostics = (*diagnostics, *_losses(problem, sums))
    if learner != "linear":
        rows = float(min(problem.study.row_budget, problem.n))
        diagnostics = (*diagnostics, Diagnostic("training_rows", "overall", rows))
    return Result((row,), diagnostics)


def linear(problem: Streamed, estimand: str) -> Linear | None:
    """The estimate before its variance; None where the learner is not linear."""
    learner = problem.own("learner")
    if learner not in ("linear", "lasso"):
        return None
    forms = _forms(problem, learner)
    _left(problem, of_forms(forms), 0)
    solved = forms.solved()
    return Linear(
        solved.coef, solved.score, "fold", regression_variance(problem, problem.own("variance")), forms.moments
    )


def _forms(problem: Streamed, learner: str) -> Partialled:
    """Residuals of outcome and treatment as linear forms, made once."""
    key = ("forms", learner, problem.covariate_terms(), problem.n_folds)
    if key not in problem.cache:
        make = linear_forms if learner == "linear" else lasso_forms
        problem.cache[key] = make(problem, problem.by_fold())
    return problem.cache[key]


def _checked(problem: Streamed, sums: Sums, outcome: int, treatment: int) -> tuple[Diagnostic, ...]:
    """R² out of fold, of predictions that pass."""
    _left(problem, sums, treatment)
    y, t = _squares(problem)
    fits = {
        "outcome": 1 - float(sums.uu[:, outcome].sum() / y),
        "treatment": 1 - float(sums.vv[:, treatment].sum() / t),
    }
    check_predictions(fits)
    return tuple(Diagnostic("r2", name, r2) for name, r2 in fits.items())


def _left(problem: Streamed, sums: Sums, treatment: int) -> None:
    check_variation(float(sums.vv[:, treatment].sum()), _squares(problem)[1])


def _squares(problem: Streamed) -> tuple[float, float]:
    """Σ w (z − z̄)² of outcome and treatment, in standard units."""
    moments = problem.by_fold()
    centred = np.diag(moments._centred())
    assert problem.study.treatment is not None
    y, t = (moments.names.index(name) for name in (problem.study.outcome, problem.study.treatment))
    return float(centred[y]), float(centred[t])


def _unit(problem: Streamed) -> float:
    """Raw units of the effect for one in standard units."""
    moments = problem.by_fold()
    assert problem.study.treatment is not None
    y, t = (moments.names.index(name) for name in (problem.study.outcome, problem.study.treatment))
    return float(moments.scale[y] / moments.scale[t])


def _thetas(problem: Streamed, sums: Sums, outcome: int, treatment: int) -> tuple[Diagnostic, ...]:
    """θ of each fold's own rows."""
    moments, unit = problem.by_fold(), _unit(problem)
    rows = []
    for k in np.flatnonzero(moments.rows).tolist():
        information = float(sums.vv[k, treatment])
        theta = unit * float(sums.uv[k, outcome, treatment]) / information if information > 0 else None
        rows.append(Diagnostic("theta", f"fold={k}", theta))
    return tuple(rows)


def _losses(problem: Streamed, sums: Sums) -> tuple[Diagnostic, ...]:
    """Weighted mean of the squared residuals of each learner, in the raw unit squared."""
    moments = problem.by_fold()
    weight, rows = float(moments.total()[0, 0]), []
    assert problem.study.treatment is not None
    for which, name, squares in (
        ("outcome", problem.study.outcome, sums.uu), ("treatment", problem.study.treatment, sums.vv)
    ):  # fmt: skip
        scale = float(moments.scale[moments.names.index(name)])
        for learner, loss in zip(LEARNERS, squares.sum(axis=0) / weight, strict=True):
            rows.append(Diagnostic("learner_loss", f"{which}:{learner}", float(loss) * scale**2))
    return tuple(rows)
