"""DuckDB's SQL as other engines write it, and the SQL of standardised rows and linear forms."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("sqlglot", reason="pip install 'cqox[engines]' for other engines")

from estimators.engines.engine import MOST, Engine, engine_of
from estimators.engines.numbers import (
    Layer,
    cluster_squares,
    form,
    number,
    square,
    standardised,
    sums,
    symmetric,
    total,
)
from estimators.engines.source import EngineSource
from estimators.engines.translate import translated
from estimators.errors import Refusal, StudyError
from estimators.scan.frame import Frame
from estimators.scan.stream import Column, Plan, blocks
from estimators.warehouse import engine_name, source

BOOLEANS = frozenset({"flag"})


@pytest.mark.parametrize(
    ("sql", "spark", "postgres"),
    [
        ('select "a" from u', "SELECT `a` FROM u", 'SELECT "a" FROM u'),
        (
            "select ('O''Hara' = x)::double as v",
            "SELECT CAST(CAST(('O\\'Hara' = x) AS INT) AS DOUBLE) AS v",
            "SELECT CAST(CAST(('O''Hara' = x) AS INT) AS DOUBLE PRECISION) AS v",
        ),
        (
            "select flag::double as v",
            "SELECT CAST(CAST(flag AS INT) AS DOUBLE) AS v",
            "SELECT CAST(CAST(flag AS INT) AS DOUBLE PRECISION) AS v",
        ),
        (
            "select list(distinct x) as v",
            "SELECT COLLECT_SET(x) AS v",
            "SELECT ARRAY_AGG(DISTINCT x) AS v",
        ),
        (
            "select hash(a, b) as v",
            "SELECT XXHASH64(a, b) AS v",
            "SELECT HASHTEXTEXTENDED(CAST(ROW(a, b) AS TEXT), 0) AS v",
        ),
        ("select count(*)", "SELECT COUNT(*) AS v0", "SELECT COUNT(*) AS v0"),
        ("select a::hugeint as v", "SELECT CAST(a AS DECIMAL(38, 0)) AS v", "SELECT CAST(a AS DECIMAL(38, 0)) AS v"),
    ],
)  # fmt: skip
def test_translated(sql: str, spark: str, postgres: str) -> None:
    assert translated(sql, "spark", {}, BOOLEANS) == spark
    assert translated(sql, "postgres", {}, BOOLEANS) == postgres


def test_a_test_for_nan_keeps_what_is_inside_it() -> None:
    """Casts inside an expression that is itself replaced are replaced too."""
    found = translated("select not isnan((flag::double) * ((x = 'a')::double)) as v", "postgres", {}, BOOLEANS)
    assert "CAST(CAST(flag AS INT) AS DOUBLE PRECISION)" in found
    assert "CAST(CAST((x = 'a') AS INT) AS DOUBLE PRECISION)" in found
    assert found.endswith("= CAST('nan' AS DOUBLE PRECISION)) AS v")


def test_a_name_stands_for_a_query_of_the_engine() -> None:
    found = translated('select "a" from "units" where "a" > 1', "spark", {"units": "select `a` from s.`t` limit 5"})
    assert found == "SELECT `a` FROM (SELECT `a` FROM s.`t` LIMIT 5) AS units WHERE `a` > 1"


def test_translation_keeps_the_meaning() -> None:
    """What DuckDB is asked and what it is asked after a translation to itself are the same."""
    con = duckdb.connect()
    con.execute(
        "create table u as select range as a, range % 3 as g, range * 0.1e0 as x, range % 2 = 0 as flag from range(50)"
    )
    asked = (
        "select count(*) filter (where not isnan(x) and abs(x) > 1e+0), bool_or(flag), list(distinct g), "
        "(md5_code(any_value(g)::varchar) * 0), sum(flag::double), count(distinct (a, g)), sum((g = 1)::double) from u"
    )
    plain = asked.replace("(md5_code(any_value(g)::varchar) * 0)", "0")
    one, other = (con.execute(sql).fetchone() for sql in (plain, translated(asked, "duckdb", {}, BOOLEANS)))
    assert one is not None
    assert other is not None
    assert [sorted(v) if isinstance(v, list) else v for v in one] == [
        sorted(v) if isinstance(v, list) else v for v in other
    ]


def test_forms_of_a_row() -> None:
    assert number(0.1) == "1.00000000000000006e-01"
    assert total(["a", "b", "c"]) == "((a + b) + c)"
    assert form(np.array([2.0, 0.0, -1.0])) == f"({number(2)} * z0 + {number(-1)} * z2)"
    same = np.tile([0.0, 1.0], (4, 1))
    assert form(same) == f"{number(1)} * z1"
    assert form(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])) == (
        f"(case when g in (0, 2) then {number(1)} * z0 when g in (1) then {number(1)} * z1 end)"
    )
    layer = Layer("q")
    assert [layer.add("a"), layer.add("b"), layer.add("a")] == ["q0", "q1", "q0"]
    np.testing.assert_array_equal(square([1, 2, 3], 2), [[1, 2], [2, 3]])
    assert symmetric(["a", "b"], "w") == ["sum(w * a * a)", "sum(w * b * a)", "sum(w * b * b)"]


@pytest.fixture
def own() -> EngineSource:
    """Four rows of DuckDB's, as an engine."""
    con = duckdb.connect()
    con.execute(
        "create table u as select * from (values (1, 10.0, 'a'), (2, 20.0, 'a'), (3, 40.0, 'b'), (4, null, 'b'))"
        " as t(i, x, c)"
    )
    engine = Engine(
        "duckdb",
        '"u"',
        {"i": "BIGINT", "x": "DOUBLE", "c": "VARCHAR"},
        lambda sql: con.execute(sql).fetchall(),
        {},
        con.sql,
    )
    return EngineSource.on(engine)


