"""Values of policies: from a study's own units (`ope`), and from logged decisions (`policy_value`)."""

from __future__ import annotations

from typing import Any

import numpy as np

ESTIMATORS = ("ope", "policy_value")
RULE = {"desired_direction": "more", "minimum_effect": 0}
COVARIATES = ["x", "v"]
# E[max(x, 0)] of a standard normal x.
HALF = float(1 / np.sqrt(2 * np.pi))
Drawn = tuple[dict[str, Any], dict[str, Any], None, dict[tuple[str, ...], float]]


def draw(
    rng: np.random.Generator, n: int, *, slope: float = 1.0, curved_outcome: float = 0.0, curved_choice: float = 0.0,
    pull: float = 0.5, heavy: bool = False, clustered: bool = False, regular: bool = True,
) -> Drawn:  # fmt: skip
    """Y = slope · x · T + g(x, v) + noise: half the units gain from treatment, and half lose.

    One decision a unit serves both estimators: its chance stands in the log, and the logged policy's rival treats with
    the chance 0.8 where x > 0 and 0.2 elsewhere. ``curved_outcome`` bends g, ``curved_choice`` the choice's index.
    Where nobody gains, the value of a learnt policy is not regular (Luedtke & van der Laan 2016): its terms are left to
    a process of their own (``regular`` False), which is shown and not judged.
    """
    x, v = rng.normal(size=n), rng.normal(size=n)
    cluster = rng.integers(0, 50, n)
    chance = 1 / (1 + np.exp(-pull * (v - 0.5 * x) - curved_choice * (v**2 - 1)))
    t = (rng.random(n) < chance).astype(float)
    error = rng.standard_t(3, n) / np.sqrt(3) if heavy else rng.normal(size=n)
    if clustered:
        error = error + rng.normal(0, 0.5, 50)[cluster] + t * rng.normal(0, 0.3, 50)[cluster]
    y = slope * x * t + x + v + curved_outcome * (v**2 - 1) + error
    rival = np.where(x > 0, 0.8, 0.2)
    units = {"unit_id": np.arange(n), "y": y, "t": t, "x": x, "v": v, "p": np.where(t == 1, chance, 1 - chance)}
    units |= {"action": t, "rival_0": 1 - rival, "rival_1": rival}
    block: dict[str, Any] = {
        "question": "calibration", "design": "observational", "outcome": "y", "treatment": "t",
        "covariates": COVARIATES, "arms": "action", "logged_propensity": "p",
        "options": {"policy_value": {"evaluated_policy": ["rival_0", "rival_1"]}},
        "decision": {**RULE, "primary": "ope", "estimand": "policy_value"},
    }  # fmt: skip
    if clustered:
        units["c"], block["cluster"] = cluster, "c"
    truth = _truth(slope)
    if curved_outcome:
        # Arms differ in v, so a straight line in each learns a worse policy than the best: its value is not known here.
        truth = {name: value for name, value in truth.items() if name[0] != "ope" or "threshold" not in _policies(name)}
    if slope == 0 and regular:
        truth = {name: value for name, value in truth.items() if name[0] != "ope" or "threshold" not in _policies(name)}
    return units, block, None, truth


def _policies(name: tuple[str, ...]) -> str:
    return "threshold" if name[2] == "overall" else name[2]


def _truth(slope: float) -> dict[tuple[str, ...], float]:
    # With no effect any policy is worth the same; the threshold's regret with one is of order 1 / n.
    gain = slope * HALF
    of_units = {
        "overall": gain, "treat_none": 0.0, "treat_all": 0.0, "threshold": gain, "treat_all-treat_none": 0.0,
        "threshold-treat_all": gain,
    }  # fmt: skip
    # 0.8 of the gains of those above zero, and 0.2 of the losses of those below.
    rival = slope * (0.8 - 0.2) * HALF
    truth: dict[tuple[str, ...], float] = {("ope", "policy_value", term): value for term, value in of_units.items()}
    return truth | {
        ("policy_value", "policy_value", term): rival for term in ("overall", "ips", "snips", "dr", "switch_dr")
    }


DGPS = {
    "correct": draw,
    "null": lambda rng, n: draw(rng, n, slope=0.0),
    "nobody_gains": lambda rng, n: draw(rng, n, slope=0.0, regular=False),
    "misspecified_outcome": lambda rng, n: draw(rng, n, curved_outcome=0.5),
    "misspecified_propensity": lambda rng, n: draw(rng, n, curved_choice=0.3),
    "weak_overlap": lambda rng, n: draw(rng, n, pull=2.0),
    "heavy_tails": lambda rng, n: draw(rng, n, heavy=True),
    "clustered": lambda rng, n: draw(rng, n, clustered=True),
    "small_n": draw,
}
_ALWAYS = {"correct", "null", "misspecified_outcome", "misspecified_propensity", "heavy_tails", "clustered"}
HOLDS = {"ope": _ALWAYS, "policy_value": _ALWAYS}
COSTLY = ()
