"""One arm's (penalised) least squares from cross-products, with what its standard error asks of a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import linalg


@dataclass(frozen=True)
class ArmFit:
    """Least squares of one arm as forms of a row (1, f); the outcome in its standard deviations from the mean.

    Attributes
    ----------
    mean : ndarray of shape (q + 1,)
        μ(x), the prediction.
    reach : ndarray of shape (q + 1,)
        What a unit's residual moves the mean prediction of all units by, times their number: n x̄'A⁻¹x with
        A = X'X + P.
    hat : ndarray of shape (q + 1, q + 1)
        The leverage of a row f is f'Hf.
    offset : float
        The mean of reach times residual in the arm: n x̄'A⁻¹Pβ / n_arm; zero without a penalty.
    level : float
        Mean prediction of all units.
    penalty : float
        On the diagonal of A; zero for the constant.
    """

    mean: np.ndarray
    reach: np.ndarray
    hat: np.ndarray
    offset: float
    level: float
    penalty: float


def fit_arm(
    own: np.ndarray, whole: np.ndarray, change: np.ndarray, penalty: Callable[[np.ndarray], float] | None = None
) -> ArmFit:
    """Fit the outcome on features in one arm.

    Parameters
    ----------
    own : ndarray of shape (q + 2, q + 2)
        Cross-products of the arm: the constant, the features, the outcome.
    whole : ndarray of shape (q + 1,)
        Sums of the constant and the features over all units.
    change : ndarray of shape (r, q + 1)
        The regressors, the constant first, as forms of (1, f).
    penalty : callable, optional
        Gives the penalty from the arm's cross-products of the regressors and the outcome, of shape (r + 1, r + 1).
    """
    size = len(change)
    forms = linalg.block_diag(change, 1.0)
    products = forms @ own @ forms.T
    amount = 0.0 if penalty is None else penalty(products)
    diagonal = np.full(size, amount)
    diagonal[0] = 0.0
    inverse = linalg.inv(products[:size, :size] + np.diag(diagonal))
    beta = linalg.solve(products[:size, :size] + np.diag(diagonal), products[:size, -1], assume_a="pos")
    average = change @ whole / whole[0]
    reach = whole[0] * inverse @ average
    return ArmFit(
        change.T @ beta, change.T @ reach, change.T @ inverse @ change,
        float(reach @ (diagonal * beta)) / products[0, 0], float(average @ beta), amount,
    )  # fmt: skip


def centred(products: np.ndarray) -> np.ndarray:
    """Cross-products about the means: of shape (r, r) from (r + 1, r + 1) with the constant first."""
    return products[1:, 1:] - np.outer(products[1:, 0], products[0, 1:]) / products[0, 0]
