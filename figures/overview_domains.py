"""How the columns of a study bear on each other, as its declaration says."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch

from . import words
from .data import Row, StudyRows
from .style import BLUE, GREEN, INK, MUTED, ORANGE, PURPLE, SKY, VERMILLION, Drawing, NotDrawn, canvas

_MOST = 6  # names told of each group
# role: (its place, its colour, what it is called)
_PLACES = {
    "causes": ((0.12, 0.24), VERMILLION, "treatment"),
    "outcome": ((0.88, 0.24), GREEN, "outcome"),
    "covariates": ((0.5, 0.88), BLUE, "covariates"),
    "instruments": ((0.12, 0.88), ORANGE, "instruments"),
    "mediator": ((0.5, 0.24), PURPLE, "mediator"),
    "running": ((0.12, 0.88), ORANGE, "running variable"),
    "structure": ((0.88, 0.88), SKY, "structure"),
}
_ARROWS = (("causes", "outcome"), ("covariates", "causes"), ("covariates", "outcome"), ("instruments", "causes"),
           ("running", "causes"), ("structure", "outcome"))  # fmt: skip


def groups_of(roles: Row) -> dict[str, list[str]]:
    """The columns of a study by the part that they play."""
    found = {
        "causes": _listed(roles.get("treatment") or roles.get("dose") or roles.get("arms") or roles.get("cohort")
                          or (roles.get("intervention_time") and "intervention")),
        "outcome": _listed(roles.get("outcome")),
        "covariates": _listed(roles.get("covariates")),
        "instruments": _listed(roles.get("instruments")),
        "mediator": _listed(roles.get("mediator")),
        "running": [] if roles.get("instruments") else _listed(roles.get("running")),
        "structure": [str(roles[k]) for k in ("unit", "time", "cluster") if roles.get(k)],
    }  # fmt: skip
    return {name: columns for name, columns in found.items() if columns}


def _listed(told: object) -> list[str]:
    if not told:
        return []
    return [str(v) for v in told] if isinstance(told, (list, tuple)) else [str(told)]


def domain_network_graph(rows: StudyRows) -> Drawing | NotDrawn:
    """The declared parts of a study and the arrows that its design assumes."""
    groups = groups_of(rows.roles)
    if "causes" not in groups or "outcome" not in groups:
        return NotDrawn("the declaration names no treatment or no outcome")
    figure = canvas(4.0, 6.6)
    axes = figure.add_subplot()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.12)
    axes.axis("off")
    arrows = [*_ARROWS]
    if "mediator" in groups:
        arrows += [("causes", "mediator"), ("mediator", "outcome")]
    drawn = [(a, b) for a, b in arrows if a in groups and b in groups]
    for start, end in drawn:
        if start != "structure":
            axes.add_patch(_arrow(start, end, "mediator" in groups and (start, end) == ("causes", "outcome")))
    for name, columns in groups.items():
        _group(axes, name, columns)
    columns = sum(len(c) for c in groups.values())
    cause, outcome = groups["causes"][0], groups["outcome"][0]
    title = f"The study asks what {cause} does to {outcome}, with {words.count(columns, 'column')} in play"
    return Drawing(
        figure, title, "Arrows are what the design assumes, not what was found; those missing are assumed away."
    )


def _arrow(start: str, end: str, around: bool) -> FancyArrowPatch:
    strong = {start, end} <= {"causes", "outcome", "mediator"}
    return FancyArrowPatch(_PLACES[start][0], _PLACES[end][0], arrowstyle="-|>", mutation_scale=15, shrinkA=30,
                           shrinkB=30, color=INK if strong else MUTED, linewidth=2.4 if strong else 1.3, zorder=1,
                           connectionstyle="arc3,rad=0.32" if around else "arc3", gid=f"{start}-{end}")  # fmt: skip


def _group(axes: Axes, name: str, columns: list[str]) -> None:
    (x, y), colour, label = _PLACES[name]
    shown = [words.shortened(c, 18) for c in columns[:_MOST]]
    if len(columns) > _MOST:
        shown[-1:] = [f"and {len(columns) - _MOST + 1} more"]
    pairs = [", ".join(shown[i : i + 2]) for i in range(0, len(shown), 2)]
    body = "\n".join(shown if len(shown) <= 3 else pairs)
    axes.text(x, y, body, ha="center", va="center", size=10, zorder=3, linespacing=1.35,
              bbox={"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": colour,
                    "linewidth": 2})  # fmt: skip
    lift = (0.1 + 0.033 * body.count("\n")) * (1 if y > 0.5 else -1)
    axes.text(x, y + lift, label, ha="center", va="center", size=9.5, color=MUTED, zorder=3)
