"""Was the experiment run as designed? Two tests that read no outcome."""

from __future__ import annotations

import numpy as np
from scipy import stats

from ..contracts import treatment_kind
from ..linear import covariance, fit_ols
from ..problem import Problem
from ..result import DesignRow


def experiment_design(problem: Problem) -> list[DesignRow]:
    """One row for the balance of all covariates together, one for the sample ratio.

    ``omnibus_balance_p`` is the p-value that treatment has nothing to do with any covariate; ``sample_ratio_p`` that
    the share of the treated is the declared ``allocation``. A test that has nothing to test has a NULL value and a
    reason that begins with "not applicable".
    """
    return [_balance(problem), _sample_ratio(problem)]


def _balance(problem: Problem) -> DesignRow:
    if problem.study.treatment is None or not problem.study.covariates:
        return _row("omnibus_balance_p", None, "not applicable: a treatment and covariates are needed")
    x = problem.matrix(problem.study.covariates)
    try:
        p, reason = omnibus_balance(problem.t, x.values, x.names, problem.weights, problem.cluster)
    except ValueError as few:
        return _row("omnibus_balance_p", None, f"the balance test cannot be computed: {few}")
    return _row("omnibus_balance_p", p, reason)


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
    if q == 0:
        return None, "not applicable: no covariate varies"
    if cluster is None:
        df = fit.degrees_of_freedom
        left = 1 - fit.r2
        f = np.inf if left <= 0 else fit.r2 / q / (left / df)
    else:
        df = len(np.unique(cluster)) - 1
        if df <= q:
            return None, f"{df + 1} clusters cannot carry a joint test of {q} covariates"
        slopes = fit.coef[1:]
        f = float(slopes @ np.linalg.solve(covariance(fit, "cluster", cluster)[1:, 1:], slopes)) / q
    p = float(stats.f.sf(f, q, df))
    return p, f"joint F({q}, {df}) of treatment on all covariates is {f:.3g}"


def _sample_ratio(problem: Problem) -> DesignRow:
    share = problem.study.allocation
    if share is None:
        return _row("sample_ratio_p", None, "not applicable: no allocation is declared")
    if treatment_kind(problem.study, problem.columns) != "binary":
        return _row("sample_ratio_p", None, "not applicable: the treatment is not binary")
    treated, total, what = _assigned(problem)
    p = sample_ratio(treated, total, share)
    reason = f"{treated} of {total} {what} were treated ({treated / total:.2%}) against a declared {share:.2%}"
    return _row("sample_ratio_p", p, reason)


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
    return float(stats.chi2.sf(statistic, 1))


def _row(metric: str, value: float | None, reason: str) -> DesignRow:
    return DesignRow(None, metric, "overall", value, reason)
