"""Robust intervals of an event study: against linear programs and brute force, by hand, and as did's rows."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from did_support import BLOCK, panel
from scipy import optimize, stats
from support import problem, run, shuffled

from estimators.panel import honest_relative as relative
from estimators.panel import honest_smooth as smooth
from estimators.panel.aggregate import Shares, averages_of
from estimators.panel.att_gt import group_time_effects
from estimators.panel.honest_did import Aligned, aligned
from estimators.panel.honest_relative import EventStudy
from estimators.panel.sample import Sample, take_sample


def event_study(k: int = 3, p: int = 3, seed: int = 0, weights: Any = None) -> EventStudy:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(k + p, k + p + 2)) / 3
    weights = np.full(p, 1 / p) if weights is None else np.asarray(weights, dtype=float)
    return EventStudy(rng.normal(size=k) / 2, 2 + rng.normal(size=p), root @ root.T, weights)


def moments(study: EventStudy, bar: float, step: int, sign: float) -> tuple[np.ndarray, np.ndarray]:
    """A and its part after treatment: A δ ≤ 0, written out one inequality after the other."""
    k, p = len(study.pre), len(study.post)
    steps = np.delete(np.diff(np.eye(k + p + 1), axis=0), k, axis=1)
    rows = [way * steps[k + t] - bar * sign * steps[step] for t in range(p) for way in (1.0, -1.0)]
    return np.array(rows), np.array(rows)[:, k:]


def by_linear_program(study: EventStudy, bar: float, step: int, sign: float, beta: np.ndarray, theta: float) -> float:
    """min η over η and effects τ with l'τ = θ so that A (β − τ) ≤ η sd."""
    a, after = moments(study, bar, step, sign)
    sd = np.sqrt(np.diag(a @ study.vcov @ a.T))
    found = optimize.linprog(
        np.append(1.0, np.zeros(len(study.post))), A_ub=-np.column_stack([sd, after]), b_ub=-(a @ beta),
        A_eq=np.append(0.0, study.weights)[None, :], b_eq=[theta], bounds=[(None, None)] * (1 + len(study.post)),
    )  # fmt: skip
    assert found.success
    return float(found.fun)


@pytest.mark.parametrize("weights", [(1, 0, 0), (1 / 3, 1 / 3, 1 / 3), (0.5, -1, 2), (0, 0, 1)])
@pytest.mark.parametrize("bar", [0.3, 1.0, 2.5])
def test_the_extreme_points_give_the_linear_program(weights: tuple[float, ...], bar: float) -> None:
    study = event_study(weights=weights)
    draws = relative.normal_draws(study, 1)
    for step in range(3):
        for sign in (1.0, -1.0):
            one = relative.piece(study, bar, step, sign, draws)
            for theta in (-3.0, 0.0, 1.7, 40.0):
                ours = float((one.values - one.slopes * theta).max())
                assert ours == pytest.approx(by_linear_program(study, bar, step, sign, study.beta, theta), abs=1e-8)


def test_the_critical_value_is_that_of_the_linear_program() -> None:
    study = event_study()
    draws = relative.normal_draws(study, 1)
    one = relative.piece(study, 1.0, 1, -1.0, draws)
    largest = [by_linear_program(study, 1.0, 1, -1.0, draw, 0.0) for draw in draws[:300]]
    few = relative.piece(study, 1.0, 1, -1.0, draws[:300])
    assert few.critical == pytest.approx(np.quantile(largest, 1 - relative.KAPPA), abs=1e-7)
    assert np.mean(np.array(largest) > one.critical) < 0.03


