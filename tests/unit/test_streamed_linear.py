"""The linear estimators, streamed: the rows that they give in memory, whatever the options, weights and clusters."""

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import support
from scan_support import rows
from streamed_support import both, same

from estimators import build
from estimators.folds import md5_folds
from estimators.registry import BY_NAME

FAMILY = ("difference_in_means", "ols", "regression_adjustment", "tvce")
COVARIATES = ["x1", "x2", "x1^2", "C(c)", "x1:x2"]
VARIANCES = ("classical", "HC0", "HC1", "HC2", "HC3", "m_estimation", "m_estimation_hc2")
ROLES = ({}, {"weight": "w"}, {"cluster": "g"}, {"weight": "w", "cluster": "g"})


@pytest.fixture(autouse=True)
def only_the_family(monkeypatch):
    monkeypatch.setattr(build, "ESTIMATORS", tuple(BY_NAME[name] for name in FAMILY))


def units(n=900, seed=3, **changed):
    """Covariates of mean 1e9 and of scale 1e-3, a category, a column that others explain, weights of zero."""
    data = rows(n, seed)
    rng = np.random.default_rng(seed + 1)
    data["c"] = np.array(["a", "b", "b'c"])[rng.integers(0, 3, n)]
    data["twice"] = 2 * data["x1"] - 3
    data["w"] = np.where(np.arange(n) % 7 == 0, 0.0, data["w"])
    data["y"] = 1e6 + data["y"] + (data["c"] == "b") * data["x1"]
    data |= changed
    return pa.table({**data, "copy": 3 * np.asarray(data["t"]) - 1})


def block(**more):
    return support.observational("y", "t", COVARIATES, unit="unit_id", **more)


def variants(estimators, **bodies):
    return {name: {"estimators": list(estimators), **body} for name, body in bodies.items()}


ADJUSTED = {
    **{f"v_{v}": {"regression_adjustment": {"variance": v}} for v in VARIANCES},
    "none": {"outcome": {"interactions": "none"}},
    "none_hc3": {"outcome": {"interactions": "none"}, "regression_adjustment": {"variance": "HC3"}},
    "none_m": {"outcome": {"interactions": "none"}, "regression_adjustment": {"variance": "m_estimation"}},
    "some": {"outcome": {"interactions": ["x1", "C(c)"]}},
    "some_m": {"outcome": {"interactions": ["x1"]}, "regression_adjustment": {"variance": "m_estimation"}},
    "collinear": {"outcome": {"covariates": ["x1", "twice", "x3"]}},
    "stranger": {"outcome": {"covariates": ["x1"], "interactions": ["x3"]}},
    "explained": {"outcome": {"covariates": ["x1", "copy"]}},
    "alone": {"outcome": {"covariates": []}},
}


@pytest.mark.parametrize("roles", ROLES, ids=str)
def test_regression_adjustment(roles):
    found = same(
        block(**roles, specifications=variants(["regression_adjustment"], **ADJUSTED)), units(), "regression_adjustment"
    )
    refused = {row["specification"]: row["status"] for row in found if row["status"] != "estimated"}
    assert refused == {"stranger": "refused", "explained": "not_identified"}


@pytest.mark.parametrize("roles", ROLES, ids=str)
def test_difference_in_means(roles):
    bodies = {v: {"difference_in_means": {"variance": v}} for v in ("classical", "HC0", "HC1")}
    found = same(
        block(**roles, specifications=variants(["difference_in_means"], **bodies)), units(), "difference_in_means"
    )
    assert {row["status"] for row in found} == {"estimated"}


@pytest.mark.parametrize("roles", ROLES, ids=str)
def test_partially_linear(roles):
    bodies = {"one": {"folds": 1}, "three": {"folds": 3}, "other": {"tvce": {"covariates": ["x1", "twice", "x3"]}}}
    declared = block(**roles, specifications=variants(["tvce"], **bodies), options={"tvce": {"learner": "linear"}})
    found = same(declared, units(), "tvce")
    assert {row["status"] for row in found} == {"estimated"}


