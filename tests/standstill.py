"""Every stream into and out of DuckDB, over and over, under a watchdog: `python tests/standstill.py 10000 2`.

A round that stands still for `PATIENCE` seconds ends the process with the stacks of all threads. With the word dbt,
`python tests/standstill.py 20 2 dbt`, a round is a build of a project of streamed, clustered studies by dbt. CQOX_TRIED
names another folder whose `estimators` are tried: those of a commit with the fault soon stand still.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, os.environ.get("CQOX_TRIED", str(ROOT)))

import duckdb  # noqa: E402
import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402

from estimators.scan import moments_scan, writer  # noqa: E402
from estimators.scan.clusters import squares  # noqa: E402
from estimators.scan.stream import Column, Incomplete, Plan, Source, blocks  # noqa: E402
from estimators.streamed.matching_tables import Inserts, Scratch  # noqa: E402
from estimators.streamed.order_statistics import order_statistics  # noqa: E402

PATIENCE = 60
ROWS = 8192
RNG = np.random.default_rng(0)
KEYS, NUMBERS = RNG.integers(0, 60, ROWS), RNG.normal(size=(3, ROWS))
SCORES = {"unit_id": np.arange(ROWS), "score": NUMBERS[0], "in_support": NUMBERS[1] > 0}
SCHEMA = pa.schema([("unit_id", pa.int64()), ("score", pa.float64()), ("in_support", pa.bool_())])
PLAN = Plan((Column("x", "x"), Column("y", "y")), cluster="k")


def connected(threads: int) -> duckdb.DuckDBPyConnection:
    """A connection with a table of units; ``y`` is NULL in the last row of ``gap``."""
    connection = duckdb.connect(config={"threads": threads})
    columns = "i, hash(i) / 1e19 as x, hash(i + 1) / 1e19 as y, (hash(i) % 97)::bigint as k"
    connection.execute(f"create table units as select {columns} from range(34000) t(i)")
    connection.execute("create table gap as select * replace (case when i < 33999 then y end as y) from units")
    return connection


def clusters(connection: Any) -> None:
    """Sums a cluster of numbers in Python's hands."""
    found, _ = squares(connection, ((KEYS, NUMBERS) for _ in range(4)))
    assert found == 60


def clusters_of_blocks(connection: Any) -> None:
    """The same of numbers computed from blocks, that the same database streams."""
    found, _ = squares(connection, _parts(connection, "units"), products=True)
    assert found == 97


def clusters_that_fail(connection: Any) -> None:
    """The same where a part raises, after the first blocks were read."""
    with contextlib.suppress(Incomplete):
        squares(connection, _parts(connection, "gap"))
        raise AssertionError("nothing was raised")


def scores(connection: Any) -> None:
    """A table made of a stream, as dbt makes one of a scores model."""
    handed = writer.stream(SCHEMA, (dict(SCORES) for _ in range(16)))  # noqa: F841
    relation = connection.sql("select * from handed")
    connection.register("scores_of_model", relation)
    connection.execute("create or replace table scores as select * from scores_of_model")
    connection.unregister("scores_of_model")
    assert connection.sql("select count(*) from scores").fetchall() == [(16 * ROWS,)]


def scores_that_fail(connection: Any) -> None:
    """The same where a block raises."""

    def failing() -> Iterator[dict[str, Any]]:
        yield from (dict(SCORES) for _ in range(16))
        raise Incomplete

    handed = writer.stream(SCHEMA, failing())  # noqa: F841
    with contextlib.suppress(duckdb.Error):
        connection.execute("create or replace table scores as select * from handed")
        raise AssertionError("nothing was raised")


def scores_in_part(connection: Any) -> None:
    """The first rows of a stream only."""
    handed = writer.stream(SCHEMA, (dict(SCORES) for _ in range(40)))  # noqa: F841
    assert len(connection.sql("select * from handed limit 5").fetchall()) == 5


def scores_of_nobody(connection: Any) -> None:
    """A stream that nobody reads, and one that a query was written for, which nobody ran."""
    writer.stream(SCHEMA, (dict(SCORES) for _ in range(40)))
    handed = writer.stream(SCHEMA, (dict(SCORES) for _ in range(40)))  # noqa: F841
    connection.sql("select * from handed")


def abandoned(connection: Any) -> None:
    """Blocks of which the reader takes one: it stops, it raises, it lets the stream lie."""
    for _ in blocks(Source(connection, "units"), PLAN):
        break
    with contextlib.suppress(ZeroDivisionError):
        for _ in blocks(Source(connection, "units"), PLAN, "x"):
            raise ZeroDivisionError
    next(blocks(Source(connection, "units"), PLAN))


def scans(connection: Any) -> None:
    """Moments of rows with gaps, where the first stream is given up, and order statistics."""
    assert moments_scan.scan(Source(connection, "gap"), PLAN).dropped == 1
    order_statistics(Source(connection, "units", "i < 4000"), "x", [10, 3_000], 0.0, 1.8446744073709552)


