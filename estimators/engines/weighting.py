"""The sums of `estimators.streamed.weighing` (ipw and ope) and of `spreads`, taken by an engine."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..scan.columns import cluster_key
from ..scan.doubly_robust import DoublyRobust
from ..scan.frame import Frame
from ..scan.stream import Column, Plan, quoted
from ..scan.weighting import ESTIMANDS, Hajek
from ..streamed.carried import factor_of
from ..streamed.forms import Read
from ..streamed.problem import Streamed
from .logit import probability
from .numbers import Layer, cluster_squares, form, number, square, standardised, sums, symmetric, total
from .source import EngineSource

ONE, ZERO = number(1.0), number(0.0)
# A weight, and its slope in the propensity times e (1 − e), of the treated and of the untreated; see `ipw`.
_WEIGHTS = {
    "ATE": (f"{ONE} / nullif({{e}}, {ZERO})", f"{ONE} / nullif({ONE} - {{e}}, {ZERO})"),
    "ATT": (ONE, f"{{e}} / nullif({ONE} - {{e}}, {ZERO})"),
    "ATO": (f"{ONE} - {{e}}", "{e}"),
}
_SLOPES = {
    "ATE": (f"-({ONE} - {{e}}) / nullif({{e}}, {ZERO})", f"{{e}} / nullif({ONE} - {{e}}, {ZERO})"),
    "ATT": (ZERO, f"{{e}} / nullif({ONE} - {{e}}, {ZERO})"),
    "ATO": (f"-{{e}} * ({ONE} - {{e}})", f"{{e}} * ({ONE} - {{e}})"),
}


class Rows:
    """A query of the rows with standardised covariates, y and t, propensities and predicted outcomes."""

    def __init__(
        self, problem: Streamed, read: Read, clip: float | None, clustered: bool = False, carry: str | None = None
    ) -> None:
        study = problem.study
        assert isinstance(problem.source, EngineSource)
        assert study.treatment is not None
        y, t = (Column(name, quoted(name)) for name in (study.outcome, study.treatment))
        plan = dataclasses.replace(read.plan, columns=(*read.plan.columns, y, t))
        key = problem.summed_by if clustered else None
        if key is not None:
            plan = dataclasses.replace(plan, cluster=cluster_key(key, problem.types[key]))
        if carry is not None:
            plan = dataclasses.replace(plan, carry=(carry,))
        self.source, self.is_weighted = problem.source, plan.weight is not None
        self.z, self.y = [f"z{j}" for j in range(read.width)], f"z{read.width}"
        handed = (f"c{read.width} as t", *(["carried0"] if carry is not None else []))
        query = standardised(problem.source, plan, read.frame, handed)
        index, chance, bounds = Layer("f"), Layer("p"), Layer("h")
        self.e = chance.add(probability(index.add(form(read.forms.index))))
        if clip is not None:
            assert read.forms.crossfitted is not None
            outside, mu0, mu1 = (index.add(form(own)) for own in read.forms.crossfitted)
            self.mu, self.raw = (mu0, mu1), chance.add(probability(outside))
            self.held = bounds.add(f"greatest({number(clip)}, least({number(1 - clip)}, {self.raw}))")
        self.query = bounds.over(chance.over(index.over(query)))

    def weighted(self, sql: str) -> str:
        """Times the sampling weight."""
        return f"w * ({sql})" if self.is_weighted else f"({sql})"

    def in_arms(self) -> list[str]:
        """A row's weight among the treated and among the untreated."""
        return [self.weighted(f"case when t {sign} {ONE} then {ONE} else {ZERO} end") for sign in ("=", "<>")]

    def ask(self, query: str, asked: list[str]) -> np.ndarray:
        """Aggregates of all rows."""
        return sums(self.source, asked, query)[0]


def fill(problem: Streamed, read: Read, hajek: Hajek | None, robust: DoublyRobust | None) -> None:
    """Put the sums of all rows in place."""
    rows = Rows(problem, read, None if robust is None else robust.clip)
    if hajek is not None:
        _fill_hajek(rows, hajek)
    if robust is not None:
        _fill_robust(rows, robust)


