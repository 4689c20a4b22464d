"""Inverse probability weighting with normalised weights, streamed."""

from __future__ import annotations

import numpy as np

from ..balance import balance_diagnostics
from ..errors import Refusal
from ..estimates import made
from ..result import Diagnostic, Result
from ..scan.normal import number
from ..scan.stream import quoted
from ..scan.weighting import ESTIMANDS, Hajek
from .problem import Streamed
from .propensity import probability_sql, whole_propensity
from .sample import check_arms
from .spreads import spread
from .weighing import weighed


def ipw(problem: Streamed, estimand: str) -> Result:
    """The effect on all units (ATE), the treated (ATT) or the units in overlap (ATO), by weighted means of each arm.

    τ = Σ ω T Y / Σ ω T − Σ ω (1 − T) Y / Σ ω (1 − T): see `estimators.selection_on_observables.ipw.ipw` for the
    weights ω, the variances and the sources. The sums come from the scan that ipw, ope and stratification share
    (`weighing.weighed`); a declared cluster takes one more (`spreads.spread`).

    Parameters
    ----------
    problem : Streamed
        Options: ``variance`` (stacked, fixed_weights) and ``trim``.
    estimand : str
        ATE, ATT or ATO.

    Raises
    ------
    Refusal
        As in memory; for ``method: entropy``, whose weights are found on rows in memory.
    """
    if problem.own("method") == "entropy":
        raise entropy_in_memory(problem.n)
    found = weighed(problem)
    hajek = found.of(found.hajek, "ipw")
    check_arms(problem, (int(hajek.used[1]), int(hajek.used[0])))
    _check_weights(hajek, estimand)
    stacked, summed = problem.own("variance") == "stacked", problem.summed_by is not None
    clustered = problem.study.cluster is not None
    estimate, c = hajek.effect(estimand, stacked)
    std_error = (
        spread(problem, found, estimand).std_error()
        if summed
        else float(np.sqrt(max(float(c @ hajek.products @ c), 0.0)))
    )
    diagnostics = weight_diagnostics(hajek.total(estimand), hajek.square(estimand), hajek.most(estimand))
    kept = hajek.plain[:, 0]
    row = made(
        estimand, estimate * found.unit, std_error * found.unit, problem.reference_df(),
        variance_estimator="cluster" if clustered else "stacked" if stacked else "fixed_weights",
        n_units=int(kept.sum()), n_treated=int(kept[0]), n_trimmed=hajek.rows - int(kept.sum()),
        n_clusters=_clusters(problem, hajek), effective_sample_size=diagnostics[0].value,
    )  # fmt: skip
    names = problem.names(problem.study.covariates)
    smd = found.balance(names, hajek.means(estimand), hajek.plain, hajek.squares)
    return Result((row,), (*diagnostics, *balance_diagnostics("weighted_smd", names, smd)))


def entropy_in_memory(rows: int) -> Refusal:
    """Of entropy balancing, which does not stream."""
    reason = f"entropy balancing holds its rows in memory, and the {rows} of this study are streamed"
    return Refusal(reason, "Raise row_budget, or declare `method: propensity`")


def weight_diagnostics(total: np.ndarray, square: np.ndarray, largest: np.ndarray) -> tuple[Diagnostic, ...]:
    """Kish's effective sample size and the largest weight of all units, the treated and the control.

    Parameters
    ----------
    total, square, largest : ndarray of shape (2,)
        Σ ω, Σ ω² and max ω of the treated and the untreated.
    """
    groups = ("overall", "treated", "control")
    sizes = effective_sizes(total, square)
    most = (float(largest.max()), *largest.tolist())
    return (
        *(Diagnostic("effective_sample_size", name, size) for name, size in zip(groups, sizes, strict=True)),
        *(Diagnostic("max_weight", name, value) for name, value in zip(groups, most, strict=True)),
    )


def effective_sizes(total: np.ndarray, square: np.ndarray) -> tuple[float, float, float]:
    """(Σω)² / Σω² of all units, the treated and the control."""
    sums, squares = [total.sum(), *total.tolist()], [square.sum(), *square.tolist()]
    first, second, third = (s**2 / q if s > 0 else 0.0 for s, q in zip(sums, squares, strict=True))
    return float(first), float(second), float(third)


def _check_weights(hajek: Hajek, estimand: str) -> None:
    bad = int(hajek.not_finite[ESTIMANDS.index(estimand)])
    if bad:
        reason = f"{bad} propensities are 0 or 1 to the last digit"
        raise Refusal(reason, "Trim, or drop the covariate that decides the treatment")
    for total, label in zip(hajek.total(estimand), ("treated", "untreated"), strict=True):
        if total <= 0:
            raise Refusal(f"every {label} unit has weight zero", "Narrow the population to where both arms occur")


def _clusters(problem: Streamed, hajek: Hajek) -> int | None:
    """Clusters of the units that are kept."""
    name = problem.study.cluster
    if name is None or hajek.plain[:, 0].sum() == hajek.rows:
        return problem.n_clusters
    key = ("clusters kept", problem.options.propensity, hajek.trim)
    if key not in problem.cache:
        e, low, high = probability_sql(problem, whole_propensity(problem)), number(hajek.trim), number(1 - hajek.trim)
        inside = f"{e} between {low} and {high}"
        problem.cache[key] = problem.source.kept(inside).one(f"count(distinct {quoted(name)})")[0]
    return problem.cache[key]
