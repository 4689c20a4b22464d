"""Whether a logit or probit has a maximum, and where: the one rule of rows in memory, of streams and of engines.

Each supplies the sums of the likelihood at given coefficients (`At`); steps, halving, and what counts as separation, as
converged and as neither are decided here, so that the same data get the same model or the same refusal. Fits that take
fewer scans may go before it, but only their undoubted answers stand (`undoubted`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .errors import Refusal
from .laws import normal_quantile
from .moments import independent

MAX_STEPS = 100
# Share of a column's own information, given the others, below which it has none.
FLAT = 1e-13
# From this step on a direction without information is looked for before the end: there are fits that never settle. So
# many steps in a row that move coefficients, and no digit of the likelihood, are such a direction too.
PATIENCE, STALE = 20, 8
# A step that is relative to the coefficients; the second is small enough to be rounding where it no longer shrinks.
SETTLED, ROUNDING = 1e-11, 1e-7
# Beyond it a coefficient (per standard deviation) is no number to step from.
FARTHEST = 1e8
# What a fit by other steps may reach without being asked again: coefficients, a column's and the mean information.
NEAR, CLEAR, MIXED = 8.0, 1e-8, 1e-4


@dataclass(frozen=True)
class At:
    """Sums of the likelihood at coefficients of shape (k,), over rows with a weight.

    Attributes
    ----------
    likelihood : float
        Its logarithm.
    score : ndarray of shape (k,)
    information : ndarray of shape (k, k)
        Minus the second derivative.
    margin : float
        The least ±η of a row, + in the arm of the ones: above zero, the arms are separated.
    """

    likelihood: float
    score: np.ndarray
    information: np.ndarray
    margin: float


def begin(share: float, k: int, link: str) -> np.ndarray:
    """The constant alone, of a share of ones: shape (k,)."""
    beta, held = np.zeros(k), float(np.clip(share, 1e-6, 1 - 1e-6))
    beta[0] = normal_quantile(held) if link == "probit" else np.log(held / (1 - held))
    return beta


def maximise(at: Callable[[np.ndarray], At], beta: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Newton's method with step halving.

    Parameters
    ----------
    at : callable
        The sums at coefficients on standardised columns.
    beta : ndarray of shape (k,)
        Where it begins: see `begin`.
    names : sequence of k − 1 str

    Returns
    -------
    ndarray of shape (k,)
        Where the step is 1e-11 of the coefficients, or below 1e-7 and rounding.

    Raises
    ------
    Refusal
        If coefficients are reached that put every row into its arm (complete separation), or in some direction less
        than 1e-13 of the information is left or coefficients move and the likelihood does not (quasi-separation): then
        there is no maximum (Albert & Anderson 1984). If 100 steps do not settle it.
    """
    here, before, stale = at(beta), np.inf, 0
    for number in range(MAX_STEPS):
        try:
            step = np.linalg.solve(here.information, here.score)
        except np.linalg.LinAlgError:
            raise separated(names, beta) from None
        there = at(beta + step)
        while not there.likelihood >= here.likelihood - 1e-12 * abs(here.likelihood) and np.abs(step).max() > 1e-14:
            step = step / 2
            there = at(beta + step)
        stale = stale + 1 if there.likelihood - here.likelihood < 1e-14 * abs(here.likelihood) else 0
        beta, here = beta + step, there
        size, reach = float(np.abs(step).max()), 1 + float(np.abs(beta).max())
        if here.margin > 1e-9 or not reach < FARTHEST:
            raise separated(names, beta)
        settled = size < SETTLED * reach or (size < ROUNDING * reach and size > before / 2)
        if (settled or number >= PATIENCE) and len(independent(here.information, FLAT)) < len(beta):
            # The likelihood rises without end there, below its last digit.
            raise separated(names, beta)
        if settled:
            return beta
        if stale >= STALE:
            raise separated(names, beta)
        before = size
    raise unsettled(names, beta)


def undoubted(beta: np.ndarray, information: np.ndarray, weight: float) -> bool:
    """Whether a fit that converged by other steps is far from separation, so that `maximise` need not be asked.

    Parameters
    ----------
    beta : ndarray of shape (k,)
        On standardised columns.
    information : ndarray of shape (k, k)
        At or near them.
    weight : float
        Of all rows.
    """
    return (
        bool(np.abs(beta).max() < NEAR)
        and float(information[0, 0]) > MIXED * weight
        and len(independent(information, CLEAR)) == len(beta)
    )


def rest_of(sums: np.ndarray) -> np.ndarray:
    """What the other folds' sums add up to, of each fold: shape (folds, …).

    Not the total less a fold's own: where that fold holds the heavy weights, the others' digits would be lost.
    """
    return np.array([np.delete(sums, k, axis=0).sum(axis=0) for k in range(len(sums))])


def separated(names: Sequence[str] = (), beta: np.ndarray | None = None, fold: int | None = None) -> Refusal:
    """Of a fit that does not converge; names the standardised columns whose coefficients ran furthest.

    Parameters
    ----------
    names : sequence of k str
    beta : ndarray of shape (k + 1,), optional
        The coefficients reached, the constant's first.
    fold : int, optional
        Outside of which it was.
    """
    where = "" if fold is None else f"outside fold {fold}, "
    return Refusal(
        f"{where}the covariates predict the treatment perfectly{furthest(names, beta)}, for some units at least, so no "
        "propensity model converges",
        "Drop the covariate that defines the treatment, or narrow the population to where both arms occur",
    )


def unsettled(names: Sequence[str], beta: np.ndarray) -> Refusal:
    """Of a fit that neither converges nor separates the arms."""
    return Refusal(
        f"the propensity model has not converged after {MAX_STEPS} steps{furthest(names, beta)}",
        "Transform or drop covariates with extreme values, or bring the weights nearer to each other",
    )


def furthest(names: Sequence[str], beta: np.ndarray | None) -> str:
    """`` (a, b most)``: up to three columns of which the coefficients are at least half of the largest."""
    size = np.zeros(len(names)) if beta is None else np.abs(np.asarray(beta, dtype=float)[1:])
    size = np.where(np.isfinite(size), size, np.inf)
    order = np.argsort(-size, kind="stable")[:3]
    found = [names[i] for i in order if size[i] > 0 and size[i] >= size[order[0]] / 2]
    return f" ({', '.join(found)} most)" if found else ""
