"""Figures on how wrong the assumptions would have to be."""

from __future__ import annotations

from matplotlib.axes import Axes

from . import words
from .data import Row, StudyRows
from .style import BLUE, INK, MUTED, RULE, VERMILLION, Drawing, NotDrawn, canvas

_NAMES = {"point": "the estimate", "bound": "the interval's nearer end"}
_COLOURS = {"point": BLUE, "bound": VERMILLION}
_SHAPES = {"point": "o", "bound": "s"}


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
    return Drawing(figure, title, f"{name}; the risk ratio is that with treatment and with outcome.")


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
    start = f"A hidden confounder of risk ratio {point:.2f} could explain the effect away"
    if bound is None:
        return start
    if bound <= 1:
        return f"{start}; the interval holds no effect even without one"
    return f"{start}, one of {bound:.2f} its interval"


def evalue_magnitude(rows: StudyRows) -> Drawing | NotDrawn:
    """E-values of every estimate of the primary's estimand: that of the estimate and that of its interval."""
    runs = _evalue_runs(rows)
    if not runs:
        return NotDrawn("no E-values: no estimate on this design has one")
    found = {run: {r["subject"]: r["value"] for r in _of(rows, run, "e_value")} for run in runs}
    order = sorted(runs, key=lambda run: (found[run].get("bound") or 1.0, found[run].get("point") or 1.0, run))
    figure = canvas(1.3 + 0.3 * len(order))
    axes = figure.add_subplot()
    primary = tuple(rows.card.get(k) for k in ("estimator", "specification", "estimand"))
    for y, run in enumerate(order):
        point, bound = found[run].get("point"), found[run].get("bound")
        ends = [v for v in (point, bound) if v is not None]
        axes.hlines(y, min(ends), max(ends), colors=RULE, linewidth=3, zorder=2)
        for name, value in (("bound", bound), ("point", point)):
            if value is not None:
                axes.plot([value], [y], _SHAPES[name], color=_COLOURS[name], markersize=8, markeredgecolor="white",
                          zorder=4, gid=f"{name}.{'.'.join(run)}", label=_NAMES[name] if y == 0 else "")  # fmt: skip
    axes.axvline(1, color=INK, linewidth=1.2, linestyle=(0, (4, 3)))
    axes.annotate("1: no confounder needed", (1, 1), xycoords=axes.get_xaxis_transform(), xytext=(4, 2),
                  textcoords="offset points", va="bottom", size=10, color=MUTED)  # fmt: skip
    estimand = order[0][2]
    axes.set_yticks(range(len(order)), [words.on_axes(n, "primary" if (n, s, e) == primary else None, s)
                                        for n, s, e in order])  # fmt: skip
    for tick, run in zip(axes.get_yticklabels(), order, strict=True):
        tick.set_fontweight("bold" if run == primary else "normal")
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.6, len(order) - 0.4)
    axes.margins(x=0.08)
    axes.set_xlabel("E-value (risk ratio of a hidden confounder\nwith both treatment and outcome)")
    axes.grid(axis="x", color=RULE)
    figure.legend(loc="outside lower left", ncols=2)
    return Drawing(figure, _magnitude_title(found, primary, estimand), f"Estimates of the {estimand}.")


def _evalue_runs(rows: StudyRows) -> list[tuple[str, str, str]]:
    """Runs with an E-value, of the primary's estimand where it has any, else of the commonest."""
    keys = ("estimator", "specification", "estimand")
    found = dict.fromkeys(
        tuple(r[k] for k in keys) for r in rows.sensitivity
        if r["method"] == "e_value" and r["value"] is not None and r["subject"] in _NAMES
    )  # fmt: skip
    estimands = [run[2] for run in found]
    if not estimands:
        return []
    wanted = rows.card.get("estimand")
    chosen = wanted if wanted in estimands else max(sorted(set(estimands)), key=estimands.count)
    return [run for run in found if run[2] == chosen and run[0] != "sensitivity"] or [
        run for run in found if run[2] == chosen
    ]


def _magnitude_title(found: dict, primary: tuple, estimand: str) -> str:
    if primary in found and found[primary].get("point"):
        point, bound = found[primary]["point"], found[primary].get("bound")
        start = f"Explaining the primary estimate away takes a hidden confounder of risk ratio {point:.2f}"
        if bound is not None and bound <= 1:
            return f"{start}; its interval holds no effect without one"
        return start if bound is None else f"{start}, its interval {bound:.2f}"
    points = [v["point"] for v in found.values() if v.get("point")]
    if not points:
        return f"What a hidden confounder would need to explain intervals of the {estimand} away"
    ends = dict.fromkeys(f"{v:.2f}" for v in (min(points), max(points)))
    return f"Explaining the {estimand} away takes a hidden confounder of risk ratio {' to '.join(ends)}"
