"""Figures on effects of groups that the study declared: a panel a modifier, and a forest."""

from __future__ import annotations

from matplotlib.axes import Axes

from . import words
from .data import Row, StudyRows
from .marks import (
    DASHED,
    Run,
    effect_label,
    group_label,
    of_run,
    plain_numbers,
    points_with_intervals,
    upright,
    wrapped,
)
from .style import BLUE, INK, MUTED, RULE, VERMILLION, Drawing, NotDrawn, canvas

_FROM = ("cate", "causal_forest")
Groups = dict[str, list[Row]]


def _groups(rows: StudyRows) -> tuple[Run, Groups] | None:
    """The run to show and its group rows by modifier."""
    found: dict[Run, Groups] = {}
    for row in rows.estimates:
        name, sign, _ = row["term"].partition("=")
        if row["estimator"] in _FROM and sign and name != "gates" and row["estimate"] is not None:
            run = (row["estimator"], row["specification"], row["estimand"])
            found.setdefault(run, {}).setdefault(name, []).append(row)
    if not found:
        return None
    run = min(found, key=lambda r: (r[2] != rows.card.get("estimand"), _FROM.index(r[0]), r))
    return run, {name: sorted(group, key=_place) for name, group in sorted(found[run].items())}


def _place(row: Row) -> tuple[int, float, str]:
    """Groups in order of their lower end; names after numbers."""
    label = row["term"].partition("=")[2]
    try:
        return 0, float(label.split(" to ")[0]), label
    except ValueError:
        return 1, 0.0, label


def _label(row: Row) -> str:
    return group_label(row["term"].partition("=")[2])


_NONE = NotDrawn("no groups: the study declares no effect modifiers")


def cate_by_subgroup(rows: StudyRows) -> Drawing | NotDrawn:
    """A panel a modifier: the effect in each of its levels or thirds, with the average of all."""
    found = _groups(rows)
    if found is None:
        return _NONE
    run, groups = found
    figure = canvas(3.5)
    overall = rows.overall(run)
    first = None
    widths = [max(len(group), 2) for group in groups.values()]
    grid = figure.add_gridspec(1, len(groups), width_ratios=widths)
    for place, (name, group) in enumerate(groups.items()):
        axes = figure.add_subplot(grid[0, place], sharey=first)
        axes.axhline(0, color=INK, linewidth=1)
        points_with_intervals(axes, range(len(group)), group, value="estimate")
        if overall is not None:
            axes.axhline(overall["estimate"], color=INK, linewidth=1.2, linestyle=DASHED, zorder=2,
                         label="" if place else "average of all units")  # fmt: skip
        axes.set_xticks(range(len(group)), [wrapped(_label(row), 9) for row in group])
        axes.set_xlim(-0.6, len(group) - 0.4)
        axes.set_xlabel(name)
        axes.grid(axis="y", color=RULE)
        if first is None:
            first = axes
            axes.set_ylabel(effect_label(rows))
            axes.margins(y=0.12)
            plain_numbers(axes.yaxis)
        else:
            axes.tick_params(labelleft=False)
    if overall is not None:
        figure.legend(loc="outside lower left")
    return Drawing(figure, _panels_title(rows, run, groups), f"{words.run(run[0], run[2], run[1])}; 95 % intervals.")


def _panels_title(rows: StudyRows, run: Run, groups: Groups) -> str:
    name = max(groups, key=lambda n: _span(groups[n]))
    low, high = (f(groups[name], key=lambda r: r["estimate"]) for f in (min, max))
    places = words.decimals_for([], words.spread_of(low["conf_low"], low["conf_high"]) or abs(low["estimate"]) or 1.0)
    ends = [words.number(row["estimate"], places, sign=True) for row in (low, high)]
    told = f"from {ends[0]} ({name} {_label(low)}) to {ends[1]} {rows.unit} ({_label(high)})"
    clear = [_modifier(c) for c in _contrasts(rows, run) if c["value"] < 0.05]
    if name in clear:
        return f"By {name} the effect runs {told}"
    return f"By {name} the effect runs {told}, but too imprecisely to tell them apart"


def _span(group: list[Row]) -> float:
    values = [row["estimate"] for row in group]
    return max(values) - min(values)


