"""What one run is handed: roles as arrays, folds, cached fits, and refusals of what cannot be computed."""

import numpy as np
import pytest
from support import observational, problem, simulated

from estimators.errors import Refusal
from estimators.folds import md5_folds
from estimators.nuisance import crossfit_propensity, outcome_regressions

DATA = simulated(200)


def given(estimator="ope", units=DATA, covariates=("x1", "x2"), **more):
    return problem(observational("y", "t", list(covariates), **more), units, estimator)


def test_roles_as_arrays():
    p = given(units={**DATA, "w": np.arange(200) + 1.0, "g": np.repeat(["a", "b"], 100)}, weight="w", cluster="g")
    assert p.n == 200
    np.testing.assert_array_equal(p.y, DATA["y"])
    np.testing.assert_array_equal(p.t, DATA["t"])
    np.testing.assert_array_equal(p.w, np.arange(200) + 1.0)
    assert p.n_clusters == 2
    assert p.own("clip") == 0.01
    plain = given()
    assert (plain.weights, plain.cluster, plain.n_clusters) == (None, None, None)
    np.testing.assert_array_equal(plain.w, np.ones(200))


def test_own_covariates_stand_in_for_the_studys():
    assert given("tvce").covariate_terms() == ("x1", "x2")
    assert given("tvce", options={"tvce": {"covariates": ["x1^2"]}}).covariate_terms() == ("x1^2",)
    assert given("tvce", options={"tvce": {"covariates": []}}).covariate_terms() == ()


def test_another_run_shares_data_and_cache():
    p = given(specifications={"probit": {"estimators": ["ipw"], "propensity": {"link": "probit"}}})
    fit = p.propensity()
    other = p.for_run("ipw", "default")
    assert (other.estimator, other.columns is p.columns) == ("ipw", True)
    assert other.propensity() is fit
    probit = p.for_run("ipw", "probit")
    assert probit.propensity() is not fit
    assert probit.propensity().link == "probit"
    assert p.matrix(("x1",)) is other.matrix(("x1",))


def test_folds_belong_to_units_and_to_clusters_where_there_are_some():
    p = given()
    np.testing.assert_array_equal(p.folds(), md5_folds(range(200), 5, p.study.seed))
    clusters = np.arange(200) % 20
    for labels in (clusters, clusters.astype(float), np.array([str(c) for c in clusters])):
        clustered = given(units={**DATA, "g": labels}, cluster="g")
        np.testing.assert_array_equal(clustered.folds(), md5_folds(clusters, 5, p.study.seed))


def test_ids_of_any_type_give_the_same_folds():
    text = given(units={**DATA, "unit_id": [f"{i:03d}" for i in range(200)]})
    np.testing.assert_array_equal(text.folds(), md5_folds([f"{i:03d}" for i in range(200)], 5, text.study.seed))
    whole = given(units={**DATA, "unit_id": np.arange(200.0)})
    np.testing.assert_array_equal(whole.folds(), given().folds())


def test_all_units_in_one_fold_refuse():
    units = {**DATA, "g": np.where(np.arange(200) < 100, "one", "one")}
    with pytest.raises(Refusal, match="all units fall into one of 5 folds"):
        given(units=units, cluster="g").folds()
    assert np.ptp(given(units=units, cluster="g", folds=1).folds()) == 0


def test_nuisances_are_the_crossfitted_ones_and_fitted_once():
    p = given(options={"propensity": {"covariates": ["x1"]}, "outcome": {"interactions": ["x2"]}})
    got = p.nuisances()
    x = np.column_stack([DATA["x1"], DATA["x2"]])
    fold = md5_folds(range(200), 5, p.study.seed)
    np.testing.assert_array_equal(got.fold, fold)
    np.testing.assert_allclose(
        got.propensity, crossfit_propensity(p.t, x[:, :1], ("x1",), "logit", fold)[0], rtol=1e-12
    )
    expected = outcome_regressions(p.y, p.t, x, ("x1", "x2"), (1,), fold)
    np.testing.assert_allclose([got.mu0, got.mu1], expected[:2], rtol=1e-12)
    assert p.nuisances() is got
    assert p.for_run("tvce", "default").nuisances() is got


def test_one_fold_uses_the_fit_on_all_rows():
    p = given(folds=1)
    np.testing.assert_array_equal(p.nuisances().propensity, p.propensity().probability)


def test_products():
    units = {**DATA, "g": np.array(["a", "b", "c", "a"] * 50)}
    assert given().products() is None
    assert given(options={"outcome": {"interactions": "none"}}).products() == ()
    block = {"options": {"outcome": {"interactions": ["C(g)", "x1"]}}}
    assert given(units=units, covariates=["x1", "x2", "C(g)"], **block).products() == (2, 3, 0)


def test_an_interaction_outside_the_outcome_model_refuses():
    block = {"outcome": {"interactions": ["x2"], "covariates": ["x1"]}}
    with pytest.raises(Refusal, match="interaction 'x2' is not among the covariates of the outcome model"):
        given(options=block).products()


def test_a_term_without_finite_numbers_refuses():
    with pytest.raises(Refusal, match=r"'log\(x1\)' is not a finite number in \d+ rows"):
        given(covariates=["log(x1)"]).propensity()
