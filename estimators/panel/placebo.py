"""Placebo in space: how unusual the treated unit's gap is among gaps of units that were not treated."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from .donors import FEWEST_DONORS, DonorPool, Synthetic
from .recipe import Recipe

PERFECT = 1e-8


@dataclass(frozen=True)
class PlaceboTest:
    """The treated unit's place among the placebos.

    Attributes
    ----------
    ratio : float
        Post over pre RMSPE of the treated unit; infinite where the pre-fit is perfect: no number.
    rank : int
        1 is the largest ratio; ties, and placebos whose own pre-fit is perfect, count against the treated unit.
    count : int
        Placebos held against it.
    """

    ratio: float
    rank: int
    count: int

    @property
    def p_value(self) -> float | None:
        """rank / (count + 1); None without placebos, or without a ratio of the treated unit."""
        return self.rank / (self.count + 1) if self.count and math.isfinite(self.ratio) else None

    @property
    def reason(self) -> str | None:
        """Why there is no ratio, and so no p-value; None where there is one."""
        if math.isfinite(self.ratio):
            return None
        return (
            "no placebo p-value: the synthetic unit follows the treated one exactly before treatment, so the ratio of "
            "RMSPE after to before divides by zero. Use more periods before treatment, or fewer donors"
        )


def placebo_sets(donors: int, treated: int, draws: int, seed: int) -> np.ndarray:
    """Which donors stand in for the treated: places, shape (sets, treated), in ascending order.

    Every set of as many donors as there are treated units, if there are no more than ``draws`` of them; else so many
    drawn at random. One treated unit: every donor. None where too few donors would be left.
    """
    if donors - treated < FEWEST_DONORS and treated > 1:
        return np.empty((0, treated), dtype=int)
    if treated == 1 or math.comb(donors, treated) <= draws:
        return np.array(list(itertools.combinations(range(donors), treated)))
    rng = np.random.default_rng(seed)
    return np.array([np.sort(rng.choice(donors, treated, replace=False)) for _ in range(draws)])


def placebos(pool: DonorPool, recipe: Recipe, sets: np.ndarray) -> tuple[Synthetic, ...]:
    """The synthetic control of each set's average, from the other donors; never from the treated units.

    With two donors a placebo's synthetic control is the one other donor.
    """
    return tuple(recipe.placebo(pool, chosen) for chosen in sets)


def averaged(ones: tuple[Synthetic, ...], sets: np.ndarray) -> tuple[Synthetic, ...]:
    """The average gap of each set of placebos that were fitted one by one."""
    gaps = np.array([one.gap for one in ones])
    return tuple(mean_of(ones, gaps[chosen].mean(axis=0), chosen) for chosen in sets)


def mean_of(ones: tuple[Synthetic, ...], gap: np.ndarray, chosen: np.ndarray) -> Synthetic:
    """A mean gap with the worst optimality of those averaged."""
    return Synthetic(max((ones[i].fit for i in chosen), key=lambda fit: fit.kkt_gap), gap, ones[0].n_pre)


def placebo_test(pool: DonorPool, own: Synthetic, others: tuple[Synthetic, ...], multiple: float | None) -> PlaceboTest:
    """Rank of the post/pre RMSPE ratio (Abadie, Diamond & Hainmueller 2010, section 3.5).

    Parameters
    ----------
    pool, own, others
        The donor pool, the treated unit's synthetic control and the placebos.
    multiple : float or None
        Placebos whose pre-period RMSPE is above this multiple of the treated unit's are left out.
    """
    # A pre-period RMSPE of mere rounding would make a ratio out of noise: it counts as perfect.
    floor = PERFECT * float(np.std(np.column_stack([pool.y1, pool.y0])))
    kept = [o for o in others if multiple is None or o.pre_rmspe <= multiple * max(own.pre_rmspe, floor)]
    ratio = _ratio(own, floor)
    return PlaceboTest(ratio, 1 + sum(_ratio(o, floor) >= ratio for o in kept), len(kept))


def _ratio(one: Synthetic, floor: float) -> float:
    return one.post_rmspe / one.pre_rmspe if one.pre_rmspe > floor else float("inf")
