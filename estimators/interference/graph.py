"""The declared network as a sparse matrix over the study's units, and what was left out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import Refusal
from ..imports import load
from ..problem import Problem


@dataclass(frozen=True)
class Graph:
    """Who names whom.

    Attributes
    ----------
    named : scipy.sparse.csr_array of shape (n, n), int64
        1 where the unit of the row names the unit of the column as a neighbour; the diagonal is empty.
    degree : ndarray of shape (n,)
        Neighbours of each unit.
    component : ndarray of shape (n,), int
        Which connected part of the network a unit lies in, whatever the direction of its edges.
    given, outside, loops, repeats : int
        Edges handed over; of them those with an end that is no unit of the study, those from a unit to itself, and
        those handed before.
    """

    named: Any
    degree: np.ndarray
    component: np.ndarray
    given: int
    outside: int
    loops: int
    repeats: int

    def treated_neighbours(self, t: np.ndarray) -> np.ndarray:
        """How many of each unit's neighbours are treated: shape (n,)."""
        return self.named @ t

    def effective_components(self, keep: np.ndarray) -> float:
        """Kish's number of components of the units kept: as many equal ones would carry the same information."""
        sizes = np.bincount(self.component[keep]).astype(float)
        return float(sizes.sum() ** 2 / (sizes**2).sum())


def graph_of(problem: Problem) -> Graph:
    """The network of a problem, built once for all estimands.

    Raises
    ------
    Refusal
        If no edges were handed over, or more than half of them lead out of the study's units.
    """
    undirected = bool(problem.own("undirected"))
    key = ("network", undirected)
    if key not in problem.cache:
        problem.cache[key] = _built(problem, undirected)
    return problem.cache[key]


def _built(problem: Problem, undirected: bool) -> Graph:
    sparse = load("scipy.sparse")

    source, target = _ends(problem)
    inside = (source >= 0) & (target >= 0)
    given, outside = len(source), int((~inside).sum())
    if 2 * outside > given:
        reason = f"{outside} of {given} edges have an end that is no unit of '{problem.study.unit}'"
        raise Refusal(reason, f"Give edges between values of '{problem.study.unit}', or keep their units in the study")
    source, target = source[inside], target[inside]
    loops = source == target
    source, target = source[~loops], target[~loops]
    codes = np.unique(source * problem.n + target)
    repeats = len(source) - len(codes)
    if undirected:
        codes = np.union1d(codes, codes % problem.n * problem.n + codes // problem.n)
    shape = (problem.n, problem.n)
    ones = np.ones(len(codes), dtype=np.int64)
    named = sparse.csr_array((ones, (codes // problem.n, codes % problem.n)), shape=shape)
    component = sparse.csgraph.connected_components(named, directed=True, connection="weak")[1]
    degree = np.diff(named.indptr).astype(float)
    return Graph(named, degree, component, given, outside, int(loops.sum()), repeats)


def _ends(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Positions of both ends of each edge among the units, −1 for a stranger: two arrays of shape (edges,)."""
    edges = problem.edges
    if edges is None:
        reason = f"the edges '{problem.study.edges}' were not handed over"
        raise Refusal(reason, f"Pass edges=dbt.ref('{problem.study.edges}') to estimate() in the study's effects model")
    if len(edges["source"]) == 0:
        reason = f"the edges '{problem.study.edges}' have no rows"
        raise Refusal(reason, "Give one row an edge: source names target as a neighbour")
    # Text on both sides: a key that is a number here and text there is the same unit.
    place = {str(unit): i for i, unit in enumerate(problem.columns[problem.study.unit].tolist())}
    found = [
        np.array([place.get(str(label), -1) for label in edges[end].tolist()], dtype=np.int64)
        for end in ("source", "target")
    ]
    return found[0], found[1]
