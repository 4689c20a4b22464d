"""Nearest neighbours on a sorted stream of propensities: both arms pass once, and only donors in reach are held."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..selection_on_observables.matching import SAME

# Donors with distinct propensities that may lie in reach at once: 56 bytes each.
MOST_IN_REACH = 2**22
# Later targets reach no lower than the first one that waits, but for rounding.
SLACK = 1e-3 * SAME

Arrays = tuple[np.ndarray, np.ndarray]
Lose = Callable[[np.ndarray], None]
# Takes the rows of donors, the first in reach of each target group and one past the last, and the groups.
Meet = Callable[[np.ndarray, np.ndarray, np.ndarray, "Groups"], None]


@dataclass(frozen=True)
class Groups:
    """Units of one arm by their propensity, in ascending order; all arrays have shape (g,).

    Attributes
    ----------
    e : ndarray
        Distinct propensities.
    n, mean, square : ndarray
        Units, the mean of their outcomes, and the sum of squares around it.
    """

    e: np.ndarray
    n: np.ndarray
    mean: np.ndarray
    square: np.ndarray

    def part(self, which: slice | np.ndarray) -> Groups:
        """Some of the groups."""
        return Groups(self.e[which], self.n[which], self.mean[which], self.square[which])


@dataclass(frozen=True)
class Rule:
    """Who counts as a match.

    Attributes
    ----------
    neighbours : int
        M.
    caliper : float or None
        Largest distance, in standard deviations of the propensity.
    tie : float
        Squared distances within this of the M-th count as ties.
    spread : float
        That standard deviation; 0 where the propensity is flat and everybody ties with everybody.
    """

    neighbours: int
    caliper: float | None
    tie: float
    spread: float

    def score(self, e: np.ndarray) -> np.ndarray:
        """Propensities in standard deviations."""
        return e / self.spread if self.spread > 0 else np.zeros(len(e))

    def reach(self, distance: np.ndarray) -> np.ndarray:
        """How far the matches of a target lie whose M-th nearest donor is at a distance."""
        far = np.sqrt(distance**2 + self.tie) + SAME
        return far if self.caliper is None else np.minimum(far, self.caliper + SAME)

    def found(self, nearest: np.ndarray) -> np.ndarray:
        """Whether a target has a match, its nearest donor being that far."""
        return np.full(len(nearest), True) if self.caliper is None else nearest <= self.caliper + SAME


@dataclass
class Sums:
    """What the matched differences of one arm's units add up to.

    Attributes
    ----------
    n, missed : float
        Targets with and without a match.
    mean, square : float
        Mean of the differences y − (mean of the matches), and their sum of squares around it.
    spread : float
        Σ of the variances among each target's matches.
    used : float
        Donors that serve.
    shares, squares : float
        Σ K² and Σ K' of the donors, K a donor's shares as a match and K' the sum of their squares.
    largest : float
        The largest K.
    """

    n: float = 0.0
    missed: float = 0.0
    mean: float = 0.0
    square: float = 0.0
    spread: float = 0.0
    used: float = 0.0
    shares: float = 0.0
    squares: float = 0.0
    largest: float = 0.0

    def add(self, n: np.ndarray, difference: np.ndarray, square: np.ndarray, spread: np.ndarray) -> None:
        """Groups of targets: units, mean difference, squares around it, variance among the matches."""
        total = float(n.sum())
        if not total:
            return
        centre = float(n @ difference) / total
        inside = float(n @ (difference - centre) ** 2 + square.sum())
        gap, before = centre - self.mean, self.n
        self.n = before + total
        self.mean += gap * total / self.n
        self.square += inside + gap**2 * before * total / self.n
        self.spread += float(n @ spread)

    def scaled(self, scale: float) -> Sums:
        """The same of an outcome in units that are that much larger."""
        return dataclasses.replace(
            self, mean=self.mean * scale, square=self.square * scale**2, spread=self.spread * scale**2
        )

    def serve(self, n: np.ndarray, share: np.ndarray, square: np.ndarray) -> None:
        """Groups of donors: units, and the K and K' of each."""
        self.used += float(n.sum())
        self.shares += float(n @ share**2)
        self.squares += float(n @ square)
        self.largest = max(self.largest, float(share.max(initial=0.0)))


