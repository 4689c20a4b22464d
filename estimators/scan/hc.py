"""One more scan for variances: HC0 to HC3, CR1 and CR2, of any estimates that `solve` gave."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..few_clusters import BellMcCaffrey, combined_df, is_many
from ..leverage import inflation
from ..linear import stata_factor
from ..moments import Moments
from . import handed
from .clusters import Part, squares
from .few import Whitened, bell_mccaffrey, units_df
from .frame import Frame, Grouped
from .moments_scan import roots
from .solve import Hat, Least, Refine, Score
from .stream import Plan, Source, blocks

KINDS, OF_CLUSTERS, INFLATED = ("HC0", "HC1", "HC2", "HC3"), ("CR1", "CR2"), ("HC2", "HC3")
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
    df : float or None
        Degrees of freedom of Student's t; None: those of the regression, n − k.
    kind : str
        The variance that it is: CR1 also where that stands for CR2 (`estimators.few_clusters.is_many`).
    """

    correction: float
    variance: float
    clusters: int | None
    df: float | None = None
    kind: str = "HC1"


@dataclass
class _Mend:
    """Sums that mend the variance of one badly conditioned regression to first order, by group."""

    refine: Refine
    sums: np.ndarray  # (groups, 4, p + 1): Σ z w E, Σ z w U, Σ z w ψ U, Σ z w ψ E, the last two inflated

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
    """Σ ψ² of each score, ψ = w (c U E + L), in one scan of the columns that the scores read.

    c is 1, or what HC2 and HC3 multiply residuals by: L is none and stays as it is, but for √(n/(n − 1)). CR2, and the
    degrees of freedom of HC2 and HC3, take one scan more for the scores that few clusters, or few units, decide.

    Cross-products alone cannot give it: it is of the fourth degree. For the same reason sums a cluster are taken here,
    and not as cross-products a cluster: q numbers each and not p². Coefficients are mended by Σ w U E, and, where a
    regression is badly conditioned, its variance too, to first order for the rounding in (D'WD)⁻¹ and β; the cluster
    variance keeps that rounding, about 1e-16 times the condition of D'WD.

    Parameters
    ----------
    plan : Plan
        That of the moments: the same columns, weight and groups; its cluster key with ``clusters``.
    kind : str, or one a score
        HC0, HC1, HC2 or HC3; the last two for least squares only. With clusters CR1 or CR2.
    clusters : int, optional
        How many clusters there are.

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
    n = int(moments.rows.sum())
    scan = Scan(source, plan, Frame.like(moments, plan.names, plan.rows()), scores, kinds, n, clusters)
    if source.engine is not None:
        from ..engines.variances import fill

        found, sums = fill(scan)
        if found != clusters:
            raise _collision(int(clusters or 0), int(found or 0))
    elif clusters is None:
        collections.deque(scan.run(), maxlen=0)
        sums = scan.meat
    else:
        found, sums = squares(source.connection, scan.run())
        if found != clusters:
            raise _collision(clusters, found)
    if clusters is not None:
        scan.meat, scan.second = sums[: len(scores)], sums[len(scores) :]
    return tuple(_few(scan, [_finish(scan, j, clusters) for j in range(len(scores))]))


def _collision(clusters: int, keys: int) -> Refusal:
    return Refusal(f"two cluster labels share a hash: {clusters} have {keys}", "Number them in staging")


def _check(scores: Sequence[Score], kinds: list[str], clusters: int | None) -> None:
    for score, kind in zip(scores, kinds, strict=True):
        if kind not in (KINDS if clusters is None else OF_CLUSTERS):
            raise ValueError(f"unknown variance '{kind}'")
        if kind in INFLATED and score.hat is None:
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
        self, source: Source, plan: Plan, frame: Frame, scores: list[Score], kinds: list[str], n: int,
        clusters: int | None,
    ) -> None:  # fmt: skip
        self.source, self.plan, self.frame, self.scores, self.kinds = source, plan, frame, scores, kinds
        self.hats: dict[Hashable, Hat] = {}
        for score, kind in zip(scores, kinds, strict=True):
            if kind in INFLATED:
                assert score.hat is not None
                self.hats.setdefault(score.hat.key, score.hat)
        self.clusters, self.clustered, self.stretched = clusters, clusters is not None, stretch(n)
        self.meat, self.correction = np.zeros(len(scores)), np.zeros(len(scores))
        # Σ γ and Σ γ² with γ = w U² of a unit, or of a cluster; Σ (c w U E)² and Σ (w L)².
        self.shares, self.second = np.zeros(len(scores)), np.zeros(len(scores))
        self.apart = np.zeros((len(scores), 2))
        self.mends: dict[int, _Mend] = {}
        for j, score in enumerate(scores):
            if clusters is None and score.refine is not None and score.refine.condition > WELL_CONDITIONED:
                shape = (len(score.refine.forms), 4, score.u.shape[1])
                self.mends[j] = _Mend(score.refine, np.zeros(shape))
        self.rows = 0

    def run(self) -> Iterator[Part]:
        """Scan; with clusters, give each block's keys, ψ and γ, of shape (2 q, m)."""
        extra, q = [j for j, score in enumerate(self.scores) if score.more is not None], len(self.scores)
        for block in blocks(self.source, self.plan):
            grouped = Grouped.of(block, self.plan.n_groups)
            z = self.frame.fill(block, grouped.order)
            w = None if block.weight is None else roots(block.weight, grouped.order) ** 2
            u, e = (_forms(z, [getattr(score, side) for score in self.scores], grouped) for side in ("u", "e"))
            both = handed.empty(2 * q, block.n) if self.clustered else np.empty((2 * q, block.n))
            psi, gamma = both[:q], both[q:]
            np.multiply(u, e, out=psi)
            np.multiply(u, u, out=gamma)
            more = dict(zip(extra, _forms(z, [self.scores[j].more for j in extra], grouped), strict=True))
            if w is not None:
                both *= w
                more = {j: own * w for j, own in more.items()}
            self.correction += psi.sum(axis=1)
            self.shares += gamma.sum(axis=1)
            self.rows += block.n
            if self.clustered:
                assert block.cluster is not None
                for j, own in more.items():
                    psi[j] += own
                yield block.cluster if grouped.order is None else block.cluster[grouped.order], both
            else:
                self.second += np.sum(gamma**2, axis=1)
                self._add(z, u, e, psi, more, w, grouped)

    def _add(
        self, z: np.ndarray, u: np.ndarray, e: np.ndarray, psi: np.ndarray, more: dict[int, np.ndarray],
        w: np.ndarray | None, grouped: Grouped,
    ) -> None:  # fmt: skip
        leverages = {key: _leverage(z, w, hat, grouped) for key, hat in self.hats.items()}
        for j, (score, kind) in enumerate(zip(self.scores, self.kinds, strict=True)):
            factor: float | np.ndarray = 1.0
            if kind in INFLATED:
                assert score.hat is not None
                factor = inflation(leverages[score.hat.key], kind)
            own = psi[j] * factor
            if j in more:
                added = more[j] * (self.stretched if kind in INFLATED else 1.0)
                self.apart[j] += own @ own, added @ added
                own = own + added
            self.meat[j] += own @ own
            if j in self.mends:
                turned = own * factor
                rows = np.stack([e[j], u[j], turned * u[j], turned * e[j]])
                self.mends[j].add(z, rows if w is None else rows * w, grouped)


