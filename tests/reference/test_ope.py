"""AIPW against what was published."""

import numpy as np
import pytest
from support import assert_published, explained, observational, overall, problem, published, reference_table, run

from estimators.linear import fit_ols
from estimators.selection_on_observables.ope import clipped, scores

NHEFS = [
    "C(sex)", "C(race)", "age", "age^2", "C(education)", "smokeintensity", "smokeintensity^2", "smokeyrs", "smokeyrs^2",
    "C(exercise)", "C(active)", "wt71", "wt71^2",
]  # fmt: skip


def cattaneo(**own):
    return observational(
        "bweight", "mbsmoke", ["mmarried", "mage", "mage^2", "fbaby", "medu"], folds=1,
        options={"propensity": {"link": "probit"}, "ope": own,
                 "outcome": {"covariates": ["prenatal1", "mmarried", "mage", "fbaby"], "interactions": "all"}},
    )  # fmt: skip


def test_nhefs_without_cross_fitting():
    row = published("nhefs", "AIPW", "ATE")
    block = observational(
        "wt82_71", "qsmk", NHEFS, unit="seqn", options={"folds": 1, "outcome": {"interactions": ["smokeintensity"]}}
    )
    ours = overall(run(block, reference_table("nhefs"), "ope", "ATE"))
    assert_published(ours.estimate, row)
    assert_published(ours.std_error, row, "se")


def test_cattaneo():
    """With the default clip two of 4,642 units move; without it the estimate is Stata's to the last digit."""
    row = published("cattaneo2", "AIPW", "ATE")
    units = reference_table("cattaneo2")
    result = run(cattaneo(), units, "ope", "ATE")
    assert_published(overall(result).estimate, row)
    assert [d.value for d in result.diagnostics if d.metric == "clipped"] == [2.0]
    exact = overall(run(cattaneo(clip=0.0), units, "ope", "ATE"))
    assert_published(exact.estimate, {**row, "tolerance": None})


def test_cattaneo_standard_error_is_the_published_one_once_the_nuisances_are_stacked():
    """Ours is 3 % smaller: it takes the nuisances as known, which holds to first order if both models are right.

    Adding their influence values to the score's gives the published number to its last digit, so nothing else differs.
    """
    row = published("cattaneo2", "AIPW", "ATE")
    units = reference_table("cattaneo2")
    p = problem(cattaneo(clip=0.0), units, "ope")
    ours = overall(run(cattaneo(clip=0.0), units, "ope", "ATE"))
    psi = scores(p, "ATE") - ours.estimate + nuisance_part(p)
    assert_published(float(np.sqrt(psi @ psi) / p.n), row, "se")
    assert 0.96 < ours.std_error / row["se"] < 0.98


def nuisance_part(p):
    """Mean derivative of the score in the nuisances' coefficients, times these coefficients' influence values."""
    t, y, e, n = p.t, p.y, clipped(p), p.nuisances()
    fit = p.propensity()
    slope = -(t * (y - n.mu1) / e**2 + (1 - t) * (y - n.mu0) / (1 - e) ** 2) * fit.slope()
    out = fit.influence(t) @ (fit.design.T @ slope / p.n)
    x = p.matrix(p.options.outcome.covariates)
    design = np.column_stack([np.ones(p.n), x.values])
    for arm, sign, share in ((1, 1, t / e), (0, -1, (1 - t) / (1 - e))):
        inside = t == arm
        influence = fit_ols(y[inside], x.values[inside], x.names).influence() * p.n / inside.sum()
        out[inside] += sign * influence @ (design.T @ (1 - share) / p.n)
    return out


def test_cattaneo_agrees_with_statsmodels():
    from statsmodels.api import OLS, Probit
    from statsmodels.treatment.treatment_effects import TreatmentEffect

    table = reference_table("cattaneo2")
    units = table.to_pandas().astype(float)
    units["mage2"] = units.mage**2
    outcome = OLS(units.bweight, units[["prenatal1", "mmarried", "mage", "fbaby"]].assign(const=1.0))
    select = Probit(units.mbsmoke, units[["mmarried", "mage", "mage2", "fbaby", "medu"]].assign(const=1.0))
    peer = TreatmentEffect(outcome, units.mbsmoke, results_select=select.fit(disp=0, tol=1e-12, maxiter=200))
    ours = overall(run(cattaneo(clip=0.0), table, "ope", "ATE"))
    assert ours.estimate == pytest.approx(float(peer.aipw(return_results=False)[0]), rel=1e-6)


PENSION = ["age", "inc", "educ", "fsize", "marr", "twoearn", "db", "pira", "hown"]


def test_pension():
    row = published("pension_401k", "DML-IRM", "ATE")
    block = observational("net_tfa", "e401", PENSION, folds=3, options={"ope": {"learner": "boosting"}})
    ours = overall(run(block, reference_table("pension_401k"), "ope", "ATE"))
    explained(row, ours.estimate, "learned nuisances (boosting), median of splits: within one published SE")
    explained(row, ours.std_error, "a published range of learners: within 15 %", key="se")
    assert abs(ours.estimate - row["value"]) <= row["se"]
    assert 0.85 < ours.std_error / row["se"] < 1.15


def test_pension_with_linear_and_logit_nuisances():
    """The published range (6,500 to 9,500) is of forests; with squares linear nuisances fall inside too."""
    row = published("pension_401k", "DML-IRM", "ATE")
    block = observational("net_tfa", "e401", [*PENSION, "age^2", "inc^2", "educ^2"], folds=3)
    ours = overall(run(block, reference_table("pension_401k"), "ope", "ATE"))
    assert abs(ours.estimate - row["value"]) <= 1500
    assert 0.8 < ours.std_error / row["se"] < 1.25
