"""Numbers and names in words; reading the marts; the command line."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest
from unit import figures_fixture

from estimators.registry import BY_NAME, NAIVE
from figures import words
from figures.__main__ import main
from figures.data import WarehouseError, connect, load, study_names
from figures.registry import CATALOGUE

DOCS = Path(__file__).resolve().parents[2] / "docs" / "tables.md"


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return figures_fixture.build(tmp_path_factory.mktemp("marts") / "warehouse.duckdb")


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(1676.34, None, "1,676"), (-19.5136, None, "−19.5"), (0.0399513, None, "0.0400"), (0.0, None, "0"),
     (-3.21e-12, None, "−3.2e−12"),
     (None, None, "–"), (float("nan"), 2, "–"), (-0.001, 1, "0.0"), (12345678.9, None, "12,345,679")],
)  # fmt: skip
def test_numbers(value: float | None, decimals: int | None, text: str) -> None:
    assert words.number(value, decimals) == text


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [(1676.34, 349.3, 3003.4, "+1,676 USD (349 to 3,003)"),
     (-0.03995, -0.06354, -0.01636, "−0.040 USD (−0.064 to −0.016)"),
     (7.414, 4.0937, 10.919, "+7.4 USD (4.1 to 10.9)"),
     (-19.51, None, None, "−19.5 USD"),
     (None, None, None, "no estimate"),
     (3.378, 2.353, 4.402, "+3.38 USD (2.35 to 4.40)")],
)  # fmt: skip
def test_effects_take_the_digits_that_their_interval_supports(
    value: float | None, low: float | None, high: float | None, text: str
) -> None:
    assert words.effect(value, low, high, "USD") == text


def test_percentages_do_not_round_to_all_or_nothing() -> None:
    assert words.percent(0.031) == "3 %"
    assert words.percent(0.0001) == "less than 1 %"
    assert words.percent(0.9999) == "more than 99 %"
    assert (words.percent(0.0), words.percent(1.0)) == ("0 %", "100 %")


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_every_estimator_has_names_that_fit(name: str) -> None:
    assert len(words.estimator(name)) <= 36, "give it a name in words._SHORT"
    assert len(words.on_axes(name)) <= 25, "give it a name in words._ON_AXES"


@pytest.mark.parametrize("name", NAIVE)
def test_every_naive_estimator_says_what_it_takes_for_granted(name: str) -> None:
    assert words.naive(name) != words.estimator(name)
    assert ("adjusts for nothing" in words.naive(name)) == (name == "difference_in_means")


def test_p_values() -> None:
    assert words.p_value(1e-9) == "p < 0.001"
    assert words.p_value(0.0168) == "p = 0.017"
    assert words.p_value(0.447) == "p = 0.45"
    assert words.p_value(None) == "no p-value"


def test_names_of_runs_have_one_pair_of_brackets() -> None:
    assert words.run("ope", "ATE") == "Doubly robust (AIPW, ATE)"
    assert words.run("psm", "ATT", "no_caliper") == "Propensity matching (ATT, no caliper)"
    assert words.run("something_new", None) == "Something new"


def test_a_text_is_cut_at_a_word() -> None:
    assert words.shortened("one two three four", 10) == "one two…"
    assert words.shortened("short", 10) == "short"
    assert words.shortened(None) == "no reason was given"


def test_the_fixture_has_the_columns_of_the_contract() -> None:
    """docs/tables.md is the contract: the fixture must not drift from it."""
    first = DOCS.read_text().split("\n## ")[0]
    told = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$", first, re.MULTILINE))
    tables = {**figures_fixture.TABLES, "currency": figures_fixture.CURRENCY_COLUMNS}
    assert set(tables) - {"build_log"} == set(told) - {"build_log"}
    for table, columns in told.items():
        names = re.sub(r"\([^)]*\)", "", columns).replace(" ", "").split(",")
        held = [part.split()[0] for part in tables[table].split(",")]
        assert sorted(names) == sorted(held), table


def test_the_connection_only_reads(warehouse: Path) -> None:
    with connect(warehouse) as connection, pytest.raises(duckdb.Error, match="read-only"):
        connection.execute("delete from marts.estimates")


def test_the_connection_reads_no_files(warehouse: Path) -> None:
    with connect(warehouse) as connection, pytest.raises(duckdb.Error, match="disabled"):
        connection.execute(f"select * from read_text('{DOCS}')")


def test_a_missing_warehouse_is_one_clear_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--study", "nsw", "--warehouse", str(tmp_path / "none.duckdb")]) == 2
    told = capsys.readouterr().err
    assert told.startswith("figures: there is no warehouse at")
    assert len(told.strip().splitlines()) == 1


def test_a_warehouse_without_marts_names_the_tables(tmp_path: Path) -> None:
    path = tmp_path / "bare.duckdb"
    duckdb.connect(str(path)).close()
    with pytest.raises(WarehouseError, match=r"has no marts\.studies"):
        connect(path)


def test_a_file_of_another_kind_is_told(tmp_path: Path) -> None:
    path = tmp_path / "text.duckdb"
    path.write_text("not a database, but long enough to be read as one\n" * 200)
    with pytest.raises(WarehouseError, match="cannot be read as a DuckDB file"):
        connect(path)


def test_a_locked_warehouse_is_told(monkeypatch: pytest.MonkeyPatch, warehouse: Path) -> None:
    def locked(*_: object, **__: object) -> None:
        raise duckdb.IOException("IO Error: Could not set lock on file")

    monkeypatch.setattr(duckdb, "connect", locked)
    with pytest.raises(WarehouseError, match="held open by another process"):
        connect(warehouse)


def test_an_unknown_study_lists_the_known(warehouse: Path) -> None:
    with connect(warehouse) as connection, pytest.raises(WarehouseError, match="It has: card, mpdta, nhefs, nsw"):
        load(connection, "nothing")


def test_no_study_at_all_is_told(tmp_path: Path) -> None:
    path = figures_fixture.build(tmp_path / "warehouse.duckdb")
    with duckdb.connect(str(path)) as connection:
        connection.execute("delete from marts.decision_cards")
    with connect(path) as connection, pytest.raises(WarehouseError, match="no study has been built"):
        study_names(connection)


def test_the_command_writes_both_formats_and_tells_what_is_missing(
    warehouse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--study", "senate", "--warehouse", str(warehouse), "--out", str(tmp_path)]) == 0
    names = sorted(path.name for path in (tmp_path / "senate").iterdir())
    assert {"estimator_forest.png", "estimator_forest.svg", "rd_plot.png", "rd_plot.svg"} <= set(names)
    told = capsys.readouterr().out
    assert "event_study: not drawn, no event-study curve" in told
    for entry in CATALOGUE:
        (line,) = [line for line in told.splitlines() if line.startswith(f"{entry.name}: ")]
        assert ("not drawn, " in line) == (f"{entry.name}.png" not in names)