@pytest.mark.parametrize("roles", ROLES, ids=str)
def test_continuous_treatment(roles):
    bodies = {v: {"ols": {"variance": v}} for v in ("classical", "HC0", "HC2", "HC3")}
    bodies |= {
        "collinear": {"ols": {"covariates": ["x1", "twice"]}},
        "explained": {"ols": {"covariates": ["x1", "copy"]}},
    }
    rng = np.random.default_rng(5)
    dose = 3.0 + rows(900)["x1"] + rng.normal(size=900)
    declared = block(**roles, specifications=variants(["ols"], **bodies))
    declared["decision"] = {**support.DECISION, "primary": "ols"}
    given = units(t=dose)
    found = same(declared, given, "ols")
    assert [r["specification"] for r in found if r["status"] != "estimated"] == ["explained"]
    (row,) = same(declared, given, "tvce")
    assert row["contrast"] == "per unit"


def test_an_outcome_of_mean_1e9_and_a_declared_fold():
    n = 900
    fold = np.arange(n) % 3
    given = units(y=1e9 + rows(n)["y"], fold=fold)
    declared = block(fold="fold", folds=3)
    for name in ("difference_in_means", "regression_adjustment", "tvce"):
        same(declared, given, name)


def test_a_binary_outcome_has_risk_ratios():
    n = 1_200
    data = rows(n)
    y = (data["y"] > np.median(data["y"])).astype(float)
    for interactions in ("all", "none", ["x1"]):
        declared = block(options={"outcome": {"interactions": interactions, "covariates": ["x1", "x2"]}})
        found = same(declared, units(n, y=y), "regression_adjustment")
        assert '"method": "e_value"' in found[0]["sensitivity"]
        assert "risk without treatment" in found[0]["sensitivity"]


def test_missing_values_are_dropped_and_counted():
    given = units()
    gaps = np.random.default_rng(1).random((3, 900)) < 0.05
    for name, gap in zip(("y", "c", "t"), gaps, strict=True):
        place = given.column_names.index(name)
        given = given.set_column(place, name, pa.array(given.column(name).to_pylist(), mask=gap))
    for name in ("difference_in_means", "regression_adjustment", "tvce"):
        (row, *_) = same(block(missing="drop"), given, name)
        assert row["n_trimmed"] == gaps.any(axis=0).sum()


def test_a_covariate_that_is_constant_in_an_arm_or_outside_a_fold():
    given = units()
    t, fold = (np.array(given.column(name)) for name in ("t", "g"))
    x1 = np.array(given.column("x1"))
    declared = block(fold="fold", folds=3)
    declared["covariates"] = ["x1", "treated_only", "control_only", "one_fold"]
    given = given.append_column("treated_only", pa.array(np.where(t == 1, x1**2, 0.5)))
    given = given.append_column("control_only", pa.array(np.where(t == 0, x1**3, 0.25)))
    given = given.append_column("fold", pa.array(fold % 3))
    given = given.append_column("one_fold", pa.array(np.where(fold % 3 == 2, x1**2, 0.25)))
    for name in ("regression_adjustment", "tvce"):
        found = same(declared, given, name)
        assert "estimated" in {row["status"] for row in found}


def test_only_what_reads_a_logarithm_of_zero_refuses():
    given = units(x3=np.where(np.arange(900) < 5, 0.0, 1.0 + np.abs(rows(900)["x3"])))
    bodies = {"logs": {"outcome": {"covariates": ["x1", "log(x3)"]}}}
    declared = block(specifications=variants(["regression_adjustment"], **bodies))
    for name in ("difference_in_means", "tvce"):
        assert {row["status"] for row in same(declared, given, name)} == {"estimated"}
    pairs = both(declared, given, "regression_adjustment")
    statuses = [(memory["status"], streamed["status"]) for memory, streamed in pairs]
    assert statuses == [("estimated", "estimated")] * 2 + [("refused", "refused")] * 2
    for memory, streamed in pairs[2:]:
        assert streamed["status_reason"] == memory["status_reason"]
        assert "'log(x3)' is not a finite number in 5 rows" in streamed["status_reason"]


