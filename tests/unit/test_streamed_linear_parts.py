"""The parts of the streamed linear family: designs, sensitivity, one scan for all, arithmetic that hands can check."""

import dataclasses

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import support
from scan_support import rows, scanned
from streamed_support import same_parts

from estimators import build
from estimators.assemble import assemble
from estimators.errors import Refusal
from estimators.linear import covariance, fit_ols, leverage
from estimators.moments import Moments
from estimators.registry import BY_NAME
from estimators.result import Result, clean
from estimators.scan import hc, moments_scan, solve
from estimators.scan.clusters import squares
from estimators.sensitivity import analyse as memory_sensitivity
from estimators.streamed import sample as streamed_sample
from estimators.streamed import sensitivity as streamed_sensitivity
from estimators.study import Study

FAMILY = ("difference_in_means", "ols", "regression_adjustment", "tvce")


def units(n=900, **changed):
    return pa.table({**rows(n), **changed})


def block(covariates=("x1", "x2", "x3"), **more):
    return support.observational("y", "t", list(covariates), unit="unit_id", **more)


def problem(given, **more):
    made, _ = assemble(Study.declare("s", {**block(**more), "row_budget": 1}), given)
    return made


# the design of an experiment

N = 900
HALVES = np.random.default_rng(8).integers(0, 2, N).astype(float)
DESIGNS = {
    "plain": ({}, {}),
    "randomised": ({}, {"t": HALVES}),
    "weights": ({"weight": "w"}, {"t": HALVES}),
    "clusters": ({"cluster": "g"}, {"t": HALVES}),
    "weights and clusters": ({"weight": "w", "cluster": "g"}, {"t": HALVES}),
    "clusters of text": ({"cluster": "g"}, {"t": HALVES, "g": [f"site {i % 40}" for i in range(N)]}),
    "assigned by cluster": ({"cluster": "g", "allocation": 0.4}, {"t": (np.arange(N) // 30 % 3 == 0).astype(float),
                                                                   "g": np.arange(N) // 30}),
    "few clusters": ({"cluster": "g"}, {"g": np.arange(N) % 3}),
    "allocation": ({"allocation": 0.5}, {}),
    "a dose": ({"allocation": 0.5}, {"t": np.arange(N) / 10}),
    "collinear": ({"covariates": ["x1", "again", "x3"]}, {"again": 2 * rows(N)["x1"] - 1}),
    "nothing to balance": ({"covariates": ["flat"]}, {"flat": np.full(N, 3.5)}),
    "no covariates": ({"covariates": []}, {}),
    "too few rows": ({"covariates": ["C(unit_id)"]}, {}),
    "explained": ({"covariates": ["copy"]}, {"t": HALVES, "copy": 3 * HALVES}),
}  # fmt: skip


@pytest.mark.parametrize("case", DESIGNS)
def test_the_design_of_an_experiment(case):
    roles, changed = DESIGNS[case]
    given = units(60 if case == "too few rows" else N, **changed)
    declared = {**block(**roles), "design": "experiment", "decision": {**support.DECISION, "primary": FAMILY[0]}}
    declared = {key: value for key, value in declared.items() if value != []}
    memory, streamed = (
        build.design("s", {**declared, "row_budget": budget}, given).to_pylist() for budget in (10**9, 10)
    )
    assert [row["metric"] for row in streamed][:2] == ["omnibus_balance_p", "sample_ratio_p"]
    assert streamed[2]["metric"] == "covariate_assignment_p"
    measured = {"covariate_assignment_p", "vif"} | (set() if case == "a dose" else {"smd"})
    assert {row["metric"] for row in streamed[3:]} <= measured
    assert measured - {"covariate_assignment_p"} <= {row["metric"] for row in streamed} or not declared.get(
        "covariates"
    )
    assert [row["reason"] for row in streamed] == [row["reason"] for row in memory]
    # A p-value p loses log(1 / p) times the digits that its F loses, and here F is right to 1e-12.
    same_parts(memory, streamed, 1e-9, case)


# sensitivity


def analysed(given, estimator, effect, **more):
    """Rows of the analyses in memory and streamed of one made-up estimate."""
    found = []
    for analyse, budget in ((memory_sensitivity.analyse, 10**9), (streamed_sensitivity.analyse, 10)):
        made, _ = assemble(Study.declare("s", {**block(**more), "row_budget": budget}), given)
        found.append(analyse(made.for_run(estimator, "default"), Result((effect,))))
    memory, streamed = found
    assert memory.rows
    same_parts([clean(r) for r in memory.rows], [clean(r) for r in streamed.rows], 1e-9, "rows")
    same_parts([clean(r) for r in memory.curves], [clean(r) for r in streamed.curves], 1e-9, "curves")
    return streamed


def effect(estimand, **more):
    return dataclasses.replace(
        support.overall(support.run(block(), units(), "difference_in_means", "ATE")), estimand=estimand, **more
    )


BINARY = (rows(N)["y"] > 5).astype(float)


@pytest.mark.parametrize("roles", [{}, {"weight": "w"}], ids=str)
def test_a_baseline_risk_of_each_estimand(roles):
    small = {"estimate": 0.1, "conf_low": 0.02, "conf_high": 0.18}
    given = units(y=BINARY)
    for estimator, estimand in (("regression_adjustment", "ATE"), ("ipw", "ATT"), ("ipw", "ATO")):
        told = analysed(given, estimator, effect(estimand, **small), **roles)
        assert "risk without treatment" in told.rows[0].reading
    listed = {"outcome": {"interactions": ["x1"], "covariates": ["x1", "x3"]}}
    analysed(given, "regression_adjustment", effect("ATE", **small), options=listed, **roles)
    analysed(given, "regression_adjustment", effect("ATE", **small), options={"folds": 1}, **roles)


def test_benchmarks_of_categories_and_of_named_covariates():
    given = units(c=np.array(["a", "b", "c"])[np.arange(N) % 3], again=2 * rows(N)["x1"])
    found = analysed(given, "regression_adjustment", effect("ATE"), covariates=["x1", "C(c)", "again"])
    assert [r.subject for r in found.rows if r.method == "benchmark"] == ["x1", "C(c)"]
    named = {"covariates": ["x1", "x3"], "benchmark_covariates": ["x3"]}
    found = analysed(given, "regression_adjustment", effect("ATE"), **named)
    assert [r.subject for r in found.rows if r.method == "benchmark"] == ["x3"]


def test_one_instrument_has_a_robustness_value_and_two_have_none():
    given = units(z2=rows(N)["z"] ** 2)
    found = analysed(given, "iv", effect("LATE"), instruments=["z"])
    assert [r.method for r in found.rows][:3] == ["robustness_value", "robustness_value", "partial_r2"]
    made = problem(given, instruments=["z", "z2"]).for_run("iv", "default")
    assert streamed_sensitivity.analyse(made, Result((effect("LATE"),))).rows == ()


def test_nothing_to_analyse():
    refused = dataclasses.replace(effect("ATE"), status="refused", estimate=None)
    assert streamed_sensitivity.analyse(problem(units()), Result((refused,))).rows == ()
    with_copy = problem(units(copy=3 * rows(N)["t"]), covariates=["x1", "copy"])
    methods = {r.method for r in streamed_sensitivity.analyse(with_copy, Result((effect("ATE"),))).rows}
    # No robustness where the covariates explain the treatment.
    assert methods == {"e_value", "critical_confounding", "tipping_point"}


# one scan for all


def test_two_scans_serve_every_estimator_specification_and_estimand(monkeypatch):
    counted = {"moments": 0, "variances": []}

    def moments(*given):
        counted["moments"] += 1
        return scan(*given)

    def robust(source, plan, found, scores, kinds, clusters):
        counted["variances"].append((len(scores), plan.n_groups))
        return variances(source, plan, found, scores, kinds, clusters)

    scan, variances = moments_scan.scan, hc.robust
    monkeypatch.setattr(moments_scan, "scan", moments)
    monkeypatch.setattr(hc, "robust", robust)
    monkeypatch.setattr(build, "ESTIMATORS", tuple(BY_NAME[name] for name in FAMILY))
    bodies = {
        "hc3": {"estimators": ["regression_adjustment"], "regression_adjustment": {"variance": "HC3"}},
        "plain": {"estimators": ["difference_in_means"], "difference_in_means": {"variance": "classical"}},
        "added": {"estimators": ["regression_adjustment"], "outcome": {"interactions": "none"}},
    }
    found = build.estimate("s", {**block(specifications=bodies), "row_budget": 10}, units()).to_pylist()
    assert {row["status"] for row in found} == {"estimated"}
    assert len(found) == 9
    assert counted == {"moments": 1, "variances": [(8, 10)]}


def test_a_specification_with_other_folds_costs_scans_of_its_own(monkeypatch):
    counted = []
    variances = hc.robust
    monkeypatch.setattr(hc, "robust", lambda *given: counted.append(len(given[3])) or variances(*given))
    monkeypatch.setattr(build, "ESTIMATORS", tuple(BY_NAME[name] for name in FAMILY))
    bodies = {"three": {"estimators": ["tvce"], "folds": 3}}
    build.estimate("s", {**block(specifications=bodies), "row_budget": 10}, units())
    assert counted == [4, 1]


# arithmetic


def test_products_from_sums_by_arm_are_those_of_the_rows():
    data = rows()
    _, found = scanned(data, ("y", "t", "x1", "x2"), group="t::utinyint", n_groups=2, weight="w")
    arms, w = found.moments, data["w"]
    made = solve.interact(arms, ["x1", "x2"], ["a", "b"], arms.cross[1, 0])
    treated = w * data["t"]
    x1, x2 = (x - np.average(x, weights=treated) for x in (data["x1"], data["x2"] - 1e9))
    columns = [data["y"], data["t"], data["x1"], data["x2"], data["t"] * x1, data["t"] * x2]
    expected = Moments.of(np.column_stack(columns), made.moments.names, w)
    sd = np.sqrt(np.diag(expected.covariance()))
    got = made.moments.covariance() / np.outer(sd, sd)
    np.testing.assert_allclose(got, expected.covariance() / np.outer(sd, sd), atol=1e-11)
    assert made.moments.rows.sum() == len(w)


def test_leverages_by_arm_are_those_of_the_whole_design():
    data = rows(700)
    _, found = scanned(data, ("y", "t", "x1", "x3"), group="t::utinyint", n_groups=2)
    arms = found.moments
    made = solve.interact(arms, ["x1"], ["a"], arms.total()[0])
    hat = solve.least_squares(made.moments, "y", ("x1", "x3", "t", "a")).score("t").of(made.of_rows).hat
    z = np.column_stack([data[name] for name in arms.names]) - arms.shift
    z = np.column_stack([np.ones(700), z / arms.scale])
    design = np.column_stack([data["x1"], data["x3"], data["t"], data["t"] * data["x1"]])
    expected = leverage(fit_ols(data["y"], design, ("x1", "x3", "t", "a")))
    along = np.einsum("nrp,np->nr", hat.roots[data["t"].astype(int)], z)
    np.testing.assert_allclose((along**2).sum(axis=1), expected, rtol=1e-9)
    assert expected.sum() == pytest.approx(5)


def test_two_by_two_by_hand():
    """Four rows: means 2 and 5, so the difference is 3; Neyman's variance 2/2 + 8/2 = 5."""
    data = {"y": np.array([1.0, 3.0, 3.0, 7.0]), "t": np.array([0.0, 0.0, 1.0, 1.0])}
    plan, found = scanned(data, ("y", "t"))
    fit = solve.least_squares(found.moments, "y", ("t",))
    (hc2,) = hc.robust(found.source, plan, found.moments, [fit.score("t")], "HC2")
    assert fit.coefficient("t") == pytest.approx(3)
    assert hc2.variance == pytest.approx(2 / 2 + 8 / 2)


def test_kinds_a_score_and_what_was_estimated_before():
    """E[y] with the mean taken as it is (L = 0) and with a shift's own error added (L = x less its mean, over n)."""
    data = rows(500)
    plan, found = scanned(data, ("y", "x1"))
    y, x = data["y"] - data["y"].mean(), data["x1"] - data["x1"].mean()
    score = solve.least_squares(found.moments, "y", ()).form()
    scale = found.moments.scale
    u = np.array([[1 / 500, 0.0, 0.0]])
    mean_x = (found.moments.means() - found.moments.shift) / scale
    more = np.array([[-mean_x[1], 0.0, 1.0]]) / 500
    base = solve.Score(u, score[None], float(scale[0]), 1)
    got = hc.robust(
        found.source, plan, found.moments, [base, dataclasses.replace(base, more=more)], ["HC0", "HC1"]
    )  # fmt: skip
    assert got[0].variance == pytest.approx(np.sum(y**2) / 500**2)
    psi = (y + x / scale[1] * scale[0]) / 500
    assert got[1].variance == pytest.approx(np.sum(psi**2) * 500 / 499)


def test_cluster_sums():
    keys = [np.array([7, -2, 7]), np.array([5, 7])]
    numbers = [np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]]), np.array([[4.0, -1.0], [2.0, 2.0]])]
    parts = list(zip(keys, numbers, strict=True))
    # sums: 7 -> (3, 2), −2 -> (2, 1), 5 -> (4, 2)
    clusters, cross = squares(duckdb.connect(), iter(parts), products=True)
    assert clusters == 3
    np.testing.assert_array_equal(cross, [[9 + 4 + 16, 6 + 2 + 8], [16, 4 + 1 + 4]])
    _, diagonal = squares(duckdb.connect(), iter(parts))
    np.testing.assert_array_equal(diagonal, [29, 9])
    with pytest.raises(ValueError, match="no rows"):
        squares(duckdb.connect(), iter([]))

    def broken():
        yield parts[0]
        raise Refusal("a sampling weight is negative", "Mend it")

    with pytest.raises(Refusal, match="a sampling weight is negative"):
        squares(duckdb.connect(), broken())


