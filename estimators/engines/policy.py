"""Values of policies as sums that an engine takes: see `estimators.streamed.policy_values`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..streamed.carried import factor_of
from ..streamed.forms import Read
from ..streamed.problem import Streamed
from .numbers import Layer, cluster_squares, number, square, symmetric
from .weighting import ONE, ZERO, Rows

if TYPE_CHECKING:
    from ..scan.policies import PolicySums


def fill(problem: Streamed, read: Read, sums: PolicySums) -> tuple[int | None, np.ndarray]:
    """Put the sums of all rows in place; clusters and the products of the numbers (of their sums a cluster)."""
    clustered = problem.summed_by is not None
    rows = Rows(problem, read, sums.clip, clustered=clustered)
    (mu0, mu1), e = rows.mu, rows.held
    inverse, scores, numbers = Layer("i"), Layer("d"), Layer("n")
    treated = inverse.add(
        f"case when {number(sums.sign)} * ({mu1} - {mu0}) > {number(sums.cut)} then {ONE} else {ZERO} end"
    )
    none = inverse.add(f"({ONE} - t) / nullif({ONE} - {e}, {ZERO})")
    every = inverse.add(f"t / nullif({e}, {ZERO})")
    found = [
        scores.add(f"{mu0} + {none} * ({rows.y} - {mu0})"),
        scores.add(f"{mu1} + {every} * ({rows.y} - {mu1})"),
    ]
    gamma = [*found, f"case when {treated} = 1 then {found[1]} else {found[0]} end"]
    names = [numbers.add(rows.weighted(sql)) for sql in (ONE, treated, *(f"coalesce({one}, {ZERO})" for one in gamma))]
    both = f"case when {treated} = 1 then {every} else {none} end"
    omega = [numbers.add(rows.weighted(sql)) for sql in (none, every, both)]
    query = numbers.over(scores.over(inverse.over(rows.query)))
    asked = ["count(*)", f"sum(case when {found[0]} is null or {found[1]} is null then 1 else 0 end)"]
    asked += [f"sum({each})" for name in omega for each in (name, f"{name} * {name}")]
    got = rows.ask(query, [*asked, *(f"sum({name})" for name in names), *symmetric(names)])
    sums.rows, sums.not_finite = int(got[0]), int(got[1])
    sums.weights += got[2:8].reshape(3, 2)
    sums.totals += got[8:13]
    sums.products += square(got[13:], 5)
    if not clustered:
        return None, sums.products
    return cluster_squares(rows.source, query, names, True, factor_of(problem), rows.in_arms())
