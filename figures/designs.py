"""Figures of the designs by themselves: event study, regression discontinuity, synthetic control."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from . import words
from .data import Row, StudyRows
from .marks import effect_label, wrapped
from .style import BLUE, FAINT, INK, MUTED, RULE, TREATED, VERMILLION, Drawing, NotDrawn, canvas

Run = tuple[str, str, str]


def event_study(rows: StudyRows) -> Drawing | NotDrawn:
    """Effects by period since treatment with pointwise (thick) and simultaneous (thin) intervals."""
    runs = rows.runs("event_study")
    if not runs:
        return NotDrawn("no event-study curve: the study is no panel with staggered treatment")
    run = runs[0]
    series = rows.curve("event_study", run)
    points = series.get("pointwise") or series.get("simultaneous") or next(iter(series.values()))
    figure = canvas(3.6)
    axes = figure.add_subplot()
    axes.axhline(0, color=INK, linewidth=1)
    axes.axvline(-0.5, color=INK, linewidth=1.1, linestyle=(0, (4, 3)))
    _beside(axes, -0.5, "treatment starts")
    for name, width, alpha in (("simultaneous", 1.3, 0.9), ("pointwise", 4.5, 0.55)):
        held = [p for p in series.get(name, []) if p["conf_low"] is not None and p["conf_high"] is not None]
        if not held:  # a legend of lines without a colour fails
            continue
        axes.vlines([p["x"] for p in held], [p["conf_low"] for p in held], [p["conf_high"] for p in held],
                    colors=[_side(p["x"]) for p in held], linewidth=width, alpha=alpha, label=f"95 % {name} interval",
                    zorder=3)  # fmt: skip
    for label, side in (("before", -1), ("after", 0)):
        chosen = [p for p in points if (p["x"] < 0) == (side < 0)]
        axes.plot([p["x"] for p in chosen], [p["y"] for p in chosen], "o", color=_side(side), markersize=7,
                  markeredgecolor="white", label=label, zorder=4)  # fmt: skip
    step = 1 + (len(points) - 1) // 16  # labels of more periods run into each other
    axes.set_xticks([p["x"] for p in points if p["x"] % step == 0])
    axes.xaxis.set_major_formatter(lambda value, _: words.number(value, 0, sign=True))
    axes.set_xlabel("periods since treatment")
    axes.set_ylabel(effect_label(rows))
    axes.margins(y=0.14)
    axes.grid(axis="y", color=RULE)
    figure.legend(loc="outside lower left", ncols=2, columnspacing=1.2, handletextpad=0.4)
    return Drawing(figure, _event_title(rows, run), _pre_caption(rows, run, series))


def _side(x: float) -> str:
    return BLUE if x < 0 else VERMILLION


def _event_title(rows: StudyRows, run: Run) -> str:
    overall = rows.overall(run)
    if overall is None:
        return "Effect by period since treatment"
    told = words.effect(overall["estimate"], overall["conf_low"], overall["conf_high"], rows.unit)
    return f"After treatment the outcome changes by {told} on average"


def _pre_caption(rows: StudyRows, run: Run, series: dict[str, list[Row]]) -> str:
    name = "simultaneous" if "simultaneous" in series else "pointwise"
    before = [p for p in series.get(name, []) if p["x"] < 0 and p["conf_low"] is not None]
    if not before:
        return "No period before treatment can be checked."
    off = sum(p["conf_low"] > 0 or p["conf_high"] < 0 for p in before)
    told = "none" if off == 0 else str(off)
    text = f"Of {words.count(len(before), 'earlier period')}, {told} {'has' if off <= 1 else 'have'} a {name} interval "
    text += "that excludes zero"
    p = rows.diagnostic("pre_trends_p", run)
    if p is None:
        return text + "."
    verdict = "does not reject" if p >= 0.05 else "rejects"
    return f"{text}; the joint test {verdict} parallel trends before treatment ({words.p_value(p)})."


def rd_plot(rows: StudyRows) -> Drawing | NotDrawn:
    """Bin means and the local polynomial on each side of the cutoff."""
    runs = rows.runs("rd_bins") or rows.runs("rd_fit")
    if not runs:
        return NotDrawn("no discontinuity curves: the study has no running variable")
    run = runs[0]
    bins, fit = rows.curve("rd_bins", run), rows.curve("rd_fit", run)
    cutoff = _cutoff(rows, fit or bins)
    figure = canvas(3.8)
    axes = figure.add_subplot()
    if fit:
        inside = [p["x"] for side in fit.values() for p in side]
        axes.axvspan(min(inside), max(inside), color="#F3F5F7", zorder=0, linewidth=0, label="bandwidth")
    for side, colour in (("left", BLUE), ("right", VERMILLION)):
        _bins(axes, bins.get(side, []), colour, side)
        axes.plot([p["x"] for p in fit.get(side, [])], [p["y"] for p in fit.get(side, [])], color=colour,
                  linewidth=2.6, label=f"fit, {side}", zorder=4)  # fmt: skip
    if cutoff is not None:
        axes.axvline(cutoff, color=INK, linewidth=1.1, linestyle=(0, (4, 3)), zorder=2)
        _beside(axes, cutoff, f"cutoff {cutoff:g}")
    axes.set_xlabel(f"{rows.roles.get('running') or 'running variable'} (running variable)")
    axes.set_ylabel(wrapped(f"mean of {rows.outcome}", 30))
    axes.margins(x=0.02, y=0.1)
    axes.grid(axis="y", color=RULE)
    figure.legend(loc="outside lower left", ncols=3, columnspacing=1.1, handletextpad=0.4)
    return Drawing(figure, _jump_title(rows, run), _bandwidth_caption(rows, run, fit))


def _bins(axes: Axes, points: list[Row], colour: str, side: str) -> None:
    held = [p for p in points if p["conf_low"] is not None and p["conf_high"] is not None]
    axes.vlines([p["x"] for p in held], [p["conf_low"] for p in held], [p["conf_high"] for p in held], colors=colour,
                linewidth=1, alpha=0.45, zorder=3)  # fmt: skip
    axes.plot([p["x"] for p in points], [p["y"] for p in points], "o", color=colour, markersize=5,
              markeredgecolor="white", markeredgewidth=0.7, label=f"bin mean, {side}", zorder=3)  # fmt: skip


def _cutoff(rows: StudyRows, sides: dict[str, list[Row]]) -> float | None:
    """The declared cutoff, else the middle between the two sides."""
    declared = rows.roles.get("cutoff")
    if isinstance(declared, (int, float)):
        return float(declared)
    if sides.get("left") and sides.get("right"):
        return (sides["left"][-1]["x"] + sides["right"][0]["x"]) / 2
    return None


def _jump_title(rows: StudyRows, run: Run) -> str:
    overall = rows.overall(run)
    if overall is None:
        return f"No effect is told at the cutoff: {words.shortened(_status_reason(rows, run), 70)}"
    told = words.effect(overall["estimate"], overall["conf_low"], overall["conf_high"], rows.unit)
    return f"At the cutoff the outcome jumps by {told}"


def _status_reason(rows: StudyRows, run: Run) -> str | None:
    return next((r["status_reason"] for r in rows.estimates if r["estimator"] == run[0] and r["status_reason"]), None)


def _bandwidth_caption(rows: StudyRows, run: Run, fit: dict[str, list[Row]]) -> str:
    if not fit:
        return ""
    inside = [p["x"] for side in fit.values() for p in side]
    low, high = words.number(min(inside)), words.number(max(inside))
    text = f"Only units between {low} and {high} of the running variable enter the fit"
    return text + ", which speaks for units at the cutoff alone. Bars are 95 % intervals of the bin means."


def synthetic_path_and_gap(rows: StudyRows) -> Drawing | NotDrawn:
    """Treated and synthetic paths above; their gap among the placebos' below."""
    runs = rows.runs("synthetic_path")
    if not runs:
        return NotDrawn("no synthetic-control curves: the study has no treated unit with donors")
    run = runs[0]
    path, gap = rows.curve("synthetic_path", run), rows.curve("synthetic_gap", run)
    start = _start(rows, run)
    figure = canvas(5.4)
    top, bottom = figure.subplots(2, 1, sharex=True)
    _line(top, path.get("treated", []), color=TREATED, linewidth=2.4, label="treated")
    _line(top, path.get("synthetic", []), color=BLUE, linewidth=2.4, linestyle=(0, (5, 2)), label="synthetic")
    top.set_title("Path")
    top.set_ylabel(rows.outcome)
    placebos = [name for name in gap if name.startswith("placebo")]
    for i, name in enumerate(placebos):
        _line(bottom, gap[name], color=FAINT, linewidth=0.9, alpha=0.75, zorder=1,
              label=f"{len(placebos)} placebos" if i == 0 else None)  # fmt: skip
    _line(bottom, gap.get("treated", []), color=TREATED, linewidth=2.6, label="treated", zorder=4)
    bottom.axhline(0, color=INK, linewidth=1)
    bottom.set_title("Gap: treated minus synthetic")
    bottom.set_ylabel(f"gap ({rows.card.get('outcome_unit') or rows.card.get('outcome')})")
    bottom.set_xlabel(str(rows.roles.get("time") or "period"))
    _shared_legend(figure, top, bottom)
    for axes in (top, bottom):
        axes.grid(axis="y", color=RULE)
        axes.margins(x=0.01)
        if start is not None:
            axes.axvline(start, color=INK, linewidth=1.1, linestyle=(0, (4, 3)), zorder=2)
    if start is not None:
        _beside(top, start, f"treated from {start:g}")
    beyond = _limit(bottom, gap)
    return Drawing(figure, _gap_title(rows, run, start), f"{_placebo_caption(rows, run)} {beyond}".strip())


