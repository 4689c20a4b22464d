"""Synthetic control's options: predictors with nested V, ridge augmentation, several treated, clusters, checks."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from support import overall, run, shuffled

from estimators.errors import Refusal
from estimators.panel.augmented import augmented
from estimators.panel.conformal import inverted
from estimators.panel.donors import synthetic
from estimators.panel.placebo import placebo_sets
from estimators.panel.predictors import nested
from estimators.panel.simplex import simplex_least_squares

BLOCK = {
    "question": "test", "design": "synthetic_control", "outcome": "y", "time": "t", "cohort": "g", "never": 0,
    "decision": {
        "primary": "synthetic_control", "estimand": "ATT", "desired_direction": "more", "minimum_effect": 1,
    },
}  # fmt: skip


def panel(units=12, treated=1, periods=24, start=19, effect=5.0, seed=4, members=1):
    """Units with two factors; with ``members`` each is a clinic of so many rows a period whose mean is the path."""
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(2, periods)).cumsum(axis=1)
    y = 50 + rng.dirichlet(np.ones(2), units) @ factor * 3 + rng.normal(scale=0.3, size=(units, periods))
    y[:treated, start - 1 :] += effect
    within = rng.normal(size=(units, members, 1))
    y = y[:, None, :] + within - within.mean(axis=1, keepdims=True)
    rows = units * members
    return pa.table({
        "unit_id": np.repeat([f"u{i:03d}" for i in range(rows)], periods).tolist(),
        "clinic": np.repeat([f"c{i:02d}" for i in range(units)], periods * members).tolist(),
        "t": np.tile(np.arange(1.0, periods + 1), rows), "y": y.ravel(),
        "g": np.repeat(np.where(np.arange(units) < treated, float(start), 0.0), periods * members),
        "x": np.repeat(y.mean(axis=(1, 2)) + rng.normal(size=units), periods * members),
    })  # fmt: skip


def _run(units, more=None, **options):
    return run({**BLOCK, **(more or {}), "options": {"synthetic_control": options}}, units, "synthetic_control", "ATT")


def _metrics(result):
    return {(d.metric, d.subject): d.value for d in result.diagnostics}


def test_a_start_changes_the_steps_and_not_the_solution():
    rng = np.random.default_rng(1)
    for _ in range(30):
        x = rng.normal(size=(9, 14)).cumsum(axis=0)
        y = x @ rng.dirichlet(np.ones(14)) + rng.normal(size=9)
        cold, warm = simplex_least_squares(y, x), simplex_least_squares(y, x, rng.dirichlet(np.ones(14) / 5))
        np.testing.assert_allclose(warm.weights, cold.weights, atol=1e-10)


# Predictors


def test_one_predictor_by_hand():
    """The treated unit's predictor 3 lies between 1 and 5: with a single predictor V is 1 and the gap follows."""
    y1, y0 = np.array([2.0, 2.0, 2.0, 9.0]), np.array([[1.0, 3.0], [1.0, 3.0], [1.0, 3.0], [4.0, 6.0]])
    fit = nested(y1, y0, np.array([3.0]), np.array([[1.0, 5.0]]), 3, 0)
    np.testing.assert_allclose(fit.fit.weights, [0.5, 0.5], atol=1e-12)
    np.testing.assert_allclose(fit.gap, [0, 0, 0, 4], atol=1e-12)
    assert fit.importance.tolist() == [1.0]


def test_the_useless_predictor_gets_no_importance():
    """Two predictors ask for the donors that follow the outcome, the third for another."""
    rng = np.random.default_rng(2)
    y0 = rng.normal(size=(12, 3)).cumsum(axis=0)
    x0 = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 9.0]])
    fit = nested(y0 @ [0.5, 0.5, 0.0], y0, np.array([0.5, 0.5, 8.0]), x0, 10, 0)
    assert fit.importance[2] < 1e-3
    np.testing.assert_allclose(fit.fit.weights, [0.5, 0.5, 0.0], atol=5e-3)


def test_predictors_are_means_over_their_periods_and_scale_free():
    units = panel(units=6)
    asked = {"x": "1 to 18", "y": [3, "10 to 12", 18]}
    result = _run(units, predictors=asked)
    found = _metrics(result)
    frame = units.to_pandas()
    expected = frame[(frame.unit_id == "u000") & frame.t.between(10, 12)].y.mean()
    assert found["predictor_treated", "y 10 to 12"] == pytest.approx(expected, abs=1e-12)
    assert sum(v for (m, _), v in found.items() if m == "predictor_weight") == pytest.approx(1)
    assert {s for m, s in found if m == "predictor_weight"} == {"x 1 to 18", "y 3", "y 10 to 12", "y 18"}
    donors = {s: v for (m, s), v in found.items() if m == "donor_weight"}
    x = dict(zip(frame.unit_id, frame.x, strict=True))
    expected = sum(w * x[d] for d, w in donors.items())
    assert found["predictor_synthetic", "x 1 to 18"] == pytest.approx(expected, abs=1e-4)
    assert overall(result).estimate == pytest.approx(5, abs=0.5)
    again = _run(shuffled(units), predictors=asked)
    assert again.estimates == result.estimates
    larger = _run(units.set_column(5, "x", pa.array(units["x"].to_numpy() * 64)), predictors=asked)
    assert overall(larger).estimate == pytest.approx(overall(result).estimate, abs=1e-9)


