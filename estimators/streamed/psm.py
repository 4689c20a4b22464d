"""Nearest-neighbour matching on the propensity score of a streamed study: two sorted passes, and sums."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np

from ..balance import balance_diagnostics
from ..errors import Refusal
from ..estimates import made
from ..moments import Moments
from ..result import Diagnostic, Result
from ..scan import balance
from ..scan.stream import quoted
from ..selection_on_observables.psm import Contrast, knows_estimation
from ..small_samples import scaled
from .linear import totals
from .matching import Sums
from .matching_score import near
from .matching_sides import Side, adjusted, sides, units_of
from .order_statistics import real
from .problem import Streamed
from .sample import check_arms


def psm(problem: Streamed, estimand: str) -> Result:
    """ATT or ATE: mean difference between each unit and its nearest neighbours on the propensity in the other arm.

    τ = Σ_i m_i (2W_i − 1)(Y_i − J_i⁻¹ Σ_{l∈J(i)} Y_l) / Σ m_i, and everything else as its namesake in memory,
    `estimators.selection_on_observables.psm.psm`, has it: options, standard error, counts, diagnostics and refusals.

    DuckDB sorts (propensity, outcome) of each arm into a scratch table; both arms stream past each other once, with
    only the donors in reach held (`matching`); what each donor serves goes into another scratch table, by its
    propensity, and one more scan of the units joined with it gives the balance. Without replacement Python holds
    16 bytes for each control that was passed over and not taken (`matching_greedy`). The bias adjustment sorts and
    streams once more. The variance that knows the propensity to be estimated lets the sorted arms pass four times and
    reads the units once (`matching_score`).

    Parameters
    ----------
    problem : Streamed
    estimand : str
        ATT or ATE.

    Raises
    ------
    Refusal
        As in memory; with a declared cluster, whose error needs the matches unit by unit; and where more than 4,194,304
        different propensities lie in reach of one unit, which only a large ``tie_tolerance`` or ``neighbours`` brings
        about.

    Notes
    -----
    Propensities that DuckDB computes differ from NumPy's in the last digits. Units with the same covariates have the
    same one, and the rest of the difference is far below the 1e-10 standard deviations within which distances tie.

    References
    ----------
    Rosenbaum & Rubin (1983), Biometrika 70; Abadie & Imbens (2006), Econometrica 74; Abadie & Imbens (2011), JBES 29;
    Abadie & Imbens (2016), Econometrica 84.
    """
    check_arms(problem)
    if problem.study.cluster is not None:
        reason = f"above the row_budget psm does not use the declared cluster '{problem.study.cluster}'"
        raise Refusal(reason, "Raise row_budget, drop the role 'cluster' or read the other estimators")
    found = sides(problem, estimand)
    with_bias = problem.own("bias_adjustment")
    outcomes = [adjusted(problem, side) if with_bias else side.sums for side in found.values()]
    contrast = contrast_of(outcomes)
    arms = {arm: _weights(found, arm) for arm in (1, 0)}
    both = _both(arms.values())
    std_error, variance_estimator = _error(problem, estimand, found, contrast)
    row = made(
        estimand,
        contrast.effect,
        scaled(problem, std_error),
        problem.reference_df(),
        n_units=round(both.units),
        n_treated=round(arms[1].units),
        n_trimmed=round(sum(side.sums.missed for side in found.values())),
        effective_sample_size=both.effective,
        variance_estimator=variance_estimator,
    )
    names = problem.names(problem.study.covariates)
    smd = balance_diagnostics("matched_smd", names, _differences(problem, found, names))
    return Result((row,), (*_weight_diagnostics(both, arms), *smd))


def matching_weights(problem: Streamed, estimand: str) -> str:
    """SQL of a query that gives ``unit_id`` and ``weight`` of the units in the matched contrast; the others are absent.

    Weights are those of `estimators.selection_on_observables.psm.matching_weights`. A row of the query is a row of the
    units (in a panel a unit has several). It reads scratch tables that last as long as ``problem.cache``.

    Raises
    ------
    Refusal
        As `psm`, but for the bias adjustment, which does not touch weights.
    """
    check_arms(problem)
    found = sides(problem, estimand)
    return " union all ".join(_weights_of_arm(problem, found, arm) for arm in (0, 1))


def _weights_of_arm(problem: Streamed, found: dict[int, Side], arm: int) -> str:
    units, weight = units_of(problem, arm), []
    if 1 - arm in found:
        units = found[1 - arm].joined(units, "left join" if arm in found else "join", "used")
        weight.append("coalesce(cqox_share, 0)")
    if arm in found:
        units = found[arm].joined(units, "anti join", "missed") if found[arm].sums.missed else units
        weight.append("1.0::double")
    return f"select {quoted(problem.study.unit)} as unit_id, {' + '.join(weight)} as weight from {units}"


def contrast_of(outcomes: Iterable[Sums]) -> Contrast:
    """Mean matched difference and its standard error, as `matched_contrast` has them of arrays.

    V = [Σ m_i (τ_i − τ)² + σ² Σ (K_i² + 2 m_i K_i − K'_i)] / (Σ m_i)². A unit that serves has itself a match at no
    greater distance: where both arms are targets Σ m_i K_i is Σ K_i, the number of units that were matched.
    """
    outcomes = list(outcomes)
    n = sum(own.n for own in outcomes)
    effect = sum(own.n * own.mean for own in outcomes) / n
    squared = sum(own.square + own.n * (own.mean - effect) ** 2 for own in outcomes)
    sigma2 = 0.5 * (squared + sum(own.spread for own in outcomes)) / n
    reuse = sum(own.shares - own.squares for own in outcomes) + (2 * n if len(outcomes) > 1 else 0.0)
    return Contrast(effect, float(np.sqrt(squared + sigma2 * reuse)) / n)


def _error(problem: Streamed, estimand: str, found: dict[int, Side], contrast: Contrast) -> tuple[float, str]:
    """Standard error, and the name of the variance that it is of."""
    outcomes = [side.sums for side in found.values()]
    if knows_estimation(problem.options.own, sum(own.missed for own in outcomes)):
        around, n = near(problem), sum(own.n for own in outcomes)
        effect, unit = contrast.effect / around.scale, around.scale**2
        squared = sum(own.square + own.n * (own.mean - contrast.effect) ** 2 for own in outcomes) / unit
        variance = squared + around.spread(found) - around.tilt.taken(estimand, effect)
        if variance > 0:
            return float(np.sqrt(variance * unit)) / n, "estimated_propensity"
    return contrast.std_error, "abadie_imbens"


@dataclass(frozen=True)
class _Weights:
    """Units with a weight, Σ w, Σ w² and the largest w."""

    units: float
    total: float
    squares: float
    largest: float

    @property
    def effective(self) -> float:
        """Kish's effective sample size."""
        return self.total**2 / self.squares if self.total > 0 else 0.0


def _weights(found: dict[int, Side], arm: int) -> _Weights:
    """Of one arm: 1 for a matched unit, plus K; a unit that serves has itself a match."""
    matched = found[arm].sums.n if arm in found else 0.0
    if 1 - arm not in found:
        return _Weights(matched, matched, matched, 1.0)
    served = found[1 - arm].sums
    if arm not in found:
        return _Weights(served.used, served.n, served.shares, served.largest)
    return _Weights(matched, matched + served.n, matched + 2 * served.n + served.shares, 1.0 + served.largest)


def _both(arms: Iterable[_Weights]) -> _Weights:
    a, b = arms
    return _Weights(a.units + b.units, a.total + b.total, a.squares + b.squares, max(a.largest, b.largest))


def _weight_diagnostics(both: _Weights, arms: dict[int, _Weights]) -> tuple[Diagnostic, ...]:
    """In the order of `estimators.selection_on_observables.ipw.weight_diagnostics`."""
    groups = (("overall", both), ("treated", arms[1]), ("control", arms[0]))
    sizes = tuple(Diagnostic("effective_sample_size", name, own.effective) for name, own in groups)
    return sizes + tuple(Diagnostic("max_weight", name, own.largest) for name, own in groups)


def _differences(problem: Streamed, found: dict[int, Side], names: tuple[str, ...]) -> np.ndarray:
    """Standardised differences of the matched units, as `estimators.balance.standardised_differences`: shape (k,)."""
    moments = totals(problem)
    at = np.array([0, *(1 + moments.names.index(name) for name in names)])  # the constant first
    means = np.array([_mean(problem, found, arm, moments, at) for arm in (1, 0)])
    squares = np.diagonal(moments.cross, axis1=1, axis2=2)[:, at]
    ratio = np.concatenate([[0.0], moments.shift / moments.scale])[at]
    return balance.differences(means, moments.cross[:, 0, at], squares, ratio)[1:]


def _mean(problem: Streamed, found: dict[int, Side], arm: int, moments: Moments, at: np.ndarray) -> np.ndarray:
    """Σ w (1, z) / Σ w of one arm, z the standardised covariates: shape (k + 1,)."""
    total = np.zeros(len(at))
    if arm in found:
        total += moments.cross[arm, 0, at]
        if found[arm].sums.missed:
            total -= _sums(problem, found[arm], "missed", moments, at)
    if 1 - arm in found:
        total += _sums(problem, found[1 - arm], "used", moments, at)
    return total / total[0]


def _sums(problem: Streamed, side: Side, table: str, moments: Moments, at: np.ndarray) -> np.ndarray:
    """Σ w (1, z) of a side's units that are in one of its tables, asked once; w is K, or 1 for the missed.

    Raises
    ------
    RuntimeError
        If they are not as many as were counted when they were matched.
    """
    key: tuple[Hashable, ...] = ("matching sums", side.scratch.name, table, problem.study.covariates)
    if key not in problem.cache:
        missed = table == "missed"
        weight, arm = ("1", side.arm) if missed else ("cqox_share", 1 - side.arm)
        terms = [
            f"sum({weight} * (({column.sql})::double - {real(moments.shift[j - 1])}))"
            for column, j in zip(problem.columns(problem.study.covariates), at[1:], strict=True)
        ]
        units = side.joined(units_of(problem, arm), "semi join" if missed else "join", table)
        count, *sums = side.scratch.one(f"select {', '.join(['count(*)', f'sum({weight})', *terms])} from {units}")
        if count != (side.sums.missed if missed else side.sums.used):
            raise RuntimeError("matched units are not found again: the units change from one reading to the next")
        problem.cache[key] = np.array(sums, dtype=float) / np.concatenate([[1.0], moments.scale])[at]
    return problem.cache[key]
