"""What estimating the propensity does to a streamed matching estimator's variance: more passes of sorted arms."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import numpy as np

from ..scan.frame import Frame
from ..scan.stream import Column, Plan, Source, blocks
from ..selection_on_observables.estimated_score import NEIGHBOURS, Tilt, odds, slopes
from .matching import Groups, Meet, Rule, give, grouped, matches, passing
from .matching_sides import Side, model_key, outcome_of, propensity_of, ranked_units, spread_of, units_of
from .matching_tables import Inserts, Ranked, Scratch
from .problem import Streamed
from .propensity import whole_propensity
from .sample import sample

# What the donors collect: A and B of Σ z (A y + B), for the covariances of their arm and for the gap; the variance.
SUMS = 5


@dataclass(frozen=True)
class Near:
    """The tilt, of the outcome in its standard deviations, and tables ``near0``, ``near1`` of each arm's variances.

    A row of ``near`` is a propensity e, its units n and the variance of the outcome in units of ``scale``.
    """

    tilt: Tilt
    scale: float
    scratch: Scratch

    def spread(self, found: dict[int, Side]) -> float:
        """Σ σ² (K² + 2 m K − K') of the donors that serve, all of them matched themselves where their arm is."""
        total = 0.0
        for arm, side in found.items():
            term = "cqox_share ** 2 - cqox_square" + (" + 2 * cqox_share" if 1 - arm in found else "")
            near, used = self.scratch.table(f"near{1 - arm}"), side.scratch.table("used")
            sql = f"select sum(n * variance * ({term})), count(*) from {used} join {near} on e = cqox_key0"
            own, groups = self.scratch.one(sql)
            (served,) = self.scratch.one(f"select count(*) from {used}")
            if groups != served:
                raise RuntimeError("matched units are not found again: the units change from one reading to the next")
            total += own
        return total


def near(problem: Streamed) -> Near:
    """Conditional variances and covariances from the two nearest units of each arm, as `neighbourhood` has them.

    Four passes of sorted arms find whose neighbour each unit is, and leave two pairs of numbers a propensity in a
    scratch table; one scan of the units joined with it gives every sum with a covariate. Found once a study.

    Parameters
    ----------
    problem : Streamed
        With a propensity model of all rows, and two units in each arm.

    Raises
    ------
    Refusal
        If more than `matching.MOST_IN_REACH` distinct propensities lie in reach of one unit.
    RuntimeError
        If the units change from one reading to the next.
    """
    key: tuple[Hashable, ...] = (*model_key(problem), "near")
    if key not in problem.cache:
        ranked, link = ranked_units(problem), whole_propensity(problem).link
        scratch = Scratch(problem.source.connection)
        for arm in (0, 1):
            scratch.make(f"near{arm}", _empty("e", "n", "variance"))
            scratch.make(f"terms{arm}", _empty("e", "a", "b", "c", "d"))
        for arm in (0, 1):
            _own(ranked, arm, link, scratch)
            _other(ranked, arm, link, scratch)
        problem.cache[key] = Near(_tilt(problem, ranked, scratch), ranked.scale, scratch)
        for arm in (0, 1):
            scratch.drop(f"terms{arm}")
    return problem.cache[key]


def _empty(*names: str) -> str:
    return f"select {', '.join(f'0::double as {name}' for name in names)} limit 0"


def _own(ranked: Ranked, arm: int, link: str, into: Scratch) -> None:
    """An arm's units among their own: variances, covariances, and the mean of their arm around them."""
    sign = 2.0 * arm - 1.0

    def meet(rows: np.ndarray, low: np.ndarray, high: np.ndarray, own: Groups) -> None:
        count, mean, spread = matches(rows, low, high)
        give(rows, low, high, _shares(own, count, mean, arm, link))
        place, f = np.searchsorted(rows[1], own.e), slopes(own.e, link)[0]
        # The arm's mean without the unit itself, ȳ + (ȳ − y) / (J − 1), times f and z.
        rows[7, place] -= sign * f / (count - 1)
        rows[8, place] += sign * f * mean * count / (count - 1)
        rows[9, place] = spread * count / (count - 1)

    with Inserts(into, f"terms{arm}") as terms, Inserts(into, f"near{arm}") as variances:
        for gone in _pass(ranked, arm, arm, meet):
            terms.put(gone[1], *gone[5:9])
            variances.put(gone[1], gone[2], gone[9])


def _other(ranked: Ranked, arm: int, link: str, into: Scratch) -> None:
    """The other arm's units among an arm's: covariances of the arm, and its mean around units of the other."""
    sign = 2.0 * arm - 1.0
    with Inserts(into, f"terms{1 - arm}") as theirs, Inserts(into, f"terms{arm}") as terms:

        def meet(rows: np.ndarray, low: np.ndarray, high: np.ndarray, own: Groups) -> None:
            count, mean, _ = matches(rows, low, high)
            give(rows, low, high, _shares(own, count, mean, arm, link))
            nothing = np.zeros(len(own.e))
            theirs.put(own.e, nothing, nothing, nothing, sign * slopes(own.e, link)[0] * mean)

        for gone in _pass(ranked, 1 - arm, arm, meet):
            busy = gone[:, gone[5] != 0]
            terms.put(busy[1], *busy[5:9])


def _shares(own: Groups, count: np.ndarray, mean: np.ndarray, arm: int, link: str) -> tuple[np.ndarray, ...]:
    """What the neighbours of each group collect: A and B for Σ f / P(arm) cov, and for ± Σ f cov."""
    f = slopes(own.e, link)[0]
    within = own.n * f / odds(own.e, arm) / (count - 1)
    gap = own.n * f * (2.0 * arm - 1.0) / (count - 1)
    return within, -within * mean, gap, -gap * mean


def _pass(ranked: Ranked, targets: int, donors: int, meet: Meet) -> Iterator[np.ndarray]:
    rule = Rule(NEIGHBOURS, None, 0.0, spread_of(ranked))
    return passing(grouped(ranked.ascending(targets)), grouped(ranked.ascending(donors)), rule, meet, _nobody, SUMS)


def _nobody(lost: Groups) -> None:
    """Without a caliper nobody is left without a neighbour."""
    raise AssertionError(f"{len(lost.e)} propensities have no neighbour")


def _tilt(problem: Streamed, ranked: Ranked, scratch: Scratch) -> Tilt:
    """Every sum with z, in one scan an arm of its units joined with the terms of their propensity."""
    model = whole_propensity(problem)
    named = {column.name: column for column in problem.columns(problem.options.propensity.covariates)}
    columns = [named[name] for name in model.names[1:]]
    e = Column("e", propensity_of(problem))
    extra = (Column("y", outcome_of(problem)), e, *(Column(name, f"cqox_{name}") for name in "abcd"))
    plan = Plan((*columns, *extra))
    frame = Frame.of(model.shift, model.scale, plan.rows())
    k = len(columns) + 1
    within, gap, slope, information = np.zeros((2, k)), np.zeros(k), np.zeros(k), np.zeros((k, k))
    for arm in (0, 1):
        sums = ", ".join(f"sum({name}) as cqox_{name}" for name in "abcd")
        terms = f"(select e as cqox_e, {sums} from {scratch.table(f'terms{arm}')} group by e)"
        rows = f"(select * from {units_of(problem, arm)} join {terms} as cqox_terms on cqox_e = ({e.sql}))"
        seen = 0
        for block in blocks(Source(problem.source.connection, rows), plan):
            y, p, a, b, c, d = (block.columns.pop(k - 1) for _ in range(6))
            z, y = frame.fill(block), (y - ranked.shift) / ranked.scale
            f, curvature = slopes(p, model.link)
            within[arm] += z @ (a * y + b)
            gap += z @ (c * y + d)
            slope += z @ f
            information += (z * curvature) @ z.T
            seen += len(y)
        if seen != sample(problem).used[arm]:
            raise RuntimeError("matched units are not found again: the units change from one reading to the next")
    return Tilt(within[1], within[0], gap, slope, information)
