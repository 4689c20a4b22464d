"""Logit and probit of a 0/1 column: probabilities, slopes of the log-likelihood, and their sums over a scan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import special

from ..nuisance import probit_slopes
from .frame import Frame, Grouped
from .room import Room
from .strata import Watch
from .stream import Block, Plan, Source, blocks

LOG_ROOT_2PI = 0.5 * np.log(2 * np.pi)


@dataclass(frozen=True)
class Sums:
    """Score, information and log-likelihood of each model (or group of rows): shapes (g, k), (g, k, k), (g,)."""

    score: np.ndarray
    information: np.ndarray
    likelihood: np.ndarray


def probabilities(eta: np.ndarray, link: str = "logit", out: np.ndarray | None = None) -> np.ndarray:
    """P(T = 1) at linear indices of any shape, where ``out`` says if at all; the logit's is 0 where η is below −745."""
    if link == "probit":
        return special.ndtr(eta, out=out)
    out = np.negative(eta, out=out)
    with np.errstate(over="ignore"):
        np.exp(out, out=out)
    out += 1.0
    return np.reciprocal(out, out=out)


def slopes(t: np.ndarray, eta: np.ndarray, p: np.ndarray, link: str = "logit") -> tuple[np.ndarray, np.ndarray]:
    """First and minus second derivative of a row's log-likelihood in its index, as `nuisance.likelihood_slopes`.

    Parameters
    ----------
    t : ndarray of shape (m,), values 0 and 1
    eta, p : ndarray of shape (m,) or (models, m)
        Index and its probability.
    link : logit or probit
    """
    if link == "probit":
        return probit_slopes(t, eta)
    return t - p, p * (1 - p)


def slope_of(t: np.ndarray, eta: np.ndarray, p: np.ndarray, link: str = "logit") -> np.ndarray:
    """The first of `slopes` alone."""
    if link != "probit":
        return t - p
    return probit_slopes(t, eta)[0]


def density(eta: np.ndarray, p: np.ndarray, link: str = "logit") -> np.ndarray:
    """dp/dη at an index and its probability: shape (m,)."""
    return np.exp(-0.5 * eta**2 - LOG_ROOT_2PI) if link == "probit" else p * (1 - p)


def log_likelihood(t: np.ndarray, p: np.ndarray, w: np.ndarray | None) -> float:
    """Only to see whether a step went too far, so a probability may be held above zero."""
    each = np.log(np.maximum(np.where(t == 1, p, 1 - p), 1e-300))
    return float(each.sum() if w is None else w @ each)


def rows_of(source: Source, plan: Plan, frame: Frame) -> Iterator[tuple[Block, np.ndarray, np.ndarray]]:
    """Each block with z of the covariates, shape (k, m), and the 0/1 column that stands last in the plan."""
    for block in blocks(source, plan):
        t = block.columns.pop()
        yield block, frame.fill(block), t


def group_sums(
    source: Source, plan: Plan, frame: Frame, beta: np.ndarray, link: str = "logit", watch: Watch | None = None
) -> Sums:
    """One coefficient vector's sums in each group of rows (all rows, where the plan has no group).

    The log-likelihood is that of all rows; a watch is shown the probabilities as those near the final ones.
    """
    k = len(beta)
    score, information = np.zeros((plan.n_groups, k)), np.zeros((plan.n_groups, k, k))
    likelihood = np.zeros(plan.n_groups)
    if watch is not None:
        watch.restart()
    for block in blocks(source, plan):
        t, grouped = block.columns.pop(), Grouped.of(block, plan.n_groups)
        z, w = frame.fill(block, grouped.order), block.weight
        if grouped.order is not None:
            t, w = t[grouped.order], None if w is None else w[grouped.order]
        eta = beta @ z
        p = probabilities(eta, link)
        if watch is not None:
            watch.near(p, t)
        slope, curvature = slopes(t, eta, p, link)
        if w is not None:
            slope, curvature = slope * w, curvature * w
        likelihood[0] += log_likelihood(t, p, w)
        root = np.sqrt(curvature)
        for g, rows in grouped.parts():
            inside = z[:, rows]
            score[g] += inside @ slope[rows]
            inside *= root[rows]
            information[g] += inside @ inside.T
    return Sums(score, information, likelihood)


def model_sums(
    source: Source, plan: Plan, frame: Frame, beta: np.ndarray, whole: np.ndarray, link: str = "logit",
    watch: Watch | None = None, scores_only: bool = False,
) -> Sums:  # fmt: skip
    """Sums of each fold's model over the rows outside that fold; the information is zero with ``scores_only``.

    ``whole`` is all rows' model: its probabilities are shown to a watch as the final ones.
    """
    models, k = beta.shape
    score, information, room = np.zeros((models, k)), np.zeros((models, k, k)), Room()
    for block, z, t in rows_of(source, plan, frame):
        assert block.group is not None
        if watch is not None:
            watch.final(probabilities(whole @ z, link), t)
        eta = np.matmul(beta, z, out=room.take("eta", models, block.n))
        p = probabilities(eta, link, out=room.take("p", models, block.n))
        curvature = None if scores_only else slopes(t, eta, p, link)[1]
        slope = np.subtract(t, p, out=p) if link == "logit" else slope_of(t, eta, p, link)
        if block.weight is not None:
            slope *= block.weight
        rows, own = np.arange(block.n), block.group.astype(np.intp)
        slope[own, rows] = 0.0
        score += slope @ z.T
        if curvature is None:
            continue
        root = np.sqrt(curvature if block.weight is None else curvature * block.weight)
        root[own, rows] = 0.0
        for j in range(models):
            inside = np.multiply(z, root[j], out=room.take("scaled", k, block.n))
            information[j] += inside @ inside.T
    return Sums(score, information, np.zeros(models))
