"""The paths of a mediation: treatment, mediator, outcome."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from . import words
from .data import Row, StudyRows
from .designs_common import bounds, finding, term
from .style import BLUE, INK, MUTED, VERMILLION, Drawing, NotDrawn, canvas

_BOXES = {"treatment": (0.14, 0.24), "mediator": (0.5, 0.8), "outcome": (0.86, 0.24)}
_ARROWS = {"a": ("treatment", "mediator", BLUE), "b": ("mediator", "outcome", BLUE),
           "c_prime": ("treatment", "outcome", VERMILLION)}  # fmt: skip


def mediation_paths(rows: StudyRows) -> Drawing | NotDrawn:
    """Three boxes and their arrows, each with its coefficient; a dashed arrow's interval holds zero."""
    runs = rows.runs("mediation_paths")
    if not runs:
        return NotDrawn("no mediation paths: the study declares no mediator")
    paths = {name: found[0] for name, found in rows.curve("mediation_paths", runs[0]).items()}
    if not set(_ARROWS) <= set(paths):
        return NotDrawn("the mediation lacks one of its paths")
    figure = canvas(3.3)
    axes = figure.add_subplot()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.axis("off")
    names = _names(rows, paths)
    for role, (x, y) in _BOXES.items():
        _box(axes, x, y, names[role], role)
    for name, (start, end, colour) in _ARROWS.items():
        _arrow(axes, name, paths[name], _BOXES[start], _BOXES[end], colour)
    told = "in all" if "c" not in paths else f"in all: {_told(paths['c'])}"
    axes.text(0.5, 0.03, told, ha="center", color=MUTED, size=10.5)
    return Drawing(figure, *_words(rows, names["mediator"]))


def _names(rows: StudyRows, paths: dict[str, Row]) -> dict[str, str]:
    treatment, mediator = (part.strip() for part in str(paths["a"]["x_label"] or "treatment -> mediator").split("->"))
    outcome = str(paths["b"]["x_label"] or "-> outcome").split("->")[-1].strip()
    return {"treatment": treatment, "mediator": mediator, "outcome": outcome or str(rows.card.get("outcome"))}


def _box(axes: Axes, x: float, y: float, name: str, role: str) -> None:
    axes.add_patch(FancyBboxPatch((x - 0.12, y - 0.1), 0.24, 0.2, boxstyle="round,pad=0.01,rounding_size=0.02",
                                  facecolor="#F3F5F7", edgecolor=INK, linewidth=1.1, zorder=3))  # fmt: skip
    axes.text(x, y + 0.02, words.shortened(name, 18), ha="center", va="bottom", weight="bold", zorder=4)
    axes.text(x, y - 0.015, role, ha="center", va="top", color=MUTED, size=9.5, zorder=4)


def _told(path: Row) -> str:
    places = words.decimals_for([path["y"]], words.spread_of(path["conf_low"], path["conf_high"]))
    text = words.number(path["y"], places, sign=True)
    return f"{text} ({words.interval(path['conf_low'], path['conf_high'])})" if bounds(path) else text


def _arrow(axes: Axes, name: str, path: Row, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    unsure = bounds(path) and path["conf_low"] <= 0 <= path["conf_high"]
    across = start[1] == end[1]
    tail = (start[0] + 0.13, start[1]) if across else (start[0] + (0.06 if end[1] > start[1] else 0.13), start[1] + (
        0.11 if end[1] > start[1] else -0.02))  # fmt: skip
    head = (end[0] - 0.13, end[1]) if across else (end[0] - (0.13 if end[1] > start[1] else 0.06), end[1] + (
        -0.02 if end[1] > start[1] else 0.11))  # fmt: skip
    axes.add_patch(FancyArrowPatch(tail, head, arrowstyle="-|>", mutation_scale=16, color=colour, linewidth=2,
                                   linestyle=(0, (4, 3)) if unsure else "-", zorder=2, gid=f"path-{name}"))  # fmt: skip
    x, y = (tail[0] + head[0]) / 2, (tail[1] + head[1]) / 2
    side = "center" if across else "right" if end[1] > start[1] else "left"
    shift = (0, 7) if across else (-10, 8) if end[1] > start[1] else (10, 8)
    axes.annotate(_told(path).replace(" (", "\n("), (x, y), xytext=shift, textcoords="offset points", ha=side,
                  va="bottom" if across else "center", color=colour, size=10, zorder=5)  # fmt: skip


def _words(rows: StudyRows, mediator: str) -> tuple[str, str]:
    share = term(rows, "mediation", "SHARE")
    through, direct = term(rows, "mediation", "ACME"), term(rows, "mediation", "ADE")
    unit = rows.card.get("outcome_unit") or ""
    if share is not None and share["estimate"] is not None:
        part, low, high = (words.percent(share[k]) for k in ("estimate", "conf_low", "conf_high"))
        title = f"{part} of the effect runs through {mediator} ({low} to {high})"
    elif through is not None:
        title = f"Through {mediator} the outcome changes by {finding(rows, through, unit)}"
    else:
        title = f"How much of the effect runs through {mediator}"
    told = [f"through {mediator} {finding(rows, through, unit)}"] if through is not None else []
    told += [f"apart from it {finding(rows, direct, unit)}"] if direct is not None else []
    end = "It rests on no unmeasured cause of both the mediator and the outcome."
    dashes = "Arrows carry coefficients on the scales of their own models; a dashed one's interval holds zero."
    return title, " ".join((words.sentence("; ".join(told)), end, dashes)).strip()
