"""Staggered difference-in-differences: by hand, its influence functions, its refusals and its invariances."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from scipy.optimize import root
from scipy.special import expit
from support import overall, problem, run, shuffled

from estimators.errors import Refusal, StudyError
from estimators.inference import covariance, joint_wald
from estimators.laws import t_quantile
from estimators.panel.aggregate import averages
from estimators.panel.att_gt import group_time_effects
from estimators.panel.design import panel_design
from estimators.panel.pretrends import Setting, sample_test
from estimators.panel.sample import take_sample
from estimators.panel.two_period import effect

BLOCK = {
    "question": "test", "design": "panel", "outcome": "y", "time": "t", "cohort": "g", "never": 0,
    "decision": {"primary": "did", "estimand": "ATT", "desired_direction": "more", "minimum_effect": 0.5},
}  # fmt: skip


def simulated(n=120, seed=3, cohorts=(0.0, 3.0, 5.0), periods=5):
    """Units in cohorts, an effect of one a period since treatment, trends parallel given x."""
    rng = np.random.default_rng(seed)
    g, x, level = rng.choice(cohorts, n), rng.normal(size=n), rng.normal(size=n)
    t = np.arange(1, periods + 1.0)
    since = np.where((g > 0)[:, None], np.maximum(t[None, :] - g[:, None] + 1, 0), 0)
    y = level[:, None] + 0.3 * t + 0.2 * x[:, None] * t + since + rng.normal(size=(n, periods))
    return _table(y, g, t, x=np.repeat(x, periods), region=np.repeat(np.arange(n) // 6, periods).astype(str))


def _table(y, g, t, **more):
    n, periods = np.shape(y)
    unit, cohort = np.repeat(np.arange(n), periods), np.repeat(np.asarray(g, dtype=float), periods)
    return pa.table({"unit_id": unit, "t": np.tile(t, n), "g": cohort, "y": np.ravel(y), **more})


def _did(units, options=None, **more):
    return run({**BLOCK, **({"options": {"did": options}} if options else {}), **more}, units, "did", "ATT")


def _numbers(result):
    return np.array([(e.estimate, e.std_error) for e in result.estimates])


# By hand: 5 treated from period 2 with changes 3, 3, 5, 5, 4 and 4 controls with changes 1, 1, 2, 2.
CHANGES = {2.0: [3, 3, 5, 5, 4], 0.0: [1, 1, 2, 2]}


def test_two_periods_by_hand():
    y = [[0, c] for changes in CHANGES.values() for c in changes]
    g = [g for g, changes in CHANGES.items() for _ in changes]
    row = overall(_did(_table(y, g, [1.0, 2.0])))
    assert row.estimate == pytest.approx(4 - 1.5)
    # Few units: Welch's variance, unbiased in each arm, and t with equal variances' effective degrees of freedom.
    variances = np.array([0.8 / 4, 0.25 / 3])
    df = (1 / 5 + 1 / 4) ** 2 / ((1 / 5) ** 2 / 4 + (1 / 4) ** 2 / 3)
    assert row.std_error == pytest.approx(np.sqrt(variances.sum()))
    assert row.degrees_of_freedom == pytest.approx(df)
    assert (row.n_units, row.n_treated, row.n_trimmed, row.variance_estimator) == (9, 5, 0, "influence_function")
    assert row.conf_high - row.conf_low == pytest.approx(2 * t_quantile(0.975, df) * row.std_error, rel=1e-6)


def test_base_periods_and_averages_by_hand():
    """Without noise the paths give every ATT(g, t): cohort 2 gains 1, then 3; cohort 3 gains 10 after a blip of 2."""
    paths = {2: [0, 1, 3], 3: [0, 2, 12], 0: [0, 0, 0]}
    sizes = {2: 6, 3: 2, 0: 4}
    y = [paths[g] for g in paths for _ in range(sizes[g])]
    g = [g for g in paths for _ in range(sizes[g])]
    result = _did(_table(y, g, [1.0, 2.0, 3.0]))
    got = {e.term: e.estimate for e in result.estimates}
    expected = {
        "cohort=2:time=2": 1, "cohort=2:time=3": 3, "cohort=3:time=2": 2, "cohort=3:time=3": 10,
        "overall": (6 * 1 + 6 * 3 + 2 * 10) / 14,
        "event_time=-1": 2, "event_time=0": (6 * 1 + 2 * 10) / 8, "event_time=1": 3, "dynamic": (3.25 + 3) / 2,
        "cohort=2": 2, "cohort=3": 10, "group": (6 * 2 + 2 * 10) / 8,
        "time=2": 1, "time=3": (6 * 3 + 2 * 10) / 8, "calendar": (1 + 4.75) / 2,
    }  # fmt: skip
    assert got == pytest.approx(expected)
    treated = {e.term: e.n_treated for e in result.estimates}
    assert (treated["event_time=1"], treated["cohort=3"], treated["time=2"], treated["overall"]) == (6, 2, 6, 8)


def test_gaps_between_periods_keep_calendar_distance():
    units = _table([[0, 1, 5]] * 6 + [[0, 0, 0]] * 3, [2005] * 6 + [0] * 3, [2000.0, 2004.0, 2006.0])
    assert overall(_did(units), "event_time=1").estimate == pytest.approx(4)
    assert overall(_did(units), "event_time=-1").estimate == pytest.approx(1)


def test_averages_count_the_estimation_of_cohort_shares():
    """The jackknife, which knows no formula, has the variance of ψ up to terms of order 1/n."""
    sample = take_sample(problem(BLOCK, simulated(n=400), "did"))
    full = _averages(sample)
    left_out = np.array([[one.estimate for one in _averages(_without(sample, i))] for i in range(sample.n)])
    jackknife = np.sqrt(((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0))
    analytic = [np.sqrt((one.psi**2).sum()) / sample.n for one in full]
    assert len(full) == 4 + 6 + 2 + 3
    np.testing.assert_allclose(analytic, jackknife, rtol=0.02)


def _averages(sample):
    found = averages(group_time_effects(sample, "never_treated"), sample.cohort)
    return [*found.overall, *found.event_time, *found.cohort, *found.time]


def _without(sample, i):
    keep = np.arange(sample.n) != i
    return dataclasses.replace(sample, y=sample.y[keep], x=sample.x[keep], cohort=sample.cohort[keep])


@pytest.mark.parametrize("link", ["logit", "probit"])
@pytest.mark.parametrize("method", ["reg", "ipw", "dr"])
def test_influence_is_the_sandwich_of_the_stacked_moments(method, link):
    rng = np.random.default_rng(5)
    n = 300
    x = rng.normal(size=(n, 2))
    d = rng.random(n) < expit(-0.3 + 0.5 * x[:, 0])
    change = 0.5 * d + x[:, 0] - x[:, 1] ** 2 + rng.normal(size=n)
    ours = effect(change, d, x, ("a", "b"), method, link)
    z, t = np.column_stack([np.ones(n), x]), d.astype(float)
    cdf, pdf = (expit, lambda e: expit(e) * expit(-e)) if link == "logit" else (stats.norm.cdf, stats.norm.pdf)

    def moments(theta):
        a, b, (mu1, mu0) = theta[:3], theta[3:6], theta[6:]
        p = cdf(z @ a)
        left = change - (z @ b if method != "ipw" else 0.0)
        w0 = (1 - t) * p / (1 - p) if method != "reg" else np.zeros(n)
        own = np.column_stack([t * (left - mu1), w0 * (left - mu0) if method != "reg" else mu0 * np.ones(n)])
        score = z * ((t - p) * pdf(z @ a) / (p * (1 - p)))[:, None]
        return np.column_stack([score, z * ((1 - t) * (change - z @ b))[:, None], own])

    theta = _solve(lambda v: moments(v).mean(axis=0), np.zeros(8))
    bread = np.linalg.inv(_jacobian(lambda v: moments(v).mean(axis=0), theta))
    psi = -(moments(theta) @ bread.T)
    assert ours.att == pytest.approx(theta[6] - theta[7], abs=1e-8)
    np.testing.assert_allclose(ours.psi, psi[:, 6] - psi[:, 7], atol=1e-6)


def _jacobian(f, at, step=1e-6):
    return np.column_stack([(f(at + e) - f(at - e)) / (2 * step) for e in step * np.eye(len(at))])


def _solve(f, start):
    found = root(f, start, tol=1e-13)
    assert np.abs(f(found.x)).max() < 1e-10
    return found.x


@pytest.mark.parametrize("options", [{}, {"control_group": "not_yet_treated"}, {"method": "ipw"}, {"method": "reg"}])
def test_row_order_and_scale(options):
    units = simulated()
    more = {"covariates": ["x"], "cluster": "region"}
    base = _numbers(_did(units, options, **more))
    np.testing.assert_allclose(_numbers(_did(shuffled(units), options, **more)), base, rtol=0, atol=1e-10)
    scaled = units.set_column(3, "y", pa.array(units["y"].to_numpy() * 1000.0))
    np.testing.assert_allclose(_numbers(_did(scaled, options, **more)), base * 1000, rtol=1e-8)


def test_not_yet_treated_adds_the_later_cohort():
    units = simulated()
    sample = take_sample(problem(BLOCK, units, "did"))
    effects = group_time_effects(sample, "not_yet_treated")
    (cell,) = [c for c in effects.cells if (c.cohort, c.time) == (3, 4)]
    later = sample.cohort > 4
    change = sample.y[:, 3] - sample.y[:, 1]
    assert cell.att == pytest.approx(change[sample.cohort == 3].mean() - change[later].mean(), abs=1e-12)
    assert cell.n_controls == later.sum() > np.isinf(sample.cohort).sum()


def test_without_never_treated_the_last_cohort_only_serves_as_control():
    result = _did(simulated(cohorts=(3.0, 5.0)), {"control_group": "not_yet_treated"})
    terms = {e.term for e in result.estimates}
    assert {"cohort=3:time=3", "cohort=3:time=4"} <= terms
    assert not any(term.startswith(("cohort=5", "cohort=3:time=5")) for term in terms)
    assert ("cells_without_controls", 1.0) in {(d.metric, d.value) for d in result.diagnostics}


def test_clusters_sum_influence_values():
    """Units in clusters of two copies: with the copies' sums, the variance of half the units, times G/(G−1)."""
    units = simulated(n=60)
    copies = units.set_column(0, "unit_id", pa.array(units["unit_id"].to_numpy() + 1000))
    both = pa.concat_tables([units, copies])
    pair = pa.array((both["unit_id"].to_numpy() % 1000).astype(str))
    block = {**BLOCK, "cluster": "pair", "options": {"cluster_variance": "sandwich"}}
    single = overall(run({**BLOCK, "options": {"cluster_variance": "sandwich"}}, units, "did", "ATT"))
    paired = overall(run(block, both.append_column("pair", pair), "did", "ATT"))
    assert paired.estimate == pytest.approx(single.estimate, abs=1e-12)
    assert paired.std_error == pytest.approx(single.std_error * np.sqrt(60 / 59), rel=1e-10)
    assert (paired.n_clusters, paired.variance_estimator) == (60, "cluster")


