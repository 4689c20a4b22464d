"""One last scan: every sum that IPW and doubly robust estimates, their variances and their diagnostics need."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from ..selection_on_observables.ipw import balancing_weights, weight_slopes
from .frame import Frame
from .likelihood import density, probabilities, slopes
from .room import Room
from .stream import Block, Column, Plan, Source, blocks

ESTIMANDS = ("ATE", "ATT", "ATO")


@dataclass(frozen=True)
class Forms:
    """What a row's propensities and predicted outcomes are made of: forms of (1, z) of p covariates.

    Attributes
    ----------
    index : ndarray of shape (p + 1,)
        Of the propensity of all rows' model.
    link : str
    crossfitted : ndarray of shape (3, folds, p + 1) or None
        Of the models outside each fold: the propensity's index, and the outcome's regression in the untreated and in
        the treated, in units of (y − shift) / scale. One fold means no cross-fitting.
    """

    index: np.ndarray
    link: str
    crossfitted: np.ndarray | None = None


@dataclass(frozen=True)
class Rows:
    """A block's rows: z with the constant first, shape (p + 1, m); all else of shape (m,), y standardised."""

    z: np.ndarray
    y: np.ndarray
    t: np.ndarray
    w: np.ndarray | None
    cluster: np.ndarray | None
    carried: list[pa.Array]
    forms: Forms
    eta: np.ndarray
    e: np.ndarray
    own: np.ndarray
    room: Room = field(default_factory=Room)

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.t)

    def weighted(self, values: np.ndarray) -> np.ndarray:
        """Values times the sampling weights."""
        return values if self.w is None else values * self.w

    def crossfitted(self) -> np.ndarray:
        """Propensity and predicted outcomes in both arms by models that have not seen the row's fold: shape (3, m)."""
        forms = self.forms.crossfitted
        assert forms is not None
        kinds, folds = forms.shape[:2]
        every = self.room.take("forms", kinds * folds, self.n)
        np.matmul(forms.reshape(kinds * folds, -1), self.z, out=every)
        if folds == 1:
            out = every.copy()
        else:
            rows = np.arange(self.n)
            out = np.array([every[kind * folds : (kind + 1) * folds][self.own, rows] for kind in range(kinds)])
        probabilities(out[0], self.forms.link, out=out[0])
        return out


def rows(source: Source, y: Column, t: Column, plan: Plan, frame: Frame, forms: Forms) -> Iterator[Rows]:
    """The rows, block by block; each overwrites the last.

    Parameters
    ----------
    plan : Plan
        Covariates, weight, the fold as group, cluster, and what is carried.
    frame : Frame
        In the units of the covariates and, last, of y.
    """
    own, room = dataclasses.replace(plan, columns=(*plan.columns, y, t)), Room()
    for block in blocks(source, own):
        arm = block.columns.pop()
        z = frame.fill(block)
        eta = forms.index @ z[:-1]
        e = probabilities(eta, forms.link)
        yield Rows(z[:-1], z[-1], arm, block.weight, block.cluster, block.carried, forms, eta, e, _folds(block), room)


def _folds(block: Block) -> np.ndarray:
    return np.zeros(block.n, dtype=np.intp) if block.group is None else block.group.astype(np.intp)