def by_moments(study: EventStudy, bar: float, step: int, sign: float, critical: float, theta: float) -> bool:
    """The hybrid test from its definition: the truncation is found by moving the data along Σγ / γ'Σγ."""
    a, after = moments(study, bar, step, sign)
    sd = np.sqrt(np.diag(a @ study.vcov @ a.T))
    vcov, y = a @ study.vcov @ a.T, a @ study.beta
    # γ: the dual's solution, found by a linear program of its own.
    basis = np.vstack([np.eye(len(study.post)), study.weights])
    free = np.linalg.svd(study.weights[None, :])[2][1:].T
    particular = study.weights * theta / (study.weights @ study.weights)
    y = y - after @ particular
    assert basis.shape[1] == len(study.post)

    def top(data: np.ndarray) -> tuple[float, np.ndarray]:
        equal = np.vstack([sd, (after @ free).T])
        found = optimize.linprog(-data, A_eq=equal, b_eq=np.append(1.0, np.zeros(free.shape[1])), bounds=(0, None))
        return -float(found.fun), found.x

    eta, gamma = top(y)
    if eta > critical:
        return True
    variance = gamma @ vcov @ gamma
    along = vcov @ gamma / variance
    rest = y - along * (gamma @ y)

    def holds(c: float) -> bool:
        return top(rest + along * c)[0] <= c + 1e-9

    def end(sign: float) -> float:
        far = eta + sign * 60 * np.sqrt(variance)
        if holds(far):
            return far
        low, high = eta, far
        for _ in range(45):
            middle = (low + high) / 2
            low, high = (middle, high) if holds(middle) else (low, middle)
        return low

    low, high = end(-1.0) / np.sqrt(variance), min(end(1.0), critical) / np.sqrt(variance)
    z = eta / np.sqrt(variance)
    size = (relative.LEVEL - relative.KAPPA) / (1 - relative.KAPPA)
    tail = (stats.norm.sf(z) - stats.norm.sf(high)) / (stats.norm.sf(low) - stats.norm.sf(high))
    return bool(eta > 0 and tail < size)


def test_the_hybrid_test_is_its_definition() -> None:
    decisions = []
    for seed in range(3):
        study = event_study(2, 3, seed)
        draws = relative.normal_draws(study, 1)
        for step, sign in ((0, 1.0), (1, -1.0)):
            one = relative.piece(study, 0.7, step, sign, draws)
            grid = study.estimate + study.std_error * np.linspace(-4, 4, 9)
            ours = relative.rejects(one, grid)
            theirs = [by_moments(study, 0.7, step, sign, one.critical, theta) for theta in grid]
            assert ours.tolist() == theirs
            decisions += theirs
    assert 5 < sum(decisions) < len(decisions) - 5


def test_without_violations_the_interval_is_about_the_usual_one() -> None:
    study = event_study()
    low, high = relative.interval(study, 0.0, relative.normal_draws(study, 1))
    assert low == pytest.approx(study.estimate - 1.96 * study.std_error, abs=0.03 * study.std_error)
    assert high == pytest.approx(study.estimate + 1.96 * study.std_error, abs=0.03 * study.std_error)


def test_intervals_widen_and_the_breakdown_is_where_zero_comes_in() -> None:
    study = event_study(seed=4)
    draws = relative.normal_draws(study, 1)
    widths = [np.diff(relative.interval(study, bar, draws))[0] for bar in relative_bars()]
    assert (np.diff(widths) > 0).all()
    at = relative.breakdown(study, draws)
    assert 0 < at < relative.LARGEST
    inside, outside = (relative.interval(study, at * f, draws) for f in (0.999, 1.001))
    assert inside[0] > 0
    assert outside[0] <= 0


def relative_bars() -> tuple[float, ...]:
    return (0.0, 0.5, 1.0, 2.0)


def test_the_true_effect_is_rejected_as_often_as_told() -> None:
    """Trends after treatment as steep as the steepest before, at the edge of what M̄ = 1 allows."""
    base = event_study(2, 2, seed=3)
    true = 20 * np.array([-3.0, -1.0, 2.0, 4.0])
    rng = np.random.default_rng(8)
    root = np.linalg.cholesky(base.vcov)
    draws = relative.normal_draws(base, 1)[:1000]
    missed = 0
    for _ in range(300):
        beta = true + root @ rng.normal(size=4)
        study = EventStudy(beta[:2], beta[2:], base.vcov, base.weights)
        pieces = [relative.piece(study, 1.0, s, sign, draws) for s in range(2) for sign in (1.0, -1.0)]
        missed += all(relative.rejects(one, np.zeros(1))[0] for one in pieces)
    # With one piece that binds the test is exact: 15 are expected.
    assert abs(missed - 15) <= 3 * np.sqrt(300 * 0.05 * 0.95)