def test_incomplete_and_always_treated_units_are_counted():
    units = simulated(cohorts=(0.0, 1.0, 3.0, 5.0))
    first = units.to_pandas()
    early = first[first["g"] == 1]["unit_id"].nunique()
    gone = pa.Table.from_pandas(first.drop(index=first[first["g"] != 1].index[:1]), preserve_index=False)
    row = overall(_did(gone))
    assert (row.n_trimmed, row.n_units) == (early + 1, 120 - early - 1)
    left = first[(first["g"] != 1) & (first["unit_id"] != first[first["g"] != 1]["unit_id"].iloc[0])]
    alone = overall(_did(pa.Table.from_pandas(left, preserve_index=False)))
    assert (row.estimate, row.std_error) == (alone.estimate, alone.std_error)


def test_null_declared_and_later_cohorts_are_never_treated():
    units = simulated()
    g = units["g"].to_numpy()
    base = _numbers(_did(units))
    for never in (None, 9.0, float("inf")):
        other = units.set_column(2, "g", pa.array([never if v == 0 else v for v in g], pa.float64()))
        np.testing.assert_array_equal(_numbers(_did(other)), base)


def test_event_study_bands():
    result = _did(simulated())
    points = [c for c in result.curves if c.curve == "event_study"]
    bands = {(c.series, c.x): c for c in points}
    assert {c.x for c in points} == {-3, -2, -1, 0, 1, 2}
    for x in (-3, -2, -1, 0, 1, 2):
        narrow, wide = bands["pointwise", x], bands["simultaneous", x]
        assert narrow.y == wide.y == overall(result, f"event_time={x}").estimate
        assert wide.conf_low < narrow.conf_low < narrow.y < narrow.conf_high < wide.conf_high
    assert result.curves == _did(simulated()).curves
    cells = [c for c in result.curves if c.curve == "att_gt"]
    assert {(c.series, c.x) for c in cells} == {(f"cohort={g}", t) for g in (3, 5) for t in (2, 3, 4, 5)}


