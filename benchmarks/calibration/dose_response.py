"""Dose-response: a dose that three covariates move, and a curve in it."""

from __future__ import annotations

from typing import Any

import numpy as np

ESTIMATORS = ("dose_response",)
COSTLY = ("dose_response",)
DECISION = {
    "primary": "dose_response", "estimand": "DOSE_RESPONSE", "desired_direction": "more", "minimum_effect": 0,
}  # fmt: skip
DOSES = (3.0, 4.0, 5.0, 6.0, 7.0)

Drawn = tuple[dict[str, Any], dict[str, Any], None, dict[tuple[str, ...], float]]


def draw(
    rng: np.random.Generator, n: int, *, strength: float = 0.5, curve: float = 1.0, curved_outcome: bool = False,
    curved_dose: bool = False, heavy: bool = False, clustered: bool = False,
) -> Drawn:  # fmt: skip
    """Units and truths: E[Y(d)] = curve (0.6 d − 0.05 d²), and D = 5 + X'… + normal noise."""
    x = rng.normal(size=(n, 3))
    moved = x[:, 0] + 0.5 * x[:, 1]
    spread = 1.5
    dose = 5 + strength * (moved + (x[:, 0] ** 2 - 1 if curved_dose else 0)) + spread * rng.normal(size=n)
    noise = rng.standard_t(3, n) / np.sqrt(3) if heavy else rng.normal(size=n)
    cluster = rng.integers(0, 50, n)
    if clustered:
        noise = noise + rng.normal(0, 0.5, 50)[cluster]
    g = x @ np.array([0.8, -0.4, 0.3]) + (0.6 * (x[:, 0] ** 2 - 1) if curved_outcome else 0)
    units = {"unit_id": np.arange(n), "y": curve * level(dose) + g + noise, "d": dose}
    units |= {f"x{j}": x[:, j] for j in range(3)}
    block: dict[str, Any] = {
        "question": "calibration", "design": "observational", "outcome": "y", "dose": "d",
        "covariates": ["x0", "x1", "x2"], "decision": DECISION,
        "options": {"dose_response": {"doses": list(DOSES), "law": "normal"}},
    }  # fmt: skip
    if clustered:
        units["c"], block["cluster"] = cluster, "c"
    truth: dict[tuple[str, ...], float] = {("DOSE_RESPONSE", f"dose={d:g}"): curve * float(level(d)) for d in DOSES}
    truth["DOSE_RESPONSE", "dose=7 - dose=3"] = curve * float(level(7.0) - level(3.0))
    # The slope is linear in the dose, whose mean is 5.
    truth["DOSE_RESPONSE", "overall"] = curve * (0.6 - 0.1 * 5)
    return units, block, None, truth


def level(dose: Any) -> Any:
    """What the dose does for everybody."""
    return 0.6 * dose - 0.05 * dose**2


DGPS = {
    "correct": draw,
    "null": lambda rng, n: draw(rng, n, curve=0.0),
    "misspecified_outcome": lambda rng, n: draw(rng, n, curved_outcome=True),
    "misspecified_propensity": lambda rng, n: draw(rng, n, curved_dose=True),
    "weak_overlap": lambda rng, n: draw(rng, n, strength=2.0),
    "heavy_tails": lambda rng, n: draw(rng, n, heavy=True),
    "clustered": lambda rng, n: draw(rng, n, clustered=True),
    "small_n": draw,
}
HOLDS = {
    "dose_response": {
        "correct", "null", "misspecified_outcome", "misspecified_propensity", "heavy_tails", "clustered",
    }
}  # fmt: skip
