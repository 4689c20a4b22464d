"""Outcome and treatment less out-of-fold predictions: sums a fold of every pair of learners, from forms or a scan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..few_clusters import Error, is_many, of_slope
from ..moments import Moments
from ..scan import handed
from ..scan.clusters import Part, squares
from ..scan.clusters import totals as totals_of
from ..scan.frame import Frame, Grouped
from ..scan.solve import Partialled, partialled
from ..scan.stream import blocks
from ..selection_on_observables.learners import TUNED, Predict
from .problem import Streamed
from .training import Training, training_sample

# Cross-validation inside a training sample needs a few rows in each of its five parts.
LEAST_ROWS = 10
# Clusters whose sums are held here.
HELD = 100_000


@dataclass(frozen=True)
class Sums:
    """Residuals u (outcome) and v (treatment) of L learners, in standard units, added up in each of K folds.

    Attributes
    ----------
    uu, vv : ndarray of shape (K, L)
        Σ w u² and Σ w v².
    uv : ndarray of shape (K, L, L)
        Σ w u v of each learner of the outcome with each of the treatment.
    """

    uu: np.ndarray
    vv: np.ndarray
    uv: np.ndarray


@dataclass(frozen=True)
class Scanned:
    """What a scan of the predictions gave.

    Attributes
    ----------
    sums : Sums
    pilot : float
        θ near the estimates: products of ψ lose no digits with it.
    cross : ndarray of shape (L² + L, L² + L)
        Products of w v (u − pilot v) of each pair and of w v², row by row or as sums a cluster.
    clusters : int or None
    of_clusters : ndarray of shape (G, L² + L) or None
        The sums a cluster themselves, where there are no more than `HELD`; of more CR1 is taken, with the effective
        number of clusters less one as its degrees of freedom where few decide.
    """

    sums: Sums
    pilot: float
    cross: np.ndarray
    clusters: int | None
    of_clusters: np.ndarray | None = None

    def error(self, i: int, j: int, rows: int, kind: str) -> Error:
        """Of θ from outcome learner i and treatment learner j, as `estimators.selection_on_observables.tvce`."""
        learners = self.sums.uu.shape[1]
        information = self.sums.vv[:, j].sum()
        theta = self.sums.uv[:, i, j].sum() / information
        c = np.zeros(len(self.cross))
        c[i * learners + j], c[learners**2 + j] = 1.0, self.pilot - theta
        if self.of_clusters is not None:
            return of_slope(self.of_clusters @ c, self.of_clusters[:, learners**2 + j], kind)
        number = rows if self.clusters is None else self.clusters
        std_error = float(c @ self.cross @ c * number / (number - 1)) ** 0.5 / information
        if self.clusters is None:
            return Error(std_error, None, kind)
        effective = information**2 / self.cross[learners**2 + j, learners**2 + j]
        return Error(std_error, number - 1.0 if is_many(effective, 1) else max(effective - 1.0, 1.0), "CR1")


def linear_forms(problem: Streamed, moments: Moments) -> Partialled:
    """Residuals of least squares outside each fold.

    Raises
    ------
    Refusal
        Where the rows outside a fold do not suffice.
    """
    assert problem.study.treatment is not None
    x = problem.names(problem.covariate_terms())
    for k in np.flatnonzero(moments.rows):
        rows = int(moments.rows.sum() - (moments.rows[k] if len(moments.rows) > 1 else 0))
        if rows <= len(x) + 1:
            raise Refusal(f"{rows} rows cannot carry {len(x) + 1} coefficients", "Use fewer covariates")
    return partialled(moments, problem.study.outcome, problem.study.treatment, x)


def lasso_forms(problem: Streamed, moments: Moments) -> Partialled:
    """Residuals of the lasso outside each fold, its coefficients from the training sample."""
    least = linear_forms(problem, moments)
    u, v = np.zeros_like(least.u), np.zeros_like(least.v)
    places = np.array([moments.names.index(name) for name in problem.names(problem.covariate_terms())], dtype=int)
    # The fitted function is linear: its values at the shift and a scale further along each column are its coefficients.
    points = moments.shift[places] + np.vstack([np.zeros(len(places)), np.diag(moments.scale[places])])
    for k, fits in trained(problem, moments, "lasso").items():
        for forms, name, fit in zip((u, v), _targets(problem), fits, strict=True):
            target = moments.names.index(name)
            values = fit.predict(points) / moments.scale[target]
            forms[k, target + 1] = 1.0
            forms[k, 0] -= values[0] + (fit.centre - moments.shift[target]) / moments.scale[target]
            np.subtract.at(forms[k], places + 1, values[1:] - values[0])
    return Partialled(u, v, moments, least.unit)


def _targets(problem: Streamed) -> tuple[str, str]:
    assert problem.study.treatment is not None
    return problem.study.outcome, problem.study.treatment


@dataclass(frozen=True)
class Trained:
    """A fitted function of raw covariates, of shape (m, k), that predicts a variable less its centre."""

    predict: Predict
    centre: float


def trained(problem: Streamed, moments: Moments, learner: str) -> dict[int, list[Trained]]:
    """For each fold that has rows, the learners of outcome and treatment trained on the sample's rows outside it."""
    from threadpoolctl import threadpool_limits

    key = ("trained", learner, problem.covariate_terms(), problem.n_folds)
    if key in problem.cache:
        return problem.cache[key]
    sample = _training(problem)
    x, centres = sample.x[:, :-2], sample.x[:, -2:].mean(axis=0)
    targets = sample.x[:, -2:] - centres  # an outcome of mean 1e9 would cost the predictions' digits
    fits: dict[int, list[Trained]] = {}
    # One thread: the sums of several end in other last digits.
    with threadpool_limits(1):
        for k in np.flatnonzero(moments.rows).tolist():
            train = sample.fold != k
            if train.sum() < LEAST_ROWS:
                reason = f"{int(train.sum())} rows of the training sample lie outside fold {k}"
                raise Refusal(f"{reason} and {LEAST_ROWS} are needed", "Raise row_budget")
            own = (TUNED[learner](x[train], y[train], sample.weight[train], problem.study.seed) for y in targets.T)
            fits[k] = [Trained(predict, float(centre)) for predict, centre in zip(own, centres, strict=True)]
    problem.cache[key] = fits
    return fits


