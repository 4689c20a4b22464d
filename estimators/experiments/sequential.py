"""An interval for a difference in means that may be looked at as often as one likes."""

from __future__ import annotations

import math

import numpy as np

from ..result import CurvePoint

LEVEL = 0.05
LOOKS = 25
# A variance of fewer units in an arm is too rough for a law of large samples.
FEWEST = 10


def confidence_sequence(y: np.ndarray, t: np.ndarray, order: np.ndarray) -> list[CurvePoint]:
    """``sequential``: the difference in means at looks on the way, with intervals that hold at all looks together.

    τ_n ± σ_n √(2 (n ρ² + 1) / (n ρ)² · log(√(n ρ² + 1) / α)), n the units so far, τ_n the difference of their arms'
    means, σ_n² = n (s₁²/n₁ + s₀²/n₀). With probability 1 − α, in large samples, the effect lies inside at every n, so
    one may stop at any look. ρ = √((−2 log α + log(1 − 2 log α)) / N) makes the last look, at all N units, the
    sharpest.

    Parameters
    ----------
    y, t : ndarray of shape (n,)
        Outcome, and treatment 0 or 1.
    order : ndarray of shape (n,)
        By which units came; of equal ones the earlier row comes first.

    Returns
    -------
    list of CurvePoint
        x the units so far, y the estimate; at most `LOOKS`, from the first with `FEWEST` units in each arm on.

    References
    ----------
    Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2024), Annals of Statistics 52, theorem 2.2; Robbins 1970.
    """
    came = np.argsort(order, kind="stable")
    total = len(y)
    rho2 = (-2 * math.log(LEVEL) + math.log(1 - 2 * math.log(LEVEL))) / total
    # Centred, because sums of squares of numbers around 1e9 have lost theirs.
    y, t = y[came] - y.mean(), t[came]
    points = []
    for n in np.unique(np.linspace(0, total, LOOKS + 1).astype(int)[1:]):
        arms = [y[:n][t[:n] == arm] for arm in (0, 1)]
        if min(len(arm) for arm in arms) < FEWEST:
            continue
        effect = float(arms[1].mean() - arms[0].mean())
        variance = sum(float(arm.var(ddof=1)) / len(arm) for arm in arms)
        reach = 2 * (n * rho2 + 1) / (n * rho2) * math.log(math.sqrt(n * rho2 + 1) / LEVEL)
        half = math.sqrt(variance * reach)
        points.append(CurvePoint("sequential", "always_valid", float(n), effect, None, effect - half, effect + half))
    return points
