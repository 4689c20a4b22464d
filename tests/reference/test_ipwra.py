"""Weighted regression adjustment against Stata's teffects ipwra."""

from __future__ import annotations

import pytest
from support import assert_published, observational, overall, published, reference_table, run

CATTANEO = ["mmarried", "mage", "mage^2", "fbaby", "medu"]


def test_cattaneo_probit() -> None:
    """Stata's standard error to its last digit: the probit's observed information is in the sandwich."""
    row = published("cattaneo2", "IPWRA", "ATE")
    outcome = {"covariates": ["prenatal1", "mmarried", "mage", "fbaby"]}
    block = observational(
        "bweight", "mbsmoke", CATTANEO,
        options={"propensity": {"link": "probit", "covariates": CATTANEO}, "outcome": outcome},
    )  # fmt: skip
    units = reference_table("cattaneo2")
    block["covariates"] = [*CATTANEO, "prenatal1"]
    ours = overall(run(block, units, "ipwra", "ATE"))
    assert_published(ours.estimate, row)
    assert_published(ours.std_error, row, "se")
    assert ours.estimate == pytest.approx(row["reproduced_value"], abs=1e-4)
