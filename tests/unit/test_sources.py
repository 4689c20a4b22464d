"""Types come from the whole file: DuckDB's guess from 20,480 rows rounds the decimals that follow."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import duckdb
import numpy as np
import pytest
import yaml

from estimators import estimate

ROOT = Path(__file__).resolve().parents[2]
READ = re.compile(r"(?<!pd\.)\bread_(?:csv|json|ndjson)(?:_auto)?\(\s*['\"?\[{]")
TEMPLATE = re.compile(r"read_csv\('data/[^']*'(?P<options>[^)]*)\)")


def readings(text: str) -> list[str]:
    """The readers' calls in a text, each to the end of its line and the one after."""
    lines = text.splitlines()
    return [
        " ".join(lines[i : i + 2])[found.start() :] for i, line in enumerate(lines) for found in READ.finditer(line)
    ]


def files() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    # These hold readings by a sample on purpose.
    own = ("tests/unit/test_sources.py", "tests/build/test_sampled_types.py", "macros/gates/gate_sources.sql")
    return [
        name for name in listed if name.endswith((".yml", ".sql", ".md", ".py", ".qmd", ".csv")) and name not in own
    ]


def test_every_reading_of_the_project_takes_its_types_from_the_whole_file() -> None:
    found = {
        (name, one) for name in files() if (ROOT / name).is_file()
        for one in readings((ROOT / name).read_text(encoding="utf-8", errors="replace"))
    }  # fmt: skip
    assert len({name for name, _ in found}) >= 7
    assert {pair for pair in found if "sample_size = -1" not in pair[1] and "columns = " not in pair[1]} == set()


@pytest.mark.parametrize("options", [", header = true", ", sample_size = 100"])
def test_a_reading_by_a_sample_is_seen(options: str) -> None:
    assert readings(f"external_location: \"read_csv('data/a.csv'{options})\"")


def test_decimals_after_the_first_rows_are_kept_by_the_template(tmp_path: Path) -> None:
    text = (ROOT / "models/staging/sensemakr/_sensemakr.yml").read_text()
    template = TEMPLATE.search(text)
    assert template is not None
    rng = np.random.default_rng(0)
    n = 26_000
    t = rng.integers(0, 2, n)
    y = np.where(np.arange(n) < 21_000, rng.integers(0, 2, n), np.round(rng.random(n) * 0.9 + 0.45 * t, 2))
    path = tmp_path / "spend.csv"
    path.write_text("unit_id,t,y\n" + "".join(f"{i},{t[i]},{y[i]:g}\n" for i in range(n)))
    block = {
        "question": "q", "design": "experiment", "outcome": "y", "treatment": "t",
        "decision": {
            "primary": "difference_in_means", "estimand": "ATE", "desired_direction": "more", "minimum_effect": 0
        },
    }  # fmt: skip
    connection = duckdb.connect()
    units = connection.sql(f"select * from read_csv('{path}'{template['options']})")
    (found,) = (r for r in estimate("s", block, units, session=connection).to_pylist() if r["is_primary"])
    assert found["estimate"] == pytest.approx(y[t == 1].mean() - y[t == 0].mean(), abs=1e-12)


INTEGER_CAST = re.compile(r"cast\((?:\"(?P<quoted>[^\"]+)\"|(?P<plain>\w+)) as (?:integer|bigint)\)")


def test_no_cast_of_staging_rounds_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    connection, seen = duckdb.connect(), 0
    for model in sorted((ROOT / "models/staging").glob("*/stg_*.sql")):
        sql = model.read_text()
        source = re.search(r"source\('\w+', '(\w+)'\)", sql)
        (declared,) = model.parent.glob("_*.yml")
        tables = yaml.safe_load(declared.read_text())["sources"][0]["tables"]
        places = {table["name"]: table["config"]["meta"]["external_location"] for table in tables}
        assert source is not None
        have = connection.sql(f"select * from {places[source[1]]}").columns
        for found in INTEGER_CAST.finditer(sql):
            name = found["quoted"] or found["plain"]
            if name in have:
                column = f'try_cast("{name}" as double)'
                (odd,) = connection.execute(
                    f"select count(*) from {places[source[1]]} where {column} <> trunc({column})"
                ).fetchone() or (None,)
                assert odd == 0, (model.name, name)
                seen += 1
    assert seen > 50
