"""Linear instrumental variables of rows that stay in the warehouse."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ..instruments.iv import Run, result
from ..instruments.partialled import check_identified
from ..instruments.system import System, kept
from ..result import Result
from ..scan import instrumental
from ..scan.columns import cluster_key
from ..scan.instrumental import Reader
from ..scan.stream import Column, Plan
from .own_moments import moments_of
from .problem import Streamed
from .sample import check_sample, regression_variance, sample

T = TypeVar("T")


def iv(problem: Streamed, estimand: str) -> Result:
    """LATE by 2SLS, LIML or two-step GMM: the rows, diagnostics and refusals of `estimators.instruments.iv.iv`.

    The shared scan gives the estimates; one more, of covariates, instruments, outcome and treatment, gives every robust
    variance and test (two more with ``method: gmm``). Formulas and their sources are those of the in-memory namesake.

    Parameters
    ----------
    problem : Streamed
        Options: ``method``, ``variance``, ``instruments``, ``covariates``. Sums a cluster are DuckDB's, which spills.
    estimand : str
        LATE.

    Raises
    ------
    Refusal
        As the in-memory namesake. Weights are refused by the registry; rows with missing values were left out before.

    Sources
    -------
    Angrist & Pischke 2009, ch. 4; Anderson & Rubin 1949; Montiel Olea & Pflueger 2013; Hansen 1982.
    """
    treated = sample(problem).treated if problem.kind == "binary" else None
    run = Run(estimand, problem.own("method"), str(problem.study.treatment), treated)
    return of_system(problem, lambda p: result(p, run))


def of_system(problem: Streamed, make: Callable[[System], T]) -> T:
    """What ``make`` gives for the IV system of a run.

    Raises
    ------
    Refusal
        As `estimators.instruments.partialled.partialled`.
    """
    study, outcome = problem.study, problem.study.outcome
    assert study.treatment is not None
    check_sample(problem)
    x = problem.columns(problem.covariate_terms())
    z = problem.columns(tuple(problem.own("instruments") or study.instruments))
    yd = problem.columns((outcome, study.treatment))
    moments = moments_of(problem, (*x, *z, *yd))
    found = kept(moments, [c.name for c in x], [c.name for c in z], study.treatment)
    check_identified(found, [c.name for c in z], problem.n, study.treatment)
    read = (*(x[j] for j in found.covariates), *(z[j] for j in found.instruments), *yd)
    reader = Reader(problem.source, _plan(problem, read), moments, problem.n_clusters)
    variance = regression_variance(problem, problem.own("variance"))
    return instrumental.solved(instrumental.system(reader, len(found.covariates), variance), reader, make)


def _plan(problem: Streamed, columns: tuple[Column, ...]) -> Plan:
    """Without weights, which linear IV does not use, and without folds."""
    name = problem.study.cluster
    return Plan(columns, cluster=cluster_key(name, problem.types[name]) if name else None)
