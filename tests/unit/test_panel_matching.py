from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import DECISION, overall, run

from estimators import estimate
from estimators.assemble import assemble
from estimators.errors import Refusal
from estimators.panel.panel_matching import Sums, bootstrap, standard_error
from estimators.study import Study

COPIES = 5


def block(**options: Any) -> dict[str, Any]:
    own = {"lags": 2, "leads": 1, "refinement": "none", "bootstrap": 50, **options}
    return {
        "question": "q", "design": "panel", "outcome": "y", "unit": "i", "time": "year", "treatment": "t",
        "decision": {**DECISION, "primary": "panel_matching", "estimand": "ATT"}, "options": {"panel_matching": own},
    }  # fmt: skip


def panel(rows: list[tuple[str, list[float]]], copies: int = COPIES) -> dict[str, Any]:
    """Each row is a unit, there `copies` times: its treatments as 0s and 1s (a dot: no row) and its outcomes."""
    out: dict[str, list[Any]] = {"i": [], "year": [], "t": [], "y": []}
    for place, (treatments, outcomes) in enumerate(rows * copies):
        for year, (t, y) in enumerate(zip(treatments, outcomes, strict=True)):
            if t != ".":
                for name, value in (("i", place), ("year", 2000 + year), ("t", float(t)), ("y", float(y))):
                    out[name].append(value)
    return {name: np.array(values) for name, values in out.items()}


HAND = [
    ("0010", [1, 2, 7, 9]),  # starts in 2002: +5 and +7 since 2001
    ("0000", [0, 1, 2, 4]),  # +1, +3
    ("0001", [5, 5, 8, 6]),  # untreated in 2002, so a control there: +3, +1; starts too late for a lead
    ("1000", [9, 9, 0, 0]),  # another history
    ("1001", [9, 9, 0, 0]),
]


def simulated(n: int = 120, seed: int = 3) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    t = np.zeros((n, 7))
    for year in range(2, 7):
        t[:, year] = np.where(t[:, year - 1] == 1, 1, rng.random(n) < 0.15 * np.exp(0.4 * x))
    y = rng.normal(size=(n, 1)) + 0.3 * x[:, None] * np.arange(7) + 2 * t + rng.normal(size=(n, 7))
    drawn = {"i": np.repeat(np.arange(n), 7), "year": np.tile(np.arange(7), n), "t": t.ravel(), "y": y.ravel()}
    return {**drawn, "x": np.repeat(x, 7), "z": rng.normal(size=7 * n)}


def diagnostics(result: Any, metric: str) -> dict[str, Any]:
    return {d.subject: d.value for d in result.diagnostics if d.metric == metric}


def test_effects_by_hand() -> None:
    result = run(block(), panel(HAND), "panel_matching", "ATT")
    assert overall(result, "lead=0").estimate == pytest.approx(5 - (1 + 3) / 2)
    assert overall(result, "lead=1").estimate == pytest.approx(7 - (3 + 1) / 2)
    assert overall(result).estimate == pytest.approx(4.0)
    assert overall(result).n_treated == COPIES
    assert overall(result).n_units == 3 * COPIES
    assert diagnostics(result, "set_size")["median"] == 2 * COPIES


def test_starts_are_counted_and_units_that_change_are_left_out_where_asked() -> None:
    result = run(block(), panel(HAND), "panel_matching", "ATT")
    told = diagnostics(result, "starts")
    # 0001 and 1001 start in the last year: there is no outcome at lead 1.
    assert told == {"found": 3 * COPIES, "with_set": COPIES, "empty": 0, "incomplete": 2 * COPIES}
    steady = [("0011", [1, 2, 7, 9]), *HAND[1:]]
    result = run(block(stay=True), panel(steady), "panel_matching", "ATT")
    assert overall(result, "lead=0").estimate == pytest.approx(5 - 1)
    with pytest.raises(Refusal, match="none of 15 starts"):
        run(block(stay=True), panel(HAND), "panel_matching", "ATT")


def test_a_missing_treatment_equals_only_another_one_or_nothing() -> None:
    gap = [(".010", [1, 2, 7, 9]), (".000", [0, 1, 2, 4]), ("0000", [0, 1, 9, 9])]
    result = run(block(), panel(gap), "panel_matching", "ATT")
    assert overall(result, "lead=0").estimate == pytest.approx(5 - 1)
    with pytest.raises(Refusal, match="none of 5 starts"):
        run(block(match_missing=False), panel(gap), "panel_matching", "ATT")


def test_a_control_without_an_outcome_at_a_lead_is_left_out() -> None:
    gap = [*HAND[:2], ("000.", [0, 1, 50, 0])]
    result = run(block(), panel(gap), "panel_matching", "ATT")
    assert overall(result, "lead=0").estimate == pytest.approx(5 - 1)


