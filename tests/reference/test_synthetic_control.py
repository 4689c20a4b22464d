"""Synthetic California: the gap after Proposition 99, and the weights against non-negative least squares."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import nnls
from support import COMPARISONS, assert_published, overall, problem, published, reference_table, run

from estimators.panel.design import panel_design
from estimators.panel.donors import donor_pool, synthetic
from estimators.panel.placebo import placebo_sets, placebos
from estimators.panel.recipe import Recipe, recipe_of

BLOCK = {
    "question": "test", "design": "synthetic_control", "outcome": "cigsale", "unit": "state", "time": "year",
    "cohort": "first_treated", "never": 0,
    "decision": {
        "primary": "synthetic_control", "estimand": "ATT", "desired_direction": "less", "minimum_effect": -5,
    },
}  # fmt: skip


PREDICTORS = {
    "lnincome": "1980 to 1988", "retprice": "1980 to 1988", "age15to24": "1980 to 1988", "beer": "1984 to 1988",
    "cigsale": [1975, 1980, 1988],
}  # fmt: skip


@pytest.fixture(scope="module")
def prop99():
    units = reference_table("prop99_smoking")
    first = [1989 if state == "California" else None for state in units["state"].to_pylist()]
    return units.append_column("first_treated", pa.array(first, pa.int64()))


def test_mean_gap(prop99):
    row = published("prop99_smoking", "synthetic control (outcomes only", "mean gap 1989-2000")
    ours = overall(run(BLOCK, prop99, "synthetic_control", "ATT"))
    assert_published(ours.estimate, row)
    assert_published(ours.estimate, row, "reproduced_value")


def test_fit_and_placebo_rank(prop99):
    result = run(BLOCK, prop99, "synthetic_control", "ATT")
    found = {(d.metric, d.subject): d.value for d in result.diagnostics}
    assert round(found["pre_rmspe", "overall"], 2) == 1.66
    assert (found["placebo_rank", "overall"], found["placebo_count", "overall"]) == (3, 38)
    assert overall(result).p_value == pytest.approx(3 / 39)
    weights = {s: v for (metric, s), v in found.items() if metric == "donor_weight"}
    assert sum(weights.values()) == pytest.approx(1, abs=1e-12)
    assert set(weights) == {"Utah", "Montana", "Nevada", "Connecticut", "New Hampshire", "Colorado"}


def test_every_problem_is_solved_to_its_optimum(prop99):
    pool = donor_pool(problem(BLOCK, prop99, "synthetic_control"))
    every = placebos(pool, Recipe("simplex", 0), placebo_sets(len(pool.donors), 1, 1, 0))
    fits = [synthetic(pool.y1, pool.y0, pool.n_pre), *every]
    assert len(fits) == 39
    assert max(one.fit.kkt_gap for one in fits) < 1e-10


def test_weights_against_non_negative_least_squares(prop99):
    """The sum constraint as a very heavy row makes SciPy's NNLS the same problem."""
    pool = donor_pool(problem(BLOCK, prop99, "synthetic_control"))
    heavy = 1e6
    x = np.vstack([pool.y0[: pool.n_pre], heavy * np.ones((1, pool.y0.shape[1]))])
    peer, _ = nnls(x, np.append(pool.y1[: pool.n_pre], heavy))
    ours = synthetic(pool.y1, pool.y0, pool.n_pre).fit.weights
    np.testing.assert_allclose(ours, peer, atol=1e-6)


