"""Rows smd and vif of the design table: by hand, streamed, of an engine, and where there is nothing to compute."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from estimators import design, estimate
from estimators.collinearity import correlations, variance_inflation
from estimators.scores import WEIGHTS, weight_column

N = 400
RNG = np.random.default_rng(5)
X = RNG.normal(size=(N, 3))
T = (X[:, 0] + RNG.normal(size=N) > 0).astype(float)
UNITS = {
    "unit_id": np.arange(N), "t": T, "y": X[:, 1] + T, "x1": X[:, 0], "x2": 1e9 + np.round(20 * X[:, 1]),
    "x3": X[:, 2] + X[:, 0], "g": np.array(list("abcd"))[RNG.integers(0, 4, N)],
}  # fmt: skip
W = {weight_column(*weight): RNG.gamma(2.0, size=N) for weight in WEIGHTS}
SCORES = pa.table({"unit_id": np.arange(N), **W})
BLOCK = {
    "question": "?", "design": "observational", "outcome": "y", "treatment": "t", "covariates": ["x1", "x2", "x3"],
    "decision": {"primary": "ope", "estimand": "ATE", "desired_direction": "more", "minimum_effect": 0},
}  # fmt: skip


def values(block, units, metric, **tables):
    """Value of each subject, estimator and estimand."""
    rows = design("s", {**BLOCK, **block}, units, **tables).to_pylist()
    assert all(row["reason"] for row in rows)
    return {(r["subject"], r["estimator"], r["estimand"]): r["value"] for r in rows if r["metric"] == metric}


@pytest.mark.parametrize("budget", [10**9, 10], ids=["in memory", "streamed"])
def test_differences_by_the_formula(budget):
    found = values({"row_budget": budget}, UNITS, "smd", scores=SCORES)
    assert len(found) == 3 * (len(WEIGHTS) + 1)
    for name in ("x1", "x2", "x3"):
        x = UNITS[name] - UNITS[name].mean()  # on a mean of 1e9 the difference of two averages has seven digits
        sd = np.sqrt((x[T == 1].var(ddof=1) + x[T == 0].var(ddof=1)) / 2)
        for weight in ((None, None), *WEIGHTS):
            w = np.ones(N) if weight[0] is None else W[weight_column(*weight)]
            gap = np.average(x[T == 1], weights=w[T == 1]) - np.average(x[T == 0], weights=w[T == 0])
            assert found[name, *weight] == pytest.approx(gap / sd, rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("budget", [10**9, 10], ids=["in memory", "streamed"])
def test_factors_by_the_inverse(budget):
    found = values({"row_budget": budget}, UNITS, "vif")
    x = np.column_stack([UNITS[name] for name in ("x1", "x2", "x3", "t")])
    among = np.diag(np.linalg.inv(np.corrcoef(x[:, :3], rowvar=False)))
    treated = np.diag(np.linalg.inv(np.corrcoef(x, rowvar=False)))[-1]
    expected = dict(zip(("x1", "x2", "x3", "t"), [*among, treated], strict=True))
    assert {name: found[name, None, None] for name in expected} == pytest.approx(expected, rel=1e-8)


def test_infinite_factors():
    twin = np.array([[1, 1, 0.5], [1, 1, 0.5], [0.5, 0.5, 1]])
    assert variance_inflation(twin) == [1.0, None, pytest.approx(1 / 0.75)]
    assert variance_inflation(np.ones((2, 2))) == [1.0, None]
    assert variance_inflation(correlations(np.array([[0.0, 0.0], [0.0, 4.0]]))) == [1.0, 1.0]


@pytest.mark.parametrize("budget", [10**9, 10], ids=["in memory", "streamed"])
def test_a_dose_has_factors_only(budget):
    units = {**UNITS, "t": X[:, 0] + RNG.normal(size=N)}
    block = {**BLOCK, "decision": {**BLOCK["decision"], "primary": "ols"}, "row_budget": budget}
    rows = design("s", block, units).to_pylist()
    assert [row["metric"] for row in rows] == ["vif"] * 4
    assert all(row["value"] >= 1 for row in rows)


@pytest.mark.parametrize("budget", [10**9, 10], ids=["in memory", "streamed"])
def test_rows_that_are_compared_have_a_score(budget):
    some = SCORES.slice(0, 300)
    found = values({"row_budget": budget}, UNITS, "smd", scores=some)
    first = {name: column[:300] for name, column in UNITS.items()}
    assert found == pytest.approx(values({}, first, "smd", scores=some), rel=1e-9, abs=1e-11)
    everyone = values({"row_budget": budget}, UNITS, "vif", scores=some)
    assert everyone == pytest.approx(values({}, UNITS, "vif"), rel=1e-9)


def test_wide_units_are_not_held(monkeypatch):
    monkeypatch.setattr("estimators.assemble.NUMBERS_HELD", 100)
    monkeypatch.setattr("estimators.covariates.covariate_design", None)
    assert len(values({"covariates": ["x1", "C(g)"]}, UNITS, "vif")) == 5


def test_an_id_read_as_a_category_is_refused():
    units = {**UNITS, "g": np.array([f"u{i}" for i in range(N)])}
    for budget in (10**9, 10):
        rows = design("s", {**BLOCK, "covariates": ["C(g):C(g)"], "row_budget": budget}, units).to_pylist()
        assert {row["value"] for row in rows} == {None}
        assert all("Group the levels of the categories in the units" in row["remedy"] for row in rows)


def test_an_engine_adds_up_the_same():
    ibis = pytest.importorskip("ibis")
    backend = ibis.duckdb.connect()
    table = backend.create_table("units", pa.table(UNITS))
    block = {"covariates": ["x1", "x3", "C(g)"], "row_budget": 10}
    for metric in ("smd", "vif"):
        assert values(block, table, metric) == pytest.approx(values(block, UNITS, metric), rel=1e-8, abs=1e-10)
    rows = design("s", {**BLOCK, **block}, table, scores=SCORES).to_pylist()
    assert all("the scores do not lie where the units do" in row["reason"] for row in rows)


@pytest.mark.parametrize("budget", [10**9, 10], ids=["in memory", "streamed"])
@pytest.mark.parametrize(
    ("kind", "values", "mend"),
    [
        ("DATE", "date '2020-01-01' + (i % 9)::int", "Cast it to a number in the units"),
        ("TIMESTAMP", "timestamp '2020-01-01' + to_days((i % 9)::int)", "Cast it to a number in the units"),
        ("INTERVAL", "to_days((i % 9)::int)", "Cast it to a number in the units"),
        ("UUID", "uuid()", "Cast it to a number in the units"),
        ("BIGINT[]", "[i]", "Give one number or one text a row"),
        ("STRUCT(A BIGINT)", "{'a': i}", "Give one number or one text a row"),
        ("BLOB", "'a'::blob", "Give one number or one text a row"),
    ],
)
@pytest.mark.parametrize("role", ["outcome", "treatment", "weight", "covariates", "time"])
def test_a_type_that_is_no_number_is_refused_by_name(role, kind, values, mend, budget):
    connection = duckdb.connect()
    connection.execute(
        f"create table units as select i as unit_id, i % 2 as t, i as y, {values} as d from range(40) r(i)"
    )
    declared = {**BLOCK, "covariates": [], "row_budget": budget, "decision": {**BLOCK["decision"]}}
    declared["decision"]["primary"] = "difference_in_means"
    declared |= {role: ["d"] if role == "covariates" else "d"}
    rows = estimate("s", declared, connection.table("units"), session=connection).to_pylist()
    label = "covariate" if role == "covariates" else role
    if role == "time" and kind in ("DATE", "TIMESTAMP"):  # of which periods are counted
        assert not any("'d' holds" in (row["status_reason"] or "") for row in rows)
        return
    for row in rows:
        assert row["status"] == "refused"
        assert f"{label} 'd' holds {kind} values. {mend}" in row["status_reason"]
    assert design("s", declared, connection.table("units"), connection).num_rows == 0
