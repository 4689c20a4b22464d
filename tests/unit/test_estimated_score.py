"""The variance of matching on an estimated propensity: by hand, by brute force, and what must not change it."""

from __future__ import annotations

import numpy as np
import pytest
import support

from estimators.selection_on_observables.estimated_score import Tilt, neighbourhood, slopes

X = ["x1", "x2"]


def run(options: dict, estimand: str, units: dict | None = None, covariates: list[str] = X, link: str = "logit"):
    options = {"psm": options, "propensity": {"link": link}}
    block = support.observational("y", "t", covariates, options=options)
    return support.overall(support.run(block, support.simulated() if units is None else units, "psm", estimand))


def test_four_units_by_hand() -> None:
    e, t = np.array([0.6, 0.8, 0.2, 0.4]), np.array([1.0, 1, 0, 0])
    x, y = np.array([1.0, 3, 0, 2]), np.array([2.0, 6, 1, 2])
    got = neighbourhood(e, e, "logit", t, y, np.column_stack([np.ones(4), x]))
    # Two units an arm: everybody's neighbours are both. f = e (1 − e) = .24, .16, .16, .24.
    np.testing.assert_allclose(got.variance, [8, 8, 0.5, 0.5])
    # cov(x, y) is (3 − 1) (6 − 2) / 2 = 4 of the treated and 1 of the untreated.
    np.testing.assert_allclose(got.tilt.treated, [0, (0.4 + 0.2 + 0.8 + 0.6) * 4], atol=1e-15)
    np.testing.assert_allclose(got.tilt.untreated, [0, 0.6 + 0.8 + 0.2 + 0.4], atol=1e-15)
    # Means of the arms without the unit itself: 6 − 1.5, 2 − 1.5, 4 − 2 and 4 − 1.
    gaps = np.array([4.5, 0.5, 2.0, 3.0]) * [0.24, 0.16, 0.16, 0.24]
    np.testing.assert_allclose(got.tilt.gap, [gaps.sum(), gaps @ x + 0.8 * (4 - 1)])
    np.testing.assert_allclose(got.tilt.slope, [0.8, 1.2])
    np.testing.assert_allclose(got.tilt.information, [[0.8, 1.2], [1.2, 2.64]])
    # The inverse's last element is .8 / (.8 · 2.64 − 1.2²).
    assert got.tilt.taken("ATE", 1.0) == pytest.approx((8 + 2) ** 2 * 0.8 / 0.672)
    d = gaps @ x + 2.4 - 1.2, gaps.sum() - 0.8
    assert got.tilt.taken("ATT", 1.0) == pytest.approx(2 * (0.8 * (2 + 2 * d[0]) - 1.2 * 2 * d[1]) / 0.672)


def test_the_parts_of_the_treated_are_those_of_the_paper() -> None:
    """c' I⁻¹ c − d' I⁻¹ d, with c = d + untreated."""
    rng = np.random.default_rng(1)
    treated, untreated, gap, slope = rng.normal(size=(4, 3))
    half = rng.normal(size=(3, 3))
    tilt = Tilt(treated, untreated, gap, slope, half @ half.T)
    inverse, d = np.linalg.inv(half @ half.T), gap - 0.7 * slope
    c = d + untreated
    assert tilt.taken("ATT", 0.7) == pytest.approx(c @ inverse @ c - d @ inverse @ d)


