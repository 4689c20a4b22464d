"""What estimate() makes of a study: invariance, scores, gates, failures and the decisive row."""

import json
import math

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from effects import BLOCK, DATA, NULLS, N, failures, one, primary, rows, stable, without_forests
from support import DECISION, shuffled, simulated

from estimators import build, score
from estimators.errors import Refusal
from estimators.registry import BY_NAME
from estimators.result import Diagnostic, Estimate, Result
from estimators.study import Study


@pytest.fixture
def fast(monkeypatch):
    without_forests(monkeypatch)


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
            if old["std_error"] is None:  # of two policies that are the same
                assert new["std_error"] is None
                continue
            assert new["std_error"] == pytest.approx(old["std_error"], rel=tolerance), (old["estimator"], shift)


@pytest.mark.usefixtures("fast")
def test_a_scaled_outcome_scales_all_estimates():
    plain, scaled = rows(), rows(units={**DATA, "y": DATA["y"] * 1024})
    for old, new in zip(plain, scaled, strict=True):
        assert new["status"] == old["status"]
        if old["status"] == "estimated":
            assert new["estimate"] == pytest.approx(1024 * old["estimate"], rel=1e-10)
            # Two policies that are the same for all units differ by 0, without an error and a p-value.
            assert (new["p_value"] is None) == (old["p_value"] is None) == (old["std_error"] is None)
            assert (new["std_error"] is None) == (old["std_error"] is None)
            if old["p_value"] is not None:
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
            assert (new["status"], new["status_reason"].split(":")[0]) == (
                "failed",
                f"ipw ({new['estimand']}) of study s could not be computed",
            )
            assert "(KeyError). Read the other estimators" in new["status_reason"]
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
    told = one(rows(), "ipw")["status_reason"]
    assert told.startswith("ipw (ATE) of study s could not be computed: the estimator gave no row. Mend")


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
    assert (row["value"], row["threshold"], row["is_passing"]) == (None, None, None)


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
    assert one(found, "psm", "ATT")["status"] == ("refused" if role == "weight" else "estimated")
    answered = one(found, "regression_adjustment")
    assert (answered["status"], answered["n_clusters"]) == ("estimated", 15 if role == "cluster" else None)
    assert (answered["effective_sample_size"] is not None) == (role == "weight")


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("k", [["a"] * N, ["a", "b"] * (N // 2), list(range(N)), [2**60 + i % 9 for i in range(N)]])
def test_any_clusters_give_rows(k):
    found = rows({**BLOCK, "cluster": "k"}, {**DATA, "k": k})
    assert failures(found) == []
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
        if new["term"] == "overall":  # told once a run
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
    assert "could not be computed: it met a case that it does not foresee (KeyError)" in unread[0]["status_reason"]


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
