"""Figures on how sure a decision is: power, looks on the way, what would flip it."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from matplotlib.axes import Axes

from . import words
from .data import StudyRows
from .designs_common import DASHED, band, finding, line
from .style import BLUE, GREEN, INK, MUTED, ORANGE, RULE, VERMILLION, Drawing, NotDrawn, canvas

_NORMAL = NormalDist()
_Z = _NORMAL.inv_cdf(0.975)
_TARGET = 0.8


def power(effect: float, std_error: float) -> float:
    """Chance that a 95 % interval excludes zero on the right side, were the effect as told."""
    return min(_NORMAL.cdf(abs(effect) / std_error - _Z), 0.9999)


def power_curve(rows: StudyRows) -> Drawing | NotDrawn:
    """The chance to see an effect of each size, with the units that there are and with more or fewer."""
    se = rows.card.get("std_error")
    if not se:
        return NotDrawn("no power curve: the primary estimate has no standard error")
    units = rows.card.get("n_units")
    detectable = (_Z + _NORMAL.inv_cdf(_TARGET)) * se
    least = abs(rows.card.get("minimum_effect") or 0) or None
    effects = np.linspace(0, max(2.0 * detectable, 1.15 * (least or 0)), 80)
    figure = canvas(3.7)
    axes = figure.add_subplot()
    for times, colour, width in ((0.5, ORANGE, 1.6), (1, BLUE, 2.6), (2, GREEN, 1.6)):
        label = f"{words.number(units * times, 0)} units" if units else f"{times:g} times as many"
        axes.plot(effects, [100 * power(e, se / math.sqrt(times)) for e in effects], color=colour, linewidth=width,
                  label=label + (" (as now)" if times == 1 else ""))  # fmt: skip
    axes.axhline(100 * _TARGET, color=INK, linewidth=1.1, linestyle=DASHED)
    axes.annotate("80 %", (0, 100 * _TARGET), xycoords=("axes fraction", "data"), xytext=(4, 3),
                  textcoords="offset points", color=MUTED)  # fmt: skip
    if least:
        axes.axvline(least, color=VERMILLION, linewidth=1.3, linestyle=DASHED,
                     label=f"least that matters {words.declared(least)}")  # fmt: skip
    axes.set_xlim(0, effects[-1])
    axes.set_ylim(0, 102)
    axes.xaxis.set_major_formatter(lambda value, _: words.declared(round(value, 10)))
    axes.set_xlabel(f"true effect, in size ({rows.unit})")
    axes.set_ylabel("chance that it is seen (%)")
    axes.grid(color=RULE)
    figure.legend(loc="outside lower left", ncols=2, columnspacing=1.2)
    told = words.unit(rows.unit, words.number(detectable))
    title = f"With 80 % chance the study sees an effect of {told} or more"
    return Drawing(figure, title, _power_caption(se, least, units))


def _power_caption(se: float, least: float | None, units: int | None) -> str:
    start = "Reckoned from the primary's standard error."
    if not least:
        return start
    needed = ((_Z + _NORMAL.inv_cdf(_TARGET)) * se / least) ** 2
    text = f"{start} The least effect that matters would be seen with {words.percent(power(least, se))}"
    if needed <= 1 or not units:
        return f"{text}."
    return f"{text}; for 80 % it takes about {words.number(math.ceil(needed * units), 0)} units."


def sequential_monitor(rows: StudyRows) -> Drawing | NotDrawn:
    """The estimate at each look with an interval that holds at all looks together."""
    runs = rows.runs("sequential")
    if not runs:
        return NotDrawn("no looks on the way: the study was analysed once, with all its units")
    run = runs[0]
    found = next(iter(rows.curve("sequential", run).values()))
    figure = canvas(3.7)
    axes = figure.add_subplot()
    band(axes, found, BLUE, label="interval that holds at all looks together")
    line(axes, found, color=BLUE, marker="o", markersize=5, label="estimate at a look", zorder=4)
    axes.axhline(0, color=INK, linewidth=1)
    if rows.zone:
        axes.axhline(rows.zone, color=GREEN, linewidth=1.2, linestyle=DASHED,
                     label=f"least effect that matters {words.declared(rows.zone)}")  # fmt: skip
    stop = next((p for p in found if p["conf_low"] is not None and (p["conf_low"] > 0 or p["conf_high"] < 0)), None)
    if stop is not None:
        axes.plot([stop["x"]], [stop["y"]], "D", color=VERMILLION, markersize=9, zorder=5, gid="stop",
                  label=f"first clear look, {words.number(stop['x'], 0)} units")  # fmt: skip
    axes.set_xlabel("units so far")
    axes.set_ylabel(f"effect ({rows.unit})")
    axes.xaxis.set_major_formatter(lambda value, _: words.number(value, 0))
    axes.grid(axis="y", color=RULE)
    figure.legend(loc="outside lower left", ncols=2, columnspacing=1.0)
    last = found[-1]
    if stop is None:
        return Drawing(figure, f"At no look did the interval keep off zero: {finding(rows, _as_row(last))}")
    title = f"From {words.number(stop['x'], 0)} units on the interval keeps off zero"
    return Drawing(figure, f"{title}; at the end {finding(rows, _as_row(last))}")


def _as_row(point: dict) -> dict:
    return {**point, "estimate": point["y"]}


_ZONES = {"ship": "#BFE3D5", "extend": "#F7E3B5", "do not ship": "#F2C9B4"}


def decision_flip_points(rows: StudyRows) -> Drawing | NotDrawn:
    """How far each thing would have to move before the decision changed."""
    card = rows.card
    low, high, value = card.get("conf_low"), card.get("conf_high"), card.get("estimate")
    if low is None or high is None or value is None:
        return NotDrawn("no flip points: the primary estimate has no interval")
    least = rows.zone or 0.0
    less = card.get("desired_direction") == "less"
    priced = card.get("value_per_unit") and card.get("cost_per_unit") is not None
    figure = canvas(3.6 if priced else 2.2)
    panels = figure.subplots(2 if priced else 1, 1, squeeze=False)[:, 0]
    edges = (low, high) if not less else (high, low)
    _strip(panels[0], edges, less, least, "declared")
    panels[0].set_title("Least effect asked for")
    panels[0].set_xlabel(f"least effect that would count ({rows.unit})")
    if priced:
        worth = card["value_per_unit"] * (-1 if less else 1)
        ends = sorted((worth * low, worth * high))
        _strip(panels[1], (ends[0], ends[1]), False, card["cost_per_unit"], "declared", names=_PRICED)
        panels[1].set_title("Cost of a treatment")
        panels[1].set_xlabel("cost a treated unit (in the value's money)")
    return Drawing(figure, _flip_title(rows, least, less, edges), _bias(rows))


_PRICED = ("pays", "unclear", "does not pay")


def _beyond(least: float, edge: float, less: bool) -> bool:
    """Whether the asked effect lies beyond the edge, in the desired direction."""
    return least < edge if less else least > edge


def _strip(axes: Axes, edges: tuple[float, float], less: bool, at: float, label: str,
           names: tuple[str, str, str] = ("ship", "extend", "do not ship")) -> None:  # fmt: skip
    span = max(max(*edges, at) - min(*edges, at), 1e-12)
    left, right = min(*edges, at) - 0.38 * span, max(*edges, at) + 0.38 * span
    cuts = (left, *sorted(edges), right)
    order = names[::-1] if less else names
    colours = list(_ZONES.values())[::-1] if less else list(_ZONES.values())
    for start, end, name, colour in zip(cuts[:-1], cuts[1:], order, colours, strict=True):
        axes.axvspan(start, end, color=colour, linewidth=0, zorder=0)
        axes.text((start + end) / 2, 0.72, name, ha="center", va="center", transform=axes.get_xaxis_transform(),
                  size=10.5, weight="bold")  # fmt: skip
    for edge in edges:
        axes.axvline(edge, color=INK, linewidth=1.2, linestyle=DASHED)
    axes.plot([at], [0.25], "D", color=INK, markersize=10, transform=axes.get_xaxis_transform(), gid="declared")
    near_left = at < (left + right) / 2
    axes.annotate(f"{label} {words.declared(at)}", (at, 0.25), xycoords=axes.get_xaxis_transform(), va="center",
                  xytext=(9 if near_left else -9, 0), textcoords="offset points",
                  ha="left" if near_left else "right",
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5, "alpha": 0.75})  # fmt: skip
    axes.set_xlim(left, right)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_formatter(lambda value, _: words.declared(round(value, 10)))
    axes.locator_params(axis="x", nbins=6)


def _flip_title(rows: StudyRows, least: float, less: bool, edges: tuple[float, float]) -> str:
    """The nearer edge of the interval, beyond which another decision follows."""
    decision = str(rows.card.get("decision")).replace("_", " ")
    first, last = (words.unit(rows.unit, words.number(edge)) for edge in edges)
    more = "below" if less else "above"
    if _beyond(least, edges[1], less):
        return f"The decision, {decision}, would change if an effect of {last} sufficed"
    if _beyond(least, edges[0], less):
        return f"The decision, {decision}, would become ship if an effect of {first} sufficed"
    return f"The decision, {decision}, would change if an effect {more} {first} were asked for"


def _bias(rows: StudyRows) -> str:
    """The smallest bias that would reverse the decision, where the rows tell one."""
    if rows.card.get("flip_reading"):
        return words.sentence(str(rows.card["flip_reading"]))
    keys = ("estimator", "specification", "estimand")
    for row in rows.sensitivity:
        same = all(row[k] == rows.card.get(k) for k in keys)
        if same and row["method"] == "tipping_point" and row["subject"] == "bias" and row["reading"]:
            return words.sentence(str(row["reading"]))
    return words.sentence(str(rows.card.get("sensitivity_reading") or ""))
