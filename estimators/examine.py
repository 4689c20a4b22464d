"""A study examined before analysis: what its design asks, and how its covariates lie."""

from __future__ import annotations

from typing import Any

from .errors import Refusal
from .failures import told
from .imports import load
from .problem import Problem
from .registry import BY_NAME
from .result import DesignRow

# Which function looks at a design before analysis; its rows feed the gates.
DESIGN_CHECKS = {
    "experiment": "experiments.design:experiment_design",
    "iv": "instruments.design:instrument_design",
    "rd": "discontinuity.design:discontinuity_design",
    "panel": "panel.design:panel_design",
    "synthetic_control": "panel.design:panel_design",
}


def examined(problem: Any, scores: Any = None) -> list[DesignRow]:
    """The rows of the design table; a check that crashes or refuses is a row without a value that tells why.

    Parameters
    ----------
    problem : Problem or Streamed
    scores : relation or table, optional
        What `estimators.score` gave.
    """
    return [*_of_design(problem), *_of_covariates(problem, scores)]


def _of_design(problem: Any) -> list[DesignRow]:
    where = DESIGN_CHECKS.get(problem.study.design)
    if where is None:
        return []
    module, function = where.split(":")
    module = module if isinstance(problem, Problem) else f"streamed.{function}"
    try:
        own = problem.for_run(_reader(problem.study.decision.primary), "default")
        return list(getattr(load(f"estimators.{module}"), function)(own))
    except Exception as bad:  # a metric without a row fails its gate; this row tells why there is none
        reason, mend = told(bad, problem.study.name, "the design's check")
        return [DesignRow(None, "design", "overall", None, reason, remedy=mend or None)]


def _reader(primary: str) -> str:
    """Whose rows a design is judged by: the primary's, but of the study alone where that reads a target too."""
    return "difference_in_means" if BY_NAME[primary].reads == "populations" else primary


def _of_covariates(problem: Any, scores: Any) -> list[DesignRow]:
    where = "covariates" if isinstance(problem, Problem) else "streamed.covariates"
    module = load(f"estimators.{where}")
    try:
        return list(module.covariate_design(problem, scores))
    except Exception as bad:  # as above
        from .covariates import weightings_of, without

        why = Refusal(*told(bad, problem.study.name, "balance and collinearity"))
        return without(problem.study, problem.kind, weightings_of(scores), why)
