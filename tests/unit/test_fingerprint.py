"""Fingerprints of what effects were made from: the same rows give the same, and any other row another."""

from __future__ import annotations

import duckdb
import pytest
from effects import BLOCK, DATA, without_forests

from estimators import estimate
from estimators.fingerprint import made_from

GATES = "select 'overlap' as gate, 'propensity' as subject, null::text as estimand, null::text as estimator, {} as " \
    "is_passing, true as blocks, now() as checked_at"  # fmt: skip


@pytest.fixture
def connection():
    with duckdb.connect() as opened:
        opened.execute("create table units as select i as unit_id, i * 1.5 as x, null as z from range(1000) t (i)")
        yield opened


def prints(connection, units="from units", passing="true"):
    return made_from(connection, connection.sql(units), connection.sql(GATES.format(passing)))


def test_the_same_rows_in_any_order_have_one_fingerprint(connection):
    first = prints(connection)
    assert prints(connection, "from units order by x desc") == first
    assert first["units_hash"].startswith("1000:")
    assert first["gates_hash"].startswith("1:")


@pytest.mark.parametrize("change", [
    "from units where unit_id > 0", "select * replace (x + 1e-9 as x) from units",
    "select * replace (case when unit_id = 5 then null else x end as x) from units",
    "from units union all from units", "from units limit 0",
])  # fmt: skip
def test_other_rows_have_another(connection, change):
    assert prints(connection, change)["units_hash"] != prints(connection)["units_hash"]


def test_a_verdict_that_turns_has_another_and_the_time_of_judging_has_not(connection):
    assert prints(connection, passing="false")["gates_hash"] != prints(connection)["gates_hash"]
    assert prints(connection)["gates_hash"] == prints(connection)["gates_hash"]


def test_what_is_no_relation_has_none(connection):
    assert made_from(None, {"a": [1]}, None) == {"units_hash": None, "gates_hash": None}
    assert made_from(connection, {"a": [1]}, []) == {"units_hash": None, "gates_hash": None}


def test_effects_carry_them(connection, monkeypatch):
    without_forests(monkeypatch)
    import pyarrow as pa

    connection.register("given", pa.table(DATA))
    connection.execute("create table own as from given")
    units = connection.table("own")
    found = estimate("s", BLOCK, units, session=connection).to_pylist()
    assert {row["units_hash"] for row in found} == {made_from(connection, units, None)["units_hash"]}
