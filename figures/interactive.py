"""Figures to point at: Plotly, with tooltips, zoom and pan; a page that holds them needs no server and no network."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from estimators.registry import NAIVE

from . import words
from .data import Row, StudyRows
from .designs import event_study as drawn_event_study
from .overview import estimator_forest as drawn_forest
from .policy import content_security
from .style import BLUE, GREEN, INK, MUTED, RULE, VERMILLION, ZONE, Drawing, NotDrawn

_STYLE = (
    "body{font-family:system-ui,sans-serif;max-width:60rem;margin:1rem auto;padding:0 1rem}"
    "h1{font-size:1.4rem}h2{font-size:1.05rem}"
)
_SCRIPT = re.compile(r"<script[^>]*>(.*?)</script>", re.DOTALL)
_CONFIG = {"displaylogo": False, "responsive": True, "scrollZoom": False}


@cache
def script() -> str:
    """The text of plotly.js, to stand once on a page that shows any of these figures."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


@cache
def _sheets() -> tuple[str, ...]:
    """Ids by which plotly.js asks whether its sheet for maps is there; it adds none where an element has the id."""
    return tuple(dict.fromkeys(re.findall(r'document\.getElementById\("([0-9a-f]{64})"\)', script())))


def div(name: str, rows: StudyRows) -> str | NotDrawn:
    """One figure as a piece of HTML without plotly.js; the same text for the same rows."""
    failure = rows.failure([name])
    figure = NotDrawn(failure) if failure else FIGURES[name](rows.for_figures)
    if isinstance(figure, NotDrawn):
        return figure
    from plotly.io import to_html

    return str(to_html(figure, include_plotlyjs=False, full_html=False, div_id=f"plotly-{rows.stem}-{name}",
                       config=_CONFIG))  # fmt: skip


def page(title: str, pieces: Mapping[str, str], library: str = "") -> str:
    """A whole page with plotly.js once and each figure under its heading.

    Parameters
    ----------
    library : str
        Path of plotly.js from the page; the page holds it itself without.
    """
    body = "\n".join(f"<section><h2>{html.escape(head)}</h2>{piece}</section>" for head, piece in pieces.items())
    held = () if library else (script(),)
    # plotly.js writes rules into an empty style sheet, which it must find or be allowed to add.
    policy = content_security([_STYLE, ""], [*held, *_SCRIPT.findall(body)], beside=bool(library))
    found = "".join(f'<template id="{name}"></template>' for name in _sheets())
    source = f'<script src="{html.escape(library)}"></script>' if library else f"<script>{script()}</script>"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">'
        f"<title>{html.escape(title)}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style>{found}"
        f'{source}</head>\n<body><main><h1 dir="auto">{html.escape(title)}</h1>\n{body}\n</main></body></html>\n'
    )


def study_page(rows: StudyRows, library: str = "") -> str | NotDrawn:
    """All figures of a study to point at, on one page; ``library`` as :func:`page` takes it."""
    pieces: dict[str, str] = {}
    for name in FIGURES:
        piece = div(name, rows)
        still = _STILL[name](rows.for_figures) if isinstance(piece, str) else piece
        if isinstance(piece, str) and isinstance(still, Drawing):
            pieces[still.title] = piece
    if not pieces:
        return NotDrawn("no rows for a figure to point at")
    return page(rows.title, pieces, library)


def _figure(traces: list[dict[str, Any]], layout: dict[str, Any]) -> Any:
    from plotly.graph_objects import Figure

    common = {
        "template": "none", "font": {"family": "system-ui, sans-serif", "size": 14, "color": INK},
        "margin": {"l": 70, "r": 20, "t": 20, "b": 60}, "hoverlabel": {"align": "left"}, "dragmode": "pan",
        "legend": {"orientation": "h", "y": -0.22}, "paper_bgcolor": "white", "plot_bgcolor": "white",
    }  # fmt: skip
    return Figure(data=traces, layout={**common, **layout})


def event_study(rows: StudyRows) -> Any:
    """Effects by period since treatment; pointing tells both intervals."""
    runs = rows.runs("event_study")
    if not runs:
        return NotDrawn("no event-study curve: the study is no panel with staggered treatment")
    series = rows.curve("event_study", runs[0])
    kinds = (("simultaneous", MUTED, 1.5), ("pointwise", BLUE, 5))
    traces = [_bars(series[name], name, colour, width, rows.unit) for name, colour, width in kinds if name in series]
    if not traces:
        return NotDrawn("the event-study curve has no points with intervals")
    shapes = [
        {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 0, "y1": 0, "line": {"color": INK, "width": 1}},
        {"type": "line", "yref": "paper", "x0": -0.5, "x1": -0.5, "y0": 0, "y1": 1,
         "line": {"color": INK, "width": 1, "dash": "dash"}},
    ]  # fmt: skip
    note = {"x": -0.5, "y": 1, "yref": "paper", "text": "treatment starts", "showarrow": False, "xanchor": "left",
            "yanchor": "top", "font": {"color": MUTED}}  # fmt: skip
    return _figure(traces, {
        "xaxis": {"title": {"text": "periods since treatment"}, "dtick": 1, "zeroline": False},
        "yaxis": {"title": {"text": f"effect on {html.escape(rows.outcome)}"}, "gridcolor": RULE, "zeroline": False},
        "shapes": shapes, "annotations": [note], "height": 430,
    })  # fmt: skip


