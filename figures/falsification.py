"""Figures on checks that could have shown the design to be wrong: placebo effects and falsification tests."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from . import words
from .data import Row, StudyRows
from .marks import Run, effect_label, of_run, plain_numbers
from .style import BLUE, FAINT, INK, RULE, VERMILLION, Drawing, NotDrawn, canvas

FLOOR = 1e-4


@dataclass(frozen=True)
class Placebo:
    """One effect that should be none: its name, size and interval (None where it has none)."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None

    @property
    def is_off(self) -> bool:
        """Whether its interval excludes zero."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


def placebo_tests(rows: StudyRows) -> Drawing | NotDrawn:
    """Effects where there can be none, before treatment or of units without it, beside the real one."""
    single, crowd, run = _singles(rows), _crowd(rows), _run(rows)
    if not single and not crowd:
        return NotDrawn("no placebos: the study has no periods before treatment and no untreated panel units")
    real = rows.overall(run) if run else None
    lines = len(single) + bool(crowd) + (real is not None)
    figure = canvas(1.1 + 0.32 * lines)
    axes = figure.add_subplot()
    labels = []
    if real is not None:
        _one(axes, 0, Placebo("", real["estimate"], real["conf_low"], real["conf_high"]), VERMILLION, "real")
        labels.append("the real effect")
    if crowd:
        axes.plot(crowd, [len(labels)] * len(crowd), "|", color=BLUE, markersize=13, markeredgewidth=1.3,
                  gid="crowd")  # fmt: skip
        labels.append(f"{len(crowd)} placebo units")
    for placebo in single:
        _one(axes, len(labels), placebo, BLUE if not placebo.is_off else INK, f"placebo.{placebo.name}")
        labels.append(placebo.name)
    axes.axvline(0, color=INK, linewidth=1.2)
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.margins(x=0.06)
    plain_numbers(axes.xaxis)
    axes.set_xlabel(effect_label(rows, width=60))
    axes.grid(axis="x", color=RULE)
    return Drawing(figure, _placebo_title(rows, single, crowd, run, real), _placebo_caption(rows, single, run))


def _one(axes: Axes, y: float, placebo: Placebo, color: str, gid: str) -> None:
    if placebo.low is not None and placebo.high is not None:
        axes.hlines(y, placebo.low, placebo.high, colors=color, linewidth=2.2, zorder=3)
    axes.plot([placebo.value], [y], "o", color=color, markersize=7, markeredgecolor="white", zorder=4, gid=gid)


def _run(rows: StudyRows) -> Run | None:
    """The run that the placebos belong to."""
    for curve in ("synthetic_gap", "event_study"):
        if rows.runs(curve):
            return rows.runs(curve)[0]
    return None


def _singles(rows: StudyRows) -> list[Placebo]:
    """Effects before treatment: periods of the event study; a treatment backdated in a synthetic control."""
    found = []
    if not rows.runs("synthetic_gap"):
        for run in rows.runs("event_study")[:1]:
            series = rows.curve("event_study", run)
            points = series.get("simultaneous") or series.get("pointwise") or []
            for p in points:
                # The reference period is zero by construction and tests nothing.
                if p["x"] < 0 and not (p["y"] == 0 and p["conf_low"] is None):
                    before = words.count(round(-p["x"]), "period")
                    found.append(Placebo(f"{before} before", p["y"], p["conf_low"], p["conf_high"]))
        return found
    run = rows.runs("synthetic_gap")[0]
    value = rows.diagnostic("placebo_time_effect", run)
    return [] if value is None else [Placebo("treatment backdated", value)]


def _crowd(rows: StudyRows) -> list[float]:
    """Mean gaps after treatment of the units or sets that were not treated."""
    runs = rows.runs("synthetic_gap")
    if not runs:
        return []
    keys = ("estimator", "specification", "estimand")
    periods = [r["term"] for r in rows.estimates if tuple(r[k] for k in keys) == runs[0]]
    start = min((float(t.removeprefix("time=")) for t in periods if t.startswith("time=")), default=None)
    out = []
    for name, points in sorted(rows.curve("synthetic_gap", runs[0]).items()):
        after = [p["y"] for p in points if start is not None and p["x"] >= start]
        if name.startswith("placebo") and after:
            out.append(sum(after) / len(after))
    return out


def _placebo_title(
    rows: StudyRows, single: list[Placebo], crowd: list[float], run: Run | None, real: Row | None
) -> str:
    if crowd and real is not None:
        larger = sum(abs(v) >= abs(real["estimate"]) for v in crowd)
        told = "none is" if larger == 0 else f"{larger} {'is' if larger == 1 else 'are'}"
        amount = words.effect(real["estimate"], None, None, rows.unit)
        return f"Of {words.count(len(crowd), 'placebo')}, {told} as large as the real effect of {amount}"
    judged = [p for p in single if p.low is not None]
    off = sum(p.is_off for p in judged)
    if not judged:
        return f"{words.count(len(single), 'placebo effect')} before treatment, without an interval"
    if off == 0:
        return f"None of {words.count(len(judged), 'placebo effect')} before treatment can be told from zero"
    verb = "differs" if off == 1 else "differ"
    return f"{off} of {words.count(len(judged), 'placebo effect')} before treatment {verb} from zero"


def _placebo_caption(rows: StudyRows, single: list[Placebo], run: Run | None) -> str:
    rank, p = (rows.diagnostic(metric, run) for metric in ("placebo_rank", "placebo_p"))
    if rank is not None and p is not None:
        told = f"the treated unit ranks {rank:.0f} ({words.p_value(p)})"
        return f"By the rise in misfit, which allows for a poor fit before treatment, {told}."
    return "Intervals hold for all periods at once." if single else ""


@dataclass(frozen=True)
class Check:
    """One test whose rejection speaks against the design."""

    name: str
    p: float
    limit: float

    @property
    def passes(self) -> bool:
        """Whether it does not reject."""
        return self.p >= self.limit


_GATES = {
    "pre_trends": "parallel trends before treatment",
    "density": "no jump of density at the cutoff",
    "omnibus_balance": "arms balanced on all covariates",
    "sample_ratio": "arms as large as declared",
    "covariate_assignment": "covariates not moved by treatment",
}
# Metric, its name, and the level where the row has none.
_DIAGNOSTICS = {
    "pre_trends_p": ("parallel trends before treatment", 0.05),
    "hansen_j_p": ("instruments agree with each other", 0.05),
    "treatment_rank_p": ("proxies leave the treatment alone", 0.05),
}


def falsification_checks(rows: StudyRows) -> Drawing | NotDrawn:
    """p-values of all tests that could have rejected the design, each with its own level."""
    checks = _checks(rows)
    if not checks:
        return NotDrawn("no falsification checks: nothing about this design can be tested from its rows")
    figure = canvas(1.5 + 0.42 * len(checks))
    axes = figure.add_subplot()
    axes.set_xscale("log")
    for y, check in enumerate(checks):
        axes.fill_betweenx([y - 0.34, y + 0.34], FLOOR * 0.6, check.limit, color=FAINT, alpha=0.5, linewidth=0,
                           label="rejects here" if y == 0 else "")  # fmt: skip
        axes.vlines(check.limit, y - 0.34, y + 0.34, colors=INK, linewidth=1.4, linestyles=[(0, (3, 2))],
                    gid=f"limit.{y}")  # fmt: skip
        axes.plot([max(check.p, FLOOR)], [y], "o" if check.passes else "X", color=BLUE if check.passes else VERMILLION,
                  markersize=9, markeredgecolor="white", zorder=4, gid=f"check.{check.name}")  # fmt: skip
        axes.annotate(f"{words.p_value(check.p)} (level {check.limit:g})", (1.02, y),
                      xycoords=axes.get_yaxis_transform(), va="center", size=10,
                      color=INK if check.passes else VERMILLION, annotation_clip=False)  # fmt: skip
    axes.set_yticks(range(len(checks)), [check.name for check in checks])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(checks) - 0.4, -0.6)
    axes.set_xlim(FLOOR * 0.6, 1.3)
    axes.set_xticks([1e-4, 0.01, 1], ["0.0001\nor less", "0.01", "1"])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("p-value (log scale)")
    axes.grid(axis="x", color=RULE)
    figure.legend(loc="outside lower left")
    failed = [check.name for check in checks if not check.passes]
    return Drawing(figure, _checks_title(checks, failed), "A test that does not reject may lack the power to.")


def _checks(rows: StudyRows) -> list[Check]:
    """Each check once: gates first, then the runs' own tests, the estimator named where several have one."""
    found: dict[str, Check] = {}
    for gate in rows.gates:
        if gate["gate"] in _GATES and gate["value"] is not None and gate["threshold"] is not None:
            name = _GATES[gate["gate"]]
            found.setdefault(name, Check(name, gate["value"], gate["threshold"]))
    named = {r["metric"] for r in rows.diagnostics if r["metric"] in _DIAGNOSTICS and r["value"] is not None}
    for metric in sorted(named):
        name, limit = _DIAGNOSTICS[metric]
        runs = dict.fromkeys((r["estimator"], r["specification"], r["estimand"]) for r in rows.diagnostics)
        for run in sorted(runs, key=lambda r: (r[1] != "default", r)):
            for row in of_run(rows.diagnostics, run):
                if row["metric"] == metric and row["subject"] == "overall" and row["value"] is not None:
                    label = name if run[1] == "default" else f"{name}\n({words.specification(run[1])})"
                    found.setdefault(label, Check(label, row["value"], row["threshold"] or limit))
    return list(found.values())


def _checks_title(checks: list[Check], failed: list[str]) -> str:
    if not failed:
        only = len(checks) == 1
        return "The one check that could reject the design does not" if only else (
            f"None of {len(checks)} checks rejects the design"
        )  # fmt: skip
    names = "; ".join(name.replace("\n", " ") for name in failed)
    start = f"{len(failed)} of {words.count(len(checks), 'check')} {'rejects' if len(failed) == 1 else 'reject'}"
    return f"{start} the design: {names}"