def test_pre_trends_power_by_simulation():
    """The stated power of the χ² is how often W exceeds its bar when pre-period effects are drawn around the step."""
    sample = take_sample(problem(BLOCK, simulated(n=1500), "did"))
    effects = group_time_effects(sample, "never_treated")

    def tested(step):
        return sample_test(effects, sample, Setting("never_treated", "dr", "logit", 1, step))

    test = tested(0.1)
    assert test.reference == "χ² with 4 degrees of freedom"
    vcov = covariance(effects.before().psi)
    draws = np.random.default_rng(1).multivariate_normal(np.full(len(vcov), 0.1), vcov, 4000)
    rejected = np.mean([joint_wald(b, vcov).statistic > stats.chi2.ppf(0.95, len(vcov)) for b in draws])
    assert 0.1 < test.power < 0.95
    assert test.power == pytest.approx(rejected, abs=0.025)
    assert tested(0.0).power == pytest.approx(0.05)
    assert tested(test.detectable).power == pytest.approx(0.8, abs=1e-6)


def test_design_uses_pre_period_outcomes_only():
    units = simulated()
    frame = units.to_pandas()
    frame.loc[(frame["g"] > 0) & (frame["t"] >= frame["g"]), "y"] = 1e6
    blanked = pa.Table.from_pandas(frame, preserve_index=False)
    first, second = (panel_design(problem(BLOCK, u, "did")) for u in (units, blanked))
    assert [d.value for d in first] == [d.value for d in second]
    metrics = ("pre_trends_p", "pre_trends_power", "pre_trends_detectable")
    assert [(d.estimator, d.metric) for d in first] == [(e, m) for e in ("did", "twfe") for m in metrics]
    found = {d.metric: d.value for d in _did(units).diagnostics}
    assert all(d.value == pytest.approx(found[d.metric], abs=1e-12) for d in first if d.metric in found)
    assert found.keys() >= {"pre_trends_p", "pre_trends_power"}


