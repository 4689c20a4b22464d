"""Refinement of matched sets: which controls in a set count, and how much."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..nuisance import fit_binary
from .matched_sets import MatchedSet, Wide

# Distances that agree to so many decimals are ties: rounding must not choose between controls.
DECIMALS = 5


@dataclass(frozen=True)
class Refinement:
    """How sets are refined: the options of the estimator by the same names."""

    method: str
    matches: int
    lags: int
    leads: int
    lagged_outcome: bool
    current: bool
    listwise: bool
    covariance: str


def refine(wide: Wide, sets: tuple[MatchedSet, ...], how: Refinement) -> tuple[MatchedSet, ...]:
    """The sets with weights by the distance of their controls from the treated unit.

    The features of (i, t) are the L lags of each covariate, and of the outcome and the present covariates where asked.
    ``mahalanobis``: the ``matches`` nearest by √((x_j − x_i)' Σ⁻¹ (x_j − x_i)), Σ the covariance (or its diagonal) of
    the features among the set's controls. ``ps_match``: nearest by |e_j − e_i|; ``ps_weight``: weights proportional to
    e_j / (1 − e_j); e is one logit of starting treatment, fitted on all different (unit, period) of the sets.
    Ties at the last place are all kept, so a set may keep more than ``matches``.

    A missing feature counts as 0 and gets an indicator among the features; with ``listwise`` units that lack a feature
    in t − L … t + F are left out instead (of the unit itself: its set).

    Parameters
    ----------
    wide : Wide
    sets : tuple of MatchedSet
    how : Refinement

    Raises
    ------
    Refusal
        For no features, sets that listwise deletion leaves empty, or a logit without an estimate.
    """
    if how.method == "none":
        return sets
    features = _features(wide, how)
    if not features.shape[2]:
        raise Refusal("refinement has nothing to match on", "Declare covariates, or set lagged_outcome: true")
    if how.listwise:
        sets = _listwise(features, sets, how)
    else:
        missing = np.isnan(features)
        features = np.concatenate([np.where(missing, 0.0, features), missing.astype(float)], axis=2)
    if how.method == "mahalanobis":
        return tuple(_nearest(s, how.matches, lambda s: _mahalanobis(features, s, how.covariance)) for s in sets)
    score = _propensity(features, sets)
    if how.method == "ps_match":
        return tuple(_nearest(s, how.matches, lambda s: _score_gap(score, s)) for s in sets)
    return tuple(_by_odds(s, score) for s in sets)


def _features(wide: Wide, how: Refinement) -> np.ndarray:
    """What units are compared on in each period: shape (n, T, p)."""
    lagged = np.concatenate([wide.x, wide.y[:, :, None]], axis=2) if how.lagged_outcome else wide.x
    parts = [wide.x] if how.current else []
    for back in range(1, how.lags + 1):
        parts.append(np.full(lagged.shape, np.nan))
        parts[-1][:, back:] = lagged[:, :-back]
    return np.concatenate(parts, axis=2)


def _listwise(features: np.ndarray, sets: tuple[MatchedSet, ...], how: Refinement) -> tuple[MatchedSet, ...]:
    """Sets without units that lack a feature from t − L to t + F; the first L periods, without lags, do not count."""
    whole = ~np.isnan(features).any(axis=2)
    kept = []
    for s in sets:
        first = max(s.period - how.lags, how.lags)
        viable = whole[:, first : s.period + how.leads + 1].all(axis=1)
        controls = s.controls[viable[s.controls]]
        if viable[s.unit] and len(controls):
            kept.append(dataclasses.replace(s, controls=controls, weights=np.full(len(controls), 1 / len(controls))))
    if not kept:
        reason = "no matched set is left where units that lack a covariate are left out"
        raise Refusal(reason, "Set listwise: false, or match on covariates with fewer gaps", "not_identified")
    return tuple(kept)


def _told_apart(x: np.ndarray) -> np.ndarray:
    """Columns that vary, each once: places of them."""
    _, first = np.unique(x, axis=1, return_index=True)
    first = np.sort(first)
    return np.asarray(first[np.ptp(x[:, first], axis=0) > 0])


def _mahalanobis(features: np.ndarray, s: MatchedSet, covariance: str) -> np.ndarray:
    """Distance of each control from the treated unit: shape (m,)."""
    x = features[s.controls, s.period]
    use = _told_apart(x)
    gap = x[:, use] - features[s.unit, s.period, use]
    if covariance == "diagonal":
        return np.asarray(np.sqrt(np.sum(gap**2 / x[:, use].var(axis=0, ddof=1), axis=1)))
    if not len(use):
        return np.zeros(len(x))
    # Scaled to correlations first, so that units of measurement do not decide what is singular.
    sd = x[:, use].std(axis=0, ddof=1)
    inverse = np.linalg.pinv(np.corrcoef(x[:, use], rowvar=False).reshape(len(use), -1), rcond=1e-10, hermitian=True)
    gap = gap / sd
    return np.asarray(np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", gap, inverse, gap), 0.0)))


def _score_gap(score: np.ndarray, s: MatchedSet) -> np.ndarray:
    return np.asarray(np.abs(score[s.controls, s.period] - score[s.unit, s.period]))


def _nearest(s: MatchedSet, matches: int, distance_of: Callable[[MatchedSet], np.ndarray]) -> MatchedSet:
    """Equal weights on the nearest controls, ties at the last place included."""
    if len(s.controls) <= matches:
        return s
    distance = np.round(distance_of(s), DECIMALS)
    keep = distance <= np.sort(distance)[matches - 1]
    return dataclasses.replace(s, weights=keep / keep.sum())


def _propensity(features: np.ndarray, sets: tuple[MatchedSet, ...]) -> np.ndarray:
    """The probability e of starting treatment in each cell of the sets: shape (n, T), NaN elsewhere."""
    starts = np.zeros(features.shape[:2])
    used = np.zeros(features.shape[:2], dtype=bool)
    for s in sets:
        starts[s.unit, s.period] = 1
        used[s.unit, s.period] = used[s.controls, s.period] = True
    x = features[used]
    use = _told_apart(x)
    names = tuple(f"feature {j}" for j in use)
    score = np.full(used.shape, np.nan)
    score[used] = fit_binary(starts[used], x[:, use], names, "logit", None).probability
    return score


def _by_odds(s: MatchedSet, score: np.ndarray) -> MatchedSet:
    odds = score[s.controls, s.period] / (1 - score[s.controls, s.period])
    return dataclasses.replace(s, weights=odds / odds.sum()) if odds.sum() > 0 else s