def test_a_predictor_may_be_missing_where_it_is_not_read():
    """No row is refused or dropped for it, and values of other periods do not enter."""
    units = panel(units=6)
    early = units["t"].to_numpy() <= 6
    gappy = np.where(early, units["x"].to_numpy(), np.nan)
    asked = {"x": "1 to 6", "y": [12, 18]}
    whole = _run(units, predictors=asked)
    assert _run(units.set_column(5, "x", pa.array(gappy)), predictors=asked).estimates == whole.estimates


@pytest.mark.parametrize(("asked", "words"), [
    ({}, "no predictor is given"),
    ({"y": "1980-1988"}, "no period"),
    ({"y": "9 to 3"}, "no period"),
    ({"y": True}, "no period"),
    ({"y": 19}, "reaches into the time of treatment"),
    ({"y": 0}, "has no value for unit"),
    ({"clinic": 3}, "holds text"),
])  # fmt: skip
def test_predictors_that_are_none(asked, words):
    with pytest.raises(Refusal, match=words):
        _run(panel(), predictors=asked)


def test_a_constant_predictor_and_predictors_of_an_augmented_fit_are_refused():
    units = panel()
    constant = units.set_column(5, "x", pa.array(np.ones(units.num_rows)))
    with pytest.raises(Refusal, match="same for all"):
        _run(constant, predictors={"x": 3})
    with pytest.raises(Refusal, match="augmented"):
        _run(units, method="augmented", predictors={"y": 3})


# Augmented


def test_the_augmented_fit_lies_between_the_simplex_and_the_best_fit():
    """λ to infinity is the synthetic control; λ = 0 with few periods fits them exactly; weights sum to one."""
    rng = np.random.default_rng(3)
    y0 = rng.normal(size=(8, 12)).cumsum(axis=0)
    y1 = y0.max(axis=1) + 1.0
    plain = synthetic(y1, y0, 6)
    far, close = augmented(y1, y0, 6, 1e12), augmented(y1, y0, 6, 0.0)
    np.testing.assert_allclose(far.fit.weights, plain.fit.weights, atol=1e-9)
    assert close.pre_rmspe < 1e-9 < plain.pre_rmspe
    middle = augmented(y1, y0, 6, 5.0)
    assert 0 < middle.pre_rmspe < plain.pre_rmspe
    assert middle.fit.weights.sum() == pytest.approx(1, abs=1e-12)


def test_ridge_augmentation_by_its_normal_equations():
    rng = np.random.default_rng(5)
    y0, y1, penalty = rng.normal(size=(9, 5)), rng.normal(size=9) + 2, 0.7
    fit = augmented(y1, y0, 7, penalty)
    w = synthetic(y1, y0, 7).fit.weights
    x0 = (y0[:7] - y0[:7].mean(axis=1, keepdims=True)).T
    imbalance = y1[:7] - y0[:7] @ w
    expected = w + x0 @ np.linalg.solve(x0.T @ x0 + penalty * np.eye(7), imbalance)
    np.testing.assert_allclose(fit.fit.weights, expected, atol=1e-12)


def test_augmentation_takes_off_the_bias_of_a_treated_unit_outside_the_hull():
    """Its loading on the factor is larger than any donor's, so the simplex alone is off by the factor's drift."""
    factor, rng = np.arange(24.0), np.random.default_rng(6)
    loads = np.concatenate([[1.6], np.linspace(0, 1, 15)])
    y = loads[:, None] * factor + rng.normal(scale=0.1, size=(16, 24))
    units = pa.table({
        "unit_id": np.repeat(np.arange(16), 24), "t": np.tile(np.arange(24.0), 16), "y": y.ravel(),
        "g": np.repeat(np.where(np.arange(16) == 0, 19.0, 0.0), 24),
    })  # fmt: skip
    plain, better = _run(units, conformal="none"), _run(units, method="augmented", conformal="none")
    assert overall(plain).estimate > 8
    assert abs(overall(better).estimate) < 0.5
    assert _metrics(better)["ridge_penalty", "overall"] > 0
    assert min(d.value for d in better.diagnostics if d.metric == "donor_weight") < 0