def _beside(axes: Axes, x: float, text: str) -> None:
    """A label at the top, just right of an upright line."""
    axes.annotate(text, (x, 0.985), xycoords=axes.get_xaxis_transform(), xytext=(5, 0), textcoords="offset points",
                  va="top", color=MUTED)  # fmt: skip


def _limit(axes: Axes, gap: dict[str, list[Row]]) -> str:
    """Keep the treated unit's gap readable beside placebos that fit badly; tells how many run off the plot."""
    largest = {name: max(abs(p["y"]) for p in points) for name, points in gap.items() if points}
    room = 1.5 * largest.get("treated", 0.0)
    beyond = sum(size > room for size in largest.values())
    if room == 0 or beyond == 0:
        return ""
    axes.set_ylim(-room, room)
    return f"{words.count(beyond, 'placebo')} with a poor fit {'runs' if beyond == 1 else 'run'} beyond the plot."


def _line(axes: Axes, points: list[Row], **look: Any) -> None:
    axes.plot([p["x"] for p in points], [p["y"] for p in points], **look)


def _shared_legend(figure: Figure, *panels: Axes) -> None:
    """Each label once, below the panels."""
    found: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    figure.legend(list(found.values()), list(found), loc="outside lower left", ncols=3)


def _start(rows: StudyRows, run: Run) -> float | None:
    """The first treated period: the first of the terms ``time=…``."""
    keys = ("estimator", "specification", "estimand")
    terms = [r["term"] for r in rows.estimates if tuple(r[k] for k in keys) == run]
    periods = [float(term.removeprefix("time=")) for term in terms if term.startswith("time=")]
    return min(periods, default=None)


def _gap_title(rows: StudyRows, run: Run, start: float | None) -> str:
    overall = rows.overall(run)
    if overall is None:
        return "The treated unit and its synthetic twin"
    told = words.effect(overall["estimate"], None, None, rows.unit)
    when = f" from {start:g} on" if start is not None else ""
    return f"The treated unit differs from its synthetic twin by {told} on average{when}"


def _placebo_caption(rows: StudyRows, run: Run) -> str:
    rank, count = rows.diagnostic("placebo_rank", run), rows.diagnostic("placebo_count", run)
    overall = rows.overall(run)
    if rank is None or count is None or overall is None:
        return ""
    text = f"Against {count:.0f} placebos its rise in misfit after treatment ranks {rank:.0f}"
    return f"{text} (placebo {words.p_value(overall['p_value'])})."
