"""Secondary outcomes and guardrails of a study block, checked word by word."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from .study import Guardrail, Study
from .terms import columns_of

if TYPE_CHECKING:
    from .declaration import Declaration

_GUARDRAIL_KEYS = ("desired_direction", "margin")


def read(declared: Declaration) -> dict[str, Any]:
    """The fields ``secondary_outcomes`` and ``guardrails`` of the study.

    Raises
    ------
    StudyError
        For an unknown word, what is no column's name, or a margin that is missing or not positive.
    """
    return {"secondary_outcomes": _secondary(declared), "guardrails": _guardrails(declared)}


def check(declared: Declaration, study: Study) -> None:
    """Refuse an outcome that is named twice or has a second role: its effect would be no effect on an outcome."""
    names = study.other_outcomes()
    for name in names:
        if names.count(name) > 1:
            raise declared.error(f"'{name}' is named twice among secondary outcomes and guardrails", "Name it once")
    bare = dataclasses.replace(study, secondary_outcomes=(), guardrails=())
    taken: dict[str, Collection[str | None]] = {"the outcome": [study.outcome], "the treatment": [study.treatment]}
    taken["a covariate"] = [column for term in study.covariates for column in columns_of(term)]
    taken["in another role"] = bare.columns()
    for name in names:
        kind = "secondary outcome" if name in study.secondary_outcomes else "guardrail"
        also = next((role for role, held in taken.items() if name in held), None)
        if also:
            raise declared.error(f"the {kind} '{name}' is also {also}", "Give each its own column")


def _secondary(declared: Declaration) -> tuple[str, ...]:
    value = declared.block.get("secondary_outcomes")
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise declared.error(
            f"'secondary_outcomes' must be a list of columns, not {value!r}", "Write `[visits, spend]`"
        )
    return tuple(_column(declared, "secondary_outcomes", name) for name in value)


def _guardrails(declared: Declaration) -> tuple[Guardrail, ...]:
    value = declared.block.get("guardrails")
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        mend = "Write `column: {desired_direction: more, margin: 0.5}`"
        raise declared.error(f"'guardrails' must be a mapping of columns, not {value!r}", mend)
    return tuple(_guardrail(declared, name, body) for name, body in value.items())


def _guardrail(declared: Declaration, name: Any, body: Any) -> Guardrail:
    column = _column(declared, "guardrails", name)
    where = f"guardrails.{column}"
    body = declared.mapping(where, body, _GUARDRAIL_KEYS, "key")
    direction = declared.choice(f"{where}.desired_direction", body.get("desired_direction"), ("more", "less"))
    mend = "Say in the outcome's units how much worse is still tolerated"
    if body.get("margin") is None:
        raise declared.error(f"{where}.margin is not declared", mend)
    margin = declared.number(f"{where}.margin", body["margin"])
    if margin <= 0:
        raise declared.error(f"{where}.margin must be above 0, not {margin:g}", mend)
    return Guardrail(column, direction, margin)


def _column(declared: Declaration, where: str, name: Any) -> str:
    try:
        plain = isinstance(name, str) and columns_of(name) == (name,)
    except ValueError:
        plain = False
    if not plain:
        raise declared.error(f"'{where}' names {name!r}, which is no column's name", "Give the name of a column")
    return name
