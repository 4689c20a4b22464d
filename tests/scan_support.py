"""What the scan engine's tests share: awkward rows in DuckDB, and the same rows in memory."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa

from estimators.scan import columns, moments_scan
from estimators.scan.stream import Plan, Source

SEED = 20240229
X = ("x1", "x2", "x3")


def rows(n: int = 6_000, seed: int = 3) -> dict[str, np.ndarray]:
    """A confounded binary treatment; covariates of mean 1e9 and of scale 1e-3, weights, clusters, an instrument."""
    rng = np.random.default_rng(seed)
    x1, z, hidden = rng.normal(size=(3, n))
    x2, x3 = 1e9 + rng.integers(-20, 20, n), 1e-3 * rng.normal(size=n)
    index = 0.7 * x1 + 0.04 * (x2 - 1e9) + 300 * x3 + 0.8 * z + 0.4 * hidden
    t = (index > rng.logistic(size=n)).astype(float)
    y = 5 + t * (1 + x1) + x1 + 0.1 * (x2 - 1e9) - 500 * x3 + hidden + (1 + t) * rng.normal(size=n)
    return {
        "unit_id": np.arange(n), "y": y, "t": t, "x1": x1, "x2": x2, "x3": x3, "z": z,
        "w": 0.5 + rng.random(n), "g": rng.integers(0, 60, n),
    }  # fmt: skip


def centred(data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same problem with x2 near zero (exact: it holds whole numbers).

    The in-memory estimators predict in raw units, which costs them eight digits on a column of mean 1e9; a comparison
    at 1e-9 needs them at their best.
    """
    return {**data, "x2": data["x2"] - 1e9}


def source(data: dict[str, np.ndarray] | pa.Table, connection: duckdb.DuckDBPyConnection | None = None) -> Source:
    """The rows as table ``units``."""
    connection = connection or duckdb.connect()
    table = data if isinstance(data, pa.Table) else pa.table(data)
    connection.register("given", table)
    connection.execute("create or replace table units as select * from given")
    connection.unregister("given")
    return Source.of(connection, "units")


def fold_sql(name: str = "unit_id", n_folds: int = 5) -> str:
    """Folds of a BIGINT column."""
    return columns.fold(name, "BIGINT", n_folds, SEED)


def scanned(data: dict[str, np.ndarray], terms: tuple[str, ...], **plan: object) -> tuple[Plan, moments_scan.Scanned]:
    """The plan and its scan."""
    own = source(data)
    made = Plan(columns.columns(own, terms), **plan)  # type: ignore[arg-type]
    return made, moments_scan.scan(own, made)
