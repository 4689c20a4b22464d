"""CR2 and the degrees of freedom of Bell and McCaffrey, against n × n matrices and published closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import support
from cluster_support import brute

from estimators.few_clusters import is_many
from estimators.linear import coefficient_error, covariance, fit_ols


def data(n: int = 90, groups: int = 9, k: int = 3, seed: int = 3):
    """Outcome, columns (the first constant within clusters), weights and labels."""
    rng = np.random.default_rng(seed)
    cluster = rng.integers(0, groups, n)
    x = rng.normal(size=(n, k))
    x[:, 0] = cluster < 3
    y = x @ np.arange(1, k + 1) + rng.normal(size=groups)[cluster] + rng.normal(size=n)
    return y, x, rng.uniform(0.3, 3, n), np.array([f"town {c}" for c in cluster])


@pytest.mark.parametrize("weighted", [False, True])
def test_cr2_and_its_degrees_of_freedom_are_those_of_whole_matrices(weighted: bool) -> None:
    y, x, w, cluster = data()
    w = w if weighted else np.ones(len(y))
    fit = fit_ols(y, x, ("a", "b", "c"), w)
    vcov, df = brute(y, x, w, cluster)
    np.testing.assert_allclose(covariance(fit, "CR2", cluster), vcov, rtol=1e-9, atol=1e-12)
    for j in range(4):
        error = coefficient_error(fit, j, "CR2", cluster)
        assert error.kind == "CR2"
        np.testing.assert_allclose([error.std_error, error.df], [vcov[j, j] ** 0.5, df[j]], rtol=1e-9)


def test_a_column_that_one_cluster_alone_decides_takes_that_cluster_out() -> None:
    y, x, w, cluster = data()
    own = (cluster == "town 5").astype(float)
    fit = fit_ols(y, np.column_stack([x, own]), ("a", "b", "c", "own"), w)
    vcov, df = brute(y, np.column_stack([x, own]), w, cluster)
    error = coefficient_error(fit, 1, "CR2", cluster)
    np.testing.assert_allclose([error.std_error, error.df], [vcov[1, 1] ** 0.5, df[1]], rtol=1e-7)


def test_clusters_of_one_unit_are_hc2() -> None:
    y, x, w, _ = data()
    fit = fit_ols(y, x, ("a", "b", "c"), w)
    alone = np.arange(len(y))
    for j in range(4):
        one, other = coefficient_error(fit, j, "CR2", alone), coefficient_error(fit, j, "HC2")
        np.testing.assert_allclose([one.std_error, one.df], [other.std_error, other.df], rtol=1e-9)


@pytest.mark.parametrize(("treated", "untreated"), [(3, 27), (2, 48), (10, 10)])
def test_degrees_of_freedom_of_a_difference_in_means_are_those_that_imbens_and_kolesar_print(
    treated: int, untreated: int
) -> None:
    """K_BM = (N₀ + N₁)² (N₀ − 1)(N₁ − 1) / (N₁² (N₁ − 1) + N₀² (N₀ − 1)): 2.5 for 3 and 27 (2016, section 2)."""
    t = np.repeat([1.0, 0.0], [treated, untreated])
    fit = fit_ols(np.random.default_rng(1).normal(size=len(t)), t[:, None], ("t",))
    a, b = treated, untreated
    printed = (a + b) ** 2 * (a - 1) * (b - 1) / (a**2 * (a - 1) + b**2 * (b - 1))
    assert coefficient_error(fit, 1, "HC2").df == pytest.approx(printed, rel=1e-10)
    # Clusters of equal size, treated as a whole, are such units.
    cluster = np.repeat(np.arange(len(t)), 4)
    rows = fit_ols(np.random.default_rng(2).normal(size=len(cluster)), t[cluster][:, None], ("t",))
    assert coefficient_error(rows, 1, "CR2", cluster).df == pytest.approx(printed, rel=1e-10)


@pytest.mark.parametrize("kind", ["HC2", "HC3"])
def test_hc_degrees_of_freedom_are_those_of_whole_matrices(kind: str) -> None:
    y, x, w, _ = data(40)
    fit = fit_ols(y, x, ("a", "b", "c"), w)
    design = np.column_stack([np.ones(len(y)), x]) * np.sqrt(w)[:, None]
    bread = np.linalg.inv(design.T @ design)
    left = np.eye(len(y)) - design @ bread @ design.T
    h = 1 - np.diag(left)
    for j in range(4):
        given = (design @ bread)[:, j] / (1 - h) ** (0.5 if kind == "HC2" else 1.0)
        gamma = (left * given).T @ (left * given)
        df = np.trace(gamma) ** 2 / np.sum(gamma**2)
        assert coefficient_error(fit, j, kind).df == pytest.approx(df, rel=1e-9)


@pytest.mark.parametrize("kind", ["HC0", "HC2", "HC3"])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_unit_of_leverage_one_leaves_the_standard_errors_of_the_others(kind: str, weighted: bool) -> None:
    """A category with one unit: the other coefficients are those of the rows without it."""
    y, x, w, _ = data(60)
    w = w if weighted else np.ones(len(y))
    alone = np.zeros(len(y))
    alone[7] = 1.0
    y[7] += 100.0
    whole = fit_ols(y, np.column_stack([x, alone]), ("a", "b", "c", "alone"), w)
    rest = np.arange(len(y)) != 7
    without = fit_ols(y[rest], x[rest], ("a", "b", "c"), w[rest])
    np.testing.assert_allclose(whole.coef[:4], without.coef, rtol=1e-9)
    np.testing.assert_allclose(covariance(whole, kind)[:4, :4], covariance(without, kind), rtol=1e-7, atol=1e-12)
    if kind != "HC0":
        one, other = coefficient_error(whole, 1, kind), coefficient_error(without, 1, kind)
        assert one.df == pytest.approx(other.df, rel=1e-6)


def test_three_treated_clusters_among_thousands_are_three() -> None:
    rng = np.random.default_rng(5)
    cluster = np.repeat(np.arange(4000), 2)
    t = (cluster < 3).astype(float)
    fit = fit_ols(rng.normal(size=len(t)), t[:, None], ("t",))
    error = coefficient_error(fit, 1, "CR2", cluster)
    assert error.kind == "CR2"
    assert error.df == pytest.approx(2.0, rel=0.01)


def test_where_clusters_are_many_cr1_stands_for_cr2_and_hardly_differs() -> None:
    rng = np.random.default_rng(6)
    cluster = np.repeat(np.arange(2500), 3)
    t = (cluster % 2).astype(float)
    x = rng.normal(size=(len(t), 3)) + rng.normal(size=2500)[cluster][:, None]
    y = x.sum(axis=1) + rng.normal(size=2500)[cluster] + rng.normal(size=len(t))
    fit = fit_ols(y, np.column_stack([t, x]), ("t", "a", "b", "c"))
    error = coefficient_error(fit, 1, "CR2", cluster)
    assert (error.kind, error.df) == ("CR1", 2499)
    assert error.std_error == pytest.approx(covariance(fit, "CR2", cluster)[1, 1] ** 0.5, rel=2e-3)
    assert [is_many(1000, 20), is_many(1000, 21), is_many(999, 1)] == [True, False, False]


def test_a_difference_in_means_has_welchs_degrees_of_freedom() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(8)
    t = np.repeat([1.0, 0.0], [5, 15])
    y = rng.normal(size=20) * np.where(t == 1, 3, 1)
    block = support.observational("y", "t", ["x"])
    units = {"unit_id": np.arange(20), "y": y, "t": t, "x": rng.normal(size=20)}
    row = support.overall(support.run(block, units, "difference_in_means", "ATE"))
    welch = scipy_stats.ttest_ind(y[t == 1], y[t == 0], equal_var=False)
    np.testing.assert_allclose([row.p_value, row.degrees_of_freedom], [welch.pvalue, welch.df], rtol=1e-10)


def test_a_cluster_variance_asks_for_clusters() -> None:
    units = {k: v for k, v in support.simulated(50).items()}
    block = support.observational("y", "t", ["x1"], options={"regression_adjustment": {"variance": "CR1"}})
    with pytest.raises(Exception, match="role 'cluster'"):
        support.run(block, units, "regression_adjustment", "ATE")
