"""Linear estimators from one scan and their variances from one more: equal to the in-memory estimators."""

import numpy as np
import pyarrow as pa
import pytest
import support
from scan_support import SEED, X, centred, fold_sql, rows, scanned

from estimators.balance import standardised_differences
from estimators.linear import covariance, fit_ols
from estimators.scan import columns, hc, solve
from estimators.sensitivity.robustness_value import group_partial_r2, robustness

KINDS = ("HC0", "HC1", "HC2", "HC3")
NAMES = ("t", *X)


def in_memory(data, weights=None):
    return fit_ols(data["y"], np.column_stack([data[name] for name in NAMES]), NAMES, weights)


def problem(data, estimator, **more):
    return support.problem(
        support.observational("y", "t", list(X), unit="unit_id", seed=SEED, **more), pa.table(centred(data)), estimator
    )


@pytest.mark.parametrize("weight", [None, "w"])
@pytest.mark.parametrize("kind", KINDS)
def test_least_squares(kind, weight):
    data = rows(40_000)
    plan, found = scanned(data, ("y", *NAMES), weight=weight)
    ours = solve.least_squares(found.moments, "y", NAMES)
    fit = in_memory(data, data["w"] if weight else None)
    got = hc.robust(found.source, plan, found.moments, [ours.score(name) for name in NAMES], kind)
    expected = np.diag(covariance(fit, kind))[1:]
    np.testing.assert_allclose(
        [ours.coefficient(n) + g.correction for n, g in zip(NAMES, got, strict=True)], fit.coef[1:], rtol=1e-9
    )
    np.testing.assert_allclose([g.variance for g in got], expected, rtol=1e-9)
    assert ours.classical("t") == pytest.approx(np.sqrt(covariance(fit, "classical")[1, 1]), rel=1e-9)
    assert ours.r2 == pytest.approx(fit.r2, rel=1e-9)
    assert ours.partial_r2(["x1", "x3"]) == pytest.approx(group_partial_r2(fit, ["x1", "x3"]), rel=1e-9)


@pytest.mark.parametrize("weight", [None, "w"])
def test_clusters(weight):
    data = rows()
    plan, found = scanned(data, ("y", *NAMES), weight=weight, cluster=columns.cluster_key("g", "BIGINT"))
    ours = solve.least_squares(found.moments, "y", NAMES)
    keys = columns.cluster_keys(found.source, "g", "BIGINT")
    got = hc.robust(found.source, plan, found.moments, [ours.score("t"), ours.score("x1")], "CR1", len(keys))
    expected = np.diag(covariance(in_memory(data, data["w"] if weight else None), "CR1", data["g"]))[1:3]
    np.testing.assert_allclose([g.variance for g in got], expected, rtol=1e-9)
    assert got[0].clusters == 60


def exact(x, y):
    """Least squares and HC1 in extended precision, itself refined."""
    design = np.column_stack([np.ones(len(y)), x]).astype(np.longdouble)
    design[:, 1:] -= design[:, 1:].mean(axis=0)
    y = y.astype(np.longdouble)
    y = y - y.mean()
    inverse = np.linalg.inv((design.T @ design).astype(float)).astype(np.longdouble)
    one = np.eye(design.shape[1], dtype=np.longdouble)
    for _ in range(4):
        inverse = inverse + inverse @ (one - design.T @ (design @ inverse))
    beta = inverse @ (design.T @ y)
    for _ in range(3):
        beta = beta + inverse @ (design.T @ (y - design @ beta))
    psi = (design @ inverse) * (y - design @ beta)[:, None]
    n, k = design.shape
    return beta[1:].astype(float), ((psi**2).sum(axis=0) * n / (n - k))[1:].astype(float)


def test_refinement_brings_back_lost_digits():
    rng = np.random.default_rng(0)
    n = 30_000
    a, noise, b = rng.normal(size=(3, n))
    t = (a + rng.normal(size=n) > 0).astype(float)
    near = a + 1e-4 * noise  # condition of the correlations 4e8
    data = {"y": 100 + t + a + 3 * near + b + (1 + t) * rng.normal(size=n), "t": t, "a": a, "near": near, "b": b}
    names = ("t", "a", "near", "b")
    plan, found = scanned(data, ("y", *names))
    fit = solve.least_squares(found.moments, "y", names)
    got = hc.robust(found.source, plan, found.moments, [fit.score(name) for name in names])
    beta, variance = exact(np.column_stack([data[name] for name in names]), data["y"])
    solved = np.array([fit.coefficient(name) for name in names])
    refined = solved + [g.correction for g in got]
    np.testing.assert_allclose(refined, beta, rtol=1e-10)
    assert np.abs(solved / beta - 1).max() > 1e-10  # the moments alone do not hold them
    np.testing.assert_allclose([g.variance for g in got], variance, rtol=1e-9)


