"""One scan more for the variances that sums of the shared scan cannot give: of clusters, and of adjusted strata."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..scan import clusters, handed
from ..scan.doubly_robust import DoublyRobust
from ..scan.stratified import Cells, Differences, Regressions, between
from ..scan.weighting import Hajek, Rows
from .carried import factor_of
from .problem import Streamed
from .weighing import Weighed

Run = tuple[str, str]


@dataclass(frozen=True)
class Spread:
    """Σ ψ² of an estimate (with clusters: of sums a cluster, with its factor), in the standardised outcome's units.

    Attributes
    ----------
    square : float
    clusters : int or None
    effect : float or None
        The estimate itself, where the scan refined it.
    shares : float
        What the sampling of the strata's shares adds, where that is not in ψ: without clusters.
    """

    square: float
    clusters: int | None
    effect: float | None = None
    shares: float = 0.0

    def std_error(self) -> float:
        """√Σ ψ², with the shares' part."""
        return float((self.square + self.shares) ** 0.5)


@dataclass(frozen=True)
class _Lines:
    """Influence values that are computed together: of which runs, and a function that gives them, shape (runs, m).

    Those of ipw and ope are c'a, with a the part's numbers of a row: another engine than DuckDB is told so.
    """

    runs: list[Run]
    numbers: Callable[[Rows], np.ndarray]
    part: Hajek | DoublyRobust | None = None
    c: np.ndarray | None = None


def spread(problem: Streamed, found: Weighed, estimand: str) -> Spread:
    """The run's Σ ψ²: the scan serves all runs of ipw, ope and stratification in the specification that need one.

    DuckDB adds up the influence values by cluster (`estimators.scan.clusters`), so memory is flat in their number.

    Raises
    ------
    Refusal
        If a stratum cannot be regressed.
    """
    stacked = problem.study.options_for("ipw", problem.specification).own["variance"] == "stacked"
    shares = problem.study.options_for("stratification", problem.specification).own["variance"] == "with_shares"
    options = problem.options
    key = (
        "spreads",
        options.propensity,
        options.outcome,
        problem.n_folds,
        found.asked,
        stacked,
        shares,
        options.cluster_variance,
        _fitted(problem),
    )
    if key not in problem.cache:
        problem.cache[key] = _spreads(problem, found, stacked, shares)
    got = problem.cache[key][problem.estimator, estimand]
    if isinstance(got, Refusal):
        raise got
    return got


def _spreads(problem: Streamed, found: Weighed, stacked: bool, shares: bool) -> dict[Run, Spread | Refusal]:
    out: dict[Run, Spread | Refusal] = {}
    clustered, summed = problem.study.cluster is not None, problem.summed_by is not None
    regressions = dict[Run, Regressions]()
    lines = [*_of_ipw(found, stacked), *_of_ope(found)] if summed else []
    if found.cells is not None and (clustered or (found.asked.adjusted and not summed)):
        for estimand, strata in found.cells.strata.items():
            run = ("stratification", estimand)
            if strata.poor(2):
                continue  # it has refused before it asks
            try:
                part = _part_of_strata(problem, found, found.cells, estimand)
            except Refusal as refusal:
                out[run] = refusal
                continue
            if isinstance(part, Regressions):
                regressions[run] = part
            lines.append(_of_strata(run, found.cells, part, shares and clustered))
    runs = [run for line in lines for run in line.runs]
    if problem.source.engine is not None:
        return {run: one for line in lines for run, one in _summed(problem, found, line).items()}
    if runs:
        groups, squares = _squares(problem, found, lambda rows: _stacked([line.numbers(rows) for line in lines]))
        for run, square in zip(runs, squares, strict=True):
            fits = regressions.get(run)
            effect, added = None if fits is None else fits.effect(), 0.0
            if fits is not None and shares and not clustered and found.cells is not None:
                added = between(fits, float(found.cells.strata[run[1]].counted(run[1]).sum()))
            out[run] = Spread(float(square), groups, effect, added)
    return out


def _fitted(problem: Streamed) -> tuple[int, ...] | None:
    """What a small sample's factor depends on besides the rows, which sets estimators apart."""
    if problem.study.cluster is not None or problem.summed_by is None:
        return None
    arms = problem.small_sample()
    return None if arms is None else arms.fitted


def _of_ipw(found: Weighed, stacked: bool) -> list[_Lines]:
    hajek = found.hajek
    if hajek is None:
        return []
    sound = [estimand for estimand in hajek.estimands() if hajek.total(estimand).min() > 0]
    c = np.array([hajek.effect(estimand, stacked)[1] for estimand in sound]).reshape(len(sound), len(hajek.totals))
    return [_Lines([("ipw", estimand) for estimand in sound], lambda rows: c @ hajek.numbers(rows)[0], hajek, c)]


def _of_ope(found: Weighed) -> list[_Lines]:
    robust = found.robust
    if robust is None:
        return []
    sound = robust.estimands()
    c = np.array([robust.effect(estimand)[1] for estimand in sound]).reshape(len(sound), len(robust.totals))
    return [_Lines([("ope", estimand) for estimand in sound], lambda rows: c @ robust.numbers(rows)[0], robust, c)]


def _summed(problem: Streamed, found: Weighed, line: _Lines) -> dict[Run, Spread]:
    """Of a clustered study whose rows are on another engine."""
    from ..engines.weighting import cluster_sums

    assert line.part is not None
    assert line.c is not None
    groups, squares = cluster_sums(problem, found.read, line.part, line.c)
    return {run: Spread(float(square), groups) for run, square in zip(line.runs, squares, strict=True)}


def _part_of_strata(problem: Streamed, found: Weighed, cells: Cells, estimand: str) -> Differences | Regressions:
    parts = found.strata_of(estimand)
    if not found.asked.adjusted:
        return parts
    names, y = problem.names(problem.options.propensity.covariates), problem.study.outcome
    return Regressions.of(cells.moments(estimand, found.read.plan.names, y), parts.shares, names, y)


def _of_strata(run: Run, cells: Cells, part: Differences | Regressions, shares: bool) -> _Lines:
    """Errors of the rows; with ``shares`` also (τ_s − τ) / n, of the treated alone for the ATT."""
    estimand = run[1]
    stratum, n = cells.stratum(estimand), float(cells.strata[estimand].counted(estimand).sum())
    apart = (part.effects() - part.effect()) / n if shares else np.zeros(len(part.shares))

    def numbers(rows: Rows) -> np.ndarray:
        own = stratum[cells.place(rows.e)]
        return (part.errors(rows, own) + apart[own] * (rows.t == 1 if estimand == "ATT" else 1.0))[None]

    return _Lines([run], numbers)


def _stacked(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts, out=handed.empty(sum(map(len, parts)), parts[0].shape[1]))


def _squares(problem: Streamed, found: Weighed, numbers: Callable[[Rows], np.ndarray]) -> tuple[int | None, np.ndarray]:
    if problem.summed_by is None:
        total = np.array(0.0)
        for rows in found.read.rows(problem):
            total = total + np.square(numbers(rows)).sum(axis=1)
        return None, total
    every = found.read.rows(problem, clustered=True)
    parts = (
        (rows.cluster, _stacked([numbers(rows), clusters.arm_rows(rows.t, rows.w)]))
        for rows in every if rows.cluster is not None
    )  # fmt: skip
    return clusters.squares(problem.source.connection, parts, factor=factor_of(problem))
