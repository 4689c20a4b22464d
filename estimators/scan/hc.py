"""One more scan for variances: HC0 to HC3 and cluster-robust, of any coefficients that `solve` gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..moments import Moments
from .frame import Frame, Grouped
from .moments_scan import roots
from .solve import Score
from .stream import Block, Plan, Source, blocks

KINDS = ("HC0", "HC1", "HC2", "HC3")


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
class _Sums:
    """What the scan adds up; q scores, p columns and the constant, G clusters."""

    e: np.ndarray  # (p + 1, q): Σ z w E
    u: np.ndarray  # (p + 1, q): Σ z w U
    ue: np.ndarray  # (p + 1, q): Σ z w² U² E
    eu: np.ndarray  # (p + 1, q): Σ z w² U E²
    meat: np.ndarray  # (q,): Σ w² U² E²
    clusters: np.ndarray | None  # (q, G): Σ w U E a cluster
    rows: int = 0


def robust(
    source: Source, plan: Plan, moments: Moments, scores: Sequence[Score], kind: str = "HC1",
    clusters: np.ndarray | None = None,
) -> tuple[Robust, ...]:  # fmt: skip
    """Σ w² U² E² of each score, in one scan.

    Cross-products alone cannot give it: it is of the fourth degree. For the same reason cluster sums are taken here,
    and not as cross-products a cluster: G × q numbers and not G × p². Where a score says how (`solve.Refine`),
    coefficient and variance are mended to first order for the rounding in (Z'WZ)⁻¹ and β; the cluster variance keeps
    that rounding, about 1e-16 times the condition of Z'WZ.

    Parameters
    ----------
    plan : Plan
        That of the moments: the same columns, weight and groups; its cluster key with ``clusters``.
    kind : str
        HC0, HC1, HC2 or HC3; the last two for least squares only. With clusters it does not matter.
    clusters : ndarray of shape (G,), optional
        Sorted keys (`columns.cluster_keys`); then Liang & Zeger's variance times G/(G−1) · (n−1)/(n−k).
    """
    if kind not in KINDS:
        raise ValueError(f"unknown variance '{kind}'")
    leverage = _leverage(scores) if kind in ("HC2", "HC3") else None
    q, p = len(scores), len(plan.columns)
    shape = (p + 1, q)
    sums = _Sums(np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(q), None)
    if clusters is not None:
        sums.clusters = np.zeros((q, len(clusters)))
    frame = Frame.like(moments, plan.names, plan.rows())
    for block in blocks(source, plan):
        grouped = Grouped.of(block, plan.n_groups)
        z = frame.fill(block, grouped.order)
        w = None if block.weight is None else roots(block.weight, grouped.order) ** 2
        u, e = (_forms(z, [getattr(s, side) for s in scores], grouped) for side in ("u", "e"))
        room = None if leverage is None else _room(z, w, leverage, kind)
        _add(sums, z, u, e, w, room)
        if clusters is not None:
            _add_clusters(sums, u * e if w is None else u * e * w, block, grouped, clusters)
        sums.rows += block.n
    return tuple(_finish(sums, j, score, kind) for j, score in enumerate(scores))


def _forms(z: np.ndarray, forms: list[np.ndarray], grouped: Grouped) -> np.ndarray:
    """Each linear form at each row, with its group's coefficients: shape (q, m)."""
    groups = len(grouped.ends) - 1
    stacked = np.array([np.broadcast_to(form, (groups, form.shape[1])) for form in forms])
    if all(len(form) == 1 for form in forms):
        return stacked[:, 0] @ z
    out = np.empty((len(forms), z.shape[1]))
    for k, part in grouped.parts():
        np.matmul(stacked[:, k], z[:, part], out=out[:, part])
    return out


def _add(
    sums: _Sums, z: np.ndarray, u: np.ndarray, e: np.ndarray, w: np.ndarray | None, room: np.ndarray | None
) -> None:
    we, wu = (e, u) if w is None else (e * w, u * w)
    if room is None:
        uue, uee = wu**2 * e, we**2 * u
    else:
        uue, uee = wu**2 * e / room, we**2 * u / room
    q = len(u)
    got = z @ np.concatenate([we, wu, uue, uee]).T
    sums.e += got[:, :q]
    sums.u += got[:, q : 2 * q]
    sums.ue += got[:, 2 * q : 3 * q]
    sums.eu += got[:, 3 * q :]
    sums.meat += np.einsum("qm,qm->q", uue, e)


def _add_clusters(sums: _Sums, psi: np.ndarray, block: Block, grouped: Grouped, keys: np.ndarray) -> None:
    assert sums.clusters is not None
    assert block.cluster is not None
    code = np.searchsorted(keys, block.cluster if grouped.order is None else block.cluster[grouped.order])
    for row, values in zip(sums.clusters, psi, strict=True):
        np.add.at(row, code, values)


def _leverage(scores: Sequence[Score]) -> Score:
    """The one regression whose hat matrix HC2 and HC3 need."""
    first = scores[0].refine
    if first is None or any(s.refine is None or s.refine.inverse is not first.inverse for s in scores):
        raise ValueError("HC2 and HC3 are for coefficients of one least-squares regression")
    return scores[0]


def _room(z: np.ndarray, w: np.ndarray | None, score: Score, kind: str) -> np.ndarray:
    """(1 − h)^(1 for HC2, 2 for HC3), with h the leverage w z'(Z'WZ)⁻¹z."""
    assert score.refine is not None
    own = z[score.refine.at]
    h = np.einsum("im,im->m", own, score.refine.inverse @ own)
    left = np.maximum(1.0 - (h if w is None else h * w), 1e-12)
    return left if kind == "HC2" else left**2


def _finish(sums: _Sums, j: int, score: Score, kind: str) -> Robust:
    n, meat, correction = sums.rows, float(sums.meat[j]), 0.0
    if score.refine is not None:
        fix = score.refine
        target = np.zeros(len(fix.at))
        target[fix.place] = 1.0
        beta = fix.inverse @ sums.e[fix.at, j]
        row = fix.inverse @ (target - sums.u[fix.at, j])
        correction = float(beta[fix.place])
        meat += float(2 * row @ sums.eu[fix.at, j] - 2 * beta @ sums.ue[fix.at, j])
    small = n / (n - score.coefficients) if kind == "HC1" else 1.0
    groups = None
    if sums.clusters is not None:
        groups = sums.clusters.shape[1]
        meat = float(sums.clusters[j] @ sums.clusters[j])
        small = groups / (groups - 1) * (n - 1) / (n - score.coefficients)
    return Robust(correction * score.unit, meat * small * score.unit**2, groups)
