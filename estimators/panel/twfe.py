"""Two-way fixed effects, the naive difference-in-differences, and what its coefficient is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..estimates import made
from ..few_clusters import of_partialled
from ..inference import cluster_sums, effective_sample_size
from ..problem import Problem
from ..result import CurvePoint, Diagnostic, Result
from ..sample import check_sample
from .bacon import FORBIDDEN, Negative, Pair, decompose, negative_weights
from .cohorts import FEWEST_TREATED, check_first
from .frame import by_unit, holds_text
from .left_out import check_treatment
from .within import Within, is_absorbed


@dataclass(frozen=True)
class Rows:
    """The rows that are compared: each of shape (N,), covariates (N, k).

    ``group`` codes the units, or the cohorts where no unit is seen twice (``repeated`` False); ``cluster`` is None
    where rows are independent.
    """

    y: np.ndarray
    d: np.ndarray
    x: np.ndarray
    w: np.ndarray
    group: np.ndarray
    period: np.ndarray
    periods: np.ndarray
    cluster: np.ndarray | None
    repeated: bool
    n_alone: int


@dataclass(frozen=True)
class Fit:
    """The coefficient, its standard error and degrees of freedom, and what is left of the treatment: shape (N,)."""

    estimate: float
    std_error: float
    df: float
    left: np.ndarray
    n_covariates: int
    kind: str = "classical"


def twfe(problem: Problem, estimand: str) -> Result:
    """The coefficient β of the treatment in a regression with a level a unit and a level a period.

    Y_it = α_i + λ_t + β D_it + X_it'γ + ε_it, over all rows, with gaps solved exactly (`within.Within`). D_it is
    1{t ≥ cohort} where a cohort is declared, else the treatment (of any kind). Where no unit is seen twice (repeated
    cross-sections) the levels are those of the cohorts: with one cohort and two periods β is the 2x2
    (Ȳ_11 − Ȳ_10) − (Ȳ_01 − Ȳ_00). It stands beside `did` as a naive estimate: where effects differ between cohorts
    or grow, β weights some of them negatively, and the diagnostics say how much.

    Standard errors of ``variance: robust``: CR2 by unit (by a declared cluster) with the degrees of freedom of Bell &
    McCaffrey, the levels of units taken out before, those of periods among the columns (`estimators.few_clusters`); in
    cross-sections without a cluster HC1. ``CR1``: G / (G − 1) · (N − 1) / (N − K), Student's t with G − 1; K counts
    covariates and periods, and the groups where they do not lie inside clusters. ``classical``: equal variances.

    Diagnostics: ``bacon_weight`` and ``bacon_estimate`` by kind of comparison and ``bacon_forbidden_share``, the
    weight of comparisons with units that are treated already (Goodman-Bacon 2021; balanced unweighted panels in which
    treatment lasts, without covariates); ``negative_weight_share`` of the treated rows, ``negative_weight_sum`` and
    ``least_effect_spread`` (de Chaisemartin & D'Haultfoeuille 2020). Curve ``bacon_decomposition``: a point a
    comparison, x its weight and y its estimate, a series a kind.

    Parameters
    ----------
    problem : Problem
        Roles outcome, unit, time and cohort or treatment; covariates that fixed effects absorb are left out; weights
        multiply rows; a cluster must not change within a unit.
    estimand : str
        ATT: of the treated rows if the effect is the same for all.

    Returns
    -------
    Result
        ``n_trimmed`` counts units that are seen once (they tell nothing) where others are seen more often, and rows
        of weight zero. Missing values are dropped rows: the rest of the unit stays.

    Raises
    ------
    Refusal
        Without cohort and treatment, cross-sections without a cohort, a cohort or cluster that changes within a unit;
        ``not_identified`` where the treatment does not vary beyond units and periods, covariates explain it, or
        fewer than two clusters of four are ever treated (with CR1 five of ten).

    References
    ----------
    Pustejovsky & Tipton (2018), JBES 36; Goodman-Bacon (2021), Journal of Econometrics 225;
    de Chaisemartin & D'Haultfoeuille (2020), AER 110.
    """
    check_sample(problem)
    check_treatment(problem)
    rows = _rows(problem)
    within = Within.of(rows.group, rows.period, rows.w)
    fit = _fit(rows, within, problem.own("variance"))
    groups = {"n_units": int(rows.group.max()) + 1 if rows.repeated else len(rows.y)}
    binary = set(np.unique(rows.d)) <= {0.0, 1.0}
    if binary:
        groups["n_treated"] = len(np.unique(rows.group[rows.d == 1])) if rows.repeated else int(rows.d.sum())
    row = made(
        estimand, fit.estimate, fit.std_error, fit.df, **groups, n_trimmed=rows.n_alone,
        n_clusters=None if problem.cluster is None else len(np.unique(problem.cluster.astype(str))),
        effective_sample_size=None if problem.weights is None else effective_sample_size(rows.w),
        variance_estimator=fit.kind,
        contrast="1 - 0" if binary else "+1",
    )  # fmt: skip
    pairs = _pairs(rows, fit)
    negative = negative_weights(fit.left, rows.d, rows.w, fit.estimate) if binary else None
    return Result((row,), _diagnostics(pairs, negative), tuple(_curve(pairs)))


def _rows(problem: Problem) -> Rows:
    study = problem.study
    assert study.time is not None
    unit, times = np.unique(problem.columns[study.unit], return_inverse=True)[1], problem.columns[study.time]
    repeated = len(unit) > int(unit.max()) + 1
    cohort = None if study.cohort is None else _cohort(problem, study.cohort, times)
    d = _treatment(problem, cohort, times)
    if repeated:
        group = unit
        if cohort is not None:
            by_unit(cohort, unit, np.unique(problem.columns[study.unit]), str(study.cohort))
    elif cohort is None:
        reason = "no unit is seen twice, and no cohort says to which group each belongs"
        raise Refusal(reason, "Declare the role 'cohort': the first treated period of a row's group, NULL for never")
    else:
        group = np.unique(cohort, return_inverse=True)[1]
    keep = problem.w > 0
    if repeated:
        keep &= np.bincount(unit, keep)[unit] > 1
    if not keep.any():
        raise Refusal("no unit with a weight is seen twice", "Check the weights, or the role 'unit'")
    x = problem.matrix(problem.covariate_terms()).values
    periods, period = np.unique(times[keep], return_inverse=True)
    return Rows(
        problem.y[keep], d[keep], x[keep], problem.w[keep], _codes(group[keep]), period, periods,
        _clusters(problem, unit, keep, repeated), repeated, int((~keep).sum()),
    )  # fmt: skip


def _codes(labels: np.ndarray) -> np.ndarray:
    return np.unique(labels, return_inverse=True)[1]


def _cohort(problem: Problem, name: str, times: np.ndarray) -> np.ndarray:
    values = problem.columns[name]
    if values.dtype == object:
        raise holds_text(name)
    check_first(problem, values, times)
    return np.where(np.isnan(values) | (values > times.max()), np.inf, values)


def _treatment(problem: Problem, cohort: np.ndarray | None, times: np.ndarray) -> np.ndarray:
    if cohort is not None:
        return (times >= cohort).astype(float)
    if problem.study.treatment is None:
        raise Refusal("neither a cohort nor a treatment is declared", "Declare one of these roles")
    return problem.t


def _clusters(problem: Problem, unit: np.ndarray, keep: np.ndarray, repeated: bool) -> np.ndarray | None:
    if problem.cluster is None:
        return _codes(unit[keep]) if repeated else None
    labels = problem.cluster.astype(str)
    if repeated:
        by_unit(labels, unit, np.unique(problem.columns[problem.study.unit]), str(problem.study.cluster))
    return _codes(labels[keep])


def _fit(rows: Rows, within: Within, variance: str) -> Fit:
    """Least squares after both sets of levels are taken out (Frisch, Waugh & Lovell)."""
    y, d, classical = within.residual(rows.y), within.residual(rows.d), variance == "classical"
    mend = "A treatment must start at different times, or for some units only"
    if is_absorbed(rows.d, d):
        reason = "the treatment does not vary once units and periods are taken out"
        raise Refusal(reason, mend, "not_identified")
    x = _covariates(rows, within)
    root = np.sqrt(rows.w)
    coefficients = np.linalg.lstsq(x * root[:, None], np.column_stack([y, d]) * root[:, None], rcond=1e-10)[0]
    y, left = (np.column_stack([y, d]) - x @ coefficients).T
    if is_absorbed(rows.d, left):
        raise Refusal("the covariates explain the treatment", "Drop those that treatment decides", "not_identified")
    information = float(np.sum(rows.w * left**2))
    estimate = float(np.sum(rows.w * left * y)) / information
    e = y - left * estimate
    n, k = len(y), 1 + x.shape[1]
    # Levels of units are not counted where they lie inside clusters: G / (G − 1) sees to them.
    inside = rows.repeated and not classical
    parameters = k + (len(rows.periods) if inside else within.rank)
    if n <= parameters:
        raise Refusal(f"{n} rows for {parameters} parameters", "Add rows, or drop covariates", "not_identified")
    if classical:
        se = np.sqrt(np.sum(rows.w * e**2) / (n - parameters) / information)
        return Fit(estimate, float(se), n - parameters, left, x.shape[1])
    fit = Fit(estimate, 0.0, n - parameters, left, x.shape[1])
    if rows.cluster is not None and variance == "robust":
        _check_clusters(rows, 2, 4)
        found = of_partialled(left, e, rows.w, rows.cluster, lambda: _others(rows, within, x), k + len(rows.periods))
        if found is not None and found.df is not None:
            return Fit(estimate, found.std_error, found.df, left, x.shape[1], found.kind)
    return _robust(rows, left, e, information, fit)


def _others(rows: Rows, within: Within, x: np.ndarray) -> np.ndarray:
    """All columns but the treatment, orthonormal: covariates and the levels that do not lie inside clusters."""
    levels = within.whitened(nested=rows.repeated)
    if not x.shape[1]:
        return levels
    root = np.sqrt(rows.w)[:, None]
    return np.column_stack([np.linalg.qr(x * root)[0] / root, levels])


def _robust(rows: Rows, left: np.ndarray, e: np.ndarray, information: float, fit: Fit) -> Fit:
    """HC1, or CR1 with clusters."""
    n, scores = len(e), rows.w * left * e
    if rows.cluster is None:
        se = np.sqrt(n / fit.df * np.sum(scores**2)) / information
        return Fit(fit.estimate, float(se), fit.df, left, fit.n_covariates, "HC1")
    _check_clusters(rows, FEWEST_TREATED, 2 * FEWEST_TREATED)
    sums = cluster_sums(scores, rows.cluster)
    groups = len(sums)
    factor = groups / (groups - 1) * (n - 1) / fit.df
    std_error = float(np.sqrt(factor * np.sum(sums**2)) / information)
    return Fit(fit.estimate, std_error, groups - 1, left, fit.n_covariates, "CR1")


def _check_clusters(rows: Rows, least: int, all_told: int) -> None:
    """Refuse where too few clusters switch, or there are too few, for their variation to be seen."""
    assert rows.cluster is not None
    if not set(np.unique(rows.d)) <= {0.0, 1.0} or not rows.repeated:
        return
    groups = int(rows.cluster.max()) + 1
    treated = len(np.unique(rows.cluster[rows.d == 1]))
    if treated < least or groups < all_told:
        reason = f"{treated} of {groups} clusters are ever treated: standard errors need {least} of {all_told}"
        raise Refusal(reason, "Read synthetic_control, or cluster lower", "not_identified")


def _covariates(rows: Rows, within: Within) -> np.ndarray:
    """Covariates after both sets of levels are taken out, in units of their spread; absorbed ones are left out."""
    columns = [(column, within.residual(column)) for column in rows.x.T]
    kept = [left / np.abs(left).max() for column, left in columns if not is_absorbed(column, left)]
    if not kept:
        return np.empty((len(rows.y), 0))
    x = np.column_stack(kept)
    # One of several collinear columns is enough, and counts once.
    independent: list[int] = []
    for j in range(x.shape[1]):
        if np.linalg.matrix_rank(x[:, [*independent, j]], tol=1e-8 * np.sqrt(len(x))) > len(independent):
            independent.append(j)
    return x[:, independent]


def _pairs(rows: Rows, fit: Fit) -> tuple[Pair, ...]:
    """The decomposition where it holds: a balanced, unweighted panel without covariates in which treatment lasts."""
    shape = (int(rows.group.max()) + 1, len(rows.periods))
    if not rows.repeated or fit.n_covariates or len(rows.y) != shape[0] * shape[1] or np.ptp(rows.w) > 0:
        return ()
    y, d = np.empty(shape), np.empty(shape)
    y[rows.group, rows.period], d[rows.group, rows.period] = rows.y, rows.d
    if not set(np.unique(d)) <= {0.0, 1.0} or (np.diff(d, axis=1) < 0).any():
        return ()
    return decompose(y, d, rows.periods)


def _diagnostics(pairs: tuple[Pair, ...], negative: Negative | None) -> tuple[Diagnostic, ...]:
    out = []
    for kind in sorted({pair.kind for pair in pairs}):
        own = [pair for pair in pairs if pair.kind == kind]
        weight = sum(pair.weight for pair in own)
        out.append(Diagnostic("bacon_weight", kind, weight))
        out.append(Diagnostic("bacon_estimate", kind, sum(pair.weight * pair.estimate for pair in own) / weight))
    forbidden = sum(pair.weight for pair in pairs if pair.kind in FORBIDDEN) if pairs else None
    out.append(Diagnostic("bacon_forbidden_share", "overall", forbidden))
    if negative is not None:
        out.append(Diagnostic("negative_weight_share", "treated_rows", negative.share))
        out.append(Diagnostic("negative_weight_sum", "overall", negative.total))
        out.append(Diagnostic("least_effect_spread", "overall", negative.least_spread))
    return tuple(out)


def _curve(pairs: tuple[Pair, ...]) -> list[CurvePoint]:
    ordered = sorted(pairs, key=lambda pair: (pair.kind, pair.name))
    return [CurvePoint("bacon_decomposition", p.kind, p.weight, p.estimate, p.name) for p in ordered]
