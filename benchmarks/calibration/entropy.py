"""Entropy balancing, an option of ipw, on the processes of observables.py; their names begin with entropy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import observables

ESTIMATORS = ("ipw",)


def _entropy(process: Callable[[np.random.Generator, int], Any]) -> Callable[[np.random.Generator, int], Any]:
    def drawn(rng: np.random.Generator, n: int) -> Any:
        units, block, edges, truth = process(rng, n)
        own = {**block["options"], "ipw": {"method": "entropy"}}
        known = {name: value for name, value in truth.items() if name[0] in ("ATE", "ATT")}
        return units, {**block, "options": own}, edges, known

    return drawn


DGPS = {f"entropy_{name}": _entropy(process) for name, process in observables.DGPS.items()}
SIZES = {"entropy_small_n": 200}
# The outcome is linear in what is balanced; whoever chose treatment does then not matter.
HOLDS = {
    "ipw": {f"entropy_{name}" for name in ("correct", "null", "misspecified_propensity", "heavy_tails", "clustered")}
}  # fmt: skip
COSTLY = ()
