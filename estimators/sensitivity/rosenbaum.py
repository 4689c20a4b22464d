"""Rosenbaum's bounds: how far hidden bias within matched pairs would have to go to undo a finding."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import Refusal
from ..laws import normal_tail
from ..result import CurvePoint, SensitivityRow
from .words import plain

# The normal law of the signed-rank sum is poor below.
FEWEST = 10
LEVEL = 0.05
POINTS = 41
STEPS = 60
# Differences whose averages are held in memory: 2,000 have two million.
HELD = 2_000


@dataclass(frozen=True)
class SignedRank:
    """Wilcoxon's signed ranks of pairs whose members differ.

    Attributes
    ----------
    differences : ndarray of shape (pairs,)
        Treated less untreated, turned so that most of the rank sum is positive; zeros left out.
    ranks : ndarray of shape (pairs,)
        Of their sizes, ties averaged.
    sign : float
        −1 where the differences were turned.
    equal : int
        Pairs whose members do not differ.
    """

    differences: np.ndarray
    ranks: np.ndarray
    sign: float
    equal: int = 0

    @classmethod
    def of(cls, differences: np.ndarray) -> SignedRank:
        """Of pairs' differences, shape (n,), in any order.

        Raises
        ------
        Refusal
            Where fewer than 10 pairs differ.
        """
        kept = np.sort(differences[differences != 0])
        if len(kept) < FEWEST:
            reason = f"{len(kept)} pairs differ in the outcome and {FEWEST} are needed for Rosenbaum's bounds"
            raise Refusal(reason, "Widen the caliper, or bring more pairs")
        ranks = _ranks(np.abs(kept))
        sign = 1.0 if ranks[kept > 0].sum() >= ranks.sum() / 2 else -1.0
        return cls(kept * sign, ranks, sign, len(differences) - len(kept))

    @property
    def statistic(self) -> float:
        """T, the sum of the positive differences' ranks."""
        return float(self.ranks[self.differences > 0].sum())

    def p_upper(self, gamma: float) -> float:
        """Largest one-sided p-value of no effect where treatment's odds within a pair differ by Γ at most.

        T is at worst a sum of independent ranks, each positive with probability Γ / (1 + Γ): its mean is
        Γ / (1 + Γ) · Σ r and its variance Γ / (1 + Γ)² · Σ r², taken as normal.
        """
        p = gamma / (1 + gamma)
        spread = np.sqrt(p * (1 - p) * float(self.ranks @ self.ranks))
        return normal_tail((self.statistic - p * float(self.ranks.sum())) / float(spread))

    def p_lower(self, gamma: float) -> float:
        """Smallest such p-value."""
        return self.p_upper(1 / gamma)

    def critical(self, level: float = LEVEL) -> float:
        """The Γ at which the upper bound passes ``level``; 1 where it has at Γ = 1."""
        if self.p_upper(1.0) >= level:
            return 1.0
        low, high = 1.0, 2.0
        # Where all differences are positive the bound only tends to one half, so it passes any level below that.
        while self.p_upper(high) < level:
            low, high = high, 2 * high
        for _ in range(STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.p_upper(middle) < level else (low, middle)
        return high

    def effects(self, gamma: float) -> tuple[float, float]:
        """Hodges–Lehmann bounds of an additive effect at Γ, in units of the outcome, the lower first.

        Each is the shift τ at which the rank sum of the differences less τ equals its mean at the bound's probability:
        Γ / (1 + Γ) for the smaller effect, 1 / (1 + Γ) for the larger. That rank sum counts the Walsh averages above
        τ, so the bounds are quantiles of those; pairs without a difference count among them.
        """
        share = gamma / (1 + gamma)
        return self.walsh.above(share), self.walsh.above(1 - share)

    @cached_property
    def walsh(self) -> Walsh:
        """Averages of each pair of differences, treated less untreated."""
        return Walsh.of(np.sort(np.concatenate([self.differences * self.sign, np.zeros(self.equal)])))


@dataclass(frozen=True)
class Walsh:
    """The n (n + 1) / 2 averages of two (or one) of n numbers.

    Attributes
    ----------
    numbers : ndarray of shape (n,)
        Ascending.
    averages : ndarray of shape (n (n + 1) / 2,) or None
        Ascending; None for more than 2,000 numbers.
    """

    numbers: np.ndarray
    averages: np.ndarray | None

    @classmethod
    def of(cls, numbers: np.ndarray) -> Walsh:
        """Of numbers in ascending order."""
        if len(numbers) > HELD:
            return cls(numbers, None)
        one, other = np.triu_indices(len(numbers))
        return cls(numbers, np.sort((numbers[one] + numbers[other]) / 2))

    def above(self, share: float) -> float:
        """The τ that has this share of the averages above it; the middle of all such τ."""
        total = len(self.numbers) * (len(self.numbers) + 1) // 2
        wanted = share * total
        whole = round(wanted)
        if abs(wanted - whole) > 1e-9 * total or not 0 < whole < total:
            return self.at(min(max(total - int(np.floor(wanted)), 1), total))
        return (self.at(total - whole) + self.at(total - whole + 1)) / 2

    def at(self, rank: int) -> float:
        """The average of this rank, from 1."""
        if self.averages is not None:
            return float(self.averages[rank - 1])
        low, high = float(self.numbers[0]), float(self.numbers[-1])
        for _ in range(STEPS):
            middle = (low + high) / 2
            low, high = (low, middle) if self._up_to(middle) >= rank else (middle, high)
        return high

    def _up_to(self, tau: float) -> int:
        """How many averages are at most τ: each number with itself and those before it in order, counted once."""
        places = np.searchsorted(self.numbers, 2 * tau - self.numbers, side="right")
        both = int(places.sum())
        return (both + int((self.numbers <= tau).sum())) // 2


def _ranks(sizes: np.ndarray) -> np.ndarray:
    """Ranks from 1, ties averaged: shape (n,)."""
    ordered = np.sort(sizes)
    first, last = np.searchsorted(ordered, sizes, side="left"), np.searchsorted(ordered, sizes, side="right")
    return (first + 1 + last) / 2.0


def rosenbaum_rows(test: SignedRank, gammas: tuple[float, ...], unit: str | None) -> tuple[SensitivityRow, ...]:
    """Rows ``rosenbaum``: ``gamma``, the Γ that undoes the finding, and the upper p-value at each Γ asked."""
    critical = test.critical()
    pairs = f"{len(test.differences)} pairs whose outcomes differ"
    if critical == 1.0:
        told = f"Of {pairs} the signed-rank test finds no effect even without hidden bias."
    else:
        told = (
            f"Of {pairs} the finding stands until hidden bias makes one of a pair {plain(critical)} times as likely "
            "(in odds) to be treated as the other."
        )
    rows = [SensitivityRow("rosenbaum", "gamma", critical, told)]
    for gamma in gammas:
        low, high = test.effects(gamma)
        told = (
            f"If one of a pair may have {gamma:g} times the other's odds of treatment, the one-sided p-value is "
            f"{_at_most(test.p_upper(gamma))} and the effect lies between {plain(low, unit)} and {plain(high, unit)}."
        )
        rows.append(SensitivityRow("rosenbaum", f"gamma={gamma:g}", test.p_upper(gamma), told))
    return tuple(rows)


def _at_most(p: float) -> str:
    return "below 0.0001" if p < 1e-4 else f"at most {p:.4f}"


def rosenbaum_curves(test: SignedRank, gammas: tuple[float, ...]) -> tuple[CurvePoint, ...]:
    """``rosenbaum_p`` (series upper, lower) and ``rosenbaum_effect`` over Γ.

    The effect at Γ = 1 has the Hodges–Lehmann bounds at Γ as its interval; of many pairs only at the Γ asked.
    """
    grid = tuple(float(g) for g in np.linspace(1.0, max(2.0, 1.25 * min(test.critical(), 20.0)), POINTS))
    points = [
        CurvePoint("rosenbaum_p", series, gamma, p(gamma))
        for series, p in (("upper", test.p_upper), ("lower", test.p_lower))
        for gamma in grid
    ]
    middle = float(np.mean(test.effects(1.0)))
    for gamma in grid if test.walsh.averages is not None else gammas:
        low, high = test.effects(gamma)
        points.append(CurvePoint("rosenbaum_effect", "bounds", gamma, middle, None, low, high))
    return tuple(points)
