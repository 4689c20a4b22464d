"""Local polynomials over windows of a streamed running variable: `bandwidth.Passes` by scans."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..discontinuity.bandwidth import Form, Pair
from ..discontinuity.neighbours import Cells, Residuals
from ..discontinuity.power_sums import Sums, Window, hankel
from ..moments import independent
from ..scan import moments_scan
from ..scan.columns import cluster_key, cluster_keys
from ..scan.stream import Column, Plan, Source, blocks
from .order_statistics import real
from .problem import Streamed
from .running import Running

# Products of so many variables are put together a distinct value; more are read row by row.
VARIABLES_A_CELL = 8


@dataclass(frozen=True)
class Clusters:
    """A declared cluster: SQL of a BIGINT key, and its sorted values, shape (G,)."""

    sql: str
    keys: np.ndarray

    @classmethod
    def of(cls, problem: Streamed, source: Source) -> Clusters | None:
        """Those of the study's rows or of some of them; None where none are declared."""
        name = problem.study.cluster
        if name is None:
            return None
        kind = problem.types[name]
        keys = problem.clusters() if source.where == problem.source.where else cluster_keys(source, name, kind)
        assert keys is not None
        return cls(cluster_key(name, kind), keys)


@dataclass(frozen=True)
class Variables:
    """What is read beside the running variable: the outcome, the treatment of a fuzzy design, covariates.

    Attributes
    ----------
    columns : tuple of Column
    mean, sd : ndarray of shape (m,)
        By which they are centred and scaled (1 where one does not vary), so that a large mean costs no digits.
    """

    columns: tuple[Column, ...]
    mean: np.ndarray
    sd: np.ndarray

    @classmethod
    def of(cls, running: Running, fixed: tuple[Column, ...], covariates: tuple[Column, ...]) -> Variables:
        """Mean and spread of each, in one scan; covariates that x or earlier ones explain are left out."""
        if not covariates:
            found = running.source.one(", ".join(f"avg({c.sql}), stddev_pop({c.sql})" for c in fixed))
            mean, sd = np.array(found, dtype=float).reshape(-1, 2).T
        else:
            columns = (*fixed, running.x, *covariates)
            moments = moments_scan.scan(running.source, Plan(columns)).moments
            covariance, first = moments.covariance(), len(fixed)
            kept = [*range(first), *(first + k for k in independent(covariance[first:, first:])[1:])]
            total = moments.total()
            mean = (moments.shift + moments.scale * total[0, 1:] / total[0, 0])[kept]
            sd = np.sqrt(np.diag(covariance))[kept]
            fixed = tuple(columns[k] for k in kept)
        return cls(fixed, mean, np.where(sd > 0, sd, 1.0))

    def only(self, keep: np.ndarray) -> Variables:
        """Some of them: ``keep`` has shape (m,), bool."""
        columns = tuple(column for column, wanted in zip(self.columns, keep, strict=True) if wanted)
        return Variables(columns, self.mean[keep], self.sd[keep])

    def scaled(self) -> tuple[Column, ...]:
        """The columns with mean 0 and standard deviation 1."""
        parts = zip(self.columns, self.mean, self.sd, strict=True)
        return tuple(Column(c.name, f"(({c.sql}) - {real(mean)}) / {real(sd)}") for c, mean, sd in parts)


@dataclass(frozen=True)
class _Rows:
    """Some rows of one side, or cells of rows with equal x: n rows, means of m variables, products about them."""

    x: np.ndarray
    n: np.ndarray
    mean: np.ndarray
    cross: np.ndarray | None
    cluster: np.ndarray | None

    def at(self, keep: Any) -> _Rows:
        """Some of them, by a slice or a mask."""
        cross = None if self.cross is None else self.cross[:, :, keep]
        cluster = None if self.cluster is None else self.cluster[keep]
        return _Rows(self.x[keep], self.n[keep], self.mean[:, keep], cross, cluster)

    def cells(self, directions: np.ndarray) -> Cells:
        """The combinations s′D, ``directions`` of shape (q, m), a cell each; sorted rows."""
        if self.cross is None:
            return Cells.of_rows(self.x, directions @ self.mean)
        spread = np.einsum("qi,ijl,qj->ql", directions, self.cross, directions)
        return Cells(self.x, self.n, directions @ self.mean, spread)


