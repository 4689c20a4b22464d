"""Secondary outcomes and guardrails: each is the study with that outcome as its own, and nothing is fitted twice."""

import numpy as np
import pytest
from effects import stable
from streamed_support import NUMBERS, close
from support import DECISION, observational, simulated

from estimators import build, estimate, outcomes, problem, score
from estimators.errors import StudyError
from estimators.registry import BY_NAME
from estimators.study import Guardrail, Study

N = 400
GUARDRAIL = {"g": {"desired_direction": "more", "margin": 0.5}}
OTHERS = {"secondary_outcomes": ["z"], "guardrails": GUARDRAIL}
BLOCK = observational("y", "t", ["x1", "x2"])
# Estimand and further options of each primary that is tried.
PRIMARIES = {
    "difference_in_means": "ATE", "regression_adjustment": "ATT", "ipw": "ATO", "psm": "ATT", "stratification": "ATE",
    "ope": "ATT", "tvce": "ATE", "ipwra": "ATE",
}  # fmt: skip
STREAMED = [name for name in PRIMARIES if BY_NAME[name].streams]


def data(**changed):
    rng, units = np.random.default_rng(3), simulated(N)
    units |= {"z": units["x1"] + 0.5 * units["t"] + rng.normal(size=N), "g": rng.normal(size=N) - 0.2 * units["t"]}
    units |= {"w": rng.uniform(0.5, 2, N), "c": rng.integers(0, 40, N)}
    return {**units, **changed}


def with_gaps(*places):
    values = data()["z"].copy()
    values[list(places)] = np.nan
    return data(z=values)


def asked(primary="ope", estimand="ATE", **more):
    return {**BLOCK, "decision": {**DECISION, "primary": primary, "estimand": estimand}, **more}


def only(monkeypatch, *names):
    monkeypatch.setattr(build, "ESTIMATORS", tuple(BY_NAME[name] for name in names))


def others(block, units, **more):
    """The rows of the other outcomes by outcome, and the rest."""
    found = estimate("s", block, units, **more).to_pylist()
    return {row["outcome"]: row for row in found if row["outcome"] != "y"}, [r for r in found if r["outcome"] == "y"]


def alone(block, outcome, units):
    """The decision's row of the study with that outcome as its own."""
    (row,) = [r for r in estimate("s", {**block, "outcome": outcome}, units).to_pylist() if r["is_primary"]]
    return row


def same(one, other, tolerance=1e-12):
    for name in NUMBERS:
        close(one[name], other[name], tolerance, name)
    for name in ("estimator", "specification", "estimand", "term", "contrast", "status", "status_reason", "outcome"):
        assert one[name] == other[name], name


# --- estimates -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("declared", [{}, {"weight": "w"}, {"cluster": "c"}], ids=["plain", "weight", "cluster"])
@pytest.mark.parametrize("primary", PRIMARIES)
def test_equal_to_the_study_of_that_outcome(primary, declared, monkeypatch):
    only(monkeypatch, primary)
    block = asked(primary, PRIMARIES[primary], **declared)
    found, _ = others({**block, **OTHERS}, data())
    assert list(found) == ["z", "g"]
    for outcome, row in found.items():
        same(row, alone(block, outcome, data()))
        assert (row["is_primary"], row["specification"]) == (False, "default")
        assert (row["diagnostics"], row["curves"], row["sensitivity"]) == ("[]", "[]", "[]")


@pytest.mark.parametrize("declared", [{}, {"weight": "w"}, {"cluster": "c"}], ids=["plain", "weight", "cluster"])
@pytest.mark.parametrize("primary", STREAMED)
def test_streaming_changes_nothing(primary, declared, monkeypatch):
    only(monkeypatch, primary)
    block = {**asked(primary, PRIMARIES[primary], **declared), **OTHERS}
    held, _ = others(block, data())
    streamed, _ = others({**block, "row_budget": 10}, data())
    assert list(held) == list(streamed)
    for outcome, row in streamed.items():
        same(row, alone({**block, "secondary_outcomes": [], "guardrails": {}, "row_budget": 10}, outcome, data()), 1e-9)
        if (primary, list(declared)) == ("psm", ["cluster"]):  # which it does not stream
            assert row["status"] == "refused"
        elif row["status"] == "estimated":
            same(row, held[outcome], 1e-9)
        else:  # neither matching nor strata use a weight
            assert (row["status"], held[outcome]["status"], list(declared)) == ("refused", "refused", ["weight"])