def test_design_reads_the_pre_period_only(prop99):
    pool = donor_pool(problem(BLOCK, prop99, "synthetic_control"))
    changed = prop99.to_pandas()
    changed.loc[changed["year"] >= 1989, "cigsale"] = 0.0
    rows = {}
    for name, units in (("real", prop99), ("blanked", pa.Table.from_pandas(changed, preserve_index=False))):
        rows[name] = {d.metric: d.value for d in panel_design(problem(BLOCK, units, "synthetic_control"))}
    assert rows["real"] == rows["blanked"]
    before = pool.y1[: pool.n_pre]
    rmspe = synthetic(pool.y1, pool.y0, pool.n_pre).pre_rmspe
    assert rows["real"]["pre_rmspe_ratio"] == pytest.approx(rmspe / before.std(ddof=1), abs=1e-12)
    assert rows["real"]["pre_rmspe_level"] == pytest.approx(rmspe / before.mean(), abs=1e-12)


@pytest.fixture(scope="module")
def with_predictors(prop99):
    """The nested fit as the estimator makes it, without its placebos; beer and lnincome have gaps in other years."""
    block = {**BLOCK, "options": {"synthetic_control": {"predictors": PREDICTORS}}}
    asked = problem(block, prop99, "synthetic_control")
    pool = donor_pool(asked)
    return pool, recipe_of(asked, pool)


def test_donor_weights_of_the_nested_fit(with_predictors):
    """Within 0.03 as published, of every donor; what is not among the five has no weight."""
    pool, recipe = with_predictors
    row = published("prop99_smoking", "synthetic control (ADH, nested V)", "donor weights")
    ours = dict(zip(pool.donors, recipe.treated(pool).fit.weights, strict=True))
    for state, weight in row["value"].items():
        COMPARISONS.record(row, f"value: {state}", ours[state], weight, f"within {row['tolerance']}")
        assert abs(ours[state] - weight) <= row["tolerance"]
    for state, weight in row["reproduced_value"].items():
        COMPARISONS.record(row, f"reproduced_value: {state}", ours[state], weight, f"within {row['tolerance']}")
        assert abs(ours[state] - weight) <= row["tolerance"]
    assert max(w for state, w in ours.items() if state not in row["value"]) < 0.01


def test_gaps_of_the_nested_fit(with_predictors):
    pool, recipe = with_predictors
    row = published("prop99_smoking", "synthetic control (ADH, nested V)", "mean gap 1989-2000 / gap 2000")
    gap = recipe.treated(pool).gap
    pairs = zip((float(gap[pool.n_pre :].mean()), float(gap[-1])), row["value"], ("mean", "2000"), strict=True)
    for ours, theirs, what in pairs:
        COMPARISONS.record(row, f"value: {what}", ours, theirs, f"within {row['tolerance']}")
        assert abs(ours - theirs) <= row["tolerance"]


@pytest.mark.parametrize("seed", [20260101, 1, 2])
def test_the_nested_search_beats_synth(with_predictors, seed):
    """R's Synth stops at a pre-period MSPE of 3.209; ours is lower from whatever seed, and always the same."""
    pool, recipe = with_predictors
    found = Recipe("simplex", seed, recipe.predictors).treated(pool)
    assert found.pre_rmspe**2 == pytest.approx(3.0767, abs=2e-3)
    assert found.fit.kkt_gap < 1e-8


def test_synths_own_importance_gives_synths_weights(with_predictors):
    """With the V that R's Synth reports the inner problem has its solution, up to that V's printed digits."""
    from estimators.panel.simplex import simplex_least_squares

    pool, recipe = with_predictors
    row = published("prop99_smoking", "synthetic control (ADH, nested V)", "donor weights")
    v = np.array([0.000583, 0.031174, 0.003367, 0.012432, 0.492523, 0.391745, 0.068175])
    every = np.column_stack([recipe.predictors.donors, recipe.predictors.treated])
    x = every / every.std(axis=1, ddof=1, keepdims=True) * np.sqrt(v)[:, None]
    weights = dict(zip(pool.donors, simplex_least_squares(x[:, -1], x[:, :-1]).weights, strict=True))
    for state, weight in row["reproduced_value"].items():
        assert weights[state] == pytest.approx(weight, abs=2e-3)  # Synth's inner solver stops at 5e-3 of its margin
