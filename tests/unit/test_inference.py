"""The inference layer by hand and by Monte Carlo."""

import numpy as np
import pytest
from scipy import stats

from estimators.inference import (
    cluster_sums,
    covariance,
    effective_sample_size,
    joint_wald,
    simultaneous_critical_value,
    standard_error,
    wald,
)

PSI = np.array([1.0, -2.0, 3.0, -2.0])


def test_cluster_sums_in_sort_order():
    np.testing.assert_array_equal(cluster_sums(PSI, np.array(["b", "a", "b", "c"], dtype=object)), [-2, 4, -2])
    np.testing.assert_array_equal(
        cluster_sums(np.column_stack([PSI, 2 * PSI]), np.array([2, 2, 1, 1])), [[1, 2], [-1, -2]]
    )


def test_standard_errors_by_hand():
    assert standard_error(PSI) == pytest.approx(np.sqrt(18) / 4)
    assert standard_error(PSI, ddof=1) == pytest.approx(np.sqrt(18 / 16 * 4 / 3))
    # Sums 4, -2, -2 over three clusters.
    assert standard_error(PSI, np.array([1, 2, 1, 3])) == pytest.approx(np.sqrt(24 / 16 * 3 / 2))


def test_each_its_own_cluster_is_one_degree_of_freedom():
    assert standard_error(PSI, np.arange(4)) == pytest.approx(standard_error(PSI, ddof=1), rel=1e-14)


def test_covariance_has_covariances():
    psi = np.column_stack([PSI, PSI[::-1]])
    np.testing.assert_allclose(covariance(psi), np.array([[18, -2 - 6 - 6 - 2], [-16, 18]]) / 16)
    g = np.array([0, 0, 1, 1])
    np.testing.assert_allclose(covariance(psi, g), np.array([[2, -2], [-2, 2]]) / 16 * 2)


def test_wald_normal_and_t():
    got = wald(2.0, 1.0)
    assert got.statistic == 2.0
    assert got.p_value == pytest.approx(2 * stats.norm.sf(2), rel=1e-12)
    assert (got.conf_low, got.conf_high) == pytest.approx((2 - 1.959963984540054, 2 + 1.959963984540054))
    small = wald(-2.0, 1.0, df=3, level=0.9)
    assert small.p_value == pytest.approx(2 * stats.t.sf(2, 3))
    assert small.conf_high == pytest.approx(-2 + stats.t.ppf(0.95, 3))


@pytest.mark.parametrize(("estimate", "se"), [(1.0, 0.0), (1.0, np.nan), (1.0, np.inf), (np.nan, 1.0), (1.0, -1.0)])
def test_wald_gives_nothing_rather_than_infinities(estimate, se):
    got = wald(estimate, se)
    assert (got.statistic, got.p_value, got.conf_low, got.conf_high) == (None, None, None, None)


def test_joint_wald_by_hand():
    vcov = np.array([[4.0, 1.0], [1.0, 9.0]])
    b = np.array([2.0, 3.0])
    got = joint_wald(b, vcov)
    assert got.statistic == pytest.approx(b @ np.linalg.inv(vcov) @ b, rel=1e-12)
    assert got.degrees_of_freedom == 2
    assert got.p_value == pytest.approx(stats.chi2.sf(got.statistic, 2), rel=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_joint_wald_of_a_singular_covariance_counts_its_rank(seed):
    """Estimates that are sums of two others add neither to the statistic nor to the degrees of freedom."""
    rng = np.random.default_rng(seed)
    psi, mix = rng.normal(size=(50, 2)), rng.normal(size=(2, 5))
    b = np.array([0.3, -0.2])
    both = joint_wald(b, covariance(psi))
    more = joint_wald(np.append(b, b @ mix), covariance(np.column_stack([psi, psi @ mix])))
    assert more.degrees_of_freedom == 2
    assert more.statistic == pytest.approx(both.statistic, rel=1e-9)


def test_joint_wald_does_not_mind_units():
    rng = np.random.default_rng(1)
    psi, b = rng.normal(size=(50, 3)), np.array([0.1, 0.2, -0.3])
    units = np.array([1.0, 1e9, 1e-9])
    got, scaled = joint_wald(b, covariance(psi)), joint_wald(b * units, covariance(psi * units))
    assert scaled.degrees_of_freedom == 3
    assert scaled.statistic == pytest.approx(got.statistic, rel=1e-9)


def test_joint_wald_without_variation():
    part = joint_wald(np.array([1.0, 5.0]), np.diag([4.0, 0.0]))
    assert (part.statistic, part.degrees_of_freedom) == (pytest.approx(0.25), 1)
    none = joint_wald(np.array([1.0]), np.zeros((1, 1)))
    assert none.degrees_of_freedom == 0
    assert np.isnan(none.p_value)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_sup_t_of_independent_estimates(k):
    """max |z| of k independent normals has its 95 % point at Φ⁻¹((1 + 0.95^(1/k)) / 2)."""
    psi = np.random.default_rng(k).normal(size=(500, k))
    known = stats.norm.ppf((1 + 0.95 ** (1 / k)) / 2)
    got = simultaneous_critical_value(psi, None, seed=5, draws=8000)
    # Monte Carlo error of a 95 % quantile from 8,000 draws: sqrt(0.95·0.05/8000) / density, within four of those;
    # 500 units of sample correlation add about 0.01.
    density = k * 2 * stats.norm.pdf(known) * (2 * stats.norm.cdf(known) - 1) ** (k - 1)
    assert abs(got - known) < 4 * np.sqrt(0.95 * 0.05 / 8000) / density + 0.01


def test_sup_t_of_copies_is_pointwise_and_clusters_are_drawn_whole():
    psi = np.random.default_rng(2).normal(size=(400, 1))
    copies = simultaneous_critical_value(np.tile(psi, (1, 5)), None, seed=1, draws=4000)
    assert copies == pytest.approx(1.96, abs=0.1)
    # Clusters whose sums are as many: the same draws, the same value.
    halves = np.repeat(psi / 2, 2, axis=0)
    clustered = simultaneous_critical_value(halves, np.repeat(np.arange(400), 2), seed=1, draws=500)
    assert clustered == pytest.approx(simultaneous_critical_value(psi, None, seed=1, draws=500), rel=1e-12)


def test_sup_t_is_repeatable_never_below_the_pointwise_and_skips_what_does_not_vary():
    psi = np.random.default_rng(3).normal(size=(50, 2))
    one = simultaneous_critical_value(psi, None, seed=9, draws=50)
    assert one == simultaneous_critical_value(psi, None, seed=9, draws=50)
    assert one >= stats.norm.ppf(0.975)
    assert simultaneous_critical_value(np.column_stack([psi, np.zeros(50)]), None, seed=9, draws=50) == one
    assert simultaneous_critical_value(np.zeros((50, 2)), None, seed=9) == pytest.approx(stats.norm.ppf(0.975))


def test_effective_sample_size():
    assert effective_sample_size(np.full(7, 3.0)) == pytest.approx(7)
    assert effective_sample_size(np.array([1.0, 1.0, 2.0])) == pytest.approx(16 / 6)
    assert effective_sample_size(np.array([0.0, 5.0])) == 1
    assert effective_sample_size(np.zeros(3)) == 0
