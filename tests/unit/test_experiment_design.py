"""The design of an experiment: balance of all covariates and the sample ratio."""

import numpy as np
import pytest
from scipy import stats
from support import observational, problem, simulated

from estimators.experiments.design import experiment_design, omnibus_balance, sample_ratio


def rows(units, covariates=("x1", "x2"), **more):
    block = observational("y", "t", list(covariates), **more)
    block["decision"] = block["decision"] | {"primary": "difference_in_means"}
    found = experiment_design(problem(block, units, "difference_in_means"))
    found = [row for row in found if row.metric != "covariate_assignment_p"]  # tests/unit/test_measured.py
    assert all(row.estimator is None and row.subject == "overall" for row in found)
    return {row.metric: row for row in found}


def test_balance_with_one_covariate_is_the_t_test():
    data = simulated(60)
    p = rows(data, ["x1"])["omnibus_balance_p"].value
    treated, control = data["x1"][data["t"] == 1], data["x1"][data["t"] == 0]
    assert p == pytest.approx(stats.ttest_ind(treated, control).pvalue, rel=1e-9)


def test_balance_agrees_with_statsmodels():
    import statsmodels.api as sm

    data = simulated(200)
    x = sm.add_constant(np.column_stack([data["x1"], data["x2"]]))
    assert rows(data)["omnibus_balance_p"].value == pytest.approx(sm.OLS(data["t"], x).fit().f_pvalue, rel=1e-9)


def test_clustered_balance_agrees_with_statsmodels():
    import statsmodels.api as sm

    data = simulated(200) | {"g": np.arange(200) % 20}
    x = sm.add_constant(np.column_stack([data["x1"], data["x2"]]))
    fit = sm.OLS(data["t"], x).fit(cov_type="cluster", cov_kwds={"groups": data["g"]})
    expected = fit.f_test(np.eye(3)[1:])
    p = rows(data, cluster="g")["omnibus_balance_p"].value
    assert p == pytest.approx(stats.f.sf(float(expected.fvalue), 2, 19), rel=1e-8)


def test_randomisation_gives_uniform_p_values():
    """Re-randomised 1,000 times with skewed covariates: rejected at 5 % about as often as promised."""
    rng = np.random.default_rng(3)
    x, t = rng.lognormal(size=(200, 4)), np.repeat([0.0, 1.0], 100)
    p = np.array([omnibus_balance(rng.permutation(t), x, ("a", "b", "c", "d"))[0] for _ in range(1000)])
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert 0.03 < np.mean(p < 0.05) < 0.07


def test_perfect_imbalance_has_p_zero():
    data = simulated(60)
    assert rows(data | {"x1": data["t"]})["omnibus_balance_p"].value < 1e-100


def test_too_few_clusters_or_rows_give_no_value():
    data = simulated(60) | {"g": np.arange(60) % 2}
    row = rows(data, cluster="g")["omnibus_balance_p"]
    assert row.value is None
    assert "2 clusters cannot carry" in row.reason
    few = {k: v[:6] for k, v in simulated(60).items()} | {f"z{j}": np.arange(6.0) ** (j + 1) for j in range(5)}
    few["t"] = np.array([0.0, 1, 0, 1, 0, 1])
    row = rows(few, [f"z{j}" for j in range(5)])["omnibus_balance_p"]
    assert row.value is None
    assert "cannot be computed" in row.reason


def test_nothing_to_balance():
    data = simulated(60)
    assert rows(data, [])["omnibus_balance_p"].reason.startswith("not applicable")
    assert rows(data | {"x1": np.ones(60)}, ["x1"])["omnibus_balance_p"].reason.startswith("not applicable")


def test_sample_ratio_by_hand():
    # 60 of 100 against a half: (60 - 50)^2/50 + (40 - 50)^2/50 = 4.
    assert sample_ratio(60, 100, 0.5) == pytest.approx(stats.chi2.sf(4, 1), rel=1e-12)
    expected = stats.chisquare([60, 40], [30, 70]).pvalue
    assert sample_ratio(60, 100, 0.3) == pytest.approx(expected, rel=1e-12)


def test_sample_ratio_row():
    data = simulated(100)
    treated = int(data["t"].sum())
    row = rows(data, allocation=0.5)["sample_ratio_p"]
    assert row.value == pytest.approx(sample_ratio(treated, 100, 0.5))
    assert f"{treated} of 100 units" in row.reason


def test_sample_ratio_not_applicable():
    data = simulated(100)
    without = rows(data)["sample_ratio_p"]
    assert without.value is None
    assert without.reason.startswith("not applicable")
    dose = rows(data | {"t": data["x2"]}, allocation=0.5)["sample_ratio_p"]
    assert dose.value is None
    assert dose.reason.startswith("not applicable")


def test_sample_ratio_counts_what_was_assigned():
    """Whole clusters were assigned: six of ten, whatever their sizes; split clusters count units."""
    data = simulated(100) | {"g": np.arange(100) % 10}
    whole = rows(data | {"t": (data["g"] < 6).astype(float)}, cluster="g", allocation=0.5)["sample_ratio_p"]
    assert whole.value == pytest.approx(sample_ratio(6, 10, 0.5))
    assert "6 of 10 clusters" in whole.reason
    assert "of 100 units" in rows(data, cluster="g", allocation=0.5)["sample_ratio_p"].reason
