"""Was the experiment run as designed? Tests that read no outcome."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..contracts import treatment_kind
from ..laws import chi2_tail, f_tail
from ..linear import covariance, fit_ols
from ..problem import Problem
from ..result import DesignRow
from .assignment import assigned


def experiment_design(problem: Problem) -> list[DesignRow]:
    """One row for the balance of all covariates together, one for the sample ratio, one for each undated covariate.

    ``omnibus_balance_p`` is the p-value that treatment has nothing to do with any covariate; ``sample_ratio_p`` that
    the share of the treated is the declared ``allocation``; `assignment.assignment_rows` tells the others.
    A test that has nothing to test has a NULL value and a reason that begins with "not applicable".
    """
    return [_balance(problem), _sample_ratio(problem), *assigned(problem)]


def _balance(problem: Problem) -> DesignRow:
    if problem.study.treatment is None or not problem.study.covariates:
        return design_row("omnibus_balance_p", None, "not applicable: a treatment and covariates are needed")
    x = problem.matrix(problem.study.covariates)
    try:
        p, reason = omnibus_balance(problem.t, x.values, x.names, problem.weights, problem.cluster)
    except ValueError as few:
        return design_row("omnibus_balance_p", None, f"the balance test cannot be computed: {few}")
    return design_row("omnibus_balance_p", p, reason)


def omnibus_balance(
    t: np.ndarray,
    x: np.ndarray,
    names: tuple[str, ...],
    weights: np.ndarray | None = None,
    cluster: np.ndarray | None = None,
) -> tuple[float | None, str]:
    """F test that all slopes are zero in the regression of the treatment on the covariates.

    Without clusters the classical F, which randomisation itself justifies (its p-values are close to those of
    re-randomising). With clusters, Wald's F from the cluster-robust covariance with (q, G − 1) degrees of freedom:
    where clusters were assigned, the classical test would see imbalance everywhere.

    Parameters
    ----------
    t : ndarray of shape (n,)
    x : ndarray of shape (n, k)
    names : tuple of k str
    weights, cluster : ndarray of shape (n,), optional

    Returns
    -------
    p-value (None where it cannot be computed) and a sentence.

    Raises
    ------
    ValueError
        If there are not more rows than columns.
    """
    fit = fit_ols(t, x, names, weights)
    q = len(fit.coef) - 1
    if cluster is None or q == 0:
        return classical_test(fit.r2, q, fit.degrees_of_freedom)
    groups = len(np.unique(cluster))
    return cluster_test(q, groups, lambda: (fit.coef[1:], covariance(fit, "CR1", cluster)[1:, 1:]))


def classical_test(r2: float, q: int, df: int) -> tuple[float | None, str]:
    """F = (R² / q) / ((1 − R²) / df) of q slopes: p-value and a sentence."""
    if q == 0:
        return None, "not applicable: no covariate varies"
    left = 1 - r2
    return _verdict(np.inf if left <= 0 else r2 / q / (left / df), q, df)


def cluster_test(q: int, groups: int, slopes: Callable[[], tuple[np.ndarray, np.ndarray]]) -> tuple[float | None, str]:
    """Wald's F of q slopes from their cluster-robust covariance: p-value and a sentence.

    ``slopes`` gives both, and is asked only where there are clusters enough.
    """
    if groups - 1 <= q:
        return None, f"{groups} clusters cannot carry a joint test of {q} covariates"
    beta, vcov = slopes()
    return _verdict(float(beta @ np.linalg.solve(vcov, beta)) / q, q, groups - 1)


def _verdict(f: float, q: int, df: int) -> tuple[float | None, str]:
    return float(f_tail(f, q, df)), f"joint F({q}, {df}) of treatment on all covariates is {f:.3g}"


def _sample_ratio(problem: Problem) -> DesignRow:
    kind = treatment_kind(problem.study, problem.columns)
    return ratio_row(problem.study.allocation, kind, lambda: _assigned(problem))


def ratio_row(share: float | None, kind: str | None, assigned: Callable[[], tuple[int, int, str]]) -> DesignRow:
    """The row of the sample ratio; ``assigned`` gives treated, all, and what they are."""
    if share is None:
        return design_row("sample_ratio_p", None, "not applicable: no allocation is declared")
    if kind != "binary":
        return design_row("sample_ratio_p", None, "not applicable: the treatment is not binary")
    treated, total, what = assigned()
    p = sample_ratio(treated, total, share)
    reason = f"{treated} of {total} {what} were treated ({treated / total:.2%}) against a declared {share:.2%}"
    return design_row("sample_ratio_p", p, reason)


def _assigned(problem: Problem) -> tuple[int, int, str]:
    """Treated and all of what was assigned: clusters, where treatment never varies inside one, else units."""
    if problem.cluster is not None:
        labels, codes = np.unique(problem.cluster, return_inverse=True)
        shares = np.bincount(codes, problem.t) / np.bincount(codes)
        if set(shares.tolist()) <= {0.0, 1.0}:
            return int(shares.sum()), len(labels), "clusters"
    return int(problem.t.sum()), problem.n, "units"


def sample_ratio(treated: int, total: int, share: float) -> float:
    """Pearson's chi-square p-value (one degree of freedom) of a treated count against its declared share."""
    expected = total * share
    statistic = (treated - expected) ** 2 / (expected * (1 - share))
    return float(chi2_tail(statistic, 1))


def design_row(metric: str, value: float | None, reason: str) -> DesignRow:
    """A row that holds for every estimator."""
    return DesignRow(None, metric, "overall", value, reason)
