"""Figures on the outcome itself: its distribution by arm, its quantiles, and how it goes with a covariate."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from . import words
from .data import Row, StudyRows
from .marks import effect_label, plain_numbers, wrapped
from .style import BLUE, CONTROL, INK, RULE, SKY, TREATED, Drawing, NotDrawn, canvas

ARMS = (("control", CONTROL), ("treated", TREATED))
_SPAN = 0.6
_NO_ARMS = "the study has no binary treatment with scores"


def distribution_compare(rows: StudyRows) -> Drawing | NotDrawn:
    """The outcome of both arms as histograms and as cumulative shares, with the widest gap between those."""
    runs = rows.runs("outcome_cdf")
    if not runs:
        return NotDrawn(f"no distributions of the outcome by arm: {_NO_ARMS}")
    run = runs[0]
    cdf, histogram, test = (rows.curve(c, run) for c in ("outcome_cdf", "outcome_histogram", "outcome_ks"))
    figure = canvas(5.0)
    top, low = figure.subplots(2, 1, sharex=True)
    for name, colour in ARMS:
        bars = histogram.get(name, [])
        top.step([p["x"] for p in bars], [100 * p["y"] for p in bars], where="mid", color=colour, linewidth=1.6,
                 label=name)  # fmt: skip
        top.fill_between([p["x"] for p in bars], 0, [100 * p["y"] for p in bars], step="mid", color=colour, alpha=0.18,
                         linewidth=0)  # fmt: skip
        points = cdf.get(name, [])
        low.plot([p["x"] for p in points], [100 * p["y"] for p in points], color=colour, label=name)
    shares = {name: test[name][0] for name, _ in ARMS if test.get(name)}
    if len(shares) == 2:
        place = shares["treated"]["x"]
        ends = sorted(100 * p["y"] for p in shares.values())
        low.vlines(place, *ends, colors=INK, linewidth=2.2, zorder=5, gid="widest gap")
        low.annotate(f"widest gap {ends[1] - ends[0]:.1f} points", (place, sum(ends) / 2), xytext=(8, 0),
                     textcoords="offset points", va="center", size=10,
                     bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.8})  # fmt: skip
    top.set_ylabel("share of the arm (%)")
    top.set_ylim(bottom=0)
    low.set_ylabel("share at or below (%)")
    low.set_ylim(0, 100)
    low.set_xlabel(wrapped(rows.outcome, 60))
    plain_numbers(low.xaxis)
    for axes in (top, low):
        axes.grid(axis="y", color=RULE)
    handles, labels = top.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=2)
    p = test["p_value"][0]["y"] if test.get("p_value") else None
    caption = "Arms as they are, without weights; the test takes units as independent." if p is not None else ""
    return Drawing(figure, _ks_title(rows, shares, p), caption)


def _ks_title(rows: StudyRows, shares: dict[str, Row], p: float | None) -> str:
    outcome = rows.card.get("outcome") or "the outcome"
    if len(shares) < 2 or p is None:
        return f"The distribution of {outcome} by arm"
    gap = abs(shares["treated"]["y"] - shares["control"]["y"])
    told = f"at most {100 * gap:.1f} percentage points apart (Kolmogorov–Smirnov {words.p_value(p)})"
    if p >= 0.05:
        return f"Too imprecise to tell the arms' distributions of {outcome} apart: {told}"
    return f"The arms' distributions of {outcome} differ: {told}"


def quantile_effects(rows: StudyRows) -> Drawing | NotDrawn:
    """The effect on each quantile of the outcome, with pointwise intervals and the average effect."""
    runs = rows.runs("quantile_effects")
    if not runs:
        return NotDrawn(f"no quantile effects: {_NO_ARMS}")
    points = rows.curve("quantile_effects", runs[0]).get("effect", [])
    why = _no_quantiles(rows, runs[0][2], points)
    if why:
        return NotDrawn(why)
    figure = canvas(3.6)
    axes = figure.add_subplot()
    x = [100 * p["x"] for p in points]
    held = [p for p in points if p["conf_low"] is not None]
    axes.fill_between([100 * p["x"] for p in held], [p["conf_low"] for p in held], [p["conf_high"] for p in held],
                      color=SKY, alpha=0.35, linewidth=0, label="95 % interval, each by itself")  # fmt: skip
    axes.plot(x, [p["y"] for p in points], "o-", color=BLUE, markersize=5, label="effect on the quantile")
    axes.axhline(0, color=INK, linewidth=1.2)
    card = rows.card
    if card.get("estimate") is not None and card.get("estimand") == runs[0][2]:
        axes.axhline(card["estimate"], color=TREATED, linewidth=1.4, linestyle=(0, (4, 3)),
                     label=f"average effect {words.number(card['estimate'], sign=True)}")  # fmt: skip
    plain_numbers(axes.yaxis)
    axes.set_xlabel("quantile of the outcome (%)")
    axes.set_ylabel(effect_label(rows))
    axes.grid(color=RULE)
    figure.legend(loc="outside lower left", ncols=2, columnspacing=1.2)
    caption = f"Quantiles of weighted arms ({runs[0][2]}): a shift of the distribution, not the effect on any one unit."
    return Drawing(figure, _quantile_title(rows, points), caption)


def _no_quantiles(rows: StudyRows, estimand: str | None, points: list[Row]) -> str | None:
    """Why the quantile effects say nothing, or None."""
    if not points:
        return "the quantile effects have no points"
    places = {p["x"] for p in rows.curves if p["curve"] == "outcome_cdf"}
    if 0 < len(places) < 10:
        return f"the outcome has {words.count(len(places), 'value')}: too few for quantiles"
    weighting = [r for r in rows.estimates if r["estimator"] == "ipw" and r["estimand"] == estimand]
    if weighting and all(r["estimate"] is None for r in weighting):
        return f"the weights that quantile effects need were refused: {words.shortened(weighting[0]['status_reason'])}"
    return None


def _quantile_title(rows: StudyRows, points: list[Row]) -> str:
    ends = [_at(points, q) for q in (0.1, 0.5, 0.9)]
    spreads = [s for p in ends if (s := words.spread_of(p["conf_low"], p["conf_high"]))]
    places = words.decimals_for([p["y"] for p in ends], min(spreads) if spreads else None)
    told = [words.number(p["y"], places, sign=True) for p in ends]
    start = f"The effect is {told[0]} at the lowest tenth of outcomes, {told[1]} at the median"
    return f"{start} and {told[2]} {rows.unit} at the highest tenth"


def _at(points: list[Row], q: float) -> Row:
    return min(points, key=lambda p: abs(p["x"] - q))


def scatter_regression(rows: StudyRows) -> Drawing | NotDrawn:
    """The outcome over the covariate that goes with it most closely, a local regression (LOESS) an arm."""
    runs = rows.runs("outcome_by_covariate")
    if not runs:
        return NotDrawn(f"no scatter of the outcome: {_NO_ARMS}, or no covariate with ten values")
    series = rows.curve("outcome_by_covariate", runs[0])
    name = next(iter(series.values()))[0]["x_label"] or "covariate"
    figure = canvas(4.0)
    axes = figure.add_subplot()
    for arm, colour in ARMS:
        points = series.get(arm, [])
        if not points:
            continue
        x, y = (np.array([p[k] for p in points]) for k in ("x", "y"))
        axes.scatter(x, y, s=14, color=colour, alpha=0.3, linewidths=0, zorder=2, gid=f"units {arm}")
        if len(np.unique(x)) >= 5:
            at = np.linspace(*np.quantile(x, (0.02, 0.98)), 60)
            axes.plot(at, local_regression(x, y, at), color=colour, linewidth=2.4, zorder=4, label=arm)
    _without_outliers(axes, series)
    plain_numbers(axes.xaxis)
    plain_numbers(axes.yaxis)
    axes.set_xlabel(name)
    axes.set_ylabel(wrapped(rows.outcome, 30))
    axes.grid(color=RULE)
    figure.legend(loc="outside lower left", ncols=2)
    count = sum(len(points) for points in series.values())
    caption = f"Lines: local regressions (LOESS, span {_SPAN:g}) of a sample of {words.count(count, 'unit')}."
    return Drawing(figure, _scatter_title(rows, series, name), caption)


def _without_outliers(axes: Axes, series: dict[str, list[Row]]) -> None:
    """Leave the plot to 99 % of the units; one of a hundred times the rest would flatten it."""
    y = [p["y"] for points in series.values() for p in points]
    low, high = np.quantile(y, (0.0, 0.99))
    pad = 0.06 * (high - low or 1.0)
    axes.set_ylim(low - pad, max(high, low) + pad)


def _scatter_title(rows: StudyRows, series: dict[str, list[Row]], name: str) -> str:
    pooled = [p for points in series.values() for p in points]
    r = float(np.corrcoef([p["x"] for p in pooled], [p["y"] for p in pooled])[0, 1])
    outcome = rows.card.get("outcome") or "The outcome"
    if not np.isfinite(r) or abs(r) < 1.96 / np.sqrt(len(pooled)):
        return f"{outcome} hardly goes with {name}, the covariate nearest to it (correlation {words.number(r, 2)})"
    return f"{outcome} {'rises' if r > 0 else 'falls'} with {name} (correlation {words.number(r, 2)})"


def local_regression(x: np.ndarray, y: np.ndarray, at: np.ndarray, span: float = _SPAN) -> np.ndarray:
    """LOESS of degree one with tricube weights (Cleveland 1979), without its robustness steps.

    Parameters
    ----------
    x, y : ndarray of shape (n,)
    at : ndarray of shape (m,)
    span : float
        The share of the points that each local fit reads.

    Returns
    -------
    ndarray of shape (m,)
    """
    k = min(len(x), max(3, round(span * len(x))))
    out = np.empty(len(at))
    for i, place in enumerate(at):
        distance = np.abs(x - place)
        reach = np.partition(distance, k - 1)[k - 1] * (1 + 1e-9)
        if reach == 0:  # so many units stand at one place that they are all that is read
            out[i] = y[distance == 0].mean()
            continue
        w = np.clip(1 - (np.minimum(distance, reach) / reach) ** 3, 0, None) ** 3
        centre = np.average(x, weights=w)
        spread = np.sum(w * (x - centre) ** 2)
        slope = 0.0 if spread <= 1e-12 * reach**2 else np.sum(w * (x - centre) * y) / spread
        out[i] = np.average(y, weights=w) + slope * (place - centre)
    return out
