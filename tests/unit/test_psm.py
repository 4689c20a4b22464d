"""Matching: hand-made cases, the search against brute force, refusals, and what must not change the answer."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import support

from estimators import build
from estimators.errors import Refusal
from estimators.selection_on_observables.matching import SAME, with_replacement, without_replacement
from estimators.selection_on_observables.psm import matched_contrast, matching_weights

BLOCK = support.observational("y", "t", ["x1", "x2"])


def block(**options: object) -> dict:
    return {**BLOCK, "options": {"psm": options}}


def matches_of(m: object) -> dict[int, list[int]]:
    return {int(i): sorted(m.order[a:b].tolist()) for i, a, b in zip(m.target, m.low, m.high, strict=True)}


def test_a_tie_is_shared_and_the_rest_follows_by_hand() -> None:
    score = np.array([0.2, 0.6, 0.1, 0.3, 0.7])
    y = np.array([10.0, 20.0, 4.0, 8.0, 15.0])
    m = with_replacement(score, np.array([0, 1]), np.array([2, 3, 4]), 1, None)
    assert matches_of(m) == {0: [2, 3], 1: [4]}
    np.testing.assert_allclose(m.used(5), [0, 0, 0.5, 0.5, 1.0], atol=1e-15)
    np.testing.assert_allclose(m.used(5, 2), [0, 0, 0.25, 0.25, 1.0], atol=1e-15)
    got = matched_contrast({1: y}, {1: m}, 5)
    # differences 10 − 6 = 4 and 20 − 15 = 5; single matches 6, 2 | 5; sigma2 = (((1.5² + 2.5²)/2) + .5²)/2/2
    assert got.effect == pytest.approx(4.5)
    sigma2 = 0.5 * np.mean([(1.5**2 + 2.5**2) / 2, 0.5**2])
    assert got.std_error == pytest.approx(np.sqrt(0.25 + 0.25 + sigma2 * 0.0) / 2)


def test_reuse_of_a_control_adds_to_the_variance() -> None:
    score, y = np.array([0.1, 0.2, 0.15]), np.array([3.0, 5.0, 1.0])
    got = matched_contrast({1: y}, {1: with_replacement(score, np.array([0, 1]), np.array([2]), 1, None)}, 3)
    # differences 2, 4 around 3; sigma2 = 1/2; K = 2 and K' = 2, so (1 + 1 + (4 − 2)/2) / 4
    assert got.effect == pytest.approx(3.0)
    assert got.std_error == pytest.approx(np.sqrt(3.0) / 2)


@pytest.mark.parametrize("neighbours", [1, 3])
@pytest.mark.parametrize("caliper", [None, 0.02])
@pytest.mark.parametrize("tie", [0.0, 1e-4])
def test_the_search_is_that_of_brute_force(neighbours: int, caliper: float | None, tie: float) -> None:
    rng = np.random.default_rng(3)
    score = np.round(rng.normal(size=300), 2)
    target, donor = np.arange(120), np.arange(120, 300)
    m = with_replacement(score, target, donor, neighbours, caliper, tie)
    expected = {}
    for i in target:
        distance = np.abs(score[donor] - score[i])
        reach = np.sqrt(np.sort(distance)[neighbours - 1] ** 2 + tie) + SAME
        near = donor[distance <= min(reach, np.inf if caliper is None else caliper + SAME)]
        if len(near):
            expected[int(i)] = sorted(near.tolist())
    assert matches_of(m) == expected
    assert m.unmatched == len(target) - len(expected)
    y = rng.normal(1e6, 1.0, size=300)
    np.testing.assert_allclose(m.mean(y), [y[j].mean() for j in expected.values()], rtol=1e-13)


@pytest.mark.parametrize(("neighbours", "caliper"), [(1, None), (2, None), (1, 0.01)])
def test_greedy_matching_is_that_of_brute_force(neighbours: int, caliper: float | None) -> None:
    rng = np.random.default_rng(4)
    score = rng.normal(size=200)
    target, donor = np.arange(90), np.arange(90, 200)
    m = without_replacement(score, target, donor, neighbours, caliper)
    free, expected = set(donor.tolist()), {}
    for _ in range(neighbours):
        for i in target[np.argsort(-score[target], kind="stable")]:
            if free:
                j = min(free, key=lambda row: abs(score[row] - score[i]))
                if caliper is None or abs(score[j] - score[i]) <= caliper:
                    free.remove(j)
                    expected.setdefault(int(i), []).append(j)
    assert matches_of(m) == {i: sorted(js) for i, js in expected.items()}
    assert m.unmatched == len(target) - len(expected)
    assert m.used(200).max() <= 1.0


@pytest.mark.parametrize("estimand", ["ATT", "ATE"])
@pytest.mark.parametrize("options", [{}, {"neighbours": 3}, {"caliper": 0.02}])
def test_weights_give_the_estimate_as_weighted_means(estimand: str, options: dict) -> None:
    p = support.problem(block(**options), support.simulated(), "psm")
    w = matching_weights(p, estimand)
    row = support.overall(support.run(block(**options), support.simulated(), "psm", estimand))
    arms = [np.average(p.y[p.t == a], weights=w[p.t == a]) for a in (0, 1)]
    assert arms[1] - arms[0] == pytest.approx(row.estimate, abs=1e-12)
    assert w[p.t == 1].sum() == pytest.approx(w[p.t == 0].sum())
    assert row.n_units == (w > 0).sum()
    assert row.n_treated == (w[p.t == 1] > 0).sum()
    if estimand == "ATT" and not options:
        np.testing.assert_array_equal(w[p.t == 1], 1.0)


def test_a_caliper_counts_who_is_left_out_and_balance_is_told() -> None:
    result = support.run(block(caliper=0.001), support.simulated(), "psm", "ATT")
    row = support.overall(result)
    assert row.n_trimmed > 0
    assert row.n_treated + row.n_trimmed == support.simulated()["t"].sum()
    smd = {d.subject: d for d in result.diagnostics if d.metric == "matched_smd"}
    assert set(smd) == {"x1", "x2"}
    assert all(d.threshold == 0.1 and d.is_passing == (abs(d.value) < 0.1) for d in smd.values())


def test_bias_adjustment_is_exact_where_the_outcome_is_linear() -> None:
    units = support.simulated()
    units["y"] = 2 * units["t"] + units["x1"] - 0.5 * units["x2"]
    for estimand in ("ATT", "ATE"):
        plain = support.overall(support.run(block(), units, "psm", estimand))
        row = support.overall(support.run(block(bias_adjustment=True), units, "psm", estimand))
        assert abs(plain.estimate - 2) > 1e-6
        assert row.estimate == pytest.approx(2.0, abs=1e-10)


@pytest.mark.parametrize("estimand", ["ATT", "ATE"])
@pytest.mark.parametrize("options", [{}, {"bias_adjustment": True, "neighbours": 2}])
def test_row_order_changes_nothing_and_the_outcome_scales(estimand: str, options: dict) -> None:
    units = support.simulated()
    row = support.overall(support.run(block(**options), units, "psm", estimand))
    other = support.overall(support.run(block(**options), support.shuffled(pa.table(units)), "psm", estimand))
    scaled = support.overall(support.run(block(**options), {**units, "y": units["y"] * 1000 + 5}, "psm", estimand))
    for field in ("estimate", "std_error"):
        assert getattr(other, field) == pytest.approx(getattr(row, field), abs=1e-10)
        assert getattr(scaled, field) == pytest.approx(1000 * getattr(row, field), rel=1e-9)
    assert scaled.statistic == pytest.approx(row.statistic, rel=1e-9)


def test_every_unit_is_matched_by_its_twin() -> None:
    one = support.simulated(200)
    twins = {name: np.concatenate([v, v]) for name, v in one.items()}
    twins["unit_id"] = np.arange(400)
    twins["t"] = np.repeat([1.0, 0.0], 200)
    twins["y"] = twins["y"] + 3 * twins["t"]
    row = support.overall(support.run(block(), twins, "psm", "ATT"))
    # A propensity that is flat for all: everybody ties with everybody, so the means of the arms remain.
    assert row.estimate == pytest.approx(3.0, abs=1e-9)
    assert row.n_units == 400


def test_a_flat_propensity_is_flat_in_any_order_of_the_rows() -> None:
    one = support.simulated(200)
    twins = {name: np.concatenate([v, v]) for name, v in one.items()}
    twins["t"], twins["y"] = np.repeat([1.0, 0.0], 200), np.random.default_rng(0).normal(size=400)
    rows = []
    for seed in (0, 1, 9, 12, 21):
        # In some of these orders rounding makes a few propensities of a half differ in the last digit.
        twins["unit_id"] = np.random.default_rng(seed).permutation(400)
        rows.append(support.overall(support.run(block(), twins, "psm", "ATT")))
    assert rows[0].estimate == pytest.approx(twins["y"][:200].mean() - twins["y"][200:].mean(), rel=1e-12)
    assert [row.std_error for row in rows] == pytest.approx([rows[1].std_error] * 5, rel=1e-12)


def test_the_last_digits_of_a_score_decide_no_greedy_match() -> None:
    rng = np.random.default_rng(8)
    score, treated = np.round(rng.normal(size=400), 1), rng.random(400) < 0.5
    rows = np.flatnonzero(treated), np.flatnonzero(~treated)
    want = matches_of(without_replacement(score, *rows, 2, None))
    assert matches_of(without_replacement(score + rng.normal(size=400) * 1e-15, *rows, 2, None)) == want


def test_the_adjustment_keeps_the_digits_of_large_columns() -> None:
    options, rows = block(bias_adjustment=True, neighbours=2), []
    # Numbers from which adding 2³⁰ takes nothing.
    units = {name: np.round(v * 2**20) / 2**20 for name, v in support.simulated().items()}
    for add in (0.0, 2.0**30):
        large = {**units, "x1": units["x1"] + add, "y": units["y"] + add}
        rows.append(support.overall(support.run(options, large, "psm", "ATT")))
    assert (rows[0].estimate, rows[0].std_error) == pytest.approx((rows[1].estimate, rows[1].std_error), rel=1e-12)


@pytest.mark.parametrize(
    ("options", "estimand", "words"),
    [
        ({"neighbours": 0}, "ATT", "at least 1"),
        ({"neighbours": 1000}, "ATT", "1000 neighbours"),
        ({"caliper": -0.1}, "ATT", "caliper"),
        ({"tie_tolerance": -1e-5}, "ATT", "negative"),
        ({"caliper": 1e-12}, "ATT", "find a match"),
        ({"replace": False}, "ATE", "with replacement"),
    ],
)
def test_refusals(options: dict, estimand: str, words: str) -> None:
    with pytest.raises(Refusal, match=words):
        support.run(block(**options), support.simulated(), "psm", estimand)


def test_too_few_donors_for_the_adjustment_refuse() -> None:
    units = support.simulated(60)
    units["t"] = (np.arange(60) > 2).astype(float)
    units["x3"] = units["x1"] ** 2
    wide = support.observational(
        "y",
        "t",
        ["x1", "x2", "x3"],
        options={"psm": {"bias_adjustment": True}, "propensity": {"covariates": ["x1", "x2"]}},
    )
    with pytest.raises(Refusal, match="bias adjustment"):
        support.run(wide, units, "psm", "ATT")


def test_clusters_of_one_unit_give_the_error_of_the_matched_sample() -> None:
    units = {**support.simulated(), "g": np.arange(600)}
    plain, clustered = (
        support.overall(support.run(block, units, "psm", "ATT"))
        for block in (BLOCK, {**BLOCK, "cluster": "g", "options": {"cluster_variance": "sandwich"}})
    )
    p = support.problem(BLOCK, units, "psm")
    w = matching_weights(p, "ATT")
    psi = np.zeros(600)
    for arm, sign in ((1, 1), (0, -1)):
        own = p.t == arm
        psi[own] = sign * w[own] * (p.y[own] - np.average(p.y[own], weights=w[own]))
    want = np.sqrt(np.sum(psi**2) * 600 / 599) / p.t.sum()
    assert clustered.std_error == pytest.approx(want, rel=1e-12)
    assert (clustered.estimate, clustered.n_clusters) == (plain.estimate, 600)
    assert clustered.variance_estimator == "cluster"


def test_copies_in_a_cluster_do_not_narrow_the_interval() -> None:
    units = support.simulated(300)
    once = support.overall(support.run({**BLOCK, "cluster": "g"}, {**units, "g": np.arange(300)}, "psm", "ATE"))
    twice = {name: np.concatenate([values, values]) for name, values in units.items()}
    twice |= {"unit_id": np.arange(600), "g": np.tile(np.arange(300), 2)}
    copied = support.overall(support.run({**BLOCK, "cluster": "g"}, twice, "psm", "ATE"))
    assert copied.estimate == pytest.approx(once.estimate)
    assert copied.std_error == pytest.approx(once.std_error, rel=1e-9)


def test_weights_and_clusters_are_refused_in_the_table() -> None:
    units = {**support.simulated(), "w": np.ones(600)}
    rows = build.estimate("test", {**BLOCK, "weight": "w"}, units).to_pylist()
    mine = [row for row in rows if row["estimator"] == "psm"]
    assert {row["status"] for row in mine} == {"refused"}
    assert all("weight" in row["status_reason"] for row in mine)
