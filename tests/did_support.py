"""What the tests of streamed difference-in-differences share: panels, blocks of few rows, one critical value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from estimators import estimate
from estimators.inference import covariance
from estimators.panel import did as in_memory
from estimators.scan.stream import Block
from estimators.streamed import panel_rows
from estimators.streamed.panel_influence import simultaneous_critical_value

BLOCK = {
    "question": "test", "design": "panel", "outcome": "y", "time": "t", "cohort": "g", "never": 0,
    "decision": {"primary": "did", "estimand": "ATT", "desired_direction": "more", "minimum_effect": 0.5},
}  # fmt: skip


def panel(n=150, seed=3, cohorts=(0.0, 3.0, 5.0), periods=5, noise=1.0):
    """Units in cohorts, an effect of one a period since treatment; a region spans cohorts, a state has one."""
    rng = np.random.default_rng(seed)
    g, x, level = rng.choice(cohorts, n), rng.normal(size=n), rng.normal(size=n)
    t = np.arange(1, periods + 1.0)
    since = np.where((g > 0)[:, None], np.maximum(t - g[:, None] + 1, 0), 0)
    y = level[:, None] + 0.3 * t + 0.2 * x[:, None] * t + since + noise * rng.normal(size=(n, periods))
    moving = x[:, None] + 0.5 * rng.normal(size=(n, periods))
    kind = np.array(["a", "b", "ö'c"])[rng.integers(0, 3, (n, periods))]
    state = np.array([f"{c}-{i % 7}" for i, c in enumerate(g)])
    return pa.table(
        {
            "unit_id": np.repeat(np.arange(n), periods), "t": np.tile(t, n), "g": np.repeat(g, periods), "y": y.ravel(),
            "x": np.repeat(x, periods), "moving": moving.ravel(), "twin": 2 * moving.ravel() - 1,
            "kind": kind.ravel(), "region": np.repeat(np.arange(n) // 6, periods).astype(str),
            "state": np.repeat(state, periods),
        }
    )  # fmt: skip


def terms(table: pa.Table) -> dict[str, dict[str, Any]]:
    """The rows of the estimator by term."""
    return {row["term"]: row for row in table.to_pylist() if row["estimator"] == "did"}


def numbers(table: pa.Table) -> np.ndarray:
    """Estimates and standard errors."""
    rows = terms(table).values()
    assert all(row["status"] == "estimated" for row in rows)
    return np.array([(row["estimate"], row["std_error"]) for row in rows])


def by_session(block: dict[str, Any], units: pa.Table | Path, settings: str = "") -> pa.Table:
    """Estimated from a relation of a DuckDB session, as dbt hands it; it must be left as it was."""
    with duckdb.connect() as connection:
        connection.execute(settings or "select 1")
        if isinstance(units, Path):
            relation = connection.sql(f"select * from read_parquet('{units}')")
        else:
            connection.register("given", units)
            connection.execute("create table units as select * from given")
            relation = connection.table("units")
        found = estimate("s", block, relation, session=connection)
        attached = connection.execute("select count(*) from duckdb_databases() where not internal").fetchone()
        assert attached == (1,)
    return found


@pytest.fixture
def drawn_from_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the in-memory band draw as the streamed one does, so that whole results can be compared."""

    def drawn(psi: np.ndarray, cluster: np.ndarray | None, seed: int, draws: int) -> float:
        return simultaneous_critical_value(covariance(psi, cluster), seed, draws)

    monkeypatch.setattr(in_memory, "simultaneous_critical_value", drawn)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hand out rows in blocks of 1 to 37, so that units and clusters are cut everywhere."""

    def cut(*given: Any) -> Any:
        rng = np.random.default_rng(0)
        for block in real(*given):
            start = 0
            while start < block.n:
                end = start + int(rng.integers(1, 38))
                columns = [column[start:end] for column in block.columns]
                yield Block(columns, None, None, block.cluster[start:end], [])
                start = end

    real = panel_rows.blocks
    monkeypatch.setattr(panel_rows, "blocks", cut)
