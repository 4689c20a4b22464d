"""Loss by arm and Lee's bounds of rows in the warehouse: the numbers of `estimators.attrition` from sums of SQL."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from ..attrition.lee import Arm, LeeBounds, Tail, Trimmed, interval, oriented, trim, trimmed_arm
from ..attrition.loss import Loss
from ..attrition.rows import Lost
from ..contracts import needed_columns
from ..scan.stream import Source, not_streamed, quoted
from ..study import Study
from .facts import gap, missing
from .order_statistics import order_statistics, real
from .problem import Streamed, rows_read


@dataclass(frozen=True)
class Scanned:
    """The rows of one outcome in the warehouse, with those that lack a value.

    Attributes
    ----------
    source : Source
    y, arm, lost, weight : str
        SQL of the outcome, of the arm (0, 1, NULL or another number), of whether a row lacks a value, of its weight.
    cluster : str or None
        SQL of the cluster.
    gaps : mapping of column to str
        SQL of whether a row lacks that column.
    weighted : bool
    """

    source: Source
    y: str
    arm: str
    lost: str
    weight: str
    cluster: str | None
    gaps: dict[str, str]
    weighted: bool

    def found(self) -> Lost:
        """Loss by arm and column: one scan, and one more of clusters."""
        armed = f"{self.arm} in (0, 1)"
        asked = ["count(*)", f"count(*) filter (where {self.lost})", f"count(*) filter (where {self.arm} is null)"]
        asked += [f"count(*) filter (where {self.arm} is not null and not {armed})", *self._cells()]
        asked += [f"count(*) filter (where {self.arm} = {a} and {test})" for test in self.gaps.values() for a in (0, 1)]
        rows, lost, armless, others, *rest = self.source.one(", ".join(asked))
        cells = np.array([0.0 if v is None else float(v) for v in rest[:12]]).reshape(3, 2, 2)
        pairs = [(int(a), int(b)) for a, b in zip(rest[12::2], rest[13::2], strict=True)]
        columns = {name: pair for name, pair in zip(self.gaps, pairs, strict=True) if any(pair)}
        loss = None
        if not others and (cells[0].sum(axis=1) > 0).all():
            loss = Loss(cells[0].astype(int), cells[1], cells[2], self._clusters(), self.weighted)
        return Lost(int(rows), int(lost), int(armless), loss, columns)

    def _where(self) -> list[str]:
        """Tests of the four cells: untreated kept, untreated lost, treated kept, treated lost."""
        return [f"{self.arm} = {a} and {is_lost}({self.lost})" for a in (0, 1) for is_lost in ("not ", "")]

    def _cells(self) -> list[str]:
        sums = [f"sum({self.weight}) filter (where {test})" for test in self._where()]
        squares = [f"sum({self.weight} * {self.weight}) filter (where {test})" for test in self._where()]
        return [f"count(*) filter (where {test})" for test in self._where()] + sums + squares

    def _clusters(self) -> np.ndarray | None:
        if self.cluster is None:
            return None
        sums = ", ".join(f"sum(case when {test} then {self.weight} else 0.0 end)" for test in self._where())
        armed = self.source.kept(f"{self.arm} in (0, 1)")
        found = armed.rows(armed.sql(sums) + f" group by {self.cluster}")
        return np.array(found, dtype=float).reshape(-1, 2, 2)

    def bounds(self, df: int | None) -> LeeBounds:
        """Lee's bounds, as `estimators.attrition.lee.lee_bounds` of the same rows."""
        if self.source.engine is not None:
            raise not_streamed(self.source.engine)
        arms = (self._arm(0), self._arm(1))
        own, p = trimmed_arm(arms)
        kept = self.source.kept(f"{self.arm} = {own} and not ({self.lost})")
        bounds = [trim(arms, self._tail(kept, p if upper else 1 - p, upper), upper) for upper in (True, False)]
        low, high, sign = oriented(own, *bounds)
        errors = (self._error(low, own, arms[1 - own].mean), self._error(high, own, arms[1 - own].mean))
        ends = (sign * low.bound, sign * high.bound)
        return LeeBounds(*ends, *interval(*ends, errors, df), p, own)

    def _arm(self, arm: int) -> Arm:
        w, mine = self.weight, self.source.kept(f"{self.arm} = {arm}")
        kept = f"filter (where not ({self.lost}))"
        values = mine.one(f"sum({w}) {kept}, sum({w}) filter (where {self.lost}), sum({w} * {self.y}) {kept}")
        total, lost, products = (0.0 if value is None else float(value) for value in values)
        return Arm(total, lost, products / total)

    def _tail(self, kept: Source, p: float, is_upper: bool) -> Tail:
        cut = self._weighted_quantile(kept, p) if self.weighted else self._quantile(kept, p)
        beyond = f"greatest({self.y} - {real(cut)}, 0)" if is_upper else f"greatest({real(cut)} - {self.y}, 0)"
        (mean,) = kept.one(f"sum({self.weight} * {beyond}) / sum({self.weight})")
        return Tail(cut, float(mean))

    def _quantile(self, kept: Source, p: float) -> float:
        n, low, high = kept.one(f"count(*), min({self.y}), max({self.y})")
        rank = min(max(int(np.ceil(p * n * (1 - 1e-12))) - 1, 0), n - 1)
        return order_statistics(kept, self.y, [rank], float(low), float(high))[rank]

    def _weighted_quantile(self, kept: Source, p: float) -> float:
        """The engine's own running sum over the distinct values, which it spills where they are many."""
        grouped = kept.sql(f"{self.y} as v, sum({self.weight}) as w") + " group by 1"
        running = f"select v, sum(w) over (order by v) as reached, sum(w) over () as total from ({grouped})"
        reached = f"reached >= {real(p * (1 - 1e-12))} * total"
        return float(kept.rows(f"select min(v) from ({running}) where {reached}")[0][0])

    def _error(self, one: Trimmed, own: int, other_mean: float) -> float:
        cut = real(one.cut)
        tail = f"greatest({self.y} - {cut}, 0)" if one.is_upper else f"-greatest({cut} - {self.y}, 0)"
        other = f"{real(one.other_scale)} * ({self.y} - {real(other_mean)}) + {real(one.other_kept)}"
        psi = (
            f"{self.weight} * case when {self.arm} = {own} and {self.lost} then {real(one.lost)} "
            f"when {self.arm} = {own} then {real(one.scale)} * ({tail}) + {real(one.constant)} "
            f"when {self.lost} then {real(one.other_lost)} else {other} end"
        )
        armed = self.source.kept(f"{self.arm} in (0, 1)")
        if self.cluster is None:
            (total,) = armed.one(f"sum(power({psi}, 2))")
            return float(total) ** 0.5
        sums = armed.sql(f"sum({psi}) as s") + f" group by {self.cluster}"
        total, groups = armed.rows(f"select sum(s * s), count(*) from ({sums})")[0]
        return float(total * groups / (groups - 1)) ** 0.5


