"""Studies estimated twice: with their rows in memory, and streamed (``row_budget: 10``), row by row side by side."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any
from unittest import mock

from estimators import estimate
from estimators.registry import BY_NAME

Row = dict[str, Any]
# What rounding of another order of sums may do to a number, relative to its size.
TOLERANCE = 1e-9
NUMBERS = (
    "estimate", "std_error", "statistic", "degrees_of_freedom", "p_value", "conf_low", "conf_high", "n_units",
    "n_treated", "n_clusters", "n_trimmed", "effective_sample_size",
)  # fmt: skip
WORDS = ("estimand", "term", "contrast", "variance_estimator", "status")


def both(block: Mapping[str, Any], units: Any, estimator: str, alongside: Sequence[str] = ()) -> list[tuple[Row, Row]]:
    """The estimator's rows in memory and streamed, in pairs; of the study's others only those named run too."""
    pairs = []
    run = tuple(BY_NAME[name] for name in dict.fromkeys((estimator, *alongside)))
    with mock.patch("estimators.build.ESTIMATORS", run):
        for budget in (10**9, 10):
            rows = estimate("s", {**block, "row_budget": budget}, units).to_pylist()
            pairs.append([row for row in rows if row["estimator"] == estimator])
    assert pairs[0], f"{estimator} did not run"
    assert len(pairs[0]) == len(pairs[1])
    return list(zip(*pairs, strict=True))


def same(
    block: Mapping[str, Any], units: Any, estimator: str, tolerance: float = TOLERANCE, alongside: Sequence[str] = ()
) -> list[Row]:
    """Check that streaming changes no row of the estimator, nor its diagnostics, curves and sensitivity rows.

    Gives back the streamed rows.
    """
    pairs = both(block, units, estimator, alongside)
    for memory, streamed in pairs:
        for name in WORDS:
            assert memory[name] == streamed[name], (name, memory["status_reason"], streamed["status_reason"])
        for name in NUMBERS:
            close(memory[name], streamed[name], tolerance, name)
        for name in ("diagnostics", "sensitivity", "curves"):
            same_parts(json.loads(memory[name]), json.loads(streamed[name]), tolerance, name)
    return [streamed for _, streamed in pairs]


def same_parts(memory: list[Row], streamed: list[Row], tolerance: float, where: str) -> None:
    """Check lists of diagnostics, curve points or sensitivity rows."""
    words = [
        [{k: v for k, v in row.items() if not isinstance(v, float)} for row in rows] for rows in (memory, streamed)
    ]
    assert [sorted(row) for row in words[0]] == [sorted(row) for row in words[1]], where
    for a, b in zip(memory, streamed, strict=True):
        for name, value in a.items():
            if isinstance(value, float):
                close(value, b[name], tolerance, f"{where}: {a.get('metric') or a.get('method') or a.get('curve')}")
            elif name != "reading":
                assert value == b[name], (where, a, b)


def close(a: Any, b: Any, tolerance: float, what: str) -> None:
    """Two numbers, or two absent ones."""
    if a is None or b is None:
        assert a is b, (what, a, b)
        return
    assert math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance * 1e-3), (what, a, b)
