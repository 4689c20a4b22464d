"""estimate(), score() and design() are total: whatever is wrong, there are rows with a reason, one of them decisive."""

import datetime
import json
import math

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from support import DECISION, observational, shuffled, simulated

from estimators import build, design, estimate, score
from estimators.errors import Refusal
from estimators.registry import BY_NAME, ESTIMATORS
from estimators.result import EFFECTS_SCHEMA, Diagnostic, Estimate, Result
from estimators.study import Study

N = 60
BLOCK = observational("y", "t", ["x1", "x2"])
DATA = simulated(N)
VOLATILE = ("seconds", "estimated_at")


@pytest.fixture
def fast(monkeypatch):
    """Without the forests, which take most of the time."""
    monkeypatch.setattr(build, "ESTIMATORS", tuple(e for e in ESTIMATORS if e.name != "counterfactual"))


def rows(block=BLOCK, units=DATA, **more):
    return sound(estimate("s", block, units, **more))


def sound(table):
    """Rows of a table that keeps to what every effects table promises."""
    assert table.schema == EFFECTS_SCHEMA
    found = table.to_pylist()
    assert found
    assert sum(row["is_primary"] for row in found) == 1
    for row in found:
        numbers = {k: v for k, v in row.items() if isinstance(v, float)}
        assert all(math.isfinite(v) for v in numbers.values()), numbers
        assert row["status"] in ("estimated", "refused", "not_identified", "failed")
        if row["status"] == "estimated":
            assert row["estimate"] is not None
        else:
            assert row["status_reason"]
            assert (row["estimate"], row["std_error"], row["conf_low"], row["p_value"]) == (None,) * 4
        for name in ("diagnostics", "curves", "sensitivity"):
            json.loads(row[name], parse_constant=pytest.fail)
    return found


def stable(found):
    return [{k: v for k, v in row.items() if k not in VOLATILE} for row in found]


def one(found, estimator, estimand="ATE", specification="default", term="overall"):
    key = (estimator, estimand, specification, term)
    (row,) = [r for r in found if (r["estimator"], r["estimand"], r["specification"], r["term"]) == key]
    return row


def primary(found):
    (row,) = [row for row in found if row["is_primary"]]
    return row


# --- any units -------------------------------------------------------------------------------------------------------


def put(**columns):
    return lambda d: {**d, **{k: v(d[k]) if callable(v) else v for k, v in columns.items()}}


def only(n):
    return lambda d: {k: v[:n] for k, v in d.items()}


def first(value):
    return lambda v: [value, *v[1:]]


def without(name):
    return lambda d: {k: v for k, v in d.items() if k != name}


