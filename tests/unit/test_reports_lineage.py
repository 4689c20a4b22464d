"""From a declared column to the raw file, by dbt's manifest."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from reports import lineage

STAGING = """
with source as (select * from {{ source('s', 'raw') }}),
final as (
    select
        -- the file has no identifier, so count
        cast(file_row_number + 1 as bigint) as unit_id,
        cast(educ as integer) as education,
        case when a in ('x', 'y') then 1 else extract(year from d) end as late
    from source
)
select * from final
"""
UNITS = "select staged.*, staged.education - 12 as beyond_school from {{ ref('stg_s__raw') }} as staged"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    def node(name: str, code: str, parents: list[str]) -> dict[str, object]:
        return {"name": name, "raw_code": code, "depends_on": {"nodes": parents}}

    held = {
        "nodes": {
            "model.p.stg_s__raw": node("stg_s__raw", STAGING, ["source.p.s.raw"]),
            "model.p.one_units": node("one_units", UNITS, ["model.p.stg_s__raw"]),
            "model.p.one_effects": node("one_effects", "", ["model.p.one_units"]),
        },
        "sources": {
            "source.p.s.raw": {
                "source_name": "s", "identifier": "raw",
                "config": {"meta": {"external_location": "read_csv('data/raw.csv', header = true, sample_size = -1)"}},
            }
        },
    }  # fmt: skip
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(held))
    return path


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    found = duckdb.connect()
    roles = {"outcome": "late", "treatment": "beyond_school", "covariates": ["education^2", "C(education)", "lost"]}
    found.execute("create schema marts")
    found.execute("create table marts.studies as select 'one' as study, ? as roles", [json.dumps(roles)])
    return found


def test_each_column_is_followed_to_its_file(connection: duckdb.DuckDBPyConnection, manifest: Path) -> None:
    (way,) = lineage.of(connection, ["one"], manifest)
    steps = {step.column: step for step in way.columns}
    assert steps["education"].expression == "cast(educ as integer)"
    assert steps["education"].model == "stg_s__raw"
    assert steps["education"].source == "data/raw.csv"
    assert steps["beyond_school"].expression == "cast(educ as integer)"
    assert steps["late"].expression.startswith("case when")
    assert steps["lost"].expression == ""
    assert [step.role for step in way.columns] == ["outcome", "treatment", "covariates", "covariates"]
    assert way.models == ("one_units", "one_effects")
    assert way.sources == ("data/raw.csv",)


def test_without_a_manifest_the_columns_are_told_alone(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (way,) = lineage.of(connection, ["one"], tmp_path / "none.json")
    assert [step.column for step in way.columns] == ["late", "beyond_school", "education", "lost"]
    assert way.models == way.sources == ()


@pytest.mark.parametrize("roles", [None, "", "not json", "{}"])
def test_roles_that_cannot_be_read_give_no_columns(roles: str | None) -> None:
    assert lineage.columns(roles) == []
