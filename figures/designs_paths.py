"""Figures of paths: interrupted time series, placebos in space, donors, dose-response."""

from __future__ import annotations

import itertools

from . import words
from .data import Row, StudyRows
from .designs_common import DASHED, Run, band, finding, line, metric, upright
from .style import BLUE, FAINT, GREEN, INK, MUTED, RULE, VERMILLION, Drawing, NotDrawn, canvas

_DONORS = 12


def its_path(rows: StudyRows) -> Drawing | NotDrawn:
    """The observed series, the fit, and how the earlier trend would have gone on."""
    runs = rows.runs("its_path")
    if not runs:
        return NotDrawn("no interrupted series: the study declares no intervention time")
    run = runs[0]
    series = rows.curve("its_path", run)
    going_on = series.get("counterfactual", [])
    figure = canvas(3.9)
    axes = figure.add_subplot()
    axes.plot([p["x"] for p in series.get("observed", [])], [p["y"] for p in series.get("observed", [])], "o",
              color=MUTED, markersize=4, markeredgewidth=0, alpha=0.75, label="observed", zorder=3)  # fmt: skip
    start = min((p["x"] for p in going_on), default=None)
    fitted = series.get("fitted", [])
    before = [p for p in fitted if start is None or p["x"] < start]
    line(axes, before, color=BLUE, label="fitted", zorder=4)
    line(axes, fitted[len(before) :], color=BLUE, zorder=4)
    band(axes, going_on, VERMILLION, label="95 % interval")
    line(axes, going_on, color=VERMILLION, linestyle=(0, (5, 2)), label="without intervention", zorder=5)
    if start is not None:
        upright(axes, start, f"intervention {start:g}", side="left")
    axes.set_xlabel(str(rows.roles.get("time") or "period"))
    axes.set_ylabel(rows.outcome)
    axes.yaxis.set_major_formatter(lambda value, _: words.declared(round(value, 10)))
    axes.grid(axis="y", color=RULE)
    axes.margins(x=0.02, y=0.12)
    figure.legend(loc="outside lower left", ncols=4, columnspacing=1.1, handletextpad=0.4)
    overall = rows.overall(run)
    when = f"From {start:g} on the mean difference" if start is not None else "The mean difference"
    title = f"{when} from the earlier trend is {finding(rows, overall)}"
    return Drawing(figure, title if overall else "The series and its earlier trend", _its_caption(rows, run))


def _its_caption(rows: StudyRows, run: Run) -> str:
    told = []
    for name, label in (("level_change", "at once the level changes by"), ("slope_change", "then each period by")):
        row = rows.overall(run, name)
        if row is not None:
            told.append(f"{label} {finding(rows, row)}")
    return words.sentence("; ".join(told))


def placebo_in_space(rows: StudyRows) -> Drawing | NotDrawn:
    """How much worse each unit fits after treatment than before: the treated among all placebos."""
    runs = [r for r in rows.runs("synthetic_gap") if len(rows.curve("synthetic_gap", r)) > 2]
    if not runs:
        return NotDrawn("no placebos in space: the study has no synthetic control with several donors")
    run = runs[0]
    start = _start(rows, run)
    if start is None:
        return NotDrawn("the first treated period is not in the rows")
    ratios = {name: ratio for name, points in rows.curve("synthetic_gap", run).items()
              if (ratio := _rise(points, start)) is not None}  # fmt: skip
    if "treated" not in ratios:
        return NotDrawn("the treated unit has no gap on both sides of its treatment")
    order = sorted(ratios, key=lambda name: ratios[name], reverse=True)
    rank = order.index("treated") + 1
    shown = order[:15] if "treated" in order[:15] else [*order[:14], "treated"]
    figure = canvas(1.0 + 0.25 * len(shown))
    axes = figure.add_subplot()
    colours = [VERMILLION if name == "treated" else FAINT for name in shown]
    axes.barh(range(len(shown)), [ratios[name] for name in shown], color=colours, height=0.72, zorder=2)
    axes.set_yticks(range(len(shown)), [_unit_name(name) for name in shown])
    for tick, name in zip(axes.get_yticklabels(), shown, strict=True):
        tick.set_fontweight("bold" if name == "treated" else "normal")
    axes.invert_yaxis()
    axes.axvline(1, color=INK, linewidth=1.1, linestyle=DASHED)
    axes.annotate("1: no worse than before", (1, 0.02), xycoords=axes.get_xaxis_transform(), xytext=(4, 0),
                  textcoords="offset points", color=MUTED, size=9.5,
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.8})  # fmt: skip
    axes.set_xlabel("misfit after treatment over misfit before (ratio of root mean squares)")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=RULE)
    times = words.number(ratios["treated"], 1)
    title = f"The treated unit's misfit grows {times}-fold after treatment, rank {rank} of {len(order)}"
    p = f"By this ranking the placebo p-value is {rank / len(order):.2g}."
    rest = len(order) - len(shown)
    return Drawing(figure, title, p + (f" {words.count(rest, 'lower-ranked placebo')} not shown." if rest else ""))


def _unit_name(series: str) -> str:
    name = series.removeprefix("placebo:")
    return words.shortened(name[:-2] if name.endswith(".0") else name, 24)


def _start(rows: StudyRows, run: Run) -> float | None:
    """The first treated period: the first of the terms ``time=…`` of the run."""
    terms = [r["term"] for r in rows.estimates if (r["estimator"], r["specification"], r["estimand"]) == run]
    return min((float(t.removeprefix("time=")) for t in terms if t.startswith("time=")), default=None)


