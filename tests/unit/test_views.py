"""Which rows an estimator reads where a study has periods and a target population, in memory and streamed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import observational

from estimators import Study, StudyError, estimate
from estimators.assemble import assemble
from estimators.registry import BY_NAME

N, PERIODS = 40, 3


def panel() -> dict[str, Any]:
    """Forty units in three periods, a quarter of them in the target population without outcome and treatment."""
    rng = np.random.default_rng(2)
    unit, time = np.repeat(np.arange(N), PERIODS), np.tile([1.0, 2.0, 3.0], N)
    target = unit % 4 == 0
    y, t = rng.normal(size=N * PERIODS) + 10 * time, (rng.random(N * PERIODS) < 0.5).astype(float)
    return {
        "unit_id": unit, "time": time, "inside": (~target).astype(float), "x1": rng.normal(size=N * PERIODS),
        "y": [None if gap else v for v, gap in zip(y.tolist(), target, strict=True)],
        "t": [None if gap else v for v, gap in zip(t.tolist(), target, strict=True)],
    }  # fmt: skip


BLOCK = observational("y", "t", ["x1"]) | {"time": "time", "sample": "inside"}


@pytest.mark.parametrize("budget", [10**9, 10])
@pytest.mark.parametrize(
    ("more", "reads", "rows"),
    [
        ({}, "units", 30),
        ({"cross_section": 1}, "units", 30),
        ({}, "panel", 90),
        ({}, "populations", 40),
    ],
)
def test_an_estimator_reads_its_rows(
    budget: int, more: dict[str, Any], reads: str, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    monkeypatch.setitem(BY_NAME, "ipw", dataclasses.replace(BY_NAME["ipw"], reads=reads))
    problem, dropped = assemble(Study.declare("s", {**BLOCK, **more, "row_budget": budget}), panel())
    assert dropped == 0
    own = problem.for_run("ipw", "default")
    assert own.n == rows
    assert own.for_run("ipw", "default").cache is own.cache
    assert own.data_hash() == problem.data_hash()
    if reads == "units":
        want = [more.get("cross_section", 3.0)]
        if budget > 10:
            assert np.unique(own.columns["time"]).tolist() == want
        else:
            assert own.source.one("list(distinct time)")[0] == want


def test_the_naive_contrast_is_of_one_period_and_the_source() -> None:
    data = panel()
    rows = estimate("s", BLOCK, data).to_pylist()
    row = next(r for r in rows if r["estimator"] == "difference_in_means")
    assert row["n_units"] == 30
    y, t = (np.array([np.nan if v is None else v for v in data[name]]) for name in ("y", "t"))
    own = (data["time"] == 3) & (data["inside"] == 1)
    assert row["estimate"] == pytest.approx(y[own & (t == 1)].mean() - y[own & (t == 0)].mean())


@pytest.mark.parametrize("budget", [10**9, 10])
@pytest.mark.parametrize(
    ("changed", "block", "word"),
    [
        ({"inside": np.ones(N * PERIODS)}, {}, "sample 'inside' has the values 1"),
        ({"inside": np.tile([0.0, 2.0], N * PERIODS // 2)}, {}, "sample 'inside' has the values 0, 2"),
        ({}, {"cross_section": 9}, "no row lies in the period cross_section: 9"),
        ({"y": [None] * (N * PERIODS)}, {}, "outcome 'y'"),
        ({"inside": np.tile([1.0, 1.0, 0.0], N)}, {}, "outcome 'y' is NULL in"),
    ],
)
def test_what_does_not_fit_is_told(changed: dict[str, Any], block: dict[str, Any], word: str, budget: int) -> None:
    study = Study.declare("s", {**BLOCK, **block, "row_budget": budget})
    with pytest.raises(StudyError, match=word):
        assemble(study, {**panel(), **changed})


def test_edges_are_read_as_the_units_are_named() -> None:
    block = {**BLOCK, "edges": "friends"}
    network = {"source": [3.0, 1.0, None], "target": [1.0, 2.0, 2.0]}
    problem, _ = assemble(Study.declare("s", block), panel(), edges=network)
    assert problem.edges["source"].tolist() == [1, 3]
    assert problem.edges["target"].tolist() == [2, 1]
    with pytest.raises(StudyError, match="column 'target' is not in the edges"):
        assemble(Study.declare("s", block), panel(), edges={"source": [1]})