NULLS, ALTERNATING = [None] * N, [0.0, 1.0] * (N // 2)

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
    "outcome is the treatment": (lambda d: {**d, "y": d["t"]}, "estimated"),
    "outcome is a covariate": (lambda d: {**d, "y": d["x1"]}, "estimated"),
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
        assert [row["status_reason"] for row in found if row["status"] == "failed"] == []
    else:
        assert all(r["status_reason"] for r in found if r["status"] == "failed")
    got = score("s", BLOCK, change(dict(DATA)))
    assert got.num_rows in (0, N, 8)
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
    "panel": (declared("panel", "did", "ATT", time="d", cohort="g"), panel(10)),
    "synthetic_control": (declared("synthetic_control", "synthetic_control", "ATT", time="d", cohort="g"), panel(1)),
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
            assert [(case, r["status_reason"]) for r in found if r["status"] == "failed"] == []
            for row in design("s", one_block, damaged).to_pylist():
                assert row["metric"] != "design", (case, row["reason"])
                assert row["value"] is not None or row["reason"]


# --- what must not change the numbers --------------------------------------------------------------------------------


@pytest.mark.usefixtures("fast")
def test_row_order_and_kind_of_relation_change_nothing():
    arrow = pa.table(DATA)
    connection = duckdb.connect()
    connection.register("units", arrow)
    expected = stable(rows())
    for units in (arrow, shuffled(arrow), connection.table("units"), connection.sql("from units order by x1")):
        assert stable(rows(units=units)) == expected


@pytest.mark.usefixtures("fast")
def test_a_moved_and_stretched_covariate_changes_nothing():
    """Years, incomes and timestamps: no estimator may lose digits on a mean that is far from zero."""
    data = simulated(300)
    data["x1"] = np.round(data["x1"] * 2**16) / 2**16
    block = {**BLOCK, "options": {"regression_adjustment": {"variance": "m_estimation"}}}
    plain = rows(block, data)
    for shift, scale, tolerance in (
        (2.0**20, 4.0, 1e-9),
        (1e8, 1.0, 1e-7),
        (0.0, 2.0**40, 1e-12),
        (0.0, 2.0**-40, 1e-12),
    ):
        moved = rows(block, {**data, "x1": data["x1"] * scale + shift})
        for old, new in zip(plain, moved, strict=True):
            assert new["estimate"] == pytest.approx(old["estimate"], rel=tolerance), (old["estimator"], shift)
            assert new["std_error"] == pytest.approx(old["std_error"], rel=tolerance), (old["estimator"], shift)


@pytest.mark.usefixtures("fast")
def test_a_scaled_outcome_scales_all_estimates():
    plain, scaled = rows(), rows(units={**DATA, "y": DATA["y"] * 1024})
    for old, new in zip(plain, scaled, strict=True):
        assert new["status"] == old["status"]
        if old["status"] == "estimated":
            assert new["estimate"] == pytest.approx(1024 * old["estimate"], rel=1e-10)
            assert new["std_error"] == pytest.approx(1024 * old["std_error"], rel=1e-10)
            assert new["p_value"] == pytest.approx(old["p_value"], rel=1e-9)


@pytest.mark.usefixtures("fast")
def test_the_same_twice():
    assert stable(rows()) == stable(rows())


# --- scores ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_crossfitting(monkeypatch):
    """Cross-fitting ends the test: nuisances must come from the scores."""
    from estimators import problem

    monkeypatch.setattr(problem, "outcome_regressions", lambda *_: pytest.fail("nuisances were fitted again"))


@pytest.mark.usefixtures("fast")
def test_scores_give_the_same_effects():
    scores = score("s", BLOCK, DATA)
    alone = stable(rows())
    assert stable(rows(scores=scores)) == alone
    assert stable(rows(scores=shuffled(scores))) == alone
    connection = duckdb.connect()
    connection.register("scores", scores)
    assert stable(rows(scores=connection.table("scores"))) == alone


@pytest.mark.usefixtures("fast")
def test_scores_are_used(request):
    scores = score("s", BLOCK, DATA)
    request.getfixturevalue("no_crossfitting")
    assert one(rows(scores=scores), "ope")["status"] == "estimated"


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("stale", ["declaration", "outcome", "rows", "columns", "empty"])
def test_scores_of_anything_else_are_not_used(stale):
    scores = score("s", BLOCK, DATA)
    block, units = BLOCK, dict(DATA)
    if stale == "declaration":
        block = {**BLOCK, "seed": 5}
    elif stale == "outcome":
        units["y"] = DATA["y"] + DATA["x1"] ** 2
    elif stale == "rows":
        scores = scores.slice(0, 40)
    elif stale == "columns":
        scores = scores.drop_columns(["mu0"])
    else:
        scores = scores.slice(0, 0)
    assert stable(rows(block, units, scores=scores)) == stable(rows(block, units))


# --- what one estimator does is its own affair -----------------------------------------------------------------------


def stand_in(monkeypatch, function, estimator="ipw"):
    from estimators.selection_on_observables import ipw

    assert BY_NAME[estimator].where.endswith("ipw:ipw")
    monkeypatch.setattr(ipw, "ipw", function)


@pytest.mark.usefixtures("fast")
def test_a_crash_is_a_failed_row_and_the_others_stand(monkeypatch):
    before = rows()

    def crash(problem, estimand):
        raise KeyError("lost")

    stand_in(monkeypatch, crash)
    after = rows()
    for old, new in zip(before, after, strict=True):
        if new["estimator"] == "ipw":
            assert (new["status"], new["status_reason"]) == ("failed", "KeyError: 'lost'")
        else:
            assert stable([new]) == stable([old])


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("value", [None, math.nan, math.inf, np.float64("nan")])
def test_a_number_that_is_none_has_failed(monkeypatch, value):
    stand_in(monkeypatch, lambda problem, estimand: Result((Estimate(estimand, estimate=value, std_error=1.0),)))
    row = one(rows(), "ipw")
    assert row["status"] == "failed"
    assert "no finite number" in row["status_reason"]


@pytest.mark.usefixtures("fast")
def test_a_run_without_a_row_has_failed(monkeypatch):
    stand_in(monkeypatch, lambda problem, estimand: Result(()))
    assert one(rows(), "ipw")["status_reason"] == "ValueError: the estimator gave no row"


@pytest.mark.usefixtures("fast")
def test_a_refusal_keeps_its_status_and_its_mend(monkeypatch):
    def refuse(problem, estimand):
        raise Refusal("too few", "Add units", "not_identified" if estimand == "ATT" else "refused")

    stand_in(monkeypatch, refuse)
    found = rows()
    assert (one(found, "ipw")["status"], one(found, "ipw")["status_reason"]) == ("refused", "too few. Add units")
    assert one(found, "ipw", "ATT")["status"] == "not_identified"


@pytest.mark.usefixtures("fast")
def test_numpy_numbers_that_are_not_finite_do_not_reach_the_nested_rows(monkeypatch):
    told = (Diagnostic("m", "s", np.float32("nan"), np.float64("inf"), np.bool_(True)),)
    stand_in(monkeypatch, lambda problem, estimand: Result((Estimate(estimand, estimate=np.float32(1)),), told))
    (row,) = json.loads(one(rows(), "ipw")["diagnostics"])
    assert (row["value"], row["threshold"], row["is_passing"]) == (None, None, True)


@pytest.mark.usefixtures("fast")
def test_a_benchmark_that_cannot_be_computed_takes_nothing_from_the_estimate():
    block = {**BLOCK, "benchmark_covariates": ["log(x1)"], "decision": {**DECISION, "primary": "ipw"}}
    found = rows(block)
    assert one(found, "ipw")["status"] == "estimated"
    assert one(found, "ipw")["estimate"] == one(rows(), "ipw")["estimate"]


@pytest.mark.usefixtures("fast")
def test_own_options_that_cannot_be_computed_refuse():
    block = {**BLOCK, "options": {"propensity": {"covariates": ["log(x1)"]}}}
    row = one(rows(block), "ipw")
    assert row["status"] == "refused"
    assert row["status_reason"].startswith("'log(x1)' is not a finite number in")
    assert one(rows(block), "regression_adjustment")["status"] == "estimated"


# --- weights, clusters, missing values -------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["weight", "cluster"])
def test_a_role_that_an_estimator_cannot_use_makes_it_refuse(role):
    units = {**DATA, "k": np.arange(N) % 15 + 1.0}
    found = rows({**BLOCK, role: "k", "options": {"counterfactual": {"bootstrap": 20}}}, units)
    for row in found:
        if getattr(BY_NAME[row["estimator"]], f"{role}s"):
            assert "does not use" not in (row["status_reason"] or "")
        else:
            assert row["status"] == "refused"
            assert row["status_reason"].startswith(f"{row['estimator']} does not use the declared {role}")
    assert one(found, "psm", "ATT")["status"] == "refused"
    answered = one(found, "regression_adjustment")
    assert (answered["status"], answered["n_clusters"]) == ("estimated", 15 if role == "cluster" else None)
    assert (answered["effective_sample_size"] is not None) == (role == "weight")


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("k", [["a"] * N, ["a", "b"] * (N // 2), list(range(N)), [2**60 + i % 9 for i in range(N)]])
def test_any_clusters_give_rows(k):
    found = rows({**BLOCK, "cluster": "k"}, {**DATA, "k": k})
    assert [r["status_reason"] for r in found if r["status"] == "failed"] == []
    row = one(found, "regression_adjustment")
    assert row["n_clusters"] in (None, len(set(k)))  # also of labels that float64 would merge
    assert (row["status"] == "estimated") == (len(set(k)) > 1)


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("w", [[0.0] * N, [-1.0] + [1.0] * (N - 1), [1.0] + [0.0] * (N - 1), [1e-200] * N, [1e100] * N])
def test_any_weights_give_rows(w):
    rows({**BLOCK, "weight": "w"}, {**DATA, "w": w})


@pytest.mark.usefixtures("fast")
def test_rows_with_missing_values_are_left_out_only_where_that_is_declared():
    holes = {**DATA, "x1": [None, None, *DATA["x1"][2:]], "y": [*DATA["y"][:-1], math.nan]}
    assert {r["status"] for r in rows(units=holes)} == {"refused"}
    dropped = rows({**BLOCK, "missing": "drop"}, holes)
    left = rows(units={k: v[2:-1] for k, v in DATA.items()})
    for old, new in zip(left, dropped, strict=True):
        assert (old["estimate"], old["std_error"], old["n_units"]) == (
            new["estimate"],
            new["std_error"],
            new["n_units"],
        )
        told = [d for d in json.loads(new["diagnostics"]) if d["metric"] == "rows_dropped_missing"]
        assert told[0]["value"] == 3
        if new["status"] == "estimated":
            assert new["n_trimmed"] == (old["n_trimmed"] or 0) + 3


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize(
    "more", [{"cluster": "k"}, {"benchmark_covariates": ["k"]}, {"options": {"tvce": {"covariates": ["k"]}}}]
)
def test_no_row_is_left_out_unasked(more):
    """A NULL in a column that only an option, a benchmark or the cluster reads is a breach like any other."""
    found = rows({**BLOCK, **more}, {**DATA, "k": [None, *range(1, N)]})
    assert {r["status"] for r in found} == {"refused"}
    assert "'k' is NULL in 1 rows" in found[0]["status_reason"]


# --- the decision's row ----------------------------------------------------------------------------------------------


def deciding(**changes):
    return {**BLOCK, "decision": {**DECISION, **changes}}


SPECIFIED = {"specifications": {"probit": {"estimators": ["ipw"], "propensity": {"link": "probit"}}}}


@pytest.mark.usefixtures("fast")
def test_the_primary_is_the_run_that_was_declared():
    block = deciding(primary="ipw", estimand="ATT", specification="probit") | SPECIFIED
    row = primary(rows(block))
    assert (row["estimator"], row["estimand"], row["specification"], row["status"]) == (
        "ipw",
        "ATT",
        "probit",
        "estimated",
    )
    assert row["estimate"] != one(rows(block), "ipw", "ATT")["estimate"]
    # Broken units and a broken column refuse the same run.
    for broken in ({**DATA, "y": NULLS}, {k: v for k, v in DATA.items() if k != "x1"}):
        row = primary(rows(block, broken))
        assert (row["estimator"], row["estimand"], row["specification"], row["status"]) == (
            "ipw",
            "ATT",
            "probit",
            "refused",
        )


@pytest.mark.usefixtures("fast")
def test_a_primary_that_does_not_suit_the_treatment_refuses():
    row = primary(rows({**deciding(primary="psm", estimand="ATT"), "design": "iv"}, {**DATA, "t": DATA["x2"] ** 3}))
    assert (row["estimator"], row["status"]) == ("psm", "refused")
    assert row["status_reason"] == "psm needs a binary treatment, and 't' is continuous. Choose another primary"
    row = primary(rows(deciding(primary="ols")))
    assert row["status_reason"] == "ols needs a continuous treatment, and 't' is binary. Choose another primary"


@pytest.mark.usefixtures("fast")
def test_a_term_that_is_not_there_refuses_and_names_those_that_are():
    found = rows(deciding(term="event_time=1"))
    row = primary(found)
    assert (row["estimator"], row["term"], row["status"]) == ("regression_adjustment", "event_time=1", "refused")
    assert row["status_reason"] == "the decision's term 'event_time=1' is not among overall. Mend decision.term"
    assert one(found, "regression_adjustment")["status"] == "estimated"


@pytest.mark.usefixtures("fast")
def test_of_several_terms_one_decides(monkeypatch):
    def several(problem, estimand):
        lost = {"status": "not_identified", "status_reason": "no controls"}
        return Result(
            (Estimate(estimand, "a", **lost), Estimate(estimand, "b", **lost), Estimate(estimand, estimate=1.0))
        )

    stand_in(monkeypatch, several)
    assert primary(rows(deciding(primary="ipw")))["term"] == "overall"
    assert primary(rows(deciding(primary="ipw", term="b")))["term"] == "b"
    refused = primary(rows(deciding(primary="ipw", term="c")))
    assert refused["status_reason"].startswith("the decision's term 'c' is not among a, b, overall")


def test_a_broken_declaration_is_one_failed_row():
    for block, outcome in ((None, None), ({**BLOCK, "treatmant": "t"}, "y"), ({"design": "rd"}, None)):
        (row,) = rows(block)
        assert (row["status"], row["estimator"], row["estimand"], row["outcome"]) == (
            "failed",
            "declaration",
            "none",
            outcome,
        )
        assert row["status_reason"].startswith("study s: ")


# --- gates -----------------------------------------------------------------------------------------------------------


def gate(**changes):
    return {"study": "s", "gate": "overlap", "subject": "overall", "estimand": "ATE", "estimator": None, "value": 0.5,
            "threshold": 0.8, "is_passing": False, "blocks": True, "severity": "error", "reason": "0.5 is below 0.8",
            "remedy": "Trim", **changes}  # fmt: skip


@pytest.mark.usefixtures("fast")
def test_what_a_gate_forbids_is_a_refusal_row():
    arrow = pa.Table.from_pylist([gate()], schema=pa.schema(
        [(k, pa.float64() if isinstance(v, float) else pa.bool_() if isinstance(v, bool) else pa.string())
         for k, v in gate().items()]
    ))  # fmt: skip
    for gates in ([gate()], arrow, duckdb.from_arrow(arrow)):
        for row in rows(gates=gates):
            blocked = row["estimand"] == "ATE"
            assert (row["status"] == "refused") >= blocked
            if blocked:
                assert row["status_reason"] == "overlap gate: 0.5 is below 0.8. Trim"


@pytest.mark.usefixtures("fast")
def test_gates_fail_closed():
    assert one(rows(gates=[gate(is_passing=None)]), "ipw")["status"] == "refused"
    assert one(rows(gates=[gate(blocks=None)]), "ipw")["status"] == "refused"
    assert one(rows(gates=[gate(blocks=False)]), "ipw")["status"] == "estimated"
    # A gates table without its columns lets nothing through.
    unread = rows(gates=[{"gate": "overlap"}])
    assert {row["status"] for row in unread} == {"failed"}
    assert unread[0]["status_reason"] == "KeyError: 'estimator'"


@pytest.mark.usefixtures("fast")
def test_broken_units_tell_the_breach_and_not_the_gate():
    row = one(rows(units={**DATA, "y": NULLS}, gates=[gate()]), "ipw")
    assert "outcome 'y' is NULL in every row" in row["status_reason"]


# --- hashes ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("fast")
def test_hashes():
    base = rows()[0]
    assert base["spec_hash"] == Study.declare("s", BLOCK).spec_hash()
    assert base["code_hash"] == build.code_hash()
    other_spec = rows({**BLOCK, "seed": 9})[0]
    assert (other_spec["spec_hash"] == base["spec_hash"], other_spec["data_hash"] == base["data_hash"]) == (False, True)
    same_data = rows(units=shuffled(pa.table({**DATA, "unused": DATA["y"]})))[0]
    assert (same_data["spec_hash"], same_data["data_hash"]) == (base["spec_hash"], base["data_hash"])
    other_data = rows(units={**DATA, "y": DATA["y"] + 1e-12})[0]
    assert (other_data["spec_hash"] == base["spec_hash"], other_data["data_hash"] == base["data_hash"]) == (True, False)
    assert rows(units={**DATA, "y": NULLS})[0]["data_hash"] is None


# --- design ----------------------------------------------------------------------------------------------------------


def test_design_tables():
    experiment = {**BLOCK, "design": "experiment", "allocation": 0.5}
    found = design("s", experiment, DATA).to_pylist()
    assert {row["metric"] for row in found} == {"omnibus_balance_p", "sample_ratio_p"}
    assert all(row["study"] == "s" and 0 <= row["value"] <= 1 for row in found)
    assert design("s", BLOCK, DATA).num_rows == 0  # observational studies are examined by their scores
    assert design("s", {**experiment, "treatmant": 1}, DATA).num_rows == 0
    assert design("s", experiment, {**DATA, "t": NULLS}).num_rows == 0


def test_a_design_that_crashes_or_refuses_tells_why():
    block = {**BLOCK, "design": "experiment", "covariates": ["log(x1)"]}
    (row,) = design("s", block, DATA).to_pylist()
    assert (row["metric"], row["value"]) == ("design", None)
    assert row["reason"].startswith("the design could not be examined: 'log(x1)' is not a finite number")


def test_a_density_test_sees_units_without_an_outcome():
    block, units = DESIGNS["rd"]
    y = [None if i % 3 else v for i, v in enumerate(units["y"])]
    found = {r["metric"]: r["value"] for r in design("s", {**block, "missing": "drop"}, {**units, "y": y}).to_pylist()}
    whole = {r["metric"]: r["value"] for r in design("s", block, units).to_pylist()}
    assert found["density_p"] == whole["density_p"]
