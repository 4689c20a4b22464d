"""A logit or probit by Newton's method, one scan a step: of all rows, and of all but each fold at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..moments import Moments, independent
from ..newton import At, begin, maximise, rest_of, undoubted
from ..nuisance import likelihood_at, outside
from ..rare import Pooled
from .frame import Frame
from .likelihood import Sums, group_sums, model_sums, probabilities, rows_of
from .strata import Watch
from .stream import Column, Plan, Source
from .subsample import Subsample, draw, solve_each

# Scans after which a fit is handed over to Newton's method alone (`estimators.newton`).
MAX_SCANS = 12
# A first step of so many standard deviations says that the sub-sample misled.
FAR = 1.0
# An error of the coefficients, in standard deviations of a column, that a step may leave behind (a cautious guess).
TOLERANCE = 5e-11


@dataclass(frozen=True)
class BinaryModel:
    """Logits or probits of a 0/1 column on a constant and columns.

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
    link : str
    failure : Refusal or None
        Why there are no models of the rows outside the folds, where only they fail; ``beta`` then has one row.
    pooled, pooled_outside : tuple of Pooled
        Rare levels that the model of all rows pools, and those outside the folds (`estimators.rare`).
    """

    names: tuple[str, ...]
    beta: np.ndarray
    shift: np.ndarray
    scale: np.ndarray
    dropped: tuple[str, ...]
    scans: int
    link: str = "logit"
    failure: Refusal | None = None
    pooled: tuple[Pooled, ...] = ()
    pooled_outside: tuple[Pooled, ...] = ()

    @property
    def coef(self) -> np.ndarray:
        """Coefficients in the columns' own units: shape (models, k)."""
        slopes = self.beta[:, 1:] / self.scale
        return np.column_stack([self.beta[:, 0] - slopes @ self.shift, slopes])


class _Doubted(Exception):
    """The fit in few scans does not converge, or may have converged where there is no maximum."""


@dataclass(frozen=True)
class _Fit:
    """What the steps of one fit share."""

    source: Source
    whole: Plan
    folded: Plan | None
    frame: Frame
    link: str
    watch: Watch | None

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns, the treatment's left out."""
        return self.whole.names[:-1]


