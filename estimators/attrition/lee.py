"""Lee's bounds: the effect on those whose outcome would be seen in either arm, whoever the lost ones are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize

from ..laws import normal_tail, t_tail

LEVEL = 0.95


@dataclass(frozen=True)
class Arm:
    """Σ w of the kept and of the lost rows of one arm, and the weighted mean of the kept outcomes."""

    kept: float
    lost: float
    mean: float

    @property
    def share(self) -> float:
        """Share kept."""
        return self.kept / (self.kept + self.lost)


@dataclass(frozen=True)
class Tail:
    """One quantile of the trimmed arm, and E[(y − cut)⁺] or E[(cut − y)⁺] of its kept rows."""

    cut: float
    beyond: float


@dataclass(frozen=True)
class Trimmed:
    """A bound of the trimmed arm's mean, and what one row's influence on the effect's bound is made of.

    Row i of the trimmed arm has w_i · (``scale`` · tail(y_i) + ``constant``) if it is kept and w_i · ``lost`` if not,
    with tail(y) = (y − cut)⁺ for the upper bound and −(cut − y)⁺ for the lower; a row of the other arm has
    w_i · (``other_scale`` · (y_i − its mean) + ``other_kept``) or w_i · ``other_lost``.
    """

    bound: float
    cut: float
    is_upper: bool
    scale: float
    constant: float
    lost: float
    other_scale: float
    other_kept: float
    other_lost: float


@dataclass(frozen=True)
class LeeBounds:
    """Bounds of the effect and their interval, in units of the outcome; ``trimmed`` is the share cut off ``arm``."""

    low: float
    high: float
    conf_low: float
    conf_high: float
    trimmed: float
    arm: int


def trimmed_arm(arms: tuple[Arm, Arm]) -> tuple[int, float]:
    """Which arm keeps the greater share (the treated one in a tie), and the share of its kept rows that is cut off."""
    arm = int(arms[1].share >= arms[0].share)
    return arm, 1 - arms[1 - arm].share / arms[arm].share


def trim(arms: tuple[Arm, Arm], tail: Tail, is_upper: bool) -> Trimmed:
    """One bound of the trimmed arm's mean less the other arm's mean, and its influence values.

    With p the share cut off and c the quantile at p, the upper bound of the mean is c + E[(Y − c)⁺] / (1 − p), which
    is E[Y | Y ≥ c] where Y is continuous and cuts through ties where it is not; the lower bound mirrors it. The
    quantile is the minimiser of that expression, so its estimation adds nothing to the variance; that of
    p = 1 − q₀ / q₁ adds (μ − c) / (1 − p) per unit of p, as in Lee's proposition 3.

    Parameters
    ----------
    arms : (untreated, treated)
    tail : Tail
        Of the arm that keeps the greater share.
    is_upper : bool
        The upper bound of that arm's mean.

    Returns
    -------
    Trimmed
        Of the trimmed arm less the other; the effect's own sign is the caller's.
    """
    own, p = trimmed_arm(arms)
    mine, other = arms[own], arms[1 - own]
    sign = 1.0 if is_upper else -1.0
    mean = tail.cut + sign * tail.beyond / (1 - p)
    slope = (mean - tail.cut) / (1 - p)
    # dp = (1 − p) / q₁ dq₁ − dq₀ / q₁, and a row moves its arm's share by (kept − q) / Σ w.
    up = slope * (1 - p) / mine.share / (mine.kept + mine.lost)
    down = slope / mine.share / (other.kept + other.lost)
    return Trimmed(
        mean - other.mean, tail.cut, is_upper, 1 / (mine.kept * (1 - p)),
        (tail.cut - mean) / mine.kept + up * (1 - mine.share), -up * mine.share,
        -1 / other.kept, -down * (1 - other.share), down * other.share,
    )  # fmt: skip


def interval(
    low: float, high: float, errors: tuple[float, float], df: int | None, level: float = LEVEL
) -> tuple[float, float]:
    """Imbens and Manski's interval, which holds the effect (and not its whole set) with the stated confidence.

    [low − c σ_l, high + c σ_u] with F(c + (high − low) / max(σ)) − F(−c) = level; F is normal, or Student's t with
    ``df`` degrees of freedom.
    """
    largest = max(errors)
    if not largest > 0:
        return low, high

    def above(x: float) -> float:
        return normal_tail(x) if df is None else t_tail(x, df)

    def short(c: float) -> float:
        return (1 - above(c + (high - low) / largest)) - above(c) - level

    most = 2.0
    while short(most) < 0:
        most *= 2
    c = float(optimize.brentq(short, 0.0, most, xtol=1e-12))
    return low - c * errors[0], high + c * errors[1]


def oriented(own: int, upper: Trimmed, lower: Trimmed) -> tuple[Trimmed, Trimmed, float]:
    """What gives the effect's low and high bound, and the sign: it falls where the untreated mean rises."""
    return (lower, upper, 1.0) if own == 1 else (upper, lower, -1.0)


