"""Stratification on the propensity score, streamed."""

from __future__ import annotations

import numpy as np

from ..balance import balance_diagnostics
from ..errors import Refusal
from ..estimates import made
from ..result import Diagnostic, Result
from ..scan.strata import Strata
from ..scan.stratified import Differences, between
from ..selection_on_observables.stratification import NARROWER, NOTHING_BESIDE
from .ipw import weight_diagnostics
from .problem import Streamed
from .sample import check_arms, counts
from .spreads import spread
from .weighing import Weighed, weighed


def stratification(problem: Streamed, estimand: str) -> Result:
    """ATE or ATT: average over propensity strata of the difference between the arms' means within a stratum.

    τ = Σ_s q_s (Ȳ_1s − Ȳ_0s): see `estimators.selection_on_observables.stratification.stratification` for the shares,
    the adjustment, the variances and the sources. The cutpoints are exact quantiles of the streamed propensities
    (`scan.strata.Watch`); sums a stratum come from the scan that ipw, ope and stratification share
    (`weighing.weighed`). A regression inside each stratum, or a declared cluster, takes one more scan.

    Parameters
    ----------
    problem : Streamed
        Options: ``strata``, ``adjustment`` and ``variance``.
    estimand : str
        ATE or ATT.

    Raises
    ------
    Refusal
        As in memory. Sampling weights are not supported.
    """
    check_arms(problem)
    found = weighed(problem)
    strata = found.of(found.cells, "stratification").strata[estimand]
    _check_strata(strata)
    parts = found.strata_of(estimand)
    n = float(strata.counted(estimand).sum())
    effect, std_error = _effect(problem, found, parts, estimand, n)
    weights = strata.weights(estimand)[:, ::-1]  # the treated first
    diagnostics = _diagnostics(problem, found, parts, weights)
    fields = counts(problem) | {"n_trimmed": 0, "effective_sample_size": diagnostics[0].value}
    fields["variance_estimator"] = problem.own("variance") if problem.study.cluster is None else "cluster"
    row = made(estimand, effect * found.unit, std_error * found.unit, problem.reference_df(), **fields)
    return Result((row,), diagnostics)


def _check_strata(strata: Strata) -> None:
    """Refuse where a stratum lacks an arm, or has one unit of it."""
    reasons = ((1, NOTHING_BESIDE), (2, "no variance within a stratum can be had"))
    for least, why in reasons:
        poor = strata.poor(least)
        if poor:
            raise Refusal(f"{'; '.join(poor)}: {why}", NARROWER)


def _effect(problem: Streamed, found: Weighed, parts: Differences, estimand: str, n: float) -> tuple[float, float]:
    """Effect and standard error, in units of the standardised outcome; the shares are those of n units."""
    adjusted = problem.own("adjustment") == "regression"
    if not adjusted and problem.study.cluster is None:
        of_shares = between(parts, n) if problem.own("variance") == "with_shares" else 0.0
        return parts.effect(), (parts.variance() + of_shares) ** 0.5
    got = spread(problem, found, estimand)
    return parts.effect() if got.effect is None else got.effect, got.std_error()


def _diagnostics(problem: Streamed, found: Weighed, parts: Differences, weights: np.ndarray) -> tuple[Diagnostic, ...]:
    """Of the weights (by stratum, the treated first), the weighted balance, and each stratum."""
    names = problem.names(problem.study.covariates)
    # (S, 2, width), the treated first: Σ z and Σ z² need no weights.
    sums = parts.sums[:, ::-1, :-2]
    plain, weighted = sums.sum(axis=0), (weights[:, :, None] * sums).sum(axis=0)
    units = sums[:, :, 0]
    total, square = (weights * units).sum(axis=0), (weights**2 * units).sum(axis=0)
    squares = found.squares(problem)
    smd = found.balance(names, weighted / weighted[:, :1], plain, squares)
    rows = [
        *weight_diagnostics(total, square, weights.max(axis=0)),
        *balance_diagnostics("weighted_smd", names, smd),
    ]
    gaps = np.abs(sums[:, 0] / units[:, :1] - sums[:, 1] / units[:, 1:])[:, found.read.places(names)]
    variance = found.spread(names, plain, squares)
    varies = variance > 0
    for s, gap in enumerate(gaps):
        subject = f"stratum={s + 1}"
        largest = float(np.max(gap[varies] / np.sqrt(variance[varies]), initial=0.0))
        rows += [
            Diagnostic("stratum_smd", subject, largest),
            Diagnostic("stratum_units", subject, float(units[s].sum())),
            Diagnostic("stratum_treated", subject, float(units[s, 0])),
        ]
    return tuple(rows)
