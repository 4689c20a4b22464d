"""Out-of-fold predictions of a variable from covariates, by a named learner."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..errors import Refusal
from ..imports import load
from ..moments import Moments

FLEXIBLE = ("lasso", "boosting")
# A forest takes as long as all others together: only where it is asked for by name.
LEARNERS = ("linear", *FLEXIBLE, "forest", "best")

# Boosting: the most trees, and how long a tree may go without helping before growth stops.
MOST_TREES, PATIENCE = 500, 10
# Fewest rows of which a part is held back to tell when to stop; fewer are fitted with a fixed small number of trees.
FEWEST_TO_STOP, FEW_TREES = 100, 20
TREES, TRIAL_TREES, LEAVES = 200, 50, (5, 20, 80)


def out_of_fold(
    learner: str, targets: np.ndarray, x: np.ndarray, weights: np.ndarray, folds: np.ndarray, seed: int
) -> np.ndarray:
    """Prediction of each target for each unit, by a learner that has not seen the unit's fold.

    Parameters
    ----------
    learner : str
        ``linear`` (least squares), ``lasso`` (penalty by 5-fold cross-validation inside the training folds),
        ``boosting`` (trees until they stop helping, see `stopped_boosting`) or ``forest`` (see `forest`).
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
    return _refitted(TUNED[learner], targets, x, weights, folds, seed)


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
    LassoCV = load("sklearn.linear_model").LassoCV
    KFold = load("sklearn.model_selection").KFold

    mean, spread = x.mean(axis=0), x.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    centre, scale = y.mean(), y.std() or 1.0
    # Shuffled, because units are often sorted by arm or site.
    model = LassoCV(cv=KFold(5, shuffle=True, random_state=seed), max_iter=10_000)
    model.fit((x - mean) / spread, (y - centre) / scale, sample_weight=w)
    return lambda at: centre + scale * model.predict((at - mean) / spread)


def boosting(x: np.ndarray, y: np.ndarray, w: np.ndarray, seed: int) -> Predict:
    """Histogram gradient boosting of 100 trees: the fitted function of rows (m, k)."""
    HistGradientBoostingRegressor = load("sklearn.ensemble").HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(
        learning_rate=0.1, max_iter=100, max_leaf_nodes=8, early_stopping=False, random_state=seed
    )
    # It holds gradients as float32: in standard units what they lose does not depend on the unit of y.
    centre, scale = y.mean(), y.std() or 1.0
    model.fit(x, (y - centre) / scale, sample_weight=w)
    return lambda at: centre + scale * model.predict(at)


def stopped_boosting(x: np.ndarray, y: np.ndarray, w: np.ndarray, seed: int) -> Predict:
    """Histogram gradient boosting, its number of trees by early stopping: the fitted function of rows (m, k).

    Trees of at most 8 leaves, shrunk by 0.1, grow on four fifths of the rows until ten in a row have not lowered the
    squared error of the last fifth; then as many grow on all rows.
    """
    HistGradientBoostingRegressor = load("sklearn.ensemble").HistGradientBoostingRegressor

    # It holds gradients as float32: in standard units what they lose does not depend on the unit of y.
    centre, scale = y.mean(), y.std() or 1.0
    model = _stopped(HistGradientBoostingRegressor, x, (y - centre) / scale, w, seed)
    return lambda at: centre + scale * model.predict(at)


def _stopped(kind: Any, x: np.ndarray, y: np.ndarray, w: np.ndarray, seed: int) -> Any:
    """A boosted model with as many trees as early stopping found."""
    shape = {"learning_rate": 0.1, "max_leaf_nodes": 8, "random_state": seed}
    trees = FEW_TREES
    if len(y) >= FEWEST_TO_STOP:
        stop = {"early_stopping": True, "validation_fraction": 0.2, "n_iter_no_change": PATIENCE, "tol": 0.0}
        trees = kind(max_iter=MOST_TREES, **stop, **shape).fit(x, y, sample_weight=w).n_iter_
        # The last trees are those that did not help.
        trees = max(trees - (PATIENCE if trees < MOST_TREES else 0), 1)
    return kind(max_iter=trees, early_stopping=False, **shape).fit(x, y, sample_weight=w)


def forest(x: np.ndarray, y: np.ndarray, w: np.ndarray, seed: int) -> Predict:
    """Random forest of 200 trees, each leaf of at least 5, 20 or 80 rows: whatever predicts best out of bag.

    The fitted function of rows (m, k). For zeros and ones it is a probability.
    """
    RandomForestRegressor = load("sklearn.ensemble").RandomForestRegressor

    centre, scale = y.mean(), y.std() or 1.0
    z, tried = (y - centre) / scale, []
    for leaf in LEAVES:
        model = RandomForestRegressor(
            TRIAL_TREES, min_samples_leaf=leaf, max_features=0.5, oob_score=True, warm_start=True, random_state=seed,
        )  # fmt: skip
        with warnings.catch_warnings():
            # It warns of rows that every tree has drawn; of fifty trees, none.
            warnings.simplefilter("ignore", UserWarning)
            model.fit(x, z, sample_weight=w)
        tried.append((float(np.average((z - model.oob_prediction_) ** 2, weights=w)), leaf, model))
    model = min(tried, key=lambda one: one[:2])[2]
    model.set_params(n_estimators=TREES, oob_score=False).fit(x, z, sample_weight=w)
    return lambda at: centre + scale * model.predict(at)


def l1_logit(x: np.ndarray, t: np.ndarray, w: np.ndarray, seed: int) -> Predict:
    """Logit with an L1 penalty on standardised columns, the penalty by 5-fold cross-validation of the log-likelihood.

    The probability of 1 as a function of rows (m, k).
    """
    LogisticRegressionCV = load("sklearn.linear_model").LogisticRegressionCV
    StratifiedKFold = load("sklearn.model_selection").StratifiedKFold

    mean, spread = x.mean(axis=0), x.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    parts = StratifiedKFold(5, shuffle=True, random_state=seed)
    model = LogisticRegressionCV(
        Cs=np.logspace(-3, 2, 10), cv=parts, l1_ratios=(1.0,), solver="saga", scoring="neg_log_loss", max_iter=500,
        tol=1e-3, random_state=seed, use_legacy_attributes=False,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a path that has not quite converged is still a prediction
        model.fit((x - mean) / spread, t.astype(int), sample_weight=w)
    return lambda at: model.predict_proba((at - mean) / spread)[:, 1]


def boosted_odds(x: np.ndarray, t: np.ndarray, w: np.ndarray, seed: int) -> Predict:
    """As `stopped_boosting`, of the log-odds: the probability of 1 as a function of rows (m, k)."""
    HistGradientBoostingClassifier = load("sklearn.ensemble").HistGradientBoostingClassifier

    model = _stopped(HistGradientBoostingClassifier, x, t.astype(int), w, seed)
    return lambda at: model.predict_proba(at)[:, 1]


# Outcome and treatment regressions of `tvce`, `ope` and `iivm`, and their probabilities of a 0/1 variable.
TUNED: dict[str, Fit] = {"lasso": lasso, "boosting": stopped_boosting, "forest": forest}
ODDS: dict[str, Fit] = {"lasso": l1_logit, "boosting": boosted_odds, "forest": forest}
# The effect learners of `cate`.
FITS: dict[str, Fit] = {"lasso": lasso, "boosting": boosting}
