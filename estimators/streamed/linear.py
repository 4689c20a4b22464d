"""What the linear estimators share: sums whatever the folds, and one scan for the variances of all their runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..few_clusters import Error
from ..imports import load
from ..moments import Moments
from ..registry import BY_NAME
from ..result import Diagnostic
from ..scan import hc, moments_scan
from ..scan.hc import Robust
from ..scan.solve import Least, Score, least_squares
from ..scan.stream import Plan, quoted
from .problem import Streamed
from .sample import regression_variance

# Each has ``linear(problem, estimand) -> Linear | None`` in its module: None where no scan of these serves it.
FAMILY = ("difference_in_means", "ols", "regression_adjustment", "tvce")


@dataclass(frozen=True)
class Linear:
    """An estimate that is solved from sums and waits for its variance.

    Attributes
    ----------
    coef : float
        In raw units.
    score : Score
        On (1, z) of ``moments``' columns.
    groups : str
        What its forms differ by: ``all`` (nothing), ``arm`` (untreated, treated) or ``fold``.
    kind : str
        HC0 to HC3; CR1 or CR2 with clusters.
    moments : Moments
        Whose columns and units the forms are in.
    """

    coef: float
    score: Score
    groups: str
    kind: str
    moments: Moments


def totals(problem: Streamed) -> Moments:
    """The shared scan's sums with the folds added up: two groups (untreated, treated) of a binary treatment, else one.

    What needs no folds is not to be refused for them: where nothing can be cross-fitted, a scan of its own is made.
    """
    if "totals" not in problem.cache:
        arms = 2 if problem.kind == "binary" else 1
        try:
            moments = problem.moments()
        except Refusal:
            study = problem.study
            weight = quoted(study.weight) if study.weight else None
            plan = Plan(problem.everything(), weight, problem.treated() if arms == 2 else None, arms)
            moments = moments_scan.scan(problem.source, plan).moments
        problem.cache["totals"] = moments.merged(np.arange(len(moments.cross)) % arms)
    return problem.cache["totals"]


def regression(problem: Streamed, moments: Moments, names: tuple[str, ...]) -> Least:
    """Least squares of the outcome on a constant and some columns, the treatment among them.

    Raises
    ------
    Refusal
        As `estimators.selection_on_observables.ols.fit_with_treatment`: ``not_identified`` where earlier columns
        explain the treatment; ``refused`` where rows are too few.
    """
    try:
        fit = least_squares(moments, problem.study.outcome, names)
    except ValueError as few:
        raise Refusal(f"the outcome regression cannot be fitted: {few}", "Use fewer covariates") from None
    if problem.study.treatment in fit.dropped:
        reason = "the covariates explain the treatment entirely, so its effect cannot be told from theirs"
        raise Refusal(reason, "Drop the covariate that defines the treatment", "not_identified")
    return fit


def dropped_columns(fit: Least) -> tuple[Diagnostic, ...]:
    """One row for each column that earlier ones explain."""
    return tuple(Diagnostic("collinear_column_dropped", name, 1.0) for name in fit.dropped)


def coefficient_of(problem: Streamed, fit: Least) -> Linear | None:
    """The treatment's coefficient in a least-squares fit before its variance; None for a classical one."""
    kind, treatment = regression_variance(problem, problem.own("variance")), problem.study.treatment
    assert treatment is not None
    if kind == "classical":
        return None
    return Linear(fit.coefficient(treatment), fit.score(treatment), "all", kind, fit.moments)


def coefficient(problem: Streamed, estimand: str, fit: Least) -> tuple[float, Error]:
    """The treatment's coefficient and its error, as of `estimators.linear`; a classical one needs no scan."""
    assert problem.study.treatment is not None
    kind, df = regression_variance(problem, problem.own("variance")), float(fit.degrees_of_freedom)
    if kind == "classical":
        effect, std_error = fit.coefficient(problem.study.treatment), fit.classical(problem.study.treatment)
        return effect, Error(std_error, df, kind)
    return with_variance(problem, estimand, df)


