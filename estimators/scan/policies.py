"""Sums of policies' scores over a scan: what the values of policies are made of."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..selection_on_observables.policy_values import POLICIES, policy_scores
from .weighting import Rows, without_holes

# w, w 1{the threshold policy treats}, and w times the score of each policy; then ω and ω² behind each policy.
NUMBERS = 5


@dataclass
class PolicySums:
    """Sums over a scan, of the standardised y.

    Attributes
    ----------
    clip, cut, sign : float
        Bound of the propensities; threshold in units of the standardised y; 1, or −1 where less is desired.
    totals, products : ndarray of shape (5,), (5, 5)
        Of w, w 1{threshold treats}, w Γ of each policy.
    weights : ndarray of shape (3, 2)
        Σ ω and Σ ω² of the weights behind each policy.
    not_finite, rows : int
    """

    clip: float
    cut: float
    sign: float
    totals: np.ndarray = field(default_factory=lambda: np.zeros(NUMBERS))
    products: np.ndarray = field(default_factory=lambda: np.zeros((NUMBERS, NUMBERS)))
    weights: np.ndarray = field(default_factory=lambda: np.zeros((len(POLICIES), 2)))
    not_finite: int = 0
    rows: int = 0

    def add(self, rows: Rows, crossfitted: np.ndarray) -> None:
        """One block's sums, where no cluster is declared; ``crossfitted`` as `Rows.crossfitted` has it."""
        numbers = self.numbers(rows, crossfitted)
        self.products += numbers @ numbers.T

    def numbers(self, rows: Rows, crossfitted: np.ndarray) -> np.ndarray:
        """One block's numbers, shape (5, m), added to what has no need of clusters."""
        raw, mu0, mu1 = crossfitted
        e, t = np.clip(raw, self.clip, 1 - self.clip), rows.t
        treated = self.sign * (mu1 - mu0) > self.cut
        scores = policy_scores(rows.y, t, e, mu0, mu1, treated)
        with np.errstate(divide="ignore", invalid="ignore"):
            follows = np.array([(1 - t) / (1 - e), t / e, np.where(treated, t / e, (1 - t) / (1 - e))])
        omega = rows.weighted(follows)
        self.not_finite += sum(without_holes(score) for score in scores)
        self.weights += np.column_stack([omega.sum(axis=1), (omega * omega).sum(axis=1)])
        out = rows.weighted(np.vstack([np.ones(rows.n), treated.astype(float), scores]))
        self.totals += out.sum(axis=1)
        self.rows += rows.n
        return out
