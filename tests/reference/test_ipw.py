"""Inverse probability weighting against what was published."""

import numpy as np
import pytest
from scipy import stats
from support import assert_published, last_digit, observational, overall, problem, published, reference_table, run

from estimators.selection_on_observables.ipw import balancing_weights

NHEFS = [
    "C(sex)", "C(race)", "age", "age^2", "C(education)", "smokeintensity", "smokeintensity^2", "smokeyrs", "smokeyrs^2",
    "C(exercise)", "C(active)", "wt71", "wt71^2",
]  # fmt: skip
CATTANEO = ["mmarried", "mage", "mage^2", "fbaby", "medu"]


def nhefs(variance):
    return observational("wt82_71", "qsmk", NHEFS, unit="seqn", options={"ipw": {"variance": variance}})


def test_nhefs_stacked():
    row = published("nhefs", "IPW, propensity estimated", "ATE")
    ours = overall(run(nhefs("stacked"), reference_table("nhefs"), "ipw", "ATE"))
    assert_published(ours.estimate, row)
    assert_published(ours.std_error, row, "se")
    # The stored interval took 1.96 for the normal's 1.959964.
    for end, sign, stored in ((ours.conf_low, -1, row["ci"][0]), (ours.conf_high, 1, row["ci"][1])):
        rounded = end + sign * (1.96 - stats.norm.ppf(0.975)) * ours.std_error
        assert abs(rounded - stored) <= last_digit(stored)


def test_nhefs_fixed_weights_is_the_book():
    row = published("nhefs", "IPW", "ATE", spec="GEE")
    ours = overall(run(nhefs("fixed_weights"), reference_table("nhefs"), "ipw", "ATE"))
    assert_published(ours.estimate, row)
    for end, printed in zip((ours.conf_low, ours.conf_high), row["ci"], strict=True):
        assert abs(end - printed) <= last_digit(printed)
    assert ours.estimate == pytest.approx(row["reproduced_value"], abs=5e-6)
    assert ours.std_error == pytest.approx(row["reproduced_se"], abs=5e-6)


def test_nhefs_fixed_weights_agree_with_gee():
    import statsmodels.api as sm

    units = reference_table("nhefs")
    ours = overall(run(nhefs("fixed_weights"), units, "ipw", "ATE"))
    p = problem(nhefs("fixed_weights"), units, "ipw")
    weights = balancing_weights(p.t, p.propensity().probability, "ATE")
    gee = sm.GEE(p.y, sm.add_constant(p.t), groups=np.arange(p.n), weights=weights).fit()
    assert ours.estimate == pytest.approx(gee.params[1], rel=1e-6)
    assert ours.std_error == pytest.approx(gee.bse[1], rel=1e-6)


def test_nhefs_propensity_agrees_with_statsmodels():
    import statsmodels.api as sm

    p = problem(nhefs("stacked"), reference_table("nhefs"), "ipw")
    fit = sm.Logit(p.t, p.propensity().design).fit(disp=0, tol=1e-12)
    np.testing.assert_allclose(p.propensity().probability, fit.predict(), rtol=1e-6)


def test_cattaneo_probit():
    """Stata's standard error to its last digit: the probit's observed information is the bread of the sandwich."""
    row = published("cattaneo2", "IPW", "ATE", spec="PROBIT")
    block = observational("bweight", "mbsmoke", CATTANEO, options={"propensity": {"link": "probit"}})
    ours = overall(run(block, reference_table("cattaneo2"), "ipw", "ATE"))
    assert_published(ours.estimate, row)
    assert_published(ours.std_error, row, "se")
    np.testing.assert_allclose([ours.conf_low, ours.conf_high], row["ci"], atol=1e-4)


def test_nhefs_regression_on_the_propensity():
    """What If, chapter 15: least squares of the outcome on treatment and the fitted propensity.

    The book's 3.6 comes from its own propensity model; the peer's 3.454 from this one.
    """
    row = published("nhefs", "outcome regression on PS", "kg")
    units = reference_table("nhefs")
    p = problem(nhefs("stacked"), units, "ipw")
    data = {"seqn": p.columns["seqn"], "wt82_71": p.y, "qsmk": p.t, "ps": p.propensity().probability}
    block = observational("wt82_71", "qsmk", ["ps"], unit="seqn", options={"outcome": {"interactions": "none"}})
    ours = overall(run(block, data, "regression_adjustment", "ATE"))
    assert_published(ours.estimate, row)
    assert_published(ours.estimate, row, "reproduced_value")
    # The book's interval is a bootstrap's; that of least squares takes the propensity as known.
    assert abs((ours.conf_high - ours.conf_low) - (row["ci"][1] - row["ci"][0])) < 0.2
