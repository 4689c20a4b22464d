"""What an estimator is handed where the rows are on an engine and more than the study's row budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import Refusal
from ..registry import Estimator
from ..result import Result
from ..scan.columns import is_fraction
from ..scan.stream import quoted
from ..streamed.problem import Streamed
from .translate import CODE

# The estimators whose sums the engine takes; each by its namesake in `estimators.streamed` unless one stands here.
STREAMS = ("difference_in_means", "ols", "regression_adjustment", "tvce", "iv", "ipw", "ope")


def streams(problem: Streamed, estimator: Estimator) -> Callable[[Any, str], Result]:
    """The function that estimates from the engine's sums.

    Raises
    ------
    Refusal
        For an estimator that needs rows in Python.
    """
    if estimator.name in STREAMS:
        return estimator.load_streamed()
    reason = f"{estimator.name} is not streamed on {problem.source.engine}, and {problem.n} rows are more than"
    mend = "Raise row_budget so that memory holds them, narrow the population, or keep the units in DuckDB"
    raise Refusal(f"{reason} the row_budget of {problem.study.row_budget}", mend)


@dataclass(frozen=True)
class Elsewhere(Streamed):
    """`estimators.streamed.problem.Streamed` on an engine: the same SQL, and the fold in the engine's own words."""

    def fold(self) -> str:
        """SQL of a row's fold; equal to `estimators.folds.md5_folds`."""
        if self.study.fold is not None and self.n_folds == self.study.folds:
            return super().fold()
        key = self.study.cluster or self.study.unit
        name = quoted(key)
        text = f"{name}::varchar"
        if is_fraction(self.types[key]):
            text = f"case when {name} = trunc({name}) then {name}::hugeint::varchar else {name}::varchar end"
        return f"({CODE}(({text}) || ':{self.study.seed}') % {self.n_folds})"
