"""What the decision's run tells of lost rows: loss by arm with its test, and Lee's bounds of an experiment."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, Protocol

from ..errors import Refusal
from ..imports import load
from ..problem import Problem
from ..registry import BY_NAME
from ..result import Diagnostic, Result, SensitivityRow
from ..sensitivity.words import percent, plain
from ..study import Study
from .lee import LeeBounds
from .loss import DIFFERS, Loss, difference_p
from .rows import Lost, held_rows, held_units

# Estimands that the difference between the arms' means estimates where treatment is drawn by lot.
OF_ARMS = ("ATE", "ATT", "ATO")
# Kept rows that each arm must have for bounds with a standard error.
FEWEST = 2


class Rows(Protocol):
    """Rows with those that lack a value, in memory (`rows.Held`) or streamed (`streamed.attrition.Scanned`)."""

    def found(self) -> Lost:
        """Loss by arm and column."""

    def bounds(self, df: int | None) -> LeeBounds:
        """Lee's bounds."""


def with_losses(problem: Any, result: Result, outcome: str | None = None) -> Result:
    """A result of the decision's run with what `losses` tells of its outcome.

    Parameters
    ----------
    problem : Problem or Streamed
        Of the study.
    result : Result
        Of the decision's estimator, estimand and specification; bounds are told where it is estimated.
    outcome : str, optional
        The further outcome that it is of, whose rows have its name; the primary one by default.
    """
    study, subject = problem.study, "overall"
    if outcome is not None:
        study, subject = study.alone(outcome), outcome
    told, bounds = losses(problem, study, subject)
    if outcome is not None:  # what other columns lack, the primary outcome's rows tell
        told = [one for one in told if one.subject == outcome]
    is_estimated = any(one.status == "estimated" for one in result.estimates)
    return dataclasses.replace(
        result, diagnostics=(*result.diagnostics, *told),
        sensitivity=(*result.sensitivity, *(bounds if is_estimated else ())),
    )  # fmt: skip


def losses(problem: Any, study: Study, subject: str) -> tuple[list[Diagnostic], list[SensitivityRow]]:
    """Rows on what one outcome's estimate lost; none where every row is whole.

    ``share_lost_untreated`` and ``share_lost_treated`` are shares of the arms (weighted, where weights are declared;
    of ever and never treated units in a panel, where a unit is lost that lacks a period; of the two values of the one
    instrument for an estimator of instruments), ``loss_differs_p`` the p-value that they are equal
    (`loss.difference_p`), ``rows_lost_…`` the rows of an arm that lack a column, and ``rows_without_arm`` those that
    lack the arm itself. A treatment of more than two values has ``share_lost`` alone. ``lee_bounds`` are of an
    experiment with two arms, for an estimate of one row a unit that compares them.
    """
    arm = arm_of(study)
    if arm is None:
        return [], []
    try:
        rows = _rows(problem, study, arm)
        lost = rows.found()
    except Refusal:
        return [], []
    if not lost.lost:
        return [], []
    told = list(_told(lost, arm, subject))
    is_bounded = lost.loss is not None and compares_arms(study)
    return told, list(_bounds(rows, lost.loss, study, subject)) if is_bounded and lost.loss is not None else []


def arm_of(study: Study) -> str | None:
    """The column of the arms: the treatment, or the one instrument of an estimator of instruments; None without."""
    if "instruments" in BY_NAME[study.decision.primary].needs:
        return study.instruments[0] if len(study.instruments) == 1 else None
    if _is_panel(study):
        return study.cohort or study.treatment
    return study.treatment


def compares_arms(study: Study) -> bool:
    """Whether the decision's estimate compares an experiment's arms unit by unit: what Lee's bounds bound."""
    rule = study.decision
    own = rule.estimand in OF_ARMS and rule.term == "overall" and BY_NAME[rule.primary].reads == "units"
    return own and study.design == "experiment" and "instruments" not in BY_NAME[rule.primary].needs


def _is_panel(study: Study) -> bool:
    return study.time is not None and BY_NAME[study.decision.primary].reads.startswith("panel")


def _rows(problem: Any, study: Study, arm: str) -> Rows:
    if not isinstance(problem, Problem):
        streamed = load("estimators.streamed.attrition")
        return streamed.scanned_units(problem, study) if _is_panel(study) else streamed.scanned(problem, study, arm)
    return held_units(problem, study) if _is_panel(study) else held_rows(problem, study, arm)


def _told(lost: Lost, arm: str, subject: str) -> Iterator[Diagnostic]:
    if lost.armless and subject == "overall":
        yield Diagnostic("rows_without_arm", arm, float(lost.armless))
    if lost.loss is None:
        yield Diagnostic("share_lost", subject, lost.lost / lost.rows)
        return
    untreated, treated = lost.loss.shares
    p = difference_p(lost.loss)
    yield Diagnostic("share_lost_untreated", subject, float(untreated))
    yield Diagnostic("share_lost_treated", subject, float(treated))
    yield Diagnostic("loss_differs_p", subject, p, DIFFERS, None if p is None else p >= DIFFERS)
    for name, (of_untreated, of_treated) in lost.columns.items():
        yield Diagnostic("rows_lost_untreated", name, float(of_untreated))
        yield Diagnostic("rows_lost_treated", name, float(of_treated))


def _bounds(rows: Rows, loss: Loss, study: Study, subject: str) -> Iterator[SensitivityRow]:
    """Rows ``lee_bounds``: low, high, their interval's ends, the share trimmed; or one on why there is none."""
    prefix = "" if subject == "overall" else f"{subject}: "
    if loss.weights[:, 1].sum() == 0:  # only rows without an arm are lost
        return
    df = loss.degrees_of_freedom
    if loss.counts[:, 0].min() < FEWEST:
        told = "An arm has fewer than two whole rows left, so nothing bounds the effect."
        yield SensitivityRow("lee_bounds", f"{prefix}bounds", None, told)
        return
    if df is not None and df < 1:
        told = "An arm is one cluster, so the bounds have no standard error."
        yield SensitivityRow("lee_bounds", f"{prefix}bounds", None, told)
        return
    try:
        found = rows.bounds(df)
    except Refusal as refusal:
        yield SensitivityRow("lee_bounds", f"{prefix}bounds", None, str(refusal))
        return
    unit = study.outcome_unit if subject == "overall" else None
    for name, value, reading in _readings(found, unit):
        yield SensitivityRow("lee_bounds", f"{prefix}{name}", value, reading)


def _readings(found: LeeBounds, unit: str | None) -> Iterator[tuple[str, float, str]]:
    ends = f"[{plain(found.low, unit)}, {plain(found.high, unit)}]"
    arm = "treated" if found.arm == 1 else "untreated"
    whom = "on those whom neither arm would lose"
    yield "low", found.low, f"The effect {whom} is at least this, were the lost ones as they would hurt it most."
    yield "high", found.high, f"The effect {whom} is at most this, were the lost ones as they would help it most."
    told = f"95 % interval (Imbens and Manski) of an effect that lies in {ends}."
    yield "conf_low", found.conf_low, told
    yield "conf_high", found.conf_high, told
    cut = f"{percent(found.trimmed)} of their outcomes are cut off either end"
    yield "trimmed", found.trimmed, f"The {arm} keep more: {cut}."