def scanned(problem: Streamed, study: Study, arm: str) -> Scanned:
    """The rows that an estimator of one row a unit reads, complete or not: as `attrition.rows.held_rows`."""
    types = problem.types
    source = rows_read(_timed(problem, study), study, "units")
    tests = _gaps(problem, study)
    lost = "(" + " or ".join(tests.values()) + ")" if tests else "(1 = 0)"
    number = f"(case when {missing(arm, types)} then null else {quoted(arm)}::double end)"
    y = f"{quoted(study.outcome)}::double"
    gaps = {name: test for name, test in tests.items() if name != arm}
    return Scanned(
        source, y, number, lost, _weight(source, study), quoted(study.cluster) if study.cluster else None, gaps,
        study.weight is not None,
    )  # fmt: skip


def _timed(problem: Streamed, study: Study) -> Source:
    assert problem.given is not None
    source = problem.given[0]
    return source.kept(f"not {missing(study.time, problem.types)}") if study.time else source


def _gaps(problem: Streamed, study: Study) -> dict[str, str]:
    """Tests of the needed columns that lack a value somewhere."""
    assert problem.given is not None
    facts = problem.given[1].columns
    names = [name for name in needed_columns(study) if name != study.unit]
    return {name: gap(name, study, problem.types) for name in names if name not in facts or facts[name].missing}


def _weight(source: Source, study: Study) -> str:
    if study.weight is None:
        return "1.0::double"
    name = f"{quoted(study.weight)}::double"
    (mean,) = source.one(f"avg({name}) filter (where not isnan({name}))")
    return f"(case when {name} is null or isnan({name}) then {real(mean)} else {name} end)"


def scanned_units(problem: Streamed, study: Study) -> Scanned:
    """The units of a panel, as `attrition.rows.held_units`: a grouped query in place of the rows."""
    types, source = problem.types, _timed(problem, study)
    tests = _gaps(problem, study)
    whole = "not (" + " or ".join(tests.values()) + ")" if tests else "1 = 1"
    time = quoted(str(study.time))
    periods, last = source.kept(f"({whole})").one(f"count(distinct {time}), max({time})")
    column = str(study.cohort or study.treatment)
    value = f"case when {missing(column, types)} then null else {quoted(column)}::double end"
    treated = f"({value}) <= {float(last)!r}" if study.cohort else f"({value}) > 0"
    cluster = f", min({quoted(study.cluster)}) as c" if study.cluster else ""
    inner = source.sql(
        f"max(case when {treated} then 1 else 0 end) as ever, sum(case when {whole} then 1 else 0 end) as seen{cluster}"
    ) + f" group by {quoted(study.unit)}"  # fmt: skip
    return Scanned(
        Source(source.connection, f"({inner})") if source.engine is None else _elsewhere(source, inner),
        "0.0", "ever", f"(seen < {int(periods)})", "1.0", "c" if study.cluster else None, {}, False,
    )  # fmt: skip


def _elsewhere(source: Source, inner: str) -> Source:
    return dataclasses.replace(source, relation=f"({inner}) as units_of_panel", where="")