def weight(estimand: str, e: str) -> str:
    """SQL of a row's balancing weight at a column e; NULL where it is not finite."""
    return _by_arm(_WEIGHTS[estimand], e)


def _by_arm(pair: tuple[str, str], e: str) -> str:
    return f"(case when t = 1 then {pair[0].format(e=e)} else {pair[1].format(e=e)} end)"


def _hajek_numbers(rows: Rows, hajek: Hajek) -> tuple[str, list[str], list[str]]:
    """A query with the numbers of `Hajek.numbers`, their names, and those of the raw weights (NULL: not finite)."""
    low, high = number(hajek.trim), number(1 - hajek.trim)
    kept, weights, numbers = Layer("k"), Layer("o"), Layer("n")
    inside = kept.add(f"case when {rows.e} >= {low} and {rows.e} <= {high} then {ONE} else {ZERO} end")
    raw = [weights.add(f"case when {inside} = 1 then {weight(each, rows.e)} end") for each in ESTIMANDS]
    names = [
        numbers.add(f"{rows.weighted(f'coalesce({omega}, {ZERO})')} * {arm}{times}")
        for omega in raw for arm in ("t", f"({ONE} - t)") for times in ("", f" * {rows.y}")
    ]  # fmt: skip
    names += [numbers.add(f"{rows.weighted(f't - {rows.e}')} * {rows.z[j]}") for j in hajek.at.tolist()]
    return numbers.over(weights.over(kept.over(rows.query))), names, [inside, *raw]


def _fill_hajek(rows: Rows, hajek: Hajek) -> None:
    query, names, (inside, *raw) = _hajek_numbers(rows, hajek)
    size, k, width = len(names), len(hajek.at), hajek.width
    asked = [f"sum(case when {inside} = 1 and {omega} is null then 1 else 0 end)" for omega in raw]
    asked += ["count(*)", *(f"max({name})" for name in names[:12:2]), *(f"sum({name})" for name in names)]
    got = rows.ask(query, asked + symmetric(names))
    hajek.not_finite += got[:3].astype(np.int64)
    hajek.rows += int(got[3])
    hajek.largest = np.maximum(hajek.largest, got[4:10].reshape(3, 2))
    hajek.totals += got[10 : 10 + size]
    hajek.products += square(got[10 + size :], size)

    slopes, curvature = Layer("s"), Layer("v")
    lines = [
        slopes.add(f"{rows.weighted(f'{inside} * coalesce({_by_arm(_SLOPES[each], rows.e)}, {ZERO})')} * {arm}{times}")
        for each in ESTIMANDS for arm in ("t", f"({ONE} - t)") for times in ("", f" * {rows.y}")
    ]  # fmt: skip
    information = curvature.add(rows.weighted(f"{rows.e} * ({ONE} - {rows.e})"))
    arms = [slopes.add(f"{inside} * {arm}") for arm in ("t", f"({ONE} - t)")]
    asked = [f"sum({line} * {z})" for line in [*lines, *names[:12:2], *arms] for z in rows.z]
    asked += [f"sum({arm} * {z} * {z})" for arm in arms for z in rows.z]
    asked += [f"sum({f'case when w > 0 then {arm} else 0 end' if rows.is_weighted else arm})" for arm in arms]
    got = rows.ask(
        curvature.over(slopes.over(query)), asked + symmetric([rows.z[j] for j in hajek.at.tolist()], information)
    )
    by_line = got[: 22 * width].reshape(22, width)
    hajek.slopes += by_line[:12]
    hajek.balance += by_line[12:18]
    hajek.plain += by_line[18:20]
    hajek.squares += by_line[20:]
    hajek.used += got[22 * width : 22 * width + 2].astype(np.int64)
    hajek.information += square(got[22 * width + 2 :], k)


