"""Whether units could choose their side of the cutoff: the density there, and the covariates' continuity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..contracts import is_missing
from ..errors import Refusal
from ..problem import Problem
from ..result import DesignRow
from ..study import Study
from ..terms import columns_of, matrix
from ..thresholds import limit
from .density import density_p
from .local import LocalFit, local_fit
from .rd import rule_of
from .turned import mirrored, words_turned_back

CONTINUITY = "covariate_continuity_p"


def discontinuity_design(problem: Problem) -> list[DesignRow]:
    """Design rows of a discontinuity study, all of estimator ``rd``; no outcome is read.

    ``density_p`` is the jackknife p-value that the running variable's density is continuous at the cutoff (the test of
    rddensity, Cattaneo, Jansson & Ma 2020; its plug-in p-value can be NaN). ``covariate_continuity_p`` of each declared
    covariate column is the robust p-value of its own jump at the cutoff, among the units that have it. Rows at the
    cutoff lie where the estimate has them (`rule.ruling`). A value of None has the reason beside it.
    """
    own = problem.for_run("rd", "default")
    assert own.study.running is not None
    assert own.study.cutoff is not None
    cutoff = own.study.cutoff
    try:
        turned = _is_turned(own)
    except Refusal as refusal:
        return unplaced(own.study, refusal)
    at = At(own.columns[own.study.running], cutoff, turned)
    rows = [density_row(lambda: density_p(at.x, at.c), cutoff, turned)]
    for term in own.study.covariates:
        try:
            with words_turned_back(cutoff, turned):
                rows += _continuity_rows(own, term, at)
        except Refusal as refusal:
            rows.append(DesignRow("rd", CONTINUITY, term, None, str(refusal)))
    return rows


@dataclass(frozen=True)
class At:
    """A running variable of shape (n,) and its cutoff, mirrored where rows at the cutoff lie left."""

    own: np.ndarray
    cutoff: float
    turned: bool

    @property
    def x(self) -> np.ndarray:
        """What is compared: x or −x."""
        return 0.0 - self.own if self.turned else self.own

    @property
    def c(self) -> float:
        """With what: c or −c."""
        return mirrored(self.cutoff) if self.turned else self.cutoff


def _is_turned(problem: Problem) -> bool:
    """Whether rows at the cutoff lie left; of the rows that have a treatment."""
    study = problem.study
    has = np.ones(problem.n, dtype=bool) if study.treatment is None else ~is_missing(problem.columns[study.treatment])
    return rule_of(problem, has).turned


def unplaced(study: Study, refusal: Refusal) -> list[DesignRow]:
    """The rows of a design whose sides are not known."""
    rows = [DesignRow("rd", "density_p", "overall", None, str(refusal))]
    return rows + [DesignRow("rd", CONTINUITY, term, None, str(refusal)) for term in study.covariates]


def density_row(test: Callable[[], float | None], cutoff: float, turned: bool) -> DesignRow:
    """The row of the density test, whatever comes of it; ``test`` is of the mirrored variable where ``turned``."""
    try:
        with words_turned_back(cutoff, turned):
            p = test()
    except Refusal as refusal:
        return DesignRow("rd", "density_p", "overall", None, str(refusal))
    if p is None:
        return DesignRow("rd", "density_p", "overall", None, "the density test gives no p-value on these data")
    verdict = "jumps at" if p <= limit("density") else "is not seen to jump at"
    return DesignRow("rd", "density_p", "overall", p, f"the density {verdict} the cutoff {cutoff:g}: p = {p:.3g}")


def continuity_row(name: str, varies: bool, fitted: Callable[[], LocalFit], cutoff: float, turned: bool) -> DesignRow:
    """The row of one covariate column, whatever comes of its fit: of the mirrored variable where ``turned``."""
    if not varies:
        return DesignRow("rd", CONTINUITY, name, None, f"{name} is constant")
    try:
        with words_turned_back(cutoff, turned):
            fit = fitted()
    except Refusal as refusal:
        return DesignRow("rd", CONTINUITY, name, None, str(refusal))
    verdict = "jumps at" if fit.robust_p <= limit("covariate_continuity") else "is not seen to jump at"
    told = f"{name} {verdict} the cutoff by {-fit.estimate if turned else fit.estimate:.4g}: p = {fit.robust_p:.3g}"
    return DesignRow("rd", CONTINUITY, name, fit.robust_p, told)


def needed(term: str, cluster: str | None) -> tuple[str, ...]:
    """Raw columns without which a unit says nothing of a covariate's continuity."""
    return (*columns_of(term), *((cluster,) if cluster else ()))


def _continuity_rows(problem: Problem, term: str, at: At) -> list[DesignRow]:
    names = needed(term, problem.study.cluster)
    whole = ~np.any([is_missing(problem.columns[name]) for name in names], axis=0)
    try:
        found = matrix((term,), {name: problem.columns[name][whole] for name in names}, int(whole.sum()))
    except ValueError as bad:
        raise Refusal(str(bad), "Mend the term or the column") from None
    codes = None
    if problem.cluster is not None:
        codes = np.unique(problem.cluster[whole].astype(str), return_inverse=True)[1]
    order, kernel = problem.own("order"), problem.own("kernel")

    def fit(values: np.ndarray) -> LocalFit:
        return local_fit(values, at.x[whole], at.c, order, kernel, cluster=codes)

    pairs = zip(found.names, found.values.T, strict=True)
    return [
        continuity_row(name, bool(np.ptp(values) > 0), partial(fit, values), at.cutoff, at.turned)
        for name, values in pairs
    ]
