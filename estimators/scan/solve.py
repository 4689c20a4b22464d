"""Linear estimators solved from Moments alone, each with the two linear forms that its variance needs a scan for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import Told
from ..moments import CRUMBS, Moments, independent


@dataclass(frozen=True)
class Score:
    """An estimate whose error is Σ w (U E + L), with U, E and L linear in the columns of a row.

    Each form has shape (groups, p + 1), coefficients on (1, z) of a row of that group, or (1, p + 1) for all groups.

    Attributes
    ----------
    u, e : ndarray
        U is what the coefficient gives a unit's residual, E the residual.
    unit : float
        Raw units of the estimate for one of U · E.
    coefficients : int
        k of HC1's n / (n − k).
    refine : Refine or None
        Of least squares only.
    hat : Hat or None
        HC2 and HC3 need it. Scores of one regression should share the object: leverages are computed once for each.
    more : ndarray or None
        L: what else was estimated before.
    """

    u: np.ndarray
    e: np.ndarray
    unit: float
    coefficients: int
    refine: Refine | None = None
    hat: Hat | None = None
    more: np.ndarray | None = None

    def of(self, change: Callable[[np.ndarray], np.ndarray]) -> Score:
        """The same with each array of forms changed; their last axis has the columns, their first the groups."""
        refine, hat = self.refine, self.hat
        return dataclasses.replace(
            self, u=change(self.u), e=change(self.e), more=None if self.more is None else change(self.more),
            refine=None if refine is None else dataclasses.replace(refine, forms=change(refine.forms)),
            hat=None if hat is None else hat.of(change),
        )  # fmt: skip

    def forms(self) -> list[np.ndarray]:
        """Every array of forms."""
        found = [self.u, self.e] if self.more is None else [self.u, self.e, self.more]
        found += [] if self.refine is None else [self.refine.forms]
        return found + ([] if self.hat is None else [self.hat.roots])


@dataclass(frozen=True)
class Refine:
    """How the scan's own sums mend the rounding of a least-squares solution.

    Attributes
    ----------
    forms : ndarray of shape (groups or 1, k, p + 1)
        The k regressors on (1, z).
    inverse : ndarray of shape (k, k)
        (D'WD)⁻¹ of the regressors D.
    place : int
        Which of them is the coefficient.
    """

    forms: np.ndarray
    inverse: np.ndarray
    place: int

    @property
    def condition(self) -> float:
        """Of D'WD with every regressor scaled to one: rounding times it is the error of the solution."""
        scale = np.sqrt(np.diag(self.inverse))
        return float(np.linalg.cond(self.inverse / np.outer(scale, scale)))


@dataclass(frozen=True)
class Hat:
    """The hat matrix of a regression: a row's leverage is w |R (1, z)|².

    Attributes
    ----------
    roots : ndarray of shape (groups or 1, r, p + 1)
        R, with R'R = D'(D'WD)⁻¹D for the regressors D.
    key : object
        Scores with the same key share it.
    """

    roots: np.ndarray
    key: Hashable

    @classmethod
    def like(cls, refine: Refine) -> Hat:
        """Of the regression with these regressors; as many rows as columns are enough."""
        roots = np.linalg.cholesky(refine.inverse).T @ refine.forms
        if roots.shape[1] > roots.shape[2]:
            roots = np.array([np.linalg.qr(own, mode="r") for own in roots])
        return cls(roots, roots.tobytes())

    def of(self, change: Callable[[np.ndarray], np.ndarray]) -> Hat:
        """See `Score.of`."""
        return Hat(change(self.roots), self.key)


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
        return float(np.sqrt(self.inverse[j, j] * self.rss / self.degrees_of_freedom) / scale)

    @property
    def degrees_of_freedom(self) -> int:
        """n − k."""
        return self.rows - len(self.at)

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
        refine = Refine(np.eye(len(u))[None, self.at], self.inverse, j)
        return Score(u[None], self.form()[None], self._unit(j), len(self.at), refine, Hat.like(refine))

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
        raise Told(f"{rows} rows cannot carry {len(used) + 1} coefficients")
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
class Interacted:
    """Moments of columns and of the products T (z − z̄) of a 0/1 column T with some of them, from sums by arm.

    Attributes
    ----------
    moments : Moments
        Of all rows, the products last; solve from them as from any other.
    forms : ndarray of shape (2, p + q + 1, p + 1)
        The constant, columns and products of a row of each arm on its (1, z): what turns a form of these moments into
        one of the rows.
    """

    moments: Moments
    forms: np.ndarray

    def of_rows(self, form: np.ndarray) -> np.ndarray:
        """Forms of (1, z, products), shape (1, …, p + q + 1), as those of the rows of each arm: (2, …, p + 1)."""
        return form[0] @ self.forms


def interact(arms: Moments, products: Sequence[str], labels: Sequence[str], sums: np.ndarray) -> Interacted:
    """Moments with the products of the second arm and some columns, each less its mean in a population.

    Parameters
    ----------
    arms : Moments
        Two groups: the untreated and the treated.
    products, labels : sequence of q str
        Columns to be multiplied, and the names of the products.
    sums : ndarray of shape (p + 1,)
        Σ w (1, z) of the population whose means are taken off.
    """
    p, places = len(arms.names), [arms.names.index(name) for name in products]
    forms = np.zeros((2, p + len(places) + 1, p + 1))
    forms[:, : p + 1] = np.eye(p + 1)
    for row, place in enumerate(places, start=p + 1):
        mean, own = sums[place + 1] / sums[0], arms.cross[1]
        square = own[place + 1, place + 1] - 2 * mean * own[place + 1, 0] + mean**2 * own[0, 0]
        # Where the column is its mean in every treated row, crumbs of the subtraction are left of the product.
        if square > CRUMBS * (own[place + 1, place + 1] + mean**2 * own[0, 0]):
            forms[1, row, 0], forms[1, row, place + 1] = -mean, 1.0
    cross = (forms @ arms.cross @ forms.transpose(0, 2, 1)).sum(axis=0)
    moments = Moments(
        (*arms.names, *labels), np.concatenate([arms.shift, np.zeros(len(places))]),
        np.concatenate([arms.scale, arms.scale[places]]), cross[None], arms.rows.sum()[None],
    )  # fmt: skip
    return Interacted(moments, forms)


@dataclass(frozen=True)
class Solved:
    """A coefficient in raw units, and the score whose scan gives its variance."""

    coef: float
    score: Score


@dataclass(frozen=True)
class Partialled:
    """Outcome and treatment less their predictions from outside each fold, as linear forms of a row on (1, z).

    Attributes
    ----------
    u, v : ndarray of shape (folds, p + 1)
        Of outcome and treatment, in units of their z.
    moments : Moments
        A group a fold.
    unit : float
        Raw units of the effect for one of u / v.
    """

    u: np.ndarray
    v: np.ndarray
    moments: Moments
    unit: float

    def products(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Σ w a b of each fold's rows, for two forms a fold: shape (folds,)."""
        return np.einsum("ki,kij,kj->k", a, self.moments.cross, b)

    def solved(self) -> Solved:
        """θ = Σ w v u / Σ w v²."""
        information = float(self.products(self.v, self.v).sum())
        theta = float(self.products(self.v, self.u).sum()) / information
        return Solved(theta * self.unit, Score(self.v / information, self.u - theta * self.v, self.unit, 1))


def partially_linear(moments: Moments, y: str, t: str, x: Sequence[str]) -> Solved:
    """θ of Y = θ T + g(X) + ζ by double ML with linear nuisances out of each fold: Σ v u / Σ v².

    As `tvce` with the linear learner (Chernozhukov et al. 2018, section 4.1); the moments' groups are the folds, and
    one group means no cross-fitting.
    """
    return partialled(moments, y, t, x).solved()


def partialled(moments: Moments, y: str, t: str, x: Sequence[str]) -> Partialled:
    """Residuals of outcome and treatment by least squares outside each fold; zero forms for a fold without rows."""
    folds, size = len(moments.cross), len(moments.names) + 1
    u, v = np.zeros((folds, size)), np.zeros((folds, size))
    for k in np.flatnonzero(moments.rows):
        rest = moments.without(int(k)) if folds > 1 else moments
        u[k], v[k] = least_squares(rest, y, x).form(), least_squares(rest, t, x).form()
    return Partialled(u, v, moments, _ratio(moments, y, t))


def _ratio(moments: Moments, y: str, t: str) -> float:
    return float(moments.scale[moments.names.index(y)] / moments.scale[moments.names.index(t)])


def two_stage(moments: Moments, y: str, d: str, instruments: Sequence[str], x: Sequence[str]) -> Solved:
    """2SLS of y on d with covariates x: β = d̂'y / d̂'d, d̂ the instruments' part of d with x taken out."""
    own, first = least_squares(moments, d, x), least_squares(moments, d, [*x, *instruments])
    hat = own.form() - first.form()  # what the instruments add to the prediction of d
    total = moments.total()
    size = float(hat @ total @ own.form())
    beta = float(hat @ total @ least_squares(moments, y, x).form()) / size
    residual = least_squares(moments, y, x).form() - beta * own.form()
    unit = _ratio(moments, y, d)
    return Solved(beta * unit, Score(hat[None] / size, residual[None], unit, len(own.at) + 1))


def inflation(moments: Moments, name: str, others: Sequence[str]) -> float:
    """Variance inflation factor of one column given others: 1 / (1 − R²)."""
    fit = least_squares(moments, name, others)
    return float(fit.tss / fit.rss) if fit.rss > 0 else float("inf")


def differences(treated: Moments, control: Moments) -> np.ndarray:
    """Standardised difference of each column, √ of the mean of the arms' variances below (n − 1): shape (p,).

    Of unweighted moments; as `estimators.balance.standardised_differences` with equal weights.
    """
    means, variance = [], np.zeros(len(treated.names))  # of z: a column of mean 1e9 has few digits in its own unit
    for arm in (treated, control):
        n, total = arm.rows.sum(), arm.total()
        means.append(total[0, 1:] / total[0, 0])
        variance += np.diag(arm._centred()) / total[0, 0] * n / (n - 1) / 2
    gap, flat = means[0] - means[1], variance <= 0
    out = gap / np.sqrt(np.where(flat, 1.0, variance))
    crumb = 1e-12 * np.abs(control.means() / control.scale)
    return np.where(flat, np.where(np.abs(gap) <= crumb, 0.0, np.copysign(np.inf, gap)), out)
