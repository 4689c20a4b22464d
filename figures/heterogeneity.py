"""Figures on how effects differ between units: their spread, ranking by them, and what drives them."""

from __future__ import annotations

from collections.abc import Callable

from . import words
from .data import Row, StudyRows
from .marks import (
    DASHED,
    Run,
    effect_label,
    group_label,
    least_effect,
    of_run,
    plain_numbers,
    points_with_intervals,
    wrapped,
)
from .style import BLUE, FAINT, INK, MUTED, ORANGE, RULE, SKY, VERMILLION, Drawing, NotDrawn, canvas

_NO_CATE = "the study declares no effect modifiers, or none of them could be ranked"
_SHOWN = 12
Titled = Callable[[StudyRows, Run, list[Row], list[Row]], str]


def cate_distribution(rows: StudyRows) -> Drawing | NotDrawn:
    """The share of units by predicted effect, with zero, the average and the least effect that matters."""
    runs = rows.runs("cate_distribution")
    if not runs:
        return NotDrawn("no predicted effects: no estimator of heterogeneity ran")
    run = runs[0]
    (series,) = list(rows.curve("cate_distribution", run).values())[:1]
    x, share = [p["x"] for p in series], [p["y"] for p in series]
    figure = canvas(3.4)
    axes = figure.add_subplot()
    width = (x[-1] - x[0]) / max(len(x) - 1, 1) or 1.0
    axes.bar(x, [100 * s for s in share], width=width, color=SKY, edgecolor="white", linewidth=0.5, zorder=3)
    axes.axvline(0, color=INK, linewidth=1.2, zorder=2)
    average = rows.overall(run)
    if average is not None:
        axes.axvline(average["estimate"], color=VERMILLION, linewidth=1.6, linestyle=DASHED, zorder=5,
                     label=f"average {words.number(average['estimate'], sign=True)}")  # fmt: skip
    least_effect(axes, rows)
    plain_numbers(axes.xaxis)
    axes.set_xlabel(effect_label(rows, "predicted effect on", 60))
    axes.set_ylabel("share of units (%)")
    axes.grid(axis="y", color=RULE)
    figure.legend(loc="outside lower left", ncols=2)
    low, high = _quantile(x, share, 0.05, width), _quantile(x, share, 0.95, width)
    told = f"{words.interval(low, high)} {rows.unit}"
    p = _differs(rows, run)
    if p is not None and p < 0.05:
        title = f"Effects differ between units: for 90 % of them {told} is predicted"
    elif p is not None:
        title = f"Too imprecise to tell whether effects differ: predictions for 90 % of units run from {told}"
    else:
        title = f"For 90 % of units the predicted effect lies in {told}"
    name = words.run(run[0], run[2], run[1])
    return Drawing(figure, title, f"{name}. {_below_zero(x, share)} {_how_sure(p)}".strip())


def _quantile(x: list[float], share: list[float], q: float, width: float) -> float:
    """The place below which the share q lies, units spread evenly within a bin."""
    below = 0.0
    for middle, part in zip(x, share, strict=True):
        if below + part >= q and part > 0:
            return middle - width / 2 + width * (q - below) / part
        below += part
    return x[-1] + width / 2


def _below_zero(x: list[float], share: list[float]) -> str:
    below = sum(s for a, s in zip(x, share, strict=True) if a < 0)
    told = "no unit" if below == 0 else f"{words.percent(below)} of the units"
    return f"Below zero: {told}."


def _differs(rows: StudyRows, run: Run) -> float | None:
    """The p-value that predicted differences are noise, or None."""
    found = rows.diagnostic("heterogeneity_p", run, "one_sided")
    return rows.diagnostic("calibration_p", run, "differential") if found is None else found


def _how_sure(p: float | None) -> str:
    return "" if p is None else f"Test that predicted differences are real: {words.p_value(p)}."


def uplift_curve(rows: StudyRows) -> Drawing | NotDrawn:
    """What is gained when the units with the largest predicted effects are treated first, against chance."""
    return _targeting(rows, "uplift", f"gain ({rows.unit}, a unit of the population)", _uplift_title)


def qini_curve(rows: StudyRows) -> Drawing | NotDrawn:
    """What targeting by predicted effect gains beyond treating as many at random."""
    return _targeting(rows, "qini", f"gain beyond chance ({rows.unit}, a unit of the population)", _qini_title)


