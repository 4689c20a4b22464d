"""Difference in means against what was published."""

import pytest
from support import assert_published, observational, overall, published, reference_table, run


def test_nsw():
    row = published("nsw_dw", "experimental benchmark", "ATE")
    block = observational("re78", "treat", ["age"], options={"difference_in_means": {"variance": "classical"}})
    ours = overall(run(block, reference_table("nsw_dw"), "difference_in_means", "ATE"))
    assert_published(ours.estimate, row)
    assert_published(ours.std_error, row, "se")


@pytest.mark.parametrize(("dataset", "estimator", "outcome", "treatment", "unit"), [
    ("nhefs", "naive", "wt82_71", "qsmk", "seqn"),
    ("lalonde_psid1", "naive contrast", "re78", "treat", "unit_id"),
])  # fmt: skip
def test_naive_contrasts(dataset, estimator, outcome, treatment, unit):
    row = published(dataset, estimator, "")
    ours = overall(
        run(
            observational(outcome, treatment, ["age"], unit=unit),
            reference_table(dataset),
            "difference_in_means",
            "ATE",
        )
    )
    assert_published(ours.estimate, row)


@pytest.mark.parametrize("variance", ["classical", "HC0", "HC1", "HC2"])
def test_nsw_agrees_with_statsmodels(variance):
    import statsmodels.api as sm

    units = reference_table("nsw_dw")
    block = observational("re78", "treat", ["age"], options={"difference_in_means": {"variance": variance}})
    ours = overall(run(block, units, "difference_in_means", "ATE"))
    y, t = units["re78"].to_numpy().astype(float), units["treat"].to_numpy()
    kind = "nonrobust" if variance == "classical" else variance
    fit = sm.OLS(y, sm.add_constant(t)).fit(cov_type=kind, use_t=True)
    assert ours.estimate == pytest.approx(fit.params[1], rel=1e-6)
    assert ours.std_error == pytest.approx(fit.bse[1], rel=1e-6)
    assert (ours.conf_low, ours.conf_high) == pytest.approx(
        _welch(y, t) if variance == "HC2" else tuple(fit.conf_int()[1]), rel=1e-6
    )


def _welch(y, t):
    """scipy's interval of Welch's test, whose standard error is HC2's."""
    from scipy import stats

    found = stats.ttest_ind(y[t == 1], y[t == 0], equal_var=False).confidence_interval()
    return found.low, found.high
