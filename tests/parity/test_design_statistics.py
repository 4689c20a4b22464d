"""SMD and VIF of the design table are those of the SQL statistics, of the same units: in memory and streamed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from projects import dbt, installed, rows

from estimators import design
from estimators.scores import WEIGHTS, weight_column

N = 700
RNG = np.random.default_rng(11)
MIXED = RNG.normal(size=(N, 3)) @ RNG.normal(size=(3, 3))
T = (MIXED[:, 0] + RNG.normal(size=N) > 0).astype(int)
# A column far from zero, one of scale 1e-6, text with quotes, gaps in a covariate and in the outcome, one more period.
UNITS: dict[str, Any] = {
    "unit_id": np.arange(N), "t": T, "x1": MIXED[:, 0], "large": 2000 + RNG.integers(0, 50, N),
    "small": 1e-6 * MIXED[:, 1], "x3": MIXED[:, 2] + 50, "twin": 2 * MIXED[:, 0] - 1, "same": np.full(N, 0.1),
    "town": np.array(["Köln", "O'Hara", "Bonn", "a b"])[RNG.integers(0, 4, N)], "grade": RNG.integers(1, 5, N),
    "y": [None if i % 9 == 0 else float(i % 7) for i in range(N)],
}  # fmt: skip
UNITS["gappy"] = [None if i % 31 == 0 else float(v) for i, v in enumerate(RNG.normal(size=N))]
TERMS = {
    "numbers": ["x1", "large", "small", "x3"], "terms": ["x1", "x1^2", "log(x3)", "C(town)", "C(grade):x1"],
    "degenerate": ["x1", "same", "twin", "x3"], "gaps": ["x1", "gappy", "C(town)"],
}  # fmt: skip
SCORED = [i for i in range(N) if i % 9 and i % 31]
SCORES = {"unit_id": SCORED, "treatment": T[SCORED].astype(float), "propensity": np.full(len(SCORED), 0.5)}
SCORES |= {weight_column(*weight): RNG.gamma(2.0, size=len(SCORED)) for weight in WEIGHTS}
# A weight that is NULL here and there, and one that an estimator has refused.
SCORES["weight_psm_ate"] = [None if i % 5 == 0 else 1.5 for i in range(len(SCORED))]
SCORES["weight_psm_att"] = pa.nulls(len(SCORED), pa.float64())
BLOCK = {
    "question": "?", "design": "observational", "outcome": "y", "treatment": "t", "missing": "drop",
    "decision": {"primary": "ipw", "estimand": "ATE", "desired_direction": "more", "minimum_effect": 0},
}  # fmt: skip
Key = tuple[str, str | None, str | None]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Measured in SQL: the differences of the scored units under each weight, and the factors of all."""
    project = installed(tmp_path_factory.mktemp("design"))
    listed = [{"column": None, "estimand": None, "estimator": None}]
    listed += [{"column": weight_column(*w), "estimand": w[1], "estimator": w[0]} for w in WEIGHTS]
    wanted = []
    for name, terms in TERMS.items():
        wanted.append(
            {
                "name": f"smd_{name}",
                "macro": "term_differences",
                "arguments": {"relation": "scenarios.scored", "treatment": "t", "terms": terms, "weights": listed},
            }
        )
        wanted.append({"name": f"vif_{name}", "macro": "term_inflation", "arguments": {
            "relation": "scenarios.units", "treatment": "t", "terms": terms}})  # fmt: skip
    with duckdb.connect(str(project / "warehouse.duckdb")) as connection:
        connection.execute("create schema scenarios")
        for name, table in (("units", UNITS), ("scores", SCORES)):
            connection.register("made_up", pa.table(table))
            connection.execute(f"create table scenarios.{name} as select * from made_up")
        connection.execute("create view scenarios.scored as from scenarios.units join scenarios.scores using (unit_id)")
    done = dbt(project, "run-operation", "measure", "--args", json.dumps({"statistics": wanted}))
    assert done.returncode == 0, done.stdout + done.stderr
    return project / "warehouse.duckdb"


def measured(warehouse: Path, name: str) -> dict[Key, float | None]:
    """The SQL statistics by what the design table calls them."""
    smd = rows(warehouse, f"select * from measured.smd_{name}")
    found: dict[Key, float | None] = {
        ("smd " + row["subject"], row["estimator"], row["estimand"]): row["value"] for row in smd
    }
    return found | {
        ("vif " + row["subject"], None, None): row["value"]
        for row in rows(warehouse, f"select * from measured.vif_{name}")
    }


def designed(table: pa.Table) -> dict[Key, float | None]:
    """The rows of a design table."""
    found = table.to_pylist()
    assert all(row["reason"] for row in found)
    out = {(f"{row['metric']} {row['subject']}", row["estimator"], row["estimand"]): row["value"] for row in found}
    assert len(out) == len(found)
    return out


@pytest.mark.parametrize("budget", [10**9, 10], ids=["in memory", "streamed"])
@pytest.mark.parametrize("name", TERMS)
def test_design_rows_are_the_sql_statistics(warehouse: Path, name: str, budget: int) -> None:
    block = {**BLOCK, "covariates": TERMS[name], "row_budget": budget}
    ours = designed(design("s", block, pa.table(UNITS), scores=pa.table(SCORES)))
    expected = measured(warehouse, name)
    assert set(ours) == set(expected)
    assert any(value is not None for value in expected.values())
    for key, value in expected.items():
        if key[0] == "smd same" and key[1:] != ("psm", "ATT"):
            # SQL's weighted means of a constant differ by rounding, which it divides by a spread of zero
            assert ours[key] == 0
            assert value in (0, None)
        elif value is None:
            assert ours[key] is None, key
        else:
            assert ours[key] == pytest.approx(value, rel=1e-9, abs=1e-12), key
    refused = [key for key in ours if key[1:] == ("psm", "ATT")]
    assert refused
    assert all(ours[key] is None for key in refused)


@pytest.mark.parametrize("budget", [10**9, 10], ids=["in memory", "streamed"])
def test_design_rows_from_a_warehouse(warehouse: Path, budget: int) -> None:
    """Relations of one connection, as dbt hands them over; the same to 1e-12 as from arrays."""
    block = {**BLOCK, "covariates": TERMS["terms"], "row_budget": budget}
    held = designed(design("s", block, pa.table(UNITS), scores=pa.table(SCORES)))
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        units, scores = connection.table("scenarios.units"), connection.table("scenarios.scores")
        found = designed(design("s", block, units, connection, scores=scores))
    assert set(found) == set(held)
    for key, value in held.items():
        assert found[key] == (None if value is None else pytest.approx(value, rel=1e-12, abs=1e-13)), key
