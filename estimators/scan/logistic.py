"""A logit by Newton's method, one scan a step: of all rows, and of all but each fold at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..moments import Moments, independent
from ..nuisance import fit_binary
from .frame import Frame
from .strata import Watch
from .stream import Block, Column, Plan, Source, blocks

SAMPLE = 100_000
MAX_SCANS = 30
# An error of the coefficients, in standard deviations of a column, that a step of this size leaves behind.
TOLERANCE = 1e-12


@dataclass(frozen=True)
class Logit:
    """Logits of a 0/1 column on a constant and columns.

    Attributes
    ----------
    names : tuple of str
        Kept columns, ``(intercept)`` first.
    beta : ndarray of shape (models, k)
        On (1, z): all rows first, then, where there are folds, the rows outside each fold.
    shift, scale : ndarray of shape (k − 1,)
    dropped : tuple of str
    scans : int
        How many it took.
    """

    names: tuple[str, ...]
    beta: np.ndarray
    shift: np.ndarray
    scale: np.ndarray
    dropped: tuple[str, ...]
    scans: int

    @property
    def coef(self) -> np.ndarray:
        """Coefficients in the columns' own units: shape (models, k)."""
        slopes = self.beta[:, 1:] / self.scale
        return np.column_stack([self.beta[:, 0] - slopes @ self.shift, slopes])


@dataclass(frozen=True)
class Sums:
    """Score, information and log-likelihood of each model (or group of rows): shapes (g, k), (g, k, k), (g,)."""

    score: np.ndarray
    information: np.ndarray
    likelihood: np.ndarray


def fit(
    source: Source, t: Column, plan: Plan, moments: Moments, treated: np.ndarray, watch: Watch | None = None
) -> Logit:
    """Maximum likelihood of t on a constant and the plan's columns, and outside each fold (``plan.group``).

    The coefficients of a sub-sample start it. Each scan gives score and information, so the error is squared: three
    scans do where one information matrix for all scans needs seven, and each costs a third more. The models outside the
    folds start from all rows' solution and each fold's own score and information (a subtraction), and need one or two
    scans more; they are fitted at once.

    Parameters
    ----------
    source : Source
        Complete rows.
    t : Column
        Values 0 and 1.
    plan : Plan
        Covariates, weight, and the fold as group. A single group means no cross-fitting.
    moments : Moments
        Of the covariates (other columns may be there), from an earlier scan.
    treated : ndarray of shape (n_groups, 2)
        Weight of the untreated and the treated in each fold.
    watch : Watch, optional
        Shown the propensities of all rows' model by scans that pass anyway, or by two more.

    Returns
    -------
    Logit
        Within 1e-10 of the optimum (`estimators.nuisance.fit_binary`), whatever threads or the order of rows.

    Raises
    ------
    Refusal
        If an arm is empty, in all rows or outside a fold, or covariates separate the arms, wholly or in part.
    """
    _check_arms(treated)
    names = plan.names
    at = [moments.names.index(name) for name in names]
    kept = independent(moments._centred()[np.ix_(at, at)])
    own = Plan((*(plan.columns[i] for i in kept), t), plan.weight, plan.group, plan.n_groups)
    frame = Frame.like(moments, own.names[:-1], own.rows())
    whole = Plan(own.columns, own.weight)
    beta = _start(source, whole, frame, int(moments.rows.sum()), treated)
    folds = plan.n_groups > 1
    beta, groups, scans = _newton(source, whole, own if folds else None, frame, beta, watch)
    out = beta[None]
    if folds:
        start = np.array([_outside(beta, groups, k) for k in range(plan.n_groups)])
        outside, more = _crossfit(source, own, frame, start, np.abs(start - beta).max(axis=1), beta, watch)
        out, scans = np.vstack([beta, outside]), scans + more
    if watch is not None and not watch.done():
        _look_again(source, whole, frame, beta, watch)
        scans += 2
    return Logit(
        ("(intercept)", *own.names[:-1]), out, frame.shift, frame.scale,
        tuple(name for i, name in enumerate(names) if i not in set(kept)), scans,
    )  # fmt: skip


