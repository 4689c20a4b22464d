"""Figures on models: residuals of the outcome model, and covariates that say the same."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from . import words
from .data import Row, StudyRows
from .marks import DASHED, group_label, plain_numbers, upright, wrapped
from .style import BLUE, FAINT, INK, MUTED, RULE, SKY, VERMILLION, Drawing, NotDrawn, canvas


def residual_diagnostics(rows: StudyRows) -> Drawing | NotDrawn:
    """Normal quantiles, residuals over predictions, and their spread over predictions, of the outcome model."""
    runs = rows.runs("residual_quantiles")
    if not runs:
        return NotDrawn("no residuals: the study has no binary treatment with scores")
    run = runs[0]
    quantiles = next(iter(rows.curve("residual_quantiles", run).values()))
    fitted, spread = (rows.curve(c, run) for c in ("residual_fitted", "residual_spread"))
    figure = canvas(7.0)
    first, second, third = figure.subplots(3, 1)
    ends = [quantiles[0]["x"], quantiles[-1]["x"]]
    first.plot(ends, ends, color=INK, linewidth=1.2, linestyle=DASHED)
    first.plot([p["x"] for p in quantiles], [p["y"] for p in quantiles], "o", color=BLUE, markersize=5)
    first.set_xlabel("quantile of a normal law (SD)")
    first.set_ylabel("residual's quantile\n(SD)")
    first.set_title("Normal quantiles", size=10.5)
    _cloud(second, fitted, "Residuals over predictions")
    second.axhline(0, color=INK, linewidth=1.2, linestyle=DASHED)
    second.set_ylabel(wrapped(f"residual ({rows.card.get('outcome_unit') or 'outcome'})", 20))
    _cloud(third, spread, "Spread over predictions")
    third.set_ylabel("√|residual in SD|")
    third.set_xlabel(f"predicted {rows.outcome}")
    second.sharex(third)
    second.tick_params(labelbottom=False)
    for axes in (first, second, third):
        axes.grid(color=RULE)
    handles, labels = third.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=2)
    caption = "Residuals of cross-fitted predictions. Causal estimates here do not ask for normal or even residuals."
    return Drawing(figure, _residual_title(quantiles, spread), caption)


def _cloud(axes: Axes, series: dict[str, list[Row]], title: str) -> None:
    units, mean = series.get("units", []), series.get("mean", [])
    axes.scatter([p["x"] for p in units], [p["y"] for p in units], s=12, color=SKY, alpha=0.45, linewidths=0,
                 label="a sample of units")  # fmt: skip
    axes.plot([p["x"] for p in mean], [p["y"] for p in mean], "o-", color=VERMILLION, markersize=4, linewidth=1.5,
              label="means of twentieths of all units")  # fmt: skip
    axes.set_title(title, size=10.5)
    plain_numbers(axes.xaxis)
    plain_numbers(axes.yaxis)


def _tails(lower: float, upper: float) -> str:
    """The two tails against those of a normal law."""
    kinds = ["longer" if size > 3.1 else "shorter" if size < 2.1 else "" for size in (lower, upper)]
    if not any(kinds):
        return "the tails are about those of a normal law"
    if kinds[0] == kinds[1]:
        return f"both tails are {kinds[0]} than a normal law's"
    if all(kinds):
        return f"the lower tail is {kinds[0]} and the upper {kinds[1]} than a normal law's"
    name, kind = ("lower", kinds[0]) if kinds[0] else ("upper", kinds[1])
    return f"the {name} tail is {kind} than a normal law's"


def _residual_title(quantiles: list[Row], spread: dict[str, list[Row]]) -> str:
    """Tails against those of a normal law at 2.6 standard deviations, and how even the spread is."""
    at = {round(p["x"], 1): p["y"] for p in quantiles}
    low, high = at.get(-2.6), at.get(2.6)
    parts = []
    if low is not None and high is not None:
        parts.append(_tails(-low, high))
    mean = [p["y"] for p in spread.get("mean", [])]
    if len(mean) >= 4 and min(mean) > 0:
        third = max(1, len(mean) // 3)
        ratio = (np.mean(mean[-third:]) / np.mean(mean[:third])) ** 2
        uneven = "grows" if ratio > 1.5 else "shrinks" if ratio < 1 / 1.5 else None
        parts.append(f"the spread {uneven} with the prediction" if uneven else "the spread is about even")
    return words.sentence(f"Residuals: {'; '.join(parts)}" if parts else "Residuals of the outcome model").rstrip(".")


def vif_diagnostics(rows: StudyRows) -> Drawing | NotDrawn:
    """Variance inflation of the treatment and each covariate, with the limit, and the covariates' correlations."""
    factors = {
        g["subject"]: (g["value"], g["gate"] == "collinearity")
        for g in rows.gates
        if g["gate"] in ("collinearity", "covariate_collinearity") and g["value"] is not None
    }
    if not factors:
        return NotDrawn("no variance inflation: the study has no covariates with a treatment")
    limit = rows.limit("covariate_collinearity")
    order = sorted(factors, key=lambda name: (factors[name][0], name))
    shown = [n for n in order if factors[n][1]][:1] + [n for n in order if not factors[n][1]][-15:]
    runs = rows.runs("covariate_correlation")
    figure = canvas(1.0 + 0.3 * len(shown) + (4.4 if runs else 0.0))
    if runs:
        axes, heat = figure.subplots(2, 1, height_ratios=(1.0 + 0.3 * len(shown), 4.2))
        _heatmap(heat, rows, runs[0])
    else:
        axes = figure.add_subplot()
    for y, name in enumerate(shown):
        value, is_treatment = factors[name]
        axes.barh(y, value - 1, left=1, height=0.66, color=VERMILLION if is_treatment else BLUE, zorder=3)
        axes.annotate(words.number(value, 1), (value, y), xytext=(4, 0), textcoords="offset points", va="center",
                      size=10, zorder=6, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6})  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlim(1, max(limit, *(factors[n][0] for n in shown)) * 1.7)
    ticks = [t for t in (1, 2, 5, 10, 20, 50, 100, 1000, 10000) if t <= axes.get_xlim()[1]]
    axes.set_xticks(ticks, [f"{t:,}" for t in ticks])
    axes.minorticks_off()
    upright(axes, limit, f"limit {limit:g}", top=0.2)
    axes.set_yticks(range(len(shown)), [group_label(n) + (" (treatment)" if factors[n][1] else "") for n in shown])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.6, len(shown) - 0.4)
    axes.set_xlabel("variance inflation factor (log scale; 1 is none)")
    axes.grid(axis="x", color=RULE)
    rest = len(order) - len(shown)
    caption = f"{words.count(rest, 'column')} with less are left out. " if rest else ""
    return Drawing(figure, _vif_title(factors, limit), caption + "Only the treatment's factor can forbid an estimate.")


