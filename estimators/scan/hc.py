"""One more scan for variances: HC0 to HC3 and cluster-robust, of any estimates that `solve` gave."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..moments import Moments
from . import handed
from .clusters import Part, squares
from .frame import Frame, Grouped
from .moments_scan import roots
from .solve import Hat, Least, Refine, Score
from .stream import Plan, Source, blocks

KINDS = ("HC0", "HC1", "HC2", "HC3")
# Below it, rounding in a solution is far below 1e-10, and its variance needs no mending.
WELL_CONDITIONED = 1e4


@dataclass(frozen=True)
class Robust:
    """Variances of one coefficient, in its raw units.

    Attributes
    ----------
    correction : float
        To be added to the coefficient: one step of iterative refinement with residuals taken row by row.
    variance : float
        Of the kind asked for.
    clusters : int or None
    """

    correction: float
    variance: float
    clusters: int | None


@dataclass
class _Mend:
    """Sums that mend the variance of one badly conditioned regression to first order, by group."""

    refine: Refine
    sums: np.ndarray  # (groups, 4, p + 1): Σ z w E, Σ z w U, Σ z w ψ U / room, Σ z w ψ E / room

    def add(self, z: np.ndarray, rows: np.ndarray, grouped: Grouped) -> None:
        """Take the rows of a block: z of shape (p + 1, m), and what multiplies it, of shape (4, m)."""
        for k, part in grouped.parts():
            self.sums[k if len(self.sums) > 1 else 0] += rows[:, part] @ z[:, part].T

    def of(self) -> float:
        """What is to be added to the variance: 2 Σ ψ (δU E + U δE)."""
        e, u, ue, eu = np.einsum("gki,gji->jk", self.refine.forms, self.sums)
        target = np.zeros(len(e))
        target[self.refine.place] = 1.0
        beta, row = self.refine.inverse @ e, self.refine.inverse @ (target - u)
        return float(2 * row @ eu - 2 * beta @ ue)


def robust(
    source: Source, plan: Plan, moments: Moments, scores: Sequence[Score], kind: str | Sequence[str] = "HC1",
    clusters: int | None = None,
) -> tuple[Robust, ...]:  # fmt: skip
    """Σ ψ² of each score, ψ = w (U E + L), in one scan of the columns that the scores read.

    Cross-products alone cannot give it: it is of the fourth degree. For the same reason sums a cluster are taken here,
    and not as cross-products a cluster: q numbers each and not p². Coefficients are mended by Σ w U E, and, where a
    regression is badly conditioned, its variance too, to first order for the rounding in (D'WD)⁻¹ and β; the cluster
    variance keeps that rounding, about 1e-16 times the condition of D'WD.

    Parameters
    ----------
    plan : Plan
        That of the moments: the same columns, weight and groups; its cluster key with ``clusters``.
    kind : str, or one a score
        HC0, HC1, HC2 or HC3; the last two for least squares only. With clusters it does not matter.
    clusters : int, optional
        How many clusters there are; then Liang & Zeger's variance times G/(G−1) · (n−1)/(n−k).

    Raises
    ------
    ValueError
        For another kind, or HC2 and HC3 of a score without a hat matrix.
    Refusal
        If the keys are not as many as the clusters: two labels share a hash.
    """
    kinds = [kind] * len(scores) if isinstance(kind, str) else list(kind)
    _check(scores, kinds, clusters)
    plan, scores = _narrowed(plan, scores)
    if clusters is None:
        plan = dataclasses.replace(plan, cluster=None)
    scan = Scan(source, plan, Frame.like(moments, plan.names, plan.rows()), scores, kinds, clusters is not None)
    if source.engine is not None:
        from ..engines.variances import fill

        found, meat = fill(scan)
        if found != clusters:
            raise _collision(int(clusters or 0), int(found or 0))
    elif clusters is None:
        collections.deque(scan.run(), maxlen=0)
        meat = scan.meat
    else:
        found, meat = squares(source.connection, scan.run())
        if found != clusters:
            raise _collision(clusters, found)
    return tuple(_finish(scan, j, meat[j], clusters) for j in range(len(scores)))


def _collision(clusters: int, keys: int) -> Refusal:
    return Refusal(f"two cluster labels share a hash: {clusters} have {keys}", "Number them in staging")


def _check(scores: Sequence[Score], kinds: list[str], clusters: int | None) -> None:
    for score, kind in zip(scores, kinds, strict=True):
        if kind not in KINDS:
            raise ValueError(f"unknown variance '{kind}'")
        if clusters is None and kind in ("HC2", "HC3") and score.hat is None:
            raise ValueError("HC2 and HC3 are for coefficients of least squares")


def _narrowed(plan: Plan, scores: Sequence[Score]) -> tuple[Plan, list[Score]]:
    """Only the columns that some form reads, and groups only where some form has several."""
    arrays = [form for score in scores for form in score.forms()]
    p = len(plan.columns)
    used = np.any([np.any(form.reshape(-1, p + 1) != 0, axis=0) for form in arrays], axis=0)[1:]
    used[0] |= not used.any()  # a block without a column has no length
    at = np.concatenate([[0], 1 + np.flatnonzero(used)])
    columns = tuple(column for column, own in zip(plan.columns, used, strict=True) if own)
    group = (plan.group, plan.n_groups) if any(len(form) > 1 for form in arrays) else (None, 1)
    own = dataclasses.replace(plan, columns=columns, group=group[0], n_groups=group[1])
    return own, [score.of(lambda form: form[..., at]) for score in scores]


class Scan:
    """The scan's sums; `run` adds them up."""

    def __init__(
        self, source: Source, plan: Plan, frame: Frame, scores: list[Score], kinds: list[str], clustered: bool
    ) -> None:
        self.source, self.plan, self.frame, self.scores, self.kinds = source, plan, frame, scores, kinds
        self.hats: dict[Hashable, Hat] = {}
        for score, kind in zip(scores, kinds, strict=True):
            if kind in ("HC2", "HC3") and not clustered:
                assert score.hat is not None
                self.hats.setdefault(score.hat.key, score.hat)
        self.clustered = clustered
        self.meat, self.correction = np.zeros(len(scores)), np.zeros(len(scores))
        self.mends: dict[int, _Mend] = {}
        for j, score in enumerate(scores):
            if not clustered and score.refine is not None and score.refine.condition > WELL_CONDITIONED:
                shape = (len(score.refine.forms), 4, score.u.shape[1])
                self.mends[j] = _Mend(score.refine, np.zeros(shape))
        self.rows = 0

    def run(self) -> Iterator[Part]:
        """Scan; with clusters, give each block's keys and ψ, of shape (q, m)."""
        extra = [j for j, score in enumerate(self.scores) if score.more is not None]
        for block in blocks(self.source, self.plan):
            grouped = Grouped.of(block, self.plan.n_groups)
            z = self.frame.fill(block, grouped.order)
            w = None if block.weight is None else roots(block.weight, grouped.order) ** 2
            u, e = (_forms(z, [getattr(score, side) for score in self.scores], grouped) for side in ("u", "e"))
            psi = np.multiply(u, e, out=handed.empty(*u.shape) if self.clustered else None)
            self.correction += psi.sum(axis=1) if w is None else psi @ w
            if extra:
                psi[extra] += _forms(z, [self.scores[j].more for j in extra], grouped)
            if w is not None:
                psi *= w
            self.rows += block.n
            if self.clustered:
                assert block.cluster is not None
                yield block.cluster if grouped.order is None else block.cluster[grouped.order], psi
            else:
                self._add(z, u, e, psi, w, grouped)

    def _add(
        self, z: np.ndarray, u: np.ndarray, e: np.ndarray, psi: np.ndarray, w: np.ndarray | None, grouped: Grouped
    ) -> None:
        room = {key: _room(z, w, hat, grouped) for key, hat in self.hats.items()}
        for j, (score, kind) in enumerate(zip(self.scores, self.kinds, strict=True)):
            own = psi[j]
            if kind in ("HC2", "HC3"):
                assert score.hat is not None
                own = own / room[score.hat.key] ** (1 if kind == "HC2" else 2)
            self.meat[j] += own @ psi[j]
            if j in self.mends:
                rows = np.stack([e[j], u[j], own * u[j], own * e[j]])
                self.mends[j].add(z, rows if w is None else rows * w, grouped)


def _forms(z: np.ndarray, forms: Sequence[np.ndarray | None], grouped: Grouped) -> np.ndarray:
    """Each linear form at each row, with its group's coefficients: shape (q, m)."""
    given = [form for form in forms if form is not None]
    if all(len(form) == 1 for form in given):
        return np.concatenate(given) @ z
    groups = len(grouped.ends) - 1
    stacked = np.array([np.broadcast_to(form, (groups, form.shape[1])) for form in given])
    out = np.empty((len(given), z.shape[1]))
    for k, part in grouped.parts():
        np.matmul(stacked[:, k], z[:, part], out=out[:, part])
    return out


def _room(z: np.ndarray, w: np.ndarray | None, hat: Hat, grouped: Grouped) -> np.ndarray:
    """1 − h of each row, h its leverage w |R (1, z)|²; a unit with leverage one is fitted exactly."""
    h = np.empty(z.shape[1])
    parts = [(0, slice(None))] if len(hat.roots) == 1 else grouped.parts()
    for k, part in parts:
        along = hat.roots[k] @ z[:, part]
        np.einsum("rm,rm->m", along, along, out=h[part])
    return np.maximum(1.0 - (h if w is None else h * w), 1e-12)


def _finish(scan: Scan, j: int, meat: float, groups: int | None) -> Robust:
    n, score = scan.rows, scan.scores[j]
    small = n / (n - score.coefficients) if scan.kinds[j] == "HC1" else 1.0
    if groups is not None:
        small = groups / (groups - 1) * (n - 1) / (n - score.coefficients)
    elif j in scan.mends:
        meat = meat + scan.mends[j].of()
    return Robust(float(scan.correction[j]) * score.unit, float(meat) * small * score.unit**2, groups)


def cluster_covariance(source: Source, plan: Plan, fit: Least, clusters: int) -> np.ndarray:
    """Liang & Zeger's covariance of all coefficients of a least-squares fit, on (1, z): shape (k, k), in one scan.

    Parameters
    ----------
    plan : Plan
        That of the fit's moments: the same columns and weight, and a cluster key.
    fit : Least
    clusters : int
        How many clusters there are.
    """
    plan = dataclasses.replace(plan, group=None, n_groups=1)
    frame, residual = Frame.like(fit.moments, plan.names, plan.rows()), fit.form()
    n, k = fit.rows, len(fit.at)

    def scores() -> Iterator[Part]:
        for block in blocks(source, plan):
            assert block.cluster is not None
            z = frame.fill(block)
            e = residual @ z
            if block.weight is not None:
                e *= roots(block.weight, None) ** 2
            yield block.cluster, np.multiply(z[fit.at], e, out=handed.empty(k, block.n))

    if source.engine is not None:
        from ..engines.source import EngineSource
        from ..engines.variances import cluster_products

        assert isinstance(source, EngineSource)
        found, meat = cluster_products(source, plan, frame, residual, fit.at)
    else:
        found, meat = squares(source.connection, scores(), products=True)
    if found != clusters:
        raise _collision(clusters, found)
    return fit.inverse @ meat @ fit.inverse * (clusters / (clusters - 1) * (n - 1) / (n - k))
