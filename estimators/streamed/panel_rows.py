"""A panel's rows as whole units: DuckDB sorts them by unit and period, and they are cut into paths as they pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import Refusal
from ..scan.columns import cluster_key, is_number
from ..scan.stream import Column, Plan, Source, blocks, quoted
from .problem import Streamed

# Group-time effects and cohorts that are held at once: their covariance then takes 128 MB, whatever the rows.
MOST_CELLS = 4_000


@dataclass(frozen=True)
class PanelRows:
    """What is read, and in which order.

    Attributes
    ----------
    source : Source
        The complete rows.
    plan : Plan
        Columns cohort, cluster (where one is declared), outcome and covariates; its cluster key is the unit.
    order : str
        What stands after ORDER BY: cluster, unit, period.
    periods : ndarray of shape (T,)
        In ascending order.
    cohorts : ndarray of shape (C,)
        First treated periods after the first period, in ascending order; the last is infinity (never treated).
    clustered, hashed : bool
        Whether a cluster is among the columns, and whether the key is a hash of the unit.
    """

    source: Source
    plan: Plan
    order: str
    periods: np.ndarray
    cohorts: np.ndarray
    clustered: bool
    hashed: bool


@dataclass(frozen=True)
class Tally:
    """Numbers of units: all, those that miss a period, those treated in the first period (``always``: of the complete
    ones), and those whose cohort changes."""

    units: int = 0
    incomplete: int = 0
    early: int = 0
    always: int = 0
    changed: int = 0

    def __add__(self, other: Tally) -> Tally:
        """Of both sets of units."""
        return Tally(
            self.units + other.units, self.incomplete + other.incomplete, self.early + other.early,
            self.always + other.always, self.changed + other.changed,
        )  # fmt: skip


@dataclass(frozen=True)
class Units:
    """Some units with every period and untreated in the first.

    Attributes
    ----------
    code : ndarray of shape (m,), int
        Place of the unit's cohort among `PanelRows.cohorts`.
    y : ndarray of shape (m, T)
    x : list of k ndarray of shape (m, T)
    cluster : ndarray of shape (m,), or None
        A number that tells a cluster from the one before it.
    tally : Tally
        Of these and of the units that were left out among them.
    """

    code: np.ndarray
    y: np.ndarray
    x: list[np.ndarray]
    cluster: np.ndarray | None
    tally: Tally


def panel_rows(problem: Streamed, x: tuple[Column, ...] = (), clustered: bool = True) -> PanelRows:
    """How the study's rows are read as paths of units; a short query finds the periods and the cohorts.

    Parameters
    ----------
    problem : Streamed
        With the roles time and cohort.
    x : tuple of Column
        Covariates.
    clustered : bool
        Read a declared cluster, and sort by it first; it must not change within a unit.

    Raises
    ------
    Refusal
        If the cohort holds text, or there are too many periods and cohorts for their covariances to be held.
    """
    study = problem.study
    assert study.time is not None
    assert study.cohort is not None
    if not is_number(problem.types[study.cohort]) and problem.types[study.cohort] != '"NULL"':
        raise Refusal(
            f"cohort '{study.cohort}' holds text", "Give the first treated period as a number, NULL for never"
        )
    periods, found = _distinct(problem.source, {study.time: "periods", study.cohort: "cohorts"})
    cohorts = np.append(found[(found > periods[0]) & (found <= periods[-1])], np.inf)
    if len(periods) * len(cohorts) > MOST_CELLS:
        reason = f"{len(periods)} periods by {len(cohorts)} cohorts are more than the {MOST_CELLS} effects that stream"
        raise Refusal(reason, "Use longer periods, fewer cohorts, or raise row_budget")
    cluster = quoted(study.cluster) if study.cluster and clustered else None
    # Only a change from one row to the next matters, so 53 bits of a hash do.
    label = (Column("cluster", f"(hash({cluster}) >> 11)::double"),) if cluster else ()
    key = cluster_key(study.unit, problem.types[study.unit])
    y = Column(study.outcome, f"{quoted(study.outcome)}::double")
    cohort = Column("cohort", cohort_sql(study.cohort, float(periods[-1])))
    plan = Plan((cohort, *label, y, *x), cluster=key)
    order = ", ".join([*([cluster] if cluster else []), key, quoted(study.time)])
    return PanelRows(problem.source, plan, order, periods, cohorts, cluster is not None, "hash(" in key)


def cohort_sql(name: str, last: float) -> str:
    """SQL of the first treated period; infinity where a unit is not treated up to the last one."""
    g = f"{quoted(name)}::double"
    return f"case when {g} is null or isnan({g}) or {g} > {last!r} then 'infinity'::double else {g} end"


def _distinct(source: Source, columns: Mapping[str, str]) -> list[np.ndarray]:
    """The values of each column (its meaning is told where they are too many), ascending, without NULL and NaN."""
    out = []
    lists = [f"list_slice(list(distinct {quoted(name)}), 1, {MOST_CELLS + 1})" for name in columns]
    for values, what in zip(source.one(", ".join(lists)), columns.values(), strict=True):
        if len(values) > MOST_CELLS:
            raise Refusal(f"there are more than {MOST_CELLS} {what}", f"Check the column, or use fewer {what}")
        found = np.array([float(v) for v in values if v is not None])
        out.append(np.unique(found[~np.isnan(found)]))
    return out


def first_changed(problem: Streamed, sql: str) -> Any:
    """The first unit in which an expression takes several values, None where there is none."""
    unit = quoted(problem.study.unit)
    groups = f"{problem.source.sql(f'{unit} as unit, {sql} as v')}"
    query = f"select min(unit) from (select unit from ({groups}) group by unit having min(v) <> max(v))"
    found = problem.source.rows(query)[0][0]
    return int(found) if isinstance(found, float) and found.is_integer() else found


def units_of(rows: PanelRows) -> Iterator[Units]:
    """The units, a block at a time.

    Memory: one block and the rows of one unit. A unit and period occur once, so a unit with T rows has every period.

    Raises
    ------
    Refusal
        If two units share a hash, which stands for a unit whose label is not a whole number.
    """
    left: list[np.ndarray] = []
    for block in blocks(rows.source, rows.plan, rows.order):
        assert block.cluster is not None
        arrays = [block.cluster, *block.columns]
        held = [np.concatenate(pair) for pair in zip(left, arrays, strict=True)] if left else arrays
        # A unit is in one cluster, so the key alone tells where it ends; the last one may go on in the next block.
        starts = np.concatenate([[0], np.flatnonzero(held[0][1:] != held[0][:-1]) + 1])
        left = [array[starts[-1] :].copy() for array in held]
        if len(starts) > 1:
            yield _units([array[: starts[-1]] for array in held], starts[:-1], rows)
    if left:
        yield _units(left, np.array([0]), rows)


def _units(arrays: list[np.ndarray], starts: np.ndarray, rows: PanelRows) -> Units:
    """The whole units among rows of shape (r,)."""
    _, cohort, *columns = arrays
    lengths, wanted = np.diff(starts, append=len(cohort)), len(rows.periods)
    if lengths.max() > wanted:
        raise Refusal("the hashes of two units are the same", "Number the units in staging")
    own = cohort[starts]
    whole, early = lengths == wanted, own <= rows.periods[0]
    # Some row differs from the one before it, without being the first of its unit.
    moved = np.flatnonzero(cohort[1:] != cohort[:-1]) + 1
    changed = len(moved) - int(np.isin(moved, starts).sum())
    tally = Tally(len(starts), int((~whole).sum()), int(early.sum()), int((whole & early).sum()), changed)
    keep = whole & ~early
    place = starts[keep][:, None] + np.arange(wanted)
    paths = [column.reshape(-1, wanted) if keep.all() else column[place] for column in columns]
    cluster = paths.pop(0)[:, 0] if rows.clustered else None
    return Units(np.searchsorted(rows.cohorts, own[keep]), paths[0], paths[1:], cluster, tally)
