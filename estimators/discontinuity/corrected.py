"""The robust bias-corrected contrast of rdrobust from sums over the window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..laws import normal_quantile, normal_tail
from .bandwidth import Form, Pair, Passes, adjusted, direction
from .local import NOT_FINITE, THIN, LocalFit
from .power_sums import Sums, Unidentified, slopes

# The main bandwidth h and that of the bias, b: the places of their kernels in `Sums`.
H, B = 0, 1


@dataclass(frozen=True)
class _Side:
    """One side: intercepts of m variables, conventional and bias-corrected, and the weights behind them."""

    plain: np.ndarray
    corrected: np.ndarray
    theta_plain: np.ndarray
    theta_corrected: np.ndarray
    line_p: np.ndarray
    line_q: np.ndarray


def corrected(passes: Passes, h: float, b: float, order: int) -> tuple[LocalFit, Pair]:
    """The fit at bandwidths h and b, and the sums that it was made of.

    A side's intercept μ̂_p is bias-corrected by h^(p+1) · β̂_q[p + 1] times the intercept of a degree-p fit to
    ((x − c) / h)^(p+1), the coefficient coming from a fit of degree q = p + 1 within b. Both are linear in the rows,
    with weights w_h θ_h(z) + w_b θ_b(z), so that their variances are sums of squares of weight times residual.

    Parameters
    ----------
    passes : Passes
    h, b : float
        In units of the running variable.
    order : int
        p.

    Raises
    ------
    Refusal
        Where a polynomial is not identified, or a standard error is not a positive number.
    """
    try:
        with np.errstate(all="ignore"):
            sums = passes.sums((h, b), (h, b), 2 * order + 2, True)
            return _fit(passes, sums, h, b, order), sums
    except Unidentified:
        raise Refusal(*THIN) from None


def _fit(passes: Passes, sums: Pair, h: float, b: float, p: int) -> LocalFit:
    left, right = (_side(side, p) for side in sums)
    first = 2 if passes.fuzzy else 1
    gamma = slopes(sums[0].partialled(p) + sums[1].partialled(p), sums[0].dd + sums[1].dd, first)
    plain, bc = right.plain - left.plain, right.corrected - left.corrected
    lines = adjusted(gamma, len(plain), passes.fuzzy)
    s = direction(plain, gamma, passes.fuzzy)
    estimate, bias_corrected = float(lines[0] @ plain), float(lines[0] @ bc)
    directions = [s, s]
    if passes.fuzzy:
        # The bias of a ratio to first order.
        estimate /= float(lines[1] @ plain)
        bias_corrected = estimate - float(s @ (plain - bc))
        directions.append(lines[1])
    forms = [
        [
            Form(side.theta_corrected if i == 1 else side.theta_plain, own,
                 (side.line_q if i == 1 else side.line_p) @ own, p + 2 if i == 1 else p + 1)
            for i, own in enumerate(directions)
        ]
        for side in (left, right)
    ]  # fmt: skip
    variances = passes.variances(sums, (forms[0], forms[1]))
    conventional, robust, *first_stage = np.sqrt(variances[0] + variances[1])
    if not np.isfinite([estimate, conventional, bias_corrected, robust]).all() or robust <= 0:
        raise Refusal(*NOT_FINITE)
    z, half = bias_corrected / robust, normal_quantile(1 - (1 - 0.95) / 2) * robust
    jump = float(lines[1] @ plain) if passes.fuzzy else None
    unit = float(passes.units[0] / (passes.units[1] if passes.fuzzy else 1.0))
    return LocalFit(
        estimate * unit, float(conventional) * unit, bias_corrected * unit, float(robust) * unit, float(z),
        float(2 * normal_tail(abs(z))), float(bias_corrected - half) * unit, float(bias_corrected + half) * unit,
        (h, h), (b, b), (int(sums[0].inside[H]), int(sums[1].inside[H])),
        None if jump is None else float(jump * passes.units[1]),
        None if jump is None else float((jump / first_stage[0]) ** 2),
    )  # fmt: skip


def _side(side: Sums, p: int) -> _Side:
    inverse_p, inverse_q = side.inverse(p, H), side.inverse(p + 1, B)
    line_p, line_q = inverse_p @ side.d[H, : p + 1], inverse_q @ side.d[B, : p + 2]
    # Of z^(p+1): the units of h^(p+1) and of the coefficient cancel.
    bias = float(inverse_p[0] @ side.w[H, p + 1 : 2 * p + 2])
    plain, corrected = np.zeros((2, p + 2)), np.zeros((2, p + 2))
    plain[H, : p + 1] = corrected[H, : p + 1] = inverse_p[0]
    corrected[B] = -bias * inverse_q[p + 1]
    return _Side(line_p[0], line_p[0] - bias * line_q[p + 1], plain, corrected, line_p, line_q)
