"""Double machine learning within units: against least squares with dummies, known truth, gaps, weights, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support import DECISION, overall, run, shuffled

from estimators.errors import Refusal
from estimators.panel.within import Within
from estimators.result import Estimate
from estimators.selection_on_observables.within_boosting import predict_within

LEARNERS = ["linear", "lasso", "boosting"]


def block(learner: str = "linear", covariates: tuple[str, ...] = ("x", "z"), **more: Any) -> dict[str, Any]:
    own = {"learner": learner, **more.pop("own", {})}
    return {
        "question": "q", "design": "panel", "outcome": "y", "treatment": "d", "time": "t", "repeats": 1,
        "covariates": list(covariates), "decision": {**DECISION, "primary": "tvce_panel"},
        "options": {"tvce_panel": own}, **more,
    }  # fmt: skip


def panel(n: int = 120, seed: int = 3, periods: int = 5, bend: float = 0.0, binary: bool = False) -> dict[str, Any]:
    """A level of the unit moves covariates, dose and outcome; the effect is 2. ``bend`` puts x² into both."""
    rng = np.random.default_rng(seed)
    level, t = rng.normal(size=(n, 1)), np.arange(periods)
    x, z = level + rng.normal(size=(n, periods)), rng.normal(size=(n, periods)) - 0.5 * level
    hump = bend * (x**2 - 1)
    d = level + 0.2 * t + 0.5 * x + hump + rng.normal(size=(n, periods))
    d = (d > 0.5).astype(float) if binary else d
    y = 2 * d + x - 0.5 * z + hump + 3 * level + 0.3 * t + rng.normal(size=(n, periods))
    return {
        "unit_id": np.repeat(np.arange(n), periods), "t": np.tile(t, n), "y": y.ravel(), "d": d.ravel(),
        "x": x.ravel(), "z": z.ravel(), "fixed": np.repeat(x[:, 0], periods),
        "w": np.repeat(rng.integers(1, 4, n), periods).astype(float), "c": np.repeat(np.arange(n) // 4, periods),
    }  # fmt: skip


def some(data: dict[str, Any], keep: np.ndarray) -> dict[str, Any]:
    return {name: values[keep] for name, values in data.items()}


def go(data: Any, **more: Any) -> Estimate:
    return overall(run(block(**more), data, "tvce_panel", "ATE"))


def told(result: Any, metric: str) -> dict[str, Any]:
    return {d.subject: d.value for d in result.diagnostics if d.metric == metric}


def by_dummies(data: dict[str, Any], weight: str | None = None) -> Any:
    """statsmodels on a column a unit and a column a period, errors clustered by unit."""
    import statsmodels.api as sm

    unit, period = (np.unique(data[name], return_inverse=True)[1] for name in ("unit_id", "t"))
    levels = [np.eye(unit.max() + 1)[unit], np.eye(period.max() + 1)[period][:, 1:]]
    design = np.column_stack([data["d"], data["x"], data["z"], *levels])
    w = data[weight] if weight else np.ones(len(unit))
    return sm.WLS(data["y"], design, weights=w).fit(cov_type="cluster", cov_kwds={"groups": unit})


@pytest.mark.parametrize("weight", [None, "w"])
@pytest.mark.parametrize("gaps", [False, True])
def test_one_fold_is_two_way_fixed_effects(gaps: bool, weight: str | None) -> None:
    data = panel()
    if gaps:
        data = some(data, np.random.default_rng(1).random(600) > 0.25)
        data = some(data, np.bincount(data["unit_id"])[data["unit_id"]] > 1)
    fit = by_dummies(data, weight)
    row = go(data, folds=1, own={"variance": "CR1"}, **({"weight": weight} if weight else {}))
    assert row.estimate == pytest.approx(fit.params[0], rel=1e-9)
    # statsmodels multiplies by (N − 1) / (N − K) too, with a column a unit in K.
    n, k = len(data["y"]), len(fit.params)
    assert row.std_error == pytest.approx(fit.bse[0] / np.sqrt((n - 1) / (n - k)), rel=1e-8)
    assert (row.degrees_of_freedom, row.variance_estimator) == (row.n_units - 1, "CR1")


@pytest.mark.parametrize("binary", [False, True])
def test_one_fold_is_twfe(binary: bool) -> None:
    data = panel(binary=binary)
    one = {**block(folds=1), "options": {"twfe": {"variance": "CR1"}, "tvce_panel": {"variance": "CR1"}}}
    theirs, ours = overall(run(one, data, "twfe", "ATT")), overall(run(one, data, "tvce_panel", "ATE"))
    assert ours.estimate == pytest.approx(theirs.estimate, rel=1e-9)
    # twfe: (N − 1) / (N − K) with the treatment, two covariates and five periods in K.
    assert ours.std_error == pytest.approx(theirs.std_error / np.sqrt(599 / (600 - 8)), rel=1e-8)
    diagnostics = [told(run(one, data, name, e), "negative_weight_sum") for name, e in
                   (("twfe", "ATT"), ("tvce_panel", "ATE"))]  # fmt: skip
    assert diagnostics[0] == pytest.approx(diagnostics[1])
    assert bool(diagnostics[0]) == binary


def test_two_periods_are_differences() -> None:
    data = panel(periods=2)
    y, d, x, z = (np.diff(data[name].reshape(-1, 2))[:, 0] for name in ("y", "d", "x", "z"))
    design = np.column_stack([d, x, z, np.ones(120)])
    coefficients = np.linalg.lstsq(design, y, rcond=None)[0]
    row = go(data, folds=1, own={"variance": "CR1"})
    assert row.estimate == pytest.approx(coefficients[0], rel=1e-9)
    v = d - design[:, 1:] @ np.linalg.lstsq(design[:, 1:], d, rcond=None)[0]
    by_hand = np.sqrt(np.sum((v * (y - design @ coefficients)) ** 2) * 120 / 119) / np.sum(v**2)
    assert row.std_error == pytest.approx(by_hand, rel=1e-9)


@pytest.mark.parametrize("learner", [*LEARNERS, "best"])
def test_recovers_the_effect_that_unit_levels_hide(learner: str) -> None:
    data = panel(300)
    row = go(data, learner=learner, folds=3)
    assert abs(row.estimate - 2) < 3 * row.std_error
    assert row.std_error < 0.06
    assert (row.contrast, row.n_units, row.n_treated, row.n_trimmed) == ("per unit", 300, None, 0)
    # Without the units' levels the same regression is far off.
    pooled = np.linalg.lstsq(
        np.column_stack([data["d"], data["x"], data["z"], np.ones(1500)]), data["y"], rcond=None
    )[0][0]  # fmt: skip
    assert pooled - 2 > 10 * row.std_error


def test_a_binary_treatment() -> None:
    data = panel(300, binary=True)
    row = go(data)
    assert abs(row.estimate - 2) < 3 * row.std_error
    ever = data["d"].reshape(300, 5).max(axis=1)
    assert (row.contrast, row.n_treated) == ("1 - 0", int(ever.sum()))


def test_boosting_takes_out_what_bends() -> None:
    data = panel(300, bend=0.5)
    result = {name: run(block(name, folds=3), data, "tvce_panel", "ATE") for name in ("linear", "boosting", "best")}
    off = {name: overall(one).estimate - 2 for name, one in result.items()}
    assert abs(off["boosting"]) < 0.12 < 0.4 < abs(off["linear"])
    losses = told(result["best"], "learner_loss")
    assert set(losses) == {f"{a}:{b}" for a in ("outcome", "treatment") for b in LEARNERS}
    assert overall(result["best"]).estimate == overall(result["boosting"]).estimate
    # A term made before units are taken out is the exact way.
    squared = overall(run(block("linear", ("x", "x^2", "z")), data, "tvce_panel", "ATE"))
    assert abs(squared.estimate - 2) < 3 * squared.std_error


def test_trees_find_a_function_up_to_the_levels_of_units() -> None:
    rng = np.random.default_rng(8)
    unit, period = np.repeat(np.arange(200), 5), np.tile(np.arange(5), 200)
    x = rng.normal(size=(1000, 1)) + rng.normal(size=200)[unit][:, None]
    within = Within.of(unit, period, np.ones(1000))
    # The levels are a hundred times larger than the function and tied to x.
    bent = np.abs(x[:, 0])
    y = within.residual(bent + 100 * np.bincount(unit, x[:, 0])[unit] + 0.1 * rng.normal(size=1000))
    found = predict_within(y[:, None], x, unit, period, np.ones(1000), unit % 4, 0)
    left = within.residual(bent - found[:, 0])
    assert left.var() < 0.1 * within.residual(bent).var()


@pytest.mark.parametrize("learner", LEARNERS)
def test_row_order_and_scale(learner: str) -> None:
    data = panel(60)
    row = go(data, learner=learner, folds=2)
    other = go(shuffled(pa.table(data)), learner=learner, folds=2)
    assert (row.estimate, row.std_error) == (other.estimate, other.std_error)
    big = go(data | {"y": 1024 * data["y"] + 4096}, learner=learner, folds=2)
    np.testing.assert_allclose([big.estimate, big.std_error], [1024 * row.estimate, 1024 * row.std_error], rtol=1e-6)
    # Levels of units and of periods are nothing to it.
    moved = data["y"] + 7 * data["fixed"] - 2 * data["t"]
    assert go(data | {"y": moved}, learner=learner, folds=2).estimate == pytest.approx(row.estimate, rel=1e-6)


def test_weights_are_repeated_units() -> None:
    data = panel(40)
    times = np.repeat(data["w"][::5].astype(int), 5)
    repeated = {name: np.repeat(values, times) for name, values in data.items()}
    copy = np.concatenate([np.arange(k) for k in times])
    # Copies are units of their own that share a cluster, and so a fold and a score.
    repeated |= {"c": repeated["unit_id"], "unit_id": 1000 * copy + repeated["unit_id"]}
    weighted = go(data | {"c": data["unit_id"]}, weight="w", cluster="c")
    plain = go(repeated, cluster="c")
    assert (weighted.estimate, weighted.std_error) == pytest.approx((plain.estimate, plain.std_error), rel=1e-9)
    assert weighted.effective_sample_size == pytest.approx(data["w"].sum() ** 2 / np.sum(data["w"] ** 2))


def test_clusters_hold_units() -> None:
    data = panel(80)
    own = go(data | {"c": data["unit_id"]}, cluster="c")
    assert (own.estimate, own.std_error) == pytest.approx((go(data).estimate, go(data).std_error), rel=1e-12)
    row = go(data, cluster="c", folds=1)
    assert (row.n_clusters, row.variance_estimator) == (20, "CR2")
    assert row.degrees_of_freedom < 19
    assert row.std_error != pytest.approx(go(data, folds=1).std_error, rel=1e-3)


def test_units_stay_in_one_fold() -> None:
    data = panel(60)
    folds = data["unit_id"] % 3
    result = run(block(fold="f", folds=3), data | {"f": folds}, "tvce_panel", "ATE")
    assert set(told(result, "theta")) == {f"fold={k}" for k in range(3)}
    with pytest.raises(Refusal, match="'f' changes within unit"):
        go(data | {"f": data["t"] % 3}, fold="f", folds=3)


def test_units_that_are_seen_once_tell_nothing() -> None:
    data = panel(60)
    alone = some(data, ~((data["unit_id"] < 5) & (data["t"] > 0)))
    row, without = go(alone), go(some(data, data["unit_id"] >= 5))
    assert (row.n_units, row.n_trimmed) == (55, 5)
    assert (row.estimate, row.std_error) == pytest.approx((without.estimate, without.std_error), rel=1e-9)


def test_a_covariate_without_change_is_left_out() -> None:
    data = panel(60)
    assert go(data, covariates=("x", "z", "fixed", "t")).estimate == pytest.approx(go(data).estimate, rel=1e-9)


def test_several_splits_and_what_is_told() -> None:
    data = panel(60)
    result = run(block(repeats=3), data, "tvce_panel", "ATE")
    assert told(result, "splits") == {"overall": 3}
    r2, share = told(result, "r2"), told(result, "within_share")
    assert 0 < r2["treatment"] < r2["outcome"] < 1
    d = data["d"].reshape(60, 5)
    within = d - d.mean(axis=1, keepdims=True) - d.mean(axis=0) + d.mean()
    assert share["treatment"] == pytest.approx(within.var() / d.var(), rel=1e-9)


def _half_steady(data: dict[str, Any], moving: int) -> dict[str, Any]:
    """Only the first few units change their treatment."""
    first = np.repeat(data["d"][::5], 5)
    return data | {"d": np.where(data["unit_id"] < moving, data["d"], first)}


@pytest.mark.parametrize(("change", "more", "status", "words"), [
    (lambda a: _half_steady(a, 0), {}, "not_identified", "'d' never varies within a unit.*'cohort'"),
    (lambda a: _half_steady(a, 4), {}, "not_identified", "varies within units of 4 clusters of 60"),
    (lambda a: some(a, a["unit_id"] < 9), {}, "not_identified", "9 clusters of 9"),
    (lambda a: a | {"d": a["t"] * 1.0}, {}, "not_identified", "'d' does not vary once units and periods"),
    (lambda a: a | {"d": a["x"] * 2.0}, {}, "not_identified", "covariates explain the treatment entirely"),
    (lambda a: a | {"y": a["fixed"]}, {}, "refused", "outcome 'y' does not vary once units"),
    (lambda a: some(a, a["t"] == 2), {}, "refused", "'t' is the same in every row"),
    (lambda a: some(a, a["unit_id"] % 5 == a["t"]), {}, "refused", "no 'unit_id' with a weight is seen twice"),
    (lambda a: a, {"covariates": ("fixed",)}, "refused", "no covariate varies within units"),
    (lambda a: a | {"c": a["t"]}, {"cluster": "c"}, "refused", "'c' changes within unit"),
    (lambda a: a | {"c": 0 * a["t"]}, {"cluster": "c"}, "refused", "all rows are in one cluster"),
    (lambda a: a, {"folds": 1, "learner": "boosting"}, "refused", "boosting needs cross-fitting"),
    (lambda a: a, {"folds": 1, "learner": "best"}, "refused", "best needs cross-fitting"),
    (lambda a: some(a, a["unit_id"] < 12), {"learner": "boosting"}, "refused", "units lie outside fold 0"),
])  # fmt: skip
def test_refusals(change: Any, more: dict[str, Any], status: str, words: str) -> None:
    with pytest.raises(Refusal, match=f"(?s){words}") as refused:
        go(change(panel(60)), **more)
    assert refused.value.status == status
