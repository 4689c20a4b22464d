"""Matching without replacement on sorted streams: each unit takes the nearest that is left."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator

import numpy as np

from ..scan.stream import Column, Plan, blocks
from ..selection_on_observables.matching import SAME
from .matching import Rule, Sums
from .matching_tables import Ranked, Scratch
from .order_statistics import real

Scored = tuple[np.ndarray, np.ndarray]


def greedy(targets: Iterable[Scored], donors: Iterable[Scored], limit: float) -> Iterator[Scored]:
    """One round of greedy matches: in descending score, each target takes the nearest donor that is left.

    Donors below a target are left from some donor on downwards, as each target that took one from below took the
    highest; so one pass over both streams in descending order suffices. Donors that were passed over lie on a stack,
    the nearest on top: 16 bytes for each donor that is passed and not taken.

    Parameters
    ----------
    targets, donors : iterables of (scores, places)
        Descending blocks: equal scores of targets by ascending place, those of donors by descending place, so that the
        stack hands them out ascending.
    limit : float
        Largest distance.

    Yields
    ------
    tuple of ndarray
        Places of targets and of the donors that they took.
    """
    rest = ((s, i) for score, place in donors for s, i in zip(score.tolist(), place.tolist(), strict=True))
    below = next(rest, None)
    above, places = array("d"), array("q")
    for score, place in targets:
        taken, by = [], []
        for v, i in zip(score.tolist(), place.tolist(), strict=True):
            while below is not None and below[0] >= v:
                above.append(below[0])
                places.append(below[1])
                below = next(rest, None)
            to_below = v - below[0] if below is not None else np.inf
            to_above = above[-1] - v if above else np.inf
            if min(to_below, to_above) > limit:
                continue
            by.append(i)
            if below is not None and to_below <= to_above:
                taken.append(below[1])
                below = next(rest, None)
            else:
                taken.append(places.pop())
                above.pop()
        yield np.array(by, dtype=np.int64), np.array(taken, dtype=np.int64)


def match_greedily(ranked: Ranked, keys: int, rule: Rule, into: Scratch) -> Sums:
    """M rounds of `greedy` over the treated, as `without_replacement`.

    Scores count in whole steps of `SAME`, so that the last digits of a propensity decide nothing; equal ones go by the
    order of the keys, which is the order of the rows in memory.

    Parameters
    ----------
    ranked : Ranked
        With key columns.
    keys : int
        How many.
    rule : Rule
    into : Scratch
        Gets the tables ``used``, of donors that serve with their K, and ``missed``, of treated units without a match;
        columns as in `matching_sides.Side`.
    """
    rows, pairs, used, missed = (*map(ranked.scratch.table, ("ranked", "pairs")), *map(into.table, ("used", "missed")))
    ranked.scratch.make("pairs", "select 0::bigint as target, 0::bigint as donor limit 0")
    limit = sys.float_info.max if rule.caliper is None else rule.caliper / SAME + 1.0
    for _ in range(rule.neighbours):
        left = f"t = 0 and rowid not in (select donor from {pairs})"
        donors, targets = _descending(ranked, rule, left, keys, "desc"), _descending(ranked, rule, "t = 1", keys, "asc")
        ranked.scratch.add("pairs", greedy(targets, donors, limit))
    named = ", ".join(f"key{j} as cqox_key{j}" for j in range(keys))
    count = f"(select target, count(*) as j from {pairs} group by target)"
    shares = f"{pairs} join {count} using (target) join {rows} as r on r.rowid = donor"
    into.make("used", f"select {named}, 1.0::double / j as cqox_share from {shares}")
    into.make("missed", f"select {named} from {rows} where t = 1 and rowid not in (select target from {pairs})")
    return _sums(ranked, rows, pairs, used, missed)


def _descending(ranked: Ranked, rule: Rule, where: str, keys: int, direction: str) -> Iterator[Scored]:
    score = f"round(e / {real(rule.spread)} / {real(SAME)})" if rule.spread > 0 else "0"
    order = ", ".join(["c0 desc", *(f"key{j} {direction}" for j in range(keys))])
    for block in blocks(ranked.rows(where), Plan((Column("score", score),), cluster="rowid"), order):
        assert block.cluster is not None
        yield block.columns[0], block.cluster


def _sums(ranked: Ranked, rows: str, pairs: str, used: str, missed: str) -> Sums:
    """Sums of the matched differences; K' is K², as a donor serves one target only."""
    y = f"(y - {real(ranked.shift)}) / {real(ranked.scale)}"
    units = f"(select rowid as place, {y} as y from {rows})"
    centre = (
        f"select target, avg(d.y) as centre, var_pop(d.y) as spread "
        f"from {pairs} join {units} as d on d.place = donor group by target"
    )
    n, mean, square, spread = ranked.scratch.one(
        f"select count(*), avg(t.y - centre), var_pop(t.y - centre), sum(spread) "
        f"from ({centre}) join {units} as t on t.place = target"
    )
    donors, shares, largest = ranked.scratch.one(f"select count(*), sum(cqox_share ** 2), max(cqox_share) from {used}")
    (lost,) = ranked.scratch.one(f"select count(*) from {missed}")
    if not n:
        return Sums(missed=float(lost))
    return Sums(float(n), float(lost), mean, square * n, spread, float(donors), shares, shares, largest)
