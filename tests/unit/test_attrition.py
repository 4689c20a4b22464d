"""Loss by arm and Lee's bounds: against brute force, closed forms and streams, and what a study tells."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import optimize, stats

from estimators import estimate
from estimators.attrition.lee import interval, lee_bounds, weighted_quantile
from estimators.attrition.loss import Loss, difference_p
from estimators.attrition.rows import loss_of

N = 600


def counted(untreated: tuple[int, int], treated: tuple[int, int]) -> Loss:
    cells = np.array([untreated, treated])
    return Loss(cells, cells.astype(float), cells.astype(float))


# --- the test of equal loss --------------------------------------------------------------------------------------


def test_many_losses_are_compared_by_chi_square() -> None:
    table = [[620, 60], [900, 140]]
    assert difference_p(counted(*map(tuple, table))) == pytest.approx(
        stats.chi2_contingency(table, correction=False).pvalue, rel=1e-10
    )


@pytest.mark.parametrize("table", [[[20, 0], [17, 3]], [[8, 2], [1, 9]], [[38, 0], [1, 1]], [[5, 5], [5, 5]]])
def test_few_losses_are_compared_exactly(table: list[list[int]]) -> None:
    assert difference_p(counted(*map(tuple, table))) == pytest.approx(stats.fisher_exact(table).pvalue, rel=1e-8)


def test_clusters_count_as_often_as_they_are() -> None:
    """Whole clusters are lost: as many rows as one likes in each do not make the difference surer."""
    arm, lost = np.repeat([0.0, 1.0], 10), np.repeat([True, False, True, False], [2, 8, 5, 5])
    small = loss_of(arm, lost, None, np.arange(20).astype(object))
    large = loss_of(np.repeat(arm, 50), np.repeat(lost, 50), None, np.repeat(np.arange(20), 50).astype(object))
    assert difference_p(large) == pytest.approx(difference_p(small), rel=1e-12)
    assert difference_p(small) > 0.1 > 1e-6 > difference_p(loss_of(np.repeat(arm, 50), np.repeat(lost, 50), None, None))
    one = loss_of(arm, lost, None, np.where(arm == 1, "only", np.arange(20).astype(str)).astype(object))
    assert difference_p(one) is None


def test_weights_of_one_are_no_weights_and_double_weights_are_doubled_shares() -> None:
    rng = np.random.default_rng(3)
    arm, lost = rng.integers(0, 2, N).astype(float), rng.random(N) < 0.3
    w = np.where(lost, 2.0, 1.0)
    found = loss_of(arm, lost, w, None)
    shares = [2 * lost[arm == a].sum() / (2 * lost[arm == a].sum() + (~lost[arm == a]).sum()) for a in (0, 1)]
    assert found.shares == pytest.approx(shares)
    equal = difference_p(loss_of(arm, lost, np.full(N, 7.0), None))
    assert equal == pytest.approx(difference_p(loss_of(arm, lost, None, None)), abs=0.01)


# --- the bounds --------------------------------------------------------------------------------------------------


def brute(y: np.ndarray, w: np.ndarray, share: float, sign: int) -> float:
    """The largest (smallest) mean of a part of the weight: a linear programme over how much of each row stays."""
    total = share * w.sum()
    found = optimize.linprog(-sign * y * w / total, A_eq=[w / total], b_eq=[1.0], bounds=[(0, 1)] * len(y))
    return -sign * found.fun


def outcomes(kind: str, rng: np.random.Generator) -> np.ndarray:
    return {
        "continuous": rng.normal(2, 3, N),
        "ties": rng.integers(0, 4, N).astype(float),
        "binary": (rng.random(N) < 0.4).astype(float),
    }[kind]


@pytest.mark.parametrize("kind", ["continuous", "ties", "binary"])
@pytest.mark.parametrize("loses", [0, 1])
@pytest.mark.parametrize("weighted", [False, True])
def test_bounds_are_those_of_a_linear_programme(kind: str, loses: int, weighted: bool) -> None:
    rng = np.random.default_rng(11)
    y, t, w = outcomes(kind, rng), rng.integers(0, 2, N), rng.uniform(0.2, 3, N) if weighted else np.ones(N)
    lost = rng.random(N) < np.where(t == loses, 0.3, 0.05)
    found = lee_bounds(np.where(lost, np.nan, y), t, lost, w if weighted else None)
    own, other = 1 - loses, loses
    kept = [w[(t == a) & ~lost].sum() / w[t == a].sum() for a in (0, 1)]
    mine, theirs = (t == own) & ~lost, (t == other) & ~lost
    mean = np.average(y[theirs], weights=w[theirs])
    ends = [brute(y[mine], w[mine], kept[other] / kept[own], sign) - mean for sign in (-1, 1)]
    expected = ends if own == 1 else [-ends[1], -ends[0]]
    assert found.arm == own
    assert found.trimmed == pytest.approx(1 - kept[other] / kept[own])
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=1e-8)
    assert found.conf_low < found.low <= found.high < found.conf_high


def lee_proposition_3(y: np.ndarray, t: np.ndarray, lost: np.ndarray) -> float:
    """Standard error of the upper bound where the treated keep more, as Lee 2009 writes it."""
    kept, d = ~lost, t.mean()
    q0, q1 = kept[t == 0].mean(), kept[t == 1].mean()
    p, seen = 1 - q0 / q1, ((t == 1) & kept).mean()
    own, other = y[(t == 1) & kept], y[(t == 0) & kept]
    cut = np.quantile(own, p)
    mean, spread = own[own >= cut].mean(), own[own >= cut].var()
    of_p = (1 - p) ** 2 * ((1 - q0 / (1 - p)) / (d * q0 / (1 - p)) + (1 - q0) / ((1 - d) * q0))
    variance = (spread + (cut - mean) ** 2 * p) / (seen * (1 - p)) + ((cut - mean) / (1 - p)) ** 2 * of_p
    return float(np.sqrt((variance + other.var() / ((t == 0) & kept).mean()) / len(y)))


def test_the_error_of_a_bound_is_that_of_lees_proposition() -> None:
    rng, n = np.random.default_rng(1), 100_000
    t = rng.integers(0, 2, n)
    y, lost = rng.normal(size=n) + 0.3 * t, rng.random(n) < np.where(t == 1, 0.1, 0.25)
    found = lee_bounds(np.where(lost, np.nan, y), t, lost)
    # The bounds lie many errors apart, so that each end is one-sided.
    assert (found.conf_high - found.high) / stats.norm.ppf(0.95) == pytest.approx(
        lee_proposition_3(y, t, lost), rel=2e-3
    )


def test_the_interval_is_two_sided_at_a_point_and_one_sided_far_apart() -> None:
    assert interval(1.0, 1.0, (2.0, 2.0), None) == pytest.approx((1 - 2 * 1.959964, 1 + 2 * 1.959964), abs=1e-5)
    assert interval(0.0, 1e6, (1.0, 3.0), None) == pytest.approx((-1.644854, 1e6 + 3 * 1.644854), abs=1e-5)
    assert interval(1.0, 1.0, (2.0, 2.0), 4)[1] == pytest.approx(1 + 2 * stats.t.ppf(0.975, 4))


def test_bounds_do_not_ask_the_order_or_the_labels() -> None:
    rng = np.random.default_rng(5)
    y, t, w = outcomes("ties", rng), rng.integers(0, 2, N), rng.uniform(0.5, 2, N)
    lost, g = rng.random(N) < 0.1 + 0.2 * t, rng.integers(0, 40, N)
    one, order = lee_bounds(y, t, lost, w, g), rng.permutation(N)
    two = lee_bounds(y[order], t[order], lost[order], w[order], g[order])
    swapped = lee_bounds(y, 1 - t, lost, w, g)
    assert (two.low, two.conf_high) == pytest.approx((one.low, one.conf_high), abs=1e-9)
    ends = (-swapped.high, -swapped.low, -swapped.conf_high)
    assert ends == pytest.approx((one.low, one.high, one.conf_low), abs=1e-9)


def test_without_a_difference_the_bounds_are_the_difference_in_means() -> None:
    rng = np.random.default_rng(6)
    t, y = np.tile([0, 1], N // 2), rng.normal(size=N)
    lost = np.arange(N) < 60
    found = lee_bounds(y, t, lost)
    gap = y[(t == 1) & ~lost].mean() - y[(t == 0) & ~lost].mean()
    assert (found.low, found.high, found.trimmed) == pytest.approx((gap, gap, 0.0), abs=1e-12)


def test_the_quantile_is_the_least_value_that_reaches_the_share() -> None:
    y, w = np.array([3.0, 1.0, 2.0]), np.array([1.0, 2.0, 1.0])
    assert [weighted_quantile(y, w, p) for p in (0.0, 0.5, 0.51, 0.75, 1.0)] == [1.0, 1.0, 2.0, 2.0, 3.0]


# --- what a study tells ------------------------------------------------------------------------------------------


def study(**changed: Any) -> dict[str, Any]:
    block = {
        "question": "q", "design": "experiment", "outcome": "y", "treatment": "t", "covariates": ["x"],
        "missing": "drop", "outcome_unit": "USD",
        "decision": {
            "primary": "difference_in_means", "estimand": "ATE", "desired_direction": "more", "minimum_effect": 0.1
        },
    }  # fmt: skip
    return block | changed


def units(n: int = 3000, lost_share: float = 0.25) -> dict[str, np.ndarray]:
    """No effect at all; the worst share of the treated outcomes is lost, and a few covariates, arms and clusters."""
    rng = np.random.default_rng(8)
    t, x = rng.integers(0, 2, n).astype(float), rng.normal(size=n)
    y = x + rng.normal(size=n)
    y[(t == 1) & (y < np.quantile(y[t == 1], lost_share))] = np.nan
    z = rng.normal(size=n)
    z[rng.random(n) < 0.2 * (t == 0)] = np.nan
    t[:20], x[20:50] = np.nan, np.nan
    g = np.array([f"g{i}" for i in rng.integers(0, 50, n)], dtype=object)
    g[60:64] = None
    return {"unit_id": np.arange(n), "t": t, "x": x, "y": y, "z": z, "g": g, "w": rng.uniform(0.5, 2, n)}


def told(
    block: dict[str, Any], columns: dict[str, np.ndarray]
) -> tuple[dict[str, Any], dict[Any, Any], dict[Any, Any]]:
    table = pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})
    made = estimate("s", block, table).to_pylist()
    (row,) = (r for r in made if r["is_primary"])
    rows = [row, *(r for r in made if r["outcome"] != block["outcome"])]
    losses = {(d["metric"], d["subject"]): d["value"] for r in rows for d in json.loads(r["diagnostics"])}
    kept = {key: value for key, value in losses.items() if "lost" in key[0] or "loss" in key[0] or "arm" in key[0]}
    bounds = [s for r in rows for s in json.loads(r["sensitivity"]) if s["method"] == "lee_bounds"]
    return row, kept, {s["subject"]: s["value"] if s["value"] is not None else s["reading"] for s in bounds}


def test_the_worst_outcomes_lost_in_one_arm_are_counted_and_bounded() -> None:
    columns = units()
    row, losses, bounds = told(study(), columns)
    assert row["conf_low"] > 0.1  # what would ship
    assert bounds["conf_low"] < 0.1 < bounds["conf_high"]
    known = ~np.isnan(columns["t"])
    for arm, name in ((0, "untreated"), (1, "treated")):
        mine = known & (columns["t"] == arm)
        gone = np.isnan(columns["y"]) | np.isnan(columns["x"])
        assert losses[f"share_lost_{name}", "overall"] == pytest.approx(gone[mine].mean())
        assert losses[f"rows_lost_{name}", "y"] == np.isnan(columns["y"])[mine].sum()
        assert losses[f"rows_lost_{name}", "x"] == np.isnan(columns["x"])[mine].sum()
    assert losses["rows_without_arm", "t"] == 20
    assert losses["loss_differs_p", "overall"] < 1e-20


@pytest.mark.parametrize(
    "roles",
    [{}, {"cluster": "g"}, {"weight": "w"}, {"weight": "w", "cluster": "g", "secondary_outcomes": ["z"]},
     {"guardrails": {"z": {"desired_direction": "more", "margin": 1}}}],
)  # fmt: skip
def test_streams_tell_the_same(roles: dict[str, Any]) -> None:
    columns = units()
    _, losses, bounds = told(study(**roles), columns)
    _, streamed_losses, streamed_bounds = told(study(**roles, row_budget=100), columns)
    assert streamed_losses == pytest.approx(losses, rel=1e-9, abs=1e-14)
    assert streamed_bounds == pytest.approx(bounds, rel=1e-9, abs=1e-12)
    assert ("z: conf_low" in bounds) == ("z" in str(roles))


def test_whole_rows_tell_nothing() -> None:
    columns = units()
    whole = ~(np.isnan(columns["y"]) | np.isnan(columns["x"]) | np.isnan(columns["t"]))
    _, losses, bounds = told(study(), {name: values[whole] for name, values in columns.items()})
    assert (losses, bounds) == ({}, {})


def test_designs_without_a_lot_are_counted_and_not_bounded() -> None:
    block = study(design="observational", decision=study()["decision"] | {"primary": "regression_adjustment"})
    _, losses, bounds = told(block, units())
    assert losses["loss_differs_p", "overall"] < 1e-20
    assert bounds == {}


def test_a_dose_is_counted_without_arms() -> None:
    columns = units()
    columns["t"] = np.random.default_rng(0).normal(size=len(columns["y"]))
    block = study(design="observational", decision=study()["decision"] | {"primary": "tvce"})
    _, losses, bounds = told(block, columns)
    gone = np.isnan(columns["y"]) | np.isnan(columns["x"])
    assert losses == {("share_lost", "overall"): pytest.approx(gone.mean())}
    assert bounds == {}


def test_an_arm_of_one_cluster_has_no_test_and_no_bounds() -> None:
    """Its effect is not identified, so there is nothing that bounds could turn."""
    columns = units()
    columns["g"] = np.where(columns["t"] == 1, "only", columns["g"]).astype(object)
    _, losses, bounds = told(study(cluster="g"), columns)
    assert losses["loss_differs_p", "overall"] is None
    assert bounds == {}


@pytest.mark.parametrize("budget", [10**6, 100])
def test_instruments_are_counted_by_the_instrument(budget: int) -> None:
    columns = units(lost_share=0.0)
    rng = np.random.default_rng(2)
    offered = rng.integers(0, 2, len(columns["y"])).astype(float)
    columns["offered"] = offered
    columns["t"] = np.where(rng.random(len(offered)) < 0.8, offered, 1 - offered)
    columns["y"][(offered == 1) & (rng.random(len(offered)) < 0.2)] = np.nan
    rule = {"primary": "iv", "estimand": "LATE", "desired_direction": "more", "minimum_effect": 0.1}
    block = study(design="iv", instruments=["offered"], decision=rule, row_budget=budget)
    _, losses, bounds = told(block, columns)
    gone = np.isnan(columns["y"]) | np.isnan(columns["x"])
    assert losses["share_lost_treated", "overall"] == pytest.approx(gone[offered == 1].mean())
    assert losses["loss_differs_p", "overall"] < 1e-6
    assert bounds == {}


@pytest.mark.parametrize("budget", [10**6, 50])
def test_units_of_a_panel_that_lack_a_period_are_counted_by_ever_treated(budget: int) -> None:
    rng = np.random.default_rng(4)
    unit, time = np.repeat(np.arange(200), 6), np.tile(np.arange(2000, 2006), 200)
    cohort = np.where(unit < 80, 2003.0, np.nan)
    y = rng.normal(size=1200) + (time >= np.nan_to_num(cohort, nan=9999))
    gaps = (unit < 40) & (time == 2004)  # a value is missing
    absent = (unit >= 180) & (time == 2001)  # the row is missing
    y[gaps] = np.nan
    columns = {"unit_id": unit, "year": time.astype(float), "cohort": cohort, "y": y}
    rule = {"primary": "did", "estimand": "ATT", "desired_direction": "more", "minimum_effect": 0.1}
    block = study(design="panel", time="year", cohort="cohort", decision=rule, row_budget=budget)
    del block["treatment"], block["covariates"]
    _, losses, bounds = told(block, {name: values[~absent] for name, values in columns.items()})
    assert losses["share_lost_treated", "overall"] == pytest.approx(40 / 80)
    assert losses["share_lost_untreated", "overall"] == pytest.approx(20 / 120)
    table = [[100, 20], [40, 40]]
    p = stats.chi2_contingency(table, correction=False).pvalue
    assert losses["loss_differs_p", "overall"] == pytest.approx(p)
    assert bounds == {}
