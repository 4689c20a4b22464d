"""What a discontinuity looks like: binned means, fitted lines and the running variable's histogram."""

from __future__ import annotations

import numpy as np
from scipy import stats

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
        count = int(np.clip(np.sqrt(len(own_x)), 1, BINS))
        inner = np.quantile(own_x, np.arange(1, count) / count)
        place = np.searchsorted(inner, own_x, side="left")
        for k in np.unique(place):
            points.append(_bin(series, own_x[place == k], own_y[place == k]))
    return points


def _bin(series: str, x: np.ndarray, y: np.ndarray) -> CurvePoint:
    mean, n = float(y.mean()), len(y)
    low = high = None
    if n > 1:
        half = float(stats.t.ppf(0.975, n - 1) * y.std(ddof=1) / np.sqrt(n))
        low, high = mean - half, mean + half
    return CurvePoint("rd_bins", series, float(x.mean()), mean, f"{n} units", low, high)


def rd_fit(y: np.ndarray, x: np.ndarray, cutoff: float, fit: LocalFit, order: int, kernel: str) -> list[CurvePoint]:
    """The local polynomial of each side at 50 points from the edge of its bandwidth (or of the data) to the cutoff."""
    points = []
    for (series, side), h in zip(sides(x, cutoff), fit.bandwidth, strict=True):
        edge = max(cutoff - h, float(x.min())) if series == "left" else min(cutoff + h, float(x.max()))
        at = np.sort(np.linspace(edge, cutoff, POINTS))
        line = fitted_line(y[side], x[side], cutoff, h, order, kernel, at)
        points += [CurvePoint("rd_fit", series, float(a), float(v)) for a, v in zip(at, line, strict=True)]
    return points


def running_density(x: np.ndarray, cutoff: float) -> list[CurvePoint]:
    """Units in bins of equal width that start at the cutoff, about 40 over the range."""
    width = float(x.max() - x.min()) / (2 * BINS)
    points = []
    for series, side in sides(x, cutoff):
        distance = np.abs(x[side] - cutoff)
        bins = max(int(np.ceil(distance.max() / width)), 1)
        # The farthest unit may lie on the outer edge of the last bin.
        units = np.bincount(np.minimum((distance / width).astype(int), bins - 1), minlength=bins)
        outward = -1.0 if series == "left" else 1.0
        middles = [(cutoff + outward * (k + 0.5) * width, float(units[k])) for k in range(bins)]
        points += [CurvePoint("running_density", series, at, count) for at, count in sorted(middles)]
    return points


def sides(x: np.ndarray, cutoff: float) -> tuple[tuple[str, np.ndarray], tuple[str, np.ndarray]]:
    """Names and masks of both sides; the cutoff itself lies right."""
    return ("left", x < cutoff), ("right", x >= cutoff)
