"""Staggered difference-in-differences after Callaway & Sant'Anna (2021)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import Refusal
from ..estimates import made
from ..inference import in_students_t, simultaneous_critical_value, wald
from ..problem import Problem
from ..result import CurvePoint, Diagnostic, Estimate, Result
from .aggregate import Average, Averages, Shares, averages_of
from .att_gt import Cell, GroupTime, group_time_effects
from .honest_did import Honest, honest_did
from .labels import label
from .left_out import left_words
from .pretrends import LEVEL, PreTrends, sample_test, setting_of, tried
from .sample import Compared, Sample, take_sample

if TYPE_CHECKING:
    from ..streamed.problem import Streamed


def did(problem: Problem, estimand: str) -> Result:
    """Average effect of treatment on units of a cohort after its first treated period, from group-time effects.

    ATT(g, t) = E[Y_t − Y_base | G = g] − E[Y_t − Y_base | controls], given covariates by ``method``
    (`two_period.effect`), with a varying base period (`att_gt`). The row ``overall`` is their average weighted by
    cohort shares; ``dynamic``, ``group`` and ``calendar`` are the paper's other overall averages; rows
    ``event_time=…``, ``cohort=…``, ``time=…`` and ``cohort=…:time=…`` (pre-periods too) stand below.

    Standard errors are analytic, pointwise, from influence values a unit that count the estimation of cohort shares,
    propensities and outcome regressions; with a declared cluster (at or above the unit) they are summed by cluster,
    each cohort's jackknifed, with Student's t of the effective number of clusters (`clusters.Arms`);
    ``cluster_variance: sandwich`` gives G / (G − 1) times the sums' squares, and the normal.
    Curve ``event_study`` carries both the pointwise interval and a simultaneous band by the multiplier bootstrap,
    ``att_gt`` the pointwise interval. Sensitivity rows ``honest_did`` tell how far trends may differ after treatment
    (`honest_did.honest_did`), with a curve of the same name.

    Parameters
    ----------
    problem : Problem
        Roles unit, time, cohort (first treated period; NULL or ``never``: never) and outcome; covariates are
        read in the base
        period. Options control_group, method, covariates, bootstrap, honest; the propensity's link is the study's.
    estimand : str
        ATT.

    Returns
    -------
    Result
        ``n_trimmed`` counts units that miss a period and units treated in the first period. Weights are not supported.

    Raises
    ------
    Refusal
        See `sample.take_sample`; also if no effect after treatment has controls, or a cell's model fails.

    References
    ----------
    Callaway & Sant'Anna (2021), Journal of Econometrics 225; Sant'Anna & Zhao (2020), Journal of Econometrics 219;
    Rambachan & Roth (2023), Review of Economic Studies 90.
    """
    sample = take_sample(problem)
    link = problem.options.propensity.link
    effects = group_time_effects(sample, problem.own("control_group"), problem.own("method"), link)
    shares = Shares.of(sample.cohort)
    found = overall_averages(effects, shares)
    test = tried(lambda: sample_test(effects, sample, setting_of(problem)))
    return assembled(problem, estimand, effects, shares, found, sample, _critical(found, sample, problem), test)


def overall_averages(effects: GroupTime, shares: Shares) -> Averages:
    """`averages_of` the effects; refuses where there is none after treatment."""
    if not effects.is_post.any():
        raise Refusal("no period after treatment has control units", "Add units that are treated later or never")
    return averages_of(effects, shares)


def assembled(
    problem: Problem | Streamed, estimand: str, effects: GroupTime, shares: Shares, found: Averages, sample: Compared,
    critical: float, test: PreTrends | None,
) -> Result:  # fmt: skip
    """Rows, diagnostics, curves and sensitivity of all effects; ``critical`` is the simultaneous band's value, and
    ``test`` that of the trends before treatment."""
    rows = [*found.overall, *found.event_time, *found.cohort, *found.time]
    estimates = [_average_row(estimand, one, sample) for one in rows]
    estimates += [_cell_row(estimand, c, effects.psi[:, k], sample) for k, c in enumerate(effects.cells)]
    diagnostics = _diagnostics(effects, sample, critical, test)
    after = tuple(one for one in found.event_time if one.at is not None and one.at >= 0)
    asked = problem.own("honest")
    honest = honest_did(effects, shares, after, sample, problem.study.seed) if asked else Honest()
    words = left_words(
        sample.sizes, {c.cohort for c in effects.cells if c.is_post}, sample.n_incomplete, sample.n_always_treated,
        effects.n_skipped,
    )  # fmt: skip
    if words:
        estimates[0] = dataclasses.replace(estimates[0], status_reason=words)
    curves = [*_event_study(found, sample, critical), *_att_gt(effects, sample), *honest.curves]
    return Result(tuple(estimates), diagnostics, tuple(curves), honest.rows)


def _common(sample: Compared) -> dict[str, Any]:
    return {
        "n_clusters": sample.n_clusters,
        "n_trimmed": sample.n_incomplete + sample.n_always_treated,
        "variance_estimator": "influence_function" if sample.n_clusters is None else "cluster",
    }


def _average_row(estimand: str, one: Average, sample: Compared) -> Estimate:
    treated, se = sample.size(one.groups), sample.standard_error(one.psi)
    df = sample.reference_df(one.groups)
    return made(estimand, one.estimate, se, df, term=one.term, n_units=sample.n, n_treated=treated, **_common(sample))


def _cell_row(estimand: str, cell: Cell, psi: np.ndarray, sample: Compared) -> Estimate:
    sizes = {"n_units": cell.n_treated + cell.n_controls, "n_treated": cell.n_treated}
    se, df = sample.standard_error(psi), sample.reference_df([cell.cohort])
    return made(estimand, cell.att, se, df, term=_term(cell), **sizes, **_common(sample))


def _term(cell: Cell) -> str:
    return f"cohort={label(cell.cohort)}:time={label(cell.time)}"


def _critical(found: Averages, sample: Sample, problem: Problem) -> float:
    psi = np.column_stack([one.psi for one in found.event_time])
    critical = simultaneous_critical_value(psi, sample.cluster, problem.study.seed, problem.own("bootstrap"))
    return in_students_t(critical, band_df(found, sample))


def band_df(found: Averages, sample: Compared) -> float | None:
    """The fewest degrees of freedom among the event-time averages; None for the normal."""
    every = [sample.reference_df(one.groups) for one in found.event_time]
    return min((df for df in every if df is not None), default=None)


def _event_study(found: Averages, sample: Compared, critical: float) -> list[CurvePoint]:
    pointwise, simultaneous = [], []
    for one in found.event_time:
        se = sample.standard_error(one.psi)
        bounds = wald(one.estimate, se, sample.reference_df(one.groups))
        band = (one.estimate - critical * se, one.estimate + critical * se) if se > 0 else (None, None)
        shared: dict[str, Any] = {"x": one.at, "y": one.estimate, "x_label": one.term.removeprefix("event_time=")}
        pointwise.append(
            CurvePoint("event_study", "pointwise", conf_low=bounds.conf_low, conf_high=bounds.conf_high, **shared)
        )
        simultaneous.append(CurvePoint("event_study", "simultaneous", conf_low=band[0], conf_high=band[1], **shared))
    return pointwise + simultaneous


def _att_gt(effects: GroupTime, sample: Compared) -> list[CurvePoint]:
    points = []
    for k, cell in enumerate(effects.cells):
        bounds = wald(cell.att, sample.standard_error(effects.psi[:, k]), sample.reference_df([cell.cohort]))
        low, high, series = bounds.conf_low, bounds.conf_high, f"cohort={label(cell.cohort)}"
        points.append(CurvePoint("att_gt", series, cell.time, cell.att, label(cell.time), low, high))
    return points


def _diagnostics(
    effects: GroupTime, sample: Compared, critical: float, test: PreTrends | None
) -> tuple[Diagnostic, ...]:
    out = [
        Diagnostic("pre_trends_p", "overall", test.p_value, LEVEL, test.p_value > LEVEL)
        if test is not None
        else Diagnostic("pre_trends_p", "overall", None, LEVEL),
        Diagnostic("pre_trends_power", "overall", None if test is None else test.power),
        Diagnostic("simultaneous_critical_value", "event_study", critical),
        Diagnostic("units_incomplete", "overall", float(sample.n_incomplete)),
        Diagnostic("units_always_treated", "overall", float(sample.n_always_treated)),
        Diagnostic("cells_without_controls", "overall", float(effects.n_skipped)),
    ]
    seen = {c.cohort for c in effects.cells if c.is_post}
    gone = [(g, size) for g, size in sample.sizes.items() if np.isfinite(g) and g not in seen]
    out += [Diagnostic("cohort_left_out", f"cohort={label(g)}", float(size)) for g, size in gone]
    out += [
        Diagnostic("propensity_trimmed", _term(cell), float(cell.n_trimmed)) for cell in effects.cells if cell.n_trimmed
    ]
    return tuple(out)
