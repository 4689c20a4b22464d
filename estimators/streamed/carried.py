"""How clusters of rows that stay in the warehouse carry the arms, by SQL that every engine reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..clusters import Arms, By, arms_of
from ..scan.clusters import Factor
from ..scan.stream import Source
from ..small_samples import of_units

if TYPE_CHECKING:
    from .problem import Streamed

ZERO = "0.0::double"


def carried(source: Source, cluster: str, weight: str | None, by: By) -> Arms:
    """`estimators.clusters.Arms` of a source; two queries group by cluster, and no list of clusters is held here.

    Parameters
    ----------
    source : Source
    cluster, weight : str
        Their SQL; without a weight each row has one.
    by : By
    """
    return of_arms(source, cluster, weights(by, weight), by.names)


def of_arms(source: Source, cluster: str, in_arms: Sequence[str], names: tuple[str, ...]) -> Arms:
    """The same of any arms, by SQL of a row's weight in each."""
    held = [f"a{j}" for j in range(len(names))]
    columns = [f"sum({sql}) as {a}" for sql, a in zip(in_arms, held, strict=True)]
    clusters = source.sql(f"{cluster} as k, {', '.join(columns)}") + " group by 1"
    asked = [f"sum({a}), max({a}), count(*) filter (where {a} > 0)" for a in held]
    any_arm = f"count(*) filter (where {' + '.join(held)} > 0)"
    (row,) = source.rows(f"select {', '.join([any_arm, *asked])} from ({clusters}) as clusters")
    totals = tuple(float(total) for total in row[1::3])
    whole = [total or 1.0 for total in totals]
    largest = tuple(float(most) / total for most, total in zip(row[2::3], whole, strict=True))
    sums = _sums(source, clusters, held, whole)
    return Arms(names, tuple(int(count) for count in row[3::3]), totals, largest, sums, int(row[0]))


def unit_arms(source: Source, weight: str | None, by: By, fitted: int) -> Arms | None:
    """`estimators.small_samples.of_units` of a source, by two queries."""
    held = weights(by, weight)
    asked = [f"count(*) filter (where {w} > 0), sum({w})" for w in held]
    count, totals = np.array(source.one(", ".join(asked)), dtype=float).reshape(len(held), 2).T
    shares = [f"({w} / {total or 1.0!r}::double)" for w, total in zip(held, totals.tolist(), strict=True)]
    asked = [f"max({h}), sum({h}), sum({h} * {h}), sum({h} * {h} * {h} * {h})" for h in shares]
    found = np.array(source.one(", ".join(asked)), dtype=float).reshape(len(held), 4)
    return of_units(by.names, [int(c) for c in count], totals, found[:, 1:], found[:, 0], (fitted,) * len(held))


def weights(by: By, weight: str | None) -> list[str]:
    """SQL of a row's weight in each arm: zero in all but its own."""
    own = "1.0::double" if weight is None else f"{weight}::double"
    return [f"case when {by.sql()} = {j} then {own} else {ZERO} end" for j in range(len(by.names))]


def _sums(source: Source, clusters: str, held: Sequence[str], totals: Sequence[float]) -> np.ndarray:
    """`Arms.sums`: shape (A, 3)."""
    h = [f"h{j}" for j in range(len(held))]
    shares = ", ".join(f"{a} / {total!r}::double as {name}" for a, total, name in zip(held, totals, h, strict=True))
    largest = h[0] if len(h) == 1 else f"greatest({', '.join(h)})"
    side = f"case {' '.join(f'when {name} = {largest} then {j}' for j, name in enumerate(h))} end"
    sided = f"select *, {side} as side from (select {shares} from ({clusters}) as clusters) as shares"
    powers = [
        f"sum(case when side = {j} then {' * '.join([name] * p)} else {ZERO} end)"
        for j, name in enumerate(h) for p in (1, 2, 4)
    ]  # fmt: skip
    (found,) = source.rows(f"select {', '.join(powers)} from ({sided}) as sided")
    return np.array(found, dtype=float).reshape(len(held), 3)


def factor_of(problem: Streamed) -> Factor:
    """What a cluster's squares are multiplied by, as `estimators.clusters.clustering` has it of rows in memory."""
    by, small = arms_of(problem)[0], problem.small_sample()
    if small is not None:
        return Factor(len(by.names), small.sql)
    if problem.options.cluster_variance == "sandwich":
        groups = problem.n_clusters
        assert groups is not None
        return Factor(len(by.names), lambda columns: f"{groups / (groups - 1):.17e}")
    return Factor(len(by.names), problem.arms(by).sql)
