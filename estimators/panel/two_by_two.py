"""The smallest difference in differences: two groups, before and after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Block:
    """Mean outcomes of two groups over all T periods, of shape (T,), the place where the first group starts
    treatment, and the periods that are compared."""

    treated: np.ndarray
    control: np.ndarray
    start: int
    window: slice


def two_by_two(block: Block) -> float:
    """(Ȳ_treated,after − Ȳ_treated,before) − (Ȳ_control,after − Ȳ_control,before), in units of the outcome."""
    gap = block.treated - block.control
    before = gap[block.window.start : block.start]
    after = gap[block.start : block.window.stop]
    return float(after.mean() - before.mean())
