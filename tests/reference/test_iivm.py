"""The effect of 401(k) participation on those whom eligibility moves, against what was published."""

import pytest
from support import explained, observational, overall, published, reference_table, run

COVARIATES = ["age", "inc", "educ", "fsize", "marr", "twoearn", "db", "pira", "hown"]


def pension(learner, **more):
    block = observational(
        "net_tfa", "p401", COVARIATES, instruments=["e401"], folds=3,
        options={"iivm": {"learner": learner, "always_takers": False}}, **more,
    )  # fmt: skip
    return run(block, reference_table("pension_401k"), "iivm", "LATE")


@pytest.mark.parametrize("learner", ["boosting"])
def test_pension_is_within_one_published_standard_error(learner):
    row = published("pension_401k", "DML-IIVM", "LATE")
    result = pension(learner)
    ours = overall(result)
    explained(row, ours.estimate, f"learned nuisances ({learner}), median of splits: within one published SE")
    explained(row, ours.std_error, "a published range of learners: within 15 %", key="se")
    assert abs(ours.estimate - row["value"]) <= row["se"]
    assert 9_500 <= ours.estimate <= 13_500
    assert 0.85 < ours.std_error / row["se"] < 1.15
    assert ours.n_units == 9915
    (share,) = [d.value for d in result.diagnostics if d.metric == "compliers"]
    assert 0.6 < share < 0.75


def test_one_binary_covariate_is_standardisation():
    """Formula of Frölich 2007: strata of the covariate, weighted by their sizes."""
    units = reference_table("pension_401k").append_column("one", reference_table("pension_401k")["db"])
    block = observational("net_tfa", "p401", COVARIATES, instruments=["e401"], folds=1)
    own = {"options": {"iivm": {"covariates": ["one"]}}}
    ours = overall(run({**block, **own}, units, "iivm", "LATE"))
    y, d, z, x = (units[name].to_numpy().astype(float) for name in ("net_tfa", "p401", "e401", "db"))
    above = below = 0.0
    for level in (0.0, 1.0):
        inside = x == level
        effects = [v[inside & (z == 1)].mean() - v[inside & (z == 0)].mean() for v in (y, d)]
        above, below = above + inside.mean() * effects[0], below + inside.mean() * effects[1]
    # One binary covariate saturates every nuisance: the ratio of the strata's effects, weighted by their sizes.
    assert ours.estimate == pytest.approx(above / below, rel=1e-8)
