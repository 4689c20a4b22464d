"""The seed that SQL reads and the registry that Python reads say the same."""

import csv
import importlib

import pytest

from commands.catalogue import PAGE, SEED, catalogue, page
from estimators.registry import BESIDE, BY_NAME, ESTIMATORS, NAIVE


def test_seed_is_the_registry():
    assert SEED.read_text() == catalogue(), "run `python -m commands.catalogue`"


def test_page_is_the_registry():
    assert PAGE.read_text() == page(), "run `python -m commands.catalogue`"


def test_seed_says_what_stands_beside():
    with SEED.open(newline="") as file:
        rows = {row["estimator"]: row for row in csv.DictReader(file)}
    assert {name for name, row in rows.items() if row["is_naive"] == "true"} == set(NAIVE)
    assert {name for name, row in rows.items() if row["is_beside"] == "true"} == set(BESIDE)
    assert all(row["is_beside"] in ("true", "false") for row in rows.values())


def test_page_tells_shared_options_alternatives_designs_and_what_stands_beside():
    sections = {text.split("\n")[0]: text for text in page().split("\n## ")[1:]}
    assert "| `repeats` | `null` |" in page()
    assert "`cohort` or `treatment`" in sections["twfe"]
    assert "design `observational`" in sections["sensitivity"]
    for name, text in sections.items():
        assert ("Stands beside" in text) == (name in BESIDE)
        assert ("Runs only in studies" in text) == bool(BY_NAME[name].designs)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: e.name)
def test_every_estimator_is_there_and_told(estimator):
    module, function = estimator.where.split(":")
    assert callable(getattr(importlib.import_module(f"estimators.{module}"), function))
    assert estimator.load().__doc__
    assert estimator.assumptions
    assert estimator.when_not
    assert estimator.source
    assert all(option.meaning and option.accepts(option.default) for option in estimator.options.values())
