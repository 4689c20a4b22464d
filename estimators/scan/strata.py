"""Strata of the propensity: exact quantiles of a stream in flat memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..errors import Refusal
from ..selection_on_observables.stratification import SAME

BINS = 65_536
# Bins on each side of a wanted one that are kept too: the histogram may come from coefficients a step before the last.
MARGIN = 4
TOO_MANY = 2**20
FEW = 32


@dataclass(frozen=True)
class Strata:
    """Inner cutpoints in ascending order, and the units of each stratum by arm: shape (S, 2)."""

    cuts: tuple[float, ...]
    units: np.ndarray

    def place(self, e: np.ndarray) -> np.ndarray:
        """Stratum 0 … S − 1 of each propensity, as `stratification.strata_of` counts them (from 1)."""
        return place(np.array(self.cuts), e)

    def weights(self, estimand: str) -> np.ndarray:
        """Weights by stratum and arm, as `stratification.stratum_weights`: shape (S, 2); NaN where an arm is empty."""
        n0, n1 = self.units[:, 0].astype(float), self.units[:, 1].astype(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            arms = ((n0 + n1) / n0, (n0 + n1) / n1) if estimand == "ATE" else (n1 / n0, np.ones(len(n1)))
        out = np.column_stack(arms)
        return out if self.units.min() > 0 else np.full(out.shape, np.nan)

    def counted(self, estimand: str) -> np.ndarray:
        """All units (ATE) or the treated (ATT) in each stratum: shape (S,)."""
        return self.units.sum(axis=1) if estimand == "ATE" else self.units[:, 1]

    def shares(self, estimand: str) -> np.ndarray:
        """Share of all units (ATE) or of the treated (ATT) in each stratum: shape (S,)."""
        counted = self.counted(estimand)
        return counted / counted.sum()

    def poor(self, least: int) -> list[str]:
        """Strata with fewer units of an arm than ``least``, in words."""
        return [
            f"stratum {s} has {n1} treated and {n0} untreated"
            for s, (n0, n1) in enumerate(self.units.tolist(), start=1)
            if min(n0, n1) < least
        ]


def place(cuts: np.ndarray, e: np.ndarray) -> np.ndarray:
    """How many of some cutpoints in ascending order each propensity reaches: shape (m,)."""
    raised = e + SAME
    if len(cuts) > FEW:
        return np.searchsorted(cuts, raised, side="right")
    out = np.zeros(len(e), dtype=np.uint8)
    for cut in cuts:  # a few comparisons are faster than a search
        out += raised >= cut
    return out.astype(np.intp)


@dataclass(frozen=True)
class Tally:
    """Distinct values in ascending order, and how many rows of each arm have each: shapes (m,) and (m, 2)."""

    values: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, rows: np.ndarray) -> Tally:
        """From values with repeats."""
        distinct, place = np.unique(values, return_inverse=True)
        counts = [np.bincount(place, weights=rows[:, arm], minlength=len(distinct)) for arm in (0, 1)]
        return cls(distinct, np.column_stack(counts).astype(np.int64))

    @classmethod
    def together(cls, parts: list[Tally]) -> Tally:
        """One of several."""
        values = [np.empty(0), *(part.values for part in parts)]
        return cls.of(np.concatenate(values), np.vstack([np.empty((0, 2)), *(part.rows for part in parts)]))


@dataclass
class Watch:
    """Finds exact quantiles of the propensities of two passes: counts in bins first, then the few bins' values.

    Memory does not grow with the rows: the second pass keeps the distinct values of the bins around each wanted rank,
    and how often each came (a million values; more are merged as they come).

    Attributes
    ----------
    number : int
        Strata; their cutpoints are Hyndman & Fan's type 7 quantiles of all units (ATE) and of the treated (ATT).
    """

    number: int
    counts: np.ndarray = field(init=False)
    edges: np.ndarray | None = field(init=False)
    between: np.ndarray = field(init=False)
    parts: list[Tally] = field(init=False)
    _place: np.ndarray = field(init=False)
    _held: int = field(init=False)

    def __post_init__(self) -> None:
        """Begin."""
        if self.number < 1:
            raise Refusal(f"strata must be at least 1, not {self.number}", "Mend options: stratification")
        self.restart()

    def restart(self) -> None:
        """Forget what was seen: a first pass begins."""
        self.counts, self.edges = np.zeros(2 * BINS, dtype=np.int64), None
        self.between, self.parts, self._held = np.zeros((1, 2), dtype=np.int64), [], 0

    def seen_once(self) -> bool:
        """Whether the first pass was seen, and not yet the second."""
        return self.edges is None and bool(self.counts.any())

    def done(self) -> bool:
        """Whether both passes were seen and agreed well enough."""
        return all(self.strata(estimand) is not None for estimand in ("ATE", "ATT"))

    def near(self, e: np.ndarray, t: np.ndarray) -> None:
        """First pass: propensities close to the final ones."""
        self.counts += np.bincount(2 * _bins(e) + (t == 1), minlength=2 * BINS)

    def final(self, e: np.ndarray, t: np.ndarray) -> None:
        """Second pass: the propensities themselves."""
        if self.edges is None:
            self.edges = self._windows()
            self.between = np.zeros((len(self.edges) + 1, 2), dtype=np.int64)
            # Edges are whole bins, so the bin tells the place.
            self._place = np.searchsorted(self.edges, np.arange(BINS), side="right")
        place = self._place[_bins(e)]
        treated = t == 1
        self.between += np.bincount(2 * place + treated, minlength=self.between.size).reshape(self.between.shape)
        inside = np.flatnonzero(place % 2 == 1)
        arms = np.column_stack([~treated[inside], treated[inside]])
        self.parts.append(Tally.of(e[inside], arms))
        self._held += len(self.parts[-1].values)
        if self._held > TOO_MANY:
            self.parts = [Tally.together(self.parts)]
            self._held = -len(self.parts[0].values)

    def strata(self, estimand: str) -> Strata | None:
        """The strata; None where the two passes differ by more than the margin, and two more are needed."""
        if self.edges is None:
            return None
        tally = Tally.together(self.parts)
        cuts: list[float] = []
        for rank, part in self._ranks(self._total(estimand)):
            ends = [self._value(tally, rank + above, estimand) for above in ((0, 1) if part > 0 else (0,))]
            if None in ends:
                return None
            low, high = ends[0], ends[-1]
            cuts.append(float(low + part * (high - low)))  # type: ignore[operator]
        distinct = np.array(sorted(set(cuts)))
        units = self._units(tally, distinct)
        filled = units.sum(axis=1) > 0
        # A cut belongs to the stratum above it: where that is empty the cut separates nothing.
        kept = tuple(cut for cut, full in zip(distinct.tolist(), filled[1:], strict=True) if full)
        return Strata(kept if filled[0] else kept[1:], units[filled])

    def _ranks(self, n: int) -> list[tuple[int, float]]:
        """Rank from 0 and fraction of each inner quantile of n values."""
        exact = [(n - 1) * (j / self.number) for j in range(1, self.number)]
        return [(int(h), h - int(h)) for h in exact]

    def _total(self, estimand: str) -> int:
        return int(self.between.sum() if estimand == "ATE" else self.between[:, 1].sum())

    def _windows(self) -> np.ndarray:
        """Edges, in bins, of the intervals to keep: low, high, low, high, … in ascending order."""
        by_arm = self.counts.reshape(BINS, 2)
        wanted = set()
        for counts in (by_arm.sum(axis=1), by_arm[:, 1]):
            upto = np.cumsum(counts)
            for rank, _ in self._ranks(int(upto[-1])) if upto[-1] else []:
                # The cutpoint may lie anywhere from one rank's value to the next's.
                low, high = np.searchsorted(upto, (rank, rank + 1), side="right")
                wanted |= set(range(int(low) - MARGIN, int(high) + MARGIN + 1))
        bins = np.array(sorted(wanted))
        if not len(bins):
            return np.empty(0)
        breaks = np.flatnonzero(np.diff(bins) > 1)
        low, high = bins[np.concatenate([[0], breaks + 1])], bins[np.concatenate([breaks, [len(bins) - 1]])] + 1
        return np.column_stack([low, high]).ravel()

    def _value(self, tally: Tally, rank: int, estimand: str) -> float | None:
        """The value of one rank, if it lies in a kept interval."""
        assert self.edges is not None
        own = self.between.sum(axis=1) if estimand == "ATE" else self.between[:, 1]
        before = np.concatenate([[0], np.cumsum(own)])
        place = int(np.searchsorted(before, rank, side="right")) - 1
        if place % 2 == 0:
            return None
        bins = _bins(tally.values)
        here = (bins >= self.edges[place - 1]) & (bins < self.edges[place])
        rows = tally.rows[here]
        times = rows.sum(axis=1) if estimand == "ATE" else rows[:, 1]
        return float(tally.values[here][int(np.searchsorted(np.cumsum(times), rank - before[place], side="right"))])

    def _units(self, tally: Tally, cuts: np.ndarray) -> np.ndarray:
        """Units by stratum and arm."""
        assert self.edges is not None
        units = np.zeros((len(cuts) + 1, 2), dtype=np.int64)
        outside = np.arange(0, len(self.between), 2)
        lows = np.concatenate([[-np.inf], self.edges / BINS])[outside]
        np.add.at(units, np.searchsorted(cuts, lows, side="right"), self.between[outside])
        np.add.at(units, np.searchsorted(cuts, tally.values + SAME, side="right"), tally.rows)
        return units


def _bins(e: np.ndarray) -> np.ndarray:
    """Bin 0 … BINS − 1 of each propensity: a power of two, so that the product is exact."""
    return np.minimum((e * BINS).astype(np.int64), BINS - 1)
