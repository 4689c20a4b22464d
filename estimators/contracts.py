"""What the units must keep to before a number is computed; the gates say the same in SQL, row by row."""

from __future__ import annotations

import numpy as np

from .errors import StudyError
from .study import Study
from .terms import columns_of, numeric_columns_of
from .warehouse import Columns

# Squares of larger numbers overflow, and a variance with them.
LARGEST = 1e150
ARMS_AT_MOST = 10


def is_missing(values: np.ndarray) -> np.ndarray:
    """NULL in a column of either kind: shape (n,), boolean."""
    if values.dtype == object:
        return np.array([v is None for v in values], dtype=bool)
    return np.isnan(values)


def treatment_kind(study: Study, columns: Columns) -> str | None:
    """``binary`` (exactly 0 and 1), ``continuous`` (more than two values) or None without a treatment."""
    if study.treatment is None:
        return None
    values = columns[study.treatment]
    levels = set(np.unique(values[~is_missing(values)]).tolist())
    return "binary" if levels <= {0.0, 1.0} else "continuous"


def check(study: Study, columns: Columns) -> None:
    """Raise on the first breach, in the order in which a user would mend them.

    Raises
    ------
    StudyError
        For no rows, duplicate units, units without a name, text where a number is asked, infinities and numbers beyond
        1e150, an all-NULL column, NULLs while ``missing: refuse``, a constant treatment or two values other than 0
        and 1. Names the column and the mend.
    """
    n = len(columns[study.unit])
    if n == 0:
        raise StudyError(
            study.name, "the units have no rows", "Check the raw file and the filters of staging and units"
        )
    _check_keys(study, columns)
    for role, name, text_allowed in _roles(study):
        _check_column(study, role, name, columns[name], text_allowed)
    _check_treatment(study, columns)


def complete_rows(study: Study, columns: Columns, needed: list[str] | None = None) -> tuple[Columns, int]:
    """Rows without a NULL in any needed column (default: all of the study's), and how many were left out.

    Raises
    ------
    StudyError
        If no row is left.
    """
    # A unit that is never treated has no cohort: there, NULL is an answer and not a gap.
    needed = [name for name in needed or study.columns() if name != study.cohort]
    keep = ~np.any([is_missing(columns[name]) for name in needed], axis=0)
    if not keep.any():
        raise StudyError(
            study.name, "every row lacks a value in some column", "Fill them, or drop the emptiest columns"
        )
    return {name: values[keep] for name, values in columns.items()}, int((~keep).sum())


def _roles(study: Study) -> list[tuple[str, str, bool]]:
    """Role, column and whether it may hold text, of all columns in which NULL is a gap."""
    roles = [("outcome", study.outcome), ("treatment", study.treatment), ("time", study.time)]
    roles += [("running", study.running), ("weight", study.weight)]
    roles += [("instrument", name) for name in study.instruments]
    out = [(role, name, False) for role, name in roles if name]
    for term in study.terms():
        out += [("covariate", name, name not in numeric_columns_of(term)) for name in columns_of(term)]
    return out + ([("cluster", study.cluster, True)] if study.cluster else [])


def _check_keys(study: Study, columns: Columns) -> None:
    nameless = int(is_missing(columns[study.unit]).sum())
    if nameless:
        raise StudyError(study.name, f"unit '{study.unit}' is NULL in {nameless} rows", "Give every unit its name")
    keys = [columns[study.unit].tolist()]
    label = f"'{study.unit}'"
    if study.time:
        keys.append(columns[study.time].tolist())
        label += f" and '{study.time}'"
    n = len(keys[0])
    extra = n - len(set(zip(*keys, strict=True)))
    if extra:
        mend = "Make the units model one row a unit (a unit and period in a panel)"
        raise StudyError(study.name, f"{extra} of {n} rows repeat a value of {label}", mend)


def _check_column(study: Study, role: str, name: str, values: np.ndarray, text_allowed: bool) -> None:
    missing = is_missing(values)
    if missing.all():
        raise StudyError(study.name, f"{role} '{name}' is NULL in every row", "Fill it in the units or drop the role")
    if values.dtype == object and not text_allowed:
        example = next(v for v in values if v is not None)
        mend = f"Cast it in staging, or write C({name}) for a covariate"
        raise StudyError(study.name, f"{role} '{name}' holds text, such as {example!r}", mend)
    if values.dtype != object and np.isinf(values).any():
        raise StudyError(study.name, f"{role} '{name}' holds infinities", "Mend them in staging")
    if values.dtype != object and np.nanmax(np.abs(values)) > LARGEST:
        mend = "Choose another unit of measurement in staging"
        raise StudyError(study.name, f"{role} '{name}' holds numbers beyond {LARGEST:g}", mend)
    if missing.any() and study.missing == "refuse":
        mend = "Filter or fill them in the units, or declare `missing: drop` to leave those rows out"
        raise StudyError(study.name, f"{role} '{name}' is NULL in {int(missing.sum())} rows", mend)


def _check_treatment(study: Study, columns: Columns) -> None:
    if study.treatment is None:
        return
    values = columns[study.treatment]
    levels = np.unique(values[~is_missing(values)])
    name = study.treatment
    if len(levels) == 1:
        mend = "A study needs treated and untreated units: check the units' filter"
        raise StudyError(study.name, f"treatment '{name}' is constant at {levels[0]:g}", mend)
    if len(levels) == 2 and set(levels.tolist()) != {0.0, 1.0}:
        mend = "Recode it to 0 and 1 in the units"
        raise StudyError(study.name, f"treatment '{name}' has the values {levels[0]:g} and {levels[1]:g}", mend)
    # 0, 1 and a few others are arms; other values, or many, are a dose.
    few = 3 <= len(levels) <= ARMS_AT_MOST and {0.0, 1.0} <= set(levels.tolist())
    if few and study.design in ("experiment", "observational"):
        listed = ", ".join(f"{v:g}" for v in levels)
        mend = "Keep two arms (0 and 1) in the units"
        raise StudyError(study.name, f"treatment '{name}' has a third value: {listed}", mend)
