"""Three systems of outcome regressions, one regression an arm: linear, nonlinear (ridge) and learned (random forest).

Each arm predicts its outcome for every unit, and gives the mean prediction again for any weights of the units, which is
what a bootstrap asks for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg, sparse

from ..imports import load
from ..linear import fit_ols

WIDEST = 250
TREES, LEAF, FEATURES, ROWS_A_TREE = 200, 5, 1 / 3, 20_000
PENALTIES = 10.0 ** np.linspace(-5, 3, 33)


@dataclass(frozen=True)
class LeastSquares:
    """One arm's (penalised) least squares.

    Attributes
    ----------
    inside : ndarray of shape (n,), bool
        The arm's units.
    design : ndarray of shape (n, q)
        Standardised features of all units, the constant first.
    penalty : ndarray of shape (q,)
        Added to the diagonal of the cross-products; zero for the constant.
    y : ndarray of shape (n,)
    """

    inside: np.ndarray
    design: np.ndarray
    penalty: np.ndarray
    y: np.ndarray

    def coefficients(self, g: np.ndarray) -> np.ndarray:
        """Coefficients for weights g of shape (n,), normalised in the arm so that the penalty keeps its meaning."""
        x, w = self.design[self.inside], g[self.inside] / g[self.inside].mean()
        gram = (x * w[:, None]).T @ x + np.diag(self.penalty)
        return linalg.solve(gram, x.T @ (w * self.y[self.inside]), assume_a="pos")

    def predict(self) -> np.ndarray:
        """Predictions for all units: shape (n,)."""
        return self.design @ self.coefficients(np.ones(len(self.y)))

    def weighted_means(self, g: np.ndarray) -> np.ndarray:
        """Mean prediction of all units after fitting with weights g of shape (n, draws): shape (draws,)."""
        average = self.design.T @ g / g.sum(axis=0)
        return np.array([average[:, b] @ self.coefficients(g[:, b]) for b in range(g.shape[1])])

    def left_out(self) -> np.ndarray:
        """Residuals of the arm's units, each predicted by the others (its penalty kept): shape (n_arm,)."""
        x, y = self.design[self.inside], self.y[self.inside]
        inverse = linalg.inv(x.T @ x + np.diag(self.penalty))
        leverage = np.einsum("ij,jk,ik->i", x, inverse, x)
        residual = y - self.predict()[self.inside]
        # A unit that fits only itself says nothing about others: the mean stands in.
        alone = leverage > 1 - 1e-8
        return np.where(alone, y - y.mean(), residual / np.where(alone, 1.0, 1 - leverage))


def linear_arm(y: np.ndarray, x: np.ndarray, names: tuple[str, ...], inside: np.ndarray) -> LeastSquares:
    """Ordinary least squares on the columns of x that vary independently in the arm.

    Raises
    ------
    ValueError
        If the arm has no more rows than columns.
    """
    fit = fit_ols(y[inside], x[inside], names)
    gone = set(fit.dropped)
    kept = [j for j, name in enumerate(names) if name not in gone]
    design = with_constant(standardised(x[:, kept]))
    return LeastSquares(inside, design, np.zeros(design.shape[1]), y)


def ridge_arm(y: np.ndarray, features: np.ndarray, inside: np.ndarray) -> LeastSquares:
    """Ridge regression on standardised features, its penalty chosen by generalised cross-validation in the arm."""
    penalty = np.full(features.shape[1] + 1, best_penalty(y[inside], features[inside]))
    penalty[0] = 0.0
    return LeastSquares(inside, with_constant(features), penalty, y)


def best_penalty(y: np.ndarray, x: np.ndarray) -> float:
    """The ridge penalty with the least n RSS / (n − df)² on a grid (Golub, Heath & Wahba 1979)."""
    centred, target = x - x.mean(axis=0), y - y.mean()
    return least_gcv(centred.T @ centred, centred.T @ target, float(target @ target), len(y))


def least_gcv(gram: np.ndarray, cross: np.ndarray, total: float, n: int) -> float:
    """See `best_penalty`: from centred cross-products X'X, X'y and y'y of n rows."""
    values, vectors = np.linalg.eigh(gram)
    values = np.maximum(values, 0.0)
    projected = (vectors.T @ cross) ** 2
    best, least = float(PENALTIES[-1] * n), np.inf
    for penalty in PENALTIES * n:
        rss = total - np.sum(projected * (values + 2 * penalty) / (values + penalty) ** 2)
        room = n - 1 - np.sum(values / (values + penalty))
        if room >= 1 and n * rss / room**2 < least:
            best, least = float(penalty), n * rss / room**2
    return best


def degree_two(x: np.ndarray) -> np.ndarray:
    """Columns, their squares and products, standardised, without columns that do not vary: shape (n, q).

    The square of an indicator is itself and is left out. Above 250 columns only the squares are added: the products of
    a category of many levels are mostly empty.
    """
    z = standardised(x)
    k = z.shape[1]
    squares = [j for j in range(k) if len(np.unique(z[:, j])) > 2]
    parts = [z, z[:, squares] ** 2]
    if has_products(k, len(squares)):
        parts += [z[:, [i]] * z[:, i + 1 :] for i in range(k - 1)]
    return standardised(np.hstack(parts))


