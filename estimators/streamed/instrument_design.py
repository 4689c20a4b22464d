"""What can be known of an instrument before the outcome is looked at, of rows that stay in the warehouse."""

from __future__ import annotations

from ..errors import Refusal
from ..instruments.design import design_rows
from ..result import DesignRow
from .iv import of_system
from .problem import Streamed


def instrument_design(problem: Streamed) -> list[DesignRow]:
    """The rows of `estimators.instruments.design.instrument_design`, by the shared scan and one more.

    Weights and clusters as in `estimators.streamed.iv.iv`; a first stage that cannot be had gives NULL and the reason.
    """
    name = str(problem.study.treatment)
    try:
        return of_system(problem.for_run("iv", "default"), lambda p: design_rows(p, name))
    except Refusal as refusal:
        return design_rows(refusal, name)
