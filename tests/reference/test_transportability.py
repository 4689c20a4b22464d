"""Job training for women (JTPA): the effect at site NE carried to the other fifteen sites."""

from __future__ import annotations

from typing import Any

import pytest
from support import DECISION, assert_published, explained, overall, published, reference_table, run

COVARIATES = ["prevearn", "age", "married", "hrwage", "black", "hispanic", "hsorged", "yrs_educ"]
DATA = "jtpa_women"


@pytest.fixture(scope="module")
def units() -> dict[str, Any]:
    table = reference_table(DATA)
    out = {name: table.column(name).to_pylist() for name in [*COVARIATES, "unit_id", "earnings", "treat"]}
    return out | {"inside": [float(site == "NE") for site in table.column("site").to_pylist()]}


@pytest.fixture(scope="module")
def result(units: dict[str, Any]) -> Any:
    """The outcomes of the target sites are known here; the estimator must not look at them."""
    hidden = dict(units)
    for name in ("earnings", "treat"):
        hidden[name] = [v if inside else None for v, inside in zip(units[name], units["inside"], strict=True)]
    block = {
        "question": "q", "design": "experiment", "outcome": "earnings", "treatment": "treat", "sample": "inside",
        "covariates": COVARIATES, "decision": {**DECISION, "primary": "transportability"},
    }  # fmt: skip
    return run(block, hidden, "transportability", "ATE")


@pytest.mark.parametrize(
    ("method", "name", "why"),
    [
        ("iosw", "transportability IPSW", "the peer's error takes the weights as known"),
        ("entropy", "transportability entropy balancing", "the peer's error takes the weights as known (WLS HC2)"),
        ("g_transport", "g-transport", None),
        ("augmented", "augmented IPSW", None),
    ],
)
def test_methods(result: Any, method: str, name: str, why: str | None) -> None:
    row, ours = published(DATA, name, "USD"), overall(result, f"method={method}")
    assert_published(ours.estimate, row)
    if method == "entropy":  # the peer's optimiser stopped a little before the optimum: ours balances to 1e-11
        explained(row, ours.estimate, "the peer's optimiser stopped 2e-7 before the optimum", "reproduced_value")
        assert ours.estimate == pytest.approx(row["reproduced_value"], rel=1e-6)
    else:
        assert_published(ours.estimate, row, "reproduced_value")
    if why is not None:
        explained(row, ours.std_error, why, "se")
        assert 0.5 < ours.std_error / row["se"] < 1.5


def test_benchmarks_are_differences_in_means(units: dict[str, Any]) -> None:
    for name, quantity, arm in (
        ("transportability benchmark", "target-site", 0.0), ("source-site diff in means", "USD", 1.0),
    ):  # fmt: skip
        own = [i for i, inside in enumerate(units["inside"]) if inside == arm]
        block = {
            "question": "q", "design": "experiment", "outcome": "earnings", "treatment": "treat",
            "decision": {**DECISION, "primary": "difference_in_means"},
        }  # fmt: skip
        part = {key: [values[i] for i in own] for key, values in units.items()}
        ours = overall(run(block, part, "difference_in_means", "ATE"))
        row = published(DATA, name, quantity)
        assert_published(ours.estimate, row)
        assert_published(ours.std_error, row, "se")


def test_the_study_beside_is_its_own_contrast(result: Any) -> None:
    row = published(DATA, "source-site diff in means", "USD")
    assert_published(overall(result, "population=study").estimate, row)
