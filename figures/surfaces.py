"""Figures in three dimensions: the effect over two covariates, net benefit, the network with its effects as heights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Line3DCollection
from mpl_toolkits.mplot3d.axes3d import Axes3D

from . import words
from .data import StudyRows
from .designs_common import points
from .network import STATES, graph_of
from .style import INK, MUTED, RULE, SKY, VERMILLION, Drawing, NotDrawn, canvas

_MAP = "viridis"


@dataclass(frozen=True)
class Landscape:
    """Effects on a grid of two modifiers: ``z[i, j]`` at ``ys[i]``, ``xs[j]``, and intervals if all have one."""

    x_name: str
    y_name: str
    xs: np.ndarray
    ys: np.ndarray
    z: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None


def landscape(rows: StudyRows) -> Landscape | NotDrawn:
    """The effect over two modifiers, or why it cannot be laid out."""
    runs = rows.runs("cate_landscape")
    if not runs:
        return NotDrawn("no effects over two covariates: no causal forest ran with two of them")
    series = rows.curve("cate_landscape", runs[0])
    levels = sorted((level, name) for name in series if (level := _level(name)) is not None)
    if not levels:
        return NotDrawn("the effects over two covariates name no level of the second")
    first = series[levels[0][1]]
    x_name, y_name = str(first[0]["x_label"]), levels[0][1].split("=")[0]
    if x_name.removesuffix("^2") == y_name.removesuffix("^2"):
        return NotDrawn(f"{x_name} and {y_name} are one covariate: there is no surface over them")
    xs = np.array([p["x"] for p in first])
    if len(levels) < 3 or len(xs) < 3:
        return NotDrawn(f"{x_name} or {y_name} has fewer than three levels: no surface; see the effects by subgroup")
    if any([p["x"] for p in series[name]] != list(xs) for _, name in levels):
        return NotDrawn("the effects over two covariates are not on one grid")
    z, low, high = (np.array([[p[k] for p in series[name]] for _, name in levels], float)
                    for k in ("y", "conf_low", "conf_high"))  # fmt: skip
    sheets = bool(np.isfinite(low).all() and np.isfinite(high).all())
    return Landscape(x_name, y_name, xs, np.array([v for v, _ in levels]), z, low if sheets else None,
                     high if sheets else None)  # fmt: skip


def _level(series: str) -> float | None:
    """The number in ``age=35``."""
    try:
        return float(series.rpartition("=")[2])
    except ValueError:
        return None


def causal_surface_3d(rows: StudyRows) -> Drawing | NotDrawn:
    """The effect over two covariates; translucent sheets are the ends of the interval."""
    land = landscape(rows)
    if isinstance(land, NotDrawn):
        return land
    figure = canvas(4.6)
    axes = _space(figure)
    x, y = np.meshgrid(land.xs, land.ys)
    drawn = axes.plot_surface(x, y, land.z, cmap=_MAP, edgecolor="white", linewidth=0.3, rstride=1, cstride=1)
    for sheet in (land.low, land.high):
        if sheet is not None:
            axes.plot_surface(x, y, sheet, color=SKY, alpha=0.22, linewidth=0, rstride=1, cstride=1)
    _name(axes, words.shortened(land.x_name, 20), words.shortened(land.y_name, 20), f"effect ({rows.unit})")
    _scale_beside(figure, axes, drawn)
    sheets = "Translucent sheets are the ends of the 95 % interval." if land.low is not None else (
        "The rows hold no interval for each cell: read the shape, not the single value."
    )  # fmt: skip
    title = f"The effect runs from {_range(land.z)} {rows.unit} over {land.x_name} and {land.y_name}"
    return Drawing(figure, title, sheets)


def cate_landscape_3d(rows: StudyRows) -> Drawing | NotDrawn:
    """Peak, valley and the ridge where the effect is just large enough to act on."""
    land = landscape(rows)
    if isinstance(land, NotDrawn):
        return land
    edge = rows.zone or 0.0
    figure = canvas(4.6)
    axes = _space(figure)
    x, y = np.meshgrid(land.xs, land.ys)
    axes.plot_surface(x, y, land.z, cmap=_MAP, alpha=0.8, linewidth=0, rstride=1, cstride=1)
    floor = float(land.z.min() - 0.25 * (np.ptp(land.z) or 1))
    axes.set_zlim(floor, float(land.z.max() + 0.12 * (np.ptp(land.z) or 1)))
    axes.contourf(x, y, land.z, levels=10, zdir="z", offset=floor, cmap=_MAP, alpha=0.35)
    crosses = land.z.min() < edge < land.z.max()
    if crosses:
        axes.contour(x, y, land.z, levels=[edge], colors=[VERMILLION], linewidths=2.6)
        axes.contour(x, y, land.z, levels=[edge], zdir="z", offset=floor, colors=[VERMILLION], linewidths=2)
    for name, at, marker in (("peak", np.argmax(land.z), "^"), ("valley", np.argmin(land.z), "v")):
        i, j = np.unravel_index(at, land.z.shape)
        axes.plot([land.xs[j]], [land.ys[i]], [land.z[i, j]], marker, color=INK, markersize=9, zorder=10,
                  linestyle="none", label=f"{name} {words.number(float(land.z[i, j]), sign=True)}")  # fmt: skip
    if crosses:
        axes.plot([], [], color=VERMILLION, linewidth=2.6, label=f"decision ridge {words.declared(edge)}")
    figure.legend(loc="outside lower left", ncols=3)
    _name(axes, words.shortened(land.x_name, 20), words.shortened(land.y_name, 20), f"effect ({rows.unit})")
    caption = "Predictions; the highest and the lowest overstate. " + (
        "Their intervals are in the figure of the effect's surface." if land.low is not None
        else "No cell has an interval."
    )  # fmt: skip
    return Drawing(figure, _ridge_title(rows, land, edge), caption)


def _ridge_title(rows: StudyRows, land: Landscape, edge: float) -> str:
    less = rows.card.get("desired_direction") == "less"
    beyond = float(np.mean(land.z <= edge if less else land.z >= edge))
    part = "all" if beyond == 1 else "none" if beyond == 0 else words.percent(beyond)
    told = words.unit(rows.unit, words.declared(edge))
    side = "at most" if less else "at least"
    return f"In {part} of the landscape the predicted effect is {side} {told}"


def _range(z: np.ndarray) -> str:
    places = words.decimals_for([], float(np.ptp(z)) or None)
    return " to ".join(words.number(float(v), places, sign=True) for v in (z.min(), z.max()))


def policy_manifold_3d(rows: StudyRows) -> Drawing | NotDrawn:
    """Net benefit over the share treated and the cost of a treatment; the ridge is the best share at each cost."""
    runs = rows.runs("uplift")
    ranked = rows.curve("uplift", runs[0]).get("ranked", []) if runs else []
    if len(ranked) < 3:
        return NotDrawn("no uplift curve: no estimator ranked the units by their effect")
    share, gain = (np.array([p[k] for p in ranked]) for k in ("x", "y"))
    sign = -1.0 if rows.card.get("desired_direction") == "less" else 1.0
    worth = rows.card.get("value_per_unit") or 1.0
    money = bool(rows.card.get("value_per_unit"))
    slopes = np.diff(sign * worth * gain) / np.diff(share)
    declared = rows.card.get("cost_per_unit")
    top = max(1.15 * float(slopes.max()), 1.2 * (declared or 0.0), 1e-12)
    cost = np.linspace(0.0, top, 25)
    x, y = np.meshgrid(share, cost)
    net = sign * worth * gain[None, :] - y * x
    best = net.argmax(axis=1)
    figure = canvas(4.6)
    axes = _space(figure)
    drawn = axes.plot_surface(x * 100, y, net, cmap=_MAP, alpha=0.85, linewidth=0, rstride=1, cstride=1)
    axes.plot(100 * share[best], cost, net[np.arange(len(cost)), best], color=VERMILLION, linewidth=3, zorder=10,
              label="best share at each cost")  # fmt: skip
    if declared is not None:
        i = int(np.abs(cost - declared).argmin())
        axes.plot(100 * share, np.full(len(share), cost[i]), net[i], color=INK, linewidth=2, zorder=9,
                  label=f"declared cost {words.declared(declared)}")  # fmt: skip
    unit = "value" if money else rows.card.get("outcome_unit") or "outcome"
    _name(axes, "share treated (%)", "cost of a treatment", f"net benefit ({unit} a head)")
    _scale_beside(figure, axes, drawn)
    figure.legend(loc="outside lower left", ncols=2)
    return Drawing(figure, *_price_words(share, sign * worth * gain, declared, unit))


def _price_words(share: np.ndarray, gain: np.ndarray, declared: float | None, unit: str) -> tuple[str, str]:
    """The best share at the declared cost (free where none is declared), and the shadow price beyond it."""
    cost = declared or 0.0
    best = int((gain - cost * share).argmax())
    whose = f"At a cost of {words.declared(cost)}" if declared is not None else "Were treatment free,"
    net = words.unit(unit, words.number(float(gain[best] - cost * share[best])))
    whom = "everybody" if share[best] == 1 else "nobody" if share[best] == 0 else words.percent(float(share[best]))
    title = f"{whose} treating {whom} brings most: {net} a head"
    half = len(share) // 2
    price = float((gain[half + 1] - gain[half]) / (share[half + 1] - share[half])) if half + 1 < len(share) else 0.0
    caption = f"Shadow price: beyond the better half, one more treatment adds {words.number(price)} {unit}."
    return title, f"{caption} No interval is drawn; the uplift curve has them."


def network_spillover_3d(rows: StudyRows) -> Drawing | NotDrawn:
    """Nodes at the height of the spillover that they receive, sized by direct effect; edges as wide as they carry."""
    graph = graph_of(rows)
    if graph is None:
        return NotDrawn("no network to draw: the study declares no edges")
    if not graph.edges:
        return NotDrawn("no edge of the network joins two of the units that are drawn")
    runs = rows.runs("network_node_effect")
    direct = {str(p["x_label"]): p["y"] for p in points(rows, "network_node_effect", runs[0])} if runs else {}
    received = dict.fromkeys(graph.places, 0.0)
    for start, _, weight in graph.edges:  # the one that names receives from the one named
        received[start] += weight
    figure = canvas(4.8)
    axes = _space(figure)
    most = max((w for *_, w in graph.edges), default=0) or 1
    axes.add_collection3d(Line3DCollection(
        [[(*graph.places[a], received[a]), (*graph.places[b], received[b])] for a, b, _ in graph.edges],
        linewidths=[0.5 + 2.6 * w / most for *_, w in graph.edges],
        colors=[MUTED if w > 0 else RULE for *_, w in graph.edges]))  # fmt: skip
    largest = max((abs(v) for v in direct.values()), default=0) or 1
    for state, (colour, marker) in STATES.items():
        names = [n for n, s in graph.states.items() if s == state]
        sizes = [28 + 90 * abs(direct.get(n, 0.0)) / largest for n in names]
        axes.scatter([graph.places[n][0] for n in names], [graph.places[n][1] for n in names],
                     [received[n] for n in names], s=sizes, color=colour, marker=marker, edgecolors="white",
                     linewidths=0.6, depthshade=False, label=state)  # fmt: skip
    _name(axes, "", "", f"spillover received ({rows.unit})")
    axes.set_xticks([])
    axes.set_yticks([])
    figure.legend(loc="outside lower left", ncols=2, columnspacing=1.0, handletextpad=0.2)
    reached = [v for v in received.values() if v > 0]
    title = f"{len(reached)} of {words.count(len(received), 'unit')} drawn receive spillover"
    if reached:
        title += f", {words.unit(rows.unit, words.number(sum(reached) / len(reached), sign=True))} on average"
    caption = "Height is spillover received, size the direct effect, an edge's width what it carries."
    return Drawing(figure, title, caption)


def _space(figure: Figure) -> Axes3D:
    axes = figure.add_subplot(projection="3d", computed_zorder=False)
    axes.view_init(elev=26, azim=-128)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color((0.97, 0.975, 0.98, 1.0))
        axis._axinfo["grid"].update(color=RULE, linewidth=0.7)
    axes.set_box_aspect((1.3, 1.3, 0.85), zoom=0.98)
    return axes


def _name(axes: Axes3D, x: str, y: str, z: str) -> None:
    axes.set_xlabel(x, labelpad=6)
    axes.set_ylabel(y, labelpad=6)
    axes.text2D(0.01, 0.97, f"height: {z}", transform=axes.transAxes, color=MUTED, size=10)
    for axis in ("x", "y", "z"):
        axes.locator_params(axis=axis, nbins=5)
        axes.tick_params(axis=axis, labelsize=9)


def _scale_beside(figure: Figure, axes: Axes3D, drawn: Any) -> None:
    bar = figure.colorbar(drawn, ax=axes, shrink=0.55, pad=0.12)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=9)
