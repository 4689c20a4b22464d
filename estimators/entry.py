"""What the catalogue says of one estimator, and of one option of it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .imports import load

if TYPE_CHECKING:
    from .problem import Problem
    from .result import Result
    from .study import Study


@dataclass(frozen=True)
class Option:
    """One option of an estimator: its default, the values that it may take (or their type) and what it does."""

    default: Any
    allowed: tuple[Any, ...] | type | tuple[type, ...]
    meaning: str

    def accepts(self, value: Any) -> bool:
        """Whether the value may stand for this option (None only where it is the default)."""
        if value is None:
            return self.default is None
        if isinstance(self.allowed, tuple) and not all(isinstance(a, type) for a in self.allowed):
            return any(value == a and isinstance(value, bool) == isinstance(a, bool) for a in self.allowed)
        if isinstance(value, float) and not math.isfinite(value):
            return False
        kinds = self.allowed if isinstance(self.allowed, tuple) else (self.allowed,)
        if isinstance(value, bool) and bool not in kinds:
            return False
        return isinstance(value, (*kinds, int) if float in kinds else kinds)  # type: ignore[arg-type]

    def describe(self) -> str:
        """The allowed values in words."""
        if isinstance(self.allowed, tuple) and not all(isinstance(a, type) for a in self.allowed):
            return ", ".join(str(a) for a in self.allowed)
        kinds = self.allowed if isinstance(self.allowed, tuple) else (self.allowed,)
        return " or ".join(k.__name__ for k in kinds)  # type: ignore[union-attr]


@dataclass(frozen=True)
class Estimator:
    """One estimator of the catalogue.

    Attributes
    ----------
    name : str
        Value of ``estimates.estimator``.
    where : str
        ``module:function`` below the package; imported when it first runs, because imports are part of speed.
    needs : tuple of str
        Roles that must be declared.
    treatment : str or None
        ``binary`` or ``continuous`` where it asks for one kind, ``any`` for either, None where it reads no treatment.
    estimands : tuple of str
        Each is one run.
    options : mapping of str to Option
    weights : bool
        Whether a declared ``weight`` is used; otherwise the estimator refuses weighted studies.
    clusters : bool
        Whether a declared ``cluster`` is used; otherwise the estimator refuses clustered studies.
    streams : bool
        Whether it also runs on more rows than fit in memory; otherwise it refuses studies above their row budget.
    either : tuple of str
        Roles of which at least one must be declared; none where empty.
    designs : tuple of str
        Designs for which it runs; all where empty.
    also : tuple of str
        Roles that it uses where they are declared, beside those that it needs.
    ignores : tuple of str
        Roles that it accepts and that have no bearing on its number.
    reads : str
        ``units``: one row a unit, those of the study's own population (``sample`` 1) in the period ``cross_section``
        (default the last). ``panel``: every period. ``panel_with_gaps``: those, and with ``missing: drop`` also the
        rows that lack a value, as NaN. ``populations``: one row a unit, of the target population too.
    """

    name: str
    where: str
    title: str
    needs: tuple[str, ...]
    treatment: str | None
    estimands: tuple[str, ...]
    assumptions: str
    when_not: str
    source: str
    options: dict[str, Option] = field(default_factory=dict)
    weights: bool = True
    clusters: bool = True
    streams: bool = False
    reads: str = "units"
    either: tuple[str, ...] = ()
    designs: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    ignores: tuple[str, ...] = ()

    def load(self) -> Callable[[Problem, str], Result]:
        """The function that estimates: (problem, estimand) to a Result."""
        module, function = self.where.split(":")
        return _writing(getattr(load(f"estimators.{module}"), function))

    def load_streamed(self) -> Callable[[Any, str], Result]:
        """Its namesake for studies above their row budget: ``estimators.streamed.<name>:<name>``."""
        return _writing(getattr(load(f"estimators.streamed.{self.name}"), self.name))

    def suits(self, study: Study, treatment_kind: str | None) -> bool:
        """Whether the study's roles allow it. ``treatment_kind`` is binary, continuous or None."""
        if any(not study.has(role) for role in self.needs):
            return False
        if self.designs and study.design not in self.designs:
            return False
        if self.either and not any(study.has(role) for role in self.either):
            return False
        return self.treatment in (None, treatment_kind) or (self.treatment == "any" and treatment_kind is not None)


def _writing(function: Callable[[Any, str], Result]) -> Callable[[Any, str], Result]:
    """The function, with periods written as the study's frequency has them."""

    @functools.wraps(function)
    def run(problem: Any, estimand: str) -> Result:
        with load("estimators.panel.labels").writing(problem.study.frequency):
            return function(problem, estimand)

    return run
