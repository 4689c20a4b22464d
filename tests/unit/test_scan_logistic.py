"""Logits and probits by scans: at the optimum of the full fit, in all rows and outside each fold."""

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from scan_support import X, fold_sql, rows, source
from scipy import special

from estimators.errors import Refusal
from estimators.folds import md5_folds
from estimators.nuisance import fit_binary, likelihood_slopes
from estimators.scan import columns, logistic, moments_scan, subsample
from estimators.scan.likelihood import density, log_likelihood, probabilities, slope_of, slopes
from estimators.scan.normal import normal_cdf_sql, number
from estimators.scan.stream import Plan
from estimators.scan.subsample import Subsample


def fitted(data, weight=None, n_folds=5, terms=X, threads=2, link="logit", fold=None):
    """A fit by scans, and the frame's units."""
    own = source(data, duckdb.connect(config={"threads": threads}))
    t, *x = columns.columns(own, ("t", *terms))
    fold = fold or fold_sql("unit_id", n_folds)
    read = Plan(tuple(x), weight, f"({fold}) * 2 + t::utinyint", 2 * n_folds)
    found = moments_scan.scan(own, read)
    arms = tuple(found.moments.only(*range(a, 2 * n_folds, 2)) for a in (0, 1))
    treated = np.column_stack([arm.cross[:, 0, 0] for arm in arms])
    plan = Plan(tuple(x), weight, fold if n_folds > 1 else None, n_folds, carry=("unit_id",))
    return logistic.fit(found.source, t, plan, found.moments, treated, link=link)


def in_memory(data, model, keep=slice(None), weight=None, link="logit"):
    """The full fit's coefficients in the model's units."""
    names = model.names[1:]
    z = (np.column_stack([data[name] for name in names]).astype(float) - model.shift) / model.scale
    w = None if weight is None else data[weight][keep]
    fit = fit_binary(data["t"][keep], z[keep], names, link, w)
    out = np.zeros(len(names) + 1)
    out[[0, *(1 + names.index(name) for name in fit.names[1:])]] = fit.coef
    return out


def outside(data, k):
    from scan_support import SEED

    return md5_folds(data["unit_id"].tolist(), 5, SEED) != k