def _rise(points: list[Row], start: float) -> float | None:
    before = [p["y"] ** 2 for p in points if p["x"] < start]
    after = [p["y"] ** 2 for p in points if p["x"] >= start]
    if not before or not after or sum(before) == 0:
        return None
    return ((sum(after) / len(after)) / (sum(before) / len(before))) ** 0.5


def donor_weights(rows: StudyRows) -> Drawing | NotDrawn:
    """Which untreated units make up the synthetic one, by estimator."""
    found = _weights(rows)
    if not found:
        return NotDrawn("no donor weights: the study has no synthetic control")
    first = next(iter(found))
    names = list(dict.fromkeys(d for weights in found.values() for d in sorted(weights, key=lambda d: -weights[d])[:8]))
    names = sorted(names, key=lambda d: -found[first].get(d, 0))[:_DONORS]
    figure = canvas(1.2 + 0.32 * len(names))
    axes = figure.add_subplot()
    height = 0.76 / len(found)
    for lane, (estimator, weights) in enumerate(found.items()):
        at = [i + (lane - (len(found) - 1) / 2) * height for i in range(len(names))]
        values = [100 * weights.get(name, 0) for name in names]
        axes.barh(at, values, height=height, color=(BLUE, VERMILLION, GREEN)[lane % 3], zorder=2,
                  label=words.estimator(estimator))  # fmt: skip
    axes.set_yticks(range(len(names)), [_unit_name(name) for name in names])
    axes.invert_yaxis()
    axes.set_xlabel("weight in the synthetic unit (%)")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=RULE)
    figure.legend(loc="outside lower left", ncols=2)
    return Drawing(figure, _donor_title(found[first]), _donor_caption(found, names))


def _weights(rows: StudyRows) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for estimator in ("synthetic_control", "synthetic_did"):
        weights = metric(rows, "donor_weight", (estimator, "default", "ATT"))
        if weights:
            found[estimator] = weights
    return found


def _donor_title(weights: dict[str, float]) -> str:
    ordered = sorted(weights.values(), reverse=True)
    reached = list(itertools.accumulate(ordered))
    needed = next((i + 1 for i, total in enumerate(reached) if total >= 0.9 * reached[-1]), len(ordered))
    largest = _unit_name(max(weights, key=lambda name: weights[name]))
    text = f"{words.count(needed, 'donor')} {'makes' if needed == 1 else 'make'} up 90 % of the synthetic unit"
    return f"{text}; the largest is {largest} with {words.percent(ordered[0])}"


def _donor_caption(found: dict[str, dict[str, float]], names: list[str]) -> str:
    told = []
    for estimator, weights in found.items():
        kept = sum(weights.get(name, 0) for name in names) / (sum(weights.values()) or 1)
        told.append(f"{words.estimator(estimator)} has {words.count(len(weights), 'donor')}, "
                    f"of whose weight {words.percent(kept)} is shown")  # fmt: skip
    return words.sentence("; ".join(told))


def dose_response_curve(rows: StudyRows) -> Drawing | NotDrawn:
    """The mean outcome at each dose above, and what one unit more would do below."""
    runs = rows.runs("dose_response")
    if not runs:
        return NotDrawn("no dose-response curve: the study declares no dose")
    run = runs[0]
    series = rows.curve("dose_response", run)
    level = series.get("E[Y(d)]", [])
    slope = series.get("derivative", [])
    if not level:
        return NotDrawn("the dose-response curve has no levels")
    figure = canvas(5.2 if slope else 3.6)
    panels = figure.subplots(2 if slope else 1, 1, sharex=True, squeeze=False)[:, 0]
    dose = str(rows.roles.get("dose") or rows.card.get("treatment") or "dose")
    for axes, found, colour, title in zip(
        panels,
        (level, slope),
        (BLUE, VERMILLION),
        ("Mean outcome at each dose", "Change with one unit more"),
        strict=False,
    ):
        band(axes, found, colour, label="95 % interval, pointwise")
        line(axes, found, color=colour, linewidth=2.4, label="estimate")
        axes.set_title(title)
        axes.grid(axis="y", color=RULE)
        axes.margins(x=0.02)
    panels[0].set_ylabel(rows.outcome)
    if slope:
        panels[1].axhline(0, color=INK, linewidth=1)
        panels[1].set_ylabel(f"{rows.card.get('outcome_unit') or 'outcome'} a unit of dose")
    panels[-1].set_xlabel(dose if dose == "dose" else f"{dose} (dose)")
    first, last = level[0], level[-1]
    places = words.decimals_for([], words.spread_of(first["conf_low"], first["conf_high"]) or abs(first["y"]) or 1)
    ends = " to ".join(words.number(p["y"], places) for p in (first, last))
    unit = rows.card.get("outcome_unit") or ""
    verb = "rises" if last["y"] > first["y"] else "falls"
    low, high = (words.declared(float(f"{p['x']:.3g}")) for p in (first, last))
    title = f"From dose {low} to {high} the mean outcome {verb} from {ends} {unit}"
    return Drawing(figure, title.strip(), _slope_caption(slope))


def _slope_caption(slope: list[Row]) -> str:
    held = [p for p in slope if p["conf_low"] is not None and p["conf_high"] is not None]
    if not held:
        return ""
    clear = [p["x"] for p in held if p["conf_low"] > 0 or p["conf_high"] < 0]
    if not clear:
        return "At no dose does the slope's interval keep off zero: too imprecise to tell where more would help."
    share = words.percent(len(clear) / len(held))
    return f"The slope's interval keeps off zero at {share} of the doses shown."