def fit(
    source: Source, t: Column, plan: Plan, moments: Moments, treated: np.ndarray, watch: Watch | None = None,
    link: str = "logit",
) -> BinaryModel:  # fmt: skip
    """Maximum likelihood of t on a constant and the plan's columns, and outside each fold (``plan.group``).

    The coefficients of a sub-sample begin. A scan gives score and information; the step is Newton's, corrected for the
    bend of the score by the sub-sample (`Subsample.steps`), so that two scans do where Newton's method needs four. The
    models outside the folds step once from the second scan's sums (each fold's is a subtraction) and are mended by one
    scan more, which takes their scores only.

    Parameters
    ----------
    source : Source
        Complete rows.
    t : Column
        Values 0 and 1.
    plan : Plan
        Covariates, weight, and the fold as group. A single group means no cross-fitting. What it carries (the unit)
        draws the sub-sample.
    moments : Moments
        Of the covariates (other columns may be there) by fold, by fold and arm (2 · fold + arm), or undivided.
    treated : ndarray of shape (n_groups, 2)
        Weight of the untreated and the treated in each fold.
    watch : Watch, optional
        Shown the propensities of all rows' model by scans that pass anyway, or by one or two more.
    link : logit or probit

    Returns
    -------
    BinaryModel
        Within 1e-10 of the optimum (`estimators.nuisance.fit_binary`), whatever threads or the order of rows.

    Raises
    ------
    Refusal
        If an arm is empty, or covariates separate the arms, wholly or in part. Where that holds only outside a fold,
        `BinaryModel.failure` has it.

    Source
    ------
    Jordan, Lee & Yang 2019 (JASA 114) correct Newton's steps on distributed data by one machine's likelihood.
    """
    if source.engine is not None:
        from ..engines.logit import fit as fitted
        from ..engines.source import EngineSource

        assert isinstance(source, EngineSource)
        return fitted(source, t, plan, moments, treated, link)
    total = treated.sum(axis=0)
    if total.min() <= 0:
        raise Refusal("an arm has no units, so there is no propensity model", "Widen the population")
    names = plan.names
    at = [moments.names.index(name) for name in names]
    kept = independent(moments._centred()[np.ix_(at, at)])
    columns = (*(plan.columns[i] for i in kept), t)
    frame = Frame.like(moments, tuple(column.name for column in columns[:-1]), Plan(columns).rows())
    folded = Plan(columns, plan.weight, plan.group, plan.n_groups) if plan.n_groups > 1 else None
    run = _Fit(source, Plan(columns, plan.weight), folded, frame, link, watch)
    drawn = dataclasses.replace(run.whole, carry=plan.carry)
    sample = draw(source, drawn, frame, int(moments.rows.sum()), float(total.sum()), link)
    plain = begin(total[1] / total.sum(), len(columns), link)
    try:
        near, groups, beta, scans = _newton(run, sample, plain)
        _check_undoubted(beta, groups.information.sum(axis=0), total.sum())
    except _Doubted:
        near, groups, scans = plain, None, MAX_SCANS
        beta = maximise(_sums(run.source, run.whole, frame, link), plain, run.names)
    models, failure = beta[None], None
    if folded is not None:
        here = [moments.names.index(name) for name in folded.names[:-1]]
        varying = _varying(moments, here, plan.n_groups)
        try:
            others, more = _outside(run, sample, near, groups, beta, treated, varying)
            models, scans = np.vstack([beta, others]), scans + more
        except Refusal as refusal:
            failure = refusal
    if watch is not None and not watch.done():
        scans += _look_again(run, beta)
    return BinaryModel(
        ("(intercept)", *run.whole.names[:-1]), models, frame.shift, frame.scale,
        tuple(name for i, name in enumerate(names) if i not in set(kept)), scans, link, failure,
    )  # fmt: skip


def _newton(run: _Fit, sample: Subsample, plain: np.ndarray) -> tuple[np.ndarray, Sums, np.ndarray, int]:
    """Where the last scan was taken, its sums (a fold each, where there are folds), the solution, and the scans.

    It begins at the sub-sample's maximum. Where that turns out to be far off (a few rows of a rare category may all be
    in one arm there) it begins again at the constant alone.
    """
    beta = sample.maximum(plain)
    best, before, left = -np.inf, np.inf, 0.0 if sample.is_all else np.inf
    step = np.zeros_like(beta)
    for scan in range(1, MAX_SCANS + 1):
        last = run.folded is None or left < 1e-3
        plan = run.folded if run.folded is not None and last else run.whole
        sums = group_sums(run.source, plan, run.frame, beta, run.link, run.watch if last else None)
        reached = float(sums.likelihood.sum())
        if not reached >= best - 1e-9 * abs(best):
            beta, step = beta - step / 2, step / 2
            continue
        best, at = reached, beta
        step = _whole_step(sample, at, sums)
        size = float(np.abs(step).max())
        if scan == 1 and not size < FAR:
            beta, best, step = plain, -np.inf, np.zeros_like(beta)
            continue
        if not np.isfinite(size):
            break
        beta = at + step
        left = _left(size, before)
        if left < TOLERANCE and last:
            return at, sums, beta, scan
        before = size
    raise _Doubted


def _whole_step(sample: Subsample, at: np.ndarray, sums: Sums) -> np.ndarray:
    """The step of all rows' model; infinite where there is none."""
    try:
        return _steps(sample, at, sums.score.sum(axis=0)[None], sums.information.sum(axis=0)[None], np.ones(1))[0]
    except _Doubted:
        return np.full_like(at, np.inf)


def _check_undoubted(beta: np.ndarray, information: np.ndarray, weight: float) -> None:
    if not undoubted(beta, information, weight):
        raise _Doubted