@pytest.mark.parametrize("link", ["logit", "probit"])
@pytest.mark.parametrize("decimals", [2, 9])
def test_the_sums_are_those_of_brute_force(link: str, decimals: int) -> None:
    rng = np.random.default_rng(3)
    n = 120
    e, t = np.round(rng.uniform(0.05, 0.95, n), decimals), (rng.random(n) < 0.4).astype(float)
    x, y = rng.normal(size=(n, 2)), rng.normal(size=n)
    x[:, 0] += 3 * e
    z = np.column_stack([np.ones(n), x])
    got = neighbourhood(e / e.std(), e, link, t, y, z)
    f, _ = slopes(e, link)
    np.testing.assert_allclose(f, e * (1 - e) if link == "logit" else _density_of(e), rtol=1e-12)
    sums = {"treated": np.zeros(3), "untreated": np.zeros(3), "gap": np.zeros(3)}
    for i in range(n):
        near = {a: _nearest(e, t, i, a) for a in (0, 1)}
        cov = {a: (z[rows] - z[rows].mean(axis=0)).T @ (y[rows] - y[rows].mean()) / (len(rows) - 1)
               for a, rows in near.items()}  # fmt: skip
        mean = {a: y[rows[rows != i]].mean() for a, rows in near.items()}
        sums["treated"] += f[i] / e[i] * cov[1]
        sums["untreated"] += f[i] / (1 - e[i]) * cov[0]
        sums["gap"] += f[i] * (z[i] * (mean[1] - mean[0]) + cov[1] - cov[0])
        assert got.variance[i] == pytest.approx(y[near[int(t[i])]].var(ddof=1), rel=1e-9)
    for name, want in sums.items():
        np.testing.assert_allclose(getattr(got.tilt, name), want, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(got.tilt.information, z.T @ (z * (f**2 / (e * (1 - e)))[:, None]), rtol=1e-12)


def _density_of(e: np.ndarray) -> np.ndarray:
    from scipy import stats

    return stats.norm.pdf(stats.norm.ppf(e))


def _nearest(e: np.ndarray, t: np.ndarray, i: int, arm: int) -> np.ndarray:
    rows = np.flatnonzero(t == arm)
    distance = np.abs(e[rows] - e[i])
    return rows[distance <= np.sort(distance)[1] + 1e-12]


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
@pytest.mark.parametrize("link", ["logit", "probit"])
def test_neither_the_order_nor_the_units_of_the_covariates_matter(estimand: str, link: str) -> None:
    row = run({}, estimand, link=link)
    assert row.variance_estimator == "estimated_propensity"
    units = support.simulated()
    units |= {"x3": 2.0**20 + units["x1"] / 64, "x4": units["x2"] - units["x1"]}
    for covariates in (X[::-1], ["x1", "x2", "x4"], ["x3", "x2"], ["x4", "x1"]):
        other = run({}, estimand, units, covariates, link)
        assert (other.estimate, other.std_error) == pytest.approx((row.estimate, row.std_error), rel=1e-7)


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_an_outcome_that_the_covariates_do_not_explain_gains_nothing(estimand: str) -> None:
    """cov(x, y | e) is then zero, and the error is about that of a known propensity; here it is far from it."""
    units = support.simulated(3000)
    noise = np.random.default_rng(0).normal(size=3000)
    ratios = []
    for y in (noise, noise + 2 * units["x1"] - 2 * units["x2"]):
        rows = [run({"variance": v}, estimand, {**units, "y": y}) for v in ("estimated_propensity", "abadie_imbens")]
        ratios.append(rows[0].std_error / rows[1].std_error)
    assert ratios[0] == pytest.approx(1.0, abs=0.05)
    assert ratios[1] < 0.9


@pytest.mark.parametrize("options", [{"replace": False}, {"bias_adjustment": True}, {"caliper": 0.001}], ids=str)
def test_where_the_paper_does_not_hold_the_known_propensitys_error_is_told(options: dict) -> None:
    row, known = run(options, "ATT"), run({**options, "variance": "abadie_imbens"}, "ATT")
    assert (row.variance_estimator, row.std_error) == ("abadie_imbens", known.std_error)


def test_a_caliper_that_leaves_nobody_out_changes_nothing() -> None:
    row, free = run({"caliper": 2.0}, "ATE"), run({}, "ATE")
    assert (row.variance_estimator, row.std_error, row.n_trimmed) == ("estimated_propensity", free.std_error, 0)


def test_nothing_left_of_the_variance_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a small sample the estimated part can be more than there is."""
    known = run({"variance": "abadie_imbens"}, "ATE")
    monkeypatch.setattr(Tilt, "taken", lambda *_: 1e30)
    row = run({}, "ATE")
    assert (row.variance_estimator, row.std_error) == ("abadie_imbens", known.std_error)
