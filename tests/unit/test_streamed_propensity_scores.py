"""The scores table of a streamed study: the in-memory table's rows, made by DuckDB from a stream."""

import gc
from decimal import Decimal

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import scan_support
import support

from estimators import Study, score
from estimators.assemble import assemble
from estimators.errors import Refusal
from estimators.scan import likelihood, moments_scan
from estimators.scores import SCORES_SCHEMA
from estimators.streamed import matched
from estimators.streamed.scores import score_stream
from estimators.streamed.weighing import weighed

N = 1_200


def data(n=N, **more):
    out = scan_support.centred(scan_support.rows(n))
    rng = np.random.default_rng(5)
    out["c"] = np.array(["a", "b", "c", "d"])[rng.integers(0, 4, n)]
    out |= {"c1": rng.integers(0, 2, n) * 1.0, "c2": rng.integers(0, 3, n) * 1.0}  # propensities that tie
    return {**out, **more}


def block(x=scan_support.X, **more):
    return support.observational("y", "t", list(x), unit="unit_id", **more)


def table(units, declared, budget):
    made = score("s", {**declared, "row_budget": budget}, units)
    made = made if isinstance(made, pa.Table) else made.to_arrow_table()
    # Texts that every row has come as ENUMs.
    texts = [pa.field(f.name, f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in made.schema]
    return made.cast(pa.schema(texts)).sort_by("unit_id")


def same(units, declared):
    """The streamed table, checked against memory column by column."""
    memory, streamed = table(units, declared, 10**9), table(units, declared, 10)
    assert streamed.schema.equals(memory.schema)
    for name in memory.column_names:
        a, b = memory[name], streamed[name]
        if pa.types.is_floating(a.type):
            np.testing.assert_array_equal(a.is_null().to_pylist(), b.is_null().to_pylist(), err_msg=name)
            a, b = a.fill_null(-1).to_numpy(), b.fill_null(-1).to_numpy()
            # A score near zero is a difference of numbers of its column's size.
            np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-10 * np.std(a), err_msg=name)
        elif name not in ("spec_hash", "data_hash"):
            assert a.to_pylist() == b.to_pylist(), name
    return streamed


@pytest.mark.parametrize("more", [
    {}, {"weight": "w"}, {"cluster": "g"}, {"options": {"folds": 1, "outcome": {"interactions": "none"}}},
    {"options": {"propensity": {"link": "probit"}, "outcome": {"interactions": ["x1"]}}},
    {"options": {"psm": {"caliper": 0.01, "neighbours": 2}}}, {"x": ("c1", "c2"), "options": {"folds": 2}},
    {"x": (*scan_support.X, "C(c)", "x1^2"), "options": {"ope": {"clip": 0.2}, "stratification": {"strata": 9}}},
])  # fmt: skip
def test_the_table_is_that_of_memory(more):
    got = same(data(), block(**more))
    assert got.num_rows == N
    empty = {"status_reason", "remedy", "refusals"}
    assert {name for name in got.column_names if got[name].null_count} == empty
    assert set(got["study"].to_pylist()) == {"s"}
    assert len(got["spec_hash"][0].as_py()) == 64


def test_missing_rows_and_a_covariate_of_mean_1e9():
    units = {**data(), "x2": scan_support.rows(N)["x2"]}
    units["x1"][::17] = np.nan
    assert same(units, block(missing="drop")).num_rows == N - len(range(0, N, 17))


@pytest.mark.parametrize(("ids", "kind"), [
    (np.arange(N, dtype=np.int32), pa.int64()), (np.arange(float(N)), pa.int64()),
    ([f"u{i:05d}" for i in range(N)], pa.string()), (np.arange(N) + 1000.5, pa.string()),
    (np.arange(N, dtype=np.uint64), pa.int64()), (np.arange(N, dtype=np.uint64) + np.uint64(2**63), pa.uint64()),
    ([Decimal(2**70 + i) for i in range(N)], pa.decimal128(38)),
])  # fmt: skip
def test_units_keep_their_names(ids, kind):
    assert same(data(unit_id=ids), block(x=("x1",))).schema.field("unit_id").type == kind


def test_weights_of_an_estimator_that_refuses_are_null():
    options = {"stratification": {"strata": 80}, "psm": {"replace": False, "caliper": 0.05}}
    got = same(data(300), block(options=options))
    assert got["weight_stratification_ate"].null_count == 300
    assert got["weight_psm_ate"].null_count == 300
    assert got["weight_psm_att"].null_count == 0
    assert 0.0 in got["weight_psm_att"].to_pylist()


