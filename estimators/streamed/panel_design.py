"""What a streamed panel's periods before treatment say about its design; no outcome after treatment enters."""

from __future__ import annotations

from ..errors import Refusal
from ..panel.design import FIT_METRICS, trend_rows, without, without_trends
from ..result import DesignRow
from .did import streamed_effects
from .panel_trends import streamed_test
from .problem import Streamed


def panel_design(problem: Streamed) -> list[DesignRow]:
    """The design rows of `estimators.panel.design.panel_design` for a panel study.

    The sums of a pass hold all periods, but the test reads those before treatment alone. A synthetic control holds few
    units and is not streamed: its rows have no value and say so.
    """
    if problem.study.design == "synthetic_control":
        reason = f"synthetic_control holds its rows in memory, and {problem.n} are more than the row_budget"
        return without("synthetic_control", FIT_METRICS, f"{reason}. Raise row_budget, or narrow the units")
    if problem.study.cohort is None:
        reason = (
            f"parallel trends are tested by cohort, and none is declared; {problem.n} rows are more than row_budget"
        )
        return without_trends(f"{reason}. Declare the role 'cohort', or raise row_budget")
    run = problem.for_run("did", "default")
    try:
        effects, sample = streamed_effects(run, pre_only=True)
        test = streamed_test(run, effects, sample)
    except Refusal as refusal:
        return without_trends(str(refusal))
    return trend_rows(test)
