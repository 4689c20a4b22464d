"""Figures that check a design: density at the cutoff, instruments, two-way fixed effects, transport."""

from __future__ import annotations

import itertools

from matplotlib.axes import Axes

from . import words
from .data import Row, StudyRows
from .designs_common import DASHED, Run, finding, metric, of_run, runs_with, upright
from .style import BLUE, GREEN, INK, MARKERS, MUTED, ORANGE, RULE, VERMILLION, ZONE, Drawing, NotDrawn, canvas


def density_test(rows: StudyRows) -> Drawing | NotDrawn:
    """Units on each side of the cutoff: sorting would show as a jump of the counts."""
    runs = rows.runs("running_density")
    if not runs:
        return NotDrawn("no density of a running variable: the study has no cutoff")
    series = rows.curve("running_density", runs[0])
    figure = canvas(3.5)
    axes = figure.add_subplot()
    for side, colour in (("left", BLUE), ("right", VERMILLION)):
        found = series.get(side, [])
        axes.bar([p["x"] for p in found], [p["y"] for p in found], width=_width(found), color=colour, alpha=0.85,
                 edgecolor="white", linewidth=0.6, label=f"{side} ({sum(p['y'] for p in found):,.0f} units)",
                 zorder=3)  # fmt: skip
    axes.margins(y=0.14)
    cutoff = _cutoff(rows, series)
    if cutoff is not None:
        upright(axes, cutoff, f"cutoff {cutoff:g}")
    axes.set_xlabel(f"{rows.roles.get('running') or 'running variable'} (running variable)")
    axes.set_ylabel("units in a bin")
    axes.grid(axis="y", color=RULE)
    figure.legend(loc="outside lower left", ncols=2)
    return Drawing(figure, *_density_words(rows, series))


def _width(found: list[Row]) -> float:
    return min((b["x"] - a["x"] for a, b in itertools.pairwise(found)), default=1.0)


def _cutoff(rows: StudyRows, series: dict[str, list[Row]]) -> float | None:
    declared = rows.roles.get("cutoff")
    if isinstance(declared, (int, float)):
        return float(declared)
    if series.get("left") and series.get("right"):
        return (series["left"][-1]["x"] + series["right"][0]["x"]) / 2
    return None


def _density_words(rows: StudyRows, series: dict[str, list[Row]]) -> tuple[str, str]:
    gate = next((g for g in rows.gates if g["gate"] == "density" and g["value"] is not None), None)
    if gate is None:
        left, right = (f"{sum(p['y'] for p in series.get(side, [])):,.0f}" for side in ("left", "right"))
        title = f"{left} units lie left of the cutoff and {right} right of it"
        return title, "The study declares no density gate, so whether the counts jump was not tested."
    p, limit = gate["value"], gate["threshold"] or rows.limit("density")
    seen = "no jump of the density is seen" if p >= limit else "the density jumps"
    caption = "A pass does not rule sorting out; it may be too small to see." if p >= limit else (
        "Units seem to choose their side of the cutoff, so the two sides may not be alike."
    )  # fmt: skip
    return f"At the cutoff {seen} ({words.p_value(p)}, limit {limit:g})", caption


def first_stage(rows: StudyRows) -> Drawing | NotDrawn:
    """The strength of the instruments against the limits, and the interval that weak ones cannot upset."""
    runs = sorted((r for r in runs_with(rows, "first_stage_f") if r[2] == "LATE"), key=lambda r: r[0] != "iv")
    if not runs:
        return NotDrawn("no first stage: the study has no instrument")
    lines = [(run, kind, value) for run in runs for kind, name in _STRENGTH
             for value in list(metric(rows, name, run).values())[:1]]  # fmt: skip
    figure = canvas(1.5 + 0.36 * len(lines))
    axes = figure.add_subplot()
    colours = dict(zip((kind for kind, _ in _STRENGTH), (BLUE, GREEN, ORANGE), strict=True))
    for y, (_, kind, value) in enumerate(lines):
        axes.barh(y, value, color=colours[kind], height=0.66, zorder=2)
        axes.annotate(words.number(value), (value, y), xytext=(4, 0), textcoords="offset points", va="center", size=10,
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8}, zorder=5)  # fmt: skip
    axes.set_yticks(range(len(lines)), [f"{words.on_axes(run[0], None, run[1])}: {kind}" for run, kind, _ in lines])
    axes.invert_yaxis()
    largest = max(value for *_, value in lines)
    if largest > 250:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: words.declared(value))
        axes.set_xlim(1, largest * 5)
    else:
        axes.set_xlim(0, max(largest * 1.18, 12))
    axes.axvline(10, color=INK, linewidth=1.2, linestyle=DASHED, zorder=3)
    axes.annotate("limit 10", (10, 1), xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points",
                  ha="center", size=10)  # fmt: skip
    axes.set_xlabel("strength of the first stage (F statistic" + (", log scale)" if largest > 250 else ")"))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=RULE)
    run, kind, value = lines[0]
    strong = "strong enough" if value >= 10 else "weak"
    instruments = ", ".join(map(str, rows.roles.get("instruments") or [])) or "the instrument"
    title = f"The first stage is {strong}: {kind} {words.number(value)} against 10 ({words.shortened(instruments, 40)})"
    return Drawing(figure, title, _robust_caption(rows, run))


_STRENGTH = (("F", "first_stage_f"), ("robust F", "first_stage_f_robust"), ("effective F", "effective_f"))


