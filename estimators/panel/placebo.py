"""Placebo in space: how unusual the treated unit's gap is among gaps of units that were not treated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .donors import DonorPool, Synthetic, synthetic

PERFECT = 1e-8


@dataclass(frozen=True)
class PlaceboTest:
    """The treated unit's place among the placebos.

    Attributes
    ----------
    ratio : float
        Post over pre RMSPE of the treated unit; infinite where the pre-fit is perfect.
    rank : int
        1 is the largest ratio; ties count against the treated unit.
    count : int
        Placebos held against it.
    """

    ratio: float
    rank: int
    count: int

    @property
    def p_value(self) -> float:
        """rank / (count + 1)."""
        return self.rank / (self.count + 1)


def placebos(pool: DonorPool) -> tuple[Synthetic, ...]:
    """Each donor's synthetic control from the other donors, in the order of the donors; never from the treated unit."""
    every = np.arange(len(pool.donors))
    return tuple(synthetic(pool.y0[:, j], pool.y0[:, every != j], pool.n_pre) for j in every)


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
