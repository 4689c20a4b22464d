"""Out-of-fold predictions of a variable from covariates, by a named learner."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ..errors import Refusal
from ..moments import Moments

FLEXIBLE = ("lasso", "boosting")


def out_of_fold(
    learner: str, targets: np.ndarray, x: np.ndarray, weights: np.ndarray, folds: np.ndarray, seed: int
) -> np.ndarray:
    """Prediction of each target for each unit, by a learner that has not seen the unit's fold.

    Parameters
    ----------
    learner : str
        ``linear`` (least squares), ``lasso`` (penalty by 5-fold cross-validation inside the training folds) or
        ``boosting`` (histogram gradient boosting: 100 trees of at most 8 leaves, shrunk by 0.1).
    targets : ndarray of shape (n, m)
    x : ndarray of shape (n, k)
    weights : ndarray of shape (n,)
    folds : ndarray of shape (n,)
        All zero: fitted on all rows, which only ``linear`` allows.
    seed : int

    Returns
    -------
    ndarray of shape (n, m)

    Raises
    ------
    Refusal
        If one fold holds every row, or a flexible learner is asked for without cross-fitting.
    """
    if learner == "linear":
        return _linear(targets, x, weights, folds)
    if folds.max() == 0:
        raise needs_folds(learner)
    return _refitted(FITS[learner], targets, x, weights, folds, seed)


def needs_folds(learner: str) -> Refusal:
    """A flexible learner without cross-fitting."""
    return Refusal(f"the learner {learner} needs cross-fitting", "Declare folds of 2 or more, or learner: linear")


def held_out(folds: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each fold that has rows, with its mask."""
    for k in range(int(folds.max()) + 1):
        held = folds == k
        if held.all() and folds.max() > 0:
            raise Refusal("one fold holds every row", "Declare a cluster with more values, or fewer folds")
        if held.any():
            yield k, held


def _linear(targets: np.ndarray, x: np.ndarray, weights: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Least squares from Moments: a fold is dropped by subtraction, without another scan."""
    m, k = targets.shape[1], x.shape[1]
    columns = [f"x{j}" for j in range(k)]
    names = [*columns, *(f"y{j}" for j in range(m))]
    n_folds = int(folds.max()) + 1
    moments = Moments.of(np.column_stack([x, targets]), names, weights, folds, n_folds)
    out = np.empty(targets.shape)
    for fold, held in held_out(folds):
        rest = moments.without(fold) if n_folds > 1 else moments
        if rest.rows.sum() <= k + 1:
            raise Refusal(f"{int(rest.rows.sum())} rows cannot carry {k + 1} coefficients", "Use fewer covariates")
        for j in range(m):
            out[held, j] = rest.regress(f"y{j}", columns).predict(x[held])
    return out


Predict = Callable[[np.ndarray], np.ndarray]
Fit = Callable[[np.ndarray, np.ndarray, np.ndarray, int], Predict]


def _refitted(
    fit: Fit, targets: np.ndarray, x: np.ndarray, weights: np.ndarray, folds: np.ndarray, seed: int
) -> np.ndarray:
    from threadpoolctl import threadpool_limits

    out = np.empty(targets.shape)
    # One thread: the sums of several end in other last digits.
    with threadpool_limits(1):
        for _, held in held_out(folds):
            train = ~held
            for j in range(targets.shape[1]):
                out[held, j] = fit(x[train], targets[train, j], weights[train], seed)(x[held])
    return out


def lasso(x: np.ndarray, y: np.ndarray, w: np.ndarray, seed: int) -> Predict:
    """Lasso on standardised columns, its penalty by 5-fold cross-validation: the fitted function of rows (m, k)."""
    from sklearn.linear_model import LassoCV
    from sklearn.model_selection import KFold

    mean, spread = x.mean(axis=0), x.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    centre, scale = y.mean(), y.std() or 1.0
    # Shuffled, because units are often sorted by arm or site.
    model = LassoCV(cv=KFold(5, shuffle=True, random_state=seed), max_iter=10_000)
    model.fit((x - mean) / spread, (y - centre) / scale, sample_weight=w)
    return lambda at: centre + scale * model.predict((at - mean) / spread)


def boosting(x: np.ndarray, y: np.ndarray, w: np.ndarray, seed: int) -> Predict:
    """Histogram gradient boosting: the fitted function of rows (m, k)."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(
        learning_rate=0.1, max_iter=100, max_leaf_nodes=8, early_stopping=False, random_state=seed
    )
    # It holds gradients as float32: in standard units what they lose does not depend on the unit of y.
    centre, scale = y.mean(), y.std() or 1.0
    model.fit(x, (y - centre) / scale, sample_weight=w)
    return lambda at: centre + scale * model.predict(at)


FITS: dict[str, Fit] = {"lasso": lasso, "boosting": boosting}
