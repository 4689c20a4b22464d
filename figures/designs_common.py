"""What several figures share: points of a run, findings in words, lines with labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from . import words
from .data import Row, StudyRows
from .style import INK, MUTED

Run = tuple[str, str, str]
DASHED = (0, (4, 3))
KEYS = ("estimator", "specification", "estimand")


def of_run(table: Sequence[Row], run: Run) -> list[Row]:
    """The rows of one estimator, specification and estimand."""
    return [row for row in table if tuple(row[k] for k in KEYS) == run]


def points(rows: StudyRows, curve: str, run: Run) -> list[Row]:
    """All points of a run's curve that have a y, also those without an x."""
    return [row for row in of_run(rows.curves, run) if row["curve"] == curve and row["y"] is not None]


def metric(rows: StudyRows, name: str, run: Run) -> dict[str, float]:
    """The values of one diagnostic by subject."""
    found = of_run(rows.diagnostics, run)
    return {row["subject"]: row["value"] for row in found if row["metric"] == name and row["value"] is not None}


def runs_with(rows: StudyRows, name: str) -> list[Run]:
    """The runs that have a diagnostic: the primary first, then the defaults."""
    primary = tuple(rows.card.get(k) for k in KEYS)
    found = dict.fromkeys(tuple(r[k] for k in KEYS) for r in rows.diagnostics if r["metric"] == name)
    return sorted(found, key=lambda r: (r != primary, r[1] != "default", r))


def term(rows: StudyRows, estimator: str, estimand: str, name: str = "overall") -> Row | None:
    """An estimated row by estimator, estimand and term, in the default specification."""
    return rows.overall((estimator, "default", estimand), name)


def bounds(row: Row) -> bool:
    """Whether a row has both ends of an interval."""
    return row["conf_low"] is not None and row["conf_high"] is not None


def finding(rows: StudyRows, row: Row | None, unit: str | None = None) -> str:
    """An effect in words: its size, or that it is too small to matter, or too imprecise to tell.

    Only an interval that lies within the least effect that matters speaks of no effect.
    """
    if row is None or row["estimate"] is None:
        return "no estimate"
    told = words.effect(row["estimate"], row["conf_low"], row["conf_high"], rows.unit if unit is None else unit)
    if not bounds(row) or row["conf_low"] > 0 or row["conf_high"] < 0:
        return told
    least = abs(rows.card.get("minimum_effect") or 0)
    if least and max(-row["conf_low"], row["conf_high"]) < least:
        return f"no effect that matters, {told}"
    return f"too imprecise to tell, {told}"


def upright(axes: Axes, x: float, text: str, *, top: float = 0.985, side: str = "right") -> None:
    """A dashed line from bottom to top, with its label beside it."""
    axes.axvline(x, color=INK, linewidth=1.1, linestyle=DASHED, zorder=2)
    left = side == "left"
    axes.annotate(text, (x, top), xycoords=axes.get_xaxis_transform(), xytext=(-5 if left else 5, 0),
                  textcoords="offset points", va="top", ha="right" if left else "left", color=MUTED,
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.8}, zorder=6)  # fmt: skip


def band(axes: Axes, found: Sequence[Row], colour: str, **look: Any) -> None:
    """The interval of a curve as a pale band, where all its points have one."""
    held = [p for p in found if bounds(p)]
    if held:
        axes.fill_between([p["x"] for p in held], [p["conf_low"] for p in held], [p["conf_high"] for p in held],
                          color=colour, alpha=0.18, linewidth=0, **look)  # fmt: skip


def bars(axes: Axes, found: Sequence[Row], colour: str, **look: Any) -> None:
    """The intervals of a curve's points as upright lines."""
    held = [p for p in found if bounds(p)]
    axes.vlines([p["x"] for p in held], [p["conf_low"] for p in held], [p["conf_high"] for p in held],
                colors=colour, zorder=3, **look)  # fmt: skip


def line(axes: Axes, found: Sequence[Row], **look: Any) -> None:
    """A curve."""
    axes.plot([p["x"] for p in found], [p["y"] for p in found], **look)
