"""Regression discontinuity: sharp and fuzzy, by robust bias-corrected local polynomials."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..problem import Problem
from ..result import CurvePoint, Diagnostic, Estimate, Result
from ..thresholds import limit
from .checks import Jump, Other, Placebo, other_bandwidths, placebo_cutoffs
from .curves import rd_bins, rd_fit, running_density
from .curves import sides as sides_of
from .local import FEWEST, LocalFit, local_fit
from .parametric import ParametricFit, Shape, parametric_fit, parametric_lines
from .rule import Ruling, holds, ruling, seen, told
from .turned import mirrored, turned_back, words_turned_back


@dataclass(frozen=True)
class Cut:
    """The rows outside the donut, as both models read them.

    Attributes
    ----------
    y, x : ndarray of shape (n,)
        Outcome (its sign turned where the left side is the treated one) and running variable; −x, and the cutoff −c,
        where rows at the cutoff lie left (`turned.turned_back` tells of x again).
    cutoff : float
    rule : Ruling
    taken : ndarray of shape (n,) or None
        The treatment where units do not all follow the side.
    treated : int
        Rows that count as treated.
    covariates : ndarray of shape (n, k) or None
    cluster : ndarray of shape (n,) or None
        Codes.
    running : ndarray
        Of the rows inside the donut too.
    """

    y: np.ndarray
    x: np.ndarray
    cutoff: float
    rule: Ruling
    taken: np.ndarray | None
    treated: int
    covariates: np.ndarray | None
    cluster: np.ndarray | None
    running: np.ndarray

    def within(self, rows: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Covariates and clusters of some rows."""
        covariates = None if self.covariates is None else self.covariates[rows]
        return covariates, None if self.cluster is None else np.unique(self.cluster[rows], return_inverse=True)[1]


def rd(problem: Problem, estimand: str) -> Result:
    """Effect of the treatment that the cutoff assigns, on units at it: lim E[Y | x ↓ c] − lim E[Y | x ↑ c].

    τ = μ₊ − μ₋, each side's intercept of a kernel-weighted polynomial of degree p within the bandwidth h (one for both
    sides, MSE-optimal unless declared); fuzzy, where the declared treatment is not exactly the side: the jump of the
    outcome over the jump of the treatment, an effect on compliers at the cutoff. Where the left side is the treated one
    the contrast is left − right: an effect is that of treatment. Which side is treated, and where the rows exactly at
    the cutoff lie, is the declared ``cutoff_rule``, or what the treatment shows (`rule.ruling`).

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
        Roles outcome, running, cutoff; cutoff_rule, treatment and covariates optional (covariates enter linearly with
        common slopes, Calonico et al. 2019). Options model, order, kernel (local), bandwidth, donut,
        covariates, interacted and variance (parametric), checks. Weights are not supported.
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
        See `rule.ruling`, `local.local_fit` and `parametric.parametric_fit`.

    References
    ----------
    Calonico, Cattaneo & Titiunik (2014), Econometrica 82; Calonico, Cattaneo, Farrell & Titiunik (2019), REStat 101;
    Lee & Lemieux (2010), JEL 48.
    """
    cut = _cut(problem)
    model = _parametric if problem.own("model") == "parametric" else _local
    assert problem.study.cutoff is not None
    with words_turned_back(problem.study.cutoff, cut.rule.turned):
        found = model(problem, estimand, cut)
    found = turned_back(found) if cut.rule.turned else found
    return dataclasses.replace(found, diagnostics=(*found.diagnostics, *_told(cut)))


def _cut(problem: Problem) -> Cut:
    assert problem.study.running is not None
    assert problem.study.cutoff is not None
    cutoff, running = problem.study.cutoff, problem.columns[problem.study.running]
    used = np.abs(running - cutoff) >= problem.own("donut")
    x = running[used]
    rule = rule_of(problem, used)
    sharp = holds(rule.rule, x, cutoff)
    taken = None if rule.sharp else problem.t[used]
    if rule.turned:
        x, running, cutoff = 0.0 - x, 0.0 - running, mirrored(cutoff)
    covariates = problem.matrix(problem.covariate_terms()).values[used]
    cluster = None if problem.cluster is None else np.unique(problem.cluster[used].astype(str), return_inverse=True)[1]
    treated = int(((sharp if taken is None else taken) > 0).sum())
    y = rule.sign * problem.y[used]
    return Cut(y, x, cutoff, rule, taken, treated, covariates if covariates.shape[1] else None, cluster, running)


