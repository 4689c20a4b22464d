"""Where arms hardly overlap, rows in memory, streams and engines give the same numbers or the same refusal."""

import numpy as np
import pyarrow as pa
import pytest
import streamed_support
import support

from estimators import estimate
from estimators.errors import Refusal
from estimators.nuisance import fit_binary, likelihood_at, likelihood_slopes
from estimators.registry import BY_NAME
from estimators.scan import logistic

FAMILY = ("ipw", "ope", "stratification", "psm")
OPTIONS = ({}, {"ipw": {"trim": 0.01}, "ope": {"clip": 0.01}}, {"ope": {"clip": 0.0}}, {"folds": 1})
NUMBERS = ("estimate", "std_error", "effective_sample_size", "n_trimmed", "n_units", "n_treated")
KINDS = ("plain", "extreme", "rare", "separated", "quasi")


def world(kind, rng, n, slope):
    """Propensities of slopes 1 to 8: plain, with one far unit, a rare arm, a threshold, or a level of one arm."""
    x1, x2, u = rng.normal(size=n), rng.normal(size=n), rng.logistic(size=n)
    if kind == "extreme":
        x1[0] = rng.choice([8.0, 30.0, 300.0, 1e4])
    t = (u < (-2.0 if kind == "rare" else 0.0) + 0.5 * slope * x1).astype(float)
    if kind == "extreme":
        t[0] = float(rng.integers(0, 2))
    if kind == "separated":
        t = (x1 > 0).astype(float)
    if kind == "quasi":
        x2 = np.where(t == 1, rng.integers(0, 2, n), 0).astype(float)
    y = t + x1 + rng.normal(size=n)
    return {"unit_id": np.arange(n), "y": y, "t": t, "x1": x1, "x2": x2, "w": 10 ** rng.uniform(-3, 6, n)}


def drawn(seed, links=("logit", "probit")):
    """A study and its units."""
    rng = np.random.default_rng(seed)
    options = {**OPTIONS[seed % 4], "propensity": {"link": links[int(rng.integers(0, 2))]}}
    more = {"weight": "w"} if rng.random() < 0.4 else {}
    n, slope = int(rng.choice([50, 100, 200, 500, 2000])), float(rng.uniform(1, 8))
    units = world(KINDS[seed % 5], rng, n, slope)
    return support.observational("y", "t", ["x1", "x2"], unit="unit_id", options=options, **more), units


def rows_of(block, units, budget):
    rows = estimate("s", {**block, "row_budget": budget}, units).to_pylist()
    return {(row["estimator"], row["estimand"], row["term"], row["contrast"]): row for row in rows}


def agree(memory, other, unit):
    """Statuses, reasons and numbers; those of the outcome to 1e-7 of its unit where they are smaller."""
    assert memory.keys() == other.keys()
    for key, row in memory.items():
        assert (row["status"], row["status_reason"]) == (other[key]["status"], other[key]["status_reason"]), key
        for name in NUMBERS:
            a, b = row[name], other[key][name]
            if a is None or b is None:
                assert a is b, (key, name)
            else:
                np.testing.assert_allclose(b, a, rtol=1e-7, atol=1e-7 * unit, err_msg=str((key, name)))


def checked(seed, monkeypatch):
    monkeypatch.setattr("estimators.build.ESTIMATORS", tuple(BY_NAME[name] for name in FAMILY))
    block, units = drawn(seed)
    memory, streamed = (rows_of(block, units, budget) for budget in (10**9, 10))
    agree(memory, streamed, float(np.std(units["y"])))
    return {row["status"] for row in memory.values()}


@pytest.mark.parametrize("seed", range(20))
def test_streams_estimate_or_refuse_as_memory_does(seed, monkeypatch):
    statuses = checked(seed, monkeypatch)
    assert statuses <= {"estimated", "refused", "not_identified"}
    assert KINDS[seed % 5] != "separated" or "estimated" not in statuses


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20, 240))
def test_streams_estimate_or_refuse_as_memory_does_in_more_worlds(seed, monkeypatch):
    checked(seed, monkeypatch)


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4, 11])
def test_engines_estimate_or_refuse_as_memory_does(seed, monkeypatch):
    ibis = pytest.importorskip("ibis", reason="pip install 'cqox[engines]' for other engines")
    monkeypatch.setattr("estimators.build.ESTIMATORS", tuple(BY_NAME[name] for name in FAMILY[:2]))
    block, units = drawn(seed, ("logit", "logit"))
    table = ibis.duckdb.connect().create_table("units", pa.table(units))
    agree(rows_of(block, units, 10**9), rows_of(block, table, 10), float(np.std(units["y"])))