def test_as_many_clusters_as_rows_are_hc1_but_for_the_factor():
    data = rows(5_000)
    plan, found = scanned(data, ("y", "t", "x1"), cluster="unit_id")
    fit = solve.least_squares(found.moments, "y", ("t", "x1"))
    (got,) = hc.robust(found.source, plan, found.moments, [fit.score("t")], "CR1", 5_000)
    (hc1,) = hc.robust(found.source, plan, found.moments, [fit.score("t")])
    assert got.variance == pytest.approx(hc1.variance, rel=1e-12)  # G/(G−1) (n−1)/(n−k) is n/(n−k)
    with pytest.raises(Refusal, match="labels share a hash"):
        hc.robust(found.source, plan, found.moments, [fit.score("t")], "CR1", 4_999)


def test_covariance_of_all_slopes_by_cluster():
    data = rows()
    plan, found = scanned(data, ("t", "x1", "x3"), weight="w", cluster="g")
    fit = solve.least_squares(found.moments, "t", ("x1", "x3"))
    got = hc.cluster_covariance(found.source, plan, fit, 60)
    memory = fit_ols(data["t"], np.column_stack([data["x1"], data["x3"]]), ("x1", "x3"), data["w"])
    scale = found.moments.scale[0] / found.moments.scale[1:]
    expected = covariance(memory, "CR1", data["g"])[1:, 1:]
    np.testing.assert_allclose(got[1:, 1:] * np.outer(scale, scale), expected, rtol=1e-9)


