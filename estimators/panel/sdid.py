"""Synthetic difference-in-differences: weights of donors and of periods, the effect, and its spread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from .placebo import placebo_sets
from .simplex import SimplexFit, simplex_least_squares

TINY = 1e-6
MOST_PIVOTS = 60


@dataclass(frozen=True)
class Block:
    """A block design.

    Attributes
    ----------
    y0 : ndarray of shape (J, T)
        Donors.
    y1 : ndarray of shape (K, T)
        Treated units.
    n_pre : int
        Periods before treatment.
    """

    y0: np.ndarray
    y1: np.ndarray
    n_pre: int

    @property
    def noise(self) -> float:
        """Standard deviation (n − 1) of the donors' first differences before treatment."""
        return float(np.diff(self.y0[:, : self.n_pre], axis=1).std(ddof=1))

    @property
    def penalty(self) -> float:
        """ζ = (K T_post)^¼ times the noise, in units of the outcome (equation 5)."""
        return float((len(self.y1) * (self.y1.shape[1] - self.n_pre)) ** 0.25 * self.noise)


@dataclass(frozen=True)
class Weights:
    """Weights of donors (J,) and of periods before treatment (T_pre,); both sum to one (or λ is zero throughout)."""

    donors: np.ndarray
    periods: np.ndarray


def weights_of(block: Block, method: str, penalty: float) -> Weights:
    """ω and λ.

    ω = argmin over the simplex and ω₀ of Σ_t≤T₀ (ω₀ + Σ_j ω_j Y_jt − Ȳ_tr,t)² + ζ² T₀ ‖ω‖²;
    λ = argmin of Σ_j (λ₀ + Σ_t≤T₀ λ_t Y_jt − Ȳ_j,post)², with a millionth of the noise as penalty so that there is
    one. Both are solved exactly, where R's synthdid stops Frank and Wolfe's steps at a tolerance.

    Parameters
    ----------
    block : Block
    method : synthetic_did, synthetic_control or did
        synthetic_control: no ω₀, a tiny penalty and λ = 0; did: equal weights.
    penalty : float
        ζ; for synthetic_did only.
    """
    pre, donors = block.y0[:, : block.n_pre], len(block.y0)
    target = block.y1[:, : block.n_pre].mean(axis=0)
    if method == "did":
        return Weights(np.full(donors, 1 / donors), np.full(block.n_pre, 1 / block.n_pre))
    tiny = TINY * block.noise
    if method == "synthetic_control":
        return Weights(ridge_simplex(target, pre.T, tiny**2 * block.n_pre).weights, np.zeros(block.n_pre))
    after = block.y0[:, block.n_pre :].mean(axis=1)
    omega = ridge_simplex(target - target.mean(), (pre - pre.mean(axis=1, keepdims=True)).T, penalty**2 * block.n_pre)
    periods = ridge_simplex(after - after.mean(), pre - pre.mean(axis=0), tiny**2 * donors)
    return Weights(omega.weights, periods.weights)


def effects(block: Block, weights: Weights) -> np.ndarray:
    """τ and the effect in each period after treatment: shape (1 + T_post,).

    τ_t = Ȳ_tr,t − Σ_j ω_j Y_jt − Σ_s≤T₀ λ_s (Ȳ_tr,s − Σ_j ω_j Y_js), and τ their mean.
    """
    gap = block.y1.mean(axis=0) - weights.donors @ block.y0
    path = gap[block.n_pre :] - weights.periods @ gap[: block.n_pre]
    return np.concatenate([[path.mean()], path])


