"""The benchmark's panel: units over periods with staggered treatment and known effects, in one Parquet file."""

from __future__ import annotations

import argparse
from pathlib import Path

import duckdb

from benchmarks.generate import FOLDER, ROW_GROUP

UNIT, TIME, COHORT, OUTCOME, CLUSTER = "id", "period", "cohort", "y", "region"
COVARIATES = ("x1", "x2")
PERIODS, REGIONS = 10, 2_000
# First treated periods, and the share of units in each; 0 is never treated.
COHORTS = {0: 0.4, 4: 0.2, 6: 0.2, 8: 0.2}


def effect(cohort: int, period: int) -> float:
    """ATT(g, t): 1 + (t − g) / 4 + g / 10 from the first treated period on, and 0 before."""
    return 1 + (period - cohort) / 4 + cohort / 10 if 0 < cohort <= period else 0.0


def panel(rows: int, seed: int = 1, folder: Path = FOLDER) -> Path:
    """Path of a balanced panel of rows / 10 units in 10 periods, written on the first call.

    An outcome with unit and period effects, shocks that the units of a region share in a period, a trend that two
    covariates (fixed over time, independent of the cohort) move, and effects of `effect`: parallel trends hold with
    and without the covariates. Rows lie by period, then by unit, as data arrive. Numbers are hashes of unit and
    period, so that neither threads nor order matter.
    """
    path = folder / f"panel_{rows}_{seed}.parquet"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    options = f"(format parquet, compression snappy, row_group_size {ROW_GROUP})"
    with duckdb.connect() as connection:
        connection.execute(f"copy ({_select(rows // PERIODS, seed)}) to '{part}' {options}")
    part.rename(path)
    return path


def _uniform(key: str, stream: int, seed: int) -> str:
    return f"((hash(({key}) * 32 + {stream}, {seed}) >> 11)::double + 0.5) / 9007199254740992.0"


def _normal(key: str, stream: int, seed: int) -> str:
    """Box and Muller's transform of two uniforms of a whole number."""
    radius, angle = _uniform(key, 2 * stream, seed), _uniform(key, 2 * stream + 1, seed)
    return f"sqrt(-2 * ln({radius})) * cos(2 * pi() * {angle})"


def _select(units: int, seed: int) -> str:
    region = f"(hash(i, {seed} + 1) % {REGIONS})::integer"
    shock = _normal(f"region * {PERIODS + 1} + period", 5, seed)
    noise = _normal(f"i * {PERIODS + 1} + period", 6, seed)
    return f"""
        with unit as (select i, {region} as region, {_uniform("i", 0, seed)} as draw, {_normal("i", 1, seed)} as level,
                             {_normal("i", 2, seed)} as x1, {_normal("i", 3, seed)} as x2 from range({units}) as r(i)),
        grouped as (select *, {_cohort()} as cohort from unit),
        long as (select period, grouped.* from range(1, {PERIODS + 1}) as p(period), grouped)
        select i as {UNIT}, period::integer as {TIME}, cohort::integer as {COHORT}, region as {CLUSTER},
               10 + 3 * level + 0.2 * period + (0.05 * x1 - 0.03 * x2) * period + 0.3 * ({shock}) + {noise}
               + case when cohort > 0 and period >= cohort then 1 + (period - cohort) / 4 + cohort / 10 else 0 end
               as {OUTCOME}, x1, x2
        from long order by period, i
    """


def _cohort() -> str:
    """SQL of the cohort by its share of the uniform ``draw``."""
    cases, below = "", 0.0
    for cohort, share in COHORTS.items():
        below += share
        cases += f"when draw < {below:.6f} then {cohort} "
    return f"(case {cases}end)"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    print(panel(**vars(parser.parse_args())))
