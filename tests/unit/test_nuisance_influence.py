"""The propensity's influence values: the sandwich of statsmodels' fits, and what happens at the edges."""

import numpy as np
import pytest

from estimators.moments import Moments
from estimators.nuisance import fit_binary


def data(n=400):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(n, 2))
    t = (x @ [1.0, -0.5] + rng.standard_t(3, size=n) > 0).astype(float)
    return t, x


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_sandwich_agrees_with_statsmodels(link):
    """Observed information is the bread; with the expected one a misspecified probit differs."""
    import statsmodels.api as sm

    t, x = data()
    psi = fit_binary(t, x, ("a", "b"), link).influence(t)
    model = sm.Probit if link == "probit" else sm.Logit
    peer = model(t, sm.add_constant(x)).fit(disp=0, tol=1e-12, cov_type="HC0")
    np.testing.assert_allclose(psi.T @ psi / len(t) ** 2, peer.cov_params(), rtol=1e-6)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_scores_are_finite_where_a_probability_rounds_to_one(link):
    t, x = data()
    x[0], t[0] = [3000.0, 0.0], 1.0
    fit = fit_binary(t, x, ("a", "b"), link)
    assert fit.probability[0] == 1
    assert np.isfinite(fit.influence(t)).all()
    np.testing.assert_allclose(fit.score(t)[0], 0, atol=1e-10)


def test_a_column_that_only_the_dropped_fold_has_gets_no_slope():
    rng = np.random.default_rng(0)
    folds = np.arange(300) % 3
    x = np.column_stack([rng.normal(size=300), (folds == 1) & (np.arange(300) % 5 == 0)]).astype(float)
    y = x[:, 0] + rng.normal(size=300)
    fit = Moments.of(np.column_stack([x, y]), ("a", "b", "y"), None, folds, 3).without(1).regress("y", ("a", "b"))
    assert fit.dropped == ("b",)
    assert fit.slopes[1] == 0
