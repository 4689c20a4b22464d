"""Figures on how wrong the assumptions would have to be."""

from __future__ import annotations

from matplotlib.axes import Axes

from . import words
from .data import Row, StudyRows
from .style import BLUE, INK, RULE, VERMILLION, Drawing, NotDrawn, canvas

_NAMES = {"point": "the estimate", "bound": "the interval's nearer end"}
_COLOURS = {"point": BLUE, "bound": VERMILLION}


def evalue_sensitivity_curve(rows: StudyRows) -> Drawing | NotDrawn:
    """The effect left, as a risk ratio, against the strength of a hidden confounder, with the E-values marked."""
    runs = rows.runs("residual_effect")
    if not runs:
        return NotDrawn("no residual-effect curve: no estimate on this design has an E-value")
    run = runs[0]
    series = rows.curve("residual_effect", run)
    evalues = {row["subject"]: row["value"] for row in _of(rows, run, "e_value") if row["value"] is not None}
    figure = canvas(3.6)
    axes = figure.add_subplot()
    axes.axhline(1, color=INK, linewidth=1.1)
    for name in ("point", "bound"):
        points = series.get(name, [])
        axes.plot([p["x"] for p in points], [p["y"] for p in points], color=_COLOURS[name], label=_NAMES[name])
    for row in _of(rows, run, "critical_confounding"):
        if row["value"] is not None:
            axes.axvline(row["value"], color=INK, linewidth=1.1, linestyle=(0, (4, 3)),
                         label=f"critical strength {row['value']:.2f}")  # fmt: skip
    axes.set_xlabel("strength of the confounder (risk ratio with treatment and outcome)")
    axes.set_ylabel("effect left (risk ratio; 1 is none)")
    axes.margins(y=0.12)
    axes.set_xlim(left=1)
    for name in ("point", "bound"):
        if evalues.get(name, 1.0) > 1:
            _mark(axes, evalues[name], name)
    axes.grid(color=RULE)
    figure.legend(loc="outside lower left", ncols=3)
    name, title = words.run(run[0], run[2], run[1]), _title(evalues)
    primary = tuple(rows.card.get(k) for k in ("estimator", "specification", "estimand"))
    if run != primary:
        title = f"{name}: {title[:1].lower() + title[1:]}"
    return Drawing(figure, title, f"The curves are those of {name}.")


def _mark(axes: Axes, strength: float, name: str) -> None:
    """The point where a curve meets 1; its label keeps to the side that the curves leave free."""
    left, right = axes.get_xlim()
    below = name == "bound" and strength - left > 0.22 * (right - left)
    axes.plot([strength], [1], marker="o", markersize=8, color=_COLOURS[name], markeredgecolor="white", zorder=5,
              gid=f"evalue-{name}")  # fmt: skip
    axes.annotate(f"E-value {strength:.2f}", (strength, 1), xytext=(-6, -18) if below else (5, 9),
                  textcoords="offset points", ha="right" if below else "left", color=_COLOURS[name], weight="bold",
                  size=10, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.8})  # fmt: skip


def _of(rows: StudyRows, run: tuple[str, str, str], method: str) -> list[Row]:
    keys = ("estimator", "specification", "estimand")
    return [r for r in rows.sensitivity if r["method"] == method and tuple(r[k] for k in keys) == run]


def _title(evalues: dict[str, float]) -> str:
    point, bound = evalues.get("point"), evalues.get("bound")
    if point is None:
        return "How much of the effect would be left under hidden confounding"
    start = f"A hidden confounder of risk ratio {point:.2f} with treatment and outcome could explain the effect away"
    if bound is None:
        return start
    if bound <= 1:
        return f"{start}; the interval holds no effect even without one"
    return f"{start}; {bound:.2f} would bring the interval to no effect"