def collapse(e: np.ndarray, y: np.ndarray) -> Groups:
    """Groups of ascending propensities, shape (m,), and their outcomes."""
    first = np.flatnonzero(np.concatenate([[True], e[1:] != e[:-1]]))
    if len(first) == len(e):
        return Groups(e, np.ones(len(e)), y, np.zeros(len(e)))
    times = np.diff(first, append=len(e))
    mean = np.add.reduceat(y, first) / times
    square = np.add.reduceat((y - np.repeat(mean, times)) ** 2, first)
    return Groups(e[first], times.astype(float), mean, square)


def grouped(rows: Iterable[Arrays]) -> Iterator[Groups]:
    """Ascending (propensities, outcomes) of one arm, a block at a time, as groups of which none is in two blocks.

    Raises
    ------
    Refusal
        If the blocks are not in ascending order.
    """
    held: Groups | None = None
    for e, y in rows:
        if (e[1:] < e[:-1]).any() or (held is not None and e[0] < held.e[0]):
            raise Refusal("DuckDB hands sorted rows out in another order", "Set preserve_insertion_order to true")
        own = collapse(e, y)
        own = own if held is None else _joined(held, own)
        held = own.part(slice(-1, None))
        if len(own.e) > 1:
            yield own.part(slice(-1))
    if held is not None:
        yield held


def _joined(held: Groups, own: Groups) -> Groups:
    """The last group of a block and those of the next, merged where they share a propensity."""
    if held.e[0] != own.e[0]:
        pairs = ((held.e, own.e), (held.n, own.n), (held.mean, own.mean), (held.square, own.square))
        return Groups(*(np.concatenate(pair) for pair in pairs))
    n, mean, square = own.n.copy(), own.mean.copy(), own.square.copy()
    gap, total = mean[0] - held.mean[0], n[0] + held.n[0]
    square[0] += held.square[0] + gap**2 * n[0] * held.n[0] / total
    mean[0] = held.mean[0] + gap * n[0] / total
    n[0] = total
    return Groups(own.e, n, mean, square)