REFUSALS = {
    "constant outcome": ({}, {"y": np.full(900, 7.0)}, "the outcome 'y' is 7 in every row"),
    "negative weight": ({"weight": "w"}, {"w": np.where(np.arange(900) == 3, -1.0, 1.0)}, "has negative values"),
    "no weight": ({"weight": "w"}, {"w": np.zeros(900)}, "is zero in every row"),
    "one cluster": ({"cluster": "g"}, {"g": np.zeros(900, dtype=int)}, "all rows are in one cluster of 'g'"),
    "one treated": ({}, {"t": (np.arange(900) == 3).astype(float)}, "1 treated units are left and 2 are needed"),
    "weightless arm": ({"weight": "w"}, {"w": (rows(900)["t"] == 0).astype(float)}, "is constant at 0"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_in_the_same_words(case):
    roles, changed, words = REFUSALS[case]
    for name in ("difference_in_means", "regression_adjustment", "tvce"):
        for memory, streamed in both(block(**roles), units(**changed), name):
            assert (streamed["status"], streamed["status_reason"]) == (memory["status"], memory["status_reason"])
            assert words in streamed["status_reason"]
            assert streamed["estimate"] is None


def test_refusals_of_few_rows_and_of_explained_treatments():
    few = units(24, g=np.arange(24))
    for name in ("regression_adjustment", "tvce"):
        declared = block(options={"outcome": {"covariates": ["C(g)", "x1"]}, "tvce": {"covariates": ["C(g)", "x1"]}})
        for memory, streamed in both(declared, few, name):
            assert (streamed["status"], streamed["status_reason"]) == (memory["status"], memory["status_reason"])
            assert "cannot carry" in streamed["status_reason"]
    explained = block()
    explained["covariates"] = ["x1", "z"]
    given = units(z=3 * rows(900)["t"] - 1)
    for name in ("regression_adjustment", "tvce"):
        for memory, streamed in both(explained, given, name):
            assert (streamed["status"], streamed["status_reason"]) == (memory["status"], memory["status_reason"])
            assert streamed["status"] == "not_identified"


def test_without_folds_only_cross_fitting_refuses():
    """Two clusters that fall into one fold: nothing to cross-fit, and no reason for the others to refuse."""
    assert len(set(md5_folds((11, 31), 2, 20260101).tolist())) == 1
    given = units(g=np.where(np.arange(900) % 2 == 0, 11, 31))
    declared = block(cluster="g", folds=2)
    for name in ("difference_in_means", "regression_adjustment"):
        assert same(declared, given, name)[0]["status"] == "estimated"
    ((memory, streamed),) = both(declared, given, "tvce")
    assert streamed["status"] == "refused"
    assert streamed["status_reason"] == memory["status_reason"]


def test_no_finite_sum_is_no_number():
    """A covariate of size 1e149: its square is finite, and nothing overflows on the way."""
    given = units(x3=rows(900)["x3"] * 1e149)
    declared = block()
    declared["covariates"] = ["x1", "x3"]
    for name in ("regression_adjustment", "tvce"):
        assert {row["status"] for row in same(declared, given, name)} == {"estimated"}


def streamed_rows(given, threads=2, order=None, n=60_000):
    from estimators import estimate

    connection = duckdb.connect(config={"threads": threads})
    connection.register("given", given)
    connection.execute("create table units as select * from given" + (f" order by {order}" if order else ""))
    declared = {**block(weight="w", cluster="g"), "row_budget": 1_000}
    declared["covariates"] = ["x1", "x2", "C(c)"]
    found = estimate("s", declared, connection.table("units"), session=connection).to_pylist()
    return {(r["estimator"], r["estimand"]): (r["estimate"], r["std_error"], r["status"]) for r in found}


def test_neither_threads_nor_the_order_of_rows_matter():
    """Several blocks; sorted rows too, whose first block is unlike the others."""
    given = units(60_000)
    first = streamed_rows(given)
    assert {status for *_, status in first.values()} == {"estimated"}
    for threads, order in ((1, None), (4, None), (2, "hash(unit_id)"), (2, "x1")):
        again = streamed_rows(given, threads, order)
        for key, (effect, std_error, _) in first.items():
            assert again[key][:2] == pytest.approx((effect, std_error), rel=1e-10), (key, threads, order)


def test_scaling_and_shifting_the_outcome():
    given = units()
    y = np.array(given.column("y"))
    for name in ("regression_adjustment", "tvce"):
        one = same(block(weight="w"), given, name)
        two = same(block(weight="w"), units(y=100 * y + 5e7), name)
        for a, b in zip(one, two, strict=True):
            assert b["estimate"] == pytest.approx(100 * a["estimate"], rel=1e-9)
            assert b["std_error"] == pytest.approx(100 * a["std_error"], rel=1e-9)
