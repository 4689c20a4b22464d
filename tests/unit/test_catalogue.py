"""The seed that SQL reads and the registry that Python reads say the same."""

import importlib

import pytest

from commands.catalogue import PAGE, SEED, catalogue, page
from estimators.registry import ESTIMATORS


def test_seed_is_the_registry():
    assert SEED.read_text() == catalogue(), "run `python -m commands.catalogue`"


def test_page_is_the_registry():
    assert PAGE.read_text() == page(), "run `python -m commands.catalogue`"


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: e.name)
def test_every_estimator_is_there_and_told(estimator):
    module, function = estimator.where.split(":")
    assert callable(getattr(importlib.import_module(f"estimators.{module}"), function))
    assert estimator.load().__doc__
    assert estimator.assumptions
    assert estimator.when_not
    assert estimator.source
    assert all(option.meaning and option.accepts(option.default) for option in estimator.options.values())
