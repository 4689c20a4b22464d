"""Distinct keys of rows in DuckDB: as many by bits as by hashing, and bits only where they are few."""

import duckdb
import pytest

from estimators.scan.stream import Source
from estimators.streamed import keys
from estimators.streamed.keys import distinct_keys

NUMBERED = "select (i // 5)::{unit} as u, (i % 5 + 2000)::{time} as t from range(1000) r(i)"


def counted(query, names=("u", "t")):
    """The count, and whether bits gave it."""
    connection = duckdb.connect()
    connection.execute(f"create table rows as {query}")
    source = Source.of(connection, "rows")
    types, rows = source.types(), source.one("count(*)")[0]
    return distinct_keys(source, names, types, rows), keys._bits(source, names, types, rows) is not None


@pytest.mark.parametrize(("unit", "time"), [("bigint", "smallint"), ("integer", "uinteger"), ("utinyint", "bigint")])
def test_whole_numbers_by_bits(unit, time):
    assert counted(NUMBERED.format(unit=unit, time=time)) == (1000, True)


def test_one_column_and_negative_numbers():
    assert counted("select i - 500 as u from range(1000) r(i)", ("u",)) == (1000, True)
    assert counted("select -(i // 2) as u from range(1000) r(i)", ("u",)) == (500, True)
    largest = "select (9223372036854775807 - i)::bigint as u from range(1000) r(i)"
    assert counted(largest, ("u",)) == (1000, True)


def test_repeats_are_seen():
    again = f"{NUMBERED.format(unit='bigint', time='bigint')} union all select 7, 2003 union all select 7, 2004"
    assert counted(again) == (1000, True)


@pytest.mark.parametrize(
    "query",
    [
        NUMBERED.format(unit="varchar", time="bigint"),
        NUMBERED.format(unit="double", time="bigint"),
        NUMBERED.format(unit="hugeint", time="bigint"),
        "select i * 1000000007 as u, 1 as t from range(1000) r(i)",
        "select i - 9223372036854775807 as u, 1 as t from (select unnest([0::bigint, 9223372036854775807])) r(i)",
    ],
)
def test_others_by_hashing(query):
    found, by_bits = counted(query)
    assert not by_bits
    assert found == (2 if "unnest" in query else 1000)


def test_a_missing_period_is_a_value_of_its_own():
    """As it is to `contracts.facts_of`: one unit without a period, and not a repeat."""
    missing = "select i as u, case when i > 0 then 1 end as t from range(1000) r(i)"
    assert counted(missing) == (1000, False)
