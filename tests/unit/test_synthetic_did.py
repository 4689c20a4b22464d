"""Synthetic difference-in-differences: weights by hand, its special cases, variances, clusters, refusals."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import minimize
from support import overall, run, shuffled

from estimators.errors import Refusal
from estimators.panel.sdid import Block, Weights, effects, jackknife, placebo_effects, ridge_simplex, weights_of

BLOCK = {
    "question": "test", "design": "panel", "outcome": "y", "time": "t", "cohort": "g", "never": 0,
    "decision": {"primary": "synthetic_did", "estimand": "ATT", "desired_direction": "more", "minimum_effect": 1},
}  # fmt: skip


def table(y, treated, start, members=1):
    """Units by rows of y, of which the first so many are treated from the period ``start`` (counted from 1) on."""
    units, periods = y.shape
    return pa.table({
        "unit_id": np.repeat([f"u{i:03d}" for i in range(units)], periods).tolist(),
        "clinic": np.repeat([f"c{i // members:02d}" for i in range(units)], periods).tolist(),
        "t": np.tile(np.arange(1.0, periods + 1), units), "y": y.ravel(),
        "g": np.repeat(np.where(np.arange(units) < treated, float(start), 0.0), periods),
    })  # fmt: skip


def paths(units=20, treated=1, periods=18, start=13, effect=3.0, seed=1):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(units, 1)) + rng.normal(size=periods).cumsum() + rng.normal(scale=0.5, size=(units, periods))
    y += rng.uniform(0, 1, (units, 1)) * np.linspace(0, 2, periods)
    y[:treated, start - 1 :] += effect
    return y


def _run(units, more=None, **options):
    return run({**BLOCK, **(more or {}), "options": {"synthetic_did": options}}, units, "synthetic_did", "ATT")


def _metrics(result):
    return {(d.metric, d.subject): d.value for d in result.diagnostics}


def test_with_equal_weights_it_is_the_difference_in_differences():
    y = paths(treated=3)
    expected = (y[:3, 12:].mean() - y[:3, :12].mean()) - (y[3:, 12:].mean() - y[3:, :12].mean())
    assert overall(_run(table(y, 3, 13), method="did")).estimate == pytest.approx(expected, abs=1e-12)


def test_parallel_units_give_the_effect_exactly():
    rng = np.random.default_rng(2)
    y = rng.normal(size=(9, 1)) + rng.normal(size=14).cumsum() + 1e-9 * rng.normal(size=(9, 14))
    y[:2, 10:] += [[1, 2, 3, 4]]
    result = _run(table(y, 2, 11))
    found = {e.term: e.estimate for e in result.estimates}
    expected = {"overall": 2.5, "time=11": 1, "time=12": 2, "time=13": 3, "time=14": 4}
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("ridge", [0.0, 1e-8, 0.3, 50.0])
def test_ridge_weights_meet_the_optimality_conditions(ridge):
    rng = np.random.default_rng(3)
    for _ in range(20):
        x, y = rng.normal(size=(12, 30)), rng.normal(size=12)
        w = ridge_simplex(y, x, ridge).weights
        assert w.min() >= 0
        assert w.sum() == pytest.approx(1, abs=1e-12)
        gradient = x.T @ (x @ w - y) + ridge * w
        assert np.ptp(gradient[w > 0]) < 1e-7
        assert gradient.min() > gradient[w > 0].mean() - 1e-7


def test_weights_against_a_general_optimiser():
    """SLSQP on the paper's two objectives, with their intercepts written out."""
    y = paths(units=7, periods=9, start=7)
    block = Block(y[1:], y[:1], 6)
    ours = weights_of(block, "synthetic_did", block.penalty)
    assert block.penalty == pytest.approx(3**0.25 * np.diff(y[1:, :6], axis=1).std(ddof=1))

    def units_loss(v):
        return np.sum((v[0] + v[1:] @ y[1:, :6] - y[0, :6]) ** 2) + block.penalty**2 * 6 * v[1:] @ v[1:]

    def periods_loss(v):
        return np.sum((v[0] + y[1:, :6] @ v[1:] - y[1:, 6:].mean(axis=1)) ** 2)

    for loss, found in ((units_loss, ours.donors), (periods_loss, ours.periods)):
        start = np.concatenate([[0.0], np.full(6, 1 / 6)])
        peer = minimize(loss, start, bounds=[(None, None)] + [(0, 1)] * 6, method="SLSQP", options={"ftol": 1e-14,
                        "maxiter": 500}, constraints={"type": "eq", "fun": lambda v: v[1:].sum() - 1})  # fmt: skip
        np.testing.assert_allclose(found, peer.x[1:], atol=2e-5)


def test_jackknife_by_hand():
    """Equal weights: leaving a unit out moves its arm's mean; (n − 1)/n times the squared moves about their mean."""
    y = paths(units=8, treated=3)
    block = Block(y[3:], y[:3], 12)
    equal = Weights(np.full(5, 0.2), np.full(12, 1 / 12))
    change = y[:, 12:].mean(axis=1) - y[:, :12].mean(axis=1)
    left = [np.delete(change[:3], i).mean() - change[3:].mean() for i in range(3)]
    left += [change[:3].mean() - np.delete(change[3:], j).mean() for j in range(5)]
    expected = 7 / 8 * np.sum((np.array(left) - np.mean(left)) ** 2)
    assert jackknife(block, equal)[0] == pytest.approx(expected, abs=1e-12)