def lee_bounds(
    y: np.ndarray,
    t: np.ndarray,
    lost: np.ndarray,
    weights: np.ndarray | None = None,
    cluster: np.ndarray | None = None,
    df: int | None = None,
) -> LeeBounds:
    """Bounds of the average effect on those whom neither arm would lose, and Imbens and Manski's 95 % interval.

    Treatment is random, and it moves being seen in one direction only (nobody is lost because of it while another is
    kept because of it). The arm that keeps the greater share, q₁ > q₀, then has 1 − q₀ / q₁ rows more than the other,
    and these are at worst its lowest or its highest outcomes: their means with that share cut off either end bound it.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Outcome of any kind, zeros and ones too; not read where ``lost``.
    t : ndarray of shape (n,)
        0 or 1.
    lost : ndarray of shape (n,), bool
        Rows that lack a value. Each arm has kept rows.
    weights : ndarray of shape (n,), optional
        Sampling weights: shares, quantiles and means are weighted. A tie at the quantile is cut through.
    cluster : ndarray of shape (n,), optional
        Influence values are added up by cluster, times G / (G − 1).
    df : int, optional
        Degrees of freedom of Student's t in place of the normal.

    Sources
    -------
    Lee 2009, propositions 1a and 3; Imbens & Manski 2004.
    """
    w = np.ones(len(y)) if weights is None else weights
    kept = ~lost
    arms = tuple(_arm(y, w, kept, t == a) for a in (0, 1))
    own, p = trimmed_arm((arms[0], arms[1]))
    mine = kept & (t == own)
    bounds = []
    for is_upper in (True, False):
        cut = weighted_quantile(y[mine], w[mine], p if is_upper else 1 - p)
        beyond = np.maximum(y[mine] - cut if is_upper else cut - y[mine], 0.0)
        bounds.append(trim((arms[0], arms[1]), Tail(cut, float(np.average(beyond, weights=w[mine]))), is_upper))
    low, high, sign = oriented(own, *bounds)
    errors = tuple(_error(one, y, t == own, kept, w, arms[1 - own].mean, cluster) for one in (low, high))
    ends = (sign * low.bound, sign * high.bound)
    return LeeBounds(*ends, *interval(*ends, (errors[0], errors[1]), df), p, own)


def _arm(y: np.ndarray, w: np.ndarray, kept: np.ndarray, inside: np.ndarray) -> Arm:
    used = kept & inside
    return Arm(float(w[used].sum()), float(w[inside & ~kept].sum()), float(np.average(y[used], weights=w[used])))


def weighted_quantile(y: np.ndarray, w: np.ndarray, p: float) -> float:
    """The least value at or below which lies a share p of the weight."""
    order = np.argsort(y, kind="stable")
    reached = np.cumsum(w[order])
    at = int(np.searchsorted(reached, p * reached[-1] * (1 - 1e-12)))
    return float(y[order[min(at, len(y) - 1)]])


def _error(
    one: Trimmed, y: np.ndarray, mine: np.ndarray, kept: np.ndarray, w: np.ndarray, other_mean: float,
    cluster: np.ndarray | None,
) -> float:  # fmt: skip
    seen = np.where(kept, y, one.cut)
    tail = np.maximum(seen - one.cut, 0) if one.is_upper else -np.maximum(one.cut - seen, 0)
    own = np.where(kept, one.scale * tail + one.constant, one.lost)
    other = np.where(kept, one.other_scale * (seen - other_mean) + one.other_kept, one.other_lost)
    psi = w * np.where(mine, own, other)
    if cluster is None:
        return float(np.sqrt((psi**2).sum()))
    _, codes = np.unique(cluster, return_inverse=True)
    sums = np.bincount(codes, psi)
    return float(np.sqrt((sums**2).sum() * len(sums) / (len(sums) - 1)))
