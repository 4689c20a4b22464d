"""Months, quarters, weeks, days and years as consecutive numbers, from dates and from codes such as 200103."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FREQUENCIES = ("day", "week", "month", "quarter", "year")
_EPOCH = datetime.date(1970, 1, 5)  # a Monday
_CODES = {"month": "yyyymm", "quarter": "yyyyq", "week": "yyyyww (ISO)", "day": "yyyymmdd", "year": "yyyy"}
YEARS = (1900, 2100)


@dataclass(frozen=True)
class Code:
    """A way of coding periods that values were found to follow: its name, frequency and an example."""

    name: str
    frequency: str
    example: str


def coded(frequency: str) -> str:
    """How numbers of a frequency are coded."""
    return _CODES[frequency]


def period_of_code(code: float, frequency: str) -> int | None:
    """The number of a coded period; None for no such period.

    Months and quarters are counted from year 0, ISO weeks and days from Monday 5 January 1970, years are themselves.
    A quarter is yyyyq or yyyyqq.
    """
    if not np.isfinite(code) or code != int(code):
        return None
    whole = int(code)
    try:
        if frequency == "year":
            return whole if 1 <= whole <= 9999 else None
        if frequency == "day":
            day = datetime.date(whole // 10000, whole // 100 % 100, whole % 100)
            return (day - _EPOCH).days
        base = 10 if frequency == "quarter" and whole < 100_000 else 100
        year, part = whole // base, whole % base
        if not 1000 <= year <= 9999:
            return None
        if frequency == "week":
            return (datetime.date.fromisocalendar(year, part, 1) - _EPOCH).days // 7
    except ValueError:
        return None
    most = 12 if frequency == "month" else 4
    return year * most + part - 1 if 1 <= part <= most else None


def period_of_date(day: datetime.date, frequency: str) -> int:
    """The number of the period in which a day lies."""
    if frequency == "year":
        return day.year
    if frequency == "month":
        return day.year * 12 + day.month - 1
    if frequency == "quarter":
        return day.year * 4 + (day.month - 1) // 3
    days = (datetime.date(day.year, day.month, day.day) - _EPOCH).days
    return days if frequency == "day" else days // 7


def named(period: int, frequency: str) -> str:
    """A counted period as a reader writes it."""
    if frequency == "year":
        return str(period)
    if frequency == "month":
        return f"{period // 12:04d}-{period % 12 + 1:02d}"
    if frequency == "quarter":
        return f"{period // 4:04d}-Q{period % 4 + 1}"
    day = _EPOCH + datetime.timedelta(days=period * (7 if frequency == "week" else 1))
    if frequency == "week":
        year, week, _ = day.isocalendar()
        return f"{year:04d}-W{week:02d}"
    return day.isoformat()


def frequency_of_dates(days: Sequence[datetime.date]) -> str | None:
    """The longest frequency of which every date is the same place: all on 1 January, on the first or the last of
    months, on one weekday, or on all days of a span; None where none holds."""
    dates = sorted({datetime.date(d.year, d.month, d.day) for d in days})
    if any(
        (d.hour, d.minute, d.second, d.microsecond) != (0, 0, 0, 0) for d in days if isinstance(d, datetime.datetime)
    ):
        return None
    one = datetime.timedelta(days=1)
    if all(d.day == 1 for d in dates) or all((d + one).day == 1 for d in dates):
        months = {d.month for d in dates}
        if len(months) == 1:
            return "year" if len(dates) > 1 else "month"
        return "quarter" if len({m % 3 for m in months}) == 1 else "month"
    if len({(d.month, d.day) for d in dates}) == 1 and len(dates) > 1:
        return "year"
    steps = {(b - a).days for a, b in itertools.pairwise(dates)}
    if steps and all(step % 7 == 0 for step in steps):
        return "week"
    return "day" if steps == {1} else None


def code_of(values: Sequence[float]) -> Code | None:
    """The code that the different periods of a study follow, where reading them as numbers gives unequal steps.

    Six digits whose last two are months in two years or more, and eight that are dates in two months or more, are
    codes: a counter meets other endings. Weeks and quarters are told from counters by their steps too: fewer different
    ones as periods than as numbers, in three periods or more.

    Parameters
    ----------
    values : sequence of float, ascending
    """
    x = np.array(values, dtype=float)
    if len(x) < 2 or not np.isfinite(x).all():
        return None
    scaled = np.round(np.clip(x, -1e9, 1e9) * 100, 6)
    if (x != np.round(x)).any() and (scaled == np.round(scaled)).all() and _in_years(scaled, "month"):
        return Code("yyyy.mm", "month", f"{x[-1]:.2f}")
    for frequency in ("month", "day", "quarter", "week"):
        if not _in_years(x, frequency):
            continue
        numbers = np.array([period_of_code(v, frequency) for v in x], dtype=float)
        fewer = len(np.unique(np.diff(numbers))) < len(np.unique(np.diff(x)))
        if frequency in ("month", "day") or (len(x) >= 3 and fewer):
            return Code(coded(frequency), frequency, f"{x[-1]:.0f}")
    return None


def _in_years(x: np.ndarray, frequency: str) -> bool:
    """Whether all are codes of plausible years, and of two or more (days: of two months or more)."""
    if (x != np.round(x)).any() or any(period_of_code(v, frequency) is None for v in x.tolist()):
        return False
    base = {"month": 100, "day": 100, "quarter": 10, "week": 100}[frequency]
    if frequency == "quarter" and x.max() >= 100_000:
        return False
    years = x // (10_000 if frequency == "day" else base)
    return bool(YEARS[0] <= years.min() and years.max() <= YEARS[1] and len(np.unique(x // base)) > 1)
