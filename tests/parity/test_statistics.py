"""The statistics of the gates are the same in SQL, in Python and by their textbook formula.

An engine is a class with `write`, `measure` and `read`; the macros are written in the common subset, and what no subset
covers is dispatched.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import spark_support
from projects import dbt, installed, rows

from estimators import balance, folds, inference, terms

Row = dict[str, Any]
RNG = np.random.default_rng(20260101)
N = 300

# Six covariates that depend on one another, and a treatment that depends on them.
X = RNG.normal(size=(N, 6)) @ RNG.normal(size=(6, 6)) + np.array([0, 10, -5, 1e3, 2, 0])
T = (X[:, 0] + RNG.normal(size=N) > 0).astype(float)
W = RNG.gamma(2.0, size=N) * (RNG.random(N) > 0.1)
E = RNG.uniform(0.02, 0.98, size=N)
NAMES = [f"x{i}" for i in range(6)]
UNITS = {"unit_id": np.arange(N), "t": T, "w": W, "e": E, **{name: X[:, i] for i, name in enumerate(NAMES)}}
# A column that earlier ones explain, one that never varies, and one that varies between the arms only.
UNITS |= {"mixed": 2 * X[:, 0] - X[:, 1] + 3, "constant": np.full(N, 4.0), "arm": 2 * T}
EMPTY = {name: values[:0] for name, values in UNITS.items()}
ONE_ARM = {name: values[T == 1] for name, values in UNITS.items()}
CATEGORIES = {
    "unit_id": list(range(8)), "age": [20, 31, 44, 58, 63, 27, 35, 49], "income": [1.5, 2, 8, 3, 1, 9, 4, 2.5],
    # as text the first level would be 10
    "grade": [2, 10, 9, 2, 10, 9, 2, 10], "city": ["Köln", "Bonn", "O'Hara", "Bonn", "Köln", "Bonn", "Köln", "O'Hara"],
    # names that no identifier may be, and names that look like terms
    "my col": [3, 1, 4, 1, 5, 9, 2, 6], "it's": [2, 7, 1, 8, 2, 8, 1, 8], "a:b": [1, 2, 3, 4, 5, 6, 7, 8],
    "age^2": [8, 7, 6, 5, 4, 3, 2, 1], "größe": ["S", "M", "L", "S", "M", "L", "S", "M"],
}  # fmt: skip
TERMS = [
    "age",
    "age^2",
    "log(income)",
    "C(grade)",
    "C(city)",
    "age:income",
    "C(grade):age",
    "my col",
    "my col^3",
    "C(größe)",
    " it's : age ",
    "`a:b`",
    "C(`age^2`)",
    "`a:b`^2",
    "log(my col):C(größe)",
]
IDS = {
    "number": [*range(50), 10**12, -3],
    "text": ["a", "Zürich", "x-0001", "", "1:2", *map(str, range(47))],
}
TABLES = {"units": UNITS, "empty": EMPTY, "one_arm": ONE_ARM, "categories": CATEGORIES, "ids": IDS}


def columns(names: list[str]) -> list[dict[str, str]]:
    """Columns as the macros take them."""
    return [{"name": name, "sql": name} for name in names]


WEIGHTS = [
    {"column": None, "estimand": None, "estimator": None},
    {"column": "w", "estimand": "ATT", "estimator": "ipw"},
]
WEIGHTED = [{"column": column, "estimand": "ATE", "estimator": column} for column in ("w", "e")]
SMD_COLUMNS = [*NAMES, "mixed", "constant", "arm"]
VIF_SETS = {
    "random": [*NAMES, "t"], "collinear": [*NAMES[:2], "mixed", *NAMES[2:], "t"],
    "constant": ["constant", *NAMES, "t"], "stand_in": [*NAMES, "arm", "t"], "alone": ["t"],
}  # fmt: skip


def statistics(quote: str) -> list[Row]:
    """All that is measured, in one call of dbt."""

    def one(name: str, macro: str, around: str = "{}", **arguments: Any) -> Row:
        return {"name": name, "macro": macro, "arguments": arguments, "around": around}

    out = []
    for table in ("units", "empty", "one_arm"):
        relation = f"scenarios.{table}"
        out += [
            one(f"smd_{table}", "standardised_differences", relation=relation, treatment="t",
                columns=columns(SMD_COLUMNS), weights=WEIGHTS),
            one(f"overlap_{table}", "overlap_share", relation=relation, treatment="t", propensity="e",
                low=0.1, high=0.9, allocation=0.5),
            one(f"ess_{table}", "effective_sample_sizes", relation=relation, treatment="t", weights=WEIGHTED),
        ]  # fmt: skip
    for name, chosen in VIF_SETS.items():
        out.append(one(f"vif_{name}", "variance_inflation", relation="scenarios.units", columns=columns(chosen)))
    for kind in IDS:
        for k in (2, 5):
            name = f"{quote}{kind}{quote}"
            around = f"select {name} as id, {{}} as fold from scenarios.ids"
            out.append(one(f"fold_{kind}_{k}", "md5_fold", around, unit=name, seed=20260101, folds=k))
    out.append(one("terms", "term_columns", relation="scenarios.categories", terms=TERMS, unit="unit_id"))
    return out


class DuckDB:
    """The engine of profile target `dev`."""

    target, quote = "dev", '"'

    def __init__(self, project: Path) -> None:
        self.project, self.warehouse = project, project / "warehouse.duckdb"

    def write(self, tables: dict[str, dict[str, Any]]) -> None:
        with duckdb.connect(str(self.warehouse)) as connection:
            connection.execute("create schema scenarios")
            for name, table in tables.items():
                connection.register("made_up", pa.table(table))
                connection.execute(f"create table scenarios.{name} as select * from made_up")

    def measure(self, wanted: list[Row]) -> None:
        arguments = ("--args", json.dumps({"statistics": wanted}))
        done = dbt(self.project, "run-operation", "measure", *arguments, "--target", self.target)
        assert done.returncode == 0, done.stdout + done.stderr

    def read(self, name: str) -> list[Row]:
        return rows(self.warehouse, f"select * from measured.{name}")


class Spark:
    """Local Spark through dbt-spark's session method."""

    quote = "`"

    def __init__(self, project: Path) -> None:
        self.project, self.session = project, spark_support.session()

    def write(self, tables: dict[str, dict[str, Any]]) -> None:
        for name, table in tables.items():
            spark_support.write(self.session, f"scenarios.{name}", pa.table(table))

    def measure(self, wanted: list[Row]) -> None:
        arguments = ("run-operation", "measure", "--args", json.dumps({"statistics": wanted}))
        spark_support.dbt(self.project, "cqox_integration", *arguments)

    def read(self, name: str) -> list[Row]:
        return [row.asDict() for row in self.session.table(f"measured.{name}").collect()]


