"""Interactive instrumental variables: the ratio of two doubly robust effects, and when it is told."""

import numpy as np
import pyarrow as pa
import pytest
from support import observational, overall, problem, run, shuffled

from estimators.errors import Refusal
from estimators.instruments.iivm import Ratio, ratio


def block(**more):
    options = {"iivm": more.pop("iivm", {}), **more.pop("options", {})}
    return observational("y", "t", ["x1", "x2"], instruments=["z"], options=options, **more)


def go(data, **more):
    return overall(run(block(**more), data, "iivm", "LATE"))


def compliance(n=1500, seed=3, effect=2.0, compliers=0.5, always=0.2, pull=0.5):
    """z given x; compliers, always- and never-takers; the effect of always-takers is another one."""
    rng = np.random.default_rng(seed)
    x1, x2 = rng.normal(size=n), rng.normal(size=n)
    z = (rng.random(n) < 1 / (1 + np.exp(-pull * x1))).astype(float)
    kind = rng.random(n)
    complies, takes = kind < compliers, kind > 1 - always
    t = np.where(complies, z, takes.astype(float))
    y = 1 + np.where(takes, 5.0, effect) * t + x1 - 0.5 * x2 + 2 * takes + rng.normal(size=n)
    return {"unit_id": np.arange(n), "y": y, "t": t, "z": z, "x1": x1, "x2": x2}


def diagnostic(result, metric, subject):
    (value,) = [d.value for d in result.diagnostics if (d.metric, d.subject) == (metric, subject)]
    return value


def saturated():
    """Two strata: z moves y by 1 and 2, and t by 1/2 and 1, in five and three units of each value."""
    rows = []
    for x, size, effect, share in ((0.0, 4, 1.0, 0.5), (1.0, 2, 2.0, 1.0)):
        for z in (0.0, 1.0):
            for i in range(size):
                moved = z == 1 and i < share * size
                rows.append((x, z, float(moved), effect * z + (-1) ** i))
    x, z, t, y = np.array(rows).T
    return {"unit_id": np.arange(len(x)), "x1": x, "x2": np.zeros(len(x)), "z": z, "t": t, "y": y}


def test_saturated_by_hand():
    # Effects of z: on y (8 · 1 + 4 · 2) / 12, on t (8 · 1/2 + 4 · 1) / 12; nobody takes the treatment without z.
    # A logit of t has no maximum where all of a stratum are treated, so r is given by the mean of its own rows.
    data = saturated()
    p = problem(block(folds=1, iivm={"clip": 0.0}), data, "iivm")
    from estimators.learned import Prediction, Target

    known = np.where(data["x1"] == 1, 1.0, 0.5)
    p.cache["learned", Target("t", ("z", 1.0), True), ("x1", "x2"), "linear", 1, 0] = Prediction(known, "linear", {})
    found = ratio(p, "z", 0)
    assert found.outcome == pytest.approx(16 / 12, rel=1e-9)
    assert found.treatment == pytest.approx(8 / 12, rel=1e-9)
    assert found.effect == pytest.approx(2.0, rel=1e-9)


def test_ratio_by_hand():
    found = Ratio(2.0, 0.5, np.array([[0.04, 0.002], [0.002, 0.0025]]))
    # var = (0.04 - 2 · 4 · 0.002 + 16 · 0.0025) / 0.25
    assert found.std_error == pytest.approx(np.sqrt(0.064 / 0.25), rel=1e-12)
    assert found.strength == pytest.approx(100.0)
    low, high = found.region()
    for end in (low, high):
        spread = 0.04 - 2 * end * 0.002 + end**2 * 0.0025
        assert (2 - end * 0.5) ** 2 / spread == pytest.approx(1.959963984540054**2, rel=1e-9)
    assert Ratio(2.0, 0.05, found.vcov).region() == (None, None)


