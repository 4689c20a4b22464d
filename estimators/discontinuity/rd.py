"""Regression discontinuity: sharp and fuzzy, by robust bias-corrected local polynomials."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..problem import Problem
from ..result import CurvePoint, Diagnostic, Estimate, Result
from .curves import rd_bins, rd_fit, running_density
from .local import FEWEST, LocalFit, local_fit

WEAK = 10.0


@dataclass(frozen=True)
class Assignment:
    """How treatment follows the cutoff.

    ``sign`` is −1 where the left side is the treated one; ``taken`` (shape (n,)) is the treatment where units do not
    all follow the side; ``treated`` (shape (n,)) counts as treated.
    """

    contrast: str
    sign: float
    taken: np.ndarray | None
    treated: np.ndarray


def rd(problem: Problem, estimand: str) -> Result:
    """Effect of crossing the cutoff on units at the cutoff: lim E[Y | x ↓ c] − lim E[Y | x ↑ c].

    τ = μ₊ − μ₋, each side's intercept of a kernel-weighted polynomial of degree p within the bandwidth h (one for both
    sides, MSE-optimal unless declared); fuzzy, where the declared treatment is not exactly the side: the jump of the
    outcome over the jump of the treatment, an effect on compliers at the cutoff. Where the left side is exactly the
    treated one the contrast is left − right.

    ``estimate`` is the conventional τ. ``std_error``, ``statistic``, ``p_value`` and the interval are the robust
    bias-corrected ones, so the interval is not centred at the estimate; the conventional standard error and the
    bias-corrected τ are diagnostics. Inference is by the package rdrobust of the method's authors: nearest-neighbour
    variance, or CR1 with a declared cluster.

    Parameters
    ----------
    problem : Problem
        Roles outcome, running, cutoff; treatment and covariates optional (covariates enter linearly with common
        slopes, Calonico et al. 2019). Options order, kernel, bandwidth, donut, covariates. Weights are not supported.
    estimand : str
        LATE, local to the cutoff.

    Returns
    -------
    Result
        ``n_units`` counts both sides whatever the bandwidth (``n_in_bandwidth`` is a diagnostic), ``n_trimmed`` the
        units inside the donut.

    Raises
    ------
    Refusal
        See `local.local_fit`.

    References
    ----------
    Calonico, Cattaneo & Titiunik (2014), Econometrica 82; Calonico, Cattaneo, Farrell & Titiunik (2019), REStat 101.
    """
    assert problem.study.running is not None
    assert problem.study.cutoff is not None
    cutoff, order, kernel = problem.study.cutoff, problem.own("order"), problem.own("kernel")
    running = problem.columns[problem.study.running]
    used = np.abs(running - cutoff) >= problem.own("donut")
    x, y = running[used], problem.y[used]
    by_side = problem.study.treatment is None or problem.own("treatment") == "side"
    how = assignment(None if by_side else problem.t[used], x >= cutoff)
    covariates = problem.matrix(problem.covariate_terms()).values[used]
    cluster = None if problem.cluster is None else np.unique(problem.cluster[used].astype(str), return_inverse=True)[1]
    fit = local_fit(
        how.sign * y, x, cutoff, order, kernel, problem.own("bandwidth"), how.taken,
        covariates if covariates.shape[1] else None, cluster,
    )  # fmt: skip
    row = Estimate(
        estimand, contrast=how.contrast, estimate=fit.estimate, std_error=fit.robust_se, statistic=fit.robust_z,
        p_value=fit.robust_p, conf_low=fit.robust_low, conf_high=fit.robust_high,
        n_units=len(x), n_treated=int((how.treated > 0).sum()), n_trimmed=int((~used).sum()),
        n_clusters=None if cluster is None else int(cluster.max()) + 1,
        variance_estimator="robust_bias_corrected" if cluster is None else "cluster",
    )  # fmt: skip
    curves: list[CurvePoint] = [
        *rd_bins(y, x, cutoff),
        *rd_fit(y, x, cutoff, fit, order, kernel),
        *running_density(running, cutoff),
    ]
    return Result((row,), diagnostics(fit), tuple(curves))


def assignment(taken: np.ndarray | None, right: np.ndarray) -> Assignment:
    """Sharp or fuzzy, from the treatment (shape (n,), or None) and the side (shape (n,), boolean)."""
    is_right = taken is None or np.array_equal(taken, right.astype(float))
    is_left = taken is not None and np.array_equal(taken, (~right).astype(float))
    label, sign = contrast(is_right, is_left)
    if is_right or is_left:
        return Assignment(label, sign, None, right if is_right else ~right)
    assert taken is not None
    return Assignment(label, sign, taken, taken)


def contrast(is_right: bool, is_left: bool) -> tuple[str, float]:
    """The contrast's name and the outcome's sign, where the treated are exactly one side, or neither (fuzzy)."""
    if is_right:
        return "right - left", 1.0
    return ("left - right", -1.0) if is_left else ("1 - 0", 1.0)


def diagnostics(fit: LocalFit) -> tuple[Diagnostic, ...]:
    """What a fit tells beside its estimate."""
    out = [
        Diagnostic("conventional_std_error", "overall", fit.conventional_se),
        Diagnostic("bias_corrected_estimate", "overall", fit.bias_corrected),
    ]
    for i, side in enumerate(("left", "right")):
        n = fit.n_in_bandwidth[i]
        out += [
            Diagnostic("bandwidth", side, fit.bandwidth[i]),
            Diagnostic("bias_bandwidth", side, fit.bias_bandwidth[i]),
            Diagnostic("n_in_bandwidth", side, float(n), float(FEWEST), n >= FEWEST),
        ]
    if fit.first_stage is not None and fit.first_stage_f is not None:
        out += [
            Diagnostic("first_stage", "treatment", fit.first_stage),
            Diagnostic("first_stage_f", "treatment", fit.first_stage_f, WEAK, fit.first_stage_f >= WEAK),
        ]
    return tuple(out)
