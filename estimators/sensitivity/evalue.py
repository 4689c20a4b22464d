"""E-values: how strong unmeasured confounding would have to be to explain an effect away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..problem import Problem
from ..result import CurvePoint, Estimate, SensitivityRow
from .words import plain

POINTS = 41

# A risk without treatment below this is rounding of none: a ratio to it is not a number.
SMALLEST_RISK = 1e-10
# An interval of risk differences can reach below zero risk; a risk ratio cannot.
LEAST = 1e-12


@dataclass(frozen=True)
class RiskRatios:
    """An effect on the scale of risk ratios: the estimate, the end of its interval nearest to no effect, and how.

    ``bound`` lies on the other side of 1 where the interval covers no effect, and is None without an interval.
    """

    point: float
    bound: float | None
    scale: str


def e_value(ratio: float) -> float:
    """E = RR + √(RR (RR − 1)), of 1/RR where RR < 1 (VanderWeele & Ding 2017, Ann. Intern. Med. 167)."""
    high = max(ratio, 1.0 / ratio)
    return float(high + np.sqrt(high * (high - 1.0)))


def bias_factor(strength: np.ndarray) -> np.ndarray:
    """Largest bias of a risk ratio by a confounder with this risk ratio on both sides: B = g² / (2g − 1)."""
    return strength**2 / (2.0 * strength - 1.0)


def bound_e_value(ratios: RiskRatios) -> float | None:
    """The E-value of the interval's end nearest to no effect: 1 where the interval covers it."""
    if ratios.bound is None:
        return None
    covers = (ratios.point - 1.0) * (ratios.bound - 1.0) <= 0
    return 1.0 if covers else e_value(ratios.bound)


def continuous_ratios(effect: Estimate, sd: float) -> RiskRatios | None:
    """RR ≈ exp(0.91 · effect / sd(y)), the same for the interval's ends (Chinn 2000; VanderWeele & Ding 2017).

    Parameters
    ----------
    effect : Estimate
        In units of the outcome, a unit of treatment.
    sd : float
        Standard deviation of the outcome.
    """
    assert effect.estimate is not None
    near = nearest_end(effect)
    with np.errstate(over="ignore"):
        point = float(np.exp(0.91 * effect.estimate / sd))
        bound = None if near is None else float(np.exp(0.91 * near / sd))
    return _sound(RiskRatios(point, bound, "RR = exp(0.91 x effect / sd of the outcome)"))


def binary_ratios(effect: Estimate, baseline: float) -> RiskRatios | None:
    """RR = (p₀ + effect) / p₀ for a risk difference and the risk p₀ without treatment; None for no such risks."""
    assert effect.estimate is not None
    if not (SMALLEST_RISK < baseline < 1 and 0 < baseline + effect.estimate <= 1):
        return None
    near = nearest_end(effect)
    bound = None if near is None else max((baseline + near) / baseline, LEAST)
    return _sound(RiskRatios((baseline + effect.estimate) / baseline, bound, f"risk without treatment {baseline:.3g}"))


def nearest_end(effect: Estimate) -> float | None:
    """The end of the interval that lies towards zero, seen from the estimate; None without an interval."""
    assert effect.estimate is not None
    return effect.conf_low if effect.estimate >= 0 else effect.conf_high


def _sound(ratios: RiskRatios) -> RiskRatios | None:
    values = [ratios.point] + ([] if ratios.bound is None else [ratios.bound])
    return ratios if all(np.isfinite(v) and 0 < v < 1e150 and v > 1e-300 for v in values) else None


