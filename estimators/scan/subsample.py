"""A sub-sample in memory: where a fit begins, and how its score bends between two points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .frame import Frame
from .likelihood import log_likelihood, probabilities, rows_of, slopes
from .stream import Plan, Source

# Rows of a sub-sample: a twentieth, within these bounds; numbers that it may hold (32 MiB of them).
FEWEST, ONE_OF, NUMBERS = 20_000, 20, 2**22
STEPS = 25


@dataclass(frozen=True)
class Subsample:
    """Rows drawn by a hash.

    Attributes
    ----------
    z : ndarray of shape (k, m)
        The constant first.
    t : ndarray of shape (m,)
    w : ndarray of shape (m,) or None
    ratio : float
        Weight of all rows for one of these.
    link : str
    is_all : bool
        Whether no row was left out.
    """

    z: np.ndarray
    t: np.ndarray
    w: np.ndarray | None
    ratio: float
    link: str
    is_all: bool

    @property
    def share_of_error(self) -> float:
        """How far a sum's deviation from all rows' reaches, relative to the sum: ten times √(k / m), at most 1."""
        k, m = self.z.shape
        return min(1.0, 10.0 * (k / max(m, 1)) ** 0.5)

    def score(self, beta: np.ndarray) -> np.ndarray:
        """Of all rows, as far as these tell, at coefficients of shape (models, k)."""
        eta = beta @ self.z
        slope, _ = slopes(self.t, eta, probabilities(eta, self.link), self.link)
        return self.ratio * (slope if self.w is None else slope * self.w) @ self.z.T

    def information(self, beta: np.ndarray) -> np.ndarray:
        """Of all rows, as far as these tell: shape (models, k, k)."""
        eta = beta @ self.z
        _, curvature = slopes(self.t, eta, probabilities(eta, self.link), self.link)
        roots = np.sqrt(curvature if self.w is None else curvature * self.w)
        scaled = (self.z * root for root in roots)
        return self.ratio * np.array([inside @ inside.T for inside in scaled])

    def maximum(self, start: np.ndarray) -> np.ndarray:
        """Coefficients near the sub-sample's maximum; the start, where it has none (it may separate the arms).

        Directions in which these rows do not vary (a rare category) stay where they are.
        """
        beta, best = start, self._likelihood(start)
        for _ in range(STEPS):
            step = np.linalg.lstsq(self.information(beta[None])[0], self.score(beta[None])[0], rcond=1e-10)[0]
            reached = self._likelihood(beta + step)
            while not reached >= best - 1e-9 * abs(best) and np.abs(step).max() > 1e-9:
                step = step / 2
                reached = self._likelihood(beta + step)
            beta, best = beta + step, reached
            if not np.abs(beta).max() < 30:
                return start
            if np.abs(step).max() < 1e-5:
                return beta
        return start

    def steps(self, at: np.ndarray, score: np.ndarray, information: np.ndarray, share: np.ndarray) -> np.ndarray:
        """Newton's steps of some models from one point, corrected for the bend of their scores: shape (models, k).

        A step d solves S(β) − H d + [s(β + d) − s(β) + h d] = 0: score S and information H of a scan, and in the
        bracket what is beyond them, s and h of the sub-sample. Newton's step leaves an error of the order d²; this
        one leaves d² times the bracket's sampling error. Where the sub-sample has nothing to say it is Newton's.

        Parameters
        ----------
        at : ndarray of shape (k,)
        score, information : ndarray of shape (models, k), (models, k, k)
        share : ndarray of shape (models,)
            Of all weight, in the rows of each model.
        """
        plain = solve_each(information, score)
        base, curve = self.score(at[None]), self.information(at[None])[0]
        moves = plain
        for _ in range(STEPS):
            beyond = self.score(at + moves) - base + moves @ curve
            new = solve_each(information, score + share[:, None] * beyond)
            if not np.abs(new - plain).max() <= 0.5 * np.abs(plain).max():
                return plain
            change, moves = np.abs(new - moves).max(), new
            if change <= 1e-3 * np.abs(new - plain).max():
                return moves
        return plain

    def _likelihood(self, beta: np.ndarray) -> float:
        return log_likelihood(self.t, probabilities(beta @ self.z, self.link), self.w)


def solve_each(information: np.ndarray, score: np.ndarray) -> np.ndarray:
    """H⁻¹ S of each model: shape (models, k).

    Raises
    ------
    numpy.linalg.LinAlgError
        If an information is singular.
    """
    return np.linalg.solve(information, score[..., None])[..., 0]


def draw(source: Source, plan: Plan, frame: Frame, rows: int, weight: float, link: str) -> Subsample:
    """About a twentieth of the rows, those whose hash (of the carried columns, else of the numbers) falls on zero.

    Parameters
    ----------
    plan : Plan
        Covariates and the 0/1 column last, weight; no group.
    rows : int
    weight : float
        Of all rows.
    """
    k = len(plan.columns)
    every = rows // min(max(FEWEST, rows // ONE_OF), max(NUMBERS // k, 2 * k))
    if every > 1:
        keys = ", ".join(plan.carry or [column.sql for column in plan.columns])
        source = source.kept(f"hash({keys}) % {every} = 0")
    parts = [
        (z.copy(), t.copy(), None if block.weight is None else block.weight.copy())
        for block, z, t in rows_of(source, plan, frame)
    ]
    if not parts:
        return Subsample(np.empty((k, 0)), np.empty(0), None, 0.0, link, is_all=False)
    z, t = np.hstack([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    w = None if plan.weight is None else np.concatenate([part[2] for part in parts])
    held = float(len(t) if w is None else w.sum())
    return Subsample(z, t, w, weight / held if held > 0 else 0.0, link, is_all=every <= 1)
