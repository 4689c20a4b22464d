"""Regression adjustment against what was published."""

import numpy as np
import pytest
from support import assert_published, last_digit, observational, overall, published, reference_table, run

from estimators.laws import t_quantile

NSW = ["age", "education", "black", "hispanic", "married", "nodegree", "re74", "re75"]
DEHEJIA_WAHBA = ["age", "age^2", "education", "nodegree", "black", "hispanic", "re74", "re75"]
NHEFS = [
    "C(sex)", "C(race)", "age", "age^2", "C(education)", "smokeintensity", "smokeintensity^2", "smokeyrs", "smokeyrs^2",
    "C(exercise)", "C(active)", "wt71", "wt71^2",
]  # fmt: skip
CATTANEO = ["prenatal1", "mmarried", "mage", "fbaby"]


def options(interactions, variance):
    return {"outcome": {"interactions": interactions}, "regression_adjustment": {"variance": variance}}


def adjusted(dataset, outcome, treatment, covariates, interactions, variance, unit="unit_id", estimand="ATE"):
    block = observational(outcome, treatment, covariates, unit=unit, options=options(interactions, variance))
    return overall(run(block, reference_table(dataset), "regression_adjustment", estimand))


@pytest.mark.parametrize(("estimator", "covariates", "interactions", "variance"), [
    ("regression adjustment, additive", NSW, "none", "classical"),
    ("regression adjustment, Dehejia-Wahba list", DEHEJIA_WAHBA, "none", "classical"),
    ("regression adjustment, fully interacted", NSW, "all", "HC2"),
])  # fmt: skip
def test_nsw(estimator, covariates, interactions, variance):
    row = published("nsw_dw", estimator, "ATE")
    ours = adjusted("nsw_dw", "re78", "treat", covariates, interactions, variance)
    assert_published(ours.estimate, row)
    assert_published(ours.std_error, row, "se")


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
@pytest.mark.parametrize("variance", ["classical", "HC0", "HC1", "HC2", "HC3"])
def test_nsw_interacted_agrees_with_statsmodels(variance, estimand):
    import statsmodels.api as sm

    units = reference_table("nsw_dw").to_pandas().astype(float)
    population = units if estimand == "ATE" else units[units.treat == 1]
    centred = units[NSW] - population[NSW].mean()
    products = centred.mul(units.treat, axis=0).add_suffix("_treated")
    design = centred.join(products).assign(treat=units.treat)
    kind = "nonrobust" if variance == "classical" else variance
    fit = sm.OLS(units.re78, sm.add_constant(design)).fit(cov_type=kind, use_t=True)
    ours = adjusted("nsw_dw", "re78", "treat", NSW, "all", variance, estimand=estimand)
    assert ours.estimate == pytest.approx(fit.params["treat"], rel=1e-6)
    assert ours.std_error == pytest.approx(fit.bse["treat"], rel=1e-6)
    kinds = ("HC2", "HC3")
    df = _bell_mccaffrey(fit.model.exog, fit.params.index.get_loc("treat"), kind) if kind in kinds else fit.df_resid
    assert ours.degrees_of_freedom == pytest.approx(df, rel=1e-6)
    half = t_quantile(0.975, df) * fit.bse["treat"]
    interval = (fit.params["treat"] - half, fit.params["treat"] + half)
    assert (ours.conf_low, ours.conf_high) == pytest.approx(interval, rel=1e-6)


def _bell_mccaffrey(design, j, kind):
    """(tr Γ)² / tr Γ² of coefficient j, Γ = A'(I − H)A by n × n matrices (Bell & McCaffrey 2002)."""
    q, r = np.linalg.qr(design)
    left = np.eye(len(design)) - q @ q.T
    along = np.linalg.solve(r, q.T)[j] / np.diag(left) ** {"HC2": 0.5, "HC3": 1.0}[kind]
    gamma = along[:, None] * left * along
    return np.trace(gamma) ** 2 / np.sum(gamma**2)


def assert_book(ours, row):
    """Point within the row's tolerance of its reproduced value, interval to the book's digit."""
    assert_published(ours.estimate, row)
    assert_published(ours.estimate, {**row, "tolerance": last_digit(row["reproduced_value"])}, "reproduced_value")
    for end, printed in zip((ours.conf_low, ours.conf_high), row["ci"], strict=True):
        assert abs(end - printed) <= last_digit(printed), f"{end} does not print as {printed}"


def test_nhefs_additive():
    row = published("nhefs", "regression adjustment", "kg")
    assert_book(adjusted("nhefs", "wt82_71", "qsmk", NHEFS, "none", "classical", "seqn"), row)


def test_nhefs_with_the_books_product():
    """The book's interval comes from a bootstrap: m_estimation gives it to the first digit."""
    row = published("nhefs", "standardization", "ATE")
    assert_book(adjusted("nhefs", "wt82_71", "qsmk", NHEFS, ["smokeintensity"], "m_estimation", "seqn"), row)


def test_cattaneo_m_estimation():
    row = published("cattaneo2", "regression adjustment", "ATE")
    ours = adjusted("cattaneo2", "bweight", "mbsmoke", CATTANEO, "all", "m_estimation")
    assert_published(ours.estimate, row)
    assert_published(ours.std_error, row, "se")
    assert ours.conf_low == pytest.approx(row["ci"][0], abs=last_digit(row["ci"][0]))
    assert ours.conf_high == pytest.approx(row["ci"][1], abs=last_digit(row["ci"][1]))


def test_cattaneo_att_agrees_with_statsmodels():
    from statsmodels.api import OLS, Probit
    from statsmodels.treatment.treatment_effects import TreatmentEffect

    units = reference_table("cattaneo2").to_pandas().astype(float)
    exog, treatment = units[CATTANEO].assign(const=1.0), units.mbsmoke.astype(int)
    select = Probit(treatment, exog).fit(disp=0)
    peer = TreatmentEffect(OLS(units.bweight, exog), treatment, results_select=select)
    ours = adjusted("cattaneo2", "bweight", "mbsmoke", CATTANEO, "all", "m_estimation", estimand="ATT")
    # Its standard error comes out of a Nelder-Mead search, so only the effect can be compared.
    assert ours.estimate == pytest.approx(float(peer.ra(return_results=False, effect_group=1)[0]), rel=1e-6)


def test_darfur_and_pension_without_interactions():
    row = published("pension_401k", "OLS", "USD")
    covariates = ["age", "inc", "educ", "fsize", "marr", "twoearn", "db", "pira", "hown"]
    ours = adjusted("pension_401k", "net_tfa", "e401", covariates, "none", "HC1")
    assert_published(ours.estimate, row)
    assert_published(ours.std_error, row, "se")
    row = published("darfur", "OLS", "coef")
    covariates = ["age", "farmer_dar", "herder_dar", "pastvoted", "hhsize_darfur", "female", "C(village)"]
    ours = adjusted("darfur", "peacefactor", "directlyharmed", covariates, "none", "classical")
    assert_published(ours.estimate, row)
    assert_published(ours.std_error, row, "se")
