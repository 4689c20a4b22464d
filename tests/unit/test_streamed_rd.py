"""A discontinuity by scans: the same rows as in memory, whatever the blocks, the threads and the order of the rows."""

from __future__ import annotations

import json
import tracemalloc

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from streamed_support import NUMBERS, both, close, same
from support import overall, shuffled

from estimators import estimate
from estimators.assemble import assemble
from estimators.scan import stream
from estimators.streamed import running as runs
from estimators.streamed.rd import rd
from estimators.study import Study

BLOCK = {
    "question": "test", "design": "rd", "outcome": "y", "running": "x", "cutoff": 10,
    "decision": {"primary": "rd", "estimand": "LATE", "desired_direction": "more", "minimum_effect": 1},
}  # fmt: skip


def units(n=1200, digits=None, seed=6, jump=0.4, offset=0.0):
    """Units about a cutoff of 10: fuzzy treatment, covariates (one a line in another), text categories, clusters."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(5, 15, n) if digits is None else np.round(rng.uniform(5, 15, n), digits)
    takes = (rng.random(n) < np.where(x >= 10, 0.8, 0.3)).astype(float)
    z = rng.normal(size=n)
    y = 2 + 0.5 * x + 0.03 * (x - 10) ** 2 + jump * takes + z + (0.5 + 0.1 * x) * rng.normal(size=n)
    return pa.table(
        {
            "unit_id": np.arange(n), "x": x + offset, "y": y, "z": z, "line": 2 * z + 1, "group": _letters(rng, n),
            "takes": takes, "right": (x >= 10).astype(float), "left": (x < 10).astype(float), "one": np.ones(n),
            "half": np.where(x < 10, 0.0, takes), "block": (np.arange(n) // 6).astype(str), "pair": np.arange(n) // 2,
        }
    )  # fmt: skip


def _letters(rng, n):
    return np.array(["a", "b", "c"])[rng.integers(0, 3, n)]


def _block(options=None, **more):
    return {**BLOCK, **({"options": {"rd": options}} if options else {}), **more}


def _streamed(block, table, threads=2):
    connection = duckdb.connect()
    connection.execute(f"set threads = {threads}")
    connection.register("given", table)
    connection.execute("create table units as select * from given")
    problem, _ = assemble(Study.declare("s", {**block, "row_budget": 10}), connection.table("units"), connection)
    return rd(problem.for_run("rd", "default"), "LATE")


def _close(one, other, tolerance):
    for name in NUMBERS:
        close(getattr(overall(one), name), getattr(overall(other), name), tolerance, name)
    for a, b in zip(one.diagnostics, other.diagnostics, strict=True):
        close(a.value, b.value, tolerance, a.metric)
    for a, b in zip(one.curves, other.curves, strict=True):
        assert (a.curve, a.series, a.x_label) == (b.curve, b.series, b.x_label)
        close(a.y, b.y, tolerance, a.curve)


# Rows are sorted where nearly all values differ (2 digits: a few ties), and grouped where they are few (1 digit).
@pytest.mark.parametrize("digits", [None, 2, 1])
@pytest.mark.parametrize(
    ("options", "more"),
    [
        ({}, {}),
        ({"kernel": "epanechnikov", "donut": 0.25}, {"treatment": "left"}),
        ({"kernel": "uniform"}, {"treatment": "takes"}),
        ({"bandwidth": 2.0}, {"treatment": "right", "covariates": ["z"]}),
        ({"bandwidth": 1.5, "kernel": "uniform", "order": 2}, {"treatment": "takes"}),
        ({}, {"cluster": "block"}),
        ({"bandwidth": 2.0, "kernel": "epanechnikov"}, {"cluster": "pair", "covariates": ["z"]}),
        ({"donut": 0.1}, {"cluster": "block", "treatment": "takes", "covariates": ["z", "C(group)"]}),
        ({"order": 2}, {"covariates": ["z"]}),
        ({}, {"treatment": "half"}),
    ],
)
def test_same_as_in_memory(digits, options, more):
    (row,) = same(_block(options, **more), units(digits=digits), "rd")
    assert row["status"] == "estimated", row["status_reason"]


@pytest.mark.parametrize(
    "covariates", [["z", "line", "one"], ["one"], ["x", "z"], ["z", "C(group)", "z:C(group)", "z^2"]]
)
def test_covariates_that_others_explain(covariates):
    table = units(700)
    (row,) = same(_block(covariates=covariates), table, "rd")
    plain = {"z"} & set(covariates)
    if len(covariates) < 4:
        (alone,) = same(_block(covariates=sorted(plain)), table, "rd")
        close(row["std_error"], alone["std_error"], 1e-9, "std_error")


def test_fuzzy_with_covariates():
    (row,) = same(_block(treatment="takes", covariates=["z", "line", "C(group)"]), units(700), "rd")
    found = {(d["metric"], d["subject"]): d["value"] for d in json.loads(row["diagnostics"])}
    assert 0.3 < found["first_stage", "treatment"] < 0.7


def test_missing_values_are_left_out():
    table = units()
    gaps = {"y": 7, "x": 11, "z": 13, "block": 17}
    for name, step in gaps.items():
        values = table[name].to_pylist()
        values[::step] = [None] * len(values[::step])
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    (row,) = same(_block({"donut": 0.05}, covariates=["z"], cluster="block", missing="drop"), table, "rd")
    assert row["n_trimmed"] > 300


@pytest.mark.parametrize(("name", "shift"), [("y", 1e9), ("x", 1e6), ("z", 1e7)])
def test_large_means_cost_no_digits(name, shift):
    """In memory and streamed: both agree with the same study about zero, where its rounding allows."""
    table = units()
    values = np.round(table[name].to_numpy() * 2**10) / 2**10
    here, there = (table.set_column(table.column_names.index(name), name, pa.array(values + by)) for by in (0.0, shift))
    more = {"covariates": ["z"]}
    base = same(_block(**more), here, "rd")[0]
    moved = same(_block(**more, **({"cutoff": 10 + shift} if name == "x" else {})), there, "rd")[0]
    for number in ("estimate", "std_error", "conf_low"):
        close(moved[number], base[number], 1e-9, number)


def test_other_types():
    """A DECIMAL running variable, a whole outcome, a BOOLEAN treatment: as their numbers."""
    table = units(digits=2)
    connection = duckdb.connect()
    connection.register("given", table)
    kinds = "x::decimal(9, 2) as x, round(10 * y)::integer as y, takes = 1 as takes"
    typed = connection.execute(f"select unit_id, {kinds} from given").to_arrow_table()
    same(_block(treatment="takes"), typed, "rd")


def test_against_rdrobust():
    from rdrobust import rdrobust

    table = units()
    for options, call in (({}, {}), ({"order": 2, "kernel": "uniform"}, {"p": 2, "kernel": "uniform"})):
        row = overall(_streamed(_block(options), table))
        peer = rdrobust(table["y"].to_numpy(), table["x"].to_numpy(), c=10, **call)
        assert row.estimate == pytest.approx(peer.coef.loc["Conventional"].iloc[0], rel=1e-8)
        assert row.std_error == pytest.approx(peer.se.loc["Robust"].iloc[0], rel=1e-8)
        np.testing.assert_allclose([row.conf_low, row.conf_high], peer.ci.loc["Robust"].to_numpy(), rtol=1e-8)


@pytest.mark.parametrize("more", [{}, {"treatment": "takes", "covariates": ["z"]}, {"cluster": "block"}])
@pytest.mark.parametrize("digits", [None, 1])
def test_blocks_and_representation_do_not_matter(monkeypatch, more, digits):
    """Blocks of 2,048 rows, and rows sorted that would be grouped; a value fills more than a block."""
    table = units(9000, digits)
    x = table["x"].to_numpy().copy()
    x[:3000] = 9.5
    table = table.set_column(1, "x", pa.array(x))
    base = _streamed(_block(**more), table)
    monkeypatch.setattr(stream, "ROWS", 2048)
    monkeypatch.setattr(runs, "ROWS_A_CELL", 1e9)
    _close(base, _streamed(_block(**more), table), 1e-9)


@pytest.mark.parametrize("more", [{}, {"treatment": "takes", "covariates": ["z"]}, {"cluster": "block"}])
def test_order_of_rows_and_threads_do_not_matter(more):
    table = units(150_000)
    base = _streamed(_block({"bandwidth": 0.5}, **more), table, 1)
    _close(base, _streamed(_block({"bandwidth": 0.5}, **more), shuffled(table), 4), 1e-10)
    if not more:
        _close(_streamed(_block(), table, 1), _streamed(_block(), shuffled(table), 4), 1e-9)


REFUSED = [
    ({}, {"cutoff": 20}, {}, "no observation right of the cutoff 20"),
    ({}, {"cutoff": 5.1}, {}, "at least 20"),
    ({"bandwidth": 0.05}, {}, {}, "within 0.05 of it"),
    ({"bandwidth": -1.0}, {}, {}, "bandwidth -1 is not positive"),
    ({"donut": 5.0}, {}, {}, "no observation left"),
    ({}, {}, {"y": 1.1}, "the outcome is the same in every row"),
    ({"bandwidth": 2.0}, {}, {"y": 1.1}, "the outcome is the same in every row"),
    ({}, {"treatment": "cross"}, {}, "neither varies nor jumps"),
    ({}, {"cluster": "one"}, {}, "all rows left of the cutoff are in one cluster"),
    ({}, {"cluster": "right"}, {}, "1 of 2 clusters of 'right' is at or above the cutoff"),
    ({}, {"covariates": ["log(z)"]}, {}, "'log(z)' is not a finite number in"),
    ({"order": 2}, {}, {"x": [8.0, 9.0, 9.5, 11.0]}, "3 distinct values left of the cutoff"),
    ({}, {}, {"x": [8.0, 9.0, 9.5, 10.5, 11.0, 12.0]}, "varies too little"),
    ({"bandwidth": 2.0}, {}, {"x": [7.0, 9.0, 9.5, 11.0, 11.5, 13.0]}, "too few distinct values"),
]


@pytest.mark.parametrize(("options", "more", "columns", "words"), REFUSED)
def test_refusals_are_those_of_memory(options, more, columns, words):
    table = units(400)
    for name, values in columns.items():
        filled = np.resize(values, 400).astype(float)
        table = table.set_column(table.column_names.index(name), name, pa.array(filled))
    if more.get("treatment") == "cross":
        # Constant on each side, and the same: only the units beyond the donut differ.
        near = np.abs(table["x"].to_numpy() - 10) < 1
        table = table.append_column("cross", pa.array(near.astype(float)))
        options = {"donut": 1.0}
    ((memory, streamed),) = both(_block(options, **more), table, "rd")
    assert (memory["status"], memory["status_reason"]) == (streamed["status"], streamed["status_reason"])
    assert streamed["status"] == ("not_identified" if "cluster" in more and more["cluster"] == "right" else "refused")
    assert words in streamed["status_reason"]
    assert streamed["estimate"] is None


@pytest.mark.parametrize("options", [{"model": "parametric"}, {"checks": True}])
def test_what_needs_the_rows_in_memory_is_refused(options):
    ((memory, streamed),) = both(_block(options), units(), "rd")
    assert memory["status"] == "estimated"
    assert streamed["status"] == "refused"
    assert f"`{next(iter(options))}: " in streamed["status_reason"]
    assert "Raise row_budget" in streamed["status_reason"]


def test_an_outcome_without_noise():
    x = np.linspace(0, 20, 4000)
    y = 1 + 0.25 * x + 7 * (x >= 10) * (1 + 0.1 * (x - 10)) + 1e-6 * np.cos(40 * x)
    table = pa.table({"unit_id": np.arange(4000), "x": x, "y": y})
    row = overall(_streamed(_block({"bandwidth": 5.0}), table))
    assert row.estimate == pytest.approx(7, abs=1e-5)
    assert row.std_error < 1e-3


def test_weights_are_refused():
    table = units(300)
    rows = estimate("s", {**_block(weight="one"), "row_budget": 10}, table).to_pylist()
    assert [r["status_reason"].split(".")[0] for r in rows] == ["rd does not use the declared weight"]


def test_rows_that_are_not_kept_in_order_are_refused():
    source = duckdb.connect()
    source.execute("create table units as select range as unit_id, (range * 7919) % 1009 / 50.0 as x from range(1009)")
    own = runs.Running.of(stream.Source.of(source, "units"), "x", 10.0)
    # As if DuckDB had been told not to keep the order.
    own.__dict__["ordered"] = stream.Source.of(source, "units")
    with pytest.raises(Exception, match="preserve_insertion_order"):
        list(own.cells(0.0, 20.0))


def test_memory_does_not_grow_with_the_rows():
    peaks = []
    for n in (600_000, 1_200_000):
        connection = duckdb.connect()
        made = "select range as unit_id, random() * 10 + 5 as x, random() as y, random() as z from range"
        connection.execute(f"create table units as {made}({n})")
        block = {**_block(covariates=["z"]), "row_budget": 10}
        problem, _ = assemble(Study.declare("s", block), connection.table("units"), connection)
        run = problem.for_run("rd", "default")
        rd(run, "LATE")  # imports and caches
        problem.cache.clear()
        tracemalloc.start()
        rd(run, "LATE")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # A column of the further rows would be 4.8 MB.
    assert peaks[1] < peaks[0] + 2.4e6, peaks
