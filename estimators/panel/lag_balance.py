"""Balance over the periods before treatment: how alike treated units and their controls were."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .matched_sets import MatchedSet, Wide


@dataclass(frozen=True)
class Balance:
    """Standardised differences, treated less controls, of one variable ``back`` periods before treatment.

    ``before``: all units that are untreated when treatment starts; ``after``: the weighted controls of the sets. None
    where they cannot be computed.
    """

    name: str
    back: int
    before: float | None
    after: float | None


def lag_balance(wide: Wide, sets: tuple[MatchedSet, ...], lags: int, outcome: str) -> tuple[Balance, ...]:
    """Mean over the sets of (v_i,t−l − Σ_j w_j v_j,t−l) / sd, for the outcome and each covariate, l = L … 1.

    Parameters
    ----------
    wide : Wide
    sets : tuple of MatchedSet
    lags : int
    outcome : str
        Its name.

    Returns
    -------
    tuple of Balance
        sd is that of v_i,t−l among the treated units of the sets. Cells without a value are left out, and the weights
        of the others add up to one; nothing is told where a set has nobody left.
    """
    variables = {outcome: wide.y} | {name: wide.x[:, :, j] for j, name in enumerate(wide.names)}
    out = []
    for name, v in variables.items():
        for back in range(lags, 0, -1):
            own = np.array([v[s.unit, s.period - back] for s in sets])
            untreated = [np.flatnonzero(wide.treated[:, s.period] == 0) for s in sets]
            all_alike = [_mean(v[j, s.period - back], np.ones(len(j))) for s, j in zip(sets, untreated, strict=True)]
            matched = [_mean(v[s.controls, s.period - back], s.weights) for s in sets]
            out.append(Balance(name, back, _standardised(own, all_alike), _standardised(own, matched)))
    return tuple(out)


def _mean(values: np.ndarray, weights: np.ndarray) -> float:
    seen = ~np.isnan(values)
    total = float(weights[seen].sum())
    return float(weights[seen] @ values[seen]) / total if total > 0 else float("nan")


def _standardised(own: np.ndarray, other: list[float]) -> float | None:
    gaps = own - np.array(other)
    seen = own[~np.isnan(own)]
    if len(seen) < 2 or np.isnan(gaps).all() or not seen.std(ddof=1) > 0:
        return None
    return float(np.nanmean(gaps) / seen.std(ddof=1))
