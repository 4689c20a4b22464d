"""Synthetic control: the solver's optimality, weights by hand, placebos, refusals and invariances."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from support import overall, problem, run, shuffled

from estimators.errors import Refusal
from estimators.panel.design import panel_design
from estimators.panel.simplex import simplex_least_squares

BLOCK = {
    "question": "test", "design": "synthetic_control", "outcome": "y", "time": "t", "cohort": "g", "never": 0,
    "decision": {
        "primary": "synthetic_control", "estimand": "ATT", "desired_direction": "more", "minimum_effect": 1,
    },
}  # fmt: skip


def _table(paths, start, treated=("a",)):
    """One path a unit, named a, b, c …; the treated start in the period ``start``."""
    names = [chr(ord("a") + i) for i in range(len(paths))]
    periods = len(paths[0])
    return pa.table(
        {
            "unit_id": np.repeat(names, periods).tolist(),
            "t": np.tile(np.arange(1, periods + 1.0), len(names)),
            "g": np.repeat([float(start) if n in treated else 0.0 for n in names], periods),
            "y": np.concatenate([np.asarray(p, dtype=float) for p in paths]),
        }
    )


def simulated(donors=8, periods=12, start=9, effect=5.0, seed=4):
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(2, periods)).cumsum(axis=1)
    loads = rng.dirichlet(np.ones(2), donors + 1)
    y = 50 + loads @ factor * 3 + rng.normal(scale=0.3, size=(donors + 1, periods))
    y[0, start - 1 :] += effect
    return _table(y, start)


def _run(units, **options):
    block = {**BLOCK, **({"options": {"synthetic_control": options}} if options else {})}
    return run(block, units, "synthetic_control", "ATT")


def _metrics(result):
    return {(d.metric, d.subject): d.value for d in result.diagnostics}


def test_half_of_two_donors_by_hand():
    """The treated path lies midway between b and c before period 4; d is far away."""
    units = _table([[1, 2, 1, 9, 7], [0, 3, 0, 4, 4], [2, 1, 2, 2, 2], [9, 9, 90, 9, 9]], 4)
    result = _run(units)
    found = _metrics(result)
    assert (found["donor_weight", "b"], found["donor_weight", "c"]) == pytest.approx((0.5, 0.5))
    assert ("donor_weight", "d") not in found
    gaps = {e.term: e.estimate for e in result.estimates}
    assert gaps == pytest.approx({"overall": (6 + 4) / 2, "time=4": 9 - 3, "time=5": 7 - 3})
    row = overall(result)
    assert (row.n_units, row.n_treated, row.std_error, row.conf_low) == (4, 1, None, None)


def test_nearest_point_outside_the_hull_by_hand():
    """y = (2, 2, 0) is nearest to the segment from (1, 0, 0) to (0, 1, 0) at its middle."""
    fit = simplex_least_squares(np.array([2.0, 2.0, 0.0]), np.array([[1.0, 0.0, -1.0], [0.0, 1.0, -1.0], [0, 0, 0]]))
    np.testing.assert_allclose(fit.weights, [0.5, 0.5, 0.0], atol=1e-15)
    assert fit.kkt_gap < 1e-14


@pytest.mark.parametrize("seed", range(40))
def test_solver_meets_the_optimality_conditions(seed):
    """Donors in use have one and the same gradient, and no other donor has a smaller one: that is the optimum."""
    rng = np.random.default_rng(seed)
    periods, donors = int(rng.integers(3, 30)), int(rng.integers(2, 60))
    x = 100 + rng.normal(size=(periods, donors)).cumsum(axis=0) * 10 ** rng.uniform(-2, 2, donors)
    y = x @ rng.dirichlet(np.ones(donors)) + rng.normal(size=periods)
    fit = simplex_least_squares(y, x)
    assert fit.weights.min() >= 0
    assert fit.weights.sum() == pytest.approx(1, abs=1e-12)
    r = x @ fit.weights - y
    gradient = r @ (x - y[:, None])
    size = ((x - y[:, None]) ** 2).sum(axis=0).min()
    used = fit.weights > 0
    np.testing.assert_allclose(gradient[used], r @ r, atol=1e-9 * size)
    assert gradient[~used].min(initial=np.inf) >= r @ r - 1e-9 * size
    assert fit.kkt_gap < 1e-10


@pytest.mark.parametrize("donors", [[[1, 2, 4], [5, 5, 5]], [[1, 2, 4], [1, 2, 4], [1, 2, 4]], [[0, 0, 0], [2, 4, 8]]])
def test_perfect_fits(donors):
    fit = simplex_least_squares(np.array([1.0, 2.0, 4.0]), np.array(donors, dtype=float).T)
    np.testing.assert_allclose(np.array(donors).T @ fit.weights, [1, 2, 4], atol=1e-12)
    assert fit.kkt_gap < 1e-12


def test_an_outlying_donor_does_not_blunt_the_solution():
    """Of two opposite giants at least one raises the level; whatever helps is used, and the others stay optimal."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(10, 12))
    y = x @ rng.dirichlet(np.ones(12)) + 0.1 * rng.normal(size=10)
    alone = simplex_least_squares(y, x).weights
    for giant in (1e9, -1e9):
        wide = np.column_stack([x, np.full(10, giant)])
        weights = simplex_least_squares(y, wide).weights
        r = wide @ weights - y
        helps = r.sum() * giant < 0 or weights[-1] > 0
        assert r @ r <= np.sum((x @ alone - y) ** 2) * (1 + 1e-12)
        assert helps or weights[:-1] == pytest.approx(alone, abs=1e-9)
        assert (r @ (x - y[:, None])).min() >= r @ r - 1e-9


