"""Dose-response: the mean outcome if everybody had a given dose, and what one more unit of it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import Refusal
from ..estimates import made
from ..inference import covariance, effective_sample_size, wald
from ..problem import Problem
from ..result import CurvePoint, Diagnostic, Estimate, Result, number
from ..sample import check_sample, counts
from .gps import Gps, fit_gps, fit_surface, resampled, response, scale_of, tercile_balance
from .kernel import best_bandwidth, pseudo_outcomes, smooth

FEWEST_DOSES, FEWEST_UNITS = 10, 50
# Points of the drawn curve, and those of the dose's distribution at which derivatives are averaged.
CURVE, AVERAGED = 31, 20
ENDS = (0.05, 0.95)


@dataclass(frozen=True)
class Response:
    """E[Y(d)] and its derivative at q doses, side by side in vectors of 2 q; either ``psi`` or ``draws`` is there.

    Attributes
    ----------
    value : ndarray of shape (2 q,)
        NaN where no neighbour has such a dose.
    psi : ndarray of shape (n, 2 q) or None
        Influence values.
    draws : ndarray of shape (B, 2 q) or None
        Resamples.
    diagnostics : tuple of Diagnostic
    """

    value: np.ndarray
    psi: np.ndarray | None
    draws: np.ndarray | None
    diagnostics: tuple[Diagnostic, ...]


def dose_response(problem: Problem, estimand: str) -> Result:
    """E[Y(d)], the mean outcome if every unit had the dose d, on a grid of doses.

    Rows: ``dose=20`` is E[Y(20)] in units of the outcome (contrast ``E[Y(d)]``), ``dose=20 - dose=5`` its difference
    from the lowest dose of the grid, and ``overall`` the average derivative E[∂E[Y(d)] / ∂d at d = T] over the inner
    90 % of the doses (at twenty evenly spaced quantiles), in units of the outcome for a unit of dose.

    ``method: doubly_robust`` regresses the pseudo-outcome
    ξ = (Y − μ(X, T)) π(T) / π(T | X) + ∫ μ(x, T) dP(x) on the dose by local linear least squares with a normal kernel,
    its bias corrected (`kernel.smooth`), on the dose's logarithm where ``law`` is log-normal; consistent if μ or π is
    right. The bandwidth is that of least leave-one-out error.
    Nuisances are cross-fitted in the study's folds. Intervals from influence values, normal; a declared cluster sums
    them a cluster, with G − 1 degrees of freedom.

    ``method: gps`` fits the score r = π(T | X) as a normal or log-normal density (of the logarithm), regresses
    Y on (1, T, T², r, r², T r), and averages over units at (d, r(d, X)). Intervals are percentiles of a bootstrap of
    both steps, of whole clusters where they are declared.

    ``law: auto`` takes the likelier of the two laws. Sampling weights enter all models and means. Rows with missing
    values have been left out or refused before. ``doses`` are the grid; default the deciles.

    Diagnostics: ``dose_smd`` and ``dose_smd_adjusted`` of covariates by tercile of the dose, before and after the
    score; ``dose_r2``, ``dose_residual_skewness``; with doubly_robust also ``bandwidth`` (in the dose's unit, or that
    of its logarithm), ``effective_sample_size``, ``max_weight`` and ``weights_clipped`` of π(T) / π(T | X).
    Curve ``dose_response``: series ``E[Y(d)]`` and ``derivative`` with pointwise bands.

    Raises
    ------
    Refusal
        For fewer than 50 units or 10 different doses, a grid outside the observed doses, doses of zero with a
        log-normal law, or covariates that determine the dose (``not_identified``).

    Sources
    -------
    Hirano & Imbens 2004; Kennedy, Ma, McHugh & Small 2017.
    """
    dose = _checked(problem)
    x = problem.matrix(problem.covariate_terms())
    gps = fit_gps(dose, x.values, x.names, problem.w, problem.own("law"))
    grid = _grid(problem, dose)
    low, high = _weighted_quantiles(dose, problem.w, np.array(ENDS))
    curve = np.linspace(min(low, grid[0]), max(high, grid[-1]), CURVE)
    inner = ENDS[0] + (ENDS[1] - ENDS[0]) * (np.arange(AVERAGED) + 0.5) / AVERAGED
    averaged = _weighted_quantiles(dose, problem.w, inner)
    at = np.concatenate([grid, curve, averaged])
    found = _by_score(problem, dose, gps, at) if problem.own("method") == "gps" else _doubly(problem, dose, gps, at)
    q = len(at)
    average = np.zeros(2 * q)
    average[q + len(grid) + CURVE :] = 1 / AVERAGED
    fields = _fields(problem)
    rows = [_row(problem, found, average, estimand, "overall", "d + 1 - d", fields)]
    for j, d in enumerate(grid):
        rows.append(_row(problem, found, _unit(2 * q, j), estimand, f"dose={d:.6g}", "E[Y(d)]", fields))
    for j, d in enumerate(grid[1:], 1):
        term = f"dose={d:.6g} - dose={grid[0]:.6g}"
        rows.append(_row(problem, found, _unit(2 * q, j) - _unit(2 * q, 0), estimand, term, term, fields))
    residual = scale_of(dose, gps.is_log) - gps.mean
    skew = float(np.average(residual**3, weights=problem.w)) / gps.sigma**3
    diagnostics = (
        Diagnostic("dose_r2", "log_normal" if gps.is_log else "normal", gps.r2),
        Diagnostic("dose_residual_skewness", "overall", skew), *found.diagnostics,
        *tercile_balance(gps, dose, x.values, x.names, problem.w),
    )  # fmt: skip
    return Result(tuple(rows), diagnostics, _points(problem, found, curve, len(grid), q))


def _checked(problem: Problem) -> np.ndarray:
    check_sample(problem)
    assert problem.study.dose is not None
    name, dose = problem.study.dose, problem.columns[problem.study.dose]
    distinct = len(np.unique(dose))
    if distinct < FEWEST_DOSES:
        reason = f"the dose '{name}' has {distinct} different values, and a curve needs {FEWEST_DOSES}"
        raise Refusal(reason, "Compare arms instead: a binary treatment, or the role 'arms'")
    if problem.n < FEWEST_UNITS:
        raise Refusal(f"{problem.n} units are left and {FEWEST_UNITS} are needed", "Widen the population")
    return dose


def _grid(problem: Problem, dose: np.ndarray) -> np.ndarray:
    """The declared doses in ascending order, or the deciles."""
    asked = problem.own("doses")
    if asked is None:
        return np.unique(_weighted_quantiles(dose, problem.w, np.arange(1, 10) / 10))
    grid = np.unique(np.array(asked, dtype=float))
    for d in grid:
        if not dose.min() <= d <= dose.max():
            reason = f"dose {d:g} lies outside those observed, {dose.min():g} to {dose.max():g}"
            raise Refusal(reason, "Ask doses that somebody had", "not_identified")
    if not len(grid):
        raise Refusal("doses is an empty list", "Give the doses, or leave the option out for the deciles")
    return grid


def _weighted_quantiles(values: np.ndarray, w: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Quantiles in the middle of each value's weight, interpolated; with equal weights (i + ½) / n is value i."""
    order = np.argsort(values, kind="stable")
    mass = np.cumsum(w[order]) - w[order] / 2
    return np.interp(p, mass / w.sum(), values[order])