def test_the_primary_outcome_keeps_its_rows(monkeypatch):
    only(monkeypatch, "ope", "regression_adjustment")
    plain = stable(estimate("s", asked(), data()).to_pylist())
    for units in (data(), with_gaps(0, 1)):
        _, rest = others({**asked(), **OTHERS}, units)
        hashed = ("spec_hash", "data_hash")
        assert [{k: v for k, v in r.items() if k not in hashed} for r in stable(rest)] == [
            {k: v for k, v in r.items() if k not in hashed} for r in plain
        ]


def test_the_term_is_the_decisions(monkeypatch):
    only(monkeypatch, "ope")
    block = {**asked(), **OTHERS, "decision": {**DECISION, "primary": "ope", "term": "nowhere"}}
    found, _ = others(block, data())
    assert found["z"]["status"] == "refused"
    assert "the decision's term 'nowhere' is not among" in found["z"]["status_reason"]


# --- missing values --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [10**6, 10])
def test_a_gap_costs_its_own_outcome_a_row(budget, monkeypatch):
    only(monkeypatch, "ope")
    units = with_gaps(0, 7, 8)
    units["y"][11] = np.nan
    block = asked(missing="drop", row_budget=budget)
    found, rest = others({**block, **OTHERS}, units)
    assert [(rest[0]["n_units"], rest[0]["n_trimmed"])] == [(N - 1, 1)]
    assert (found["z"]["n_units"], found["z"]["n_trimmed"]) == (N - 3, 3)
    assert (found["g"]["n_units"], found["g"]["n_trimmed"]) == (N, None)
    for outcome in ("z", "g"):
        same(found[outcome], alone(block, outcome, units), 1e-9)


@pytest.mark.parametrize("budget", [10**6, 10])
def test_a_gap_that_is_refused_refuses_its_own_outcome(budget, monkeypatch):
    only(monkeypatch, "ope")
    found, rest = others({**asked(row_budget=budget), **OTHERS}, with_gaps(0, 7))
    assert found["z"]["status"] == "refused"
    assert "outcome 'z' is NULL in 2 rows" in found["z"]["status_reason"]
    assert {row["status"] for row in (found["g"], rest[0])} == {"estimated"}


@pytest.mark.parametrize("budget", [10**6, 10])
@pytest.mark.parametrize(
    ("values", "told"),
    [(["a"] * N, "secondary outcome 'z' holds text"), ([None] * N, "secondary outcome 'z' is NULL in every row"),
     ([1e200] * N, "secondary outcome 'z' holds numbers beyond")],
)  # fmt: skip
def test_a_column_that_is_no_outcome_breaks_the_contract(values, told, budget, monkeypatch):
    only(monkeypatch, "ope")
    found, rest = others({**asked(row_budget=budget), **OTHERS}, data(z=values))
    for row in (*found.values(), *rest):
        assert row["status"] == "refused"
        assert told in row["status_reason"]
    assert sum(row["is_primary"] for row in rest) == 1


def test_a_column_that_is_not_there_is_named():
    units = data()
    del units["g"]
    found, rest = others({**asked(), **OTHERS}, units)
    assert all("'g'" in row["status_reason"] for row in (*found.values(), *rest))


def test_a_constant_outcome_is_refused_and_a_crash_has_failed(monkeypatch):
    only(monkeypatch, "ope")
    found, rest = others({**asked(), **OTHERS}, data(z=np.ones(N)))
    assert "the outcome 'z' is 1 in every row" in found["z"]["status_reason"]
    assert (found["g"]["status"], rest[0]["status"]) == ("estimated", "estimated")
    monkeypatch.setattr(build, "for_outcome", lambda *_: 1 / 0)
    found, rest = others({**asked(), **OTHERS}, data())
    assert {row["status"] for row in found.values()} == {"failed"}
    assert rest[0]["status"] == "estimated"


# --- nothing is fitted twice -----------------------------------------------------------------------------------------


@pytest.fixture
def fits(monkeypatch):
    """How often each fit of the propensity is made."""
    from estimators.scan import logistic

    made = {"whole": 0, "crossfit": 0, "scan": 0}

    def counted(name, where, what):
        plain = getattr(where, what)

        def call(*args, **more):
            made[name] += 1
            return plain(*args, **more)

        monkeypatch.setattr(where, what, call)

    counted("whole", problem, "fit_pooling")
    counted("crossfit", problem, "crossfit_propensity")
    counted("scan", logistic, "fit")
    return made


