"""Figures of networks and policies: spillover, the interference graph, policies against each other."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from . import words
from .data import Row, StudyRows
from .designs_common import Run, bars, finding, line, points, term
from .style import BLACK, BLUE, INK, MUTED, ORANGE, RULE, SKY, VERMILLION, Drawing, NotDrawn, canvas

STATES = {
    "treated, some neighbour treated": (VERMILLION, "o"),
    "treated, no neighbour treated": (ORANGE, "s"),
    "untreated, some neighbour treated": (SKY, "^"),
    "untreated, no neighbour treated": (BLUE, "D"),
}
_EFFECTS = {"DIRECT": "own treatment", "INDIRECT": "neighbours' treatment", "TOTAL": "both"}
_FEW = 20  # means of fewer units are not drawn
_MEANS = f"Means by treated neighbours are as observed, not adjusted; those of fewer than {_FEW} units are left out."
_ARMS = {"untreated": (BLUE, "^"), "treated": (VERMILLION, "o")}


def spillover_effects(rows: StudyRows) -> Drawing | NotDrawn:
    """Direct, indirect and total effect; and the outcome by the number of treated neighbours."""
    found = {e: row for e in _EFFECTS if (row := term(rows, "network", e)) is not None}
    if not found:
        return NotDrawn("no spillover: the study declares no network")
    runs = rows.runs("outcome_by_treated_neighbours")
    figure = canvas(5.6 if runs else 2.4)
    panels = figure.subplots(2 if runs else 1, 1, squeeze=False, height_ratios=(1, 1.7) if runs else (1,))[:, 0]
    _effect_lines(panels[0], found, rows.unit)
    if runs:
        _by_neighbours(panels[1], rows, runs[0])
        panels[1].legend(loc="upper left", ncols=2)
    title = "Treatment spills over"
    spill = found.get("INDIRECT")
    if spill is not None:
        title = f"Having treated neighbours changes the outcome by {finding(rows, spill)}"
        if spill["conf_low"] is not None and spill["conf_low"] <= 0 <= spill["conf_high"]:
            title = f"Spillover from treated neighbours: {finding(rows, spill)}"
    return Drawing(figure, title, _MEANS if runs else "")


def _effect_lines(axes: Axes, found: dict[str, Row], unit: str) -> None:
    colours = {"DIRECT": BLUE, "INDIRECT": VERMILLION, "TOTAL": BLACK}
    for y, (name, row) in enumerate(found.items()):
        if row["conf_low"] is not None:
            axes.hlines(y, row["conf_low"], row["conf_high"], color=colours[name], linewidth=3, zorder=3)
        axes.plot([row["estimate"]], [y], "o", color=colours[name], markersize=9, zorder=4, gid=f"effect-{name}")
        axes.annotate(words.effect(row["estimate"], row["conf_low"], row["conf_high"], ""), (row["estimate"], y),
                      xytext=(0, 9), textcoords="offset points", ha="center", size=9.5)  # fmt: skip
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_yticks(range(len(found)), [_EFFECTS[name] for name in found])
    axes.set_ylim(len(found) - 0.6, -0.75)
    axes.margins(x=0.15)
    axes.tick_params(axis="y", length=0)
    axes.set_title("Effects")
    axes.set_xlabel(f"effect ({unit}), with 95 % interval")
    axes.grid(axis="x", color=RULE)


def _by_neighbours(axes: Axes, rows: StudyRows, run: Run) -> None:
    for shift, (name, (colour, marker)) in zip((-0.08, 0.08), _ARMS.items(), strict=True):
        told = [p for p in rows.curve("outcome_by_treated_neighbours", run).get(name, []) if _units(p) >= _FEW]
        found = [{**p, "x": p["x"] + shift} for p in told]
        bars(axes, found, colour, linewidth=1.5, alpha=0.7)
        line(axes, found, color=colour, marker=marker, markersize=6, linewidth=1.3, label=name, zorder=4)
    axes.set_title("Outcome by treated neighbours")
    axes.set_xlabel("treated neighbours")
    axes.set_ylabel(f"mean {rows.outcome}")
    axes.margins(y=0.25)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(axis="y", color=RULE)


def _units(point: Row) -> float:
    """How many units a mean is of; as many as asked where the row does not say."""
    told = str(point["x_label"] or "").removeprefix("n = ")
    return float(told) if told.isdigit() else _FEW


@dataclass(frozen=True)
class Graph:
    """The drawn part of a network: places by node, states by node, edges with their weight."""

    places: dict[str, tuple[float, float]]
    states: dict[str, str]
    edges: tuple[tuple[str, str, float], ...]


def graph_of(rows: StudyRows) -> Graph | None:
    """The sampled network of a study, or None where no rows tell one."""
    runs = rows.runs("network_nodes")
    if not runs:
        return None
    nodes = points(rows, "network_nodes", runs[0])
    places = {str(p["x_label"]): (p["x"], p["y"]) for p in nodes}
    ends: dict[str, list[str]] = {}
    for p in points(rows, "network_edges", runs[0]):
        ends.setdefault(p["series"], []).append(str(p["x_label"]))
    spill = {p["series"]: p["y"] for p in points(rows, "network_edge_spillover", runs[0])}
    edges = []
    for name in sorted(ends):
        start, _, end = name.partition(" -> ")
        if start in places and end in places:
            edges.append((start, end, spill.get(name, 0.0)))
    return Graph(places, {str(p["x_label"]): p["series"] for p in nodes}, tuple(edges))


def network_interference_graph(rows: StudyRows) -> Drawing | NotDrawn:
    """A part of the network: who is treated, who has treated neighbours, where spillover flows."""
    graph = graph_of(rows)
    if graph is None:
        return NotDrawn("no network to draw: the study declares no edges")
    figure = canvas(5.4)
    axes = figure.add_subplot()
    draw_edges(axes, graph)
    for state, (colour, marker) in STATES.items():
        chosen = [graph.places[n] for n, s in graph.states.items() if s == state]
        axes.scatter([x for x, _ in chosen], [y for _, y in chosen], s=85, color=colour, marker=marker, zorder=3,
                     edgecolors="white", linewidths=0.9, label=f"{state} ({len(chosen)})")  # fmt: skip
    axes.axis("off")
    axes.set_aspect("equal")
    figure.legend(loc="outside lower left", ncols=1, labelspacing=0.25)
    exposed = sum(s.endswith("some neighbour treated") for s in graph.states.values())
    title = f"{exposed} of the {words.count(len(graph.states), 'unit')} drawn have a treated neighbour"
    whole = _exposure(rows)
    caption = "A part of the network is drawn; dark edges carry spillover from a treated unit, the wider the more."
    return Drawing(figure, title, f"{caption} {whole}".strip())


def draw_edges(axes: Axes, graph: Graph) -> None:
    """Edges, those with spillover darker and wider."""
    most = max((w for *_, w in graph.edges), default=0) or 1
    lines = [[graph.places[a], graph.places[b]] for a, b, _ in graph.edges]
    widths = [0.7 + 2.2 * w / most for *_, w in graph.edges]
    colours = [MUTED if w > 0 else "#D5DAE0" for *_, w in graph.edges]
    axes.add_collection(LineCollection(lines, linewidths=widths, colors=colours, zorder=1))


def _exposure(rows: StudyRows) -> str:
    mean = rows.diagnostic("exposure", subject="mean")
    if mean is None:
        return ""
    return f"In the whole network {words.percent(mean)} of a unit's neighbours are treated on average."


_POLICIES = {"treat_none": "treat nobody", "threshold": "treat where the effect\npays", "treat_all": "treat all"}


def policy_evaluation_matrix(rows: StudyRows) -> Drawing | NotDrawn:
    """Each policy of a row against each of a column: the difference in value."""
    runs = rows.runs("policy_matrix") or _runs(rows, "policy_matrix")
    if not runs:
        return NotDrawn("no policies were compared: that needs a binary treatment with covariates")
    cells = {(p["series"], str(p["x_label"])): p for p in points(rows, "policy_matrix", runs[0])}
    seen = {name for pair in cells for name in pair}
    names = [n for n in _POLICIES if n in seen] + sorted(seen - set(_POLICIES))
    labels = [_POLICIES.get(n, words.shortened(n.replace("_", " "), 22)) for n in names]
    most = max(abs(p["y"]) for p in cells.values()) or 1
    figure = canvas(1.5 + 0.72 * len(names))
    axes = figure.add_subplot()
    grid = [[cells[(a, b)]["y"] if (a, b) in cells else float("nan") for b in names] for a in names]
    axes.imshow(grid, cmap="PuOr", vmin=-2.8 * most, vmax=2.8 * most, aspect="auto")
    spreads = [s for p in cells.values() if (s := words.spread_of(p["conf_low"], p["conf_high"]))]
    places = words.decimals_for([], min(spreads)) if spreads else words.decimals_for([most])
    for (a, b), p in cells.items():
        text = words.number(p["y"], places, sign=True)
        if p["conf_low"] is not None and p["conf_high"] is not None:
            text += _within(words.number(p["conf_low"], places), words.number(p["conf_high"], places))
        unclear = p["conf_low"] is not None and p["conf_low"] <= 0 <= p["conf_high"]
        axes.text(names.index(b), names.index(a), text, ha="center", va="center", size=10,
                  color=MUTED if unclear else INK, style="italic" if unclear else "normal")  # fmt: skip
    for i in range(len(names)):
        axes.text(i, i, "–", ha="center", va="center", color=MUTED)
    axes.set_xticks(range(len(names)), labels)
    axes.set_yticks(range(len(names)), labels)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("… than this policy")
    axes.set_ylabel("this policy is worth more …")
    return Drawing(figure, _best(cells, rows, most), _policy_caption(rows, runs[0]))


def _within(low: str, high: str) -> str:
    """An interval below its number, on two lines where one would run into the next cell."""
    return f"\n({low} to {high})" if len(low + high) <= 12 else f"\n({low}\nto {high})"


def _runs(rows: StudyRows, curve: str) -> list[Run]:
    found = dict.fromkeys(
        (r["estimator"], r["specification"], r["estimand"]) for r in rows.curves if r["curve"] == curve
    )
    return sorted(found, key=lambda r: (r[1] != "default", r))


def _best(cells: dict[tuple[str, str], Row], rows: StudyRows, most: float) -> str:
    """The policy that is not beaten in a clear way, least treatment first; says where two are alike."""
    less = rows.card.get("desired_direction") == "less"
    unit = rows.card.get("outcome_unit") or rows.unit
    pair = cells.get(("treat_all", "treat_none"))
    if pair is None:
        return f"Policies differ in value by up to {words.unit(unit, words.number(most))}"
    told = words.effect(pair["y"], pair["conf_low"], pair["conf_high"], unit)
    if pair["conf_low"] is None or pair["conf_high"] is None:
        return f"Treating all against nobody: {told} a unit, without an interval"
    low, high = (pair["conf_low"], pair["conf_high"]) if not less else (-pair["conf_high"], -pair["conf_low"])
    if low > 0:
        return f"Treating all beats treating nobody by {told} a unit"
    if high < 0:
        return f"Treating all is worse than treating nobody: {told} a unit"
    return f"Treating all against nobody: {finding(rows, {**pair, 'estimate': pair['y']}, unit)}"


def _policy_caption(rows: StudyRows, run: Run) -> str:
    told = []
    share = rows.diagnostic("share_treated", run, "threshold")
    if share is not None:
        told.append(f"The middle policy treats {words.percent(share)} of the units.")
    benefit = {s: rows.diagnostic("net_benefit", run, s) for s in ("threshold", "treat_all")}
    if all(v is not None for v in benefit.values()):
        ends = " and ".join(f"{words.number(v)} ({_POLICIES[s].replace(chr(10), ' ')})" for s, v in benefit.items())
        told.append(f"Net benefit a unit, after cost: {ends}.")
    told.append("Grey italics: the interval holds zero.")
    return " ".join(told)
