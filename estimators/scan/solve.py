"""Linear estimators solved from Moments alone, each with the two linear forms that its variance needs a scan for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..moments import Moments, independent


@dataclass(frozen=True)
class Score:
    """An estimate whose error is Σ w U E, with U and E linear in the columns of a row.

    Attributes
    ----------
    u, e : ndarray of shape (groups or 1, p + 1)
        Coefficients of U (what the coefficient gives a unit's residual) and E (the residual) on (1, z), a fold or once.
    unit : float
        Raw units of the estimate for one of U · E.
    coefficients : int
        k of HC1's n / (n − k).
    refine : Refine or None
    """

    u: np.ndarray
    e: np.ndarray
    unit: float
    coefficients: int
    refine: Refine | None = None


@dataclass(frozen=True)
class Refine:
    """How the scan's own sums mend the rounding of a least-squares solution.

    Attributes
    ----------
    at : ndarray of shape (k,)
        Columns of (1, z) in the regression.
    inverse : ndarray of shape (k, k)
        (Z'WZ)⁻¹ there.
    place : int
        Which of them is the coefficient.
    """

    at: np.ndarray
    inverse: np.ndarray
    place: int


@dataclass(frozen=True)
class Least:
    """Least squares from Moments, in units of (1, z).

    Attributes
    ----------
    names : tuple of str
        Kept columns.
    at : ndarray of shape (k,)
        Their places in (1, z), the constant's first.
    beta : ndarray of shape (k,)
    inverse : ndarray of shape (k, k)
    rss, tss : float
        Σ w e² and the outcome's Σ w (y − ȳ)², in its raw unit.
    rows : int
    dropped : tuple of str
    moments : Moments
    target : int
        The outcome's place in (1, z).
    """

    names: tuple[str, ...]
    at: np.ndarray
    beta: np.ndarray
    inverse: np.ndarray
    rss: float
    tss: float
    rows: int
    dropped: tuple[str, ...]
    moments: Moments
    target: int

    def coefficient(self, name: str) -> float:
        """Slope in raw units; KeyError for a dropped column."""
        j = self._place(name)
        return float(self.beta[j] * self._unit(j))

    def classical(self, name: str) -> float:
        """Standard error of a slope if errors are alike: √(s² (Z'WZ)⁻¹)."""
        j = self._place(name)
        scale = self.moments.scale[self.at[j] - 1]
        return float(np.sqrt(self.inverse[j, j] * self.rss / (self.rows - len(self.at))) / scale)

    @property
    def r2(self) -> float:
        """1 − RSS / TSS; 0 for a constant target."""
        return 1.0 - self.rss / self.tss if self.tss > 0 else 0.0

    def partial_r2(self, names: Sequence[str]) -> float:
        """R² of a group of columns given the others: W / (W + RSS) with W its explained sum of squares."""
        own = [self._place(name) for name in names]
        scale = self.moments.scale[self.target - 1]
        explained = float(self.beta[own] @ np.linalg.solve(self.inverse[np.ix_(own, own)], self.beta[own])) * scale**2
        return explained / (explained + self.rss)

    def form(self) -> np.ndarray:
        """The residual as a linear form of (1, z): shape (p + 1,)."""
        out = np.zeros(len(self.moments.names) + 1)
        out[self.target] = 1.0
        out[self.at] -= self.beta
        return out

    def score(self, name: str) -> Score:
        """The score of one slope."""
        j = self._place(name)
        u = np.zeros(len(self.moments.names) + 1)
        u[self.at] = self.inverse[j]
        return Score(u[None], self.form()[None], self._unit(j), len(self.at), Refine(self.at, self.inverse, j))

    def _place(self, name: str) -> int:
        if name not in self.names:
            raise KeyError(name)
        return self.names.index(name) + 1

    def _unit(self, j: int) -> float:
        return float(self.moments.scale[self.target - 1] / self.moments.scale[self.at[j] - 1])


def least_squares(moments: Moments, y: str, x: Sequence[str]) -> Least:
    """Least squares of y on a constant and x; columns that earlier ones explain are dropped and named.

    Raises
    ------
    ValueError
        If there are not more rows than kept columns.
    """
    total, centred = moments.total(), moments._centred()
    places = [moments.names.index(name) for name in x]
    target = moments.names.index(y)
    kept = independent(centred[np.ix_(places, places)])
    used = [places[i] for i in kept]
    rows = int(moments.rows.sum())
    if rows <= len(used) + 1:
        raise ValueError(f"{rows} rows cannot carry {len(used) + 1} coefficients")
    inner = np.linalg.inv(centred[np.ix_(used, used)])
    slopes = inner @ centred[used, target]
    mean = total[0, 1:] / total[0, 0]
    inverse = np.empty((len(used) + 1, len(used) + 1))
    inverse[1:, 1:] = inner
    inverse[0, 1:] = inverse[1:, 0] = -inner @ mean[used]
    inverse[0, 0] = 1 / total[0, 0] + mean[used] @ inner @ mean[used]
    square = moments.scale[target] ** 2
    rss = max(float(centred[target, target] - slopes @ centred[used, target]), 0.0) * square
    return Least(
        tuple(x[i] for i in kept), np.array([0, *(j + 1 for j in used)]),
        np.concatenate([[mean[target] - mean[used] @ slopes], slopes]), inverse, rss,
        float(centred[target, target]) * square, rows,
        tuple(x[i] for i in range(len(x)) if i not in set(kept)), moments, target + 1,
    )  # fmt: skip


@dataclass(frozen=True)
class Solved:
    """A coefficient in raw units, and the score whose scan gives its variance."""

    coef: float
    score: Score


def partially_linear(moments: Moments, y: str, t: str, x: Sequence[str]) -> Solved:
    """θ of Y = θ T + g(X) + ζ by double ML with linear nuisances out of each fold: Σ v u / Σ v².

    As `tvce` with the linear learner (Chernozhukov et al. 2018, section 4.1); the moments' groups are the folds, and
    one group means no cross-fitting.
    """
    folds = len(moments.cross)
    u_forms, v_forms = [], []
    for k in range(folds):
        rest = moments.without(k) if folds > 1 else moments
        v_forms.append(least_squares(rest, t, x).form())
        u_forms.append(least_squares(rest, y, x).form())
    v, u = np.array(v_forms), np.array(u_forms)
    information = float(np.einsum("ki,kij,kj->", v, moments.cross, v))
    theta = float(np.einsum("ki,kij,kj->", v, moments.cross, u)) / information
    unit = float(moments.scale[moments.names.index(y)] / moments.scale[moments.names.index(t)])
    return Solved(theta * unit, Score(v / information, u - theta * v, unit, 1))


def two_stage(moments: Moments, y: str, d: str, instruments: Sequence[str], x: Sequence[str]) -> Solved:
    """2SLS of y on d with covariates x: β = d̂'y / d̂'d, d̂ the instruments' part of d with x taken out."""
    own, first = least_squares(moments, d, x), least_squares(moments, d, [*x, *instruments])
    hat = own.form() - first.form()  # what the instruments add to the prediction of d
    total = moments.total()
    size = float(hat @ total @ own.form())
    beta = float(hat @ total @ least_squares(moments, y, x).form()) / size
    residual = least_squares(moments, y, x).form() - beta * own.form()
    unit = float(moments.scale[moments.names.index(y)] / moments.scale[moments.names.index(d)])
    return Solved(beta * unit, Score(hat[None] / size, residual[None], unit, len(own.at) + 1))


def inflation(moments: Moments, name: str, others: Sequence[str]) -> float:
    """Variance inflation factor of one column given others: 1 / (1 − R²)."""
    fit = least_squares(moments, name, others)
    return float(fit.tss / fit.rss) if fit.rss > 0 else float("inf")


def differences(treated: Moments, control: Moments) -> np.ndarray:
    """Standardised difference of each column, √ of the mean of the arms' variances below (n − 1): shape (p,).

    Of unweighted moments; as `estimators.balance.standardised_differences` with equal weights.
    """
    gap, variance = treated.means() - control.means(), np.zeros(len(treated.names))
    for arm in (treated, control):
        n = arm.rows.sum()
        variance += np.diag(arm.covariance()) * n / (n - 1) / 2
    flat = variance <= 0
    out = gap / np.sqrt(np.where(flat, 1.0, variance))
    return np.where(flat, np.where(np.abs(gap) <= 1e-12 * np.abs(control.means()), 0.0, np.copysign(np.inf, gap)), out)
