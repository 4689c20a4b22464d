"""Mediation: a confounded treatment, a mediator and an outcome, linear or binary."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from scipy import special

ESTIMATORS = ("mediation",)
COSTLY = ("mediation",)
DECISION = {"primary": "mediation", "estimand": "ACME", "desired_direction": "more", "minimum_effect": 0}
POPULATION = 400_000
A, B, DIRECT = 0.6, 0.5, 0.8

Drawn = tuple[dict[str, Any], dict[str, Any], None, dict[tuple[str, ...], float]]


def draw(
    rng: np.random.Generator, n: int, *, a: float = A, b: float = B, direct: float = DIRECT, strength: float = 0.5,
    noise: str = "normal", binary: bool = False, interaction: float = 0.0, modelled: bool = True,
    curved: bool = False, clustered: bool = False,
) -> Drawn:  # fmt: skip
    """Units and truths: M = a T + X'0.3 + e, Y = direct T + b M + interaction T M + X' + e, or the sign of that."""
    x = rng.normal(size=(n, 3))
    t = (rng.random(n) < special.expit(strength * (x[:, 0] - 0.5 * x[:, 1]))).astype(float)
    errors = _errors(rng, (2, n), noise, t)
    cluster = rng.integers(0, 50, n)
    if clustered:
        errors = errors + rng.normal(0, 0.5, (2, 50))[:, cluster]
    m = a * t + _index_m(x, curved) + errors[0]
    y = direct * t + b * m + interaction * t * m + _index_y(x, curved) + errors[1]
    y = (y > 0).astype(float) if binary else y
    units = {"unit_id": np.arange(n), "y": y, "t": t, "m": m, **{f"x{j}": x[:, j] for j in range(3)}}
    own = {"interaction": True} if interaction and modelled else {}
    block: dict[str, Any] = {
        "question": "calibration", "design": "observational", "outcome": "y", "treatment": "t", "mediator": "m",
        "covariates": ["x0", "x1", "x2"], "decision": DECISION, "options": {"mediation": own},
    }  # fmt: skip
    if clustered:
        units["c"], block["cluster"] = cluster, "c"
    return units, block, None, _truth(a, b, direct, binary, interaction, curved)


def _errors(rng: np.random.Generator, shape: tuple[int, int], noise: str, t: np.ndarray) -> np.ndarray:
    if noise == "heavy":
        return rng.standard_t(3, shape) / np.sqrt(3)
    errors = rng.normal(size=shape)
    return errors * (0.6 + 0.8 * t) if noise == "unequal" else errors


def _index_m(x: np.ndarray, curved: bool) -> np.ndarray:
    return 0.3 * x[:, 0] + 0.2 * x[:, 2] + (0.3 * (x[:, 0] ** 2 - 1) if curved else 0.0)


def _index_y(x: np.ndarray, curved: bool) -> np.ndarray:
    return -0.3 + 0.5 * x[:, 0] - 0.3 * x[:, 1] + (0.5 * (x[:, 0] ** 2 - 1) if curved else 0.0)


@functools.cache
def _truth(
    a: float, b: float, direct: float, binary: bool, interaction: float, curved: bool
) -> dict[tuple[str, ...], float]:
    x = np.random.default_rng(1).normal(size=(POPULATION, 3))
    start_m, start_y = _index_m(x, curved), _index_y(x, curved)

    def world(t: int, of_m: int) -> float:
        slope = b + interaction * t
        centre = direct * t + slope * (a * of_m + start_m) + start_y
        return float(np.mean(special.ndtr(centre / np.sqrt(1 + slope**2)))) if binary else float(np.mean(centre))

    acme = {"control": world(0, 1) - world(0, 0), "treated": world(1, 1) - world(1, 0)}
    ade = {"control": world(1, 0) - world(0, 0), "treated": world(1, 1) - world(0, 1)}
    out: dict[tuple[str, ...], float] = {("TOTAL", "overall"): world(1, 1) - world(0, 0)}
    for name, by_arm in (("ACME", acme), ("ADE", ade)):
        out[name, "overall"] = (by_arm["control"] + by_arm["treated"]) / 2
        if interaction:
            out |= {(name, arm): value for arm, value in by_arm.items()}
    return out


DGPS = {
    "correct": draw,
    # The treatment moves nothing; the mediator moves the outcome.
    "null": lambda rng, n: draw(rng, n, a=0.0, direct=0.0),
    "interaction": lambda rng, n: draw(rng, n, interaction=0.5),
    "binary_outcome": lambda rng, n: draw(rng, n, binary=True),
    "unequal_variances": lambda rng, n: draw(rng, n, noise="unequal"),
    "misspecified_interaction": lambda rng, n: draw(rng, n, interaction=0.5, modelled=False),
    "misspecified_outcome": lambda rng, n: draw(rng, n, curved=True),
    "weak_overlap": lambda rng, n: draw(rng, n, strength=2.0),
    "heavy_tails": lambda rng, n: draw(rng, n, noise="heavy"),
    "clustered": lambda rng, n: draw(rng, n, clustered=True),
    "small_n": draw,
}
SIZES = dict.fromkeys(DGPS, 500) | {"small_n": 200}
HOLDS = {
    "mediation": {
        "correct", "null", "interaction", "binary_outcome", "unequal_variances", "heavy_tails", "clustered",
    }
}  # fmt: skip
