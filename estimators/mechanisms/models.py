"""The two regressions of a mediation analysis: of the mediator on the treatment, of the outcome on both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal, Told
from ..inference import covariance
from ..leverage import inflation
from ..linear import LinearFit, fit_ols, leverage
from ..nuisance import fit_binary, likelihood_slopes

LINEAR, PROBIT, LOGIT = "linear", "probit", "logit"


@dataclass(frozen=True)
class Sides:
    """The columns of both regressions, centred and scaled where their model is linear.

    Attributes
    ----------
    y, m, t, w : ndarray of shape (n,)
        Outcome, mediator, treatment, sampling weights.
    z : ndarray of shape (n, k)
        Covariates, each with mean 0 and standard deviation 1.
    z_names : tuple of k str
    y_model, m_model : str
        linear, probit or logit.
    y_unit, m_unit, t_unit : float
        What one step of a scaled column is in its own unit.
    low, high : float
        The two treatments that are compared, on the scale of ``t``.
    names : tuple of str
        Outcome, mediator and treatment as declared.
    """

    y: np.ndarray
    m: np.ndarray
    t: np.ndarray
    z: np.ndarray
    w: np.ndarray
    z_names: tuple[str, ...]
    y_model: str
    m_model: str
    y_unit: float
    m_unit: float
    t_unit: float
    low: float
    high: float
    names: tuple[str, str, str]

    @property
    def is_linear(self) -> bool:
        """Whether both models are, so that effects are polynomials in the coefficients."""
        return self.y_model == self.m_model == LINEAR


@dataclass(frozen=True)
class Layout:
    """Where each parameter stands in the one vector θ of both models: coefficients, and log σ where linear.

    Mediator: (1, T, Z), log σ. Outcome: (1, T, M, T·M if ``interaction``, Z), log σ.
    """

    k: int
    y_model: str
    m_model: str
    interaction: bool

    @property
    def m_size(self) -> int:
        """Parameters of the mediator's model."""
        return 2 + self.k + (self.m_model == LINEAR)

    @property
    def y_start(self) -> int:
        """Where Z begins in the outcome's coefficients."""
        return 4 if self.interaction else 3

    @property
    def size(self) -> int:
        """Parameters of both models."""
        return self.m_size + self.y_start + self.k + (self.y_model == LINEAR)

    @property
    def of_m(self) -> slice:
        """Coefficients of the mediator's model."""
        return slice(0, 2 + self.k)

    @property
    def of_y(self) -> slice:
        """Coefficients of the outcome's model."""
        return slice(self.m_size, self.m_size + self.y_start + self.k)

    @property
    def log_sigma_m(self) -> int:
        """Place of the logarithm of the mediator's residual spread (linear model only)."""
        return 2 + self.k


@dataclass(frozen=True)
class Fitted:
    """Both models.

    Attributes
    ----------
    layout : Layout
    theta : ndarray of shape (p,)
    psi : ndarray of shape (n, p)
        Influence values of θ.
    vcov : ndarray of shape (p, p)
    """

    layout: Layout
    theta: np.ndarray
    psi: np.ndarray
    vcov: np.ndarray


@dataclass(frozen=True)
class _Equation:
    theta: np.ndarray
    psi: np.ndarray
    classical: np.ndarray


def fit_sides(sides: Sides, interaction: bool, robust: bool, cluster: np.ndarray | None) -> Fitted:
    """Both models with the joint covariance of their parameters.

    Robust: HC2 for least squares and the sandwich for probit and logit, with the covariance between the models, and
    sums a cluster where one is declared. Otherwise the models' own covariances, σ taken as known (as in Imai et al.).

    Raises
    ------
    Refusal
        If a model has too many columns, the covariates explain treatment or mediator, or a probit separates.
    """
    m_side, y_side = _mediator(sides, sides.w), _outcome(sides, interaction, sides.w)
    layout = Layout(sides.z.shape[1], sides.y_model, sides.m_model, interaction)
    theta, psi = np.concatenate([m_side.theta, y_side.theta]), np.hstack([m_side.psi, y_side.psi])
    if robust or cluster is not None:
        return Fitted(layout, theta, psi, covariance(psi, cluster))
    vcov = np.zeros((layout.size, layout.size))
    vcov[: layout.m_size, : layout.m_size] = m_side.classical
    vcov[layout.m_size :, layout.m_size :] = y_side.classical
    return Fitted(layout, theta, psi, vcov)


def refit(sides: Sides, interaction: bool, times: np.ndarray) -> np.ndarray:
    """θ of a resample, in which each row stands ``times`` times (shape (n,)). Raises as `fit_sides`."""
    w, rows = sides.w * times, int(times.sum())
    return np.concatenate([_mediator(sides, w, rows).theta, _outcome(sides, interaction, w, rows).theta])


def fit_total(sides: Sides) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The outcome's model without the mediator: coefficients of (1, T, Z), influence values, classical covariance."""
    x, names = np.column_stack([sides.t, sides.z]), (sides.names[2], *sides.z_names)
    got = _fit(sides.y, x, names, sides.y_model, sides.w, sides.names[0], must=1)
    k = x.shape[1] + 1
    return got.theta[:k], got.psi[:, :k], got.classical[:k, :k]


