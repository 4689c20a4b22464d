"""The sums of `estimators.scan.hc`, taken by an engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import Refusal
from ..few_clusters import BellMcCaffrey, chunk_of
from ..leverage import ALONE
from ..scan.few import Whitened
from ..scan.frame import Frame
from ..scan.hc import INFLATED, Scan
from ..scan.solve import Hat
from ..scan.stream import Plan
from .numbers import (
    Layer,
    cluster_squares,
    form,
    listed,
    number,
    square,
    standardised,
    sums,
    symmetric,
    total,
)
from .source import EngineSource

# Numbers of clusters that are handed out.
MOST = 20_000_000


def fill(scan: Scan) -> tuple[int | None, np.ndarray]:
    """Put the scan's sums in place: clusters (None without) and Σ ψ², then Σ γ², over clusters: shape (2 q,).

    ψ = w (c U E + L) and γ as in `estimators.scan.hc.robust`; with clusters one query more, of the sums a cluster.
    """
    assert isinstance(scan.source, EngineSource)
    scores = _Scores(scan, scan.source)
    asked = Layer("s")
    rows = asked.add("count(*)")
    correction = [asked.add(f"sum({scores.weighted(f'{u} * {e}')})") for u, e in zip(scores.u, scores.e, strict=True)]
    shares = [asked.add(f"sum({name})") for name in scores.gamma]
    second = [asked.add(f"sum({name} * {name})") for name in scores.gamma]
    meat = [asked.add(f"sum({own} * {own})") for own in scores.psi]
    apart = {j: [asked.add(f"sum({name} * {name})") for name in pair] for j, pair in scores.apart.items()}
    mends = {j: [[asked.add(f"sum({row} * {z})") for z in scores.z] for row in scores.mends(j)] for j in scan.mends}
    for k, values in sums(scan.source, list(asked.named), scores.query, scan.plan.group is not None).items():
        found = dict(zip(asked.named.values(), values, strict=True))
        scan.rows += int(found[rows])
        for held, names in ((scan.correction, correction), (scan.shares, shares), (scan.second, second)):
            held += [found[name] for name in names]
        scan.meat += [found[name] for name in meat]
        for j, names in apart.items():
            scan.apart[j] += [found[name] for name in names]
        for j, lines in mends.items():
            mend = scan.mends[j]
            mend.sums[k if len(mend.sums) > 1 else 0] += [[found[name] for name in line] for line in lines]
    if not scan.clustered:
        return None, scan.meat
    return cluster_squares(scan.source, scores.query, [*scores.psi, *scores.gamma], products=False)


class _Scores:
    """A query with U, E, γ = w U² and ψ of each score; the attributes name its columns.

    ``apart`` has w c U E and w L where a score has both.
    """

    def __init__(self, scan: Scan, source: EngineSource) -> None:
        self.is_weighted = scan.plan.weight is not None
        self.z = [f"z{i}" for i in range(len(scan.plan.columns) + 1)]
        forms = Layer("f")
        self.u, self.e = ([forms.add(form(getattr(score, side))) for score in scan.scores] for side in ("u", "e"))
        more = [None if score.more is None else forms.add(form(score.more)) for score in scan.scores]
        along = {key: _along(forms, hat) for key, hat in scan.hats.items()}
        leverages, second, third = Layer("h"), Layer("p"), Layer("r")
        hats = {key: leverages.add(self._leverage(names)) for key, names in along.items()}
        self.gamma = [second.add(self.weighted(f"({u} * {u})")) for u in self.u]
        self.factor: list[str | None] = []
        self.psi, self.apart = list[str](), dict[int, tuple[str, str]]()
        for j, (u, e, score, kind) in enumerate(zip(self.u, self.e, scan.scores, scan.kinds, strict=True)):
            factor = None
            if kind in INFLATED:
                assert score.hat is not None
                factor = second.add(inflated(hats[score.hat.key], kind))
            self.factor.append(factor)
            own = third.add(self.weighted(f"({u} * {e})") + (f" * {factor}" if factor else ""))
            extra = more[j]
            if extra is not None:
                stretched = scan.stretched if kind in INFLATED else 1.0
                added = third.add(self.weighted(f"({extra} * {number(stretched)})"))
                self.apart[j] = (own, added)
            self.psi.append(own)
        last = Layer("q")
        for j, pair in self.apart.items():
            self.psi[j] = last.add(f"({pair[0]} + {pair[1]})")
        query = leverages.over(forms.over(standardised(source, scan.plan, scan.frame)))
        self.query = last.over(third.over(second.over(query)))

    def weighted(self, sql: str) -> str:
        """Times the sampling weight."""
        return f"w * {sql}" if self.is_weighted else sql

    def mends(self, j: int) -> list[str]:
        """What multiplies z in the sums that mend a badly conditioned regression."""
        u, e, factor = self.u[j], self.e[j], self.factor[j]
        own = self.psi[j] + (f" * {factor}" if factor else "")
        return [self.weighted(sql) for sql in (e, u, f"{own} * {u}", f"{own} * {e}")]

    def _leverage(self, names: list[str]) -> str:
        """h = w |R (1, z)|²."""
        return self.weighted(f"({total([f'{name} * {name}' for name in names])})")


def inflated(leverage: str, kind: str) -> str:
    """`estimators.leverage.inflation` as SQL."""
    room = f"({number(1.0)} - {leverage})"
    by = f"sqrt({room})" if kind == "HC2" else room
    return f"(case when {room} > {number(ALONE)} then {number(1.0)} / {by} else {number(0.0)} end)"


def adjusted(source: EngineSource, plan: Plan, frame: Frame, regressions: Sequence[Whitened]) -> list[BellMcCaffrey]:
    """The sums of `estimators.scan.few.bell_mccaffrey`: the engine adds up each cluster, and hands out its sums.

    Raises
    ------
    Refusal
        Where these would be more numbers than memory is meant to hold.
    """
    weight, out = ("w * " if plan.weight else ""), []
    for one in regressions:
        forms, k = Layer("f"), one.rows.shape[1]
        x, e = [forms.add(form(one.rows[:, j])) for j in range(k)], forms.add(form(one.residual))
        more = [] if one.more is None else [forms.add(form(one.more))]
        asked = [*symmetric(x, weight.removesuffix(" * ")), *(f"sum({weight}{name} * {e})" for name in x)]
        asked += [f"sum({weight}{name})" for name in more]
        held = of_clusters(source, asked, forms.over(standardised(source, plan, frame)))
        found, size, step = BellMcCaffrey(one.contrasts), k * (k + 1) // 2, chunk_of(k)
        for first in range(0, len(held), step):
            rows = held[first : first + step]
            products = np.array([square(row[:size], k) for row in rows])
            found.add(products, rows[:, size : size + k], rows[:, size + k :] if more else None)
        out.append(found)
    return out


def of_clusters(source: EngineSource, asked: Sequence[str], query: str) -> np.ndarray:
    """Aggregates of each cluster ``k`` of a query's rows: shape (G, len(asked))."""
    (((groups,),), most) = (source.run(f"select count(distinct k) from ({query}) as numbers"), source.connection.most)
    if int(groups) * len(asked) > MOST:
        reason = f"CR2 needs {len(asked)} sums of each of {groups} clusters, of which few decide the estimate"
        raise Refusal(reason, "Declare variance: CR1, or fewer covariates")
    held: dict[Any, np.ndarray] = {}
    for start in range(0, len(asked), most):
        part = asked[start : start + most]
        for k, *values in source.run(f"select k, {listed(part)} from ({query}) as numbers group by k"):
            held.setdefault(k, np.zeros(len(asked)))[start : start + len(part)] = [float(value) for value in values]
    return np.array(list(held.values()))


