"""Figures that move: thirty frames each, as GIF. Their still picture is the last frame."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from . import words
from .data import Row, StudyRows
from .designs_common import Run, bounds, finding
from .network import STATES, graph_of
from .style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    MARKERS,
    MUTED,
    RULE,
    SERIES,
    VERMILLION,
    Drawing,
    NotDrawn,
    canvas,
    look,
)

FRAMES, FRAME_MS, LAST_MS, DPI = 30, 140, 2500, 100

Step = Callable[[int], None]


def _still(_: int) -> None:
    """No movement."""


@dataclass(frozen=True)
class Film(Drawing):
    """A drawing that moves: ``step(i)`` turns its figure into frame ``i``, from 0; it is left at the last."""

    step: Step = _still
    frames: int = FRAMES


def gif(film: Film) -> bytes:
    """All frames with the title as an animated GIF, the same bytes for the same rows; it repeats."""
    figure = film.figure
    width, height = figure.get_size_inches()
    with look():
        lines = textwrap.wrap(film.title, int(width * 9.2))
        figure.set_size_inches(width, height + 0.23 * len(lines))
        figure.suptitle("\n".join(lines), x=0.012, ha="left", size=12.5, weight="bold", linespacing=1.3)
        figure.set_dpi(DPI)
        film.step(film.frames - 1)
        figure.canvas.draw()
        engine = figure.get_layout_engine()
        figure.set_layout_engine("none")
        # How far the film has run; it also keeps frames apart that show the same.
        bar = Line2D([0, 0], [0.004, 0.004], transform=figure.transFigure, color=FAINT, linewidth=3)
        figure.add_artist(bar)
        pictures = []
        for i in range(film.frames):
            film.step(i)
            bar.set_xdata([0, (i + 1) / film.frames])
            pictures.append(_picture(figure))
        bar.remove()
        figure.set_layout_engine(engine)
        figure.suptitle("")
        figure.set_size_inches(width, height)
    buffer = io.BytesIO()
    palette = pictures[-1].quantize(96)
    small = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    times = [FRAME_MS] * (len(small) - 1) + [LAST_MS]
    small[0].save(buffer, "GIF", save_all=True, append_images=small[1:], duration=times, loop=0, optimize=False)
    return buffer.getvalue()


def _picture(figure: Figure) -> Image.Image:
    drawn = FigureCanvasAgg(figure)
    drawn.draw()
    size = tuple(int(v) for v in figure.bbox.size)
    return Image.frombuffer("RGBA", size, drawn.buffer_rgba()).convert("RGB")


def shown(i: int, count: int, frames: int = FRAMES) -> int:
    """How many of ``count`` points stand in frame ``i``: one at first, all at the last."""
    return min(max(math.ceil((i + 1) * count / frames), 1), count)


def _trace(axes: Axes, found: list[Row], colour: str, label: str, marker: str = "o") -> Step:
    """Draws a curve that grows point by point, each with its interval."""
    (drawn,) = axes.plot([p["x"] for p in found], [p["y"] for p in found], color=colour, marker=marker, markersize=5,
                         label=label, zorder=4, gid=f"trace-{label}")  # fmt: skip
    stems = [axes.vlines(p["x"], p["conf_low"], p["conf_high"], color=colour, linewidth=2.4, alpha=0.45, zorder=3)
             if bounds(p) else None for p in found]  # fmt: skip

    def step(i: int) -> None:
        count = shown(i, len(found))
        drawn.set_data([p["x"] for p in found[:count]], [p["y"] for p in found[:count]])
        for j, stem in enumerate(stems):
            if stem is not None:
                stem.set_visible(j < count)

    return step


def _frame(axes: Axes, found: list[Row], x_label: str, y_label: str) -> None:
    """Limits that hold for all frames."""
    ys = [p[k] for p in found for k in ("y", "conf_low", "conf_high") if p[k] is not None]
    xs = [p["x"] for p in found]
    room = 0.12 * ((max(ys) - min(ys)) or 1)
    side = 0.03 * ((max(xs) - min(xs)) or 1)
    axes.set_xlim(min(xs) - side, max(xs) + side)
    axes.set_ylim(min(*ys, 0 if min(ys) > 0 and min(ys) < 0.5 * max(ys) else min(ys)) - room, max(ys) + 1.6 * room)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(axis="y", color=RULE)


def _note(axes: Axes, text: Callable[[int], str]) -> Step:
    """A line at the top of the plot that tells what the newest point says."""
    told = axes.text(0.015, 0.975, text(FRAMES - 1), transform=axes.transAxes, va="top", weight="bold", size=10.5,
                     zorder=6, bbox={"facecolor": "white", "edgecolor": "none", "pad": 2, "alpha": 0.85})  # fmt: skip
    told.set_in_layout(False)
    return lambda i: told.set_text(text(i))


def _all(*steps: Step) -> Step:
    def step(i: int) -> None:
        for one in steps:
            one(i)

    return step


_BY_PERIOD = (("event_study", "pointwise"), ("sdid_effect", "pointwise"), ("synthetic_effect", "conformal"),
              ("panel_matching_leads", "effect"))  # fmt: skip


def _by_period(rows: StudyRows) -> tuple[str, Run, list[Row]] | None:
    for curve, series in _BY_PERIOD:
        for run in rows.runs(curve):
            found = rows.curve(curve, run).get(series, [])
            if len(found) > 1:
                return curve, run, found
    return None


def ate_animation(rows: StudyRows) -> Film | NotDrawn:
    """The effect period by period, its interval with it."""
    source = _by_period(rows)
    if source is None:
        return NotDrawn("no effect by period: the study has one point in time")
    curve, run, found = source
    since = curve in ("event_study", "panel_matching_leads")
    label = "periods since treatment" if since else str(rows.roles.get("time") or "period")
    return _effect_film(rows, run, found, label)


def _effect_film(rows: StudyRows, run: Run, found: list[Row], label: str) -> Film:
    figure = canvas(3.6)
    axes = figure.add_subplot()
    _frame(axes, found, label, f"effect ({rows.unit})")
    axes.axhline(0, color=INK, linewidth=1)

    def told(i: int) -> str:
        p = found[shown(i, len(found)) - 1]
        return f"{label} {words.declared(p['x'])}: {words.effect(p['y'], p['conf_low'], p['conf_high'], rows.unit)}"

    step = _all(_trace(axes, found, BLUE, "effect, 95 % interval"), _note(axes, told))
    name = words.run(run[0], run[2], run[1])
    title = f"{name}: {finding(rows, rows.overall(run))}" if rows.overall(run) else f"{name}: the effect by period"
    return Film(figure, title, "Each frame adds what the next period shows.", step)


def spillover_dynamics(rows: StudyRows) -> Film | NotDrawn:
    """Spillover runs along the edges of the network, the strongest first."""
    graph = graph_of(rows)
    if graph is None:
        return NotDrawn("no network to draw: the study declares no edges")
    edges = sorted((e for e in graph.edges if e[2] > 0), key=lambda e: (-e[2], e))
    if not edges:
        return NotDrawn("no edge of the drawn network carries spillover")
    figure = canvas(4.9)
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_aspect("equal")
    every = [[graph.places[a], graph.places[b]] for a, b, _ in graph.edges]
    axes.add_collection(LineCollection(every, colors="#D5DAE0", linewidths=0.7, zorder=1))
    lit = LineCollection([], colors=VERMILLION, zorder=2)
    axes.add_collection(lit)
    for state, (colour, marker) in STATES.items():
        at = [graph.places[n] for n, s in graph.states.items() if s == state]
        axes.scatter([x for x, _ in at], [y for _, y in at], s=60, color=colour, marker=marker, edgecolors="white",
                     linewidths=0.7, zorder=3, label=state)  # fmt: skip
    (rings,) = axes.plot(
        [], [], "o", markersize=13, markerfacecolor="none", markeredgecolor=INK, zorder=4, gid="reached"
    )
    axes.autoscale_view()
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top + 0.1 * (top - bottom))
    figure.legend(loc="outside lower left", ncols=2, columnspacing=1.0, handletextpad=0.2)
    widest = edges[0][2]

    def reached(i: int) -> list[str]:
        return sorted({a for a, _, _ in edges[: shown(i, len(edges))]})

    def move(i: int) -> None:
        now = edges[: shown(i, len(edges))]
        lit.set_segments([[graph.places[a], graph.places[b]] for a, b, _ in now])
        lit.set_linewidths([0.8 + 2.4 * w / widest for *_, w in now])
        at = [graph.places[n] for n in reached(i)]
        rings.set_data([x for x, _ in at], [y for _, y in at])

    step = _all(move, _note(axes, lambda i: f"{len(reached(i))} of {len(graph.states)} units reached"))
    step(FRAMES - 1)
    title = f"Spillover reaches {len(reached(FRAMES - 1))} of the {words.count(len(graph.states), 'unit')} drawn"
    return Film(figure, title, "Edges light up from the strongest spillover to the weakest; rings mark who is reached.",
                step)  # fmt: skip


def education_learning_gain(rows: StudyRows) -> Film | NotDrawn:
    """The predicted gain along the first modifier, a line for each level of the second."""
    if not rows.name.startswith("education"):
        return NotDrawn("drawn for studies of education only")
    runs = rows.runs("cate_landscape")
    if not runs:
        return NotDrawn("no predicted effects over covariates: no causal forest ran")
    series = dict(list(rows.curve("cate_landscape", runs[0]).items())[:4])
    figure = canvas(3.7)
    axes = figure.add_subplot()
    every = [p for found in series.values() for p in found]
    x_name = str(every[0]["x_label"])
    _frame(axes, every, x_name, f"gain ({rows.unit})")
    looks = zip(series.items(), SERIES, MARKERS, strict=False)
    steps = [_trace(axes, found, colour, name.replace("=", " = "), mark) for (name, found), colour, mark in looks]
    longest = max(series.values(), key=len)
    note = _note(axes, lambda i: f"{x_name} up to {words.number(longest[shown(i, len(longest)) - 1]['x'])}")
    figure.legend(loc="outside lower left", ncols=4)
    low, high = min(p["y"] for p in every), max(p["y"] for p in every)
    places = words.decimals_for([], high - low or None)
    ends = f"{words.number(low, places, sign=True)} to {words.number(high, places, sign=True)}"
    title = f"The predicted gain runs from {ends} {rows.unit} over {x_name}"
    return Film(figure, title, "Predictions of a causal forest, without intervals.", _all(*steps, note))


def healthcare_trajectory(rows: StudyRows) -> Film | NotDrawn:
    """The observed path and the one that the earlier trend would have taken."""
    if not rows.name.startswith("healthcare"):
        return NotDrawn("drawn for studies of health care only")
    runs = rows.runs("its_path")
    if not runs:
        return NotDrawn("no interrupted series: the study declares no intervention time")
    series = rows.curve("its_path", runs[0])
    observed, without = series.get("observed", []), series.get("counterfactual", [])
    if not observed or not without:
        return NotDrawn("the series has no path without the intervention")
    figure = canvas(3.7)
    axes = figure.add_subplot()
    time = str(rows.roles.get("time") or "period")
    _frame(axes, observed + without, time, rows.outcome)
    before = len([p for p in observed if p["x"] < without[0]["x"]])
    (seen,) = axes.plot([p["x"] for p in observed], [p["y"] for p in observed], color=BLUE, marker="o", markersize=5,
                        label="observed", gid="trace-observed")  # fmt: skip
    (other,) = axes.plot([p["x"] for p in without], [p["y"] for p in without], color=VERMILLION, linestyle=(0, (5, 2)),
                         label="without intervention", gid="trace-without")  # fmt: skip
    axes.axvline(without[0]["x"] - 0.5, color=MUTED, linewidth=1.1, linestyle=(0, (4, 3)), label="intervention")
    figure.legend(loc="outside lower left", ncols=3)

    def move(i: int) -> None:
        count = shown(i, len(observed))
        after = max(count - before, 0)
        seen.set_data([p["x"] for p in observed[:count]], [p["y"] for p in observed[:count]])
        other.set_data([p["x"] for p in without[:after]], [p["y"] for p in without[:after]])

    def told(i: int) -> str:
        count = shown(i, len(observed))
        now, after = observed[count - 1], min(count - before, len(without))
        gap = f", {words.number(now['y'] - without[after - 1]['y'], sign=True)} {rows.unit}" if after > 0 else ""
        return f"{time} {now['x']:g}{gap}"

    overall = rows.overall(runs[0])
    title = f"Against the earlier trend the difference is {finding(rows, overall)}" if overall else "The path of health"
    return Film(figure, title, "Each frame adds the next period.", _all(move, _note(axes, told)))


def finance_portfolio_path(rows: StudyRows) -> Film | NotDrawn:
    """The effect by quarter since treatment, and what it has added up to."""
    if not rows.name.startswith("finance"):
        return NotDrawn("drawn for studies of finance only")
    runs = rows.runs("event_study")
    if not runs:
        return NotDrawn("no effect by period: no difference-in-differences ran")
    after = [p for p in rows.curve("event_study", runs[0]).get("pointwise", []) if p["x"] >= 0]
    if not after:
        return NotDrawn("no period after treatment is in the rows")
    summed = [{**p, "y": sum(q["y"] for q in after[: k + 1]), "conf_low": None, "conf_high": None}
              for k, p in enumerate(after)]  # fmt: skip
    figure = canvas(3.7)
    axes = figure.add_subplot()
    _frame(axes, after + summed, "quarters since treatment", rows.unit)
    axes.axhline(0, color=INK, linewidth=1)
    steps = (_trace(axes, summed, GREEN, "added up", "s"), _trace(axes, after, BLUE, "in the quarter, 95 % interval"))
    unit = rows.card.get("outcome_unit") or rows.unit
    note = _note(axes, lambda i: f"{shown(i, len(after))} quarters: "
                 f"{words.number(summed[shown(i, len(after)) - 1]['y'], sign=True)} {unit}")  # fmt: skip
    figure.legend(loc="outside lower left", ncols=2)
    total = words.unit(unit, words.number(summed[-1]["y"], sign=True))
    title = f"Over {words.count(len(after), 'quarter')} the effect adds up to {total}"
    caption = "Later quarters are of customers treated early. The sum has no interval: no covariances are told."
    return Film(figure, title, caption, _all(*steps, note))


def ecommerce_lifetime_value(rows: StudyRows) -> Film | NotDrawn:
    """What is gained as more customers are treated, those who gain most first."""
    if not rows.name.startswith("ecommerce"):
        return NotDrawn("drawn for studies of electronic commerce only")
    runs = rows.runs("uplift")
    series = rows.curve("uplift", runs[0]) if runs else {}
    if not series.get("ranked"):
        return NotDrawn("no uplift curve: no estimator ranked the customers")
    percent = {name: [{**p, "x": 100 * p["x"]} for p in found] for name, found in series.items()}
    figure = canvas(3.7)
    axes = figure.add_subplot()
    unit = rows.card.get("outcome_unit") or rows.unit
    _frame(axes, percent["ranked"], "share of customers treated (%)", f"gain a customer ({unit})")
    steps = [_trace(axes, percent["ranked"], BLUE, "best first, 95 % interval")]
    if percent.get("random"):
        steps.append(_trace(axes, percent["random"], MUTED, "by lot", "s"))
    figure.legend(loc="outside lower left", ncols=2)
    best = percent["ranked"]
    note = _note(axes, lambda i: f"{best[shown(i, len(best)) - 1]['x']:.0f} % treated: "
                 f"{words.number(best[shown(i, len(best)) - 1]['y'], sign=True)} {unit}")  # fmt: skip
    half = min(best, key=lambda p: abs(p["x"] - 50))
    part = words.percent(half["y"] / best[-1]["y"]) if best[-1]["y"] else "–"
    title = f"Treating the half who gain most brings {part} of the whole gain"
    last = best[-1]
    caption = f"With all treated the gain is {words.effect(last['y'], last['conf_low'], last['conf_high'], unit)}."
    return Film(figure, title, caption, _all(*steps, note))