@pytest.mark.parametrize("learner", ["linear", "boosting"])
def test_compliers_not_all(learner):
    """Least squares without the instrument, and the effect on always-takers, are many standard errors away."""
    result = run(block(iivm={"learner": learner}, repeats=1, folds=2), compliance(3000), "iivm", "LATE")
    row = overall(result)
    assert abs(row.estimate - 2) < 3 * row.std_error
    assert row.std_error < 0.25
    assert diagnostic(result, "compliers", "overall") == pytest.approx(0.5, abs=0.05)
    naive = run(block(), compliance(3000), "ope", "ATE").estimates[0]
    assert abs(naive.estimate - 2) > 8 * naive.std_error


def test_full_compliance_is_ope():
    data = compliance(800, compliers=1.0, always=0.0)
    ours, ate = go(data), overall(run(block(), data, "ope", "ATE"))
    assert ours.estimate == pytest.approx(ate.estimate, rel=1e-9)
    assert ours.std_error == pytest.approx(ate.std_error, rel=1e-9)


def test_one_sided_compliance_is_read_from_the_rows():
    data = compliance(always=0.0)
    asked = go(data, iivm={"always_takers": False})
    assert asked == go(data)
    assert abs(asked.estimate - 2) < 3 * asked.std_error
    with pytest.raises(Refusal, match="so there are always-takers"):
        go(compliance(), iivm={"always_takers": False})
    with pytest.raises(Refusal, match="so there are never-takers"):
        go(compliance(), iivm={"never_takers": False})


def test_row_order_and_scale():
    data = compliance(600)
    row, other = go(data), go(shuffled(pa.table(data)))
    assert (row.estimate, row.std_error) == (other.estimate, other.std_error)
    big = go(data | {"y": 100 * data["y"]})
    np.testing.assert_allclose([big.estimate, big.std_error], [100 * row.estimate, 100 * row.std_error], rtol=1e-9)


def test_weights_are_repeated_rows():
    data = compliance(300)
    weight = (np.arange(300) % 3 + 1).astype(float)
    repeated = {k: np.repeat(v, weight.astype(int)) for k, v in data.items()}
    repeated["unit_id"] = np.arange(len(repeated["y"]))
    weighted = go(data | {"w": weight}, weight="w", folds=1)
    assert weighted.estimate == pytest.approx(go(repeated, folds=1).estimate, rel=1e-8)


def test_clusters():
    data = compliance(400)
    sandwich = {"cluster_variance": "sandwich"}
    alone = go(data | {"g": np.arange(400)}, cluster="g", options=sandwich)
    twice = {k: np.repeat(v, 2) for k, v in data.items()} | {"unit_id": np.arange(800), "g": np.repeat(range(400), 2)}
    both = go(twice, cluster="g", options=sandwich)
    assert alone.std_error == pytest.approx(go(data).std_error, rel=1e-10)
    assert both.std_error == pytest.approx(alone.std_error, rel=1e-7)
    assert (both.n_clusters, both.variance_estimator) == (400, "cluster")


def test_a_weak_instrument_has_an_interval_of_its_own():
    result = run(block(), compliance(400, compliers=0.05, seed=1), "iivm", "LATE")
    row = overall(result)
    assert diagnostic(result, "first_stage_f", "z") < 10
    assert (row.std_error, row.p_value, row.variance_estimator) == (None, None, "anderson_rubin")
    assert "weak instrument" in row.status_reason
    assert row.conf_low == diagnostic(result, "ar_low", "z")


def test_refusals():
    data = compliance(400)
    with pytest.raises(Refusal, match="other values than 0 and 1"):
        go(data | {"z": data["x1"]})
    several = block() | {"instruments": ["z", "x3"]}
    with pytest.raises(Refusal, match="takes one column as instrument"):
        run(several, data | {"x3": data["z"]}, "iivm", "LATE")
    chosen = several | {"options": {"iivm": {"instruments": ["z"]}}}
    assert overall(run(chosen, data | {"x3": data["z"]}, "iivm", "LATE")).estimate == go(data).estimate
    with pytest.raises(Refusal, match="is 0 in 0 rows") as refusal:
        go(data | {"z": np.ones(400)})
    assert refusal.value.status == "not_identified"
    with pytest.raises(Refusal, match="predict the instrument 'z' perfectly") as refusal:
        go(data | {"x2": 2 * data["z"]})
    assert refusal.value.status == "not_identified"