def with_variance(problem: Streamed, estimand: str, df: float | None = None) -> tuple[float, Error]:
    """The run's `linear` estimate, refined by the scan, and its error; ``df`` where its kind has none of its own."""
    own, found = linear(problem, estimand), robust(problem, estimand)
    assert own is not None
    return own.coef + found.correction, Error(found.variance**0.5, df if found.df is None else found.df, found.kind)


def robust(problem: Streamed, estimand: str) -> Robust:
    """Correction and variance of the run's `linear` estimate.

    The first run that asks has one scan made for all runs of the family that the study has (estimators, specifications,
    estimands): the rows are read once, and a further estimate costs a few sums.
    """
    key = ("robust", *_run(problem, estimand))
    if key not in problem.cache:
        for run, found in _scanned(problem, _together(problem, estimand)).items():
            problem.cache["robust", *run] = found
    return problem.cache[key]


Run = tuple[str, str, str]


def _run(problem: Streamed, estimand: str) -> Run:
    return problem.estimator, problem.specification, estimand


def linear(problem: Streamed, estimand: str) -> Linear | None:
    """The run's estimate before its variance, solved once."""
    key = ("linear", *_run(problem, estimand))
    if key not in problem.cache:
        module = load(f"estimators.streamed.{problem.estimator}")
        problem.cache[key] = module.linear(problem, estimand)
    return problem.cache[key]


def _together(problem: Streamed, estimand: str) -> dict[Run, Linear]:
    """The run's estimate and all that the same scan can serve."""
    own = linear(problem, estimand)
    assert own is not None
    found = {_run(problem, estimand): own}
    for other, name in _others(problem):
        run = _run(other, name)
        if run in found or ("robust", *run) in problem.cache:
            continue
        try:
            one = linear(other, name)
        except Exception:  # whatever is wrong with it, its own run will say so
            continue
        if one is not None and _shares(one, own) and (one.groups != "fold" or other.n_folds == problem.n_folds):
            found[run] = one
    return found


def _others(problem: Streamed) -> Iterator[tuple[Streamed, str]]:
    study = problem.study
    for estimator in (BY_NAME[name] for name in FAMILY if not problem.alone):
        if estimator.suits(study, problem.kind):
            for specification in study.specification_names():
                if study.runs(specification, estimator.name):
                    for estimand in estimator.estimands:
                        yield problem.for_run(estimator.name, specification), estimand


def _shares(one: Linear, other: Linear) -> bool:
    """Whether both have the same columns in the same units."""
    a, b = one.moments, other.moments
    return a.names == b.names and np.array_equal(a.shift, b.shift) and np.array_equal(a.scale, b.scale)


def _scanned(problem: Streamed, runs: dict[Run, Linear]) -> dict[Run, Robust]:
    ways = {one.groups for one in runs.values()}
    arms, folds = 2 if "arm" in ways else 1, problem.n_folds if "fold" in ways else 1
    parts = ([f"({problem.fold()}) * {arms}"] if folds > 1 else []) + ([problem.treated()] if arms > 1 else [])
    code = np.arange(folds * arms)
    place = {"all": np.zeros(1, dtype=int), "arm": code % arms, "fold": code // arms}
    plan = dataclasses.replace(_plan(problem), group=" + ".join(parts) or None, n_groups=folds * arms)
    first = next(iter(runs.values()))
    scores, kinds = [_over(one.score, place[one.groups]) for one in runs.values()], [one.kind for one in runs.values()]
    found = hc.robust(problem.source, plan, first.moments, scores, kinds, problem.n_clusters)
    return dict(zip(runs, found, strict=True))


def _over(score: Score, place: np.ndarray) -> Score:
    """The score with its forms laid out by the scan's groups: group g has those at ``place[g]``."""
    return score.of(lambda form: form[place] if len(form) > 1 else form)


def _plan(problem: Streamed) -> Plan:
    """The shared scan's columns, with weight and cluster, without groups."""
    from ..scan.columns import cluster_key

    study = problem.study
    key = cluster_key(study.cluster, problem.types[study.cluster]) if study.cluster else None
    return Plan(problem.everything(), quoted(study.weight) if study.weight else None, cluster=key)