def test_design_without_pre_periods_has_a_reason():
    rows = panel_design(problem(BLOCK, simulated(cohorts=(0.0, 2.0)), "did"))
    assert [d.value for d in rows] == [None] * 6
    assert all("cannot be tested" in d.reason for d in rows)


def test_design_of_a_refused_panel_has_the_reason():
    rows = panel_design(problem(BLOCK, simulated(cohorts=(0.0,)), "did"))
    assert [d.value for d in rows] == [None] * 6
    assert all("no unit becomes treated" in d.reason for d in rows)


FLAT = [1.0, 2.0, 3.0]


def _cohorts(**sizes):
    g = [float(name[1:]) for name, size in sizes.items() for _ in range(size)]
    return _table(np.random.default_rng(0).normal(size=(len(g), 3)), g, FLAT)


@pytest.mark.parametrize(
    ("units", "options", "words", "status"),
    [
        (_cohorts(g0=9), {}, "no unit becomes treated", "refused"),
        (_cohorts(g2=9, g3=9), {}, "no control units", "refused"),
        (_cohorts(g2=9), {"control_group": "not_yet_treated"}, "no control units", "refused"),
        (_cohorts(g0=9, g2=4), {}, "4 treated units", "not_identified"),
        (_cohorts(g0=9, g2=1), {}, "1 treated unit:", "not_identified"),
        (
            _cohorts(g0=9, g2=4, g3=1),
            {},
            "4 treated units: .*left out \\(3\\)",
            "not_identified",
        ),
        (_cohorts(g0=1, g2=9), {}, "single control", "not_identified"),
        (_cohorts(g0=9, g2=9).filter(pa.compute.field("t") == 1.0), {}, "single period", "refused"),
        (_cohorts(g1=9), {}, "9 are treated from the start", "refused"),
    ],
)
def test_refusals(units, options, words, status):
    with pytest.raises(Refusal, match=words) as refused:
        _did(units, options)
    assert refused.value.status == status
    assert refused.value.mend


