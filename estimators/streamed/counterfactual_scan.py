"""The last scan of the counterfactual systems: influence values, residuals and distributions, added up row by row."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from ..scan.arm_fit import ArmFit
from ..scan.clusters import Part, arm_rows
from ..scan.features import Features, pieces
from ..scan.forest import Coarse, Forest
from ..scan.frame import Frame, Grouped
from ..scan.stream import Plan, Source, blocks
from ..selection_on_observables.counterfactual import BINS

# A unit with more leverage fits only itself: its arm's mean stands in (as `systems.LeastSquares.left_out`).
ALONE = 1 - 1e-8
SYSTEMS = ("linear", "nonlinear", "learned")


@dataclass(frozen=True)
class Fits:
    """The least-squares systems of both arms; the outcome in its standard units.

    Attributes
    ----------
    features : Features
    linear, nonlinear : tuple of two ArmFit
        Untreated and treated, in units of the constant and the covariates, and of these and the other features.
    means : tuple of two float
        The outcome's mean in each arm.
    """

    features: Features
    linear: tuple[ArmFit, ArmFit]
    nonlinear: tuple[ArmFit, ArmFit]
    means: tuple[float, float]

    def predict(self, f: np.ndarray) -> np.ndarray:
        """μ₀ and μ₁ of linear and nonlinear: shape (2, 2, m)."""
        forms = (np.array([fit.mean for fit in arms]) for arms in (self.linear, self.nonlinear))
        return np.array([own @ f[: own.shape[1]] for own in forms])


@dataclass(frozen=True)
class Sample:
    """The rows on which the forests were trained, those of an arm side by side.

    Attributes
    ----------
    z : ndarray of shape (k + 2, m)
        The constant, the standardised covariates, the outcome in standard units; untreated rows first.
    x, y : ndarray of shape (m, k), float32, and (m,)
        The same as the forests read them.
    arms : tuple of two slice
    cluster : ndarray of shape (m,) or None
        Keys.
    """

    z: np.ndarray
    x: np.ndarray
    y: np.ndarray
    arms: tuple[slice, slice]
    cluster: np.ndarray | None


@dataclass
class Totals:
    """What the scan adds up; systems in the order of `SYSTEMS`.

    Attributes
    ----------
    edges : ndarray of shape (2, 31)
        Bins of Y(0) and of the effect, in the outcome's standard units.
    pilot : float
        The learned system's effect, roughly: influence values are taken about it.
    learned : float
        Σ of the learned system's effects less the pilot. (Influence values add up to more: a forest's residuals of the
        rows that it was trained on have no mean of zero.)
    psi : ndarray of shape (4,)
        Σ of the systems' influence values (learned: about the pilot) and of 1.
    cross : ndarray of shape (4, 4)
        Products of the same.
    left : ndarray of shape (3,)
        Σ of squared residuals of units, each predicted by others.
    counts : ndarray of shape (2, 3, 30)
        Units by distribution, system and bin.
    """

    edges: np.ndarray
    pilot: float
    learned: float = 0.0
    psi: np.ndarray = field(default_factory=lambda: np.zeros(4))
    cross: np.ndarray = field(default_factory=lambda: np.zeros((4, 4)))
    left: np.ndarray = field(default_factory=lambda: np.zeros(3))
    counts: np.ndarray = field(default_factory=lambda: np.zeros((2, 3, BINS), dtype=np.int64))

    def add(self, psi: np.ndarray, left: np.ndarray, predicted: np.ndarray) -> None:
        """Rows by influence values of shape (4, m), residuals (3, m) and predictions (3 systems, 2 arms, m)."""
        self.psi += psi.sum(axis=1)
        self.cross += psi @ psi.T
        self.left += np.einsum("sm,sm->s", left, left)
        for i, values in enumerate((predicted[:, 0], predicted[:, 1] - predicted[:, 0])):
            low, high = self.edges[i, 0], self.edges[i, -1]
            place = ((np.clip(values, low, high) - low) * (BINS / (high - low))).astype(np.int64)
            np.minimum(place, BINS - 1, out=place)
            for j, own in enumerate(place):
                self.counts[i, j] += np.bincount(own, minlength=BINS)


@dataclass(frozen=True)
class Reader:
    """How rows are read: for least squares by the frame, for the forests coarsely; covariates, then the outcome."""

    source: Source
    plan: Plan
    frame: Frame
    coarse: Coarse

    def blocks(
        self, order: str = ""
    ) -> Iterator[tuple[Grouped, np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]]:
        """Each block by arm: z, x and y as in `Sample`, and the cluster."""
        for block in blocks(self.source, self.plan, order):
            grouped = Grouped.of(block, 2)
            assert grouped.order is not None
            cluster = None if block.cluster is None else block.cluster[grouped.order]
            yield grouped, self.frame.fill(block, grouped.order), *self.coarse.read(block, grouped.order), cluster


def parts(reader: Reader, fits: Fits, forests: tuple[Forest, Forest], sample: Sample, totals: Totals) -> Iterator[Part]:
    """Add up all rows, and give the clusters and influence values of each piece.

    First the stream of the rows outside the sample; then the sample, whose influence values hold what the forests'
    predictions of all rows, seen by then, rest on each of its rows.
    """
    buffer = fits.features.buffer()
    with ThreadPoolExecutor(2) as pool:
        for grouped, z, x, _, cluster in reader.blocks():
            learned = np.array(list(pool.map(lambda forest: forest.predict(x), forests)))  # noqa: B023
            for arm, part in grouped.parts():
                own = None if cluster is None else cluster[part]
                yield from _pieces(z[:, part], arm, learned[:, part], None, own, fits, totals, buffer)
    for arm, part in enumerate(sample.arms):
        learned = np.array([forest.sample[part] for forest in forests])
        moved = forests[arm].reliance() * forests[arm].left_out()
        cluster = None if sample.cluster is None else sample.cluster[part]
        yield from _pieces(sample.z[:, part], arm, learned, moved, cluster, fits, totals, buffer)


def _pieces(
    z: np.ndarray, arm: int, learned: np.ndarray, moved: np.ndarray | None, cluster: np.ndarray | None, fits: Fits,
    totals: Totals, buffer: np.ndarray,
) -> Iterator[Part]:  # fmt: skip
    """Rows of one arm; ``moved`` is what they do to the forest that was trained on them."""
    start = 0
    for piece in pieces(z, fits.features.rows):
        at = slice(start, start + piece.shape[1])
        f = fits.features.fill(piece, buffer)
        psi = _piece(f[:-1], f[-1], arm, learned[:, at], None if moved is None else moved[at], fits, totals)
        if cluster is not None:
            yield cluster[at], np.vstack([psi, arm_rows(np.full(psi.shape[1], arm), None)])
        start = at.stop


def _piece(
    f: np.ndarray, y: np.ndarray, arm: int, learned: np.ndarray, moved: np.ndarray | None, fits: Fits, totals: Totals
) -> np.ndarray:
    """Influence values of the three systems and 1, of shape (4, m), which are added up too."""
    predicted = np.concatenate([fits.predict(f), learned[None]])
    residual = y - predicted[:, arm]
    sign = 1.0 if arm else -1.0
    psi = np.ones((4, len(y)))
    np.subtract(predicted[:, 1], predicted[:, 0], out=psi[:3])
    psi[2] -= totals.pilot
    totals.learned += float(psi[2].sum())
    if moved is not None:
        psi[2] += sign * moved
    left = residual.copy()
    for i, arms in enumerate((fits.linear, fits.nonlinear)):
        own = arms[arm]
        x = f[: len(own.mean)]
        psi[i] += sign * (own.reach @ x * residual[i] - own.offset) - (arms[1].level - arms[0].level)
        leverage = np.einsum("im,im->m", own.hat @ x, x)
        alone = leverage > ALONE
        left[i] = np.where(alone, y - fits.means[arm], residual[i] / np.where(alone, 1.0, 1.0 - leverage))
    totals.add(psi, left, predicted)
    return psi