def test_entropy_says_that_it_needs_memory():
    units = world("plain", np.random.default_rng(1), 200, 1.0)
    block = support.observational("y", "t", ["x1"], unit="unit_id", options={"ipw": {"method": "entropy"}})
    for memory, streamed in streamed_support.both(block, units, "ipw"):
        assert streamed["status"] == "refused"
        assert memory["status"] == "estimated" or memory["estimand"] == "ATO"
        assert "entropy balancing holds its rows in memory" in streamed["status_reason"]


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_a_far_unit_on_its_own_side_is_no_separation(link):
    """Its coefficient per standard deviation is in the hundreds, as the standard deviation is the unit's."""
    units = world("extreme", np.random.default_rng(3), 500, 4.0)
    x, t = units["x1"][:, None].copy(), units["t"].copy()
    x[0], t[0] = 1e4, 1.0
    fit = fit_binary(t, x, ("x1",), link)
    without = fit_binary(t[1:], x[1:], ("x1",), link)
    np.testing.assert_allclose(fit.coef, without.coef, rtol=1e-6)
    assert fit.coef[1] * x.std() > 300


def test_slopes_of_a_probit_far_on_the_wrong_side():
    """There −log Φ is η²/2 + log |η| + …, so that its slope is |η| + 1/|η| and its curvature 1 − 1/η²."""
    eta = np.array([-1e2, -1e3, -1.6e4, -1e6])
    slope, curvature = likelihood_slopes(np.ones(4), eta, "probit")
    np.testing.assert_allclose(slope, np.abs(eta) + 1 / np.abs(eta), rtol=1e-7)
    np.testing.assert_allclose(curvature[:3], 1 - 1 / eta[:3] ** 2, rtol=1e-6)
    back = likelihood_slopes(np.zeros(4), -eta, "probit")
    np.testing.assert_array_equal(back, [-slope, curvature])


@pytest.mark.parametrize("link", ["logit", "probit"])
@pytest.mark.parametrize("weights", [None, "w"])
def test_what_converges_solves_the_equations_of_the_likelihood(link, weights):
    units = world("rare", np.random.default_rng(4), 2000, 2.0)
    w = np.ones(2000) if weights is None else units["w"]
    fit = fit_binary(units["t"], units["x1"][:, None], ("x1",), link, w)
    beta = np.array([fit.start, fit.coef[1] * fit.basis.scale[0]])
    at = likelihood_at(beta, units["t"], fit.basis.z, w, link)
    assert np.abs(np.linalg.solve(at.information, at.score)).max() < 1e-9
    assert at.margin < 0


def test_weights_a_billion_apart_separate_nothing():
    """The heavy rows are all on their side; the light ones are mixed, and they are enough."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=400)
    t = (x + rng.logistic(size=400) > 0).astype(float)
    w = np.where((np.abs(x) > 2) & ((x > 0) == (t == 1)), 1e6, 1e-3)
    assert 5 < (w > 1).sum() < 40
    fit = fit_binary(t, x[:, None], ("x",), "logit", w)
    assert 0 < fit.coef[1] < 100


def test_a_converged_fast_fit_is_asked_again_where_it_is_doubted(monkeypatch):
    """Steep but sound: the stream takes the answer of the one rule, not that of its own steps."""
    asked, maximise = [], logistic.maximise
    monkeypatch.setattr(logistic, "maximise", lambda *a: asked.append(1) or maximise(*a))
    monkeypatch.setattr("estimators.build.ESTIMATORS", (BY_NAME["ipw"],))
    rng = np.random.default_rng(6)
    x = rng.normal(size=2000)
    for slope, often in ((1.0, False), (12.0, True)):
        asked.clear()
        t = (rng.logistic(size=2000) < slope * x).astype(float)
        units = {"unit_id": np.arange(2000), "y": t + x, "t": t, "x1": x}
        rows_of(support.observational("y", "t", ["x1"], unit="unit_id"), units, 10)
        assert bool(asked) == often


def test_the_reasons_of_separation_are_the_same_words():
    x = np.random.default_rng(7).normal(size=300)
    with pytest.raises(Refusal, match=r"perfectly \(x1 most\)"):
        fit_binary((x > 0).astype(float), x[:, None], ("x1",))