def _targeting(rows: StudyRows, curve: str, label: str, titled: Titled) -> Drawing | NotDrawn:
    runs = rows.runs(curve)
    if not runs:
        return NotDrawn(f"no {curve} curve: {_NO_CATE}")
    series = rows.curve(curve, runs[0])
    ranked, random = series.get("ranked", []), series.get("random", [])
    if not ranked:
        return NotDrawn(f"the {curve} curve has no ranked units")
    figure = canvas(3.5)
    axes = figure.add_subplot()
    band = [p for p in ranked if p["conf_low"] is not None]
    axes.fill_between([100 * p["x"] for p in band], [p["conf_low"] for p in band], [p["conf_high"] for p in band],
                      color=SKY, alpha=0.35, linewidth=0, label="95 % interval, each point by itself")  # fmt: skip
    axes.plot([100 * p["x"] for p in ranked], [p["y"] for p in ranked], color=BLUE, label="largest predicted first")
    axes.plot([100 * p["x"] for p in random], [p["y"] for p in random], color=MUTED, linestyle=(0, (4, 3)),
              label="at random")  # fmt: skip
    if curve == "uplift":
        axes.axhline(0, color=INK, linewidth=1, zorder=1)
    axes.set_xlim(0, 100)
    plain_numbers(axes.yaxis)
    axes.set_xlabel("share of units treated (%)")
    axes.set_ylabel(wrapped(label, 32))
    axes.grid(color=RULE)
    figure.legend(loc="outside lower left", ncols=2, columnspacing=1.2)
    return Drawing(figure, titled(rows, runs[0], ranked, random), _rate_caption(rows, runs[0]))


def _uplift_title(rows: StudyRows, run: Run, ranked: list[Row], random: list[Row]) -> str:
    at = min(ranked, key=lambda p: abs(p["x"] - 0.2))
    chance = next((p["y"] for p in random if abs(p["x"] - at["x"]) < 1e-9), None)
    places = words.decimals_for([at["y"]], words.spread_of(at["conf_low"], at["conf_high"]))
    gain = words.number(at["y"], places, sign=True)
    against = "" if chance is None else f", against {words.number(chance, places, sign=True)} at random"
    who = f"the {words.percent(at['x'])} of units with the largest predicted effects"
    return f"Treating {who} gains the population {gain} {rows.unit} a head{against}"


def _qini_title(rows: StudyRows, run: Run, ranked: list[Row], random: list[Row]) -> str:
    best = max(ranked, key=lambda p: p["y"])
    places = words.decimals_for([best["y"]], words.spread_of(best["conf_low"], best["conf_high"]))
    told = f"{words.number(best['y'], places, sign=True)} {rows.unit} a head at {words.percent(best['x'])} treated"
    rate = rows.overall(run, "rate")
    if rate is None or rate["conf_low"] is None:
        return f"Targeting by predicted effect gains at most {told} beyond chance"
    if rate["conf_low"] > 0:
        return f"Targeting by predicted effect beats chance, at most by {told}"
    if rate["conf_high"] < 0:
        return "Targeting by predicted effect does worse than chance"
    return f"Too imprecise to tell whether targeting by predicted effect beats chance (at most {told})"


def _rate_caption(rows: StudyRows, run: Run) -> str:
    rate = rows.overall(run, "rate")
    if rate is None:
        return ""
    told = words.effect(rate["estimate"], rate["conf_low"], rate["conf_high"], rows.unit)
    return f"What those who rank first gain beyond the average, over all shares (AUTOC): {told}."


