"""Figures of outcomes over time before any model: paths by cohort, and trend with season."""

from __future__ import annotations

import contextlib
import datetime
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from . import words
from .data import Row, StudyRows
from .marks import DASHED, plain_numbers, upright, wrapped
from .style import BLUE, INK, RULE, SERIES, SKY, TREATED, Drawing, NotDrawn, canvas

NEVER = "never treated"
_FROM = "treated from "
_MOST = 5


def parallel_trends(rows: StudyRows) -> Drawing | NotDrawn:
    """Mean outcomes by period of each cohort beside the units that are never treated."""
    runs = rows.runs("cohort_path")
    if not runs:
        return NotDrawn("no paths by cohort: the study is no panel with units treated from some period on")
    series = rows.curve("cohort_path", runs[0])
    cohorts = sorted((n for n in series if n.startswith(_FROM)), key=_start)
    if not cohorts or len(series) < 2:
        return NotDrawn("all units share one path, so there is nothing to compare")
    shown = cohorts[:_MOST]
    figure = canvas(4.0)
    axes = figure.add_subplot()
    if NEVER in series:
        _path(axes, series[NEVER], INK, NEVER)
    for colour, name in zip(SERIES[1:] + SERIES[:1], shown, strict=False):
        _path(axes, series[name], colour, name)
        axes.axvline(_start(name) - _step(series[name]) / 2, color=colour, linewidth=1.2, linestyle=DASHED, zorder=1)
    plain_numbers(axes.yaxis)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel((rows.roles.get("time") or "period") + " (dashed: treatment starts)")
    axes.set_ylabel(wrapped(f"mean of {rows.outcome}", 30))
    axes.grid(axis="y", color=RULE)
    figure.legend(loc="outside lower left", ncols=2, columnspacing=1.2)
    p = rows.diagnostic("pre_trends_p")
    left = len(cohorts) - len(shown)
    caption = "Bands are 95 % intervals of each mean." + (f" {left} later cohorts are left out." if left else "")
    return Drawing(figure, _trends_title(series, cohorts, p, rows.limit("pre_trends")), caption)


def _start(name: str) -> float:
    place = _place(name.removeprefix(_FROM))
    assert place is not None
    return place


def _place(told: Any) -> float | None:
    """Where a declared period lies on the axis: a number as it stands, a date as a year with decimals."""
    if isinstance(told, str):
        with contextlib.suppress(ValueError):
            return float(told)
        try:
            day = datetime.datetime.fromisoformat(told)
        except ValueError:
            return None
        whole = datetime.date(day.year, 12, 31).timetuple().tm_yday
        return day.year + (day.timetuple().tm_yday - 1) / whole
    return float(told) if isinstance(told, int | float) else None


def _step(points: list[Row]) -> float:
    return float(np.min(np.diff([p["x"] for p in points]))) if len(points) > 1 else 1.0


def _path(axes: Axes, points: list[Row], colour: str, label: str) -> None:
    held = [p for p in points if p["conf_low"] is not None]
    axes.fill_between([p["x"] for p in held], [p["conf_low"] for p in held], [p["conf_high"] for p in held],
                      color=colour, alpha=0.12, linewidth=0)  # fmt: skip
    axes.plot([p["x"] for p in points], [p["y"] for p in points], color=colour, label=label,
              marker="o" if len(points) <= 12 else None, markersize=5)  # fmt: skip


def _trends_title(series: dict[str, list[Row]], cohorts: list[str], p: float | None, limit: float) -> str:
    """What the joint test says; without one, the slopes before the first treatment."""
    if p is not None:
        verdict = "are not rejected" if p >= limit else "are rejected"
        return f"Parallel trends before treatment {verdict} (joint test {words.p_value(p)})"
    first = min(_start(name) for name in cohorts)
    before = {name: [q for q in points if q["x"] < first] for name, points in series.items()}
    slopes = {n: _slope(points) for n, points in before.items() if len(points) >= 2}
    if NEVER in slopes and len(slopes) > 1:
        others = [s for n, s in slopes.items() if n != NEVER]
        told = f"{words.number(slopes[NEVER], sign=True)} a period"
        return f"Before {first:g} untreated units move by {told}, later treated ones by {_ends(others)}; no test of it"
    return f"Mean outcomes of {words.count(len(cohorts), 'cohort')} by period; no test compares their trends"


def _ends(values: list[float]) -> str:
    return " to ".join(dict.fromkeys(words.number(v, sign=True) for v in (min(values), max(values))))


def _slope(points: list[Row]) -> float:
    """Of the least-squares line; points at one place have none, which is zero."""
    x, y = (np.array([p[k] for p in points]) for k in ("x", "y"))
    spread = float(np.sum((x - x.mean()) ** 2))
    return float(np.sum((x - x.mean()) * y)) / spread if spread > 0 else 0.0