def test_what_is_not_finite_is_null():
    rng = np.random.default_rng(1)
    units = data()
    units["x1"] = units["x1"] * 20 + 60 * (units["t"] - 0.5) * (rng.random(N) < 0.97)
    same(units, block(x=("x1",), options={"ope": {"clip": 0.0}}))


@pytest.mark.parametrize("change", [
    {"t": np.arange(float(N))}, {"t": np.ones(N)}, {"x1": data()["t"]}, {"y": ["a"] * N},
    {"unit_id": np.zeros(N, dtype=int)},
])  # fmt: skip
def test_what_cannot_be_scored_is_one_row_as_in_memory(change):
    made = score("s", {**block(), "row_budget": 10}, data(**change))
    assert (made.num_rows, made.schema) == (1, SCORES_SCHEMA)
    (ours,), (theirs,) = (made.to_pylist(), score("s", block(), data(**change)).to_pylist())
    # The coefficients that ran furthest differ where the sums stop.
    assert {**ours, "status_reason": None} == {**theirs, "status_reason": None}
    assert ours["status_reason"].split(" (")[0] == theirs["status_reason"].split(" (")[0]


@pytest.mark.parametrize("options", [
    {"ope": {"clip": 0.6}}, {"stratification": {"strata": 0}}, {"outcome": {"interactions": ["x1^2"]}},
])  # fmt: skip
def test_options_out_of_bounds_cost_their_own_columns(options):
    got = same(data(), block(options=options))
    assert got["propensity"].null_count == 0
    assert got["weight_ipw_ate"].null_count == 0
    assert sum(got[name].null_count == N for name in got.column_names) > 0
    assert got["refusals"].null_count == 0


def problem(units, declared, threads=2):
    connection = duckdb.connect(config={"threads": threads})
    connection.register("given", pa.table(units))
    connection.execute("create table units as select * from given")
    study = Study.declare("s", {**declared, "row_budget": 10})
    return connection, assemble(study, connection.table("units"), connection)[0]


def databases(connection):
    return {row[0] for row in connection.execute("select database_name from duckdb_databases()").fetchall()}


@pytest.mark.parametrize("threads", [1, 4])
def test_dbt_makes_a_table_of_it(threads):
    """As dbt-duckdb does: registered on the session, and selected from once; the scratch of matching goes with it."""
    connection, found = problem(data(), block(), threads)
    before = databases(connection)
    relation = score_stream(found)
    assert len(databases(connection)) > len(before)
    del found
    gc.collect()
    connection.register("df", relation)
    connection.execute("create table scores as select * from df")
    connection.unregister("df")
    assert connection.execute("select count(*), count(weight_psm_att) from scores").fetchone() == (N, N)
    ate = connection.execute("select avg(dr_score) from scores").fetchone()[0]
    assert ate == pytest.approx(support.overall(support.run(block(), data(), "ope", "ATE")).estimate, rel=1e-9)
    with pytest.raises(duckdb.Error, match="already been consumed"):
        relation.fetchall()
    del relation
    gc.collect()
    assert databases(connection) == before


def test_the_scratch_of_matching_goes_when_something_fails(monkeypatch):
    connection, found = problem(data(), block())
    before = databases(connection)
    sides = matched.sides

    def fails(problem, estimand):
        if estimand == "ATT":
            raise ZeroDivisionError
        return sides(problem, estimand)

    monkeypatch.setattr(matched, "sides", fails)
    with pytest.raises(ZeroDivisionError):
        score_stream(found)
    del found
    gc.collect()
    assert databases(connection) == before


def test_nothing_is_fitted_twice(monkeypatch):
    _, found = problem(data(), block())
    weighed(found.for_run("ipw", "default"))
    for module in (likelihood, moments_scan):
        monkeypatch.setattr(module, "blocks", lambda *a: pytest.fail("a model is fitted again"))
    monkeypatch.setattr(matched, "sides", lambda *a: (_ for _ in ()).throw(Refusal("no")))
    got = score_stream(found).to_arrow_table()
    assert got.num_rows == N
    assert got["weight_psm_ate"].null_count == N


def test_entropy_balancing_streams_no_weights():
    """ipw refuses there; the propensity's weights would stand for an estimate that they did not make."""
    streamed = table(data(), block(options={"ipw": {"method": "entropy"}}), 10)
    assert streamed["weight_ipw_ate"].null_count == streamed["weight_ipw_att"].null_count == N
    assert streamed["weight_ipw_ato"].null_count == streamed["propensity"].null_count == 0