@pytest.mark.parametrize("weight", [None, "w"])
@pytest.mark.parametrize("folds", [1, 5])
def test_partially_linear(folds, weight):
    from estimators.selection_on_observables.tvce import tvce

    data = rows()
    more = {"weight": "w"} if weight else {}
    row = tvce(problem(data, "tvce", options={"folds": folds, "tvce": {"learner": "linear"}}, **more), "ATE").estimates[
        0
    ]
    plan, found = scanned(data, ("y", *NAMES), weight=weight, group=fold_sql(n_folds=folds), n_groups=folds)
    got = solve.partially_linear(found.moments, "y", "t", X)
    (robust,) = hc.robust(found.source, plan, found.moments, [got.score])
    assert got.coef == pytest.approx(row.estimate, rel=1e-9)
    assert np.sqrt(robust.variance) == pytest.approx(row.std_error, rel=1e-9)


def test_partially_linear_with_clusters():
    from estimators.selection_on_observables.tvce import tvce

    data = rows()
    row = tvce(problem(data, "tvce", cluster="g", options={"tvce": {"learner": "linear"}}), "ATE").estimates[0]
    plan, found = scanned(
        data, ("y", *NAMES), group=fold_sql("g"), n_groups=5, cluster=columns.cluster_key("g", "BIGINT")
    )
    got = solve.partially_linear(found.moments, "y", "t", X)
    (robust,) = hc.robust(found.source, plan, found.moments, [got.score], "CR2", 60)
    assert got.coef == pytest.approx(row.estimate, rel=1e-9)
    assert np.sqrt(robust.variance) == pytest.approx(row.std_error, rel=1e-9)


@pytest.mark.parametrize("clustered", [False, True])
def test_two_stage(clustered):
    from estimators.instruments.iv import iv

    data = rows()
    data["z2"] = data["z"] ** 2 + data["x1"]
    more, kind = ({"cluster": "g"}, "CR1") if clustered else ({}, "robust")
    own = problem(data, "iv", instruments=["z", "z2"], options={"iv": {"variance": kind}}, **more)
    row = iv(own, "LATE").estimates[0]
    key = columns.cluster_key("g", "BIGINT") if clustered else None
    plan, found = scanned(data, ("y", *NAMES, "z", "z2"), cluster=key)
    got = solve.two_stage(found.moments, "y", "t", ("z", "z2"), X)
    clusters = 60 if clustered else None
    (robust,) = hc.robust(found.source, plan, found.moments, [got.score], "CR1" if clustered else "HC1", clusters)
    assert got.coef == pytest.approx(row.estimate, rel=1e-9)
    assert np.sqrt(robust.variance) == pytest.approx(row.std_error, rel=1e-9)


def test_inflation_differences_and_robustness():
    data = rows()
    _, found = scanned(data, ("y", *NAMES), group="t::utinyint", n_groups=2)
    moments = found.moments
    fit = fit_ols(data["t"], np.column_stack([data[name] for name in X]), X)
    assert solve.inflation(moments, "t", X) == pytest.approx(1 / (1 - fit.r2), rel=1e-9)
    smd = solve.differences(moments.only(1), moments.only(0))
    x = np.column_stack([data[name] for name in X])
    np.testing.assert_allclose(smd[2:], standardised_differences(x, data["t"], np.ones(len(x))), rtol=1e-9)
    held = robustness(data["y"], data["t"], x, X, {})
    ols = solve.least_squares(moments, "y", NAMES)
    assert ols.coefficient("t") == pytest.approx(held.estimate, rel=1e-9)
    assert ols.classical("t") == pytest.approx(held.std_error, rel=1e-9)


def test_scaling_the_outcome_scales_estimate_and_error():
    data = rows()
    plan, found = scanned(data, ("y", *NAMES))
    other_plan, other = scanned({**data, "y": 1000 * data["y"]}, ("y", *NAMES))
    one, many = (solve.least_squares(f.moments, "y", NAMES) for f in (found, other))
    (a,) = hc.robust(found.source, plan, found.moments, [one.score("t")])
    (b,) = hc.robust(other.source, other_plan, other.moments, [many.score("t")])
    assert many.coefficient("t") == pytest.approx(1000 * one.coefficient("t"), rel=1e-12)
    assert b.variance == pytest.approx(1e6 * a.variance, rel=1e-12)


def test_dropped_columns_and_refused_kinds():
    data = rows(500)
    data["again"] = data["x1"] + 2 * data["t"]
    plan, found = scanned(data, ("y", *NAMES, "again"))
    fit = solve.least_squares(found.moments, "y", (*NAMES, "again"))
    assert fit.dropped == ("again",)
    with pytest.raises(KeyError):
        fit.coefficient("again")
    with pytest.raises(ValueError, match="unknown variance"):
        hc.robust(found.source, plan, found.moments, [fit.score("t")], "HC4")
    plr = solve.partially_linear(found.moments, "y", "t", X)
    with pytest.raises(ValueError, match="for coefficients of least squares"):
        hc.robust(found.source, plan, found.moments, [plr.score], "HC3")
    _, few = scanned({name: v[:5] for name, v in data.items()}, ("y", *NAMES))
    with pytest.raises(ValueError, match="5 rows cannot carry 5 coefficients"):
        solve.least_squares(few.moments, "y", NAMES)
