"""The steps of Baron and Kenny: four paths, Sobel's test, and what the figure of the paths shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..inference import covariance, wald
from ..result import CurvePoint, Diagnostic
from .models import LINEAR, Fitted, Sides, fit_sides, fit_total

LEVEL = 0.05


@dataclass(frozen=True)
class Path:
    """One coefficient with its standard error, in the columns' own units (of the index, in a probit or logit)."""

    name: str
    label: str
    value: float
    std_error: float


def paths(sides: Sides, plain: Fitted, robust: bool, cluster: np.ndarray | None) -> tuple[Path, ...]:
    """a (T on M), b (M on Y given T), c (T on Y) and c′ (T on Y given M), from models without interaction.

    Baron & Kenny 1986. In two linear models c = c′ + a b.
    """
    outcome, mediator, treatment = sides.names
    start = plain.layout.m_size
    error = np.sqrt(np.diag(plain.vcov))
    total, psi, classical = fit_total(sides)
    c_error = np.sqrt((covariance(psi, cluster) if robust or cluster is not None else classical)[1, 1])
    units = {"a": sides.m_unit / sides.t_unit, "b": sides.y_unit / sides.m_unit, "c": sides.y_unit / sides.t_unit}
    found = (
        ("a", f"{treatment} -> {mediator}", plain.theta[1], error[1], units["a"]),
        ("b", f"{mediator} -> {outcome}", plain.theta[start + 2], error[start + 2], units["b"]),
        ("c", f"{treatment} -> {outcome}, in all", total[1], c_error, units["c"]),
        ("c_prime", f"{treatment} -> {outcome}, not through {mediator}", plain.theta[start + 1], error[start + 1],
         units["c"]),
    )  # fmt: skip
    return tuple(Path(name, label, float(v * unit), float(e * unit)) for name, label, v, e, unit in found)


def path_diagnostics(found: tuple[Path, ...]) -> tuple[Diagnostic, ...]:
    """``path``, ``path_std_error`` and ``path_p`` of each, and Sobel's z and p of the product a b.

    Paths a and b pass where their p-value is below 0.05: without either there is nothing to mediate.
    """
    rows = []
    for path in found:
        p = wald(path.value, path.std_error).p_value
        judged = path.name in ("a", "b") and p is not None
        rows += [
            Diagnostic("path", path.name, path.value),
            Diagnostic("path_std_error", path.name, path.std_error),
            Diagnostic(
                "path_p", path.name, p, LEVEL if judged else None, p < LEVEL if judged and p is not None else None
            ),
        ]
    a, b = found[0], found[1]
    sobel = wald(a.value * b.value, float(np.hypot(a.value * b.std_error, b.value * a.std_error)))
    return (*rows, Diagnostic("sobel_z", "overall", sobel.statistic), Diagnostic("sobel_p", "overall", sobel.p_value))


def path_points(found: tuple[Path, ...]) -> tuple[CurvePoint, ...]:
    """The paths as the figure's rows: series a, b, c, c_prime with the arrow's label and its interval."""
    points = []
    for j, path in enumerate(found):
        band = wald(path.value, path.std_error)
        points.append(
            CurvePoint("mediation_paths", path.name, float(j), path.value, path.label, band.conf_low, band.conf_high)
        )
    return tuple(points)


def interaction_diagnostic(
    sides: Sides, modelled: bool, robust: bool, cluster: np.ndarray | None
) -> tuple[Diagnostic, ...]:
    """Test that the mediator acts alike under both treatments; it passes where that is modelled or not rejected."""
    try:
        fit = fit_sides(sides, True, robust, cluster)
    except Refusal:
        return ()
    j = fit.layout.m_size + 3
    p = wald(float(fit.theta[j]), float(np.sqrt(fit.vcov[j, j]))).p_value
    return (Diagnostic("interaction_p", "overall", p, LEVEL, None if p is None else bool(modelled or p >= LEVEL)),)


def fit_diagnostics(sides: Sides, plain: Fitted) -> tuple[Diagnostic, ...]:
    """R² of each linear model, as the share of the variance that is not left in σ²."""
    rows = []
    for name, column, model, place in (
        ("mediator", sides.m, sides.m_model, plain.layout.m_size - 1), ("outcome", sides.y, sides.y_model, -1),
    ):  # fmt: skip
        if model == LINEAR:
            variance = float(np.average((column - np.average(column, weights=sides.w)) ** 2, weights=sides.w))
            rows.append(Diagnostic("adjusted_r2", name, 1 - float(np.exp(2 * plain.theta[place])) / variance))
    return tuple(rows)
