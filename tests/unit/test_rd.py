"""Regression discontinuity: known jumps, sharp and fuzzy, curves by hand, refusals and invariances."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from support import overall, problem, run, shuffled

from estimators.discontinuity.curves import rd_bins, running_density
from estimators.discontinuity.design import discontinuity_design
from estimators.discontinuity.local import fitted_line, kernel_weights
from estimators.errors import Refusal

BLOCK = {
    "question": "test", "design": "rd", "outcome": "y", "running": "x", "cutoff": 10,
    "decision": {"primary": "rd", "estimand": "LATE", "desired_direction": "more", "minimum_effect": 1},
}  # fmt: skip


def simulated(n=800, jump=3.0, seed=6, noise=1.0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(5, 15, n)
    takes = (rng.random(n) < np.where(x >= 10, 0.8, 0.3)).astype(float)
    z = rng.normal(size=n)
    y = 2 + 0.5 * x + jump * (x >= 10) + z + noise * rng.normal(size=n)
    return pa.table(
        {
            "unit_id": np.arange(n), "x": x, "y": y, "z": z, "takes": takes,
            "right": (x >= 10).astype(float), "left": (x < 10).astype(float), "block": (np.arange(n) // 8).astype(str),
        }
    )  # fmt: skip


def _rd(units, options=None, **more):
    return run({**BLOCK, **({"options": {"rd": options}} if options else {}), **more}, units, "rd", "LATE")


def _row(units, options=None, **more):
    return overall(_rd(units, options, **more))


def test_a_jump_without_noise_is_found_exactly():
    x = np.linspace(0, 20, 400)
    y = 1 + 0.25 * x + 7 * (x >= 10) * (1 + 0.1 * (x - 10)) + 1e-6 * np.cos(40 * x)
    row = _row(pa.table({"unit_id": np.arange(400), "x": x, "y": y}), {"bandwidth": 5.0})
    assert row.estimate == pytest.approx(7, abs=1e-5)
    assert (row.contrast, row.variance_estimator, row.n_units, row.n_treated) == (
        "right - left",
        "robust_bias_corrected",
        400,
        200,
    )


def test_numbers_belong_together():
    result = _rd(simulated())
    row, found = overall(result), {(d.metric, d.subject): d for d in result.diagnostics}
    centre = found["bias_corrected_estimate", "overall"].value
    assert (row.conf_low + row.conf_high) / 2 == pytest.approx(centre, abs=1e-10)
    assert row.conf_high - row.conf_low == pytest.approx(2 * 1.959963984540054 * row.std_error, rel=1e-10)
    assert row.statistic == pytest.approx(centre / row.std_error)
    assert row.conf_low < 3 < row.conf_high
    assert row.std_error > found["conventional_std_error", "overall"].value
    x, h = simulated()["x"].to_numpy(), found["bandwidth", "left"].value
    assert found["n_in_bandwidth", "left"].value == ((x < 10) & (x >= 10 - h)).sum()
    assert found["n_in_bandwidth", "right"].value == ((x >= 10) & (x <= 10 + h)).sum()


def test_the_fitted_lines_meet_the_cutoff_at_the_estimate():
    for options in ({}, {"order": 2, "kernel": "epanechnikov"}, {"kernel": "uniform", "bandwidth": 2.0}):
        result = _rd(simulated(), options)
        at = {c.series: c.y for c in result.curves if c.curve == "rd_fit" and c.x == 10.0}
        assert at["right"] - at["left"] == pytest.approx(overall(result).estimate, abs=1e-8)
        assert sum(c.curve == "rd_fit" for c in result.curves) == 100


def test_sides_of_treatment():
    units = simulated()
    plain, right, left = _row(units), _row(units, treatment="right"), _row(units, treatment="left")
    assert right == plain
    assert (left.contrast, left.n_treated) == ("left - right", int(units["left"].to_numpy().sum()))
    assert left.estimate == pytest.approx(-plain.estimate, abs=1e-12)
    assert (left.conf_low, left.conf_high) == pytest.approx((-plain.conf_high, -plain.conf_low), abs=1e-12)


def test_fuzzy_divides_by_the_jump_of_the_treatment():
    from rdrobust import rdrobust

    units = simulated(n=2000)
    result = _rd(units, {"bandwidth": 3.0}, treatment="takes")
    row, found = overall(result), {d.metric: d for d in result.diagnostics}
    y, x, takes = (units[name].to_numpy() for name in ("y", "x", "takes"))
    first = run({**BLOCK, "outcome": "takes", "options": {"rd": {"bandwidth": 3.0}}}, units, "rd", "LATE")
    reduced = _row(units, {"bandwidth": 3.0})
    assert row.estimate == pytest.approx(reduced.estimate / overall(first).estimate, abs=1e-8)
    assert found["first_stage"].value == pytest.approx(overall(first).estimate, abs=1e-8)
    assert found["first_stage_f"].is_passing
    assert (row.contrast, row.n_treated) == ("1 - 0", int(takes.sum()))
    peer = rdrobust(y, x, c=10, h=3.0, fuzzy=takes)
    assert row.std_error == pytest.approx(peer.se.loc["Robust"].iloc[0], abs=1e-8)


def test_donut_leaves_the_middle_out():
    units = simulated()
    x = units["x"].to_numpy()
    row = _row(units, {"donut": 0.5})
    far = np.abs(x - 10) >= 0.5
    alone = _row(units.filter(pa.array(far)))
    assert row.n_trimmed == (~far).sum() > 0
    assert (row.estimate, row.std_error, row.n_units) == (alone.estimate, alone.std_error, far.sum())


def test_covariates_sharpen():
    units = simulated()
    assert _row(units, covariates=["z"]).std_error < 0.9 * _row(units).std_error
    assert _row(units, {"covariates": []}, covariates=["z"]) == _row(units)


def test_clusters():
    """Each unit twice in a cluster of two: CR1 in place of a variance that would take the copies for news."""
    units = simulated()
    row = _row(units, {"bandwidth": 3.0}, cluster="block")
    assert (row.n_clusters, row.variance_estimator) == (100, "cluster")
    copies = units.set_column(0, "unit_id", pa.array(units["unit_id"].to_numpy() + 10_000))
    both = pa.concat_tables([units, copies])
    both = both.append_column("pair", pa.array((both["unit_id"].to_numpy() % 10_000).astype(str)))
    singles = units.append_column("pair", pa.array(units["unit_id"].to_numpy().astype(str)))
    paired, single = (_row(u, {"bandwidth": 3.0}, cluster="pair") for u in (both, singles))
    assert paired.estimate == pytest.approx(single.estimate, abs=1e-8)
    assert paired.std_error == pytest.approx(single.std_error, rel=0.01)


@pytest.mark.parametrize("more", [{}, {"treatment": "takes"}, {"covariates": ["z"], "cluster": "block"}])
def test_row_order_and_scale(more):
    units = simulated()
    base = _rd(units, **more)
    again = _rd(shuffled(units), **more)
    assert (again.estimates, again.diagnostics, again.curves) == (base.estimates, base.diagnostics, base.curves)
    # Powers of two are exact, so that the bandwidth's search sees the same numbers.
    scaled = _row(units.set_column(2, "y", pa.array(units["y"].to_numpy() * 1024.0)), **more)
    own = overall(base)
    assert scaled.estimate == pytest.approx(1024 * own.estimate, rel=1e-9)
    assert scaled.std_error == pytest.approx(1024 * own.std_error, rel=1e-9)


def test_nothing_is_printed_or_warned(capsys, recwarn):
    units = simulated()
    ties = units.set_column(1, "x", pa.array(np.round(units["x"].to_numpy(), 1)))
    _rd(ties)
    discontinuity_design(problem(BLOCK, ties, "rd"))
    assert capsys.readouterr().out == ""
    assert [w for w in recwarn if "rd" in str(w.filename)] == []


def test_bins_by_hand():
    x, y = np.array([1.0, 2, 3, 4, 11, 11, 11, 12]), np.array([1.0, 3, 5, 9, 2, 4, 6, 8])
    bins = rd_bins(y, x, 10.0)
    assert [(b.series, b.x, b.y) for b in bins] == [
        ("left", 1.5, 2.0), ("left", 3.5, 7.0), ("right", 11.0, 4.0), ("right", 12.0, 8.0),
    ]  # fmt: skip
    half = 12.706204736432095 * np.sqrt(2) / np.sqrt(2)
    assert (bins[0].conf_low, bins[0].conf_high) == pytest.approx((2 - half, 2 + half))
    assert bins[3].conf_low is None


def test_bins_never_split_ties_or_cross_the_cutoff():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 20, 500).astype(float), rng.normal(size=500)
    order = rng.permutation(500)
    once, again = rd_bins(y, x, 10.0), rd_bins(y[order], x[order], 10.0)
    assert [(b.series, b.x, b.x_label) for b in once] == [(b.series, b.x, b.x_label) for b in again]
    assert sum(int(b.x_label.split()[0]) for b in once) == 500
    assert all((b.x < 10) == (b.series == "left") for b in once)


def test_histogram_counts_every_unit_on_its_side():
    x = np.array([0.0, 1.0, 9.99, 10.0, 10.1, 20.0])
    bars = running_density(x, 10.0)
    assert sum(b.y for b in bars if b.series == "left") == 3
    assert sum(b.y for b in bars if b.series == "right") == 3
    assert {b.x: b.y for b in bars}[10.25] == 2
    assert [b.x for b in bars] == sorted(b.x for b in bars)


def test_a_line_is_fitted_exactly():
    x = np.array([1.0, 2, 3, 4])
    line = fitted_line(3 - 2 * x, x, 5.0, 6.0, 1, "triangular", np.array([0.0, 5.0]))
    np.testing.assert_allclose(line, [3, -7], atol=1e-12)
    np.testing.assert_allclose(kernel_weights(np.array([0.0, 0.5, 1.5]), "epanechnikov"), [1, 0.75, 0])


@pytest.mark.parametrize(
    ("options", "more", "words"),
    [
        ({}, {"cutoff": 20}, "no observation right of the cutoff 20"),
        ({}, {"cutoff": 5.1}, "observations left of the cutoff 5.1; at least 20"),
        ({"bandwidth": 0.1}, {}, "within 0.1 of it; at least 20"),
        ({"bandwidth": -1.0}, {}, "bandwidth -1 is not positive"),
        ({"donut": 5.0}, {}, "no observation left of the cutoff"),
    ],
)
def test_refusals(options, more, words):
    with pytest.raises(Refusal, match=words) as refused:
        _rd(simulated(), options, **more)
    assert refused.value.mend


def test_a_running_variable_of_two_values_is_refused():
    x = np.repeat([9.0, 11.0], 50)
    units = pa.table({"unit_id": np.arange(100), "x": x, "y": np.random.default_rng(0).normal(size=100)})
    with pytest.raises(Refusal, match="local polynomial"):
        _rd(units)


def test_a_constant_outcome_is_refused():
    units = simulated()
    with pytest.raises(Refusal, match="local polynomial"):
        _rd(units.set_column(2, "y", pa.array(np.ones(units.num_rows))))


def test_design_finds_heaping_and_a_covariate_that_jumps():
    rng = np.random.default_rng(1)
    units = simulated(n=3000)
    x = units["x"].to_numpy()
    units = units.append_column("jumps", pa.array((x >= 10) + 0.1 * rng.normal(size=len(x))))
    units = units.append_column("flat", pa.array(np.ones(len(x))))
    units = units.filter(pa.array((x >= 10) | (rng.random(len(x)) < 0.4)))
    block = {**BLOCK, "covariates": ["z", "jumps", "flat"]}
    rows = {(d.metric, d.subject): d for d in discontinuity_design(problem(block, units, "rd"))}
    assert rows["density_p", "overall"].value < 0.001
    assert rows["covariate_continuity_p", "jumps"].value < 0.001
    assert rows["covariate_continuity_p", "z"].value > 0.001
    flat = rows["covariate_continuity_p", "flat"]
    assert (flat.value, flat.reason) == (None, "flat is constant")


def test_design_without_a_side_has_a_reason():
    rows = discontinuity_design(problem({**BLOCK, "cutoff": 20, "covariates": ["z"]}, simulated(), "rd"))
    assert [d.value for d in rows] == [None, None]
    assert all("no observation right of the cutoff" in d.reason for d in rows)


def test_design_does_not_read_the_outcome():
    units = simulated()
    block = {**BLOCK, "covariates": ["z"]}
    blank = units.set_column(2, "y", pa.array(np.arange(units.num_rows, dtype=float)))
    one, other = (discontinuity_design(problem(block, u, "rd")) for u in (units, blank))
    assert one == other


# Parametric


PARAMETRIC = {"model": "parametric"}


def _told(result, metric):
    return {d.subject: d for d in result.diagnostics if d.metric == metric}


def test_a_parametric_jump_by_hand():
    # A line each side and errors that are orthogonal to it: the jump is exact.
    x = np.concatenate([np.linspace(0, 9.9, 100), np.linspace(10, 20, 101)])
    y = 2 + 0.3 * (x - 10) + (x >= 10) * (4 + 0.5 * (x - 10))
    noise = np.random.default_rng(1).normal(size=201)
    units = pa.table({"unit_id": np.arange(201), "x": x, "y": y + 1e-9 * noise})
    assert _row(units, PARAMETRIC).estimate == pytest.approx(4, abs=1e-7)
    one_slope = _row(units, {**PARAMETRIC, "interacted": False})
    design = np.column_stack([np.ones(201), x, x >= 10])
    assert one_slope.estimate == pytest.approx(np.linalg.lstsq(design, y, rcond=None)[0][2], abs=1e-6)
    assert abs(one_slope.estimate - 4) > 0.04
    row = _row(simulated(), {**PARAMETRIC, "variance": "HC2"})
    assert row.variance_estimator == "HC2"
    assert 300 < row.degrees_of_freedom < 796  # Bell & McCaffrey's: those near the cutoff decide
    assert row.conf_low < 3 < row.conf_high


@pytest.mark.parametrize("options", [{}, {"order": 2}, {"interacted": False}, {"bandwidth": 2.0}])
@pytest.mark.parametrize("more", [{}, {"treatment": "left"}, {"covariates": ["z"]}])
def test_parametric_lines_meet_the_cutoff_at_the_estimate(options, more):
    result = _rd(simulated(), {**PARAMETRIC, **options}, **more)
    at = {c.series: c.y for c in result.curves if c.curve == "rd_fit" and c.x == 10.0}
    sign = -1 if more.get("treatment") == "left" else 1
    assert at["right"] - at["left"] == pytest.approx(sign * overall(result).estimate, abs=1e-8)
    assert sum(c.curve == "rd_fit" for c in result.curves) == 100


@pytest.mark.parametrize("more", [{}, {"treatment": "takes"}, {"cluster": "block"}])
@pytest.mark.parametrize("options", [PARAMETRIC, {**PARAMETRIC, "checks": True}, {"checks": True, "kernel": "uniform"}])
def test_row_order_and_scale_of_models_and_checks(options, more):
    units = simulated(400)
    a, b = _rd(units, options, **more), _rd(shuffled(units), options, **more)
    scaled = units.set_column(2, "y", pa.array(1000 * units["y"].to_numpy()))
    c = _rd(scaled, options, **more)
    one, other, large = overall(a), overall(b), overall(c)
    for name in ("estimate", "std_error", "conf_low", "conf_high"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-8)
        assert getattr(large, name) == pytest.approx(1000 * getattr(one, name), rel=1e-7)
    for p, q in zip(a.curves, b.curves, strict=True):
        assert (p.curve, p.series) == (q.curve, q.series)
        assert p.y == pytest.approx(q.y, rel=1e-8, abs=1e-9)


def test_parametric_fuzzy_divides_by_the_jump():
    units = simulated(1600, jump=0.0)
    y = units["y"].to_numpy() + 2 * units["takes"].to_numpy()
    result = _rd(units.set_column(2, "y", pa.array(y)), PARAMETRIC, treatment="takes")
    row, found = overall(result), _told(result, "first_stage")
    assert row.contrast == "1 - 0"
    assert abs(row.estimate - 2) < 3 * row.std_error
    assert 0.3 < found["treatment"].value < 0.7
    right = _rd(units.set_column(2, "y", pa.array(y)), PARAMETRIC, treatment="right")
    assert row.estimate == pytest.approx(overall(right).estimate / found["treatment"].value, rel=1e-10)


@pytest.mark.parametrize(
    ("options", "more", "words"),
    [
        ({}, {"cutoff": 5.1}, "observations left of the cutoff 5.1; at least 20"),
        ({"bandwidth": 0.1}, {}, "within 0.1 of it; at least 20"),
        ({"donut": 1.0}, {"treatment": "near"}, "neither varies nor jumps"),
        ({}, {"covariates": ["right"]}, "explain the side"),
        ({}, {"cluster": "right"}, "in one cluster"),
    ],
)
def test_parametric_refusals(options, more, words):
    units = simulated()
    near = np.abs(units["x"].to_numpy() - 10) < 1  # all of them inside the donut
    units = units.append_column("near", pa.array(near.astype(float)))
    with pytest.raises(Refusal, match=words) as refused:
        _rd(units, {**PARAMETRIC, **options}, **more)
    assert refused.value.mend


# Placebo cutoffs and other bandwidths


@pytest.mark.parametrize("options", [{}, PARAMETRIC])
def test_placebo_cutoffs_see_a_second_jump_and_only_that(options):
    units = simulated(2000)
    x = units["x"].to_numpy()
    plain = _told(_rd(units, {**options, "checks": True}), "placebo_cutoff_p")
    assert [plain[side].is_passing for side in ("left", "right")] == [True, True]
    middle = np.median(x[x < 10])
    second = units.set_column(2, "y", pa.array(units["y"].to_numpy() + 5 * ((x >= middle) & (x < 10))))
    result = _rd(second, {**options, "checks": True})
    found = _told(result, "placebo_cutoff_p")
    assert not found["left"].is_passing
    assert found["right"].is_passing
    (point,) = [c for c in result.curves if (c.curve, c.series) == ("placebo_cutoffs", "left")]
    assert point.x == middle
    assert point.conf_low < 5 < point.conf_high


def test_other_bandwidths_are_those_of_their_own_runs():
    result = _rd(simulated(), {"checks": True})
    h = _told(result, "bandwidth")["left"].value
    points = {c.x: c for c in result.curves if c.curve == "bandwidth_sensitivity"}
    assert [c.series for c in points.values()].count("chosen") == 1
    assert points[h].y == overall(result).estimate
    half = _row(simulated(), {"bandwidth": h / 2})
    assert (points[h / 2].y, points[h / 2].conf_low) == pytest.approx((half.estimate, half.conf_low), rel=1e-10)
    assert _told(result, "estimate_at_bandwidth")["0.5 times"].value == points[h / 2].y
    assert all(c.x <= np.abs(simulated()["x"].to_numpy() - 10).max() for c in points.values())
    assert not _told(_rd(simulated()), "estimate_at_bandwidth")
