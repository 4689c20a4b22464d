"""Regression discontinuity: sharp and fuzzy, by robust bias-corrected local polynomials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..problem import Problem
from ..result import CurvePoint, Diagnostic, Estimate, Result
from ..thresholds import limit
from .checks import Jump, Other, Placebo, other_bandwidths, placebo_cutoffs
from .curves import rd_bins, rd_fit, running_density
from .local import FEWEST, LocalFit, local_fit
from .parametric import ParametricFit, Shape, parametric_fit, parametric_lines


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


@dataclass(frozen=True)
class Cut:
    """The rows outside the donut, as both models read them.

    Attributes
    ----------
    y, x : ndarray of shape (n,)
        Outcome (its sign turned where the left side is the treated one) and running variable.
    cutoff : float
    how : Assignment
    covariates : ndarray of shape (n, k) or None
    cluster : ndarray of shape (n,) or None
        Codes.
    running : ndarray
        Of the rows inside the donut too.
    """

    y: np.ndarray
    x: np.ndarray
    cutoff: float
    how: Assignment
    covariates: np.ndarray | None
    cluster: np.ndarray | None
    running: np.ndarray

    def within(self, rows: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Covariates and clusters of some rows."""
        covariates = None if self.covariates is None else self.covariates[rows]
        return covariates, None if self.cluster is None else np.unique(self.cluster[rows], return_inverse=True)[1]


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

    With ``model: parametric`` τ is the side's coefficient in one least-squares fit of all rows (of those within a
    declared bandwidth, without a kernel), see `parametric.parametric_fit`. With ``checks`` jumps at placebo cutoffs and
    effects at other bandwidths are told too, see `checks`.

    Parameters
    ----------
    problem : Problem
        Roles outcome, running, cutoff; treatment and covariates optional (covariates enter linearly with common
        slopes, Calonico et al. 2019). Options model, order, kernel (local), bandwidth, donut, covariates, interacted
        and variance (parametric), checks. Weights are not supported.
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
        See `local.local_fit` and `parametric.parametric_fit`.

    References
    ----------
    Calonico, Cattaneo & Titiunik (2014), Econometrica 82; Calonico, Cattaneo, Farrell & Titiunik (2019), REStat 101;
    Lee & Lemieux (2010), JEL 48.
    """
    cut = _cut(problem)
    return (_parametric if problem.own("model") == "parametric" else _local)(problem, estimand, cut)


def _cut(problem: Problem) -> Cut:
    assert problem.study.running is not None
    assert problem.study.cutoff is not None
    cutoff, running = problem.study.cutoff, problem.columns[problem.study.running]
    used = np.abs(running - cutoff) >= problem.own("donut")
    x = running[used]
    by_side = problem.study.treatment is None or problem.own("treatment") == "side"
    how = assignment(None if by_side else problem.t[used], x >= cutoff)
    covariates = problem.matrix(problem.covariate_terms()).values[used]
    cluster = None if problem.cluster is None else np.unique(problem.cluster[used].astype(str), return_inverse=True)[1]
    y = how.sign * problem.y[used]
    return Cut(y, x, cutoff, how, covariates if covariates.shape[1] else None, cluster, running)


def _local(problem: Problem, estimand: str, cut: Cut) -> Result:
    order, kernel, cutoff = problem.own("order"), problem.own("kernel"), cut.cutoff
    fit = local_fit(
        cut.y, cut.x, cutoff, order, kernel, problem.own("bandwidth"), cut.how.taken, cut.covariates, cut.cluster
    )
    row = Estimate(
        estimand, contrast=cut.how.contrast, estimate=fit.estimate, std_error=fit.robust_se, statistic=fit.robust_z,
        p_value=fit.robust_p, conf_low=fit.robust_low, conf_high=fit.robust_high,
        variance_estimator="robust_bias_corrected" if cut.cluster is None else "cluster", **_counts(cut),
    )  # fmt: skip
    y = cut.how.sign * cut.y
    curves: list[CurvePoint] = [
        *rd_bins(y, cut.x, cutoff),
        *rd_fit(y, cut.x, cutoff, fit, order, kernel),
        *running_density(cut.running, cutoff),
    ]
    told = list(diagnostics(fit))
    if problem.own("checks"):

        def placebo(rows: np.ndarray, at: float) -> Jump:
            return _jump(local_fit(cut.y[rows], cut.x[rows], at, order, kernel, None, None, *cut.within(rows)))

        def other(h: float) -> Jump:
            return _jump(local_fit(cut.y, cut.x, cutoff, order, kernel, h, cut.how.taken, cut.covariates, cut.cluster))

        more, points = _checked(cut, placebo, other, fit.bandwidth[0], _jump(fit))
        told, curves = [*told, *more], [*curves, *points]
    return Result((row,), tuple(told), tuple(curves))


def _parametric(problem: Problem, estimand: str, cut: Cut) -> Result:
    cutoff, widest = cut.cutoff, float(np.abs(cut.x - cut.cutoff).max())
    shape = Shape(problem.own("order"), problem.own("interacted"), problem.own("bandwidth"), problem.own("variance"))
    fit = parametric_fit(cut.y, cut.x, cutoff, shape, cut.how.taken, cut.covariates, cut.cluster)
    row = Estimate(
        estimand, contrast=cut.how.contrast, estimate=fit.estimate, std_error=fit.std_error, statistic=fit.statistic,
        degrees_of_freedom=fit.degrees_of_freedom, p_value=fit.p_value, conf_low=fit.conf_low, conf_high=fit.conf_high,
        variance_estimator=shape.variance if cut.cluster is None else "cluster", **_counts(cut),
    )  # fmt: skip
    y = cut.how.sign * cut.y
    curves: list[CurvePoint] = [
        *rd_bins(y, cut.x, cutoff),
        *parametric_lines(cut.x, cutoff, fit, shape, cut.how.sign),
        *running_density(cut.running, cutoff),
    ]
    told = [Diagnostic("r2", "overall", fit.regression.r2)]
    for side, n in zip(("left", "right"), fit.inside, strict=True):
        told.append(Diagnostic("n_in_bandwidth", side, float(n), float(FEWEST), n >= FEWEST))
    told += first_stage(fit.first_stage, fit.first_stage_f)
    if problem.own("checks"):

        def placebo(rows: np.ndarray, at: float) -> Jump:
            return _jump(parametric_fit(cut.y[rows], cut.x[rows], at, shape, None, *cut.within(rows)))

        def other(h: float) -> Jump:
            near = Shape(shape.order, shape.interacted, h, shape.variance)
            return _jump(parametric_fit(cut.y, cut.x, cutoff, near, cut.how.taken, cut.covariates, cut.cluster))

        own = widest if shape.bandwidth is None else shape.bandwidth
        more, points = _checked(cut, placebo, other, own, _jump(fit))
        told, curves = [*told, *more], [*curves, *points]
    return Result((row,), tuple(told), tuple(curves))


def _counts(cut: Cut) -> dict[str, Any]:
    return {
        "n_units": len(cut.x), "n_treated": int((cut.how.treated > 0).sum()),
        "n_trimmed": len(cut.running) - len(cut.x),
        "n_clusters": None if cut.cluster is None else int(cut.cluster.max()) + 1,
    }  # fmt: skip


def _jump(fit: LocalFit | ParametricFit) -> Jump:
    """The effect as the row tells it: of a local fit with its robust bias-corrected interval."""
    if isinstance(fit, LocalFit):
        return Jump(fit.estimate, fit.robust_low, fit.robust_high, fit.robust_p)
    return Jump(fit.estimate, fit.conf_low, fit.conf_high, fit.p_value)


def _checked(
    cut: Cut, placebo: Placebo, other: Other, h: float, own: Jump
) -> tuple[list[Diagnostic], list[CurvePoint]]:
    told, points = placebo_cutoffs(cut.x, cut.cutoff, placebo)
    more, lines = other_bandwidths(h, float(np.abs(cut.x - cut.cutoff).max()), other, own)
    return [*told, *more], [*points, *lines]


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
    return (*out, *first_stage(fit.first_stage, fit.first_stage_f))


def first_stage(jump: float | None, strength: float | None) -> tuple[Diagnostic, ...]:
    """The treatment's jump and its F; nothing where sharp."""
    if jump is None or strength is None:
        return ()
    return (
        Diagnostic("first_stage", "treatment", jump),
        Diagnostic("first_stage_f", "treatment", strength, limit("first_stage"), strength >= limit("first_stage")),
    )
