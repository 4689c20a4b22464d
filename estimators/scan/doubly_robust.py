"""Sums of doubly robust scores over a scan: what `ope` is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..selection_on_observables.ipw import balancing_weights
from .policies import PolicySums
from .weighting import Rows, without_holes

ESTIMANDS = ("ATE", "ATT")


def scores(rows: Rows, e: np.ndarray, mu0: np.ndarray, mu1: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Doubly robust scores of the ATE and, times P(T = 1), of the ATT (see `ope.scores`), of the standardised y."""
    t, y = rows.t, rows.y
    with np.errstate(divide="ignore", invalid="ignore"):
        ate = mu1 - mu0 + t * (y - mu1) / e - (1 - t) * (y - mu0) / (1 - e)
        return ate, (t - (1 - t) * e / (1 - e)) * (y - mu0)


@dataclass
class DoublyRobust:
    """Sums of the scores of the ATE and ATT.

    Attributes
    ----------
    clip : float
        Propensities are held inside [clip, 1 − clip].
    products, totals : ndarray of shape (4, 4), (4,)
        Of the numbers of a row: w, w T, w s of the ATE, w s P(T = 1) of the ATT, in units of the standardised y.
    weights : ndarray of shape (2, 2, 2)
        Σ ω and Σ ω² of the treated and the untreated, by estimand.
    not_finite : ndarray of shape (2,)
        Scores that a propensity of 0 or 1 spoils, by estimand.
    low, high : float
        Range of the propensities before they are held.
    clipped : int
        How many were moved.
    rows : int
    policies : PolicySums or None
        Added up by the same scan, of the same propensities and outcomes.
    """

    clip: float
    policies: PolicySums | None = None
    products: np.ndarray = field(init=False)
    totals: np.ndarray = field(init=False)
    weights: np.ndarray = field(init=False)
    not_finite: np.ndarray = field(init=False)
    low: float = np.inf
    high: float = -np.inf
    clipped: int = 0
    rows: int = 0

    def __post_init__(self) -> None:
        """Zeros."""
        self.products, self.totals = np.zeros((4, 4)), np.zeros(4)
        self.weights, self.not_finite = np.zeros((2, 2, 2)), np.zeros(2, dtype=np.int64)

    def numbers(self, rows: Rows) -> tuple[np.ndarray, list[int]]:
        """w, w T and w times both scores, shape (4, m); a score that is not finite is zero and counted."""
        raw, mu0, mu1 = rows.crossfitted()
        return self._numbers(rows, self._held(raw), mu0, mu1)

    def add(self, rows: Rows) -> None:
        """One block's sums."""
        raw, mu0, mu1 = crossfitted = rows.crossfitted()
        if self.policies is not None:
            self.policies.add(rows, crossfitted)
        held = self._held(raw)
        numbers, not_finite = self._numbers(rows, held, mu0, mu1)
        self.not_finite += not_finite
        self.products += numbers @ numbers.T
        self.totals += numbers.sum(axis=1)
        untreated = 1 - rows.t
        for j, estimand in enumerate(ESTIMANDS):
            omega = rows.weighted(balancing_weights(rows.t, held, estimand))
            square = omega * omega
            with np.errstate(invalid="ignore"):
                self.weights[j] += [[omega @ arm, square @ arm] for arm in (rows.t, untreated)]
        self.low, self.high = min(self.low, float(raw.min())), max(self.high, float(raw.max()))
        self.clipped += int(np.count_nonzero(raw != held))
        self.rows += rows.n

    def _held(self, e: np.ndarray) -> np.ndarray:
        return np.clip(e, self.clip, 1 - self.clip)

    def _numbers(
        self, rows: Rows, e: np.ndarray, mu0: np.ndarray, mu1: np.ndarray
    ) -> tuple[np.ndarray, list[int]]:  # fmt: skip
        out = np.empty((4, rows.n))
        out[0], out[1] = 1.0, rows.t
        out[2], out[3] = scores(rows, e, mu0, mu1)
        not_finite = [without_holes(score) for score in out[2:]]
        return rows.weighted(out), not_finite

    def estimands(self) -> list[str]:
        """Those whose scores are all finite."""
        return [estimand for estimand, holes in zip(ESTIMANDS, self.not_finite, strict=True) if not holes]

    def effect(self, estimand: str) -> tuple[float, np.ndarray]:
        """Mean score in units of the standardised y, and c: an influence value is n c'a with a the numbers."""
        at, base = (2, 0) if estimand == "ATE" else (3, 1)
        total, c = self.totals[base], np.zeros(4)
        estimate = self.totals[at] / total
        c[at], c[base] = 1.0 / total, -estimate / total
        return float(estimate), c