@dataclass(frozen=True)
class Windows:
    """Sums over both sides' windows, and variances of linear forms in their rows.

    Without clusters variances are by nearest neighbours, of rows in the order of the running variable; with them by
    sums of scores a cluster, which need G numbers a form.

    Attributes
    ----------
    running : Running
    rows : Source
        What is scanned: sorted rows, or (a discrete variable, or clusters) any order.
    variables : Variables
        Outcome first, then the treatment if ``fuzzy``.
    kernel : str
    fuzzy : bool
    clusters : Clusters or None
    """

    running: Running
    rows: Source
    variables: Variables
    kernel: str
    fuzzy: bool
    clusters: Clusters | None

    @classmethod
    def of(
        cls, running: Running, variables: Variables, kernel: str, fuzzy: bool, clusters: Clusters | None, ordered: bool
    ) -> Windows:
        """Whether rows are to be sorted: where neighbours are asked for, or ``ordered`` (they are sorted anyway)."""
        wide = len(variables.columns) > VARIABLES_A_CELL
        in_order = (not running.discrete and (ordered or clusters is None)) or (wide and clusters is None)
        source = running.ordered if in_order else running.source
        return cls(running, source, variables, kernel, fuzzy, clusters)

    @property
    def units(self) -> np.ndarray:
        """The variables' standard deviations, shape (m,)."""
        return self.variables.sd

    @property
    def levels(self) -> np.ndarray:
        """The variables' means in the units in which they are read, shape (m,)."""
        return self.variables.mean / self.variables.sd

    def sharp(self) -> Windows:
        """Without the treatment of a fuzzy design."""
        keep = np.arange(len(self.variables.columns)) != 1
        return dataclasses.replace(self, variables=self.variables.only(keep), fuzzy=False)

    def sums(self, left: tuple[float, ...], right: tuple[float, ...], top: int, variances_follow: bool) -> Pair:
        """Sums of both sides; with the squares of residuals where they can be had in the same scan."""
        m = len(self.variables.columns)
        windows = [Window(self.running.cutoff, own, self.kernel) for own in (left, right)]
        at_once = variances_follow and m == 1 and self.clusters is None
        sums = [Sums.zeros(window, m, int(at_once), top) for window in windows]
        residuals = self._residuals(sums, [np.ones((1, 1))] * 2) if at_once else None
        for i, rows in self._scan(windows):
            sums[i].add(rows.x, rows.n, rows.mean, rows.cross)
            if residuals is not None:
                residuals[0](i, rows)
        if residuals is not None:
            residuals[1]()
        return sums[0], sums[1]

    def variances(self, sums: Pair, forms: tuple[list[Form], list[Form]]) -> tuple[np.ndarray, np.ndarray]:
        """Variance of each form: one more scan, unless `sums` has the residuals already."""
        if self.clusters is not None:
            left, right = self._cluster_variances(sums, forms)
            return left, right
        if len(self.variables.columns) > 1:
            directions = [np.array([form.direction for form in own]) for own in forms]
            sums = tuple(Sums.zeros(s.window, 1, len(d), s.top) for s, d in zip(sums, directions, strict=True))  # type: ignore[assignment]
            push, finish = self._residuals(list(sums), directions)
            for i, rows in self._scan([s.window for s in sums]):
                push(i, rows)
            finish()
        left, right = (
            np.array([_quadratic(side.meat[min(j, len(side.meat) - 1)], form.theta) for j, form in enumerate(own)])
            for side, own in zip(sums, forms, strict=True)
        )
        return left, right

    def _residuals(
        self, sums: list[Sums], directions: list[np.ndarray]
    ) -> tuple[Callable[[int, _Rows], None], Callable[[], None]]:
        """What takes rows of a side in ascending order, and what ends it: both add squares of residuals to the sums."""
        sides = [Residuals(len(own)) for own in directions]

        def push(i: int, rows: _Rows) -> None:
            sums[i].add_residuals(*sides[i].push(rows.cells(directions[i])))

        def finish() -> None:
            for side, residuals in zip(sums, sides, strict=True):
                side.add_residuals(*residuals.finish())

        return push, finish

    def _cluster_variances(self, sums: Pair, forms: tuple[list[Form], list[Form]]) -> list[np.ndarray]:
        """Σ over clusters of squared sums of ω r, times g/(g − 1) · (n − 1)/(n − k) (CR1)."""
        assert self.clusters is not None
        keys = self.clusters.keys
        totals = [np.zeros((len(own), len(keys))) for own in forms]
        seen = np.zeros((2, len(keys)), dtype=bool)
        for i, rows in self._scan([s.window for s in sums]):
            assert rows.cluster is not None
            code = np.searchsorted(keys, rows.cluster)
            seen[i, code] = True
            weights = sums[i].window.weights(rows.x)
            powers = sums[i].window.powers(rows.x, sums[i].top)
            for total, form in zip(totals[i], forms[i], strict=True):
                omega = (weights * (form.theta @ powers[: form.theta.shape[1]])).sum(axis=0)
                residual = form.direction @ rows.mean - form.line @ powers[: len(form.line)]
                np.add.at(total, code, omega * residual)
        out = []
        for side, own, total, met in zip(sums, forms, totals, seen, strict=True):
            g, k = int(met.sum()), np.array([form.parameters for form in own])
            factor = g / (g - 1) * (side.rows - 1) / (side.rows - k) if g > 1 else np.nan
            out.append((total**2).sum(axis=1) * factor)
        return out

    def _scan(self, windows: list[Window]) -> Iterator[tuple[int, _Rows]]:
        """Rows of positive weight, with their side (0 left, 1 right); ascending where the source is sorted."""
        c = self.running.cutoff
        for rows in self._read(c - windows[0].scale, c + windows[1].scale):
            for i, side in enumerate((rows.x < c, rows.x >= c)):
                if not side.any():
                    continue
                own = rows if side.all() else rows.at(side)
                inside = (windows[i].weights(own.x) > 0).any(axis=0)
                if inside.any():
                    yield i, own if inside.all() else own.at(inside)

    def _read(self, low: float, high: float) -> Iterator[_Rows]:
        if self.rows is self.running.source and self.clusters is None:
            first, last = np.searchsorted(self._grouped.x, [low, np.nextafter(high, np.inf)])
            # The ends are rounded; one cell more on each side has weight zero at worst.
            yield self._grouped.at(slice(max(first - 1, 0), last + 1))
            return
        plan = Plan((self.running.x, *self.variables.scaled()), cluster=self.clusters.sql if self.clusters else None)
        for block in blocks(self.rows.kept(self.running.between(low, high)), plan):
            yield _Rows(
                block.columns[0], np.broadcast_to(1.0, block.n), np.array(block.columns[1:]), None, block.cluster
            )

    @cached_property
    def _grouped(self) -> _Rows:
        """A discrete variable's cells with means and products: at most 131,072 × (m + 1)² numbers, m ≤ 8."""
        d, m = [f"({c.sql})" for c in self.variables.scaled()], len(self.variables.columns)
        pairs = [(i, j) for i in range(m) for j in range(i, m)]
        asked = [f"{self.running.x.sql} as x", "count(*) as n"]
        asked += [f"avg({sql}) as m{i}" for i, sql in enumerate(d)]
        asked += [f"covar_pop({d[i]}, {d[j]}) * count(*) as p{i}_{j}" for i, j in pairs]
        names = ["x", "n", *(f"m{i}" for i in range(m)), *(f"p{i}_{j}" for i, j in pairs)]
        grouped = self.running.source.sql(", ".join(asked)) + " group by 1 order by 1"
        source = dataclasses.replace(self.running.source, relation=f"({grouped})", where="")
        parts = [np.array(b.columns) for b in blocks(source, Plan(tuple(Column(n, n) for n in names)))]
        found = np.concatenate(parts, axis=1)
        cross = np.empty((m, m, found.shape[1]))
        for (i, j), values in zip(pairs, found[2 + m :], strict=True):
            cross[i, j] = cross[j, i] = values
        return _Rows(found[0], found[1], found[2 : 2 + m], cross, None)


def _quadratic(meat: np.ndarray, theta: np.ndarray) -> float:
    """Σ over kernels a, b of θₐ′ M_ab θ_b, M being the matrix of the powers' sums."""
    order = theta.shape[1] - 1
    kernels = range(len(theta))
    return float(sum(theta[a] @ hankel(meat[a, b], order) @ theta[b] for a in kernels for b in kernels))
