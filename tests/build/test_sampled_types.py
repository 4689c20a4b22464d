"""A file whose types are guessed from its first rows is refused where all rows give others, in words that mend it."""

from __future__ import annotations

import json

import pytest
from projects import dbt, installed, rows

pytestmark = pytest.mark.timeout(600)
N, LATE = 21_000, 20_990
SOURCES = """
sources:
  - name: made
    tables:
      - name: rounded
        config: {meta: {external_location: "read_csv('data/{name}.csv', header = true)"}}
      - name: bare
        config: {meta: {external_location: "data/rounded.csv"}}
      - name: hundred
        config: {meta: {external_location: "read_csv('data/rounded.csv', sample_size = 100)"}}
      - name: whole
        config: {meta: {external_location: "read_csv('data/rounded.csv', header = true, sample_size = -1)"}}
      - name: short
        config: {meta: {external_location: "read_csv('data/trial.csv')"}}
      - name: coded
        config: {meta: {external_location: "read_csv('data/coded.csv')"}}
"""
UNITS = """
with
-- from 'data/not_read.csv'
stacked as (
    {% for name in ['rounded', 'bare', 'hundred', 'whole', 'short', 'coded'] %}
        select count(*) as n from {{ source('made', name) }} {{ 'union all' if not loop.last }}
    {% endfor %}
)
select count(*) as n from stacked
union all
select count(*) as n from read_json(
    ['data/rounded.json'], format = 'newline_delimited'
)
union all
select count(*) as n from read_json('data/rounded.json', sample_size=-1)
union all
select count(*) as n from read_csv('data/rounded.csv', columns = {'i': 'int', 'y': 'double'})
"""


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    project = installed(tmp_path_factory.mktemp("sampled"))
    values = [i % 3 if i < LATE else 0.25 for i in range(N)]
    (project / "data/rounded.csv").write_text("i,y\n" + "".join(f"{i},{y}\n" for i, y in enumerate(values)))
    lines = [json.dumps({"i": i, "y": y}) for i, y in enumerate(values)]
    (project / "data/rounded.json").write_text("\n".join(lines))
    codes = [f"{i % 9}" if i < LATE else "007" for i in range(N)]
    (project / "data/coded.csv").write_text("i,village\n" + "".join(f"{i},{v}\n" for i, v in enumerate(codes)))
    (project / "models/staging/_made.yml").write_text(SOURCES)
    (project / "models/good/sampled_units.sql").write_text(UNITS)
    (project / "models/good/sampled_effects.sql").write_text("select * from {{ ref('sampled_units') }}")
    done = dbt(project, "run-operation", "judge_sources", "--args", "{study: sampled}")
    assert done.returncode == 0, done.stdout + done.stderr
    return {row["subject"]: row for row in rows(project / "warehouse.duckdb", "select * from judged.sampled")}


def test_readings_by_a_sample_fail_where_all_rows_give_other_types(judged: dict[str, dict[str, object]]) -> None:
    failed = {subject for subject, row in judged.items() if not row["is_passing"]}
    wrong = ("made.rounded", "made.bare", "made.hundred", "made.coded", "sampled_units")
    assert failed == {f"types of {name}" for name in wrong}
    assert set(judged) - failed == {"types of sampled_units (2)", "types of made.short", "end"}


def test_the_reason_names_source_column_types_and_mend(judged: dict[str, dict[str, object]]) -> None:
    place = "the external_location of source 'made.rounded'"
    assert judged["types of made.rounded"]["reason"] == (
        f"{place} types its columns by the first rows of the file, and all of them give other types of 'y' (BIGINT for "
        f"DOUBLE): write read_csv('data/rounded.csv', header = true, sample_size = -1) in {place}"
    )
    assert "read_csv('data/rounded.csv', sample_size = -1)" in str(judged["types of made.bare"]["reason"])
    assert "'village' (BIGINT for VARCHAR)" in str(judged["types of made.coded"]["reason"])
    own = str(judged["types of sampled_units"]["reason"])
    assert own.startswith("the model 'sampled_units'")
    assert "format = 'newline_delimited', sample_size = -1)" in own
