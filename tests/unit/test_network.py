from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from support import DECISION, overall

from estimators import estimate
from estimators.assemble import assemble
from estimators.errors import Refusal
from estimators.interference import design_based
from estimators.interference.exposure import LEVELS, joint_probability, lottery_of
from estimators.interference.graph import graph_of
from estimators.interference.network import AGAINST_NONE, ESTIMANDS, network
from estimators.interference.places import with_places
from estimators.problem import Problem
from estimators.study import Study

N = 40


def problem(units: dict[str, Any], edges: Any, design: str = "experiment", cluster: Any = None, **own: Any) -> Problem:
    more = {name: own.pop(name) for name in ("allocation", "weight", "covariates", "missing") if name in own}
    block = {
        "question": "q", "design": design, "outcome": "y", "treatment": "t", "edges": "names",
        "decision": {**DECISION, "primary": "network", "estimand": "DIRECT"}, "options": {"network": own}, **more,
        **({"cluster": cluster} if cluster else {}),
    }  # fmt: skip
    return assemble(Study.declare("s", block), units, edges=edges)[0]


def simulated(n: int = N, seed: int = 1, direct: float = 2.0, spill: float = 1.0, noise: float = 1.0) -> Any:
    """Villages of eight, of whom each names one to three others; the outcome moves with the share treated."""
    rng = np.random.default_rng(seed)
    source = np.repeat(np.arange(n), rng.integers(1, 4, n))
    target = source // 8 * 8 + (source + rng.integers(1, 8, len(source))) % 8
    tie = np.zeros((n, n))
    tie[source, target] = 1
    t = (rng.random(n) < 0.4).astype(float)
    x = rng.normal(size=n)
    share = tie @ t / tie.sum(axis=1)
    y = 3 + direct * t + spill * share + x + noise * rng.normal(size=n)
    units = {"unit_id": np.arange(n), "y": y, "t": t, "x": x, "village": np.arange(n) // 8}
    return units, {"source": source, "target": target}, tie


def diagnostic(result: Any, metric: str, subject: str = "overall") -> Any:
    (found,) = [d.value for d in result.diagnostics if (d.metric, d.subject) == (metric, subject)]
    return found


# By hand: 1 -> 2, 2 -> 1, 3 -> 4, 4 -> 3, 5 -> 6, 6 -> 5, 7 -> 8, 8 -> 7; p = 1/2, so every exposure has chance 1/4.
COUPLES = {"source": [1, 2, 3, 4, 5, 6, 7, 8], "target": [2, 1, 4, 3, 6, 5, 8, 7]}
PAIRED = {
    "unit_id": np.arange(1, 9), "t": np.array([1, 1, 1, 0, 0, 1, 0, 0], dtype=float),
    "y": np.array([9, 7, 5, 3, 4, 6, 1, 2], dtype=float),
}  # fmt: skip
MEANS = {"DIRECT": 5.5, "INDIRECT": 3.5, "TOTAL": 8.0}


@pytest.mark.parametrize("method", ["hajek", "horvitz_thompson"])
@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_couples_by_hand(method: str, estimand: str) -> None:
    """Each exposure is seen twice in eight, as often as it is expected: both methods are differences of plain means."""
    given = problem(PAIRED, COUPLES, method=method, allocation=0.5, variance="conservative")
    row = overall(network(given, estimand))
    assert row.estimate == pytest.approx(MEANS[estimand] - 1.5)
    assert (row.n_units, row.n_treated, row.n_trimmed) == (8, 4, 0)
    experiment = design_based.experiment_of(given, graph_of(given))
    for level in LEVELS:
        assert experiment.probability[level] == pytest.approx(np.full(8, 0.25))


def test_regression_on_couples_by_hand() -> None:
    """Own treatment and the one neighbour's: two factors, balanced, so each effect is a difference of means."""
    rows = {e: overall(network(problem(PAIRED, COUPLES, method="regression"), e)) for e in ESTIMANDS}
    assert rows["DIRECT"].estimate == pytest.approx((8 + 5.5) / 2 - (3.5 + 1.5) / 2)
    assert rows["INDIRECT"].estimate == pytest.approx((8 + 3.5) / 2 - (5.5 + 1.5) / 2)
    assert rows["TOTAL"].estimate == pytest.approx(rows["DIRECT"].estimate + rows["INDIRECT"].estimate)


def lotteries() -> list[Any]:
    rng = np.random.default_rng(0)
    edges = {"source": rng.integers(0, 8, 14), "target": rng.integers(0, 8, 14)}
    cluster, y = np.array([0, 0, 1, 1, 2, 2, 3, 4]), rng.normal(size=8)
    one = np.array([1, 0, 0, 1, 0, 0, 1, 0.0])
    by_cluster = np.array([1, 1, 0, 0, 0, 0, 1, 0.0])
    out = []
    for kind, t in (("bernoulli", one), ("complete", one), ("cluster", by_cluster)):
        units = {"unit_id": np.arange(8), "y": y, "t": t, "c": cluster}
        named = "c" if kind == "cluster" else None
        out.append(problem(units, edges, cluster=named, randomisation=kind, allocation=0.3, least_probability=0.0))
    return out


def drawn(lottery: Any) -> tuple[np.ndarray, np.ndarray]:
    """Every treatment that the lottery can give, shape (draws, n), and its chance."""
    draws, chances = [], []
    for z in itertools.product((0, 1), repeat=lottery.nodes):
        if lottery.treated is None:
            chances.append(0.3 ** sum(z) * 0.7 ** (lottery.nodes - sum(z)))
        elif sum(z) == lottery.treated:
            chances.append(1.0)
        else:
            continue
        draws.append(np.array(z)[lottery.node])
    return np.array(draws), np.array(chances) / sum(chances)


def seen(graph: Any, draws: np.ndarray) -> dict[Any, np.ndarray]:
    some = (draws @ graph.named.toarray().T > 0).astype(int)
    return {d: ((draws == d[0]) & (some == d[1])).astype(float) for d in LEVELS}


@pytest.mark.parametrize("which", [0, 1, 2], ids=["bernoulli", "complete", "cluster"])
def test_probabilities_are_those_of_all_possible_draws(which: int) -> None:
    given = lotteries()[which]
    graph, lottery = graph_of(given), lottery_of(given, graph_of(given))
    draws, chance = drawn(lottery)
    exposures = seen(graph, draws)
    i, j = (a.ravel() for a in np.meshgrid(range(8), range(8)))
    i, j = i[i != j], j[i != j]
    pairs = design_based._facts(lottery, lottery.reach, lottery.own, np.arange(8), i, j)
    for d in LEVELS:
        np.testing.assert_allclose(lottery.probability(d), chance @ exposures[d], atol=1e-12)
        for e in LEVELS:
            want = (exposures[d] * chance[:, None]).T @ exposures[e]
            np.testing.assert_allclose(joint_probability(lottery, pairs, d, e), want[i, j], atol=1e-12)


@pytest.mark.parametrize("which", [0, 1, 2], ids=["bernoulli", "complete", "cluster"])
@pytest.mark.parametrize("high", [(1, 0), (0, 1), (1, 1)])
def test_conservative_variance_is_the_formula_of_aronow_and_samii(which: int, high: Any) -> None:
    """Their double sums written out over dense matrices of joint probabilities, found by listing every draw."""
    given = lotteries()[which]
    graph = graph_of(given)
    experiment = design_based.experiment_of(given, graph)
    draws, chance = drawn(experiment.lottery)
    exposures, y = seen(graph, draws), given.y
    total = {key: 0.0 for key in ("high", "low", "both")}
    kept = np.flatnonzero(experiment.kept)
    for name, d, e in (("high", high, high), ("low", (0, 0), (0, 0)), ("both", high, (0, 0))):
        joint = (exposures[d] * chance[:, None]).T @ exposures[e]
        p, q = chance @ exposures[d], chance @ exposures[e]
        a, b = experiment.observed[d], experiment.observed[e]
        for i, j in itertools.product(kept, kept):
            if name != "both" and i == j:
                total[name] += a[i] * (1 - p[i]) * (y[i] / p[i]) ** 2
            elif joint[i, j] > 1e-12:
                total[name] += a[i] * b[j] * (joint[i, j] - p[i] * q[j]) / joint[i, j] * y[i] / p[i] * y[j] / q[j]
            else:
                sign = -1 if name == "both" else 1
                total[name] += sign * (a[i] * y[i] ** 2 / (2 * p[i]) + b[j] * y[j] ** 2 / (2 * q[j]))
    want = (total["high"] + total["low"] - 2 * total["both"]) / len(kept) ** 2
    left = {d: experiment.y * experiment.kept / len(kept) for d in (high, (0, 0))}
    assert design_based._variance(experiment, left, high, (0, 0)) == pytest.approx(want, rel=1e-9, abs=1e-12)


def test_network_variance_sums_pairs_with_a_neighbour_in_common() -> None:
    units, edges, tie = simulated(n=80)
    given = problem(units, edges)
    experiment = design_based.experiment_of(given, graph_of(given))
    psi = np.zeros(80)
    for level, sign in (((1, 0), 1), ((0, 0), -1)):
        omega = experiment.observed[level] / experiment.probability[level]
        psi += sign * omega * (units["y"] - omega @ units["y"] / omega.sum()) / 80
    near = (tie + np.eye(80)) @ (tie + np.eye(80)).T > 0
    row = overall(network(given, "DIRECT"))
    assert row.std_error**2 == pytest.approx(max(psi @ near @ psi, psi @ psi), rel=1e-9)
    assert row.variance_estimator == "network"
    wide = overall(network(problem(units, edges, variance="conservative"), "DIRECT"))
    assert (wide.estimate, wide.variance_estimator) == (row.estimate, "aronow_samii")


@pytest.mark.parametrize("randomisation", ["bernoulli", "complete"])
def test_over_all_draws_horvitz_thompson_is_unbiased_and_its_variance_conservative(randomisation: str) -> None:
    """Eight units, two groups of four that name two each; outcomes are fixed, only the draw is random."""
    base = np.array([1.0, 2, 0, 1, 3, 1, 2, 0])
    edges = {"source": np.repeat(np.arange(8), 2), "target": [1, 2, 2, 3, 3, 0, 0, 1, 5, 6, 6, 7, 7, 4, 4, 5]}
    first = {"unit_id": np.arange(8), "y": base, "t": np.array([1, 0, 0, 0, 1, 0, 1, 0.0])}
    given = problem(first, edges, randomisation=randomisation, allocation=0.3)
    graph, lottery = graph_of(given), lottery_of(given, graph_of(given))
    draws, chance = drawn(lottery)
    found = []
    exposures = seen(graph, draws)
    for index, (t, c) in enumerate(zip(draws, chance, strict=True)):
        some = exposures[0, 1][index] + exposures[1, 1][index]
        y = base + 2 * t + 1 * some
        experiment = design_based.Experiment(
            lottery, y, np.ones(8), {d: lottery.probability(d) for d in LEVELS},
            {d: exposures[d][index] == 1 for d in LEVELS}, np.ones(8, dtype=bool),
        )  # fmt: skip
        share = {d: experiment.share(d) for d in ((1, 0), (0, 0))}
        estimate_ = float((share[1, 0] - share[0, 0]) @ y) / 8
        left = {d: y / 8 for d in share}
        found.append((c, estimate_, design_based._variance(experiment, left, (1, 0), (0, 0))))
    chances, values, variances = np.array(found).T
    assert chances @ values == pytest.approx(2.0)
    assert chances @ variances >= chances @ (values - 2.0) ** 2


def test_without_noise_the_regression_finds_the_effects() -> None:
    units, edges, _ = simulated(noise=0.0)
    given = problem(units, edges, "observational", covariates=["x"])
    found = {e: overall(network(given, e)).estimate for e in ESTIMANDS}
    assert found == pytest.approx({"DIRECT": 2.0, "INDIRECT": 1.0, "TOTAL": 3.0})


def test_regression_is_that_of_statsmodels() -> None:
    units, edges, tie = simulated(n=200)
    share = tie @ units["t"] / tie.sum(axis=1)
    x = sm.add_constant(np.column_stack([units["x"], share, units["t"]]))
    peer = sm.OLS(units["y"], x).fit(cov_type="cluster", cov_kwds={"groups": units["village"]}, use_t=True)
    given = problem(units, edges, "observational", "village", covariates=["x"], variance="CR1")
    for estimand, combination in (("DIRECT", [0, 0, 0, 1]), ("INDIRECT", [0, 0, 1, 0]), ("TOTAL", [0, 0, 1, 1])):
        row, want = overall(network(given, estimand)), peer.t_test(combination)
        assert row.estimate == pytest.approx(want.effect.item(), rel=1e-9)
        assert row.std_error == pytest.approx(want.sd.item(), rel=1e-9)
        assert (row.conf_low, row.conf_high) == pytest.approx(tuple(want.conf_int()[0]), rel=1e-8)
        assert (row.variance_estimator, row.n_clusters) == ("CR1", 25)


def test_components_are_clusters_where_they_are_enough() -> None:
    units, edges, _ = simulated(n=240)
    found = problem(units, edges, "observational", covariates=["x"])
    labels = graph_of(found).component
    assert len(np.unique(labels)) >= 30
    row = overall(network(found, "INDIRECT"))
    assert (row.variance_estimator, row.n_clusters) == ("CR2_by_component", len(np.unique(labels)))
    declared = problem({**units, "village": labels}, edges, "observational", "village", covariates=["x"])
    assert row.std_error == pytest.approx(overall(network(declared, "INDIRECT")).std_error)


def test_dependent_pairs_are_summed_where_components_are_few() -> None:
    units, edges, tie = simulated(n=80)
    given = problem(units, edges, "observational", covariates=["x"])
    row = overall(network(given, "INDIRECT"))
    assert row.variance_estimator == "network"
    share = tie @ units["t"] / tie.sum(axis=1)
    x = sm.add_constant(np.column_stack([units["x"], units["t"], share]))
    fit = sm.OLS(units["y"], x).fit()
    psi = (x @ np.linalg.inv(x.T @ x))[:, 3] * fit.resid
    near = ((tie + np.eye(80)) @ (tie + np.eye(80)).T > 0).astype(float)
    plain = fit.get_robustcov_results("HC1").bse[3] ** 2
    assert row.std_error**2 == pytest.approx(max(plain, psi @ near @ psi * 80 / 76), rel=1e-9)


def test_too_many_pairs_leave_hc1_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("estimators.interference.regression.MOST_PAIRS", 10)
    units, edges, _ = simulated(n=80)
    result = network(problem(units, edges, "observational", covariates=["x"]), "DIRECT")
    assert overall(result).variance_estimator == "HC1"
    assert diagnostic(result, "too_narrow_under_spillover", "HC1") == 1


@pytest.mark.parametrize(
    "own", [{}, {"method": "regression"}, {"randomisation": "complete", "variance": "conservative"}]
)
def test_order_of_rows_and_edges_does_not_matter(own: dict[str, Any]) -> None:
    units, edges, _ = simulated(n=80)
    rng = np.random.default_rng(5)
    order, other = rng.permutation(80), rng.permutation(len(edges["source"]))
    mixed = {k: v[order] for k, v in units.items()}, {k: v[other] for k, v in edges.items()}
    for estimand in ESTIMANDS:
        a = overall(network(problem(units, edges, **own), estimand))
        b = overall(network(problem(*mixed, **own), estimand))
        assert (a.estimate, a.std_error) == pytest.approx((b.estimate, b.std_error), rel=1e-10)


@pytest.mark.parametrize("own", [{}, {"method": "horvitz_thompson"}, {"method": "regression"}])
def test_scaling_the_outcome_scales_effect_and_error(own: dict[str, Any]) -> None:
    units, edges, _ = simulated(n=80)
    for estimand in ESTIMANDS:
        a = overall(network(problem(units, edges, **own), estimand))
        b = overall(network(problem({**units, "y": 100 * units["y"]}, edges, **own), estimand))
        assert (100 * a.estimate, 100 * a.std_error) == pytest.approx((b.estimate, b.std_error), rel=1e-9)


def test_hajek_does_not_move_with_the_origin_and_horvitz_thompson_does() -> None:
    units, edges, _ = simulated(n=80)
    moved = {**units, "y": units["y"] + 1000}
    for method, same in (("hajek", True), ("horvitz_thompson", False)):
        a, b = (overall(network(problem(u, edges, method=method), "DIRECT")).estimate for u in (units, moved))
        assert (a == pytest.approx(b, rel=1e-9)) == same


@pytest.mark.parametrize("method", ["hajek", "regression"])
def test_a_unit_of_weight_zero_is_a_neighbour_only(method: str) -> None:
    units, edges, _ = simulated(n=80)
    weight = np.ones(80)
    weight[::7] = 0
    wild = {**units, "w": weight, "y": np.where(weight == 0, 1e6, units["y"])}
    tame = {**wild, "y": units["y"]}
    a, b = (overall(network(problem(u, edges, weight="w", method=method), "INDIRECT")) for u in (wild, tame))
    assert a.estimate == pytest.approx(b.estimate, rel=1e-8)
    assert a.std_error == pytest.approx(b.std_error, rel=1e-6)
    assert a.n_units == int(weight.sum())


@pytest.mark.parametrize("gap", [False, True])
def test_exposures_count_neighbours_of_weight_zero(gap: bool) -> None:
    """Least squares by hand: shares treated over the whole network, and the rows of those who have a weight."""
    units, edges, tie = simulated(n=80)
    weight = np.random.default_rng(5).uniform(0.5, 2, 80)
    weight[::7] = 0
    y = np.where(weight == 0, np.nan, units["y"]) if gap else units["y"]
    share = tie @ units["t"] / tie.sum(axis=1)
    # every unit names somebody, so that the expected exposure is a constant
    x = np.column_stack([np.ones(80), share, units["t"]])
    rows = weight > 0
    fit = sm.WLS(units["y"][rows], x[rows], weight[rows]).fit()
    given = problem({**units, "y": y, "w": weight}, edges, weight="w", method="regression")
    for estimand, at in (("INDIRECT", 1), ("DIRECT", 2)):
        row = overall(network(given, estimand))
        assert row.estimate == pytest.approx(fit.params[at], rel=1e-9)
        assert (row.n_units, row.n_trimmed) == (rows.sum(), 0)


def test_a_row_of_weight_zero_that_has_no_place_is_nobody_s_neighbour() -> None:
    """Without a treatment, and of another's name: the same as without those rows, whose edges then lead out."""
    units, edges, _ = simulated(n=80)
    extra = {name: np.concatenate([values, values[:2]]) for name, values in units.items()}
    extra["t"] = np.r_[units["t"], np.nan, 1 - units["t"][1]]
    extra["unit_id"] = np.r_[units["unit_id"], 500, 1]
    weight = np.r_[np.ones(80), 0, 0]
    more = {end: np.r_[names, [500, 3] if end == "source" else [2, 500]] for end, names in edges.items()}
    given = problem({**extra, "w": weight}, more, weight="w")
    one = network(problem({**units, "w": np.ones(80)}, edges, weight="w"), "INDIRECT")
    assert overall(one).estimate == pytest.approx(overall(network(given, "INDIRECT")).estimate, rel=1e-12)
    assert graph_of(with_places(given)).outside == 2


def test_a_secondary_outcome_counts_neighbours_of_weight_zero_too() -> None:
    units, edges, _ = simulated(n=80)
    weight = np.ones(80)
    weight[::7] = 0
    block = {
        "question": "q", "design": "experiment", "outcome": "y", "treatment": "t", "edges": "names", "weight": "w",
        "secondary_outcomes": ["again"], "decision": {**DECISION, "primary": "network", "estimand": "INDIRECT"},
    }  # fmt: skip
    rows = estimate("s", block, {**units, "again": units["y"], "w": weight}, edges=edges).to_pylist()
    (first,) = [row for row in rows if row["is_primary"]]
    (second,) = [row for row in rows if row["outcome"] == "again"]
    assert first["status"] == "estimated", first["status_reason"]
    assert (first["estimate"], first["std_error"]) == (second["estimate"], second["std_error"])


def test_equal_weights_change_nothing() -> None:
    units, edges, _ = simulated(n=80)
    for method in ("hajek", "horvitz_thompson", "regression"):
        a = overall(network(problem(units, edges, method=method), "TOTAL"))
        b = overall(network(problem({**units, "w": np.full(80, 3.0)}, edges, method=method, weight="w"), "TOTAL"))
        assert (a.estimate, a.std_error) == pytest.approx((b.estimate, b.std_error), rel=1e-9)


def test_double_weight_is_two_copies_in_the_regression() -> None:
    """A copy is named by nobody and names the same neighbours."""
    units, edges, _ = simulated(n=80)
    twice = np.arange(80) % 3 == 0
    copies = {k: np.concatenate([v, v[twice]]) for k, v in units.items()}
    copies["unit_id"] = np.concatenate([units["unit_id"], 1000 + units["unit_id"][twice]])
    named = np.isin(edges["source"], units["unit_id"][twice])
    more = {
        "source": np.concatenate([edges["source"], 1000 + edges["source"][named]]),
        "target": np.concatenate([edges["target"], edges["target"][named]]),
    }
    weighted = {**units, "w": np.where(twice, 2.0, 1.0)}
    for estimand in ESTIMANDS:
        a = overall(network(problem(weighted, edges, "observational", weight="w", covariates=["x"]), estimand))
        b = overall(network(problem(copies, more, "observational", covariates=["x"]), estimand))
        assert a.estimate == pytest.approx(b.estimate, rel=1e-9)


def test_edges_are_cleaned_and_counted() -> None:
    units, edges, _ = simulated(n=40)
    given = len(edges["source"])
    repeats = given - len(set(zip(edges["source"].tolist(), edges["target"].tolist(), strict=True)))
    dirty = {
        "source": [*map(str, edges["source"]), "0", "0", str(edges["source"][0])],
        "target": [*map(str, edges["target"]), "0", "nobody", str(edges["target"][0])],
    }
    clean, found = (network(problem(units, e), "DIRECT") for e in (edges, dirty))
    assert overall(found).estimate == pytest.approx(overall(clean).estimate)
    told = {s: diagnostic(found, "edges", s) for s in ("given", "used", "outside", "self_loops", "repeats")}
    assert told == {
        "given": given + 3, "used": given - repeats, "outside": 1, "self_loops": 1, "repeats": repeats + 1,
    }  # fmt: skip


def test_direction_matters_unless_it_is_said_not_to() -> None:
    units, edges, _ = simulated(n=80)
    turned = {"source": edges["target"], "target": edges["source"]}
    one, two = (overall(network(problem(units, e, method="regression"), "INDIRECT")).estimate for e in (edges, turned))
    assert one != pytest.approx(two, abs=1e-6)
    one, two = (
        overall(network(problem(units, e, method="regression", undirected=True), "INDIRECT")).estimate
        for e in (edges, turned)
    )
    assert one == pytest.approx(two)


def test_isolated_units_are_out_of_the_design_and_in_the_regression() -> None:
    units, edges, _ = simulated(n=80)
    lonely = {"source": edges["source"][edges["source"] > 9], "target": edges["target"][edges["source"] > 9]}
    by_design = network(problem(units, lonely), "DIRECT")
    assert overall(by_design).n_trimmed == 10
    assert diagnostic(by_design, "isolated_units") == 10
    assert diagnostic(by_design, "share_without_support") == 10 / 80
    assert overall(network(problem(units, lonely, method="regression"), "DIRECT")).n_units == 80


def test_any_neighbour_is_not_confounded_by_the_number_of_neighbours() -> None:
    """The outcome rises with the number named, and nothing spills over; who names more has a treated one more often."""
    rng = np.random.default_rng(3)
    n = 3000
    source = np.repeat(np.arange(n), rng.integers(1, 8, n))
    target = (source + rng.integers(1, 60, len(source))) % n
    t = (rng.random(n) < 0.3).astype(float)
    degree = np.bincount(np.unique(source * n + target) // n, minlength=n)
    units = {"unit_id": np.arange(n), "t": t, "y": degree + 0.5 * t + rng.normal(size=n)}
    given = problem(units, {"source": source, "target": target}, method="regression", mapping="any")
    row = overall(network(given, "INDIRECT"))
    assert abs(row.estimate) < 4 * row.std_error < 0.6
    tie = np.zeros((n, n), dtype=np.int8)
    tie[source, target] = 1
    exposed = (tie @ t) > 0
    naive = units["y"][exposed].mean() - units["y"][~exposed].mean()
    assert naive > 1


@pytest.mark.parametrize(
    ("change", "own", "word", "status"),
    [
        ({"edges": None}, {}, r"Pass edges=dbt.ref\('names'\)", "refused"),
        ({"edges": {"source": [], "target": []}}, {}, "no rows", "refused"),
        ({"edges": {"source": [0, 1, 2], "target": ["a", "b", "1"]}}, {}, "2 of 3 edges", "refused"),
        ({}, {"method": "hajek", "design": "observational"}, "needs a randomised treatment", "refused"),
        ({}, {"randomisation": "cluster"}, "Declare the role 'cluster'", "refused"),
        ({}, {"randomisation": "cluster", "cluster": "village"}, "hold treated and untreated", "refused"),
        ({"by_village": True}, {"randomisation": "complete", "cluster": "village"}, "never varies inside", "refused"),
        ({}, {"least_probability": 0.9}, "no unit has every exposure", "not_identified"),
        ({"edges": {"source": [0, 1], "target": [1, 0]}}, {}, "supported units were seen", "refused"),
        ({"by_village": True}, {"method": "regression"}, "cannot be told", "not_identified"),
    ],
)
def test_refusals(change: dict[str, Any], own: dict[str, Any], word: str, status: str) -> None:
    units, edges, _ = simulated()
    if change.get("by_village"):
        units = {**units, "t": np.isin(units["village"], (0, 2)).astype(float)}
    with pytest.raises(Refusal, match=word) as refused:
        network(problem(units, change.get("edges", edges), **own), "DIRECT")
    assert refused.value.status == status


def test_where_all_neighbours_go_together_only_the_total_is_identified() -> None:
    units, edges, _ = simulated(n=240)
    units["t"] = (units["village"] % 2).astype(float)
    given = problem(units, edges, "observational", covariates=["x"])
    for estimand in ("DIRECT", "INDIRECT"):
        with pytest.raises(Refusal) as refused:
            network(given, estimand)
        assert refused.value.status == "not_identified"
    result = network(given, "TOTAL")
    peer = sm.OLS(units["y"], sm.add_constant(np.column_stack([units["x"], units["t"]]))).fit()
    assert overall(result).estimate == pytest.approx(peer.params[2])
    assert result.curves, "what is of the network comes with the first estimand that stands"


def test_no_treated_neighbour_leaves_the_direct_effect() -> None:
    units, edges, _ = simulated()
    nobody = {k: v[units["t"][edges["target"]] == 0] for k, v in edges.items()}
    given = problem(units, nobody, "observational", covariates=["x"])
    assert overall(network(given, "DIRECT")).estimate is not None
    with pytest.raises(Refusal, match="no spillover to see"):
        network(given, "INDIRECT")


def test_curves_carry_what_the_pictures_draw() -> None:
    units, edges, tie = simulated(n=80)
    given = problem(units, edges, method="regression")
    direct, indirect = network(given, "DIRECT"), network(given, "INDIRECT")
    assert not indirect.curves
    treated = tie @ units["t"]
    points = {(p.series, p.x): p for p in direct.curves if p.curve == "outcome_by_treated_neighbours"}
    inside = (units["t"] == 0) & (treated == 1)
    assert points["untreated", 1.0].y == pytest.approx(units["y"][inside].mean())
    histogram = {p.x: p.y for p in direct.curves if p.curve == "degree_histogram"}
    assert histogram == {
        float(k): float(c) for k, c in zip(*np.unique(tie.sum(axis=1), return_counts=True), strict=True)
    }
    nodes = {p.x_label: p for p in direct.curves if p.curve == "network_nodes"}
    ends = [p for p in direct.curves if p.curve == "network_edges"]
    assert {p.x_label for p in ends} <= set(nodes)
    assert all(0 <= p.x <= 1 and 0 <= p.y <= 1 for p in nodes.values())
    spill = overall(indirect).estimate
    for point in (p for p in direct.curves if p.curve == "network_edge_spillover"):
        source, target = map(int, point.series.split(" -> "))
        assert point.y == pytest.approx(spill * units["t"][target] / tie[source].sum())


def test_it_runs_from_the_study_and_its_row_is_primary() -> None:
    units, edges, _ = simulated(n=80)
    block = {
        "question": "q", "design": "network", "outcome": "y", "treatment": "t", "covariates": ["x"], "edges": "names",
        "decision": {**DECISION, "primary": "network", "estimand": "TOTAL"},
    }  # fmt: skip
    rows = [r for r in estimate("s", block, units, edges=edges).to_pylist() if r["estimator"] == "network"]
    assert [r["estimand"] for r in rows] == list(AGAINST_NONE)
    assert {r["status"] for r in rows} == {"estimated"}
    assert [r["estimand"] for r in rows if r["is_primary"]] == ["TOTAL"]
    assert json.loads(rows[0]["curves"])
    without = [r for r in estimate("s", block, units).to_pylist() if r["estimator"] == "network"]
    assert all(r["status"] == "refused" and "edges=dbt.ref('names')" in r["status_reason"] for r in without)
