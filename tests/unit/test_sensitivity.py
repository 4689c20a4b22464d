"""E-values and robustness values: by hand, against brute force, and what a run's analysis holds."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import statsmodels.api as sm
import support

from estimators import build
from estimators.estimates import made
from estimators.result import Estimate, Result
from estimators.sensitivity.analyse import Analysis, analyse
from estimators.sensitivity.evalue import (
    RiskRatios,
    bias_factor,
    binary_ratios,
    bound_e_value,
    continuous_ratios,
    e_value,
    frontier_curve,
    residual_curve,
)
from estimators.sensitivity.robustness_value import Strengths, adjusted, critical, robustness, robustness_value
from estimators.sensitivity.words import percent, plain

BLOCK = support.observational("y", "t", ["x1", "x2"], outcome_unit="USD")


def analysed(block: dict, units: object, effect: Estimate, estimator: str = "regression_adjustment") -> Analysis:
    return analyse(support.problem(block, units, estimator), Result((effect,)))


def value(analysis: Analysis, method: str, subject: str) -> float | None:
    (row,) = [r for r in analysis.rows if (r.method, r.subject) == (method, subject)]
    return row.value


def test_e_values_by_hand() -> None:
    assert e_value(2.0) == pytest.approx(2 + np.sqrt(2))
    assert e_value(0.5) == e_value(2.0)
    assert e_value(1.0) == 1.0
    assert bound_e_value(RiskRatios(2.0, 0.9, "")) == 1.0
    assert bound_e_value(RiskRatios(2.0, 1.5, "")) == e_value(1.5)
    assert bound_e_value(RiskRatios(0.5, 0.8, "")) == e_value(1.25)
    assert bound_e_value(RiskRatios(0.5, 1.1, "")) == 1.0
    assert bound_e_value(RiskRatios(2.0, None, "")) is None


def test_the_e_value_is_where_the_bias_equals_the_effect() -> None:
    for ratio in (1.2, 2.0, 9.0):
        assert bias_factor(np.array([e_value(ratio)]))[0] == pytest.approx(ratio)


def test_continuous_and_binary_scales() -> None:
    got = continuous_ratios(made("ATE", 2.0, 0.5), 4.0)
    assert got.point == pytest.approx(np.exp(0.91 * 0.5))
    assert got.bound == pytest.approx(np.exp(0.91 * (2 - 1.959963984540054 * 0.5) / 4))
    less = continuous_ratios(made("ATE", -2.0, 0.5), 4.0)
    assert less.point == pytest.approx(1 / got.point)
    assert less.bound == pytest.approx(1 / got.bound)
    got = binary_ratios(made("ATE", 0.1, 0.01), 0.2)
    assert got.point == pytest.approx(1.5)
    assert got.bound == pytest.approx((0.3 - 0.01959963984540054) / 0.2)
    assert binary_ratios(made("ATE", -0.3, 0.01), 0.2) is None
    assert binary_ratios(made("ATE", 0.3, 0.01), 0.0) is None
    assert bound_e_value(binary_ratios(made("ATE", 0.1, 0.5), 0.2)) == 1.0
    assert continuous_ratios(made("ATE", 1e6, 1.0), 1.0) is None


def test_curves_meet_the_e_value() -> None:
    ratios = RiskRatios(2.0, 1.5, "")
    residual = [c for c in residual_curve(ratios) if c.series == "point"]
    assert residual[0].x == 1.0
    assert residual[0].y == 2.0
    assert np.all(np.diff([c.y for c in residual]) < 0)
    at = np.interp(e_value(2.0), [c.x for c in residual], [c.y for c in residual])
    assert at == pytest.approx(1.0, abs=0.01)
    frontier = [c for c in frontier_curve(ratios) if c.series == "point"]
    np.testing.assert_allclose([c.x * c.y / (c.x + c.y - 1) for c in frontier], 2.0)
    middle = frontier[len(frontier) // 2]
    assert middle.x == pytest.approx(e_value(2.0))
    assert middle.y == pytest.approx(e_value(2.0))
    assert {c.series for c in frontier_curve(RiskRatios(2.0, 0.9, ""))} == {"point"}
    up = [c.y for c in residual_curve(RiskRatios(0.5, None, ""))]
    assert up[0] == 0.5
    assert np.all(np.diff(up) > 0)
    assert frontier_curve(RiskRatios(1.0, None, "")) == ()


def test_robustness_values_by_their_definition() -> None:
    f = 0.3
    rv = robustness_value(f)
    # a confounder with R² = rv on both sides takes away the whole of the estimate
    assert rv * np.sqrt(1 / (1 - rv)) == pytest.approx(f)
    assert robustness_value(0.1, 0.2) == 0.0
    assert robustness_value(0.3, 0.1) == pytest.approx(robustness_value(0.2))
    assert critical(101) == pytest.approx(1.9839715185 / 10, rel=1e-8)
    high = robustness_value(6.0, 0.2)
    assert high == pytest.approx((36 - 0.04) / 37)


def test_robustness_follows_from_the_regression_of_statsmodels() -> None:
    u = support.simulated()
    x = np.column_stack([u["x1"], u["x2"]])
    got = robustness(u["y"], u["t"], x, ("x1", "x2"), {"x1": ("x1",), "both": ("x1", "x2")})
    full = sm.OLS(u["y"], np.column_stack([np.ones(600), x, u["t"]])).fit()
    assert got.estimate == pytest.approx(full.params[3], abs=1e-10)
    assert got.std_error == pytest.approx(full.bse[3], abs=1e-10)
    assert got.partial_r2 == pytest.approx(full.tvalues[3] ** 2 / (full.tvalues[3] ** 2 + 596), abs=1e-10)
    first = sm.OLS(u["t"], np.column_stack([np.ones(600), x])).fit()
    rows = np.array([[0, 1, 0, 0], [0, 0, 1, 0]])
    w_y, w_t = 2 * float(full.f_test(rows).fvalue), 2 * float(first.f_test(rows[:, :3]).fvalue)
    both = Strengths(w_t / (w_t + 597), w_y / (w_y + 596))
    assert got.benchmarks["both"] == pytest.approx(adjusted(got.estimate, got.std_error, 596, both), abs=1e-10)
    t1, y1 = first.tvalues[1] ** 2, full.tvalues[1] ** 2
    one = Strengths(t1 / (t1 + 597), y1 / (y1 + 596))
    assert got.benchmarks["x1"] == pytest.approx(adjusted(got.estimate, got.std_error, 596, one), abs=1e-10)


def test_the_bias_is_that_of_a_confounder_which_was_left_out() -> None:
    """A confounder made exactly as strong as a covariate moves the estimate by exactly what `adjusted` says."""
    rng = np.random.default_rng(1)
    n = 300
    basis = np.linalg.qr(np.column_stack([np.ones(n), rng.normal(size=(n, 4))]))[0][:, 1:] * np.sqrt(n)
    xj, z, ut, uy = basis.T
    t = 0.4 * xj + 0.4 * z + ut
    y = 1.0 * t + 0.7 * xj + 0.7 * z + uy
    short = robustness(y, t, xj[:, None], ("xj",), {"xj": ("xj",)})
    long = sm.OLS(y, np.column_stack([np.ones(n), xj, z, t])).fit().params[3]
    assert long == pytest.approx(1.0)
    assert short.estimate - long > 0.1
    assert short.benchmarks["xj"] == pytest.approx(long, abs=1e-9)


def test_a_benchmark_that_explains_all_leaves_nothing() -> None:
    assert adjusted(1.0, 0.1, 100, Strengths(0.5, 0.1)) is None
    assert adjusted(1.0, 0.1, 100, Strengths(1.0, 0.1)) is None
    assert adjusted(1.0, 0.1, 100, Strengths(0.0, 0.1)) == 1.0
    assert adjusted(-1.0, 0.1, 100, Strengths(0.1, 0.1)) > -1.0


def test_an_analysis_holds_every_method_with_a_reading() -> None:
    got = analysed(BLOCK, support.simulated(), made("ATE", 2.0, 0.1))
    assert [(r.method, r.subject) for r in got.rows] == [
        ("e_value", "point"), ("e_value", "bound"), ("critical_confounding", "overall"),
        ("robustness_value", "q=1"), ("robustness_value", "q=1,alpha=0.05"), ("partial_r2", "t"),
        ("benchmark", "x1"), ("benchmark", "x2"), ("tipping_point", "bias"), ("tipping_point", "partial_r2"),
    ]  # fmt: skip
    assert value(got, "critical_confounding", "overall") == value(got, "e_value", "bound")
    assert all(r.reading.endswith(".") or r.reading.endswith(").") for r in got.rows)
    assert all("prove" not in r.reading for r in got.rows)
    assert "2.00 USD" in got.rows[0].reading
    assert {c.curve for c in got.curves} == {"residual_effect", "evalue_frontier"}
    assert {c.series for c in got.curves} == {"point", "bound"}


def test_without_an_interval_only_the_point_is_judged() -> None:
    got = analysed(BLOCK, support.simulated(), Estimate("ATE", estimate=2.0))
    assert {(r.method, r.subject) for r in got.rows if r.method in ("e_value", "critical_confounding")} == {
        ("e_value", "point")
    }
    assert {c.series for c in got.curves} == {"point"}


@pytest.mark.parametrize(
    "effect",
    [
        Estimate("ATE", status="refused"),
        Estimate("ATE", term="event_time=1", estimate=1.0),
        Estimate("ATE", status="not_identified", estimate=None),
    ],
)
def test_nothing_is_said_of_what_was_not_estimated(effect: Estimate) -> None:
    assert analysed(BLOCK, support.simulated(), effect) == Analysis()


def test_a_binary_outcome_uses_the_estimands_own_baseline() -> None:
    u = support.simulated()
    u["y"] = (u["y"] > 1.5).astype(float)
    att = analysed(BLOCK, u, made("ATT", 0.2, 0.02))
    risk = u["y"][u["t"] == 1].mean()
    assert value(att, "e_value", "point") == pytest.approx(e_value(risk / (risk - 0.2)))
    p = support.problem(BLOCK, u, "regression_adjustment")
    nuisances = p.nuisances()
    for estimand, weights in (("ATE", np.ones(600)), ("ATO", nuisances.propensity * (1 - nuisances.propensity))):
        base = np.average(nuisances.mu0, weights=weights)
        got = analyse(p, Result((made(estimand, 0.2, 0.02),)))
        assert value(got, "e_value", "point") == pytest.approx(e_value((base + 0.2) / base))
    impossible = analysed(BLOCK, u, made("ATE", 1.5, 0.02))
    assert "e_value" not in {r.method for r in impossible.rows}
    assert impossible.curves == ()


def test_a_continuous_treatment_is_told_a_unit() -> None:
    u = support.simulated()
    u["t"] = u["t"] + u["x1"]
    got = analysed(BLOCK, u, made("ATE", 0.5, 0.05), "tvce")
    assert value(got, "e_value", "point") == pytest.approx(e_value(np.exp(0.91 * 0.5 / u["y"].std(ddof=1))))


def test_benchmarks_are_declared_or_all_of_few_and_categories_are_groups() -> None:
    u = {**support.simulated(), "region": np.arange(600) % 4, "village": np.arange(600) % 30}
    block = {**BLOCK, "covariates": ["x1", "C(region)", "C(village)"]}
    names = [r.subject for r in analysed(block, u, made("ATE", 2.0, 0.1)).rows if r.method == "benchmark"]
    assert names == ["x1", "C(region)"]
    block["benchmark_covariates"] = ["C(village)", "x2"]
    names = [r.subject for r in analysed(block, u, made("ATE", 2.0, 0.1)).rows if r.method == "benchmark"]
    assert names == ["C(village)"]  # x2 is not among the covariates
    many = {**u, **{f"z{j}": np.sin(np.arange(600.0) * (j + 2)) for j in range(15)}}
    block = {**BLOCK, "covariates": [f"z{j}" for j in range(15)]}
    assert "benchmark" not in {r.method for r in analysed(block, many, made("ATE", 2.0, 0.1)).rows}


def test_weights_equal_duplicates_and_row_order_does_not_matter() -> None:
    u = support.simulated(300)
    count = 1 + np.arange(300) % 3
    weighted = {**u, "w": count.astype(float)}
    rows = np.repeat(np.arange(300), count)
    copied = {name: v[rows] for name, v in u.items()} | {"unit_id": np.arange(len(rows))}
    effect = made("ATE", 2.0, 0.1)
    a = analysed({**BLOCK, "weight": "w"}, weighted, effect)
    b = analysed(BLOCK, copied, effect)
    got = robustness(u["y"], u["t"], u["x1"][:, None], ("x1",), {}, weighted["w"])
    same = robustness(copied["y"], copied["t"], copied["x1"][:, None], ("x1",), {})
    assert got.estimate == pytest.approx(same.estimate, abs=1e-10)
    assert value(a, "e_value", "point") == pytest.approx(value(b, "e_value", "point"), rel=2e-3)
    other = analysed({**BLOCK, "weight": "w"}, support.shuffled(pa.table(weighted)), effect)
    assert [r.value for r in other.rows] == pytest.approx([r.value for r in a.rows], abs=1e-10)


def test_scaling_the_outcome_changes_no_strength() -> None:
    u = support.simulated()
    a = analysed(BLOCK, u, made("ATE", 2.0, 0.1))
    b = analysed(BLOCK, {**u, "y": u["y"] * 1000}, made("ATE", 2000.0, 100.0))
    for one, other in zip(a.rows, b.rows, strict=True):
        factor = 1000 if one.method == "benchmark" or (one.method, one.subject) == ("tipping_point", "bias") else 1
        assert other.value == pytest.approx(factor * one.value, rel=1e-9)


def test_instruments_are_judged_by_the_reduced_form() -> None:
    rng = np.random.default_rng(2)
    z, x, hidden = rng.normal(size=(3, 300))
    d = z + hidden
    u = {"unit_id": np.arange(300), "y": d + hidden + x, "d": d, "z": z, "z2": rng.normal(size=300), "x": x}
    block = support.observational("y", "d", ["x"], design="iv", instruments=["z"])
    block["decision"] = {**block["decision"], "primary": "iv", "estimand": "LATE"}
    got = analysed(block, u, made("LATE", 1.0, 0.1), "iv")
    fit = sm.OLS(u["y"], np.column_stack([np.ones(300), x, z])).fit()
    assert value(got, "robustness_value", "q=1") == pytest.approx(robustness_value(abs(fit.tvalues[2]) / np.sqrt(297)))
    assert "e_value" not in {r.method for r in got.rows}
    assert "instrument" in got.rows[0].reading
    two = analysed({**block, "instruments": ["z", "z2"]}, u, made("LATE", 1.0, 0.1), "iv")
    assert two == Analysis()


@pytest.mark.filterwarnings("error")
def test_odd_data_are_skipped_not_raised() -> None:
    u = support.simulated(40)
    effect = made("ATE", 2.0, 0.1)
    same = analysed({**BLOCK, "covariates": ["x1", "t2"]}, {**u, "t2": u["t"]}, effect)
    assert {r.method for r in same.rows} == {"e_value", "critical_confounding", "tipping_point"}
    flat = analysed(BLOCK, {**u, "y": np.full(40, 3.0)}, effect)
    assert [(r.method, r.subject) for r in flat.rows] == [("tipping_point", "bias")]
    assert flat.curves == ()
    exact = analysed(BLOCK, {**u, "y": 2.0 * u["t"] + 1}, effect)
    strengths = [r.value for r in exact.rows if r.method == "robustness_value"]
    assert strengths == pytest.approx([1.0] * len(strengths), abs=1e-6)


def test_build_writes_the_rows() -> None:
    import json

    rows = build.estimate("test", BLOCK, support.simulated()).to_pylist()
    (row,) = [r for r in rows if (r["estimator"], r["estimand"]) == ("psm", "ATT")]
    assert {s["method"] for s in json.loads(row["sensitivity"])} >= {"e_value", "robustness_value", "benchmark"}
    (naive,) = [r for r in rows if r["estimator"] == "difference_in_means"]
    assert json.loads(naive["sensitivity"]) == []


def test_numbers_in_words() -> None:
    assert plain(1794.34, "USD") == "1,794 USD"
    assert plain(0.0973158) == "0.0973"
    assert plain(-12.345) == "-12.3"
    assert plain(0.0) == "0"
    assert percent(0.138776) == "13.9 %"