def test_the_placebo_error_of_one_treated_unit_is_the_spread_over_all_donors():
    y = paths()
    row = overall(_run(table(y, 1, 13)))
    block = Block(y[1:], y[:1], 12)
    found = []
    for j in range(19):
        one = Block(np.delete(y[1:], j, axis=0), y[1 + j : 2 + j], 12)
        found.append(effects(one, weights_of(one, "synthetic_did", block.penalty))[0])
    assert row.std_error == pytest.approx(np.std(found), abs=1e-12)
    assert row.variance_estimator == "placebo"
    assert row.conf_low == pytest.approx(row.estimate - 1.959963984540054 * row.std_error)


def test_the_variance_follows_the_number_of_treated_units():
    few, many = _run(table(paths(treated=4), 4, 13)), _run(table(paths(units=40, treated=10), 10, 13))
    assert overall(few).variance_estimator == "placebo"
    assert overall(many).variance_estimator == "jackknife"
    assert overall(_run(table(paths(treated=4), 4, 13), variance="jackknife")).variance_estimator == "jackknife"
    drawn = placebo_effects(Block(paths()[4:], paths()[:4], 12), "did", 1.0, 30, 5)
    assert drawn.shape == (30, 7)


def test_curves_and_diagnostics_agree_with_the_rows():
    result = _run(table(paths(), 1, 13))
    found = _metrics(result)
    gap = [c.y for c in result.curves if c.curve == "sdid_gap"]
    rows = [e.estimate for e in result.estimates]
    np.testing.assert_allclose(gap[12:], rows[1:], atol=1e-12)
    assert rows[0] == pytest.approx(np.mean(rows[1:]), abs=1e-12)
    lam = np.array([c.y for c in result.curves if c.curve == "sdid_time_weight"])
    assert lam.sum() == pytest.approx(1)
    assert lam @ gap[:12] == pytest.approx(0, abs=1e-12)  # λ sets the level
    omega = [c.y for c in result.curves if c.curve == "sdid_unit_weight"]
    assert omega == sorted(omega, reverse=True)
    assert len(omega) == 19
    assert found["effective_donors", "overall"] == pytest.approx(1 / np.sum(np.square(omega)))


def test_row_order_scale_and_shifts():
    y = paths(treated=2)
    base = _run(table(y, 2, 13))
    assert _run(shuffled(table(y, 2, 13))).estimates == base.estimates
    scaled, shifted = overall(_run(table(y * 1000, 2, 13))), overall(_run(table(y + 1e4, 2, 13)))
    assert scaled.estimate == pytest.approx(1000 * overall(base).estimate, rel=1e-7)
    assert scaled.std_error == pytest.approx(1000 * overall(base).std_error, rel=1e-7)
    assert shifted.estimate == pytest.approx(overall(base).estimate, abs=1e-6)
    # A unit's own level and a shock that all share change nothing: that is what differences are for.
    moved = y + np.arange(20)[:, None] * 3.0 + np.sin(np.arange(18)) * 5
    assert overall(_run(table(y + np.arange(20)[:, None] * 3.0, 2, 13))).estimate == pytest.approx(
        overall(base).estimate, abs=1e-6
    )
    assert np.isfinite(overall(_run(table(moved, 2, 13))).estimate)


def test_clusters_are_averaged():
    y = paths(units=10)
    spread = np.array([-1.0, 0.0, 1.0])[None, :, None]
    patients = (y[:, None, :] + spread).reshape(30, 18)
    whole, ours = _run(table(y, 1, 13)), _run(table(patients, 3, 13, members=3), {"cluster": "clinic"})
    assert overall(ours).estimate == pytest.approx(overall(whole).estimate, abs=1e-9)
    assert overall(ours).std_error == pytest.approx(overall(whole).std_error, abs=1e-9)
    assert (overall(ours).n_units, overall(ours).n_clusters) == (10, 10)


def test_refusals():
    y = paths()
    with pytest.raises(Refusal, match="two treated units"):
        _run(table(y, 1, 13), variance="jackknife")
    with pytest.raises(Refusal, match="2 donors for 1 treated"):
        _run(table(y[:3], 1, 13))
    with pytest.raises(Refusal, match="placebo_draws is 1"):
        _run(table(y, 1, 13), placebo_draws=1)
    with pytest.raises(Refusal, match="changes unlike"):
        _run(table(np.vstack([y[:1], np.zeros((5, 18))]), 1, 13))
    staggered = table(y, 2, 13).to_pandas()
    staggered.loc[staggered.unit_id == "u000", "g"] = 14.0
    with pytest.raises(Refusal, match="2 different periods"):
        _run(pa.Table.from_pandas(staggered, preserve_index=False))
