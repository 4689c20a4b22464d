"""A logit by Newton's method on an engine, a query a step: of all rows, and of all but each fold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..moments import Moments, independent
from ..newton import At, begin, maximise, rest_of, undoubted
from ..nuisance import outside
from ..scan.frame import Frame
from ..scan.logistic import BinaryModel
from ..scan.stream import Column, Plan
from .numbers import Layer, form, number, square, standardised, sums, symmetric
from .source import EngineSource

# Steps after which a fit is handed over to `estimators.newton`.
MAX_STEPS = 12
# An error of the coefficients, in standard deviations of a column, that the last step may leave behind.
TOLERANCE = 1e-14
# Beyond it Postgres refuses exp(); a probability of 1e-304 is zero to everything that follows.
FARTHEST = 700.0
# What is smaller than exp(−300) may underflow in products, which Postgres refuses.
SMALLEST = 300.0


def fit(
    source: EngineSource, t: Column, plan: Plan, moments: Moments, treated: np.ndarray, link: str = "logit"
) -> BinaryModel:
    """Maximum likelihood of t on a constant and the plan's columns, and outside each fold (``plan.group``).

    As `estimators.scan.logistic.fit`, whose parameters they are. Each query gives score and information a fold, so the
    error is squared each step; the models outside the folds begin a step from all rows' and are mended by their scores,
    of all folds at once, with the information that is there.

    Raises
    ------
    Refusal
        For another link; if an arm is empty, or covariates separate the arms. Where that holds only outside a fold,
        `BinaryModel.failure` has it.
    """
    if link != "logit":
        reason = f"a {link} propensity is not fitted on {source.engine}"
        raise Refusal(reason, "Declare `propensity: {link: logit}`, or raise row_budget so that memory holds the rows")
    total = treated.sum(axis=0)
    if total.min() <= 0:
        raise Refusal("an arm has no units, so there is no propensity model", "Widen the population")
    names = plan.names
    at = [moments.names.index(name) for name in names]
    kept = independent(moments._centred()[np.ix_(at, at)])
    columns = tuple(plan.columns[i] for i in kept)
    frame = Frame.like(moments, tuple(column.name for column in columns), 0)
    run = _Run(source, Plan((*columns, t), plan.weight, plan.group, plan.n_groups), frame)
    plain = begin(total[1] / total.sum(), run.k, link)
    try:
        beta, score, information, steps = _newton(run, plain)
        _check_undoubted(beta, information.sum(axis=0), total.sum())
    except _Doubted:
        beta, score, information, steps = maximise(_at(run), plain, run.names), None, None, MAX_STEPS
    models, failure = beta[None], None
    if plan.n_groups > 1:
        try:
            others, more = _outside(run, beta, score, information, rest_of(treated))
            models, steps = np.vstack([beta, others]), steps + more
        except Refusal as refusal:
            failure = refusal
    return BinaryModel(
        ("(intercept)", *(column.name for column in columns)), models, frame.shift, frame.scale,
        tuple(name for i, name in enumerate(names) if i not in set(kept)), steps, link, failure,
    )  # fmt: skip


class _Doubted(Exception):
    """The fit in few queries does not converge, or may have converged where there is no maximum."""


def _check_undoubted(beta: np.ndarray, information: np.ndarray, weight: float) -> None:
    if not undoubted(beta, information, weight):
        raise _Doubted


def probability(index: str) -> str:
    """SQL of 1 / (1 + exp(−η)) of a column η."""
    held = f"greatest({number(-FARTHEST)}, least({number(FARTHEST)}, {index}))"
    return f"{number(1.0)} / ({number(1.0)} + exp(-{held}))"


@dataclass(frozen=True)
class _Run:
    """What the queries of one fit share; the treatment is the plan's last column."""

    source: EngineSource
    plan: Plan
    frame: Frame

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns, the treatment's left out."""
        return self.plan.names[:-1]

    @property
    def k(self) -> int:
        """Coefficients."""
        return len(self.plan.columns)

    def probabilities(self, beta: np.ndarray) -> tuple[str, list[str]]:
        """A query of the rows with their propensities under some models, and the names of those columns."""
        treatment = f"c{self.k - 1}"
        index, p = Layer("f"), Layer("p")
        names = [p.add(probability(index.add(form(own)))) for own in beta]
        return p.over(index.over(standardised(self.source, self.plan, self.frame, (f"{treatment} as t",)))), names

    def by_fold(self, query: str, asked: list[str]) -> np.ndarray:
        """Sums of each fold: shape (n_groups, len(asked))."""
        out = np.zeros((self.plan.n_groups, len(asked)))
        for k, values in sums(self.source, asked, query, self.plan.group is not None).items():
            out[k] = values
        return out

    def weighted(self, sql: str) -> str:
        """Times the sampling weight."""
        return f"w * {sql}" if self.plan.weight else sql


