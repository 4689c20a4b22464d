"""Causal forest on the processes of selection on observables, with few trees: its averages hardly depend on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import observables

ESTIMATORS = ("causal_forest",)
TREES = 40


def _few_trees(process: Callable[[np.random.Generator, int], Any]) -> Callable[[np.random.Generator, int], Any]:
    def drawn(rng: np.random.Generator, n: int) -> Any:
        units, block, edges, truth = process(rng, n)
        return units, {**block, "options": {"causal_forest": {"n_estimators": TREES}}}, edges, truth

    return drawn


DGPS = {name: _few_trees(process) for name, process in observables.DGPS.items()}
# With a wrong propensity the average leans on the forest's effects, whose error falls slower than a standard error.
HOLDS = {"causal_forest": {"correct", "null", "misspecified_outcome", "heavy_tails", "clustered"}}
COSTLY = ("causal_forest",)