@pytest.mark.parametrize("link", ["logit", "probit"])
@pytest.mark.parametrize("weight", [None, "w"])
def test_the_optimum_of_the_full_fit(weight, link):
    data = rows(3_000)
    model = fitted(data, weight, link=link)
    np.testing.assert_allclose(model.beta[0], in_memory(data, model, weight=weight, link=link), rtol=0, atol=1e-10)
    for k in range(5):
        expected = in_memory(data, model, outside(data, k), weight, link)
        np.testing.assert_allclose(model.beta[k + 1], expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_a_small_sub_sample_leads_to_the_same_optimum_in_few_scans(link, monkeypatch):
    monkeypatch.setattr(subsample, "FEWEST", 1_500)
    monkeypatch.setattr(subsample, "ONE_OF", 10**9)
    data = rows(30_000)
    model = fitted(data, link=link)
    np.testing.assert_allclose(model.beta[0], in_memory(data, model, link=link), rtol=0, atol=1e-10)
    np.testing.assert_allclose(model.beta[3], in_memory(data, model, outside(data, 2), link=link), rtol=0, atol=1e-10)
    assert model.scans <= 6


def test_a_sub_sample_that_lacks_a_category_or_any_row_still_serves(monkeypatch):
    monkeypatch.setattr(subsample, "FEWEST", 500)
    monkeypatch.setattr(subsample, "ONE_OF", 10**9)
    data = rows(20_000)
    data["rare"] = (np.arange(20_000) % 700 == 3).astype(float)
    model = fitted(data, terms=("x1", "x3", "rare"))
    np.testing.assert_allclose(model.beta[0], in_memory(data, model), rtol=0, atol=1e-10)
    for k in range(5):
        np.testing.assert_allclose(model.beta[k + 1], in_memory(data, model, outside(data, k)), rtol=0, atol=1e-10)
    nothing = Subsample(np.empty((4, 0)), np.empty(0), None, 0.0, "logit", is_all=False)
    monkeypatch.setattr(logistic, "draw", lambda *a: nothing)
    np.testing.assert_allclose(fitted(data, terms=("x1", "x3", "rare")).beta, model.beta, rtol=0, atol=1e-10)


def test_a_corrected_step_reaches_where_newtons_does_not():
    rng = np.random.default_rng(0)
    z = np.vstack([np.ones(4_000), rng.normal(size=(2, 4_000))])
    best = np.array([0.3, 0.8, -0.5])
    t = (rng.random(4_000) < special.expit(best @ z)).astype(float)
    sample = Subsample(z, t, None, 1.0, "logit", is_all=True)
    at = np.zeros(3)
    score, information = sample.score(at[None]), sample.information(at[None])
    one = np.ones(1)
    corrected = at + sample.steps(at, score, information, one)[0]
    newton = at + np.linalg.solve(information[0], score[0])
    optimum = fit_binary(t, z[1:].T, ("a", "b")).coef
    assert np.abs(newton - optimum).max() > 1e-2
    # Its own score is all rows' score here, so the step solves the likelihood's equation.
    assert np.abs(corrected - optimum).max() < 1e-4 < np.abs(newton - optimum).max()


def test_dropped_covariates():
    data = rows(3_000)
    data["flat"], data["twice"] = np.full(3_000, 3.0), 2 * data["x1"]
    model = fitted(data, terms=(*X, "flat", "twice"))
    assert model.dropped == ("flat", "twice")
    np.testing.assert_allclose(model.coef, fitted(data).coef, rtol=1e-9)


def test_a_column_that_is_constant_outside_a_fold():
    data = rows(3_000)
    folds = np.arange(3_000) % 3
    data["only"] = np.where(folds == 0, (np.arange(3_000) % 2).astype(float), 0.0)
    data["f"] = folds.astype(np.int64)
    model = fitted(data, terms=("x1", "only"), n_folds=3, fold="f")
    assert model.failure is None
    assert model.beta[1, 2] == 0.0
    for k in range(3):
        np.testing.assert_allclose(model.beta[k + 1], in_memory(data, model, folds != k), rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", ["wholly", "one level"])
def test_separation_is_refused(kind):
    data = rows(3_000)
    if kind == "wholly":
        data["t"] = (data["x1"] > 0).astype(float)
    else:
        data["x3"] = np.where(data["t"] == 1, (np.arange(3_000) % 7 == 0).astype(float), 0.0)
    with pytest.raises(Refusal, match="predict the treatment perfectly"):
        fitted(data)


def test_separation_outside_one_fold_only():
    data = rows(3_000)
    folds = (np.arange(3_000) % 3).astype(np.int64)
    # Units with the mark are all treated, but for one that sits in fold 1.
    mark = (data["t"] == 1) & (np.arange(3_000) % 5 == 0)
    mark[np.flatnonzero((data["t"] == 0) & (folds == 1))[0]] = True
    data |= {"mark": mark.astype(float), "f": folds}
    model = fitted(data, terms=("x1", "mark"), n_folds=3, fold="f")
    assert len(model.beta) == 1
    assert "predict the treatment perfectly" in str(model.failure)
    np.testing.assert_allclose(model.beta[0], in_memory(data, model), rtol=0, atol=1e-10)


def test_an_empty_arm_is_refused():
    data = rows(500)
    data["t"] = np.zeros(500)
    with pytest.raises(Refusal, match="an arm has no units"):
        fitted(data)


def test_order_and_threads_do_not_matter(monkeypatch):
    monkeypatch.setattr(subsample, "FEWEST", 5_000)
    data = rows(40_000)
    mixed = np.random.default_rng(3).permutation(40_000)
    one = fitted(data, threads=1)
    two = fitted({name: v[mixed] for name, v in data.items()}, threads=4)
    np.testing.assert_allclose(one.coef, two.coef, rtol=1e-9)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_derivatives(link):
    eta, t = np.linspace(-6, 6, 25), (np.arange(25) % 2).astype(float)
    p = probabilities(eta, link)
    np.testing.assert_allclose(slopes(t, eta, p, link), likelihood_slopes(t, eta, link), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(slope_of(t, eta, p, link), slopes(t, eta, p, link)[0])
    up, down = probabilities(eta + 1e-6, link), probabilities(eta - 1e-6, link)
    np.testing.assert_allclose(density(eta, p, link), (up - down) / 2e-6, rtol=1e-7, atol=2e-10)
    one = [log_likelihood(t[:1], probabilities(eta[:1] + h, link), None) for h in (-1e-5, 1e-5)]
    assert (one[1] - one[0]) / 2e-5 == pytest.approx(slopes(t, eta, p, link)[0][0], rel=1e-6, abs=1e-10)


def test_probabilities_of_far_indices():
    with np.errstate(divide="raise", invalid="raise", over="raise"):
        np.testing.assert_array_equal(probabilities(np.array([-1e4, 1e4])), [0.0, 1.0])


def test_the_normal_distribution_as_sql():
    x = np.concatenate([np.linspace(-8, 8, 4_001), [-38.0, -20.0, -0.0, 20.0, 38.0, 1e6]])
    connection = duckdb.connect()
    connection.register("xs", pa.table({"x": x}))
    got = connection.execute(f"select {normal_cdf_sql('x')} as v from xs").to_arrow_table()["v"].to_numpy()
    np.testing.assert_allclose(got, special.ndtr(x), rtol=1e-13, atol=1e-300)
    assert connection.execute(f"select {normal_cdf_sql('null::double')}").fetchone() == (None,)


def test_floats_as_sql_keep_every_digit():
    values = np.random.default_rng(0).normal(size=200) * 10.0 ** np.random.default_rng(1).integers(-300, 300, 200)
    got = duckdb.connect().execute("select " + ", ".join(number(v) for v in values)).fetchone()
    np.testing.assert_array_equal(got, values)
