"""What a panel's periods before treatment say about its design; no outcome after treatment is read."""

from __future__ import annotations

import numpy as np

from ..bounds import ROUNDING
from ..errors import Refusal
from ..problem import Problem
from ..result import DesignRow
from ..thresholds import limit
from .att_gt import group_time_effects
from .donors import donor_pool, synthetic
from .pretrends import PreTrends, sample_test, setting_of
from .sample import take_sample
from .starts import with_cohort

TREND_METRICS = ("pre_trends_p", "pre_trends_power", "pre_trends_detectable")
# Whose estimates rest on trends that are parallel without treatment.
PARALLEL = ("did", "twfe")
FIT_METRICS = ("pre_rmspe_ratio", "pre_rmspe_level")


def panel_design(problem: Problem) -> list[DesignRow]:
    """Design rows of a panel study (estimators ``did`` and ``twfe``) or of a synthetic control (``synthetic_control``).

    ``pre_trends_p`` is the joint test that every ATT(g, t) before treatment is zero (`pretrends.pre_trends`), by the
    options of ``did``; two-way fixed effects stand and fall with the same trends, and a study without a cohort has
    those of when its treatment starts (`starts.with_cohort`). ``pre_trends_power`` is the test's power at 5 % against
    a differential trend of the declared minimum effect a period, ``pre_trends_detectable`` the trend that it rejects
    with 80 % power. ``pre_rmspe_ratio`` and ``pre_rmspe_level`` are the synthetic control's pre-period RMSPE over the
    standard deviation (n − 1) and over the absolute mean of the treated unit's outcome before treatment. A value of
    None has the reason beside it.
    """
    if problem.study.design == "synthetic_control":
        return _fit_rows(problem.for_run("synthetic_control", "default"))
    return _trend_rows(problem.for_run("did", "default"))


def _trend_rows(problem: Problem) -> list[DesignRow]:
    try:
        problem = with_cohort(problem)
        sample, how = take_sample(problem), setting_of(problem)
        effects = group_time_effects(sample, how.control_group, how.method, how.link, pre_only=True)
        test = sample_test(effects, sample, how)
    except Refusal as refusal:
        return without_trends(str(refusal))
    return trend_rows(test)


def without_trends(reason: str) -> list[DesignRow]:
    """The rows of every estimator that needs parallel trends, without a value."""
    return [row for estimator in PARALLEL for row in without(estimator, TREND_METRICS, reason)]


def trend_rows(test: PreTrends | None) -> list[DesignRow]:
    """The design rows of the pre-trends test; None is a panel that has no pre-period effect."""
    if test is None:
        reason = "no cohort has two periods before treatment, so parallel trends cannot be tested"
        return without_trends(reason)
    return [row for estimator in PARALLEL for row in _rows_of(estimator, test)]


def _rows_of(estimator: str, test: PreTrends) -> list[DesignRow]:
    verdict = "rejected" if test.p_value < limit("pre_trends") else "not rejected"
    return [
        DesignRow(estimator, "pre_trends_p", "overall", test.p_value,
                  f"parallel trends before treatment are {verdict}: W = {test.statistic:.4g} of "
                  f"{test.degrees_of_freedom} effects, against {test.reference}: p = {test.p_value:.3g}; a "
                  f"differential trend of {test.detectable:.3g} a period would be noticed with 80 % power"),
        _power_row(estimator, test),
        DesignRow(estimator, "pre_trends_detectable", "overall", test.detectable,
                  "the smallest differential trend a period that the test rejects with 80 % power"),
    ]  # fmt: skip


def _power_row(estimator: str, test: PreTrends) -> DesignRow:
    if test.step == 0:
        reason = "not applicable: the minimum effect is 0; see pre_trends_detectable"
        return DesignRow(estimator, "pre_trends_power", "overall", None, reason)
    reason = f"the test would reject a differential trend of {test.step:g} a period (the minimum effect)"
    told = f"{reason} with probability {test.power:.2f} at the 5 % level"
    return DesignRow(estimator, "pre_trends_power", "overall", test.power, told)


def _fit_rows(problem: Problem) -> list[DesignRow]:
    try:
        pool = donor_pool(problem)
        before = pool.y1[: pool.n_pre]
        rmspe = synthetic(before, pool.y0[: pool.n_pre], pool.n_pre).pre_rmspe
    except Refusal as refusal:
        return without("synthetic_control", FIT_METRICS, str(refusal))
    spread, level = float(np.std(before, ddof=1)), abs(float(before.mean()))
    told = f"pre-period RMSPE {rmspe:.4g} of {pool.treated} against"
    rounding = ROUNDING * float(np.abs(before).max(initial=0.0))
    return [
        _share("pre_rmspe_ratio", rmspe, spread, rounding, f"{told} a standard deviation of {spread:.4g}"),
        _share("pre_rmspe_level", rmspe, level, rounding, f"{told} a mean level of {level:.4g}"),
    ]


def _share(metric: str, rmspe: float, base: float, rounding: float, told: str) -> DesignRow:
    """The share, or no value where what it is of is rounding."""
    if not base > rounding:
        return DesignRow(
            "synthetic_control", metric, "overall", None, f"{told}, which is zero: there is no share of it"
        )
    return DesignRow("synthetic_control", metric, "overall", rmspe / base, told)


def without(estimator: str, metrics: tuple[str, ...], reason: str) -> list[DesignRow]:
    """Rows without a value, and why there is none."""
    return [DesignRow(estimator, metric, "overall", None, reason) for metric in metrics]
