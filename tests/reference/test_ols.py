"""Least squares against what was published."""

import pyarrow as pa
import pytest
from support import assert_published, observational, overall, published, reference_table, run

CARD = ["exper", "expersq", "black", "smsa", "south", "smsa66", *(f"reg66{i}" for i in range(2, 10))]
CLASSICAL = {"ols": {"variance": "classical"}}


def card():
    # The file's own id repeats, so rows are numbered.
    units = reference_table("card_schooling")
    return units.append_column("row_id", pa.array(range(units.num_rows)))


def test_card():
    row = published("card_schooling", "OLS", "return")
    block = observational("lwage", "educ", CARD, unit="row_id", options=CLASSICAL)
    ours = overall(run(block, card(), "ols", "ATE"))
    assert_published(ours.estimate, row)
    assert_published(ours.std_error, row, "se")
    assert ours.contrast == "per unit"


@pytest.mark.parametrize("variance", ["classical", "HC0", "HC1", "HC2", "HC3"])
def test_card_agrees_with_statsmodels(variance):
    import statsmodels.formula.api as smf

    block = observational("lwage", "educ", CARD, unit="row_id", options={"ols": {"variance": variance}})
    ours = overall(run(block, card(), "ols", "ATE"))
    kind = "nonrobust" if variance == "classical" else variance
    fit = smf.ols("lwage ~ educ + " + " + ".join(CARD), card().to_pandas()).fit(cov_type=kind, use_t=True)
    assert ours.estimate == pytest.approx(fit.params["educ"], rel=1e-6)
    assert ours.std_error == pytest.approx(fit.bse["educ"], rel=1e-6)


def test_darfur_with_486_villages():
    row = published("darfur", "OLS", "coef")
    covariates = ["age", "farmer_dar", "herder_dar", "pastvoted", "hhsize_darfur", "female", "C(village)"]
    block = observational("peacefactor", "directlyharmed", covariates, options=CLASSICAL)
    ours = overall(run(block, reference_table("darfur"), "ols", "ATE"))
    assert_published(ours.estimate, row)
    assert_published(ours.std_error, row, "se")
    assert ours.estimate == pytest.approx(row["reproduced_value"], abs=5e-8)
    assert ours.std_error == pytest.approx(row["reproduced_se"], abs=5e-8)


def test_pension():
    row = published("pension_401k", "OLS", "USD")
    covariates = ["age", "inc", "educ", "fsize", "marr", "twoearn", "db", "pira", "hown"]
    block = observational("net_tfa", "e401", covariates, options={"ols": {"variance": "HC1"}})
    ours = overall(run(block, reference_table("pension_401k"), "ols", "ATE"))
    assert ours.variance_estimator == "HC1"
    assert_published(ours.estimate, row)
    assert_published(ours.std_error, row, "se")