def has_products(columns: int, squares: int) -> bool:
    """Whether the products of so many columns are among the features; see `degree_two`."""
    return columns + squares + columns * (columns - 1) // 2 <= WIDEST


def standardised(x: np.ndarray) -> np.ndarray:
    """Columns of mean zero and standard deviation one; those that do not vary are left out."""
    spread = x.std(axis=0)
    varies = spread > 1e-12 * np.maximum(np.abs(x).max(axis=0, initial=0.0), 1e-300)
    return (x[:, varies] - x[:, varies].mean(axis=0)) / spread[varies]


def with_constant(x: np.ndarray) -> np.ndarray:
    """A column of ones before the others."""
    return np.column_stack([np.ones(len(x)), x])


@dataclass(frozen=True)
class Forest:
    """One arm's random forest, as the weights with which its leaves are filled and read.

    Attributes
    ----------
    inside : ndarray of shape (n,), bool
        The arm's units.
    fill : sparse array of shape (leaves, n)
        How often a unit of the arm is in the sample of the leaf's tree.
    read : sparse array of shape (leaves, n)
        Share of the leaf in a unit's prediction. A unit of the arm is predicted by the trees that did not see it.
    y : ndarray of shape (n,)
    """

    inside: np.ndarray
    fill: sparse.csr_array
    read: sparse.csr_array
    y: np.ndarray

    def predict(self) -> np.ndarray:
        """Predictions for all units: shape (n,)."""
        leaf = (self.fill @ self.y) / self.fill.sum(axis=1)
        return self.read.T @ leaf

    def weighted_means(self, g: np.ndarray) -> np.ndarray:
        """Mean prediction of all units under weights g of shape (n, draws), to first order: shape (draws,).

        The splits are kept, so the mean is linear in y: Σ c y. A unit moves it by c times its out-of-bag residual;
        the residual inside its own leaf is smaller than the noise (the leaf holds it) and would give standard errors
        a third too small.
        """
        predicted = self.predict()
        psi = predicted.copy()
        # How much of the arm's mean prediction rests on each unit's outcome.
        reliance = self.fill.T @ (self.read.sum(axis=1) / self.fill.sum(axis=1))
        psi[self.inside] += (reliance * (self.y - predicted))[self.inside]
        return predicted.mean() + (psi - psi.mean()) @ g / g.sum(axis=0)

    def left_out(self) -> np.ndarray:
        """Residuals of the arm's units from the trees that did not see them: shape (n_arm,)."""
        return (self.y - self.predict())[self.inside]


def forest_arm(y: np.ndarray, x: np.ndarray, inside: np.ndarray, seed: int) -> Forest:
    """A forest of 200 trees, leaves of 5 units or more, a third of the columns tried at a split."""
    RandomForestRegressor = load("sklearn.ensemble").RandomForestRegressor

    n_arm = int(inside.sum())
    # scikit-learn holds x in 32 bits and takes a range below 1e-7 for a constant: no unit of measurement must matter.
    x = standardised(x)
    forest = RandomForestRegressor(
        TREES, min_samples_leaf=LEAF, max_features=FEATURES, max_samples=min(n_arm, ROWS_A_TREE),
        random_state=seed, n_jobs=1,
    ).fit(x[inside], y[inside])  # fmt: skip
    leaves, n_leaves = _leaves(forest.apply(x))
    drawn = np.zeros((len(y), TREES), dtype=np.int64)
    members = np.flatnonzero(inside)
    for tree, sample in enumerate(forest.estimators_samples_):
        drawn[members, tree] = np.bincount(sample, minlength=n_arm)
    unseen = drawn == 0
    voters = unseen.sum(axis=1, keepdims=True)
    share = np.where(voters > 0, unseen / np.maximum(voters, 1), 1 / TREES)
    return Forest(inside, _by_leaf(leaves, drawn, n_leaves), _by_leaf(leaves, share, n_leaves), y)


def _leaves(nodes: np.ndarray) -> tuple[np.ndarray, int]:
    """Leaves numbered through all trees: shape (n, trees), and how many there are."""
    out, start = np.empty(nodes.shape, dtype=np.int64), 0
    for tree in range(nodes.shape[1]):
        found, codes = np.unique(nodes[:, tree], return_inverse=True)
        out[:, tree] = codes + start
        start += len(found)
    return out, start


def _by_leaf(leaves: np.ndarray, values: np.ndarray, n_leaves: int) -> sparse.csr_array:
    unit, tree = np.nonzero(values)
    entries: Any = (values[unit, tree].astype(float), (leaves[unit, tree], unit))
    return sparse.csr_array(entries, shape=(n_leaves, len(values)))
