"""Linear instrumental variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import Refusal
from ..estimates import made
from ..problem import Problem
from ..result import Diagnostic, Estimate, Result, number
from ..thresholds import limit
from .kclass import Fit, gmm, hansen_j, liml, two_stage, wu_hausman
from .partialled import partialled
from .system import System
from .weak import Region, Strength, anderson_rubin, strength

SOLVERS = {"2sls": two_stage, "liml": liml, "gmm": gmm}
NAMES = {"classical": "classical", "robust": "HC1", "CR1": "CR1", "CR2": "CR1"}
# First-stage F a row at which 1 − R² is below 1e-10: what is left of the treatment is rounding.
EXACT = 1e10


def iv(problem: Problem, estimand: str) -> Result:
    """LATE: effect of a unit of treatment among those whom the instruments move, from y = βd + x'γ + e, E[z e] = 0.

    2SLS: β = d'P_Z y / d'P_Z d with the covariates (and a constant) taken out; LIML: the k-class with the smallest root
    κ; GMM: two-step efficient. With a binary treatment and one binary instrument 2SLS without covariates is Wald's
    ratio, and the average effect on compliers (Imbens & Angrist 1994).

    Parameters
    ----------
    problem : Problem
        Options: ``method`` (2sls, liml, gmm), ``variance`` (classical, robust = HC1; with a declared cluster CR2,
        or CR1 where that is declared),
        ``instruments`` (in place of the study's), ``covariates``.
    estimand : str
        LATE.

    Returns
    -------
    Result
        In units of the outcome a unit of treatment; t with n − k degrees of freedom (with clusters those of
        Bell & McCaffrey for CR2, G − 1 for CR1). Where the
        first stage is weak (F below 10: the classical F with the classical variance, otherwise the effective F of
        Montiel Olea & Pflueger) the row keeps the estimate without standard error, test or normal interval; its
        interval is the Anderson–Rubin set, where that is bounded. Diagnostics: ``first_stage_f``,
        ``first_stage_f_robust``, ``effective_f``, ``ar_low``, ``ar_high`` (NULL where unbounded), ``ar_shape`` (1 one
        interval, 2 several, 0 unbounded, −1 empty), ``hansen_j`` and ``hansen_j_p`` (several instruments),
        ``wu_hausman_p``.

    Raises
    ------
    Refusal
        ``not_identified``: instruments that the covariates explain or that do not move the treatment, a treatment that
        the covariates explain. ``refused``: too few rows, one cluster, GMM with fewer clusters than moments.

    Notes
    -----
    Weights are not supported (the estimator refuses such studies). Rows with missing values are left out before.

    References
    ----------
    Angrist & Pischke (2009), ch. 4; Anderson & Rubin (1949); Montiel Olea & Pflueger (2013), JBES 31; Hansen (1982).
    """
    binary = bool(np.isin(problem.t, (0.0, 1.0)).all())
    run = Run(estimand, problem.own("method"), str(problem.study.treatment), int(problem.t.sum()) if binary else None)
    return result(partialled(problem), run)


@dataclass(frozen=True)
class Run:
    """What a run of `iv` is told beside its system; ``n_treated`` is None where the treatment is not binary."""

    estimand: str
    method: str
    treatment: str
    n_treated: int | None


def result(p: System, run: Run) -> Result:
    """Row and diagnostics of one system; see `iv`."""
    strong = strength(p)
    if strong.classical >= EXACT * p.n:
        reason = f"the instruments give the treatment '{run.treatment}' exactly (first-stage F is infinite to rounding)"
        mend = "An instrument moves the treatment and is not it: name another, or estimate without instruments"
        raise Refusal(reason, mend, "not_identified")
    fit, region = SOLVERS[run.method](p), anderson_rubin(p)
    row = _strong_row(p, run, fit) if strong.decisive >= limit("first_stage") else None
    row = row or _weak_row(p, run, fit, strong, region)
    return Result((row,), _diagnostics(p, run.treatment, strong, region))


def _counts(p: System, run: Run) -> dict[str, Any]:
    return {"n_units": p.n, "n_treated": run.n_treated, "n_clusters": p.groups}


def _strong_row(p: System, run: Run, fit: Fit) -> Estimate:
    return made(
        run.estimand, fit.coef, fit.std_error, float(p.df(p.k + 1)) if fit.df is None else fit.df,
        contrast="per unit", variance_estimator=fit.kind or NAMES[p.variance], **_counts(p, run),
    )  # fmt: skip


def _weak_row(p: System, run: Run, fit: Fit, strong: Strength, region: Region) -> Estimate:
    readings = {
        1: "the interval is the Anderson-Rubin set",
        2: "the interval spans the several pieces of the Anderson-Rubin set",
        0: "the Anderson-Rubin set is unbounded, so there is no interval",
        -1: "the Anderson-Rubin set is empty, so the instruments contradict each other and there is no interval",
    }
    return Estimate(
        run.estimand, contrast="per unit", estimate=number(fit.coef), conf_low=region.low, conf_high=region.high,
        variance_estimator="anderson_rubin", **_counts(p, run),
        status_reason=f"weak instruments: first-stage F {strong.decisive:.3g} is below {limit('first_stage'):g}; "
        f"{readings[region.shape]}",
    )  # fmt: skip


def _diagnostics(p: System, name: str, strong: Strength, region: Region) -> tuple[Diagnostic, ...]:
    rows = [
        Diagnostic(
            "first_stage_f",
            name,
            number(strong.classical),
            limit("first_stage"),
            strong.classical >= limit("first_stage"),
        ),
        Diagnostic("first_stage_f_robust", name, number(strong.robust)),
        Diagnostic(
            "effective_f",
            name,
            number(strong.effective),
            limit("first_stage"),
            strong.effective >= limit("first_stage"),
        ),
        Diagnostic("ar_low", name, region.low),
        Diagnostic("ar_high", name, region.high),
        Diagnostic("ar_shape", name, float(region.shape)),
    ]
    exogenous = wu_hausman(p)
    rows.append(Diagnostic("wu_hausman_p", name, exogenous.p_value if exogenous else None))
    if p.q > 1:
        try:
            j = hansen_j(p)
        except Refusal:  # fewer clusters than moments: the estimate stands, its test does not
            rows.append(Diagnostic("hansen_j_p", "overall", None, 0.05, None))
        else:
            rows.append(Diagnostic("hansen_j", "overall", j.statistic))
            rows.append(Diagnostic("hansen_j_p", "overall", j.p_value, 0.05, j.p_value >= 0.05))
    return tuple(rows)
