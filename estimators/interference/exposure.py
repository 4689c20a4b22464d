"""Exposures of a randomised network experiment, and their exact probabilities, alone and in pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import Refusal
from ..imports import load
from ..problem import Problem
from .graph import Graph

# Own treatment, and whether any neighbour is treated.
Level = tuple[int, int]
LEVELS: tuple[Level, ...] = ((0, 0), (0, 1), (1, 0), (1, 1))


def label(level: Level) -> str:
    """``(1,0)``: treated, no neighbour treated."""
    return f"({level[0]},{level[1]})"


@dataclass(frozen=True)
class Lottery:
    """How treatment was drawn: over nodes, which are units or, in a cluster-randomised study, clusters.

    Attributes
    ----------
    kind : str
        bernoulli, complete or cluster.
    node : ndarray of shape (n,), int
        The node of each unit.
    nodes : int
    treated : int or None
        How many nodes were drawn; None where each is drawn by itself with chance ``p``.
    p : float
        Chance of a node to be treated.
    reach : scipy.sparse.csr_array of shape (n, nodes)
        1 at each node of the unit's neighbours.
    own : scipy.sparse.csr_array of shape (n, nodes)
        1 at the unit's own node.
    """

    kind: str
    node: np.ndarray
    nodes: int
    treated: int | None
    p: float
    reach: Any
    own: Any

    def chance(self, ones: np.ndarray, zeros: np.ndarray) -> np.ndarray:
        """P(these ``ones`` nodes are treated and those ``zeros`` others are not), of the arrays' shape.

        Bernoulli: p^ones (1 − p)^zeros. A fixed number m of N: C(N − ones − zeros, m − ones) / C(N, m).
        """
        if self.treated is None:
            return self.p**ones * (1 - self.p) ** zeros
        left, picked = self.nodes - ones - zeros, self.treated - ones
        possible = (picked >= 0) & (picked <= left)
        left, picked = np.where(possible, left, 0), np.where(possible, picked, 0)
        return np.where(possible, np.exp(_log_choose(left, picked) - _log_choose(self.nodes, self.treated)), 0.0)

    def sizes(self) -> np.ndarray:
        """Distinct nodes of each unit's neighbours: shape (n,)."""
        return np.diff(self.reach.indptr)

    def reaches_own(self) -> np.ndarray:
        """Whether a neighbour shares the unit's node, and so its treatment: shape (n,)."""
        return np.asarray(self.reach.multiply(self.own).sum(axis=1)).ravel() > 0

    def probability(self, level: Level) -> np.ndarray:
        """π_i(d): the chance of each unit to have this exposure, shape (n,)."""
        sizes, tied = self.sizes(), self.reaches_own()
        a = np.full(len(sizes), level[0])
        possible = ~(tied & (a == 1))
        none = np.where(possible, self.chance(a, sizes + ((a == 0) & ~tied)), 0.0)
        # A difference of two chances leaves crumbs where no neighbour can be treated.
        some = np.where((sizes > 0) & (possible | (a == 1)), self.chance(a, 1 - a) - none, 0.0)
        some = np.where((a == 0) & tied & (sizes == 1), 0.0, some)
        return none if level[1] == 0 else np.maximum(some, 0.0)


def _log_choose(n: Any, k: Any) -> Any:
    gammaln = load("scipy.special").gammaln

    return gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)


def lottery_of(problem: Problem, graph: Graph) -> Lottery:
    """The declared randomisation.

    Raises
    ------
    Refusal
        If clusters are to be the nodes and none are declared or treatment varies in one, or if units are and treatment
        never varies in any cluster.
    """
    sparse = load("scipy.sparse")

    kind = _kind(problem)
    node = np.arange(problem.n)
    if kind == "cluster":
        assert problem.cluster is not None
        node = np.unique(problem.cluster.astype(str), return_inverse=True)[1]
    nodes = int(node.max()) + 1
    own = sparse.csr_array((np.ones(problem.n, dtype=np.int64), (np.arange(problem.n), node)), shape=(problem.n, nodes))
    reach = graph.named @ own
    reach.data[:] = 1
    drawn = int(np.round(np.bincount(node, problem.t) / np.bincount(node)).sum())
    share = problem.study.allocation or drawn / nodes
    return Lottery(kind, node, nodes, None if kind == "bernoulli" else drawn, share, reach, own)


