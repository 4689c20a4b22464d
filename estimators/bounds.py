"""Which numbers count as values: the one rule, which macros/statistics/bounds.sql says again in SQL.

A NaN is a missing value, as NULL is. An infinity, or a number beyond 1e150 in size, is a breach: its square overflows,
and a variance with it. So is a column without a number of 1e-150 in size that is not zero throughout: its squares
vanish, and least squares would drop it without a word.
"""

from __future__ import annotations

LARGEST, SMALLEST = 1e150, 1e-150
# A running variable enters by its powers up to the eighth, and squares of them.
LARGEST_RUNNING, SMALLEST_RUNNING = 1e20, 1e-20
# A difference below this share of the numbers that it is of is rounding, and no denominator.
ROUNDING = 1e-12
# Beside a unit with this share of all the weight, the others' leave nothing in sixteen digits.
ALL_OF_THE_WEIGHT = 1 - 1e-12


def limits(role: str) -> tuple[float, float]:
    """The smallest and largest size that the largest number of a role's column may have."""
    return (SMALLEST_RUNNING, LARGEST_RUNNING) if role == "running" else (SMALLEST, LARGEST)


def beyond(largest: float, low: float = SMALLEST, high: float = LARGEST) -> str | None:
    """What is wrong with a column whose largest finite |x| is given, in words that follow its name; None if nothing."""
    if largest > high:
        return f"holds numbers beyond {high:g}"
    if 0 < largest < low:
        return f"holds no number of {low:g} or more in size"
    return None
