"""Nuisance functions: propensities and outcome regressions, fitted once and shared by the estimators of a study."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from .errors import Refusal
from .linear import fit_ols
from .moments import Moments, independent

MAX_STEPS = 100


@dataclass(frozen=True)
class BinaryFit:
    """A logit or probit fit.

    Attributes
    ----------
    names : tuple of str
        Kept columns, ``(intercept)`` first.
    coef : ndarray of shape (k,)
    design : ndarray of shape (n, k)
    probability : ndarray of shape (n,)
    information : ndarray of shape (k, k)
        X'WX with W the Fisher weights, the inverse of the classical covariance.
    link : str
    dropped : tuple of str
    """

    names: tuple[str, ...]
    coef: np.ndarray
    design: np.ndarray
    probability: np.ndarray
    information: np.ndarray
    link: str
    dropped: tuple[str, ...]

    def slope(self) -> np.ndarray:
        """dp/dη of each unit: shape (n,)."""
        return link_slope(self.design @ self.coef, self.link)

    def score(self, t: np.ndarray) -> np.ndarray:
        """Likelihood score of each unit: shape (n, k)."""
        return self.design * self._residual(t)[:, None]

    def _residual(self, t: np.ndarray) -> np.ndarray:
        """Derivative of the log-likelihood in the index, also where a probability rounds to 0 or 1."""
        if self.link == "logit":
            return t - self.probability
        side = np.where(t == 1, 1.0, -1.0)
        eta = side * (self.design @ self.coef)
        return side * np.exp(stats.norm.logpdf(eta) - stats.norm.logcdf(eta))

    def influence(self, t: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Influence values of the coefficients: shape (n, k).

        The score's own derivative (observed information) is the bread: with a probit the expected information, equal
        to it in expectation, holds only if the model is right.
        """
        w = np.ones(len(t)) if weights is None else weights
        bread = self.information
        if self.link == "probit":
            residual = self._residual(t)
            curvature = residual * (residual + self.design @ self.coef)
            bread = (self.design * (w * curvature)[:, None]).T @ self.design
        return np.linalg.solve(bread, (self.score(t) * w[:, None]).T).T * len(t)

    def predict(self, design: np.ndarray) -> np.ndarray:
        """Probabilities for rows of a design with the constant first: shape (n,)."""
        return inverse_link(design @ self.coef, self.link)


def inverse_link(eta: np.ndarray, link: str) -> np.ndarray:
    """Probability of a linear index."""
    return special.ndtr(eta) if link == "probit" else special.expit(eta)


def link_slope(eta: np.ndarray, link: str) -> np.ndarray:
    """Derivative of the probability in the index."""
    if link == "probit":
        return stats.norm.pdf(eta)
    p = inverse_link(eta, link)
    return p * (1 - p)


def fit_binary(
    t: np.ndarray, x: np.ndarray, names: tuple[str, ...], link: str = "logit", weights: np.ndarray | None = None
) -> BinaryFit:
    """Maximum likelihood of a 0/1 variable on a constant and x, by Fisher scoring with step halving.

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
        If the covariates separate the arms (coefficients run away) or the fit does not converge.
    """
    w = np.ones(len(t)) if weights is None else weights
    moments = Moments.of(x, names, w)
    kept = independent(moments._centred())
    shift, scale = moments.shift[kept], moments.scale[kept]
    z = np.column_stack([np.ones(len(t)), (x[:, kept] - shift) / scale])
    beta, information = _fisher_scoring(t, z, w, link)
    back = np.zeros((len(kept) + 1, len(kept) + 1))
    back[0, 0], back[0, 1:] = 1.0, -shift / scale
    back[1:, 1:] = np.diag(1.0 / scale)
    forth = np.linalg.inv(back)
    return BinaryFit(
        ("(intercept)", *(names[i] for i in kept)), back @ beta, np.column_stack([np.ones(len(t)), x[:, kept]]),
        inverse_link(z @ beta, link), forth.T @ information @ forth, link,
        tuple(n for i, n in enumerate(names) if i not in set(kept)),
    )  # fmt: skip


