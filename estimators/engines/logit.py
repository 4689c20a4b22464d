"""A logit by Newton's method on an engine, a query a step: of all rows, and of all but each fold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..moments import Moments, independent
from ..newton import separated
from ..scan.frame import Frame
from ..scan.logistic import BinaryModel
from ..scan.stream import Column, Plan
from .numbers import Layer, form, number, square, standardised, sums, symmetric
from .source import EngineSource

MAX_STEPS = 40
# An error of the coefficients, in standard deviations of a column, that the last step may leave behind.
TOLERANCE = 1e-14
# Beyond it Postgres refuses exp(); a probability of 1e-304 is zero to everything that follows.
FARTHEST = 700.0


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
    beta, score, information, steps = _newton(run, np.log(total[1] / total[0]))
    models, failure = beta[None], None
    if plan.n_groups > 1:
        try:
            outside, more = _outside(run, beta, score, information)
            models, steps = np.vstack([beta, outside]), steps + more
        except Refusal as refusal:
            failure = refusal
    return BinaryModel(
        ("(intercept)", *(column.name for column in columns)), models, frame.shift, frame.scale,
        tuple(name for i, name in enumerate(names) if i not in set(kept)), steps, link, failure,
    )  # fmt: skip


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


def _newton(run: _Run, begin: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """The solution of all rows; score and information of each fold near it: shapes (k,), (folds, k), (folds, k, k)."""
    beta, step, before, best = np.zeros(run.k), np.zeros(run.k), np.inf, -np.inf
    beta[0] = begin
    for steps in range(1, MAX_STEPS + 1):
        score, information, likelihood = _sums(run, beta)
        if not likelihood >= best - 1e-9 * abs(best):
            beta, step = beta - step / 2, step / 2
            continue
        best, step = likelihood, _solve(information.sum(axis=0), score.sum(axis=0))
        beta, size = beta + step, float(np.abs(step).max())
        weight = float(information[:, 0, 0].sum())
        if not np.abs(beta).max() < 1e3 or not weight > 0 or (steps > 12 and size > 0.3):
            raise separated(run.names, beta)
        # What a Newton step leaves is c · size², with c from the last two steps.
        rate = max(1.0, size / before**2) if np.isfinite(before) and before > 0 else 1e3
        if size**2 * rate < TOLERANCE:
            return beta, score, information, steps
        before = size
    raise separated(run.names, beta)


def _sums(run: _Run, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    query, (p,) = run.probabilities(beta[None])
    z = [f"z{j}" for j in range(run.k)]
    own = Layer("q")
    slope, curvature = own.add(run.weighted(f"(t - {p})")), own.add(run.weighted(f"{p} * ({number(1.0)} - {p})"))
    likely = f"(case when t = 1 then {p} else {number(1.0)} - {p} end)"
    asked = [f"sum({run.weighted(f'ln(greatest({likely}, {number(1e-300)}))')})"]
    asked += [f"sum({slope} * {name})" for name in z] + symmetric(z, curvature)
    got = run.by_fold(own.over(query), asked)
    information = np.array([square(row[1 + run.k :], run.k) for row in got])
    return got[:, 1 : 1 + run.k], information, float(got[:, 0].sum())


def _outside(run: _Run, beta: np.ndarray, score: np.ndarray, information: np.ndarray) -> tuple[np.ndarray, int]:
    """The models of the rows outside each fold: shape (folds, k), and how many queries they took.

    ``score`` and ``information`` are each fold's, a step before all rows' solution.
    """
    folds, k, z = run.plan.n_groups, run.k, [f"z{i}" for i in range(run.k)]
    rest = information.sum(axis=0) - information
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
            raise _separated_outside(run, models, beta)
        # The information is not that of the point reached, so each step takes away a share of the error only.
        rate = np.minimum(size / np.maximum(before, 1e-300), 0.9)
        # Ten times as much is allowed, which the rounding of sums does not reach.
        if (size * np.minimum(rate / (1 - rate), 1.0) < 10 * TOLERANCE).all():
            return models, steps
        before = size
    raise _separated_outside(run, models, beta)


def _separated_outside(run: _Run, models: np.ndarray, whole: np.ndarray) -> Refusal:
    """Of the fold whose model ran furthest from that of all rows."""
    fold = int(np.argmax(np.abs(np.nan_to_num(models - whole, nan=np.inf)).max(axis=1)))
    return separated(run.names, models[fold], fold)


def _solve(information: np.ndarray, score: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.solve(information, score)
    except np.linalg.LinAlgError:
        raise separated() from None