def _newton(run: _Run, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """The solution of all rows; score and information of each fold near it: shapes (k,), (folds, k), (folds, k, k)."""
    step, before, best = np.zeros(run.k), np.inf, -np.inf
    for steps in range(1, MAX_STEPS + 1):
        score, information, likelihood, _ = _sums(run, beta)
        if not likelihood >= best - 1e-9 * abs(best):
            beta, step = beta - step / 2, step / 2
            continue
        best, step = likelihood, _solve(information.sum(axis=0), score.sum(axis=0))
        beta, size = beta + step, float(np.abs(step).max())
        if not np.abs(beta).max() < 1e3:
            raise _Doubted
        # What a Newton step leaves is c · size², with c from the last two steps.
        rate = max(1.0, size / before**2) if np.isfinite(before) and before > 0 else 1e3
        if size**2 * rate < TOLERANCE:
            return beta, score, information, steps
        before = size
    raise _Doubted


def _at(run: _Run) -> Callable[[np.ndarray], At]:
    """What `newton.maximise` asks for, by a query each time."""

    def at(beta: np.ndarray) -> At:
        score, information, likelihood, least = _sums(run, beta)
        return At(likelihood, score.sum(axis=0), information.sum(axis=0), least)

    return at


def _sums(run: _Run, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Score and information of each fold; of all rows the log-likelihood and the least ±η, + in the treated arm.

    With u = exp(−|η|) and s = ±η no digit is lost where a probability rounds to 1: the likelihood is min(s, 0) −
    ln(1 + u), its curvature u / (1 + u)², its slope ±1 times the probability of the other arm.
    """
    z, one, index, side, tail, own = [f"z{j}" for j in range(run.k)], number(1.0), *map(Layer, "fsuq")
    eta = index.add(form(beta))
    s = side.add(f"case when t = 1 then {eta} else -{eta} end")
    u = tail.add(f"exp(greatest({number(-SMALLEST)}, -abs({s})))")
    other = f"(case when {s} > 0 then {u} else {one} end) / ({one} + {u})"
    slope = own.add(run.weighted(f"(case when t = 1 then {other} else -{other} end)"))
    curvature = own.add(run.weighted(f"({u} / (({one} + {u}) * ({one} + {u})))"))
    asked = [f"sum({run.weighted(f'(least({s}, {number(0.0)}) - ln({one} + {u}))')})"]
    asked += [f"sum({slope} * {name})" for name in z] + symmetric(z, curvature) + [f"min({s})"]
    query = standardised(run.source, run.plan, run.frame, (f"c{run.k - 1} as t",))
    for layer in (index, side, tail, own):
        query = layer.over(query)
    got = run.by_fold(query, asked)
    information = np.array([square(row[1 + run.k : -1], run.k) for row in got])
    return got[:, 1 : 1 + run.k], information, float(got[:, 0].sum()), float(got[:, -1].min())


def _outside(
    run: _Run, beta: np.ndarray, score: np.ndarray | None, information: np.ndarray | None, weight: np.ndarray
) -> tuple[np.ndarray, int]:
    """The models of the rows outside each fold: shape (folds, k), and how many queries they took.

    ``score`` and ``information`` are each fold's, a step before all rows' solution; without them each fold's rest is
    fitted by itself. ``weight``, of shape (folds, 2), is that of the untreated and the treated there.
    """
    try:
        if score is None or information is None:
            raise _Doubted
        return _together(run, beta, score, information, weight.sum(axis=1))
    except _Doubted:
        return np.array([_alone(run, fold, own) for fold, own in enumerate(weight)]), MAX_STEPS


def _alone(run: _Run, fold: int, weight: np.ndarray) -> np.ndarray:
    plan = Plan(run.plan.columns, run.plan.weight)
    own = _Run(run.source.kept(f"({run.plan.group}) <> {fold}"), plan, run.frame)
    with outside(fold):
        return maximise(_at(own), begin(weight[1] / weight.sum(), run.k, "logit"), run.names)


def _together(
    run: _Run, beta: np.ndarray, score: np.ndarray, information: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, int]:
    """The models outside the folds, a query a step for all at once."""
    folds, k, z = run.plan.n_groups, run.k, [f"z{i}" for i in range(run.k)]
    rest = rest_of(information)
    moved = information @ _solve(information.sum(axis=0), score.sum(axis=0))
    # At the solution the scores of all rows are zero together, so the others have the negative of a fold's own.
    step = np.array([_solve(rest[j], moved[j] - score[j]) for j in range(folds)])
    models, before = beta + step, np.abs(step).max(axis=1)
    for steps in range(1, MAX_STEPS + 1):
        query, p = run.probabilities(models)
        slopes = [
            f"case when g <> {j} then {run.weighted(f'(t - {own})')} else {number(0.0)} end" for j, own in enumerate(p)
        ]
        layer = Layer("q")
        asked = [f"sum({layer.add(slope)} * {name})" for slope in slopes for name in z]
        scores = run.by_fold(layer.over(query), asked).sum(axis=0).reshape(folds, k)
        step = np.array([_solve(rest[j], scores[j]) for j in range(folds)])
        models, size = models + step, np.abs(step).max(axis=1)
        if not np.abs(models).max() < 1e3:
            raise _Doubted
        # The information is not that of the point reached, so each step takes away a share of the error only.
        rate = np.minimum(size / np.maximum(before, 1e-300), 0.9)
        # Ten times as much is allowed, which the rounding of sums does not reach.
        if (size * np.minimum(rate / (1 - rate), 1.0) < 10 * TOLERANCE).all():
            for own, seen, total in zip(models, rest, weight, strict=True):
                _check_undoubted(own, seen, total)
            return models, steps
        before = size
    raise _Doubted


def _solve(information: np.ndarray, score: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.solve(information, score)
    except np.linalg.LinAlgError:
        raise _Doubted from None