def stretch(n: int) -> float:
    """√(n/(n − 1)), by which the sampling of a mean of n units, or clusters, is multiplied."""
    return float(np.sqrt(n / (n - 1)))


def _forms(z: np.ndarray, forms: Sequence[np.ndarray | None], grouped: Grouped) -> np.ndarray:
    """Each linear form at each row, with its group's coefficients: shape (q, m)."""
    given = [form for form in forms if form is not None]
    if not given:
        return np.empty((0, z.shape[1]))
    if all(len(form) == 1 for form in given):
        return np.concatenate(given) @ z
    groups = len(grouped.ends) - 1
    stacked = np.array([np.broadcast_to(form, (groups, form.shape[1])) for form in given])
    out = np.empty((len(given), z.shape[1]))
    for k, part in grouped.parts():
        np.matmul(stacked[:, k], z[:, part], out=out[:, part])
    return out


def _leverage(z: np.ndarray, w: np.ndarray | None, hat: Hat, grouped: Grouped) -> np.ndarray:
    """The leverage of each row, w |R (1, z)|²."""
    h = np.empty(z.shape[1])
    parts = [(0, slice(None))] if len(hat.roots) == 1 else grouped.parts()
    for k, part in parts:
        along = hat.roots[k] @ z[:, part]
        np.einsum("rm,rm->m", along, along, out=h[part])
    return h if w is None else h * w


