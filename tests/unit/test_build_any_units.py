"""estimate(), score() and design() are total: whatever the units, there are rows with a reason, one decisive."""

import datetime
import math

import numpy as np
import pytest
from effects import BLOCK, DATA, NULLS, N, failures, primary, rows, without_forests
from support import DECISION

from estimators import design, score
from estimators.scores import WEIGHTS


@pytest.fixture
def fast(monkeypatch):
    without_forests(monkeypatch)


def put(**columns):
    return lambda d: {**d, **{k: v(d[k]) if callable(v) else v for k, v in columns.items()}}


def only(n):
    return lambda d: {k: v[:n] for k, v in d.items()}


def first(value):
    return lambda v: [value, *v[1:]]


def without(name):
    return lambda d: {k: v for k, v in d.items() if k != name}


ALTERNATING = [0.0, 1.0] * (N // 2)

# What is done to good units, and the status of the primary afterwards (None: either may be right).
MUTATIONS = {
    "nothing": (lambda d: d, "estimated"),
    **{f"no {c}": (without(c), "refused") for c in ("unit_id", "y", "t", "x1")},
    **{f"NULL {c}": (put(**{c: NULLS}), "refused") for c in ("unit_id", "y", "t", "x1")},
    **{f"one NULL {c}": (put(**{c: first(None)}), "refused") for c in ("unit_id", "y", "t", "x1")},
    **{f"NaN {c}": (put(**{c: first(math.nan)}), "refused") for c in ("y", "t", "x1")},
    **{f"inf {c}": (put(**{c: first(-math.inf)}), "refused") for c in ("y", "t", "x1")},
    **{f"text {c}": (put(**{c: ["a", "b"] * (N // 2)}), "refused") for c in ("y", "t", "x1")},
    **{f"dates {c}": (put(**{c: [datetime.date(2020, 1, 1)] * N}), "refused") for c in ("y", "t", "x1")},
    **{f"huge {c}": (put(**{c: lambda v: [x * 1e300 for x in v]}), "refused") for c in ("y", "x1")},
    **{f"large {c}": (put(**{c: lambda v: [x * 1e100 for x in v]}), "estimated") for c in ("y", "x1")},
    **{f"small {c}": (put(**{c: lambda v: [x * 1e-120 for x in v]}), "estimated") for c in ("y", "x1")},
    **{f"vanishing {c}": (put(**{c: lambda v: [x * 1e-300 for x in v]}), None) for c in ("y", "x1")},
    "two types": (put(x1=["a", 1.0] * (N // 2)), "refused"),
    "two lengths": (put(y=[1.0]), "refused"),
    "duplicates": (lambda d: {k: [*v, *v] for k, v in d.items()}, "refused"),
    "no rows": (only(0), "refused"),
    "one row": (only(1), "refused"),
    "three rows": (lambda d: {**only(3)(d), "t": [0, 1, 0]}, "refused"),
    "four rows": (lambda d: {**only(4)(d), "t": [0, 1, 0, 1]}, "refused"),
    "eight rows": (lambda d: {**only(8)(d), "t": ALTERNATING[:8]}, None),
    "constant y": (put(y=[1.5] * N), "refused"),
    "constant t": (put(t=[1.0] * N), "refused"),
    "constant x1": (put(x1=[0.1] * N), "estimated"),
    "constant x1 and x2": (put(x1=[0.1] * N, x2=[1e9] * N), "estimated"),
    "third value": (put(t=first(2.0)), "refused"),
    "values 1 and 2": (put(t=[1.0, 2.0] * (N // 2)), "refused"),
    "a dose": (lambda d: {**d, "t": d["x1"] ** 2}, "refused"),
    "one treated": (put(t=[1.0] + [0.0] * (N - 1)), "refused"),
    "two treated": (put(t=[1.0] * 2 + [0.0] * (N - 2)), None),
    "three untreated": (put(t=[0.0] * 3 + [1.0] * (N - 3)), None),
    "separated": (lambda d: {**d, "x1": d["t"]}, "not_identified"),
    "a category that is always treated": (
        lambda d: {**d, "x1": np.arange(N) < 5.0, "t": np.where(np.arange(N) < 5, 1, d["t"])}, "estimated"),
    "outcome is the treatment": (lambda d: {**d, "y": d["t"]}, "not_identified"),
    "outcome is a covariate": (lambda d: {**d, "y": d["x1"]}, "refused"),
    "covariates alike": (lambda d: {**d, "x2": 3 * d["x1"] - 1}, "estimated"),
    "far from zero": (lambda d: {**d, "x1": d["x1"] + 1e9}, "estimated"),
    "booleans": (lambda d: {**d, "t": d["t"].astype(bool)}, "estimated"),
    "binary outcome": (lambda d: {**d, "y": d["y"] > 1}, "estimated"),
    "text ids": (put(unit_id=[f"{i:02d}" for i in range(N)]), "estimated"),
    "real ids": (put(unit_id=np.arange(N) + 0.5), "estimated"),
    "long ids": (put(unit_id=np.arange(N) + 2**62), "estimated"),
}  # fmt: skip


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("case", MUTATIONS)
def test_any_units_give_rows(case):
    change, status = MUTATIONS[case]
    found = rows(units=change(dict(DATA)))
    assert status in (None, primary(found)["status"])
    if case != "vanishing y":  # squares of 1e-300 are zero, and no arithmetic on them can stand
        assert failures(found) == []
    got = score("s", BLOCK, change(dict(DATA)))
    # One row without a unit tells why there are no scores.
    assert got.num_rows in (N, 8) or (got.num_rows == 1 and got["status_reason"].to_pylist()[0])
    design("s", {**BLOCK, "design": "experiment"}, change(dict(DATA)))


def panel(treated):
    rng = np.random.default_rng(5)
    unit, time = np.repeat(np.arange(24), 8), np.tile(np.arange(8.0), 24)
    first_period = np.where(unit < treated, 5.0, 0.0)
    y = unit + time + 2.0 * ((first_period > 0) & (time >= first_period)) + rng.normal(size=192)
    return {"unit_id": unit, "d": time, "g": first_period, "y": y, "x": unit % 5.0}


def discontinuity():
    rng = np.random.default_rng(6)
    r = rng.uniform(-1, 1, 200)
    return {"unit_id": np.arange(200), "r": r, "y": r + (r > 0) + rng.normal(size=200), "x": rng.normal(size=200)}


def instrument():
    rng = np.random.default_rng(7)
    z, u = rng.normal(size=(2, 150))
    t = z + u + rng.normal(size=150)
    return {"unit_id": np.arange(150), "t": t, "z": z, "y": t + u, "x": rng.normal(size=150)}


def declared(kind, name, estimand, **roles):
    return {"question": "q", "design": kind, "outcome": "y", "decision": {**DECISION, "primary": name,
            "estimand": estimand}, "covariates": ["x"], **roles}  # fmt: skip


DESIGNS = {
    "panel": (declared("panel", "did", "ATT", time="d", cohort="g", never=0), panel(10)),
    "synthetic_control": (
        declared("synthetic_control", "synthetic_control", "ATT", time="d", cohort="g", never=0),
        panel(1),
    ),
    "rd": (declared("rd", "rd", "LATE", running="r", cutoff=0), discontinuity()),
    "iv": (declared("iv", "iv", "LATE", treatment="t", instruments=["z"]), instrument()),
}
DAMAGE = {
    "NULL": lambda v: [None] * len(v),
    "one NULL": lambda v: [None, *list(v)[1:]],
    "constant": lambda v: [v[0]] * len(v),
    "text": lambda v: [f"v{x}" for x in v],
    "infinite": lambda v: [math.inf, *map(float, list(v)[1:])],
    "huge": lambda v: [float(x) * 1e200 for x in v],
    "mixed": lambda v: ["a", *list(v)[1:]],
}


@pytest.mark.parametrize("kind", DESIGNS)
def test_every_design_estimates_and_examines_good_units(kind):
    block, units = DESIGNS[kind]
    assert primary(rows(block, units))["status"] == "estimated"
    assert design("s", block, units).num_rows > 0


@pytest.mark.parametrize("kind", DESIGNS)
def test_every_design_tells_what_is_wrong_with_its_units(kind):
    block, units = DESIGNS[kind]
    block = {**block, "options": {"did": {"bootstrap": 20}}}
    changed = [(f"{d} {c}", {**units, c: damage(units[c])}) for c in units for d, damage in DAMAGE.items()]
    changed += [(f"{n} rows", {c: v[:n] for c, v in units.items()}) for n in (0, 1, 3, 25)]
    changed += [(f"no {c}", {k: v for k, v in units.items() if k != c}) for c in units]
    for missing in ("refuse", "drop"):
        for case, damaged in changed:
            if missing == "drop" and "NULL" not in case:
                continue
            one_block = {**block, "missing": missing}
            found = rows(one_block, damaged)
            assert failures(found) == [], case
            for row in design("s", one_block, damaged).to_pylist():
                assert row["metric"] != "design", (case, row["reason"])
                assert row["value"] is not None or row["reason"]


def test_a_density_test_sees_units_without_an_outcome():
    block, units = DESIGNS["rd"]
    y = [None if i % 3 else v for i, v in enumerate(units["y"])]
    found = {r["metric"]: r["value"] for r in design("s", {**block, "missing": "drop"}, {**units, "y": y}).to_pylist()}
    whole = {r["metric"]: r["value"] for r in design("s", block, units).to_pylist()}
    assert found["density_p"] == whole["density_p"]


def test_design_tables():
    experiment = {**BLOCK, "design": "experiment", "allocation": 0.5}
    found = design("s", experiment, DATA).to_pylist()
    of_the_lot = {"omnibus_balance_p", "sample_ratio_p", "covariate_assignment_p"}
    assert {row["metric"] for row in found} == {*of_the_lot, "smd", "vif"}
    assert all(row["study"] == "s" and 0 <= row["value"] <= 1 for row in found if row["metric"].endswith("_p"))
    # without scores an observational study has its raw differences and its factors
    found = design("s", BLOCK, DATA).to_pylist()
    assert {(row["metric"], row["estimator"]) for row in found} == {("smd", None), ("vif", None)}
    found = design("s", BLOCK, DATA, scores=score("s", BLOCK, DATA)).to_pylist()
    weighted = {(row["estimator"], row["estimand"]) for row in found if row["metric"] == "smd"}
    assert weighted == {(None, None), *WEIGHTS}
    empty = design("s", BLOCK, DATA, scores=score("s", BLOCK, DATA).slice(0, 0)).to_pylist()
    assert all((row["value"] is None) is (row["metric"] == "smd") and row["reason"] for row in empty)
    assert design("s", {**experiment, "treatmant": 1}, DATA).num_rows == 0
    assert design("s", experiment, {**DATA, "t": NULLS}).num_rows == 0


def test_a_design_that_crashes_or_refuses_tells_why():
    block = {**BLOCK, "design": "experiment", "covariates": ["log(x1)"]}
    row, *others = design("s", block, DATA).to_pylist()
    assert (row["metric"], row["value"]) == ("design", None)
    assert sorted(other["metric"] for other in others) == ["smd", "vif"]
    assert all(other["value"] is None and "'log(x1)' is not a finite number" in other["reason"] for other in others)
    assert row["reason"].startswith("'log(x1)' is not a finite number")