def gates_sorted_groups(rows: StudyRows) -> Drawing | NotDrawn:
    """Effects of the fifths of units by predicted effect: observed with interval, and what was predicted."""
    runs = rows.runs("gates")
    if not runs:
        return NotDrawn(f"no sorted groups: {_NO_CATE}")
    run = runs[0]
    series = rows.curve("gates", run)
    observed, predicted = series.get("observed", []), series.get("predicted", [])
    figure = canvas(3.5)
    axes = figure.add_subplot()
    axes.axhline(0, color=INK, linewidth=1)
    axes.plot([p["x"] + 0.14 for p in predicted], [p["y"] for p in predicted], "D", color=ORANGE, markersize=6,
              markeredgecolor="white", label="predicted", zorder=4)  # fmt: skip
    points_with_intervals(axes, [p["x"] - 0.07 for p in observed], observed, label="observed, with 95 % interval")
    average = rows.overall(run)
    if average is not None:
        axes.axhline(average["estimate"], color=INK, linewidth=1.2, linestyle=DASHED, zorder=2, label="average of all")
    plain_numbers(axes.yaxis)
    names = {1: "1\nleast", len(observed): f"{len(observed)}\nmost"}
    axes.set_xticks([p["x"] for p in observed], [names.get(round(p["x"]), f"{p['x']:g}") for p in observed])
    axes.set_xlim(0.5, len(observed) + 0.5)
    axes.set_xlabel("group of units by predicted effect (a fifth each)")
    axes.set_ylabel(effect_label(rows))
    axes.margins(y=0.12)
    axes.grid(axis="y", color=RULE)
    figure.legend(loc="outside lower left", ncols=3, columnspacing=1.0, handletextpad=0.4)
    return Drawing(figure, _gates_title(rows, run, observed), _gates_caption(rows, run))


def _gates_title(rows: StudyRows, run: Run, observed: list[Row]) -> str:
    count = len(observed)
    gap = rows.overall(run, f"gates={count}-1")
    if gap is None or gap["conf_low"] is None:
        return "Effects of the groups sorted by predicted effect"
    told = words.effect(gap["estimate"], gap["conf_low"], gap["conf_high"], rows.unit)
    if gap["conf_low"] > 0:
        return f"The most affected fifth gains {told} more than the least affected"
    if gap["conf_high"] < 0:
        return f"The ranking is upside down: the fifth ranked most affected differs from the least by {told}"
    return f"Too imprecise to tell whether the fifths differ: most less least affected is {told}"


def _gates_caption(rows: StudyRows, run: Run) -> str:
    clan = [d for d in of_run(rows.diagnostics, run) if d["metric"] == "clan" and d["value"] is not None]
    pairs: dict[str, dict[str, float]] = {}
    for row in clan:
        name, _, end = row["subject"].rpartition(":")
        pairs.setdefault(name, {})[end] = row["value"]
    told = [
        f"{name} {words.number(ends['most'])} against {words.number(ends['least'])}"
        for name, ends in pairs.items()
        if {"most", "least"} <= set(ends)
    ]
    return f"Means of the most against the least affected fifth: {'; '.join(told[:4])}." if told else ""


def feature_importance(rows: StudyRows) -> Drawing | NotDrawn:
    """Each column's share of the differences that the causal forest found."""
    runs = rows.runs("feature_importance")
    if not runs:
        return NotDrawn("no importances: no causal forest ran")
    run = runs[0]
    (points,) = list(rows.curve("feature_importance", run).values())[:1]
    if len(points) < 2:
        return NotDrawn("the causal forest had one column alone, so there is nothing to compare")
    shown, rest = points[:_SHOWN], points[_SHOWN:]
    names = [group_label(p["x_label"] or "") for p in shown]
    values = [100 * p["y"] for p in shown]
    if rest:
        names.append(f"{len(rest)} others together")
        values.append(100 * sum(p["y"] for p in rest))
    figure = canvas(1.0 + 0.3 * len(names))
    axes = figure.add_subplot()
    colours = [BLUE] * len(shown) + [FAINT] * bool(rest)
    axes.barh(range(len(names)), values, color=colours, height=0.68, zorder=3)
    for y, value in enumerate(values):
        axes.annotate(f"{value:.0f} %" if value >= 1 else "< 1 %", (value, y), xytext=(4, 0),
                      textcoords="offset points", va="center", size=10,
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8})  # fmt: skip
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, max(values) * 1.14)
    even = 100 / len(points)
    axes.axvline(even, color=INK, linewidth=1.2, linestyle=DASHED, zorder=2, label=f"even share, {even:.0f} %")
    figure.legend(loc="outside lower left")
    axes.set_xlabel("share of the forest's heterogeneity (%)")
    axes.grid(axis="x", color=RULE)
    title = f"{names[0]} makes {words.percent(points[0]['y'])} of the differences that the causal forest sees"
    p = _differs(rows, run)
    if p is not None and p >= 0.05:
        title += "; too imprecise to tell whether effects differ at all"
    return Drawing(figure, title, _how_sure(p))