def inserts(connection: Any) -> None:
    """Matches put into a scratch table while blocks are read."""
    scratch = Scratch(connection)
    scratch.make("used", "select 0::double as e, 0::double as y limit 0")
    with Inserts(scratch, "used") as into:
        for block in blocks(Source(connection, "units"), PLAN):
            into.put(*(column.copy() for column in block.columns))
            into.flush()
    assert scratch.one(f"select count(*) from {scratch.table('used')}") == (34_000,)


def forgotten(connection: Any) -> None:
    """A stream in a circle of references, which the garbage collector finds wherever it happens to run."""
    circle: list[Any] = [blocks(Source(connection, "units"), PLAN)]
    circle.append(circle)
    next(circle[0])


def _parts(connection: Any, relation: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for block in blocks(Source(connection, relation), PLAN):
        assert block.cluster is not None
        yield block.cluster, np.array(block.columns)


STREAMS: tuple[Callable[[Any], None], ...] = (
    clusters, clusters_of_blocks, clusters_that_fail, scores, scores_that_fail, scores_in_part, scores_of_nobody,
    abandoned, scans, inserts, forgotten,
)  # fmt: skip


def rounds(number: int, threads: int, streams: tuple[Callable[[Any], None], ...] = STREAMS) -> None:
    """Every stream, so many times, on one connection."""
    connection = connected(threads)
    for _ in range(number):
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        for stream in streams:
            stream(connection)
        faulthandler.cancel_dump_traceback_later()


MODEL = """
def model(dbt, session):
    dbt.config(materialized="table")
    from estimators import {call}
    units = dbt.ref("{study}_units")
    block = {block!r}
    return {call}("{study}", block, units{scores}, session=session)
"""


def project(folder: Path, studies: int = 4, threads: int = 2) -> Path:
    """A dbt project of streamed studies with clusters: units, scores and effects of each."""
    block = {
        "question": "?", "design": "observational", "outcome": "y", "treatment": "t", "covariates": ["x"],
        "unit": "unit_id", "cluster": "g", "row_budget": 10,
        "decision": {"primary": "regression_adjustment", "estimand": "ATE", "desired_direction": "more",
                     "minimum_effect": 0.1},
    }  # fmt: skip
    units = """
        select i as unit_id, x, t, x + t + (hash(i + 7) % 1000) / 1000.0 as y, i % 60 as g
        from (select i, (hash(i) % 1000) / 1000.0 as x, (hash(i + 3) % 1000 < 300 + hash(i) % 400)::int as t
              from range(8192) r(i))
    """
    (folder / "models").mkdir()
    (folder / "tests").mkdir()
    (folder / "dbt_project.yml").write_text("name: still\nversion: 1.0.0\nprofile: still\nmodel-paths: [models]\n")
    (folder / "profiles.yml").write_text(
        f"still: {{target: dev, outputs: {{dev: {{type: duckdb, path: {folder}/still.duckdb, threads: {threads}, "
        f"module_paths: ['{sys.path[0]}']}}}}}}\n"
    )
    for study in (f"s{i}" for i in range(studies)):
        (folder / "models" / f"{study}_units.sql").write_text(units)
        for call, scores in (("score", ""), ("estimate", f', scores=dbt.ref("{study}_score")')):
            text = MODEL.format(call=call, study=study, block=block, scores=scores)
            (folder / "models" / f"{study}_{call}.py").write_text(text)
        whole = f"""
            select 'scores' from {{{{ ref('{study}_score') }}}} having count(*) <> 8192
            union all select status_reason from {{{{ ref('{study}_estimate') }}}} where status = 'failed'
            union all select 'effects' from {{{{ ref('{study}_estimate') }}}} having count(n_clusters) < 5
        """
        (folder / "tests" / f"{study}_is_whole.sql").write_text(whole)
    return folder


def builds(number: int, threads: int) -> None:
    """The project built so many times in this process, with two threads of dbt's."""
    from dbt.cli.main import dbtRunner

    with tempfile.TemporaryDirectory() as made:
        folder = str(project(Path(made), threads=threads))
        for _ in range(number):
            faulthandler.dump_traceback_later(4 * PATIENCE, exit=True)
            done = dbtRunner().invoke(["--quiet", "build", "--project-dir", folder, "--profiles-dir", folder])
            assert done.success, done.exception
            faulthandler.cancel_dump_traceback_later()


def main() -> None:
    """Rounds, threads and, for dbt, its name; or names of streams."""
    number, threads, *names = sys.argv[1:]
    started = time.monotonic()
    if names == ["dbt"]:
        os.chdir(tempfile.gettempdir())
        builds(int(number), int(threads))
    else:
        rounds(int(number), int(threads), tuple(s for s in STREAMS if not names or s.__name__ in names))
    print(f"{number} rounds at {threads} threads in {time.monotonic() - started:.1f} s, none stood still")


if __name__ == "__main__":
    main()
