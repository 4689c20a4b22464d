"""Causal mediation: how much of an effect passes through a mediator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..clusters import check_draws
from ..errors import Refusal
from ..estimates import made
from ..problem import Problem
from ..result import CurvePoint, Diagnostic, Estimate, Result, SensitivityRow, number
from ..sample import check_arms, check_sample, counts
from .draws import delta_covariance, effects_of, resample, simulate
from .effects import CONTRASTS, NAMES, mean_worlds, rows_of
from .models import LINEAR, PROBIT, Fitted, Sides, fit_sides
from .rho import Sensitivity, sensitivity
from .steps import fit_diagnostics, interaction_diagnostic, path_diagnostics, path_points, paths

FEWEST_DRAWS = 100


@dataclass(frozen=True)
class Mechanism:
    """One analysis, from which the rows of all estimands are read.

    ``effects`` has shape (7,) in the order of `effects.NAMES`, ``vcov`` (7, 7), ``draws`` (B, 7) or None.
    """

    effects: np.ndarray
    vcov: np.ndarray
    draws: np.ndarray | None
    diagnostics: tuple[Diagnostic, ...]
    curves: tuple[CurvePoint, ...]
    sensitivity: tuple[SensitivityRow, ...]


def mediation(problem: Problem, estimand: str) -> Result:
    """The part of an effect that passes through a mediator M (ACME) and the part that does not (ADE).

    δ(t) = E[Y(t, M(1)) − Y(t, M(0))], ζ(t) = E[Y(1, M(t)) − Y(0, M(t))] and τ = E[Y(1, M(1)) − Y(0, M(0))], which is
    δ(t) + ζ(1 − t); the rows ``control`` and ``treated`` are t = 0 and 1, ``overall`` their mean. A mean over the
    units' covariates, in units of the outcome (of probability, where it is binary). Estimand TOTAL also gives SHARE,
    the ACME over the total effect; it is refused where the total effect cannot be told from zero, because the ratio
    then has no bounded interval (Fieller 1954). 1 and 0 are the options ``high`` and ``low``, for a treatment of many
    values.

    Models: M on (1, T, X) and Y on (1, T, M, X), with T·M where ``interaction`` is set; linear, or for a column of
    zeros and ones (``auto``) a probit. E[Y | t, m, X] is integrated over M | t′, X exactly (in a logit by 24
    Gauss–Hermite nodes), so that the estimate carries no simulation error.

    Inference: ``quasi_bayesian`` draws the parameters from their sampling law (Imai, Keele & Tingley 2010),
    ``bootstrap`` resamples units (percentiles of the draws, both), ``delta`` takes derivatives. ``variance: robust``
    holds for any error variance and for another draw of covariates; ``model`` is that of the R package: the models' own
    covariances, covariates and σ given. A declared cluster is resampled as a whole, or its influence values are added
    up, with G − 1 degrees of freedom; it overrides ``variance``. Sampling weights enter both models and all means. Rows
    with missing values have been left out or refused before.

    Diagnostics: ``path``, ``path_std_error``, ``path_p`` of Baron & Kenny's a, b, c, c_prime, ``sobel_z``, ``sobel_p``,
    ``interaction_p``, ``adjusted_r2``, ``draws_failed``. Curves ``mediation_paths`` and ``mediation_sensitivity``.
    Sensitivity: the correlation ρ of the two errors at which the ACME vanishes.

    Raises
    ------
    Refusal
        If the mediator does not vary, a model cannot be fitted, the covariates explain mediator or treatment
        (``not_identified``), a binary model is asked for another column, or more than a tenth of the resamples fail.

    Sources
    -------
    Baron & Kenny 1986; Sobel 1982; Imai, Keele & Tingley 2010; Imai, Keele & Yamamoto 2010.
    """
    key = ("mediation", tuple(sorted(problem.options.own.items())))
    if key not in problem.cache:
        problem.cache[key] = _analyse(problem)
    found: Mechanism = problem.cache[key]
    fields = _fields(problem)
    rows = [_row(found, j, fields) for j, (name, _) in enumerate(NAMES) if name == estimand]
    if estimand == "TOTAL":
        rows += _shares(found, rows[0], fields)
    if estimand != "ACME":  # what belongs to the analysis is told once
        return Result(tuple(rows))
    return Result(tuple(rows), found.diagnostics, found.curves, found.sensitivity)


def _analyse(problem: Problem) -> Mechanism:
    sides, cluster, own = _sides(problem), problem.cluster, problem.own
    robust, interaction = own("variance") == "robust", own("interaction")
    fit = fit_sides(sides, interaction, robust, cluster)
    z, share = rows_of(sides)
    effects = effects_of(mean_worlds(sides, fit.layout, fit.theta[:, None], z, share))[0]
    vcov = CONTRASTS @ delta_covariance(sides, fit, cluster, robust) @ CONTRASTS.T
    draws, failed = _draws(problem, sides, fit, robust)
    plain = fit_sides(sides, False, robust, cluster) if interaction else fit
    steps = paths(sides, plain, robust, cluster)
    checks = (
        *path_diagnostics(steps), *interaction_diagnostic(sides, interaction, robust, cluster),
        *fit_diagnostics(sides, fit), Diagnostic("draws_failed", "overall", float(failed)),
    )  # fmt: skip
    rho: Sensitivity = sensitivity(sides, fit)
    return Mechanism(effects, vcov, draws, checks, (*path_points(steps), *rho.curves), rho.rows)


def _draws(problem: Problem, sides: Sides, fit: Fitted, robust: bool) -> tuple[np.ndarray | None, int]:
    kind, draws, seed = problem.own("inference"), problem.own("draws"), problem.study.seed
    if kind == "delta":
        return None, 0
    if draws < FEWEST_DRAWS:
        reason = f"draws is {draws}, too few for the ends of a 95 % interval"
        raise Refusal(reason, f"Ask at least {FEWEST_DRAWS}, or `inference: delta`")
    if kind == "bootstrap":
        means, failed = resample(sides, fit, problem.cluster, draws, seed)
        return effects_of(means), failed
    return effects_of(simulate(sides, fit, problem.cluster, robust, draws, seed)), 0


def _sides(problem: Problem) -> Sides:
    study, own = problem.study, problem.own
    assert study.mediator is not None
    assert study.treatment is not None
    check_arms(problem) if problem.kind == "binary" else check_sample(problem)
    check_draws(problem)
    mediator = problem.columns[study.mediator]
    if np.ptp(mediator[problem.w > 0]) == 0:
        reason = f"the mediator '{study.mediator}' is {mediator[0]:g} in every row"
        raise Refusal(reason, "Name a mediator that varies", "not_identified")
    x = problem.matrix(problem.covariate_terms())
    y_model = _model(problem.y, own("outcome_model"), study.outcome, "outcome_model")
    m_model = _model(mediator, own("mediator_model"), study.mediator, "mediator_model")
    y, y_unit, _ = _scaled(problem.y, y_model == LINEAR)
    m, m_unit, _ = _scaled(mediator, m_model == LINEAR)
    t, t_unit, t_centre = _scaled(problem.t, problem.kind != "binary")
    low, high = float(own("low")), float(own("high"))
    if low == high:
        raise Refusal(f"high and low are both {low:g}", "Give two treatments to compare")
    return Sides(
        y, m, t, _standardised(x.values), problem.w, x.names, y_model, m_model, y_unit, m_unit, t_unit,
        (low - t_centre) / t_unit, (high - t_centre) / t_unit, (study.outcome, study.mediator, study.treatment),
    )  # fmt: skip


def _model(column: np.ndarray, asked: str, name: str, option: str) -> str:
    binary = set(np.unique(column)) <= {0.0, 1.0}
    if asked == "auto":
        return PROBIT if binary else LINEAR
    if asked != LINEAR and not binary:
        raise Refusal(f"{option} is {asked}, and '{name}' has values other than 0 and 1", f"Declare `{option}: linear`")
    return asked


def _scaled(column: np.ndarray, do: bool) -> tuple[np.ndarray, float, float]:
    """A column around its mean in standard deviations, with both; as it is where it stays 0 and 1."""
    if not do:
        return column, 1.0, 0.0
    centre, unit = float(column.mean()), float(column.std())
    return (column - centre) / unit, unit, centre


def _standardised(x: np.ndarray) -> np.ndarray:
    spread = x.std(axis=0)
    return (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


def _fields(problem: Problem) -> dict[str, Any]:
    kind, variance = problem.own("inference"), problem.own("variance")
    variance = "cluster" if problem.cluster is not None else variance
    contrast = f"{problem.own('high'):.10g} - {problem.own('low'):.10g}"
    label = kind if kind == "bootstrap" else f"{kind}_{variance}"
    fields = {**counts(problem, binary=problem.kind == "binary"), "contrast": contrast, "variance_estimator": label}
    if problem.n_clusters is not None:
        fields["df"] = problem.n_clusters - 1
    return fields


def _row(found: Mechanism, j: int, fields: dict[str, Any]) -> Estimate:
    draws = None if found.draws is None else found.draws[:, j]
    return _estimate(NAMES[j], found.effects[j], np.sqrt(max(found.vcov[j, j], 0.0)), draws, fields)


def _estimate(
    name: tuple[str, str], value: float, std_error: float, draws: np.ndarray | None, fields: dict[str, Any]
) -> Estimate:
    """A row by the delta method, or with the interval and p-value of its draws."""
    estimand, term = name
    if draws is None:
        return made(estimand, float(value), float(std_error), term=term, **fields)
    rest = {k: v for k, v in fields.items() if k != "df"}
    spread = float(draws.std(ddof=1)) if estimand != "SHARE" else float(std_error)
    low, high = np.quantile(draws, [0.025, 0.975])
    below, above = np.sum(draws <= 0), np.sum(draws >= 0)
    p = min(1.0, 2 * (1 + float(min(below, above))) / (1 + len(draws)))
    return Estimate(
        estimand, term, estimate=number(value), std_error=number(spread), p_value=p,
        statistic=number(value / spread) if spread > 0 else None, conf_low=number(low), conf_high=number(high), **rest,
    )  # fmt: skip


def _shares(found: Mechanism, total: Estimate, fields: dict[str, Any]) -> list[Estimate]:
    """The ACME over the total effect; refused where the total's interval holds zero."""
    low, high = total.conf_low, total.conf_high
    if low is None or high is None or low <= 0 <= high:
        reason = "the interval of the total effect holds zero, so a share of it has no bounded interval"
        return [
            Estimate("SHARE", term, contrast=fields["contrast"], status="refused", status_reason=reason)
            for term in ("overall", "control", "treated")
        ]
    rows = []
    tau = found.effects[-1]
    for j, (_, term) in enumerate(NAMES[:3]):
        value = found.effects[j] / tau
        slope = np.zeros(len(NAMES))
        slope[j], slope[-1] = 1 / tau, -value / tau
        draws = None if found.draws is None else found.draws[:, j] / found.draws[:, -1]
        rows.append(_estimate(("SHARE", term), value, np.sqrt(slope @ found.vcov @ slope), draws, fields))
    return rows