@pytest.fixture(scope="module", params=[DuckDB, Spark])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    one = request.param(installed(tmp_path_factory.mktemp("parity")))
    one.write(TABLES)
    one.measure(statistics(one.quote))
    return one


def test_standardised_differences(engine: Any) -> None:
    found = {(row["subject"], row["estimator"]): row["value"] for row in engine.read("smd_units")}
    x = np.column_stack([UNITS[name] for name in SMD_COLUMNS])
    for estimator, w in ((None, np.ones(N)), ("ipw", W)):
        ours = balance.standardised_differences(x, T, w)
        for name, value, column in zip(SMD_COLUMNS, ours, x.T, strict=True):
            if name == "arm":
                # no spread inside the arms: infinite in Python, NULL in SQL; both fail the gate
                assert np.isinf(value)
                assert found[name, estimator] is None
                continue
            assert found[name, estimator] == pytest.approx(value, rel=1e-9, abs=1e-12)
            if name != "constant":
                # Austin 2011
                gap = np.sum((w * column)[T == 1]) / w[T == 1].sum() - np.sum((w * column)[T == 0]) / w[T == 0].sum()
                sd = np.sqrt((np.var(column[T == 1], ddof=1) + np.var(column[T == 0], ddof=1)) / 2)
                assert value == pytest.approx(gap / sd, rel=1e-9, abs=1e-12)
    assert found["constant", None] == found["constant", "ipw"] == 0


