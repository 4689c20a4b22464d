"""Propensities and outcome regressions: against statsmodels, separation, weights, and folds that stay apart."""

import numpy as np
import pytest
from scipy import special, stats

from estimators.errors import Refusal
from estimators.linear import fit_ols
from estimators.nuisance import crossfit_propensity, fit_binary, likelihood_slopes, outcome_regressions

NAMES = ("a", "b")


def data(n=400, seed=2):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2)) * [1, 3]
    t = (0.4 + x @ [1.0, -0.3] + rng.logistic(size=n) > 0).astype(float)
    y = 1 + t * (1 + x[:, 0]) + x @ [1.0, 1.0] + rng.normal(size=n)
    return y, t, x, np.arange(n) % 4


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_statsmodels_agrees(link):
    import statsmodels.api as sm

    _, t, x, _ = data()
    model = sm.Probit if link == "probit" else sm.Logit
    theirs = model(t, sm.add_constant(x)).fit(disp=0, method="newton", tol=1e-12)
    fit = fit_binary(t, x, NAMES, link)
    np.testing.assert_allclose(fit.coef, theirs.params, rtol=1e-8)
    np.testing.assert_allclose(fit.probability, theirs.predict(), rtol=1e-8)
    np.testing.assert_allclose(fit.predict(fit.design), fit.probability, rtol=1e-12)
    np.testing.assert_allclose(fit.score(t).sum(axis=0), 0, atol=1e-9)
    slope = stats.norm.pdf(fit.eta) if link == "probit" else fit.probability * (1 - fit.probability)
    np.testing.assert_allclose(fit.slope(), slope, rtol=1e-12)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_statsmodels_agrees_with_weights(link):
    import statsmodels.api as sm

    _, t, x, _ = data()
    w = np.random.default_rng(0).uniform(0.2, 3, 400)
    family = sm.families.Binomial(link=sm.families.links.Probit() if link == "probit" else sm.families.links.Logit())
    theirs = sm.GLM(t, sm.add_constant(x), family=family, freq_weights=w).fit(tol=1e-14, maxiter=200)
    np.testing.assert_allclose(fit_binary(t, x, NAMES, link, w).coef, theirs.params, rtol=1e-8)


def test_by_hand():
    """Two groups: the logit is the log odds of each, with the binomial's information."""
    x = np.repeat([0.0, 1.0], [10, 20])[:, None]
    t = np.concatenate([np.repeat([0.0, 1.0], [6, 4]), np.repeat([0.0, 1.0], [5, 15])])
    fit = fit_binary(t, x, ("g",))
    np.testing.assert_allclose(fit.coef, [np.log(4 / 6), np.log(3) - np.log(4 / 6)], rtol=1e-12)
    variance = 1 / (10 * 0.4 * 0.6) + 1 / (20 * 0.75 * 0.25)
    psi = fit.influence(t)[:, 1]
    assert np.sum(psi**2) / 30**2 == pytest.approx(variance, rel=1e-10)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_weights_are_repeated_rows(link):
    _, t, x, _ = data(80)
    w = np.arange(80) % 3
    ours = fit_binary(t, x, NAMES, link, w.astype(float))
    theirs = fit_binary(np.repeat(t, w), np.repeat(x, w, axis=0), NAMES, link)
    np.testing.assert_allclose(ours.coef, theirs.coef, rtol=1e-10)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_a_shifted_and_stretched_column_changes_neither_fit_nor_influence(link):
    _, t, x, _ = data()
    x[:, 0] = np.round(x[:, 0] * 2**16) / 2**16
    plain, moved = fit_binary(t, x, NAMES, link), fit_binary(t, x * [4, 1] + [1e8, 0], NAMES, link)
    np.testing.assert_allclose(moved.probability, plain.probability, rtol=1e-9)
    np.testing.assert_allclose(moved.influence(t)[:, 1:] * [4, 1], plain.influence(t)[:, 1:], rtol=1e-6, atol=1e-9)