def units_df(
    source: EngineSource, plan: Plan, frame: Frame, regressions: Sequence[Whitened], kinds: Sequence[str]
) -> list[float]:
    """As `estimators.scan.few.units_df`: Γ_ii and t_i are columns of the query, their sums the engine's."""
    out = []
    for one, kind in zip(regressions, kinds, strict=True):
        forms, second, third, k = Layer("f"), Layer("h"), Layer("p"), one.rows.shape[1]
        x = [forms.add(form(one.rows[:, j])) for j in range(k)]
        weight = "w * " if plan.weight else ""
        h = second.add(f"{weight}({total([f'{name} * {name}' for name in x])})")
        along = second.add(total([f"{number(c)} * {name}" for c, name in zip(one.contrasts[0], x, strict=True)]))
        given = third.add(f"{weight}{along} * {along} * {inflated(h, kind)} * {inflated(h, kind)}")
        query = third.over(second.over(forms.over(standardised(source, plan, frame))))
        own, t = f"{given} * ({number(1.0)} - {h})", f"{given} * {h}"
        asked = [f"sum({own})", f"sum({own} * {own})", f"sum({t} * {t})", *symmetric(x, f"{weight}{given}")]
        values = sums(source, asked, query)[0]
        gram = square(values[3:], k)
        out.append(float(values[0] ** 2 / (values[1] - values[2] + np.sum(gram**2))))
    return out


def _along(forms: Layer, hat: Hat) -> list[str]:
    """The columns of R (1, z)."""
    lines = np.moveaxis(hat.roots, 1, 0)
    return [forms.add(form(line)) for line in lines if np.any(line != 0)]


def cluster_products(
    source: EngineSource, plan: Plan, frame: Frame, residual: np.ndarray, at: np.ndarray
) -> tuple[int, np.ndarray]:
    """Clusters, and Σ s s' of the sums a cluster of w e z, e the residual and z the columns ``at`` of (1, z)."""
    forms = Layer("f")
    e = forms.add(form(residual))
    weight = "w * " if plan.weight else ""
    columns = [f"{weight}{e} * z{int(j)}" for j in at]
    return cluster_squares(source, forms.over(standardised(source, plan, frame)), columns, products=True)
