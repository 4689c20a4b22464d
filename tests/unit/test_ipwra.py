"""Weighted regression adjustment: against its own equations, statsmodels, and what double robustness promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import optimize, special
from support import observational, overall, problem, run, shuffled, simulated

from estimators.errors import Refusal
from estimators.selection_on_observables.ipw import balancing_weights

ESTIMANDS = ["ATE", "ATT"]


def block(own: dict[str, Any] | None = None, options: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return observational("y", "t", ["x1", "x2"], options={"ipwra": own or {}, **(options or {})}, **more)


def go(data: Any, estimand: str = "ATE", own: dict[str, Any] | None = None, **more: Any) -> Any:
    return overall(run(block(own, **more), data, "ipwra", estimand))


def by_number(data: Any, estimand: str, weight: Any = None) -> tuple[float, float]:
    """The sandwich of all estimating equations, their derivative taken numerically."""
    y, t = data["y"], data["t"]
    w = np.ones(len(y)) if weight is None else weight
    x = np.column_stack([np.ones(len(y)), data["x1"], data["x2"]])
    into = np.ones(len(y)) if estimand == "ATE" else t

    def equations(theta: np.ndarray) -> np.ndarray:
        e = special.expit(x @ theta[:3])
        omega = w * balancing_weights(t, e, estimand)
        b0, b1 = theta[3:6], theta[6:9]
        return np.column_stack(
            [
                x * (w * (t - e))[:, None], x * (omega * (1 - t) * (y - x @ b0))[:, None],
                x * (omega * t * (y - x @ b1))[:, None], w * into * (x @ (b1 - b0) - theta[9]),
            ]
        )  # fmt: skip

    root = optimize.root(lambda th: equations(th).mean(axis=0), np.zeros(10), tol=1e-13).x
    steps = np.eye(10) * 1e-6
    a = np.column_stack([(equations(root + h) - equations(root - h)).mean(axis=0) / 2e-6 for h in steps])
    inverse, psi = np.linalg.inv(a), equations(root)
    return root[9], float(np.sqrt((inverse @ (psi.T @ psi / len(y)) @ inverse.T)[9, 9] / len(y)))


@pytest.mark.parametrize("estimand", ESTIMANDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_stacked_agrees_with_numerical_m_estimation(estimand: str, weighted: bool) -> None:
    data = simulated(300)
    data["y"] = data["y"] + 0.5 * data["x1"] ** 2  # both models a little wrong: the sandwich must still hold
    weight = np.random.default_rng(1).uniform(0.5, 3, 300) if weighted else None
    row = go(data | {"w": weight}, estimand, weight="w") if weighted else go(data, estimand)
    np.testing.assert_allclose([row.estimate, row.std_error], by_number(data, estimand, weight), rtol=1e-6)
    assert row.variance_estimator == "stacked"


def test_the_value_is_statsmodels() -> None:
    import statsmodels.api as sm
    from statsmodels.treatment.treatment_effects import TreatmentEffect

    data = simulated()
    x = sm.add_constant(np.column_stack([data["x1"], data["x2"]]))
    select = sm.Logit(data["t"], x).fit(disp=0, tol=1e-12)
    peer = TreatmentEffect(sm.OLS(data["y"], x), data["t"], results_select=select)
    assert go(data).estimate == pytest.approx(float(peer.ipw_ra(return_results=False)[0]), rel=1e-6)


def test_fixed_weights_leave_the_propensity_out() -> None:
    data = simulated()
    row, stacked = go(data, own={"variance": "fixed_weights"}), go(data)
    assert row.variance_estimator == "fixed_weights"
    assert row.estimate == stacked.estimate
    assert row.std_error != stacked.std_error
    assert row.std_error == pytest.approx(stacked.std_error, rel=0.05)


def test_att_leaves_the_treated_as_they_are() -> None:
    data = simulated()
    p = problem(block(), data, "ipwra")
    x = np.column_stack([np.ones(p.n), p.matrix(p.study.covariates).values])
    e = p.propensity().probability
    root = np.sqrt(np.where(p.t == 0, e / (1 - e), 0.0))
    beta = np.linalg.lstsq(x * root[:, None], p.y * root, rcond=None)[0]
    expected = p.y[p.t == 1].mean() - (x[p.t == 1] @ beta).mean()
    assert go(data, "ATT").estimate == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("wrong", ["outcome", "propensity"])
def test_one_right_model_suffices(wrong: str) -> None:
    rng = np.random.default_rng(5)
    n = 20_000
    x1, x2 = rng.normal(size=n), rng.normal(size=n)
    bent = x1**2 - 1
    index = 0.5 * x1 + (0.5 * bent if wrong == "propensity" else 0)
    t = (rng.random(n) < special.expit(index)).astype(float)
    y = 2 * t + x1 + (bent if wrong == "outcome" else 0) + rng.normal(size=n)
    data = {"unit_id": np.arange(n), "y": y, "t": t, "x1": x1, "x2": x2}
    row = go(data)
    assert abs(row.estimate - 2) < 3 * row.std_error


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_weights_are_repeated_rows_and_order_does_not_matter(estimand: str) -> None:
    data = simulated(150)
    weight = (np.arange(150) % 3 + 1).astype(float)
    repeated = {k: np.repeat(v, weight.astype(int)) for k, v in data.items()}
    repeated["unit_id"] = np.arange(len(repeated["y"]))
    weighted = go(data | {"w": weight}, estimand, weight="w")
    assert weighted.estimate == pytest.approx(go(repeated, estimand).estimate, rel=1e-8)
    mixed, row = go(shuffled(pa.table(data)), estimand), go(data, estimand)
    assert (mixed.estimate, mixed.std_error) == (row.estimate, row.std_error)


def test_units_of_measurement_and_clusters() -> None:
    data = simulated(200)
    row = go(data)
    other = go(data | {"y": 100 * data["y"] + 7, "x1": 1e9 + 10 * data["x1"]})
    np.testing.assert_allclose([other.estimate, other.std_error], [100 * row.estimate, 100 * row.std_error], rtol=1e-6)
    alone = go(data | {"g": np.arange(200)}, cluster="g", options={"cluster_variance": "sandwich"})
    assert alone.std_error == pytest.approx(row.std_error * np.sqrt(200 / 199), rel=1e-9)


def test_refusals() -> None:
    data = simulated()
    with pytest.raises(Refusal, match="interactions: all"):
        go(data, options={"outcome": {"interactions": "none"}})
    with pytest.raises(Refusal, match="predict the treatment perfectly"):
        go(data | {"x1": data["t"] * 10})
    few = {k: v[:40] for k, v in data.items()} | {"t": (np.arange(40) % 20 == 0).astype(float)}
    with pytest.raises(Refusal, match="outcome regression cannot be fitted"):
        go(few)


def test_truth_is_covered() -> None:
    rows = [go(simulated(300, seed)) for seed in range(200)]
    covered = np.mean([r.conf_low <= 2 <= r.conf_high for r in rows])
    assert 0.90 < covered < 0.99
