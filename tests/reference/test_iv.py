"""Instrumental variables against Card (1995) and What If, chapter 16."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import support

from estimators.instruments.kclass import two_stage
from estimators.instruments.partialled import partialled

CARD = ["exper", "expersq", "black", "smsa", "south", "smsa66", *(f"reg66{i}" for i in range(2, 10))]


def declared(outcome: str, treatment: str, covariates: list[str], instruments: list[str], **more: object) -> dict:
    block = support.observational(
        outcome, treatment, covariates, design="iv", instruments=instruments,
        options={"iv": {"variance": "classical"}}, **more,
    )  # fmt: skip
    return {**block, "decision": {**block["decision"], "primary": "iv", "estimand": "LATE"}}


def card() -> pa.Table:
    units = support.reference_table("card_schooling")
    return units.append_column("unit_id", pa.array(np.arange(units.num_rows)))  # its ids repeat


def test_card_college_proximity() -> None:
    want = support.published("card_schooling", "IV/2SLS", "return", "[educ~nearc4]")
    result = support.run(declared("lwage", "educ", CARD, ["nearc4"]), card(), "iv", "LATE")
    row = support.overall(result)
    for key in ("value", "reproduced_value"):
        support.assert_published(row.estimate, want, key)
    for key in ("se", "reproduced_se"):
        support.assert_published(row.std_error, want, key)
    first = {d.metric: d.value for d in result.diagnostics}["first_stage_f"]
    assert round(first, 2) == 13.26  # Stock, Wright & Yogo's F for this specification; no row of references.json


def test_card_overidentified() -> None:
    want = support.published("card_schooling", "IV/2SLS overidentified", "return")
    block = declared("lwage", "educ", CARD, ["nearc2", "nearc4"])
    fit = two_stage(partialled(support.problem(block, card(), "iv")))
    support.assert_published(fit.coef, want)
    # The stored peer run ends in …594; the same normal equations in exact rational arithmetic give the number below.
    assert abs(want["reproduced_value"] - fit.coef) < 1e-6
    assert fit.coef == pytest.approx(0.15705932727651048, abs=1e-12)
    for key in ("se", "reproduced_se"):
        support.assert_published(fit.std_error, want, key)
    # F is 7.9: the row keeps the number and the Anderson-Rubin set, and no normal interval.
    row = support.overall(support.run(block, card(), "iv", "LATE"))
    assert row.estimate == pytest.approx(fit.coef, abs=1e-12)
    assert row.std_error is None
    assert row.conf_low < row.estimate < row.conf_high


def test_nhefs_wald() -> None:
    want = support.published("nhefs", "IV Wald", "kg")
    units = support.reference_table("nhefs")
    units = units.filter(pc.is_valid(units["price82"]))
    units = units.append_column("high_price", pa.array((units["price82"].to_numpy() >= 1.5).astype(float)))
    block = declared("wt82_71", "qsmk", [], ["high_price"], unit="seqn")
    p = partialled(support.problem(block, units, "iv"))
    assert p.n == 1476
    fit = two_stage(p)
    support.assert_published(fit.coef, want, "reproduced_value")
    support.assert_published(fit.std_error, want, "se")
    # linearmodels divided by n there, the house by n − k.
    support.assert_published(fit.std_error * np.sqrt((p.n - 2) / p.n), want, "reproduced_se")
    row = support.overall(support.run(block, units, "iv", "LATE"))
    support.assert_published(row.estimate, want, "reproduced_value")
    assert row.std_error is None
