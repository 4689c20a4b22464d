"""Repeated cross-fitting: the same estimate from several splits into folds, and their median."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .errors import Refusal
from .problem import Problem
from .result import Diagnostic

# Splits of learned nuisances where none are declared, and more where a split moves an estimate by more than this share
# of its standard error.
LEARNED_SPLITS, MORE_SPLITS, MOVED = 3, 5, 0.25

One = Callable[[int], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Splits:
    """Estimates and standard errors of each split: shapes (splits, terms)."""

    estimates: np.ndarray
    std_errors: np.ndarray

    @property
    def number(self) -> int:
        """Splits."""
        return len(self.estimates)

    @property
    def estimate(self) -> np.ndarray:
        """Their median: shape (terms,)."""
        return np.median(self.estimates, axis=0)

    @property
    def std_error(self) -> np.ndarray:
        """√ of the median of s² + (θ − median θ)², which counts how far the splits lie apart: shape (terms,)."""
        if self.number == 1:
            return self.std_errors[0]
        return np.sqrt(np.median(self.std_errors**2 + (self.estimates - self.estimate) ** 2, axis=0))

    @property
    def spread(self) -> float:
        """Standard deviation of the first term's estimates over the splits, in its standard errors."""
        return float(np.std(self.estimates[:, 0], ddof=1) / self.std_error[0]) if self.number > 1 else 0.0

    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """``split_spread`` and ``splits``, where there are several."""
        if self.number == 1:
            return ()
        return (
            Diagnostic("split_spread", "overall", self.spread, MOVED, self.spread <= MOVED),
            Diagnostic("splits", "overall", float(self.number)),
        )


def over_splits(problem: Problem, one: One, is_learned: bool) -> Splits:
    """One estimate (or several at once) from as many splits as are declared.

    θ is the median of the splits' estimates, its variance the median of s_r² + (θ_r − θ)². Split r has folds from the
    seed + r, so that the first is the one without repeats. Without a declaration linear nuisances are split once,
    learned ones three times, and five times where the three lie apart by more than a quarter of a standard error.

    Parameters
    ----------
    problem : Problem
    one : function
        Number of a split to estimates and standard errors, each of shape (terms,).
    is_learned : bool
        Whether a nuisance is learned.

    Raises
    ------
    Refusal
        If several splits are declared of folds that a column declares.

    Sources
    -------
    Chernozhukov et al. 2018, section 3.4, definition 3.3.
    """
    declared = problem.options.repeats
    if problem.options.folds == 1:
        declared = 1  # nothing is split
    elif problem.folds_are_declared():
        if declared is not None and declared > 1:
            reason = f"the declared fold '{problem.study.fold}' is one split, and {declared} are asked"
            raise Refusal(reason, "Drop `fold`, or declare `repeats: 1`")
        declared = 1
    number = declared or (LEARNED_SPLITS if is_learned else 1)
    found = [one(r) for r in range(number)]
    splits = _gathered(found)
    if declared is None and is_learned and splits.spread > MOVED:
        splits = _gathered(found + [one(r) for r in range(number, MORE_SPLITS)])
    return splits


def _gathered(found: list[tuple[np.ndarray, np.ndarray]]) -> Splits:
    return Splits(np.array([estimate for estimate, _ in found]), np.array([error for _, error in found]))
