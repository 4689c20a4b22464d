"""Instrumental variables: by hand, against statsmodels and brute force, weak instruments, refusals, metamorphic."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import statsmodels.api as sm
import support
from scipy import optimize

from estimators.errors import Refusal
from estimators.instruments.design import instrument_design
from estimators.instruments.kclass import gmm, hansen_j, liml, two_stage, wu_hausman
from estimators.instruments.partialled import Partialled, partialled
from estimators.instruments.weak import Region, _where_not_negative, anderson_rubin, strength


def units(n: int = 400, strength: float = 1.0, seed: int = 5, contradiction: float = 0.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    x, z1, z2, hidden = rng.normal(size=(4, n))
    d = strength * (z1 + 0.5 * z2) + 0.5 * x + hidden + rng.normal(size=n)
    y = 1 + 2 * d + x - 2 * hidden + contradiction * z2 + rng.normal(size=n) * (1 + np.abs(z1))
    return {"unit_id": np.arange(n), "y": y, "d": d, "x": x, "z1": z1, "z2": z2, "school": np.arange(n) % 50}


def block(instruments: tuple[str, ...] = ("z1", "z2"), cluster: str | None = None, **options: object) -> dict:
    more = {"cluster": cluster} if cluster else {}
    out = support.observational(
        "y", "d", ["x"], design="iv", instruments=list(instruments), options={"iv": options}, **more
    )
    return {**out, "decision": {**out["decision"], "primary": "iv", "estimand": "LATE"}}


def problem_of(data: dict[str, np.ndarray], **declared: object) -> Partialled:
    return partialled(support.problem(block(**declared), data, "iv"))


def raw(data: dict[str, np.ndarray], *names: str) -> np.ndarray:
    return np.column_stack([np.ones(len(data["y"])), *(data[name] for name in names)])


def robust(data: dict[str, np.ndarray], variance: str) -> dict:
    return {
        "classical": {},
        "robust": {"cov_type": "HC1", "use_t": True},
        "cluster": {"cov_type": "cluster", "cov_kwds": {"groups": data["school"]}, "use_t": True},
    }[variance]


def test_wald_ratio_by_hand() -> None:
    z = np.repeat([0.0, 1.0], 50)
    d = np.concatenate([np.repeat([0.0, 1.0], [40, 10]), np.repeat([0.0, 1.0], [10, 40])])
    y = 3 * d + np.tile([0.0, 1.0], 50)
    data = {"unit_id": np.arange(100), "y": y, "d": d, "z1": z, "x": np.zeros(100)}
    row = support.overall(support.run({**block(("z1",)), "covariates": []}, data, "iv", "LATE"))
    assert row.estimate == pytest.approx((y[z == 1].mean() - y[z == 0].mean()) / 0.6)
    assert (row.n_units, row.n_treated, row.contrast, row.degrees_of_freedom) == (100, 50, "per unit", 98)


def test_two_stage_is_that_of_statsmodels() -> None:
    from statsmodels.sandbox.regression.gmm import IV2SLS

    data = units()
    peer = IV2SLS(data["y"], raw(data, "x", "d"), raw(data, "x", "z1", "z2")).fit()
    p = problem_of(data, variance="classical")
    fit = two_stage(p)
    assert fit.coef == pytest.approx(peer.params[2], abs=1e-9)
    assert fit.std_error == pytest.approx(peer.bse[2], abs=1e-9)
    np.testing.assert_allclose(p.rows @ fit.residual, peer.resid, atol=1e-8)


@pytest.mark.parametrize("variance", ["robust", "cluster"])
def test_robust_variances_are_the_sandwich_on_all_columns(variance: str) -> None:
    data = units()
    full, instruments = raw(data, "x", "d"), raw(data, "x", "z1", "z2")
    hat = instruments @ np.linalg.lstsq(instruments, full, rcond=None)[0]
    beta = np.linalg.solve(hat.T @ full, hat.T @ data["y"])
    scores = hat * (data["y"] - full @ beta)[:, None]
    n, factor = 400, 400 / 397
    if variance == "cluster":
        scores = np.array([scores[data["school"] == g].sum(axis=0) for g in range(50)])
        factor = 50 / 49 * 399 / 397
    bread = np.linalg.inv(hat.T @ hat)
    wanted = np.sqrt((bread @ scores.T @ scores @ bread)[2, 2] * factor)
    b = block(**({"cluster": "school", "variance": "CR1"} if variance == "cluster" else {}))
    row = support.overall(support.run(b, data, "iv", "LATE"))
    assert row.estimate == pytest.approx(beta[2], abs=1e-9)
    assert row.std_error == pytest.approx(wanted, abs=1e-9)
    assert row.degrees_of_freedom == (49 if variance == "cluster" else n - 3)
    assert row.n_clusters == (50 if variance == "cluster" else None)
    assert row.variance_estimator == ("CR1" if variance == "cluster" else "HC1")


def test_liml_minimises_the_anderson_rubin_ratio() -> None:
    p = problem_of(units(strength=0.2), variance="classical")

    def ratio(beta: float) -> float:
        u = p.y - beta * p.d
        off = u - p.z @ (p.z.T @ u)
        return float(u @ u) / float(off @ off)

    best = optimize.minimize_scalar(ratio, bracket=(1, 3), tol=1e-12).x
    assert liml(p).coef == pytest.approx(best, abs=1e-6)
    assert abs(liml(p).coef - two_stage(p).coef) > 1e-4


def test_two_step_gmm_is_that_of_all_columns() -> None:
    data = units()
    full, instruments, y = raw(data, "x", "d"), raw(data, "x", "z1", "z2"), data["y"]
    hat = instruments @ np.linalg.lstsq(instruments, full, rcond=None)[0]
    first = y - full @ np.linalg.solve(hat.T @ full, hat.T @ y)
    weight = np.linalg.inv((instruments * first[:, None] ** 2).T @ instruments)
    cross = instruments.T @ full
    bread = np.linalg.inv(cross.T @ weight @ cross)
    beta = bread @ cross.T @ weight @ instruments.T @ y
    e = y - full @ beta
    half = bread @ cross.T @ weight
    meat = (instruments * e[:, None] ** 2).T @ instruments
    p = problem_of(data)
    fit, j = gmm(p), hansen_j(p)
    assert fit.coef == pytest.approx(beta[2], abs=1e-9)
    assert fit.std_error == pytest.approx(np.sqrt((half @ meat @ half.T)[2, 2] * 400 / 397), abs=1e-9)
    g = instruments.T @ e
    assert j.statistic == pytest.approx(g @ weight @ g, abs=1e-9)


def test_classical_j_is_sargans() -> None:
    data = units()
    p = problem_of(data, variance="classical")
    e = p.rows @ two_stage(p).residual
    wanted = 400 * sm.OLS(e, raw(data, "x", "z1", "z2")).fit().rsquared
    assert hansen_j(p).statistic == pytest.approx(wanted, rel=1e-9)
    assert gmm(p).coef == pytest.approx(two_stage(p).coef, abs=1e-10)


@pytest.mark.parametrize("variance", ["classical", "robust", "cluster"])
def test_just_identified_methods_agree(variance: str) -> None:
    own = {"variance": "CR1" if variance == "cluster" else variance}
    p = problem_of(units(), instruments=("z1",), cluster="school" if variance == "cluster" else None, **own)
    for other in (liml(p), gmm(p)):
        assert other.coef == pytest.approx(two_stage(p).coef, abs=1e-9)
        # GMM's and 2SLS' residuals are the same, and so are their variances, whatever counts as classical
        assert other.std_error == pytest.approx(two_stage(p).std_error, rel=1e-9)


@pytest.mark.parametrize("variance", ["classical", "robust", "cluster"])
def test_first_stage_and_exogeneity_tests_are_those_of_statsmodels(variance: str) -> None:
    data = units()
    own = {"variance": "CR1" if variance == "cluster" else variance}
    p = problem_of(data, cluster="school" if variance == "cluster" else None, **own)
    f = strength(p)
    first = sm.OLS(data["d"], raw(data, "x", "z1", "z2"))
    contrast = np.eye(4)[2:]
    assert f.classical == pytest.approx(float(first.fit().f_test(contrast).fvalue), rel=1e-9)
    rough = first.fit(**robust(data, "robust" if variance == "classical" else variance))
    assert f.robust == pytest.approx(float(rough.f_test(contrast).fvalue), rel=1e-9)
    v = first.fit().resid
    peer = sm.OLS(data["y"], np.column_stack([raw(data, "x", "d"), v])).fit(**robust(data, variance))
    got = wu_hausman(p)
    assert got.statistic == pytest.approx(float(peer.tvalues[3]) ** 2, rel=1e-9)
    assert got.p_value == pytest.approx(float(peer.pvalues[3]), rel=1e-6)


def test_the_effective_f_by_its_formula() -> None:
    data = units()
    p = problem_of(data)
    fit = sm.OLS(data["d"], raw(data, "x", "z1", "z2")).fit(cov_type="HC1")
    off = raw(data, "x")
    own = raw(data, "z1", "z2")[:, 1:]
    own = own - off @ np.linalg.lstsq(off, own, rcond=None)[0]
    gram, pi = own.T @ own, fit.params[2:]
    wanted = pi @ gram @ pi / np.trace(fit.cov_params()[2:, 2:] @ gram)
    assert strength(p).effective == pytest.approx(wanted, rel=1e-9)
    assert strength(p).decisive == strength(p).effective
    one = strength(problem_of(data, instruments=("z1",)))
    assert one.effective == pytest.approx(one.robust, rel=1e-12)


@pytest.mark.parametrize("instruments", [("z1",), ("z1", "z2")])
@pytest.mark.parametrize("variance", ["classical", "robust", "cluster"])
def test_the_anderson_rubin_test_is_just_significant_at_both_ends(variance: str, instruments: tuple[str, ...]) -> None:
    data = units(strength=0.3)
    own = {"variance": "CR1" if variance == "cluster" else variance}
    cluster = "school" if variance == "cluster" else None
    region = anderson_rubin(problem_of(data, instruments=instruments, cluster=cluster, **own))
    assert region.shape == 1

    def p_value(beta: float) -> float:
        fit = sm.OLS(data["y"] - beta * data["d"], raw(data, "x", *instruments)).fit(**robust(data, variance))
        return float(fit.f_test(np.eye(2 + len(instruments))[2:]).pvalue)

    assert p_value(region.low) == pytest.approx(0.05, abs=1e-6)
    assert p_value(region.high) == pytest.approx(0.05, abs=1e-6)
    assert p_value((region.low + region.high) / 2) > 0.05
    assert p_value(region.low - 0.1) < 0.05
    assert p_value(region.high + 0.1) < 0.05


def test_shapes_of_a_region() -> None:
    inf = np.inf
    assert [Region(r).shape for r in ((), ((0.0, 1.0),), ((0.0, 1.0), (2.0, 3.0)), ((-inf, 0.0), (1.0, inf)))] == [
        -1, 1, 2, 0,
    ]  # fmt: skip
    assert Region(((0.0, 1.0), (2.0, 3.0))).high == 3.0
    assert Region(((-inf, 0.0), (1.0, inf))).low is None
    scalar = [np.array([[v]]) for v in (-1.0, 0.0, 1.0)]  # β² ≥ 1
    assert _where_not_negative(scalar) == [(-inf, pytest.approx(-1.0)), (pytest.approx(1.0), inf)]
    assert _where_not_negative([np.array([[v]]) for v in (1.0, 0.0, 1.0)]) == [(-inf, inf)]
    assert _where_not_negative([np.array([[v]]) for v in (-1.0, 0.0, -1.0)]) == []


def test_weak_instruments_leave_the_anderson_rubin_set_only() -> None:
    data = units(strength=0.15)
    result = support.run(block(("z1",)), data, "iv", "LATE")
    row, by = support.overall(result), {d.metric: d for d in result.diagnostics}
    assert by["effective_f"].value < 10
    assert by["effective_f"].is_passing is False
    assert (row.std_error, row.statistic, row.p_value) == (None, None, None)
    assert row.status == "estimated"
    assert row.variance_estimator == "anderson_rubin"
    assert "weak instruments" in row.status_reason
    assert row.estimate == pytest.approx(two_stage(problem_of(data, instruments=("z1",))).coef)
    assert (row.conf_low, row.conf_high) == (by["ar_low"].value, by["ar_high"].value)


def test_useless_instruments_give_no_interval() -> None:
    result = support.run(block(("z1",)), units(strength=0.0), "iv", "LATE")
    row, by = support.overall(result), {d.metric: d.value for d in result.diagnostics}
    assert by["ar_shape"] == 0
    assert (row.conf_low, row.conf_high, by["ar_low"]) == (None, None, None)
    assert "unbounded" in row.status_reason


def test_contradicting_instruments_are_told() -> None:
    by = {d.metric: d for d in support.run(block(), units(contradiction=3.0), "iv", "LATE").diagnostics}
    assert by["ar_shape"].value == -1
    assert by["hansen_j_p"].value < 1e-6
    assert by["hansen_j_p"].is_passing is False
    fine = {d.metric: d for d in support.run(block(), units(), "iv", "LATE").diagnostics}
    assert fine["hansen_j_p"].is_passing is True
    assert "hansen_j" not in {d.metric for d in support.run(block(("z1",)), units(), "iv", "LATE").diagnostics}


def test_own_instruments_and_covariates_override() -> None:
    data = units()
    one = support.overall(support.run(block(("z1",)), data, "iv", "LATE"))
    own = support.overall(
        support.run({**block(("z1", "z2")), "options": {"iv": {"instruments": ["z1"]}}}, data, "iv", "LATE")
    )
    assert own.estimate == one.estimate
    bare = support.overall(support.run(block(("z1",), covariates=[]), data, "iv", "LATE"))
    zc = data["z1"] - data["z1"].mean()
    assert bare.estimate == pytest.approx(float(zc @ data["y"]) / float(zc @ data["d"]), rel=1e-9)


@pytest.mark.parametrize("method", ["2sls", "liml", "gmm"])
@pytest.mark.parametrize("cluster", [None, "school"])
def test_row_order_changes_nothing_and_the_outcome_scales(method: str, cluster: str | None) -> None:
    data, b = units(), block(method=method, cluster=cluster)
    row = support.overall(support.run(b, data, "iv", "LATE"))
    other = support.overall(support.run(b, support.shuffled(pa.table(data)), "iv", "LATE"))
    scaled = support.overall(support.run(b, {**data, "y": data["y"] * 1000 + 5}, "iv", "LATE"))
    dosed = support.overall(support.run(b, {**data, "d": data["d"] / 10}, "iv", "LATE"))
    for field in ("estimate", "std_error"):
        assert getattr(other, field) == pytest.approx(getattr(row, field), abs=1e-10)
        assert getattr(scaled, field) == pytest.approx(1000 * getattr(row, field), rel=1e-9)
        assert getattr(dosed, field) == pytest.approx(10 * getattr(row, field), rel=1e-9)


def test_the_anderson_rubin_set_scales_with_the_outcome() -> None:
    data = units(strength=0.3)
    region = anderson_rubin(problem_of(data))
    scaled = anderson_rubin(problem_of({**data, "y": data["y"] * 1e6}))
    assert scaled.low == pytest.approx(1e6 * region.low, rel=1e-8)
    assert scaled.high == pytest.approx(1e6 * region.high, rel=1e-8)


def test_the_design_uses_no_outcome() -> None:
    data = units()
    rows = instrument_design(support.problem(block(), data, "iv"))
    others = instrument_design(support.problem(block(), {**data, "y": -(data["y"] ** 2)}, "iv"))
    assert rows == others
    assert [(r.estimator, r.metric, r.subject) for r in rows] == [
        ("iv", "first_stage_f", "d"),
        ("iv", "effective_f", "d"),
    ]
    f = strength(problem_of(data))
    assert [r.value for r in rows] == [f.decisive, f.effective]
    classical = instrument_design(support.problem(block(variance="classical"), data, "iv"))
    assert classical[0].value == pytest.approx(f.classical)


def test_a_design_without_a_first_stage_is_a_row_with_the_reason() -> None:
    data = units()
    rows = instrument_design(support.problem(block(("z1",)), {**data, "z1": 2 * data["x"]}, "iv"))
    assert {r.value for r in rows} == {None}
    assert all("covariates explain the instrument" in r.reason for r in rows)


@pytest.mark.parametrize(
    ("change", "instruments", "words", "status"),
    [
        ({"z1": lambda u: 2 * u["x"] + 1}, ("z1",), "explain the instrument", "not_identified"),
        ({"d": lambda u: 3 * u["x"]}, ("z1",), "explain the treatment", "not_identified"),
        ({"y": lambda u: u["y"] * 0}, ("z1",), "in every row", "refused"),
    ],
)
def test_refusals(change: dict, instruments: tuple[str, ...], words: str, status: str) -> None:
    data = units()
    data |= {name: make(data) for name, make in change.items()}
    with pytest.raises(Refusal, match=words) as refusal:
        support.run(block(instruments), data, "iv", "LATE")
    assert refusal.value.status == status


def test_an_instrument_without_any_first_stage_is_not_identified() -> None:
    z = np.tile([1.0, -1.0], 50)
    d = np.repeat([0.0, 1.0], 50)
    data = {"unit_id": np.arange(100), "y": d + np.sin(np.arange(100.0)), "d": d, "z1": z, "x": np.zeros(100)}
    with pytest.raises(Refusal, match="do not move the treatment") as refusal:
        support.run({**block(("z1",)), "covariates": []}, data, "iv", "LATE")
    assert refusal.value.status == "not_identified"


def test_refusals_of_size() -> None:
    few = {name: values[:4] for name, values in units().items()}
    with pytest.raises(Refusal, match="4 rows cannot carry"):
        support.run(block(), few, "iv", "LATE")
    data = units()
    with pytest.raises(Refusal, match="one cluster"):
        support.run(block(cluster="one"), {**data, "one": np.ones(400)}, "iv", "LATE")
    two = {**data, "half": (np.arange(400) % 2).astype(float)}
    with pytest.raises(Refusal, match="singular"):
        support.run(block(method="gmm", cluster="half"), two, "iv", "LATE")
    by = {d.metric: d for d in support.run(block(cluster="half"), two, "iv", "LATE").diagnostics}
    assert by["hansen_j_p"].value is None
