"""What a panel's periods before treatment say about its design; no outcome after treatment is read."""

from __future__ import annotations

import numpy as np

from ..bounds import ROUNDING
from ..errors import Refusal
from ..problem import Problem
from ..result import DesignRow
from .att_gt import group_time_effects
from .donors import donor_pool, synthetic
from .pretrends import LEVEL, PreTrends, pre_trends
from .sample import take_sample

TREND_METRICS = ("pre_trends_p", "pre_trends_power", "pre_trends_detectable")
FIT_METRICS = ("pre_rmspe_ratio", "pre_rmspe_level")


def panel_design(problem: Problem) -> list[DesignRow]:
    """Design rows of a panel study (estimator ``did``) or of a synthetic control (estimator ``synthetic_control``).

    ``pre_trends_p`` is the joint Wald test that every ATT(g, t) before treatment is zero; ``pre_trends_power`` its
    power at 5 % against a differential trend of the declared minimum effect a period, ``pre_trends_detectable`` the
    trend that it rejects with 80 % power. ``pre_rmspe_ratio`` and
    ``pre_rmspe_level`` are the synthetic control's pre-period RMSPE over the standard deviation (n − 1) and over the
    absolute mean of the treated unit's outcome before treatment. A value of None has the reason beside it.
    """
    if problem.study.design == "synthetic_control":
        return _fit_rows(problem.for_run("synthetic_control", "default"))
    return _trend_rows(problem.for_run("did", "default"))


def _trend_rows(problem: Problem) -> list[DesignRow]:
    step = abs(problem.study.decision.minimum_effect)
    try:
        sample = take_sample(problem)
        group, method = problem.own("control_group"), problem.own("method")
        effects = group_time_effects(sample, group, method, problem.options.propensity.link, pre_only=True)
        test = pre_trends(effects, sample, step)
    except Refusal as refusal:
        return without("did", TREND_METRICS, str(refusal))
    return trend_rows(test)


def trend_rows(test: PreTrends | None) -> list[DesignRow]:
    """The design rows of the pre-trends test; None is a panel that has no pre-period effect."""
    if test is None:
        reason = "no cohort has two periods before treatment, so parallel trends cannot be tested"
        return without("did", TREND_METRICS, reason)
    verdict = "rejected" if test.p_value <= LEVEL else "not rejected"
    return [
        DesignRow("did", "pre_trends_p", "overall", test.p_value,
                  f"parallel trends before treatment are {verdict}: W = {test.statistic:.4g} on "
                  f"{test.degrees_of_freedom} df, p = {test.p_value:.3g}; a differential trend of "
                  f"{test.detectable:.3g} a period would be noticed with 80 % power"),
        _power_row(test),
        DesignRow("did", "pre_trends_detectable", "overall", test.detectable,
                  "the smallest differential trend a period that the test rejects with 80 % power"),
    ]  # fmt: skip


def _power_row(test: PreTrends) -> DesignRow:
    if test.step == 0:
        reason = "not applicable: the minimum effect is 0; see pre_trends_detectable"
        return DesignRow("did", "pre_trends_power", "overall", None, reason)
    reason = f"the test would reject a differential trend of {test.step:g} a period (the minimum effect)"
    told = f"{reason} with probability {test.power:.2f} at the 5 % level"
    return DesignRow("did", "pre_trends_power", "overall", test.power, told)


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
