"""Instrumental variables of a streamed study: by hand, against rows in memory, refusals, metamorphic."""

from __future__ import annotations

import json
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import support
from streamed_support import TOLERANCE, both, close, same

from estimators import design, estimate
from estimators.scan import instrumental

Columns = dict[str, Any]


def units(n: int = 900, strength: float = 1.0, seed: int = 5) -> Columns:
    """Two instruments, errors that spread with the first, 40 clusters, a category, and a column of mean 1e9."""
    rng = np.random.default_rng(seed)
    x, z1, z2, hidden = rng.normal(size=(4, n))
    shared = rng.normal(size=40)[np.arange(n) % 40]
    d = strength * (z1 + 0.5 * z2) + 0.5 * x + hidden + rng.normal(size=n)
    y = 1 + 2 * d + x - 2 * hidden + shared + rng.normal(size=n) * (1 + np.abs(z1))
    return {
        "unit_id": np.arange(n), "y": y, "d": d, "x": x, "z1": z1, "z2": z2, "school": np.arange(n) % 40,
        "c": np.array(["a", "b", "c"])[rng.integers(0, 3, n)], "twice": 2 * x + 1,
        "big": 1e9 + rng.integers(-20, 20, n), "w": 0.5 + rng.random(n),
    }  # fmt: skip


def block(instruments: tuple[str, ...] = ("z1", "z2"), **more: Any) -> Columns:
    options = {"iv": more.pop("iv", {}), **more.pop("options", {})}
    out = support.observational("y", "d", ["x"], design="iv", instruments=list(instruments), options=options)
    decision = {**out["decision"], "primary": "iv", "estimand": "LATE"}
    return {**out, "decision": decision, "folds": 1, **more}


@pytest.mark.parametrize("instruments", [("z1",), ("z1", "z2")])
@pytest.mark.parametrize("method", ["2sls", "liml", "gmm"])
@pytest.mark.parametrize("variance", ["classical", "robust", "cluster"])
def test_every_method_and_variance_is_that_in_memory(variance, method, instruments):
    own = {"method": method} | ({} if variance == "cluster" else {"variance": variance})
    more = {"cluster": "school"} if variance == "cluster" else {}
    covariates = ["x", "x^2", "C(c)", "twice", "big"]
    (row,) = same(block(instruments, iv=own, covariates=covariates, **more), units(), "iv")
    assert row["status"] == "estimated"
    assert row["std_error"] > 0
    assert row["n_clusters"] == (40 if variance == "cluster" else None)


@pytest.mark.parametrize("cluster", [None, "school"])
@pytest.mark.parametrize("strength", [0.0, 0.12])
def test_weak_instruments(strength, cluster):
    """Unbounded and bounded Anderson-Rubin sets, without standard errors."""
    (row,) = same(block(cluster=cluster) if cluster else block(), units(strength=strength), "iv")
    assert (row["std_error"], row["variance_estimator"]) == (None, "anderson_rubin")
    assert row["status_reason"].startswith("weak instruments")


def test_wald_ratio_by_hand():
    z = np.repeat([0.0, 1.0], 50)
    d = np.concatenate([np.repeat([0.0, 1.0], [40, 10]), np.repeat([0.0, 1.0], [10, 40])])
    y = 3 * d + np.tile([0.0, 1.0, 5.0, 2.0], 25)
    (row,) = same(block(("z1",), covariates=[]), {"unit_id": np.arange(100), "y": y, "d": d, "z1": z}, "iv")
    assert row["estimate"] == pytest.approx((y[z == 1].mean() - y[z == 0].mean()) / 0.6, rel=1e-12)
    assert (row["n_units"], row["n_treated"], row["degrees_of_freedom"]) == (100, 50, 98)


def test_own_instruments_and_covariates_and_specifications():
    more = {"specifications": {"bare": {"estimators": ["iv"], "iv": {"covariates": []}}}}
    rows = same(block(iv={"instruments": ["z2", "C(c)"], "covariates": ["x:z1", "x"]}, **more), units(), "iv")
    assert [row["specification"] for row in rows] == ["default", "bare"]
    assert rows[0]["estimate"] != rows[1]["estimate"]


def test_missing_rows_are_left_out_and_counted():
    data = units()
    for name, at in (("y", 3), ("d", 50), ("z1", 7), ("x", 600)):
        data[name] = np.where(np.arange(900) == at, np.nan, data[name])
    (row,) = same(block(missing="drop"), data, "iv")
    assert (row["n_units"], row["n_trimmed"]) == (896, 4)


def test_text_clusters():
    data = units()
    numbers = same(block(cluster="school"), data, "iv")
    words = same(block(cluster="school"), {**data, "school": np.array([f"s{g}" for g in data["school"]])}, "iv")
    assert words[0]["std_error"] == pytest.approx(numbers[0]["std_error"], rel=1e-12)


@pytest.mark.parametrize("method", ["2sls", "gmm"])
def test_nearly_collinear_covariates_keep_their_digits(method):
    data = units()
    data["age"] = np.random.default_rng(1).uniform(20, 60, 900)
    terms = ["age", "age^2", "age^3", "age^4"]
    same(block(covariates=terms, iv={"method": method}), data, "iv")


def test_an_outcome_far_from_zero_keeps_its_digits():
    data = units()
    # Multiples of 1/16, so that adding 1e9 rounds nothing.
    data["y"] = np.round(data["y"] * 16) / 16
    (near,) = same(block(), data, "iv")
    (far,) = same(block(), {**data, "y": data["y"] + 1e9}, "iv")
    for name in ("estimate", "std_error"):
        assert far[name] == pytest.approx(near[name], rel=1e-9)