def test_standard_errors_by_hand() -> None:
    sums = Sums(np.array([[4.0], [6.0], [-1.0], [-1.0]]), np.array([1.0, 1.0, 0.0, 0.0]))
    share, total = np.ones(1), 2.0
    gains = np.array([4.0, 6.0, -1.0, -1.0])
    assert standard_error(sums, share, "conditional", None) == pytest.approx(np.sqrt(4 * gains.var(ddof=1)) / total)
    left = gains - 4.0 * np.array([1, 1, 0, 0])
    assert standard_error(sums, share, "unconditional", None) == pytest.approx(np.sqrt(4 * left.var(ddof=1)) / total)
    many = Sums(np.tile(sums.gains, (50, 1)), np.tile(sums.starts, 50))
    draws = bootstrap(many, 2000, 1)
    assert draws.std() == pytest.approx(standard_error(many, share, "unconditional", None), rel=0.06)


def test_clusters_of_copies_are_as_large_as_the_copies_say() -> None:
    data = simulated()
    twice = {name: np.concatenate([values, values]) for name, values in data.items()}
    twice["g"] = twice["i"].copy()
    twice["i"] = np.concatenate([data["i"], data["i"] + 1000])
    one = run(block(variance="unconditional"), data, "panel_matching", "ATT")
    two = run({**block(variance="unconditional"), "cluster": "g"}, twice, "panel_matching", "ATT")
    assert overall(two).estimate == pytest.approx(overall(one).estimate)
    assert overall(two).std_error == pytest.approx(overall(one).std_error)
    assert overall(two).n_clusters == len(np.unique(data["i"]))


@pytest.mark.parametrize("refinement", ["mahalanobis", "ps_match", "ps_weight"])
def test_refinement_balances_and_neither_order_nor_units_of_measurement_matter(refinement: str) -> None:
    data = simulated()
    declared = {**block(refinement=refinement, matches=3), "covariates": ["x"]}
    first = run(declared, data, "panel_matching", "ATT")
    before, after = (diagnostics(first, name)["x:lag=1"] for name in ("lag_smd_unmatched", "lag_smd"))
    assert abs(after) < abs(before) / 2
    order = np.random.default_rng(0).permutation(len(data["y"]))
    mixed = {name: values[order] for name, values in data.items()}
    other = run(declared, {**mixed, "y": 10 * mixed["y"], "x": 5 * mixed["x"] + 3}, "panel_matching", "ATT")
    for a, b in zip(first.estimates, other.estimates, strict=True):
        assert b.estimate == pytest.approx(10 * a.estimate, rel=1e-6)
        assert b.std_error == pytest.approx(10 * a.std_error, rel=1e-6)
    assert overall(first).conf_low < 2 < overall(first).conf_high


def test_the_nearest_control_is_the_one_with_the_covariate() -> None:
    data = panel(HAND[:3])
    data["x"] = np.where(data["i"] % 3 == 1, 4.0, 0.0) + 3.9 * (data["i"] % 3 == 0)
    near = run({**block(refinement="mahalanobis", matches=1), "covariates": ["x"]}, data, "panel_matching", "ATT")
    # All copies of the unit with x = 4 are equally near: the tie keeps them all.
    assert overall(near, "lead=0").estimate == pytest.approx(5 - 1)
    assert diagnostics(near, "controls_used")["mean"] == COPIES


def test_full_and_diagonal_covariance_agree_on_one_covariate_of_one_lag() -> None:
    data = simulated()
    a, b = (
        run(
            {**block(refinement="mahalanobis", covariance=kind, lags=1), "covariates": ["z"]},
            data,
            "panel_matching",
            "ATT",
        )
        for kind in ("full", "diagonal")
    )
    assert overall(a).estimate == pytest.approx(overall(b).estimate)


def test_a_missing_covariate_becomes_an_indicator_or_leaves_the_unit_out() -> None:
    from estimators.panel.matched_sets import MatchedSet, Wide
    from estimators.panel.refinement import Refinement, refine

    x = np.array([[0.0, 0, 0], [0.0, 0, 0], [np.nan, np.nan, np.nan], [9.0, 9, 9]])[:, :, None]
    y = t = np.zeros((4, 3))
    wide = Wide(np.arange(4), np.arange(3), y, t, x, ("x",), np.arange(4))
    sets = (MatchedSet(0, 1, np.array([1, 2, 3]), np.full(3, 1 / 3)),)
    how = Refinement("mahalanobis", 1, 1, 0, False, False, False, "diagonal")
    assert refine(wide, sets, how)[0].weights.tolist() == [1, 0, 0]
    listwise = refine(wide, sets, Refinement("mahalanobis", 5, 1, 0, False, False, True, "diagonal"))
    assert listwise[0].controls.tolist() == [1, 3]