def test_collinear_columns_are_dropped_and_named():
    _, t, x, _ = data()
    wide = np.column_stack([x[:, 0], np.ones(400), x[:, 1], x.sum(axis=1)])
    fit = fit_binary(t, wide, ("a", "k", "b", "sum"))
    assert (fit.names, fit.dropped) == (("(intercept)", "a", "b"), ("k", "sum"))
    np.testing.assert_allclose(fit.coef, fit_binary(t, x, NAMES).coef, rtol=1e-9)


def test_no_columns_give_the_treated_share():
    _, t, _, _ = data()
    for link in ("logit", "probit"):
        np.testing.assert_allclose(fit_binary(t, np.empty((400, 0)), (), link).probability, t.mean(), rtol=1e-12)


@pytest.mark.parametrize("link", ["logit", "probit"])
@pytest.mark.parametrize("kind", ["the treatment itself", "a threshold", "one category", "one unit"])
def test_separation_refuses(kind, link):
    _, t, x, _ = data()
    if kind == "the treatment itself":
        x = np.column_stack([t, x[:, 0]])
    elif kind == "a threshold":
        t = (x[:, 0] > 0).astype(float)
    elif kind == "one category":
        rare = x[:, 0] > 1.8
        t, x = np.where(rare, 1.0, t), np.column_stack([rare, x[:, 1]]).astype(float)
    else:
        x = np.column_stack([np.arange(400) == 7, x[:, 0]]).astype(float)
    with pytest.raises(Refusal, match="predict the treatment perfectly"):
        fit_binary(t, x, NAMES, link)


def test_near_separation_does_not_refuse():
    """Two units on the wrong side are enough for a finite solution."""
    _, _, x, _ = data()
    t = (x[:, 0] > 0).astype(float)
    wrong = [int(np.argmin(x[:, 0])), int(np.argmax(x[:, 0]))]
    t[wrong] = 1 - t[wrong]
    for link in ("logit", "probit"):
        fit = fit_binary(t, x, NAMES, link)
        np.testing.assert_allclose(fit.score(t).sum(axis=0), 0, atol=1e-8)


def test_one_arm_refuses():
    _, t, x, _ = data()
    with pytest.raises(Refusal, match="400 treated and 0 untreated units cannot make a propensity model"):
        fit_binary(np.ones(400), x, NAMES)
    with pytest.raises(Refusal, match="cannot make a propensity model"):
        fit_binary(t, x, NAMES, weights=t)  # the untreated weigh nothing


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_likelihood_slopes_are_derivatives(link):
    eta, h = np.array([-9.0, -2.0, 0.0, 1.5, 9.0]), 1e-4
    for t in (np.zeros(5), np.ones(5)):

        def log_p(at, t=t):
            side = np.where(t == 1, at, -at)
            return stats.norm.logcdf(side) if link == "probit" else special.log_expit(side)

        slope, curvature = likelihood_slopes(t, eta, link)
        np.testing.assert_allclose(slope, (log_p(eta + h) - log_p(eta - h)) / (2 * h), rtol=1e-6, atol=1e-11)
        second = (log_p(eta + h) - 2 * log_p(eta) + log_p(eta - h)) / h**2
        np.testing.assert_allclose(curvature, -second, rtol=1e-4, atol=1e-5)
        far = likelihood_slopes(t, np.array([-400.0, -40, 40, 400, 0]), link)
        assert np.isfinite(far).all()
        assert (far[1] >= 0).all()


