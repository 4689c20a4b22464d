"""How one study's synthetic controls are made: the same recipe for the treated unit, placebos and robustness runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..problem import Problem
from .augmented import augmented
from .donors import DonorPool, Synthetic, synthetic
from .predictors import Predictors, nested, read_predictors


@dataclass(frozen=True)
class Recipe:
    """Fits one unit by others.

    Attributes
    ----------
    method : simplex or augmented
    seed : int
    predictors : Predictors, optional
        Matched on instead of all outcomes before treatment, with nested V.
    """

    method: str
    seed: int
    predictors: Predictors | None = None

    def fit(self, y1: np.ndarray, y0: np.ndarray, n_pre: int, x1: np.ndarray, x0: np.ndarray) -> Synthetic:
        """The synthetic control of ``y1`` (T,) from ``y0`` (T, J); x are predictors, (k,) and (k, J), k may be 0."""
        if self.method == "augmented":
            return augmented(y1, y0, n_pre)
        if self.predictors is not None:
            return nested(y1, y0, x1, x0, n_pre, self.seed)
        return synthetic(y1, y0, n_pre)

    def treated(self, pool: DonorPool, donors: np.ndarray | None = None) -> Synthetic:
        """The treated unit's (the treated average's), of all donors or of some (places or boolean)."""
        use = slice(None) if donors is None else donors
        return self.fit(pool.y1, pool.y0[:, use], pool.n_pre, self._x1().mean(axis=1), self._x0(pool)[:, use])

    def one(self, pool: DonorPool, place: int) -> Synthetic:
        """One of several treated units by itself."""
        x1 = self._x1()[:, place] if self.predictors is not None else np.empty(0)
        return self.fit(pool.each[:, place], pool.y0, pool.n_pre, x1, self._x0(pool))

    def placebo(self, pool: DonorPool, chosen: np.ndarray) -> Synthetic:
        """Donors (places) treated in turn, as their average, from the other donors."""
        rest = np.setdiff1d(np.arange(len(pool.donors)), chosen)
        x = self._x0(pool)
        return self.fit(pool.y0[:, chosen].mean(axis=1), pool.y0[:, rest], pool.n_pre, x[:, chosen].mean(axis=1),
                        x[:, rest])  # fmt: skip

    def _x1(self) -> np.ndarray:
        return np.empty((0, 1)) if self.predictors is None else self.predictors.treated

    def _x0(self, pool: DonorPool) -> np.ndarray:
        return np.empty((0, len(pool.donors))) if self.predictors is None else self.predictors.donors


def recipe_of(problem: Problem, pool: DonorPool) -> Recipe:
    """The declared recipe.

    Raises
    ------
    Refusal
        See `predictors.read_predictors`; for predictors with the method ``augmented``.
    """
    asked, method = problem.own("predictors"), problem.own("method")
    if asked is None:
        return Recipe(method, problem.study.seed)
    if method == "augmented":
        reason = "the augmented method matches the outcomes before treatment, and predictors are declared"
        raise Refusal(reason, "Leave out `predictors`, or take `method: simplex`")
    return Recipe(method, problem.study.seed, read_predictors(problem, pool, asked))