def _check_arms(treated: np.ndarray) -> None:
    total = treated.sum(axis=0)
    left = [total] if len(treated) == 1 else [total, *(total - own for own in treated)]
    if any(arms.min() <= 0 for arms in left):
        raise Refusal("an arm has no units in all folds but one", "Widen the population, or use fewer folds")


def rows_of(source: Source, plan: Plan, frame: Frame) -> Iterator[tuple[Block, np.ndarray, np.ndarray]]:
    """Each block with z of the covariates, shape (k, m), and the 0/1 column that stands last in the plan."""
    for block in blocks(source, plan):
        t = block.columns.pop()
        yield block, frame.fill(block), t


def _start(source: Source, plan: Plan, frame: Frame, rows: int, treated: np.ndarray) -> np.ndarray:
    """Coefficients of about 100,000 rows that are spread over the source by a hash of their numbers."""
    share = treated.sum(axis=0)
    plain = np.zeros(len(plan.columns))
    plain[0] = np.log(share[1] / share[0])
    every = rows // SAMPLE
    drawn = source
    if every > 1:
        key = ", ".join(column.sql for column in plan.columns[:6])
        drawn = source.kept(f"hash({key}) % {every} = 0")
    parts = [
        (z[1:].T.copy(), t.copy(), None if block.weight is None else block.weight.copy())
        for block, z, t in rows_of(drawn, plan, frame)
    ]
    if not parts:
        return plain
    x, t = (np.concatenate([part[j] for part in parts]) for j in (0, 1))
    w = None if plan.weight is None else np.concatenate([part[2] for part in parts])
    try:
        sample = fit_binary(t, x, plan.names[:-1], weights=w)
    except Refusal:  # the sub-sample may separate where the whole does not
        return plain
    return sample.coef if not sample.dropped else plain


def _newton(
    source: Source, whole: Plan, folded: Plan | None, frame: Frame, beta: np.ndarray, watch: Watch | None
) -> tuple[np.ndarray, Sums, int]:
    """The solution of all rows; with folds also each fold's sums, taken by the last scan at a point near it."""
    best, step, before, left = -np.inf, np.zeros_like(beta), np.inf, np.inf
    for scan in range(1, MAX_SCANS + 1):
        plan = folded if folded is not None and left < 1e-4 else whole
        sums = group_sums(source, plan, frame, beta, watch if plan is folded else None)
        reached = float(sums.likelihood.sum())
        if not reached >= best - 1e-9 * abs(best):
            beta, step = beta - step / 2, step / 2
            continue
        best = reached
        step = _solve(sums.information.sum(axis=0), sums.score.sum(axis=0))
        size = float(np.abs(step).max())
        beta = beta + step
        _check_separation(beta, best, sums, scan, size)
        left = _left(size, before)
        if left < TOLERANCE and plan is (folded or whole):
            return beta, sums, scan
        before = size
    raise _separated()


def _left(size: float, before: float) -> float:
    """What a Newton step leaves of the error: c · size², with c from the last two steps."""
    return size**2 * max(1.0, size / before**2 if np.isfinite(before) and before > 0 else 1e3)


def _outside(beta: np.ndarray, groups: Sums, fold: int) -> np.ndarray:
    """A Newton step of the rows outside a fold, from all rows' solution."""
    information = groups.information.sum(axis=0) - groups.information[fold]
    return beta + _solve(information, groups.score.sum(axis=0) - groups.score[fold])


def _crossfit(
    source: Source, plan: Plan, frame: Frame, beta: np.ndarray, before: np.ndarray, whole: np.ndarray,
    watch: Watch | None,
) -> tuple[np.ndarray, int]:  # fmt: skip
    """The models outside each fold to their optimum, a scan a step for all at once; ``before``: the step up to here."""
    for scan in range(1, MAX_SCANS + 1):
        sums = model_sums(source, plan, frame, beta, whole, watch if scan == 1 else None)
        step = np.array([_solve(h, s) for h, s in zip(sums.information, sums.score, strict=True)])
        beta = beta + step
        size = np.abs(step).max(axis=1)
        if np.abs(beta).max() > 1e3:
            raise _separated()
        if all(_left(s, b) < TOLERANCE for s, b in zip(size, before, strict=True)):
            return beta, scan
        before = size
    raise _separated()


