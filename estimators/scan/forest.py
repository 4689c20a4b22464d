"""A random forest of one arm that is trained on a sample and reads a stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..imports import load
from ..selection_on_observables.systems import FEATURES, LEAF, ROWS_A_TREE
from .frame import Frame
from .stream import Block

# Coarser than in memory (200 trees of any size). Fewer leaves would smooth more, and bias the effect; fewer trees only
# add noise, and are as much faster as they are fewer.
TREES, LEAVES = 30, 1024


@dataclass(frozen=True)
class Coarse:
    """Covariates and outcome near zero and of order one, by numbers that no rounding moves.

    Means and standard deviations differ in the last digit with the order of the rows, and a tree that chooses between
    two equally good splits by its own rounding would then grow otherwise. So means are rounded to an eighth of the
    scale, and scales to a power of two.

    Attributes
    ----------
    shift, scale : ndarray of shape (k + 1,)
        The outcome's last.
    """

    shift: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, frame: Frame) -> Coarse:
        """Close to the means and standard deviations of a frame."""
        scale = np.exp2(np.round(np.log2(frame.scale)))
        # Means of data are often halves or quarters of the scale: no edge between two roundings should be.
        return cls(np.floor(frame.shift / scale * 8 + 0.3137) / 8 * scale, scale)

    def read(self, block: Block, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Covariates as scikit-learn's trees read them, of shape (m, k) in 32 bits, and the outcome, of shape (m,)."""
        x = np.empty((block.n, len(self.shift) - 1), dtype=np.float32)
        for j, column in enumerate(block.columns[:-1]):
            x[:, j] = (column[order] - self.shift[j]) / self.scale[j]
        return x, (block.columns[-1][order] - self.shift[-1]) / self.scale[-1]


class Forest:
    """One arm's forest: 30 trees of at most 1,024 leaves, each on at most 20,000 rows of the arm's sample.

    A row of the stream is predicted by all trees, a row that the forest was trained on by the trees that did not see
    it. Every prediction is noted in the leaf that it read, so that after the stream the weight of each training row in
    the sum of all predictions is known.

    Parameters
    ----------
    x : ndarray of shape (m, k), float32
        The sample of both arms.
    y : ndarray of shape (m,)
    inside : ndarray of shape (m,), bool
        The arm's rows.
    seed : int
    unit : tuple of two float
        A prediction p is given as unit[0] + unit[1] p.
    """

    def __init__(
        self, x: np.ndarray, y: np.ndarray, inside: np.ndarray, seed: int, unit: tuple[float, float] = (0.0, 1.0)
    ) -> None:
        RandomForestRegressor = load("sklearn.ensemble").RandomForestRegressor

        self.inside, self.y = inside, unit[0] + unit[1] * y
        rows = int(inside.sum())
        forest = RandomForestRegressor(
            TREES, min_samples_leaf=LEAF, max_leaf_nodes=LEAVES, max_features=FEATURES,
            max_samples=min(rows, ROWS_A_TREE), random_state=seed, n_jobs=1,
        ).fit(x[inside], y[inside])  # fmt: skip
        self._trees: list[Any] = [one.tree_ for one in forest.estimators_]
        self._values = [unit[0] + unit[1] * tree.value[:, 0, 0] for tree in self._trees]
        self._drawn = [np.bincount(sample, minlength=rows).astype(np.uint16) for sample in forest.estimators_samples_]
        self._reads = [np.zeros(tree.node_count) for tree in self._trees]
        self._leaves = [tree.apply(x).astype(np.uint16) for tree in self._trees]
        self.sample = self._read_sample()

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predictions for rows of shape (m, k), float32, outside the sample: shape (m,)."""
        out = np.zeros(len(x))
        for tree, values, reads in zip(self._trees, self._values, self._reads, strict=True):
            leaf = tree.apply(x)
            out += values[leaf]
            reads += np.bincount(leaf, minlength=len(reads)) / TREES
        return out / TREES

    def _read_sample(self) -> np.ndarray:
        """Predictions for the sample: shape (m,)."""
        unseen = np.array([drawn == 0 for drawn in self._drawn])
        voters = unseen.sum(axis=0)
        out = np.zeros(len(self.y))
        for leaf, values, reads, own in zip(self._leaves, self._values, self._reads, unseen, strict=True):
            share = np.full(len(self.y), 1 / TREES)
            share[self.inside] = np.where(voters > 0, own / np.maximum(voters, 1), 1 / TREES)
            out += share * values[leaf]
            reads += np.bincount(leaf, share, minlength=len(reads))
        return out

    def reliance(self) -> np.ndarray:
        """The weight of each training row in the sum of all predictions so far: shape (rows of the arm,)."""
        out = np.zeros(int(self.inside.sum()))
        for leaves, reads, drawn in zip(self._leaves, self._reads, self._drawn, strict=True):
            leaf = leaves[self.inside]
            size = np.bincount(leaf, drawn, minlength=len(reads))
            out += drawn * (reads / np.maximum(size, 1))[leaf]
        return out

    def left_out(self) -> np.ndarray:
        """Residuals of the training rows from the trees that did not see them: shape (rows of the arm,)."""
        return (self.y - self.sample)[self.inside]
