"""Confounding contours: which strengths of a confounder would leave which estimate (Cinelli & Hazlett 2020, fig. 2)."""

from __future__ import annotations

import numpy as np

from ..result import CurvePoint
from .robustness_value import Robustness, confounder, critical

POINTS = 61
WIDEST = 0.99
SHARES = (0.75, 0.5, 0.25, 0.0)


def contours(got: Robustness, minimum: float | None = None) -> tuple[CurvePoint, ...]:
    """Lines of one adjusted estimate over the confounder's partial R², x with the treatment and y with the outcome.

    ``confounding_contours`` has a series for each estimate that is left (``estimate=…``: 75, 50, 25 and 0 % of it, and
    the ``minimum`` effect where it lies between) and one, ``interval=0``, on which the 95 % interval just reaches
    zero. ``confounding_benchmarks`` has a point a benchmark covariate: a confounder as strong as that.

    Parameters
    ----------
    got : Robustness
    minimum : float, optional
        The decision's minimum effect with its sign, in units of the outcome.
    """
    if got.estimate == 0:
        return ()
    levels = [share * got.estimate + 0.0 for share in SHARES]  # never minus zero
    if minimum is not None and 0 < minimum / got.estimate < 1 and minimum not in levels:
        levels.append(minimum)
    points = []
    for level in levels:
        x, y = line(got, level)
        name = f"estimate={level:.6g}"
        points += [CurvePoint("confounding_contours", name, float(a), float(b)) for a, b in zip(x, y, strict=True)]
    x, y = interval_line(got)
    points += [CurvePoint("confounding_contours", "interval=0", float(a), float(b)) for a, b in zip(x, y, strict=True)]
    for name, strength in got.strengths.items():
        z = confounder(strength)
        if z is not None:
            points.append(CurvePoint("confounding_benchmarks", name, z.treatment, z.outcome))
    return tuple(points)


def line(got: Robustness, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Partial R² with the treatment and with the outcome that leave the estimate ``level``: R²y = k (1 − R²d) / R²d.

    k is the squared bias in units of se √df. The line begins where R²y is one, at R²d = k / (1 + k).
    """
    k = ((got.estimate - level) / got.unit_bias) ** 2
    x = np.linspace(k / (1 + k), max(WIDEST, k / (1 + k)), POINTS)
    return x, np.minimum(k * (1 - x) / x, 1.0)


def interval_line(got: Robustness) -> tuple[np.ndarray, np.ndarray]:
    """Where |estimate| less the bias is t* times the adjusted standard error; empty where the interval holds zero.

    With R²y = sin²θ that is f √(1 − R²d) = √R²d sin θ + f* cos θ, f = |t| / √df, f* = t* / √(df − 1): the first θ that
    solves it.
    """
    f, star = abs(got.estimate) / got.unit_bias, critical(got.degrees_of_freedom)
    if f <= star:
        return np.empty(0), np.empty(0)
    # From where R²y is largest (with less of the treatment no confounder is enough) to where it is nothing: there the
    # standard error alone has grown enough.
    gap = f**2 - star**2
    x = np.linspace(gap / (1 + f**2), gap / f**2, POINTS)
    reach, wanted = np.sqrt(x + star**2), f * np.sqrt(1 - x)
    theta = np.arctan2(np.sqrt(x), star) - np.arccos(np.minimum(wanted / reach, 1.0))
    return x, np.sin(np.maximum(theta, 0.0)) ** 2
