"""What every run of an estimator is asked afterwards: how wrong would its assumptions have to be?"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..problem import Problem
from ..registry import BY_NAME
from ..result import CurvePoint, Estimate, Result, SensitivityRow
from ..study import Study
from .evalue import RiskRatios, evalue_rows, frontier_curve, ratios_of, residual_curve
from .robustness_value import Robustness, robustness, robustness_rows
from .tipping import is_decisive, tipping_rows

# With as many covariates, benchmarks are only those that the study names; nor is a category with as many columns one by
# itself, because the R² of so many indicators is mostly noise.
FEW = 15

# What arithmetic on odd data can throw; anything else is a mistake in the code and must be seen.
SKIPPED = (Refusal, ValueError, KeyError, ArithmeticError, np.linalg.LinAlgError)


@dataclass(frozen=True)
class Analysis:
    """Sensitivity rows and the curves that go with them; both empty where nothing applies."""

    rows: tuple[SensitivityRow, ...] = ()
    curves: tuple[CurvePoint, ...] = ()


def analyse(problem: Problem, result: Result) -> Analysis:
    """Sensitivity of one run to unmeasured confounding; skips what does not apply and does not raise.

    Parameters
    ----------
    problem : Problem
        The run, of a study with a treatment.
    result : Result
        Its estimates; the ``overall`` term counts, where it is estimated.

    Returns
    -------
    Analysis
        E-values with their curves, from the run's own estimate and interval. Robustness values, partial R² and
        benchmarks from the study's additive least squares of the outcome on the treatment and its covariates (with its
        weights; classical t, whatever the clusters): the same for every estimator of the study. Tipping points of the
        run that the decision reads, from its own interval. For instrumental
        variables confounding of the treatment is no threat, so E-values do not apply, and with one instrument the
        robustness value is that of the outcome on the instrument: it brings the IV estimate to zero just where that
        coefficient is zero (Cinelli & Hazlett 2025, Biometrika).

    Notes
    -----
    E-values of a treatment that is not binary are about one unit of it, so they change with its unit.
    """
    overall = [e for e in result.estimates if e.term == "overall" and e.status == "estimated"]
    if problem.study.treatment is None or not overall or overall[0].estimate is None:
        return Analysis()
    if "instruments" in BY_NAME[problem.estimator].needs:
        return Analysis(_robustness_of_instrument(problem))
    confounding = _evalues(problem, overall[0])
    rows = _robustness_of(problem, problem.study.treatment, problem.t, problem.study.covariates, "treatment")
    tipping: tuple[SensitivityRow, ...] = ()
    if is_decisive(problem.study, problem.estimator, overall[0]):
        got = problem.cache[robustness_key(problem.study.treatment, problem.study.covariates)]
        tipping = tipping_rows(overall[0], problem.study, got)
    return Analysis((*confounding.rows, *rows, *tipping), confounding.curves)


def _evalues(problem: Problem, effect: Estimate) -> Analysis:
    try:
        ratios = ratios_of(problem, effect)
    except SKIPPED:
        return Analysis()
    return evalues(effect, ratios, problem.study.outcome_unit)


def evalues(effect: Estimate, ratios: RiskRatios | None, unit: str | None) -> Analysis:
    """Rows and curves of an effect as risk ratios; none without them."""
    if ratios is None:
        return Analysis()
    return Analysis(evalue_rows(effect, ratios, unit), (*residual_curve(ratios), *frontier_curve(ratios)))


def _robustness_of_instrument(problem: Problem) -> tuple[SensitivityRow, ...]:
    instruments = problem.matrix(tuple(problem.own("instruments") or problem.study.instruments))
    if len(instruments.names) != 1:
        return ()
    return _robustness_of(
        problem, instruments.names[0], instruments.values[:, 0], problem.covariate_terms(), "instrument"
    )


def _robustness_of(
    problem: Problem, subject: str, t: np.ndarray, covariates: tuple[str, ...], role: str
) -> tuple[SensitivityRow, ...]:
    key = robustness_key(subject, covariates)
    if key not in problem.cache:
        problem.cache[key] = _fitted(problem, t, covariates)
    got: Robustness | None = problem.cache[key]
    return () if got is None else robustness_rows(got, subject, role, problem.study.outcome_unit)


def robustness_key(subject: str, covariates: tuple[str, ...]) -> Hashable:
    """Where the cache keeps the robustness of a column's coefficient given these terms."""
    return ("robustness", subject, covariates)


def _fitted(problem: Problem, t: np.ndarray, covariates: tuple[str, ...]) -> Robustness | None:
    x = problem.matrix(covariates)
    benchmarks = benchmark_columns(problem.study, covariates, lambda term: problem.matrix((term,)).names)
    try:
        return robustness(problem.y, t, x.values, x.names, benchmarks, problem.weights)
    except SKIPPED:
        return None


def benchmark_columns(
    study: Study, covariates: tuple[str, ...], names: Callable[[str], tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Each benchmark term with its columns; the columns of a category are one group.

    ``names`` gives the columns of a term.
    """
    if study.benchmark_covariates:
        return {term: names(term) for term in study.benchmark_covariates}
    named = covariates if len(covariates) < FEW else ()
    columns = {term: names(term) for term in named}
    return {term: own for term, own in columns.items() if len(own) < FEW}