def _training(problem: Streamed) -> Training:
    """Covariates, outcome, treatment."""
    key = ("training", problem.covariate_terms(), problem.n_folds)
    if key not in problem.cache:
        columns = (*problem.columns(problem.covariate_terms()), *problem.columns(_targets(problem)))
        problem.cache[key] = training_sample(problem, columns)
    return problem.cache[key]


def of_forms(found: Partialled) -> Sums:
    """The sums of one learner whose residuals are linear forms."""
    uu, vv, uv = (found.products(a, b) for a, b in ((found.u, found.u), (found.v, found.v), (found.u, found.v)))
    return Sums(uu[:, None], vv[:, None], uv[:, None, None])


def scanned(problem: Streamed, moments: Moments, forms: list[Partialled], learner: str) -> Scanned:
    """One scan of the residuals of some learners with linear forms and of one trained learner, which stands last."""
    from threadpoolctl import threadpool_limits

    columns = (*problem.columns(problem.covariate_terms()), *problem.columns(_targets(problem)))
    plan = problem.plan(columns)
    read = [0, *(1 + moments.names.index(name) for name in plan.names)]
    u, v = (np.array([getattr(one, side)[:, read] for one in forms]) for side in ("u", "v"))
    models = trained(problem, moments, learner)
    size, folds = len(forms) + 1, len(moments.cross)
    sums = Sums(np.zeros((folds, size)), np.zeros((folds, size)), np.zeros((folds, size, size)))
    pilot = _pilot(problem, moments)
    frame = Frame.like(moments, plan.names, plan.rows())

    def numbers() -> Iterator[Part]:
        for block in blocks(problem.source, plan):
            grouped = Grouped.of(block, plan.n_groups)
            z = frame.fill(block, grouped.order)
            w = _ordered(block.weight, grouped, block.n)
            left = np.empty((2, size, block.n))
            for k, part in grouped.parts():
                inside = z[:, part]
                for row, own in zip(left, (u, v), strict=True):
                    if forms:
                        row[:-1, part] = own[:, k] @ inside
                at = part if grouped.order is None else grouped.order[part]
                raw = np.column_stack([column[at] for column in block.columns])
                for row, target, scale, fit in zip(left, raw.T[-2:], frame.scale[-2:], models[k], strict=True):
                    row[-1, part] = (target - fit.centre - fit.predict(raw[:, :-2])) / scale
                weighted = left[:, :, part] * w[part]
                sums.uu[k] += np.einsum("lm,lm->l", weighted[0], left[0, :, part])
                sums.vv[k] += np.einsum("lm,lm->l", weighted[1], left[1, :, part])
                sums.uv[k] += weighted[0] @ left[1, :, part].T
            keys = np.zeros(0, dtype=np.int64) if block.cluster is None else _ordered(block.cluster, grouped, block.n)
            yield keys, _numbers(left, w, pilot)

    with threadpool_limits(1):  # DuckDB decodes on the other cores
        if plan.cluster is not None and (problem.n_clusters or 0) <= HELD:
            own = totals_of(problem.source.connection, numbers())
            return Scanned(sums, pilot, own.T @ own, len(own), own)
        if plan.cluster is not None:
            clusters, cross = squares(problem.source.connection, numbers(), products=True)
            return Scanned(sums, pilot, cross, clusters)
        cross = np.zeros((size**2 + size, size**2 + size))
        for _, own in numbers():
            cross += own @ own.T
        return Scanned(sums, pilot, cross, None)


def _ordered(values: np.ndarray | None, grouped: Grouped, rows: int) -> np.ndarray:
    if values is None:
        return np.ones(rows)
    return values if grouped.order is None else values[grouped.order]


def _numbers(left: np.ndarray, w: np.ndarray, pilot: float) -> np.ndarray:
    """w v (u − pilot v) of each pair and w v² of each learner: shape (L² + L, m)."""
    u, v = left
    weighted = v * w
    pairs = weighted[None] * (u[:, None] - pilot * v[None])
    out = handed.empty(len(v) ** 2 + len(v), v.shape[1])
    return np.concatenate([pairs.reshape(-1, v.shape[1]), weighted * v], out=out)


def _pilot(problem: Streamed, moments: Moments) -> float:
    """θ of the linear learner in standard units; 0 where it leaves nothing of the treatment."""
    sums = of_forms(linear_forms(problem, moments))
    information = float(sums.vv.sum())
    return float(sums.uv.sum()) / information if information > 0 else 0.0