def _contrasts(rows: StudyRows, run: Run) -> list[Row]:
    """Holm-adjusted p-values of the groups less their modifier's first, the smallest first."""
    found = [d for d in of_run(rows.diagnostics, run) if d["metric"] == "group_contrast_p_holm"]
    return sorted((d for d in found if d["value"] is not None), key=lambda d: (d["value"], d["subject"]))


def _modifier(contrast: Row) -> str:
    return str(contrast["subject"]).partition("=")[0]


def subgroup_forest(rows: StudyRows) -> Drawing | NotDrawn:
    """Every group on its line with interval, units and numbers, beside the average of all."""
    found = _groups(rows)
    if found is None:
        return _NONE
    run, groups = found
    lines: list[tuple[str, Row | None]] = []
    for name, group in groups.items():
        lines += [(name, None), *((_label(row), row) for row in group)]
    overall = rows.overall(run)
    if overall is not None:
        lines = [("all units", overall), *lines]
    figure = canvas(1.0 + 0.31 * len(lines), 6.9)
    axes = figure.add_subplot()
    drawn = [(y, row) for y, (_, row) in enumerate(lines) if row is not None]
    for colour, chosen in ((VERMILLION, [d for d in drawn if d[1] is overall]),
                           (BLUE, [d for d in drawn if d[1] is not overall])):  # fmt: skip
        at, points = [y for y, _ in chosen], [row for _, row in chosen]
        points_with_intervals(axes, at, points, value="estimate", color=colour, level_lines=True)
    axes.axvline(0, color=INK, linewidth=1, zorder=1)
    if overall is not None:
        upright(axes, overall["estimate"], color=VERMILLION)
    _numbers(axes, drawn)
    axes.set_yticks(range(len(lines)), [label for label, _ in lines])
    for tick, (_, row) in zip(axes.get_yticklabels(), lines, strict=True):
        tick.set_fontweight("bold" if row is None or row is overall else "normal")
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    plain_numbers(axes.xaxis)
    axes.set_xlabel(effect_label(rows, width=40))
    axes.grid(axis="x", color=RULE)
    return Drawing(figure, _forest_title(rows, run), _forest_caption(rows, run))


def _numbers(axes: Axes, drawn: list[tuple[int, Row]]) -> None:
    """Estimate, interval and units of each line, right of the plot."""
    spreads = [s for _, row in drawn if (s := words.spread_of(row["conf_low"], row["conf_high"]))]
    places = words.decimals_for([], min(spreads)) if spreads else None
    for y, row in drawn:
        n = row.get("n_units")
        ends = "" if row["conf_low"] is None else (
            f" ({words.number(row['conf_low'], places)} to {words.number(row['conf_high'], places)})"
        )  # fmt: skip
        told = words.number(row["estimate"], places, sign=True) + ends + (f"  n {n:,}" if n is not None else "")
        axes.annotate(told, (1.02, y), xycoords=axes.get_yaxis_transform(), va="center", size=10, color=INK,
                      annotation_clip=False)  # fmt: skip
    axes.annotate("effect (95 % interval), units", (1.02, -0.6), xycoords=axes.get_yaxis_transform(), va="bottom",
                  size=10, color=MUTED, annotation_clip=False)  # fmt: skip


def _forest_title(rows: StudyRows, run: Run) -> str:
    contrasts = _contrasts(rows, run)
    if not contrasts:
        return "Effects by group; no test compares them"
    best = contrasts[0]
    high, _, low = str(best["subject"]).partition(" - ")
    name = _modifier(best)
    ends = [group_label(text.partition("=")[2]) for text in (high, low)]
    told = f"{name} {ends[0]} against {ends[1]}"
    if best["value"] >= 0.05:
        return f"Too imprecise to tell any groups apart; nearest is {told} (adjusted {words.p_value(best['value'])})"
    difference = rows.diagnostic("group_contrast", run, best["subject"])
    amount = "" if difference is None else f" by {words.effect(difference, None, None, rows.unit)}"
    return f"The effect differs{amount} for {told} (adjusted {words.p_value(best['value'])})"


def _forest_caption(rows: StudyRows, run: Run) -> str:
    told = [f"{str(c['subject']).replace(' - ', ' less ')}: {words.p_value(c['value'])}" for c in _contrasts(rows, run)]
    return f"Differences after Holm's adjustment: {'; '.join(told[:6])}." if told else ""
