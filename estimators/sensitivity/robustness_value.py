"""Robustness values: omitted variable bias in the language of partial R²."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..laws import t_quantile
from ..linear import LinearFit, fit_ols
from ..result import SensitivityRow
from .words import percent, plain


@dataclass(frozen=True)
class Strengths:
    """Partial R² of one benchmark: with the treatment given the other covariates, with the outcome given all else."""

    treatment: float
    outcome: float


@dataclass(frozen=True)
class Robustness:
    """What an omitted confounder could do to a least-squares coefficient (Cinelli & Hazlett 2020, JRSS-B 82).

    Attributes
    ----------
    estimate, std_error : float
        The treatment's coefficient in y ~ 1 + t + x, classical standard error.
    degrees_of_freedom : int
    partial_r2 : float
        R² of treatment and outcome given the covariates, t² / (t² + df).
    value, value_alpha : float
        Robustness values: the partial R² with both treatment and outcome that brings the estimate to zero (q = 1), or
        its 95 % interval to zero (q = 1, α = 0.05).
    strengths : mapping of str to Strengths
        Of the benchmarks.
    benchmarks : mapping of str to float or None
        The estimate that a confounder once as strong as that covariate (k_d = k_y = 1) would leave; None where it would
        explain the treatment wholly.
    """

    estimate: float
    std_error: float
    degrees_of_freedom: int
    partial_r2: float
    value: float
    value_alpha: float
    strengths: Mapping[str, Strengths]
    benchmarks: Mapping[str, float | None]

    @property
    def unit_bias(self) -> float:
        """se √df: the bias of a confounder with R²y R²d / (1 − R²d) = 1, in units of the estimate."""
        return float(self.std_error * np.sqrt(self.degrees_of_freedom))


def robustness(
    y: np.ndarray,
    t: np.ndarray,
    x: np.ndarray,
    names: tuple[str, ...],
    benchmarks: Mapping[str, tuple[str, ...]],
    weights: np.ndarray | None = None,
) -> Robustness:
    """Robustness of t's coefficient in the additive regression of y on t and x.

    Parameters
    ----------
    y, t : ndarray of shape (n,)
    x : ndarray of shape (n, k)
    names : tuple of k str
    benchmarks : mapping of str to tuple of str
        A benchmark's columns; several columns (a category) are taken as one group. Columns that earlier ones explain
        are left out of it, and a benchmark without columns is skipped.
    weights : ndarray of shape (n,), optional

    Raises
    ------
    ValueError
        Too few rows.
    KeyError
        The covariates explain the treatment.

    Notes
    -----
    One regression of y and one of t serve all benchmarks: a group's partial R² is W / (W + df) with its classical Wald
    statistic W.
    """
    outcome = fit_ols(y, np.column_stack([x, t]), (*names, "(t)"), weights)
    return robustness_from(outcome, fit_ols(t, x, names, weights), "(t)", benchmarks)


def robustness_from(
    outcome: LinearFit, treatment: LinearFit, name: str, benchmarks: Mapping[str, tuple[str, ...]]
) -> Robustness:
    """See `robustness`: of the fits of y on x and t, where t is called ``name``, and of t on x."""
    j = outcome.index(name)
    df = outcome.degrees_of_freedom
    s2 = float(np.sum(outcome.weights * outcome.residuals**2)) / df
    se = float(np.sqrt(outcome.bread[j, j] * s2))
    strengths = {
        term: Strengths(group_partial_r2(treatment, kept), group_partial_r2(outcome, kept))
        for term, kept in kept_benchmarks(benchmarks, outcome.names, treatment.names).items()
    }
    return robustness_of(float(outcome.coef[j]), se, df, strengths)


def kept_benchmarks(
    benchmarks: Mapping[str, tuple[str, ...]], outcome: Sequence[str], treatment: Sequence[str]
) -> dict[str, list[str]]:
    """The columns of each benchmark that both regressions kept; a benchmark without one is left out."""
    kept = {name: [c for c in own if c in outcome and c in treatment] for name, own in benchmarks.items()}
    return {name: own for name, own in kept.items() if own}


def robustness_of(estimate: float, se: float, df: int, strengths: Mapping[str, Strengths]) -> Robustness:
    """Robustness of a coefficient with classical standard error and n − k degrees of freedom.

    Parameters
    ----------
    estimate, se : float
    df : int
    strengths : mapping of benchmark to Strengths

    Raises
    ------
    ValueError
        If the regression left no residual variance.
    """
    if not se > 0:
        raise ValueError("the regression leaves no residual variance")
    f = abs(estimate / se) / np.sqrt(df)
    left = {name: adjusted(estimate, se, df, pair) for name, pair in strengths.items()}
    return Robustness(
        estimate, se, df, float(f**2 / (1 + f**2)), robustness_value(f), robustness_value(f, critical(df)),
        strengths, left,
    )  # fmt: skip


def group_partial_r2(fit: LinearFit, columns: list[str]) -> float:
    """Partial R² of some columns given the others."""
    at = [fit.index(name) for name in columns]
    explained = float(fit.coef[at] @ np.linalg.solve(fit.bread[np.ix_(at, at)], fit.coef[at]))
    rest = float(np.sum(fit.weights * fit.residuals**2))
    return explained / (explained + rest)


def critical(df: int, level: float = 0.95) -> float:
    """f* = t*_{α, df−1} / √(df − 1): the Cohen's f at which an estimate just differs from zero."""
    return float(t_quantile(0.5 + level / 2, df - 1) / np.sqrt(df - 1)) if df > 1 else np.inf


