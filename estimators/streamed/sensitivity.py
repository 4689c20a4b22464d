"""Sensitivity of a streamed run to unmeasured confounding, from sums."""

from __future__ import annotations

from ..registry import BY_NAME
from ..result import Estimate, Result, SensitivityRow
from ..scan.solve import least_squares
from ..sensitivity.analyse import SKIPPED, Analysis, benchmark_columns, evalues, robustness_key
from ..sensitivity.evalue import RiskRatios, binary_ratios, continuous_ratios
from ..sensitivity.robustness_value import Robustness, Strengths, kept_benchmarks, robustness_of, robustness_rows
from ..sensitivity.tipping import is_decisive, tipping_rows
from .baseline import mean_untreated
from .linear import totals
from .problem import Streamed
from .sample import sample


def analyse(problem: Streamed, result: Result) -> Analysis:
    """Sensitivity of one run to unmeasured confounding: the rows and curves of `estimators.sensitivity.analyse`.

    Robustness values, partial R² and benchmarks follow from the shared scan. E-values need the outcome's spread or, for
    an outcome of 0 and 1, its mean without treatment; that of the overlap population (ATO) takes one scan more.

    Parameters
    ----------
    problem : Streamed
        The run, of a study with a treatment.
    result : Result
        Its estimates; the ``overall`` term counts, where it is estimated.
    """
    overall = [e for e in result.estimates if e.term == "overall" and e.status == "estimated"]
    if problem.study.treatment is None or not overall or overall[0].estimate is None:
        return Analysis()
    if "instruments" in BY_NAME[problem.estimator].needs:
        return Analysis(_robustness_of_instrument(problem))
    try:
        ratios = _ratios(problem, overall[0])
    except SKIPPED:
        ratios = None
    confounding = evalues(overall[0], ratios, problem.study.outcome_unit)
    rows = _robustness_of(problem, problem.study.treatment, problem.study.covariates, "treatment")
    tipping: tuple[SensitivityRow, ...] = ()
    if is_decisive(problem.study, problem.estimator, overall[0]):
        got = problem.cache[robustness_key(problem.study.treatment, problem.study.covariates)]
        tipping = tipping_rows(overall[0], problem.study, got)
    return Analysis((*confounding.rows, *rows, *tipping), confounding.curves)


def _ratios(problem: Streamed, effect: Estimate) -> RiskRatios | None:
    """The effect as risk ratios; None for a constant outcome or where no risk ratio exists."""
    if sample(problem).outcome_is_binary:
        return binary_ratios(effect, _baseline_risk(problem, effect))
    moments = totals(problem)
    y = moments.names.index(problem.study.outcome)
    sd = float(moments.covariance()[y, y] * problem.n / (problem.n - 1)) ** 0.5
    return continuous_ratios(effect, sd) if sd > 0 else None


def _baseline_risk(problem: Streamed, effect: Estimate) -> float:
    """E[Y(0)] of the estimand's population; see `estimators.sensitivity.evalue.baseline_risk`."""
    assert effect.estimate is not None
    moments = totals(problem)
    y = moments.names.index(problem.study.outcome)
    if problem.kind != "binary":
        return float(moments.means()[y])
    if effect.estimand == "ATT":
        return float(moments.only(1).means()[y]) - effect.estimate
    return mean_untreated(problem, overlap=effect.estimand == "ATO")


def _robustness_of_instrument(problem: Streamed) -> tuple[SensitivityRow, ...]:
    instruments = problem.names(tuple(problem.own("instruments") or problem.study.instruments))
    if len(instruments) != 1:
        return ()
    return _robustness_of(problem, instruments[0], problem.covariate_terms(), "instrument")


def _robustness_of(
    problem: Streamed, subject: str, covariates: tuple[str, ...], role: str
) -> tuple[SensitivityRow, ...]:
    key = robustness_key(subject, covariates)
    if key not in problem.cache:
        problem.cache[key] = _fitted(problem, subject, covariates)
    got: Robustness | None = problem.cache[key]
    return () if got is None else robustness_rows(got, subject, role, problem.study.outcome_unit)


def _fitted(problem: Streamed, subject: str, covariates: tuple[str, ...]) -> Robustness | None:
    x, moments = problem.names(covariates), totals(problem)
    benchmarks = benchmark_columns(problem.study, covariates, lambda term: problem.names((term,)))
    try:
        outcome = least_squares(moments, problem.study.outcome, (*x, subject))
        treatment = least_squares(moments, subject, x)
        strengths = {
            name: Strengths(treatment.partial_r2(kept), outcome.partial_r2(kept))
            for name, kept in kept_benchmarks(benchmarks, outcome.names, treatment.names).items()
        }
        se = outcome.classical(subject)
        return robustness_of(outcome.coefficient(subject), se, outcome.degrees_of_freedom, strengths)
    except SKIPPED:
        return None
