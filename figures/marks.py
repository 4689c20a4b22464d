"""Marks that several figures share: thresholds with their names, intervals, labels that wrap."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis

from . import words
from .data import Row, StudyRows
from .style import BLUE, GREEN, INK, MUTED

DASHED = (0, (4, 3))
Run = tuple[str, str, str]


def upright(axes: Axes, x: float, label: str = "", *, left: bool = False, top: float = 0.985, color: str = INK) -> None:
    """A dashed threshold from bottom to top, its name beside it at the top."""
    axes.axvline(x, color=color, linewidth=1.2, linestyle=DASHED, zorder=2)
    if label:
        axes.annotate(label, (x, top), xycoords=axes.get_xaxis_transform(), xytext=(-5 if left else 5, 0),
                      textcoords="offset points", ha="right" if left else "left", va="top", color=MUTED, size=10,
                      bbox=_paper(), zorder=6)  # fmt: skip


def level(axes: Axes, y: float, label: str = "", *, below: bool = False, left: bool = False, color: str = INK) -> None:
    """A dashed threshold from side to side, its name above or below its end."""
    axes.axhline(y, color=color, linewidth=1.2, linestyle=DASHED, zorder=2)
    if label:
        axes.annotate(label, (0.01 if left else 0.99, y), xycoords=axes.get_yaxis_transform(),
                      xytext=(0, -4 if below else 4), textcoords="offset points", ha="left" if left else "right",
                      va="top" if below else "bottom", color=MUTED, size=10, bbox=_paper(), zorder=6)  # fmt: skip


def _paper() -> dict[str, Any]:
    return {"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.75}


def points_with_intervals(
    axes: Axes, at: Sequence[float], points: Sequence[Row], *, color: str = BLUE, label: str = "", value: str = "y",
    level_lines: bool = False,
) -> None:  # fmt: skip
    """Dots with their intervals, upright; lying where ``level_lines``, with ``at`` on the other axis."""
    ends = [(a, p["conf_low"], p["conf_high"]) for a, p in zip(at, points, strict=True) if p["conf_low"] is not None]
    draw = axes.hlines if level_lines else axes.vlines
    draw([a for a, _, _ in ends], [low for _, low, _ in ends], [high for _, _, high in ends], colors=color,
         linewidth=2.2, zorder=3)  # fmt: skip
    values = [p[value] for p in points]
    across, up = (values, at) if level_lines else (at, values)
    axes.plot(list(across), list(up), "o", color=color, markersize=7, markeredgecolor="white", label=label, zorder=4)


def wrapped(text: str, width: int = 44) -> str:
    """A label on several lines, none longer than ``width`` where its words allow."""
    return "\n".join(textwrap.wrap(text, width)) or text


def effect_label(rows: StudyRows, start: str = "effect on", width: int = 30) -> str:
    """An axis of effects: ``effect on wt82_71 (kg)``; ``width`` letters a line fit beside a plot."""
    return wrapped(f"{start} {rows.card.get('outcome') or 'the outcome'} ({rows.unit})", width)


def least_effect(axes: Axes, rows: StudyRows) -> None:
    """An upright line at the least effect that matters, where one other than zero is declared; named in the legend."""
    if rows.zone:
        axes.axvline(rows.zone, color=GREEN, linewidth=1.6, linestyle=(0, (1, 1)), zorder=5,
                     label=f"least that matters {words.declared(rows.zone)}")  # fmt: skip


def plain_numbers(axis: Axis) -> None:
    """Ticks with thousands separators and a true minus."""
    axis.set_major_formatter(lambda value, _: words.declared(round(value, 10)))


def group_label(text: str) -> str:
    """A group's range with three digits: ``−4.19 to −0.422``."""
    parts = text.split(" to ")
    if len(parts) == 2 and all(re.fullmatch(r"[-+0-9.e]+", part) for part in parts):
        return " to ".join(_short(float(part)) for part in parts)
    return words.shortened(text, 26)


def _short(value: float) -> str:
    """Three digits; whole numbers of up to six digits as they are."""
    if value == int(value) and abs(value) < 1e6:
        return words.declared(int(value))
    return words.number(value)


def of_run(rows: Sequence[Row], run: Run) -> list[Row]:
    """The rows of one run."""
    return [r for r in rows if (r["estimator"], r["specification"], r["estimand"]) == run]


def lower_first(text: str) -> str:
    """A name inside a sentence: its first letter small, unless it is an abbreviation."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]
