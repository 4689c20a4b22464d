"""Callaway-Sant'Anna on mpdta against the numbers of R's did, and each cell against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from support import assert_published, last_digit, overall, problem, published, reference_table, run

from estimators.panel.att_gt import group_time_effects
from estimators.panel.design import panel_design
from estimators.panel.sample import take_sample

NAME = "DiD Callaway-Sant'Anna"
BLOCK = {
    "question": "test", "design": "panel", "outcome": "lemp", "unit": "countyreal", "time": "year",
    "cohort": "first_treat", "never": 0,
    "decision": {"primary": "did", "estimand": "ATT", "desired_direction": "more", "minimum_effect": 0.02},
}  # fmt: skip


@pytest.fixture(scope="module")
def mpdta():
    return reference_table("mpdta")


@pytest.fixture(scope="module")
def plain(mpdta):
    return run(BLOCK, mpdta, "did", "ATT")


@pytest.mark.parametrize(
    ("quantity", "term"),
    [("simple ATT", "overall"), ("group ATT", "group"), ("dynamic ATT", "dynamic")]
    + [
        (f"ATT({g},{t})", f"cohort={g}:time={t}")
        for g, t in [(2004, 2004), (2004, 2005), (2004, 2006), (2004, 2007), (2006, 2006), (2006, 2007), (2007, 2007)]
    ],
)
def test_published_effects_and_standard_errors(plain, quantity, term):
    row, ours = published("mpdta", NAME, quantity, "no covariates"), overall(plain, term)
    assert_published(ours.estimate, row)
    assert_published(ours.estimate, row, "reproduced_value")
    assert_published(ours.std_error, row, "se")
    assert_published(ours.std_error, row, "reproduced_se")


def test_published_interval(plain):
    row, ours = published("mpdta", NAME, "simple ATT", "no covariates"), overall(plain)
    for bound, expected in zip((ours.conf_low, ours.conf_high), row["ci"], strict=True):
        assert abs(bound - expected) <= last_digit(expected)


def test_doubly_robust_with_population(mpdta):
    row = published("mpdta", NAME, "simple ATT", "lpop")
    ours = overall(run({**BLOCK, "covariates": ["lpop"]}, mpdta, "did", "ATT"))
    assert_published(ours.estimate, row)
    assert_published(ours.std_error, row, "se")


def test_doubly_robust_at_the_exact_maximum_likelihood(mpdta):
    """The stored reproduction (-0.0417515) is 3e-7 off the exact logit; statsmodels at full convergence stands here."""
    import statsmodels.api as sm

    block = {**BLOCK, "covariates": ["lpop"]}
    sample = take_sample(problem(block, mpdta, "did"))
    effects, size = [], []
    for g, t in [(2004, 1), (2004, 2), (2004, 3), (2004, 4), (2006, 3), (2006, 4), (2007, 4)]:
        base = int(g - sample.periods[0]) - 1
        among = (sample.cohort == g) | np.isinf(sample.cohort)
        d = (sample.cohort[among] == g).astype(float)
        change, x = sample.y[among, t] - sample.y[among, base], sm.add_constant(sample.x[among, base])
        p = sm.GLM(d, x, family=sm.families.Binomial()).fit(tol=1e-14).predict(x)
        left = change - sm.OLS(change[d == 0], x[d == 0]).fit().predict(x)
        effects.append(left[d == 1].mean() - np.average(left, weights=(1 - d) * p / (1 - p)))
        size.append(d.sum())
    ours = overall(run(block, mpdta, "did", "ATT")).estimate
    assert ours == pytest.approx(np.average(effects, weights=size), abs=1e-10)


@pytest.mark.parametrize(("covariates", "p"), [((), 0.16812), (("lpop",), 0.23267)])
def test_pre_test_of_parallel_trends(mpdta, covariates, p):
    # Both printed by R's did (att_gt on mpdta, without covariates and with ~lpop).
    block = {**BLOCK, "covariates": list(covariates)}
    (ours,) = [d for d in run(block, mpdta, "did", "ATT").diagnostics if d.metric == "pre_trends_p"]
    assert abs(ours.value - p) <= last_digit(p)
    rows = [d for d in panel_design(problem(block, mpdta, "did")) if d.metric == "pre_trends_p"]
    assert [d.estimator for d in rows] == ["did", "twfe"]
    assert all(abs(d.value - ours.value) < 1e-12 for d in rows)


def test_every_cell_against_least_squares(mpdta):
    """Without covariates ATT(g, t) is the slope of the change on the cohort, its variance HC0."""
    import statsmodels.api as sm

    sample = take_sample(problem(BLOCK, mpdta, "did"))
    effects = group_time_effects(sample, "not_yet_treated")
    where = {float(t): j for j, t in enumerate(sample.periods)}
    assert len(effects.cells) == 12
    for k, cell in enumerate(effects.cells):
        among = (sample.cohort == cell.cohort) | (sample.cohort > cell.time)
        change = sample.y[among, where[cell.time]] - sample.y[among, where[cell.base]]
        d = (sample.cohort[among] == cell.cohort).astype(float)
        peer = sm.OLS(change, sm.add_constant(d)).fit(cov_type="HC0")
        assert cell.att == pytest.approx(peer.params[1], abs=1e-10)
        assert np.sqrt((effects.psi[:, k] ** 2).sum()) / sample.n == pytest.approx(peer.bse[1], abs=1e-10)


def test_regression_method_against_least_squares(mpdta):
    import statsmodels.api as sm

    block = {**BLOCK, "covariates": ["lpop"], "options": {"did": {"method": "reg"}}}
    sample = take_sample(problem(block, mpdta, "did"))
    ours = overall(run(block, mpdta, "did", "ATT"), "cohort=2004:time=2006").estimate
    change = sample.y[:, 3] - sample.y[:, 0]
    treated, control = sample.cohort == 2004, np.isinf(sample.cohort)
    x = sm.add_constant(sample.x[:, 0])
    m = sm.OLS(change[control], x[control]).fit()
    assert ours == pytest.approx((change[treated] - m.predict(x[treated])).mean(), abs=1e-10)
