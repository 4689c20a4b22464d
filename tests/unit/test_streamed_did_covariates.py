"""Difference-in-differences of streamed rows given covariates: as in memory for every method, link and failure."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from did_support import BLOCK, by_session, drawn_from_the_limit, numbers, panel, small_blocks, terms
from scipy.special import expit
from streamed_support import both, same
from support import shuffled

from estimators import design
from estimators.scan.stream import Column, Plan, Source
from estimators.streamed import panel_bases, panel_logits
from estimators.streamed.panel_copy import sorted_copy
from estimators.streamed.panel_rows import PanelRows, units_of

__all__ = ["drawn_from_the_limit", "small_blocks"]

# A covariate that moves over time, its exact copy in another unit, a power and a category.
COVARIATES = ["x", "moving", "twin", "moving^2", "C(kind)"]
METHODS = ("dr", "reg", "ipw")


def block(method, covariates=COVARIATES, cluster=None, group="never_treated", **more):
    own = {"did": {"method": method, "control_group": group}}
    declared = {**BLOCK, "covariates": list(covariates), "options": own, **more}
    return {**declared, "cluster": cluster} if cluster else declared


@pytest.mark.usefixtures("drawn_from_the_limit", "small_blocks")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("group", "cluster"), [("never_treated", None), ("not_yet_treated", "region"), ("not_yet_treated", "state")]
)
def test_same_as_in_memory(method, group, cluster):
    rows = same(block(method, cluster=cluster, group=group), panel(n=400), "did")
    assert rows[0]["status"] == "estimated"


@pytest.mark.usefixtures("drawn_from_the_limit")
@pytest.mark.parametrize("method", ["dr", "ipw"])
def test_probit(method):
    given = block(method, ["x", "moving"])
    given["options"]["propensity"] = {"link": "probit"}
    assert same(given, panel(n=300), "did")[0]["status"] == "estimated"


@pytest.mark.usefixtures("drawn_from_the_limit")
@pytest.mark.parametrize("method", ["dr", "reg"])
def test_covariates_of_large_mean_and_unequal_scale(method):
    """Whole numbers around 1e6 in units of 1e3, and fractions of 1e-6: standardised before they are multiplied."""
    units = panel(n=400)
    far = pa.array(1e6 + 1e3 * np.round(10 * units["moving"].to_numpy()))
    tiny = pa.array(1e-6 * units["x"].to_numpy())
    same(block(method, ["far", "tiny"]), units.append_column("far", far).append_column("tiny", tiny), "did")


@pytest.mark.usefixtures("drawn_from_the_limit", "small_blocks")
def test_units_that_are_left_out():
    """A missing covariate in any period makes its unit incomplete; early and late cohorts are told apart."""
    units = shuffled(panel(n=300, cohorts=(0.0, 1.0, 3.0, 5.0)))
    rng = np.random.default_rng(1)
    moving = [None if rng.random() < 0.01 else v for v in units["moving"].to_pylist()]
    units = units.set_column(5, "moving", pa.array(moving)).filter(pa.array(rng.random(len(moving)) > 0.02))
    rows = same(block("dr", ["x", "moving"], "region", missing="drop"), units, "did")
    assert rows[0]["n_trimmed"] > 80


@pytest.mark.usefixtures("drawn_from_the_limit")
def test_a_category_of_one_level_is_no_covariate():
    units = panel().append_column("same", pa.array(["a"] * 750))
    rows = same(block("dr", ["C(same)"]), units, "did")
    plain = same({**BLOCK}, panel(), "did")
    assert rows[0]["std_error"] == plain[0]["std_error"]


@pytest.mark.usefixtures("drawn_from_the_limit")
@pytest.mark.parametrize("method", ["dr", "ipw"])
def test_controls_of_propensity_near_one(method):
    """Controls among the treated's covariates get a propensity of 0.995 or more, no weight, and are counted."""
    rng = np.random.default_rng(2)
    n = 800
    x = rng.normal(size=n)
    treated = rng.random(n) < expit(3 * x + 1)
    treated[:3], x[:3] = False, [3.0, 3.5, 4.0]
    y = x[:, None] + rng.normal(size=(n, 3))
    units = pa.table(
        {
            "unit_id": np.repeat(np.arange(n), 3), "t": np.tile([1.0, 2.0, 3.0], n), "y": y.ravel(),
            "g": np.repeat(np.where(treated, 3.0, 0.0), 3), "x": np.repeat(x, 3),
        }
    )  # fmt: skip
    row = same(block(method, ["x"]), units, "did")[0]
    assert '"propensity_trimmed"' in row["diagnostics"]


