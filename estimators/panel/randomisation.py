"""Randomisation inference for several effects before treatment: who is in which cohort is drawn anew."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from .innovations import Innovations

# Numbers of one batch of draws: 16 MiB.
BATCH = 2**21
ROUNDING = 1e-9
# So many observations' worth of the pooled scale are mixed into a cohort's own.
PRIOR_SCALE = 5.0


@dataclass(frozen=True)
class Randomised:
    """A statistic among its draws, and what a trend would make of the draws.

    Attributes
    ----------
    statistic, p_value : float
        p = (1 + draws at least as large) / (1 + draws).
    quadratic : ndarray of shape (3, B)
        W of a draw with a trend of δ a step added is q₀ + 2 δ q₁ + δ² q₂.
    bar : float
        The test rejects at 5 % what exceeds it.
    """

    statistic: float
    p_value: float
    quadratic: np.ndarray
    bar: float

    def power(self, step: float) -> float:
        """Share of draws that are rejected once a trend of ``step`` (of either sign) is added."""
        q0, q1, q2 = self.quadratic
        shares = [np.mean(q0 + 2 * sign * step * q1 + step**2 * q2 > self.bar) for sign in (-1.0, 1.0)]
        return float(np.mean(shares))

    def detectable(self, power: float) -> float:
        """The smallest trend that is rejected with the given power; NaN where none is."""
        q2 = float(np.median(self.quadratic[2]))
        if not q2 > 0:
            return float("nan")
        low, high = 0.0, math.sqrt(self.bar / q2)
        while self.power(high) < power:
            low, high = high, 2 * high
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (low, middle) if self.power(middle) >= power else (middle, high)
        return high


def arrangements(arm: np.ndarray) -> float:
    """In how many ways units can be spread over arms of these sizes (infinite beyond e^700)."""
    sizes = np.bincount(arm)
    log = math.lgamma(len(arm) + 1) - sum(math.lgamma(size + 1) for size in sizes)
    return math.exp(log) if log < 700 else math.inf


def randomised(given: Innovations, seed: int, draws: int, level: float) -> Randomised | None:
    """W = b' V⁻¹ b of b_k = Σ_i c_ki z_ij against its values once the rows of z have changed places.

    The rows of z, each over the scale of its cohort, change places among the units untreated in the same steps, and
    take the scale of the cohort in which they come to stand; cohorts, covariates and weights stay where they are
    (Freedman & Lane 1983), so cohorts keep their sizes. V = Σ_g (Σ_{i in g} c_i c_i') ∘ S_g, where S_g is the
    covariance of z in cohort g, shrunk towards the pooled variances times a scale of the cohort's own, which are worth
    as many units as g has steps. So a cohort of two units with eight steps has a covariance too, and W has full rank.

    - Where units are exchangeable, up to covariates and a cohort's scale, the reference has the law of W: labels alone
      are drawn, nothing is asked of the outcome's law. That cohorts differ in variance is the Behrens-Fisher problem:
      labels drawn without scales would reject true trends too often where small cohorts vary more.
    - Where cohorts differ in the shape of their covariances too, S_g → Σ_g as cohorts grow, and W is asymptotically χ²
      with K degrees of freedom for the sample and for the draws alike (Janssen 1997; Chung & Romano 2013; Pauly,
      Brunner & Konietschke 2015); an unstudentised statistic would not do.
    - Steps with other units untreated change places on their own; their innovations are uncorrelated with earlier ones.

    Parameters
    ----------
    given : Innovations
    seed, draws : int
    level : float

    Returns
    -------
    Randomised or None
        None where nothing varies.
    """
    total = np.array([given.values[given.untreated[:, j], j].var() for j in range(given.values.shape[1])])
    kept = total > 0
    if not kept[given.step].any():
        return None
    given = _only(given, kept)
    form = _Form.of(given, total[kept])
    own = given.values[None]
    b, v, scale = form.effects(own), form.covariance(own), form.scales(own)
    given = _standardised(given, scale)
    given = dataclasses.replace(given, spread=given.spread * _drawn_short(given, scale))
    observed = float(_quadratic(b, v, b)[0])
    shift = given.slope
    parts: list[np.ndarray] = []
    rng = np.random.default_rng(seed)
    size = max(1, BATCH // given.values.size)
    for start in range(0, draws, size):
        z = _moved(given, rng, min(size, draws - start)) * scale[:, None]
        b, v = form.effects(z) * given.spread, form.covariance(z)
        m = np.broadcast_to(shift, b.shape)
        parts.append(np.stack([_quadratic(b, v, b), _quadratic(b, v, m), _quadratic(m, v, m)]))
    quadratic = np.concatenate(parts, axis=1)
    drawn = quadratic[0]
    p_value = (1 + int((drawn >= observed * (1 - ROUNDING)).sum())) / (draws + 1)
    # p ≤ level where fewer than level (B + 1) draws are as large.
    place = draws - math.floor(level * (draws + 1) + ROUNDING)
    return Randomised(observed, p_value, quadratic, float(np.sort(drawn)[max(place, 0)]))


def _only(given: Innovations, kept: np.ndarray) -> Innovations:
    """Without steps in which nothing varies, whose effects are zero."""
    cells = kept[given.step]
    place = np.cumsum(kept) - 1
    return Innovations(
        given.values[:, kept], given.untreated[:, kept], given.arm, given.weights[cells], place[given.step[cells]],
        given.slope[cells], given.spread[cells],
    )  # fmt: skip


def _standardised(given: Innovations, scale: np.ndarray) -> Innovations:
    """z over the scale of each row, with mean zero among the units of each step."""
    values = given.values / scale[:, None]
    mean = values.sum(axis=0) / given.untreated.sum(axis=0)
    return dataclasses.replace(given, values=np.where(given.untreated, values - mean, 0.0))


def _drawn_short(given: Innovations, scale: np.ndarray) -> np.ndarray:
    """√ of Σ a² over Σ a² − (Σ a)² / |U| with a = c times the scale: what drawing without replacement takes off.

    Rows that change places add up to zero, which matters to Σ a z where scales differ and a does not. Shape (K,).
    """
    a = given.weights * scale
    full = (a**2).sum(axis=1)
    return np.sqrt(full / (full - a.sum(axis=1) ** 2 / given.untreated[:, given.step].sum(axis=0)))


def _quadratic(left: np.ndarray, v: np.ndarray, right: np.ndarray) -> np.ndarray:
    """left' V⁻¹ right of each draw: shape (B,)."""
    return np.asarray((left * np.linalg.solve(v, right[:, :, None])[:, :, 0]).sum(axis=1))


def _moved(given: Innovations, rng: np.random.Generator, draws: int) -> np.ndarray:
    """z with its rows in another order, steps with the same units together: shape (B, m, J)."""
    out = np.zeros((draws, *given.values.shape))
    for pattern in np.unique(given.untreated, axis=1).T[::-1]:
        steps = np.flatnonzero((given.untreated == pattern[:, None]).all(axis=0))
        units = np.flatnonzero(pattern)
        order = units[rng.random((draws, len(units))).argsort(axis=1)]
        out[:, units[:, None], steps] = given.values[order[:, :, None], steps]
    return out


@dataclass(frozen=True)
class _Form:
    """How draws of z become effects and their covariances: cells by step, and by arm its rows, its products of weights
    and the steps that it is compared in."""

    given: Innovations
    floor: np.ndarray
    rows: list[np.ndarray]
    products: list[np.ndarray]
    used: list[np.ndarray]

    @classmethod
    def of(cls, given: Innovations, total: np.ndarray) -> _Form:
        rows = [np.flatnonzero(given.arm == g) for g in np.unique(given.arm)]
        rows = [own for own in rows if given.untreated[own].any()]
        products = [given.weights[:, own] @ given.weights[:, own].T for own in rows]
        return cls(given, 1e-12 * total, rows, products, [np.asarray(given.untreated[own].any(axis=0)) for own in rows])

    def effects(self, z: np.ndarray) -> np.ndarray:
        """b: shape (B, K)."""
        out = np.empty((len(z), len(self.given.step)))
        for j in np.unique(self.given.step):
            cells = np.flatnonzero(self.given.step == j)
            out[:, cells] = z[:, :, j] @ self.given.weights[cells].T
        return out

    def covariance(self, z: np.ndarray) -> np.ndarray:
        """V: shape (B, K, K)."""
        own, variances, pooled = self._moments(z)
        at = self.given.step
        v = np.zeros((len(z), len(at), len(at)))
        for g, (part, rows, used) in enumerate(zip(own, self.rows, self.used, strict=True)):
            m, steps = len(rows) - 1, int(used.sum())
            target = self._scale(g, variances, pooled)[:, None, None] * (pooled[:, :, None] * np.eye(len(used)))
            shrunk = (part + steps * target) / (m + steps)
            v += self.products[g] * shrunk[:, at[:, None], at[None, :]]
        return v

    def scales(self, z: np.ndarray) -> np.ndarray:
        """The standard deviation of each row's arm relative to the pooled one, for a single draw: shape (m,)."""
        _, variances, pooled = self._moments(z)
        out = np.ones(z.shape[1])
        for g, rows in enumerate(self.rows):
            out[rows] = np.sqrt(self._scale(g, variances, pooled)[0])
        return out

    def _moments(self, z: np.ndarray) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        """Of each arm the products of z about its means, (B, J, J), their diagonals, and the pooled variances."""
        own = []
        for rows in self.rows:
            left = z[:, rows] - z[:, rows].mean(axis=1, keepdims=True)
            own.append(left.transpose(0, 2, 1) @ left)
        variances = np.stack([np.einsum("bjj->bj", part) for part in own])
        counts = np.array([[len(rows) - 1] for rows in self.rows]) * np.array(self.used)
        return own, variances, variances.sum(axis=0) / np.maximum(counts.sum(axis=0), 1) + self.floor

    def _scale(self, g: int, variances: np.ndarray, pooled: np.ndarray) -> np.ndarray:
        """The variance of an arm relative to the pooled one: shape (B,)."""
        used = self.used[g]
        relative = (variances[g] / pooled)[:, used].sum(axis=1)
        return (relative + PRIOR_SCALE) / ((len(self.rows[g]) - 1) * int(used.sum()) + PRIOR_SCALE)
