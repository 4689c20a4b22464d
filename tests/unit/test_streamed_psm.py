"""Matching on a streamed study: row by row what the rows in memory give, its weights, and what it leaves behind."""

from __future__ import annotations

import gc
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import scan_support
import streamed_support
import support

from estimators import build
from estimators.assemble import assemble
from estimators.errors import Refusal
from estimators.registry import BY_NAME
from estimators.result import Estimate
from estimators.selection_on_observables import psm as memory
from estimators.streamed.problem import Streamed
from estimators.streamed.psm import matching_weights, psm
from estimators.study import Study

X = ("x1", "x2")
OPTIONS: list[dict[str, Any]] = [
    {},
    {"neighbours": 3},
    {"caliper": 0.02},
    {"tie_tolerance": 1e-4},
    {"variance": "abadie_imbens"},
    {"bias_adjustment": True, "neighbours": 2, "caliper": 0.05},
    {"replace": False},
    {"replace": False, "neighbours": 2, "caliper": 0.1, "bias_adjustment": True},
]


@pytest.fixture(autouse=True)
def _only_matching(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other estimators have tests of their own."""
    monkeypatch.setattr(build, "ESTIMATORS", (BY_NAME["psm"],))


def block(terms: tuple[str, ...] = X, **more: Any) -> dict[str, Any]:
    options = {"psm": more.pop("psm", {}), **more.pop("options", {})}
    return support.observational("y", "t", list(terms), options=options, **more)


def units(n: int = 900) -> dict[str, Any]:
    """Simulated units with categories, a copy of a covariate, and columns named as the SQL's own."""
    rng = np.random.default_rng(2)
    out: dict[str, Any] = support.simulated(n)
    out["g"], out["b"] = rng.integers(0, 4, n).astype(float), (rng.random(n) < 0.4).astype(float)
    out["h"] = np.array(["a", "b'", "ç", "d"], dtype=object)[rng.integers(0, 4, n)]
    return {**out, "copy": 2 * out["x1"] - 1, "e": out["x2"], "share": out["x1"]}


def streamed(data: dict[str, Any] | pa.Table, declared: dict[str, Any], threads: int = 2, **settings: str) -> Streamed:
    connection = duckdb.connect()
    connection.execute(f"set threads = {threads}")
    for name, value in settings.items():
        connection.execute(f"set {name} = {value}")
    connection.register("given", data if isinstance(data, pa.Table) else pa.table(data))
    connection.execute("create table units as select * from given")
    study = Study.declare("s", {**declared, "row_budget": 10})
    problem, _ = assemble(study, connection.table("units"), connection)
    assert isinstance(problem, Streamed)
    return problem.for_run("psm", "default")


def close(a: Estimate, b: Estimate, tolerance: float = 1e-10) -> None:
    assert (a.n_units, a.n_treated, a.n_trimmed) == (b.n_units, b.n_treated, b.n_trimmed)
    assert (a.estimate, a.std_error) == pytest.approx((b.estimate, b.std_error), rel=tolerance)
    assert a.effective_sample_size == pytest.approx(b.effective_sample_size, rel=tolerance)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("terms", [X, ("C(g)", "b"), ("x1", "C(h)", "x1:b", "copy", "e", "share")], ids=str)
def test_rows_are_those_of_memory(terms: tuple[str, ...], options: dict[str, Any]) -> None:
    rows = streamed_support.same(block(terms, psm=options), units(), "psm")
    assert rows[0]["status"] == "estimated"
    assert {row["estimand"] for row in rows} == {"ATT", "ATE"}
    known = bool(options.keys() & {"variance", "replace", "bias_adjustment"})
    for row in rows:
        if row["status"] == "estimated":
            expected = "abadie_imbens" if known or row["n_trimmed"] else "estimated_propensity"
            assert row["variance_estimator"] == expected


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_a_large_study_knows_its_propensity_to_be_estimated(link: str) -> None:
    data = support.simulated(60_000)
    data["x3"] = 1e6 + np.round(data["x1"] + np.random.default_rng(1).normal(size=60_000))
    options = {"folds": 1, "propensity": {"link": link}}
    rows = streamed_support.same(block(("x1", "x2", "x3", "x1^2"), options=options), data, "psm")
    assert {row["variance_estimator"] for row in rows} == {"estimated_propensity"}


def test_a_second_specification_finds_the_neighbours_again() -> None:
    """Each specification of the same propensity sorts the units once more; the neighbourhood is found once."""
    wide = {"estimators": ["psm"], "psm": {"neighbours": 4}}
    rows = streamed_support.same(block(specifications={"wide": wide}), units(), "psm")
    assert [row["variance_estimator"] for row in rows] == ["estimated_propensity"] * 4


def test_many_blocks_of_rows_are_those_of_memory() -> None:
    rows = streamed_support.same(
        block(folds=2, psm={"neighbours": 2, "caliper": 1e-4}), support.simulated(80_000), "psm"
    )
    assert all(row["n_trimmed"] > 0 for row in rows)


@pytest.mark.parametrize("shift", [0.0, 1e9])
@pytest.mark.parametrize("options", [{}, {"neighbours": 2, "bias_adjustment": True}, {"replace": False}], ids=str)
def test_large_means_and_small_scales_keep_their_digits(shift: float, options: dict[str, Any]) -> None:
    rows = scan_support.rows(1_500)
    streamed_support.same(block(scan_support.X, psm=options), {**rows, "y": rows["y"] + shift}, "psm")


def test_a_probit_and_covariates_of_its_own() -> None:
    options = {"propensity": {"link": "probit", "covariates": ["x1", "x1^2", "C(g)"]}}
    rows = streamed_support.same(block(options=options, psm={"bias_adjustment": True}), units(), "psm")
    assert {row["status"] for row in rows} == {"estimated"}


def test_specifications_have_matches_of_their_own() -> None:
    specifications = {"wide": {"estimators": ["psm"], "psm": {"neighbours": 5}, "propensity": {"covariates": ["x1"]}}}
    rows = streamed_support.same(block(specifications=specifications, psm={"caliper": 0.1}), units(), "psm")
    assert len({(row["specification"], row["estimate"]) for row in rows}) == 4


def test_rows_with_missing_values_are_left_out_and_counted() -> None:
    data = units()
    for name, places in (("x1", slice(0, 40)), ("y", slice(30, 60)), ("h", slice(100, 105))):
        data[name] = [None if i in range(places.start, places.stop) else v for i, v in enumerate(data[name].tolist())]
    rows = streamed_support.same(block(("x1", "C(h)"), missing="drop", psm={"caliper": 0.05}), data, "psm")
    assert all(row["n_trimmed"] >= 65 for row in rows)


def test_weights_are_refused() -> None:
    rows = streamed_support.same(block(weight="g"), {**units(), "g": np.arange(900) % 30 + 1.0}, "psm")
    assert {row["status"] for row in rows} == {"refused"}
    assert all("weight" in row["status_reason"] for row in rows)


def test_clusters_are_used_in_memory_and_refused_streamed() -> None:
    pairs = streamed_support.both(block(cluster="g"), {**units(), "g": np.arange(900) % 30 + 1.0}, "psm")
    assert {(a["status"], b["status"]) for a, b in pairs} == {("estimated", "refused")}
    assert all("above the row_budget psm does not use the declared cluster" in b["status_reason"] for _, b in pairs)


def test_a_panel_is_matched_row_by_row() -> None:
    data = units(400)
    data = {**data, "unit_id": np.repeat(np.arange(200), 2), "period": np.tile([1, 2], 200)}
    for options in ({}, {"replace": False}):
        streamed_support.same(block(time="period", psm=options), data, "psm")


@pytest.mark.parametrize(
    ("estimand", "options"),
    [
        *((estimand, options) for estimand in ("ATT", "ATE") for options in ({}, {"neighbours": 3}, {"caliper": 0.01})),
        ("ATT", {"replace": False, "neighbours": 2, "caliper": 0.1}),
    ],
    ids=str,
)
@pytest.mark.parametrize("unit", ["number", "text"])
def test_the_weights_are_those_of_memory(estimand: str, options: dict[str, Any], unit: str) -> None:
    data, declared = units(), block(("x1", "C(g)", "e"), psm=options)
    if unit == "text":
        data["unit_id"] = [f"unit {i}" for i in data["unit_id"]]
    own = support.problem(declared, data, "psm")
    want = dict(zip(own.columns["unit_id"].tolist(), memory.matching_weights(own, estimand).tolist(), strict=True))
    problem = streamed(data, declared)
    rows = problem.source.connection.execute(matching_weights(problem, estimand)).fetchall()
    assert len(rows) == len({row[0] for row in rows})
    assert dict(rows) == pytest.approx({i: w for i, w in want.items() if w > 0}, rel=1e-12)


@pytest.mark.parametrize("options", [{"neighbours": 2}, {"replace": False}, {"bias_adjustment": True}], ids=str)
def test_neither_order_nor_threads_change_anything(options: dict[str, Any]) -> None:
    data, declared = units(6_000), block(("x1", "C(h)"), psm=options)
    want = psm(streamed(data, declared, threads=1), "ATT")
    others = [
        streamed(data, declared, threads=4),
        streamed(support.shuffled(pa.table(data)), declared, threads=4),
        streamed(support.shuffled(pa.table(data)), declared, preserve_insertion_order="false"),
    ]
    for problem in others:
        got = psm(problem, "ATT")
        close(got.estimates[0], want.estimates[0])
        for a, b in zip(got.diagnostics, want.diagnostics, strict=True):
            assert (a.metric, a.subject, a.value) == (b.metric, b.subject, pytest.approx(b.value, rel=1e-9, abs=1e-12))


def test_twins_in_any_order_make_the_propensity_flat() -> None:
    one = support.simulated(200)
    twins = {name: np.concatenate([v, v]) for name, v in one.items()}
    twins["unit_id"], twins["t"] = np.random.default_rng(1).permutation(400), np.repeat([1.0, 0.0], 200)
    twins["y"] = twins["y"] + 3 * twins["t"]
    rows = streamed_support.same(block(), twins, "psm")
    # Everybody ties with everybody, so the difference of the arms' means remains.
    assert [row["estimate"] for row in rows] == pytest.approx([3.0, 3.0], abs=1e-9)


@pytest.mark.parametrize(
    ("options", "estimand", "words"),
    [
        ({"neighbours": 0}, "ATT", "at least 1"),
        ({"neighbours": 2000}, "ATE", "2000 neighbours are asked of"),
        ({"caliper": -0.1}, "ATT", "caliper"),
        ({"tie_tolerance": -1e-5}, "ATT", "negative"),
        ({"caliper": 1e-12}, "ATT", "find a match"),
        ({"caliper": 1e-12, "replace": False}, "ATT", "find a match"),
        ({"replace": False}, "ATE", "with replacement"),
    ],
)
def test_refusals_are_those_of_memory(options: dict[str, Any], estimand: str, words: str) -> None:
    declared, data, reasons = block(psm=options), units(), []
    for run in (lambda: support.run(declared, data, "psm", estimand), lambda: psm(streamed(data, declared), estimand)):
        with pytest.raises(Refusal, match=words) as refusal:
            run()
        reasons.append(str(refusal.value))
    assert reasons[0] == reasons[1]
    with pytest.raises(Refusal, match=words):
        matching_weights(streamed(data, declared), estimand)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"y": np.full(900, 4.0)}, "the outcome 'y' is 4 in every row"),
        ({"t": (np.arange(900) == 7).astype(float)}, "1 treated units are left"),
        ({"x1": np.linspace(-1, 1, 900), "t": (np.arange(900) > 449).astype(float)}, "perfectly"),
    ],
)
def test_units_that_cannot_be_matched_are_refused_as_in_memory(change: dict[str, Any], words: str) -> None:
    rows = streamed_support.same(block(), {**units(), **change}, "psm")
    assert all(row["status"] == "refused" and words in row["status_reason"] for row in rows)