def _by_score(problem: Problem, dose: np.ndarray, gps: Gps, at: np.ndarray) -> Response:
    draws, x = problem.own("draws"), problem.matrix(problem.covariate_terms())
    if draws < 100:
        raise Refusal(f"draws is {draws}, too few for the ends of a 95 % interval", "Ask at least 100")
    try:
        coef = fit_surface(problem.y, dose, gps.score(dose), problem.w)
    except ValueError as few:
        raise Refusal(f"the outcome's regression cannot be fitted: {few}", "Widen the population") from None
    codes = np.arange(problem.n) if problem.cluster is None else _codes(problem.cluster)
    resamples = resampled(
        problem.y, dose, x.values, x.names, problem.w, gps.is_log, at, codes, draws, problem.study.seed
    )
    told = Diagnostic("draws_failed", "overall", float(draws - len(resamples)))
    return Response(np.concatenate(response(coef, gps, at, problem.w)), None, resamples, (told,))


def _codes(cluster: np.ndarray) -> np.ndarray:
    return np.unique(cluster.astype(str), return_inverse=True)[1]


def _doubly(problem: Problem, dose: np.ndarray, gps: Gps, at: np.ndarray) -> Response:
    x = problem.matrix(problem.covariate_terms())
    pseudo = pseudo_outcomes(problem.y, dose, x.values, x.names, problem.w, problem.folds(), gps.is_log)
    h = problem.own("bandwidth")
    if h is None:
        h = best_bandwidth(pseudo.u, pseudo.value, problem.w / problem.w.mean())
    if not h > 0:
        raise Refusal(f"bandwidth is {h:g}", "Give it in units of the dose, above zero")
    level, slope, psi_level, psi_slope = smooth(pseudo, problem.w, h, scale_of(at, gps.is_log))
    # The curve is smoothed along the logarithm; its derivative is asked along the dose.
    along = 1 / at if gps.is_log else np.ones(len(at))
    omega = pseudo.ratio * problem.w
    diagnostics = (
        Diagnostic("bandwidth", "log_dose" if gps.is_log else "dose", float(h)),
        Diagnostic("effective_sample_size", "overall", effective_sample_size(omega)),
        Diagnostic("max_weight", "overall", float(pseudo.ratio.max())),
        Diagnostic("weights_clipped", "overall", float(pseudo.clipped)),
    )
    value = np.concatenate([level, slope * along])
    return Response(value, np.hstack([psi_level, psi_slope * along]), None, diagnostics)


