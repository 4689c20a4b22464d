"""``--accepted`` writes docs/accepted.md from what tests/reference compared; the tests' watchdog and their order."""

from __future__ import annotations

import pytest
import support
from accepted import PAGE
from order import pytest_collection_modifyitems  # noqa: F401 (hook of pytest)
from watchdog import (  # noqa: F401 (hooks of pytest)
    pytest_configure,
    pytest_timeout_cancel_timer,
    pytest_timeout_set_timer,
    pytest_unconfigure,
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--accepted", action="store_true", help="write docs/accepted.md")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if session.config.getoption("--accepted") and exitstatus == 0:
        PAGE.write_text(support.COMPARISONS.page())