@dataclass
class Hajek:
    """Sums of the weighted means of both arms, for the ATE, ATT and ATO: what `ipw` is made of.

    An influence value depends on totals that are known only at the end of the scan, but is linear in 12 + k numbers of
    the row (`numbers`), so their products give its variance without another scan.

    Attributes
    ----------
    trim : float
        Rows with propensities outside [trim, 1 − trim] are left out.
    at : ndarray of shape (k,)
        Places of the propensity model's kept columns in z, the constant's first.
    width : int
        Rows of z.
    products, totals : ndarray of shape (12 + k, 12 + k), (12 + k,)
        Of the numbers.
    slopes : ndarray of shape (12, width)
        Σ z dω/dη times what ω is multiplied with in the first twelve numbers.
    balance : ndarray of shape (6, width)
        Σ z ω T and Σ z ω (1 − T) of each estimand.
    plain, squares : ndarray of shape (2, width)
        Σ z and Σ z² of the treated and the untreated that are kept, whatever their weight.
    information : ndarray of shape (k, k)
        Of the propensity model.
    largest : ndarray of shape (3, 2)
        Weights by estimand, treated first.
    not_finite : ndarray of shape (3,)
        Kept rows whose propensity is 0 or 1 on the wrong side.
    used : ndarray of shape (2,)
        Kept rows with a sampling weight, treated first.
    rows : int
        All, the trimmed too.
    """

    trim: float
    at: np.ndarray
    width: int
    products: np.ndarray = field(init=False)
    totals: np.ndarray = field(init=False)
    slopes: np.ndarray = field(init=False)
    balance: np.ndarray = field(init=False)
    plain: np.ndarray = field(init=False)
    squares: np.ndarray = field(init=False)
    information: np.ndarray = field(init=False)
    largest: np.ndarray = field(init=False)
    not_finite: np.ndarray = field(init=False)
    used: np.ndarray = field(init=False)
    rows: int = 0
    room: Room = field(default_factory=Room)

    def __post_init__(self) -> None:
        """Zeros."""
        k, width = len(self.at), self.width
        self.products, self.totals = np.zeros((12 + k, 12 + k)), np.zeros(12 + k)
        self.slopes, self.balance = np.zeros((12, width)), np.zeros((6, width))
        self.plain, self.squares = np.zeros((2, width)), np.zeros((2, width))
        self.information, self.largest = np.zeros((k, k)), np.zeros((3, 2))
        self.not_finite, self.used = np.zeros(3, dtype=np.int64), np.zeros(2, dtype=np.int64)

    def numbers(self, rows: Rows) -> tuple[np.ndarray, list[int]]:
        """For each estimand ω T, ω T y, ω (1 − T), ω (1 − T) y, then the propensity's score: shape (12 + k, m).

        ω is zero of a trimmed row, and where it is not finite: how often that is comes with them. The next call
        overwrites them.
        """
        out, inside, not_finite = self.room.take("numbers", 12 + len(self.at), rows.n), self._inside(rows), []
        for j, estimand in enumerate(ESTIMANDS):
            omega = np.where(inside, balancing_weights(rows.t, rows.e, estimand), 0.0)
            not_finite.append(without_holes(omega))
            _split(rows.weighted(omega), rows, out[4 * j : 4 * j + 4])
        slope, _ = slopes(rows.t, rows.eta, rows.e, rows.forms.link)
        self._own(rows, rows.weighted(slope), out[12:])
        return out, not_finite

    def _own(self, rows: Rows, factor: np.ndarray, out: np.ndarray) -> np.ndarray:
        """The propensity model's columns, each times a factor."""
        if len(self.at) == self.width:  # all of them, in order
            return np.multiply(rows.z, factor, out=out)
        for row, place in zip(out, self.at, strict=True):
            np.multiply(rows.z[place], factor, out=row)
        return out

    def add(self, rows: Rows) -> None:
        """One block's sums."""
        numbers, not_finite = self.numbers(rows)
        self.not_finite += not_finite
        self.products += numbers @ numbers.T
        self.totals += numbers.sum(axis=1)
        self.largest = np.maximum(self.largest, numbers[:12:2].max(axis=1).reshape(3, 2))
        inside, treated, left = self._inside(rows), rows.t == 1, self.room.take("left", 20, rows.n)
        dp = rows.weighted(density(rows.eta, rows.e, rows.forms.link))
        for j, estimand in enumerate(ESTIMANDS):
            with np.errstate(invalid="ignore"):
                slope = np.where(inside, weight_slopes(rows.t, rows.e, estimand) * dp, 0.0)
            without_holes(slope)
            _split(slope, rows, left[4 * j : 4 * j + 4])
        left[12:18] = numbers[:12:2]
        np.logical_and(inside, treated, out=left[18], casting="unsafe")
        np.logical_and(inside, ~treated, out=left[19], casting="unsafe")
        got = left @ rows.z.T
        self.slopes += got[:12]
        self.balance += got[12:18]
        self.plain += got[18:]
        self.squares += left[18:] @ np.square(rows.z, out=self.room.take("squares", self.width, rows.n)).T
        self.used += (left[18:] if rows.w is None else left[18:] * (rows.w > 0)).sum(axis=1).astype(np.int64)
        _, curvature = slopes(rows.t, rows.eta, rows.e, rows.forms.link)
        own = self._own(rows, np.sqrt(rows.weighted(curvature)), self.room.take("own", len(self.at), rows.n))
        self.information += own @ own.T
        self.rows += rows.n

    def _inside(self, rows: Rows) -> np.ndarray:
        return (rows.e >= self.trim) & (rows.e <= 1 - self.trim)

    def effect(self, estimand: str, stacked: bool) -> tuple[float, np.ndarray]:
        """Difference of the arms' weighted means in units of the standardised y, and c: an influence value is n c'a.

        With ``stacked`` the propensity's estimation is counted (Lunceford & Davidian 2004).
        """
        j, estimate = ESTIMANDS.index(estimand), 0.0
        c, gradient = np.zeros(len(self.totals)), np.zeros(len(self.at))
        for arm, sign in enumerate((1.0, -1.0)):
            at = 4 * j + 2 * arm
            total = self.totals[at]
            mean = self.totals[at + 1] / total
            estimate += sign * mean
            c[at], c[at + 1] = -sign * mean / total, sign / total
            gradient += sign * (self.slopes[at + 1] - mean * self.slopes[at])[self.at] / total
        if stacked:
            c[12:] = np.linalg.solve(self.information, gradient)
        return float(estimate), c

    def estimands(self) -> list[str]:
        """Those whose weights are all finite."""
        return [estimand for estimand, holes in zip(ESTIMANDS, self.not_finite, strict=True) if not holes]

    def total(self, estimand: str) -> np.ndarray:
        """Σ ω of the treated and of the untreated."""
        j = ESTIMANDS.index(estimand)
        return self.totals[[4 * j, 4 * j + 2]]

    def square(self, estimand: str) -> np.ndarray:
        """Σ ω² of the treated and of the untreated."""
        j = ESTIMANDS.index(estimand)
        return np.diag(self.products)[[4 * j, 4 * j + 2]]

    def most(self, estimand: str) -> np.ndarray:
        """Largest ω of the treated and of the untreated."""
        return self.largest[ESTIMANDS.index(estimand)]

    def means(self, estimand: str) -> np.ndarray:
        """Weighted means of z of the treated and of the untreated: shape (2, width)."""
        sums = self.balance[2 * ESTIMANDS.index(estimand) :][:2]
        return sums / sums[:, :1]


def _split(values: np.ndarray, rows: Rows, out: np.ndarray) -> None:
    """v T, v T y, v (1 − T), v (1 − T) y."""
    np.multiply(values, rows.t, out=out[0])
    np.subtract(values, out[0], out=out[2])
    np.multiply(out[0], rows.y, out=out[1])
    np.multiply(out[2], rows.y, out=out[3])


def without_holes(values: np.ndarray) -> int:
    """Put zero where a number is not finite, and tell how often."""
    holes = ~np.isfinite(values)
    count = int(np.count_nonzero(holes))
    if count:
        values[holes] = 0.0
    return count
