"""Figures on how the answer holds when something else is done: all specifications, and the spread of the estimate."""

from __future__ import annotations

import math
from collections.abc import Callable

from matplotlib.axes import Axes

from estimators.registry import NAIVE

from . import words
from .data import Row, StudyRows
from .marks import DASHED, effect_label, least_effect, plain_numbers
from .style import BLUE, FAINT, INK, MUTED, RULE, SKY, VERMILLION, Drawing, NotDrawn, canvas

COMPARABLE = ("ATE", "ATT", "ATO", "LATE")
_DESIGNS = ("iv", "iivm", "rd", "did", "synthetic_control", "synthetic_did", "its", "proximal")
_KINDS = (
    ("naive", NAIVE),
    ("regression", ("regression_adjustment", "sensitivity")),
    ("weighting", ("ipw", "entropy", "ipwra", "transportability")),
    ("matching or strata", ("psm", "stratification", "panel_matching")),
    ("doubly robust or learned", ("ope", "tvce", "causal_forest", "cate", "counterfactual")),
    ("instrument, cutoff, panel, proxies", _DESIGNS),
)


def ate_distribution(rows: StudyRows) -> Drawing | NotDrawn:
    """Where the primary estimate would fall in repeated samples, with its interval, and the other estimates below."""
    card = rows.card
    estimate, error = card.get("estimate"), card.get("std_error")
    if estimate is None:
        return NotDrawn("the declared primary has no estimate")
    if not error:
        return NotDrawn("the declared primary has no standard error; placebo_tests shows what stands for it")
    figure = canvas(3.8)
    axes = figure.add_subplot()
    x = [estimate + error * (i / 50) for i in range(-200, 201)]
    y = [math.exp(-0.5 * ((v - estimate) / error) ** 2) for v in x]
    axes.fill_between(x, 0, y, color=SKY, alpha=0.4, linewidth=0)
    axes.plot(x, y, color=BLUE)
    low, high = card.get("conf_low"), card.get("conf_high")
    if low is not None and high is not None:
        inside = [(a, b) for a, b in zip(x, y, strict=True) if low <= a <= high]
        axes.fill_between([a for a, _ in inside], 0, [b for _, b in inside], color=SKY, linewidth=0,
                          label="95 % interval")  # fmt: skip
        axes.hlines(-0.06, low, high, colors=BLUE, linewidth=3, zorder=4)
    axes.plot([estimate], [-0.06], "o", color=BLUE, markersize=8, markeredgecolor="white", zorder=5, gid="primary")
    others = _others(rows)
    axes.plot([r["estimate"] for r in others], [-0.16] * len(others), "|", color=VERMILLION, markersize=12,
              markeredgewidth=1.8, label=f"other estimates of the {card.get('estimand')} ({len(others)})",
              gid="others")  # fmt: skip
    axes.axvline(0, color=INK, linewidth=1.2, label="no effect")
    least_effect(axes, rows)
    axes.set_ylim(-0.24, 1.08)
    axes.set_yticks([])
    axes.set_ylabel("relative frequency")
    plain_numbers(axes.xaxis)
    axes.locator_params(axis="x", nbins=7)
    axes.set_xlabel(effect_label(rows, width=60))
    figure.legend(loc="outside lower left", ncols=2, columnspacing=1.2)
    name = words.run(card.get("estimator"), card.get("estimand"), card.get("specification"))
    caption = f"{name}: a normal curve of its standard error, {words.unit(rows.unit, words.number(error))}."
    return Drawing(figure, _ate_title(rows, estimate, low, high), caption)


def _others(rows: StudyRows) -> list[Row]:
    """Estimates of the primary's estimand by other runs, without the naive one."""
    return [
        r for r in rows.estimates
        if r["term"] == "overall" and r["estimate"] is not None and not r["is_primary"]
        and r["estimand"] == rows.card.get("estimand") and r["estimator"] not in NAIVE
    ]  # fmt: skip


def _ate_title(rows: StudyRows, estimate: float, low: float | None, high: float | None) -> str:
    told = words.effect(estimate, low, high, rows.unit)
    outcome = rows.card.get("outcome") or "the outcome"
    if low is not None and high is not None and low <= 0 <= high:
        return f"Too imprecise to tell from no effect: {outcome} changes by {told}"
    return f"The effect on {outcome} is {told}"


def specification_curve(rows: StudyRows) -> Drawing | NotDrawn:
    """All comparable estimates in order of size, and below each what was done."""
    found = [
        r for r in rows.estimates
        if r["term"] == "overall" and r["estimate"] is not None and r["estimand"] in COMPARABLE
    ]  # fmt: skip
    beside = [r for r in found if r["estimator"] not in NAIVE]
    if len(beside) < 3:
        return NotDrawn(f"a specification curve needs three estimates beside the naive one; there are {len(beside)}")
    found.sort(key=lambda r: (r["estimate"], r["estimator"], r["specification"], r["estimand"]))
    choices = _choices(found)
    figure = canvas(2.9 + 0.24 * len(choices), 6.9)
    top, low = figure.subplots(2, 1, sharex=True, height_ratios=(2.4, 0.24 * len(choices)))
    _estimates_in_order(top, rows, found)
    for y, (_, held) in enumerate(choices):
        off = [x for x, row in enumerate(found) if not held(row)]
        low.plot(off, [y] * len(off), "o", color=RULE, markersize=3.5)
        for x, row in enumerate(found):
            if held(row):
                low.plot([x], [y], "o", color=_colour(row), markersize=6, gid=f"choice.{y}.{x}")
    low.set_yticks(range(len(choices)), [name for name, _ in choices])
    low.tick_params(axis="both", length=0)
    low.set_ylim(len(choices) - 0.4, -0.6)
    low.set_xticks([])
    low.set_xlim(-0.8, len(found) - 0.2)
    low.set_xlabel("estimates in order of size (red: primary, grey: naive)")
    return Drawing(figure, _curve_title(rows, found), _curve_caption(rows, found))


