"""Looks on the way: the confidence sequence of a difference in means."""

import math

import numpy as np
import pyarrow as pa
import pytest
from support import observational, overall, run, shuffled, simulated

from estimators import estimate
from estimators.errors import Refusal
from estimators.experiments.sequential import LOOKS, confidence_sequence


def drawn(n, effect, rng):
    t = (rng.random(n) < 0.5).astype(float)
    return rng.normal(size=n) + effect * t, t


def block(**more):
    declared = observational("y", "t", ["x1", "x2"], unit="unit_id", **more)
    return {**declared, "options": {"difference_in_means": {"arrival": ["came"]}}}


def data(n=300):
    units = simulated(n)
    return units | {"came": np.random.default_rng(5).permutation(n).astype(float)}


def test_the_last_look_by_hand():
    y, t = drawn(100, 1.0, np.random.default_rng(1))
    last = confidence_sequence(y, t, np.arange(100))[-1]
    s = [y[t == arm].var(ddof=1) / (t == arm).sum() for arm in (0, 1)]
    rho2 = (2 * math.log(20) + math.log(1 + 2 * math.log(20))) / 100
    half = math.sqrt(100 * sum(s)) * math.sqrt(
        2 * (100 * rho2 + 1) / (100**2 * rho2) * math.log(math.sqrt(100 * rho2 + 1) / 0.05)
    )
    assert last.x == 100
    assert last.y == pytest.approx(y[t == 1].mean() - y[t == 0].mean(), rel=1e-12)
    assert (last.conf_low, last.conf_high) == pytest.approx((last.y - half, last.y + half), rel=1e-12)


def test_all_looks_together_keep_their_level_where_peeking_does_not():
    """Without an effect, 400 experiments of 500 units: how many see one at some look."""
    rng, false, peeked = np.random.default_rng(7), 0, 0
    for _ in range(400):
        looks = confidence_sequence(*drawn(500, 0.0, rng), np.arange(500))
        false += any(p.conf_low > 0 or p.conf_high < 0 for p in looks)
        peeked += any(abs(p.y) > 1.96 * 2 / math.sqrt(p.x) for p in looks)
    assert false / 400 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)
    assert peeked / 400 > 0.15


def test_a_clear_effect_is_seen_before_the_end():
    looks = confidence_sequence(*drawn(2_000, 0.5, np.random.default_rng(3)), np.arange(2_000))
    assert len(looks) == LOOKS
    assert next(p.x for p in looks if p.conf_low > 0) < 1_000


def test_rows_come_by_the_declared_column_in_any_order_of_the_table():
    units = data()
    curve = run(block(), units, "difference_in_means", "ATE").curves
    assert run(block(), shuffled(pa.table(units)), "difference_in_means", "ATE").curves == curve
    came = np.argsort(units["came"])
    sorted_before = confidence_sequence(units["y"][came], units["t"][came], np.arange(300))
    assert [(p.x, p.y, p.conf_low) for p in curve] == [
        (p.x, pytest.approx(p.y, rel=1e-12), pytest.approx(p.conf_low, rel=1e-12)) for p in sorted_before
    ]


def test_without_arrival_there_is_no_curve_and_the_estimate_is_the_same():
    units = data()
    plain = run({**block(), "options": {}}, units, "difference_in_means", "ATE")
    assert plain.curves == ()
    assert overall(plain) == overall(run(block(), units, "difference_in_means", "ATE"))


@pytest.mark.parametrize(("more", "said"), [({"weight": "w"}, "weights"), ({"cluster": "g"}, "clusters")])
def test_weights_and_clusters_are_refused(more, said):
    units = data() | {"w": np.linspace(1, 2, 300), "g": np.arange(300) // 3}
    with pytest.raises(Refusal, match=said):
        run(block(**more), units, "difference_in_means", "ATE")


def test_two_columns_and_streams_are_refused():
    units = data()
    two = {**block(), "options": {"difference_in_means": {"arrival": ["came", "x1"]}}}
    with pytest.raises(Refusal, match="2 columns"):
        run(two, units, "difference_in_means", "ATE")
    rows = estimate("s", {**block(), "row_budget": 10}, units).to_pylist()
    naive = next(row for row in rows if row["estimator"] == "difference_in_means")
    assert naive["status"] == "refused"
    assert "hold their rows in memory" in naive["status_reason"]
