"""The declared propensity model fitted by scans, its strata, and its probabilities as SQL."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..moments import Moments
from ..nuisance import outside
from ..rare import Judged, Split, categories, judge, pooled_fit, refusal, splits_of
from ..scan import logistic
from ..scan.logistic import BinaryModel
from ..scan.normal import normal_cdf_sql, number
from ..scan.strata import Strata, Watch
from ..scan.stream import Column, Plan, quoted
from ..terms import unique
from .linear import totals
from .problem import Streamed


@dataclass(frozen=True)
class Fitted:
    """A propensity model of all rows, and what is known of its folds and strata.

    Attributes
    ----------
    model : BinaryModel
        Of all rows, and of those outside each fold unless its ``failure`` says why not.
    plan : Plan
        What its scans read.
    watch : Watch or None
        Which saw the propensities while the model was fitted.
    """

    model: BinaryModel
    plan: Plan
    watch: Watch | None


def fit_propensity(problem: Streamed) -> BinaryModel:
    """The model of all rows and those outside each fold: fitted once a study for the same terms, link and folds.

    As `estimators.problem.Problem.propensity` and `estimators.nuisance.crossfit_propensity`. Sampling weights enter
    the likelihood; a declared cluster assigns clusters to folds.

    Parameters
    ----------
    problem : Streamed
        Of a binary treatment.

    Raises
    ------
    Refusal
        If no such model exists: an arm is empty or the covariates separate the arms, in all rows or outside a fold;
        all units fall into one fold.
    """
    model = whole_propensity(problem)
    if model.failure is not None:
        raise model.failure
    return model


def whole_propensity(problem: Streamed) -> BinaryModel:
    """The same for estimators that read the model of all rows only: what fails outside a fold does not matter."""
    return _fitted(problem).model


def propensity_strata(problem: Streamed, number: int, estimand: str) -> Strata:
    """Strata of the propensities of all rows' model, as `stratification.strata_of` makes them.

    Parameters
    ----------
    number : int
        Strata that are asked for.
    estimand : str
        ATE (quantiles of all units) or ATT (of the treated).

    Raises
    ------
    Refusal
        If ``number`` is below 1, or there is no propensity model.
    """
    fitted = _fitted(problem)
    key = ("strata", problem.options.propensity, number)
    if key not in problem.cache:
        watch = fitted.watch
        if watch is None or watch.number != number or not watch.done():
            watch = Watch(number)
            logistic.look(problem.source, _treatment(problem), fitted.plan, fitted.model, watch)
        problem.cache[key] = {each: watch.strata(each) for each in ("ATE", "ATT")}
    return problem.cache[key][estimand]


def probability_sql(problem: Streamed, model: BinaryModel, which: int = 0) -> str:
    """SQL of a row's propensity under one model (0: that of all rows), equal to the streamed one to a few last digits.

    A column whose mean is far from zero is centred before it is multiplied, as the stream does, so that one of mean 1e9
    keeps its digits; the other means, and all scales, are in the coefficients, which halves the time.
    """
    named = {column.name: column.sql for column in problem.columns(problem.options.propensity.covariates)}
    centre = np.where(np.abs(model.shift) > 8 * model.scale, model.shift, 0.0)
    slopes = model.beta[which, 1:] / model.scale
    constant = model.beta[which, 0] - slopes @ (model.shift - centre)
    columns = [
        f"(({named[name]})::double - {number(mean)})" if mean else f"({named[name]})::double"
        for name, mean in zip(model.names[1:], centre, strict=True)
    ]
    return inverse_link_sql(index_sql(np.array([constant, *slopes]), columns), model.link)


def inverse_link_sql(index: str, link: str) -> str:
    """SQL of the probability of a linear index."""
    return normal_cdf_sql(index) if link == "probit" else f"(1.0::double / (1.0::double + exp(-({index}))))"


def index_sql(beta: np.ndarray, columns: list[str]) -> str:
    """SQL of β₀ + Σ βⱼ columnⱼ, bracketed in halves: a chain of 1,000 terms is too deep for DuckDB's parser."""
    parts = [number(beta[0])]
    parts += [f"{number(b)} * ({column})" for b, column in zip(beta[1:], columns, strict=True) if b != 0]
    while len(parts) > 1:
        pairs = [parts[i : i + 2] for i in range(0, len(parts), 2)]
        parts = [pair[0] if len(pair) == 1 else f"({pair[0]} + {pair[1]})" for pair in pairs]
    return parts[0]


def _fitted(problem: Streamed) -> Fitted:
    key = ("propensity", problem.options.propensity, problem.n_folds)
    return problem.kept(key, lambda: _fit(problem))


def _fit(problem: Streamed) -> Fitted:
    columns, failure = problem.columns(problem.options.propensity.covariates), None
    weight = quoted(problem.study.weight) if problem.study.weight else None
    plan = Plan(columns, weight, carry=(quoted(problem.study.unit),))
    try:
        moments = problem.moments()
        group = problem.fold() if problem.n_folds > 1 else None
        plan = dataclasses.replace(plan, group=group, n_groups=problem.n_folds)
        arms = problem.arm(0), problem.arm(1)
    except Refusal as refusal:  # what cannot be cross-fitted has a model of all rows nevertheless
        moments, failure = totals(problem), refusal
        arms = moments.only(0), moments.only(1)
    check_model_arms(arms[0], arms[1])
    if failure is None:
        failure = _arms_outside(arms, problem.n_folds)
        if failure is not None:
            plan = dataclasses.replace(plan, group=None, n_groups=1)
            moments = totals(problem)
            arms = moments.only(0), moments.only(1)
    treated = np.column_stack([arm.cross[:, 0, 0] for arm in arms])
    fitted, pooled = pooled_fit(
        lambda left_out: _without(problem, plan, moments, treated, left_out), lambda: _judged(problem, plan, whole=True)
    )  # fmt: skip
    model = dataclasses.replace(fitted.model, pooled=pooled)
    if failure is None and model.failure is not None:
        model = _pooled_outside(problem, fitted.plan, moments, treated, model)
    return dataclasses.replace(fitted, model=model if failure is None else dataclasses.replace(model, failure=failure))