def _kind(problem: Problem) -> str:
    kind, cluster = problem.own("randomisation"), problem.study.cluster
    if problem.cluster is None:
        if kind == "cluster":
            raise Refusal("clusters were randomised and none are declared", "Declare the role 'cluster'")
        return kind or "bernoulli"
    codes = np.unique(problem.cluster.astype(str), return_inverse=True)[1]
    share = np.bincount(codes, problem.t) / np.bincount(codes)
    whole = bool(np.isin(share, (0.0, 1.0)).all()) and len(share) < problem.n
    if kind == "cluster" and not whole:
        mixed = int((~np.isin(share, (0.0, 1.0))).sum())
        reason = f"{mixed} of {len(share)} clusters of '{cluster}' hold treated and untreated units"
        raise Refusal(reason, "Declare `randomisation: bernoulli` or `complete`, or the cluster that was drawn")
    if kind in ("bernoulli", "complete") and whole:
        reason = f"treatment never varies inside a cluster of '{cluster}', so units were not drawn one by one"
        raise Refusal(reason, "Declare `randomisation: cluster`")
    return kind or ("cluster" if whole else "bernoulli")


@dataclass(frozen=True)
class Pairs:
    """Ordered pairs of two units, and what their nodes have in common; all arrays have shape (pairs,).

    Attributes
    ----------
    i, j : int
        Positions among the units.
    size_i, size_j, common : int
        Nodes that i's and j's neighbours lie in, and those that both reach.
    same : bool
        Both units have one node.
    ii, jj, ij, ji : bool
        Whether i's own node is reached by i, j's by j, j's by i, and i's by j.
    """

    i: np.ndarray
    j: np.ndarray
    size_i: np.ndarray
    size_j: np.ndarray
    common: np.ndarray
    same: np.ndarray
    ii: np.ndarray
    jj: np.ndarray
    ij: np.ndarray
    ji: np.ndarray

    def apart(self) -> Pairs:
        """The same units, were their nodes disjoint."""
        never = np.zeros(len(self.i), dtype=bool)
        return Pairs(
            self.i, self.j, self.size_i, self.size_j, np.zeros_like(self.common), never, self.ii, self.jj, never, never
        )


def joint_probability(lottery: Lottery, pairs: Pairs, first: Level, second: Level) -> np.ndarray:
    """π_ij(d, e) = P(i has exposure d and j has e), exactly: shape (pairs,).

    With F(S) the chance that both own treatments are as asked and every node of S is untreated, "no neighbour treated"
    is an F, and "some treated" a difference of two: inclusion and exclusion over i's and j's neighbours.
    """
    (a, u), (b, v) = first, second
    whole = _untreated(lottery, pairs, a, b, u == 0, v == 0)
    # Starting from what is certain to be untreated, take away where a "some" is in truth "none".
    out = whole
    if u == 1:
        out = out - _untreated(lottery, pairs, a, b, True, v == 0)
    if v == 1:
        out = out - _untreated(lottery, pairs, a, b, u == 0, True)
    if u == 1 and v == 1:
        out = out + _untreated(lottery, pairs, a, b, True, True)
    # What is impossible is left as rounding by the subtractions.
    return np.where(out > 1e-10 * whole, out, 0.0)


def _untreated(lottery: Lottery, pairs: Pairs, a: int, b: int, with_i: bool, with_j: bool) -> np.ndarray:
    """P(T_i = a, T_j = b, and no neighbour of i (``with_i``) and none of j (``with_j``) treated): shape (pairs,)."""
    size = with_i * pairs.size_i + with_j * pairs.size_j - (with_i and with_j) * pairs.common
    held_i = (pairs.ii & with_i) | (pairs.ji & with_j)
    held_j = (pairs.jj & with_j) | (pairs.ij & with_i)
    clash = (held_i & (a == 1)) | (held_j & (b == 1)) | (pairs.same & (a != b))
    ones = a + b - (a * b) * pairs.same
    zeros = size + ((a == 0) & ~held_i) + ((b == 0) & ~held_j) - ((a == 0) & (b == 0) & pairs.same & ~held_i)
    return np.where(clash, 0.0, lottery.chance(np.where(clash, 0, ones), np.where(clash, 0, zeros)))
