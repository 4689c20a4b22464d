"""Difference in means: by hand, refusals, and what must not change the answer."""

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from support import observational, overall, run, shuffled, simulated

from estimators.errors import Refusal, StudyError


def units(**columns):
    return {"unit_id": list(range(len(columns["y"]))), **columns}


def block(variance="HC2", **more):
    return observational("y", "t", ["x1"], options={"difference_in_means": {"variance": variance}}, **more)


SMALL = units(y=[1.0, 3.0, 4.0, 8.0, 9.0], t=[0.0, 0.0, 1.0, 1.0, 1.0], x1=[0.0, 1.0, 2.0, 3.0, 5.0])


def test_by_hand():
    # Means 2 and 7; variances 2 (of two) and 7 (of three): Neyman's variance is 2/2 + 7/3.
    row = overall(run(block(), SMALL, "difference_in_means", "ATE"))
    se = np.sqrt(2 / 2 + 7 / 3)
    assert row.estimate == pytest.approx(5, abs=1e-12)
    assert row.std_error == pytest.approx(se, rel=1e-12)
    welch = (1 + 7 / 3) ** 2 / (1 + (7 / 3) ** 2 / 2)
    assert row.degrees_of_freedom == pytest.approx(welch, rel=1e-12)
    assert row.p_value == pytest.approx(2 * stats.t.sf(5 / se, welch), rel=1e-10)
    assert row.conf_low == pytest.approx(5 - stats.t.ppf(0.975, welch) * se, rel=1e-10)
    assert (row.n_units, row.n_treated, row.n_clusters, row.variance_estimator) == (5, 3, None, "HC2")


@pytest.mark.parametrize(("variance", "expected"), [
    ("classical", (2 + 14) / 3 * (1 / 2 + 1 / 3)),
    ("HC0", 2 / 4 + 14 / 9),
    ("HC1", (2 / 4 + 14 / 9) * 5 / 3),
])  # fmt: skip
def test_other_variances_by_hand(variance, expected):
    row = overall(run(block(variance), SMALL, "difference_in_means", "ATE"))
    assert row.std_error == pytest.approx(np.sqrt(expected), rel=1e-12)


def test_clusters_by_hand():
    """Sums of residuals a cluster, Liang and Zeger with Stata's factor."""
    data = SMALL | {"g": ["a", "b", "a", "b", "c"]}
    row = overall(run(block("CR1", cluster="g"), data, "difference_in_means", "ATE"))
    x = np.column_stack([np.ones(5), data["t"]])
    residual = np.array(data["y"]) - x @ np.array([2.0, 5.0])
    sums = np.array([(x[i] * residual[i][:, None]).sum(axis=0) for i in ([0, 2], [1, 3], [4])])
    bread = np.linalg.inv(x.T @ x)
    vcov = bread @ sums.T @ sums @ bread * (3 / 2) * (4 / 3)
    assert row.std_error == pytest.approx(np.sqrt(vcov[1, 1]), rel=1e-12)
    assert (row.n_clusters, row.degrees_of_freedom, row.variance_estimator) == (3, 2, "CR1")


def test_weights_are_repeated_rows():
    data = simulated(80)
    weight = (np.arange(80) % 3 + 1).astype(float)
    repeated = {k: np.repeat(v, weight.astype(int)) for k, v in data.items()}
    repeated["unit_id"] = np.arange(len(repeated["y"]))
    weighted = overall(run(block(weight="w"), data | {"w": weight}, "difference_in_means", "ATE"))
    again = overall(run(block(), repeated, "difference_in_means", "ATE"))
    assert weighted.estimate == pytest.approx(again.estimate, rel=1e-12)
    assert weighted.effective_sample_size == pytest.approx(weight.sum() ** 2 / (weight**2).sum())


def test_row_order_and_scale():
    data = pa.table(simulated(100))
    row = overall(run(block(), data, "difference_in_means", "ATE"))
    other = overall(run(block(), shuffled(data), "difference_in_means", "ATE"))
    assert (row.estimate, row.std_error) == (other.estimate, other.std_error)
    scaled = simulated(100) | {"y": simulated(100)["y"] * 1000}
    big = overall(run(block(), scaled, "difference_in_means", "ATE"))
    assert big.estimate == pytest.approx(1000 * row.estimate, rel=1e-12)
    assert big.std_error == pytest.approx(1000 * row.std_error, rel=1e-12)


@pytest.mark.parametrize(("changed", "more", "reason"), [
    ({"t": [0.0, 0.0, 0.0, 0.0, 1.0]}, {}, "1 treated units"),
    ({"t": [0.0, 1.0, 1.0, 1.0, 1.0]}, {}, "1 untreated units"),
    ({"y": [2.0] * 5}, {}, "outcome 'y' is 2 in every row"),
    ({"g": ["a"] * 5}, {"cluster": "g"}, "all rows are in one cluster"),
    ({"w": [1.0, 1, 1, 1, -1]}, {"weight": "w"}, "negative"),
    ({"w": [1.0, 1, 1, 0, 0]}, {"weight": "w"}, "1 treated units"),
])  # fmt: skip
def test_refusals(changed, more, reason):
    with pytest.raises(Refusal, match=reason):
        run(block(**more), SMALL | changed, "difference_in_means", "ATE")


def test_weights_of_zero_alone_are_refused_at_the_entrance():
    """No row is left to estimate from, so the study is refused before any estimator runs."""
    words = "the weight 'w' has negative values or is zero in every row. Sampling weights are positive"
    with pytest.raises(StudyError, match=words):
        run(block(weight="w"), SMALL | {"w": [0.0] * 5}, "difference_in_means", "ATE")