@pytest.mark.parametrize("primary", ["ipw", "ope", "psm", "stratification"])
@pytest.mark.parametrize("budget", [10**6, 10])
def test_propensities_are_fitted_once(primary, budget, fits, monkeypatch):
    only(monkeypatch, primary)
    block = asked(primary, PRIMARIES[primary], row_budget=budget)
    estimate("s", block, data())
    without = dict(fits)
    estimate("s", {**block, **OTHERS}, data())
    assert sum(without.values()) > 0
    assert {name: count - without[name] for name, count in fits.items()} == without


def test_propensities_of_the_scores_are_used(fits, monkeypatch):
    only(monkeypatch, "ope")
    block = {**asked(), **OTHERS}
    scores, before = score("s", block, data()), dict(fits)
    assert before["crossfit"] == 1
    found, _ = others(block, data(), scores=scores)
    assert fits["crossfit"] == 1
    same(found["z"], alone(asked(), "z", data()))


def test_the_treatment_is_partialled_out_once(monkeypatch):
    from estimators.selection_on_observables import tvce

    only(monkeypatch, "tvce")
    asked_for = []
    plain = tvce.out_of_fold
    monkeypatch.setattr(
        tvce, "out_of_fold", lambda learner, y, *a: (asked_for.append(set(y[:, 0])), plain(learner, y, *a))[1]
    )
    block = {**asked("tvce", options={"repeats": 1}), **OTHERS}
    others(block, data())
    assert len(asked_for) == 4  # the treatment and three outcomes
    assert asked_for.count({0.0, 1.0}) == 1


# --- who cannot ------------------------------------------------------------------------------------------------------


def test_a_mediator_is_declared_for_one_outcome(monkeypatch):
    only(monkeypatch, "difference_in_means")
    found, _ = others({**asked("mediation", "ACME", mediator="w"), **OTHERS}, data())
    assert {row["status"] for row in found.values()} == {"refused"}
    assert "the mediator was declared for the primary outcome" in found["z"]["status_reason"]


def test_gates_forbid_the_other_outcomes_too(monkeypatch):
    only(monkeypatch, "ope")
    gate = {"gate": "overlap", "subject": "ATE", "estimand": "ATE", "estimator": None, "value": 0.1, "threshold": 0.8,
            "is_passing": False, "blocks": True, "severity": "error", "reason": "too few", "remedy": None}  # fmt: skip
    found, rest = others({**asked(), **OTHERS}, data(), gates=[gate])
    assert {row["status"] for row in (*found.values(), rest[0])} == {"refused"}


def test_a_treatment_of_the_wrong_kind_refuses_all(monkeypatch):
    only(monkeypatch, "ope")
    found, rest = others({**asked(), **OTHERS}, data(t=data()["x1"]))
    assert {row["status"] for row in (*found.values(), *rest)} == {"refused"}


def test_a_panel_has_other_outcomes(monkeypatch):
    only(monkeypatch, "did")
    rng = np.random.default_rng(5)
    unit, time = np.repeat(np.arange(60), 4), np.tile(np.arange(2000, 2004), 60)
    cohort = np.where(unit % 3 == 0, 2002, 0)
    treated = (cohort > 0) & (time >= cohort)
    units = {"unit_id": unit, "time": time, "cohort": cohort, "y": rng.normal(size=240) + treated}
    units["z"] = rng.normal(size=240) - treated
    block = {"question": "q", "design": "panel", "outcome": "y", "time": "time", "cohort": "cohort", "never": 0,
             "decision": {**DECISION, "primary": "did", "estimand": "ATT"}}  # fmt: skip
    for budget in (10**6, 10):
        found, _ = others({**block, "secondary_outcomes": ["z"], "row_budget": budget}, units)
        same(found["z"], alone({**block, "row_budget": budget}, "z", units), 1e-9)
        assert found["z"]["status"] == "estimated"


# --- declarations ----------------------------------------------------------------------------------------------------


def guarded(**body):
    return {"guardrails": {"g": {"desired_direction": "more", "margin": 0.5, **body}}}