def test_placebo_rank_by_hand():
    """Every unit's ratio is recomputed from the gap curve that the figure draws."""
    result = _run(simulated())
    gaps = {}
    for c in result.curves:
        if c.curve == "synthetic_gap":
            gaps.setdefault(c.series, []).append(c.y)
    assert len(gaps) == 9
    ratios = {s: np.sqrt(np.mean(np.square(g[8:])) / np.mean(np.square(g[:8]))) for s, g in gaps.items()}
    rank = sum(r >= ratios["treated"] for r in ratios.values())
    found = _metrics(result)
    assert found["placebo_rank", "overall"] == rank == 1
    assert overall(result).p_value == found["placebo_p", "overall"] == pytest.approx(1 / 9)
    assert found["post_pre_rmspe_ratio", "overall"] == pytest.approx(ratios["treated"])
    assert overall(result).statistic == pytest.approx(ratios["treated"])
    assert found["pre_rmspe", "overall"] == pytest.approx(np.sqrt(np.mean(np.square(gaps["treated"][:8]))))


def test_placebos_never_use_the_treated_unit():
    units = simulated()
    y = units["y"].to_numpy().copy()
    y[:12] += 1000.0
    moved = _run(units.set_column(3, "y", pa.array(y)))
    before, after = ([c for c in r.curves if c.series.startswith("placebo:")] for r in (_run(units), moved))
    assert len(before) == 8 * 12
    assert before == after


def test_placebos_with_a_poor_pre_fit_are_left_out():
    units = simulated()
    y = units["y"].to_numpy().copy()
    y[12:24] = np.where(np.arange(12) % 2 == 0, 500.0, -500.0)
    units = units.set_column(3, "y", pa.array(y))
    everyone, close = _metrics(_run(units)), _metrics(_run(units, placebo_rmspe_multiple=20.0))
    assert everyone["placebo_count", "overall"] == 8
    assert close["placebo_count", "overall"] == 7
    assert close["placebo_p", "overall"] == close["placebo_rank", "overall"] / 8


def test_a_perfect_pre_fit_is_no_number_and_ties_count_against_the_treated():
    """All units are alike before treatment: every ratio is infinite, so the treated is no more unusual than others."""
    result = _run(_table([[1, 2, 3, 9], [1, 2, 3, 4], [1, 2, 3, 5], [1, 2, 3, 7]], 4))
    found = _metrics(result)
    assert found["post_pre_rmspe_ratio", "overall"] is None
    assert (found["placebo_rank", "overall"], overall(result).p_value) == (4, None)
    assert "divides by zero" in overall(result).status_reason


def test_paths():
    units = simulated()
    curves = _run(units).curves
    treated = [c.y for c in curves if (c.curve, c.series) == ("synthetic_path", "treated")]
    other = [c.y for c in curves if (c.curve, c.series) == ("synthetic_path", "synthetic")]
    gap = [c.y for c in curves if (c.curve, c.series) == ("synthetic_gap", "treated")]
    np.testing.assert_allclose(treated, units["y"].to_numpy()[:12])
    np.testing.assert_allclose(np.subtract(treated, other), gap, atol=1e-12)


def test_row_order_and_scale():
    units = simulated()
    base = _run(units)
    again = _run(shuffled(units))
    assert (again.estimates, again.diagnostics) == (base.estimates, base.diagnostics)
    scaled = _run(units.set_column(3, "y", pa.array(units["y"].to_numpy() * 1000.0)))
    for one, big in zip(base.estimates, scaled.estimates, strict=True):
        assert big.estimate == pytest.approx(1000 * one.estimate, rel=1e-9)
    assert overall(scaled).p_value == overall(base).p_value


def test_an_equal_shift_of_all_outcomes_changes_nothing():
    units = simulated()
    moved = _run(units.set_column(3, "y", pa.array(units["y"].to_numpy() + 1e4)))
    assert overall(moved).estimate == pytest.approx(overall(_run(units)).estimate, abs=1e-8)


PATH = [1.0, 2.0, 3.0, 4.0, 5.0]


@pytest.mark.parametrize(
    ("units", "words"),
    [
        (_table([PATH] * 4, 4, treated=()), "no treated unit"),
        (_table([PATH] * 2, 4), "1 donor; "),
        (_table([PATH] * 4, 3), "2 periods before treatment"),
        (_table([PATH] * 4, 4).slice(0, 17), "3 cells are missing, the first of them unit d in period 3"),
    ],
)
def test_refusals(units, words):
    with pytest.raises(Refusal, match=words) as refused:
        _run(units)
    assert refused.value.status == "refused"
    assert refused.value.mend
    rows = panel_design(problem(BLOCK, units, "synthetic_control"))
    assert [(d.metric, d.value) for d in rows] == [("pre_rmspe_ratio", None), ("pre_rmspe_level", None)]
    assert all(words in d.reason for d in rows)


def _staggered():
    units = _table([PATH] * 5, 4, treated=("a", "b"))
    g = units["g"].to_numpy().copy()
    g[:5] = 5.0
    return units.set_column(2, "g", pa.array(g))


def test_treated_units_that_start_in_different_periods_are_refused():
    with pytest.raises(Refusal, match=r"2 different periods \(4, 5\)"):
        _run(_staggered())


def test_a_constant_treated_path_has_no_ratio_but_a_level():
    units = _table([[2, 2, 2, 5], [1, 3, 1, 1], [4, 3, 4, 4]], 4)
    ratio, level = panel_design(problem(BLOCK, units, "synthetic_control"))
    assert ratio.value is None
    assert level.value > 0


def test_each_panel_estimator_declines_the_other_ones_data():
    with pytest.raises(Refusal, match="1 treated unit") as refused:
        run(BLOCK, simulated(), "did", "ATT")
    assert refused.value.status == "not_identified"
    assert "synthetic_control" in refused.value.mend
