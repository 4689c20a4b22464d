"""Strata of the propensity: exact quantiles of a stream in flat memory, and the effect averaged over strata."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import Refusal
from ..selection_on_observables.stratification import SAME

BINS = 65_536
# Bins on each side of a wanted one that are kept too: the histogram may come from coefficients a step before the last.
MARGIN = 4
TOO_MANY = 2**20


@dataclass(frozen=True)
class Strata:
    """Inner cutpoints in ascending order, and the units of each stratum by arm: shape (S, 2)."""

    cuts: tuple[float, ...]
    units: np.ndarray

    def place(self, e: np.ndarray) -> np.ndarray:
        """Stratum 0 … S − 1 of each propensity, as `stratification.strata_of` counts them (from 1)."""
        return np.searchsorted(np.array(self.cuts), e + SAME, side="right")

    def weights(self, estimand: str) -> np.ndarray:
        """Weights by stratum and arm, as `stratification.stratum_weights`: shape (S, 2); NaN where an arm is empty."""
        n0, n1 = self.units[:, 0].astype(float), self.units[:, 1].astype(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            arms = ((n0 + n1) / n0, (n0 + n1) / n1) if estimand == "ATE" else (n1 / n0, np.ones(len(n1)))
        out = np.column_stack(arms)
        return out if self.units.min() > 0 else np.full(out.shape, np.nan)


@dataclass
class Watch:
    """Finds exact quantiles of the propensities of two passes: counts in bins first, then the few bins' values.

    Memory does not grow with the rows: the second pass keeps the values of the bins around each wanted rank, and where
    many rows share a value, that value and how often it came.

    Attributes
    ----------
    number : int
        Strata; their cutpoints are Hyndman & Fan's type 7 quantiles of all units (ATE) and of the treated (ATT).
    """

    number: int
    counts: np.ndarray = field(init=False)
    edges: np.ndarray | None = field(init=False)
    between: np.ndarray = field(init=False)
    values: list[np.ndarray] = field(init=False)
    _held: int = field(init=False)

    def __post_init__(self) -> None:
        """Begin."""
        if self.number < 1:
            raise Refusal(f"strata must be at least 1, not {self.number}", "Mend options: stratification")
        self.restart()

    def restart(self) -> None:
        """Forget what was seen: a first pass begins."""
        self.counts, self.edges = np.zeros(2 * BINS, dtype=np.int64), None
        self.between, self.values, self._held = np.zeros((1, 2), dtype=np.int64), [], 0

    def done(self) -> bool:
        """Whether both passes were seen and agreed well enough."""
        return all(self.strata(estimand) is not None for estimand in ("ATE", "ATT"))

    def near(self, e: np.ndarray, t: np.ndarray) -> None:
        """First pass: propensities close to the final ones."""
        place = np.minimum((e * BINS).astype(np.int64), BINS - 1)
        self.counts += np.bincount(place + BINS * (t == 1), minlength=2 * BINS)

    def final(self, e: np.ndarray, t: np.ndarray) -> None:
        """Second pass: the propensities themselves."""
        if self.edges is None:
            self.edges = self._windows()
            self.between = np.zeros((len(self.edges) + 1, 2), dtype=np.int64)
        place = np.searchsorted(self.edges, e, side="right")
        self.between += np.bincount(2 * place + (t == 1), minlength=self.between.size).reshape(self.between.shape)
        inside = place % 2 == 1
        found = np.column_stack([e[inside], t[inside], np.ones(int(inside.sum()))])
        self.values.append(found)
        self._held += len(found)
        if self._held > TOO_MANY:
            self.values = [_tally(self.values)]
            self._held = -len(self.values[0])

    def strata(self, estimand: str) -> Strata | None:
        """The strata; None where the two passes differ by more than the margin, and two more are needed."""
        if self.edges is None:
            return None
        tally = _tally(self.values)
        cuts: list[float] = []
        for rank, part in self._ranks(self._total(estimand)):
            ends = [self._value(tally, rank + above, estimand) for above in ((0, 1) if part > 0 else (0,))]
            if None in ends:
                return None
            low, high = ends[0], ends[-1]
            cuts.append(float(low + part * (high - low)))  # type: ignore[operator]
        units = self._units(tally, sorted(set(cuts)))
        filled = units.sum(axis=1) > 0
        # A cut belongs to the stratum above it: where that is empty the cut separates nothing.
        kept = tuple(cut for cut, full in zip(sorted(set(cuts)), filled[1:], strict=True) if full)
        return Strata(kept if filled[0] else kept[1:], units[filled])

    def _ranks(self, n: int) -> list[tuple[int, float]]:
        """Rank from 0 and fraction of each inner quantile of n values."""
        exact = [(n - 1) * (j / self.number) for j in range(1, self.number)]
        return [(int(h), h - int(h)) for h in exact]

    def _total(self, estimand: str) -> int:
        return int(self.between.sum() if estimand == "ATE" else self.between[:, 1].sum())

    def _windows(self) -> np.ndarray:
        """Edges of the intervals to keep: low, high, low, high, … in ascending order."""
        by_arm = self.counts.reshape(2, BINS)
        wanted = set()
        for counts in (by_arm.sum(axis=0), by_arm[1]):
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
        return np.column_stack([low, high]).ravel() / BINS

    def _value(self, tally: np.ndarray, rank: int, estimand: str) -> float | None:
        """The value of one rank, if it lies in a kept interval."""
        assert self.edges is not None
        own = self.between.sum(axis=1) if estimand == "ATE" else self.between[:, 1]
        before = np.concatenate([[0], np.cumsum(own)])
        place = int(np.searchsorted(before, rank, side="right")) - 1
        if place % 2 == 0:
            return None
        low = self.edges[place - 1]
        rows = tally[(tally[:, 0] >= low) & (tally[:, 0] < self.edges[place])]
        times = rows[:, 2] if estimand == "ATE" else rows[:, 2] * rows[:, 1]
        return float(rows[int(np.searchsorted(np.cumsum(times), rank - before[place], side="right")), 0])

    def _units(self, tally: np.ndarray, cuts: Sequence[float]) -> np.ndarray:
        """Units by stratum and arm."""
        assert self.edges is not None
        units = np.zeros((len(cuts) + 1, 2), dtype=np.int64)
        outside = np.arange(0, len(self.between), 2)
        lows = np.concatenate([[-np.inf], self.edges])[outside]
        np.add.at(units, np.searchsorted(np.array(cuts), lows, side="right"), self.between[outside])
        own = np.searchsorted(np.array(cuts), tally[:, 0] + SAME, side="right")
        np.add.at(units, (own, tally[:, 1].astype(int)), tally[:, 2].astype(np.int64))
        return units


def _tally(values: list[np.ndarray]) -> np.ndarray:
    """Distinct (propensity, arm) in ascending order and how often each came: shape (m, 3)."""
    rows = np.concatenate(values) if values else np.empty((0, 3))
    distinct, place = np.unique(rows[:, :2], axis=0, return_inverse=True)
    return np.column_stack([distinct, np.bincount(place.ravel(), weights=rows[:, 2], minlength=len(distinct))])


@dataclass(frozen=True)
class Stratified:
    """The effect averaged over strata, and its within-stratum standard error."""

    estimate: float
    std_error: float


def stratified(sums: np.ndarray, strata: Strata, estimand: str) -> Stratified:
    """Σ q_s (ȳ₁s − ȳ₀s) with variance Σ q_s² (s²₁/n₁ + s²₀/n₀): as `stratification` without adjustment or clusters.

    Parameters
    ----------
    sums : ndarray of shape (2, S, 2)
        Σ y and Σ y² by stratum and arm, y near mean zero.

    Raises
    ------
    Refusal
        If a stratum has fewer than two units of an arm.
    """
    n = strata.units
    poor = [f"stratum {s} has {b} treated and {a} untreated" for s, (a, b) in enumerate(n, 1) if min(a, b) < 2]
    if poor:
        reason = f"{'; '.join(poor)}: no variance within a stratum can be had"
        raise Refusal(reason, "Use fewer strata or a narrower population")
    mean = sums[0] / n
    variance = np.maximum(sums[1] - n * mean**2, 0.0) / (n - 1)
    share = n.sum(axis=1) if estimand == "ATE" else n[:, 1]
    share = share / share.sum()
    effect = float(share @ (mean[:, 1] - mean[:, 0]))
    return Stratified(effect, float(np.sqrt(share**2 @ (variance / n).sum(axis=1))))
