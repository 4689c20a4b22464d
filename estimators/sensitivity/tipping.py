"""Tipping points: how much bias, and how strong a confounder, would move a decision's interval over its minimum."""

from __future__ import annotations

from dataclasses import dataclass

from ..result import Estimate, SensitivityRow
from ..study import Decision, Study
from .robustness_value import Robustness, robustness_value
from .words import percent, plain


@dataclass(frozen=True)
class Tipping:
    """The smallest bias that changes a verdict.

    Attributes
    ----------
    verdict : str
        ``ship`` (the whole interval is at or beyond the minimum effect), ``do_not_ship`` (the whole interval is short
        of it) or ``extend`` (the interval holds it).
    bias : float
        Distance from the interval's nearer end to the minimum effect, in units of the outcome; 0 for ``extend``.
    """

    verdict: str
    bias: float


def tipping(effect: Estimate, decision: Decision) -> Tipping | None:
    """The smallest shift of the interval that makes it hold the decision's minimum effect; None without an interval.

    Effects are read in the desired direction: where less is wanted, signs change and the minimum stays positive.

    Parameters
    ----------
    effect : Estimate
        In units of the outcome.
    decision : Decision
    """
    if effect.conf_low is None or effect.conf_high is None:
        return None
    ends = (effect.conf_low, effect.conf_high)
    low, high = ends if decision.desired_direction != "less" else (-ends[1], -ends[0])
    least = decision.minimum_effect
    if low >= least:
        return Tipping("ship", low - least)
    if high < least:
        return Tipping("do_not_ship", least - high)
    return Tipping("extend", 0.0)


def is_decisive(study: Study, estimator: str, effect: Estimate) -> bool:
    """Whether this run's interval is told its tipping point: the decision's primary, and the sensitivity's own."""
    rule = study.decision
    primary = (rule.primary, rule.estimand, rule.term, rule.specification)
    return estimator == "sensitivity" or primary == (estimator, effect.estimand, "overall", "default")


def tipping_rows(effect: Estimate, study: Study, got: Robustness | None) -> tuple[SensitivityRow, ...]:
    """Rows ``tipping_point``: ``bias`` in units of the outcome, and ``partial_r2`` of a confounder that brings it.

    A confounder with partial R² r with treatment and outcome alike moves the least-squares coefficient by
    se √df · r / √(1 − r) (Cinelli & Hazlett 2020); ``partial_r2`` is the r at which that is the bias. For an estimator
    other than least squares this takes its bias to be that of the least squares, which it is where the effect is
    constant and the models are linear.

    Parameters
    ----------
    effect : Estimate
    study : Study
    got : Robustness or None
        Of the additive least squares; without it only the bias is told.
    """
    found = tipping(effect, study.decision)
    if found is None:
        return ()
    unit, least = study.outcome_unit, plain(study.decision.minimum_effect, study.outcome_unit)
    if found.verdict == "extend":
        told = f"The interval already holds the minimum effect of {least}: no bias is needed to leave the answer open."
        rows = [SensitivityRow("tipping_point", "bias", 0.0, told)]
    else:
        side = "beyond" if found.verdict == "ship" else "short of"
        told = (
            f"The interval lies {side} the minimum effect of {least}; a bias of {plain(found.bias, unit)} would make "
            "it hold that."
        )
        rows = [SensitivityRow("tipping_point", "bias", found.bias, told)]
    if got is None:
        return tuple(rows)
    strength = robustness_value(found.bias / got.unit_bias)
    told = (
        f"So much bias comes from a confounder that explains {percent(strength)} of the residual variance of both the "
        "treatment and the outcome."
    )
    if found.verdict == "extend":
        told = "No confounder is needed to leave the answer open."
    return (*rows, SensitivityRow("tipping_point", "partial_r2", strength, told))
