"""How good a study is on five axes, each reckoned from its rows, and how its columns bear on each other."""

from __future__ import annotations

import math
import textwrap

import numpy as np

from . import words
from .data import StudyRows
from .style import BLUE, FAINT, INK, MUTED, Drawing, NotDrawn, canvas

FORMULAS = {
    "validity": "gates passed over gates judged",
    "precision": "|estimate| / (|estimate| + half the interval)",
    "robustness": "estimates that agree over estimates of the estimand",
    "interpretability": "of unit, least effect, value, sensitivity, next step: those told",
    "scalability": "log10 of units a second of the primary, over 6",
}
_TOLD = ("effect_unit", "minimum_effect", "value_per_unit", "sensitivity_reading", "next_step")


def scores(rows: StudyRows) -> dict[str, float | None]:
    """The five scores, 0 to 1, by the formulas of ``FORMULAS``; None where a row is missing."""
    card = rows.card
    judged = [g["is_passing"] for g in rows.gates if g["is_passing"] is not None]
    half = words.spread_of(card.get("conf_low"), card.get("conf_high"))
    size = abs(card["estimate"]) if card.get("estimate") is not None else None
    agreeing, estimated = card.get("n_agreeing"), card.get("n_estimated")
    return {
        "validity": sum(judged) / len(judged) if judged else None,
        "precision": size / (size + half) if size is not None and half else None,
        "robustness": agreeing / estimated if agreeing is not None and estimated and half else None,
        "interpretability": sum(card.get(k) is not None for k in _TOLD) / len(_TOLD),
        "scalability": _speed(rows),
    }


def _speed(rows: StudyRows) -> float | None:
    keys = ("estimator", "specification", "estimand")
    for row in rows.estimates:
        units, seconds = row.get("n_units") or 0, row.get("seconds") or 0
        if all(row[k] == rows.card.get(k) for k in keys) and units > 0 and seconds > 0:
            return min(max(math.log10(units / seconds) / 6, 0.0), 1.0)
    return None


def cas_radar_chart(rows: StudyRows) -> Drawing | NotDrawn:
    """The five scores as a radar, with the formula of each beside it."""
    found = scores(rows)
    held = {name: value for name, value in found.items() if value is not None}
    if len(held) < 3:
        return NotDrawn("fewer than three of the five scores can be reckoned from the rows")
    figure = canvas(3.7, 6.6)
    grid = figure.add_gridspec(1, 2, width_ratios=(1.25, 1))
    axes = figure.add_subplot(grid[0, 0], projection="polar")
    angles = [2 * math.pi * i / len(held) for i in range(len(held))]
    axes.set_theta_offset(math.pi / 2)
    axes.set_theta_direction(-1)
    axes.plot([*angles, angles[0]], [*held.values(), next(iter(held.values()))], color=BLUE, linewidth=2.4, marker="o",
              gid="scores")  # fmt: skip
    axes.fill(angles, list(held.values()), color=BLUE, alpha=0.15)
    axes.set_ylim(0, 1)
    axes.set_yticks([0.25, 0.5, 0.75, 1], ["", "0.5", "", "1"], color=MUTED, size=9)
    axes.set_rlabel_position(180 / len(held))
    axes.set_xticks(angles, [f"{name}\n{value:.2f}" for name, value in held.items()])
    axes.tick_params(axis="x", pad=14)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.spines["polar"].set_color(FAINT)
    beside = figure.add_subplot(grid[0, 1])
    beside.axis("off")
    y = 0.98
    for name, formula in FORMULAS.items():
        lines = textwrap.wrap(formula + ("" if name in held else " (rows missing)"), 34)
        beside.text(0, y, name, transform=beside.transAxes, weight="bold", size=9.5, va="top", color=INK)
        beside.text(0, y - 0.055, "\n".join(lines), transform=beside.transAxes, size=9, va="top", color=MUTED)
        y -= 0.095 + 0.055 * len(lines)
    best, worst = max(held, key=lambda n: held[n]), min(held, key=lambda n: held[n])
    mean = float(np.mean(list(held.values())))
    title = f"Strongest in {best} ({held[best]:.2f}), weakest in {worst} ({held[worst]:.2f}); mean {mean:.2f} of 1"
    return Drawing(figure, title, "The scores order nothing: they show where to look, on scales told beside them.")
