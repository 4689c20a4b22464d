"""Entropy balancing: exact balance, the least uneven weights, the stacked sandwich, and where there is no solution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import optimize
from support import observational, overall, problem, run, shuffled, simulated

from estimators import estimate
from estimators.errors import Refusal
from estimators.selection_on_observables.entropy import balance, entropy_balance

ESTIMANDS = ["ATE", "ATT"]


def block(own: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return observational("y", "t", ["x1", "x2"], options={"ipw": {"method": "entropy", **(own or {})}}, **more)


def go(data: Any, estimand: str = "ATE", own: dict[str, Any] | None = None, **more: Any) -> Any:
    return overall(run(block(own, **more), data, "ipw", estimand))


def balanced(data: Any, estimand: str, moments: int = 1, **more: Any) -> Any:
    p = problem(block(**more), data, "ipw")
    return p, entropy_balance(p, estimand, moments)


def test_two_values_by_hand() -> None:
    """Three units at 0 and one at 1 get mean 1/2 only with half of the weight on the one."""
    share = balance(np.array([[0.0], [0], [0], [1]]), np.ones(4), np.array([0.5]), ("x",), "untreated")
    np.testing.assert_allclose(share, [1 / 6, 1 / 6, 1 / 6, 1 / 2], rtol=1e-9)


def test_saturated_by_hand() -> None:
    # Effects 1 and 5 in strata of four, half and three quarters treated; on one binary column the weights are ipw's.
    data = {
        "unit_id": range(8), "x1": [0.0, 0, 0, 0, 1, 1, 1, 1], "x2": [0.0] * 8, "t": [0.0, 0, 1, 1, 0, 1, 1, 1],
        "y": [0.0, 2, 1, 3, 4, 8, 9, 10],
    }  # fmt: skip
    assert go(data, "ATE").estimate == pytest.approx(3.0, rel=1e-9)
    assert go(data, "ATT").estimate == pytest.approx(17 / 5, rel=1e-9)


@pytest.mark.parametrize("estimand", ESTIMANDS)
@pytest.mark.parametrize("moments", [1, 2])
def test_moments_are_the_target_s(estimand: str, moments: int) -> None:
    data = simulated()
    p, found = balanced(data, estimand, moments)
    x = p.matrix(p.study.covariates).values
    x = np.hstack([x, x**2]) if moments == 2 else x
    wanted = x.mean(axis=0) if estimand == "ATE" else x[p.t == 1].mean(axis=0)
    for arm in (0, 1):
        own = np.average(x[p.t == arm], axis=0, weights=found.omega[p.t == arm])
        np.testing.assert_allclose(own, wanted, atol=1e-8)
        assert found.omega[p.t == arm].sum() == pytest.approx(len(x) if estimand == "ATE" else p.t.sum())
    if estimand == "ATT":
        assert set(found.omega[p.t == 1]) == {1.0}


def test_weights_are_the_least_uneven() -> None:
    """Against a general solver of min Σ s log s under the balance."""
    data = simulated(60)
    p, found = balanced(data, "ATT")
    rows = p.t == 0
    x = p.matrix(p.study.covariates).values
    target = x[~rows].mean(axis=0)
    a = np.vstack([np.ones(rows.sum()), (x[rows] - target).T])
    peer = optimize.minimize(
        lambda s: float(np.sum(s * np.log(s))), np.full(rows.sum(), 1 / rows.sum()), jac=lambda s: np.log(s) + 1,
        constraints={"type": "eq", "fun": lambda s: a @ s - np.r_[1.0, 0, 0], "jac": lambda s: a},
        bounds=[(1e-9, 1)] * int(rows.sum()), method="SLSQP", options={"maxiter": 500, "ftol": 1e-14},
    )  # fmt: skip
    assert peer.success
    np.testing.assert_allclose(found.omega[rows] / found.omega[rows].sum(), peer.x, atol=2e-6)


def stacked_by_number(data: Any, estimand: str, weight: Any = None) -> tuple[float, float]:
    """The sandwich of all estimating equations (target means, tilts, arm means), its derivative taken numerically."""
    y, t, x = data["y"], data["t"], np.column_stack([data["x1"], data["x2"]])
    w = np.ones(len(y)) if weight is None else weight
    into = np.ones(len(y)) if estimand == "ATE" else t

    def equations(theta: np.ndarray) -> np.ndarray:
        m, l0, l1, mu = theta[:2], theta[2:4], theta[4:6], theta[6:]
        z = x - m
        o0 = w * (1 - t) * np.exp(z @ l0)
        o1 = w * t * np.exp(z @ l1)
        return np.column_stack(
            [(w * into)[:, None] * z, o0[:, None] * z, o1[:, None] * z, o0 * (y - mu[0]), o1 * (y - mu[1])]
        )

    start = np.r_[np.average(x, axis=0, weights=w * into), np.zeros(4), y.mean(), y.mean()]
    root = optimize.root(lambda th: equations(th).mean(axis=0), start, tol=1e-13).x
    steps = np.eye(8) * 1e-6
    a = np.column_stack([(equations(root + h) - equations(root - h)).mean(axis=0) / 2e-6 for h in steps])
    inverse, psi = np.linalg.inv(a), equations(root)
    vcov = inverse @ (psi.T @ psi / len(y)) @ inverse.T / len(y)
    c = np.r_[np.zeros(6), -1.0, 1.0]
    return root[7] - root[6], float(np.sqrt(c @ vcov @ c))


@pytest.mark.parametrize("estimand", ESTIMANDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_stacked_agrees_with_numerical_m_estimation(estimand: str, weighted: bool) -> None:
    data = simulated(300)
    weight = np.random.default_rng(1).uniform(0.5, 3, 300) if weighted else None
    row = go(data | {"w": weight}, estimand, weight="w") if weighted else go(data, estimand)
    np.testing.assert_allclose([row.estimate, row.std_error], stacked_by_number(data, estimand, weight), rtol=1e-6)
    assert row.variance_estimator == "stacked"


def test_fixed_weights_agree_with_statsmodels_hc0() -> None:
    import statsmodels.api as sm

    data = simulated()
    row = go(data, own={"variance": "fixed_weights"})
    fit = sm.WLS(data["y"], sm.add_constant(data["t"]), weights=balanced(data, "ATE")[1].omega).fit(cov_type="HC0")
    np.testing.assert_allclose([row.estimate, row.std_error], [fit.params[1], fit.bse[1]], rtol=1e-8)


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_a_linear_outcome_needs_no_propensity(estimand: str) -> None:
    """Balanced means leave nothing of a linear outcome but the effect, whoever was treated."""
    data = simulated()
    exact = data | {"y": 3 * data["t"] + data["x1"] - 2 * data["x2"]}
    assert go(exact, estimand).estimate == pytest.approx(3.0, abs=1e-8)


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_weights_are_repeated_rows_and_order_does_not_matter(estimand: str) -> None:
    data = simulated(150)
    weight = (np.arange(150) % 3 + 1).astype(float)
    repeated = {k: np.repeat(v, weight.astype(int)) for k, v in data.items()}
    repeated["unit_id"] = np.arange(len(repeated["y"]))
    row = go(data | {"w": weight}, estimand, weight="w")
    assert row.estimate == pytest.approx(go(repeated, estimand).estimate, rel=1e-8)
    mixed = go(shuffled(pa.table(data)), estimand)
    assert (mixed.estimate, mixed.std_error) == (go(data, estimand).estimate, go(data, estimand).std_error)


def test_units_of_measurement_do_not_matter() -> None:
    data = simulated()
    row = go(data)
    other = go(data | {"y": 100 * data["y"] + 7, "x1": 1e9 + 10 * data["x1"]})
    np.testing.assert_allclose([other.estimate, other.std_error], [100 * row.estimate, 100 * row.std_error], rtol=1e-6)


def test_clusters() -> None:
    data = simulated(200)
    alone = go(data | {"g": np.arange(200)}, cluster="g")
    plain = block(cluster="g")
    plain["options"] = {**plain["options"], "cluster_variance": "sandwich"}
    sandwich = overall(run(plain, data | {"g": np.arange(200)}, "ipw", "ATE"))
    assert sandwich.std_error == pytest.approx(go(data).std_error * np.sqrt(200 / 199), rel=1e-9)
    twice = {k: np.repeat(v, 2) for k, v in data.items()} | {"unit_id": np.arange(400), "g": np.repeat(range(200), 2)}
    both = go(twice, cluster="g")
    assert both.std_error == pytest.approx(alone.std_error, rel=1e-7)
    assert (both.n_clusters, both.variance_estimator) == (200, "cluster")


def test_diagnostics_show_the_balance() -> None:
    found = run(block(), simulated(), "ipw", "ATE").diagnostics
    smd = {d.subject: d.value for d in found if d.metric == "weighted_smd"}
    assert set(smd) == {"x1", "x2"}
    assert max(abs(v) for v in smd.values()) < 1e-9
    assert {d.metric for d in found} == {"effective_sample_size", "max_weight", "weighted_smd"}


def test_collinear_columns_are_left_out() -> None:
    data = simulated()
    data["x3"] = data["x1"] - 2 * data["x2"]
    more = {**block(), "covariates": ["x1", "x2", "x3"]}
    assert overall(run(more, data, "ipw", "ATE")).estimate == pytest.approx(go(data).estimate, rel=1e-8)


def test_no_solution_is_refused_by_name() -> None:
    data = simulated()
    apart = data | {"x2": np.where(data["t"] == 1, 5 + data["x2"] ** 2, data["x2"])}
    with pytest.raises(Refusal, match="no weights of the untreated units give 'x2' the mean"):
        go(apart, "ATT")
    # Each mean is inside its range, but not both at once: the controls lie on a line below the treated.
    corner = np.linspace(-1, 1, 600)
    t = (np.arange(600) % 2).astype(float)
    joint = data | {"t": t, "x1": np.where(t == 1, 0.8, corner), "x2": np.where(t == 1, 0.8, -corner)}
    joint["x1"] = joint["x1"] + 0.01 * np.sin(np.arange(600))
    with pytest.raises(Refusal, match="no weights of the untreated units give 'x"):
        go(joint, "ATT")
    constant = data | {"x1": np.where(data["t"] == 0, 1.0, data["x1"])}
    with pytest.raises(Refusal, match="'x1'"):
        go(constant, "ATT")


def test_other_refusals() -> None:
    with pytest.raises(Refusal, match="no target of its own for the ATO"):
        go(simulated(), "ATO")
    with pytest.raises(Refusal, match="entropy balancing has none"):
        go(simulated(), own={"trim": 0.1})


def test_streamed_is_refused_with_its_mend() -> None:
    rows = estimate("s", {**block(), "row_budget": 10}, simulated()).to_pylist()
    own = [r for r in rows if r["estimator"] == "ipw"]
    assert {r["status"] for r in own} == {"refused"}
    assert all("row_budget" in r["status_reason"] for r in own)


def test_truth_is_covered() -> None:
    rows = [go(simulated(300, seed)) for seed in range(200)]
    covered = np.mean([r.conf_low <= 2 <= r.conf_high for r in rows])
    assert 0.90 < covered < 0.99