def test_smoothness_by_hand() -> None:
    """One coefficient before and one after: the line through the first is taken out, and may bend by M at the base."""
    study = EventStudy(np.array([0.4]), np.array([3.0]), np.array([[0.04, 0.01], [0.01, 0.09]]), np.ones(1))
    path = smooth.frontier(study)
    se = np.sqrt(0.04 + 0.09 + 2 * 0.01)
    for bend in (0.0, 0.3, 5.0):
        estimate, low, high = smooth.interval(path, bend)
        assert estimate == pytest.approx(3.4)
        half = stats.foldnorm.ppf(0.95, bend / se) * se
        assert (low, high) == (pytest.approx(3.4 - half, abs=1e-8), pytest.approx(3.4 + half, abs=1e-8))
    at = smooth.breakdown(path)
    assert stats.foldnorm.ppf(0.95, at / se) * se == pytest.approx(3.4, abs=1e-7)


@pytest.mark.parametrize("bend", [0.0, 0.05, 0.3, 2.0])
@pytest.mark.parametrize("k", [2, 4])
def test_no_linear_estimator_has_a_shorter_interval(bend: float, k: int) -> None:
    study = event_study(k, 3, seed=k)
    _, low, high = smooth.interval(smooth.frontier(study), bend)
    back, ahead = np.arange(k, 0, -1.0), np.arange(1.0, 4)
    # Bends of a trend that is 0 at the base and 0 after its first step, one by one.
    trends = [np.append(np.zeros(k), np.maximum(ahead - j, 0)) for j in (1, 2)]
    trends += [np.append(np.maximum(back - j, 0), np.zeros(3)) for j in range(k)]
    line = np.append(-back, ahead)

    def half(free: np.ndarray) -> float:
        a = np.append(0.0, free)
        a[0] = (study.weights @ ahead - a @ back) / back[0]
        weights = np.append(a, study.weights)
        assert abs(weights @ line) < 1e-9
        bias = bend * sum(abs(weights @ trend) for trend in trends)
        return smooth.half_length(bias, float(np.sqrt(weights @ study.vcov @ weights)))

    options = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000}
    starts = np.random.default_rng(0).normal(size=(4, k - 1))
    best = min(optimize.minimize(half, start, method="Nelder-Mead", options=options).fun for start in starts)
    assert (high - low) / 2 == pytest.approx(best, rel=1e-5)
    assert (high - low) / 2 <= best * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_the_path_meets_the_conditions_of_a_lasso(seed: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(6, 7))
    q, c = root @ root.T, rng.normal(size=6) * 3
    path = smooth.lasso_path(q, c)
    assert np.allclose(q @ path[-1] + c, 0, atol=1e-9)
    for a, b in itertools.pairwise(path):
        w = (a + b) / 2
        gradient = q @ w + c
        mu = np.abs(gradient).max()
        on = np.abs(w) > 1e-9
        assert np.allclose(gradient[on], -mu * np.sign(w[on]), atol=1e-9)


def averages(units: pa.Table, **options: Any) -> tuple[Sample, Aligned | str]:
    sample = take_sample(problem({**BLOCK, "options": {"did": options}}, units, "did"))
    effects = group_time_effects(sample, options.get("control_group", "never_treated"))
    shares = Shares.of(sample.cohort)
    found = averages_of(effects, shares)
    after = tuple(one for one in found.event_time if one.at is not None and one.at >= 0)
    return sample, aligned(effects, shares, after)


def test_coefficients_before_treatment_are_told_against_the_last_period() -> None:
    sample, found = averages(panel(cohorts=(0.0, 4.0, 5.0)))
    assert isinstance(found, Aligned)
    assert [one.at for one in found.pre] == [-4, -3, -2]
    assert [one.at for one in found.post] == [0, 1]
    never = np.isinf(sample.cohort)
    effect, size = {}, {}
    for g in (4, 5):
        for e in range(-4, -1):
            if g + e >= 1:
                change = sample.y[:, g + e - 1] - sample.y[:, g - 2]
                effect[g, e] = change[sample.cohort == g].mean() - change[never].mean()
                size[g, e] = np.sum(sample.cohort == g)
    for one in found.pre:
        own = [key for key in effect if key[1] == one.at]
        assert one.estimate == pytest.approx(np.average([effect[k] for k in own], weights=[size[k] for k in own]))
    # The influence values are those of that difference: the only cohort at −4 shows it.
    treated = sample.cohort == 5
    change = sample.y[:, 0] - sample.y[:, 3]
    variance = change[treated].var() / treated.sum() + change[never].var() / never.sum()
    assert sample.standard_error(found.pre[0].psi) == pytest.approx(np.sqrt(variance), rel=1e-10)


