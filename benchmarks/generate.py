"""The benchmark's units: one Parquet file of 24 columns and a fold, the same everywhere for the same rows and seed."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.design import FOLDS, SEED, UNIT, data_folder

FOLDER = data_folder()
ROW_GROUP = 122_880
EFFECT = 2.0


def units(rows: int, seed: int = 1, folder: Path = FOLDER) -> Path:
    """Path of the generated units, written on the first call.

    A binary treatment ``t`` that 14 normal covariates (of means from −1e3 to 1e6), a count, a class of four values and
    a 0/1 covariate confound, three instruments, an unobserved confounder, a constant effect of 2 on ``y``, and
    10,000 clusters. Numbers are hashes of the row's id, so that neither threads nor order matter. ``fold`` is the md5
    fold of `estimators.folds.md5_folds`, computed here once as a study's units model does. DuckDB writes row group
    after row group, so memory does not grow with the rows.
    """
    import duckdb

    path = folder / f"cqox_units_{rows}_{seed}.parquet"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    options = f"(format parquet, compression snappy, row_group_size {ROW_GROUP})"
    with duckdb.connect() as connection:
        connection.execute("set memory_limit = '2GB'")
        connection.execute(f"copy ({_select(rows, seed)}) to '{part}' {options}")
    part.rename(path)
    return path


def _uniform(stream: int, seed: int) -> str:
    return f"((hash(i * 128 + {stream}, {seed}) >> 11)::double + 0.5) / 9007199254740992.0"


def _normal(stream: int, seed: int) -> str:
    """Box and Muller's transform of two uniforms."""
    radius, angle = _uniform(2 * stream, seed), _uniform(2 * stream + 1, seed)
    return f"sqrt(-2 * ln({radius})) * cos(2 * pi() * {angle})"


def _select(rows: int, seed: int) -> str:
    from estimators.scan.columns import fold

    normal = [f"{_normal(j, seed)} as n{j}" for j in range(1, 20)]
    scales = [(0.0, 1.0)] * 11 + [(-1e3, 10.0), (4e4, 1e4), (1e6, 1.0)]
    covariates = [f"{mean} + {scale} * n{j} as x{j}" for j, (mean, scale) in enumerate(scales, start=1)]
    slopes = {1: 0.5, 2: -0.3, 3: 0.2, 12: 0.3, 13: -0.2}
    index = " + ".join(f"{b} * n{j}" for j, b in slopes.items())
    return f"""
        with base as (select i, {", ".join(normal)}, {_uniform(60, seed)} as u, {_uniform(61, seed)} as v,
                             (hash(i, {seed} + 1) % 10000)::integer as cluster from range({rows}) as r(i)),
        covered as (select *, (-4 * ln(u))::integer as x15, (4 * v)::tinyint as x16, (n4 > 0.5)::tinyint as x17,
                           (n15 > 0)::tinyint as z1 from base),
        treated as (select *, ({index} + 0.6 * z1 + 0.3 * n16 + 0.2 * n17 + 0.3 * n18 + 0.2 * x17 - 0.4
                               > ln({_uniform(62, seed)} / (1 - {_uniform(62, seed)})))::tinyint as t from covered),
        final as (select i as {UNIT}, cluster, {EFFECT} * t + 2 * ({index}) + 0.1 * x15 + 0.5 * x16 - x17
                         + 0.5 * n18 + n19 as y, t, z1, n16 as z2, n17 as z3, {", ".join(covariates)}, x15, x16, x17
                  from treated)
        select *, {fold(UNIT, "BIGINT", FOLDS, SEED)}::tinyint as fold from final
    """


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    print(units(**vars(parser.parse_args())))
