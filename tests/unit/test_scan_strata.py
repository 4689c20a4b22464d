"""Strata of a stream of propensities: exact quantiles, units and weights; and sums by stratum."""

import numpy as np
import pytest

import estimators.scan.strata as module
from estimators.errors import Refusal
from estimators.linear import covariance, fit_ols
from estimators.scan.strata import Strata, Tally, Watch, place
from estimators.scan.stratified import Cells, Differences, Regressions
from estimators.scan.weighting import Forms, Rows


def shown(watch, e, t, near=None):
    for look, values in ((watch.near, e if near is None else near), (watch.final, e)):
        for part in np.array_split(np.arange(len(e)), 7):
            look(values[part], t[part])
    return watch


def expected_strata(e, t, number, estimand):
    among = e if estimand == "ATE" else e[t == 1]
    inner = np.quantile(among, np.arange(1, number) / number)
    return np.unique(np.searchsorted(inner, e + 1e-10, side="right"), return_inverse=True)[1]


@pytest.mark.parametrize("distinct", [None, 3, 40])
@pytest.mark.parametrize("number", [1, 2, 5, 9, 45])
def test_quantiles_of_a_stream_are_exact(number, distinct, monkeypatch):
    monkeypatch.setattr(module, "TOO_MANY", 50)
    rng = np.random.default_rng(number)
    e = rng.beta(2, 3, 4_001) if distinct is None else rng.integers(1, distinct + 1, 4_001) / (distinct + 1)
    t = (rng.random(4_001) < e).astype(float)
    watch = shown(Watch(number), e, t, e + 1e-6)
    for estimand in ("ATE", "ATT"):
        expected = expected_strata(e, t, number, estimand)
        strata = watch.strata(estimand)
        np.testing.assert_array_equal(strata.place(e), expected)
        units = [[np.sum((expected == s) & (t == a)) for a in (0, 1)] for s in range(expected.max() + 1)]
        np.testing.assert_array_equal(strata.units, units)


def test_propensities_of_zero_and_one():
    e, t = np.array([0.0, 0.0, 1.0, 1.0, 1.0, 0.5]), np.array([0.0, 1, 0, 1, 1, 0])
    watch = shown(Watch(3), e, t)
    np.testing.assert_array_equal(watch.strata("ATE").place(e), expected_strata(e, t, 3, "ATE"))


def test_passes_that_differ_are_seen():
    rng = np.random.default_rng(0)
    e, t = rng.random(1_000), np.arange(1_000) % 2.0
    watch = Watch(5)
    assert not watch.seen_once()
    assert shown(watch, e, t, np.clip(e + 0.05, 0, 1)).strata("ATE") is None
    assert not watch.done()
    watch.restart()
    watch.near(e, t)
    assert watch.seen_once()
    watch.final(e, t)
    assert watch.done()


def test_a_number_of_strata_below_one_is_refused():
    with pytest.raises(Refusal, match="strata must be at least 1"):
        Watch(0)


def test_tallies_add_up():
    a = Tally.of(np.array([0.2, 0.1, 0.2]), np.array([[1, 0], [0, 1], [0, 1]]))
    np.testing.assert_array_equal(a.values, [0.1, 0.2])
    both = Tally.together([a, a])
    np.testing.assert_array_equal(both.rows, [[0, 2], [2, 2]])
    assert len(Tally.together([]).values) == 0


def test_few_and_many_cuts_place_alike():
    e = np.random.default_rng(0).random(1_000)
    many = np.sort(np.random.default_rng(1).random(60))
    few = many[::10]
    for cuts in (few, many):
        np.testing.assert_array_equal(place(cuts, e), np.searchsorted(cuts, e + 1e-10, side="right"))


