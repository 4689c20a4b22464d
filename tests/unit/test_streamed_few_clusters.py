"""Few clusters, few treated units, and units of leverage one: streamed as in memory, and no floor in either."""

import numpy as np
import pyarrow as pa
import pytest
import support
from streamed_support import same

from estimators import build
from estimators.registry import BY_NAME

FAMILY = ("difference_in_means", "regression_adjustment", "tvce")


@pytest.fixture(autouse=True)
def only_the_family(monkeypatch):
    monkeypatch.setattr(build, "ESTIMATORS", tuple(BY_NAME[name] for name in FAMILY))


def block(**more):
    return support.observational("y", "t", ["x", "C(c)"], unit="unit_id", **more)


def units(treated=2, groups=50, each=8, seed=0):
    """Whole clusters are treated; text labels, so that their order is not that of the rows."""
    rng = np.random.default_rng(seed)
    n, g = groups * each, np.repeat(np.arange(groups), each)
    order = rng.permutation(n)
    data = {
        "y": 1e4 + rng.normal(size=groups)[g] + rng.normal(size=n), "t": (g < treated).astype(float),
        "x": rng.normal(size=n), "c": np.where(rng.random(n) < 0.4, "a", "b"), "w": rng.uniform(0.5, 2, n),
        "g": np.array([f"town {7 * k % 50}" for k in g]),
    }  # fmt: skip
    return {"unit_id": np.arange(n), **{name: values[order] for name, values in data.items()}}


@pytest.mark.parametrize("more", [{}, {"weight": "w"}], ids=str)
@pytest.mark.parametrize("estimator", FAMILY)
def test_two_treated_clusters_of_fifty(estimator, more):
    own = {"outcome": {"interactions": "none"}, "folds": 1}
    rows = same(block(cluster="g", options=own, **more), pa.table(units()), estimator)
    assert {row["variance_estimator"] for row in rows} == {"CR2"}
    assert all(row["degrees_of_freedom"] < 6 for row in rows)


@pytest.mark.parametrize(
    "own", [{}, {"variance": "CR2"}, {"variance": "CR1"}, {"variance": "m_estimation_cr1"}], ids=str
)
def test_arms_with_regressions_of_their_own(own):
    data = units(treated=25)
    same(block(cluster="g", options={"regression_adjustment": own}), pa.table(data), "regression_adjustment")


@pytest.mark.parametrize("variance", ["m_estimation_hc2", "HC2", "HC3", "m_estimation"])
@pytest.mark.parametrize("others", [0, 20])
def test_a_category_with_one_treated_unit(variance, others):
    """Right is about 0.14, as without that unit; a floor under 1 − h gave hundreds."""
    rng = np.random.default_rng(others)
    n, x, t = 200, rng.normal(size=200), rng.integers(0, 2, 200).astype(float)
    c = rng.choice(["a", "b", "c"], n).astype(object)
    c[np.flatnonzero(t == 0)[:others]] = "z"
    c[np.flatnonzero(t == 1)[0]] = "z"
    data = {"unit_id": np.arange(n), "y": 1 + 2 * t + x + rng.normal(size=n), "t": t, "x": x, "c": c.astype(str)}
    own = {"regression_adjustment": {"variance": variance}}
    rows = same(block(options=own), pa.table(data), "regression_adjustment", 1e-7)
    assert all(0.1 < row["std_error"] < 0.2 for row in rows if row["estimand"] == "ATE")


@pytest.mark.parametrize("estimator", ["difference_in_means", "regression_adjustment"])
def test_three_treated_units_have_few_degrees_of_freedom_however_many_others_there_are(estimator):
    data = units(groups=300)
    data["t"] = (np.arange(2_400) % 800 == 0).astype(float)
    own = {"outcome": {"interactions": "none"}}
    rows = same(block(options=own), pa.table(data), estimator)
    assert all(row["degrees_of_freedom"] < 4 for row in rows)
