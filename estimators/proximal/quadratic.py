"""Bridges of degree two with ridge, cross-fitted, in a score that stands if either of two bridges is right."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..inference import standard_error
from ..moments import Moments, independent
from ..problem import Problem
from .system import columns, scaled

# No larger: a bridge that is shrunk for prediction is shrunk too far for an effect (bias a quarter of its error at 1).
PENALTIES = tuple(10.0**power for power in range(-6, -1))
# Ridge inside the projection on the instruments: columns are in standard deviations. It is a choice of weights for the
# moments and biases nothing.
PROJECTION = 1e-3
MOST_FEATURES = 400
LEAST_FOLDS = 3
# Share of the treatment's variance that its bridge must leave.
LEAST_LEFT = 0.01


@dataclass(frozen=True)
class Learned:
    """What the score gives.

    Attributes
    ----------
    effect, std_error : float
        β, in units of the outcome (a unit of treatment).
    left : float
        Share of the treatment's variance that the treatment's bridge leaves.
    r2 : float
        Out of fold, of the outcome on its bridge.
    penalties : tuple of float
        Chosen in each fold, of the outcome's bridge.
    """

    effect: float
    std_error: float
    left: float
    r2: float
    penalties: tuple[float, ...]


@dataclass(frozen=True)
class Equation:
    """One bridge: target = regressors'θ with residuals that the instruments do not predict; places among the columns.

    ``free`` are regressors without a penalty.
    """

    target: int
    regressors: list[int]
    instruments: list[int]
    free: list[int]


def learned_bridge(problem: Problem) -> Learned:
    """β of the partially linear bridge h(W, D, X) = β D + b(W, X), by a score with two bridges.

    ψ = (D − g(Z, X)) (Y − β D − b(W, X)), where b solves E[Y − β D − b(W, X) | D, Z, X] = 0 and g solves
    E[D − g(Z, X) | W, X] = 0. ψ has mean zero if either is right, so errors of both enter as their product. Features
    are X, squares and products of X, and of the proxies with themselves and X; squares of proxies and products carry a
    ridge penalty, chosen by the moments of a held-out fold. All from the Moments of the folds.

    Raises
    ------
    Refusal
        Fewer than three folds with rows, more features than 400 or a fifth of the rows, or a treatment that its bridge
        explains (``not_identified``).
    """
    fold = problem.folds()
    values, equations = _features(problem)
    names = [str(j) for j in range(values.shape[1])]
    moments = Moments.of(values, names, problem.w, fold, problem.options.folds)
    used = [k for k in range(problem.options.folds) if moments.cross[k, 0, 0] > 0]
    if len(used) < LEAST_FOLDS:
        reason = f"bridge: quadratic is cross-fitted, and {len(used)} folds have rows"
        raise Refusal(reason, f"Declare `folds: {LEAST_FOLDS}` or more, or `bridge: linear`")
    residual, penalties = np.zeros((problem.n, 2)), []
    for k in used:
        held = fold == k
        chosen, fit = zip(*(_best(moments, equation, k, used) for equation in equations), strict=True)
        means, scale = moments.without(k).means(), moments.scale
        z = (values[held] - means) / scale
        for i, (equation, theta) in enumerate(zip(equations, fit, strict=True)):
            residual[held, i] = (z[:, equation.target] - z[:, equation.regressors] @ theta) * scale[equation.target]
            if i == 0:  # β is not part of what is taken off the outcome
                residual[held, 0] += z[:, 0] * theta[0] * scale[1]
        penalties.append(chosen[0])
    return _score(problem, residual[:, 0], residual[:, 1], tuple(penalties))


def _score(problem: Problem, y: np.ndarray, v: np.ndarray, penalties: tuple[float, ...]) -> Learned:
    """β = Σ w v y / Σ w v d, v what its bridge leaves of the treatment and y of the outcome."""
    share = problem.w / problem.w.sum()
    d = problem.t - share @ problem.t
    slope = float(share @ (v * d))
    left = slope / float(share @ d**2)
    if left < LEAST_LEFT:
        reason = f"the proxies and covariates explain {1 - left:.0%} of the treatment"
        raise Refusal(reason, "Use fewer covariates or `bridge: linear`", "not_identified")
    effect = float(share @ (v * y)) / slope
    e = y - effect * d
    psi = share * v * e / slope * problem.n
    centred = problem.y - share @ problem.y
    r2 = 1.0 - float(share @ e**2) / float(share @ centred**2)
    return Learned(effect, standard_error(psi, problem.cluster), left, r2, penalties)


def _features(problem: Problem) -> tuple[np.ndarray, tuple[Equation, Equation]]:
    """Columns (d, y, X part, Z part, W part), and the outcome's and the treatment's equations."""
    share = problem.w / problem.w.sum()
    x, z, w = (_independent(_alive(part.values, share), share) for part in columns(problem))
    parts = [_degree_two(x), *(np.column_stack([p, _degree_two(p)[:, p.shape[1] :], _products(p, x)]) for p in (z, w))]
    total = 2 + sum(part.shape[1] for part in parts)
    if total > min(MOST_FEATURES, problem.n // 5):
        reason = f"bridge: quadratic has {total} features for {problem.n} rows; at most {MOST_FEATURES} and a fifth"
        raise Refusal(reason, "Name fewer covariates for it (`proximal: {covariates: [...]}`), or `bridge: linear`")
    kept = [_independent(_alive(part, share), share) for part in parts]
    values = np.column_stack([problem.t, problem.y, *kept])
    ends = 2 + np.cumsum([0, *(part.shape[1] for part in kept)])
    own, of_z, of_w = (list(range(a, b)) for a, b in itertools.pairwise(ends))
    free = own[: x.shape[1]]  # X, Z and W hold no repeats, so they stay in front of their own squares
    outcome = Equation(1, [0, *own, *of_w], [0, *own, *of_z], [0, *free, *of_w[: w.shape[1]]])
    return values, (outcome, Equation(0, [*own, *of_z], [*own, *of_w], [*free, *of_z[: z.shape[1]]]))


def _alive(values: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Columns that vary, standardised: shape (n, m' ≤ m)."""
    spread = np.sqrt(share @ (values - share @ values) ** 2)
    varies = spread > 1e-12 * np.maximum(np.abs(values).max(axis=0, initial=0.0), 1e-300)
    return scaled(values[:, varies], share)