def _mediator(sides: Sides, w: np.ndarray, rows: int | None = None) -> _Equation:
    x, names = np.column_stack([sides.t, sides.z]), (sides.names[2], *sides.z_names)
    return _fit(sides.m, x, names, sides.m_model, w, sides.names[1], must=1, rows=rows)


def _outcome(sides: Sides, interaction: bool, w: np.ndarray, rows: int | None = None) -> _Equation:
    own = [sides.t, sides.m] + ([sides.t * sides.m] if interaction else [])
    outcome, mediator, treatment = sides.names
    labels = (treatment, mediator, f"{treatment}:{mediator}")[: len(own)]
    x = np.column_stack([*own, sides.z])
    return _fit(sides.y, x, (*labels, *sides.z_names), sides.y_model, w, outcome, must=len(own), rows=rows)


def _fit(
    y: np.ndarray, x: np.ndarray, names: tuple[str, ...], model: str, w: np.ndarray, role: str, must: int,
    rows: int | None = None,
) -> _Equation:  # fmt: skip
    """One regression; the first ``must`` columns of x have to stay in it. Rows without a weight are out."""
    used = w > 0
    # Covariates first: a column that they explain is then the one that is dropped, and told.
    order = [*range(must, x.shape[1]), *range(must)]
    try:
        args = y[used], x[used][:, order], tuple(names[j] for j in order)
        if model == LINEAR:
            theta, psi, classical, dropped = _least_squares(*args, w[used], int(used.sum()) if rows is None else rows)
        else:
            theta, psi, classical, dropped = _likelihood(*args, model, w[used])
    except ValueError as few:
        raise Refusal(f"the model of '{role}' cannot be fitted: {few}", "Use fewer covariates") from None
    except _Exact:
        reason = f"'{role}' is an exact function of the other columns of its model"
        raise Refusal(reason, "Drop the covariate that determines it", "not_identified") from None
    lost = [name for name in names[:must] if name in dropped]
    if lost:
        reason = (
            f"the covariates explain '{lost[0]}' in the model of '{role}', so its effect cannot be told from theirs"
        )
        raise Refusal(reason, f"Drop the covariate that determines '{lost[0]}'", "not_identified")
    back = np.concatenate([[0], 1 + np.argsort(order), np.arange(x.shape[1] + 1, len(theta))]).astype(int)
    full = np.zeros((len(y), len(theta)))
    full[used] = psi[:, back]
    return _Equation(theta[back], full, classical[np.ix_(back, back)])


class _Exact(Exception):
    """A least-squares fit leaves nothing over."""


_Parts = tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]


def _least_squares(y: np.ndarray, x: np.ndarray, names: tuple[str, ...], w: np.ndarray, rows: int) -> _Parts:
    fit = fit_ols(y, x, names, w)
    n, e2 = len(y), w * fit.residuals**2
    variance = float(e2.sum() / w.sum()) * rows / (rows - len(fit.coef))
    if variance <= 1e-20 * float(np.average((y - y.mean()) ** 2, weights=w)):
        raise _Exact
    place = [0, *(1 + names.index(name) for name in fit.names[1:])]
    theta = np.zeros(x.shape[1] + 2)
    theta[place], theta[-1] = fit.coef, 0.5 * np.log(variance)
    psi = np.zeros((n, len(theta)))
    psi[:, place] = _hc2(fit)
    psi[:, -1] = w / w.mean() * (fit.residuals**2 - e2.sum() / w.sum()) / (2 * variance)
    classical = np.zeros((len(theta), len(theta)))
    classical[np.ix_(place, place)] = fit.bread * float(e2.sum()) / fit.degrees_of_freedom
    return theta, psi, classical, fit.dropped


def _hc2(fit: LinearFit) -> np.ndarray:
    """Influence values whose squares are HC2's: a unit of leverage one is fitted exactly and has none."""
    return fit.influence() * inflation(leverage(fit), "HC2")[:, None]


def _likelihood(y: np.ndarray, x: np.ndarray, names: tuple[str, ...], link: str, w: np.ndarray) -> _Parts:
    try:
        fit = fit_binary(y, x, names, link, w)
    except Refusal:
        raise Told(f"the {link} does not converge, because its columns separate the zeros from the ones") from None
    place = [0, *(1 + names.index(name) for name in fit.names[1:])]
    theta, psi = np.zeros(x.shape[1] + 1), np.zeros((len(y), x.shape[1] + 1))
    theta[place], psi[:, place] = fit.coef, fit.influence(y, w)
    curvature = likelihood_slopes(y, fit.eta, link)[1]
    inverse = np.linalg.inv((fit.basis.z * (w * curvature)[:, None]).T @ fit.basis.z)
    classical = np.zeros((len(theta), len(theta)))
    classical[np.ix_(place, place)] = fit.basis.raw(inverse)
    return theta, psi, classical, fit.dropped
