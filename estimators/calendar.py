"""Time and cohort as the study means them: consecutive periods, and no cohort for a unit that is never treated.

Read once at the entrance, for rows in memory and for streams alike: everything behind it meets numbers of periods, and
a cohort that is NULL or a period.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .calendar_codes import FREQUENCIES, code_of, coded, frequency_of_dates, named, period_of_code, period_of_date
from .errors import StudyError
from .scan.stream import quoted
from .study import Study
from .warehouse import Columns

# Different periods or cohorts of a stream that are put into numbers here.
MOST_PERIODS = 20_000
_DATED = re.compile(r"(date|timestamp)", re.IGNORECASE)


@dataclass(frozen=True)
class Reading:
    """How a study's clock is read.

    Attributes
    ----------
    study : Study
        With the frequency that its dates show, and periods of the declaration as numbers of periods.
    periods, cohorts : mapping of a raw value to a number
        Of every raw value (text of a date, or a number); infinity is a cohort that means never.
    """

    study: Study
    periods: Mapping[Any, float]
    cohorts: Mapping[Any, float]


def counted(study: Study, columns: Columns, types: Mapping[str, str]) -> tuple[Study, Columns]:
    """The study and its rows in memory with periods that are counted; what cannot be read is left for the contracts.

    Parameters
    ----------
    study : Study
        ``never`` lists cohorts that mean never treated, besides NULL; ``frequency`` how codes and dates are counted.
    columns : mapping of name to ndarray of shape (n,)
    types : mapping of column to DuckDB's name of its type
        Tells a date from text; columns of numbers may be absent.

    Raises
    ------
    StudyError
        For periods that are codes of a calendar while no frequency is declared, dates without a regular frequency,
        values that the declared frequency cannot read, and a cohort that is no period of the calendar.
    """
    if study.time is None:
        return study, columns
    values = {name: set(_present(columns[name])) for name in (study.time, study.cohort) if name}
    reading = _reading(study, values, types)
    if reading is None:
        return study, columns
    out = dict(columns)
    if _is_counted(reading.study):
        out[study.time] = _mapped(columns[study.time], reading.periods)
    if study.cohort is not None:
        out[study.cohort] = _mapped(columns[study.cohort], reading.cohorts)
    return reading.study, out


def counted_source(study: Study, source: Any, types: Mapping[str, str]) -> tuple[Study, Any, Mapping[str, str]]:
    """The same of rows in DuckDB: the source with both columns put into numbers, and its types."""
    if study.time is None:
        return study, source, types
    names = [name for name in (study.time, study.cohort) if name]
    values = {name: _distinct(study, source, name, types[name]) for name in names}
    reading = _reading(study, values, types)
    if reading is None:
        return study, source, types
    replaced: dict[str, Mapping[Any, float]] = {}
    if _is_counted(reading.study):
        replaced[study.time] = reading.periods
    if study.cohort is not None and (_is_counted(reading.study) or study.never):
        replaced[study.cohort] = reading.cohorts
    if not replaced:
        return reading.study, source, types
    if source.engine is not None:
        raise StudyError(
            study.name, f"`never`, `frequency` and dates of a stream are not read on {source.engine}",
            "Count periods and make the cohort of never treated units NULL in the units, or raise row_budget",
        )  # fmt: skip
    new = dataclasses.replace(source, relation=_with_numbers(source.sql("*"), replaced, types), where="")
    return reading.study, new, {**types, **dict.fromkeys(replaced, "DOUBLE")}


def _with_numbers(rows: str, replaced: Mapping[str, Mapping[Any, float]], types: Mapping[str, str]) -> str:
    """SQL of the rows with the columns replaced, by joins with the values: dates by their text, others as numbers."""
    joins, columns = [], []
    for place, (name, numbers) in enumerate(replaced.items()):
        listed = ", ".join(f"({_literal(raw)}, {_literal(n)}::double)" for raw, n in numbers.items())
        listed = listed or "(null, null::double)"
        key = f"held.{quoted(name)}" + ("::varchar" if _is_text(types[name]) else "::double")
        joins.append(f" left join (values {listed}) as clock{place}(raw, n) on {key} = clock{place}.raw")
        columns.append(f"clock{place}.n as {quoted(name)}")
    return f"(select held.* replace ({', '.join(columns)}) from ({rows}) as held{''.join(joins)})"


def _literal(value: Any) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else f"'{float(value)!r}'::double"


def _is_text(kind: str) -> bool:
    return bool(_DATED.match(kind)) or kind.upper() in ("VARCHAR", "TEXT", "STRING")


def _distinct(study: Study, source: Any, name: str, kind: str) -> set[Any]:
    column = quoted(name) + ("::varchar" if _is_text(kind) else "")
    found = source.rows(source.sql(f"distinct {column} as v") + f" limit {MOST_PERIODS + 1}")
    if len(found) > MOST_PERIODS:
        raise StudyError(study.name, f"'{name}' has more than {MOST_PERIODS} values", "Use longer periods")
    return {_plain(row[0]) for row in found if row[0] is not None and row[0] == row[0]}


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else float(value)


def _present(values: np.ndarray) -> Iterable[Any]:
    if values.dtype == object:
        return (v for v in values if v is not None)
    return np.unique(values[~np.isnan(values)]).tolist()


def _mapped(values: np.ndarray, numbers: Mapping[Any, float]) -> np.ndarray:
    if values.dtype == object:
        found = [None if v is None else numbers.get(v) for v in values]
        return np.array([np.nan if v is None else v for v in found], dtype=float)
    out = np.full(len(values), np.nan)
    known = ~np.isnan(values)
    raw, place = np.unique(values[known], return_inverse=True)
    mapped = [numbers.get(v) for v in raw.tolist()]
    out[known] = np.array([np.nan if v is None else v for v in mapped], dtype=float)[place] if len(raw) else []
    return out


def _is_counted(study: Study) -> bool:
    return study.frequency is not None


def _reading(study: Study, values: Mapping[str, set[Any]], types: Mapping[str, str]) -> Reading | None:
    """How every raw value is read; None where the contracts refuse what is there (text, nothing)."""
    assert study.time is not None
    times = values[study.time]
    dated = bool(_DATED.match(types.get(study.time, "")))
    if not times or (not dated and any(isinstance(v, str) for v in times)):
        return None
    cohorts: set[Any] = set()
    never: set[Any] = set()
    for raw in values[study.cohort] if study.cohort else ():
        (never if _means_never(raw, study.never) else cohorts).add(raw)
    texts = study.cohort and not study.never and any(isinstance(v, str) for v in cohorts)
    if texts and not _DATED.match(types.get(str(study.cohort), "")):
        return None
    study = _with_frequency(study, times, cohorts, dated)
    periods = {raw: _period(study, str(study.time), raw) for raw in times}
    read = {raw: _cohort(study, raw, periods) for raw in cohorts}
    if study.cohort:
        _check_cohorts(study, read, periods)
    return Reading(_in_periods(study), periods, {**read, **dict.fromkeys(never, np.inf)})


def _means_never(raw: Any, never: tuple[Any, ...]) -> bool:
    number, day = _number(raw), _as_date(raw) if isinstance(raw, str) else None
    for one in never:
        if raw == one or (number is not None and number == _number(one)):
            return True
        if day is not None and isinstance(one, str) and (declared := _as_date(one)) and declared.date() == day.date():
            return True
    return False


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _as_date(text: str) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromisoformat(text)
    except ValueError:
        return None


def _with_frequency(study: Study, times: set[Any], cohorts: set[Any], dated: bool) -> Study:
    if not dated:
        code = None if study.frequency else code_of(sorted(times))
        if code is None:
            return study
        raise StudyError(
            study.name, f"time '{study.time}' holds periods coded {code.name}, such as {code.example}: as numbers "
            "their steps differ where a year ends",
            f"Declare `frequency: {code.frequency}`, or number the periods in the units",
        )  # fmt: skip
    for raw in sorted(times | {c for c in cohorts if isinstance(c, str)}):
        moment = _as_date(raw)
        if moment is not None and moment.tzinfo is not None and _utc(moment).time() != datetime.time():
            raise StudyError(
                study.name, f"'{study.time}' holds moments with a zone that are no days in UTC, such as {raw}",
                "Cast it to a date in the units, in the zone of the study",
            )  # fmt: skip
    if study.frequency is not None:
        return study
    found = frequency_of_dates([_day(study, str(study.time), raw) for raw in times if isinstance(raw, str)])
    if found is None:
        raise StudyError(
            study.name, f"the dates of time '{study.time}' have no regular step",
            f"Declare `frequency:` as one of {', '.join(FREQUENCIES)}, or number the periods in the units",
        )  # fmt: skip
    study = dataclasses.replace(study, frequency=found)
    starts = {period_of_date(_day(study, str(study.time), t), found): _day(study, str(study.time), t) for t in times}
    for raw in cohorts:
        if isinstance(raw, str) and (day := _as_date(raw)) is not None:
            seen = starts.get(period_of_date(day, found))
            if seen is not None and (day.year, day.month, day.day) != (seen.year, seen.month, seen.day):
                raise StudyError(
                    study.name,
                    f"cohort '{study.cohort}' holds {raw}, inside a {found} that is seen on {seen:%Y-%m-%d}",
                    f"Declare `frequency: {found}` if its whole {found} counts as treated, or date it by a period",
                )  # fmt: skip
    return study


def _utc(moment: datetime.datetime) -> datetime.datetime:
    return moment.astimezone(datetime.UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _day(study: Study, name: str, raw: str) -> datetime.datetime:
    day = _as_date(raw)
    if day is None:
        raise StudyError(study.name, f"'{name}' holds {raw!r}, which is no date", "Cast it in staging")
    return _utc(day)


def _period(study: Study, name: str, raw: Any) -> float:
    """The number of the period of one raw value."""
    if study.frequency is None and isinstance(raw, str) and _number(raw) is None:
        raise StudyError(
            study.name, f"'{name}' holds dates, such as {raw}, and '{study.time}' numbers",
            "Give both as dates or both as numbers",
        )  # fmt: skip
    if study.frequency is None:
        return float(raw)
    if isinstance(raw, str) and _number(raw) is None:
        return float(period_of_date(_day(study, name, raw), study.frequency))
    number = period_of_code(float(raw), study.frequency)
    if number is None:
        raise StudyError(
            study.name, f"'{name}' holds {float(raw):g}, which is no {study.frequency} as {coded(study.frequency)}",
            "Mend the value, or drop `frequency` where the periods are numbered",
        )  # fmt: skip
    return float(number)


def period_of(study: Study, name: str, raw: Any) -> float:
    """The number of a period that a declaration or an option writes as the units do: a number, a code or a date.

    Parameters
    ----------
    study : Study
        With its frequency, where periods are counted.
    name : str
        Of the option, for a refusal.

    Raises
    ------
    StudyError
        For what is no period of that frequency.
    """
    number = None if isinstance(raw, bool) else _number(raw)
    text = raw.isoformat() if isinstance(raw, datetime.date) else str(raw).strip()
    if number is None and _as_date(text) is None:
        raise StudyError(study.name, f"'{name}' holds {raw!r}, which is no period", "Write it as the units do")
    if number is None and study.frequency is None:
        raise StudyError(study.name, f"'{name}' holds the date {text}, and '{study.time}' numbers", "Give a number")
    return _period(study, name, text if number is None else number)


def _cohort(study: Study, raw: Any, periods: Mapping[Any, float]) -> float:
    number = _number(raw)
    if isinstance(raw, str) and number is None and _as_date(raw) is None:
        mend = "Give the first treated period as a number, and declare what means never as `never:`"
        raise StudyError(study.name, f"cohort '{study.cohort}' holds text, such as {raw!r}", mend)
    if number is not None and np.isinf(number):
        return number
    if number is not None and study.frequency is not None and period_of_code(number, study.frequency) is None:
        raise _stranger(study, raw, periods)
    return _period(study, str(study.cohort), raw if number is None else number)


def _check_cohorts(study: Study, read: Mapping[Any, float], periods: Mapping[Any, float]) -> None:
    """Refuse what cannot be a period of this calendar: a sign that no period has, nines, and what lies far away.

    A cohort before the first period is treated from the start, one after the last is not treated in the window
    (Callaway & Sant'Anna 2021); a stand-in for never is neither, and which it is meant to be is not guessed.
    """
    if study.frequency is None:
        return  # numbers: `panel.cohorts.check_periods`, where a cohort is read
    first, last = min(periods.values()), max(periods.values())
    for raw, g in sorted(read.items(), key=lambda pair: str(pair[0])):
        if g != np.inf and (is_no_period(g, first, last) or (not first <= g <= last and _is_sign(raw))):
            raise _stranger(study, raw, periods)


def is_no_period(g: float, first: float, last: float) -> bool:
    """Whether a cohort is a stand-in: 0 or a sign that no period has, nines after the last, ten lengths away.

    Parameters
    ----------
    g : float
    first, last : float
        The periods that are seen.
    """
    if first <= g <= last:
        return False
    far = 10 * max(last - first, 1.0)
    return g == 0 or (g < 0 <= first) or (g > last and _is_sign(g)) or g > last + far or g < first - far


def _is_sign(raw: Any) -> bool:
    number = _number(raw)
    return number is not None and (number <= 0 or re.fullmatch("9{2,}", f"{number:.0f}") is not None)


def _stranger(study: Study, raw: Any, periods: Mapping[Any, float]) -> StudyError:
    first, last = (min(periods, key=lambda k: periods[k]), max(periods, key=lambda k: periods[k]))
    shown = raw if isinstance(raw, str) else f"{raw:g}"
    return StudyError(
        study.name, f"cohort '{study.cohort}' holds {shown}, which is no period of '{study.time}' ({_short(first)} to "
        f"{_short(last)})",
        f"Declare `never: {shown}` if such units are never treated, or make it NULL",
    )  # fmt: skip


def _short(value: Any) -> str:
    return value[:10] if isinstance(value, str) else f"{value:.12g}"


def _in_periods(study: Study) -> Study:
    """The periods that the declaration names, as numbers of periods."""
    told: dict[str, Any] = {}
    for key in ("intervention_time", "cross_section"):
        value = getattr(study, key)
        if value is None:
            continue
        if study.frequency is None and isinstance(value, str):
            raise StudyError(
                study.name, f"'{key}' is the date {value}, and '{study.time}' holds numbers", "Give a number"
            )
        told[key] = _period(study, key, value)
    return dataclasses.replace(study, **told)


def label_of(study: Study, period: float) -> str | None:
    """A counted period as a reader writes it: 2001-03, 2001-Q1, 2001-W05, 2001-03-31; None where nothing is counted."""
    return None if study.frequency is None else named(int(period), study.frequency)