def told(result: Any) -> dict[str, float | None]:
    return {row.subject: row.value for row in result.sensitivity}


def test_rows_and_curves_of_did() -> None:
    units = panel(n=600, cohorts=(0.0, 4.0, 5.0))
    result = run(BLOCK, units, "did", "ATT")
    rows = told(result)
    names = ("dynamic", "event_time=0")
    kinds = [f"{kind}: {name}" for name in names for kind in ("relative_magnitudes", "smoothness")]
    assert sorted(rows) == sorted(kinds)
    assert all(row.method == "honest_did" and row.reading for row in result.sensitivity)
    points = [p for p in result.curves if p.curve == "honest_did"]
    assert {p.series for p in points} == set(kinds)
    (dynamic,) = [e for e in result.estimates if e.term == "dynamic"]
    (first,) = [p for p in points if p.series == "relative_magnitudes: dynamic" and p.x == 0]
    assert (first.conf_low, first.conf_high) == (
        pytest.approx(dynamic.conf_low, abs=0.05 * dynamic.std_error),
        pytest.approx(dynamic.conf_high, abs=0.05 * dynamic.std_error),
    )
    # Whether zero lies in an interval and whether M̄ exceeds the breakdown are the same question.
    for p in points:
        assert (p.conf_low <= 0 <= p.conf_high) == (p.x >= rows[p.series])


def test_order_and_unit_of_measurement() -> None:
    units = panel(n=300, cohorts=(0.0, 4.0, 5.0))
    first = told(run(BLOCK, units, "did", "ATT"))
    again = told(run(BLOCK, shuffled(units), "did", "ATT"))
    scaled = units.set_column(3, "y", pa.array(units["y"].to_numpy() * -1e4))
    large = told(run(BLOCK, scaled, "did", "ATT"))
    for subject, value in first.items():
        assert again[subject] == pytest.approx(value, rel=1e-9)
        factor = 1 if subject.startswith("relative") else 1e4
        # A change of sign turns the draws around, which moves a critical value by its Monte Carlo error.
        assert large[subject] == pytest.approx(value * factor, rel=0.03 if factor == 1 else 1e-9)


def test_clusters_count() -> None:
    units = panel(n=300, cohorts=(0.0, 4.0, 5.0))
    plain, clustered = (told(run({**BLOCK, **more}, units, "did", "ATT")) for more in ({}, {"cluster": "region"}))
    assert plain["smoothness: dynamic"] != pytest.approx(clustered["smoothness: dynamic"], rel=1e-3)


def test_it_can_be_left_out() -> None:
    result = run({**BLOCK, "options": {"did": {"honest": False}}}, panel(cohorts=(0.0, 4.0, 5.0)), "did", "ATT")
    assert result.sensitivity == ()
    assert not [p for p in result.curves if p.curve == "honest_did"]


def test_where_there_is_nothing_to_compare() -> None:
    assert told(run(BLOCK, panel(cohorts=(0.0, 2.0)), "did", "ATT")) == {}
    # Periods 1, 2, 4, 5: event times have a gap.
    units = panel(n=300, cohorts=(0.0, 4.0, 5.0))
    gap = units.filter(pa.compute.field("t") != 3)
    (row,) = run(BLOCK, gap, "did", "ATT").sensitivity
    assert (row.method, row.value) == ("honest_did", None)
    assert "event times have gaps" in row.reading


def test_fewer_clusters_than_coefficients() -> None:
    units = panel(n=200, cohorts=(0.0, 4.0, 5.0))
    few = units.append_column("few", pa.array(units["unit_id"].to_numpy() % 3))
    result = run({**BLOCK, "cluster": "few"}, few, "did", "ATT")
    rows = told(result)
    assert rows["smoothness: dynamic"] is None
    assert rows["relative_magnitudes: dynamic"] is not None
