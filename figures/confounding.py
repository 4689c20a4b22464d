"""Figures on hidden confounders: contours of the estimate that is left, and Rosenbaum's bounds."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from . import words
from .data import Row, StudyRows
from .marks import DASHED, Run, level, lower_first, of_run, upright
from .style import BLUE, GREEN, INK, MUTED, ORANGE, RULE, SKY, VERMILLION, Drawing, NotDrawn, canvas

_LINE = "estimate="
_SHADES = (SKY, BLUE, GREEN, ORANGE)


def confounding_contours(rows: StudyRows) -> Drawing | NotDrawn:
    """What is left of the estimate over the partial R² of a hidden confounder, with covariates as benchmarks."""
    runs = rows.runs("confounding_contours")
    if not runs:
        return NotDrawn("no confounding contours: the sensitivity estimator did not run")
    run = runs[0]
    lines = rows.curve("confounding_contours", run)
    benchmarks = {name: points[0] for name, points in rows.curve("confounding_benchmarks", run).items()}
    value = _of(rows, run, "robustness_value", "q=1")
    figure = canvas(4.4)
    axes = figure.add_subplot()
    reach = _reach(value, benchmarks)
    levels = sorted((n for n in lines if n.startswith(_LINE)), key=lambda n: abs(float(n.removeprefix(_LINE))))
    for shade, name in enumerate(reversed(levels)):
        amount = float(name.removeprefix(_LINE))
        zero = amount == 0
        matters = rows.zone is not None and not zero and abs(amount - rows.zone) < 1e-4 * abs(amount)
        label = "nothing left" if zero else f"{words.number(amount)} left{' (least that matters)' * matters}"
        _contour(axes, lines[name], VERMILLION if zero else _SHADES[shade % len(_SHADES)], label,
                 2.4 if zero else 1.4)  # fmt: skip
    if lines.get("interval=0"):
        _contour(axes, lines["interval=0"], INK, "interval reaches zero", 1.6, dashed=True)
    for name, point in benchmarks.items():
        axes.plot([100 * point["x"]], [100 * point["y"]], "D", color=INK, markersize=6, markeredgecolor="white",
                  zorder=5, clip_on=False, gid=f"benchmark-{name}")  # fmt: skip
    _names(axes, benchmarks, reach)
    if value is not None:
        axes.plot([100 * value], [100 * value], "o", color=VERMILLION, markersize=8, markeredgecolor="white", zorder=6,
                  gid="robustness")  # fmt: skip
        axes.annotate(f"{words.percent(value, 1)} of both", (100 * value, 100 * value), xytext=(7, 5),
                      textcoords="offset points", color=VERMILLION, weight="bold", size=10)  # fmt: skip
    axes.set_xlim(0, 100 * reach)
    axes.set_ylim(0, 100 * reach)
    axes.set_xlabel("treatment: residual variance that the confounder explains (%)")
    axes.set_ylabel("outcome: residual variance\nthat the confounder explains (%)")
    axes.grid(color=RULE)
    figure.legend(loc="outside lower left", ncols=2, columnspacing=1.2)
    return Drawing(figure, _contour_title(value, benchmarks), _contour_caption(rows, run, benchmarks))


def _reach(value: float | None, benchmarks: dict[str, Row]) -> float:
    """The side of the square that is shown, at most 1."""
    largest = max([value or 0.1, *(max(p["x"], p["y"]) for p in benchmarks.values())])
    return min(1.0, max(2.2 * (value or 0.1), 1.15 * largest))


def _contour(axes: Axes, points: list[Row], color: str, label: str, width: float, *, dashed: bool = False) -> None:
    # R²y = k (1/R²d − 1), so the points between two rows lie on a straight line over 1/R²d.
    x = np.array([p["x"] for p in points])
    fine = np.unique(np.concatenate([x, np.linspace(x[0], x[-1], 1500)]))
    y = np.interp(-1 / fine, -1 / x, [p["y"] for p in points])
    axes.plot(100 * fine, 100 * y, color=color, label=label, linewidth=width,
              linestyle=DASHED if dashed else "-", zorder=3)  # fmt: skip


def _names(axes: Axes, benchmarks: dict[str, Row], reach: float) -> None:
    """Names beside those benchmarks that lie apart from others with a name; the rest are in the caption."""
    named: list[Row] = []
    for name, point in sorted(benchmarks.items(), key=lambda item: -max(item[1]["x"], item[1]["y"])):
        crowd = [*named, *(q for q in benchmarks.values() if q is not point and q["x"] > point["x"])]
        if any(abs(q["y"] - point["y"]) < 0.06 * reach and abs(q["x"] - point["x"]) < 0.3 * reach for q in crowd):
            continue
        named.append(point)
        right = point["x"] > 0.7 * reach
        axes.annotate(words.shortened(name, 20), (100 * point["x"], 100 * point["y"]), xytext=(-7 if right else 7, 4),
                      textcoords="offset points", ha="right" if right else "left", size=10)  # fmt: skip


def _of(rows: StudyRows, run: Run, method: str, subject: str) -> float | None:
    for row in of_run(rows.sensitivity, run):
        if row["method"] == method and row["subject"] == subject:
            return row["value"]
    return None


def _strongest(benchmarks: dict[str, Row]) -> tuple[str, Row] | None:
    return max(benchmarks.items(), key=lambda item: item[1]["x"] * item[1]["y"], default=None)


def _contour_title(value: float | None, benchmarks: dict[str, Row]) -> str:
    if value is None:
        return "What a hidden confounder would leave of the estimate"
    start = f"To leave nothing, a confounder would have to explain {words.percent(value, 1)} of treatment and outcome"
    best = _strongest(benchmarks)
    if best is None:
        return start
    name, point = best
    return f"{start}; one like {name} explains {words.percent(point['x'], 1)} and {words.percent(point['y'], 1)}"


def _contour_caption(rows: StudyRows, run: Run, benchmarks: dict[str, Row]) -> str:
    told = [f"{n} {words.percent(p['x'], 1)} and {words.percent(p['y'], 1)}" for n, p in sorted(benchmarks.items())]
    start = f"Lines are what is left of the estimate ({rows.unit}), over variance that the covariates do not explain."
    return f"{start} Diamonds are confounders as strong as a covariate: {'; '.join(told[:8])}." if told else start


def rosenbaum_bounds(rows: StudyRows) -> Drawing | NotDrawn:
    """p-value and effect of matched pairs when hidden bias changes the odds of treatment within a pair."""
    runs = rows.runs("rosenbaum_p")
    if not runs:
        return NotDrawn(_why_no_bounds(rows))
    run = runs[0]
    p_values, effects = rows.curve("rosenbaum_p", run), rows.curve("rosenbaum_effect", run)
    gamma = _of(rows, run, "rosenbaum", "gamma")
    figure = canvas(5.0)
    top, low = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1))
    # A p-value below this is as good as zero, and would squeeze the rest of a log axis.
    upper = [(p["x"], max(p["y"], 1e-6)) for p in p_values.get("upper", [])]
    top.plot([x for x, _ in upper], [y for _, y in upper], color=BLUE, label="largest p-value")
    top.set_yscale("log")
    top.set_ylim(1e-6, 1.5)
    top.set_yticks([1e-6, 1e-4, 1e-2, 1], ["0.000001 or less", "0.0001", "0.01", "1"])
    top.yaxis.set_minor_locator(NullLocator())
    level(top, 0.05, "0.05", left=True)
    top.set_ylabel("largest one-sided\np-value")
    top.grid(axis="y", color=RULE)
    for points in effects.values():
        held = [p for p in points if p["conf_low"] is not None]
        low.fill_between([p["x"] for p in held], [p["conf_low"] for p in held], [p["conf_high"] for p in held],
                         color=SKY, alpha=0.45, linewidth=0)  # fmt: skip
        low.plot([p["x"] for p in points], [p["y"] for p in points], color=MUTED, linewidth=1.2)
    low.axhline(0, color=INK, linewidth=1)
    low.set_ylabel(f"range of the effect\n({rows.unit})")
    low.set_xlabel("hidden bias Γ (odds of treatment within a pair)")
    low.grid(axis="y", color=RULE)
    for axes in (top, low):
        if gamma is not None and gamma > 1:
            upright(axes, gamma, f"Γ = {gamma:.2f}" if axes is low else "")
    ends = [p["x"] for points in (*p_values.values(), *effects.values()) for p in points]
    low.set_xlim(1, max(ends))
    caption = f"Pairs of a treated and an untreated unit ({lower_first(words.run(run[0], run[2], run[1]))})."
    return Drawing(figure, _bounds_title(gamma, max(ends)), caption)


def _bounds_title(gamma: float | None, furthest: float) -> str:
    if gamma is None:
        return f"The finding stands for every hidden bias shown, up to odds of {furthest:.2g} to 1 within a pair"
    if gamma <= 1:
        return "Even without hidden bias the matched pairs are too imprecise to tell an effect from none"
    return f"The finding stands until hidden bias multiplies the odds of treatment within a pair by {gamma:.2f}"


def _why_no_bounds(rows: StudyRows) -> str:
    for row in rows.sensitivity:
        if row["method"] == "rosenbaum" and row["value"] is None and row["reading"]:
            return f"no Rosenbaum bounds: {words.shortened(row['reading'], 110)}"
    return "no Rosenbaum bounds: the sensitivity estimator did not run"