def _bars(points: list[Row], name: str, colour: str, width: float, unit: str) -> dict[str, Any]:
    held = [p for p in points if p["conf_low"] is not None and p["conf_high"] is not None]
    return {
        "type": "scatter", "mode": "markers", "name": f"95 % {name} interval", "x": [p["x"] for p in held],
        "y": [p["y"] for p in held],
        "marker": {"size": 9, "color": [BLUE if p["x"] < 0 else VERMILLION for p in held]},
        "error_y": {"type": "data", "symmetric": False, "array": [p["conf_high"] - p["y"] for p in held],
                    "arrayminus": [p["y"] - p["conf_low"] for p in held], "color": colour, "thickness": width,
                    "width": 0},
        "text": [_period(p, name, unit) for p in held],
        "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip


def _period(point: Row, name: str, unit: str) -> str:
    told = words.effect(point["y"], point["conf_low"], point["conf_high"], unit)
    return f"period {point['x']:+g}<br>{html.escape(told)}<br>{name}"


def estimator_forest(rows: StudyRows) -> Any:
    """Every overall estimate with its interval; pointing tells p, units and variance."""
    found = [r for r in rows.estimates if r["term"] == "overall" and r["estimate"] is not None]
    if not found:
        return NotDrawn("no estimates: the study gave no effects")
    found = sorted(
        found, key=lambda r: (not r["is_primary"], *(r[k] or "" for k in ("estimand", "estimator", "specification")))
    )
    names = [_label(r) for r in found]
    groups = {"primary": BLUE, "naive": MUTED, "others": INK}
    traces = []
    for group, colour in groups.items():
        chosen = [(r, n) for r, n in zip(found, names, strict=True) if _group(r) == group]
        if chosen:
            traces.append(_forest_trace(chosen, group, colour, rows.unit))
    zone = rows.zone
    shapes: list[dict[str, Any]] = [
        {"type": "line", "yref": "paper", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "line": {"color": INK, "width": 1}}
    ]
    if zone is not None:
        ends = [r[k] for r in found for k in ("estimate", "conf_low", "conf_high") if r[k] is not None]
        far = min(*ends, zone, 0) if rows.card.get("desired_direction") == "less" else max(*ends, zone, 0)
        shapes += [
            {"type": "rect", "yref": "paper", "x0": zone, "x1": far, "y0": 0, "y1": 1, "fillcolor": ZONE,
             "line": {"width": 0}, "layer": "below"},
            {"type": "line", "yref": "paper", "x0": zone, "x1": zone, "y0": 0, "y1": 1,
             "line": {"color": GREEN, "width": 1.5, "dash": "dash"}},
        ]  # fmt: skip
    return _figure(traces, {
        "xaxis": {"title": {"text": f"effect ({html.escape(rows.unit)}); green: ship"}, "gridcolor": RULE,
                  "zeroline": False},
        "yaxis": {"categoryorder": "array", "categoryarray": names[::-1], "automargin": True, "ticks": ""},
        "shapes": shapes, "height": 140 + 30 * len(found),
    })  # fmt: skip


def _label(row: Row) -> str:
    return html.escape(words.on_axes(row["estimator"], row["estimand"], row["specification"]))


def _group(row: Row) -> str:
    return "primary" if row["is_primary"] else "naive" if row["estimator"] in NAIVE else "others"


def _forest_trace(chosen: list[tuple[Row, str]], group: str, colour: str, unit: str) -> dict[str, Any]:
    def reach(row: Row, end: str) -> float:
        return abs(row[end] - row["estimate"]) if row[end] is not None else 0.0

    return {
        "type": "scatter", "mode": "markers", "name": group, "x": [r["estimate"] for r, _ in chosen],
        "y": [name for _, name in chosen],
        "marker": {"size": 11 if group == "primary" else 9, "color": colour,
                   "symbol": {"primary": "diamond", "naive": "circle-open"}.get(group, "circle")},
        "error_x": {"type": "data", "symmetric": False, "array": [reach(r, "conf_high") for r, _ in chosen],
                    "arrayminus": [reach(r, "conf_low") for r, _ in chosen], "color": colour, "thickness": 2,
                    "width": 0},
        "text": [_hover(r, name, unit) for r, name in chosen], "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip


def _hover(row: Row, name: str, unit: str) -> str:
    told = words.effect(row["estimate"], row["conf_low"], row["conf_high"], unit)
    units = words.count(row["n_units"], "unit") if row.get("n_units") else ""
    lines = (f"<b>{name}</b>", html.escape(told), words.p_value(row.get("p_value")), units)
    return "<br>".join(line for line in lines if line)


FIGURES: dict[str, Callable[[StudyRows], Any]] = {"event_study": event_study, "estimator_forest": estimator_forest}
_STILL = {"event_study": drawn_event_study, "estimator_forest": drawn_forest}