def _finish(scan: Scan, j: int, groups: int | None) -> Robust:
    """The variance from the first scan alone: of a cluster, CR1."""
    n, score, kind, meat = scan.rows, scan.scores[j], scan.kinds[j], float(scan.meat[j])
    small = n / (n - score.coefficients) if kind == "HC1" else 1.0
    if groups is not None:
        small, kind = stata_factor(groups, n, score.coefficients), "CR1"
    elif j in scan.mends:
        meat += scan.mends[j].of()
    df = None if groups is None else groups - 1.0
    return Robust(float(scan.correction[j]) * score.unit, meat * small * score.unit**2, groups, df, kind)


def _few(scan: Scan, found: list[Robust]) -> list[Robust]:
    """CR2, and the degrees of freedom of HC2 and HC3, where few clusters or units decide a score: one scan more."""
    few = [
        j for j, score in enumerate(scan.scores)
        if scan.kinds[j] in ("CR2", *INFLATED)
        and not is_many(scan.shares[j] ** 2 / scan.second[j] if scan.second[j] > 0 else 0.0, score.coefficients)
    ]  # fmt: skip
    if not few:
        return found
    frame = Frame.of(scan.frame.shift, scan.frame.scale, scan.plan.rows())
    whole = stretch(scan.clusters or scan.rows)
    regressions = [_whitened(scan.scores[j], float(scan.shares[j]), whole) for j in few]
    if scan.clustered:
        sums = bell_mccaffrey(scan.source, scan.plan, frame, regressions)
        for j, one in zip(few, sums, strict=True):
            found[j] = _of_few(scan, j, found[j], one)
        return found
    every = units_df(scan.source, scan.plan, frame, regressions, [scan.kinds[j] for j in few])
    for j, df in zip(few, every, strict=True):
        if scan.scores[j].more is not None:
            df = combined_df(scan.apart[j], np.array([df, scan.rows - 1.0]))
        found[j] = dataclasses.replace(found[j], df=df)
    return found


def _of_few(scan: Scan, j: int, plain: Robust, sums: BellMcCaffrey) -> Robust:
    unit, (df,) = scan.scores[j].unit, sums.df()
    if scan.scores[j].more is not None:
        df = combined_df(sums.apart[0], np.array([df, sums.clusters - 1.0]))
    return dataclasses.replace(plain, variance=float(sums.squares[0]) * unit**2, df=float(df), kind="CR2")


def _whitened(score: Score, information: float, stretched: float) -> Whitened:
    """The score's regression; where it is none, that of the residual E on U (``information`` is Σ w U²)."""
    if score.refine is None:
        return Whitened(score.u[:, None] / information**0.5, score.e, np.array([[information**0.5]]))
    root = np.linalg.cholesky(score.refine.inverse)
    more = None if score.more is None else score.more * stretched
    return Whitened(root.T @ score.refine.forms, score.e, root[[score.refine.place]], more)


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
    return fit.inverse @ meat @ fit.inverse * stata_factor(clusters, n, k)
