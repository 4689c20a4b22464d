"""Figures that put all estimates of a study side by side."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes

from estimators.registry import NAIVE

from . import words
from .data import Row, StudyRows
from .marks import wrapped
from .style import BLUE, GREEN, INK, MUTED, RULE, VERMILLION, ZONE, Drawing, NotDrawn, canvas

_WIDTH = 6.9  # inches of the forest
_CELL = 40  # letters of an effect that fit its column of the table
SYSTEMS = {"linear": BLUE, "nonlinear": VERMILLION, "learned": GREEN}


def estimator_forest(rows: StudyRows) -> Drawing | NotDrawn:
    """Every overall estimate by estimand with its interval; refusals in grey; the decision zone shaded."""
    found = [row for row in rows.estimates if row["term"] == "overall" or row["status"] != "estimated"]
    if not found:
        return NotDrawn("no estimates: the study gave no effects")
    lines = _lines(rows, found)
    figure = canvas(1.1 + 0.31 * len(lines), _WIDTH)
    axes = figure.add_subplot()
    estimated = [row for row in found if row["estimate"] is not None]
    _scale(axes, rows, estimated)
    places = _places(estimated)
    room = _room(lines)
    for y, line in enumerate(lines):
        if line.row is None:
            continue
        if line.row["estimate"] is None:
            _refused(axes, y, line.row, room)
        else:
            _estimated(axes, y, line.row, places)
    axes.axvline(0, color=INK, linewidth=1, zorder=2)
    axes.set_yticks(range(len(lines)), [line.label for line in lines])
    for tick, line in zip(axes.get_yticklabels(), lines, strict=True):
        tick.set_fontweight("bold" if line.row is None or line.row["is_primary"] else "normal")
        tick.set_color(MUTED if line.row is not None and line.row["estimate"] is None else INK)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.locator_params(axis="x", nbins=4)
    axes.xaxis.set_major_formatter(lambda value, _: words.declared(round(value, 10)))
    label = f"effect on {rows.card.get('outcome') or 'the outcome'} ({rows.unit})"
    bounded = any(row["conf_low"] is not None for row in estimated)
    axes.set_xlabel(wrapped(label + (", with 95 % interval" if bounded else ""), 100))
    axes.grid(axis="x", color=RULE)
    return Drawing(figure, _forest_title(rows, found), _forest_caption(rows, found))


@dataclass(frozen=True)
class _Line:
    """One line of the forest: a heading where it has no row."""

    label: str
    row: Row | None = None


def _lines(rows: StudyRows, found: list[Row]) -> list[_Line]:
    primary = rows.card.get("estimand")
    estimands = sorted({row["estimand"] for row in found}, key=lambda e: (e != primary, e))
    lines: list[_Line] = []
    for estimand in estimands:
        words_for = words.ESTIMANDS.get(estimand)
        lines.append(_Line(f"{estimand}, {words_for}" if words_for else estimand))
        group = [row for row in found if row["estimand"] == estimand]
        for row in sorted(group, key=_order):
            mark = "primary" if row["is_primary"] else "naive" if row["estimator"] in NAIVE else None
            lines.append(_Line(words.on_axes(row["estimator"], mark, row["specification"]), row))
    return lines


def _order(row: Row) -> tuple[bool, bool, bool, str, str]:
    """The primary first, the naive and then the refused last."""
    naive = row["estimator"] in NAIVE
    return not row["is_primary"], row["estimate"] is None, naive, row["estimator"], row["specification"]


def _scale(axes: Axes, rows: StudyRows, estimated: list[Row]) -> None:
    """Limits that hold zero, the zone's edge and every interval; then the zone itself."""
    keys = ("estimate", "conf_low", "conf_high")
    values = [row[k] for row in estimated for k in keys if row[k] is not None]
    zone = rows.zone
    values += [0.0] + ([zone] if zone is not None else [])
    low, high = min(values), max(values)
    margin = 0.06 * (high - low or 1.0)
    axes.set_xlim(low - margin, high + margin)
    if zone is None:
        return
    less = rows.card.get("desired_direction") == "less"
    edge = axes.get_xlim()[0] if less else axes.get_xlim()[1]
    axes.axvspan(*sorted((zone, edge)), color=ZONE, zorder=0, linewidth=0)
    if zone != 0:
        axes.axvline(zone, color=GREEN, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
    bound = "at most" if less else "at least"
    label = f"ship zone: {bound} {words.declared(zone)} {rows.unit}"
    axes.annotate(label, (0.0 if less else 1.0, 1.0), xycoords="axes fraction", xytext=(0, 4),
                  textcoords="offset points", ha="left" if less else "right", color="#00634A", size=10)  # fmt: skip


def _places(estimated: list[Row]) -> int:
    """Decimals for the whole column, from the primary's interval, or the narrowest that there is."""
    for chosen in ([row for row in estimated if row["is_primary"]], estimated):
        spreads = [words.spread_of(row["conf_low"], row["conf_high"]) for row in chosen]
        held = [spread for spread in spreads if spread]
        if held:
            return words.decimals_for([], min(held))
    return words.decimals_for([row["estimate"] for row in estimated])


def _estimated(axes: Axes, y: int, row: Row, places: int) -> None:
    naive, primary = row["estimator"] in NAIVE, row["is_primary"]
    colour = MUTED if naive else BLUE if primary else INK
    if row["conf_low"] is not None and row["conf_high"] is not None:
        axes.hlines(y, row["conf_low"], row["conf_high"], color=colour, linewidth=3.2 if primary else 1.8, zorder=3)
    axes.plot([row["estimate"]], [y], marker="D" if primary else "o", markersize=9 if primary else 7, color=colour,
              markerfacecolor="white" if naive else colour, markeredgewidth=1.6, zorder=4,
              gid=f"{row['estimator']}.{row['specification']}.{row['estimand']}")  # fmt: skip
    text = words.number(row["estimate"], places, sign=True)
    if row["conf_low"] is not None and row["conf_high"] is not None:
        ends = (words.number(row[k], places) for k in ("conf_low", "conf_high"))
        text += " ({} to {})".format(*ends)
    axes.annotate(text, (1.0, y), xycoords=("axes fraction", "data"), xytext=(8, 0), textcoords="offset points",
                  va="center", size=9.5, weight="bold" if primary else "normal")  # fmt: skip


def _room(lines: list[_Line]) -> int:
    """How many characters of a reason fit beside the longest label; measured on DejaVu Sans at these sizes."""
    return max(int((_WIDTH * 72 - 5.6 * max(len(line.label) for line in lines) - 22) / 5.1), 20)


def _refused(axes: Axes, y: int, row: Row, room: int) -> None:
    status = row["status"].replace("_", " ")
    note = axes.annotate(
        words.shortened(f"{status}: {row['status_reason'] or 'no reason was given'}", room), (0.0, y),
        xycoords=("axes fraction", "data"), xytext=(6, 0), textcoords="offset points", va="center", size=9.5,
        color=MUTED, style="italic", zorder=5, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
    )  # fmt: skip
    # It runs over the plot and the column of numbers, and must not push them aside.
    note.set_in_layout(False)


def _forest_title(rows: StudyRows, found: list[Row]) -> str:
    primary = next((row for row in found if row["is_primary"]), None)
    if primary is None:
        return f"{words.count(len(found), 'estimate')}, none of them declared primary"
    name = words.run(primary["estimator"], primary["estimand"], primary["specification"])
    if primary["estimate"] is None:
        verb = {"failed": "failed", "not_identified": "is not identified"}.get(primary["status"], "was refused")
        return f"The declared primary, {name}, {verb}"
    return f"{name}: {words.effect(primary['estimate'], primary['conf_low'], primary['conf_high'], rows.unit)}"


def _forest_caption(rows: StudyRows, found: list[Row]) -> str:
    refused = sum(row["estimate"] is None for row in found)
    text = f"{words.count(len(found) - refused, 'estimate')}, {refused} without a number."
    naive = dict.fromkeys(row["estimator"] for row in found if row["estimator"] in NAIVE)
    if naive:
        text += f" Hollow, for comparison alone: {'; '.join(words.naive(name) for name in naive)}."
    return text


def counterfactual_comparison(rows: StudyRows) -> Drawing | NotDrawn:
    """Five panels on the three counterfactual systems: Y(0), effects, ATE, R² and a table."""
    runs = rows.runs("y0_distribution") or rows.runs("effect_distribution")
    if not runs:
        return NotDrawn("no counterfactual systems: they need a binary treatment with covariates")
    run = runs[0]
    found = {name: rows.overall(run, f"system={name}") for name in SYSTEMS}
    ates = {name: row for name, row in found.items() if row is not None}
    r2 = {name: rows.diagnostic("r2", run, name) for name in SYSTEMS}
    figure = canvas(7.0)
    grid = figure.add_gridspec(3, 2, height_ratios=(1, 1, 0.62))
    panels = [figure.add_subplot(grid[i // 2, i % 2]) for i in range(4)]
    _distribution(panels[0], rows.curve("y0_distribution", run), "Outcome without treatment", rows.outcome)
    _distribution(panels[1], rows.curve("effect_distribution", run), "Effect a unit", f"effect ({rows.unit})")
    _bars(panels[2], ates, rows.unit)
    _fit(panels[3], r2)
    _table(figure.add_subplot(grid[2, :]), ates, r2, rows.unit)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=3)
    return Drawing(figure, _agreement_title(rows, ates), "Intervals are 95 % bootstrap intervals.")


def _distribution(axes: Axes, series: dict[str, list[Row]], title: str, label: str) -> None:
    for name, colour in SYSTEMS.items():
        points = series.get(name, [])
        axes.plot([p["x"] for p in points], [100 * p["y"] for p in points], color=colour, label=name,
                  drawstyle="steps-mid")  # fmt: skip
    axes.set_title(title)
    axes.set_xlabel(label)
    axes.set_ylabel("share of units (%)")
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="x", nbins=5)
    axes.grid(axis="y", color=RULE)


def _bars(axes: Axes, ates: dict[str, Row], unit: str) -> None:
    for i, (name, row) in enumerate(ates.items()):
        axes.bar(i, row["estimate"], color=SYSTEMS[name], width=0.6, zorder=2)
        if row["conf_low"] is not None and row["conf_high"] is not None:
            axes.vlines(i, row["conf_low"], row["conf_high"], color=INK, linewidth=1.6, zorder=3)
    axes.axhline(0, color=INK, linewidth=1)
    axes.set_xticks(range(len(ates)), list(ates))
    axes.set_title("Average effect (ATE)")
    axes.set_ylabel(wrapped(f"effect ({unit})", 22))
    axes.grid(axis="y", color=RULE)


def _fit(axes: Axes, r2: dict[str, float | None]) -> None:
    held = {name: value for name, value in r2.items() if value is not None}
    axes.bar(range(len(held)), list(held.values()), color=[SYSTEMS[name] for name in held], width=0.6, zorder=2)
    for i, value in enumerate(held.values()):
        axes.annotate(words.number(value, 2), (i, value), xytext=(0, 3 if value >= 0 else -3), ha="center", size=10,
                      textcoords="offset points", va="bottom" if value >= 0 else "top")  # fmt: skip
    axes.set_xticks(range(len(held)), list(held))
    axes.axhline(0, color=INK, linewidth=1)
    axes.margins(y=0.18)
    axes.set_title("Outcome explained (R²)")
    axes.set_ylabel("R², share of variance")
    axes.grid(axis="y", color=RULE)


def _table(axes: Axes, ates: dict[str, Row], r2: dict[str, float | None], unit: str) -> None:
    axes.axis("off")

    def told(row: Row, unit: str) -> str:
        return words.effect(row["estimate"], row["conf_low"], row["conf_high"], unit)

    fits = all(len(told(row, unit)) <= _CELL for row in ates.values())  # else the bars above alone tell the unit
    cells = [[name, told(row, unit if fits else ""), words.number(r2[name], 3)] for name, row in ates.items()]
    if not cells:
        return
    drawn = axes.table(cells, colLabels=["System", "Average effect (95 % interval)", "R²"], loc="center",
                       cellLoc="left", colLoc="left", colWidths=[0.2, 0.62, 0.18])  # fmt: skip
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(10)
    drawn.scale(1, 1.55)
    for (line, _), cell in drawn.get_celld().items():
        cell.set_edgecolor(RULE)
        cell.visible_edges = "B"
        if line == 0:
            cell.set_text_props(weight="bold", color=MUTED)


def _agreement_title(rows: StudyRows, ates: dict[str, Row]) -> str:
    if not ates:
        return "Three ways to predict the outcome without treatment"
    values = [row["estimate"] for row in ates.values()]
    # The digits that the intervals carry: the systems may agree in more.
    spreads = [half for row in ates.values() if (half := words.spread_of(row["conf_low"], row["conf_high"]))]
    places = words.decimals_for(values, max(spreads) if spreads else (max(values) - min(values)) or None)
    low, high = (words.number(v, places, sign=True) for v in (min(values), max(values)))
    systems = words.count(len(values), "counterfactual system")
    if low == high:
        return f"{systems} put the average effect at {low} {rows.unit}"
    return f"{systems} put the average effect between {low} and {high} {rows.unit}"