def _look_again(source: Source, plan: Plan, frame: Frame, beta: np.ndarray, watch: Watch) -> None:
    """Two passes of the final propensities."""
    watch.restart()
    for look in (watch.near, watch.final):
        for _, z, t in rows_of(source, plan, frame):
            look(probabilities(beta @ z), t)


def _solve(information: np.ndarray, score: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.solve(information, score)
    except np.linalg.LinAlgError:
        raise _separated() from None


def _check_separation(beta: np.ndarray, likelihood: float, sums: Sums, scan: int, size: float) -> None:
    """Covariates that separate the arms drive coefficients up by about one a step, without end."""
    weight = float(sums.information[:, 0, 0].sum())
    if np.abs(beta).max() > 1e3 or not np.isfinite(likelihood) or (scan > 12 and size > 0.3) or not weight > 0:
        raise _separated()


def _separated() -> Refusal:
    return Refusal(
        "the covariates predict the treatment perfectly, for some units at least, so no propensity model converges",
        "Drop the covariate that defines the treatment, or narrow the population to where both arms occur",
    )


def probabilities(eta: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(−η)); 0 where η is below −745."""
    with np.errstate(over="ignore"):
        return 1.0 / (1.0 + np.exp(-eta))


def _likelihood(t: np.ndarray, p: np.ndarray, w: np.ndarray | None) -> float:
    """Only to see whether a step went too far, so a probability may be held above zero."""
    each = np.log(np.maximum(np.where(t == 1, p, 1 - p), 1e-300))
    return float(each.sum() if w is None else w @ each)


def group_sums(source: Source, plan: Plan, frame: Frame, beta: np.ndarray, watch: Watch | None = None) -> Sums:
    """One coefficient vector's sums in each group of rows (all rows, where the plan has no group)."""
    k = len(beta)
    score, information = np.zeros((plan.n_groups, k)), np.zeros((plan.n_groups, k, k))
    likelihood = np.zeros(plan.n_groups)
    if watch is not None:
        watch.restart()
    for block, z, t in rows_of(source, plan, frame):
        p = probabilities(beta @ z)
        if watch is not None:
            watch.near(p, t)
        residual, root = t - p, np.sqrt(p * (1 - p))
        if block.weight is not None:
            residual, root = residual * block.weight, root * np.sqrt(block.weight)
        likelihood[0] += _likelihood(t, p, block.weight)
        if block.group is None:
            score[0] += z @ residual
            z *= root
            information[0] += z @ z.T
            continue
        order = np.argsort(block.group, kind="stable")
        ends = np.concatenate([[0], np.cumsum(np.bincount(block.group, minlength=plan.n_groups))])
        by_fold = np.zeros((plan.n_groups, block.n))
        by_fold[block.group, np.arange(block.n)] = residual
        score += by_fold @ z.T
        z *= root
        z = np.take(z, order, axis=1)
        for g in range(plan.n_groups):
            part = z[:, ends[g] : ends[g + 1]]
            information[g] += part @ part.T
    return Sums(score, information, likelihood)


def model_sums(
    source: Source, plan: Plan, frame: Frame, beta: np.ndarray, whole: np.ndarray, watch: Watch | None = None
) -> Sums:
    """Sums of each fold's model over the rows outside that fold; ``whole`` is all rows' model, for the watch."""
    models, k = beta.shape
    score, information = np.zeros((models, k)), np.zeros((models, k, k))
    scaled = np.empty_like(frame.buffer)
    for block, z, t in rows_of(source, plan, frame):
        assert block.group is not None
        if watch is not None:
            watch.final(probabilities(whole @ z), t)
        p = probabilities(beta @ z)
        residual, root = t - p, np.sqrt(p * (1 - p))
        if block.weight is not None:
            residual, root = residual * block.weight, root * np.sqrt(block.weight)
        rows, own = np.arange(block.n), block.group.astype(np.intp)
        residual[own, rows] = 0.0
        root[own, rows] = 0.0
        score += residual @ z.T
        inside = scaled[:, : block.n]
        for j in range(models):
            np.multiply(z, root[j], out=inside)
            information[j] += inside @ inside.T
    return Sums(score, information, np.zeros(models))