def rule_of(problem: Problem, used: np.ndarray) -> Ruling:
    """The design's rule, from the declaration and the treatment of some rows (shape (n,), boolean)."""
    study = problem.study
    assert study.running is not None
    assert study.cutoff is not None
    found = None
    if study.treatment is not None:
        found = seen(problem.t[used].astype(float), problem.columns[study.running][used], study.cutoff)
    return ruling(study.cutoff_rule, found, problem.own("treatment") == "side", study.treatment, study.cutoff)


def _told(cut: Cut) -> list[Diagnostic]:
    sides = [cut.x[side] for _, side in sides_of(cut.x, cut.cutoff)]
    left, right = ((len(side), len(np.unique(side))) for side in (reversed(sides) if cut.rule.turned else sides))
    return told(cut.rule, int(np.sum(cut.x == cut.cutoff)), (left, right))


def _local(problem: Problem, estimand: str, cut: Cut) -> Result:
    order, kernel, cutoff = problem.own("order"), problem.own("kernel"), cut.cutoff
    fit = local_fit(
        cut.y, cut.x, cutoff, order, kernel, problem.own("bandwidth"), cut.taken, cut.covariates, cut.cluster
    )
    row = Estimate(
        estimand, contrast=cut.rule.contrast, estimate=fit.estimate, std_error=fit.robust_se, statistic=fit.robust_z,
        p_value=fit.robust_p, conf_low=fit.robust_low, conf_high=fit.robust_high,
        variance_estimator="robust_bias_corrected" if cut.cluster is None else "cluster", **_counts(cut),
    )  # fmt: skip
    y = cut.rule.sign * cut.y
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
            return _jump(local_fit(cut.y, cut.x, cutoff, order, kernel, h, cut.taken, cut.covariates, cut.cluster))

        more, points = _checked(cut, placebo, other, fit.bandwidth[0], _jump(fit))
        told, curves = [*told, *more], [*curves, *points]
    return Result((row,), tuple(told), tuple(curves))


def _parametric(problem: Problem, estimand: str, cut: Cut) -> Result:
    cutoff, widest = cut.cutoff, float(np.abs(cut.x - cut.cutoff).max())
    shape = Shape(problem.own("order"), problem.own("interacted"), problem.own("bandwidth"), problem.own("variance"))
    fit = parametric_fit(cut.y, cut.x, cutoff, shape, cut.taken, cut.covariates, cut.cluster)
    row = Estimate(
        estimand, contrast=cut.rule.contrast, estimate=fit.estimate, std_error=fit.std_error, statistic=fit.statistic,
        degrees_of_freedom=fit.degrees_of_freedom, p_value=fit.p_value, conf_low=fit.conf_low, conf_high=fit.conf_high,
        variance_estimator=fit.variance, **_counts(cut),
    )  # fmt: skip
    y = cut.rule.sign * cut.y
    curves: list[CurvePoint] = [
        *rd_bins(y, cut.x, cutoff),
        *parametric_lines(cut.x, cutoff, fit, shape, cut.rule.sign),
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
            return _jump(parametric_fit(cut.y, cut.x, cutoff, near, cut.taken, cut.covariates, cut.cluster))

        own = widest if shape.bandwidth is None else shape.bandwidth
        more, points = _checked(cut, placebo, other, own, _jump(fit))
        told, curves = [*told, *more], [*curves, *points]
    return Result((row,), tuple(told), tuple(curves))


def _counts(cut: Cut) -> dict[str, Any]:
    return {
        "n_units": len(cut.x), "n_treated": cut.treated,
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
