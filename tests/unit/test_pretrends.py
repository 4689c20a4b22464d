"""The test of trends before treatment: its size in small panels, its power, its invariances, and what it binds."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from did_support import BLOCK
from did_support import panel as made
from streamed_support import both
from support import problem, shuffled

from benchmarks.pretrends import Case, cases, drawn, rejected
from estimators import design
from estimators.panel.att_gt import comparisons, group_time_effects
from estimators.panel.design import panel_design
from estimators.panel.limit import limit_size, wald_draws
from estimators.panel.pretrends import Setting, sample_test
from estimators.panel.two_period import effect, effect_weights

SHOWN = {case.name: case for case in cases()}


def outcome_of(sample, **more):
    setting = Setting(
        **{"control_group": "never_treated", "method": "dr", "link": "logit", "seed": 1, "step": 0.3, **more}
    )
    effects = group_time_effects(sample, setting.control_group, setting.method, setting.link, pre_only=True)
    return sample_test(effects, sample, setting)


@pytest.mark.parametrize(
    "name",
    [
        "normal: 29 never, 13/4/2",
        "serial: 30 never, 13",
        "loud: 29 never, 13/4/2",
        "clusters of 1 to 9 units: 29 never, 7/7/7",
    ],
)
def test_noise_is_rejected_in_one_of_twenty(name):
    """150 draws: a test of size 5 % rejects 18 or more of them once in 10,000 times; the χ² rejects nearly all."""
    n, share = rejected(SHOWN[name], 150)
    assert n == 150
    assert share * 150 < 18


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SHOWN if not name.startswith("trend")])
def test_size_of_every_process(name):
    assert rejected(SHOWN[name], 400)[1] < 0.1


@pytest.mark.parametrize("name", ["trend of 0.3: 29 never, 13/4/2", "trend of 0.3: 2,500 never, 13/40"])
def test_a_linear_trend_is_found(name):
    assert rejected(SHOWN[name], 40)[1] > 0.7


def test_power_is_that_of_a_trend_of_the_step():
    """Averaged over draws of noise, the stated power is how often a trend of that size is rejected."""
    told = []
    for d in range(30):
        told.append(outcome_of(drawn(SHOWN["normal: 30 never, 13"], np.random.default_rng(d)), step=0.2).power)
    found = rejected(dataclasses.replace(SHOWN["normal: 30 never, 13"], violation=0.2), 150)[1]
    assert np.mean(told) == pytest.approx(found, abs=0.15)
    assert 0.3 < np.mean(told) < 0.9


def test_detectable_has_80_percent_power():
    sample = drawn(SHOWN["normal: 29 never, 13/4/2"], np.random.default_rng(0))
    test = outcome_of(sample)
    assert outcome_of(sample, step=test.detectable).power == pytest.approx(0.8, abs=2e-3)
    assert outcome_of(sample, step=0.99 * test.detectable).power < 0.8
    assert test.reference == "999 random draws of units into cohorts of the same sizes"


@pytest.mark.parametrize("method", ["dr", "ipw", "reg"])
def test_every_method_is_linear_in_the_outcome(method):
    rng = np.random.default_rng(0)
    d, x, change = rng.random(80) < 0.4, rng.normal(size=(80, 2)), rng.normal(size=80)
    c = effect_weights(d, x, ("a", "b"), method, "logit")
    assert c @ change == pytest.approx(effect(change, d, x, ("a", "b"), method, "logit").att, abs=1e-10)


def test_nothing_hangs_on_the_order_and_the_scale_of_rows():
    block = {**BLOCK, "covariates": ["x"], "cluster": "state"}
    units = made(n=60)
    first = panel_design(problem(block, units, "did"))
    assert "random draws of clusters" in first[0].reason
    again = panel_design(problem(block, shuffled(units), "did"))
    assert [row.value for row in first] == pytest.approx([row.value for row in again], rel=1e-9)
    scaled = units.set_column(3, "y", pa.array(units["y"].to_numpy() * 1000))
    assert panel_design(problem(block, scaled, "did"))[0].value == first[0].value


@pytest.mark.parametrize("cluster", [None, "region", "state"])
@pytest.mark.parametrize("covariates", [[], ["x"]])
def test_the_same_of_streamed_rows(cluster, covariates):
    block = {**BLOCK, "covariates": covariates, **({"cluster": cluster} if cluster else {})}
    units = made(n=60)
    rows = [design("s", {**block, "row_budget": budget}, units).to_pylist() for budget in (10**9, 10)]
    own, streamed = ([r for r in found if r["metric"].startswith("pre_trends")] for found in rows)
    assert [r["reason"] for r in own] == [r["reason"] for r in streamed]
    assert [r["value"] for r in own] == pytest.approx([r["value"] for r in streamed], rel=1e-9)
    assert own[0]["value"] is not None
    for memory, other in both(block, units, "did"):
        assert memory["status"] == other["status"] == "estimated"


def test_what_happens_after_treatment_does_not_matter():
    sample = drawn(SHOWN["normal: 29 never, 13/4/2"], np.random.default_rng(3))
    after = sample.periods >= sample.cohort[:, None]
    blanked = dataclasses.replace(sample, y=np.where(after, 1e6, sample.y))
    assert outcome_of(sample) == outcome_of(blanked)


def test_the_limit_is_used_where_it_holds():
    """Normal cohorts: where 6 of 100 are said to be rejected at the limit, that is what draws of W give."""
    sizes = {6.0: 90, 7.0: 100, np.inf: 400}
    found, _ = comparisons(np.arange(1.0, 8), (6.0, 7.0), sizes, "never_treated", pre_only=True)
    told = limit_size(found, sizes, 0.05)
    from scipy import stats

    bar = stats.chi2.ppf(0.95, len(found))
    assert np.mean(wald_draws(found, sizes, 1, 4_000, False) > bar) == pytest.approx(told, abs=0.015)


def test_too_few_arrangements_are_told():
    """Two clusters against three can be drawn in 10 ways: no p-value reaches 5 %."""
    rng = np.random.default_rng(0)
    g = np.repeat([4.0, 0.0], [6, 9])
    units = pa.table(
        {"unit_id": np.repeat(np.arange(15), 5), "t": np.tile(np.arange(1.0, 6), 15), "g": np.repeat(g, 5),
         "y": rng.normal(size=75), "state": np.repeat(np.arange(15) // 3, 5)}
    )  # fmt: skip
    rows = panel_design(problem({**BLOCK, "cluster": "state"}, units, "did"))
    assert rows[0].value is None
    assert "cannot be tested with 5 clusters" in rows[0].reason
    assert panel_design(problem(BLOCK, units, "did"))[0].value is not None


def test_two_way_fixed_effects_stand_and_fall_with_it():
    """A study without a cohort has the test of when its treatment starts; one whose treatment ends again has none."""
    units = made(n=60).to_pandas()
    units["d"] = ((units["g"] > 0) & (units["t"] >= units["g"])).astype(float)
    decision = {**BLOCK["decision"], "primary": "twfe"}
    block = {k: v for k, v in {**BLOCK, "treatment": "d", "decision": decision}.items() if k != "cohort"}
    of_cohort = panel_design(problem(BLOCK, pa.Table.from_pandas(units, preserve_index=False), "did"))
    of_starts = panel_design(problem(block, pa.Table.from_pandas(units, preserve_index=False), "twfe"))
    assert {row.estimator for row in of_starts} == {"did", "twfe"}
    assert [row.value for row in of_starts] == [row.value for row in of_cohort]
    units.loc[(units["g"] > 0) & (units["t"] == 5), "d"] = 0.0
    ended = panel_design(problem(block, pa.Table.from_pandas(units, preserve_index=False), "twfe"))
    assert all(row.value is None and "ends again" in row.reason for row in ended)


def test_a_violation_without_noise_is_rejected():
    y = np.arange(1.0, 7) * np.repeat([1.0, 0.0], [10, 20])[:, None]
    case = Case("", {6.0: 10, np.inf: 20}, 6)
    sample = dataclasses.replace(drawn(case, np.random.default_rng(0)), y=y)
    assert outcome_of(sample).p_value < 0.01
    assert outcome_of(dataclasses.replace(sample, y=0 * y)) is None
