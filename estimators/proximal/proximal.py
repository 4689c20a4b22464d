"""The average effect under a hidden confounder that negative controls show."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import Refusal
from ..estimates import made
from ..linear import coefficient_error, fit_ols
from ..problem import Problem
from ..result import Diagnostic, Estimate, Result, number
from ..sample import counts, regression_variance
from ..soundness import OF_THE_ESTIMATE
from ..thresholds import limit
from ..weight_support import Behind
from .bridge import Bridge, linear_bridge, overidentification
from .quadratic import Learned, learned_bridge
from .strength import LEVEL, Directions, conditional_f, directions, partial_f, rank_with_treatment
from .system import Proxies, columns, proxies

MEND = "Use more rows in which treatment and proxies vary, or weights that one row does not hold"
NAMES = {"classical": "classical", "robust": "HC1", "CR1": "CR1", "CR2": "CR1"}
# A first stage that leaves nothing: t above 1e10 is rounding, as in `estimators.soundness`.
EXACT = OF_THE_ESTIMATE**-2
# A treatment that moves the outcome proxies in ways of its own refuses only where chance can hardly do it.
SURELY = 0.001


def proximal(problem: Problem, estimand: str) -> Result:
    """The average effect of the treatment with a confounder U unseen, from proxies Z of exposure and W of outcome.

    Z may be moved by U and the treatment but does not act on the outcome; W may be moved by U and act on the outcome
    but is not moved by the treatment or Z; neither is. The outcome bridge h(W, D, X) = β D + γ'W + δ'X solves
    E[Y − h(W, D, X) | D, Z, X] = 0 and the effect is E[h(W, 1, X) − h(W, 0, X)] = β: 2SLS of Y on D, W and X with
    instruments D, Z and X. Where the effect differs between people, β is an average with weights of least squares.

    Several outcome proxies may show one and the same confounder; Z then moves fewer combinations of W than there are
    proxies, γ is not unique and β still is. ``proxies: tested`` uses the combinations (canonical variates given D and
    X) that a rank test at 5 % finds, which costs β nothing in large samples; ``all`` uses all, and refuses where the
    test finds fewer.

    ``bridge: quadratic`` is h = β D + b(W, X) with features of degree two and ridge, cross-fitted (`learned_bridge`);
    2SLS is then the row ``method=linear``. Where combinations are left out, ``method=all_proxies`` is 2SLS with every
    outcome proxy. Rows ``method=ols`` (least squares on D, W, Z, X) and ``method=unadjusted``
    (on D and X) stand beside.

    Parameters
    ----------
    problem : Problem
        Options: ``variance`` (classical, robust = HC1; with a declared cluster CR2,
        or CR1 where that is declared), ``bridge``, ``proxies``,
        ``covariates``.
    estimand : str
        ATE, in units of the outcome (a unit of treatment, where that is continuous). t with n − k degrees of freedom
        (G − 1 with clusters); the quadratic bridge normal, from influence values.

    Returns
    -------
    Result
        Diagnostics: ``first_stage_f`` of each outcome proxy, ``conditional_f`` (Sanderson & Windmeijer) where there
        are several, ``proxy_f`` of the strongest and of the weakest combination used (all against 10),
        ``first_stage_rank`` (against the number of outcome proxies), ``first_stage_rank_p`` (that the rank is one
        less), ``treatment_rank_p`` where combinations are left out (that the treatment moves none of them),
        ``hansen_j`` and ``hansen_j_p`` where the exposure proxies are more than the combinations, ``bridge_r2``; with
        the quadratic bridge ``treatment_left`` and ``ridge_penalty``.

    Raises
    ------
    Refusal
        ``not_identified``: proxies that the covariates explain; exposure proxies that do not move the outcome proxies
        (F below 10); a rank below the number of proxies with ``proxies: all``; a treatment that moves outcome proxies
        in a way that exposure proxies do not (p < 0.001), or exposure proxies that give an outcome proxy exactly.
        ``refused``: too few rows, one cluster, an empty arm; fewer than 30 effective rows behind the effect, or one
        with over a tenth of the weight (ω of β = Σ ω y; `estimators.weight_support`).

    Notes
    -----
    Sampling weights enter all regressions and scores as Σ w e². Rows with missing values are left out before.

    Near F = 10 the bias towards least squares is not small and the interval too narrow: where half of the simulated
    samples were refused for it, the intervals of the others covered in 80 %. F of 30 and more is calm. A combination
    that the test leaves out is a second confounder, if Z shows it too weakly: compare ``method=all_proxies``.

    References
    ----------
    Miao, Geng & Tchetgen Tchetgen (2018), Biometrika 105; Tchetgen Tchetgen et al. (2020), arXiv:2009.10982; Cui et
    al. (2023), JASA (the score); Kleibergen & Paap (2006), J. Econometrics 133; Sanderson & Windmeijer (2016).
    """
    whole = proxies(problem)
    ways = directions(whole)
    rank, treatment = _usable(problem, whole, ways)
    system = whole.combined(ways.vectors[:, :rank])
    bridge = linear_bridge(system)
    # Rows are held times the root of their weight, and so is ω.
    behind = Behind.of("overall", bridge.weights * np.sqrt(problem.w))
    if reason := behind.failing():
        raise Refusal(f"in the outcome bridge {reason}", MEND)
    fields = counts(problem, binary=problem.kind == "binary")
    fields["contrast"] = "1 - 0" if problem.kind == "binary" else "per unit"
    diagnostics = [*_strength(whole, ways, rank), *treatment, *_overidentified(system, bridge), *behind.diagnostics()]
    beside = [_least_squares(problem, estimand, method, fields) for method in ("ols", "unadjusted")]
    if rank < whole.p <= whole.q:
        every = {**fields, "status_reason": _reading(whole, ways, whole.p)}
        beside.insert(0, _two_stage(whole, linear_bridge(whole), estimand, "method=all_proxies", every))
    told = {**fields, "status_reason": _reading(whole, ways, rank)}
    if problem.own("bridge") == "linear":
        row = _two_stage(system, bridge, estimand, "overall", told)
        return Result((row, *beside), (*diagnostics, Diagnostic("bridge_r2", "overall", number(bridge.r2))))
    learned = learned_bridge(problem)
    name = "influence_function" if problem.cluster is None else "cluster"
    row = made(estimand, learned.effect, learned.std_error, variance_estimator=name, **fields)
    linear = _two_stage(system, bridge, estimand, "method=linear", told)
    return Result((row, linear, *beside), (*diagnostics, *_learned(learned)))


def _two_stage(s: Proxies, bridge: Bridge, estimand: str, term: str, fields: dict[str, Any]) -> Estimate:
    df = float(s.df(bridge.coefficients)) if bridge.error is None else bridge.error.df
    name = NAMES[s.variance] if bridge.error is None else bridge.error.kind
    return made(estimand, bridge.effect, bridge.std_error, df, term=term, variance_estimator=name, **fields)


def _usable(problem: Problem, s: Proxies, ways: Directions) -> tuple[int, list[Diagnostic]]:
    """How many combinations of the outcome proxies are used; refuses where they cannot stand for the confounder."""
    study = problem.study
    bar = limit("first_stage")
    if ways.f[0] >= EXACT:
        raise Refusal(
            f"the exposure proxies ({', '.join(study.negative_control_exposures)}) give an outcome proxy exactly (F is "
            "infinite to rounding): they measure it, and not what moves both",
            "Name proxies of either kind that are measured apart", "not_identified",
        )  # fmt: skip
    if not ways.f[0] >= bar:
        if np.isnan(ways.f[0]):
            reason = f"{s.groups} clusters are too few to tell whether {s.q} exposure proxies move the outcome proxies"
            raise Refusal(reason, "Use fewer exposure proxies or finer clusters")
        raise Refusal(
            f"the exposure proxies ({', '.join(study.negative_control_exposures)}) do not move the outcome proxies "
            f"({', '.join(study.negative_control_outcomes)}): first-stage F {ways.f[0]:.3g} is below {bar:g}",
            "Name proxies that the same hidden confounder moves", "not_identified",
        )  # fmt: skip
    rank = max(ways.rank, 1)
    if rank == s.p:
        return rank, []
    found = f"the exposure proxies move {rank} of {s.p} combinations of the outcome proxies"
    if problem.own("proxies") == "all":
        mend = "Set `proxies: tested`, drop an outcome proxy, or name another exposure proxy"
        raise Refusal(found, mend, "not_identified")
    p_value = rank_with_treatment(s, rank)
    if p_value < SURELY:
        raise Refusal(
            f"{found}, and the treatment moves another (p = {p_value:.2g}): the treatment acts on an outcome proxy, or "
            "the exposure proxies miss a part of the hidden confounder",
            "Drop that outcome proxy, or name another exposure proxy", "not_identified",
        )  # fmt: skip
    return rank, [Diagnostic("treatment_rank_p", "overall", number(p_value), LEVEL, _at_least(p_value, LEVEL))]


def _at_least(value: float, least: float) -> bool | None:
    return None if np.isnan(value) else bool(value >= least)


def _reading(s: Proxies, ways: Directions, rank: int) -> str | None:
    """What a reader of the row must know of its proxies; None where there is nothing."""
    f, out = ways.f[rank - 1], []
    if rank < s.p:
        out.append(f"{rank} of {s.p} combinations of the outcome proxies are used, which the exposure proxies move")
    bar = limit("first_stage")
    if f < bar:
        out.append(f"weak proxies: F {f:.3g} of a combination is below {bar:g}, so the interval may be too narrow")
    return "; ".join(out) or None


def _strength(s: Proxies, ways: Directions, rank: int) -> list[Diagnostic]:
    def against_ten(metric: str, subject: str, f: float) -> Diagnostic:
        return Diagnostic(metric, subject, number(f), limit("first_stage"), _at_least(f, limit("first_stage")))

    rows = [against_ten("first_stage_f", name, f) for name, f in zip(s.names, partial_f(s), strict=True)]
    if 1 < s.p <= s.q:
        rows += [against_ten("conditional_f", name, f) for name, f in zip(s.names, conditional_f(s), strict=True)]
    rows.append(against_ten("proxy_f", "strongest", ways.f[0]))
    rows.append(against_ten("proxy_f", "weakest_used", ways.f[rank - 1]))
    rows.append(Diagnostic("first_stage_rank", "overall", float(rank), float(s.p), rank == s.p))
    p_value = ways.p_values[rank - 1]
    return [*rows, Diagnostic("first_stage_rank_p", "overall", number(p_value), LEVEL, bool(p_value < LEVEL))]


def _overidentified(s: Proxies, bridge: Bridge) -> list[Diagnostic]:
    if s.q == s.p:
        return []
    found = overidentification(s, bridge)
    if found is None:  # fewer clusters than moments: the estimate stands, its test does not
        return [Diagnostic("hansen_j_p", "overall", None, LEVEL, None)]
    j, p_value = found
    return [
        Diagnostic("hansen_j", "overall", j), Diagnostic("hansen_j_p", "overall", p_value, LEVEL, p_value >= LEVEL),
    ]  # fmt: skip


def _learned(learned: Learned) -> tuple[Diagnostic, ...]:
    return (
        Diagnostic("bridge_r2", "overall", number(learned.r2)),
        Diagnostic("treatment_left", "overall", learned.left),
        *(Diagnostic("ridge_penalty", f"fold {k}", value) for k, value in enumerate(learned.penalties)),
    )


def _least_squares(problem: Problem, estimand: str, method: str, fields: dict[str, Any]) -> Estimate:
    """Least squares of Y on D and X, with all proxies (ols) or without (unadjusted)."""
    x, z, w = columns(problem)
    parts = (x, z, w) if method == "ols" else (x,)
    names = ["(d)", *(f"{i}:{name}" for i, part in enumerate(parts) for name in part.names)]
    values = np.column_stack([problem.t, *(part.values for part in parts)])
    fit = fit_ols(problem.y, values, names, problem.w)
    kind = {"robust": "HC1"}.get(problem.own("variance"), problem.own("variance"))
    at = fit.index("(d)")
    error = coefficient_error(fit, at, regression_variance(problem, kind), problem.cluster)
    return made(
        estimand, fit.coef[at], error.std_error, error.df,
        term=f"method={method}", variance_estimator=error.kind, **fields,
    )  # fmt: skip
