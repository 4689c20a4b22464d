"""The parts of a streamed discontinuity: neighbours, sums of powers, order statistics, the running variable's facts."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from estimators.discontinuity.neighbours import Cells, Residuals
from estimators.discontinuity.power_sums import Sums, Unidentified, Window, inverse, slopes
from estimators.errors import Refusal
from estimators.scan.stream import Source
from estimators.streamed import order_statistics as orders
from estimators.streamed import running as runs
from estimators.streamed.running import Running


def _source(**columns):
    connection = duckdb.connect()
    connection.register("given", pa.table(columns))
    connection.execute("create table units as select * from given")
    return Source.of(connection, "units")


def _brute(x, y):
    """Row by row as Calonico, Cattaneo & Titiunik have it: at least three neighbours, ties kept whole."""
    out = np.empty(len(x))
    for i in range(len(x)):
        low, high = np.searchsorted(x, x[i], "left"), np.searchsorted(x, x[i], "right")
        while high - low - 1 < min(3, len(x) - 1):
            left = x[i] - x[low - 1] if low > 0 else np.inf
            right = x[high] - x[i] if high < len(x) else np.inf
            near = min(left, right) * (1 + 1e-12)
            low = np.searchsorted(x, x[low - 1], "left") if left <= near else low
            high = np.searchsorted(x, x[high], "right") if right <= near else high
        others = np.delete(y[low:high], i - low)
        out[i] = np.sqrt(len(others) / (len(others) + 1)) * (y[i] - others.mean())
    return out


def _pushed(x, y, cuts):
    residuals, found = Residuals(1), []
    for part in np.split(np.arange(len(x)), cuts):
        if len(part):
            found.append(residuals.push(Cells.of_rows(x[part], y[None, part])))
    found.append(residuals.finish())
    return np.concatenate([f[0] for f in found]), np.concatenate([f[1][0] for f in found])


def test_neighbours_by_hand():
    x, y = np.array([0.0, 1, 3, 10, 11]), np.array([1.0, 2, 4, 8, 16])
    _, squares = _pushed(x, y, [])
    # Of 3, the nearest are 1 and 0 (to the left, 2 and 3 away), then 10.
    expected = 3 / 4 * (4 - (2 + 1 + 8) / 3) ** 2
    assert squares[2] == pytest.approx(expected)
    # Of 1: 0, 3 and then 10.
    assert squares[1] == pytest.approx(3 / 4 * (2 - (1 + 4 + 8) / 3) ** 2)


def test_equally_far_neighbours_enter_together():
    x, y = np.arange(7.0), np.array([0.0, 1, 4, 9, 16, 25, 36])
    _, squares = _pushed(x, y, [])
    assert squares[3] == pytest.approx(4 / 5 * (9 - (1 + 4 + 16 + 25) / 4) ** 2)


@pytest.mark.parametrize("digits", [None, 2, 1, 0])
@pytest.mark.parametrize("cuts", [[], [1, 2, 3, 4, 5], [7, 100, 101, 250], list(range(10, 300, 10))])
def test_neighbours_do_not_depend_on_blocks(digits, cuts):
    rng = np.random.default_rng(2)
    x = np.sort(rng.normal(size=300) * 3)
    x = x if digits is None else np.round(x, digits)
    y = 3 + rng.normal(size=300)
    values, squares = _pushed(x, y, cuts)
    assert np.array_equal(values, np.unique(x))
    own = _brute(x, y) ** 2
    expected = [own[x == v].sum() for v in values]
    np.testing.assert_allclose(squares, expected, rtol=1e-9)


def test_a_value_that_fills_several_blocks_is_one_cell():
    x, y = np.concatenate([np.zeros(5), np.ones(90), [2.0, 3.0]]), np.random.default_rng(0).normal(size=97)
    whole, cut = _pushed(x, y, []), _pushed(x, y, [3, 20, 40, 60, 96])
    np.testing.assert_allclose(cut[1], whole[1], rtol=1e-12)


@pytest.mark.parametrize("cuts", [[], [3]])
def test_rows_in_another_order_are_refused(cuts):
    with pytest.raises(Refusal, match="did not come in the order"):
        _pushed(np.array([1.0, 2, 3, 2.5, 4]), np.ones(5), cuts)


def test_sums_fit_a_polynomial_exactly():
    x = np.linspace(10.0, 12.0, 50)
    y = 3 - 2 * (x - 10) + 0.5 * (x - 10) ** 2
    sums = Sums.zeros(Window(10.0, (4.0,), "epanechnikov"), 1, 0, 4)
    sums.add(x[:20], np.ones(20), y[None, :20], None)
    sums.add(x[20:], np.ones(30), y[None, 20:], None)
    np.testing.assert_allclose(sums.coefficients(2)[:, 0], [3, -8, 8], rtol=1e-10)
    assert (sums.rows, sums.inside.tolist()) == (50, [50])


def test_a_cell_counts_as_its_rows():
    x, y = np.repeat([1.0, 2.0, 3.0], [4, 1, 5]), np.random.default_rng(1).normal(size=(2, 10))
    window = Window(0.0, (4.0, 2.5), "triangular")
    one, other = Sums.zeros(window, 2, 0, 3), Sums.zeros(window, 2, 0, 3)
    one.add(x, np.ones(10), y, None)
    groups = [y[:, x == v] for v in (1.0, 2.0, 3.0)]
    mean = np.array([g.mean(axis=1) for g in groups]).T
    cross = np.array([(g - g.mean(axis=1)[:, None]) @ (g - g.mean(axis=1)[:, None]).T for g in groups])
    other.add(np.array([1.0, 2, 3]), np.array([4.0, 1, 5]), mean, np.moveaxis(cross, 0, 2))
    for name in ("w", "d", "dd", "inside", "rows"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-12, atol=1e-12)
    assert one.inside.tolist() == [10, 5]


def test_too_few_values_are_not_identified():
    sums = Sums.zeros(Window(0.0, (2.0,), "uniform"), 1, 0, 4)
    sums.add(np.array([1.0, 1.5] * 40), np.ones(80), np.ones((1, 80)), None)
    assert np.isfinite(sums.inverse(1)).all()
    with pytest.raises(Unidentified):
        sums.inverse(2)
    with pytest.raises(Unidentified):
        inverse(np.zeros((2, 2)))


def test_a_covariate_that_the_polynomial_explains_has_no_slope():
    rng = np.random.default_rng(3)
    x, z = rng.uniform(0, 1, 500), rng.normal(size=500)
    d = np.array([2 * z + x + 0.1 * rng.normal(size=500), 1 - 4 * x, z])
    sums = Sums.zeros(Window(0.0, (1.0,), "triangular"), 3, 0, 2)
    sums.add(x, np.ones(500), d, None)
    gamma = slopes(sums.partialled(1), sums.dd, 1)[:, 0]
    assert gamma[0] == 0
    assert gamma[1] == pytest.approx(2, abs=0.02)


@pytest.mark.parametrize("at_once", [2**20, 3])
@pytest.mark.parametrize("kind", ["normal", "ties", "heavy", "huge", "constant"])
def test_order_statistics_are_exact(monkeypatch, at_once, kind):
    monkeypatch.setattr(orders, "AT_ONCE", at_once)
    rng = np.random.default_rng(4)
    x = {
        "normal": rng.normal(size=3000), "ties": np.round(rng.normal(size=3000), 1), "heavy": rng.standard_cauchy(3000),
        "huge": rng.uniform(-1, 1, 3000) * 1.7e308, "constant": np.full(3000, 0.1),
    }[kind]  # fmt: skip
    ranks = [0, 1, 749, 750, 1499, 1500, 2998, 2999]
    found = orders.order_statistics(_source(x=x), '"x"::double', ranks, x.min(), x.max())
    assert [found[r] for r in ranks] == [np.sort(x)[r] for r in ranks]


def test_numbers_reach_sql_to_the_last_bit():
    for value in (0.1, -1e-300, 1 / 3, 1.7976931348623157e308, 123456789.12345679):
        assert duckdb.execute(f"select {orders.real(value)}").fetchone()[0] == value


def test_facts_by_hand():
    x = np.array([1.0, 1, 2, 3, 3, 3, 5, 8, 9, 9])
    found = Running.of(_source(x=x), "x", 3.0)
    assert (found.left.rows, found.left.low, found.left.high) == (3, 1.0, 2.0)
    assert (found.right.rows, found.right.low, found.right.high) == (7, 3.0, 9.0)
    assert found.mean == pytest.approx(x.mean())
    assert found.sd == pytest.approx(x.std(ddof=1))
    assert found.values_of_sides() == (2, 4)
    assert found.nearest.values == (2, 4)
    np.testing.assert_array_equal(found.near(0), [[2, 1], [1, 2]])
    np.testing.assert_array_equal(found.near(1), [[3, 5, 8, 9], [3, 1, 1, 2]])
    near = found.within(2.0)
    assert (near.left.rows, near.right.rows) == (3, 4)


@pytest.mark.parametrize("digits", [None, 2, 1])
def test_sorted_and_grouped_rows_say_the_same(monkeypatch, digits):
    rng = np.random.default_rng(5)
    x = rng.normal(size=4000) + 0.3
    source = _source(x=x if digits is None else np.round(x, digits))
    found = []
    for share in (1e9, 1e-9):
        monkeypatch.setattr(runs, "ROWS_A_CELL", share)
        own = Running.of(source, "x", 0.0)
        assert own.discrete == (share < 1)
        found.append((own.spread(), own.near(0)[0].tolist(), own.near(1)[1].tolist(), own.nearest.values))
    assert found[0] == found[1]


def test_quartiles_are_those_of_rdrobust():
    from rdrobust.funs import quantile_type2

    for n in (40, 41, 42, 43):
        x = np.random.default_rng(n).normal(size=n)
        spread = Running.of(_source(x=x), "x", 0.0).spread()
        low, high = quantile_type2(x, [0.25, 0.75])
        assert spread.iqr == high - low