def baseline_risk(problem: Problem, effect: Estimate) -> float:
    """E[Y(0)] of the population that the estimand is about.

    ATT: the treated units' mean less the effect. ATE and ATO: mean of the outcome regression without treatment, over
    all units or weighted by e(1 − e). A treatment that is not binary: the mean outcome.

    Raises
    ------
    Refusal
        The nuisances cannot be fitted.
    """
    assert effect.estimate is not None
    t, y, w = problem.t, problem.y, problem.w
    if not np.isin(t, (0.0, 1.0)).all():
        return float(np.average(y, weights=w))
    if effect.estimand == "ATT":
        return float(np.average(y[t == 1], weights=w[t == 1])) - effect.estimate
    nuisances = problem.nuisances()
    e = nuisances.propensity
    return float(np.average(nuisances.mu0, weights=w * e * (1 - e) if effect.estimand == "ATO" else w))


def ratios_of(problem: Problem, effect: Estimate) -> RiskRatios | None:
    """The effect as risk ratios; None for a constant outcome or where no risk ratio exists."""
    y, w = problem.y, problem.w
    if np.isin(y, (0.0, 1.0)).all():
        return binary_ratios(effect, baseline_risk(problem, effect))
    sd = float(np.sqrt(np.average((y - np.average(y, weights=w)) ** 2, weights=w) * len(y) / (len(y) - 1)))
    return continuous_ratios(effect, sd) if sd > 0 else None


def evalue_rows(effect: Estimate, ratios: RiskRatios, unit: str | None) -> tuple[SensitivityRow, ...]:
    """Rows ``e_value`` (point, bound) and ``critical_confounding``; the last two only with an interval.

    With the same strength on both sides the residual interval reaches no effect exactly at the bound's E-value: that
    strength is the critical one.
    """
    assert effect.estimate is not None
    e = e_value(ratios.point)
    reading = (
        f"To explain away the estimate of {plain(effect.estimate, unit)}, an unmeasured confounder would have to go "
        f"with both the treatment and the outcome by a risk ratio of {plain(e)} each, beyond the covariates "
        f"({ratios.scale})."
    )
    rows = [SensitivityRow("e_value", "point", e, reading)]
    bound = bound_e_value(ratios)
    if bound is None:
        return tuple(rows)
    if bound == 1.0:
        reading = "The interval already holds no effect, so no unmeasured confounding is needed to explain it."
        critical = "The interval holds no effect even without unmeasured confounding."
    else:
        reading = f"To move the interval to no effect, a risk ratio of {plain(bound)} with each would be enough."
        critical = (
            f"Up to a risk ratio of {plain(bound)} with treatment and outcome alike, the interval of what is left of "
            "the effect keeps off no effect."
        )
    rows.append(SensitivityRow("e_value", "bound", bound, reading))
    rows.append(SensitivityRow("critical_confounding", "overall", bound, critical))
    return tuple(rows)


def residual_curve(ratios: RiskRatios) -> tuple[CurvePoint, ...]:
    """``residual_effect``: the risk ratio left after confounding of strength x on both sides, RR / B or RR · B."""
    strength = np.linspace(1.0, max(2.0, 1.25 * e_value(ratios.point)), POINTS)
    towards = 1.0 / bias_factor(strength) if ratios.point >= 1 else bias_factor(strength)
    series = {"point": ratios.point} | ({} if ratios.bound is None else {"bound": ratios.bound})
    return tuple(
        CurvePoint("residual_effect", name, float(g), float(ratio * f))
        for name, ratio in series.items()
        for g, f in zip(strength, towards, strict=True)
    )


def frontier_curve(ratios: RiskRatios) -> tuple[CurvePoint, ...]:
    """``evalue_frontier``: risk ratios x, y that would just explain the effect away, (x − RR)(y − RR) = RR² − RR."""
    series = {"point": ratios.point}
    if ratios.bound is not None and bound_e_value(ratios) != 1.0:
        series["bound"] = ratios.bound
    points = []
    for name, ratio in series.items():
        high = max(ratio, 1.0 / ratio)
        if high > 1.0:
            step, apart = e_value(ratio) - high, np.logspace(-1, 1, POINTS)
            points += [
                CurvePoint("evalue_frontier", name, float(high + step * u), float(high + step / u)) for u in apart
            ]
    return tuple(points)
