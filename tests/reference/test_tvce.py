"""Double machine learning against what was published."""

import pytest
from support import assert_published, explained, observational, overall, published, reference_table, run

COVARIATES = ["age", "inc", "educ", "fsize", "marr", "twoearn", "db", "pira", "hown"]


def pension(learner, **more):
    block = observational("net_tfa", "e401", COVARIATES, options={"tvce": {"learner": learner}}, **more)
    return run(block, reference_table("pension_401k"), "tvce", "ATE")


def test_pension_with_boosting_is_in_the_published_range():
    row = published("pension_401k", "DML-PLR", "USD")
    ours = overall(pension("boosting", folds=3))
    explained(row, ours.estimate, "learned nuisances (boosting), median of splits: within one published SE")
    explained(row, ours.std_error, "a published range of learners: within 15 %", key="se")
    assert 7_500 <= ours.estimate <= 10_500
    assert abs(ours.estimate - row["value"]) <= row["se"]
    assert 0.85 < ours.std_error / row["se"] < 1.15
    assert ours.n_units == 9915


def test_pension_picks_boosting():
    result, boosted = (pension(name, folds=3, repeats=1) for name in ("best", "boosting"))
    assert overall(result).estimate == overall(boosted).estimate


def test_pension_in_one_fold_is_least_squares():
    row = published("pension_401k", "OLS", "USD")
    ours = overall(pension("linear", folds=1))
    assert_published(ours.estimate, row)
    assert ours.estimate == pytest.approx(row["reproduced_value"], abs=5e-4)
    # HC1 of the full regression counts its 11 coefficients, the partialled one its single one.
    factor = (9914 / 9915) / ((9915 - 11) / 9915)
    assert_published(ours.std_error * factor**0.5, row, "se")


def test_linear_nuisances_agree_with_scikit_learn():
    import numpy as np
    from sklearn.linear_model import LinearRegression
    from support import problem

    units = reference_table("pension_401k")
    block = observational("net_tfa", "e401", COVARIATES, folds=5)
    p = problem(block, units, "tvce")
    x, folds = p.matrix(COVARIATES_TUPLE).values, p.folds()
    u, v = np.empty(p.n), np.empty(p.n)
    for k in range(5):
        held = folds == k
        for target, out in ((p.y, u), (p.t, v)):
            out[held] = target[held] - LinearRegression().fit(x[~held], target[~held]).predict(x[held])
    theta = v @ u / (v @ v)
    se = np.sqrt(np.sum(v**2 * (u - theta * v) ** 2)) / (v @ v) * np.sqrt(p.n / (p.n - 1))
    ours = overall(run(block, units, "tvce", "ATE"))
    assert ours.estimate == pytest.approx(theta, rel=1e-6)
    assert ours.std_error == pytest.approx(se, rel=1e-6)


COVARIATES_TUPLE = tuple(COVARIATES)
