"""Panel matching: treatment that switches on and off, and trends that differ with a covariate of three values."""

from __future__ import annotations

from typing import Any

import numpy as np

ESTIMATORS = ("panel_matching",)
COSTLY = ("panel_matching",)
Drawn = tuple[dict[str, Any], dict[str, Any], None, dict[tuple[str, ...], float]]
PERIODS, LEADS, EFFECT = 10, 2, 1.0


def draw(
    rng: np.random.Generator, n: int, *, effect: float = EFFECT, hidden: float = 0.0, tails: bool = False,
    clustered: bool = False, rare: float = 1.0,
) -> Drawn:  # fmt: skip
    """n units in ten periods; starts and trends rise with x, and with a hidden variable where ``hidden``."""
    x, u = rng.integers(-1, 2, n), rng.normal(size=n)
    group = np.arange(n) // 10 if clustered else np.arange(n)
    start = np.clip(0.1 * rare * np.exp(0.5 * x + hidden * u), 0, 0.5)
    t = np.zeros((n, PERIODS))
    t[:, 0] = rng.random(n) < 0.1
    if clustered:  # whole clusters start and stop together
        x, start = x[group * 10], start[group * 10]
    for period in range(1, PERIODS):
        luck = rng.random(n)[group * 10] if clustered else rng.random(n)
        t[:, period] = np.where(t[:, period - 1] == 1, luck > 0.1, luck < start)
    noise = rng.standard_t(3, (n, PERIODS)) if tails else rng.normal(size=(n, PERIODS))
    for period in range(1, PERIODS):
        noise[:, period] += 0.5 * noise[:, period - 1]
    shocks = rng.normal(size=(n, PERIODS))[group] if clustered else 0.0
    trend = (0.15 * x + hidden * u)[:, None] * np.arange(PERIODS)
    y = rng.normal(size=(n, 1)) + trend + effect * t + noise + shocks
    units = {
        "unit_id": np.repeat(np.arange(n), PERIODS), "period": np.tile(np.arange(PERIODS), n), "y": y.ravel(),
        "t": t.ravel(), "x": np.repeat(x, PERIODS).astype(float), "g": np.repeat(group, PERIODS),
    }  # fmt: skip
    block: dict[str, Any] = {
        "question": "calibration", "design": "panel", "outcome": "y", "treatment": "t", "time": "period",
        "covariates": ["x"], "decision": {"primary": "panel_matching", "estimand": "ATT",
                                          "desired_direction": "more", "minimum_effect": 0},
        "options": {"panel_matching": {"lags": 2, "leads": LEADS, "stay": True, "matches": 1}},
    }  # fmt: skip
    if clustered:
        block["cluster"] = "g"
    truth: dict[tuple[str, ...], float] = {
        ("ATT", term): effect for term in ("overall", *(f"lead={f}" for f in range(LEADS + 1)))
    }
    return units, block, None, truth


DGPS = {
    "correct": draw,
    "null": lambda rng, n: draw(rng, n, effect=0.0),
    "misspecified_outcome": lambda rng, n: draw(rng, n, hidden=0.3),
    "weak_overlap": lambda rng, n: draw(rng, n, rare=0.2),
    "heavy_tails": lambda rng, n: draw(rng, n, tails=True),
    "clustered": lambda rng, n: draw(rng, n, clustered=True),
    "small_n": draw,
}
HOLDS = {"panel_matching": {"correct", "null", "weak_overlap", "heavy_tails", "clustered"}}
SIZES = dict.fromkeys(DGPS, 400) | {"clustered": 800, "small_n": 60}