def _refused(given, units):
    ((memory, streamed),) = both(given, units, "did")
    assert (memory["status"], memory["status_reason"]) == (streamed["status"], streamed["status_reason"])
    return streamed["status_reason"]


@pytest.mark.parametrize("method", ["dr", "ipw"])
def test_a_covariate_that_gives_the_cohort_away_names_the_cell(method):
    units = panel()
    units = units.append_column("z", pa.array((units["g"].to_numpy() == 5).astype(float)))
    reason = _refused(block(method, ["x", "z"]), units)
    assert "ATT(5, 2): the covariates predict" in reason


@pytest.mark.parametrize("method", ["dr", "reg"])
def test_too_few_controls_for_the_regression_name_the_cell(method):
    units = panel(n=18, cohorts=(0.0, 3.0, 3.0))
    rng = np.random.default_rng(0)
    extra = [f"e{j}" for j in range(8)]
    for name in extra:
        units = units.append_column(name, pa.array(rng.normal(size=units.num_rows)))
    reason = _refused(block(method, extra), units)
    assert "ATT(3, 2): the controls' regression" in reason


def test_a_logarithm_of_zero_is_refused():
    units = panel().append_column("zero", pa.array(np.arange(750) % 250.0))
    assert "'log(zero)' is not a finite number in 3 rows" in _refused(block("dr", ["log(zero)"]), units)


@pytest.mark.parametrize("method", METHODS)
def test_nothing_depends_on_order_or_threads(method):
    units = panel(n=1_500)
    own = block(method, ["x", "moving"], "region", row_budget=10)
    base = numbers(by_session(own, units, "set threads = 1"))
    for given, settings in (
        (shuffled(units), "set threads = 4"), (units, "set preserve_insertion_order = false"),
    ):  # fmt: skip
        np.testing.assert_array_equal(numbers(by_session(own, given, settings)), base)


@pytest.mark.parametrize("method", METHODS)
def test_effects_scale_with_the_outcome(method):
    units = panel(n=300)
    scaled = units.set_column(3, "y", pa.array(units["y"].to_numpy() * 1000.0 + 5.0))
    own = block(method, ["x", "moving"], row_budget=10)
    np.testing.assert_allclose(numbers(by_session(own, scaled)), 1000 * numbers(by_session(own, units)), rtol=1e-8)


def test_the_sub_sample_only_starts_the_propensities(monkeypatch):
    """From a sub-sample of a few units, or from one that separates them, the optimum is the same."""
    units = panel(n=600)
    own = block("ipw", ["x", "moving"], row_budget=10)
    base = numbers(by_session(own, units))
    for size in (400, 12, 1):
        monkeypatch.setattr(panel_bases, "SAMPLE", size)
        np.testing.assert_allclose(numbers(by_session(own, units)), base, rtol=1e-10)


def test_a_fit_that_does_not_converge_is_refused(monkeypatch):
    monkeypatch.setattr(panel_logits, "MAX_PASSES", 1)
    monkeypatch.setattr(panel_bases, "SAMPLE", 1)
    (row,) = terms(by_session(block("ipw", ["x"], row_budget=10), panel())).values()
    assert row["status"] == "refused"
    assert "ATT(3, 2): the covariates predict" in row["status_reason"]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("method", METHODS)
def test_the_design_is_that_in_memory(method):
    units = panel(n=300)
    tables = [design("s", block(method, ["x", "moving"], row_budget=b), units).to_pylist() for b in (10**9, 10)]
    for a, b in zip(*tables, strict=True):
        assert a["metric"] == b["metric"]
        assert a["value"] == pytest.approx(b["value"], rel=1e-9)


def test_the_sorted_copy_is_dropped_whatever_happens():
    """Also when a reader of it has not come to its end."""
    with duckdb.connect() as connection:
        connection.execute("create table rows as select i // 2 as u, i % 2 as t, i * 1.5 as y from range(100000) r(i)")
        plan = Plan((Column("cohort", "'infinity'::double"), Column("y", "y")), cluster="u")
        two, never = np.array([0.0, 1.0]), np.array([np.inf])
        rows = PanelRows(Source.of(connection, "rows"), plan, "u, t", two, never, False, False)

        def first_units():
            with sorted_copy(rows) as copy:
                assert copy.order == ""
                next(units_of(copy))
                raise KeyError

        with pytest.raises(KeyError):
            first_units()
        assert len(connection.execute("select * from duckdb_databases() where not internal").fetchall()) == 1
        with sorted_copy(rows) as copy:
            assert sum(units.tally.units for units in units_of(copy)) == 50_000
