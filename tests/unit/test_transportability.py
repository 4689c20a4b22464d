from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import DECISION, overall, run

from estimators import estimate
from estimators.errors import Refusal

METHODS = ("augmented", "iosw", "g_transport", "entropy")


SANDWICH = {"cluster_variance": "sandwich"}


def block(**more: Any) -> dict[str, Any]:
    return {
        "question": "q", "design": "experiment", "outcome": "y", "treatment": "t", "sample": "s",
        "covariates": ["x1", "x2"], "decision": {**DECISION, "primary": "transportability"}, **more,
    }  # fmt: skip


def units(n: int = 2_000, seed: int = 1, chosen: bool = False, curved: float = 0.0) -> dict[str, Any]:
    """A target one half higher in x1, where the effect is 1 + x1: 1 in the study, 1.5 in the target."""
    rng = np.random.default_rng(seed)
    s = (np.arange(n) % 2 == 0).astype(float)
    x1, x2 = rng.normal(0.5 * (1 - s), 1), rng.normal(size=n)
    p = 1 / (1 + np.exp(-0.8 * x1)) if chosen else 0.5
    t = (rng.random(n) < p).astype(float)
    y = t * (1 + x1) + x1 - x2 + curved * x1**2 + rng.normal(size=n)
    unknown = s == 0
    return {
        "unit_id": np.arange(n), "s": s, "x1": x1, "x2": x2,
        "t": [None if u else v for v, u in zip(t, unknown, strict=True)],
        "y": [None if u else v for v, u in zip(y, unknown, strict=True)],
    }  # fmt: skip


def one(data: dict[str, Any], term: str = "overall", **more: Any) -> Any:
    return overall(run(block(**more), data, "transportability", "ATE"), term)


def test_by_hand() -> None:
    """One covariate of two values: in the study half have x = 1, in the target three of four."""
    x = [0] * 10 + [1] * 10 + [0] * 10 + [1] * 30
    s = [1] * 20 + [0] * 40
    t = [0, 1] * 10 + [None] * 40
    # effect 1 where x = 0 and 5 where x = 1, baseline 0 and 2
    y = [float((a or 0) * (5 if b else 1) + 2 * b) if inside else None for a, b, inside in zip(t, x, s, strict=True)]
    data = {
        "unit_id": list(range(60)),
        "x": x,
        "s": s,
        "t": t,
        "y": [v if v is None else v + (i % 4) for i, v in enumerate(y)],
    }
    result = run({**block(), "covariates": ["x"]}, data, "transportability", "ATE")
    noise = {(a, b): np.mean([i % 4 for i in range(20) if t[i] == a and x[i] == b]) for a in (0, 1) for b in (0, 1)}
    effect = {b: (5 if b else 1) + noise[1, b] - noise[0, b] for b in (0, 1)}
    want = 0.25 * effect[0] + 0.75 * effect[1]
    for method in METHODS:
        assert overall(result, f"method={method}").estimate == pytest.approx(want), method
    assert overall(result, "population=study").estimate == pytest.approx(0.5 * effect[0] + 0.5 * effect[1])
    assert overall(result).estimate == overall(result, "method=augmented").estimate


@pytest.mark.parametrize("design", ["experiment", "observational"])
def test_all_methods_find_the_effect_in_the_target(design: str) -> None:
    data = units(20_000, chosen=design == "observational")
    for method in METHODS:
        row = one(data, f"method={method}", design=design)
        if method == "entropy" and design == "observational":
            continue
        assert abs(row.estimate - 1.5) < 4 * row.std_error, method
        assert row.std_error < 0.12
    if design == "experiment":
        study = one(data, "population=study", design=design)
        assert abs(study.estimate - 1.0) < 4 * study.std_error


