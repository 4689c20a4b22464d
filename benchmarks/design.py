"""What the generated units hold and what every job estimates on them: names, folds, and where the files lie."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

OUTCOME, TREATMENT, UNIT, CLUSTER, FOLD = "y", "t", "id", "cluster", "fold"
INSTRUMENTS = ("z1", "z2", "z3")
COVARIATES = tuple(f"x{j}" for j in range(1, 18))
# The 24 columns that count as the data; the fold beside them is one that a units model computes once.
DATA = (UNIT, CLUSTER, OUTCOME, TREATMENT, *INSTRUMENTS, *COVARIATES)
# The folds of a study that declares neither seed nor folds.
FOLDS, SEED = 5, 20260101
# Cross-fitted propensities are held inside [CLIP, 1 − CLIP], by ours and by the peers alike.
CLIP = 0.01


@dataclass(frozen=True)
class Panel:
    """Columns of the generated panel (benchmarks/panel.py)."""

    unit: str = "id"
    time: str = "period"
    cohort: str = "cohort"
    outcome: str = "y"


PANEL = Panel()


@dataclass(frozen=True)
class Limits:
    """What a job may take before it is stopped and reported so."""

    seconds: float = 600.0
    mib: float = 20 * 1024.0


def data_folder() -> Path:
    """Where generated files lie: the environment's CQOX_BENCH_DATA, or /tmp."""
    return Path(os.environ.get("CQOX_BENCH_DATA", "/tmp"))