def _fisher_scoring(t: np.ndarray, z: np.ndarray, w: np.ndarray, link: str) -> tuple[np.ndarray, np.ndarray]:
    beta = np.zeros(z.shape[1])
    start = float(np.clip(np.average(t, weights=w), 1e-6, 1 - 1e-6))
    beta[0] = stats.norm.ppf(start) if link == "probit" else np.log(start / (1 - start))
    best = _log_likelihood(t, z @ beta, w, link)
    for _ in range(MAX_STEPS):
        score, information = _score_and_information(t, z, w, beta, link)
        try:
            step = np.linalg.solve(information, score)
        except np.linalg.LinAlgError:
            raise _separated() from None
        reached = _log_likelihood(t, z @ (beta + step), w, link)
        while not reached >= best - 1e-12 * abs(best) and np.abs(step).max() > 1e-14:
            step = step / 2
            reached = _log_likelihood(t, z @ (beta + step), w, link)
        beta, best = beta + step, reached
        if np.abs(beta).max() > 1e3:
            raise _separated()
        if np.abs(step).max() < 1e-11 * (1 + np.abs(beta).max()):
            if float(np.average(np.abs(t - inverse_link(z @ beta, link)), weights=w)) < 1e-6:
                raise _separated()
            return beta, _score_and_information(t, z, w, beta, link)[1]
    raise Refusal("the propensity model did not converge", "Use fewer covariates or check for near-separation")


def _separated() -> Refusal:
    return Refusal(
        "the covariates predict the treatment perfectly, so no propensity exists",
        "Drop the covariate that defines the treatment, or narrow the population",
    )


def _score_and_information(
    t: np.ndarray, z: np.ndarray, w: np.ndarray, beta: np.ndarray, link: str
) -> tuple[np.ndarray, np.ndarray]:
    eta = z @ beta
    p = np.clip(inverse_link(eta, link), 1e-300, 1 - 1e-16)
    d = link_slope(eta, link)
    v = p * (1 - p)
    return z.T @ (w * (t - p) * d / v), (z * (w * d**2 / v)[:, None]).T @ z


def _log_likelihood(t: np.ndarray, eta: np.ndarray, w: np.ndarray, link: str) -> float:
    sign = np.where(t == 1, eta, -eta)
    log_p = stats.norm.logcdf(sign) if link == "probit" else -np.logaddexp(0.0, -sign)
    return float(np.sum(w * log_p))


def crossfit_propensity(
    t: np.ndarray,
    x: np.ndarray,
    names: tuple[str, ...],
    link: str,
    folds: np.ndarray,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Propensity of each unit from a model that has not seen its fold; one fold means no cross-fitting."""
    n_folds = int(folds.max()) + 1
    if n_folds == 1:
        return fit_binary(t, x, names, link, weights).probability
    out = np.empty(len(t))
    for k in range(n_folds):
        held = folds == k
        fit = fit_binary(t[~held], x[~held], names, link, None if weights is None else weights[~held])
        kept = [names.index(name) for name in fit.names[1:]]
        out[held] = fit.predict(np.column_stack([np.ones(held.sum()), x[held][:, kept]]))
    return out


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
        fit = fit_ols(y, np.column_stack([x, t, x[:, list(products)] * t[:, None]]), labels, w)
        arms = []
        for a in (0.0, 1.0):
            arm = np.full(len(at), a)
            arms.append(_fitted(fit, labels, np.column_stack([at, arm, at[:, list(products)] * a])))
        return arms[0], arms[1]
    except ValueError as few:
        raise Refusal(f"the outcome regression cannot be fitted: {few}", "Use fewer covariates or folds") from None


def _fitted(fit: object, names: tuple[str, ...], at: np.ndarray) -> np.ndarray:
    kept = [names.index(name) for name in fit.names[1:]]  # type: ignore[attr-defined]
    return fit.coef[0] + at[:, kept] @ fit.coef[1:]  # type: ignore[attr-defined]
