"""Least squares: against statsmodels, against extended precision, and what must not change it."""

import numpy as np
import pytest

from estimators.linear import Basis, covariance, fit_ols, leverage


def data(n=150, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)) @ np.array([[1, 0.5, 0], [0, 1, 0.3], [0, 0, 1]])
    y = 1 + x @ [1.0, -2.0, 0.5] + rng.normal(size=n) * (1 + np.abs(x[:, 0]))
    return y, x, rng.uniform(0.5, 3.0, size=n), rng.integers(0, 12, size=n)


NAMES = ("a", "b", "c")


def peer(y, x, w=None, **how):
    import statsmodels.api as sm

    design = sm.add_constant(x)
    model = sm.OLS(y, design) if w is None else sm.WLS(y, design, weights=w)
    return model.fit(**how)


def test_by_hand():
    # y = 1 + 2 x fits (0, 1), (1, 3), (2, 5) exactly but for a bump of 3 in the middle: residuals -1, 2, -1.
    fit = fit_ols(np.array([1.0, 6.0, 5.0]), np.array([[0.0], [1.0], [2.0]]), ("x",))
    np.testing.assert_allclose(fit.coef, [2, 2], atol=1e-14)
    np.testing.assert_allclose(fit.residuals, [-1, 2, -1], atol=1e-14)
    np.testing.assert_allclose(fit.bread, [[5 / 6, -1 / 2], [-1 / 2, 1 / 2]], atol=1e-14)
    np.testing.assert_allclose(leverage(fit), [5 / 6, 1 / 3, 5 / 6], atol=1e-14)
    assert (fit.names, fit.index("x"), fit.degrees_of_freedom, fit.dropped) == (("(intercept)", "x"), 1, 1, ())
    assert fit.r2 == pytest.approx(1 - 6 / 14)
    assert covariance(fit, "classical")[1, 1] == pytest.approx(6 / 1 * 1 / 2)
    assert covariance(fit, "HC0")[1, 1] == pytest.approx((0.25 + 0.25) * 1)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["classical", "HC0", "HC1"])
