"""The streamed search for neighbours: by hand, against the search in memory, and whatever the blocks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from estimators.errors import Refusal
from estimators.selection_on_observables.matching import with_replacement, without_replacement
from estimators.streamed import matching
from estimators.streamed.matching import Rule, Sums, grouped, match
from estimators.streamed.matching_greedy import greedy
from estimators.streamed.psm import contrast_of


def blocks(e: np.ndarray, y: np.ndarray, rows: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    order = rows[np.argsort(e[rows], kind="stable")]
    for start in range(0, len(order), size):
        part = order[start : start + size]
        yield e[part], y[part]


def streamed(
    e: np.ndarray, y: np.ndarray, sides: tuple[np.ndarray, np.ndarray], rule: Rule, size: int, sign: float = 1.0
) -> tuple[Sums, dict[float, float], list[float]]:
    sums, lost, used = Sums(), [], {}
    targets, donors = (grouped(blocks(e, y, rows, size)) for rows in sides)
    for at, share, _ in match(targets, donors, rule, sign, sums, lambda part: lost.extend(part.tolist())):
        assert not used.keys() & set(at.tolist())
        used |= dict(zip(at.tolist(), share.tolist(), strict=True))
    return sums, used, lost


def test_a_tie_is_shared_by_hand() -> None:
    e = np.array([0.2, 0.6, 0.1, 0.3, 0.7])
    y = np.array([10.0, 20.0, 4.0, 8.0, 15.0])
    sums, used, lost = streamed(e, y, (np.array([0, 1]), np.array([2, 3, 4])), Rule(1, None, 0.0, 1.0), 2)
    # 0.2 is as far from 0.1 as from 0.3: 10 − 6 = 4, the matches' variance 4; 20 − 15 = 5, variance 0
    assert used == {0.1: 0.5, 0.3: 0.5, 0.7: 1.0}
    assert lost == []
    assert (sums.n, sums.mean, sums.square, sums.spread) == pytest.approx((2, 4.5, 0.5, 4.0))
    assert (sums.used, sums.shares, sums.squares, sums.largest) == pytest.approx((3, 1.5, 1.5, 1.0))
    sigma2 = 0.5 * np.mean([0.25 + 4.0, 0.25])
    got = contrast_of([sums])
    assert (got.effect, got.std_error) == pytest.approx((4.5, np.sqrt(0.5 + sigma2 * 0.0) / 2))


def test_units_that_share_a_propensity_are_one_group_whatever_the_blocks() -> None:
    e = np.array([0.1, 0.2, 0.2, 0.2, 0.2, 0.3])
    y = np.array([1.0, 2.0, 4.0, 6.0, 8.0, 5.0])
    for size in (1, 2, 3, 6):
        found = list(grouped(blocks(e, y, np.arange(6), size)))
        whole = [np.concatenate([getattr(g, name) for g in found]) for name in ("e", "n", "mean", "square")]
        np.testing.assert_allclose(whole, [[0.1, 0.2, 0.3], [1, 4, 1], [1, 5, 5], [0, 20, 0]])


def scores(kind: str, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    e = rng.random(n)
    share = {"sparse": np.full(n, 0.03), "apart": 1 / (1 + np.exp(-14 * (e - 0.5)))}.get(kind, np.full(n, 0.4))
    e = {"grid": np.round(e, 2), "few": np.round(e, 1), "skewed": e**6}.get(kind, e)
    return e, rng.random(n) < share, rng.normal(size=n) + 3 * e


@pytest.mark.parametrize("kind", ["plain", "grid", "few", "skewed", "sparse", "apart"])
@pytest.mark.parametrize("caliper", [None, 0.01, 0.3])
@pytest.mark.parametrize(("neighbours", "tie"), [(1, 0.0), (3, 0.0), (1, 1e-3), (2, 0.2)])
def test_the_stream_finds_what_memory_finds(kind: str, caliper: float | None, neighbours: int, tie: float) -> None:
    e, treated, y = scores(kind, 600)
    spread = e.std(ddof=1)
    arms = np.flatnonzero(treated), np.flatnonzero(~treated)
    for sign, (targets, donors) in ((1.0, arms), (-1.0, arms[::-1])):
        want = with_replacement(e / spread, targets, donors, neighbours, caliper, tie)
        sums, used, lost = streamed(e, y, (targets, donors), Rule(neighbours, caliper, tie, spread), 37, sign)
        shares, squares = want.used(600), want.used(600, 2)
        np.testing.assert_allclose([used.get(at, 0.0) for at in e[donors]], shares[donors], rtol=1e-11, atol=1e-13)
        assert sorted(set(lost)) == sorted(set(e[np.setdiff1d(targets, want.target)]))
        centre = want.mean(y)
        each = sign * (y[want.target] - centre)
        spreads = np.maximum(want.mean(y**2) - centre**2, 0).sum()
        assert (sums.n, sums.missed, sums.used) == (len(want.target), want.unmatched, (shares > 0).sum())
        assert sums.mean == pytest.approx(each.mean(), rel=1e-11, abs=1e-12)
        assert sums.square == pytest.approx(((each - each.mean()) ** 2).sum(), rel=1e-11)
        assert sums.spread == pytest.approx(spreads, rel=1e-11, abs=1e-10)
        assert (sums.shares, sums.squares) == pytest.approx(((shares**2).sum(), squares.sum()), rel=1e-11)
        assert sums.largest == pytest.approx(shares.max(), rel=1e-11)


def test_the_size_of_blocks_changes_nothing() -> None:
    e, treated, y = scores("grid", 500)
    sides, rule = (np.flatnonzero(treated), np.flatnonzero(~treated)), Rule(2, 0.05, 1e-4, e.std(ddof=1))
    one, *others = [streamed(e, y, sides, rule, size) for size in (500, 1, 7, 64)]
    for sums, used, lost in others:
        assert vars(sums) == pytest.approx(vars(one[0]), rel=1e-12)
        assert used == pytest.approx(one[1], rel=1e-12)
        assert lost == one[2]


def test_a_flat_propensity_makes_everybody_tie() -> None:
    e = 0.5 + 1e-17 * np.arange(6)
    y = np.arange(6.0)
    sums, used, _ = streamed(e, y, (np.array([0, 1]), np.arange(2, 6)), Rule(1, None, 0.0, 0.0), 2)
    assert sums.mean == pytest.approx(0.5 - 3.5)
    assert sum(used.values()) * 4 / len(used) == pytest.approx(2.0)  # each of 4 donors serves both targets with 1/4


def test_rows_out_of_order_are_refused() -> None:
    up, down = np.array([0.1, 0.2]), np.array([0.2, 0.1])
    for rows in ([(down, up)], [(up, up), (down - 0.15, up)]):
        with pytest.raises(Refusal, match="preserve_insertion_order"):
            list(grouped(iter(rows)))


def test_more_donors_in_reach_than_memory_is_meant_for_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "MOST_IN_REACH", 50)
    e, treated, y = scores("plain", 400)
    sides = (np.flatnonzero(treated), np.flatnonzero(~treated))
    with pytest.raises(Refusal, match="smaller tie_tolerance"):
        streamed(e, y, sides, Rule(1, None, 100.0, e.std(ddof=1)), 16)
    assert streamed(e, y, sides, Rule(1, None, 0.0, e.std(ddof=1)), 16)[0].n == treated.sum()


def test_donors_are_let_go_as_targets_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    e, _, y = scores("plain", 20_000)
    sizes: list[int] = []
    pull = matching.Donors.pull

    def measured(held: matching.Donors) -> None:
        pull(held)
        sizes.append(held.rows.shape[1])

    monkeypatch.setattr(matching.Donors, "pull", measured)
    sides = (np.arange(0, 20_000, 2), np.arange(1, 20_000, 2))
    streamed(e, y, sides, Rule(1, None, 0.0, e.std(ddof=1)), 100)
    assert len(sizes) > 90
    assert max(sizes) <= 300


def pieces(score: np.ndarray, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(rows), 11):
        yield score[rows[start : start + 11]], rows[start : start + 11]


def rounds(score: np.ndarray, treated: np.ndarray, neighbours: int, limit: float) -> dict[int, list[int]]:
    """Matches of the greedy stream, with blocks of 11 rows."""
    taken: dict[int, list[int]] = {}
    free = np.flatnonzero(~treated)
    targets = np.flatnonzero(treated)
    targets = targets[np.argsort(-score[targets], kind="stable")]
    for _ in range(neighbours):
        below = free[np.argsort(score[free], kind="stable")][::-1]
        for by, donors in greedy(pieces(score, targets), pieces(score, below), limit):
            for i, j in zip(by.tolist(), donors.tolist(), strict=True):
                taken.setdefault(i, []).append(j)
        free = np.setdiff1d(free, [j for donors in taken.values() for j in donors])
    return taken


@pytest.mark.parametrize(("neighbours", "caliper"), [(1, None), (3, None), (1, 0.02), (2, 0.1)])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("decimals", [1, 6])
def test_greedy_rounds_are_those_in_memory(neighbours: int, caliper: float | None, share: float, decimals: int) -> None:
    rng = np.random.default_rng(6)
    score, treated = np.round(rng.normal(size=300), decimals), rng.random(300) < share
    want = without_replacement(score, np.flatnonzero(treated), np.flatnonzero(~treated), neighbours, caliper)
    expected = {int(i): want.order[a:b].tolist() for i, a, b in zip(want.target, want.low, want.high, strict=True)}
    steps = np.round(score / matching.SAME)
    limit = 1e300 if caliper is None else caliper / matching.SAME + 1
    assert rounds(steps, treated, neighbours, limit) == expected


def test_both_arms_add_up_by_hand() -> None:
    # Two treated with differences 1 and 3, two controls with 2 and 2; every donor serves once (K = K' = 1).
    treated = Sums(n=2, mean=2.0, square=2.0, shares=2.0, squares=2.0)
    control = Sums(n=2, mean=2.0, square=0.0, shares=2.0, squares=2.0)
    got = contrast_of([treated, control])
    sigma2 = 0.5 * 2.0 / 4
    assert got.effect == pytest.approx(2.0)
    assert got.std_error == pytest.approx(np.sqrt(2.0 + sigma2 * 2 * 4) / 4)
