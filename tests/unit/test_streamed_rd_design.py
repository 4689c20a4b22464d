"""The design of a discontinuity by scans, and the density test in memory and streamed against rddensity."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from streamed_support import close
from support import shuffled

from estimators import design
from estimators.discontinuity.density import continuity_p, density_p
from estimators.errors import Refusal
from estimators.scan import stream
from estimators.streamed import running as runs
from estimators.streamed.running import Running

BLOCK = {
    "question": "test", "design": "rd", "outcome": "y", "running": "x", "cutoff": 10, "missing": "drop",
    "decision": {"primary": "rd", "estimand": "LATE", "desired_direction": "more", "minimum_effect": 1},
}  # fmt: skip


def units(n=1500, digits=None, seed=3):
    rng = np.random.default_rng(seed)
    x = rng.normal(10.3, 2, n) if digits is None else np.round(rng.normal(10.3, 2, n), digits)
    z = rng.normal(size=n) + 0.2 * x
    return pa.table(
        {
            "unit_id": np.arange(n), "x": x, "y": np.where(np.arange(n) % 5, x + z, np.nan), "z": z,
            "jumps": (x >= 10) + 0.1 * rng.normal(size=n), "one": np.ones(n), "block": np.arange(n) // 5,
            "group": np.array(["a", "b", "c"])[rng.integers(0, 3, n)],
            "some": [None if i % 7 == 0 else float(v) for i, v in enumerate(z)],
            "letters": [None if i % 11 == 0 else "pqr"[i % 3] for i in range(n)],
        }
    )  # fmt: skip


def _running(x, cutoff, threads=2):
    connection = duckdb.connect()
    connection.execute(f"set threads = {threads}")
    connection.register("given", pa.table({"x": x}))
    connection.execute("create table units as select * from given")
    return Running.of(stream.Source.of(connection, "units"), "x", cutoff)


def _same(block, table):
    memory, streamed = (design("s", {**block, "row_budget": b}, table).to_pylist() for b in (10**9, 10))
    assert [{k: v for k, v in row.items() if k != "value"} for row in memory] == [
        {k: v for k, v in row.items() if k != "value"} for row in streamed
    ]
    for a, b in zip(memory, streamed, strict=True):
        close(a["value"], b["value"], 1e-9, a["subject"])
    return {(row["metric"], row["subject"]): row for row in streamed}


SAMPLES = {
    "normal": (np.random.default_rng(0).normal(size=2000), 0.1),
    "uniform": (np.random.default_rng(1).uniform(5, 15, 500), 10.0),
    "skewed": (np.exp(np.random.default_rng(2).normal(size=3000)), 1.0),
    "ties": (np.round(np.random.default_rng(3).normal(size=3000), 2), 0.1),
    "grid": (np.round(20 * np.random.default_rng(4).normal(size=3000)), 0.0),
    "few": (np.random.default_rng(5).integers(-6, 7, 3000).astype(float), 0.0),
    "heap": (np.concatenate([np.random.default_rng(6).normal(size=2000), np.zeros(60)]), 0.0),
    "far": (1e6 + np.random.default_rng(7).normal(size=2000), 1e6),
    "small": (np.random.default_rng(8).normal(size=60), 0.0),
}


@pytest.mark.parametrize("sample", SAMPLES)
def test_density_is_that_of_rddensity(sample):
    """The package rounds more: at the same bandwidth it is 3e-11 off a fit in extended precision, and this is 2e-13."""
    from rddensity import rddensity

    x, cutoff = SAMPLES[sample]
    peer = float(rddensity(X=x, c=cutoff).test["p_jk"])
    assert density_p(x, cutoff) == pytest.approx(peer, rel=2e-7, abs=1e-12)


@pytest.mark.parametrize("sample", SAMPLES)
def test_density_streamed_is_that_in_memory(monkeypatch, sample):
    x, cutoff = SAMPLES[sample]
    own = density_p(x, cutoff)
    assert continuity_p(_running(x, cutoff)) == pytest.approx(own, rel=1e-9)
    monkeypatch.setattr(stream, "ROWS", 2048)
    monkeypatch.setattr(runs, "ROWS_A_CELL", 1e9)
    assert continuity_p(_running(x, cutoff)) == pytest.approx(own, rel=1e-9)


def test_density_sees_who_chose_a_side():
    rng = np.random.default_rng(9)
    x = rng.normal(size=200_000)
    honest, sorted_in = x, x[(x < 0) | (x > 0.1) | (rng.random(len(x)) < 0.5)]
    assert continuity_p(_running(honest, 0.0)) > 0.05
    assert continuity_p(_running(sorted_in, 0.0)) < 1e-6
    order = rng.permutation(len(honest))
    one, other = (continuity_p(_running(v, 0.0, threads)) for v, threads in ((honest, 1), (honest[order], 4)))
    assert one == pytest.approx(other, rel=1e-10)


def test_a_jump_beyond_every_doubt_has_a_p_value_above_zero():
    x = np.random.default_rng(10).uniform(-1, 1, 20_000)
    p = density_p(x[(x < 0) | (np.arange(20_000) % 4 == 0)], 0.0)
    assert 0 < p < 1e-17


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.linspace(0, 9, 100), "no observation right"),
        (np.linspace(0, 11, 100), "at least 20"),
        (np.repeat([7.0, 8, 9, 9.5, 9.6, 10, 11, 12, 13, 14], 30), "5 distinct values left of the cutoff; the density"),
    ],
)
def test_density_refused(x, words):
    for test in (lambda: density_p(x, 10.0), lambda: continuity_p(_running(x, 10.0))):
        with pytest.raises(Refusal, match=words):
            test()


@pytest.mark.parametrize("digits", [None, 1])
@pytest.mark.parametrize("more", [{}, {"cluster": "block"}, {"options": {"rd": {"order": 2, "kernel": "uniform"}}}])
def test_design_is_that_of_memory(digits, more):
    covariates = ["z", "jumps", "C(group)", "one", "some", "C(letters)", "z^2"]
    found = _same({**BLOCK, **more, "covariates": covariates}, units(digits=digits))
    assert found["covariate_continuity_p", "jumps"]["value"] < 0.001
    assert found["covariate_continuity_p", "one"]["reason"] == "one is constant"
    assert found["density_p", "overall"]["value"] > 0
    assert len(found) == 10


def test_design_reads_units_without_an_outcome_and_no_outcome():
    table = units()
    blank = table.set_column(2, "y", pa.array(np.arange(table.num_rows, dtype=float)))
    block = {**BLOCK, "covariates": ["z"]}
    assert _same(block, table) == _same(block, blank)


def test_design_refuses_term_by_term():
    found = _same({**BLOCK, "covariates": ["log(z)", "jumps"]}, units())
    assert "is not a finite number" in found["covariate_continuity_p", "log(z)"]["reason"]
    assert found["covariate_continuity_p", "jumps"]["value"] is not None
    far = _same({**BLOCK, "cutoff": 40, "covariates": ["z"]}, units())
    assert {row["value"] for row in far.values()} == {None}
    assert all("no observation right of the cutoff" in row["reason"] for row in far.values())


def test_design_does_not_depend_on_the_order_of_rows():
    block = {**BLOCK, "covariates": ["z", "some"], "row_budget": 10}
    one, other = (design("s", block, table).to_pylist() for table in (units(), shuffled(units())))
    for a, b in zip(one, other, strict=True):
        close(a["value"], b["value"], 1e-10, a["subject"])