def test_crossfit_sees_only_the_other_folds():
    y, t, x, fold = data()
    e = crossfit_propensity(t, x, NAMES, "logit", fold)[0]
    mu0, mu1 = outcome_regressions(y, t, x, NAMES, None, fold)
    held = fold == 2
    rest = fit_binary(t[~held], x[~held], NAMES)
    np.testing.assert_allclose(e[held], rest.predict(np.column_stack([np.ones(held.sum()), x[held]])), rtol=1e-12)
    # New outcomes and treatments inside a fold: its own predictions stay, those of the others move.
    other_t, other_y = np.where(held, 1 - t, t), np.where(held, y + 100 * (1 + x[:, 0]), y)
    new_e = crossfit_propensity(other_t, x, NAMES, "logit", fold)[0]
    np.testing.assert_array_equal(new_e[held], e[held])
    assert np.abs(new_e[~held] - e[~held]).min() > 1e-9
    for products in (None, (), (0,)):
        old = np.array(outcome_regressions(y, t, x, NAMES, products, fold))
        new = np.array(outcome_regressions(other_y, t, x, NAMES, products, fold))
        np.testing.assert_array_equal(new[:, held], old[:, held])
        assert np.abs(new[:, ~held] - old[:, ~held]).min() > 1e-9
    assert mu0.shape == mu1.shape == (400,)


def test_one_fold_means_no_crossfitting():
    y, t, x, _ = data()
    one = np.zeros(400, dtype=int)
    np.testing.assert_array_equal(
        crossfit_propensity(t, x, NAMES, "logit", one)[0], fit_binary(t, x, NAMES).probability
    )
    mu0, mu1 = outcome_regressions(y, t, x, NAMES, None, one)
    for arm, mu in ((0, mu0), (1, mu1)):
        fit = fit_ols(y[t == arm], x[t == arm], NAMES)
        # atol: one fitted value lies at 3e-4, where its parts of size 1 cancel
        np.testing.assert_allclose(mu, np.column_stack([np.ones(400), x]) @ fit.coef, rtol=1e-12, atol=1e-14)


def test_products_by_the_regression_that_they_stand_for():
    y, t, x, _ = data()
    one = np.zeros(400, dtype=int)
    mu0, mu1 = outcome_regressions(y, t, x, NAMES, (0,), one)
    ones = np.ones(400)
    beta = np.linalg.lstsq(np.column_stack([ones, x, t, x[:, 0] * t]), y, rcond=None)[0]
    np.testing.assert_allclose(mu0, np.column_stack([ones, x]) @ beta[:3], rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(mu1 - mu0, beta[3] + beta[4] * x[:, 0], rtol=1e-9, atol=1e-11)
    # Without products the effect is one; with all of them it is each arm's own regression.
    flat = np.subtract(*outcome_regressions(y, t, x, NAMES, (), one))
    assert np.ptp(flat) < 1e-10
    full, own = outcome_regressions(y, t, x, NAMES, (0, 1), one), outcome_regressions(y, t, x, NAMES, None, one)
    np.testing.assert_allclose(full, own, rtol=1e-9)


def test_weights_reach_the_crossfitted_models():
    y, t, x, fold = data(120)
    w = np.arange(120) % 3 + 1
    e = crossfit_propensity(t, x, NAMES, "logit", fold, w.astype(float))[0]
    again = np.repeat(np.arange(120), w)
    theirs = crossfit_propensity(t[again], x[again], NAMES, "logit", fold[again])[0]
    np.testing.assert_allclose(e[again], theirs, rtol=1e-10)
    ours = np.array(outcome_regressions(y, t, x, NAMES, None, fold, w.astype(float)))
    rows = np.repeat(np.arange(120), w)
    theirs = np.array(outcome_regressions(y[rows], t[rows], x[rows], NAMES, None, fold[rows]))
    np.testing.assert_allclose(ours[:, rows], theirs, rtol=1e-10)


def test_a_category_that_only_one_fold_has():
    y, t, x, fold = data()
    x = np.column_stack([x[:, 0], (fold == 1) & (np.arange(400) % 8 == 1)]).astype(float)
    assert np.isfinite(crossfit_propensity(t, x, NAMES, "logit", fold)[0]).all()
    assert np.isfinite(outcome_regressions(y, t, x, NAMES, None, fold)).all()


def test_arms_too_small_for_their_regression_refuse():
    y, t, x, fold = data(20)
    t = (np.arange(20) < 3).astype(float)
    with pytest.raises(Refusal, match=r"outcome regression cannot be fitted: . rows cannot carry . coefficients"):
        outcome_regressions(y, t, x, NAMES, None, fold)
