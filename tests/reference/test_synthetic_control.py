"""Synthetic California: the gap after Proposition 99, and the weights against non-negative least squares."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import nnls
from support import assert_published, overall, problem, published, reference_table, run

from estimators.panel.design import panel_design
from estimators.panel.donors import donor_pool, synthetic
from estimators.panel.placebo import placebos

BLOCK = {
    "question": "test", "design": "synthetic_control", "outcome": "cigsale", "unit": "state", "time": "year",
    "cohort": "first_treated",
    "decision": {
        "primary": "synthetic_control", "estimand": "ATT", "desired_direction": "less", "minimum_effect": -5,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def prop99():
    units = reference_table("prop99_smoking").select(["state", "year", "cigsale"])
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
    fits = [synthetic(pool.y1, pool.y0, pool.n_pre), *placebos(pool)]
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
