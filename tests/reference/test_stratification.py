"""Stratification against MatchIt's subclasses and What If's deciles."""

from __future__ import annotations

import numpy as np
import support

from estimators.selection_on_observables.stratification import strata_of

NHEFS = [
    "C(sex)", "C(race)", "age", "age^2", "C(education)", "smokeintensity", "smokeintensity^2", "smokeyrs",
    "smokeyrs^2", "C(exercise)", "C(active)", "wt71", "wt71^2",
]  # fmt: skip


def test_lalonde_subclasses_of_the_treated() -> None:
    want = support.published("lalonde_matchit", "stratification 5 subclasses", "ATT USD")
    covariates = ["age", "educ", "C(race)", "married", "nodegree", "re74", "re75"]
    block = support.observational("re78", "treat", covariates, unit="id")
    row = support.overall(support.run(block, support.reference_table("lalonde_matchit"), "stratification", "ATT"))
    support.assert_published(row.estimate, want)
    support.assert_published(row.estimate, want, "reproduced_value")


def test_nhefs_deciles_carry_the_regression_on_indicators() -> None:
    """The published row regresses on decile indicators: the same differences, weighted by n p (1 − p).

    pandas closes its deciles above, `strata_of` below: four deciles of 1,566 fall on a unit, which is what remains
    between the two.
    """
    want = support.published("nhefs", "stratification (PS deciles)", "kg")
    block = support.observational("wt82_71", "qsmk", NHEFS, unit="seqn", options={"stratification": {"strata": 10}})
    p = support.problem(block, support.reference_table("nhefs"), "stratification")
    strata = strata_of(p)
    support.assert_published(_by_overlap(p.y, p.t, strata), want)
    e = p.propensity().probability
    edge = np.isclose(np.quantile(e, np.arange(1, 10) / 10)[:, None], e[None, :], rtol=0, atol=1e-12)
    assert edge.sum() == 4
    closed_above = strata - edge.any(axis=0)
    support.assert_published(_by_overlap(p.y, p.t, closed_above), want, "reproduced_value")
    row = support.overall(support.run(block, support.reference_table("nhefs"), "stratification", "ATE"))
    assert want["ci"][0] < row.estimate < want["ci"][1]


def _by_overlap(y: np.ndarray, t: np.ndarray, strata: np.ndarray) -> float:
    gaps, weights = [], []
    for s in np.unique(strata):
        arm, outcome = t[strata == s], y[strata == s]
        gaps.append(outcome[arm == 1].mean() - outcome[arm == 0].mean())
        weights.append(len(arm) * arm.mean() * (1 - arm.mean()))
    return float(np.average(gaps, weights=weights))