def test_one_scan_beside_the_shared_one_and_two_for_gmm(monkeypatch):
    scans = []
    run = instrumental.Scan.run
    monkeypatch.setattr(instrumental.Scan, "run", lambda self: scans.append(1) or run(self))
    for method, wanted in (("2sls", 1), ("liml", 1), ("gmm", 2)):
        scans.clear()
        estimate("s", {**block(iv={"method": method}, covariates=["x", "C(c)"]), "row_budget": 10}, units())
        assert len(scans) == wanted


def test_row_order_changes_nothing():
    table = pa.table(units())
    for own in (block(iv={"method": "gmm"}), block(cluster="school")):
        (row,), (other,) = (same(own, given, "iv") for given in (table, support.shuffled(table)))
        for name in ("estimate", "std_error", "conf_low"):
            assert other[name] == pytest.approx(row[name], rel=1e-10)


@pytest.mark.parametrize("cluster", [{}, {"cluster": "school"}])
def test_threads_change_nothing(cluster):
    """Enough rows for several of DuckDB's row groups."""
    found = []
    for threads in (1, 4):
        connection = duckdb.connect()
        connection.execute(f"set threads = {threads}")
        connection.execute(
            """create table units as
            with a as (select i as unit_id, hash(i, 1) % 1009 / 1009 - 0.5 as z1, hash(i, 2) % 1009 / 1009 - 0.5 as h,
                       hash(i, 3) % 1009 / 1009 - 0.5 as x, hash(i, 4) % 50 as school from range(300000) t(i))
            select *, z1 + h + x as d, z1 * h - 2 * h + 2 * (z1 + h + x) as y from a"""
        )
        table = estimate("s", {**block(("z1",), **cluster), "row_budget": 10}, connection.table("units"),
                         session=connection)  # fmt: skip
        (row,) = [row for row in table.to_pylist() if row["estimator"] == "iv"]
        found.append(row)
    assert found[0]["std_error"] > 0
    for name in ("estimate", "std_error"):
        assert found[0][name] == pytest.approx(found[1][name], rel=1e-11)


@pytest.mark.parametrize(
    ("change", "more", "words", "status"),
    [
        ({"z1": lambda u: 2 * u["x"] + 1}, {}, "explain the instrument", "not_identified"),
        ({"z1": lambda u: u["x"] * 0 + 4}, {}, "explain the instrument", "not_identified"),
        ({"d": lambda u: 3 * u["x"]}, {}, "explain the treatment", "not_identified"),
        ({"y": lambda u: u["y"] * 0}, {}, "in every row", "refused"),
        ({"school": lambda u: u["school"] * 0}, {"cluster": "school"}, "all rows are in one cluster", "refused"),
        ({"school": lambda u: u["school"] % 3}, {"cluster": "school", "iv": {"method": "gmm"}, "covariates":
         ["x", "x^2", "x^3"]}, "covariance is singular", "refused"),
        ({"x": lambda u: u["x"] * 0}, {"covariates": ["log(x)"]}, "not a finite number", "refused"),
        ({"c": lambda u: np.minimum(u["unit_id"], 37)}, {"covariates": ["C(c)"]}, "40 rows cannot carry", "refused"),
        ({}, {"weight": "w"}, "does not use the declared weight", "refused"),
    ],
)  # fmt: skip
def test_refusals_are_those_in_memory(change, more, words, status):
    data = units(40)
    data |= {name: make(data) for name, make in change.items()}
    ((memory, streamed),) = both(block(("z1",), **more), data, "iv")
    assert words in streamed["status_reason"]
    assert (memory["status"], memory["status_reason"]) == (status, streamed["status_reason"])
    assert streamed["status"] == status
    assert streamed["estimate"] is None


def test_terms_of_other_estimators_do_not_stop_it():
    data = units()
    data["x0"] = data["x"] * 0
    other = {"ols": {"covariates": ["log(x0)"]}}
    same(block(options=other), data, "iv")


@pytest.mark.parametrize("more", [{}, {"cluster": "school"}, {"iv": {"variance": "classical"}}, {"weight": "w"}])
@pytest.mark.parametrize("change", [{}, {"z1": lambda u: 2 * u["x"]}, {"y": lambda u: u["y"] * 0}])
def test_the_design_is_that_in_memory(more, change):
    data = units(200)
    data |= {name: make(data) for name, make in change.items()}
    found = [design("s", {**block(("z1",), **more), "row_budget": budget}, data).to_pylist() for budget in (10**9, 10)]
    assert [row["metric"] for row in found[1]] == ["first_stage_f", "effective_f", "vif", "vif"]
    for memory, streamed in zip(*found, strict=True):
        assert memory["reason"] == streamed["reason"]
        close(memory["value"], streamed["value"], TOLERANCE, memory["metric"])


def test_every_diagnostic_is_there():
    (row,) = same(block(), units(), "iv")
    found = {d["metric"]: d["value"] for d in json.loads(row["diagnostics"])}
    assert set(found) == {
        "first_stage_f", "first_stage_f_robust", "effective_f", "ar_low", "ar_high", "ar_shape", "wu_hausman_p",
        "hansen_j", "hansen_j_p",
    }  # fmt: skip
    assert all(value is not None for value in found.values())