def test_augmented_stands_where_the_outcome_model_is_wrong() -> None:
    data = units(40_000, curved=1.0)
    data["y"] = [
        None if v is None else v + (t or 0) * x**2 for v, t, x in zip(data["y"], data["t"], data["x1"], strict=True)
    ]
    # the effect is 1 + x1 + x1²: in the target 1 + 0.5 + 1.25
    right, wrong = (one(data, f"method={m}") for m in ("augmented", "g_transport"))
    assert abs(right.estimate - 2.75) < 4 * right.std_error
    assert abs(wrong.estimate - 2.75) > 4 * wrong.std_error


def test_standard_errors_are_those_of_the_bootstrap() -> None:
    data = {name: np.array(values, dtype=object) for name, values in units(800).items()}
    rng = np.random.default_rng(3)
    terms = [f"method={m}" for m in METHODS]
    draws = []
    for _ in range(150):
        rows = rng.integers(0, 800, 800)
        resampled = {name: list(values[rows]) for name, values in data.items()} | {"unit_id": list(range(800))}
        result = run(block(), resampled, "transportability", "ATE")
        draws.append([overall(result, term).estimate for term in terms])
    spread = np.std(draws, axis=0)
    result = run(block(), {name: list(values) for name, values in data.items()}, "transportability", "ATE")
    for term, sd in zip(terms, spread, strict=True):
        assert overall(result, term).std_error == pytest.approx(sd, rel=0.2), term


def test_weights_are_copies_and_clusters_of_copies_keep_the_error() -> None:
    data = units(400)
    twice = {name: list(values) * 2 for name, values in data.items()} | {"unit_id": list(range(800))}
    twice["home"] = list(data["unit_id"]) * 2
    weighted = one({**data, "w": [2.0] * 400}, weight="w")
    copied, clustered = one(twice), one(twice, cluster="home", options=SANDWICH)
    plain = one(data)
    assert weighted.estimate == pytest.approx(copied.estimate, rel=1e-9)
    assert weighted.std_error == pytest.approx(plain.std_error, rel=1e-9)
    assert clustered.std_error == pytest.approx(plain.std_error * np.sqrt(400 / 399), rel=1e-9)


def test_order_and_scale_do_not_matter() -> None:
    data = units(500)
    order = np.random.default_rng(0).permutation(500)
    shuffled = {name: [values[i] for i in order] for name, values in data.items()}
    scaled = {**data, "y": [None if v is None else 100 * v for v in data["y"]], "x1": 1000 * data["x1"] + 5e6}
    for method in METHODS:
        a, b, c = (one(d, f"method={method}") for d in (data, shuffled, scaled))
        assert b.estimate == pytest.approx(a.estimate, rel=1e-9)
        assert b.std_error == pytest.approx(a.std_error, rel=1e-9)
        assert c.estimate == pytest.approx(100 * a.estimate, rel=1e-7)
        assert c.std_error == pytest.approx(100 * a.std_error, rel=1e-7)


def test_diagnostics() -> None:
    result = run(block(), units(4_000), "transportability", "ATE")
    value = {(d.metric, d.subject): d.value for d in result.diagnostics}
    assert value["covariate_shift", "x1"] == pytest.approx(0.5, abs=0.1)
    assert abs(value["covariate_shift_weighted", "x1"]) < 0.05
    assert 0 < value["share_outside_support", "target"] < 0.1
    assert value["effective_sample_size", "treated"] < 1_000


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"x1": lambda d: d["x1"] + 100 * (1 - d["s"])}, "share no covariate values"),
        (
            {"t": lambda d: [None if v is None else float(i < 6) for i, v in enumerate(d["t"])]},
            "the study has 3 treated",
        ),
    ],
)
def test_refusals(changed: dict[str, Any], word: str) -> None:
    data = units(200)
    data |= {name: make(data) for name, make in changed.items()}
    with pytest.raises(Refusal, match=word):
        run(block(), data, "transportability", "ATE")


def test_other_estimators_read_the_study_only() -> None:
    rows = estimate("s", block(), units(300)).to_pylist()
    naive = next(r for r in rows if r["estimator"] == "difference_in_means")
    assert naive["n_units"] == 150
    row = next(r for r in rows if r["is_primary"])
    assert (row["estimator"], row["status"], row["n_units"]) == ("transportability", "estimated", 150)