# Several treated units and clusters


def test_placebo_sets():
    assert placebo_sets(5, 1, 2, 0).tolist() == [[0], [1], [2], [3], [4]]
    assert placebo_sets(5, 2, 10, 0).tolist() == [list(c) for c in itertools.combinations(range(5), 2)]
    drawn = placebo_sets(30, 4, 50, 0)
    assert drawn.shape == (50, 4)
    assert all(len(set(row)) == 4 for row in drawn.tolist())
    assert len(placebo_sets(5, 4, 10, 0)) == 0


def test_several_treated_units_are_their_average():
    """The same as declaring the average as one unit; the placebos are averages of as many donors."""
    units = panel(units=14, treated=3)
    result = _run(units)
    y = units["y"].to_numpy().reshape(14, 24)
    paths = np.vstack([y[:3].mean(axis=0), y[3:]])
    one = synthetic(paths[0], paths[1:].T, 18)
    row = overall(result)
    assert row.estimate == pytest.approx(one.gap[18:].mean(), abs=1e-12)
    assert (row.n_units, row.n_treated) == (14, 3)
    found = _metrics(result)
    assert found["placebo_count", "overall"] == 165  # every three of eleven donors
    assert row.p_value == 1 / 166
    placebo = [c.y for c in result.curves if c.series == "placebo:set 1"]
    np.testing.assert_allclose(placebo, synthetic(y[3:6].mean(axis=0), y[6:].T, 18).gap, atol=1e-12)


def test_each_of_several_treated_units_by_itself():
    units = panel(units=14, treated=3)
    result = _run(units, several="each")
    y = units["y"].to_numpy().reshape(14, 24)
    gaps = [synthetic(y[i], y[3:].T, 18).gap for i in range(3)]
    rows = {e.term: e.estimate for e in result.estimates}
    assert rows["unit=u001"] == pytest.approx(gaps[1][18:].mean(), abs=1e-12)
    assert rows["overall"] == pytest.approx(np.mean(gaps, axis=0)[18:].mean(), abs=1e-12)
    assert rows["time=24"] == pytest.approx(np.mean(gaps, axis=0)[-1], abs=1e-12)
    assert overall(result).p_value == 1 / 166
    single = panel()
    assert _run(single, several="each").estimates == _run(single).estimates


def test_too_few_donors_for_placebo_averages_leave_the_estimate_without_a_p_value():
    result = _run(panel(units=5, treated=3))
    assert overall(result).p_value is None
    assert overall(result).estimate is not None
    assert _metrics(result)["placebo_count", "overall"] == 0


def test_clusters_are_averaged():
    """Clinics of four patients whose means are the paths: as if the clinics were the units."""
    patients, clinics = panel(members=4, treated=2), panel(members=4, treated=2).to_pandas()
    means = clinics.groupby(["clinic", "t"], as_index=False)[["y", "g"]].mean().rename(columns={"clinic": "unit_id"})
    whole = _run(pa.Table.from_pandas(means, preserve_index=False))
    ours = _run(patients, {"cluster": "clinic"})
    assert overall(ours).estimate == pytest.approx(overall(whole).estimate, abs=1e-10)
    assert (overall(ours).n_units, overall(ours).n_clusters, overall(ours).n_treated) == (12, 12, 2)
    assert _metrics(ours)["units_incomplete", "overall"] == 0
    assert _run(shuffled(patients), {"cluster": "clinic"}).estimates == ours.estimates


def test_a_patient_who_misses_a_period_is_no_gap_in_a_clinic():
    patients = panel(members=4)
    ours = _run(patients.slice(1), {"cluster": "clinic"})
    assert _metrics(ours)["units_incomplete", "overall"] == 1
    with pytest.raises(Refusal, match="1 cells are missing"):
        _run(panel().slice(1))


def test_treatment_must_be_the_clusters():
    patients = panel(members=2)
    g = patients["g"].to_numpy().copy()
    g[:24] = 0.0
    with pytest.raises(Refusal, match="some units are treated"):
        _run(patients.set_column(4, "g", pa.array(g)), {"cluster": "clinic"})


# Checks


def test_conformal_p_by_hand():
    """Residuals 0 before and large after under no effect: only the shift that observed it is as large."""
    rng = np.random.default_rng(9)
    y0 = rng.normal(size=(21, 2))
    y = np.column_stack([y0.mean(axis=1), y0])
    y[19:, 0] += 1000.0
    units = pa.table({
        "unit_id": np.tile(["a", "b", "c"], 21).tolist(), "t": np.repeat(np.arange(21.0), 3), "y": y.ravel(),
        "g": np.tile([19.0, 0.0, 0.0], 21),
    })  # fmt: skip
    found = _metrics(_run(units))
    assert found["conformal_p", "overall"] == pytest.approx(1 / 21)
    assert found["conformal_low", "overall"] == pytest.approx(1000, abs=1)
    assert found["conformal_high", "overall"] == pytest.approx(1000, abs=1)


