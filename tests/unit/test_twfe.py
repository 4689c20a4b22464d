"""Two-way fixed effects: by hand, the decomposition's identities, gaps, weights, cross-sections, refusals."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support import DECISION, overall, run, shuffled

from estimators import estimate
from estimators.errors import Refusal, StudyError
from estimators.panel.bacon import ALWAYS, EARLIER, LATER, NEVER, decompose, negative_weights
from estimators.panel.within import Within
from estimators.study import Study

BLOCK: dict[str, Any] = {
    "question": "q", "design": "panel", "outcome": "y", "time": "t", "cohort": "g", "never": 0,
    "decision": {**DECISION, "primary": "twfe", "estimand": "ATT"},
}  # fmt: skip
BY_TREATMENT = {k: v for k, v in BLOCK.items() if k != "cohort"} | {"treatment": "d"}


def staggered(n: int = 60, seed: int = 5, cohorts: tuple[float, ...] = (0, 3, 5), growing: float = 0.5) -> pa.Table:
    """Six periods; effects of one, growing since treatment; a covariate that moves, weights, and clusters of three."""
    rng = np.random.default_rng(seed)
    g = np.array([cohorts[i % len(cohorts)] for i in range(n)], dtype=float)
    t = np.arange(1.0, 7)
    d = (g[:, None] > 0) & (t >= g[:, None])
    x = rng.normal(size=(n, 6))
    since = np.where(d, 1 + growing * (t - g[:, None]), 0)
    y = rng.normal(size=(n, 1)) + 0.3 * t + since + 0.4 * x + rng.normal(size=(n, 6))
    columns = {
        "unit_id": np.repeat(np.arange(n), 6), "t": np.tile(t, n), "g": np.repeat(g, 6), "y": y.ravel(),
        "d": d.ravel().astype(float), "x": x.ravel(), "fixed": np.repeat(x[:, 0], 6),
        "w": np.repeat(rng.integers(1, 4, n), 6).astype(float), "c": np.repeat(np.arange(n) // 3, 6),
    }  # fmt: skip
    return pa.table(columns)


def by_dummies(table: pa.Table, covariates: tuple[str, ...] = (), weight: str | None = None) -> float:
    """The coefficient from a column a unit and a column a period."""
    of = {name: table[name].to_numpy() for name in table.column_names}
    unit = np.unique(of["unit_id"], return_inverse=True)[1]
    period = np.unique(of["t"], return_inverse=True)[1]
    levels = [np.eye(unit.max() + 1)[unit], np.eye(period.max() + 1)[period][:, 1:]]
    design = np.column_stack([of["d"], *(of[name] for name in covariates), *levels])
    root = np.sqrt(of[weight]) if weight else np.ones(len(unit))
    return float(np.linalg.lstsq(design * root[:, None], of["y"] * root, rcond=None)[0][0])


def told(result: Any, metric: str) -> dict[str, Any]:
    return {d.subject: d.value for d in result.diagnostics if d.metric == metric}


def test_two_by_two_by_hand() -> None:
    """Five treated units change by 3, 3, 5, 5, 4 and five others by 1, 1, 2, 2, 1."""
    changes = [3, 3, 5, 5, 4, 1, 1, 2, 2, 1]
    y = [level for change in changes for level in (7.0, 7.0 + change)]
    units = {"unit_id": np.repeat(np.arange(10), 2), "t": np.tile([1, 2], 10), "g": np.repeat([2.0, 0.0], 10), "y": y}
    result = run(BLOCK, pa.table(units), "twfe", "ATT")
    row = overall(result)
    assert row.estimate == pytest.approx(4 - 1.4, rel=1e-12)
    # Scores a unit are ±(change − mean) / 4 and Σ d̃² is 2.5; K counts the coefficient and two periods.
    spread = np.sum((np.array(changes[:5]) - 4.0) ** 2) + np.sum((np.array(changes[5:]) - 1.4) ** 2)
    factor = 10 / 9 * 19 / 17
    plain = overall(run({**BLOCK, "options": {"twfe": {"variance": "CR1"}}}, pa.table(units), "twfe", "ATT"))
    assert plain.std_error == pytest.approx(np.sqrt(factor * spread / 16) / 2.5 * 2, rel=1e-12)
    assert (plain.variance_estimator, plain.degrees_of_freedom) == ("CR1", 9)
    # CR2 is Neyman's variance of the mean changes, with the degrees of freedom of 5 and 5.
    assert row.std_error == pytest.approx(np.sqrt(spread / 4 / 5), rel=1e-12)
    assert row.degrees_of_freedom == pytest.approx(8, rel=1e-12)
    assert (row.n_units, row.n_treated, row.variance_estimator) == (10, 5, "CR2")
    assert told(result, "bacon_weight") == {NEVER: pytest.approx(1)}
    assert told(result, "bacon_forbidden_share") == {"overall": 0}
    assert told(result, "negative_weight_share") == {"treated_rows": 0}


@pytest.mark.parametrize("covariates", [(), ("x",), ("x", "fixed")])
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("weight", [None, "w"])
def test_the_coefficient_is_that_of_dummies(covariates: tuple[str, ...], gaps: bool, weight: str | None) -> None:
    units = staggered()
    if gaps:
        units = units.filter(pa.array((np.arange(units.num_rows) * 7919) % 10 < 8))
    more = {"weight": weight} if weight else {}
    row = overall(run({**BLOCK, **more, "covariates": list(covariates)}, units, "twfe", "ATT"))
    # A covariate that never moves is absorbed by the units.
    assert row.estimate == pytest.approx(by_dummies(units, covariates[:1], weight), rel=1e-9)
    assert row.n_trimmed == 0


def test_a_treatment_column_gives_the_same() -> None:
    units = staggered()
    first, second = (overall(run(b, units, "twfe", "ATT")) for b in (BLOCK, BY_TREATMENT))
    assert first == second


@pytest.mark.parametrize("cohorts", [(0, 3, 5), (0, 2, 4, 6), (2, 4, 6), (0, 1, 3, 5), (1, 4, 9)])
def test_the_decomposition_adds_up(cohorts: tuple[float, ...]) -> None:
    result = run(BLOCK, staggered(cohorts=cohorts), "twfe", "ATT")
    points = result.curves
    assert all(p.curve == "bacon_decomposition" and p.x > 0 for p in points)
    assert sum(p.x for p in points) == pytest.approx(1, rel=1e-12)
    assert sum(p.x * p.y for p in points) == pytest.approx(overall(result).estimate, rel=1e-10)
    weights, estimates = told(result, "bacon_weight"), told(result, "bacon_estimate")
    assert sum(weights[k] * estimates[k] for k in weights) == pytest.approx(overall(result).estimate, rel=1e-10)
    forbidden = weights.get(EARLIER, 0) + weights.get(ALWAYS, 0)
    assert told(result, "bacon_forbidden_share")["overall"] == pytest.approx(forbidden)
    assert (ALWAYS in weights) == (1 in cohorts)
    assert (NEVER in weights) == (0 in cohorts or 9 in cohorts)


def test_weights_of_the_decomposition_by_hand() -> None:
    """Three equal cohorts in three periods: starts in 2, in 3, never. V of the double-demeaned treatment is 2/27."""
    treated = np.array([[0, 1, 1], [0, 0, 1], [0, 0, 0]], dtype=float)
    y = np.array([[0, 2, 5], [1, 1, 4], [0, 1, 1]], dtype=float)
    pairs = {(p.kind, p.name): (p.weight, p.estimate) for p in decompose(y, treated, np.array([1.0, 2.0, 3.0]))}
    v = 2 / 27
    left = treated - treated.mean(1, keepdims=True) - treated.mean(0) + treated.mean()
    assert float(left.var()) == pytest.approx(v)
    expected = {
        (NEVER, "2 v never"): (2 / 9, (2 + 5) / 2 - 0 - (1 - 0)),
        (NEVER, "3 v never"): (2 / 9, (4 - 1) - (1 - 0.5)),
        (LATER, "2 v 3"): (1 / 9, (2 - 0) - (1 - 1)),
        (EARLIER, "3 v 2"): (1 / 9, (4 - 1) - (5 - 2)),
    }
    assert set(pairs) == set(expected)
    for key, (weight, effect) in expected.items():
        assert pairs[key] == (pytest.approx(weight / 9 / v), pytest.approx(effect)), key


def test_negative_weights_by_hand() -> None:
    """The same design: of the three treated rows, cohort 2 in period 3 has what is left 1 − 2/3 − 2/3 + 1/3 = 0."""
    treated = np.array([[0, 1, 1], [0, 0, 1], [0, 0, 0]], dtype=float)
    left = treated - treated.mean(1, keepdims=True) - treated.mean(0) + treated.mean()
    w = np.ones(9)
    found = negative_weights(left.ravel(), treated.ravel(), w, 2.0)
    # ε of the treated rows: 1 − 2/3 − 1/3 + 1/3 = 1/3, 0, and 1 − 1/3 − 2/3 + 1/3 = 1/3: weights 1/2, 0, 1/2.
    assert (found.share, found.total) == (0, 0)
    assert found.least_spread == pytest.approx(2.0 / np.sqrt(((1.5 - 1) ** 2 * 2 + 1) / 3))
    # Without the never treated, the early cohort's last period counts against itself.
    fewer = treated[:2]
    left = fewer - fewer.mean(1, keepdims=True) - fewer.mean(0) + fewer.mean()
    found = negative_weights(left.ravel(), fewer.ravel(), w[:6], 1.0)
    assert found.share == pytest.approx(1 / 3)
    assert found.total == pytest.approx(-0.5)


def test_homogeneous_effects_are_found_and_growing_ones_are_not() -> None:
    even = overall(run(BLOCK, staggered(3000, growing=0), "twfe", "ATT"))
    assert abs(even.estimate - 1) < 4 * even.std_error
    late = staggered(3000, cohorts=(2, 4), growing=1.0)
    treated = late["d"].to_numpy() == 1
    average = np.mean(1 + late["t"].to_numpy()[treated] - late["g"].to_numpy()[treated])
    result = run(BLOCK, late, "twfe", "ATT")
    assert overall(result).estimate < average - 1
    assert told(result, "bacon_forbidden_share")["overall"] > 0.3
    assert told(result, "negative_weight_share")["treated_rows"] > 0.2


@pytest.mark.parametrize("cluster", [None, "c"])
def test_nothing_depends_on_order_unit_of_measurement_or_level(cluster: str | None) -> None:
    block = {**BLOCK, **({"cluster": cluster} if cluster else {})}
    units = staggered()
    first = overall(run(block, units, "twfe", "ATT"))
    again = overall(run(block, shuffled(units), "twfe", "ATT"))
    scaled = units.set_column(3, "y", pa.array(units["y"].to_numpy() * 1e6 + 1e9))
    large = overall(run(block, scaled, "twfe", "ATT"))
    for name in ("estimate", "std_error"):
        assert getattr(again, name) == pytest.approx(getattr(first, name), rel=1e-11)
        assert getattr(large, name) == pytest.approx(1e6 * getattr(first, name), rel=1e-8)
    assert first.variance_estimator == "CR2"
    assert first.degrees_of_freedom is not None
    assert first.degrees_of_freedom < (59 if cluster is None else 19 + 1e-9)


def test_copies_of_units_are_weights() -> None:
    units = staggered()
    w = units["w"].to_numpy().astype(int)
    copy = np.concatenate([np.arange(k) for k in w])
    copied = units.take(np.repeat(np.arange(len(w)), w))
    label = pa.array([f"{u}-{k}" for u, k in zip(copied["unit_id"].to_pylist(), copy, strict=True)])
    more = overall(run(BLOCK, copied.set_column(0, "unit_id", label), "twfe", "ATT"))
    weighted = overall(run({**BLOCK, "weight": "w"}, units, "twfe", "ATT"))
    assert weighted.estimate == pytest.approx(more.estimate, rel=1e-11)
    # The same rows of weight 5 everywhere are the rows themselves.
    heavy = units.append_column("five", pa.array(np.full(units.num_rows, 5.0)))
    assert overall(run({**BLOCK, "weight": "five"}, heavy, "twfe", "ATT")).std_error == pytest.approx(
        overall(run(BLOCK, units, "twfe", "ATT")).std_error, rel=1e-11
    )


def test_units_seen_once_tell_nothing_and_are_counted() -> None:
    units = staggered()
    rows = np.flatnonzero((units["unit_id"].to_numpy() > 2) | (units["t"].to_numpy() == 4))
    row = overall(run(BLOCK, units.take(rows), "twfe", "ATT"))
    whole = overall(run(BLOCK, units.filter(pa.compute.field("unit_id") > 2), "twfe", "ATT"))
    assert row.n_trimmed == 3
    assert dataclasses.replace(row, n_trimmed=0) == whole


def test_no_decomposition_where_it_does_not_hold() -> None:
    units = staggered()
    cut = units.filter(pa.array(np.arange(units.num_rows) != 8))
    switching = units.set_column(4, "d", pa.array(np.where(units["t"].to_numpy() == 6, 0, units["d"].to_numpy())))
    for block, table in (
        (BLOCK, cut), ({**BLOCK, "weight": "w"}, units), ({**BLOCK, "covariates": ["x"]}, units),
        (BY_TREATMENT, switching),
    ):  # fmt: skip
        result = run(block, table, "twfe", "ATT")
        assert not result.curves
        assert told(result, "bacon_forbidden_share") == {"overall": None}
        assert told(result, "negative_weight_sum")["overall"] is not None


def test_a_dose_has_no_such_diagnostics() -> None:
    units = staggered()
    dosed = units.set_column(4, "d", pa.array(units["d"].to_numpy() * (1 + units["x"].to_numpy())))
    result = run(BY_TREATMENT, dosed, "twfe", "ATT")
    assert overall(result).estimate == pytest.approx(by_dummies(dosed), rel=1e-9)
    assert overall(result).contrast == "+1"
    assert {d.metric for d in result.diagnostics} == {"bacon_forbidden_share"}


def test_within_leaves_what_dummies_leave() -> None:
    rng = np.random.default_rng(0)
    # Two islands of units and periods: the levels have one direction less to be told apart.
    group, period = np.array([0, 0, 1, 1, 1, 2, 2, 3, 3]), np.array([0, 1, 0, 1, 1, 2, 3, 2, 3])
    w, v = rng.random(9) + 0.5, rng.normal(size=9)
    design = np.column_stack([np.eye(4)[group], np.eye(4)[period]]) * np.sqrt(w)[:, None]
    fitted = design @ np.linalg.pinv(design) @ (np.sqrt(w) * v) / np.sqrt(w)
    within = Within.of(group, period, w)
    np.testing.assert_allclose(within.residual(v), v - fitted, atol=1e-13)
    assert within.rank == np.linalg.matrix_rank(design) == 6


def with_column(name: str, values: Any) -> pa.Table:
    units = staggered()
    return units.set_column(units.column_names.index(name), name, pa.array(values))


UNITS = staggered()
CR1 = {"options": {"twfe": {"variance": "CR1"}}}
REFUSED: dict[str, tuple[dict[str, Any], Any, str, str]] = {
    "a cohort that changes": (
        BLOCK, with_column("g", UNITS["t"].to_numpy() % 2), "refused", "'g' changes within unit 0"
    ),
    "all at once": (BLOCK, staggered(cohorts=(3,)), "not_identified", "does not vary"),
    "few treated": ({**BLOCK, **CR1}, staggered(40, cohorts=(3, *[0] * 9)), "not_identified", "4 of 40 clusters"),
    "few clusters": ({**BLOCK, **CR1, "cluster": "c"}, staggered(24), "not_identified", "of 8 clusters"),
    "one treated": (BLOCK, staggered(40, cohorts=(3, *[0] * 39)), "not_identified", "1 of 40 clusters"),
    "a cluster that changes": (
        {**BLOCK, "cluster": "c"}, with_column("c", np.arange(UNITS.num_rows)), "refused", "'c' changes within unit 0"
    ),
    "covariates that explain": (
        {**BLOCK, "covariates": ["x"]}, with_column("x", UNITS["d"].to_numpy()), "not_identified", "covariates explain"
    ),
    "cross-sections without cohort": (
        BY_TREATMENT, with_column("unit_id", np.arange(UNITS.num_rows)), "refused", "no unit is seen twice"
    ),
    "a constant outcome": (BLOCK, with_column("y", np.ones(UNITS.num_rows)), "refused", "outcome 'y' is 1"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case: str) -> None:
    block, units, status, words = REFUSED[case]
    with pytest.raises(Refusal, match=words) as refused:
        run(block, units, "twfe", "ATT")
    assert refused.value.status == status
    assert refused.value.mend


def test_cr2_is_that_of_all_columns() -> None:
    """Whole matrices with a column a unit and a period; units lie in clusters, weights and gaps in the panel."""
    from cluster_support import brute

    units = {name: UNITS[name].to_numpy() for name in UNITS.column_names}
    rng = np.random.default_rng(4)
    n = UNITS.num_rows
    units |= {"x": rng.normal(size=n), "w": rng.uniform(0.5, 2, n)}
    keep = rng.random(n) > 0.2
    keep &= np.bincount(units["unit_id"][keep], minlength=int(units["unit_id"].max()) + 1)[units["unit_id"]] > 1
    units = {name: column[keep] for name, column in units.items()}
    unit, period = (np.unique(units[name], return_inverse=True)[1] for name in ("unit_id", "t"))
    d = (units["g"] > 0) & (units["t"] >= units["g"])
    levels = np.column_stack([np.eye(unit.max() + 1)[unit][:, 1:], np.eye(period.max() + 1)[period][:, 1:]])
    for cluster in ("c", None):
        block = {**BLOCK, "covariates": ["x"], "weight": "w", **({"cluster": cluster} if cluster else {})}
        row = overall(run(block, pa.table(units), "twfe", "ATT"))
        design, labels = np.column_stack([d, units["x"], levels]), unit if cluster is None else units["c"]
        vcov, df = brute(units["y"], design, units["w"], labels)
        assert row.std_error == pytest.approx(np.sqrt(vcov[1, 1]), rel=1e-7)
        assert row.degrees_of_freedom == pytest.approx(df[1], rel=1e-6)


def test_a_text_cohort_breaks_a_contract() -> None:
    with pytest.raises(StudyError, match="cohort 'g' holds text"):
        run(BLOCK, with_column("g", ["a"] * UNITS.num_rows), "twfe", "ATT")


def test_it_runs_where_a_cohort_or_a_treatment_is_declared() -> None:
    neither = {k: v for k, v in BLOCK.items() if k != "cohort"}
    with pytest.raises(StudyError, match="twfe needs one of several roles"):
        Study.declare("s", neither)
    alone = {**neither, "decision": {**DECISION, "primary": "its", "estimand": "ATT"}, "intervention_time": 4}
    names = {row["estimator"] for row in estimate("s", alone, staggered(1)).to_pylist()}
    assert "twfe" not in names
    rows = [r for r in estimate("s", BLOCK, UNITS).to_pylist() if r["estimator"] == "twfe"]
    assert [r["status"] for r in rows] == ["estimated"]
    assert rows[0]["is_primary"]


def test_repeated_cross_sections_have_levels_of_cohorts() -> None:
    """With one cohort and two periods the coefficient is the 2x2 of means, its variance that of four means (HC1)."""
    rng = np.random.default_rng(1)
    near, late = rng.integers(0, 2, 200), rng.integers(0, 2, 200)
    y = 5 + near - 2 * late + 3 * near * late + rng.normal(size=200) * (1 + near)
    units = pa.table({"unit_id": np.arange(200), "t": 1978.0 + 3 * late, "g": 1981.0 * near, "y": y})
    result = run(BLOCK, units, "twfe", "ATT")
    cells = {(a, b): y[(near == a) & (late == b)] for a in (0, 1) for b in (0, 1)}
    mean = {k: v.mean() for k, v in cells.items()}
    row = overall(result)
    assert row.estimate == pytest.approx(mean[1, 1] - mean[1, 0] - mean[0, 1] + mean[0, 0], rel=1e-12)
    variance = sum(v.var() / len(v) for v in cells.values()) * 200 / 196
    assert row.std_error == pytest.approx(np.sqrt(variance), rel=1e-12)
    assert (row.variance_estimator, row.n_units, row.degrees_of_freedom) == ("HC1", 200, 196)
    assert row.n_treated == len(cells[1, 1])
    assert told(result, "negative_weight_share") == {"treated_rows": 0}
