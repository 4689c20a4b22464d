"""Difference-in-differences of streamed rows, without covariates: as in memory, by hand, refusals, invariances."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from did_support import BLOCK, by_session, drawn_from_the_limit, numbers, panel, small_blocks, terms
from scipy import stats
from streamed_support import both, close, same
from support import shuffled

from benchmarks.panel import COHORTS, PERIODS, effect
from benchmarks.panel import panel as generated
from estimators import design, estimate
from estimators.streamed import panel_rows
from estimators.streamed.panel_influence import simultaneous_critical_value

__all__ = ["drawn_from_the_limit", "small_blocks"]

GROUPS = ("never_treated", "not_yet_treated")
CLUSTERS = (None, "region", "unit_id", "state")


def block(cluster=None, **options):
    more = {"cluster": cluster} if cluster else {}
    return {**BLOCK, **more, "options": {"did": options}}


def test_two_periods_by_hand():
    """5 treated from period 2 with changes 3, 3, 5, 5, 4 and 4 controls with changes 1, 1, 2, 2."""
    changes = {2.0: [3, 3, 5, 5, 4], 0.0: [1, 1, 2, 2]}
    y = [level for values in changes.values() for change in values for level in (7.0, 7.0 + change)]
    g = [g for g, values in changes.items() for _ in values for _ in range(2)]
    units = pa.table({"unit_id": np.repeat(np.arange(9), 2), "t": np.tile([1, 2], 9), "g": g, "y": y})
    row = terms(estimate("s", {**BLOCK, "row_budget": 2}, units))["overall"]
    assert row["estimate"] == pytest.approx(2.5, rel=1e-14)
    # Few units: each arm's variance is unbiased.
    assert row["std_error"] == pytest.approx(np.sqrt(0.8 / 4 + 0.25 / 3), rel=1e-14)
    assert (row["n_units"], row["n_treated"], row["n_trimmed"]) == (9, 5, 0)
    assert row["variance_estimator"] == "influence_function"


@pytest.mark.usefixtures("drawn_from_the_limit", "small_blocks")
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.parametrize("cohorts", [(0.0, 3.0, 5.0), (2.0, 3.5, 5.0), (0.0, 1.0, 4.0)])
def test_same_as_in_memory(group, cluster, cohorts):
    rows = same(block(cluster, control_group=group), panel(cohorts=cohorts), "did")
    refused = group == "never_treated" and 0.0 not in cohorts
    assert rows[0]["status"] == ("refused" if refused else "estimated")
    assert refused or rows[0]["variance_estimator"] == ("cluster" if cluster else "influence_function")


@pytest.mark.usefixtures("drawn_from_the_limit")
def test_many_blocks():
    """Units that begin in one of DuckDB's blocks and end in the next."""
    rows = same(block("region"), panel(n=16_000, periods=7), "did")
    assert rows[0]["n_units"] == 16_000