WRONG = {
    "not a list": ({"secondary_outcomes": "z"}, "'secondary_outcomes' must be a list of columns, not 'z'", "[visits"),
    "a term": ({"secondary_outcomes": ["z^2"]}, "'secondary_outcomes' names 'z^2', which is no column", "of a column"),
    "a number": ({"secondary_outcomes": [3]}, "'secondary_outcomes' names 3, which is no column's name", "of a column"),
    "twice": ({"secondary_outcomes": ["z", "z"]}, "'z' is named twice among secondary outcomes and", "Name it once"),
    "both": ({"secondary_outcomes": ["g"], **guarded()}, "'g' is named twice among secondary", "Name it once"),
    "the outcome": ({"secondary_outcomes": ["y"]}, "secondary outcome 'y' is also the outcome", "its own column"),
    "the treatment": ({"guardrails": {"t": GUARDRAIL["g"]}}, "guardrail 't' is also the treatment", "its own column"),
    "a covariate": ({"secondary_outcomes": ["x1"]}, "secondary outcome 'x1' is also a covariate", "its own column"),
    "a term's covariate": (
        {"covariates": ["x1", "z^2"], "secondary_outcomes": ["z"]},
        "'z' is also a covariate",
        "own",
    ),
    "the cluster": ({"cluster": "z", "secondary_outcomes": ["z"]}, "'z' is also in another role", "its own column"),
    "the unit": ({"secondary_outcomes": ["unit_id"]}, "'unit_id' is also in another role", "its own column"),
    "guardrails a list": ({"guardrails": ["g"]}, "'guardrails' must be a mapping of columns, not ['g']", "margin: 0.5"),
    "guardrail a number": ({"guardrails": {"g": 0.5}}, "guardrails.g must be a mapping, not 0.5", "desired_direction,"),
    "guardrail a term": ({"guardrails": {"log(g)": GUARDRAIL["g"]}}, "'guardrails' names 'log(g)'", "of a column"),
    "unknown word": (guarded(margins=1), "unknown key in guardrails.g: 'margins'", "Did you mean 'margin'?"),
    "no direction": (guarded(desired_direction=None), "'guardrails.g.desired_direction' is not declared", "more, less"),
    "direction": (guarded(desired_direction="up"), "unknown guardrails.g.desired_direction 'up'", "more, less"),
    "no margin": (guarded(margin=None), "guardrails.g.margin is not declared", "how much worse is still tolerated"),
    "margin text": (guarded(margin="big"), "'guardrails.g.margin' must be a number, not 'big'", "without quotes"),
    "margin zero": (guarded(margin=0), "guardrails.g.margin must be above 0, not 0", "how much worse"),
    "margin below zero": (guarded(margin=-1), "guardrails.g.margin must be above 0, not -1", "how much worse"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_words(case):
    block, told, mend = WRONG[case]
    with pytest.raises(StudyError) as caught:
        Study.declare("s", {**BLOCK, **block})
    assert caught.value.study == "s"
    assert told in caught.value.problem
    assert mend in caught.value.mend


def test_what_is_declared():
    one = Study.declare("s", {**BLOCK, "secondary_outcomes": ["z"], "guardrails": {"g": {
        "desired_direction": "less", "margin": "0.5"}}})  # fmt: skip
    assert one.guardrails == (Guardrail("g", "less", 0.5),)
    assert one.other_outcomes() == ("z", "g")
    assert {"z", "g"} <= set(one.columns())
    assert one.alone("z") == Study.declare("s", {**BLOCK, "outcome": "z"})
    plain = Study.declare("s", BLOCK)
    assert (plain.other_outcomes(), plain.has("secondary_outcomes"), plain.has("guardrails")) == ((), False, False)
    assert one.spec_hash() != plain.spec_hash()


def test_everything_kept_is_either_shared_or_of_one_outcome(monkeypatch):
    """What a key holds is decided here by name: a new one is not shared until someone says that it may be."""
    free = [("matrix", ()), "kind", ("propensity", 1), ("learned", type("T", (), {"column": "t", "inside": None}))]
    bound = [("nuisances", 1), ("partialled out", 1), "sample", ("moments", 5), ("outcome", 1)]
    bound += [("learned", type("T", (), {"column": "y", "inside": None}))]
    bound += [("learned", type("T", (), {"column": "t", "inside": ("t", 1)}))]
    assert all(outcomes._is_free(key, "t") for key in free)
    assert not any(outcomes._is_free(key, "t") for key in bound)
