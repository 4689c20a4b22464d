from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import DECISION, overall, problem, run

from estimators import estimate
from estimators.errors import Refusal
from estimators.proximal.quadratic import Equation, _score, _solve
from estimators.proximal.strength import conditional_f, directions, partial_f
from estimators.proximal.system import proxies


def block(p: int = 1, q: int = 1, own: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "question": "q", "design": "observational", "outcome": "y", "treatment": "t", "covariates": ["x"],
        "negative_control_exposures": [f"z{j}" for j in range(q)],
        "negative_control_outcomes": [f"w{j}" for j in range(p)],
        "decision": {**DECISION, "primary": "proximal"}, "options": {"proximal": own or {}}, **more,
    }  # fmt: skip


def units(
    n: int = 1_000, seed: int = 1, p: int = 1, q: int = 1, curved: float = 0.0, hidden: int = 1
) -> dict[str, np.ndarray]:
    """An effect of 1 and hidden confounders u (one each proxy, or one for all) that move treatment and outcome."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    u = rng.normal(size=(n, hidden)) + 0.5 * x[:, None]
    index = 0.8 * u.sum(axis=1) + 0.3 * x + curved * (u[:, 0] ** 2 - 1)
    t = (rng.random(n) < 1 / (1 + np.exp(-index))).astype(float)
    z = {f"z{j}": u[:, j % hidden] + 0.3 * x - 0.3 * t + rng.normal(0, 0.6, n) for j in range(q)}
    w = {f"w{j}": u[:, j % hidden] - 0.2 * x + rng.normal(0, 0.6, n) for j in range(p)}
    y = t + u.sum(axis=1) + 0.5 * x + curved * u[:, 0] ** 2 + rng.normal(size=n)
    return {"unit_id": np.arange(n), "y": y, "t": t, "x": x, **z, **w}


def one(data: Any, term: str = "overall", p: int = 1, q: int = 1, own: Any = None, **more: Any) -> Any:
    return overall(run(block(p, q, own, **more), data, "proximal", "ATE"), term)


def told(result: Any) -> dict[tuple[str, str], Any]:
    return {(d.metric, d.subject): d for d in result.diagnostics}


def plain(data: dict[str, np.ndarray], p: int, q: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Regressors (1, x, t, w), instruments (1, x, t, z), the 2SLS coefficients and residuals, by the textbook."""
    base = [np.ones(len(data["y"])), data["x"], data["t"]]
    r = np.column_stack([*base, *(data[f"w{j}"] for j in range(p))])
    a = np.column_stack([*base, *(data[f"z{j}"] for j in range(q))])
    fitted = a @ np.linalg.lstsq(a, r, rcond=None)[0]
    theta = np.linalg.solve(fitted.T @ r, fitted.T @ data["y"])
    return fitted, a, theta, data["y"] - r @ theta


def test_by_hand() -> None:
    """Y − D − W is orthogonal to (1, D, Z) in these eight rows, so the bridge is exactly 1 D + 1 W."""
    t = np.array([0, 0, 0, 0, 1, 1, 1, 1.0])
    z = np.array([-1, -1, 1, 1, -1, -1, 1, 1.0])
    noise = 0.01 * np.array([1, -1, 1, -1, -1, 1, -1, 1.0])
    w = 2 * z + t + 5 + 0.01 * np.array([1, -1, -1, 1, 1, -1, -1, 1.0])
    data = {"unit_id": np.arange(8), "t": t, "z0": z, "w0": w, "y": t + w + noise}
    row = one(data, covariates=[])
    assert row.estimate == pytest.approx(1.0, abs=1e-12)
    assert (row.n_units, row.n_treated, row.degrees_of_freedom, row.contrast) == (8, 4, 5.0, "1 - 0")
    # Without proxies the difference in means of Y: 1 + the treatment's part in W.
    assert one(data, "method=unadjusted", covariates=[]).estimate == pytest.approx(2.0, abs=1e-12)


@pytest.mark.parametrize(("p", "q"), [(1, 1), (1, 3), (2, 2), (2, 3)])
def test_two_stage_is_the_textbook_s(p: int, q: int) -> None:
    data = units(400, p=p, q=q, hidden=p)
    fitted, _, theta, e = plain(data, p, q)
    bread, df = np.linalg.inv(fitted.T @ fitted), 400 - 3 - p
    robust = bread @ ((fitted * e[:, None]).T @ (fitted * e[:, None])) @ bread * 400 / df
    for variance, vcov in (("classical", bread * (e @ e) / df), ("robust", robust)):
        row = one(data, p=p, q=q, own={"variance": variance, "proxies": "all"})
        assert row.estimate == pytest.approx(theta[2], rel=1e-9)
        assert row.std_error == pytest.approx(np.sqrt(vcov[2, 2]), rel=1e-9)
        assert row.degrees_of_freedom == df