def _without(
    problem: Streamed, plan: Plan, moments: Moments, treated: np.ndarray, left_out: frozenset[str]
) -> Fitted:  # fmt: skip
    """The models without some columns."""
    own = dataclasses.replace(plan, columns=tuple(c for c in plan.columns if c.name not in left_out))
    watch, link = _watch(problem), problem.options.propensity.link
    model = logistic.fit(problem.source, _treatment(problem), own, moments, treated, watch, link)
    return Fitted(dataclasses.replace(model, dropped=(*model.dropped, *sorted(left_out))), own, watch)


def _pooled_outside(
    problem: Streamed, plan: Plan, moments: Moments, treated: np.ndarray, model: BinaryModel
) -> BinaryModel:  # fmt: skip
    """The model of all rows, and those outside the folds with levels pooled that lack an arm there."""
    assert model.failure is not None
    judged = _judged(problem, plan, whole=False)
    if judged.too_large or not judged.columns:
        return dataclasses.replace(model, failure=refusal(judged, model.failure))
    other = _without(problem, plan, moments, treated, judged.columns).model
    if other.failure is not None:
        return model
    names = unique([*model.names, *other.names])
    beta = np.zeros((len(other.beta), len(names)))
    beta[0, [names.index(name) for name in model.names]] = model.beta[0]
    beta[1:, [names.index(name) for name in other.names]] = other.beta[1:]
    at = [moments.names.index(name) for name in names[1:]]
    return dataclasses.replace(
        model, names=tuple(names), beta=beta, shift=moments.shift[at], scale=moments.scale[at], failure=None,
        pooled_outside=judged.pooled,
    )  # fmt: skip


def _judged(problem: Streamed, plan: Plan, whole: bool) -> Judged:
    """What is too rare among the plan's columns, by counts of units; asked only where a model does not converge."""
    key = ("rare", plan.names, plan.n_groups)
    if key not in problem.cache:
        problem.cache[key] = _counted(problem, plan)
    splits, arms = problem.cache[key]
    return judge(splits, arms, whole)


def _counted(problem: Streamed, plan: Plan) -> tuple[list[Split], np.ndarray]:
    fold = plan.group or "0"
    used = f"{plan.weight} > 0" if plan.weight else "1 = 1"
    groups = categories(plan.names)
    tests = [f"({column.sql}) <> {value}" for column in plan.columns for value in (0, 1)]
    tests += [" and ".join(f"({plan.columns[i].sql}) = 0" for i in at) for at in groups.values()]
    counts, n_folds = np.zeros((1 + len(tests), plan.n_groups, 2)), plan.n_groups
    for begin in range(0, len(tests), 200):
        some = tests[begin : begin + 200]
        listed = ", ".join(f"sum(case when {used} and {test} then 1 else 0 end)" for test in ["1 = 1", *some])
        select = problem.source.sql(f"{fold} as cqox_fold, {problem.treated()} as cqox_arm, {listed}")
        # GROUP BY 0 would be a place among the columns.
        by = ", ".join([plan.group, problem.treated()] if plan.group else [problem.treated()])
        for k, arm, *found in problem.source.rows(f"{select} group by {by}"):
            counts[[0, *range(1 + begin, 1 + begin + len(some))], int(k), int(arm)] = found
    k = len(plan.columns)
    others = counts[1 : 1 + 2 * k].reshape(k, 2, n_folds, 2)
    base = dict(zip(groups, counts[1 + 2 * k :], strict=True))
    return splits_of(plan.names, others, base, int(counts[0].sum())), counts[0]


def _watch(problem: Streamed) -> Watch | None:
    """For the strata that the study's stratification will ask for."""
    number = problem.study.options_for("stratification", problem.specification).own["strata"]
    return Watch(number) if number >= 1 else None


def check_model_arms(untreated: Moments, treated: Moments) -> None:
    """Refuse rows of which an arm has no weight, as `estimators.nuisance.fit_binary` does."""
    if untreated.total()[0, 0] > 0 and treated.total()[0, 0] > 0:
        return
    # Units without a weight are none.
    n0, n1 = (int(arm.rows.sum()) if arm.total()[0, 0] > 0 else 0 for arm in (untreated, treated))
    reason = f"{n1} treated and {n0} untreated units cannot make a propensity model"
    raise Refusal(reason, "Widen the population, or use fewer folds")


def _arms_outside(arms: tuple[Moments, Moments], folds: int) -> Refusal | None:
    """Why the rows outside some fold make no model, if an arm is empty there."""
    for k in range(folds if folds > 1 else 0):
        try:
            with outside(k):
                check_model_arms(arms[0].without(k), arms[1].without(k))
        except Refusal as refusal:
            return refusal
    return None


def _treatment(problem: Streamed) -> Column:
    assert problem.study.treatment is not None
    return Column(problem.study.treatment, quoted(problem.study.treatment))