def _sums(source: Source, plan: Plan, frame: Frame, link: str) -> Callable[[np.ndarray], At]:
    """What `newton.maximise` asks for, by a scan each time."""

    def at(beta: np.ndarray) -> At:
        k = len(beta)
        likelihood, score, information, margin = 0.0, np.zeros(k), np.zeros((k, k)), np.inf
        for block, z, t in rows_of(source, plan, frame):
            one = likelihood_at(beta, t, z.T, np.ones(block.n) if block.weight is None else block.weight, link)
            likelihood, score, information = (
                likelihood + one.likelihood, score + one.score, information + one.information
            )  # fmt: skip
            margin = min(margin, one.margin)
        return At(likelihood, score, information, margin)

    return at


def _left(size: float, before: float) -> float:
    """What a step leaves of the error: c · size², with c taken a hundredfold from the last two steps."""
    c = 100 * size / before**2 if np.isfinite(before) and before > 0 else 1.0
    return size**2 * max(c, 1e-2)


def _steps(
    sample: Subsample, at: np.ndarray, score: np.ndarray, information: np.ndarray, share: np.ndarray
) -> np.ndarray:
    try:
        return sample.steps(at, score, information, share)
    except np.linalg.LinAlgError:
        raise _Doubted from None


def _varying(moments: Moments, at: list[int], n_folds: int) -> np.ndarray:
    """Which of the constant and the columns are of use outside each fold: shape (folds, k), bool."""
    by_fold = moments
    if len(moments.cross) == 2 * n_folds:
        by_fold = moments.merged(np.arange(2 * n_folds) // 2)
    out = np.ones((n_folds, len(at) + 1), dtype=bool)
    if len(by_fold.cross) == n_folds:
        for k in range(n_folds):
            out[k, 1:] = False
            out[k, 1:][independent(by_fold.without(k)._centred()[np.ix_(at, at)])] = True
    return out


def _outside(
    run: _Fit, sample: Subsample, near: np.ndarray, groups: Sums | None, whole: np.ndarray, treated: np.ndarray,
    varying: np.ndarray,
) -> tuple[np.ndarray, int]:  # fmt: skip
    """The models outside each fold: shape (folds, k), and the scans; without ``groups`` by Newton's method alone."""
    assert run.folded is not None
    left = rest_of(treated)
    if left.min() <= 0:
        fold = int(np.argmin(left.min(axis=1)))
        raise Refusal(f"outside fold {fold}, an arm has no units", "Widen the population, or use fewer folds")
    try:
        if groups is None:
            raise _Doubted
        return _together(run, sample, near, groups, whole, treated, varying)
    except _Doubted:
        return np.array([_alone(run, k, left[k], varying[k]) for k in range(len(left))]), MAX_SCANS


def _alone(run: _Fit, fold: int, weight: np.ndarray, varying: np.ndarray) -> np.ndarray:
    """The model of the rows outside one fold, standardised by themselves as in memory: shape (k,)."""
    assert run.folded is not None
    places = np.flatnonzero(varying[1:])
    *columns, t = run.folded.columns
    own = [columns[i] for i in places]
    source = run.source.kept(f"({run.folded.group}) <> {fold}")
    spread = [f"{name}({column.sql})" for name in ("avg", "stddev_pop") for column in own]
    found = np.array(source.one(", ".join(spread)), dtype=float).reshape(2, -1) if own else np.empty((2, 0))
    shift, scale = found[0], np.where(found[1] > 0, found[1], 1.0)
    plan = Plan((*own, t), run.folded.weight)
    with outside(fold):
        beta = maximise(
            _sums(source, plan, Frame.of(shift, scale, plan.rows()), run.link),
            begin(weight[1] / weight.sum(), len(own) + 1, run.link), plan.names[:-1],
        )  # fmt: skip
    slopes, out = beta[1:] / scale, np.zeros(len(varying))
    out[0] = beta[0] + slopes @ (run.frame.shift[places] - shift)
    out[1 + places] = slopes * run.frame.scale[places]
    return out


def _together(
    run: _Fit, sample: Subsample, near: np.ndarray, groups: Sums, whole: np.ndarray, treated: np.ndarray,
    varying: np.ndarray,
) -> tuple[np.ndarray, int]:  # fmt: skip
    """The models outside the folds, a scan a step for all at once."""
    assert run.folded is not None
    left = rest_of(treated)
    score = rest_of(groups.score)
    information = rest_of(groups.information)
    share = left.sum(axis=1) / treated.sum()
    known = bool(varying.all())
    beta = near + _steps(sample, near, score, information, share) if known else np.where(varying, whole, 0.0)
    before = np.abs(beta - whole).max(axis=1)
    told = (information - share[:, None, None] * sample.information(near[None])) if known else None
    for scan in range(1, MAX_SCANS + 1):
        watch = run.watch if scan == 1 else None
        sums = model_sums(
            run.source, run.folded, run.frame, beta, whole, run.link, watch, scores_only=told is not None
        )  # fmt: skip
        if told is None:
            known_at = sums.information
            step, rate = _masked(known_at, sums.score, varying), None
        else:
            # Each model's information at its own point: the scan's, moved as the sub-sample's moves.
            known_at = told + share[:, None, None] * sample.information(beta)
            step, rate = _masked(known_at, sums.score, varying), _rates(known_at, information, sample)
        size = np.abs(step).max(axis=1)
        beta = beta + step
        if not np.abs(beta).max() < 1e3:
            raise _Doubted
        if rate is None:
            remains = [_left(s, b) for s, b in zip(size, before, strict=True)]
        else:
            # Where the sub-sample knows nothing of a direction, the last step's error tells how far H has moved in it.
            remains = size * np.maximum(rate, 10 * size / np.maximum(before, 1e-300))
        if max(remains) < TOLERANCE:
            for own, seen, weight, use in zip(beta, known_at, left.sum(axis=1), varying, strict=True):
                _check_undoubted(own[use], seen[np.ix_(use, use)], weight)
            return beta, scan
        if told is not None and (size > 0.1 * before).any():
            told = None  # the sub-sample says too little: every later scan takes the information too
        before = size
    raise _Doubted


def _rates(moved: np.ndarray, scanned: np.ndarray, sample: Subsample) -> np.ndarray:
    """What the error of each predicted information leaves of an error: ‖H⁻¹ ΔH‖ times what of ΔH is noise."""
    try:
        change = np.linalg.solve(moved, moved - scanned)
    except np.linalg.LinAlgError:
        raise _Doubted from None
    return np.abs(change).sum(axis=2).max(axis=1) * sample.share_of_error


def _masked(information: np.ndarray, score: np.ndarray, varying: np.ndarray) -> np.ndarray:
    """Newton's steps of the columns that vary; none of the others."""
    both = varying[:, :, None] & varying[:, None, :]
    held = np.where(both, information, np.eye(varying.shape[1]) * ~varying[:, None, :])
    try:
        return solve_each(held, np.where(varying, score, 0.0))
    except np.linalg.LinAlgError:
        raise _Doubted from None


def look(source: Source, t: Column, plan: Plan, model: BinaryModel, watch: Watch) -> None:
    """Show a watch the propensities of all rows' model, in two passes; ``plan`` has the model's columns."""
    columns = {column.name: column for column in plan.columns}
    own = Plan((*(columns[name] for name in model.names[1:]), t), plan.weight)
    run = _Fit(source, own, None, Frame.of(model.shift, model.scale, own.rows()), model.link, watch)
    _look_again(run, model.beta[0])


def _look_again(run: _Fit, beta: np.ndarray) -> int:
    """Passes of the final propensities: one where a scan has shown such as are near them, else two."""
    assert run.watch is not None
    if run.watch.seen_once():
        _show(run, beta, run.watch.final)
        if run.watch.done():
            return 1
    run.watch.restart()
    _show(run, beta, run.watch.near)
    _show(run, beta, run.watch.final)
    return 2


def _show(run: _Fit, beta: np.ndarray, eye: Callable[[np.ndarray, np.ndarray], None]) -> None:
    for _, z, t in rows_of(run.source, run.whole, run.frame):
        eye(probabilities(beta @ z, run.link), t)
