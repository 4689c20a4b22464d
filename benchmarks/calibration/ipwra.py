"""Weighted regression adjustment on the processes of selection on observables."""

from __future__ import annotations

from . import observables

ESTIMATORS = ("ipwra",)
DGPS = observables.DGPS
HOLDS = {
    "ipwra": {"correct", "null", "misspecified_outcome", "misspecified_propensity", "heavy_tails", "clustered"}
}  # fmt: skip
COSTLY = ()
