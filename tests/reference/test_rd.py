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


# Parametric


def mlda(**options):
    block = {
        **BLOCK, "outcome": "all", "running": "agecell", "cutoff": 21,
        "options": {"rd": {"model": "parametric", **options}},
    }  # fmt: skip
    table = reference_table("rd_mlda")
    return run(block, table.append_column("unit_id", [list(range(table.num_rows))]), "rd", "LATE")


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ("RD parametric linear", {"order": 1, "interacted": False}),
        ("RD parametric quadratic interacted", {"order": 2, "interacted": True}),
    ],
)
def test_minimum_drinking_age(spec, options):
    row, ours = published("rd_mlda", spec, "deaths/100k"), overall(mlda(**options))
    assert_published(ours.estimate, row)
    assert_published(ours.std_error, row, "se")
    assert_published(ours.estimate, row, "reproduced_value")
    assert_published(ours.std_error, row, "reproduced_se")
    assert ours.n_units == 48


def test_parametric_within_a_bandwidth_is_least_squares_of_those_rows(senate):
    import statsmodels.api as sm

    options = {"model": "parametric", "bandwidth": 20.0, "order": 2}
    ours = overall(run({**BLOCK, "options": {"rd": options}}, senate, "rd", "LATE"))
    frame = senate.to_pandas().dropna(subset=["vote"]).query("abs(margin) <= 20")
    a, right = frame["margin"].to_numpy(), (frame["margin"] >= 0).to_numpy(dtype=float)
    design = np.column_stack([np.ones(len(a)), right, a, a**2, right * a, right * a**2])
    peer = sm.OLS(frame["vote"].to_numpy(), design).fit(cov_type="HC1", use_t=True)
    np.testing.assert_allclose([ours.estimate, ours.std_error], [peer.params[1], peer.bse[1]], rtol=1e-9)
    np.testing.assert_allclose([ours.conf_low, ours.conf_high], peer.conf_int()[1], rtol=1e-9)


# Fuzzy: units that do not all follow their side, made of the senate's margins


@pytest.fixture(scope="module")
def fuzzy(senate):
    frame = senate.to_pandas().dropna(subset=["vote"]).reset_index(drop=True)
    rng = np.random.default_rng(11)
    frame["takes"] = (rng.random(len(frame)) < np.where(frame["margin"] >= 0, 0.85, 0.2)).astype(float)
    frame["vote"] += 4 * frame["takes"]
    return frame


def as_table(frame):
    import pyarrow as pa

    return pa.Table.from_pandas(frame[["unit_id", "vote", "margin", "takes", "year"]])


@pytest.mark.parametrize("call", [{}, {"p": 2, "kernel": "uniform"}, {"h": 15.0}, {"covs": ["year"]}])
def test_fuzzy_against_rdrobust(fuzzy, call):
    from rdrobust import rdrobust

    named = {"p": "order", "kernel": "kernel", "h": "bandwidth"}
    block = {**BLOCK, "treatment": "takes", "options": {"rd": {named[k]: v for k, v in call.items() if k in named}}}
    if "covs" in call:
        block["covariates"] = call["covs"]
        call = {"covs": fuzzy[call["covs"]].to_numpy(dtype=float)}
    result = run(block, as_table(fuzzy), "rd", "LATE")
    peer = rdrobust(fuzzy["vote"].to_numpy(), fuzzy["margin"].to_numpy(), fuzzy=fuzzy["takes"].to_numpy(), **call)
    ours = overall(result)
    assert ours.contrast == "1 - 0"
    assert ours.estimate == pytest.approx(peer.coef.loc["Conventional"].iloc[0], rel=1e-6)
    assert ours.std_error == pytest.approx(peer.se.loc["Robust"].iloc[0], rel=1e-6)
    np.testing.assert_allclose([ours.conf_low, ours.conf_high], peer.ci.loc["Robust"].to_numpy(), rtol=1e-6)


def test_fuzzy_is_the_ratio_of_two_jumps(fuzzy):
    import statsmodels.api as sm

    result = run({**BLOCK, "treatment": "takes"}, as_table(fuzzy), "rd", "LATE")
    h = next(d.value for d in result.diagnostics if d.metric == "bandwidth")
    x = fuzzy["margin"].to_numpy()
    w, right = kernel_weights(x / h, "triangular"), (x >= 0).astype(float)
    design = np.column_stack([np.ones(len(x)), right, x, right * x])[w > 0]
    jumps = [sm.WLS(fuzzy[v].to_numpy()[w > 0], design, weights=w[w > 0]).fit().params[1] for v in ("vote", "takes")]
    assert overall(result).estimate == pytest.approx(jumps[0] / jumps[1], rel=1e-6)
    (first,) = [d.value for d in result.diagnostics if d.metric == "first_stage"]
    assert first == pytest.approx(jumps[1], rel=1e-6)


def test_parametric_fuzzy_is_two_stage_least_squares(fuzzy):
    block = {**BLOCK, "treatment": "takes", "options": {"rd": {"model": "parametric", "bandwidth": 30.0}}}
    result = run(block, as_table(fuzzy), "rd", "LATE")
    near = fuzzy[fuzzy["margin"].abs() <= 30]
    a, right = near["margin"].to_numpy(), (near["margin"] >= 0).to_numpy(dtype=float)
    y, t, one = near["vote"].to_numpy(), near["takes"].to_numpy(), np.ones(len(a))
    z, d = np.column_stack([one, a, right * a, right]), np.column_stack([one, a, right * a, t])
    beta = np.linalg.solve(z.T @ d, z.T @ y)
    inverse, scores = np.linalg.inv(z.T @ d), z * (y - d @ beta)[:, None]
    error = np.sqrt((inverse @ scores.T @ scores @ inverse.T)[3, 3] * len(a) / (len(a) - 4))
    ours = overall(result)
    assert ours.estimate == pytest.approx(beta[3], rel=1e-8)
    assert ours.std_error == pytest.approx(error, rel=1e-8)
