"""Studies that have no scores, each for another cause: what is said of it, in the scores, the gates and the effects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from support import observational

N = 400
DECISION = {"primary": "ipw", "estimand": "ATE", "desired_direction": "more", "minimum_effect": 0}
_RNG = np.random.default_rng(5)
X, Z = _RNG.normal(size=(2, N))
T = (_RNG.random(N) < 0.4).astype(float)
UNITS: dict[str, Any] = {
    "unit_id": np.arange(N), "t": T, "x": X, "z": Z, "y": X + T + _RNG.normal(size=N),
    "site": np.where(np.arange(N) % 3 == 0, "A", "B").astype(object), "w": np.ones(N),
}  # fmt: skip


@dataclass(frozen=True)
class Cause:
    """What of the units and of the declaration is changed, what reason and remedy name, and what ipw's reason does."""

    reason: str
    remedy: str
    units: dict[str, Any] = field(default_factory=dict)
    block: dict[str, Any] = field(default_factory=dict)
    effects: str | None = None

    def study(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Block and units."""
        covariates = self.block.get("covariates", ["x", "z"])
        more = {k: v for k, v in self.block.items() if k != "covariates"}
        declared = observational("y", "t", covariates, folds=3, decision=DECISION, **more)
        return declared, {**UNITS, **self.units}


def _only_untreated(level: str) -> np.ndarray:
    """The untreated of one site are a site of their own."""
    return np.where((T == 0) & (np.arange(N) % 2 == 0), level, UNITS["site"]).astype(object)


CAUSES = {
    "log_of_zero": Cause("'log(x)' is not a finite number in", "Mend the term", block={"covariates": ["log(x)"]}),
    "overflow": Cause("'x^9' is beyond 1e+150", "Mend the term", {"x": X * 1e17}, {"covariates": ["x^9"]}),
    "product": Cause("'x:z'", "Mend the term", {"x": X * 1e100, "z": Z * 1e100}, {"covariates": ["x:z"]}),
    "separation": Cause("perfectly (z most)", "Drop the covariate", {"z": T * 2 - 1 + 0.3 * np.tanh(Z)}),
    "site_of_one_arm": Cause(
        "units with site=C 0 are treated", "group their levels", {"site": _only_untreated("C")},
        {"covariates": ["x", "C(site)"]},
    ),
    "first_site_of_one_arm": Cause(
        "units with the first level of site 0 are treated", "group their levels", {"site": _only_untreated("0")},
        {"covariates": ["x", "C(site)"]},
    ),
    "a_site_a_unit": Cause(
        "levels too rare for a model", "group their levels",
        {"site": np.array([f"s{i // 2:03d}" if i < 240 else "t" for i in range(N)], object)},
        {"covariates": ["C(site)"]},
    ),
    "no_weight_in_an_arm": Cause("is constant at 0", "A study needs", {"w": 1 - T}, {"weight": "w"}),
    "text_covariate": Cause("covariate 'x' holds text", "write C(x)", {"x": UNITS["site"]}),
    "third_value": Cause("treatment 't' has 3 values", "Keep two arms", {"t": np.arange(N) % 3 * 1.0}),
    "one_and_two": Cause("treatment 't' has 2 values", "Recode it", {"t": T + 1}),
    "dose": Cause("treatment 't' is a dose", "Leave the scores out", {"t": X}),
    "constant": Cause("treatment 't' is constant at 1", "treated and untreated", {"t": np.ones(N)}),
    "no_outcome": Cause("outcome 'y' is NULL in 3 rows", "missing: drop", {"y": np.where(X > 2.3, np.nan, 1.0 * X)}),
    "infinite": Cause("covariate 'z' holds infinities", "staging", {"z": np.where(Z > 2, np.inf, Z)}),
    "repeated": Cause("repeat a value of 'unit_id'", "one row a unit", {"unit_id": np.arange(N) // 2}),
    "no_column": Cause("'age'", "", block={"covariates": ["x", "age"]}),
    "unknown_option": Cause("speed", "", block={"options": {"ipw": {"speed": 3}}}),
    "link": Cause("link", "", block={"options": {"propensity": {"link": "cloglog"}}}),
}  # fmt: skip