def test_cluster_is_the_textbook_s() -> None:
    data = units(400) | {"c": np.arange(400) // 8}
    fitted, _, _, e = plain(data, 1, 1)
    sums = np.add.reduceat(fitted * e[:, None], np.arange(0, 400, 8))
    bread = np.linalg.inv(fitted.T @ fitted)
    vcov = bread @ sums.T @ sums @ bread * 50 / 49 * 399 / 396
    row = one(data, cluster="c", own={"variance": "CR1"})
    assert row.std_error == pytest.approx(np.sqrt(vcov[2, 2]), rel=1e-9)
    assert (row.n_clusters, row.degrees_of_freedom, row.variance_estimator) == (50, 49, "CR1")


def test_first_stage_is_the_textbook_s() -> None:
    data = units(500, p=2, q=2, hidden=2)
    s = proxies(problem(block(2, 2, {"variance": "classical"}), data, "proximal"))
    a, base = plain(data, 2, 2)[1], np.column_stack([np.ones(500), data["x"], data["t"]])

    def rss(y: np.ndarray, x: np.ndarray) -> float:
        return float(np.sum((y - x @ np.linalg.lstsq(x, y, rcond=None)[0]) ** 2))

    for j, f in enumerate(partial_f(s)):
        w = data[f"w{j}"]
        assert f == pytest.approx((rss(w, base) - rss(w, a)) / 2 / (rss(w, a) / 495), rel=1e-9)
    # Sanderson & Windmeijer: the same of w0 less its 2SLS fit by w1, with one degree of freedom less.
    others = np.column_stack([base, data["w1"]])
    fitted = a @ np.linalg.lstsq(a, others, rcond=None)[0]
    rest = data["w0"] - others @ np.linalg.lstsq(fitted, data["w0"], rcond=None)[0]
    assert conditional_f(s)[0] == pytest.approx((rss(rest, base) - rss(rest, a)) / 1 / (rss(rest, a) / 495), rel=1e-9)
    # Kleibergen–Paap with classical variance is Cragg–Donald: Σ ρ² / (1 − ρ²) of the canonical correlations.
    rho = np.linalg.svd(s.z.T @ s.own, compute_uv=False)
    assert directions(s).f[1] == pytest.approx(495 * rho[1] ** 2 / (1 - rho[1] ** 2), rel=1e-9)


def test_hansen_j_is_that_of_two_step_gmm() -> None:
    data = units(400, q=3)
    _, a, _, e = plain(data, 1, 3)
    r = np.column_stack([np.ones(400), data["x"], data["t"], data["w0"]])
    weight = np.linalg.inv((a * e[:, None]).T @ (a * e[:, None]))
    m = a.T @ r
    step = np.linalg.solve(m.T @ weight @ m, m.T @ weight @ (a.T @ data["y"]))
    gap = a.T @ (data["y"] - r @ step)
    found = told(run(block(1, 3), data, "proximal", "ATE"))
    assert found["hansen_j", "overall"].value == pytest.approx(gap @ weight @ gap, rel=1e-8)
    assert found["hansen_j_p", "overall"].is_passing


def test_an_exposure_proxy_that_acts_on_the_outcome_fails_hansen_s_j() -> None:
    data = units(2_000, q=2)
    data["y"] = data["y"] + 0.8 * data["z1"]
    found = told(run(block(1, 2), data, "proximal", "ATE"))
    assert found["hansen_j_p", "overall"].value < 1e-6
    assert found["hansen_j_p", "overall"].is_passing is False


def test_finds_the_effect_that_least_squares_misses() -> None:
    data = units(20_000)
    row = one(data)
    assert abs(row.estimate - 1) < 4 * row.std_error
    assert row.std_error < 0.03
    for term in ("method=ols", "method=unadjusted"):
        naive = one(data, term)
        assert naive.estimate - 1 > 4 * naive.std_error
    assert one(data, "method=unadjusted").estimate > one(data, "method=ols").estimate


def test_two_proxies_of_one_confounder() -> None:
    """Z moves one combination of W: γ is not unique, the effect is; `all` says that it cannot."""
    data = units(4_000, p=2, q=2)
    result = run(block(2, 2), data, "proximal", "ATE")
    row, every = overall(result), overall(result, "method=all_proxies")
    assert abs(row.estimate - 1) < 4 * row.std_error
    assert row.std_error < one({**data}, p=1, q=1).std_error < every.std_error
    assert "1 of 2 combinations" in row.status_reason
    assert told(result)["first_stage_rank", "overall"].value == 1
    assert told(result)["treatment_rank_p", "overall"].is_passing
    with pytest.raises(Refusal, match="1 of 2 combinations") as refused:
        one(data, p=2, q=2, own={"proxies": "all"})
    assert refused.value.status == "not_identified"


def test_two_confounders_need_both_proxies() -> None:
    data = units(4_000, p=2, q=2, hidden=2)
    result = run(block(2, 2), data, "proximal", "ATE")
    row = overall(result)
    assert abs(row.estimate - 1) < 4 * row.std_error
    assert told(result)["first_stage_rank", "overall"].value == 2
    assert row.status_reason is None
    # One pair of proxies leaves the other confounder.
    assert one(data).estimate - 1 > 4 * one(data).std_error


def test_weights_are_copies_and_clusters_of_copies_keep_the_error() -> None:
    data = units(300, p=2, q=2, hidden=2) | {"w": np.where(np.arange(300) % 3 == 0, 2.0, 1.0)}
    rows = np.repeat(np.arange(300), data["w"].astype(int))
    copies = {name: values[rows] for name, values in data.items()} | {"unit_id": np.arange(len(rows)), "home": rows}
    for term in ("overall", "method=ols", "method=unadjusted"):
        weighted = one({**data, "home": np.arange(300)}, term, 2, 2, weight="w", cluster="home")
        copied = one(copies, term, 2, 2, cluster="home")
        assert weighted.estimate == pytest.approx(copied.estimate, rel=1e-9)
        # Both are CR2 by household, which counts no rows.
        assert weighted.std_error == pytest.approx(copied.std_error, rel=1e-9)
        assert weighted.degrees_of_freedom == pytest.approx(copied.degrees_of_freedom, rel=1e-6)
    twice = one({**data, "w": np.full(300, 2.0)}, p=2, q=2, weight="w")
    assert twice.std_error == pytest.approx(one(data, p=2, q=2).std_error, rel=1e-9)


@pytest.mark.parametrize("bridge", ["linear", "quadratic"])
def test_order_and_scale_do_not_matter(bridge: str) -> None:
    data, own = units(500, p=2, q=2), {"bridge": bridge}
    order = np.random.default_rng(0).permutation(500)
    scaled = {**data, "y": 100 * data["y"] + 7e6, "x": 1000 * data["x"] + 5e6, "w1": data["w1"] / 50 - 3}
    for term in ("overall", "method=ols", "method=all_proxies"):
        a = one(data, term, 2, 2, own)
        b = one({name: values[order] for name, values in data.items()}, term, 2, 2, own)
        c = one(scaled, term, 2, 2, own)
        assert b.estimate == pytest.approx(a.estimate, rel=1e-9)
        assert b.std_error == pytest.approx(a.std_error, rel=1e-9)
        assert c.estimate == pytest.approx(100 * a.estimate, rel=1e-6)
        assert c.std_error == pytest.approx(100 * a.std_error, rel=1e-6)


def test_repeated_columns_change_nothing() -> None:
    data = units(400, q=2)
    more = {**data, "z2": data["z0"] + data["z1"], "x2": 3 - data["x"], "w1": 2 * data["w0"]}
    own = one(more, p=2, q=3, covariates=["x", "x2"])
    assert own.estimate == pytest.approx(one(data, q=2).estimate, rel=1e-9)
    assert own.std_error == pytest.approx(one(data, q=2).std_error, rel=1e-9)


def test_continuous_treatment() -> None:
    rng = np.random.default_rng(5)
    u, data = rng.normal(size=5_000), units(5_000)
    data |= {"t": u + rng.normal(size=5_000), "z0": u + rng.normal(size=5_000), "w0": u + rng.normal(size=5_000)}
    data["y"] = 0.5 * data["t"] + 2 * u + rng.normal(size=5_000)
    row = one(data)
    assert abs(row.estimate - 0.5) < 4 * row.std_error
    assert (row.contrast, row.n_treated) == ("per unit", None)


def test_quadratic_bridge_finds_what_the_linear_one_misses() -> None:
    data = units(4_000, curved=0.5)
    result = run(block(own={"bridge": "quadratic"}), data, "proximal", "ATE")
    row, linear = overall(result), overall(result, "method=linear")
    assert abs(row.estimate - 1) < 4 * row.std_error
    assert linear.estimate - 1 > 4 * linear.std_error
    assert 0.5 < told(result)["treatment_left", "overall"].value < 1
    assert linear.estimate == one(data).estimate


def test_quadratic_bridge_counts_clusters_and_weights() -> None:
    data, own = units(600), {"bridge": "quadratic"}
    twice = {name: np.tile(values, 2) for name, values in data.items()}
    twice |= {"unit_id": np.arange(1_200), "home": np.tile(np.arange(600), 2)}
    alone = {**data, "home": np.arange(600), "weight": np.full(600, 3.0)}
    copied = one(twice, own=own, cluster="home")
    a, b = one(alone, own=own, cluster="home"), one(alone, own=own, cluster="home", weight="weight")
    for other in (a, b):
        assert other.estimate == pytest.approx(copied.estimate, rel=1e-8)
        assert other.std_error == pytest.approx(copied.std_error, rel=1e-8)


def test_score_by_hand() -> None:
    p = problem(block(), {**units(4), "t": np.array([0.0, 1, 0, 1])}, "proximal")
    # β = Σ v y / Σ v d with d = ±1/2: (1 + 3) / 2 = 2; e = y − 2 d; ψ = v e / mean(v d) = 2 v e
    y, v = np.array([-1.0, 1, -1, 3]), np.array([-1.0, 1, -1, 1])
    found = _score(p, y, v, ())
    assert found.effect == pytest.approx((1 + 1 + 1 + 3) / 2)
    e = y - 3 * np.array([-0.5, 0.5, -0.5, 0.5])
    assert found.std_error == pytest.approx(np.sqrt(np.sum((2 * v * e) ** 2)) / 4)


def test_ridge_without_penalty_solves_the_moments() -> None:
    """Just identified: the covariances of target and fit with the instruments agree, whatever the weights."""
    rng = np.random.default_rng(2)
    values = rng.normal(size=(50, 5)) @ rng.normal(size=(5, 5))
    cov = np.cov(values.T)
    theta = _solve(cov, Equation(0, [1, 2], [3, 4], [1, 2]), 0.0)
    assert cov[np.ix_([3, 4], [1, 2])] @ theta == pytest.approx(cov[[3, 4], 0], rel=1e-5)


def unrelated(data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {"z0": np.random.default_rng(3).normal(size=len(data["y"]))}


@pytest.mark.parametrize(
    ("change", "own", "word", "status"),
    [
        (unrelated, {}, "do not move the outcome proxies", "not_identified"),
        (lambda d: {"z0": 2 * d["x"]}, {}, "explain the negative control exposures", "not_identified"),
        (lambda d: {"w0": 1 - d["t"]}, {}, "explain the negative control outcomes", "not_identified"),
        (lambda d: {"x": 1 - d["t"]}, {}, "explain the treatment 't'", "not_identified"),
        (lambda d: {"y": 0 * d["x"] ** 2}, {}, "outcome 'y' is 0 in every row", "refused"),
        (lambda d: {"t": (np.arange(300) == 3) * 1.0}, {}, "1 treated units are left", "refused"),
    ],
)
def test_refusals(change: Any, own: dict[str, Any], word: str, status: str) -> None:
    data = units(300)
    data |= change(data)
    with pytest.raises(Refusal, match=word) as refused:
        one(data, own=own)
    assert refused.value.status == status
    assert refused.value.mend


def test_refuses_an_outcome_proxy_that_the_treatment_moves() -> None:
    data = units(3_000, p=2, q=2)
    data["w1"] = data["w1"] + data["t"]
    with pytest.raises(Refusal, match="the treatment moves another") as refused:
        one(data, p=2, q=2)
    assert refused.value.status == "not_identified"


def test_refuses_what_the_quadratic_bridge_cannot_carry() -> None:
    with pytest.raises(Refusal, match="10 features for 45 rows"):
        one(units(45), own={"bridge": "quadratic"})
    with pytest.raises(Refusal, match="2 folds have rows"):
        one(units(400), own={"bridge": "quadratic"}, folds=2)
    with pytest.raises(Refusal, match="8 rows cannot carry"):
        one(units(8, seed=2, p=2, q=2), p=2, q=2)


def test_build_carries_it() -> None:
    data = units(400) | {"c": np.arange(400) % 40, "v": np.random.default_rng(1).uniform(0.5, 2, 400)}
    rows = [r for r in estimate("s", block(weight="v", cluster="c"), data).to_pylist() if r["estimator"] == "proximal"]
    assert [r["term"] for r in rows] == ["overall", "method=ols", "method=unadjusted"]
    assert {r["status"] for r in rows} == {"estimated"}
    assert rows[0]["is_primary"]
    (bad,) = (r for r in estimate("s", block(), data | unrelated(data)).to_pylist() if r["estimator"] == "proximal")
    assert (bad["status"], bad["estimate"]) == ("not_identified", None)
