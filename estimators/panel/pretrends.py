"""Whether trends ran in parallel before treatment, and whether the test could have told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..inference import joint_wald
from ..laws import chi2_quantile, noncentral_chi2_tail, noncentrality
from .att_gt import GroupTime
from .sample import Compared

LEVEL = 0.05
POWER = 0.8


@dataclass(frozen=True)
class PreTrends:
    """The joint Wald test that every pre-period ATT(g, t) is zero.

    Attributes
    ----------
    statistic, p_value : float
    degrees_of_freedom : int
        Rank of their covariance.
    power : float
        Chance of rejecting at 5 % if every pre-period step were ``step``.
    step : float
        In units of the outcome a period.
    detectable : float
        The smallest step that the test rejects with 80 % power.
    """

    statistic: float
    degrees_of_freedom: int
    p_value: float
    power: float
    step: float
    detectable: float


def pre_trends(effects: GroupTime, sample: Compared, step: float) -> PreTrends | None:
    """W = b' V⁻¹ b over all ATT(g, t) with t < g, and its power against a linear differential trend.

    With a varying base period each pre-period ATT is one step of the trend, so a linear trend of ``step`` a period
    makes all of them ``step``: W is then noncentral χ² with λ = step² 1'V⁻1 (Roth 2022 gives the reason to look).

    Returns
    -------
    PreTrends or None
        None where there is no pre-period effect (one period before treatment) or none of them varies.
    """
    pre = effects.before()
    if not pre.cells:
        return None
    vcov = sample.covariance(pre.psi)
    test = joint_wald(pre.att, vcov)
    if test.degrees_of_freedom == 0:
        return None
    per_step = joint_wald(np.ones_like(pre.att), vcov).statistic
    shift = per_step * step**2
    df = test.degrees_of_freedom
    bar = chi2_quantile(1 - LEVEL, df)
    power = noncentral_chi2_tail(bar, df, shift) if shift > 0 else LEVEL
    detectable = float(np.sqrt(noncentrality(bar, df, POWER) / per_step))
    return PreTrends(test.statistic, df, test.p_value, power, step, detectable)
