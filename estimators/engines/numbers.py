"""What the rows of a plan are as SQL: columns, standardised columns, linear forms, and sums of their products.

Only a plan's columns are DuckDB's SQL and are translated (`read`). What is built on them is so plain that every engine
reads it, and so long that a translator would take seconds. Columns of a standardised row: ``z0`` (the constant one),
``z1`` … ``zp``, and where the plan has them ``w``, ``g`` (the group) and ``k`` (the cluster).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..scan.clusters import Factor
from ..scan.frame import Frame
from ..scan.stream import Plan
from .engine import FENCE
from .source import EngineSource


def number(value: float) -> str:
    """A number as SQL; with an exponent, as Spark would take it for a decimal without."""
    return f"{float(value):.17e}"


def read(source: EngineSource, plan: Plan) -> str:
    """A query of the plan's columns c0 …, weight w, group g, cluster k and what it carries, as the engine writes it."""
    parts = [f"({column.sql})::double as c{j}" for j, column in enumerate(plan.columns)]
    parts += [f"({plan.weight})::double as w"] if plan.weight else []
    parts += [f"({plan.group})::bigint as g"] if plan.group else []
    parts += [f"({plan.cluster}) as k"] if plan.cluster else []
    parts += [f"({sql}) as carried{j}" for j, sql in enumerate(plan.carry)]
    return source.translated(source.sql(", ".join(parts)))


def standardised(source: EngineSource, plan: Plan, frame: Frame, more: Sequence[str] = ()) -> str:
    """A query of the plan's rows in units of the frame, with further columns of `read` handed through.

    Parameters
    ----------
    frame : Frame
        Shift and scale of the plan's first columns; those beyond it are not standardised.
    """
    parts = [f"{number(1.0)} as z0"]
    for j, (shift, scale) in enumerate(zip(frame.shift, frame.scale, strict=True)):
        parts.append(f"(c{j} - {number(shift)}) * {number(1.0 / scale)} as z{j + 1}")
    parts += [name for name, there in (("w", plan.weight), ("g", plan.group), ("k", plan.cluster)) if there]
    return f"select {', '.join([*parts, *more])} from ({read(source, plan)}) as units {FENCE}"


def total(parts: Sequence[str]) -> str:
    """a + b + …, in brackets by halves: a chain of a thousand is too deep for a parser."""
    left = list(parts) or [number(0.0)]
    while len(left) > 1:
        pairs = [left[i : i + 2] for i in range(0, len(left), 2)]
        left = [pair[0] if len(pair) == 1 else f"({pair[0]} + {pair[1]})" for pair in pairs]
    return left[0]


def form(coefficients: np.ndarray) -> str:
    """A linear form of (1, z) as SQL, of coefficients of shape (p + 1,); with groups, of shape (groups, p + 1)."""
    groups: dict[str, list[int]] = {}
    for k, own in enumerate(np.atleast_2d(coefficients)):
        groups.setdefault(total([f"{number(c)} * z{j}" for j, c in enumerate(own) if c != 0]), []).append(k)
    if len(groups) == 1:
        return next(iter(groups))
    cases = " ".join(f"when g in ({', '.join(map(str, own))}) then {sql}" for sql, own in groups.items())
    return f"(case {cases} end)"


class Layer:
    """Columns that are computed from a query's own, each once: the same SQL gets the same name."""

    def __init__(self, prefix: str) -> None:
        self._prefix, self._named = prefix, dict[str, str]()

    def add(self, sql: str) -> str:
        """The column's name."""
        return self._named.setdefault(sql, f"{self._prefix}{len(self._named)}")

    @property
    def named(self) -> dict[str, str]:
        """SQL to name, in the order in which they were added."""
        return self._named

    def listed(self) -> str:
        """The columns as what stands after SELECT."""
        return ", ".join(f"{sql} as {name}" for sql, name in self._named.items())

    def over(self, query: str) -> str:
        """The query with these columns beside its own."""
        return f"select *, {self.listed()} from ({query}) as layer_{self._prefix} {FENCE}" if self._named else query


def symmetric(names: Sequence[str], weight: str = "") -> list[str]:
    """Sums of all products of some columns, the lower triangle row by row."""
    by = f"{weight} * " if weight else ""
    return [f"sum({by}{a} * {b})" for i, a in enumerate(names) for b in names[: i + 1]]


def square(values: Sequence[float] | np.ndarray, size: int) -> np.ndarray:
    """The symmetric matrix of `symmetric`: shape (size, size)."""
    out, places = np.empty((size, size)), np.tril_indices(size)
    out[places] = values
    out.T[places] = values
    return out


def sums(source: EngineSource, asked: Sequence[str], query: str, by_group: bool = False) -> dict[int, np.ndarray]:
    """Aggregates of a query's rows, by their group ``g`` (0 where they have none): shape (len(asked),).

    Several queries where the engine is not to be asked so much at once. What it answers by NULL (no rows) is zero.
    """
    own, by = ("g", "group by g") if by_group else ("0", "")
    out: dict[int, np.ndarray] = {}
    for start in range(0, len(asked), source.connection.most):
        part = asked[start : start + source.connection.most]
        for k, *values in source.run(f"select {own} as own, {listed(part)} from ({query}) as numbers {by}"):
            held = out.setdefault(int(k), np.zeros(len(asked)))
            held[start : start + len(part)] = [0.0 if value is None else float(value) for value in values]
    return out


def cluster_squares(
    source: EngineSource, query: str, columns: Sequence[str], products: bool, factor: Factor | None = None,
    in_arms: Sequence[str] = (),
) -> tuple[int, np.ndarray]:  # fmt: skip
    """How many clusters ``k`` there are, and Σ s s' over them, s a cluster's sums of some columns; else its diagonal.

    As `estimators.scan.clusters.squares`, which adds up what Python has computed; ``in_arms``: SQL of a row's weight in
    each arm, for the factor.
    """
    q = len(columns)
    columns = [*columns, *(in_arms if factor is not None else ())]
    of_clusters = ", ".join(f"sum({column}) as s{j}" for j, column in enumerate(columns))
    names = [f"s{j}" for j in range(q)]
    times = "" if factor is None else factor.sql([f"s{j}" for j in range(q, len(columns))])
    by = f"({times}) * " if times else ""
    asked = symmetric(names, f"({times})" if times else "") if products else [f"sum({by}{s} * {s})" for s in names]
    inner = f"select {of_clusters} from ({query}) as rows_of_clusters group by k"
    found = sums(source, ["count(*)", *asked], inner)[0]
    return int(found[0]), square(found[1:], q) if products else found[1:]


def listed(asked: Sequence[str]) -> str:
    """What stands after SELECT, each with a name of its own."""
    return ", ".join(f"{sql} as a{j}" for j, sql in enumerate(asked))