def _unit(size: int, j: int) -> np.ndarray:
    out = np.zeros(size)
    out[j] = 1.0
    return out


def _fields(problem: Problem) -> dict[str, Any]:
    by_score = problem.own("method") == "gps"
    variance = "bootstrap" if by_score else "influence_function" if problem.cluster is None else "cluster"
    return {**counts(problem, binary=False), "variance_estimator": variance}


def _spread(problem: Problem, found: Response, weights: np.ndarray) -> tuple[float, float, np.ndarray | None]:
    """Value, standard error and draws of a weighted sum of levels and slopes."""
    used = weights != 0
    value = float(weights[used] @ found.value[used])
    if found.draws is not None:
        draws = found.draws[:, used] @ weights[used]
        return value, float(draws.std(ddof=1)), draws
    assert found.psi is not None
    psi = found.psi[:, used] @ weights[used]
    return value, float(np.sqrt(covariance(psi[:, None], problem.clustering())[0, 0])), None


def _row(
    problem: Problem, found: Response, weights: np.ndarray, estimand: str, term: str, contrast: str,
    fields: dict[str, Any],
) -> Estimate:  # fmt: skip
    value, std_error, draws = _spread(problem, found, weights)
    if not np.isfinite(value):
        reason = "fewer than five units have a dose within the bandwidth. Ask other doses, or a wider bandwidth"
        return Estimate(estimand, term, contrast, status="refused", status_reason=reason)
    df = problem.reference_df()
    row = made(estimand, value, std_error, None if draws is not None else df, term=term, contrast=contrast, **fields)
    if draws is None:
        return row
    low, high = np.quantile(draws, [0.025, 0.975])
    p = min(1.0, 2 * (1 + float(min(np.sum(draws <= 0), np.sum(draws >= 0)))) / (1 + len(draws)))
    return Estimate(**{**row.__dict__, "p_value": p, "conf_low": number(low), "conf_high": number(high)})


def _points(problem: Problem, found: Response, curve: np.ndarray, first: int, q: int) -> tuple[CurvePoint, ...]:
    df = problem.reference_df()
    points = []
    for series, start in (("E[Y(d)]", first), ("derivative", q + first)):
        for j, dose in enumerate(curve):
            value, std_error, draws = _spread(problem, found, _unit(2 * q, start + j))
            if not np.isfinite(value):
                continue
            if draws is None:
                band = wald(value, std_error, df)
                low, high = band.conf_low, band.conf_high
            else:
                low, high = (float(end) for end in np.quantile(draws, [0.025, 0.975]))
            label = f"dose={dose:.6g}"
            points.append(CurvePoint("dose_response", series, float(dose), value, label, low, high))
    return tuple(points)