def test_an_outcome_and_a_covariate_of_mean_1e9_keep_their_digits():
    rng = np.random.default_rng(0)
    x, noise = rng.integers(-20, 20, 4_000).astype(float), rng.integers(-8, 8, 4_000) / 4
    y = 2 * x + noise  # exact in float64 with 1e9 added
    near, far = (fit_ols(y + shift, x[:, None], ("x",)) for shift in (0.0, 1e9))
    assert far.coef[1] == pytest.approx(near.coef[1], rel=1e-13)
    np.testing.assert_allclose(far.residuals, near.residuals, atol=1e-11)
    away = fit_ols(y, x[:, None] + 1e9, ("x",))
    np.testing.assert_allclose(away.predict(x[:, None] + 1e9), near.predict(x[:, None]), atol=1e-11)
    moments = Moments.of(np.column_stack([y, x + 1e9]), ("y", "x"))
    fitted = moments.regress("y", ["x"])
    np.testing.assert_allclose(fitted.predict(x[:, None] + 1e9), near.predict(x[:, None]), atol=1e-11)


def test_the_counts_of_a_sample():
    given = units(6, y=[0.0, 1.0, 1.0, 0.0, 1.0, 1.0], t=[0, 0, 1, 1, 1, 0], w=[1.0, 0.0, 2.0, 0.0, 1.0, 1.0])
    found = streamed_sample.sample(problem(given, weight="w"))
    assert (found.low, found.high, found.outcome_is_binary) == (0.0, 1.0, True)
    # rows of weight zero are none of the study's
    assert (found.lightest, found.weight, found.squares) == (1.0, 5.0, 7.0)
    assert (found.treated, found.used) == (2, (2, 2))
    fields = streamed_sample.counts(problem(given, weight="w"))
    assert fields == {"n_units": 4, "n_treated": 2, "effective_sample_size": 25 / 7}
    with pytest.raises(Refusal, match="1 untreated units are left and 2 are needed"):
        streamed_sample.check_arms(problem(given), (1, 3))