def _colour(row: Row) -> str:
    return VERMILLION if row["is_primary"] else MUTED if row["estimator"] in NAIVE else BLUE


def _estimates_in_order(axes: Axes, rows: StudyRows, found: list[Row]) -> None:
    for x, row in enumerate(found):
        if row["conf_low"] is not None:
            axes.vlines(x, row["conf_low"], row["conf_high"], colors=_colour(row), linewidth=1.8, alpha=0.55, zorder=3)
        axes.plot([x], [row["estimate"]], "o", color=_colour(row), markersize=6, markeredgecolor="white", zorder=4,
                  gid=f"{row['estimator']}.{row['specification']}.{row['estimand']}")  # fmt: skip
    axes.axhline(0, color=INK, linewidth=1)
    if rows.zone:
        axes.axhline(rows.zone, color=INK, linewidth=1.2, linestyle=DASHED)
        axes.annotate(f"least that matters {words.declared(rows.zone)}", (1, rows.zone),
                      xycoords=axes.get_yaxis_transform(), xytext=(0, 3), textcoords="offset points", ha="right",
                      va="bottom", size=10, color=MUTED)  # fmt: skip
    # One instrument that tells nothing would squeeze all the rest.
    ends = sorted(v for r in found for v in (r["conf_low"], r["conf_high"], r["estimate"]) if v is not None)
    middle = sorted(r["estimate"] for r in found)
    room = 4 * max(middle[-1] - middle[0], abs(middle[len(middle) // 2]), 1e-12)
    shown = [max(ends[0], middle[0] - room), min(ends[-1], middle[-1] + room), 0.0, rows.zone or 0.0]
    pad = 0.06 * (max(shown) - min(shown))
    axes.set_ylim(min(shown) - pad, max(shown) + pad)
    plain_numbers(axes.yaxis)
    axes.set_ylabel(effect_label(rows, width=24))
    axes.grid(axis="y", color=RULE)
    axes.spines["bottom"].set_color(FAINT)


def _choices(found: list[Row]) -> list[tuple[str, Callable[[Row], bool]]]:
    """The names of the choices with a test a row: estimands, kinds of estimator, specifications."""
    out = [(e, lambda r, e=e: r["estimand"] == e) for e in COMPARABLE if any(r["estimand"] == e for r in found)]
    for name, members in _KINDS:
        if any(r["estimator"] in members for r in found):
            out.append((name, lambda r, m=members: r["estimator"] in m))
    specifications = dict.fromkeys(r["specification"] for r in found)
    if len(specifications) > 1:
        out += [
            (words.shortened(words.specification(s) or "as declared", 26), lambda r, s=s: r["specification"] == s)
            for s in sorted(specifications, key=lambda s: (s != "default", s))
        ]
    return out


def _curve_title(rows: StudyRows, found: list[Row]) -> str:
    judged = [r for r in found if r["estimator"] not in NAIVE and r["conf_low"] is not None]
    if not judged:
        return f"{words.count(len(found), 'estimate')}, none of them with an interval"
    above = sum(r["conf_low"] > 0 for r in judged)
    below = sum(r["conf_high"] < 0 for r in judged)
    values = [r["estimate"] for r in judged]
    told = f"{words.interval(min(values), max(values))} {rows.unit}"
    count = words.count(len(judged), "estimate")
    if above == len(judged) or below == len(judged):
        return f"All {count} are clearly {'above' if above else 'below'} zero, from {told}"
    if above == below == 0:
        return f"None of {count} is precise enough to tell from zero; they run from {told}"
    parts = [f"{n} clearly {word} zero" for n, word in ((above, "above"), (below, "below")) if n]
    rest = len(judged) - above - below
    parts += [f"{rest} too imprecise to tell"] if rest else []
    return f"Of {count} from {told}, {', '.join(parts)}"


def _curve_caption(rows: StudyRows, found: list[Row]) -> str:
    naive = [r for r in found if r["estimator"] in NAIVE]
    refused = sum(r["term"] == "overall" and r["status"] == "refused" for r in rows.estimates)
    told = [f"Not counted ({words.number(r['estimate'], sign=True)}): {words.naive(r['estimator'])}" for r in naive]
    told += [f"{words.count(refused, 'estimate')} refused"] if refused else []
    return ". ".join([*told, "Estimates of different estimands need not agree"]) + "."
