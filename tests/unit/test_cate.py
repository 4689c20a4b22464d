"""Heterogeneous effects: averages of scores, ranks that know nothing of what they rank, and refusals."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support import observational, overall, problem, run, shuffled

from estimators.errors import Refusal
from estimators.heterogeneity.groups import holm, thirds
from estimators.heterogeneity.metalearners import candidates, material, predictions
from estimators.heterogeneity.ranking import Ranked, autoc, calibration, gain, gates, places, ranked
from estimators.selection_on_observables.ope import clipped, scores


def units(n: int = 800, seed: int = 3, slope: float = 1.0, step: float = 0.0) -> dict[str, np.ndarray]:
    """τ = 1 + slope · v + step · 1{|v| > 1} + (g − 1/2); v and g are confounders."""
    rng = np.random.default_rng(seed)
    v, x, g = rng.normal(size=n), rng.normal(size=n), (rng.random(n) < 0.5).astype(float)
    t = (rng.random(n) < 1 / (1 + np.exp(-0.5 * v + 0.5 * x))).astype(float)
    tau = 1 + slope * v + step * (np.abs(v) > 1) + g - 0.5
    return {"unit_id": np.arange(n), "y": tau * t + v + x + rng.normal(size=n), "t": t, "v": v, "x": x, "g": g}


def block(own: dict[str, Any] | None = None, options: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    more = {"effect_modifiers": ["v", "g"], **more}
    return observational("y", "t", ["x", "v", "g"], options={"cate": own or {}, **(options or {})}, **more)


def go(data: Any, own: dict[str, Any] | None = None, **more: Any) -> Any:
    return run(block(own, **more), data, "cate", "ATE")


def numbers(result: Any) -> dict[str, tuple[Any, Any]]:
    return {e.term: (e.estimate, e.std_error) for e in result.estimates}


def told(result: Any) -> dict[tuple[str, str], Any]:
    return {(d.metric, d.subject): d for d in result.diagnostics}


def inputs(data: Any, own: dict[str, Any] | None = None, **more: Any) -> Any:
    p = problem(block(own, **more), data, "cate")
    return material(p, clipped(p), scores(p, "ATE"))


def hand(tau: list[float], psi: list[float], w: list[float] | None = None) -> Ranked:
    """One fold by hand."""
    t, p, weights = np.array(tau), np.array(psi), np.ones(len(tau)) if w is None else np.array(w)
    low, high = places(t, weights)
    n = len(t)
    return Ranked(np.arange(n), np.ones(n, dtype=int), p, t, weights, low, high, None, ("dr:linear",), {}, "dr:linear")


def test_places_by_hand() -> None:
    low, high = places(np.array([3.0, 1.0, 2.0, 2.0]), np.ones(4))
    np.testing.assert_allclose(low, [0, 0.75, 0.25, 0.25])
    np.testing.assert_allclose(high, [0.25, 1, 0.75, 0.75])
    low, high = places(np.array([3.0, 1.0]), np.array([1.0, 3.0]))
    np.testing.assert_allclose((low, high), [[0, 0.25], [0.25, 1]])


def test_fifths_by_hand() -> None:
    found = gates(hand([1, 2, 3, 4, 5], [10, 20, 30, 40, 50]))
    np.testing.assert_allclose(found.effects, [10, 20, 30, 40, 50])
    # Two levels: each is shared by the fifths that it reaches into, and the middle one has half of both.
    found = gates(hand([0, 0, 1, 1], [1, 3, 5, 7]))
    np.testing.assert_allclose(found.effects, [2, 2, 4, 6, 6])


def test_influence_of_fifths_is_that_of_a_mean() -> None:
    rng = np.random.default_rng(0)
    tau, psi = rng.permutation(50).tolist(), rng.normal(size=50)
    r = hand(tau, psi.tolist())
    own = psi[np.argsort(tau)[:10]]
    assert gates(r).effects[0] == pytest.approx(own.mean())
    expected = np.sqrt(np.sum((own - own.mean()) ** 2)) / 10 * np.sqrt(50 / 49)
    assert r.std_error(gates(r).influence[:, 0]) == pytest.approx(expected)


def test_calibration_by_hand() -> None:
    assert calibration(hand([1, 2, 3, 4], [0, 2, 4, 6])).estimate == pytest.approx(2.0)
    assert calibration(hand([1, 2, 3, 4], [5, 4, 3, 2])).estimate == pytest.approx(-1.0)


def test_autoc_is_the_area_under_the_curve_of_targeting() -> None:
    rng = np.random.default_rng(1)
    r = hand(rng.permutation(40).tolist(), rng.normal(size=40).tolist(), rng.uniform(1, 2, 40).tolist())
    grid = (np.arange(100_000) + 0.5) / 100_000
    order = np.argsort(-r.tau)
    w, psi = r.w[order] / r.w.sum(), r.psi[order]
    ends, sums = np.concatenate([[0], np.cumsum(w)]), np.concatenate([[0], np.cumsum(w * psi)])
    area = np.mean(np.interp(grid, ends, sums) / grid) - sums[-1]
    assert autoc(r).estimate == pytest.approx(area, abs=1e-5)


def test_autoc_s_influence_values_are_its_derivative_in_the_weights() -> None:
    rng = np.random.default_rng(2)
    n = 4_000
    tau = rng.normal(size=n)
    psi = 0.5 * tau + rng.normal(size=n)
    # A jackknife of 40 blocks sees all that the estimate depends on, ranks too.
    blocks = rng.permutation(n) % 40
    left = [autoc(hand(tau[blocks != b].tolist(), psi[blocks != b].tolist())).estimate for b in range(40)]
    jackknife = np.sqrt(39 / 40 * np.sum((np.array(left) - np.mean(left)) ** 2))
    assert autoc(hand(tau.tolist(), psi.tolist())).std_error == pytest.approx(jackknife, rel=0.25)


def test_gain_by_hand() -> None:
    r = hand([4, 3, 2, 1], [8, 4, 0, 0])
    uplift, qini, of_uplift, of_qini = gain(r, 0.5)
    assert (uplift, qini) == pytest.approx((3.0, 1.5))
    assert of_uplift.mean() == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(of_uplift, [2, -2, 0, 0])
    assert of_qini.mean() == pytest.approx(0, abs=1e-12)


def test_holm_and_thirds_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    assert thirds(np.array([3.0, 1, 1, 9, 9, 3]), np.ones(6)).tolist() == [1, 0, 0, 2, 2, 1]
    assert thirds(np.array([1.0, 2, 3]), np.array([10.0, 1, 1])).tolist() == [1, 2, 2]


def test_overall_is_ope_s() -> None:
    data = units()
    for more in ({}, {"weight": "w"}, {"cluster": "c"}):
        full = {**data, "w": 1 + (data["x"] > 0), "c": data["unit_id"] % 40}
        ours, theirs = overall(go(full, **more)), overall(run(block(**more), full, "ope", "ATE"))
        assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)


def test_linear_predictor_and_groups_are_those_of_the_scores() -> None:
    import statsmodels.api as sm

    data = units()
    p = problem(block(), data, "cate")
    psi, rows = scores(p, "ATE"), numbers(go(data))
    fit = sm.OLS(psi, sm.add_constant(np.column_stack([p.columns["v"], p.columns["g"]]))).fit(cov_type="HC2")
    for j, name in ((1, "blp:v"), (2, "blp:g")):
        assert rows[name] == pytest.approx((fit.params[j], fit.bse[j]), rel=1e-9)
    for level in (0, 1):
        own = psi[p.columns["g"] == level]
        assert rows[f"g={level}"] == pytest.approx((own.mean(), own.std(ddof=1) / np.sqrt(len(own))), rel=1e-9)
    low = [name for name in rows if name.startswith("v=")]
    assert len(low) == 3
    own = psi[np.argsort(p.columns["v"])[:267]]
    assert rows[low[0]][0] == pytest.approx(own.mean(), rel=1e-9)


def test_clustered_groups_and_linear_predictor() -> None:
    import statsmodels.api as sm
    from cluster_support import brute

    data = {**units(), "c": np.arange(800) % 40}
    sandwich = {"cluster_variance": "sandwich"}
    p = problem(block(cluster="c", options=sandwich), data, "cate")
    psi, rows = scores(p, "ATE"), numbers(go(data, cluster="c", options=sandwich))
    x = sm.add_constant(np.column_stack([p.columns["v"], p.columns["g"]]))
    vcov, _ = brute(psi, x[:, 1:], np.ones(800), p.cluster)
    assert rows["blp:v"] == pytest.approx((sm.OLS(psi, x).fit().params[1], np.sqrt(vcov[1, 1])), rel=1e-9)
    own = p.columns["g"] == 1
    mean = sm.OLS(psi[own], np.ones(own.sum())).fit(cov_type="cluster", cov_kwds={"groups": p.cluster[own]})
    assert rows["g=1"] == pytest.approx((mean.params[0], mean.bse[0]), rel=1e-6)


def test_known_truth_is_found() -> None:
    result = go(units(4_000))
    rows = {e.term: e for e in result.estimates}
    truth = {"overall": 1.0, "blp:v": 1.0, "blp:g": 1.0, "g=0": 0.5, "g=1": 1.5}
    for term, value in truth.items():
        assert abs(rows[term].estimate - value) < 3 * rows[term].std_error
    assert abs(rows["heterogeneity"].estimate - 1) < 3 * rows["heterogeneity"].std_error
    # τ is 1 + v + g − 1/2: its standard deviation is √1.25 and a normal's AUTOC would be 0.9 of that
    assert 0.7 < rows["rate"].estimate < 1.3
    fifths = [rows[f"gates={g}"].estimate for g in range(1, 6)]
    assert fifths == sorted(fifths)
    assert rows["gates=5-1"].estimate == pytest.approx(fifths[4] - fifths[0])
    assert rows["gates=5-1"].p_value < 1e-6
    notes = told(result)
    assert notes[("clan", "v:most")].value > 0.8 > -0.8 > notes[("clan", "v:least")].value
    assert notes[("group_contrast_p_holm", "g=1 - g=0")].value < 0.01
    assert notes[("group_contrast", "g=1 - g=0")].value == pytest.approx(rows["g=1"].estimate - rows["g=0"].estimate)


def test_losses_are_those_of_the_ranked_units() -> None:
    m = inputs(units())
    r = ranked(m, "linear")
    assert set(r.losses) == {"constant", *candidates("linear")}
    folds = m.problem.folds()
    assert set(r.fold) == {1, 2, 3, 4}
    assert told(go(units()))["ranked_share", "overall"].value == pytest.approx((folds > 0).mean())
    assert len(r.rows) == (folds > 0).sum()
    total = 0.0
    for k in range(1, 5):
        tau = predictions(m, folds < k, folds == k, ("t:linear",))["t:linear"]
        total += float(np.sum((m.psi[folds == k] - tau) ** 2))
    assert r.losses["t:linear"] == pytest.approx(total / (folds > 0).sum())
    assert min(r.losses, key=lambda name: r.losses[name]) == r.best


def test_every_learner_finds_the_effects() -> None:
    data = units(3_000)
    m = inputs(data)
    folds = m.problem.folds()
    tau = 0.5 + m.problem.columns["v"] + m.problem.columns["g"]
    found = predictions(m, folds != 0, folds == 0, candidates("best"))
    assert len(found) == 8
    for name, values in found.items():
        assert np.corrcoef(values, tau[folds == 0])[0, 1] > (0.95 if name.endswith("linear") else 0.6), name
        assert abs(values.mean() - tau[folds == 0].mean()) < 0.3, name


def test_boosting_is_chosen_where_lines_fail() -> None:
    data = units(1_500, slope=0.0, step=4.0)
    result = go(data, {"learner": "best"})
    (best,) = [d for d in result.diagnostics if d.metric == "learner_best"]
    assert best.subject.endswith("boosting")
    assert best.value < told(result)[("dr_loss", "dr:linear")].value
    assert overall(result, "gates=5-1").estimate > 2


@pytest.mark.parametrize("learner", ["linear", "boosting"])
def test_a_fold_s_ranks_know_nothing_of_its_outcomes_or_of_later_ones(learner: str) -> None:
    m = inputs(units(600), {"learner": learner})
    folds, last = m.problem.folds(), 3
    other = {**m.problem.columns, "y": np.where(folds >= last, -5 * m.problem.y, m.problem.y)}
    changed = dataclasses.replace(m, problem=dataclasses.replace(m.problem, columns=other, cache={}))
    before, after = ranked(m, learner), ranked(changed, learner)
    assert before.used[:last] == after.used[:last]
    own = before.fold <= last
    np.testing.assert_array_equal(before.tau[own], after.tau[own])
    assert not np.array_equal(before.tau[~own], after.tau[~own])


@pytest.mark.parametrize("learner", ["linear", "best"])
def test_row_order_does_not_matter(learner: str) -> None:
    data = pa.table(units(500))
    assert go(data, {"learner": learner}) == go(shuffled(data), {"learner": learner})


def test_units_of_the_outcome() -> None:
    data = units()
    plain, scaled = numbers(go(data)), numbers(go({**data, "y": 100 * data["y"] + 7}))
    for term, (estimate, std_error) in plain.items():
        factor = 1 if term == "heterogeneity" else 100
        assert scaled[term] == pytest.approx((factor * estimate, factor * std_error), rel=1e-6, abs=1e-9)


def test_weights_are_copies() -> None:
    data = {**units(500), "f": np.arange(500) % 5}
    twice = np.where(data["x"] > 0, 2, 1)
    copies = {name: np.repeat(values, twice) for name, values in data.items()}
    copies["unit_id"] = np.arange(twice.sum())
    weighted = numbers(go({**data, "w": twice}, weight="w", fold="f"))
    copied = numbers(go(copies, fold="f"))
    assert weighted.keys() == copied.keys()
    for term, (estimate, _) in weighted.items():
        assert estimate == pytest.approx(copied[term][0], rel=1e-7), term


def test_single_clusters_are_units() -> None:
    data = units(500)
    plain, clustered = numbers(go(data)), numbers(go({**data, "c": data["unit_id"]}, cluster="c"))
    for term, (estimate, std_error) in plain.items():
        assert clustered[term] == pytest.approx((estimate, std_error), rel=5e-3), term


def test_curves_carry_the_pictures() -> None:
    result = go(units())
    curves = {(c.curve, c.series): [p for p in result.curves if (p.curve, p.series) == (c.curve, c.series)]
              for c in result.curves}  # fmt: skip
    uplift, qini = curves[("uplift", "ranked")], curves[("qini", "ranked")]
    assert [p.x for p in uplift] == pytest.approx([j / 20 for j in range(21)])
    assert uplift[-1].y == pytest.approx(curves[("uplift", "random")][-1].y)
    assert (qini[0].y, qini[-1].y) == (0, 0)
    assert all(p.conf_low < p.y < p.conf_high for p in uplift[1:])
    assert all(p.conf_low < p.y < p.conf_high for p in qini[1:-1])
    best = next(d.subject for d in result.diagnostics if d.metric == "learner_best")
    assert sum(p.y for p in curves[("cate_distribution", best)]) == pytest.approx(1)
    observed = {p.x_label: (p.y, p.conf_low, p.conf_high) for p in curves[("gates", "observed")]}
    for g in range(1, 6):
        row = overall(result, f"gates={g}")
        assert observed[row.term] == pytest.approx((row.estimate, row.conf_low, row.conf_high))


def test_categories_products_and_small_groups() -> None:
    data = units()
    data["site"] = np.array(["a", "b"], dtype=object)[(np.arange(800) % 2)]
    data["site"][:4] = "c"
    more = {"covariates": ["x", "v", "g", "C(site)"], "effect_modifiers": ["C(site)", "v:g"]}
    # Four units are too few for a logit of their site.
    base = {**block(options={"propensity": {"covariates": ["x", "v", "g"]}}), **more}
    result = run(base, data, "cate", "ATE")
    rows = {e.term: e for e in result.estimates}
    assert rows["site=a"].status == rows["site=b"].status == "estimated"
    assert rows["site=c"].status == "refused"
    assert "are needed" in rows["site=c"].status_reason
    assert rows["site=c"].estimate is None
    assert {"blp:site=b", "blp:site=c", "blp:v:g"} <= set(rows)
    assert any(term.startswith("v:g=") for term in rows)


def test_labels_tell_levels_apart_and_no_group_comes_twice() -> None:
    data = units()
    data["year"] = 2_000_000_001 + data["g"]
    base = {**block(), "covariates": ["x", "v", "year"], "effect_modifiers": ["year", "C(year)", "v"]}
    terms = [e.term for e in run(base, data, "cate", "ATE").estimates]
    assert {"year=2000000001", "year=2000000002"} <= set(terms)
    assert len(terms) == len(set(terms))


def test_without_folds_only_the_ranks_are_refused() -> None:
    result = go(units(), options={"folds": 1})
    rows = {e.term: e for e in result.estimates}
    assert rows["overall"].status == rows["blp:v"].status == rows["g=0"].status == "estimated"
    for term in ("gates=1", "gates=5-1", "heterogeneity", "rate"):
        assert rows[term].status == "refused"
        assert "cross-fitting" in rows[term].status_reason
        assert rows[term].estimate is None


def test_a_group_in_one_cluster_is_refused() -> None:
    data = units()
    data["c"] = np.where(data["g"] == 1, 0, 1 + np.arange(800) % 20)
    row = overall(go(data, cluster="c"), "g=1")
    assert row.status == "refused"
    assert "one cluster" in row.status_reason


def test_refusals() -> None:
    data = units()
    with pytest.raises(Refusal, match=r"modifier 'h' is not among the covariates") as caught:
        go({**data, "h": data["g"]}, effect_modifiers=["h"])
    assert caught.value.status == "not_identified"
    assert overall(go({**data, "h": data["g"]}, effect_modifiers=["h"], design="experiment")).estimate is not None
    constant = {**block(), "covariates": ["x", "h"], "effect_modifiers": ["h"]}
    with pytest.raises(Refusal, match="no effect modifier varies"):
        run(constant, {**data, "h": np.ones(800)}, "cate", "ATE")
    with pytest.raises(Refusal, match="in every row"):
        go({**data, "y": np.ones(800)})
    with pytest.raises(Refusal, match="clip is"):
        go(data, {"clip": 0.6})
