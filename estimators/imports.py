"""Modules that are imported when they are first needed."""

from __future__ import annotations

import importlib
import threading
from typing import Any

_ONE_AT_A_TIME = threading.RLock()


def load(name: str) -> Any:
    """A module, imported by one thread at a time.

    dbt runs Python models in threads. Modules of scikit-learn import each other in circles; where two threads begin in
    two places of a circle, Python ends the wait by handing one of them a module that is half made, and the estimator
    fails with an ImportError.

    Parameters
    ----------
    name : str
        The module's whole name.
    """
    with _ONE_AT_A_TIME:
        return importlib.import_module(name)
