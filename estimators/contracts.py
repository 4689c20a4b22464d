"""What the units must keep to before a number is computed; the gates say the same in SQL, row by row."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .bounds import beyond, limits
from .errors import StudyError
from .study import Study
from .terms import columns_of, numeric_columns_of
from .warehouse import Columns

ARMS_AT_MOST = 10
_NESTED = re.compile(r".*\]$|(struct|map|union|list|array|blob|bytea|binary|variant|row)")
_SCALAR = re.compile(r"(interval|date|time|uuid|bit)")
# Roles whose gaps are judged where their own effect is estimated, and not for the whole study.
SECONDARY, GUARDRAIL = "secondary outcome", "guardrail"
# A unit that is never treated has none (`estimators.calendar`).
COHORT, TIME = "cohort", "time"
_CLOCK = re.compile(r"(date|timestamp)")


@dataclass(frozen=True)
class ColumnFacts:
    """What the contracts ask of one column: NULLs (NaN too), an example if it is text, infinities, largest |x|."""

    missing: int
    text: str | None
    infinite: bool
    largest: float


@dataclass(frozen=True)
class Facts:
    """What the contracts ask of the units, from arrays (`facts_of`) or by SQL (`estimators.streamed.facts`).

    Attributes
    ----------
    rows, nameless, repeats : int
        Rows, rows without a unit, and rows that repeat another's unit (and period).
    columns : mapping of name to ColumnFacts
    levels, samples : tuple of float
        Distinct values of the treatment and of the sample in ascending order; at most eleven, which is enough to judge.
    """

    rows: int
    nameless: int
    repeats: int
    columns: Mapping[str, ColumnFacts]
    levels: tuple[float, ...] = ()
    samples: tuple[float, ...] = ()

    @property
    def kind(self) -> str:
        """``binary`` (exactly 0 and 1) or ``continuous`` (more than two values) treatment."""
        return "binary" if set(self.levels) <= {0.0, 1.0} else "continuous"


def is_missing(values: np.ndarray) -> np.ndarray:
    """NULL in a column of either kind: shape (n,), boolean."""
    if values.dtype == object:
        return np.array([v is None for v in values], dtype=bool)
    return np.isnan(values)


def treatment_kind(study: Study, columns: Columns) -> str | None:
    """``binary`` (exactly 0 and 1), ``continuous`` (more than two values) or None without a treatment."""
    if study.treatment is None:
        return None
    levels = set(_levels(columns, study.treatment))
    return "binary" if levels <= {0.0, 1.0} else "continuous"


def facts_of(study: Study, columns: Columns) -> Facts:
    """The facts of rows in memory."""
    unit = columns[study.unit]
    # A row without a period is told as that, and repeats no other.
    timed = np.ones(len(unit), dtype=bool) if study.time is None else ~is_missing(columns[study.time])
    keys = [columns[name][timed].tolist() for name in (study.unit, study.time) if name]
    gaps = target_gaps(study)
    source = columns[study.sample] != 0 if study.sample else None
    named = {name: _column_facts(columns[name], source if name in gaps else None) for _, name, _ in roles(study)}
    repeats = int(timed.sum()) - len(set(zip(*keys, strict=True)))
    levels, samples = (_levels(columns, name) for name in (study.treatment, study.sample))
    return Facts(len(unit), int(is_missing(unit).sum()), repeats, named, levels, samples)


def _levels(columns: Columns, name: str | None) -> tuple[float, ...]:
    """Text has no order with numbers; a column that holds any is refused before its levels are asked."""
    if name is None or columns[name].dtype == object:
        return ()
    values = columns[name]
    return tuple(np.unique(values[~is_missing(values)]).tolist())


def _column_facts(values: np.ndarray, counted: np.ndarray | None = None) -> ColumnFacts:
    """Facts of a column; missing values count in the rows ``counted``, which hold all by default."""
    missing = is_missing(values)
    count = int(missing.sum() if counted is None else (missing & counted).sum())
    if values.dtype == object:
        return ColumnFacts(count, next((repr(v) for v in values if v is not None), "''"), False, 0.0)
    infinite = np.isinf(values)
    return ColumnFacts(count, None, bool(infinite.any()), float(np.abs(values[~missing & ~infinite]).max(initial=0.0)))


def check_types(study: Study, types: Mapping[str, str]) -> None:
    """Raise for a column whose type no role can read: dates where a number is asked, lists, structures and bytes.

    Parameters
    ----------
    types : mapping of column to DuckDB's name of its type
    """
    for role, name, text_allowed in [("unit", study.unit, True), *roles(study)]:
        kind = kind_of_type(types.get(name, ""))
        if role in (TIME, COHORT) and _CLOCK.match(types.get(name, "").lower()):
            continue
        if kind == "nested" or (kind == "scalar" and not text_allowed):
            mend = "Cast it to a number in the units (days since a date, a year)"
            mend = "Give one number or one text a row in the units" if kind == "nested" else mend
            raise StudyError(study.name, f"{role} '{name}' holds {types[name].upper()} values", mend)


def kind_of_type(name: str) -> str:
    """``scalar`` (a date, a time, a UUID), ``nested`` (lists, structures, bytes) or ``plain``; as the gates have it."""
    if _NESTED.match(name.lower()):
        return "nested"
    return "scalar" if _SCALAR.match(name.lower()) else "plain"


def check(study: Study, columns: Columns, neighbours: Columns | None = None) -> None:
    """`check_facts` of the rows in memory that have a weight.

    The neighbours in a network (`idle`) count nothing themselves, but all that count may be untreated beside them.
    """
    facts = facts_of(study, weighing(study, columns)[0])
    if neighbours is not None:
        levels = {*facts.levels, *_levels(neighbours, study.treatment)}
        facts = dataclasses.replace(facts, levels=tuple(sorted(levels)))
    check_facts(study, facts)


def weighing(study: Study, columns: Columns) -> tuple[Columns, int]:
    """The rows whose declared weight is not zero, and how many have the weight zero.

    A row of weight zero stands for nobody: it is no row of the study, whatever its other columns hold, and what is
    estimated is the same with it and without it. It counts neither as missing nor as trimmed. A NULL is a missing
    weight, and a negative one a breach: both stay, to be told.

    Raises
    ------
    StudyError
        If every weight is zero.
    """
    if study.weight is None or columns[study.weight].dtype == object:
        return columns, 0
    zero = columns[study.weight] == 0
    if not zero.any():
        return columns, 0
    if zero.all():
        raise no_weight(study)
    return {name: values[~zero] for name, values in columns.items()}, int(zero.sum())


def idle(study: Study, columns: Columns) -> Columns | None:
    """The rows of weight zero of a study with a network, None where there are none: there they are still neighbours."""
    if study.edges is None or study.weight is None or columns[study.weight].dtype == object:
        return None
    zero = columns[study.weight] == 0
    return {name: values[zero] for name, values in columns.items()} if zero.any() else None


def no_weight(study: Study) -> StudyError:
    """Every row has the weight zero."""
    mend = "Sampling weights are positive: check the column in the units"
    reason = f"the weight '{study.weight}' has negative values or is zero in every row"
    return StudyError(study.name, reason, mend)


def check_facts(study: Study, facts: Facts) -> None:
    """Raise on the first breach, in the order in which a user would mend them.

    Raises
    ------
    StudyError
        For no rows, duplicate units, units without a name, text where a number is asked, infinities and sizes out of
        bounds (`estimators.bounds`), an all-NULL column, NULLs while ``missing: refuse``, a constant treatment or two
        values other than 0 and 1. Names the column and the mend.
    """
    if facts.rows == 0:
        raise StudyError(
            study.name, "the units have no rows", "Check the raw file and the filters of staging and units"
        )
    _check_keys(study, facts)
    # Before the columns: it tells in which rows a missing outcome is a gap.
    _check_sample(study, facts)
    for role, name, text_allowed in roles(study):
        _check_column(study, role, name, facts.columns[name], facts.rows, text_allowed)
    _check_treatment(study, facts.levels)


def needed_columns(study: Study) -> list[str]:
    """Columns in which a NULL makes a row incomplete."""
    # A unit that is never treated has no cohort: there, NULL is an answer and not a gap. Secondary outcomes and
    # guardrails have complete rows of their own.
    optional = {study.cohort, *study.optional_columns(), *study.other_outcomes()}
    return [name for name in study.columns() if name not in optional]


def nothing_left(study: Study) -> StudyError:
    """No row is complete."""
    return StudyError(study.name, "every row lacks a value in some column", "Fill them, or drop the emptiest columns")


def complete_rows(study: Study, columns: Columns, needed: list[str] | None = None) -> tuple[Columns, int]:
    """Rows without a NULL in any needed column (default: all of the study's), and how many were left out for one.

    Rows of weight zero are left out first and not counted (`weighing`).

    Raises
    ------
    StudyError
        If no row is left.
    """
    columns, _ = weighing(study, columns)
    needed = needed_columns(study) if needed is None else [name for name in needed if name != study.cohort]
    keep = ~np.any(list(gaps(study, columns, needed).values()), axis=0)
    if not keep.any():
        raise nothing_left(study)
    return {name: values[keep] for name, values in columns.items()}, int((~keep).sum())


def gaps(study: Study, columns: Columns, needed: list[str]) -> dict[str, np.ndarray]:
    """Where each needed column lacks a value that its row needs: shape (n,), boolean, by name."""
    target = columns[study.sample] == 0 if study.sample else np.zeros(len(columns[study.unit]), dtype=bool)
    free = target_gaps(study)
    return {name: is_missing(columns[name]) & ~(target if name in free else False) for name in needed}


def rows_with_gaps(study: Study, columns: Columns) -> Columns:
    """The rows that lack at most an outcome, a treatment or a number of a covariate.

    A panel estimator that compares histories must tell a row without an outcome from no row at all.
    """
    gaps = {study.outcome, study.treatment} | {name for term in study.terms() for name in columns_of(term)}
    asked = [name for name in needed_columns(study) if name not in gaps or columns[name].dtype == object]
    keep = ~np.any([is_missing(columns[name]) for name in asked], axis=0)
    return {name: values[keep] for name, values in columns.items()}


def roles(study: Study) -> list[tuple[str, str, bool]]:
    """Role, column and whether it may hold text, of all columns whose values are checked."""
    roles = [("outcome", study.outcome), ("treatment", study.treatment), ("time", study.time)]
    roles += [("running", study.running), ("weight", study.weight), ("fold", study.fold), ("sample", study.sample)]
    roles += [("mediator", study.mediator), ("dose", study.dose), ("exposure", study.exposure)]
    roles += [("logged propensity", study.logged_propensity), *(("instrument", name) for name in study.instruments)]
    roles += [(SECONDARY, name) for name in study.secondary_outcomes]
    roles += [(GUARDRAIL, one.outcome) for one in study.guardrails]
    roles += [(COHORT, study.cohort)]
    out = [(role, name, False) for role, name in roles if name]
    controls = (*study.negative_control_exposures, *study.negative_control_outcomes)
    for term in study.terms():
        modifies = term in study.effect_modifiers and term not in (*study.covariates, *study.benchmark_covariates)
        role = "negative control" if term in controls else "effect modifier" if modifies else "covariate"
        out += [(role, name, name not in numeric_columns_of(term)) for name in columns_of(term)]
    return out + [(role, name, True) for role, name in (("cluster", study.cluster), ("arm", study.arms)) if name]


def target_gaps(study: Study) -> tuple[str, ...]:
    """Columns that units of the target population (``sample`` 0) need not have: all but unit and covariates."""
    if study.sample is None:
        return ()
    known = {study.unit, study.time, study.cluster, study.weight, study.fold, study.sample}
    controls = {*study.negative_control_exposures, *study.negative_control_outcomes}
    known |= {name for term in study.terms() if term not in controls for name in columns_of(term)}
    return tuple(name for name in study.columns() if name not in known)


def _check_keys(study: Study, facts: Facts) -> None:
    if facts.nameless:
        raise StudyError(
            study.name, f"unit '{study.unit}' is NULL in {facts.nameless} rows", "Give every unit its name"
        )
    label = f"'{study.unit}'" + (f" and '{study.time}'" if study.time else "")
    if facts.repeats:
        mend = "Make the units model one row a unit (a unit and period in a panel)"
        raise StudyError(study.name, f"{facts.repeats} of {facts.rows} rows repeat a value of {label}", mend)


def _check_column(study: Study, role: str, name: str, facts: ColumnFacts, rows: int, text_allowed: bool) -> None:
    if facts.missing == rows:
        raise StudyError(study.name, f"{role} '{name}' is NULL in every row", "Fill it in the units or drop the role")
    if facts.text is not None and not text_allowed:
        mend = f"Cast it in staging, or write C({name}) for a covariate"
        if role == COHORT:
            mend = "Give the first treated period as a number, NULL for never, or declare what means never as `never:`"
        raise StudyError(study.name, f"{role} '{name}' holds text, such as {facts.text}", mend)
    if role == COHORT:
        return
    if facts.infinite:
        raise StudyError(study.name, f"{role} '{name}' holds infinities", "Mend them in staging")
    size = beyond(facts.largest, *limits(role))
    if size is not None:
        raise StudyError(study.name, f"{role} '{name}' {size}", "Choose another unit of measurement in staging")
    if facts.missing and study.missing == "refuse" and role not in (SECONDARY, GUARDRAIL):
        mend = "Filter or fill them in the units, or declare `missing: drop` to leave those rows out"
        raise StudyError(study.name, f"{role} '{name}' is NULL in {facts.missing} rows", mend)


def check_cross_section(study: Study, has_rows: bool) -> None:
    """Refuse a period for one-row-a-unit estimators in which no row lies."""
    if not has_rows:
        mend = "Declare a period that the units have, or leave it out for the last one"
        raise StudyError(study.name, f"no row lies in the period cross_section: {study.cross_section:g}", mend)


def _check_sample(study: Study, facts: Facts) -> None:
    if study.sample is not None and facts.samples and set(facts.samples) != {0.0, 1.0}:
        listed = ", ".join(f"{v:g}" for v in facts.samples)
        mend = "Code units of the study as 1 and units of the target population as 0, with some of each"
        raise StudyError(study.name, f"sample '{study.sample}' has the values {listed}", mend)


def _check_treatment(study: Study, levels: tuple[float, ...]) -> None:
    name = study.treatment
    if name is None:
        return
    if len(levels) == 1:
        mend = "A study needs treated and untreated units: check the units' filter"
        raise StudyError(study.name, f"treatment '{name}' is constant at {levels[0]:g}", mend)
    # 0, 1 and a few others are arms; other values, or many, are a dose: gate_contract.sql has the same words.
    few = 3 <= len(levels) <= ARMS_AT_MOST and {0.0, 1.0} <= set(levels)
    compared = study.design in ("experiment", "observational")
    if (len(levels) == 2 and set(levels) != {0.0, 1.0}) or (few and compared):
        wanted = "0 and 1, or a dose of more than ten values" if compared else "0 and 1, or a dose"
        mend = "Recode it to 0 and 1 in the units" if len(levels) == 2 else "Keep two arms (0 and 1) in the units"
        listed = ", ".join(f"{v:g}" for v in levels)
        reason = f"treatment '{name}' has {len(levels)} values (wanted: {wanted})"
        raise StudyError(study.name, reason, f"{mend}; it holds {listed}")
