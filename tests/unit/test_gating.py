"""Which failed gates forbid which run: specificity, NULLs and unknown outcomes."""

import random

from estimators.gating import blocking, reason


def gate(name="balance", subject="age", estimator=None, estimand=None, is_passing=False, blocks=True, **more):
    row = {"gate": name, "subject": subject, "estimator": estimator, "estimand": estimand, "value": 0.3}
    return {**row, "is_passing": is_passing, "blocks": blocks, "reason": f"{subject} is off", "remedy": None, **more}


def names(gates, estimator="ipw", estimand="ATT"):
    return [row["subject"] for row in blocking(gates, estimator, estimand)]


def test_a_failed_gate_blocks_whom_it_names():
    assert names([gate()]) == ["age"]
    assert names([gate(estimator="ipw")]) == ["age"]
    assert names([gate(estimator="psm")]) == []
    assert names([gate(estimand="ATT")]) == ["age"]
    assert names([gate(estimand="ATE")]) == []
    assert names([gate(estimator="ipw", estimand="ATE")]) == []


def test_a_passed_or_informative_gate_blocks_nobody():
    assert names([gate(is_passing=True), gate(blocks=False), gate(is_passing=True, blocks=None)]) == []


def test_what_is_unknown_fails_closed():
    assert names([gate(is_passing=None)]) == ["age"]
    assert names([gate(blocks=None)]) == ["age"]


def test_the_more_specific_row_decides():
    general, exempt = gate(), gate(estimator="ipw", blocks=False)
    for rows in ([general, exempt], [exempt, general]):
        assert names(rows) == []
        assert names(rows, "psm") == ["age"]
    # An estimator's row outweighs an estimand's; both together outweigh either.
    ladder = [gate(blocks=False), gate(estimand="ATT"), gate(estimator="ipw", blocks=False)]
    assert names(ladder) == []
    assert names([*ladder, gate(estimator="ipw", estimand="ATT")]) == ["age"]


def test_of_equally_specific_rows_one_that_forbids_decides():
    assert names([gate(is_passing=True), gate()]) == ["age"]
    assert names([gate(), gate(is_passing=True)]) == ["age"]


def test_subjects_and_gates_are_judged_apart():
    rows = [gate(subject="age"), gate(subject="age", estimator="ipw", is_passing=True), gate(subject="re74")]
    assert names(rows) == ["re74"]
    assert len(blocking([gate("overlap", "x"), gate("balance", "x")], "ipw", "ATT")) == 2


def test_the_order_of_rows_is_no_order():
    rows = [gate(subject=f"x{i}", value=v) for i, v in enumerate([0.2, -0.9, None, 0.4])]
    rows += [gate("overlap", "e", estimator="ipw"), gate("contract", "y")]
    first = blocking(rows, "ipw", "ATT")
    for seed in range(5):
        shuffled = random.Random(seed).sample(rows, len(rows))
        assert blocking(shuffled, "ipw", "ATT") == first
    # What could not be computed is furthest off.
    assert [row["subject"] for row in first] == ["x2", "x1", "x3", "x0", "y", "e"]


def test_no_gates_forbid_nothing():
    assert blocking([], "ipw", "ATE") == []


def test_reason_spells_three_out_and_gives_the_first_remedy():
    failed = [gate(subject="a"), gate(subject="b", remedy="Weight them"), gate(subject="c", remedy="Wait")]
    assert reason(failed[:1]) == "balance gate: a is off"
    assert reason(failed) == "balance gate: a is off; balance gate: b is off; balance gate: c is off. Weight them"
    assert reason([*failed, gate(subject="d"), gate(subject="e")]).endswith("c is off (and 2 more). Weight them")
