"""Nuisance functions: propensities and outcome regressions, fitted once and shared by the estimators of a study."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from scipy import special

from . import newton
from .errors import Refusal
from .laws import normal_density
from .linear import Basis, fit_ols
from .moments import Moments, independent
from .rare import Judged, Pooled, judge, pooled_fit, splits_in_memory, without


@dataclass(frozen=True)
class BinaryFit:
    """A logit or probit fit.

    Attributes
    ----------
    names : tuple of str
        Kept columns, ``(intercept)`` first.
    coef : ndarray of shape (k,)
        In the columns' own units.
    start : float
        The index where the kept columns are at the basis' shift.
    basis : Basis
        The kept columns, standardised.
    eta, probability : ndarray of shape (n,)
        Linear index and probability.
    link : str
    dropped : tuple of str
        Columns that others explain, or whose level is pooled.
    pooled : tuple of Pooled
        Rare levels that the model pools (`estimators.rare`).
    """

    names: tuple[str, ...]
    coef: np.ndarray
    start: float
    basis: Basis
    eta: np.ndarray
    probability: np.ndarray
    link: str
    dropped: tuple[str, ...]
    pooled: tuple[Pooled, ...] = ()

    @property
    def design(self) -> np.ndarray:
        """The constant and the kept columns in their own units: shape (n, k)."""
        return self.basis.design

    def slope(self) -> np.ndarray:
        """dp/dη of each unit: shape (n,)."""
        return link_slope(self.eta, self.link)

    def score(self, t: np.ndarray) -> np.ndarray:
        """Likelihood score of each unit: shape (n, k)."""
        return self.design * likelihood_slopes(t, self.eta, self.link)[0][:, None]

    def standard_influence(self, t: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Influence values of the coefficients on the basis: shape (n, k).

        What is derived in them keeps its digits on a column of mean 1e9. The score's own derivative (observed
        information) is the bread: with a probit the expected information, equal to it in expectation, holds only if
        the model is right.
        """
        w = np.ones(len(t)) if weights is None else weights
        slope, curvature = likelihood_slopes(t, self.eta, self.link)
        z = self.basis.z
        bread = (z * (w * curvature)[:, None]).T @ z
        return np.linalg.solve(bread, (z * (w * slope)[:, None]).T).T * len(t)

    def influence(self, t: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Influence values of the coefficients in the columns' own units: shape (n, k)."""
        return self.standard_influence(t, weights) @ self.basis.back.T

    def predict(self, design: np.ndarray) -> np.ndarray:
        """Probabilities for rows of a design with the constant first: shape (n,)."""
        # Not design @ coef: a column of mean 1e9 would cost the index half of its digits.
        return inverse_link(self.start + (design[:, 1:] - self.basis.shift) @ self.coef[1:], self.link)


def inverse_link(eta: np.ndarray, link: str) -> np.ndarray:
    """Probability of a linear index."""
    return special.ndtr(eta) if link == "probit" else special.expit(eta)


def link_slope(eta: np.ndarray, link: str) -> np.ndarray:
    """Derivative of the probability in the index."""
    if link == "probit":
        return normal_density(eta)
    p = inverse_link(eta, link)
    return p * (1 - p)


def likelihood_slopes(t: np.ndarray, eta: np.ndarray, link: str) -> tuple[np.ndarray, np.ndarray]:
    """First and minus second derivative of each unit's log-likelihood in its index η: shapes (n,).

    Right also where a probability rounds to 0 or 1.
    """
    if link == "logit":
        p = special.expit(eta)
        return t - p, p * special.expit(-eta)
    return probit_slopes(t, eta)


def probit_slopes(t: np.ndarray, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`likelihood_slopes` of a probit: ±λ and λ (λ + s), with λ = φ(s) / Φ(s) = √(2/π) / erfcx(−s/√2) and s = ±η.

    Not exp(log φ − log Φ): far on the wrong side both logarithms are near −η²/2, and of λ + s, about −1/s, no digit is
    left beyond η of 1e4.
    """
    side = np.where(t == 1, 1.0, -1.0)
    s = side * eta
    ratio = np.sqrt(2 / np.pi) / special.erfcx(-s / np.sqrt(2))
    return side * ratio, np.maximum(ratio * (ratio + s), 0.0)


def fit_binary(
    t: np.ndarray, x: np.ndarray, names: tuple[str, ...], link: str = "logit", weights: np.ndarray | None = None
) -> BinaryFit:
    """Maximum likelihood of a 0/1 variable on a constant and x, by Newton's method with step halving.

    Parameters
    ----------
    t : ndarray of shape (n,), values 0 and 1
    x : ndarray of shape (n, k)
    names : tuple of k str
    link : logit or probit
    weights : ndarray of shape (n,), optional

    Raises
    ------
    Refusal
        If all units with a weight are in one arm, or the covariates separate the arms, wholly or in part
        (`newton.maximise`).
    """
    w = np.ones(len(t)) if weights is None else weights
    if not (w[t == 1].sum() > 0 and w[t == 0].sum() > 0):
        treated, untreated = (int(np.sum(t == arm)) if w[t == arm].sum() > 0 else 0 for arm in (1, 0))
        raise Refusal(
            f"{treated} treated and {untreated} untreated units cannot make a propensity model",
            "Widen the population, or use fewer folds",
        )
    moments = Moments.of(x, names, w)
    kept = independent(moments._centred())
    basis = Basis.of(x[:, kept], moments.shift[kept], moments.scale[kept])
    beta = newton.maximise(
        lambda b: likelihood_at(b, t, basis.z, w, link),
        newton.begin(float(np.average(t, weights=w)), len(kept) + 1, link), tuple(names[i] for i in kept),
    )  # fmt: skip
    eta = basis.z @ beta
    return BinaryFit(
        ("(intercept)", *(names[i] for i in kept)), basis.back @ beta, float(beta[0]), basis, eta,
        inverse_link(eta, link), link, tuple(n for i, n in enumerate(names) if i not in set(kept)),
    )  # fmt: skip


def likelihood_at(beta: np.ndarray, t: np.ndarray, z: np.ndarray, w: np.ndarray, link: str) -> newton.At:
    """The sums that `newton.maximise` asks for, of rows in memory or of a block of a stream.

    Parameters
    ----------
    beta : ndarray of shape (k,)
    t, w : ndarray of shape (n,)
    z : ndarray of shape (n, k)
        The constant first.
    """
    eta = z @ beta
    slope, curvature = likelihood_slopes(t, eta, link)
    sides = np.where(t == 1, eta, -eta)[w > 0]
    return newton.At(
        _log_likelihood(t, eta, w, link), z.T @ (w * slope), (z * (w * curvature)[:, None]).T @ z,
        float(sides.min()) if len(sides) else np.inf,
    )  # fmt: skip


def fit_pooling(
    t: np.ndarray, x: np.ndarray, names: tuple[str, ...], link: str = "logit", weights: np.ndarray | None = None
) -> BinaryFit:
    """`fit_binary` of all rows, with levels too rare for it pooled: see `estimators.rare`."""
    used = np.ones(len(t), dtype=bool) if weights is None else weights > 0

    def fitted(left_out: frozenset[str]) -> BinaryFit:
        own, columns = without(x, names, left_out)
        fit = fit_binary(t, own, columns, link, weights)
        return dataclasses.replace(fit, dropped=(*fit.dropped, *sorted(left_out)))

    def judged() -> Judged:
        one_fold = np.zeros(len(t), dtype=np.int64)
        return judge(*splits_in_memory(names, x, t, one_fold, used), whole=True)

    fit, pooled = pooled_fit(fitted, judged)
    return dataclasses.replace(fit, pooled=pooled)


def _log_likelihood(t: np.ndarray, eta: np.ndarray, w: np.ndarray, link: str) -> float:
    sign = np.where(t == 1, eta, -eta)
    log_p = special.log_ndtr(sign) if link == "probit" else -np.logaddexp(0.0, -sign)
    return float(np.sum(w * log_p))


def crossfit_propensity(
    t: np.ndarray,
    x: np.ndarray,
    names: tuple[str, ...],
    link: str,
    folds: np.ndarray,
    weights: np.ndarray | None = None,
) -> tuple[np.ndarray, tuple[Pooled, ...]]:
    """Propensity of each unit from a model that has not seen its fold, and the rare levels that these models pool.

    One fold means no cross-fitting. All folds pool the same levels: see `estimators.rare`.
    """
    n_folds = int(folds.max()) + 1
    if n_folds == 1:
        whole = fit_pooling(t, x, names, link, weights)
        return whole.probability, whole.pooled
    used = np.ones(len(t), dtype=bool) if weights is None else weights > 0

    def fitted(left_out: frozenset[str]) -> np.ndarray:
        own, columns = without(x, names, left_out)
        out = np.empty(len(t))
        for k in range(n_folds):
            held = folds == k
            if held.any():
                w = None if weights is None else weights[~held]
                with outside(k):
                    fit = fit_binary(t[~held], own[~held], columns, link, w)
                kept = [columns.index(name) for name in fit.names[1:]]
                out[held] = fit.predict(np.column_stack([np.ones(held.sum()), own[held][:, kept]]))
        return out

    return pooled_fit(fitted, lambda: judge(*splits_in_memory(names, x, t, folds, used), whole=False))


@contextmanager
def outside(fold: int) -> Iterator[None]:
    """A refusal inside says outside which fold it was."""
    try:
        yield
    except Refusal as bad:
        raise Refusal(f"outside fold {fold}, {bad.reason}", bad.mend, bad.status) from None


def outcome_regressions(
    y: np.ndarray,
    t: np.ndarray,
    x: np.ndarray,
    names: tuple[str, ...],
    products: tuple[int, ...] | None,
    folds: np.ndarray,
    weights: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """E[Y | T=0, X] and E[Y | T=1, X] of each unit by least squares, each fold from the others.

    Parameters
    ----------
    products : tuple of int or None
        None fits each arm by itself. A tuple fits one regression with the treatment and its products with those
        columns of x (an empty tuple: none).
    folds : ndarray of shape (n,)
        All zero means no cross-fitting.
    """
    w = np.ones(len(y)) if weights is None else weights
    mu0, mu1 = np.empty(len(y)), np.empty(len(y))
    for k in range(int(folds.max()) + 1):
        held = folds == k
        train = ~held if folds.max() > 0 else held
        mu0[held], mu1[held] = _predict_arms(y[train], t[train], x[train], names, products, w[train], x[held])
    return mu0, mu1


def _predict_arms(
    y: np.ndarray, t: np.ndarray, x: np.ndarray, names: tuple[str, ...], products: tuple[int, ...] | None,
    w: np.ndarray, at: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    try:
        if products is None:
            return tuple(_fitted(fit_ols(y[t == a], x[t == a], names, w[t == a]), names, at) for a in (0, 1))  # type: ignore[return-value]
        extra = tuple(f"(treatment):{names[j]}" for j in products)
        labels = (*names, "(treatment)", *extra)
        # A product with a column of mean 1e9 would look collinear with the treatment; without its mean it does not.
        own = list(products)
        centre = x[:, own].mean(axis=0)
        fit = fit_ols(y, np.column_stack([x, t, (x[:, own] - centre) * t[:, None]]), labels, w)
        arms = []
        for a in (0.0, 1.0):
            arm = np.full(len(at), a)
            arms.append(_fitted(fit, labels, np.column_stack([at, arm, (at[:, own] - centre) * a])))
        return arms[0], arms[1]
    except ValueError as few:
        raise Refusal(f"the outcome regression cannot be fitted: {few}", "Use fewer covariates or folds") from None


def _fitted(fit: object, names: tuple[str, ...], at: np.ndarray) -> np.ndarray:
    kept = [names.index(name) for name in fit.names[1:]]  # type: ignore[attr-defined]
    return fit.predict(at[:, kept])  # type: ignore[attr-defined]
