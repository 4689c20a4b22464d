"""Staggered difference-in-differences: cohorts that start at three times, with effects that differ and grow."""

from __future__ import annotations

from typing import Any

import numpy as np

ESTIMATORS = ("did",)
Drawn = tuple[dict[str, Any], dict[str, Any], None, dict[tuple[str, ...], float]]
PERIODS, COHORTS = 6, (0.0, 3.0, 4.0, 5.0)
# Effect in the first treated period, and its growth a period, by cohort.
EFFECTS = {3.0: (1.0, 0.5), 4.0: (2.0, 0.0), 5.0: (0.5, 1.0)}


def draw(
    rng: np.random.Generator, n: int, *, effect: float = 1.0, trend: float = 0.0, curved: float = 0.0,
    tails: bool = False, clustered: bool = False, observed: bool = True, strength: float = 0.5,
) -> Drawn:  # fmt: skip
    """n units in six periods; with ``trend`` outcomes and cohorts move with a covariate, ``curved``: with its square.

    The truths are averages over three cohorts that are equally large in the population.
    """
    x = rng.normal(size=n)
    group = np.arange(n) // 10
    cohort = _cohorts(rng, x, strength if trend or curved else 0.0, group if clustered else None)
    t = np.arange(1.0, PERIODS + 1)
    noise = rng.standard_t(3, (n, PERIODS)) if tails else rng.normal(size=(n, PERIODS))
    for j in range(1, PERIODS):
        noise[:, j] += 0.5 * noise[:, j - 1]
    shocks = rng.normal(size=(n, PERIODS))[group] if clustered else 0.0
    slope = trend * x + curved * (x**2 - 1)
    y = rng.normal(size=(n, 1)) + 0.3 * t + slope[:, None] * t + noise + shocks
    for g, (first, growth) in EFFECTS.items():
        y += np.where((cohort == g)[:, None] & (t >= g), effect * (first + growth * (t - g)), 0.0)
    units = {
        "unit_id": np.repeat(np.arange(n), PERIODS), "t": np.tile(t, n), "g": np.repeat(cohort, PERIODS),
        "y": y.ravel(), "x": np.repeat(x, PERIODS), "c": np.repeat(group, PERIODS),
    }  # fmt: skip
    block: dict[str, Any] = {
        "question": "calibration", "design": "panel", "outcome": "y", "time": "t", "cohort": "g", "never": 0,
        "decision": {"primary": "did", "estimand": "ATT", "desired_direction": "more", "minimum_effect": 0},
        # Neither the simultaneous band nor the robust intervals are judged here.
        "options": {"did": {"bootstrap": 100, "honest": False}},
    }  # fmt: skip
    if observed and (trend or curved):
        block["covariates"] = ["x"]
    if clustered:
        block["cluster"] = "c"
    return units, block, None, truths(effect)


def _cohorts(rng: np.random.Generator, x: np.ndarray, strength: float, group: np.ndarray | None) -> np.ndarray:
    """Equal shares of cohorts; higher x starts, at any of the three times alike, where ``strength``."""
    if group is not None:
        return rng.choice(COHORTS, group[-1] + 1)[group]
    # 1.0986 = log 3: three in four start on average at x = 0; the three times stay equally likely.
    starts = rng.random(len(x)) < 1 / (1 + np.exp(-1.0986 - strength * x))
    return np.where(starts, rng.choice(COHORTS[1:], len(x)), 0.0)


def truths(effect: float) -> dict[tuple[str, ...], float]:
    """Averages over the three equally large cohorts."""
    cells = {(g, t): first + growth * (t - g) for g, (first, growth) in EFFECTS.items() for t in _periods(g)}
    by_event = {e: [v for (g, t), v in cells.items() if t - g == e] for e in range(4)}
    by_time = {p: [v for (_, t), v in cells.items() if t == p] for p in (3, 4, 5, 6)}
    out = {
        "overall": np.mean(list(cells.values())),
        "dynamic": np.mean([np.mean(v) for v in by_event.values()]),
        "group": np.mean([np.mean([v for (g, _), v in cells.items() if g == own]) for own in EFFECTS]),
        "calendar": np.mean([np.mean(v) for v in by_time.values()]),
        "event_time=0": np.mean(by_event[0]),
        "event_time=-1": 0.0,
    }
    return {("ATT", term): effect * float(value) for term, value in out.items()}


def _periods(g: float) -> range:
    return range(int(g), PERIODS + 1)


DGPS = {
    "correct": draw,
    "null": lambda rng, n: draw(rng, n, effect=0.0),
    # Trends that rise with x, and cohorts too: the doubly robust method holds both.
    "covariate_trend": lambda rng, n: draw(rng, n, trend=0.2),
    "misspecified_outcome": lambda rng, n: draw(rng, n, trend=0.2, curved=0.1),
    "weak_overlap": lambda rng, n: draw(rng, n, trend=0.2, strength=2.0),
    "heavy_tails": lambda rng, n: draw(rng, n, tails=True),
    "clustered": lambda rng, n: draw(rng, n, clustered=True),
    "small_n": draw,
    # Nothing tells of x: trends are not parallel.
    "hidden_trend": lambda rng, n: draw(rng, n, trend=0.2, observed=False),
}
HOLDS = {"did": {"correct", "null", "covariate_trend", "misspecified_outcome", "heavy_tails", "clustered"}}
SIZES = dict.fromkeys(DGPS, 400) | {"clustered": 1_000, "small_n": 60}
