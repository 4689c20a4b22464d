"""Figures on the design before the analysis: balance and overlap."""

from __future__ import annotations

import itertools

from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from estimators.overlap import support_bounds

from . import words
from .data import Row, StudyRows
from .style import CONTROL, INK, MARKERS, MUTED, RULE, SERIES, TREATED, ZONE, Drawing, NotDrawn, canvas

_TICKS = (0, 0.05, 0.1, 0.25, 0.5, 1, 2, 4)


def covariate_balance(rows: StudyRows) -> Drawing | NotDrawn:
    """Love plot: |standardised difference| of each covariate, raw and under each weighting estimator."""
    raw = {g["subject"]: abs(g["value"]) for g in rows.gates if g["gate"] == "raw_balance" and g["value"] is not None}
    weighted = _weighted(rows.gates)
    if not raw and not weighted:
        return NotDrawn("no balance gates: the study weighs no covariates")
    covariates = sorted({*raw, *(c for run in weighted.values() for c in run)}, key=lambda c: (raw.get(c, 0), c))
    limit = rows.limit("balance")
    figure = canvas(1.2 + 0.31 * len(covariates) + 0.2 * ((len(weighted) + 2) // 2))
    axes = figure.add_subplot()
    at = {covariate: i for i, covariate in enumerate(covariates)}
    axes.scatter(list(raw.values()), [at[c] for c in raw], s=70, facecolors="white", edgecolors=MUTED, linewidths=1.6,
                 label="before weighting", zorder=3)  # fmt: skip
    estimators = list(dict.fromkeys(estimator for estimator, _ in weighted))
    estimands = list(dict.fromkeys(estimand for _, estimand in weighted))
    for lane, ((estimator, estimand), values) in enumerate(weighted.items()):
        shift = 0.5 * ((lane + 0.5) / len(weighted) - 0.5)
        axes.scatter(
            list(values.values()), [at[c] + shift for c in values], s=32, zorder=4,
            color=SERIES[estimators.index(estimator) % len(SERIES)],
            marker=MARKERS[estimands.index(estimand) % len(MARKERS)], label=words.on_axes(estimator, estimand),
        )  # fmt: skip
    largest = max([*raw.values(), *(v for run in weighted.values() for v in run.values()), limit])
    _love_axes(axes, covariates, limit, largest)
    figure.legend(loc="outside lower left", ncols=2, handletextpad=0.3, columnspacing=1.2)
    return Drawing(figure, _balance_title(rows, raw, weighted, limit), _balance_caption(rows, weighted))


def _weighted(gates: tuple[Row, ...]) -> dict[tuple[str, str], dict[str, float]]:
    """|SMD| by covariate of each (estimator, estimand) that has weights."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for gate in gates:
        if gate["gate"] == "balance" and gate["value"] is not None and gate["estimator"]:
            run = (gate["estimator"], gate["estimand"] or "")
            found.setdefault(run, {})[gate["subject"]] = abs(gate["value"])
    return dict(sorted(found.items()))


def _love_axes(axes: Axes, covariates: list[str], limit: float, largest: float) -> None:
    wide = largest > 0.8
    if wide:
        axes.set_xscale("symlog", linthresh=0.25, linscale=1.1)
        axes.set_xticks([t for t in _TICKS if t <= largest * 1.3], minor=False)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlim(-0.01 if wide else -0.015 * largest, largest * (1.15 if wide else 1.08))
    axes.set_ylim(-0.6, len(covariates) - 0.4)
    axes.set_yticks(range(len(covariates)), covariates)
    axes.tick_params(axis="y", length=0)
    axes.axvspan(axes.get_xlim()[0], limit, color=ZONE, zorder=0, linewidth=0)
    axes.axvline(limit, color=INK, linewidth=1.2, linestyle=(0, (4, 3)))
    axes.annotate(f"limit {limit:g}", (limit, 1), xycoords=("data", "axes fraction"), xytext=(0, 3),
                  textcoords="offset points", ha="center", size=10)  # fmt: skip
    axes.hlines(range(len(covariates)), *axes.get_xlim(), color=RULE, linewidth=0.8, zorder=1)
    axes.set_xlabel("absolute standardised difference (SD" + ("; log scale beyond 0.25)" if wide else ")"))


def _balance_title(rows: StudyRows, raw: dict, weighted: dict, limit: float) -> str:
    before = sum(value >= limit for value in raw.values())
    start = f"{before} of {words.count(len(raw), 'covariate')} differ by {limit:g} SD or more before weighting"
    if not weighted:
        return start
    run = _headline_run(rows, weighted)
    after = sum(value >= limit for value in weighted[run].values())
    name = words.run(*run)
    ending = "none does" if after == 0 else f"{after} {'does' if after == 1 else 'do'}"
    return (
        f"{start}; after {name[:1].lower() + name[1:]}, {ending}" if raw else f"After {name}: {after} beyond {limit:g}"
    )


def _headline_run(rows: StudyRows, weighted: dict) -> tuple[str, str]:
    """The primary run where it has weights, else the best balanced of its estimand, else of all."""
    first, estimand = rows.card.get("estimator"), rows.card.get("estimand")
    return min(
        weighted, key=lambda run: (run != (first, estimand), run[1] != estimand, max(weighted[run].values()), run)
    )


def _balance_caption(rows: StudyRows, weighted: dict) -> str:
    absent = {
        (g["estimator"], g["estimand"])
        for g in rows.gates
        if g["gate"] == "balance" and g["value"] is None and g["estimator"]
    } - set(weighted)
    if not absent:
        return ""
    return f"No weights: {', '.join(words.run(*run) for run in sorted(absent, key=str))}."


def propensity_overlap(rows: StudyRows) -> Drawing | NotDrawn:
    """Histogram of the propensity, treated above and control below the axis, as shares of each arm."""
    runs = rows.runs("propensity_histogram")
    if not runs:
        return NotDrawn("no propensity histogram: the study has no binary treatment with covariates")
    series = rows.curve("propensity_histogram", runs[0])
    arms = {name: series.get(name, []) for name in ("treated", "control")}
    totals = {name: sum(p["y"] for p in points) for name, points in arms.items()}
    if not all(totals.values()):
        return NotDrawn("the propensity histogram lacks an arm")
    figure = canvas(3.4)
    axes = figure.add_subplot()
    support = _support(rows, totals)
    axes.axvspan(*support, color=ZONE, zorder=0, linewidth=0)
    for edge in support:
        axes.axvline(edge, color=INK, linewidth=1.1, linestyle=(0, (4, 3)), zorder=2)
    for name, direction, colour in (("treated", 1, TREATED), ("control", -1, CONTROL)):
        heights = [direction * 100 * p["y"] / totals[name] for p in arms[name]]
        axes.bar([p["x"] for p in arms[name]], heights, width=_bin_width(arms), color=colour, edgecolor="white",
                 linewidth=0.6, label=f"{name} ({totals[name]:,.0f})", zorder=3)  # fmt: skip
    axes.axhline(0, color=INK, linewidth=0.9, zorder=4)
    axes.set_xlim(0, 1)
    axes.margins(y=0.14)
    axes.text(0.5, 0.985, f"support {_range(support)}", transform=axes.get_xaxis_transform(), ha="center", va="top",
              color=MUTED, size=10)  # fmt: skip
    axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    axes.set_xticks([0, *support, *(at for at in (0.25, 0.5, 0.75) if min(abs(at - e) for e in support) > 0.1), 1])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
    axes.set_xlabel("propensity (probability of treatment given the covariates)")
    axes.set_ylabel("share of the arm (%)")
    axes.grid(axis="y", color=RULE)
    figure.legend(loc="outside lower left", ncols=2)
    inside = {name: _inside(points, support) for name, points in arms.items()}
    share = sum(inside.values()) / sum(totals.values())
    title = f"{words.percent(share)} of {sum(totals.values()):,.0f} units have a propensity of {_range(support)}"
    return Drawing(figure, title, _trimming(share, inside, rows.limit("overlap")))


def _support(rows: StudyRows, totals: dict[str, float]) -> tuple[float, float]:
    """The propensities in support, as `estimators.overlap` and the gate have them."""
    if rows.card.get("design") != "experiment":
        return support_bounds(0.5)
    allocation = rows.roles.get("allocation")
    if isinstance(allocation, int | float) and 0 < allocation < 1:
        return support_bounds(float(allocation))
    return support_bounds(totals["treated"] / sum(totals.values()))


def _range(support: tuple[float, float]) -> str:
    return f"{support[0]:.3g} to {support[1]:.3g}"


def _bin_width(arms: dict[str, list[Row]]) -> float:
    middles = sorted({p["x"] for points in arms.values() for p in points})
    return min((b - a for a, b in itertools.pairwise(middles)), default=0.05)


def _inside(points: list[Row], support: tuple[float, float]) -> float:
    return sum(p["y"] for p in points if support[0] <= p["x"] <= support[1])


def _trimming(share: float, inside: dict[str, float], least: float) -> str:
    kept = f"{inside['treated']:,.0f} treated and {inside['control']:,.0f} control units"
    if share >= 0.999:
        return "Nothing to trim: the region holds every unit, or nearly so."
    if share >= least:
        return f"Trimming is optional: inside the region are {kept}."
    return (
        f"An average over all units would extrapolate. Trimming to the region keeps {kept} and answers for those "
        "alone; the effect on the treated needs only comparable controls."
    )