def test_conformal_intervals_hold_the_effect_and_their_ends_are_the_last_not_rejected():
    result = _run(panel(periods=30, start=22))
    found = _metrics(result)
    assert found["conformal_low", "overall"] < 5 < found["conformal_high", "overall"]
    assert found["conformal_p", "overall"] <= 0.05
    points = [c for c in result.curves if c.curve == "synthetic_effect"]
    assert len(points) == 9
    assert sum(c.conf_low < 5 < c.conf_high for c in points) >= 8
    ((low, high),) = inverted(lambda theta: 1.0 if -2 < theta < 3.5 else 0.01, 0.0, 0.3)
    assert (low, high) == pytest.approx((-2, 3.5), abs=1e-3)
    assert inverted(lambda theta: 0.0, 0.0, 1.0) == inverted(lambda theta: 1.0, 0.0, 1.0) == ()


def test_a_conformal_set_with_a_gap_is_kept_whole():
    """p(0) = 0.37: a search that stops at the first rejected effect leaves the piece of zero out."""
    pieces = inverted(lambda theta: 0.37 if -2.95 < theta < -0.7 or -0.2 < theta < 0.4 else 0.01, -1.5, 0.3)
    assert np.ravel(pieces) == pytest.approx([-2.95, -0.7, -0.2, 0.4], abs=1e-3)


@pytest.mark.parametrize("method", ["simplex", "augmented"])
def test_conformal_sets_hold_zero_where_their_own_p_says_so(method):
    seen = set()
    for seed in range(12):
        units = panel(units=6, effect=[0.0, 1.0][seed % 2], seed=seed, periods=24, start=19)
        found = _run(units, conformal="average", method=method)
        (told,) = [d.subject for d in found.diagnostics if d.metric == "conformal_set"] or [""]
        if not told:
            continue
        numbers = _metrics(found)
        pieces = [[float(v) for v in piece.split(", ")] for piece in told.split(": [")[1][:-1].split("] and [")]
        holds = any(low <= 0 <= high for low, high in pieces)
        assert holds == (numbers["conformal_p", "overall"] > 0.05)
        assert numbers["conformal_low", "overall"] == pytest.approx(pieces[0][0], rel=1e-5)
        assert numbers["conformal_high", "overall"] == pytest.approx(pieces[-1][1], rel=1e-5)
        seen.add(holds)
    assert seen == {True, False}


def test_conformal_test_keeps_its_level_without_an_effect():
    ps = [_metrics(_run(panel(units=8, effect=0.0, seed=s, periods=20, start=16), conformal="average"))[
        "conformal_p", "overall"] for s in range(60)]  # fmt: skip
    assert np.mean(np.array(ps) <= 0.1) < 0.25
    assert np.mean(np.array(ps) <= 0.5) > 0.2


def test_short_panels_have_a_p_value_and_no_interval():
    found = _metrics(_run(panel(periods=12, start=9)))
    assert found["conformal_p", "overall"] >= 1 / 12
    assert found["conformal_low", "overall"] is None


def test_leave_one_out_is_the_panel_without_the_donor():
    units = panel()
    result = _run(units)
    found = _metrics(result)
    names = [s for m, s in found if m == "leave_one_out"]
    assert sorted(names) == sorted(s for m, s in found if m == "donor_weight")[: len(names)]
    keep = np.array([u != names[0] for u in units["unit_id"].to_pylist()])
    without = _run(units.filter(pa.array(keep)))
    assert found["leave_one_out", names[0]] == pytest.approx(overall(without).estimate, abs=1e-12)
    effects = [v for (m, _), v in found.items() if m == "leave_one_out"]
    bounds = (found["leave_one_out_low", "overall"], found["leave_one_out_high", "overall"])
    assert bounds == (min(effects), max(effects))


def test_placebo_in_time_is_the_panel_cut_at_treatment():
    units = panel()
    found = _metrics(_run(units))
    early = units.filter(pa.array(units["t"].to_numpy() < 19))
    moved = early.set_column(4, "g", pa.array(np.where(early["g"].to_numpy() > 0, 13.0, 0.0)))
    expected = overall(_run(moved))
    assert found["placebo_time_effect", "overall"] == pytest.approx(expected.estimate, abs=1e-12)
    assert found["placebo_time_ratio", "overall"] == pytest.approx(expected.statistic, abs=1e-9)


def test_the_least_number_of_draws():
    with pytest.raises(Refusal, match="placebo_draws is 0"):
        _run(panel(), placebo_draws=0)
