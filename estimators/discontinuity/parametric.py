"""Parametric discontinuity designs: least squares with polynomials of the running variable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..few_clusters import Error
from ..inference import wald
from ..linear import LinearFit, coefficient_error, fit_ols
from ..result import CurvePoint
from ..sample import of_regression
from .curves import line_ends, line_points, sides
from .local import CONSTANT, NO_FIRST_STAGE, check_clusters, check_values, enough

RIGHT = "(right)"


@dataclass(frozen=True)
class Shape:
    """What is fitted.

    Attributes
    ----------
    order : int
        Degree of the polynomial.
    interacted : bool
        Whether each side has its own slopes.
    bandwidth : float or None
        Rows farther from the cutoff are left out; None: all rows count.
    variance : str
        HC0 to HC3; with clusters CR1 where that is declared, else CR2.
    """

    order: int
    interacted: bool
    bandwidth: float | None
    variance: str


@dataclass(frozen=True)
class ParametricFit:
    """One least-squares fit.

    Attributes
    ----------
    estimate, std_error, p_value, conf_low, conf_high : float
        The jump at the cutoff (over the treatment's, where fuzzy), in units of the outcome.
    statistic, degrees_of_freedom : float
        Student's t; see `estimators.linear.coefficient_error`.
    inside : tuple of int
        Rows left and right.
    first_stage, first_stage_f : float or None
        Jump of the treatment and its squared t; None where sharp.
    regression : LinearFit
        Of the outcome.
    covariates : int
        Columns before the polynomial.
    variance : str
        What the standard error is.
    """

    estimate: float
    std_error: float
    statistic: float
    degrees_of_freedom: float | None
    p_value: float
    conf_low: float
    conf_high: float
    inside: tuple[int, int]
    first_stage: float | None
    first_stage_f: float | None
    regression: LinearFit
    covariates: int
    variance: str


def parametric_fit(
    y: np.ndarray, x: np.ndarray, cutoff: float, shape: Shape, fuzzy: np.ndarray | None = None,
    covariates: np.ndarray | None = None, cluster: np.ndarray | None = None,
) -> ParametricFit:  # fmt: skip
    """τ in Y = α + τ D + Σ_j β_j (x − c)^j + Σ_j δ_j D (x − c)^j + X'γ + u with D = 1{x ≥ c}, by least squares.

    Fuzzy, τ is D's coefficient for the outcome over that for the treatment T: two-stage least squares with D as the
    instrument, with the standard error of Y − τ T's regression on the same columns over the treatment's jump.

    Parameters
    ----------
    y, x : ndarray of shape (n,)
    cutoff : float
        In units of x.
    shape : Shape
    fuzzy : ndarray of shape (n,), optional
        Treatment taken.
    covariates : ndarray of shape (n, k), optional
    cluster : ndarray of shape (n,), optional
        Codes.

    Raises
    ------
    Refusal
        For fewer than 20 observations a side, a constant outcome, too few values of the running variable, a single
        cluster a side, a treatment that does not jump, or too few rows.

    References
    ----------
    Angrist & Pischke (2015), Mastering 'Metrics, ch. 4; Lee & Lemieux (2010), JEL 48.
    """
    enough(x, cutoff, shape.bandwidth)
    near = np.ones(len(x), dtype=bool) if shape.bandwidth is None else np.abs(x - cutoff) <= shape.bandwidth
    y, x = y[near], x[near]
    left, right = x < cutoff, x >= cutoff
    check_values(len(np.unique(x[left])), len(np.unique(x[right])), shape.order - 1)
    if np.ptp(y) == 0:
        raise Refusal(*CONSTANT)
    codes = None if cluster is None else cluster[near]
    if codes is not None:
        check_clusters(bool(np.ptp(codes[left]) > 0), bool(np.ptp(codes[right]) > 0))
    own = np.empty((len(x), 0)) if covariates is None else covariates[near]
    design = _design(x - cutoff, right, own, shape)
    names = (*(f"({i})" for i in range(design.shape[1] - 1)), RIGHT)
    outcome = _fit(y, design, names)
    j, jump, strength = outcome.index(RIGHT), None, None
    estimate = float(outcome.coef[j])
    judged, scale = outcome, 1.0
    if fuzzy is not None:
        first = _fit(fuzzy[near], design, names)
        jump = float(first.coef[j])
        error = _error(first, shape.variance, codes).std_error
        if not (abs(jump) > 0 and error > 0) and abs(jump) <= 1e-8:
            raise Refusal(*NO_FIRST_STAGE)
        strength = (jump / error) ** 2 if error > 0 else None
        estimate /= jump
        judged, scale = _fit(y - estimate * fuzzy[near], design, names), abs(jump)
    spread = _error(judged, shape.variance, codes)
    std_error, df = spread.std_error / scale, spread.df
    found = wald(estimate, std_error, df)
    if found.statistic is None or found.p_value is None or found.conf_low is None or found.conf_high is None:
        reason = "the polynomial fits the outcome exactly, so no standard error can be given"
        raise Refusal(reason, "Declare a lower order, or check the outcome in the units")
    return ParametricFit(
        estimate, std_error, found.statistic, df, found.p_value, found.conf_low, found.conf_high,
        (int(left.sum()), int(right.sum())), jump, strength, outcome, own.shape[1], spread.kind,
    )  # fmt: skip


def _design(a: np.ndarray, right: np.ndarray, covariates: np.ndarray, shape: Shape) -> np.ndarray:
    """Covariates, powers of the distance, their products with the side, and the side last: shape (n, k)."""
    powers = np.column_stack([a**j for j in range(1, shape.order + 1)])
    side = right.astype(float)
    products = powers * side[:, None] if shape.interacted else np.empty((len(a), 0))
    return np.column_stack([covariates, powers, products, side])


def _fit(y: np.ndarray, design: np.ndarray, names: tuple[str, ...]) -> LinearFit:
    try:
        fit = fit_ols(y, design, names)
    except ValueError as few:
        raise Refusal(f"the polynomial cannot be fitted: {few}", "Declare fewer covariates, or a lower order") from None
    if RIGHT in fit.dropped:
        reason = "the covariates explain the side of the cutoff entirely"
        raise Refusal(reason, "Drop the covariate that the side defines", "not_identified")
    return fit


def _error(fit: LinearFit, variance: str, cluster: np.ndarray | None) -> Error:
    j = fit.index(RIGHT)
    return coefficient_error(fit, j, of_regression(variance, cluster is not None), cluster)


def parametric_lines(x: np.ndarray, cutoff: float, fit: ParametricFit, shape: Shape, sign: float) -> list[CurvePoint]:
    """``rd_fit``: each side's polynomial at 50 points, covariates at their means; ``sign`` was the outcome's."""
    regression = fit.regression
    kept = [int(name.strip("()")) if name != RIGHT else None for name in regression.names[1:]]
    mean = regression.basis.design[:, 1:].mean(axis=0)
    points = []
    for (series, side), is_right in zip(sides(x, cutoff), (False, True), strict=True):
        own = x[side]
        farthest = float(np.abs(own - cutoff).max())
        h = farthest if shape.bandwidth is None else shape.bandwidth
        at = line_ends(series, cutoff, h, float(x.min()), float(x.max()))
        rows = _design(at - cutoff, np.full(len(at), is_right), np.zeros((len(at), fit.covariates)), shape)
        chosen = rows[:, [rows.shape[1] - 1 if k is None else k for k in kept]]
        held = [i for i, k in enumerate(kept) if k is not None and k < fit.covariates]
        chosen[:, held] = mean[held]
        points += line_points(series, at, sign * regression.predict(chosen))
    return points
