"""Units with their weights in the matched contrasts, for the scores table: looked up as the units are read."""

from __future__ import annotations

from ..errors import Refusal
from ..scan.stream import Source
from ..scores import Refusals, weight_column
from .matching_sides import Side, sides
from .problem import Streamed
from .sample import check_arms


def with_matching(problem: Streamed, told: Refusals | None = None) -> tuple[Source, dict[str, str]]:
    """The units joined with what matching found, and SQL of each estimand's weight where it does not refuse.

    Weights are those of `estimators.streamed.psm.matching_weights`, 0 for a unit without a match. Units are joined with
    the tables by their propensity and not by their id: those hold the donors that serve, and DuckDB builds its hash
    table of them. The rows last as long as ``problem.cache``, which holds the tables. ``told`` notes what refuses.

    Parameters
    ----------
    problem : Streamed
        Of the estimator psm.
    """
    found: dict[str, dict[int, Side]] = {}
    for estimand in ("ATE", "ATT"):
        try:
            check_arms(problem)
            found[estimand] = sides(problem, estimand)
        except Refusal as refusal:
            if told is not None:
                told.note(weight_column("psm", estimand), refusal)
    # The targets of one arm are matched alike for both estimands.
    every = {arm: side for own in found.values() for arm, side in own.items()}
    joins = [_join(side, table) for side in every.values() for table in _tables(side)]
    weights = {estimand: _weight(problem, own) for estimand, own in found.items()}
    listed = "".join(f", {sql} as {_name(estimand)}" for estimand, sql in weights.items())
    relation = f"(select cqox_units.*{listed} from ({problem.source.sql('*')}) as cqox_units{''.join(joins)})"
    source = Source(problem.source.connection, relation) if found else problem.source
    return source, {estimand: _name(estimand) for estimand in found}


def _name(estimand: str) -> str:
    return f"cqox_weight_{estimand.lower()}"


def _tables(side: Side) -> tuple[str, ...]:
    return ("used", "missed") if side.sums.missed else ("used",)


def _join(side: Side, table: str) -> str:
    alias = f"cqox_{table}{side.arm}"
    on = " and ".join(f"{alias}.cqox_key{j} = ({sql})" for j, sql in enumerate(side.keys))
    # Targets with one propensity are missed together, each with a row of its own.
    rows = side.scratch.table(table)
    return f" left join {rows if table == 'used' else f'(select distinct * from {rows})'} as {alias} on {on}"


def _weight(problem: Streamed, found: dict[int, Side]) -> str:
    """Of a unit of each arm: 1 if it has a match, and its shares in the other arm's matches; 0 if it has none."""
    arms = {arm: _of_arm(found, arm) for arm in (0, 1)}
    return f"(case when {problem.treated()} = 1 then {arms[1]} else {arms[0]} end)::double"


def _of_arm(found: dict[int, Side], arm: int) -> str:
    share = f"coalesce(cqox_used{1 - arm}.cqox_share, 0)" if 1 - arm in found else "0"
    if arm not in found:
        return share
    if not found[arm].sums.missed:
        return f"1 + {share}"
    return f"case when cqox_missed{arm}.cqox_key0 is null then 1 + {share} else 0 end"
