"""Nearest neighbours on one number: who is matched with whom, in O(n log n) and without a distance matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Units with the same covariates can differ in the last digits of their fitted score; in standard deviations.
SAME = 1e-10
# A propensity whose standard deviation is below this is flat: what varies is rounding.
FLAT = 1e-10


@dataclass(frozen=True)
class Matches:
    """The matches of the units of one arm among the units of the other.

    Attributes
    ----------
    target : ndarray of shape (m,)
        Rows of the units that found a match.
    order : ndarray of shape (d,)
        Rows of donors, laid out so that the matches of ``target[i]`` are ``order[low[i]:high[i]]``.
    low, high : ndarray of shape (m,)
    unmatched : int
        Units that found none.
    """

    target: np.ndarray
    order: np.ndarray
    low: np.ndarray
    high: np.ndarray
    unmatched: int

    @property
    def count(self) -> np.ndarray:
        """J_i, the number of matches of each target: shape (m,)."""
        return self.high - self.low

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Mean over each target's matches of a number of all units, shape (n,): shape (m,)."""
        at = values[self.order]
        centre = at.mean()  # sums of centred numbers keep their digits
        sums = np.concatenate([[0.0], np.cumsum(at - centre)])
        return centre + (sums[self.high] - sums[self.low]) / self.count

    def used(self, n: int, power: int = 1) -> np.ndarray:
        """How much each of n units serves as a match, Σ_i 1{l in J(i)} / J_i^power: K_M (1) and K'_M (2)."""
        return self.received(n, 1.0 / self.count.astype(float) ** power)

    def received(self, n: int, given: np.ndarray) -> np.ndarray:
        """Σ_i 1{l in J(i)} given_i of each of n units, for a number of each target: shape (n,)."""
        steps = np.zeros(len(self.order) + 1)
        np.add.at(steps, self.low, given)
        np.add.at(steps, self.high, -given)
        served = np.cumsum(np.bincount(self.low, minlength=len(steps)) - np.bincount(self.high, minlength=len(steps)))
        out = np.zeros(n)
        # Where nobody is served the running sum holds rounding dust, not zero.
        np.add.at(out, self.order, np.where(served > 0, np.cumsum(steps), 0.0)[:-1])
        return out


def with_replacement(
    score: np.ndarray, target: np.ndarray, donor: np.ndarray, neighbours: int, caliper: float | None, tie: float = 0.0
) -> Matches:
    """The M nearest donors of each target, and every further donor that ties with the M-th.

    Parameters
    ----------
    score : ndarray of shape (n,)
        In standard deviations.
    target, donor : ndarray of row numbers
        At least ``neighbours`` donors.
    neighbours : int
        M.
    caliper : float or None
        Largest distance, in standard deviations.
    tie : float
        Squared distances within this of the M-th count as ties.
    """
    order = donor[np.argsort(score[donor], kind="stable")]
    s, v = score[order], score[target]
    around = np.searchsorted(s, v)[:, None] + np.arange(-neighbours, neighbours)[None, :]
    inside = (around >= 0) & (around < len(s))
    distance = np.where(inside, np.abs(s[np.clip(around, 0, len(s) - 1)] - v[:, None]), np.inf)
    nearest = distance.min(axis=1)
    reach = np.sqrt(np.partition(distance, neighbours - 1, axis=1)[:, neighbours - 1] ** 2 + tie) + SAME
    found = np.ones(len(v), dtype=bool)
    if caliper is not None:
        found = nearest <= caliper + SAME
        reach = np.minimum(reach, caliper + SAME)
    v, reach = v[found], reach[found]
    low, high = np.searchsorted(s, v - reach, side="left"), np.searchsorted(s, v + reach, side="right")
    return Matches(target[found], order, low, high, int((~found).sum()))


def without_replacement(
    score: np.ndarray, target: np.ndarray, donor: np.ndarray, neighbours: int, caliper: float | None
) -> Matches:
    """Greedy matches: in descending score, each target takes the nearest donor that is left; M such rounds.

    Arguments as in `with_replacement`. Of two donors at the same distance the one with the lower score is taken; equal
    scores go by the order of the rows, and scores count in whole steps of `SAME`, so that last digits decide
    nothing. A target keeps what it got, though later rounds may leave it nothing.
    """
    score = np.round(score / SAME)
    order = donor[np.argsort(score[donor], kind="stable")]
    s = score[order]
    limit = np.inf if caliper is None else caliper / SAME + 1.0
    # below[j], above[j]: the nearest free place at or before, at or after j (places are 1 … d; 0 and d + 1 are walls).
    below, above = np.arange(len(s) + 2), np.arange(len(s) + 2)
    taken: list[list[int]] = [[] for _ in target]
    queue = np.argsort(-score[target], kind="stable")
    for _ in range(neighbours):
        for i in queue:
            v = score[target[i]]
            place = int(np.searchsorted(s, v))
            left, right = _root(below, place), _root(above, place + 1)
            to_left = v - s[left - 1] if left > 0 else np.inf
            to_right = s[right - 1] - v if right <= len(s) else np.inf
            if min(to_left, to_right) <= limit and min(to_left, to_right) < np.inf:
                chosen = left if to_left <= to_right else right
                taken[i].append(int(order[chosen - 1]))
                below[chosen], above[chosen] = chosen - 1, chosen + 1
    count = np.array([len(donors) for donors in taken], dtype=np.int64)
    high = np.cumsum(count)
    found = count > 0
    flat = np.array([row for donors in taken for row in donors], dtype=np.int64)
    return Matches(target[found], flat, (high - count)[found], high[found], int((~found).sum()))


def _root(parent: np.ndarray, place: int) -> int:
    """Follow the pointers to a free place and shorten the path on the way."""
    root = place
    while parent[root] != root:
        root = int(parent[root])
    while parent[place] != root and place != root:
        parent[place], place = root, int(parent[place])
    return root
