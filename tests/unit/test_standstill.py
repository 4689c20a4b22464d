"""No stream stands still: all of them over and over in a process with a watchdog, and what keeps them from it."""

import ast
import functools
import os
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from estimators.scan import handed, queries
from estimators.scan.clusters import squares
from estimators.scan.stream import Column, Plan, Source, blocks

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("estimators", "figures", "reports", "commands", "ingest")
# By hand: CQOX_ROUNDS=20000 CQOX_BUILDS=100 python -m pytest tests/unit/test_standstill.py --timeout 0
ROUNDS, BUILDS = (int(os.environ.get(name, few)) for name, few in (("CQOX_ROUNDS", 500), ("CQOX_BUILDS", 2)))


def over_and_over(*arguments):
    command = [sys.executable, str(ROOT / "tests" / "standstill.py"), *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-8000:]
    assert "none stood still" in done.stdout


@pytest.mark.parametrize("threads", [2, 4])
def test_streams_do_not_stand_still(threads):
    over_and_over(ROUNDS // 2, threads)


def test_dbt_with_two_threads_does_not_stand_still():
    over_and_over(BUILDS, 2, "dbt")


def test_numbers_are_handed_over_in_arrows_memory():
    values = np.array([1.5, np.nan, 3.0])
    array = handed.array(values)
    assert array.buffers()[1].address != values.ctypes.data
    values[:] = 0
    assert str(array.to_pylist()) == "[1.5, nan, 3.0]"
    assert handed.array(np.array([1.0, np.nan]), np.array([False, True])).to_pylist() == [1.0, None]
    assert handed.array(np.array([True, False, True])).to_pylist() == [True, False, True]
    assert handed.array(np.arange(10)[::3]).to_pylist() == [0, 3, 6, 9]
    assert handed.array(np.empty(0)).to_pylist() == []


def test_numbers_that_arrow_holds_already_are_not_copied():
    room = handed.empty(3, 4)
    room[:] = np.arange(12).reshape(3, 4)
    array = handed.array(room[1])
    assert array.buffers()[1].address == room[1].ctypes.data
    del room
    assert array.to_pylist() == [4, 5, 6, 7]
    across = handed.empty(3, 4)
    across[:] = 7
    assert handed.array(across[:, 1]).buffers()[1].address != across[:, 1].ctypes.data, "a column is not contiguous"
    assert handed.empty(0, 4).shape == (0, 4)


def test_memory_of_arrow_outlives_its_numpy_view_without_python():
    """A buffer over NumPy's memory holds a Python object, one of Arrow's does not."""
    values = np.arange(4.0)
    before = sys.getrefcount(values)
    wrapped = pa.py_buffer(values)
    assert sys.getrefcount(values) > before
    del wrapped
    array = handed.array(values)
    assert sys.getrefcount(values) == before
    assert array.to_pylist() == [0, 1, 2, 3]


def units(connection):
    connection.execute("create table units as select i::double as x from range(200000) t(i)")
    return Source(connection, "units")


def fetching():
    return [t for t in threading.enumerate() if isinstance(t, queries._Fetch)]


def test_a_query_ends_with_the_generator_that_reads_it():
    source, plan = units(duckdb.connect()), Plan((Column("x", "x"),))
    stream = blocks(source, plan)
    next(stream)
    (fetch,) = fetching()
    stream.close()
    assert not fetch.is_alive()
    with pytest.raises(duckdb.ConnectionException, match="closed"):
        fetch.own.execute("select 1")
    for _ in blocks(source, plan):
        break
    assert not fetching()
    with pytest.raises(ZeroDivisionError):
        [1 / 0 for _ in blocks(source, plan)]
    assert not fetching()
    list(blocks(source, plan))
    assert not fetching()


def test_an_error_of_the_query_comes_to_its_reader():
    bad = Plan((Column("x", "error('no such number')"),))
    with pytest.raises(duckdb.Error, match="no such number"):
        list(blocks(units(duckdb.connect()), bad))
    assert not fetching()


def test_what_a_part_raises_is_raised_even_an_interrupt():
    def parts():
        for _ in range(3):
            yield np.arange(5), np.ones((1, 5))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        squares(duckdb.connect(), parts())


@functools.cache
def attributes():
    """Names after a dot in each file of the packages."""
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    trees = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in files}
    return {name: {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)} for name, tree in trees.items()}


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("fetchone", set()),
        ("fetchmany", set()),
        ("py_buffer", set()),
        ("to_arrow_reader", {"estimators/scan/queries.py"}),
        # a temporary table lives on a cursor of its own
        ("cursor", {"estimators/scan/queries.py", "estimators/streamed/running.py"}),
        ("from_batches", {"estimators/scan/handed.py", "estimators/scan/writer.py"}),
        # whose memory the frame holds until the statement has ended
        ("register", {"estimators/assemble.py"}),
    ],
)
def test_results_and_memory_are_handed_over_in_one_place_each(name, where):
    assert {file for file, names in attributes().items() if name in names} == where
