"""Average outcomes under an exposure from the randomisation alone: Horvitz–Thompson and Hájek."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import Refusal
from ..inference import effective_sample_size
from ..problem import Problem
from ..result import Diagnostic
from .exposure import LEVELS, Level, Lottery, Pairs, joint_probability, label, lottery_of
from .graph import Graph

# Pairs of units with a node in common: about a second a million; and how many are held at a time.
MOST_PAIRS, BLOCK = 50_000_000, 2_000_000


@dataclass(frozen=True)
class Experiment:
    """A network experiment ready to be averaged.

    Attributes
    ----------
    lottery : Lottery
    y, w : ndarray of shape (n,)
    probability : mapping of Level to ndarray of shape (n,)
    observed : mapping of Level to ndarray of shape (n,), bool
    kept : ndarray of shape (n,), bool
        Units with a positive weight whose every exposure is at least as probable as ``least_probability``.
    """

    lottery: Lottery
    y: np.ndarray
    w: np.ndarray
    probability: dict[Level, np.ndarray]
    observed: dict[Level, np.ndarray]
    kept: np.ndarray

    def share(self, level: Level) -> np.ndarray:
        """w / π of the units kept that were seen with this exposure, zero for others: shape (n,)."""
        seen = self.kept & self.observed[level]
        return np.where(seen, self.w / np.where(seen, self.probability[level], 1.0), 0.0)


def experiment_of(problem: Problem, graph: Graph) -> Experiment:
    """Exposures, their probabilities and the units that are supported, once for all estimands.

    Raises
    ------
    Refusal
        If no unit can have every exposure (``not_identified``).
    """
    key = ("network experiment", *(problem.own(o) for o in ("undirected", "randomisation", "least_probability")))
    if key not in problem.cache:
        lottery = lottery_of(problem, graph)
        some = graph.treated_neighbours(problem.t) > 0
        probability = {level: lottery.probability(level) for level in LEVELS}
        observed = {level: (problem.t == level[0]) & (some == level[1]) for level in LEVELS}
        least = problem.own("least_probability")
        kept = (problem.w > 0) & np.all([p >= max(least, 1e-12) for p in probability.values()], axis=0)
        problem.cache[key] = Experiment(lottery, problem.y, problem.w, probability, observed, kept)
    found = problem.cache[key]
    if not found.kept.any():
        reason = f"no unit has every exposure with a chance of {problem.own('least_probability'):g} or more"
        raise Refusal(reason, "Declare `method: regression`, or a lower least_probability", "not_identified")
    return found


def contrast(experiment: Experiment, high: Level, low: Level, hajek: bool, conservative: bool) -> tuple[float, float]:
    """Mean outcome under one exposure less that under another, and its standard error.

    Horvitz–Thompson: μ(d) = Σ w 1(D = d) y / π(d) / Σ w. Hájek: divided by Σ w 1(D = d) / π(d) instead, its variance
    that of Horvitz–Thompson on y − μ(d). ``conservative`` takes Aronow & Samii's variance: unbiased where any two
    exposures can be seen together, and at least the truth in expectation where not (Young's inequality). Without it,
    squares and products of influence values are summed over the pairs that have a node in common (Leung 2022).

    Raises
    ------
    Refusal
        If an exposure was seen fewer than twice, pairs are too many, or the estimated variance is not positive.
    """
    total = float(experiment.w[experiment.kept].sum())
    means, left = {}, {}
    for level in (high, low):
        share = experiment.share(level)
        if (seen := int((share > 0).sum())) < 2:
            reason = f"{seen} supported units were seen with the exposure {label(level)} and 2 are needed"
            raise Refusal(reason, "Declare `method: regression`, or widen the population")
        means[level] = float(share @ experiment.y) / (float(share.sum()) if hajek else total)
        centre = means[level] if hajek else 0.0
        left[level] = experiment.w * (experiment.y - centre) / total
    estimate = means[high] - means[low]
    if conservative:
        variance = _variance(experiment, left, high, low)
    else:
        psi = _Scored.of(experiment, high, left[high]).z - _Scored.of(experiment, low, left[low]).z
        if not hajek:
            psi = psi - np.where(experiment.kept, experiment.w / total, 0.0) * estimate
        variance = _over_pairs(experiment, psi)
    if not variance > 0:
        reason = "the estimated variance is not positive: the exposures of too many pairs exclude each other"
        raise Refusal(reason, "Declare `method: regression`")
    return estimate, float(np.sqrt(variance))


def _over_pairs(experiment: Experiment, psi: np.ndarray) -> float:
    """Σ ψ_i ψ_j over pairs with a node in common, themselves included; at least Σ ψ², which counts no dependence."""
    touched = _touched(experiment)
    meet = touched @ touched.T
    meet.data[:] = 1
    own = psi[experiment.kept]
    return max(float(own @ (meet @ own)), float(own @ own))


def _touched(experiment: Experiment) -> Any:
    """1 at the nodes of each supported unit and of its neighbours: sparse, of shape (kept, nodes).

    Raises
    ------
    Refusal
        If too many pairs have one in common.
    """
    lottery, kept = experiment.lottery, np.flatnonzero(experiment.kept)
    touched = (lottery.reach[kept] + lottery.own[kept]).tocsr()
    # At most so many: each node pairs all units that touch it.
    pairs = float((np.bincount(touched.indices, minlength=lottery.nodes).astype(float) ** 2).sum())
    if pairs > MOST_PAIRS:
        reason = f"about {pairs:.2g} pairs of units share a neighbour and {MOST_PAIRS:.2g} are the most that are summed"
        raise Refusal(reason, "Declare `method: regression`")
    return touched


def _variance(experiment: Experiment, left: dict[Level, np.ndarray], high: Level, low: Level) -> float:
    """V(high) + V(low) − 2 C(high, low) of the weighted sums of ``left``."""
    sums = {key: 0.0 for key in ((high, high), (low, low), (high, low))}
    scored = {level: _Scored.of(experiment, level, left[level]) for level in (high, low)}
    for level in (high, low):
        p, seen = experiment.probability[level], scored[level]
        sums[level, level] += float(np.sum((1 - p[experiment.kept]) * seen.z[experiment.kept] ** 2))
    # One unit cannot be seen with both exposures.
    sums[high, low] -= 0.5 * float(np.sum(scored[high].q + scored[low].q))
    fixed = experiment.lottery.treated is not None
    if fixed:
        for key in sums:
            sums[key] += _between_types(experiment, scored[key[0]], scored[key[1]])
    for pairs in _blocks(experiment):
        for key in sums:
            one, two = scored[key[0]], scored[key[1]]
            sums[key] += _pair_sum(experiment, one, two, pairs)
            if fixed:
                sums[key] -= _pair_sum(experiment, one, two, pairs.apart())
    return sums[high, high] + sums[low, low] - 2 * sums[high, low]


@dataclass(frozen=True)
class _Scored:
    """What the variance needs of one exposure: z = 1(D = d) y / π and q = 1(D = d) y² / π, both of shape (n,)."""

    level: Level
    z: np.ndarray
    q: np.ndarray

    @classmethod
    def of(cls, experiment: Experiment, level: Level, left: np.ndarray) -> _Scored:
        seen = experiment.kept & experiment.observed[level]
        z = np.where(seen, left / np.where(seen, experiment.probability[level], 1.0), 0.0)
        return cls(level, z, z * left)


def _pair_sum(experiment: Experiment, one: _Scored, two: _Scored, pairs: Pairs) -> float:
    """Σ over ordered pairs of z_i z_j (π_ij − π_i π_j) / π_ij, or its bound where π_ij = 0."""
    joint = joint_probability(experiment.lottery, pairs, one.level, two.level)
    apart = experiment.probability[one.level][pairs.i] * experiment.probability[two.level][pairs.j]
    zi, zj = one.z[pairs.i], two.z[pairs.j]
    never = joint == 0
    term = (joint - apart) / np.where(never, 1.0, joint) * zi * zj
    sign = 1.0 if one.level == two.level else -1.0
    bound = sign * 0.5 * (one.q[pairs.i] + two.q[pairs.j])
    return float(np.sum(np.where(never, bound, term)))


def _between_types(experiment: Experiment, one: _Scored, two: _Scored) -> float:
    """The pair sum over all pairs of two units as if none had a node in common.

    Then the joint probability depends on how many nodes each reaches and whether its own is among them, so sums by type
    stand for all n² pairs; those of a unit with itself are taken off.
    """
    lottery, kept = experiment.lottery, np.flatnonzero(experiment.kept)
    kinds, first, code = np.unique(
        2 * lottery.sizes()[kept] + lottery.reaches_own()[kept], return_index=True, return_inverse=True
    )
    count = np.bincount(code).astype(float)
    z1, z2, q1, q2 = (np.bincount(code, v[kept]) for v in (one.z, two.z, one.q, two.q))
    u, v = (index.ravel() for index in np.meshgrid(range(len(kinds)), range(len(kinds)), indexing="ij"))
    pairs = _disjoint(lottery, kept[first][u], kept[first][v])
    joint = joint_probability(lottery, pairs, one.level, two.level)
    apart = experiment.probability[one.level][pairs.i] * experiment.probability[two.level][pairs.j]
    never = joint == 0
    sign = 1.0 if one.level == two.level else -1.0
    term = (joint - apart) / np.where(never, 1.0, joint) * z1[u] * z2[v]
    bound = sign * 0.5 * (q1[u] * count[v] + count[u] * q2[v])
    itself = _pair_sum(experiment, one, two, _disjoint(lottery, kept, kept))
    return float(np.sum(np.where(never, bound, term))) - itself


def _disjoint(lottery: Lottery, i: np.ndarray, j: np.ndarray) -> Pairs:
    size, own, never = lottery.sizes(), lottery.reaches_own(), np.zeros(len(i), dtype=bool)
    return Pairs(i, j, size[i], size[j], np.zeros(len(i), dtype=np.int64), never, own[i], own[j], never, never)


def _blocks(experiment: Experiment) -> Iterator[Pairs]:
    """Ordered pairs of two supported units that have a node in common, some rows at a time."""
    lottery, kept = experiment.lottery, np.flatnonzero(experiment.kept)
    reach, own = lottery.reach[kept], lottery.own[kept]
    touched = _touched(experiment)
    pairs = float((np.bincount(touched.indices).astype(float) ** 2).sum())
    rows = max(1, int(BLOCK / max(pairs / len(kept), 1.0)))
    for start in range(0, len(kept), rows):
        part = slice(start, start + rows)
        meet = (touched[part] @ touched.T).tocoo()
        i, j = meet.coords[0] + start, meet.coords[1]
        i, j = i[i != j], j[i != j]
        yield _facts(lottery, reach, own, kept, i, j)


def _facts(lottery: Lottery, reach: Any, own: Any, kept: np.ndarray, i: np.ndarray, j: np.ndarray) -> Pairs:
    size, tied, node = lottery.sizes()[kept], lottery.reaches_own()[kept], lottery.node[kept]

    def inner(left: Any, right: Any) -> np.ndarray:
        return np.asarray(left[i].multiply(right[j]).sum(axis=1)).ravel()

    return Pairs(
        kept[i], kept[j], size[i], size[j], inner(reach, reach), node[i] == node[j], tied[i], tied[j],
        inner(reach, own) > 0, inner(own, reach) > 0,
    )  # fmt: skip


def support_diagnostics(problem: Problem, experiment: Experiment) -> tuple[Diagnostic, ...]:
    """Of each exposure: its smallest and mean probability, who lacks it, and how many units its mean is worth."""
    least, rows = problem.own("least_probability"), []
    for level in LEVELS:
        p, name, share = experiment.probability[level], label(level), experiment.share(level)
        counted = experiment.w > 0
        rows.append(Diagnostic("exposure_probability_min", name, float(p[experiment.kept].min()), least))
        rows.append(Diagnostic("exposure_probability_mean", name, float(p[experiment.kept].mean())))
        rows.append(Diagnostic("share_without_support", name, float(np.mean(p[counted] < max(least, 1e-12)))))
        rows.append(Diagnostic("units_seen", name, float((share > 0).sum())))
        rows.append(Diagnostic("effective_sample_size", name, effective_sample_size(share)))
    out = float(np.mean(~experiment.kept[experiment.w > 0]))
    return (*rows, Diagnostic("share_without_support", "overall", out))