def timeseries_panel(rows: StudyRows) -> Drawing | NotDrawn:
    """The mean outcome by period with its trend and, where there are two years or more, its season."""
    runs = rows.runs("outcome_series")
    if not runs:
        return NotDrawn("no series: the study has no periods")
    points = next(iter(rows.curve("outcome_series", runs[0]).values()))
    if len(points) < 4:
        return NotDrawn(f"{words.count(len(points), 'period')} are too few for a trend")
    x, y = (np.array([p[k] for p in points]) for k in ("x", "y"))
    season = _season(rows, x)
    smooth = trend(x, y, season)
    figure = canvas(5.0 if season else 3.6)
    axes, low = figure.subplots(2, 1, height_ratios=(1.5, 1)) if season else (figure.add_subplot(), None)
    held = [p for p in points if p["conf_low"] is not None]
    axes.fill_between([p["x"] for p in held], [p["conf_low"] for p in held], [p["conf_high"] for p in held],
                      color=SKY, alpha=0.35, linewidth=0)  # fmt: skip
    axes.plot(x, y, color=BLUE, linewidth=1.3, marker="o" if len(x) <= 40 else None, markersize=4, label="mean")
    axes.plot(x, smooth, color=TREATED, linewidth=2.4, label="trend")
    start = _place(rows.roles.get("intervention_time"))
    if start is not None:
        upright(axes, start - _step(points) / 2, "treatment starts", left=start > np.median(x))
    plain_numbers(axes.yaxis)
    axes.set_xlabel(rows.roles.get("time") or "period")
    axes.set_ylabel(wrapped(f"mean of {rows.outcome}", 30))
    axes.grid(axis="y", color=RULE)
    if low is not None and season:
        _seasons(low, x, y - smooth, season, start, rows)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=2)
    # A trend that treatment has bent is no trend: the title tells that before it, where there is enough.
    early = x < start if start is not None else np.ones(len(x), dtype=bool)
    if early.sum() < 2 * (season or 2):
        early = np.ones(len(x), dtype=bool)
    untouched = trend(x[early], y[early], season)
    return Drawing(figure, _series_title(rows, x[early], untouched, bool(early.sum() < len(x))), _how(season))


def _how(season: int | None) -> str:
    if season is None:
        return "Trend: a local regression over time."
    return f"Trend: centred means over {season} periods; below, the mean deviation from it before treatment."


def _season(rows: StudyRows, x: np.ndarray) -> int | None:
    """Length of the year in periods where the study declares seasons and there are two years."""
    told = ((rows.roles.get("options") or {}).get("its") or {}) if isinstance(rows.roles.get("options"), dict) else {}
    length = round(float(told.get("season", 12))) if told.get("harmonics") else 0
    return length if length >= 2 and len(x) >= 2 * length and np.allclose(np.diff(x), 1) else None


def trend(x: np.ndarray, y: np.ndarray, season: int | None) -> np.ndarray:
    """The trend: means over a whole year (2 × m for an even m, NaN at the ends), or a local regression: shape (n,)."""
    if season is None:
        from .outcomes import local_regression

        return local_regression(x, y, x, 0.5)
    weights = np.ones(season) if season % 2 else np.r_[0.5, np.ones(season - 1), 0.5]
    out, half = np.full(len(y), np.nan), len(weights) // 2
    out[half : len(y) - half] = np.convolve(y, weights / weights.sum(), "valid")
    return out


def _seasons(axes: Axes, x: np.ndarray, off: np.ndarray, season: int, start: object, rows: StudyRows) -> None:
    """Mean deviation from the trend by place in the year, from the periods before treatment."""
    used = np.isfinite(off) & ((x < start) if isinstance(start, int | float) else True)
    place = ((x - x[0]) % season).astype(int)
    means = [float(off[used & (place == k)].mean()) if np.any(used & (place == k)) else 0.0 for k in range(season)]
    axes.bar(range(1, season + 1), means, color=BLUE, width=0.7, zorder=3)
    axes.axhline(0, color=INK, linewidth=1)
    axes.set_xlabel(f"place in the year of {season} periods (1 is the first)")
    axes.set_ylabel(wrapped(f"off the trend ({rows.card.get('outcome_unit') or 'outcome'})", 18))
    axes.set_xticks(range(1, season + 1))
    plain_numbers(axes.yaxis)
    axes.grid(axis="y", color=RULE)


def _series_title(rows: StudyRows, x: np.ndarray, smooth: np.ndarray, is_early: bool) -> str:
    known = np.flatnonzero(np.isfinite(smooth))
    first, last = known[0], known[-1]
    unit, outcome = rows.card.get("outcome_unit") or "", rows.card.get("outcome") or "The outcome"
    change = smooth[last] - smooth[first]
    told = words.unit(unit, words.number(abs(change)))
    direction = "rises" if change > 0 else "falls"
    when = f"from {x[first]:g} to {x[last]:g}"
    return f"The trend of {outcome} {direction} by {told} {when}" + (", before treatment" if is_early else "")