def test_too_few_donors_for_the_adjustment_refuse() -> None:
    data = {**units(60), "t": (np.arange(60) > 2).astype(float)}
    data["x3"] = data["x1"] ** 2
    options = {"propensity": {"covariates": ["x1", "x2", "x3"]}}
    declared = block(options=options, psm={"bias_adjustment": True})
    for problem in (support.problem(declared, data, "psm"), streamed(data, declared)):
        run = BY_NAME["psm"].load() if not isinstance(problem, Streamed) else psm
        with pytest.raises(Refusal, match="bias adjustment cannot be fitted"):
            run(problem, "ATT")


def databases(connection: Any) -> int:
    return connection.execute("select count(*) from duckdb_databases() where not internal").fetchone()[0]


@pytest.mark.parametrize("options", [{}, {"bias_adjustment": True}, {"replace": False}, {"caliper": 1e-12}], ids=str)
def test_scratch_databases_go_with_the_study(options: dict[str, Any]) -> None:
    problem = streamed(units(), block(psm=options))
    connection = problem.source.connection
    before = databases(connection)
    try:
        psm(problem, "ATT")
        assert databases(connection) > before
    except Refusal:
        assert options == {"caliper": 1e-12}
    del problem
    gc.collect()
    assert databases(connection) == before


def test_units_that_change_between_two_readings_fail() -> None:
    problem = streamed(units(), block())
    matching_weights(problem, "ATT")
    problem.source.connection.execute("update units set x1 = x1 + 1e-3 * unit_id")
    with pytest.raises(RuntimeError, match="change"):
        psm(problem, "ATT")
