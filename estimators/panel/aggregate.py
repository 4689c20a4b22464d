"""Averages of group-time effects, their influence values counting the estimated cohort shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .att_gt import GroupTime
from .labels import label, plainly


@dataclass(frozen=True)
class Average:
    """One average: its term, value in units of the outcome, influence values of shape (n,), cohorts that enter.

    ``at`` is its event time, cohort or period; None for an overall average.
    """

    term: str
    estimate: float
    psi: np.ndarray
    groups: tuple[float, ...]
    at: float | None = None


@dataclass(frozen=True)
class Shares:
    """P(G = g) of each cohort, and its influence values 1{G = g} − P(G = g) of shape (n,)."""

    share: Mapping[float, float]
    psi: Mapping[float, np.ndarray]

    @classmethod
    def of(cls, cohort: np.ndarray) -> Shares:
        """Of the first treated period of each unit: shape (n,)."""
        found = {float(g): cohort == g for g in np.unique(cohort)}
        share = {g: float(np.mean(own)) for g, own in found.items()}
        return cls(share, {g: own - share[g] for g, own in found.items()})


@dataclass(frozen=True)
class Averages:
    """The four overall averages, and those by event time, cohort and period."""

    overall: tuple[Average, ...]
    event_time: tuple[Average, ...]
    cohort: tuple[Average, ...]
    time: tuple[Average, ...]


def averages(effects: GroupTime, cohort: np.ndarray) -> Averages:
    """`averages_of` units whose first treated period is ``cohort``, of shape (n,)."""
    return averages_of(effects, Shares.of(cohort))


def averages_of(effects: GroupTime, shares: Shares) -> Averages:
    """Every average that Callaway & Sant'Anna (2021, section 3) define.

    - ``overall`` (simple): all post-treatment ATT(g, t), weighted by P(G = g);
    - ``event_time=e``: ATT(g, g + e) weighted by P(G = g); ``dynamic`` is the plain mean over e ≥ 0;
    - ``cohort=g``: the plain mean over t ≥ g; ``group`` weights cohorts by P(G = g);
    - ``time=t``: ATT(g, t) of the cohorts treated by t, weighted by P(G = g); ``calendar`` is their plain mean.

    Parameters
    ----------
    effects : GroupTime
        With at least one cell after treatment.
    shares : Shares
        Of every cohort with an effect.
    """
    cells, att, psi, post = effects.cells, effects.att, effects.psi, effects.is_post
    g = np.array([c.cohort for c in cells])
    t = np.array([c.time for c in cells])

    def shared(keep: np.ndarray, term: str, at: float | None = None) -> Average:
        return by_share(att[keep], psi[:, keep], g[keep], shares, term, at)

    event = tuple(shared(t - g == e, f"event_time={plainly(e)}", float(e)) for e in np.unique(t - g))
    group = tuple(
        plain(att[keep], psi[:, keep], (float(c),), f"cohort={label(c)}", float(c))
        for c in np.unique(g[post])
        for keep in [post & (g == c)]
    )
    time = tuple(shared(post & (t == p), f"time={label(p)}", float(p)) for p in np.unique(t[post]))
    overall = (
        shared(post, "overall"),
        _mean([a for a in event if a.at is not None and a.at >= 0], "dynamic"),
        by_share(
            np.array([a.estimate for a in group]), np.column_stack([a.psi for a in group]),
            np.array([a.at for a in group]), shares, "group",
        ),
        _mean(list(time), "calendar"),
    )  # fmt: skip
    return Averages(overall, event, group, time)


def by_share(
    att: np.ndarray, psi: np.ndarray, groups: np.ndarray, shares: Shares, term: str, at: float | None = None
) -> Average:
    """θ = Σ p_k ATT_k / Σ p_k with p_k = P(G = g_k); ψ = Σ p_k ψ_k / S + Σ (1{G = g_k} − p_k)(ATT_k − θ) / S.

    Parameters
    ----------
    att, groups : ndarray of shape (K,)
    psi : ndarray of shape (n, K)
    shares : Shares
    """
    share = np.array([shares.share[c] for c in groups])
    total = share.sum()
    theta = float(att @ share / total)
    out = psi @ share / total
    for c in np.unique(groups):
        pull = float((att[groups == c] - theta).sum() / total)
        out = out + shares.psi[c] * pull
    return Average(term, theta, out, tuple(np.unique(groups).tolist()), at)


def plain(att: np.ndarray, psi: np.ndarray, groups: tuple[float, ...], term: str, at: float | None = None) -> Average:
    """The unweighted mean of effects of shape (K,) with influence values of shape (n, K)."""
    return Average(term, float(att.mean()), psi.mean(axis=1), groups, at)


def _mean(parts: list[Average], term: str) -> Average:
    groups = tuple(sorted({g for part in parts for g in part.groups}))
    return plain(np.array([p.estimate for p in parts]), np.column_stack([p.psi for p in parts]), groups, term)
