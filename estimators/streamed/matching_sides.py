"""The matches of one arm's units in a streamed study: found once, kept as sums and a table of what donors serve."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from ..errors import Refusal
from ..scan import moments_scan
from ..scan.solve import Least, least_squares
from ..scan.stream import Plan, Source, quoted
from ..selection_on_observables.matching import FLAT
from ..selection_on_observables.psm import check_options
from .matching import Rule, Sums, grouped, match
from .matching_greedy import match_greedily
from .matching_tables import Inserts, Ranked, Scratch, rank
from .order_statistics import real
from .problem import Streamed
from .propensity import index_sql, probability_sql, whole_propensity
from .sample import sample


@dataclass(frozen=True)
class Side:
    """The matches of one arm's units.

    Attributes
    ----------
    arm : int
        Of the targets; the donors are the other arm's.
    sums : Sums
        In units of the outcome.
    keys : tuple of str
        SQL of a unit's columns that equal ``cqox_key0``, ``cqox_key1`` of the tables: its propensity, as all units with
        one propensity serve alike; without replacement the columns that tell units apart.
    scratch : Scratch
        With the tables ``used``, of donors that serve, their K as ``cqox_share`` (with replacement their K' too, as
        ``cqox_square``), and ``missed``, of targets without a match.
    """

    arm: int
    sums: Sums
    keys: tuple[str, ...]
    scratch: Scratch

    def joined(self, units: str, kind: str, table: str) -> str:
        """Units with a join to one of the tables (``join``, ``left join``, ``anti join``, …), for use after FROM."""
        on = " and ".join(f"cqox_{table}.cqox_key{j} = ({sql})" for j, sql in enumerate(self.keys))
        return f"(select * from {units} {kind} {self.scratch.table(table)} as cqox_{table} on {on})"


def units_of(problem: Streamed, arm: int) -> str:
    """The units of one arm, for use after FROM."""
    return f"({problem.source.kept(f'{problem.treated()} = {arm}').sql('*')})"


def sides(problem: Streamed, estimand: str) -> dict[int, Side]:
    """The matches of each arm whose units the estimand averages over; key 1 are the treated.

    Raises
    ------
    Refusal
        As `estimators.selection_on_observables.psm.psm`, but for the bias adjustment.
    """
    own = problem.options.own
    check_options(own["neighbours"], own["caliper"], own["tie_tolerance"])
    if estimand == "ATE" and not own["replace"]:
        raise Refusal("the ATE needs matching with replacement: each arm serves the other", "Set `replace: true`")
    whole_propensity(problem)
    found = {}
    for arm in (1,) if estimand == "ATT" else (1, 0):
        donors = sample(problem).used[1 - arm]
        if donors < own["neighbours"]:
            raise Refusal(f"{own['neighbours']} neighbours are asked of {donors} units", "Ask for fewer `neighbours`")
        found[arm] = _side(problem, arm)
        matched, missed = int(found[arm].sums.n), int(found[arm].sums.missed)
        if matched < 2:
            raise Refusal(
                f"only {matched} of {matched + missed} units with treatment {arm} find a match",
                "Widen the caliper or choose comparable units",
            )
    return found


def adjusted(problem: Streamed, side: Side) -> Sums:
    """The sums with the outcome less its prediction from the donors, each counted as often as it serves.

    Raises
    ------
    Refusal
        If the regression cannot be fitted.
    """
    key = (*_run(problem), "adjusted", side.arm)
    if key not in problem.cache:
        outcome = _residual(problem, _donors_fit(problem, side))
        ranked = _rank(problem, outcome)
        problem.cache[key] = _matched(problem, ranked, side.arm, Scratch(problem.source.connection))
    return problem.cache[key]


def model_key(problem: Streamed) -> tuple[Hashable, ...]:
    """What the propensities depend on, to keep by."""
    return ("matching", problem.options.propensity, problem.n_folds)


def _run(problem: Streamed) -> tuple[Hashable, ...]:
    own = problem.options.own
    return (*model_key(problem), *(own[name] for name in ("neighbours", "caliper", "tie_tolerance", "replace")))


def _side(problem: Streamed, arm: int) -> Side:
    key = (*_run(problem), arm)
    if key not in problem.cache:
        scratch = Scratch(problem.source.connection)
        sums = _matched(problem, ranked_units(problem), arm, scratch)
        problem.cache[key] = Side(arm, sums, _keys(problem) or (propensity_of(problem),), scratch)
    if not problem.own("replace") or (*_run(problem), 1 - arm) in problem.cache:
        problem.cache.pop(_ranked_key(problem), None)  # both arms are matched: nothing asks for the sorted units again
    return problem.cache[key]


def ranked_units(problem: Streamed) -> Ranked:
    """All units sorted by arm and propensity; sorted again where both arms were matched before."""
    key = _ranked_key(problem)
    if key not in problem.cache:
        problem.cache[key] = _rank(problem, outcome_of(problem))
    return problem.cache[key]


def _ranked_key(problem: Streamed) -> tuple[Hashable, ...]:
    return (*model_key(problem), "ranked", problem.own("replace"))


def _keys(problem: Streamed) -> tuple[str, ...]:
    """What tells rows apart without replacement, in the order of the rows in memory; nothing with replacement."""
    if problem.own("replace"):
        return ()
    names = [name for name in (problem.study.unit, problem.study.time) if name]
    # An ENUM has an order of its own.
    return tuple(quoted(name) + ("::varchar" if problem.types[name].startswith("ENUM") else "") for name in names)


def propensity_of(problem: Streamed) -> str:
    """SQL of the propensity that the tables hold."""
    return probability_sql(problem, whole_propensity(problem))


def outcome_of(problem: Streamed) -> str:
    """SQL of the outcome."""
    return problem.columns((problem.study.outcome,))[0].sql


def _rank(problem: Streamed, outcome: str) -> Ranked:
    return rank(problem.source, propensity_of(problem), outcome, problem.treated(), _keys(problem))


def spread_of(ranked: Ranked) -> float:
    """The standard deviation that scores are measured in; 0 where the propensity is flat."""
    return ranked.spread if ranked.spread > FLAT else 0.0


def _matched(problem: Streamed, ranked: Ranked, arm: int, into: Scratch) -> Sums:
    """Match the units of one arm; the tables go into a scratch database."""
    own = problem.options.own
    rule = Rule(own["neighbours"], own["caliper"], own["tie_tolerance"], spread_of(ranked))
    if not own["replace"]:
        return match_greedily(ranked, len(_keys(problem)), rule, into).scaled(ranked.scale)
    into.make("used", "select 0::double as cqox_key0, 0::double as cqox_share, 0::double as cqox_square limit 0")
    into.make("missed", "select 0::double as cqox_key0 limit 0")
    sums = Sums()
    targets, donors = (grouped(ranked.ascending(a)) for a in (arm, 1 - arm))
    with Inserts(into, "missed") as missed:
        into.add("used", match(targets, donors, rule, 2.0 * arm - 1.0, sums, missed.put))
    return sums.scaled(ranked.scale)


def _donors_fit(problem: Streamed, side: Side) -> Least:
    columns = problem.columns((*problem.options.propensity.covariates, problem.study.outcome))
    donors = side.joined(units_of(problem, 1 - side.arm), "join", "used")
    found = moments_scan.scan(Source(problem.source.connection, donors), Plan(columns, weight="cqox_share"))
    try:
        return least_squares(found.moments, problem.study.outcome, [column.name for column in columns[:-1]])
    except ValueError as few:
        raise Refusal(f"the bias adjustment cannot be fitted: {few}", "Use fewer covariates or neighbours") from None


def _residual(problem: Streamed, fit: Least) -> str:
    """SQL of the outcome less its prediction, taken in standardised columns, which keep their digits."""
    terms = (*problem.options.propensity.covariates, problem.study.outcome)
    shift, scale = fit.moments.shift, fit.moments.scale
    z = [f"(({c.sql})::double - {real(shift[j])}) / {real(scale[j])}" for j, c in enumerate(problem.columns(terms))]
    return f"({real(scale[-1])} * {index_sql(fit.form(), z)})"
