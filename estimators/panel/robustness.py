"""Does a synthetic control hang on one donor, and does it find an effect where there was none?"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from .donors import FEWEST_PRE_PERIODS, DonorPool, Synthetic
from .recipe import Recipe

VISIBLE_WEIGHT = 1e-6
LEFT_OUT_AT_MOST = 10


@dataclass(frozen=True)
class LeftOut:
    """The treated unit's gap, shape (T,), when one donor is left out."""

    donor: str
    gap: np.ndarray
    n_pre: int

    @property
    def effect(self) -> float:
        """Mean gap after treatment."""
        return float(self.gap[self.n_pre :].mean())


@dataclass(frozen=True)
class Backdated:
    """The gap up to treatment, of a fit to the first ``n_fitted`` periods alone: shape (n_pre,)."""

    gap: np.ndarray
    n_fitted: int

    @property
    def effect(self) -> float:
        """Mean gap in the periods that were held out, in units of the outcome; without bias it is near 0."""
        return float(self.gap[self.n_fitted :].mean())

    @property
    def ratio(self) -> float:
        """RMSPE held out over RMSPE fitted; infinite where the fit is perfect."""
        fitted = float(np.sqrt(np.mean(self.gap[: self.n_fitted] ** 2)))
        held = float(np.sqrt(np.mean(self.gap[self.n_fitted :] ** 2)))
        return held / fitted if fitted > 0 else float("inf")


def leave_one_out(pool: DonorPool, recipe: Recipe, own: Synthetic) -> tuple[LeftOut, ...]:
    """Refits without each donor that has a weight, those with the ten largest at most (Abadie et al. 2015).

    In the order of the donors.
    """
    size = np.abs(own.fit.weights)
    heavy = [j for j in np.argsort(-size, kind="stable")[:LEFT_OUT_AT_MOST] if size[j] > VISIBLE_WEIGHT]
    every = np.arange(len(pool.donors))
    gaps = {j: recipe.treated(pool, every != j).gap for j in sorted(heavy)}
    return tuple(LeftOut(pool.donors[j], gap, pool.n_pre) for j, gap in gaps.items())


def backdated(pool: DonorPool, recipe: Recipe) -> Backdated | None:
    """Placebo in time: the last third of the periods before treatment plays the time after it (Abadie et al. 2015).

    None where fewer than three periods would be fitted, or no predictor is known by then.
    """
    n_fitted = pool.n_pre - max(pool.n_pre // 3, 1)
    if n_fitted < FEWEST_PRE_PERIODS:
        return None
    before = slice(0, pool.n_pre)
    if recipe.predictors is not None:
        known = recipe.predictors.before(float(pool.periods[n_fitted]))
        if known is None:
            return None
        recipe = dataclasses.replace(recipe, predictors=known)
    earlier = dataclasses.replace(
        pool, periods=pool.periods[before], n_pre=n_fitted, y1=pool.y1[before], y0=pool.y0[before],
        each=pool.each[before],
    )  # fmt: skip
    return Backdated(recipe.treated(earlier).gap, n_fitted)