@pytest.mark.usefixtures("drawn_from_the_limit", "small_blocks")
@pytest.mark.parametrize("cluster", [None, "region"])
def test_large_levels_keep_their_digits(cluster):
    """Levels of 1e9 that differ by 1e8 between units: only the steps enter a product."""
    units = panel(noise=1.0)
    level = np.round(1e9 + 1e8 * np.random.default_rng(0).normal(size=units.num_rows // 5))
    moved = units.set_column(3, "y", pa.array(np.round(units["y"].to_numpy() * 64) / 64 + np.repeat(level, 5)))
    same(block(cluster), moved, "did")


@pytest.mark.usefixtures("drawn_from_the_limit", "small_blocks")
@pytest.mark.parametrize("cluster", [None, "region"])
def test_an_effect_that_dwarfs_the_noise(cluster):
    units = panel()
    treated = (units["g"].to_numpy() > 0) & (units["t"].to_numpy() >= units["g"].to_numpy())
    same(block(cluster), units.set_column(3, "y", pa.array(units["y"].to_numpy() + 1e4 * treated)), "did")


def awkward(kind):
    """Gaps, early cohorts, NULL and late cohorts, labels of several types, rows without an outcome."""
    units = shuffled(panel(cohorts=(0.0, 1.0, 3.0, 5.0)))
    rng = np.random.default_rng(1)
    unit, g = units["unit_id"].to_numpy(), units["g"].to_numpy()
    never = [[None, 0.0, 9.0, float("nan")][u % 4] if c == 0 else c for u, c in zip(unit, g, strict=True)]
    units = units.set_column(2, "g", pa.array(never, pa.float64()))
    y = [None if rng.random() < 0.01 else v for v in units["y"].to_pylist()]
    units = units.set_column(3, "y", pa.array(y)).filter(pa.array(rng.random(len(unit)) > 0.03))
    labels = [f"u{u:04d}é" if kind == "text" else u / 2 for u in units["unit_id"].to_pylist()]
    if kind != "number":
        units = units.set_column(0, "unit_id", pa.array(labels))
    if kind == "text":
        units = units.set_column(1, "t", units["t"].cast(pa.int16()))
    return units


@pytest.mark.usefixtures("drawn_from_the_limit", "small_blocks")
@pytest.mark.parametrize("kind", ["number", "text", "fraction"])
@pytest.mark.parametrize("cluster", [None, "region"])
def test_units_that_are_left_out_are_counted(kind, cluster):
    rows = same({**block(cluster, control_group="not_yet_treated"), "missing": "drop"}, awkward(kind), "did")
    assert rows[0]["status"] == "estimated"
    assert rows[0]["n_trimmed"] > 30


@pytest.mark.usefixtures("drawn_from_the_limit")
def test_specifications_share_the_pass(monkeypatch):
    from estimators.streamed import did

    passes = []
    monkeypatch.setattr(did, "path_sums", lambda *args, real=did.path_sums: passes.append(1) or real(*args))
    alternative = {"estimators": ["did"], "did": {"control_group": "not_yet_treated"}}
    rows = same({**BLOCK, "specifications": {"later": alternative}}, panel(), "did")
    assert {row["specification"] for row in rows} == {"default", "later"}
    assert len(passes) == 1


def _cohorts(**sizes):
    g = [float(name[1:]) for name, size in sizes.items() for _ in range(size)]
    y, t = np.random.default_rng(0).normal(size=3 * len(g)), np.tile([1.0, 2.0, 3.0], len(g))
    return pa.table({"unit_id": np.repeat(np.arange(len(g)), 3), "t": t, "g": np.repeat(g, 3), "y": y})


def _with(units, name, values):
    column = pa.array(values)
    return units.set_column(2, "g", column) if name == "g" else units.append_column(name, column)


GOOD = _cohorts(g0=9, g2=9)
TWO = np.arange(GOOD.num_rows) % 2.0
REFUSED = {
    "no cohort is treated": (_cohorts(g0=9), {}, "no unit becomes treated"),
    "all are treated": (_cohorts(g2=9, g3=9), {}, "no control units"),
    "one cohort": (_cohorts(g2=9), block(control_group="not_yet_treated"), "no control units"),
    "few treated": (_cohorts(g0=9, g2=4), {}, "4 treated units"),
    "a cohort of one": (_cohorts(g0=9, g2=4, g3=1), {}, "cohorts of one unit or cluster are left out (3)"),
    "one control": (_cohorts(g0=1, g2=9), {}, "single control"),
    "one period": (GOOD.filter(pa.compute.field("t") == 1.0), {}, "single period"),
    "all early": (_cohorts(g1=9), {}, "9 are treated from the start"),
    "cross-sections": (
        GOOD.set_column(0, "unit_id", pa.array(np.arange(GOOD.num_rows))), {}, f"{GOOD.num_rows} miss a period"
    ),
    "a cohort that changes": (_with(GOOD, "g", TWO), {}, "'g' changes within unit 0"),
    "a text cohort": (_with(GOOD, "g", ["a"] * GOOD.num_rows), {}, "cohort 'g' holds text"),
    "a cluster that changes": (_with(GOOD, "c", TWO), block("c"), "'c' changes within unit 0"),
    "one cluster": (_with(GOOD, "c", ["a"] * GOOD.num_rows), block("c"), "one cluster"),
    "both change": (_with(_with(GOOD, "g", TWO), "c", TWO), block("c"), "'g' changes within unit 0"),
    "a weight": (_with(GOOD, "w", TWO), {"weight": "w"}, "weight"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_are_those_in_memory(case):
    units, more, words = REFUSED[case]
    ((memory, streamed),) = both({**BLOCK, **more}, units, "did")
    assert words in streamed["status_reason"]
    assert (memory["status"], memory["status_reason"]) == (streamed["status"], streamed["status_reason"])


def test_too_many_cells_are_refused(monkeypatch):
    monkeypatch.setattr(panel_rows, "MOST_CELLS", 14)
    row = next(iter(terms(estimate("s", {**BLOCK, "row_budget": 10}, panel())).values()))
    assert row["status"] == "refused"
    assert "5 periods by 3 cohorts are more than the 14" in row["status_reason"]
    monkeypatch.setattr(panel_rows, "MOST_CELLS", 4)
    row = next(iter(terms(estimate("s", {**BLOCK, "row_budget": 10}, panel())).values()))
    assert "more than 4 periods" in row["status_reason"]


@pytest.mark.parametrize("cluster", [None, "region"])
def test_nothing_depends_on_order_or_threads(cluster):
    """DuckDB sorts by cluster, unit and period, so that the sums are the same to the bit."""
    units = panel(n=4_000)
    own = {**block(cluster), "row_budget": 10}
    base = numbers(by_session(own, units, "set threads = 1"))
    for given, settings in (
        (shuffled(units), "set threads = 4"), (units, "set preserve_insertion_order = false"),
    ):  # fmt: skip
        np.testing.assert_array_equal(numbers(by_session(own, given, settings)), base)


def test_the_critical_value_is_that_of_the_bootstrap():
    """Both draw 20,000 times; each has a Monte Carlo error of about 0.01."""
    for cluster in (None, "region"):
        rows = [row for pair in both(block(cluster, bootstrap=20_000), panel(n=600), "did") for row in pair[:2]]
        found = [_diagnostic(row, "simultaneous_critical_value") for row in rows if row["term"] == "overall"]
        assert found[0] == pytest.approx(found[1], abs=0.04)
        assert 2.3 < found[1] < 2.8


def _diagnostic(row, metric):
    import json

    return next(d["value"] for d in json.loads(row["diagnostics"]) if d["metric"] == metric)


def test_critical_values_by_hand():
    draws = 200_000
    independent = stats.norm.ppf((1 + np.sqrt(0.95)) / 2)
    assert simultaneous_critical_value(np.diag([4.0, 1e-6]), 1, draws) == pytest.approx(independent, abs=0.01)
    assert simultaneous_critical_value(np.full((3, 3), 2.0), 1, draws) == pytest.approx(1.96, abs=0.01)
    assert simultaneous_critical_value(np.zeros((2, 2)), 1) == pytest.approx(stats.norm.ppf(0.975))
    one_flat = simultaneous_critical_value(np.diag([0.0, 1.0]), 1, draws)
    assert one_flat == pytest.approx(1.96, abs=0.01)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("cohorts", [(0.0, 3.0, 5.0), (0.0, 2.0), (0.0,)])
def test_the_design_is_that_in_memory(cohorts):
    units = panel(cohorts=cohorts)
    memory, streamed = (design("s", {**BLOCK, "row_budget": b}, units).to_pylist() for b in (10**9, 10))
    assert [row["metric"] for row in memory] == [row["metric"] for row in streamed]
    for a, b in zip(memory, streamed, strict=True):
        close(a["value"], b["value"], 1e-9, a["metric"])
        assert a["reason"] == b["reason"]


def test_the_design_reads_no_outcome_after_treatment():
    units = panel()
    after = (units["g"].to_numpy() > 0) & (units["t"].to_numpy() >= units["g"].to_numpy())
    blanked = units.set_column(3, "y", pa.array(np.where(after, 0.0, units["y"].to_numpy())))
    first, second = (design("s", {**BLOCK, "row_budget": 10}, u).to_pylist() for u in (units, blanked))
    assert [row["value"] for row in first] == pytest.approx([row["value"] for row in second], rel=1e-12)


def test_the_design_of_a_synthetic_control_says_that_it_does_not_stream():
    decision = {**BLOCK["decision"], "primary": "synthetic_control"}
    own = {**BLOCK, "design": "synthetic_control", "decision": decision, "row_budget": 10}
    rows = design("s", own, panel()).to_pylist()
    assert [row["metric"] for row in rows] == ["pre_rmspe_ratio", "pre_rmspe_level"]
    assert all(row["value"] is None and "row_budget" in row["reason"] for row in rows)


def test_the_generated_panel_has_the_effects_that_it_names(tmp_path):
    """Within four standard errors of every ATT(g, t), and the same file from the same seed."""
    path = generated(60_000, seed=3, folder=tmp_path)
    own = {
        **BLOCK, "outcome": "y", "unit": "id", "time": "period", "cohort": "cohort", "never": 0, "cluster": "region",
        "row_budget": 1_000,
    }  # fmt: skip
    rows = terms(by_session(own, path))
    cells = {term: row for term, row in rows.items() if ":" in term}
    assert len(cells) == (len(COHORTS) - 1) * (PERIODS - 1)
    for term, row in cells.items():
        cohort, period = (int(part.split("=")[1]) for part in term.split(":"))
        assert abs(row["estimate"] - effect(cohort, period)) < 4 * row["std_error"] < 0.6
    before = path.read_bytes()
    path.unlink()
    assert generated(60_000, seed=3, folder=tmp_path).read_bytes() == before