def test_weights_shares_and_poor_strata():
    strata = Strata((0.5,), np.array([[6, 2], [4, 4]]))
    np.testing.assert_allclose(strata.weights("ATE"), [[8 / 6, 4.0], [2.0, 2.0]])
    np.testing.assert_allclose(strata.weights("ATT"), [[2 / 6, 1.0], [1.0, 1.0]])
    np.testing.assert_allclose(strata.shares("ATT"), [2 / 6, 4 / 6])
    assert strata.poor(2) == []
    assert strata.poor(3) == ["stratum 1 has 2 treated and 6 untreated"]
    assert np.isnan(Strata((0.5,), np.array([[6, 0], [4, 4]])).weights("ATE")).all()


def rows_of(n=400, seed=0):
    rng = np.random.default_rng(seed)
    x, e = rng.normal(size=n), rng.uniform(0.2, 0.8, n)
    t = (rng.random(n) < e).astype(float)
    y = t + x + e + rng.normal(size=n)
    z = np.vstack([np.ones(n), x])
    return Rows(z, y, t, None, None, [], Forms(np.zeros(2), "logit"), np.zeros(n), e, np.zeros(n, dtype=np.intp))


def strata_of(rows, cuts):
    own = np.searchsorted(cuts, rows.e, side="right")
    units = np.array([[np.sum((own == s) & (rows.t == a)) for a in (0, 1)] for s in range(len(cuts) + 1)])
    return Strata(tuple(cuts), units), own


def test_sums_by_stratum_and_their_variance():
    rows = rows_of()
    (ate, own), (att, _) = strata_of(rows, [0.4, 0.6]), strata_of(rows, [0.5])
    cells = Cells({"ATE": ate, "ATT": att}, 2, products=False)
    cells.add(rows)
    parts = Differences(ate.shares("ATE"), cells.of_strata("ATE"))
    effect, variance = 0.0, 0.0
    for s, share in enumerate(ate.shares("ATE")):
        arms = [rows.y[(own == s) & (rows.t == a)] for a in (0, 1)]
        effect += share * (arms[1].mean() - arms[0].mean())
        variance += share**2 * sum(arm.var(ddof=1) / len(arm) for arm in arms)
    assert parts.effect() == pytest.approx(effect, rel=1e-12)
    assert parts.variance() == pytest.approx(variance, rel=1e-12)
    errors = parts.errors(rows, cells.stratum("ATE")[cells.place(rows.e)])
    assert np.sum(errors**2) == pytest.approx(variance, rel=1e-12)
    np.testing.assert_array_equal(cells.of_strata("ATT")[:, :, 0], att.units)


def test_a_regression_in_each_stratum_has_hc2_errors():
    rows = rows_of()
    strata, own = strata_of(rows, [0.5])
    cells = Cells({"ATE": strata}, 2, products=True)
    cells.add(rows)
    fits = Regressions.of(cells.moments("ATE", ("x",), "y"), strata.shares("ATE"), ("x",), "y")
    errors = fits.errors(rows, own)
    effect, variance = 0.0, 0.0
    for s, share in enumerate(strata.shares("ATE")):
        here = own == s
        fit = fit_ols(rows.y[here], np.column_stack([rows.t[here], rows.z[1, here]]), ("t", "x"))
        effect += share * fit.coef[1]
        variance += share**2 * covariance(fit, "HC2")[1, 1]
    assert fits.effect() == pytest.approx(effect, rel=1e-12)
    assert np.sum(errors**2) == pytest.approx(variance, rel=1e-11)


def test_a_stratum_with_too_few_rows_for_its_regression_is_refused():
    rows = rows_of(8)
    strata, _ = strata_of(rows, [np.sort(rows.e)[4]])
    cells = Cells({"ATE": strata}, 2, products=True)
    cells.add(rows)
    moments = cells.moments("ATE", ("x",), "y")
    short = type(moments)(moments.names, moments.shift, moments.scale, moments.cross, np.array([4, 3]))
    with pytest.raises(Refusal, match="stratum 2 cannot be regressed: 3 rows"):
        Regressions.of(short, strata.shares("ATE"), ("x",), "y")