def test_repeated_cross_sections_are_refused():
    units = pa.table({"unit_id": np.arange(20), "t": np.arange(20) % 2.0, "g": np.zeros(20), "y": np.arange(20.0)})
    with pytest.raises(Refusal, match="20 miss a period"):
        _did(units)


def test_cohort_and_cluster_must_not_change_within_a_unit():
    units = _cohorts(g0=9, g2=9)
    changing = pa.array(np.arange(units.num_rows, dtype=float) % 2)
    with pytest.raises(Refusal, match="'g' changes within unit 0"):
        _did(units.set_column(2, "g", changing))
    with pytest.raises(Refusal, match="'c' changes within unit 0"):
        _did(units.append_column("c", changing), cluster="c")
    with pytest.raises(Refusal, match="one cluster"):
        _did(units.append_column("c", pa.array(["a"] * units.num_rows)), cluster="c")
    with pytest.raises(StudyError, match=r"cohort 'g' holds text, such as 'a'\. Give the first treated period"):
        _did(units.set_column(2, "g", pa.array(["a"] * units.num_rows)))


def test_a_covariate_that_gives_the_cohort_away_names_the_cell():
    units = simulated()
    units = units.append_column("z", pa.array((units["g"].to_numpy() == 3).astype(float)))
    with pytest.raises(Refusal, match=r"ATT\(3, 2\).*perfectly"):
        _did(units, {"method": "ipw"}, covariates=["z"])


def test_too_many_covariates_name_the_cell():
    units = _cohorts(g0=3, g2=9)
    rng = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        units = units.append_column(name, pa.array(rng.normal(size=units.num_rows)))
    with pytest.raises(Refusal, match=r"ATT\(2, 2\): the controls' regression"):
        _did(units, {"method": "reg"}, covariates=["a", "b", "c"])


def test_controls_of_propensity_near_one_get_no_weight():
    rng = np.random.default_rng(2)
    n = 400
    x = np.append(rng.normal(size=n - 1), 8.0)
    d = np.append(rng.random(n - 1) < expit(3 * x[:-1]), False)
    change = rng.normal(size=n)
    one = effect(change, d, x[:, None], ("x",), "ipw", "logit")
    moved = effect(np.append(change[:-1], 1e6), d, x[:, None], ("x",), "ipw", "logit")
    assert one.n_trimmed >= 1
    assert moved.att == pytest.approx(one.att, abs=1e-12)
