"""CR2 of rows in the warehouse: sums a cluster of k × k and k numbers, cluster after cluster, memory flat."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..few_clusters import BellMcCaffrey, Satterthwaite, chunk_of, of_units
from .frame import Frame, Grouped
from .moments_scan import roots
from .stream import Plan, Source, blocks


@dataclass(frozen=True)
class Whitened:
    """A regression in whitened coordinates, as forms of (1, z) of a row; see `estimators.few_clusters`.

    Attributes
    ----------
    rows : ndarray of shape (groups or 1, k, p + 1)
        L'x, so that Σ w (L'x)(L'x)' = I.
    residual : ndarray of shape (groups or 1, p + 1)
    contrasts : ndarray of shape (q, k)
    more : ndarray of shape (groups or 1, p + 1) or None
        What else was estimated before, for the one contrast that there is then.
    """

    rows: np.ndarray
    residual: np.ndarray
    contrasts: np.ndarray
    more: np.ndarray | None = None


class _Open:
    """The clusters that are held, and the one whose rows may go on in the next block."""

    def __init__(self, of: Whitened) -> None:
        self.of, self.found = of, BellMcCaffrey(of.contrasts)
        self.k, self.q = of.rows.shape[1], len(of.contrasts)
        self.held: list[tuple[np.ndarray, np.ndarray, float]] = []
        self.last: tuple[np.ndarray, np.ndarray, float] | None = None

    def take(self, x: np.ndarray, e: np.ndarray, more: np.ndarray | None, ends: np.ndarray, goes_on: bool) -> None:
        """Rows of a block sorted by cluster, x of shape (k, m); ``goes_on`` where its first cluster is the last one."""
        for g, (a, b) in enumerate(itertools.pairwise(ends)):
            own = (x[:, a:b] @ x[:, a:b].T, x[:, a:b] @ e[a:b], 0.0 if more is None else float(more[a:b].sum()))
            if g == 0 and goes_on and self.last is not None:
                own = (own[0] + self.last[0], own[1] + self.last[1], own[2] + self.last[2])
            elif self.last is not None:
                self.held.append(self.last)
            self.last = own
        if len(self.held) >= chunk_of(self.k):
            self.flush()

    def flush(self) -> None:
        """Adjust the held clusters."""
        if self.held:
            products, scores, more = (np.array(part) for part in zip(*self.held, strict=True))
            self.found.add(products, scores, more[:, None] if self.of.more is not None else None)
            self.held = []

    def done(self) -> BellMcCaffrey:
        """The sums of all clusters."""
        if self.last is not None:
            self.held.append(self.last)
        self.flush()
        return self.found


def bell_mccaffrey(source: Source, plan: Plan, frame: Frame, regressions: Sequence[Whitened]) -> list[BellMcCaffrey]:
    """CR2's sums of some regressions, in one scan of the rows sorted by cluster.

    DuckDB sorts, and spills where rows are many; a cluster's rows come one after the other, so that one cluster's sums
    are held at a time, and a few thousand that wait to be adjusted together. Another engine than DuckDB adds up a
    cluster by itself (`estimators.engines.variances.cluster_sums`).

    Parameters
    ----------
    plan : Plan
        Columns in the order of the forms, weight and groups, with a cluster key.
    frame : Frame
        Their units.
    regressions : sequence of Whitened
    """
    if source.engine is not None:
        from ..engines.source import EngineSource
        from ..engines.variances import adjusted

        assert isinstance(source, EngineSource)
        return adjusted(source, plan, frame, regressions)
    held, before = [_Open(one) for one in regressions], None
    for block in blocks(source, plan, order="k"):
        assert block.cluster is not None
        grouped = Grouped.of(block, plan.n_groups)
        z = frame.fill(block, grouped.order)
        back = np.arange(block.n) if grouped.order is None else np.argsort(grouped.order, kind="stable")
        root = 1.0 if block.weight is None else roots(block.weight, None)
        ends = np.concatenate([[0], 1 + np.flatnonzero(np.diff(block.cluster)), [block.n]])
        for one, of in zip(held, regressions, strict=True):
            x = forms_of(z, of.rows, grouped)[:, back] * root
            e = forms_of(z, of.residual[:, None], grouped)[0, back] * root
            more = None if of.more is None else forms_of(z, of.more[:, None], grouped)[0, back] * root**2
            one.take(x, e, more, ends, before is not None and before == block.cluster[0])
        before = int(block.cluster[-1])
    return [one.done() for one in held]


def units_df(
    source: Source, plan: Plan, frame: Frame, regressions: Sequence[Whitened], kinds: Sequence[str]
) -> list[float]:
    """Degrees of freedom of HC2 and HC3 of the one contrast of each regression, in one scan."""
    if source.engine is not None:
        from ..engines.source import EngineSource
        from ..engines.variances import units_df as of_engine

        assert isinstance(source, EngineSource)
        return of_engine(source, plan, frame, regressions, kinds)
    sums = [Satterthwaite(*one.contrasts.shape) for one in regressions]
    for block in blocks(source, plan):
        grouped = Grouped.of(block, plan.n_groups)
        z = frame.fill(block, grouped.order)
        root = 1.0 if block.weight is None else roots(block.weight, grouped.order)
        for one, of, kind in zip(sums, regressions, kinds, strict=True):
            x = (forms_of(z, of.rows, grouped) * root).T
            one.add(*of_units(x, x @ of.contrasts.T, np.sum(x**2, axis=1), kind))
    return [float(one.df()[0]) for one in sums]


def forms_of(z: np.ndarray, forms: np.ndarray, grouped: Grouped) -> np.ndarray:
    """Linear forms of shape (groups or 1, k, p + 1) at each row of z, with its group's coefficients: shape (k, m)."""
    if len(forms) == 1:
        return forms[0] @ z
    out = np.empty((forms.shape[1], z.shape[1]))
    for g, part in grouped.parts():
        out[:, part] = forms[g] @ z[:, part]
    return out
