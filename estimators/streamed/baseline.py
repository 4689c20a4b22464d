"""Mean outcome without treatment, from sums and, for the overlap population, one scan."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..errors import Refusal
from ..moments import Moments
from ..scan.frame import Frame
from ..scan.likelihood import probabilities
from ..scan.logistic import BinaryModel
from ..scan.solve import interact, least_squares
from ..scan.stream import blocks
from ..terms import unique
from .problem import Streamed
from .propensity import fit_propensity


def mean_untreated(problem: Streamed, overlap: bool) -> float:
    """Mean of the cross-fitted E[Y | 0, X], over all units, or weighted by e (1 − e) for the overlap population.

    As the nuisances of `estimators.problem.Problem.nuisances` give it.

    Raises
    ------
    Refusal
        Where those cannot be fitted, the propensities among them.
    """
    model = fit_propensity(problem)  # in memory both are fitted at once: without propensities there is no baseline
    forms, moments = untreated_forms(problem), problem.by_fold()
    y = moments.names.index(problem.study.outcome)
    if overlap:
        mean = _overlap_mean(problem, model, forms, moments)
    else:
        mean = float(np.sum(forms * moments.cross[:, 0]) / moments.total()[0, 0])
    return float(moments.shift[y] + moments.scale[y] * mean)


def untreated_forms(problem: Streamed) -> np.ndarray:
    """E[Y | 0, X] from outside each fold as linear forms of (1, z), in standard units: shape (folds, p + 1)."""
    arms = [problem.arm(arm) for arm in (0, 1)]
    folds = len(arms[0].cross)
    rest = [[arm.without(k) if folds > 1 else arm for arm in arms] for k in range(folds)]
    try:
        return np.array([_untreated(problem, *own) for own in rest])
    except ValueError as few:
        raise Refusal(f"the outcome regression cannot be fitted: {few}", "Use fewer covariates or folds") from None


def _untreated(problem: Streamed, control: Moments, treated: Moments) -> np.ndarray:
    """From the rows of each arm outside a fold."""
    study, x, products = problem.study, problem.names(problem.options.outcome.covariates), problem.products()
    assert study.treatment is not None
    size = len(control.names) + 1
    out = np.zeros(size)
    if products is None:
        fit = least_squares(control, study.outcome, x)
        out[fit.at] = fit.beta
        least_squares(treated, study.outcome, x)  # refuses too few rows
        return out
    both = Moments(
        control.names, control.shift, control.scale, np.array([control.total(), treated.total()]),
        np.array([control.rows.sum(), treated.rows.sum()]),
    )  # fmt: skip
    labels = tuple(f"(treatment):{name}" for name in products)
    interacted = interact(both, products, labels, np.eye(size)[0])
    fit = least_squares(interacted.moments, study.outcome, (*x, study.treatment, *labels))
    own = fit.at < size
    out[fit.at[own]] = fit.beta[own]
    t = control.names.index(study.treatment)
    out[0] -= out[t + 1] * control.shift[t] / control.scale[t]  # no treatment
    out[t + 1] = 0.0
    return out


def _overlap_mean(problem: Streamed, model: BinaryModel, forms: np.ndarray, moments: Moments) -> float:
    """Σ w e (1 − e) μ₀ / Σ w e (1 − e) of all rows, with cross-fitted e, in standard units."""
    terms = (*problem.options.propensity.covariates, *problem.options.outcome.covariates)
    columns = tuple(unique(problem.columns(terms), key=lambda column: column.name))
    plan = dataclasses.replace(problem.plan(columns), cluster=None)
    at = [0, *(1 + moments.names.index(name) for name in plan.names)]
    index = np.zeros((len(model.beta), len(at)))
    index[:, [0, *(1 + plan.names.index(name) for name in model.names[1:])]] = model.beta
    index = index[1:] if len(index) > 1 else index  # all rows' model stands first
    frame = Frame.like(moments, plan.names, plan.rows())
    if problem.source.engine is not None:
        from ..engines.weighting import overlap_mean

        return overlap_mean(problem, plan, frame, index, forms[:, at])
    above, below = 0.0, 0.0
    for block in blocks(problem.source, plan):
        z, rows = frame.fill(block), np.arange(block.n)
        own = np.zeros(block.n, dtype=np.intp) if block.group is None else block.group.astype(np.intp)
        e = probabilities((index @ z)[own, rows], model.link)
        weight = e * (1 - e) if block.weight is None else e * (1 - e) * block.weight
        above += float(weight @ (forms[:, at] @ z)[own, rows])
        below += float(weight.sum())
    return above / below
