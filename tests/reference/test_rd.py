"""The U.S. Senate's incumbency advantage, and every option against a direct call of rdrobust."""

from __future__ import annotations

import numpy as np
import pytest
from support import assert_published, last_digit, overall, problem, published, reference_table, run

from estimators.discontinuity.design import density_p, discontinuity_design
from estimators.discontinuity.local import kernel_weights

BLOCK = {
    "question": "test", "design": "rd", "outcome": "vote", "running": "margin", "cutoff": 0, "missing": "drop",
    "decision": {"primary": "rd", "estimand": "LATE", "desired_direction": "more", "minimum_effect": 1},
}  # fmt: skip


@pytest.fixture(scope="module")
def senate():
    return reference_table("rd_senate")


def test_published(senate):
    row = published("rd_senate", "RD robust", "vote share pp")
    result = run(BLOCK, senate, "rd", "LATE")
    ours = overall(result)
    assert_published(ours.estimate, row)
    assert_published(ours.estimate, row, "reproduced_value")
    for bound, expected in zip((ours.conf_low, ours.conf_high), row["ci"], strict=True):
        assert abs(bound - expected) <= last_digit(expected)
    (conventional,) = [d.value for d in result.diagnostics if d.metric == "conventional_std_error"]
    assert_published(conventional, row, "reproduced_se")
    assert ours.n_units == 1297


def test_weighted_least_squares_gives_the_estimate(senate):
    import statsmodels.api as sm

    result = run(BLOCK, senate, "rd", "LATE")
    h = next(d.value for d in result.diagnostics if d.metric == "bandwidth")
    frame = senate.to_pandas().dropna(subset=["vote"])
    x, y = frame["margin"].to_numpy(), frame["vote"].to_numpy()
    w = kernel_weights(x / h, "triangular")
    right = (x >= 0).astype(float)
    design = np.column_stack([np.ones(len(x)), right, x, right * x])[w > 0]
    peer = sm.WLS(y[w > 0], design, weights=w[w > 0]).fit()
    assert overall(result).estimate == pytest.approx(peer.params[1], abs=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        {"p": 2, "kernel": "uniform"}, {"kernel": "epanechnikov"}, {"h": 10.0},
        {"cluster": "state"}, {"covs": ["year", "dopen"]},
    ],
)  # fmt: skip
def test_options_reach_rdrobust(senate, call):
    from rdrobust import rdrobust

    named = {"p": "order", "kernel": "kernel", "h": "bandwidth"}
    block = {**BLOCK, "options": {"rd": {named[k]: v for k, v in call.items() if k in named}}}
    frame = senate.to_pandas().dropna(subset=["vote"])
    if "cluster" in call:
        block["cluster"] = call["cluster"]
        call = {"cluster": frame["state"].astype("category").cat.codes.to_numpy(), "vce": "cr1"}
    if "covs" in call:
        block["covariates"] = call["covs"]
        frame = frame.dropna(subset=call["covs"])
        call = {"covs": frame[call["covs"]].to_numpy(dtype=float)}
    peer = rdrobust(frame["vote"].to_numpy(), frame["margin"].to_numpy(), **call)
    ours = overall(run(block, senate, "rd", "LATE"))
    assert ours.estimate == pytest.approx(peer.coef.loc["Conventional"].iloc[0], abs=1e-6)
    assert ours.std_error == pytest.approx(peer.se.loc["Robust"].iloc[0], abs=1e-6)
    np.testing.assert_allclose([ours.conf_low, ours.conf_high], peer.ci.loc["Robust"].to_numpy(), atol=1e-6)


def test_density_of_all_elections(senate):
    # T = -0.8753, p = 0.3814: Cattaneo, Jansson & Ma (2018), Stata Journal 18, on all 1,390 margins.
    assert abs(density_p(senate["margin"].to_numpy(), 0.0) - 0.3814) <= 0.00005


def test_design_rows(senate):
    block = {**BLOCK, "covariates": ["year", "C(class)"]}
    rows = {(d.metric, d.subject): d for d in discontinuity_design(problem(block, senate, "rd"))}
    subjects = {("covariate_continuity_p", s) for s in ("year", "class=2", "class=3")}
    assert set(rows) == {("density_p", "overall")} | subjects
    assert all(d.estimator == "rd" and 0.05 < d.value < 1 for d in rows.values())
