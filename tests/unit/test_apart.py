"""Queries that are run apart: one that fails is a row, and the others stand."""

from __future__ import annotations

import json

import duckdb
import pytest

from estimators.apart import apart, parts, reason

EMPTY = "select cast(null as varchar) as study, cast(null as double) as y where 1 = 0"


def member(study: str, select: str) -> str:
    told = json.dumps({"study": study}).replace("*/", "*\\u002f")
    return f"/* part {told} */\n{select}"


def union(*members: str) -> str:
    return "-- a comment of the model\n" + "\nunion all\n".join(members)


@pytest.fixture
def connection():
    with duckdb.connect(config={"threads": 2}) as opened:
        yield opened


def test_parts_are_the_members_of_the_union():
    found = list(parts(union(member("a", "select 1 union all select 2"), member('b"} */ c', "select 3"))))
    assert [one.told for one in found] == [{"study": "a"}, {"study": 'b"} */ c'}]
    assert [one.sql.strip() for one in found] == ["select 1 union all select 2", "select 3"]
    assert list(parts("select 'no parts'")) == []


def test_each_part_stands_or_fails_alone(connection):
    connection.execute("create table texts as select 'a' as v")
    sql = union(
        member("good", "select 'good' as study, 1.5 as y"),
        member("overflow", "select 'overflow' as study, sum(v) as y from (values (9e307), (9e307)) as t (v)"),
        member("infinite", "select 'infinite' as study, 'inf'::double as y"),
        member("text", "select 'text' as study, cast(v as double) as y from texts"),
        member("dates", "select 'dates' as study, cast(date '2020-01-01' as double) as y"),
        member("absent", "select 'absent' as study, y from nowhere"),
        member("syntax", "select from where"),
        member("too few", "select 'too few' as study"),
        member("last", "select 'last' as study, y from range(3) as t (y)"),
    )
    rows = apart(connection, sql, EMPTY).to_pylist()
    assert [(r["study"], r["y"]) for r in rows if r["status"] == "drawn"] == [
        ("good", 1.5), ("last", 0.0), ("last", 1.0), ("last", 2.0),
    ]  # fmt: skip
    failed = {r["study"]: r for r in rows if r["status"] == "failed"}
    assert list(failed) == ["overflow", "infinite", "text", "dates", "absent", "syntax", "too few"]
    assert all(r["y"] is None and r["status_reason"] for r in failed.values())
    for study in ("overflow", "infinite"):
        assert "too large for a float: mend values beyond 1e150" in failed[study]["status_reason"]
    for study in ("text", "dates"):
        assert "does not hold numbers" in failed[study]["status_reason"]
        assert "cast it in staging" in failed[study]["status_reason"]
    for row in failed.values():
        assert "LINE" not in row["status_reason"]
        assert "Error" not in row["status_reason"]


def test_a_part_that_needs_too_much_memory_costs_no_other_its_rows(tmp_path):
    """No room on disk either: DuckDB raises, and the small part is there."""
    config = {"threads": 2, "memory_limit": "40MB", "temp_directory": "", "max_temp_directory_size": "0B"}
    with duckdb.connect(config=config) as connection:
        big = "select 'big' as study, count(*) as y from (select distinct hash(i), i from range(20000000) as t (i))"
        rows = apart(connection, union(member("big", big), member("small", "select 'small' as study, 1 as y")), EMPTY)
    big, small = rows.to_pylist()
    assert (big["study"], big["status"], big["y"]) == ("big", "failed", None)
    assert "raise CQOX_MEMORY_LIMIT" in big["status_reason"]
    assert (small["study"], small["status"], small["y"]) == ("small", "drawn", 1.0)


def test_parts_see_what_is_committed_and_leave_the_callers_transaction_alone(connection):
    connection.execute("create table t as select 1.0 as y")
    connection.execute("begin")
    sql = union(
        member("bad", "select 1 as study, 1 / 0 as y, error('told') as z"), member("t", "select 't' as study, y from t")
    )
    assert apart(connection, sql, EMPTY).num_rows == 2
    assert connection.execute("select count(*) from t").fetchall() == [(1,)]
    connection.execute("commit")


def test_no_part_gives_no_row_and_all_columns(connection):
    found = apart(connection, EMPTY, EMPTY)
    assert (found.num_rows, found.column_names) == (0, ["study", "y", "status", "status_reason"])


def test_a_reason_is_never_empty():
    assert reason(KeyError()) == "KeyError: mend the study's columns, or report it"
