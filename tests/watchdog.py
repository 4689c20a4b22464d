"""A test that stands still ends its process, with the stacks of all threads.

pytest-timeout knows how long a test may take; its own timer is a thread of Python, which never comes on while another
thread holds the GIL, and prints where xdist does not look. The timer of `faulthandler` needs neither.
"""

from __future__ import annotations

import faulthandler
import os
from typing import Any

import pytest

_STDERR = pytest.StashKey[Any]()


def pytest_configure(config: pytest.Config) -> None:
    """Remember the terminal: what a test writes is captured."""
    config.stash[_STDERR] = os.fdopen(os.dup(2), "w")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Close it."""
    config.stash[_STDERR].close()


@pytest.hookimpl(optionalhook=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool:
    """Begin."""
    faulthandler.dump_traceback_later(settings.timeout, exit=True, file=item.config.stash[_STDERR])
    return True


@pytest.hookimpl(optionalhook=True)
def pytest_timeout_cancel_timer(item: pytest.Item) -> bool:
    """End."""
    faulthandler.cancel_dump_traceback_later()
    return True