def robustness_value(f: float, threshold: float = 0.0) -> float:
    """RV = ½ (√(g⁴ + 4g²) − g²) with g = f − f*; 0 where g ≤ 0.

    Parameters
    ----------
    f : float
        |t| / √df of the treatment.
    threshold : float
        f*; 0 asks for the estimate itself.

    Notes
    -----
    Where f > 1/f* the binding confounder explains less of the treatment than of the outcome, and RV is
    (f² − f*²) / (1 + f²).
    """
    g = f - threshold
    if g <= 0:
        return 0.0
    if f * threshold > 1:
        return float((f**2 - threshold**2) / (1 + f**2))
    return float(2 / (1 + np.sqrt(1 + 4 / g**2)))  # the same without the difference of two large numbers


def confounder(benchmark: Strengths) -> Strengths | None:
    """Partial R² of a confounder as strong as the benchmark, k_d = k_y = 1, at its worst (their section 4.4).

    None where such a confounder would explain the treatment wholly.
    """
    odds = benchmark.treatment / (1 - benchmark.treatment) if benchmark.treatment < 1 else np.inf
    if odds >= 1:
        return None
    # What the benchmark shares with the confounder once the treatment is held fixed.
    shared = odds**2
    widened = ((1 + np.sqrt(shared)) / np.sqrt(1 - shared)) ** 2
    # A benchmark that explains the outcome wholly, or more than the rest of it: a share stops at one.
    with_outcome = min(widened * benchmark.outcome / (1 - benchmark.outcome), 1.0) if benchmark.outcome < 1 else 1.0
    return Strengths(odds, float(with_outcome))


def adjusted(estimate: float, se: float, df: int, benchmark: Strengths) -> float | None:
    """The estimate left by a confounder as strong as the benchmark, in the worst direction (their section 4.4).

    None where such a confounder would explain the treatment wholly.
    """
    z = confounder(benchmark)
    if z is None:
        return None
    bias = se * np.sqrt(z.outcome * z.treatment / (1 - z.treatment) * df)
    return float(estimate - np.sign(estimate) * bias)


def adjusted_error(se: float, df: int, z: Strengths) -> float:
    """Standard error of the estimate with the confounder in the regression: √((1 − R²y) / (1 − R²d) · df / (df − 1)).

    Exact for the classical ``se``; of a robust one it is the same factor, as if residuals kept their pattern.
    """
    return float(se * np.sqrt((1 - z.outcome) / (1 - z.treatment) * df / (df - 1)))


def robustness_rows(got: Robustness, subject: str, role: str, unit: str | None) -> tuple[SensitivityRow, ...]:
    """Rows ``robustness_value``, ``partial_r2`` and ``benchmark``, each with its reading.

    Parameters
    ----------
    subject : str
        The column whose coefficient it is.
    role : str
        What it is called in the sentences: the treatment, or the instrument.
    unit : str or None
        Of the outcome.
    """
    also = ", and with it the instrumental variables estimate" if role == "instrument" else ""
    both = f"of the residual variance of both the {role} and the outcome"
    value = (
        f"A confounder would have to explain {percent(got.value)} {both} to bring the least-squares estimate of "
        f"{plain(got.estimate, unit)} to zero{also}."
    )
    alpha = (
        f"A confounder that explains {percent(got.value_alpha)} {both} would bring its 95 % interval to zero."
        if got.value_alpha > 0
        else "Its 95 % interval already holds zero, so no confounder is needed for that."
    )
    share = (
        f"The {role} explains {percent(got.partial_r2)} of the outcome's residual variance; a confounder that "
        f"explained all the rest of it would have to explain as much of the {role} to bring the estimate to zero."
    )
    rows = [
        SensitivityRow("robustness_value", "q=1", got.value, value),
        SensitivityRow("robustness_value", "q=1,alpha=0.05", got.value_alpha, alpha),
        SensitivityRow("partial_r2", subject, got.partial_r2, share),
    ]
    for name, left in got.benchmarks.items():
        reading = (
            f"A confounder as strong as '{name}' would explain the {role} wholly, so nothing would be left to estimate."
            if left is None
            else f"A confounder as strong as '{name}' would at worst leave an estimate of {plain(left, unit)}."
        )
        rows.append(SensitivityRow("benchmark", name, left, reading))
    return tuple(rows)