@dataclass
class Donors:
    """Donors that waiting targets may reach.

    ``rows`` has shape (5 + s, d): score, e, n, mean, square, and s sums that the targets add to, K and K' for instance.
    """

    stream: Iterator[Groups]
    rule: Rule
    rows: np.ndarray
    ended: bool = False

    def pull(self) -> None:
        """Take more of the stream: at least a block, and a quarter of what is held, so that copies stay few."""
        parts, wanted = [self.rows], max(self.rows.shape[1] // 4, 1)
        while wanted > 0 and (own := next(self.stream, None)) is not None:
            idle = np.zeros((len(self.rows) - 5, len(own.e)))
            parts.append(np.vstack([self.rule.score(own.e), own.e, own.n, own.mean, own.square, idle]))
            wanted -= len(own.e)
        self.ended = wanted > 0
        self.rows = np.concatenate(parts, axis=1)
        if self.rows.shape[1] > MOST_IN_REACH:
            reason = f"more than {MOST_IN_REACH:,} donors with different propensities lie in reach of one unit"
            raise Refusal(reason, "Choose a smaller tie_tolerance or fewer neighbours")

    def drop(self, below: float) -> np.ndarray:
        """Let go of the donors with lower scores than this, and give their rows back."""
        k = int(np.searchsorted(self.rows[0], below, side="left"))
        gone, self.rows = self.rows[:, :k], self.rows[:, k:]
        return gone


def match(
    targets: Iterable[Groups], donors: Iterator[Groups], rule: Rule, sign: float, sums: Sums, lose: Lose
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The M nearest donors of each target, and every further donor that ties with the M-th, as `with_replacement`.

    Parameters
    ----------
    targets, donors : iterables of Groups
        Ascending; at least M donors.
    rule : Rule
    sign : float
        1 where the targets are the treated, else −1.
    sums : Sums
        Gets the targets' and donors' sums as they pass.
    lose : callable
        Takes propensities of targets without a match.

    Yields
    ------
    tuple of ndarray
        Propensities of donors that serve, each once, and their K and K'.

    Raises
    ------
    Refusal
        As `passing`.
    """

    def meet(rows: np.ndarray, low: np.ndarray, high: np.ndarray, own: Groups) -> None:
        count, mean, spread = matches(rows, low, high)
        sums.add(own.n, sign * (own.mean - mean), own.square, spread)
        give(rows, low, high, (own.n / count, own.n / count**2))

    def missed(own: Groups) -> None:
        lose(own.e)
        sums.missed += float(own.n.sum())

    for gone in passing(targets, donors, rule, meet, missed, 2):
        yield from _served(gone, sums)


def passing(
    targets: Iterable[Groups], donors: Iterator[Groups], rule: Rule, meet: Meet, missed: Callable[[Groups], None],
    sums: int,
) -> Iterator[np.ndarray]:  # fmt: skip
    """Show each target its matches; give back donors, in ascending order, once all that reach them have passed.

    Both bounds of a target's matches rise with its score, so one pass over targets and donors in ascending order sees
    all of them: a donor is held from the first target that may reach it to the last. Distinct propensities enter once,
    with their units' count, mean and squares, so that a million units that tie cost no more than one. Numbers within
    `SAME` standard deviations tie, which takes in the last digits by which two computations of a propensity differ.

    Parameters
    ----------
    targets, donors, rule
        As in `match`.
    meet : callable
        See `Meet`.
    missed : callable
        Takes the targets without a match.
    sums : int
        How many sums a donor carries (`Donors`); all begin at zero.

    Raises
    ------
    Refusal
        If more than `MOST_IN_REACH` distinct propensities lie in reach of one target.
    """
    held = Donors(donors, rule, np.empty((5 + sums, 0)))
    for block in targets:
        waiting, score = block, rule.score(block.e)
        while len(score):
            done = _ready(held, score, waiting, rule, meet, missed)
            waiting, score = waiting.part(slice(done, None)), score[done:]
            if len(score) and not held.ended:
                yield _passed(held, score[:1], rule)
                held.pull()
    yield held.rows


def _passed(held: Donors, score: np.ndarray, rule: Rule) -> np.ndarray:
    """Donors that the first waiting target cannot reach, nor any later one."""
    if not held.rows.shape[1]:
        return held.rows
    reach = rule.reach(_nearest(held.rows, score, rule.neighbours)[2])
    return held.drop(float(score[0] - reach[0]) - SLACK)


def _served(gone: np.ndarray, sums: Sums) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    busy = gone[:, gone[5] > 0]
    if busy.shape[1]:
        sums.serve(busy[2], busy[5], busy[6])
        yield busy[1], busy[5], busy[6]


def _ready(
    held: Donors, score: np.ndarray, targets: Groups, rule: Rule, meet: Meet, missed: Callable[[Groups], None]
) -> int:
    """Match the first targets, up to the one whose reach ends beyond the donors seen; gives back how many."""
    rows = held.rows
    last = np.inf if held.ended else rows[0, -1] if rows.shape[1] else -np.inf
    score = score if held.ended else score[: np.searchsorted(score, last)]
    place, nearest, distance = _nearest(rows, score, rule.neighbours)
    reach = rule.reach(distance)
    if not held.ended:
        beyond = score + reach >= last
        done = int(np.argmax(beyond)) if beyond.any() else len(score)
        score, place, nearest, reach = score[:done], place[:done], nearest[:done], reach[:done]
    found = rule.found(nearest)
    own = targets.part(slice(len(score)))
    if not found.all():
        missed(own.part(~found))
        score, place, reach, own = score[found], place[found], reach[found], own.part(found)
    if len(score):
        meet(rows, *_bounds(rows[0], score, place, reach), own)
    return len(found)


def _nearest(rows: np.ndarray, score: np.ndarray, neighbours: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each target's nearest donor, its distance, and that of the M-th nearest; infinite where there are too few."""
    walled = _walled(rows[0])
    units = np.concatenate([[np.inf], rows[2], [np.inf]])
    left = np.searchsorted(rows[0], score)
    right = left + 1
    to_left, to_right = score - walled[left], walled[right] - score
    place, nearest = left - (to_left <= to_right), np.minimum(to_left, to_right)
    furthest, have = nearest.copy(), np.where(to_left <= to_right, units[left], units[right])
    open_ = np.flatnonzero(have < neighbours)
    left, right, have = left[open_], right[open_], have[open_]
    go_left = (to_left <= to_right)[open_]
    while len(open_):
        left, right = left - go_left, right + ~go_left
        to_left, to_right = score[open_] - walled[left], walled[right] - score[open_]
        go_left = to_left <= to_right
        furthest[open_] = np.where(go_left, to_left, to_right)
        have = have + np.where(go_left, units[left], units[right])
        more = have < neighbours
        open_, left, right, have, go_left = open_[more], left[more], right[more], have[more], go_left[more]
    return place, nearest, furthest


def _walled(score: np.ndarray) -> np.ndarray:
    return np.concatenate([[-np.inf], score, [np.inf]])


def _bounds(donors: np.ndarray, score: np.ndarray, place: np.ndarray, reach: np.ndarray) -> Arrays:
    """First donor in reach of each target and one past the last: the nearest alone, unless a next one is in reach."""
    low, high, walled = place.copy(), place + 1, _walled(donors)
    bottom, top = score - reach, score + reach
    wide = np.flatnonzero((walled[place] >= bottom) | (walled[place + 2] <= top))
    low[wide] = np.searchsorted(donors, bottom[wide], side="left")
    high[wide] = np.searchsorted(donors, top[wide], side="right")
    return low, high


def matches(rows: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """J, and mean and variance of the outcome, of the donors in [low, high)."""
    n, mean, square = rows[2:5]
    count, centre, spread = n[low], mean[low], square[low] / n[low]
    wide = np.flatnonzero(high - low > 1)
    if len(wide):
        own = mean - mean.mean()  # sums of centred numbers keep their digits
        sums = np.zeros((3, len(n) + 1))
        np.cumsum([n, n * own, square + n * own**2], axis=1, out=sums[:, 1:])
        units, total, squares = sums[:, high[wide]] - sums[:, low[wide]]
        count[wide], centre[wide] = units, mean.mean() + total / units
        spread[wide] = np.maximum(squares / units - (total / units) ** 2, 0.0)
    return count, centre, spread


def give(rows: np.ndarray, low: np.ndarray, high: np.ndarray, shares: tuple[np.ndarray, ...]) -> None:
    """Add each target group's share to the donors in [low, high): the first share to their first sum, and so on."""
    size = rows.shape[1]
    wide = high - low > 1
    one = low if not wide.any() else low[~wide]
    for row, share in zip(rows[5:], shares, strict=False):
        row += np.bincount(one, weights=share if len(one) == len(low) else share[~wide], minlength=size)
        if len(one) < len(low):
            steps = np.bincount(low[wide], weights=share[wide], minlength=size + 1)
            steps -= np.bincount(high[wide], weights=share[wide], minlength=size + 1)
            # Where nobody is served the running sum holds rounding dust, not zero.
            served = np.cumsum(np.bincount(low[wide], minlength=size + 1) - np.bincount(high[wide], minlength=size + 1))
            row += np.where(served > 0, np.cumsum(steps), 0.0)[:-1]
