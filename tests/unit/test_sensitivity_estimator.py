"""The estimator `sensitivity`: Rosenbaum's bounds, Oster's selection, tipping points, contours, and its rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import support

from estimators import build
from estimators.errors import Refusal
from estimators.estimates import made
from estimators.result import Result
from estimators.sensitivity.contours import contours, interval_line, line
from estimators.sensitivity.oster import Selection
from estimators.sensitivity.robustness_value import Strengths, adjusted_error, confounder, robustness_of
from estimators.sensitivity.rosenbaum import SignedRank, Walsh
from estimators.sensitivity.sensitivity import sensitivity
from estimators.sensitivity.tipping import tipping
from estimators.study import Decision

BLOCK = support.observational("y", "t", ["x1", "x2"])


def run(block: dict = BLOCK, units: object = None, **options: object) -> Result:
    own = {**block, "options": {"sensitivity": options}} if options else block
    return support.run(own, support.simulated() if units is None else units, "sensitivity", "ATE")


def told(result: Result, method: str, subject: str) -> float | None:
    (row,) = [r for r in result.sensitivity if (r.method, r.subject) == (method, subject)]
    return row.value


# Rosenbaum


def test_signed_ranks_by_hand() -> None:
    differences = np.array([0.0, 1, 1, -2, 3, 4, 5, 6, 7, 8, 9, 10])
    test = SignedRank.of(differences)
    assert test.ranks.tolist() == [3.0, 1.5, 1.5, *range(4, 12)]  # in the order of the differences: −2 comes first
    assert test.statistic == 63
    assert test.equal == 1
    gamma = 2.0
    mean, variance = 66 * 2 / 3, (test.ranks**2).sum() * 2 / 9
    from scipy.stats import norm

    assert test.p_upper(gamma) == pytest.approx(norm.sf((63 - mean) / np.sqrt(variance)), rel=1e-10)
    assert test.p_lower(gamma) == pytest.approx(norm.sf((63 - 22) / np.sqrt(variance)), rel=1e-10)


def test_the_bound_is_that_of_the_exact_law() -> None:
    # Of 40 pairs, each positive with probability p: the law of T by adding one rank after the other.
    differences = np.arange(1.0, 41) * np.where(np.isin(np.arange(40), [3, 8, 17, 25, 33, 38]), -1, 1)
    test = SignedRank.of(differences)
    for gamma in (1.0, 1.5, 2.0, 3.0):
        p = gamma / (1 + gamma)
        law = np.array([1.0])
        for rank in range(1, 41):
            step = np.zeros(rank + 1)
            step[0], step[rank] = 1 - p, p
            law = np.convolve(law, step)
        exact = law[int(test.statistic) :].sum()
        assert test.p_upper(gamma) == pytest.approx(exact, abs=0.012)
        assert test.p_upper(gamma) >= test.p_upper(1.0) >= test.p_lower(gamma)


def test_the_critical_gamma_is_where_the_bound_passes() -> None:
    rng = np.random.default_rng(3)
    test = SignedRank.of(rng.normal(0.5, 1, 200))
    gamma = test.critical()
    assert gamma > 1
    assert test.p_upper(gamma) == pytest.approx(0.05, abs=1e-9)
    assert SignedRank.of(rng.normal(0.0, 1, 200)).critical() == 1.0
    assert np.isfinite(SignedRank.of(np.arange(1.0, 40)).critical())  # all positive: the bound tends to one half


def test_a_negative_finding_is_turned() -> None:
    d = np.random.default_rng(4).normal(0.7, 1, 100)
    up, down = SignedRank.of(d), SignedRank.of(-d)
    assert (up.sign, down.sign) == (1.0, -1.0)
    assert down.critical() == pytest.approx(up.critical(), rel=1e-12)
    low, high = up.effects(2.0)
    assert down.effects(2.0) == pytest.approx((-high, -low), abs=1e-10)


def test_effect_bounds_are_quantiles_of_walsh_averages(monkeypatch: pytest.MonkeyPatch) -> None:
    test = SignedRank.of(np.random.default_rng(5).normal(1.0, 1, 61))
    d = test.differences
    averages = np.sort([(d[i] + d[j]) / 2 for i in range(61) for j in range(i, 61)])
    low, high = test.effects(1.0)
    assert low == high == np.median(averages)
    low, high = test.effects(3.0)
    assert (averages > low).mean() == pytest.approx(0.75, abs=1e-3)
    assert (averages > high).mean() == pytest.approx(0.25, abs=1e-3)
    from estimators.sensitivity import rosenbaum

    monkeypatch.setattr(rosenbaum, "HELD", 10)
    counted = Walsh.of(np.sort(d))
    assert counted.averages is None
    for share in (0.1, 0.5, 0.75):
        assert counted.above(share) == pytest.approx(test.walsh.above(share), abs=1e-10)


def test_few_pairs_are_refused() -> None:
    with pytest.raises(Refusal, match="9 pairs differ"):
        SignedRank.of(np.array([0.0, *range(1, 10)]))


# Oster


def test_oster_by_hand() -> None:
    # Var t = 1, all of it left by the covariates, β° = 2, β̃ = 1: with own = treatment the cubic is a line in ν².
    found = Selection(2.0, 1.0, 1.0, 0.5, 1.0, 1.0, 0.2, 0.4, 0.5)
    # δ(0): top 1·(1 + 1) + 2·1 = 4; bottom 0.5·1 + 1 = 1.5.
    assert found.delta() == pytest.approx(4 / 1.5)
    # δ = 1: −ν² − (1 + 1) ν + 0.5 = 0, the root nearest to zero.
    assert found.beta() == pytest.approx(1 - (-1 + np.sqrt(1.5)))
    assert found.beta(0.0) == 1.0


def test_delta_and_beta_undo_each_other() -> None:
    result = run()
    found = _selection()
    assert found.beta(told(result, "oster", "delta")) == pytest.approx(0.0, abs=1e-8)
    for delta in (0.2, 0.7, 1.3):
        assert found.delta(found.beta(delta)) == pytest.approx(delta, rel=1e-8)


def _selection(units: dict | None = None) -> Selection:
    from estimators.linear import fit_ols
    from estimators.sensitivity.oster import Regressions

    u = support.simulated() if units is None else units
    x = np.column_stack([u["x1"], u["x2"]])
    short, first = fit_ols(u["y"], u["t"][:, None], ("t",)), fit_ols(u["t"], x, ("x1", "x2"))
    fit = fit_ols(u["y"], np.column_stack([x, u["t"]]), ("x1", "x2", "t"))
    return Regressions(u["y"], short, fit, first, "t").selection(None)


def test_beta_is_the_truth_under_proportional_selection() -> None:
    # Observed and unobserved indices alike: T = a (x + u) + e, Y = 2 T + x + u + v, and Rmax the true one.
    rng = np.random.default_rng(8)
    x, u, e, v = rng.normal(size=(4, 200_000))
    t = 0.5 * (x + u) + e
    y = 2 * t + x + u + v
    units = {"unit_id": np.arange(len(x)), "y": y, "t": t, "x": x}
    result = run(support.observational("y", "t", ["x"]), units, r2_max=1 - 1 / float(y.var()))
    row = support.overall(result, "oster_delta=1")
    assert support.overall(result).estimate > 2.2
    assert abs(row.estimate - 2) < 3 * row.std_error < 0.1


@pytest.mark.parametrize("r2_max", [None, 1.0])
def test_the_standard_error_of_beta_is_that_of_the_jackknife(r2_max: float | None) -> None:
    u = support.simulated(250)
    options = {} if r2_max is None else {"r2_max": r2_max}
    u["y"] = u["y"] + 2 * np.random.default_rng(1).normal(size=250)
    row = support.overall(run(units=u, caliper=1e-9, **options), "oster_delta=1")
    left = []
    for i in range(250):
        rest = {name: np.delete(values, i) for name, values in u.items()}
        found = _selection(rest)
        if r2_max is not None:
            total = rest["y"].var()
            found = Selection(found.short, found.controlled, found.gained, (1 - found.r2_controlled) * total,
                              found.treatment, found.own, found.r2_short, found.r2_controlled, 1.0)  # fmt: skip
        left.append(found.beta())
    jackknife = np.sqrt(249 / 250 * ((np.array(left) - np.mean(left)) ** 2).sum())
    assert row.std_error == pytest.approx(jackknife, rel=0.05)


# Tipping points


@pytest.mark.parametrize(
    ("direction", "least", "effect", "verdict", "bias"),
    [
        ("more", 1.0, (3.0, 0.5), "ship", 3 - 1.959963984540054 * 0.5 - 1),
        ("more", 5.0, (3.0, 0.5), "do_not_ship", 5 - 3 - 1.959963984540054 * 0.5),
        ("more", 3.1, (3.0, 0.5), "extend", 0.0),
        ("less", 1.0, (-3.0, 0.5), "ship", 3 - 1.959963984540054 * 0.5 - 1),
        ("less", 1.0, (3.0, 0.5), "do_not_ship", 1 + 3 - 1.959963984540054 * 0.5),
    ],
)
def test_tipping_by_hand(direction: str, least: float, effect: tuple, verdict: str, bias: float) -> None:
    rule = Decision("ipw", "ATE", direction, least)
    found = tipping(made("ATE", *effect), rule)
    assert found.verdict == verdict
    assert found.bias == pytest.approx(bias, abs=1e-12)


def test_a_confounder_of_the_tipping_strength_brings_the_bias() -> None:
    (row,) = [r for r in build.estimate("s", BLOCK, support.simulated()).to_pylist() if r["estimator"] == "sensitivity"
              and r["term"] == "overall"]  # fmt: skip
    import json

    found = {(s["method"], s["subject"]): s["value"] for s in json.loads(row["sensitivity"])}
    r, bias = found["tipping_point", "partial_r2"], found["tipping_point", "bias"]
    assert bias == pytest.approx(row["conf_low"])  # the minimum effect is zero
    got = run(variance="classical")
    own = support.overall(got)
    assert own.std_error * np.sqrt(own.degrees_of_freedom) * r / np.sqrt(1 - r) == pytest.approx(bias)
    assert {m for m, _ in found} == {
        "e_value", "critical_confounding", "robustness_value", "partial_r2", "benchmark", "tipping_point", "oster",
        "rosenbaum",
    }  # fmt: skip
    curves = {c["curve"] for c in json.loads(row["curves"])}
    assert {"residual_effect", "evalue_frontier", "confounding_contours", "rosenbaum_p"} <= curves


# Contours


def test_a_contour_leaves_its_estimate() -> None:
    got = robustness_of(-2.0, 0.1, 100, {"x": Strengths(0.1, 0.2)})
    for level in (-1.0, -0.5, 0.0):
        x, y = line(got, level)
        left = -2.0 + 0.1 * np.sqrt(y * x / (1 - x) * 100)
        np.testing.assert_allclose(left, level, atol=1e-9)
    x, y = interval_line(got)
    assert len(x) == 61
    from scipy.stats import t

    error = np.array([adjusted_error(0.1, 100, Strengths(a, b)) for a, b in zip(x, y, strict=True)])
    left = 2.0 - 0.1 * np.sqrt(y * x / (1 - x) * 100)
    np.testing.assert_allclose(left, t.ppf(0.975, 99) * error, atol=1e-9)
    names = {p.series for p in contours(got, -1.2) if p.curve == "confounding_contours"}
    assert names == {"estimate=-1.5", "estimate=-1", "estimate=-0.5", "estimate=0", "estimate=-1.2", "interval=0"}
    (point,) = [p for p in contours(got) if p.curve == "confounding_benchmarks"]
    assert (point.x, point.y) == (confounder(Strengths(0.1, 0.2)).treatment, confounder(Strengths(0.1, 0.2)).outcome)
    assert contours(robustness_of(0.0, 0.1, 100, {})) == ()


# The estimator


def test_the_overall_row_is_least_squares() -> None:
    import statsmodels.api as sm

    u = support.simulated()
    row = support.overall(run())
    peer = sm.OLS(u["y"], sm.add_constant(np.column_stack([u["t"], u["x1"], u["x2"]]))).fit(cov_type="HC2", use_t=True)
    np.testing.assert_allclose([row.estimate, row.std_error], [peer.params[1], peer.bse[1]], rtol=1e-10)
    assert row.degrees_of_freedom is not None
    assert row.degrees_of_freedom < peer.df_resid  # Bell & McCaffrey's: test_few_clusters


def test_the_benchmark_row_is_the_strongest_and_what_a_copy_of_it_would_do() -> None:
    result = run(variance="classical")
    (row,) = [e for e in result.estimates if e.term.startswith("benchmark=")]
    assert row.term == "benchmark=x1"
    left = {c.series: (c.x, c.y) for c in result.curves if c.curve == "confounding_benchmarks"}
    own = support.overall(result)
    d, y = left["x1"]
    df = own.degrees_of_freedom
    assert row.estimate == pytest.approx(own.estimate - own.std_error * np.sqrt(y * d / (1 - d) * df))
    assert row.std_error == pytest.approx(own.std_error * np.sqrt((1 - y) / (1 - d) * df / (df - 1)))
    assert row.degrees_of_freedom == df - 1


def test_a_confounder_that_was_left_out_gives_the_adjusted_row() -> None:
    # The adjusted estimate and error with a confounder's own strengths are those of the regression that has it.
    import statsmodels.api as sm

    u = support.simulated()
    z = u["x1"]
    short = sm.OLS(u["y"], sm.add_constant(np.column_stack([u["t"], u["x2"]]))).fit()
    full = sm.OLS(u["y"], sm.add_constant(np.column_stack([u["t"], u["x2"], z]))).fit()
    first = sm.OLS(u["t"], sm.add_constant(np.column_stack([u["x2"], z]))).fit()
    strengths = Strengths(first.tvalues[2] ** 2 / (first.tvalues[2] ** 2 + first.df_resid),
                          full.tvalues[3] ** 2 / (full.tvalues[3] ** 2 + full.df_resid))  # fmt: skip
    assert adjusted_error(short.bse[1], int(short.df_resid), strengths) == pytest.approx(full.bse[1], rel=1e-10)


def test_row_order_and_scale() -> None:
    u = pa.table(support.simulated())
    a, b = run(units=u), run(units=support.shuffled(u))
    c = run(units={**support.simulated(), "y": 1000 * support.simulated()["y"]})
    for one, other, scaled in zip(a.estimates, b.estimates, c.estimates, strict=True):
        for name in ("estimate", "std_error", "conf_low", "conf_high"):
            assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-9)
            assert getattr(scaled, name) == pytest.approx(1000 * getattr(one, name), rel=1e-8)
    for one, other, scaled in zip(a.sensitivity, b.sensitivity, c.sensitivity, strict=True):
        assert other.value == pytest.approx(one.value, rel=1e-8)
        assert scaled.value == pytest.approx(one.value * (1000 if one.subject == "beta" else 1), rel=1e-7)


def test_duplicated_rows_are_weights() -> None:
    u = support.simulated(300)
    count = 1 + np.arange(300) % 3
    rows = np.repeat(np.arange(300), count)
    copied = {name: values[rows] for name, values in u.items()} | {"unit_id": np.arange(len(rows))}
    a = run({**BLOCK, "weight": "w"}, {**u, "w": count.astype(float)})
    b = run(units=copied)
    for term in ("overall", "oster_delta=1"):
        assert support.overall(a, term).estimate == pytest.approx(support.overall(b, term).estimate, rel=1e-10)
    (row,) = [r for r in a.sensitivity if r.method == "rosenbaum"]
    assert row.value is None
    assert "weight 'w'" in row.reading


def test_clusters_that_are_pairs_are_the_pairs() -> None:
    rng = np.random.default_rng(5)
    level = np.repeat(rng.normal(size=40), 2)
    t = np.tile([1.0, 0.0], 40)
    y = level + t + 0.5 * rng.normal(size=80)
    u = {"unit_id": np.arange(80), "pair": np.repeat(np.arange(40), 2), "t": t, "y": y}
    u["x"] = level + rng.normal(size=80)
    block = support.observational("y", "t", ["x"], cluster="pair")
    result = run(block, u)
    direct = SignedRank.of(y[t == 1] - y[t == 0])
    assert told(result, "rosenbaum", "gamma") == pytest.approx(direct.critical(), rel=1e-10)
    assert support.overall(result).n_clusters == 40
    broken = run(block, {**u, "pair": np.repeat(np.arange(20), 4)})
    (row,) = [r for r in broken.sensitivity if r.method == "rosenbaum"]
    assert row.value is None
    assert "are not pairs" in row.reading


@pytest.mark.parametrize("turned", [False, True])
def test_pairs_are_those_of_matching_without_replacement(turned: bool) -> None:
    u = support.simulated()
    if turned:
        u["t"] = 1 - u["t"]
    problem = support.problem(BLOCK, u, "sensitivity")
    from estimators.sensitivity.pairs import pair_differences

    gaps = pair_differences(problem, None)
    treated = int(u["t"].sum())
    assert len(gaps) == min(treated, 600 - treated)
    if treated <= 300:
        row = support.overall(support.run({**BLOCK, "options": {"psm": {"replace": False}}}, u, "psm", "ATT"))
        assert gaps.mean() == pytest.approx(row.estimate, rel=1e-10)


def test_a_continuous_treatment() -> None:
    u = support.simulated()
    result = run(units={**u, "t": u["t"] + 0.3 * u["x2"] + np.random.default_rng(3).normal(size=600)})
    assert support.overall(result).contrast == "per unit"
    (row,) = [r for r in result.sensitivity if r.method == "rosenbaum"]
    assert row.value is None


@pytest.mark.parametrize(
    ("units", "options", "status", "words"),
    [
        ({"x1": "t"}, {}, "not_identified", "explain the treatment"),
        ({}, {"r2_max": 0.1}, "refused", "r2_max is 0.1"),
        ({}, {"r2_max": 1.5}, "refused", "r2_max is 1.5"),
        ({}, {"gammas": [0.5]}, "refused", "from 1 on"),
        ({}, {"caliper": 0.0}, "refused", "caliper"),
        ({"y": "t"}, {}, "refused", "explain the outcome entirely"),
    ],
)
def test_refusals(units: dict, options: dict, status: str, words: str) -> None:
    u = support.simulated()
    u = {**u, **{name: u[other] for name, other in units.items()}}
    with pytest.raises(Refusal, match=words) as refused:
        run(units=u, **options)
    assert refused.value.status == status


def test_a_benchmark_that_explains_the_treatment_loses_its_row_alone() -> None:
    u = support.simulated()
    result = run(units={**u, "x1": u["t"] + 0.1 * np.random.default_rng(1).normal(size=600)})
    row = support.overall(result, "benchmark=x1")
    assert row.status == "not_identified"
    assert support.overall(result).status == "estimated"


def test_it_runs_on_observational_designs_only_and_is_refused_streamed() -> None:
    from estimators.registry import BY_NAME
    from estimators.study import Study

    entry = BY_NAME["sensitivity"]
    assert entry.suits(Study.declare("s", BLOCK), "binary")
    assert not entry.suits(Study.declare("s", {**BLOCK, "design": "experiment"}), "binary")
    rows = build.estimate("s", {**BLOCK, "row_budget": 10}, support.simulated()).to_pylist()
    (row,) = [r for r in rows if r["estimator"] == "sensitivity"]
    assert row["status"] == "refused"
    assert "row_budget" in row["status_reason"]
    assert "Raises" in (sensitivity.__doc__ or "")
