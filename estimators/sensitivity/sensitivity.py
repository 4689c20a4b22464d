"""Sensitivity of least squares to confounders that nobody measured, by every method beside each other."""

from __future__ import annotations

import numpy as np

from ..errors import Refusal
from ..estimates import made
from ..inference import standard_error
from ..linear import LinearFit, coefficient_error, fit_ols
from ..problem import Problem
from ..result import CurvePoint, Diagnostic, Estimate, Result, SensitivityRow
from ..sample import check_sample, counts, reference_df, regression_variance
from ..selection_on_observables.ols import TREATMENT, dropped_columns, fit_with_treatment
from .analyse import benchmark_columns, robustness_key
from .contours import contours
from .oster import MULTIPLE, Regressions, Selection, oster_curve, oster_rows
from .pairs import pair_differences
from .robustness_value import Robustness, adjusted_error, confounder, robustness_from
from .rosenbaum import SignedRank, rosenbaum_curves, rosenbaum_rows

GAMMAS = (1.0, 1.5, 2.0, 3.0)
EXACT = 1e-12


def sensitivity(problem: Problem, estimand: str) -> Result:
    """The additive least-squares effect, and what hidden confounders of stated strengths would leave of it.

    ``overall``: β in Y = α + β T + X'γ + u. ``oster_delta=1``: β* = β̃ − ν, the effect if unobserved confounders were as
    related to the treatment as the observed ones (Oster 2019; ν solves her cubic with Rmax), its error by the delta
    method. ``benchmark=<covariate>``: β̂ − sign(β̂) se √(R²y R²d df / (1 − R²d)), the effect that a confounder once as
    strong as that covariate would leave in the worst direction (Cinelli & Hazlett 2020), its error
    se √((1 − R²y) / (1 − R²d) · df / (df − 1)); of the benchmarks the one that takes away most.

    Parameters
    ----------
    problem : Problem
        Roles outcome, treatment (binary or continuous), covariates. Options ``variance``, ``covariates``, ``r2_max``,
        ``caliper`` and ``gammas``.
    estimand : str
        ATE, a unit of treatment where that is continuous.

    Returns
    -------
    Result
        Sensitivity rows ``oster`` and ``rosenbaum`` (signed ranks of pairs, see `pairs.pair_differences`); E-values,
        robustness values, benchmarks and tipping points are added to every run by `analyse`. Curves
        ``confounding_contours``, ``confounding_benchmarks``, ``rosenbaum_p``, ``rosenbaum_effect``, ``oster_beta``.

    Raises
    ------
    Refusal
        ``not_identified`` where the covariates explain the treatment; ``refused`` where rows are too few, the
        regression fits exactly or an option means nothing. A method that does not apply (pairs of a weighted study,
        a benchmark that explains the treatment wholly) loses its own row and says why.

    Notes
    -----
    Sampling weights enter as weighted least squares. A declared cluster gives the cluster-robust variance; the
    factor of the benchmark's standard error is exact for the classical variance and taken over for the others. Rows
    with missing values have been left out or refused before.

    References
    ----------
    Cinelli & Hazlett (2020), JRSS-B 82; Oster (2019), JBES 37; Rosenbaum (2002), Observational Studies, ch. 4.
    """
    check_sample(problem)
    gammas = _gammas(problem)
    x = problem.matrix(problem.covariate_terms())
    fit = fit_with_treatment(problem, x.values, x.names, np.empty((problem.n, 0)), ())
    if fit.r2 > 1 - EXACT:
        reason = "treatment and covariates explain the outcome entirely, so nothing is left to a hidden confounder"
        raise Refusal(reason, "Drop the covariate that defines the outcome")
    first = fit_ols(problem.t, x.values, x.names, problem.weights)
    short = fit_ols(problem.y, problem.t[:, None], (TREATMENT,), problem.weights)
    got = _robustness(problem, fit, first)
    regressions = Regressions(problem.y, short, fit, first, TREATMENT)
    found = regressions.selection(problem.own("r2_max"))
    kind, j = regression_variance(problem, problem.own("variance")), fit.index(TREATMENT)
    error = coefficient_error(fit, j, kind, problem.cluster)
    overall = made(estimand, float(fit.coef[j]), error.std_error, error.df, **_fields(problem, error.kind))
    rows, curves, pairs = _rosenbaum(problem, gammas)
    return Result(
        (overall, _oster(problem, estimand, regressions, found), *_benchmark(problem, overall, got)),
        (
            Diagnostic("r2", "overall", fit.r2), Diagnostic("r2_short", "overall", short.r2),
            Diagnostic("r2_max", "overall", found.r2_max), *pairs, *dropped_columns(fit),
        ),
        (*contours(got, _minimum(problem)), *oster_curve(found), *curves),
        (*oster_rows(found, problem.study.outcome_unit), *rows),
    )  # fmt: skip


