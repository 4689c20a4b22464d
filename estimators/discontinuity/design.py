"""Whether units could choose their side of the cutoff: the density there, and the covariates' continuity."""

from __future__ import annotations

import numpy as np

from ..errors import Refusal
from ..problem import Problem
from ..result import DesignRow, number
from .local import enough, local_fit, quiet


def discontinuity_design(problem: Problem) -> list[DesignRow]:
    """Design rows of a discontinuity study, all of estimator ``rd``; no outcome is read.

    ``density_p`` is the jackknife p-value that the running variable's density is continuous at the cutoff (rddensity,
    Cattaneo, Jansson & Ma 2020; its plug-in p-value can be NaN). ``covariate_continuity_p`` of each declared covariate
    column is the robust p-value of its own jump at the cutoff. A value of None has the reason beside it.
    """
    own = problem.for_run("rd", "default")
    assert own.study.running is not None
    assert own.study.cutoff is not None
    x, cutoff = own.columns[own.study.running], own.study.cutoff
    covariates = own.matrix(own.study.covariates)
    rows = [_density_row(x, cutoff)]
    for k, name in enumerate(covariates.names):
        rows.append(_continuity_row(own, x, cutoff, covariates.values[:, k], name))
    return rows


def density_p(x: np.ndarray, cutoff: float) -> float | None:
    """Jackknife p-value of the density test, with rddensity's defaults; None where it gives none.

    Parameters
    ----------
    x : ndarray of shape (n,)
    cutoff : float

    Raises
    ------
    Refusal
        For fewer than 20 observations a side, or if rddensity cannot test.
    """
    enough(x, cutoff)
    with quiet():
        from rddensity import rddensity

        try:
            return number(rddensity(X=x, c=cutoff).test["p_jk"])
        except Exception as error:  # rddensity raises bare Exceptions
            raise Refusal(f"the density at the cutoff cannot be tested: {str(error).rstrip('.')}") from None


def _density_row(x: np.ndarray, cutoff: float) -> DesignRow:
    try:
        p = density_p(x, cutoff)
    except Refusal as refusal:
        return DesignRow("rd", "density_p", "overall", None, str(refusal))
    if p is None:
        return DesignRow("rd", "density_p", "overall", None, "the density test gives no p-value on these data")
    verdict = "jumps at" if p <= 0.05 else "is not seen to jump at"
    return DesignRow("rd", "density_p", "overall", p, f"the density {verdict} the cutoff {cutoff:g}: p = {p:.3g}")


def _continuity_row(problem: Problem, x: np.ndarray, cutoff: float, values: np.ndarray, name: str) -> DesignRow:
    metric = "covariate_continuity_p"
    if np.ptp(values) == 0:
        return DesignRow("rd", metric, name, None, f"{name} is constant")
    codes = None if problem.cluster is None else np.unique(problem.cluster.astype(str), return_inverse=True)[1]
    try:
        fit = local_fit(values, x, cutoff, problem.own("order"), problem.own("kernel"), cluster=codes)
    except Refusal as refusal:
        return DesignRow("rd", metric, name, None, str(refusal))
    verdict = "jumps at" if fit.robust_p <= 0.05 else "is not seen to jump at"
    told = f"{name} {verdict} the cutoff by {fit.estimate:.4g}: p = {fit.robust_p:.3g}"
    return DesignRow("rd", metric, name, fit.robust_p, told)