def _independent(values: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Columns that earlier ones do not explain; they have mean zero."""
    return values[:, independent((values * share[:, None]).T @ values)]


def _degree_two(values: np.ndarray) -> np.ndarray:
    """Columns, then their squares and products: shape (n, m (m + 3) / 2)."""
    first, second = np.triu_indices(values.shape[1])
    return np.column_stack([values, values[:, first] * values[:, second]])


def _products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Every column of a times every column of b."""
    return (a[:, :, None] * b[:, None, :]).reshape(len(a), -1)


def _best(moments: Moments, equation: Equation, held: int, used: Sequence[int]) -> tuple[float, np.ndarray]:
    """The penalty with the smallest moments in folds left out of training, and the fit with it without ``held``."""
    inner = [k for k in used if k != held]
    loss = np.zeros(len(PENALTIES))
    for k in inner:
        train = _covariance(moments.only(*(j for j in inner if j != k)))
        apart, weight = _covariance(moments.only(k)), float(moments.cross[k, 0, 0])
        a = train[np.ix_(equation.instruments, equation.instruments)]
        a = a + PROJECTION * np.eye(len(a))
        cross = apart[np.ix_(equation.instruments, equation.regressors)]
        for i, penalty in enumerate(PENALTIES):
            gap = apart[equation.instruments, equation.target] - cross @ _solve(train, equation, penalty)
            loss[i] += weight * float(gap @ np.linalg.solve(a, gap))
    best = PENALTIES[int(np.argmin(loss))]
    return best, _solve(_covariance(moments.only(*inner)), equation, best)


def _covariance(moments: Moments) -> np.ndarray:
    """Weighted covariance of the columns in the moments' scale."""
    return moments._centred() / moments.total()[0, 0]


def _solve(covariance: np.ndarray, equation: Equation, penalty: float) -> np.ndarray:
    """θ = (M'A⁻¹M + λP)⁻¹ M'A⁻¹b with the instruments' covariance A, M that with the regressors, b with the target."""
    a = covariance[np.ix_(equation.instruments, equation.instruments)]
    m = covariance[np.ix_(equation.instruments, equation.regressors)]
    b = covariance[equation.instruments, equation.target]
    right = np.linalg.solve(a + PROJECTION * np.eye(len(a)), np.column_stack([m, b]))
    ridge = np.array([1e-9 if j in equation.free else penalty for j in equation.regressors])
    return np.linalg.solve(m.T @ right[:, :-1] + np.diag(ridge), m.T @ right[:, -1])
