"""Boosted trees of a panel's covariates, fitted to what unit and period effects leave."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from ..errors import Refusal
from ..imports import load
from ..panel.within import Within
from .learners import MOST_TREES, held_out, needs_folds

# Trees between two looks at what is left, and looks without a smaller loss before growth stops.
STEP, PATIENCE = 5, 3
# A fifth of fewer training units would not tell when to stop.
FEWEST_UNITS = 20
# No more than scikit-learn's own, so that it takes them as they are.
BINS = 250


def predict_within(
    targets: np.ndarray, x: np.ndarray, unit: np.ndarray, period: np.ndarray, w: np.ndarray, folds: np.ndarray,
    seed: int,
) -> np.ndarray:  # fmt: skip
    """Prediction of each target, up to levels of units and periods, by trees that have not seen the unit's fold.

    f minimises Σ w (Q(y − f(x)))², Q taking out unit and period effects. Trees cannot be fitted to Qy on Qx where f
    bends, because Q f(x) is no function of Qx. Here they grow on x itself, each towards Q(y − f) with the f so far,
    which is minus the loss' gradient in f. A fifth of the training units tells when to stop, and as many trees then
    grow on all of them.

    Parameters
    ----------
    targets : ndarray of shape (N, m)
    x : ndarray of shape (N, k)
        Covariates as they are, with their levels.
    unit, period : ndarray of shape (N,), int
        Codes from 0; folds keep units whole.
    w : ndarray of shape (N,)
        Weights above zero.
    folds : ndarray of shape (N,)
    seed : int

    Returns
    -------
    ndarray of shape (N, m)

    Raises
    ------
    Refusal
        Without cross-fitting, or with fewer than 20 units outside a fold.
    """
    from threadpoolctl import threadpool_limits

    if folds.max() == 0:
        raise needs_folds("boosting")
    out = np.empty(targets.shape)
    # One thread: the sums of several end in other last digits.
    with threadpool_limits(1):
        for k, held in held_out(folds):
            train, rest = _codes(unit[~held]), (period[~held], w[~held], x[~held])
            if train.max() + 1 < FEWEST_UNITS:
                reason = f"{train.max() + 1} units lie outside fold {k}, and the learner boosting needs {FEWEST_UNITS}"
                raise Refusal(reason, "Use fewer folds, or learner: linear")
            for j in range(targets.shape[1]):
                out[held, j] = _fitted(targets[~held, j], train, *rest, seed, x[held])
    return out


def _fitted(
    y: np.ndarray, unit: np.ndarray, period: np.ndarray, w: np.ndarray, x: np.ndarray, seed: int, at: np.ndarray
) -> np.ndarray:
    """Trees grown as long as it helps: their values at rows (m, k)."""
    spread = float(y.std()) or 1.0
    z, units = y / spread, int(unit.max()) + 1
    x, at = _binned(x, at)
    judge = (np.random.default_rng(seed).permutation(units) < units // 5)[unit]
    looks = _when_to_stop(z, unit, period, w, x, seed, judge)
    grown = _grown(z, Within.of(unit, _codes(period), w), x, seed)
    return spread * np.sum([trees.predict(at) for trees in islice(grown, looks)], axis=0)


def _binned(x: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranks of x and of other rows among the quantiles of x: found once, for scikit-learn would at every look."""
    cuts = [np.unique(np.quantile(column, np.arange(1, BINS) / BINS)) for column in x.T]
    of_x, of_at = (
        np.column_stack([np.searchsorted(c, v) for c, v in zip(cuts, rows.T, strict=True)]).astype(float)
        for rows in (x, at)
    )
    return of_x, of_at


def _when_to_stop(
    z: np.ndarray, unit: np.ndarray, period: np.ndarray, w: np.ndarray, x: np.ndarray, seed: int, judge: np.ndarray
) -> int:
    """Looks after which the loss of the units that judge is smallest."""
    learn, theirs = (Within.of(_codes(unit[rows]), _codes(period[rows]), w[rows]) for rows in (~judge, judge))
    left, best, least = theirs.residual(z[judge]), 1, float("inf")
    for look, trees in enumerate(_grown(z[~judge], learn, x[~judge], seed), 1):
        left = left - theirs.residual(trees.predict(x[judge]))
        loss = float(np.sum(theirs.w * left**2))
        if loss < least:
            best, least = look, loss
        elif look - best >= PATIENCE:
            break
    return best


def _grown(z: np.ndarray, within: Within, x: np.ndarray, seed: int) -> Iterator[Any]:
    """A few trees at a time, each towards what those before have left of z within."""
    HistGradientBoostingRegressor = load("sklearn.ensemble").HistGradientBoostingRegressor

    left = within.residual(z)
    for _ in range(0, MOST_TREES, STEP):
        trees = HistGradientBoostingRegressor(
            learning_rate=0.1, max_iter=STEP, max_leaf_nodes=8, early_stopping=False, random_state=seed
        )
        trees.fit(x, left, sample_weight=within.w)
        left = left - within.residual(trees.predict(x))
        yield trees


def _codes(labels: np.ndarray) -> np.ndarray:
    return np.unique(labels, return_inverse=True)[1]
