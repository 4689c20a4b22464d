"""Whether trends ran in parallel before treatment, and whether the test could have told."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats

from ..inference import covariance, joint_wald
from .att_gt import GroupTime
from .sample import Sample

LEVEL = 0.05


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
    """

    statistic: float
    degrees_of_freedom: int
    p_value: float
    power: float
    step: float


def pre_trends(effects: GroupTime, sample: Sample, step: float) -> PreTrends | None:
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
    vcov = covariance(pre.psi, sample.cluster)
    test = joint_wald(pre.att, vcov)
    if test.degrees_of_freedom == 0:
        return None
    shift = joint_wald(pre.att * 0.0 + step, vcov).statistic
    bar = stats.chi2.ppf(1 - LEVEL, test.degrees_of_freedom)
    power = stats.ncx2.sf(bar, test.degrees_of_freedom, shift) if shift > 0 else LEVEL
    return PreTrends(test.statistic, test.degrees_of_freedom, test.p_value, float(power), step)