def _fields(problem: Problem, kind: str) -> dict[str, object]:
    binary = problem.kind == "binary"
    return {
        "contrast": "1 - 0" if binary else "per unit", "variance_estimator": kind, **counts(problem, binary=binary),
    }  # fmt: skip


def _gammas(problem: Problem) -> tuple[float, ...]:
    asked = problem.own("gammas")
    gammas = GAMMAS if asked is None else tuple(asked)
    if not all(isinstance(g, (int, float)) and not isinstance(g, bool) and 1 <= g < np.inf for g in gammas):
        raise Refusal(f"gammas are numbers from 1 on, not {list(gammas)}", "Mend options: sensitivity")
    caliper = problem.own("caliper")
    if caliper is not None and caliper <= 0:
        raise Refusal(f"the caliper must be positive, not {caliper:g}", "Mend options: sensitivity")
    return tuple(sorted({float(g) for g in gammas}))


def _robustness(problem: Problem, fit: LinearFit, first: LinearFit) -> Robustness:
    """Robustness of the same fits, kept where `analyse` looks for it."""
    assert problem.study.treatment is not None
    terms = problem.covariate_terms()
    key = robustness_key(problem.study.treatment, terms)
    if problem.cache.get(key) is None:
        benchmarks = benchmark_columns(problem.study, terms, lambda term: problem.matrix((term,)).names)
        try:
            problem.cache[key] = robustness_from(fit, first, TREATMENT, benchmarks)
        except ValueError as exact:
            raise Refusal(f"the outcome regression cannot be judged: {exact}", "Check the outcome's units") from None
    return problem.cache[key]


def _oster(problem: Problem, estimand: str, regressions: Regressions, found: Selection) -> Estimate:
    term = "oster_delta=1"
    try:
        beta = found.beta()
    except Refusal as refusal:
        return Estimate(estimand, term, status=refusal.status, status_reason=str(refusal))
    is_multiple = problem.own("r2_max") is None and MULTIPLE * found.r2_controlled < 1
    psi = regressions.influence(found, is_multiple)
    return made(
        estimand, beta, standard_error(psi, problem.cluster),
        reference_df(problem, regressions.controlled.degrees_of_freedom), term=term,
        **_fields(problem, "influence_function"),
    )  # fmt: skip


def _benchmark(problem: Problem, overall: Estimate, got: Robustness) -> tuple[Estimate, ...]:
    """The row of the benchmark that takes away most; none without benchmarks."""
    if not got.benchmarks:
        return ()
    sign = np.sign(got.estimate)
    name = min(got.benchmarks, key=lambda term: _left(got, term, sign))
    z, term = confounder(got.strengths[name]), f"benchmark={name}"
    df, left = got.degrees_of_freedom, got.benchmarks[name]
    if z is None or left is None or z.outcome >= 1 or df < 2:
        what = "treatment" if z is None else "outcome"
        reason = f"a confounder as strong as '{name}' would explain the {what} wholly. Name other benchmark_covariates"
        return (Estimate(overall.estimand, term, overall.contrast, status="not_identified", status_reason=reason),)
    assert overall.std_error is not None
    return (
        made(
            overall.estimand, left, adjusted_error(overall.std_error, df, z),
            reference_df(problem, df - 1), term=term, **_fields(problem, str(overall.variance_estimator)),
        ),
    )  # fmt: skip


def _left(got: Robustness, term: str, sign: float) -> float:
    left = got.benchmarks[term]
    return -np.inf if left is None else float(sign * left)


def _minimum(problem: Problem) -> float:
    rule = problem.study.decision
    return -rule.minimum_effect if rule.desired_direction == "less" else rule.minimum_effect


def _rosenbaum(
    problem: Problem, gammas: tuple[float, ...]
) -> tuple[tuple[SensitivityRow, ...], tuple[CurvePoint, ...], tuple[Diagnostic, ...]]:
    """Rows, curves and the number of pairs; a row with the reason where the bounds do not apply."""
    try:
        gaps = pair_differences(problem, problem.own("caliper"))
        test = SignedRank.of(gaps)
    except Refusal as refusal:
        return (SensitivityRow("rosenbaum", "gamma", None, str(refusal)),), (), ()
    told = (Diagnostic("rosenbaum_pairs", "overall", float(len(gaps))),)
    return rosenbaum_rows(test, gammas, problem.study.outcome_unit), rosenbaum_curves(test, gammas), told