def test_statsmodels_agrees(kind, weighted):
    y, x, w, _ = data()
    w = w if weighted else None
    theirs = peer(y, x, w, cov_type="nonrobust" if kind == "classical" else kind)
    fit = fit_ols(y, x, NAMES, w)
    np.testing.assert_allclose(fit.coef, theirs.params, rtol=1e-9)
    np.testing.assert_allclose(covariance(fit, kind), theirs.cov_params(), rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(fit.residuals, theirs.resid, atol=1e-12)
    assert fit.r2 == pytest.approx(theirs.rsquared, rel=1e-10)


@pytest.mark.parametrize("kind", ["HC2", "HC3"])
def test_statsmodels_agrees_on_leverage(kind):
    y, x, _, _ = data()
    theirs = peer(y, x, cov_type=kind)
    np.testing.assert_allclose(covariance(fit_ols(y, x, NAMES), kind), theirs.cov_params(), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("weighted", [False, True])
def test_statsmodels_agrees_on_clusters(weighted):
    y, x, w, g = data()
    w = w if weighted else None
    theirs = peer(y, x, w, cov_type="cluster", cov_kwds={"groups": g})
    fit = fit_ols(y, x, NAMES, w)
    np.testing.assert_allclose(covariance(fit, "CR1", g), theirs.cov_params(), rtol=1e-9, atol=1e-15)
    labels = np.array([f"school {i}" for i in g], dtype=object)
    np.testing.assert_allclose(covariance(fit, "CR1", labels), theirs.cov_params(), rtol=1e-9, atol=1e-15)


def test_each_its_own_cluster_is_hc1():
    y, x, w, _ = data()
    fit = fit_ols(y, x, NAMES, w)
    np.testing.assert_allclose(covariance(fit, "CR1", np.arange(150)), covariance(fit, "HC1"), rtol=1e-12)


def test_influence_values_add_up_to_hc0():
    y, x, w, _ = data()
    fit = fit_ols(y, x, NAMES, w)
    psi = fit.influence()
    np.testing.assert_allclose(psi.sum(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(psi.T @ psi / len(y) ** 2, covariance(fit, "HC0"), rtol=1e-10)
    np.testing.assert_allclose(fit.projection().T @ (w * y), fit.coef, rtol=1e-10)


def test_weights_are_repeated_rows():
    y, x, _, _ = data(40)
    w = np.arange(40) % 3 + 1
    ours, theirs = fit_ols(y, x, NAMES, w.astype(float)), fit_ols(np.repeat(y, w), np.repeat(x, w, axis=0), NAMES)
    np.testing.assert_allclose(ours.coef, theirs.coef, rtol=1e-12)
    np.testing.assert_allclose(ours.bread, theirs.bread, rtol=1e-11)
    assert ours.r2 == pytest.approx(theirs.r2, rel=1e-12)


def test_row_order():
    y, x, w, g = data()
    order = np.random.default_rng(0).permutation(150)
    one, other = fit_ols(y, x, NAMES, w), fit_ols(y[order], x[order], NAMES, w[order])
    np.testing.assert_allclose(one.coef, other.coef, rtol=1e-12)
    for kind in ("HC3", "CR1"):
        np.testing.assert_allclose(covariance(one, kind, g), covariance(other, kind, g[order]), rtol=1e-11)


def longdouble_ols(y, x):
    """Normal equations in 80-bit arithmetic on centred columns, with HC0 of the slopes."""
    x, y = x.astype(np.longdouble), y.astype(np.longdouble)
    z, v = x - x.mean(axis=0), y - y.mean()
    gram, right = z.T @ z, z.T @ v
    inverse = np.linalg.inv(gram.astype(float)).astype(np.longdouble)
    eye = np.eye(x.shape[1], dtype=np.longdouble)
    for _ in range(4):  # Newton's iteration for the inverse doubles its digits
        inverse = inverse @ (2 * eye - gram @ inverse)
    slopes = inverse @ right
    for _ in range(4):
        slopes = slopes + inverse @ (z.T @ (v - z @ slopes))
    scores = z * (v - z @ slopes)[:, None]
    return slopes.astype(float), (inverse @ (scores.T @ scores) @ inverse).astype(float)


@pytest.mark.parametrize("shift", [1e4, 1e8])
def test_condition_of_a_hundred_million(shift):
    """A column of mean 1e8 and sd 1: the condition of (1, x) is 1e8, of its cross-products 1e16."""
    y, x, _, _ = data()
    x = x.copy()
    x[:, 0] = np.round(x[:, 0] * 2**20) / 2**20 + shift
    if shift == 1e8:
        assert np.linalg.cond(np.column_stack([np.ones(150), x])) > 1e8
    slopes, hc0 = longdouble_ols(y, x)
    fit = fit_ols(y, x, NAMES)
    np.testing.assert_allclose(fit.coef[1:], slopes, rtol=1e-8)
    np.testing.assert_allclose(covariance(fit, "HC0")[1:, 1:], hc0, rtol=1e-8, atol=1e-12)
    plain = fit_ols(y, x - [shift, 0, 0], NAMES)
    for kind in ("HC2", "HC3", "classical"):
        np.testing.assert_allclose(
            covariance(fit, kind)[1:, 1:], covariance(plain, kind)[1:, 1:], rtol=1e-7, atol=1e-12
        )
    np.testing.assert_allclose(leverage(fit), leverage(plain), rtol=1e-7)


def test_refinement_at_nearly_collinear_columns():
    rng = np.random.default_rng(4)
    a = rng.normal(size=300)
    x = np.column_stack([a, a + 2e-5 * rng.normal(size=300)])
    y = x.sum(axis=1) + rng.normal(size=300)
    fit = fit_ols(y, x, ("a", "near"))
    assert fit.dropped == ()
    np.testing.assert_allclose(fit.coef[1:], longdouble_ols(y, x)[0], rtol=1e-9)


def test_collinear_columns_are_dropped_and_named():
    y, x, _, _ = data()
    wide = np.column_stack([x[:, 0], np.full(150, 0.1), x[:, 1], x[:, 0] - x[:, 1]])
    fit = fit_ols(y, wide, ("a", "k", "b", "gap"))
    assert (fit.names, fit.dropped) == (("(intercept)", "a", "b"), ("k", "gap"))
    np.testing.assert_allclose(fit.coef, fit_ols(y, x[:, :2], ("a", "b")).coef, rtol=1e-11)
    with pytest.raises(KeyError, match="gap"):
        fit.index("gap")


def test_scale_of_the_outcome_and_of_a_column():
    y, x, _, _ = data()
    plain, big = fit_ols(y, x, NAMES), fit_ols(1e6 * y, x * [1e-9, 1, 1], NAMES)
    factor = np.array([1e6, 1e15, 1e6, 1e6])
    np.testing.assert_allclose(big.coef, factor * plain.coef, rtol=1e-10)
    np.testing.assert_allclose(
        covariance(big, "HC3"), np.outer(factor, factor) * covariance(plain, "HC3"), rtol=1e-9, atol=1e-20
    )


def test_a_unit_with_leverage_one_does_not_blow_up():
    y, x, _, _ = data(20)
    alone = (np.arange(20) == 3).astype(float)[:, None]
    fit = fit_ols(y, np.column_stack([x, alone]), (*NAMES, "alone"))
    assert leverage(fit)[3] == pytest.approx(1, abs=1e-12)
    without = fit_ols(np.delete(y, 3), np.delete(x, 3, axis=0), NAMES)
    for kind in ("HC2", "HC3"):
        ours = covariance(fit, kind)[1:4, 1:4]
        np.testing.assert_allclose(ours, covariance(without, kind)[1:, 1:], rtol=1e-6)


def test_constant_outcome_and_no_columns():
    fit = fit_ols(np.full(4, 2.0), np.empty((4, 0)), ())
    assert (fit.coef.tolist(), fit.r2, fit.names) == ([2.0], 0.0, ("(intercept)",))


@pytest.mark.parametrize("n", [2, 3, 4])
def test_too_few_rows(n):
    y, x, _, _ = data(n)
    with pytest.raises(ValueError, match=rf"{n} rows cannot carry [234] coefficients"):
        fit_ols(y, x, NAMES)


def test_unknown_variance():
    y, x, _, _ = data(20)
    with pytest.raises(ValueError, match="unknown variance 'HC9'"):
        covariance(fit_ols(y, x, NAMES), "HC9")


def test_basis_maps_both_ways():
    x = np.array([[1.0, 10.0], [3.0, 30.0], [8.0, 20.0]])
    basis = Basis.of(x, np.array([2.0, 15.0]), np.array([4.0, 5.0]))
    np.testing.assert_allclose(basis.design, np.column_stack([np.ones(3), x]))
    beta = np.array([0.5, 2.0, -1.0])
    np.testing.assert_allclose(basis.design @ basis.back @ beta, basis.z @ beta)
    np.testing.assert_allclose(basis.raw(np.eye(3)), basis.back @ basis.back.T)
