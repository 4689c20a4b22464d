"""When covariates were measured: before treatment, after it, or not declared.

What treatment may have moved is no covariate: adjusting for it takes a part of the effect away, and opens paths that
randomisation had closed (Rosenbaum 1984). ``measured`` declares the order: ``before`` or ``after`` for all covariates,
or a mapping of columns to ``before``, ``after``, or the number or date at which the column was measured, which is held
against ``treated_at`` (later: after) or else ``intervention_time``, the first period that is treated (at it or later:
after). What is measured at ``treated_at`` itself has no known order. In a panel whose units start at different times,
``treated_at`` is the earliest cohort.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .study import Study
from .terms import columns_of, unique

if TYPE_CHECKING:
    from .declaration import Declaration

WORDS = ("before", "after")
# Options of estimators that name terms to adjust for; others name policies, arrivals and instruments.
_ADJUSTED = ("covariates", "interactions")
Declared = tuple[tuple[str, str | None], ...]


def read(declaration: Declaration) -> dict[str, Any]:
    """``treated_at`` and ``measured`` of a block: pairs of column and ``before``, ``after`` or None (at the same time).

    The column ``*`` stands for all covariates.

    Raises
    ------
    StudyError
        For a value that is neither a word nor a time, a time without a treatment's to hold it against, or a date
        against a number.
    """
    block = declaration.block
    values: dict[str, Any] = {}
    if block.get("treated_at") is not None:
        values["treated_at"] = declaration.when("treated_at", block["treated_at"])
    given = block.get("measured")
    if given is None:
        return values
    if isinstance(given, str) and given in WORDS:
        return {**values, "measured": (("*", given),)}
    if not isinstance(given, Mapping):
        mend = "Write `measured: before`, or `measured: {column: before}` with before, after, a number or a date each"
        raise declaration.error(f"'measured' must be before, after or a mapping of columns, not {given!r}", mend)
    return {
        **values,
        "measured": tuple((str(name), _order(declaration, str(name), one)) for name, one in given.items()),
    }


def _order(declaration: Declaration, name: str, value: Any) -> str | None:
    if isinstance(value, str) and value in WORDS:
        return value
    where = f"measured.{name}"
    if value is None or isinstance(value, bool) or (isinstance(value, str) and value.strip().isalpha()):
        mend = "Write before, after, or the number or date at which it was measured"
        raise declaration.error(f"'{where}' must be before, after, a number or a date, not {value!r}", mend)
    key = next((key for key in ("treated_at", "intervention_time") if declaration.block.get(key) is not None), None)
    if key is None:
        mend = (
            "Declare `treated_at:`, the number or date of treatment (in a panel the earliest cohort), or write before"
        )
        raise declaration.error(f"'{where}' is a time, and there is no time of treatment to hold it against", mend)
    measured, treated = declaration.when(where, value), declaration.when(key, declaration.block[key])
    if isinstance(measured, str) != isinstance(treated, str):
        raise declaration.error(
            f"'{where}' is {measured!r} and '{key}' is {treated!r}", "Write both as numbers or both as dates"
        )
    if measured == treated and key == "treated_at":
        return None
    return "before" if measured < treated else "after"


def check(declaration: Declaration, study: Study) -> None:
    """Refuse a column that is adjusted for and declared as measured after treatment, and words for unknown columns.

    Raises
    ------
    StudyError
        Naming the column, its role and the mend.
    """
    known = study.columns()
    for name, _ in study.measured:
        if name != "*" and name not in known:
            raise declaration.unknown("column in measured:", name, known)
    declared = dict(study.measured)
    for role, name, place in adjusted(study):
        if declared.get(name, declared.get("*") if _is_of_word(role) else None) == "after":
            mend = f"Drop it from {place}, or declare it as `mediator`"
            if role == "running variable":
                mend = "Choose another running variable, which decided the treatment"
            elif role == "instrument":
                mend = "Choose another instrument, which moved the treatment"
            elif role == "predictor":
                mend = f"Drop it from {place}"
            raise declaration.error(f"the {role} '{name}' is declared as measured after treatment", mend)


def _is_of_word(role: str) -> bool:
    """Whether ``measured: after`` speaks of a column of this role: of covariates in all their forms."""
    return role not in ("running variable", "instrument", "predictor")


def adjusted(study: Study) -> list[tuple[str, str, str]]:
    """Role, column and where it is declared, of all that must be measured before treatment."""
    roles = [("covariate", "covariates", study.covariates)]
    roles += [("benchmark covariate", "benchmark_covariates", study.benchmark_covariates)]
    roles += [("effect modifier", "effect_modifiers", study.effect_modifiers)]
    layers = {"options": study.options} | {f"specifications.{k}": v for k, v in study.specifications.items()}
    predictors: list[tuple[str, str, str]] = []
    for where, layer in layers.items():
        for name, body in layer.items():
            if not isinstance(body, Mapping):
                continue
            told = {"propensity": "propensity covariate", "outcome": "outcome-model covariate"}
            for key in _ADJUSTED:
                terms = body.get(key)
                if isinstance(terms, (list, tuple)):
                    roles.append((told.get(name, f"covariate of {name}"), f"{where}.{name}.{key}", tuple(terms)))
            of_control = body.get("predictors") if name == "synthetic_control" else None
            if isinstance(of_control, Mapping):
                predictors += [("predictor", str(column), f"{where}.{name}.predictors") for column in of_control]
    out = [(role, name, place) for role, place, terms in roles for term in terms for name in columns_of(term)]
    out += [("running variable", study.running, "running")] if study.running else []
    return out + [("instrument", name, "instruments") for name in study.instruments] + predictors


def undeclared(study: Study) -> list[str]:
    """The covariates' columns (modifiers, benchmarks and those of options too) that are not declared as ``before``.

    The treatment among the terms of an option (``interactions``) is no covariate.
    """
    declared = dict(study.measured)
    names = unique(name for role, name, _ in adjusted(study) if _is_of_word(role) and name != study.treatment)
    return [name for name in names if declared.get(name, declared.get("*")) != "before"]