def _robust_caption(rows: StudyRows, run: Run) -> str:
    low, high = metric(rows, "ar_low", run), metric(rows, "ar_high", run)
    if not low or not high:
        return ""
    ends = words.interval(next(iter(low.values())), next(iter(high.values())))
    told = words.unit(rows.unit, ends)
    return f"However weak the instrument, a 95 % interval that holds (Anderson-Rubin) is {told}."


_KINDS = {
    "treated v never treated": (BLUE, "o"),
    "earlier v later treated": (GREEN, "s"),
    "later v already treated": (VERMILLION, "D"),
}


def bacon_decomposition(rows: StudyRows) -> Drawing | NotDrawn:
    """The two-by-two comparisons inside a two-way fixed effects estimate, by weight."""
    runs = rows.runs("bacon_decomposition")
    if not runs:
        return NotDrawn("no Bacon decomposition: the study has no balanced panel with lasting treatment")
    run = runs[0]
    series = rows.curve("bacon_decomposition", run)
    figure = canvas(3.8)
    axes = figure.add_subplot()
    for name, found in series.items():
        colour, marker = _KINDS.get(name, (MUTED, MARKERS[-1]))
        axes.scatter([100 * p["x"] for p in found], [p["y"] for p in found], s=90, color=colour, marker=marker,
                     edgecolors="white", linewidths=0.8, label=name, zorder=4)  # fmt: skip
    _name_the_heaviest(axes, series)
    overall = rows.overall(run)
    axes.axhline(0, color=INK, linewidth=1)
    if overall is not None:
        label = f"two-way estimate {words.number(overall['estimate'], sign=True)}"
        axes.axhline(overall["estimate"], color=INK, linewidth=1.2, linestyle=DASHED, label=label)
    axes.set_xlim(left=0)
    axes.margins(x=0.14, y=0.18)
    axes.set_xlabel("weight in the estimate (%)")
    axes.set_ylabel(f"2×2 estimate ({rows.unit})")
    axes.grid(color=RULE)
    figure.legend(loc="outside lower left", ncols=2, columnspacing=1.2)
    forbidden = sum(p["x"] for p in series.get("later v already treated", []))
    if forbidden == 0:
        title = "None of the two-way estimate compares units with others already treated"
    else:
        title = f"{words.percent(forbidden)} of the two-way estimate compares units with others already treated"
    return Drawing(figure, title, "Such comparisons go astray where effects change with time since treatment.")


def _name_the_heaviest(axes: Axes, series: dict[str, list[Row]]) -> None:
    every = sorted((p for found in series.values() for p in found), key=lambda p: -p["x"])
    for p in every[:3]:
        right = p["x"] < 0.5 * every[0]["x"]
        axes.annotate(str(p["x_label"] or ""), (100 * p["x"], p["y"]), xytext=(8 if right else -8, 0), va="center",
                      textcoords="offset points", ha="left" if right else "right", size=9.5, color=MUTED, zorder=3,
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.85})  # fmt: skip


def transport_shift(rows: StudyRows) -> Drawing | NotDrawn:
    """How the target population differs from the study, before and after weighting."""
    runs = runs_with(rows, "covariate_shift")
    if not runs:
        return NotDrawn("no transport: the study declares no target sample")
    run = runs[0]
    raw = metric(rows, "covariate_shift", run)
    weighted = {name: v for name, v in metric(rows, "covariate_shift_weighted", run).items() if name in raw}
    names = sorted(raw, key=lambda c: abs(raw[c]))
    figure = canvas(1.4 + 0.33 * len(names))
    axes = figure.add_subplot()
    at = {name: i for i, name in enumerate(names)}
    limit = rows.limit("balance")
    axes.axvspan(-limit, limit, color=ZONE, zorder=0, linewidth=0, label=f"within {limit:g} SD")
    axes.axvline(0, color=INK, linewidth=1)
    for name in names:
        if name in weighted:
            axes.plot([raw[name], weighted[name]], [at[name]] * 2, color=RULE, linewidth=2, zorder=2)
    axes.scatter(list(raw.values()), [at[c] for c in raw], s=70, facecolors="white", edgecolors=MUTED, linewidths=1.6,
                 label="as they are", zorder=3)  # fmt: skip
    axes.scatter(
        list(weighted.values()), [at[c] for c in weighted], s=70, color=BLUE, label="after weighting", zorder=4
    )
    axes.set_yticks(range(len(names)), [words.shortened(name, 24) for name in names])
    axes.set_xlabel("target minus study (SD)")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=RULE)
    figure.legend(loc="outside lower left", ncols=3)
    left = sum(abs(v) >= limit for v in weighted.values())
    before = sum(abs(v) >= limit for v in raw.values())
    title = f"{before} of {words.count(len(raw), 'covariate')} differ between study and target by {limit:g} SD or more"
    title += f"; after weighting {left or 'none'} {'do' if left > 1 else 'does'}"
    return Drawing(figure, title, _transport_caption(rows, run))


def _transport_caption(rows: StudyRows, run: Run) -> str:
    told = []
    outside = metric(rows, "share_outside_support", run).get("target")
    if outside is not None:
        told.append(f"{words.percent(outside)} of the target lies where the study has no like units.")
    own = next((r for r in of_run(rows.estimates, run) if r["term"] == "population=study"), None)
    there = rows.overall(run)
    if own is not None and there is not None:
        told.append(f"In the study the effect is {finding(rows, own)}; in the target {finding(rows, there)}.")
    return " ".join(told)
