"""Would the design find a jump where there is none, and does the answer hang on the bandwidth?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..result import CurvePoint, Diagnostic

FACTORS = (0.5, 0.75, 1.25, 1.5, 2.0)
LEVEL = 0.05


@dataclass(frozen=True)
class Jump:
    """An estimated jump with its 95 % interval and p-value."""

    estimate: float
    conf_low: float
    conf_high: float
    p_value: float


# The jump in these rows (shape (n,), boolean) at this cutoff, of the outcome alone.
Placebo = Callable[[np.ndarray, float], Jump]
# The study's own effect at this bandwidth.
Other = Callable[[float], Jump]


def placebo_cutoffs(x: np.ndarray, cutoff: float, jump: Placebo) -> tuple[list[Diagnostic], list[CurvePoint]]:
    """The outcome's jump at the median of each side, of that side's rows alone: there should be none.

    Rows of one side only, so that the true jump cannot leak in (Imbens & Lemieux 2008). ``placebo_cutoff_p`` has the
    side as its subject; the curve ``placebo_cutoffs`` the jumps with their intervals over the cutoffs.
    """
    told, points = [], []
    for name, side in (("left", x < cutoff), ("right", x >= cutoff)):
        at = float(np.median(x[side]))
        try:
            found = jump(side, at)
        except Refusal:
            told.append(Diagnostic("placebo_cutoff_p", name, None))
            continue
        told.append(Diagnostic("placebo_cutoff_p", name, found.p_value, LEVEL, found.p_value > LEVEL))
        points.append(_point("placebo_cutoffs", name, at, found))
    return told, points


def other_bandwidths(h: float, widest: float, effect: Other, own: Jump) -> tuple[list[Diagnostic], list[CurvePoint]]:
    """The effect at half to twice the bandwidth: ``estimate_at_bandwidth`` and the curve ``bandwidth_sensitivity``.

    Parameters
    ----------
    h : float
        Of the study's own fit, whose jump is ``own``.
    widest : float
        The farthest distance to the cutoff: beyond it bandwidths say nothing new.
    effect : callable
    own : Jump
    """
    told, found = [], {h: own}
    for factor in FACTORS:
        if factor * h <= widest:
            name = f"{factor:g} times"
            try:
                found[factor * h] = effect(factor * h)
                told.append(Diagnostic("estimate_at_bandwidth", name, found[factor * h].estimate))
            except Refusal:
                told.append(Diagnostic("estimate_at_bandwidth", name, None))
    points = [
        _point("bandwidth_sensitivity", "chosen" if width == h else "other", width, found[width])
        for width in sorted(found)
    ]
    return told, points


def _point(curve: str, series: str, at: float, jump: Jump) -> CurvePoint:
    return CurvePoint(curve, series, at, jump.estimate, None, jump.conf_low, jump.conf_high)
