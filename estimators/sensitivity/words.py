"""Numbers as they stand in a sentence; the tables keep full precision."""

from __future__ import annotations

import math


def plain(value: float, unit: str | None = None, digits: int = 3) -> str:
    """A number with so many significant digits, without an exponent, and its unit: ``1,794 USD``."""
    places = 0 if value == 0 else max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{places}f}"
    return f"{text} {unit}" if unit else text


def percent(share: float) -> str:
    """A share in percent with one decimal: ``13.9 %``."""
    return f"{100 * share:.1f} %"