@pytest.mark.parametrize("table", ["empty", "one_arm"])
def test_standardised_differences_are_null_without_both_arms(engine: Any, table: str) -> None:
    found = engine.read(f"smd_{table}")
    assert len(found) == len(SMD_COLUMNS) * len(WEIGHTS)
    assert all(row["value"] is None for row in found)


def test_overlap(engine: Any) -> None:
    found = {row["estimand"]: float(row["value"]) for row in engine.read("overlap_units")}
    assert found["ATE"] == pytest.approx(np.mean((E >= 0.1) & (E <= 0.9)), rel=1e-12)
    assert found["ATT"] == pytest.approx(np.mean(E[T == 1] < 0.9), rel=1e-12)
    assert [row["value"] for row in engine.read("overlap_empty")] == [None, None]


def test_effective_sample_size(engine: Any) -> None:
    found = {row["estimator"]: row["value"] for row in engine.read("ess_units")}
    for name in ("w", "e"):
        arms = [UNITS[name][arm == T] for arm in (0, 1)]
        assert found[name] == pytest.approx(min(inference.effective_sample_size(arm) for arm in arms), rel=1e-12)
        # Kish 1965
        assert found[name] == pytest.approx(min(arm.sum() ** 2 / (arm @ arm) for arm in arms), rel=1e-12)
    assert [row["value"] for row in engine.read("ess_empty")] == [None, None]


def inflation(names: list[str]) -> np.ndarray:
    """The diagonal of the inverse of the correlation matrix."""
    return np.diag(np.linalg.inv(np.corrcoef(np.column_stack([UNITS[name] for name in names]), rowvar=False)))


@pytest.mark.parametrize("case", VIF_SETS)
def test_variance_inflation(engine: Any, case: str) -> None:
    found = {row["subject"]: row["value"] for row in engine.read(f"vif_{case}")}
    # the column that earlier ones explain has an infinite factor, and one that never varies goes with nothing
    special = {"mixed": None, "constant": 1.0}
    kept = [name for name in VIF_SETS[case][:-1] if name not in special]
    expected = dict(zip(kept, inflation(kept), strict=True)) if kept else {}
    expected["t"] = {"stand_in": None, "alone": 1.0}.get(case, inflation([*NAMES, "t"])[-1])
    expected |= {name: value for name, value in special.items() if name in found}
    assert set(found) == set(VIF_SETS[case]) == set(expected)
    for name, value in expected.items():
        assert found[name] == (None if value is None else pytest.approx(value, rel=1e-8)), name


@pytest.mark.parametrize("kind", IDS)
@pytest.mark.parametrize("k", [2, 5])
def test_folds(engine: Any, kind: str, k: int) -> None:
    found = {row["id"]: row["fold"] for row in engine.read(f"fold_{kind}_{k}")}
    assert len(found) == len(IDS[kind])
    ours = dict(zip(IDS[kind], folds.md5_folds(IDS[kind], k, 20260101).tolist(), strict=True))
    assert found == ours
    assert found == {i: int(hashlib.md5(f"{i}:20260101".encode()).hexdigest()[:8], 16) % k for i in IDS[kind]}
    assert set(found.values()) == set(range(k))


def test_terms(engine: Any) -> None:
    found = sorted(engine.read("terms"), key=lambda row: row["unit_id"])
    plain = {
        name: np.array(values, dtype=object if name in ("city", "größe") else float)
        for name, values in CATEGORIES.items()
    }
    ours = terms.matrix(TERMS, plain, len(found))
    assert tuple(found[0])[1:] == ours.names
    values = np.array([[float(row[name]) for name in ours.names] for row in found])
    np.testing.assert_allclose(values, ours.values, rtol=1e-14)
