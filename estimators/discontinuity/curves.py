"""What a discontinuity looks like: binned means, fitted lines and the running variable's histogram."""

from __future__ import annotations

import numpy as np

from ..laws import t_quantile
from ..result import CurvePoint
from .local import LocalFit, fitted_line

BINS = 20
POINTS = 50


def rd_bins(y: np.ndarray, x: np.ndarray, cutoff: float) -> list[CurvePoint]:
    """Means of the outcome in quantile bins of the running variable, at most 20 a side, never across the cutoff.

    The interval is Student's 95 % interval of the bin's mean; none where a bin holds one value. ``y`` and ``x`` have
    shape (n,); equal values of x share a bin, so that the row order does not matter.
    """
    points = []
    for series, side in sides(x, cutoff):
        own_x, own_y = x[side], y[side]
        place = np.searchsorted(np.sort(own_x)[bin_ranks(len(own_x))], own_x, side="left")
        for k in np.unique(place):
            inside = own_y[place == k]
            spread = float(inside.std(ddof=1)) if len(inside) > 1 else None
            points.append(bin_point(series, len(inside), float(own_x[place == k].mean()), float(inside.mean()), spread))
    return points


def bin_ranks(n: int) -> list[int]:
    """Ranks of the last row of each bin of a side of n rows but the outermost one; whole numbers, so no rounding."""
    count = int(np.clip(np.sqrt(n), 1, BINS))
    return [-(-k * n // count) - 1 for k in range(1, count)]


def bin_point(series: str, n: int, x: float, y: float, spread: float | None) -> CurvePoint:
    """The point of a bin of n rows: means of both variables, and the outcome's standard deviation (n − 1)."""
    low = high = None
    if spread is not None:
        half = float(t_quantile(0.975, n - 1) * spread / np.sqrt(n))
        low, high = y - half, y + half
    return CurvePoint("rd_bins", series, x, y, f"{n} units", low, high)


def rd_fit(y: np.ndarray, x: np.ndarray, cutoff: float, fit: LocalFit, order: int, kernel: str) -> list[CurvePoint]:
    """The local polynomial of each side at 50 points from the edge of its bandwidth (or of the data) to the cutoff."""
    points = []
    for (series, side), h in zip(sides(x, cutoff), fit.bandwidth, strict=True):
        at = line_ends(series, cutoff, h, float(x.min()), float(x.max()))
        points += line_points(series, at, fitted_line(y[side], x[side], cutoff, h, order, kernel, at))
    return points


def line_ends(series: str, cutoff: float, h: float, low: float, high: float) -> np.ndarray:
    """Where a side's line is drawn, ascending; ``low`` and ``high`` bound the data."""
    edge = max(cutoff - h, low) if series == "left" else min(cutoff + h, high)
    return np.sort(np.linspace(edge, cutoff, POINTS))


def line_points(series: str, at: np.ndarray, line: np.ndarray) -> list[CurvePoint]:
    """Points of a fitted line."""
    return [CurvePoint("rd_fit", series, float(a), float(v)) for a, v in zip(at, line, strict=True)]


def running_density(x: np.ndarray, cutoff: float) -> list[CurvePoint]:
    """Units in bins of equal width that start at the cutoff, about 40 over the range."""
    width = float(x.max() - x.min()) / (2 * BINS)
    points = []
    for series, side in sides(x, cutoff):
        distance = np.abs(x[side] - cutoff)
        bins = bar_count(float(distance.max()), width)
        # The farthest unit may lie on the outer edge of the last bin.
        units = np.bincount(np.minimum((distance / width).astype(int), bins - 1), minlength=bins)
        points += bars(series, cutoff, width, units)
    return points


def bar_count(farthest: float, width: float) -> int:
    """Bins of a side."""
    return max(int(np.ceil(farthest / width)), 1)


def bars(series: str, cutoff: float, width: float, units: np.ndarray) -> list[CurvePoint]:
    """The histogram of a side: units a bin, shape (bins,), from the cutoff outwards."""
    outward = -1.0 if series == "left" else 1.0
    middles = [(cutoff + outward * (k + 0.5) * width, float(count)) for k, count in enumerate(units)]
    return [CurvePoint("running_density", series, at, count) for at, count in sorted(middles)]


def sides(x: np.ndarray, cutoff: float) -> tuple[tuple[str, np.ndarray], tuple[str, np.ndarray]]:
    """Names and masks of both sides; the cutoff itself lies right."""
    return ("left", x < cutoff), ("right", x >= cutoff)
