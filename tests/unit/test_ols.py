"""Least squares on a continuous treatment."""

import numpy as np
import pyarrow as pa
import pytest
from support import observational, overall, run, shuffled, simulated

from estimators.errors import Refusal


def dosed(n=300, seed=5):
    data = simulated(n, seed)
    rng = np.random.default_rng(seed + 100)
    dose = data["x1"] + rng.normal(size=n)
    return data | {"t": dose, "y": 1 + 0.5 * dose + data["x1"] + rng.normal(size=n)}


def block(**more):
    own = more.pop("ols", {})
    return observational("y", "t", ["x1", "x2"], options={"ols": own}, **more)


def test_by_hand_without_covariates():
    # Deviations of t -1.5, -0.5, 0.5, 1.5, of y -2.5, 0.5, -0.5, 2.5: slope 7 / 5, residuals -0.4, 1.2, -1.2, 0.4.
    data = {"unit_id": [1, 2, 3, 4], "t": [2.0, 3, 4, 5], "y": [1.0, 4, 3, 6], "x1": [0.0] * 4, "x2": [0.0] * 4}
    row = overall(run(block(ols={"covariates": [], "variance": "classical"}), data, "ols", "ATE"))
    assert row.estimate == pytest.approx(1.4, rel=1e-12)
    assert row.std_error == pytest.approx(np.sqrt(3.2 / 2 / 5), rel=1e-12)
    assert (row.contrast, row.degrees_of_freedom, row.n_treated) == ("per unit", 2, None)


@pytest.mark.parametrize("variance", ["classical", "HC0", "HC1", "HC2", "HC3"])
def test_agrees_with_statsmodels(variance):
    import statsmodels.api as sm

    data = dosed()
    row = overall(run(block(ols={"variance": variance}), data, "ols", "ATE"))
    x = sm.add_constant(np.column_stack([data["t"], data["x1"], data["x2"]]))
    fit = sm.OLS(data["y"], x).fit(cov_type="nonrobust" if variance == "classical" else variance, use_t=True)
    np.testing.assert_allclose([row.estimate, row.std_error], [fit.params[1], fit.bse[1]], rtol=1e-9)
    if variance in ("HC2", "HC3"):  # degrees of freedom of their own: test_few_clusters
        assert row.degrees_of_freedom < fit.df_resid
        return
    np.testing.assert_allclose([row.conf_low, row.conf_high], fit.conf_int()[1], rtol=1e-9)
    assert row.p_value == pytest.approx(fit.pvalues[1], rel=1e-6)


def test_clusters_agree_with_statsmodels():
    import statsmodels.api as sm

    data = dosed() | {"g": np.arange(300) % 15}
    row = overall(run(block(cluster="g", ols={"variance": "CR1"}), data, "ols", "ATE"))
    x = sm.add_constant(np.column_stack([data["t"], data["x1"], data["x2"]]))
    fit = sm.OLS(data["y"], x).fit(cov_type="cluster", cov_kwds={"groups": data["g"]}, use_t=True)
    assert row.std_error == pytest.approx(fit.bse[1], rel=1e-9)
    np.testing.assert_allclose([row.conf_low, row.conf_high], fit.conf_int()[1], rtol=1e-9)
    assert (row.n_clusters, row.degrees_of_freedom, row.variance_estimator) == (15, 14, "CR1")


def test_weights_agree_with_statsmodels_and_repeated_rows():
    import statsmodels.api as sm

    data = dosed(60)
    weight = (np.arange(60) % 3 + 1).astype(float)
    row = overall(run(block(weight="w", ols={"variance": "HC1"}), data | {"w": weight}, "ols", "ATE"))
    x = sm.add_constant(np.column_stack([data["t"], data["x1"], data["x2"]]))
    fit = sm.WLS(data["y"], x, weights=weight).fit(cov_type="HC1")
    np.testing.assert_allclose([row.estimate, row.std_error], [fit.params[1], fit.bse[1]], rtol=1e-9)
    repeated = {k: np.repeat(v, weight.astype(int)) for k, v in data.items()}
    repeated["unit_id"] = np.arange(len(repeated["y"]))
    assert overall(run(block(), repeated, "ols", "ATE")).estimate == pytest.approx(row.estimate, rel=1e-10)


def test_row_order_and_scale():
    data = dosed()
    row = overall(run(block(), data, "ols", "ATE"))
    other = overall(run(block(), shuffled(pa.table(data)), "ols", "ATE"))
    assert (row.estimate, row.std_error) == (other.estimate, other.std_error)
    big = overall(run(block(), data | {"y": data["y"] * 1e6}, "ols", "ATE"))
    np.testing.assert_allclose([big.estimate, big.std_error], [1e6 * row.estimate, 1e6 * row.std_error], rtol=1e-10)


def test_collinear_covariate_is_named():
    result = run(block(), dosed() | {"x2": 3 * dosed()["x1"]}, "ols", "ATE")
    assert [d.subject for d in result.diagnostics if d.metric == "collinear_column_dropped"] == ["x2"]


def test_treatment_that_covariates_explain_is_not_identified():
    data = dosed()
    with pytest.raises(Refusal, match="explain the treatment") as refusal:
        run(block(), data | {"t": data["x1"] + 2 * data["x2"]}, "ols", "ATE")
    assert refusal.value.status == "not_identified"


def test_too_few_rows_and_constant_outcome():
    data = dosed()
    with pytest.raises(Refusal, match="cannot carry"):
        run(block(), {k: v[:4] for k, v in data.items()}, "ols", "ATE")
    with pytest.raises(Refusal, match="in every row"):
        run(block(), data | {"y": np.ones(300)}, "ols", "ATE")
