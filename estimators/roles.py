"""Declared roles that nothing uses: a covariate that no estimator reads changes no number, and that is told."""

from __future__ import annotations

from collections.abc import Iterable

from .entry import Estimator
from .registry import BY_NAME
from .result import Diagnostic
from .study import Study

# Roles that change a number where they are used; unit, outcome and time are the shape of the rows.
ROLES = (
    "treatment", "covariates", "cohort", "cluster", "weight", "instruments", "running", "cutoff", "mediator", "dose",
    "arms", "exposure", "logged_propensity", "negative_control_exposures", "negative_control_outcomes",
    "effect_modifiers", "edges", "intervention_time",
)  # fmt: skip
# What the answer itself is expected to use; the others belong to estimators of their own.
OF_THE_PRIMARY = ("covariates", "cluster", "weight")


def uses(estimator: Estimator, study: Study) -> set[str]:
    """The roles that an estimator reads in a study, by what the registry says of it."""
    out = {*estimator.needs, *estimator.either, *estimator.also}
    if "covariates" in estimator.options:
        out.add("covariates")
    if estimator.treatment is not None:
        out.add("treatment")
    out |= {role for role in ("weight", "cluster") if getattr(estimator, f"{role}s")}
    return out - {role for role in estimator.ignores if study.has(role)}


def unused(study: Study, running: Iterable[str]) -> tuple[Diagnostic, ...]:
    """A row ``role_unused`` for each declared role that no running estimator uses, or that the primary does not.

    Parameters
    ----------
    study : Study
    running : iterable of str
        Names of the estimators whose roles are declared, refused ones too.

    Returns
    -------
    tuple of Diagnostic
        ``subject`` is the role, ``value`` how many of them use it (0: none does); never passing.
    """
    entries = [BY_NAME[name] for name in dict.fromkeys(running)]
    own = uses(BY_NAME[study.decision.primary], study)
    out = []
    for role in ROLES:
        if not study.has(role):
            continue
        count = sum(role in uses(entry, study) for entry in entries)
        if count == 0 or (role in OF_THE_PRIMARY and role not in own):
            out.append(Diagnostic("role_unused", role, float(count), 1.0, False))
    return tuple(out)
