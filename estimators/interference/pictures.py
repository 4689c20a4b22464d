"""What figures of a network draw: outcomes by treated neighbours, degrees, and a small piece of the graph."""

from __future__ import annotations

import numpy as np

from ..inference import wald
from ..problem import Problem
from ..result import CurvePoint
from .graph import Graph

# More points than an eye can tell apart help nobody.
MOST_NEIGHBOURS, MOST_NODES, ROUNDS = 20, 60, 150
ARMS = ((0, "untreated"), (1, "treated"))


def outcome_by_treated_neighbours(problem: Problem, graph: Graph) -> list[CurvePoint]:
    """Weighted mean outcome of each arm by number of treated neighbours, with a 95 % interval for independent units."""
    treated = graph.treated_neighbours(problem.t)
    points = []
    for arm, series in ARMS:
        for count in range(int(min(treated.max(), MOST_NEIGHBOURS)) + 1):
            inside = (problem.t == arm) & (treated == count) & (problem.w > 0)
            if not inside.any():
                continue
            y, share = problem.y[inside], problem.w[inside] / problem.w[inside].sum()
            mean = float(share @ y)
            low = high = None
            if len(y) > 1:
                error = float(np.sqrt(np.sum((share * (y - mean)) ** 2) * len(y) / (len(y) - 1)))
                interval = wald(mean, error, len(y) - 1)
                low, high = interval.conf_low, interval.conf_high
            points.append(
                CurvePoint("outcome_by_treated_neighbours", series, float(count), mean, f"n = {len(y)}", low, high)
            )
    return points


def degree_histogram(graph: Graph) -> list[CurvePoint]:
    """How many units have each number of neighbours."""
    values, counts = np.unique(graph.degree, return_counts=True)
    return [CurvePoint("degree_histogram", "units", float(v), float(c)) for v, c in zip(values, counts, strict=True)]


def graph_points(
    problem: Problem, graph: Graph, direct: float | None, spill: float | None, any_neighbour: bool
) -> list[CurvePoint]:
    """A connected piece of the network of at most 60 units, laid out in the unit square.

    ``network_nodes``: x and y are the place, the label is the unit, the series its exposure. ``network_node_effect``:
    y is what its own treatment does to the unit. ``network_edges``: two points an edge, its ends, from the one that
    names to the one named; ``network_edge_spillover``: y is what the treatment of the one named does to the other.
    """
    chosen = _piece(graph)
    place = _layout(graph, chosen)
    treated = graph.treated_neighbours(problem.t)
    labels = [str(problem.columns[problem.study.unit][i]) for i in chosen]
    points: list[CurvePoint] = []
    for a, i in enumerate(chosen):
        own = "treated" if problem.t[i] == 1 else "untreated"
        series = f"{own}, {'some' if treated[i] > 0 else 'no'} neighbour treated"
        points.append(CurvePoint("network_nodes", series, float(place[a, 0]), float(place[a, 1]), labels[a]))
        if direct is not None:
            points.append(CurvePoint("network_node_effect", series, float(a), float(problem.t[i]) * direct, labels[a]))
    inner = graph.named[chosen][:, chosen].tocoo()
    for a, b in sorted(zip(inner.coords[0].tolist(), inner.coords[1].tolist(), strict=True)):
        series = f"{labels[a]} -> {labels[b]}"
        points += [
            CurvePoint("network_edges", series, float(place[e, 0]), float(place[e, 1]), labels[e]) for e in (a, b)
        ]
        if spill is not None:
            # A treated neighbour brings its part of the spillover of all treated ones.
            parts = treated[chosen[a]] if any_neighbour else graph.degree[chosen[a]]
            width = spill * float(problem.t[chosen[b]]) / max(float(parts), 1.0)
            points.append(CurvePoint("network_edge_spillover", series, None, width))
    return points


def _piece(graph: Graph) -> np.ndarray:
    """Units reached first from the one with most neighbours, whatever the direction: shape (at most 60,)."""
    both = (graph.named + graph.named.T).tocsr()
    reached, at = [int(np.argmax(graph.degree))], 0
    known = set(reached)
    while at < len(reached) and len(reached) < MOST_NODES:
        i = reached[at]
        for j in np.sort(both.indices[both.indptr[i] : both.indptr[i + 1]]).tolist():
            if j not in known and len(reached) < MOST_NODES:
                known.add(j)
                reached.append(j)
        at += 1
    return np.array(sorted(reached))


def _layout(graph: Graph, chosen: np.ndarray) -> np.ndarray:
    """Places in the unit square where edges pull and units push (Fruchterman & Reingold 1991): shape (m, 2)."""
    m = len(chosen)
    tied = (graph.named + graph.named.T)[chosen][:, chosen].toarray() > 0
    angle = 2 * np.pi * np.arange(m) / m
    place = 0.5 + 0.5 * np.column_stack([np.cos(angle), np.sin(angle)])
    best = 1 / np.sqrt(m)
    for step in range(ROUNDS):
        gap = place[:, None, :] - place[None, :, :]
        distance = np.maximum(np.sqrt((gap**2).sum(axis=2)), 1e-3)
        force = best**2 / distance**2 - tied * distance / best
        move = (gap * force[:, :, None]).sum(axis=1)
        length = np.maximum(np.sqrt((move**2).sum(axis=1)), 1e-9)
        place = place + move / length[:, None] * np.minimum(length, 0.1 * (1 - step / ROUNDS))[:, None]
    low, span = place.min(axis=0), np.maximum(np.ptp(place, axis=0), 1e-9)
    return (place - low) / span
