"""A study's rows as one time series: a value and, for counts, a population at risk a period."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..problem import Problem


@dataclass(frozen=True)
class Series:
    """One value a period.

    Attributes
    ----------
    period : ndarray of shape (T,)
        In ascending order, in the time column's own unit.
    y : ndarray of shape (T,)
        Mean of the outcome over the units of a period, or their sum (counts).
    exposure : ndarray of shape (T,)
        Population at risk of a count; ones where none is declared.
    units : ndarray of shape (T,), int
        Rows behind each value.
    x : ndarray of shape (T, k)
        Covariates: means over the units of a period with their sampling weights, then their lags.
    names : tuple of k str
    n_lagged : int
        Rows of the first periods, left out because they have no lags.
    still : tuple of str
        Covariates whose mean is the same in every period, which are left out.
    """

    period: np.ndarray
    y: np.ndarray
    exposure: np.ndarray
    units: np.ndarray
    x: np.ndarray
    names: tuple[str, ...] = ()
    n_lagged: int = 0
    still: tuple[str, ...] = ()

    def only(self, keep: np.ndarray) -> Series:
        """Some of its periods: a mask of shape (T,)."""
        return Series(
            self.period[keep], self.y[keep], self.exposure[keep], self.units[keep], self.x[keep], self.names,
            self.n_lagged, self.still,
        )  # fmt: skip


def series_of(problem: Problem, as_counts: bool, lags: int = 0) -> Series:
    """The rows added up a period (counts), or averaged with their sampling weights; covariates are averaged.

    With ``lags`` the covariates of so many periods before are covariates too, and the first periods are left out.

    Raises
    ------
    Refusal
        For counts that are negative, a population at risk that is not positive, lags that the series does not have, and
        lags of a series whose periods are not equally far apart.
    """
    return _lagged(_with_covariates(problem, _outcomes(problem, as_counts)), lags)


def _with_covariates(problem: Problem, series: Series) -> Series:
    terms = problem.covariate_terms()
    if not terms:
        return series
    x = problem.matrix(terms)
    at = np.searchsorted(series.period, problem.columns[str(problem.study.time)])
    weight = np.bincount(at, weights=problem.w)
    if weight.min() <= 0:
        raise Refusal(f"the weights of period {series.period[weight.argmin()]:g} are zero", "Mend them in the units")
    means = [np.bincount(at, weights=problem.w * column) / weight for column in x.values.T]
    # The same units in every period have the same mean: nothing of the series is told by it.
    moves = [float(np.ptp(mean)) > 1e-9 * float(np.abs(mean).max(initial=0.0)) for mean in means]
    kept = [mean for mean, is_kept in zip(means, moves, strict=True) if is_kept]
    names = tuple(name for name, is_kept in zip(x.names, moves, strict=True) if is_kept)
    still = tuple(name for name, is_kept in zip(x.names, moves, strict=True) if not is_kept)
    stacked = np.column_stack(kept) if kept else series.x
    return dataclasses.replace(series, x=stacked, names=names, still=still)


def _lagged(series: Series, lags: int) -> Series:
    if lags < 0 or lags >= len(series.period):
        raise Refusal(f"lags is {lags}, and the series has {len(series.period)} periods", "Give 0 or a few periods")
    if not lags or not series.names:
        return series
    apart = np.diff(series.period)
    if not np.allclose(apart, apart[0]):
        gap = float(series.period[int(np.argmax(apart > apart.min()))])
        reason = f"the periods are not equally far apart (after {gap:g}), so that covariates have no lags there"
        raise Refusal(reason, "Fill the gap in the units, or set `options: {its: {lags: 0}}`")
    length = len(series.period)
    x = np.column_stack([series.x[lags - back : length - back] for back in range(lags + 1)])
    names = [name if not back else f"lag {back} of {name}" for back in range(lags + 1) for name in series.names]
    kept = series.only(np.arange(length) >= lags)
    return dataclasses.replace(kept, x=x, names=tuple(names), n_lagged=int(series.units[:lags].sum()))


def _outcomes(problem: Problem, as_counts: bool) -> Series:
    study = problem.study
    assert study.time is not None
    period, at = np.unique(problem.columns[study.time], return_inverse=True)
    units, none = np.bincount(at), np.empty((len(period), 0))
    if not as_counts:
        weight = np.bincount(at, weights=problem.w)
        if weight.min() <= 0:
            raise Refusal(f"the weights of period {period[weight.argmin()]:g} are zero", "Mend them in the units")
        return Series(
            period, np.bincount(at, weights=problem.w * problem.y) / weight, np.ones(len(period)), units, none
        )
    if problem.y.min() < 0:
        raise Refusal(f"the outcome '{study.outcome}' has negative counts", "Declare `its: {family: gaussian}`")
    y = np.bincount(at, weights=problem.w * problem.y)
    if study.exposure is None:
        return Series(period, y, np.ones(len(period)), units, none)
    exposure = np.bincount(at, weights=problem.w * problem.columns[study.exposure])
    if exposure.min() <= 0:
        reason = f"the population at risk '{study.exposure}' of period {period[exposure.argmin()]:g} is not positive"
        raise Refusal(reason, "Mend it in the units")
    return Series(period, y, exposure, units, none)
