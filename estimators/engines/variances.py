"""The sums of `estimators.scan.hc`, taken by an engine."""

from __future__ import annotations

import numpy as np

from ..scan.frame import Frame
from ..scan.hc import Scan
from ..scan.solve import Hat
from ..scan.stream import Plan
from .numbers import Layer, cluster_squares, form, number, standardised, sums, total
from .source import EngineSource


def fill(scan: Scan) -> tuple[int | None, np.ndarray]:
    """Put the scan's sums in place: clusters (None without) and Σ ψ² of each score, of shape (q,).

    ψ = w (U E + L) as in `estimators.scan.hc.robust`; with clusters one query more, of the sums a cluster.
    """
    assert isinstance(scan.source, EngineSource)
    scores = _Scores(scan, scan.source)
    asked = Layer("s")
    rows = asked.add("count(*)")
    correction = [asked.add(f"sum({scores.weighted(f'{u} * {e}')})") for u, e in zip(scores.u, scores.e, strict=True)]
    meat = [asked.add(f"sum({own} * {psi})") for own, psi in zip(scores.own, scores.psi, strict=True)]
    mends = {j: [[asked.add(f"sum({row} * {z})") for z in scores.z] for row in scores.mends(j)] for j in scan.mends}
    for k, values in sums(scan.source, list(asked.named), scores.query, scan.plan.group is not None).items():
        found = dict(zip(asked.named.values(), values, strict=True))
        scan.rows += int(found[rows])
        scan.correction += [found[name] for name in correction]
        scan.meat += [found[name] for name in meat]
        for j, names in mends.items():
            mend = scan.mends[j]
            mend.sums[k if len(mend.sums) > 1 else 0] += [[found[name] for name in line] for line in names]
    if not scan.clustered:
        return None, scan.meat
    return cluster_squares(scan.source, scores.query, scores.psi, products=False)


class _Scores:
    """A query with U, E, ψ and (for HC2 and HC3) ψ over its room, of each score; the attributes name its columns."""

    def __init__(self, scan: Scan, source: EngineSource) -> None:
        self.is_weighted = scan.plan.weight is not None
        self.z = [f"z{i}" for i in range(len(scan.plan.columns) + 1)]
        forms = Layer("f")
        self.u, self.e = ([forms.add(form(getattr(score, side))) for score in scan.scores] for side in ("u", "e"))
        more = [None if score.more is None else forms.add(form(score.more)) for score in scan.scores]
        along = {key: _along(forms, hat) for key, hat in scan.hats.items()}
        second, third = Layer("p"), Layer("r")
        self.psi = [
            second.add(self.weighted(f"({u} * {e}{f' + {extra}' if extra else ''})"))
            for u, e, extra in zip(self.u, self.e, more, strict=True)
        ]
        room = {key: second.add(self._room(names)) for key, names in along.items()}
        self.own = []
        for psi, score, kind in zip(self.psi, scan.scores, scan.kinds, strict=True):
            if scan.clustered or kind in ("HC0", "HC1"):
                self.own.append(psi)
                continue
            assert score.hat is not None
            one = room[score.hat.key]
            self.own.append(third.add(f"{psi} / {one}" if kind == "HC2" else f"{psi} / ({one} * {one})"))
        self.query = third.over(second.over(forms.over(standardised(source, scan.plan, scan.frame))))

    def weighted(self, sql: str) -> str:
        """Times the sampling weight."""
        return f"w * {sql}" if self.is_weighted else sql

    def mends(self, j: int) -> list[str]:
        """What multiplies z in the sums that mend a badly conditioned regression."""
        u, e, own = self.u[j], self.e[j], self.own[j]
        return [self.weighted(sql) for sql in (e, u, f"{own} * {u}", f"{own} * {e}")]

    def _room(self, names: list[str]) -> str:
        """1 − h, with h = w |R (1, z)|²."""
        h = self.weighted(f"({total([f'{name} * {name}' for name in names])})")
        return f"greatest({number(1.0)} - {h}, {number(1e-12)})"


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
