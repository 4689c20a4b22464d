"""How a period or cohort is written: as the study's frequency has it, or as a plain number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from ..calendar_codes import named

# How the study at work writes its periods; set while one of its estimators runs (`writing`).
_FREQUENCY: ContextVar[str | None] = ContextVar("frequency", default=None)


@contextmanager
def writing(frequency: str | None) -> Iterator[None]:
    """Periods are written as those of a frequency (2001-03) inside, and as they are by default."""
    token = _FREQUENCY.set(frequency)
    try:
        yield
    finally:
        _FREQUENCY.reset(token)


def label(value: float) -> str:
    """A period or cohort as text: a counted month as 2001-03, whole numbers without decimals."""
    frequency = _FREQUENCY.get()
    return plainly(value) if frequency is None or not np.isfinite(value) else named(int(value), frequency)


def plainly(value: float) -> str:
    """A number as text: whole numbers without decimals."""
    return str(int(value)) if float(value).is_integer() else str(float(value))