def test_curves_carry_the_leads_and_the_lags() -> None:
    result = run({**block(refinement="mahalanobis"), "covariates": ["x"]}, simulated(), "panel_matching", "ATT")
    leads = [p for p in result.curves if p.curve == "panel_matching_leads"]
    assert [(p.x, p.y) for p in leads] == [(float(f), overall(result, f"lead={f}").estimate) for f in (0, 1)]
    assert all(p.conf_low < p.y < p.conf_high for p in leads)
    balance = {(p.series, p.x) for p in result.curves if p.curve == "lag_balance"}
    assert balance == {(f"{v}, {w}", x) for v in ("y", "x") for w in ("all untreated", "matched") for x in (-1.0, -2.0)}


@pytest.mark.parametrize(
    ("rows", "options", "word"),
    [
        ([("000", [1, 2, 3]), ("111", [1, 2, 3])], {"leads": 0}, "no unit's treatment goes from 0 to 1"),
        ([("01", [1, 2]), ("00", [1, 3])], {}, "2 periods, and 2 lags and 1 leads need 4"),
        ([("0011", [1, 2, 3, 4]), ("1000", [1, 2, 3, 5])], {}, "none of 5 starts of treatment has a control"),
        (HAND, {"lags": 0}, "lags is 0"),
        (HAND, {"leads": -1}, "leads is -1"),
        (HAND, {"matches": 0}, "matches is 0"),
        (HAND, {"refinement": "mahalanobis"}, "refinement has nothing to match on"),
    ],
)
def test_refusals(rows: list[tuple[str, list[float]]], options: dict[str, Any], word: str) -> None:
    with pytest.raises(Refusal, match=word):
        run(block(**options), panel(rows), "panel_matching", "ATT")


def test_few_treated_units_are_refused() -> None:
    with pytest.raises(Refusal, match="4 units start treatment") as refusal:
        run(block(), panel(HAND, copies=4), "panel_matching", "ATT")
    assert refusal.value.status == "not_identified"


def test_rows_that_lack_a_value_are_gaps_and_not_absent() -> None:
    """With ``missing: drop`` a treatment without an outcome is still part of a unit's history."""
    units = panel(HAND)
    # The starting units lack the outcome of 2000: two periods before their start, which no difference reads.
    lacks = (np.arange(len(units["y"])) % (4 * len(HAND))) == 0
    units["y"][lacks] = np.nan
    dropping = {**block(), "missing": "drop"}
    problem, dropped = assemble(Study.declare("s", dropping), units)
    assert dropped == COPIES
    own = problem.for_run("panel_matching", "default")
    assert (problem.n, own.n) == (len(units["y"]) - COPIES, len(units["y"]))
    assert own.for_run("panel_matching", "default").cache is own.cache
    assert own.data_hash() == problem.data_hash()
    assert own.for_run("twfe", "default").n == problem.n
    rows = {r["term"]: r for r in estimate("s", dropping, units).to_pylist() if r["estimator"] == "panel_matching"}
    # As if nothing were missing: 5 - (1 + 3) / 2. Without those rows nobody would have the starters' history.
    assert rows["lead=0"]["estimate"] == pytest.approx(3.0)
    assert rows["lead=0"]["n_treated"] == COPIES
    assert "rows_dropped_missing" not in rows["overall"]["diagnostics"]


def test_without_a_missing_value_all_panel_estimators_share_their_rows() -> None:
    problem, _ = assemble(Study.declare("s", {**block(), "missing": "drop"}), panel(HAND))
    own = problem.for_run("panel_matching", "default")
    assert own.columns is problem.for_run("twfe", "default").columns


def test_rows_without_a_unit_s_key_or_text_stay_out() -> None:
    units = panel(HAND)
    units["year"] = units["year"].astype(float)
    units["year"][3] = np.nan
    units["kind"] = np.array(["a", "b"] * (len(units["y"]) // 2), dtype=object)
    units["kind"][5] = None
    study = Study.declare("s", {**block(), "missing": "drop", "covariates": ["C(kind)"]})
    problem, dropped = assemble(study, units)
    assert dropped == 2
    assert problem.for_run("panel_matching", "default").n == len(units["y"]) - 2


def test_an_outcome_that_never_varies_is_refused_with_gaps_too() -> None:
    units = panel(HAND)
    units["y"] = np.where(np.arange(len(units["y"])) == 7, np.nan, 1.0)
    rows = estimate("s", {**block(), "missing": "drop"}, units).to_pylist()
    (row,) = [r for r in rows if r["estimator"] == "panel_matching"]
    assert row["status"] == "refused"
    assert "outcome 'y' is the same" in row["status_reason"]