def robust_scores(rows: Rows) -> tuple[str, list[str]]:
    """A query with the doubly robust scores of the ATE and, times P(T = 1), of the ATT, of the standardised y."""
    (mu0, mu1), e, scores = rows.mu, rows.held, Layer("d")
    treated = f"t * ({rows.y} - {mu1}) / nullif({e}, {ZERO})"
    untreated = f"({ONE} - t) * ({rows.y} - {mu0}) / nullif({ONE} - {e}, {ZERO})"
    odds = f"{e} / nullif({ONE} - {e}, {ZERO})"
    found = [
        scores.add(f"{mu1} - {mu0} + {treated} - {untreated}"),
        scores.add(f"(t - ({ONE} - t) * {odds}) * ({rows.y} - {mu0})"),
    ]
    return scores.over(rows.query), found


def _robust_numbers(rows: Rows) -> tuple[str, list[str], list[str]]:
    """A query with the numbers of `DoublyRobust.numbers`, their names, and those of the scores (NULL: not finite)."""
    numbers = Layer("n")
    query, found = robust_scores(rows)
    names = [numbers.add(rows.weighted(sql)) for sql in (ONE, "t", *(f"coalesce({name}, {ZERO})" for name in found))]
    return numbers.over(query), names, found


def _fill_robust(rows: Rows, robust: DoublyRobust) -> None:
    query, names, scores = _robust_numbers(rows)
    weights = Layer("o")
    omega = [
        weights.add(f"{rows.weighted(weight(estimand, rows.held))} * {arm}")
        for estimand in ("ATE", "ATT") for arm in ("t", f"({ONE} - t)")
    ]  # fmt: skip
    asked = [f"sum(case when {score} is null then 1 else 0 end)" for score in scores]
    asked += ["count(*)", f"min({rows.raw})", f"max({rows.raw})"]
    asked += [f"sum(case when {rows.raw} <> {rows.held} then 1 else 0 end)"]
    asked += [f"sum({each})" for name in omega for each in (name, f"{name} * {name}")]
    asked += [f"sum({name})" for name in names]
    got = rows.ask(weights.over(query), asked + symmetric(names))
    robust.not_finite += got[:2].astype(np.int64)
    robust.rows += int(got[2])
    robust.low, robust.high = min(robust.low, float(got[3])), max(robust.high, float(got[4]))
    robust.clipped += int(got[5])
    robust.weights += got[6:14].reshape(2, 2, 2)
    robust.totals += got[14:18]
    robust.products += square(got[18:], 4)


def cluster_sums(problem: Streamed, read: Read, part: Hajek | DoublyRobust, c: np.ndarray) -> tuple[int, np.ndarray]:
    """Clusters, and Σ (Σ ψ)² over them of influence values c'a, a the part's numbers and c of shape (runs, numbers)."""
    rows = Rows(problem, read, part.clip if isinstance(part, DoublyRobust) else None, clustered=True)
    query, names, _ = _hajek_numbers(rows, part) if isinstance(part, Hajek) else _robust_numbers(rows)
    columns = [
        total([f"{number(value)} * {name}" for value, name in zip(own, names, strict=True) if value != 0]) for own in c
    ]
    return cluster_squares(rows.source, query, columns, False, factor_of(problem), rows.in_arms())


def overlap_mean(problem: Streamed, plan: Plan, frame: Frame, index: np.ndarray, predicted: np.ndarray) -> float:
    """Σ w e (1 − e) μ / Σ w e (1 − e), with e and μ by forms of (1, z), of shape (folds, p + 1), of the row's fold."""
    assert isinstance(problem.source, EngineSource)
    forms, chance, overlap = Layer("f"), Layer("p"), Layer("o")
    eta, mu = forms.add(form(index)), forms.add(form(predicted))
    e = chance.add(probability(eta))
    by = "w * " if plan.weight else ""
    own = overlap.add(f"{by}{e} * ({ONE} - {e})")
    query = overlap.over(chance.over(forms.over(standardised(problem.source, plan, frame))))
    above, below = sums(problem.source, [f"sum({own} * {mu})", f"sum({own})"], query)[0]
    return float(above / below)