def _vif_title(factors: dict[str, tuple[float, bool]], limit: float) -> str:
    treatment = next(((n, v) for n, (v, is_treatment) in factors.items() if is_treatment), None)
    beyond = sum(v > limit for v, is_treatment in factors.values() if not is_treatment)
    count = sum(not is_treatment for _, is_treatment in factors.values())
    told = "none exceeds" if beyond == 0 else f"{beyond} {'exceeds' if beyond == 1 else 'exceed'}"
    others = f"of {words.count(count, 'covariate column')} {told} {limit:g}"
    if treatment is None:
        return words.sentence(others).rstrip(".")
    verdict = "hardly foretell" if treatment[1] < 2 else "foretell" if treatment[1] <= limit else "all but fix"
    inflation = words.number(treatment[1], 1)
    return f"Covariates {verdict} the treatment {treatment[0]} (variance inflation {inflation}); {others}"


def _heatmap(axes: Axes, rows: StudyRows, run: tuple[str, str, str]) -> None:
    """Correlations of each two covariates, with their numbers where there is room."""
    series = rows.curve("covariate_correlation", run)
    names = [p["x_label"] for p in max(series.values(), key=len)]
    place = {name: i for i, name in enumerate(names)}
    grid = np.full((len(names), len(names)), np.nan)
    for first, points in series.items():
        for p in points:
            if first in place and p["x_label"] in place:
                grid[place[first], place[p["x_label"]]] = p["y"]
    picture = axes.imshow(grid, cmap="PuOr", vmin=-1, vmax=1, aspect="auto")
    labels = [words.shortened(name, 16) for name in names]
    axes.set_yticks(range(len(names)), labels)
    axes.set_xticks(range(len(names)), labels, rotation=40, ha="right", rotation_mode="anchor")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_color(FAINT)
    if len(names) <= 10:
        for i, j in np.argwhere(np.isfinite(grid)):
            dark = abs(grid[i, j]) > 0.6
            axes.text(j, i, words.number(grid[i, j], 2), ha="center", va="center", size=9,
                      color="white" if dark else INK if i != j else MUTED)  # fmt: skip
    bar = axes.figure.colorbar(picture, ax=axes, shrink=0.9, pad=0.02)
    bar.set_label("correlation")
    bar.outline.set_visible(False)