def ridge_simplex(y: np.ndarray, x: np.ndarray, ridge: float) -> SimplexFit:
    """min over w ≥ 0, Σw = 1 of ‖y − X w‖² + ridge ‖w‖², exactly.

    With a ridge that is not small most weights are positive, and turning all that are negative out of the support and
    all that would help into it at once (Júdice & Pires 1994) ends in a few solves. Otherwise, or where that runs in a
    circle, one at a time by `simplex_least_squares`.

    Parameters
    ----------
    y : ndarray of shape (T,)
    x : ndarray of shape (T, J)
    ridge : float
    """
    count = x.shape[1]
    gram, cross = x.T @ x + ridge * np.eye(count), x.T @ y
    if ridge > 1e-8 * float(np.trace(gram)) / count:
        found = _pivoted(gram, cross)
        if found is not None:
            return SimplexFit(found, 0.0)
    return simplex_least_squares(
        np.concatenate([y, np.zeros(count)]), np.vstack([x, np.sqrt(ridge) * np.eye(count)])
    )  # fmt: skip


def _pivoted(gram: np.ndarray, cross: np.ndarray) -> np.ndarray | None:
    """Weights that meet the optimality conditions, or None if the supports do not settle."""
    used = np.ones(len(gram), dtype=bool)
    scale = float(np.abs(gram).max())
    for _ in range(MOST_PIVOTS):
        inner = gram[np.ix_(used, used)]
        both = np.linalg.solve(inner, np.column_stack([cross[used], np.ones(int(used.sum()))]))
        price = (1 - both[:, 0].sum()) / both[:, 1].sum()
        w = np.zeros(len(gram))
        w[used] = both[:, 0] + price * both[:, 1]
        descent = cross + price - gram @ w
        out, into = used & (w < 0), ~used & (descent > 1e-12 * scale)
        if not out.any() and not into.any():
            return w / w.sum()
        used = (used & ~out) | into
        if not used.any():
            return None
    return None


def jackknife(block: Block, weights: Weights) -> np.ndarray:
    """Variance of `effects` by leaving out one unit at a time, the other weights kept: shape (1 + T_post,).

    Algorithm 3 of the paper, (n − 1)/n Σ (τ⁽⁻ⁱ⁾ − mean)²; conservative where units are alike.

    Raises
    ------
    Refusal
        For a single treated unit, or a donor that has all the weight.
    """
    if len(block.y1) < 2:
        raise Refusal("the jackknife needs two treated units, and there is 1", "Take `variance: placebo`")
    if weights.donors.max() > 1 - 1e-10:
        raise Refusal("one donor has all the weight, and the jackknife leaves it out", "Take `variance: placebo`")
    found = []
    for i in range(len(block.y1)):
        found.append(effects(Block(block.y0, np.delete(block.y1, i, axis=0), block.n_pre), weights))
    for j in range(len(block.y0)):
        rest = np.delete(weights.donors, j)
        fewer = Block(np.delete(block.y0, j, axis=0), block.y1, block.n_pre)
        found.append(effects(fewer, Weights(rest / rest.sum(), weights.periods)))
    n = len(found)
    return np.asarray((n - 1) * np.var(found, axis=0))


def placebo_effects(block: Block, method: str, penalty: float, draws: int, seed: int) -> np.ndarray:
    """`effects` of sets of K donors treated in turn, from the other donors: shape (sets, 1 + T_post).

    Algorithm 4 of the paper, with every set where there are at most ``draws`` of them (every donor, for one treated
    unit) instead of random ones; ζ stays that of the whole block.

    Raises
    ------
    Refusal
        For too few donors: there must be two more than treated units.
    """
    sets = placebo_sets(len(block.y0), len(block.y1), draws, seed)
    if not len(sets) or len(block.y0) - len(block.y1) < 2:
        reason = f"{len(block.y0)} donors for {len(block.y1)} treated: placebos need two donors more than treated units"
        raise Refusal(reason, "Add donors, or take `variance: jackknife` with several treated units")
    found = []
    for chosen in sets:
        one = Block(np.delete(block.y0, chosen, axis=0), block.y0[chosen], block.n_pre)
        found.append(effects(one, weights_of(one, method, penalty)))
    return np.array(found)