def test_standardised_rows(own: EngineSource) -> None:
    plan = Plan((Column("x", "x"),), cluster="c", carry=('"i"',))
    frame = Frame(np.array([20.0]), np.array([10.0]), np.empty((2, 0)))
    query = standardised(own.kept("x is not null"), plan, frame, ("carried0 as i",))
    rows = own.run(f"select z0, z1, k, i from ({query}) as t order by i")
    assert rows == [(1.0, -1.0, "a", 1), (1.0, 0.0, "a", 2), (1.0, 2.0, "b", 3)]
    found, products = cluster_squares(own, standardised(own.kept("x is not null"), plan, frame), ["z0", "z1"], True)
    assert found == 2
    np.testing.assert_allclose(products, [[5, 0], [0, 5]])  # sums (2, −1) and (1, 2)


@pytest.mark.parametrize("most", [1, 2, 100])
def test_many_sums_are_asked_a_few_at_a_time(own: EngineSource, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MOST, "duckdb", most)
    query = "select i, x, case when c = 'a' then 0 else 1 end as g from u"
    asked = ["count(*)", "sum(i)", "sum(x)", "max(case when i > 9 then i end)"]
    found = sums(own, asked, query, by_group=True)
    assert {k: values.tolist() for k, values in found.items()} == {0: [2, 3, 30, 0], 1: [2, 7, 40, 0]}
    assert sums(own, asked, query)[0].tolist() == [4, 10, 70, 0]


def test_what_needs_rows_in_python_refuses(own: EngineSource) -> None:
    assert own.engine == "DuckDB"
    assert own.one("count(*), sum(i)") == (4, 10)
    with pytest.raises(Refusal, match="not streamed on DuckDB"):
        next(blocks(own, Plan((Column("x", "x"),))))
    with pytest.raises(Refusal, match="not streamed on DuckDB"):
        own.connection.cursor()


def test_what_no_engine_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({"x": [1.0]})
    assert engine_of(table) is None
    assert source(table, "s") is None
    assert engine_name(table) == "duckdb"
    ibis = pytest.importorskip("ibis")
    tried = ibis.duckdb.connect().create_table("u", table)
    assert engine_name(tried) == "duckdb"
    monkeypatch.setattr("estimators.engines.engine.DIALECTS", ("spark",))
    with pytest.raises(StudyError, match="'duckdb' has not been tried"):
        source(tried, "s")
