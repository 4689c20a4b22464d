"""Two roles that hold the same numbers: an effect of a column on itself, or given itself, is no effect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from .errors import StudyError
from .study import Study
from .terms import columns_of

# Two columns of fewer rows may agree by chance, such as two that hold 0 and 1.
ROWS_AT_LEAST = 20
# The correlation of an affine map misses 1 by the rounding of its sums alone: 4.5e5 machine epsilon.
WITHIN = 1e-10


def pairs(study: Study) -> Iterator[tuple[str, str, str, str, str]]:
    """Role and column, other role and column, and the mend, of all that must differ in a study."""
    covariates = [("covariate", name) for term in study.covariates for name in columns_of(term)]
    instruments = [("instrument", name) for name in study.instruments]
    controls = [("negative control outcome", c) for term in study.negative_control_outcomes for c in columns_of(term)]
    mediators = [("mediator", study.mediator)] if study.mediator else []
    outcome = [("outcome", study.outcome)]
    treatment = [("treatment", study.treatment)] if study.treatment else []
    modifiers = [("effect modifier", name) for term in study.effect_modifiers for name in columns_of(term)]
    further = [(role, name) for role in ("dose", "weight", "running") if (name := getattr(study, role))]
    compared = [("secondary outcome", name) for name in study.secondary_outcomes]
    compared += [("guardrail", name) for name in study.other_outcomes() if name not in study.secondary_outcomes]
    # A covariate that is the treatment or the instrument costs the estimators that adjust for it, which say so.
    apart = (
        (instruments, [*treatment, *outcome, *mediators], "Name another instrument, or drop it"),
        (covariates, outcome, "Drop it from the covariates"),
        (mediators, [*outcome, *treatment], "Give the mediator a column of its own"),
        (controls, [*outcome, *treatment, *covariates], "Name another negative control, or drop it"),
        (modifiers, outcome, "Drop it from the effect modifiers"),
        (further, outcome, "Give each its own column"),
        (compared, [*covariates, *treatment], "Drop it from the further outcomes, or the other role"),
    )
    for ones, others, mend in apart:
        for role, name in ones:
            for other, held in others:
                yield role, name, other, held, mend


def check(study: Study, columns: Mapping[str, np.ndarray]) -> None:
    """Raise where two roles that must differ are one column, or an affine map of one another, by value.

    Told by a correlation within 1e-10 of 1 in size, on rows that hold both values; of fewer than 20 such rows nothing
    is told, nor of constants and text. Weights and clusters play no part: an identity holds row by row.

    Raises
    ------
    StudyError
        Names both roles, both columns and the mend.
    """
    for role, name, other, held, mend in pairs(study):
        if affine(columns[name], columns[held]):
            raise told(study, role, name, other, held, mend)


def told(study: Study, role: str, name: str, other: str, held: str, mend: str) -> StudyError:
    """The refusal of one pair."""
    reason = f"the {role} '{name}' is the {other} '{held}', or an exact affine map of it, in every row"
    return StudyError(study.name, reason, mend)


def affine(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether a = c + d b with d not 0, to rounding: shape (n,) both. Columns are scaled before they are squared."""
    if a.dtype == object or b.dtype == object:
        return False
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < ROWS_AT_LEAST:
        return False
    one, two = _unit(a[both]), _unit(b[both])
    return one is not None and two is not None and is_one(float(one @ two))


def is_one(correlation: float | None) -> bool:
    """Whether a correlation is 1 or −1 to rounding; None and NaN, of constants, are not."""
    return correlation is not None and bool(abs(correlation) >= 1 - WITHIN)


def _unit(values: np.ndarray) -> np.ndarray | None:
    """Centred, of length 1; None of a column that is constant to rounding."""
    largest = float(np.abs(values).max())
    if largest == 0:
        return None
    scaled = values / largest
    scaled = scaled - scaled.mean()
    length = float(np.linalg.norm(scaled))
    return scaled / length if length > 1e-12 * np.sqrt(len(values)) else None
